"""Beats by class: histograms, and the Lorenz plot of each RR against the next.

Each mark can be selected by its custom data: a bar carries its class and its number, a point the position of its beat.
Bars are clicked and points are boxed: streamlit offers one or the other, by the ``dragmode`` of the figure.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from ..labels import CLASSES, COLOUR, NAME
from ..morphology.templates import RR_EDGES_S
from ..morphology.waveforms import sample_evenly
from ..rhythm.intervals import follows_previous
from ..schema import Beats, Float64, Index
from .theme import LIGHT, Theme, blank_figure

CONFIDENCE_EDGES: Final = np.linspace(0, 1, 21)
ROW_GAP = 0.05  # of the figure's height

LORENZ_BEATS = 1000  # of a class: enough for the form of its cloud, few enough for a small figure
LORENZ_PCT = (0.2, 99.8)  # percentiles of the RR that the axes span
LORENZ_STEP_S = 0.1
LORENZ_SPARE = 0.5  # steps at least between those RR and the frame


def confidence_bars(beats: Beats) -> Index:
    """The bar that counts each beat by the probability of its label, shape (n,); -1 where not analysable."""
    return np.where(beats.usable, _bar(beats.confidence.astype(np.float64), CONFIDENCE_EDGES), -1)


def rr_bars(beats: Beats) -> Index:
    """The bar that counts each beat by the RR before it, shape (n,); -1 where that RR is unknown."""
    return np.where(follows_previous(beats), _bar(beats.rr_s, RR_EDGES_S), -1)


def _bar(value: Float64, edges: Float64) -> Index:
    """The bar of each value, shape (n,); values beyond the edges belong to the first and the last bar."""
    return np.asarray(np.clip(np.searchsorted(edges, value, "right") - 1, 0, len(edges) - 2))


def confidence_figure(beats: Beats, *, theme: Theme = LIGHT, height_px: int = 330) -> go.Figure:
    """Histogram of the probability of each usable beat's label, a row for each class."""
    figure = _histograms(beats, confidence_bars(beats), CONFIDENCE_EDGES, theme, height_px)
    figure.update_layout(xaxis={"title": {"text": "probability of the assigned class", "standoff": 4}, "dtick": 0.2})
    return figure


def rr_figure(beats: Beats, *, theme: Theme = LIGHT, height_px: int = 330) -> go.Figure:
    """Histogram of the RR before each usable beat, a row for each class."""
    figure = _histograms(beats, rr_bars(beats), RR_EDGES_S, theme, height_px)
    ticks = np.arange(0.4, 2.01, 0.4)
    text = [f"{1000 * tick:.0f}" for tick in ticks.tolist()]
    figure.update_layout(
        xaxis={"title": {"text": "RR before the beat, ms", "standoff": 4}, "tickvals": ticks, "ticktext": text}
    )
    return figure


def _histograms(beats: Beats, bar: Index, edges: Float64, theme: Theme, height_px: int) -> go.Figure:
    """Rows below each other, each on its own scale of beats."""
    figure = blank_figure(theme, height_px, (44, 6, 4, 36))
    labels = [label for label in CLASSES if ((bar >= 0) & (beats.label == label)).any()]
    height = (1 - ROW_GAP * (len(labels) - 1)) / max(1, len(labels))
    for row, label in enumerate(labels):
        axis = "y" if row == 0 else f"y{row + 1}"
        bottom = max(0.0, 1 - (row + 1) * height - row * ROW_GAP)
        count = np.bincount(bar[(bar >= 0) & (beats.label == label)], minlength=len(edges) - 1)
        _add_bars(figure, label, count, edges, axis)
        _place_row(figure, label, int(count.max()), (bottom, min(1.0, bottom + height)), axis, theme)
    lowest = "y" if len(labels) <= 1 else f"y{len(labels)}"
    figure.update_layout(xaxis={"range": [edges[0], edges[-1]], "anchor": lowest}, bargap=0, dragmode="pan")
    return figure


def _place_row(
    figure: go.Figure, label: str, highest: int, domain: tuple[float, float], axis: str, theme: Theme
) -> None:
    """Give a row its place, its class and the count of its highest bar."""
    figure.update_layout(
        {
            f"yaxis{axis[1:]}": {
                "domain": domain, "range": [0, 1.12 * highest], "anchor": "x", "tickvals": [0, highest],
                "ticktext": ["", f"{highest:,}"],
            }
        }
    )  # fmt: skip
    figure.add_annotation(
        text=f"<b>{label}</b>", xref="paper", yref="paper", x=0, y=domain[0], xanchor="right", xshift=-5,
        yanchor="bottom", showarrow=False, font={"size": 12, "color": theme.letter[label]},
    )  # fmt: skip


