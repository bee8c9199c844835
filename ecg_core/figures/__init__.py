"""Analysis -> plotly figures. Knows nothing of streamlit.

Backgrounds are transparent; classes have the colours of ``labels.COLOUR``, everything else the neutral colours of an
``Ink``.
"""

from .ink import DARK, LIGHT, Ink
from .minutes import decimate, disclosure_figure
from .strip import Scale, probability_figure, strip_figure
from .trend import quality_figure, trend_figure

__all__ = [
    "DARK", "LIGHT", "Ink", "Scale", "decimate", "disclosure_figure", "probability_figure",
    "quality_figure", "strip_figure", "trend_figure",
]  # fmt: skip
