"""Beats by their class: waveforms over each other, histograms, and each RR against the next.

What is drawn can be chosen: a bar carries its class and its number as custom data, a point the position of its beat.
Means and bars are clicked, points are boxed: streamlit takes either clicks or boxes, by the figure's ``dragmode``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from ..labels import CLASSES, COLOUR, NAME
from ..morphology.templates import OFFSET_S, STEP_S, Template, sample_evenly
from ..rhythm.intervals import follows_previous
from ..schema import Beats, Float64, Index
from .theme import LIGHT, Theme, blank_figure

DRAWN = 60  # beats over each other: more are a smear
FAINT = 0.3  # opacity of the single beats, which are one line: where they lie over each other it is no darker
OUTLIERS_PCT = 0.5  # this share of the drawn samples may lie outside the panels, at either end
LEAST_SPAN_MV = 1.0
NEAR_PX = 60  # a click this near to a mean is on it
PANEL_GAP = 0.02  # of the figure's width

CONFIDENCE_EDGES: Final = np.linspace(0, 1, 21)
RR_EDGES_S: Final = np.arange(0.2, 2.01, 0.05)  # shorter and longer RR are counted in the first and the last bar
ROW_GAP = 0.05  # of the figure's height

LORENZ_BEATS = 1000  # of a class: its cloud is seen, and the figure stays light
LORENZ_PCT = (0.2, 99.8)  # share of the RR that the axes span
LORENZ_STEP_S = 0.1
LORENZ_SPARE = 0.5  # steps at least between those RR and the frame


def overlay_figure(shapes: Sequence[Template], *, theme: Theme = LIGHT, height_px: int = 215) -> go.Figure:
    """Panels side by side on one scale of mV: some beats of each shape, and over them the mean of all that were read.

    A mean carries the panel's position in ``shapes`` as custom data.
    """
    figure = blank_figure(theme, height_px, (46, 8, 34, 34))
    low, high = _reach_mv(shapes)
    width = (1 - PANEL_GAP * (len(shapes) - 1)) / max(1, len(shapes))
    for number, shape in enumerate(shapes):
        suffix = "" if number == 0 else str(number + 1)
        left = number * (width + PANEL_GAP)
        _add_beats(figure, shape, number, suffix)
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    "domain": (left, left + width), "anchor": f"y{suffix}", "range": [OFFSET_S[0], OFFSET_S[-1]],
                    "tickvals": [-0.2, 0, 0.2, 0.4], "ticktext": ["-200", "0", "200", "400"], "showgrid": True,
                    "gridcolor": theme.line, "griddash": "dot", "title": {"text": "ms from the beat", "standoff": 4},
                },
                f"yaxis{suffix}": {
                    "anchor": f"x{suffix}", "range": [low, high], "showgrid": True, "gridcolor": theme.line,
                    "griddash": "dot", "dtick": _tick_mv(high - low), "showticklabels": number == 0,
                    "title": {"text": "mV" if number == 0 else "", "standoff": 4},
                },
            }
        )  # fmt: skip
        figure.add_annotation(
            text=_panel_title(shape), xref="paper", yref="paper", x=left, y=1, xanchor="left", yanchor="bottom",
            showarrow=False, align="left", font={"size": 11, "color": theme.faint},
        )  # fmt: skip
    figure.update_layout(dragmode="pan", hoverdistance=NEAR_PX)
    return figure


def _reach_mv(shapes: Sequence[Template]) -> tuple[float, float]:
    """Lowest and highest mV of all panels; single artefacts may lie outside, the means never do."""
    ends = [np.percentile(shape.signal_mv, [OUTLIERS_PCT, 100 - OUTLIERS_PCT]) for shape in shapes]
    ends += [np.array([shape.mean_mv.min(), shape.mean_mv.max()]) for shape in shapes]
    low, high = (float(end) for end in (np.min(ends), np.max(ends))) if ends else (0.0, 0.0)
    spare = max(0.06 * (high - low), (LEAST_SPAN_MV - (high - low)) / 2)
    return low - spare, high + spare


def _tick_mv(span_mv: float) -> float:
    return next((step for step in (0.2, 0.5, 1.0, 2.0) if span_mv / step <= 6), 5.0)


def _panel_title(shape: Template) -> str:
    colour = f'<b style="color:{COLOUR[shape.label]}">{shape.label}</b>'
    if shape.name:
        return f"{colour} {shape.name}<br>{shape.n_beats:,} of the beats read"
    return f"{colour} {NAME[shape.label].lower()}<br>{shape.n_beats:,} beats"


def _add_beats(figure: go.Figure, shape: Template, number: int, suffix: str) -> None:
    """One trace of all drawn beats with gaps between them, and the mean, which can be chosen, over it."""
    drawn = np.unique(np.linspace(0, len(shape.beat) - 1, min(DRAWN, len(shape.beat))).astype(int))
    gap = np.full((len(drawn), 1), np.nan, dtype=np.float32)
    y = np.concatenate((shape.signal_mv[drawn], gap), axis=1).ravel()
    x = np.tile(np.append(OFFSET_S, OFFSET_S[-1]).astype(np.float32), len(drawn))
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    colour = COLOUR[shape.label]
    figure.add_scatter(
        x=x, y=y, **axes, mode="lines", line={"color": colour, "width": 1}, name=f"{shape.label} beats",
        opacity=FAINT, hoverinfo="skip",
    )  # fmt: skip
    unseen = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x0=float(OFFSET_S[0]), dx=STEP_S, y=shape.mean_mv, **axes, mode="lines+markers", name=f"{shape.label} mean",
        line={"color": colour, "width": 2.6}, marker={"size": 8, "opacity": 0}, selected=unseen, unselected=unseen,
        customdata=np.full(len(OFFSET_S), number, dtype=np.int16),
        hovertemplate=f"mean of {len(shape.beat)} beats<br>%{{y:.2f}} mV<br>click to list<extra></extra>",
    )  # fmt: skip


def confidence_bars(beats: Beats) -> Index:
    """The bar that each beat is counted in by the probability of its own class, shape (n,); -1 where unusable."""
    return np.where(beats.usable, _bar(beats.confidence.astype(np.float64), CONFIDENCE_EDGES), -1)


def rr_bars(beats: Beats) -> Index:
    """The bar that each beat is counted in by the RR before it, shape (n,); -1 where there is none to be read."""
    return np.where(follows_previous(beats), _bar(beats.rr_s, RR_EDGES_S), -1)


def _bar(value: Float64, edges: Float64) -> Index:
    """What lies beyond the edges is counted in the first and in the last bar."""
    return np.asarray(np.clip(np.searchsorted(edges, value, "right") - 1, 0, len(edges) - 2))


def confidence_figure(beats: Beats, *, theme: Theme = LIGHT, height_px: int = 330) -> go.Figure:
    """Histogram of the probability of each usable beat's own class, a row a class."""
    figure = _histograms(beats, confidence_bars(beats), CONFIDENCE_EDGES, theme, height_px)
    figure.update_layout(xaxis={"title": {"text": "classifier's confidence", "standoff": 4}, "dtick": 0.2})
    return figure