def _add_bars(figure: go.Figure, label: str, count: Index, edges: Float64, axis: str) -> None:
    """Add the bars of a class that count any beats."""
    number = np.flatnonzero(count)
    width = float(edges[1] - edges[0])
    figure.add_bar(
        x=(edges[number] + width / 2).astype(np.float32), y=count[number].astype(np.int32), width=0.92 * width,
        yaxis=axis, name=NAME[label], marker={"color": COLOUR[label], "line": {"width": 0}},
        customdata=[[label, bar] for bar in number.tolist()], unselected={"marker": {"opacity": 0.35}},
        hovertemplate=f"%{{y}} {label}<br>click to list<extra></extra>",
    )  # fmt: skip


def lorenz_figure(beats: Beats, *, theme: Theme = LIGHT, height_px: int = 330) -> go.Figure:
    """RR before against RR after each beat, in ms, where both are known; an even sample of each class."""
    figure = blank_figure(theme, height_px, (50, 6, 4, 36))
    between = _with_both_rr(beats)
    low_s, high_s = _lorenz_span_s(beats, between)
    ends = [1000 * low_s, 1000 * high_s]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": theme.line, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    for label in CLASSES:
        sample = sample_evenly(between[beats.label[between] == label], LORENZ_BEATS)
        if len(sample):
            _add_cloud(figure, beats, sample, label)
    axis: dict[str, Any] = {"range": ends, "showgrid": True, "gridcolor": theme.line, "griddash": "dot", "nticks": 6}
    figure.update_layout(
        xaxis={**axis, "title": {"text": "RR before, ms", "standoff": 4}, "constrain": "domain"},
        yaxis={**axis, "title": {"text": "RR after, ms", "standoff": 4}, "scaleanchor": "x", "constrain": "domain"},
    )
    newselection = {"line": {"color": theme.text, "width": 1, "dash": "dot"}}
    figure.update_layout(dragmode="select", newselection=newselection)
    return figure


def lorenz_beats(beats: Beats, *, before_ms: tuple[float, float], after_ms: tuple[float, float]) -> Index:
    """All beats whose RR lie in a box of the Lorenz plot, also those that its sample leaves out, shape (n,)."""
    between = _with_both_rr(beats)
    inside = np.ones(len(between), dtype=bool)
    for at, (one_ms, other_ms) in ((between, before_ms), (between + 1, after_ms)):
        rr_ms = 1000 * beats.rr_s[at]
        inside &= (rr_ms >= min(one_ms, other_ms)) & (rr_ms <= max(one_ms, other_ms))
    return np.asarray(between[inside])


def _with_both_rr(beats: Beats) -> Index:
    """The beats whose RR before and after are known, shape (n,)."""
    follows = follows_previous(beats)
    return np.flatnonzero(follows[:-1] & follows[1:])


def _lorenz_span_s(beats: Beats, between: Index) -> tuple[float, float]:
    """Range of both axes: nearly all RR, in whole steps."""
    if not len(between):
        return float(RR_EDGES_S[0]), float(RR_EDGES_S[-1])
    low, high = np.percentile(np.concatenate((beats.rr_s[between], beats.rr_s[between + 1])), LORENZ_PCT)
    steps = np.floor(low / LORENZ_STEP_S - LORENZ_SPARE), np.ceil(high / LORENZ_STEP_S + LORENZ_SPARE)
    return float(max(0.0, steps[0]) * LORENZ_STEP_S), float(steps[1] * LORENZ_STEP_S)


def _add_cloud(figure: go.Figure, beats: Beats, sample: Index, label: str) -> None:
    """Add the points of a class, each of which carries the position of its beat."""
    before_ms, after_ms = ((1000 * beats.rr_s[at]).astype(np.float32) for at in (sample, sample + 1))
    figure.add_scatter(
        x=before_ms, y=after_ms, mode="markers", name=NAME[label], customdata=sample.astype(np.int32),
        marker={"color": COLOUR[label], "size": 4, "opacity": 0.55}, unselected={"marker": {"opacity": 0.15}},
        hovertemplate=f"{label}: %{{x:.0f}}, then %{{y:.0f}} ms<extra></extra>",
    )  # fmt: skip
