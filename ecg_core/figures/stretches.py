"""Dangers, and stretches that could not be judged, as figures mark them: by colour, pattern, name and hover text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from ..clock import clock_text
from ..report.dangers import UNJUDGED, known_text, length_text
from ..rhythm.events import DANGERS, KIND_NAMES, SHORT_NAMES
from ..schema import Analysis, RhythmEvent
from .theme import Theme, band, spaced

Span = tuple[float, float]
RAIL = 0.03  # of the height of the paper: a solid rail at the upper edge of a danger's band
NAME_LETTER_PX = 8.0  # width of a letter of a danger's name, at most
PATTERNS: Final = {  # that differ without colour
    "not_analysable": {"shape": "/", "size": 5, "solidity": 0.35},
    "artefact": {"shape": "\\", "size": 5, "solidity": 0.35},
    "no_signal": {"shape": "x", "size": 7, "solidity": 0.5},
}
OTHERWISE: Final = {
    "not_analysable": "beats here count once you label them",
    "artefact": "beats here count once you label them",
    "no_signal": "all analysed leads are flat or missing",
}


def dangers_within(analysis: Analysis, span_s: Span) -> list[RhythmEvent]:
    """The dangers that reach into a stretch of time."""
    return [event for event in analysis.events if event.kind in DANGERS and _reaches(event, span_s)]


def unjudged_within(analysis: Analysis, span_s: Span) -> list[RhythmEvent]:
    """The stretches that could not be judged, and that reach into a stretch of time."""
    return [event for event in analysis.events if event.kind in UNJUDGED and _reaches(event, span_s)]


def clipped(event: RhythmEvent, span_s: Span) -> Span:
    """Start and end of the part of an event that lies in a stretch of time."""
    return max(event.start_s, span_s[0]), min(event.end_s, span_s[1])


def hover_text(analysis: Analysis, event: RhythmEvent) -> str:
    """What an event is, when it begins and how long it lasts."""
    more = f"<br>{unjudged_text(analysis, event.kind)}" if event.kind in OTHERWISE else ""
    begin = clock_text(analysis.record, event.start_s)
    return f"{KIND_NAMES[event.kind]}<br>from {begin}, {length_text(event)}{more}"


def unjudged_text(analysis: Analysis, kind: str) -> str:
    """What is known of the stretches of a kind that could not be judged."""
    return "; ".join(text for text in (known_text(analysis, kind), OTHERWISE[kind]) if text)


def danger_bands(spans: Iterable[Span], theme: Theme, *, y0: float = 0, y1: float = 1, yref: str = "y domain") -> Any:
    """A red band, with a solid rail at its upper edge, over each span."""
    bands = []
    for span in spans:
        bands.append(band(span, theme.danger_band, y0=y0, y1=y1, yref=yref))
        bands.append(band(span, theme.danger, y0=y1 - RAIL * (y1 - y0), y1=y1, yref=yref))
    return bands


def add_danger_names(
    figure: go.Figure, events: Sequence[RhythmEvent], span_s: Span, *, px_per_s: float, theme: Theme
) -> None:
    """Write the name of each danger below the rail of its band on a strip."""
    names = sorted((clipped(event, span_s)[0], SHORT_NAMES[event.kind]) for event in events)
    for at_s, name in spaced(names, NAME_LETTER_PX / px_per_s):
        figure.add_annotation(
            text=f"<b>{name}</b>", x=at_s, y=1 - RAIL, yref="y domain",
            xanchor="left", yanchor="top", showarrow=False, font={"size": 12, "color": theme.danger},
        )  # fmt: skip


def add_unjudged(
    figure: go.Figure, kind: str, rectangles: Sequence[tuple[Span, Span]], theme: Theme, *, text: str, **axes: Any
) -> None:
    """Fill rectangles, each as its span of x and of y, in the pattern of a kind that could not be judged."""
    x: list[float | None] = []
    y: list[float | None] = []
    for (left, right), (low, high) in rectangles:
        x += [*([None] if x else []), left, left, right, right]
        y += [*([None] if y else []), low, high, high, low]
    figure.add_scatter(
        x=x, y=y, mode="none", fill="toself", fillcolor="rgba(0,0,0,0)", hoveron="fills", text=text, hoverinfo="text",
        fillpattern={**PATTERNS[kind], "fgcolor": theme.unusable}, name=SHORT_NAMES[kind], **axes,
    )  # fmt: skip


def rows_of(span: Span, start_s: float, row_s: float, n_rows: int) -> Iterator[tuple[int, Span]]:
    """The rows of ``row_s`` that a span reaches, from ``start_s`` on, each with the part of it, seconds in the row."""
    for row in range(n_rows):
        left, right = (min(max(edge - start_s - row * row_s, 0.0), row_s) for edge in span)
        if right > left:
            yield row, (left, right)


def _reaches(event: RhythmEvent, span_s: Span) -> bool:
    return event.start_s < span_s[1] and event.end_s > span_s[0]