def rr_figure(beats: Beats, *, theme: Theme = LIGHT, height_px: int = 330) -> go.Figure:
    """Histogram of the RR before each usable beat, a row a class."""
    figure = _histograms(beats, rr_bars(beats), RR_EDGES_S, theme, height_px)
    ticks = np.arange(0.4, 2.01, 0.4)
    text = [f"{1000 * tick:.0f}" for tick in ticks.tolist()]
    figure.update_layout(
        xaxis={"title": {"text": "RR before the beat, ms", "standoff": 4}, "tickvals": ticks, "ticktext": text}
    )
    return figure


def _histograms(beats: Beats, bar: Index, edges: Float64, theme: Theme, height_px: int) -> go.Figure:
    """One row below the other, each on its own scale of beats."""
    figure = blank_figure(theme, height_px, (44, 6, 4, 36))
    labels = [label for label in CLASSES if ((bar >= 0) & (beats.label == label)).any()]
    height = (1 - ROW_GAP * (len(labels) - 1)) / max(1, len(labels))
    for row, label in enumerate(labels):
        axis = "y" if row == 0 else f"y{row + 1}"
        bottom = max(0.0, 1 - (row + 1) * height - row * ROW_GAP)
        count = np.bincount(bar[(bar >= 0) & (beats.label == label)], minlength=len(edges) - 1)
        _add_bars(figure, label, count, edges, axis)
        most = int(count.max())
        figure.update_layout(
            {
                f"yaxis{axis[1:]}": {
                    "domain": (bottom, min(1.0, bottom + height)), "range": [0, 1.12 * most], "anchor": "x",
                    "tickvals": [0, most], "ticktext": ["", f"{most:,}"],
                }
            }
        )  # fmt: skip
        figure.add_annotation(
            text=f"<b>{label}</b>", xref="paper", yref="paper", x=0, y=bottom, xanchor="right", xshift=-5,
            yanchor="bottom", showarrow=False, font={"size": 12, "color": COLOUR[label]},
        )  # fmt: skip
    lowest = "y" if len(labels) <= 1 else f"y{len(labels)}"
    figure.update_layout(xaxis={"range": [edges[0], edges[-1]], "anchor": lowest}, bargap=0)
    figure.update_layout(dragmode="pan")
    return figure


