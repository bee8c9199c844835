"""The neutral colours of figures, and the parts that several figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..clock import clock_of, clock_text
from ..labels import COLOUR_ON_DARK, COLOUR_ON_LIGHT
from ..schema import Beats, Float32, Record

MINUTE_S = 60.0
QRS_HALF_S = 0.12  # of the trace is coloured on either side of a beat
TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)

Column = NDArray[np.floating[Any]]

HIDDEN: Final = {"marker": {"opacity": 0}}  # a marker that is not drawn but can be hovered over and clicked


@dataclass(frozen=True)
class Theme:
    """Neutral colours of a figure, for a light or a dark page."""

    trace: str
    text: str
    faint: str  # secondary text
    line: str  # axes and frames
    small_box: str
    large_box: str
    unusable: str  # pattern over what could not be judged
    danger: str  # names and rails of dangers ...
    danger_band: str  # ... and the band behind the signal
    band: str  # between the lowest and the highest heart rate
    marked: str  # the selected stretch or beat
    shaded: str  # the extent of a finding ...
    shaded_edge: str  # ... and its ends
    fibrillation: str  # behind the heart rate in atrial fibrillation
    veil: str  # behind text on bars and traces
    letter: Mapping[str, str] = field(hash=False)  # of each class


LIGHT: Final = Theme(
    trace="#14202A", text="#1B2A36", faint="#5B6B78", line="#CBD5DD",
    small_box="rgba(214,96,77,0.13)", large_box="rgba(214,96,77,0.34)",
    unusable="rgba(91,107,120,0.45)", danger="#A50F15", danger_band="rgba(165,15,21,0.14)",
    band="rgba(91,107,120,0.30)",
    marked="rgba(0,114,178,0.16)", fibrillation="rgba(0,158,115,0.20)", veil="rgba(255,255,255,0.65)",
    shaded="rgba(224,168,0,0.16)", shaded_edge="#8A6700", letter=COLOUR_ON_LIGHT,
)  # fmt: skip
DARK: Final = Theme(
    trace="#EEF3F7", text="#E3EAF0", faint="#9DB0BF", line="#34434F",
    small_box="rgba(224,130,110,0.11)", large_box="rgba(224,130,110,0.30)",
    unusable="rgba(157,176,191,0.45)", danger="#FF8A80", danger_band="rgba(255,82,82,0.24)",
    band="rgba(157,176,191,0.35)",
    marked="rgba(86,180,233,0.22)", fibrillation="rgba(0,158,115,0.34)", veil="rgba(16,24,31,0.65)",
    shaded="rgba(224,180,0,0.17)", shaded_edge="#E0B400", letter=COLOUR_ON_DARK,
)  # fmt: skip


def blank_figure(theme: Theme, height_px: float, margin_px: tuple[int, int, int, int]) -> go.Figure:
    """Make an empty figure; the margins are left, right, top and bottom."""
    left, right, top, bottom = margin_px
    axis = {
        "zeroline": False, "showgrid": False, "linecolor": theme.line, "tickcolor": theme.line, "fixedrange": True,
        "tickfont": {"size": 11, "color": theme.faint}, "title": {"font": {"size": 11, "color": theme.faint}},
    }  # fmt: skip
    layout = go.Layout(
        template={"layout": {"xaxis": axis, "yaxis": axis}},
        height=round(height_px), margin={"l": left, "r": right, "t": top, "b": bottom, "pad": 0}, showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", hovermode="closest", clickmode="event+select",
        font={"color": theme.text, "size": 12, "family": "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"},
        modebar={"remove": ["select", "lasso", "zoom", "pan", "autoscale", "resetscale", "zoomin", "zoomout"]},
    )  # fmt: skip
    return go.Figure(layout=layout)


def band(span_s: tuple[float, float], colour: str, *, y0: float = 0, y1: float = 1, yref: str = "y") -> dict[str, Any]:
    """A stretch of time as a coloured rectangle behind the traces."""
    return {
        "type": "rect", "xref": "x", "yref": yref, "x0": span_s[0], "x1": span_s[1], "y0": y0, "y1": y1,
        "fillcolor": colour, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def clock_ticks(record: Record, span_s: tuple[float, float], n_most: int) -> dict[str, Any]:
    """Ticks of an axis at round clock times, at most ``n_most``."""
    step = next((step for step in TICK_STEPS_S if (span_s[1] - span_s[0]) / step <= n_most), TICK_STEPS_S[-1])
    shift = 0.0
    if (clock := clock_of(record)) is not None:
        since_midnight = clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6
        shift = since_midnight % step
    ticks = np.arange(np.ceil((span_s[0] + shift) / step) * step, span_s[1] + shift + 1e-6, step) - shift
    return {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [clock_text(record, tick)[: None if step < MINUTE_S else -3] for tick in ticks.tolist()],
    }


def beats_within(beats: Beats, start_s: float, end_s: float) -> slice:
    """Slice of the beats from one time up to, but not including, another."""
    first, last = np.searchsorted(beats.time_s, (start_s, end_s))
    return slice(int(first), int(last))


def centre(signal: Float32) -> np.float32:
    """Median of the recorded samples; zero where nothing was recorded."""
    known = signal[np.isfinite(signal)]
    return np.float32(np.median(known)) if len(known) else np.float32(0)


def spaced(marks: Sequence[tuple[float, str]], letter_s: float) -> list[tuple[float, str]]:
    """Texts that begin at their times, ascending; one that would cover the next takes it along, so that none is lost.

    Parameters
    ----------
    letter_s
        Width of a letter in seconds of the paper.

    """
    placed: list[tuple[float, str]] = []
    for time_s, text in marks:
        if placed and time_s < placed[-1][0] + letter_s * (len(placed[-1][1]) + 1):
            placed[-1] = (placed[-1][0], f"{placed[-1][1]}, {text}")
        else:
            placed.append((time_s, text))
    return placed
