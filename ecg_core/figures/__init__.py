"""Analysis -> plotly figures, independent of streamlit.

Backgrounds are transparent. Classes have the colours of ``labels.COLOUR``, everything else the neutral colours of a
``Theme``.
"""

from .beats import confidence_bars, confidence_figure, lorenz_figure, rr_bars, rr_figure
from .decimation import decimate
from .minutes import disclosure_figure
from .paper import PX_PER_MM, STANDARD, Scale
from .probability import probability_figure
from .strip import MARGIN_PX, marked_strip_figure, strip_figure
from .strip_text import strip_text
from .theme import DARK, LIGHT, Theme
from .trend import quality_figure, trend_figure

__all__ = [
    "DARK", "LIGHT", "MARGIN_PX", "PX_PER_MM", "STANDARD", "Scale", "Theme", "confidence_bars", "confidence_figure",
    "decimate", "disclosure_figure", "lorenz_figure", "marked_strip_figure", "probability_figure",
    "quality_figure", "rr_bars", "rr_figure", "strip_figure", "strip_text", "trend_figure",
]  # fmt: skip