def _add_bars(figure: go.Figure, label: str, count: Index, edges: Float64, axis: str) -> None:
    number = np.flatnonzero(count)
    width = float(edges[1] - edges[0])
    figure.add_bar(
        x=(edges[number] + width / 2).astype(np.float32), y=count[number].astype(np.int32), width=0.92 * width,
        yaxis=axis, name=NAME[label], marker={"color": COLOUR[label], "line": {"width": 0}},
        customdata=[[label, bar] for bar in number.tolist()], unselected={"marker": {"opacity": 0.35}},
        hovertemplate=f"%{{y}} {label}<br>click to list<extra></extra>",
    )  # fmt: skip


def lorenz_figure(beats: Beats, *, theme: Theme = LIGHT, height_px: int = 330) -> go.Figure:
    """RR before against RR after each beat between two readable ones, in ms; an even sample of each class."""
    figure = blank_figure(theme, height_px, (50, 6, 4, 36))
    goes_on = follows_previous(beats)
    between = np.flatnonzero(goes_on[:-1] & goes_on[1:])
    low_s, high_s = _lorenz_span_s(beats, between)
    ends = [1000 * low_s, 1000 * high_s]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": theme.line, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    for label in CLASSES:
        own = sample_evenly(between[beats.label[between] == label], LORENZ_BEATS)
        if len(own):
            _add_cloud(figure, beats, own, label)
    axis: dict[str, Any] = {"range": ends, "showgrid": True, "gridcolor": theme.line, "griddash": "dot", "nticks": 6}
    figure.update_layout(
        xaxis={**axis, "title": {"text": "RR before, ms", "standoff": 4}, "constrain": "domain"},
        yaxis={**axis, "title": {"text": "RR after, ms", "standoff": 4}, "scaleanchor": "x", "constrain": "domain"},
    )
    newselection = {"line": {"color": theme.text, "width": 1, "dash": "dot"}}
    figure.update_layout(dragmode="select", newselection=newselection)
    return figure


def _lorenz_span_s(beats: Beats, between: Index) -> tuple[float, float]:
    """What both axes span: nearly all RR, and whole steps."""
    if not len(between):
        return float(RR_EDGES_S[0]), float(RR_EDGES_S[-1])
    low, high = np.percentile(np.concatenate((beats.rr_s[between], beats.rr_s[between + 1])), LORENZ_PCT)
    steps = np.floor(low / LORENZ_STEP_S - LORENZ_SPARE), np.ceil(high / LORENZ_STEP_S + LORENZ_SPARE)
    return float(max(0.0, steps[0]) * LORENZ_STEP_S), float(steps[1] * LORENZ_STEP_S)


def _add_cloud(figure: go.Figure, beats: Beats, own: Index, label: str) -> None:
    before_ms, after_ms = ((1000 * beats.rr_s[at]).astype(np.float32) for at in (own, own + 1))
    figure.add_scatter(
        x=before_ms, y=after_ms, mode="markers", name=NAME[label], customdata=own.astype(np.int32),
        marker={"color": COLOUR[label], "size": 4, "opacity": 0.55}, unselected={"marker": {"opacity": 0.15}},
        hovertemplate=f"{label}: %{{x:.0f}}, then %{{y:.0f}} ms<extra></extra>",
    )  # fmt: skip
