"""The whole recording on one time axis: heart rate with the counts of V and S, and signal quality."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from ..clock import clock_text
from ..labels import COLOUR, NAME
from ..report.dangers import unjudged_stretches
from ..rhythm.burden import HOUR_S
from ..rhythm.events import KIND_NAMES, SHORT_NAMES
from ..rhythm.intervals import rate_trend
from ..schema import Analysis, RhythmEvent
from ..text import plain_html
from .stretches import add_unjudged, dangers_within, hover_text, unjudged_text
from .theme import HIDDEN, LIGHT, MINUTE_S, Column, Theme, band, blank_figure, clock_ticks

TREND_BINS = 1500  # at most, one value each: a screen has no more columns
TICK_PX = 22  # height of a number on an axis with its space
CLOCK_TICKS = 9  # at most, on the time axis
NAMES_PX = 18  # of the upper margin, for the names of dangers
NAME_WIDTH = 0.0075  # width of a letter of these names, of the width of a figure of 900 px
CLICK_STEPS = 100  # a danger can be clicked at steps of this fraction of the recording
BIN_STEPS_S = (2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
BY_MINUTE_MAX_S = 3 * HOUR_S  # longer recordings are counted by the hour
RATE_PART, COUNT_PART, GAP_PART = 0.52, 0.21, 0.03  # of the height of all three lanes, and of the gaps between them
COUNTED: Final = {"V": "y2", "S": "y3"}  # classes with a lane where there are any, with its axis


def trend_figure(
    analysis: Analysis, *, theme: Theme = LIGHT, marked_s: tuple[float, float] | None = None, height_px: int = 330
) -> go.Figure:
    """Heart rate, and V and S by the minute or by the hour; dangers are red, what could not be judged has a pattern.

    A class that does not occur has no lane, and the figure is lower than ``height_px`` by it.
    """
    dangers = dangers_within(analysis, (0.0, analysis.record.duration_s))
    beats, span_s = analysis.beats, analysis.record.duration_s
    counted = [label for label in COUNTED if ((beats.label == label) & beats.usable).any()]
    margin_px = (40, 12, NAMES_PX if dangers else 4, 24)
    part = RATE_PART + len(counted) * (GAP_PART + COUNT_PART)
    plot_px = part * (height_px - margin_px[2] - margin_px[3])
    figure = blank_figure(theme, plot_px + margin_px[2] + margin_px[3], margin_px)
    lanes = _lanes(counted)
    _add_rate(figure, analysis, theme)
    _add_counts(figure, analysis, counted)
    _mark_unjudged(figure, analysis, list(lanes), theme)
    _add_dangers(figure, analysis, dangers, theme)
    ticks = clock_ticks(analysis.record, (0.0, span_s), CLOCK_TICKS)
    figure.update_xaxes(
        range=[0, span_s], **ticks, showgrid=True, gridcolor=theme.line, griddash="dot", anchor=list(lanes)[-1]
    )
    _place_lanes(figure, lanes, _lane_names(counted, span_s), plot_px, theme)
    figure.update_layout(
        dragmode="select",
        selectdirection="h",
        bargap=0,
        newselection={"line": {"color": theme.text, "width": 1, "dash": "dot"}},
    )
    marked = [band(marked_s, theme.marked, yref="paper")] if marked_s else []
    figure.update_layout(shapes=[*_fibrillation_bands(analysis, theme), *_danger_bands(dangers, theme), *marked])
    return figure


def _lanes(counted: list[str]) -> dict[str, tuple[float, float]]:
    """Lower and upper end of each lane, by its axis, from the top down: the heart rate and the counts."""
    whole = RATE_PART + len(counted) * (GAP_PART + COUNT_PART)
    lanes, top = {"y": (1 - RATE_PART / whole, 1.0)}, 1 - (RATE_PART + GAP_PART) / whole
    for label in counted:
        lanes[COUNTED[label]] = (max(0.0, top - COUNT_PART / whole), top)
        top -= (COUNT_PART + GAP_PART) / whole
    return lanes


def _lane_names(counted: list[str], span_s: float) -> list[str]:
    """What each lane shows, from the top down."""
    unit = "minute" if _count_step_s(span_s) == MINUTE_S else "hour"
    return ["heart rate, bpm", *(f"{label} per {unit}" for label in counted)]


def _place_lanes(
    figure: go.Figure, lanes: dict[str, tuple[float, float]], names: list[str], plot_px: float, theme: Theme
) -> None:
    """Stack the lanes, each with its name and as many ticks as fit."""
    for (axis, domain), name in zip(lanes.items(), names, strict=True):
        lane_px = plot_px * (domain[1] - domain[0])
        lane = {"domain": domain, "nticks": max(2, round(lane_px / TICK_PX)), "showticklabels": lane_px >= TICK_PX}
        figure.update_layout({f"yaxis{axis[1:]}": {**lane, "showgrid": axis == "y", "gridcolor": theme.line}})
        figure.add_annotation(
            text=name, xref="paper", yref="paper", x=0, y=domain[1], xanchor="left", yanchor="top", xshift=2,
            showarrow=False, font={"size": 11, "color": theme.faint}, borderpad=0,
            bgcolor=None if axis == "y" else theme.veil,
        )  # fmt: skip


def _count_step_s(span_s: float) -> float:
    """Whether V and S are counted by the minute or by the hour."""
    return MINUTE_S if span_s <= BY_MINUTE_MAX_S else HOUR_S


def _fibrillation_bands(analysis: Analysis, theme: Theme) -> list[dict[str, Any]]:
    """Bands behind the heart rate during atrial fibrillation."""
    episodes = [event for event in analysis.events if event.kind == "af"]
    return [band((event.start_s, event.end_s), theme.fibrillation, yref="y domain") for event in episodes]


def _danger_bands(dangers: list[RhythmEvent], theme: Theme) -> list[dict[str, Any]]:
    """A red band for each danger over all lanes; its outline can be seen however short the danger is."""
    bands = [band((event.start_s, event.end_s), theme.danger_band, yref="paper") for event in dangers]
    return [{**shape, "line": {"width": 1, "color": theme.danger}} for shape in bands]


def _add_dangers(figure: go.Figure, analysis: Analysis, dangers: list[RhythmEvent], theme: Theme) -> None:
    """Name the dangers above the lanes, where there is room, and make each one clickable over its whole length."""
    if not dangers:
        return
    step_s = analysis.record.duration_s / CLICK_STEPS
    times: list[float] = []
    texts: list[str] = []
    for event in dangers:
        points = np.arange(event.start_s, max(event.end_s, event.start_s + 1e-3), step_s).tolist()
        times += points
        texts += [hover_text(analysis, event)] * len(points)
    figure.add_scatter(
        x=times, y=np.full(len(times), 0.5), yaxis="y7", mode="markers", name="dangers", customdata=times,
        hovertext=texts, hovertemplate="%{hovertext}<extra></extra>", marker={"size": 12, "opacity": 0},
        selected=HIDDEN, unselected=HIDDEN,
    )  # fmt: skip
    figure.update_layout(yaxis7={"overlaying": "y", "range": (0, 1), "visible": False})
    for name, at_s in _placed_names(dangers, analysis.record.duration_s):
        figure.add_annotation(
            text=f"<b>{name}</b>", x=at_s, xanchor="left", y=1, yref="paper", yanchor="bottom", showarrow=False,
            font={"size": 11, "color": theme.danger}, borderpad=0,
        )  # fmt: skip


def _placed_names(dangers: list[RhythmEvent], span_s: float) -> list[tuple[str, float]]:
    """Names of the dangers that have room for theirs, each with its place in seconds; the longest come first."""
    placed: list[tuple[str, float]] = []
    for event in sorted(dangers, key=lambda event: -event.duration_s):
        name = SHORT_NAMES[event.kind]
        at_s = min(event.start_s, max(0.0, span_s - _name_width_s(name, span_s)))
        if all(
            at_s >= other_s + _name_width_s(other, span_s) or other_s >= at_s + _name_width_s(name, span_s)
            for other, other_s in placed
        ):
            placed.append((name, at_s))
    return placed


def _name_width_s(name: str, span_s: float) -> float:
    return span_s * NAME_WIDTH * (len(name) + 1)


def _add_rate(figure: go.Figure, analysis: Analysis, theme: Theme) -> None:
    """Draw the mean rate of each bin as a line in a band from its lowest to its highest rate; points can be clicked."""
    span_s = analysis.record.duration_s
    bin_s = next((step for step in BIN_STEPS_S if span_s / step <= TREND_BINS), BIN_STEPS_S[-1])
    n_bins = int(span_s / bin_s) + 1
    beats, rules, quality = analysis.beats, analysis.rules, analysis.quality
    low, mean, high = rate_trend(beats, rules, quality=quality, bin_s=bin_s, n_bins=n_bins)
    runs = [_run(low[part], mean[part], high[part], first * bin_s, bin_s) for first, part in _known_parts(mean)]
    figure.add_scatter(
        **_outline(runs), mode="lines", line={"width": 0}, fill="toself", fillcolor=theme.band, hoverinfo="skip",
        name="rates",
    )  # fmt: skip
    gap = np.full((1, 4), np.nan)
    time_s, _, mean, _ = np.concatenate([part for run in runs for part in (run, gap)] or [gap]).T
    time_s = np.minimum(time_s, span_s)
    text = ["" if np.isnan(value) else clock_text(analysis.record, value) for value in time_s.tolist()]
    figure.add_scatter(
        x=time_s, y=mean.astype(np.float32), mode="lines+markers", name="heart rate", text=text,
        line={"color": theme.trace, "width": 1.2}, marker={"size": 5, "opacity": 0}, unselected=HIDDEN, selected=HIDDEN,
        hovertemplate="%{text}<br>%{y:.0f} bpm<extra></extra>",
    )  # fmt: skip


def _known_parts(mean: Column) -> list[tuple[int, slice]]:
    """First bin and slice of each unbroken stretch of bins with a rate."""
    edges = np.flatnonzero(np.diff(np.isfinite(mean), prepend=False, append=False)).tolist()
    return [(first, slice(first, stop)) for first, stop in zip(edges[::2], edges[1::2], strict=True)]


def _run(low: Column, mean: Column, high: Column, start_s: float, bin_s: float) -> Column:
    """Time, lowest, mean and highest rate of a stretch of bins, each in the middle of its bin, shape (n + 2, 4).

    The first and the last row are the ends of the stretch, so that a single bin can be seen too.
    """
    time_s = start_s + np.concatenate(([0.0], np.arange(len(mean)) + 0.5, [float(len(mean))])) * bin_s
    return np.column_stack((time_s, *(np.concatenate((row[:1], row, row[-1:])) for row in (low, mean, high))))


def _outline(runs: list[Column]) -> dict[str, Column]:
    """Outline of the band between the lowest and the highest rates, closed around each stretch."""
    x: list[Column] = [np.zeros(0)]
    y: list[Column] = [np.zeros(0)]
    for time_s, low, _, high in (run.T for run in runs):
        x += [time_s, time_s[::-1], np.array([np.nan])]
        y += [high, low[::-1], np.array([np.nan])]
    return {"x": np.concatenate(x), "y": np.concatenate(y)}


def _add_counts(figure: go.Figure, analysis: Analysis, counted: list[str]) -> None:
    """Draw the counts of some classes as bars, by the minute or by the hour."""
    beats, span_s = analysis.beats, analysis.record.duration_s
    step_s = _count_step_s(span_s)
    n_steps = max(1, int(np.ceil(span_s / step_s)))
    start = np.arange(n_steps) * step_s
    text = [clock_text(analysis.record, value) for value in start.tolist()]
    for label in counted:
        axis = COUNTED[label]
        beat_s = beats.time_s[(beats.label == label) & beats.usable]
        count = np.bincount(np.minimum((beat_s / step_s).astype(int), n_steps - 1), minlength=n_steps)
        figure.add_bar(
            x=start, y=count.astype(np.int32), offset=0.04 * step_s, width=0.92 * step_s, yaxis=axis, name=NAME[label],
            marker={"color": COLOUR[label], "line": {"width": 0}}, unselected={"marker": {"opacity": 1}},
            text=text, textposition="none", hovertemplate=f"from %{{text}}<br>%{{y}} {label}<extra></extra>",
        )  # fmt: skip
        most = max(1, int(count.max()))
        figure.update_layout({f"yaxis{axis[1:]}": {"range": (0, 1.08 * most), "tickmode": "array", "tickvals": [most]}})


def _mark_unjudged(figure: go.Figure, analysis: Analysis, lanes: list[str], theme: Theme) -> None:
    """Fill what could not be judged with the pattern of its kind, in all lanes."""
    for kind, stretches in unjudged_stretches(analysis).items():
        if not stretches:
            continue
        text = f"{KIND_NAMES[kind]}: {unjudged_text(analysis, kind)}"
        for axis, lane in zip(("y4", "y5", "y6"), lanes, strict=False):
            add_unjudged(figure, kind, [(stretch, (0.0, 1.0)) for stretch in stretches], theme, text=text, yaxis=axis)
            figure.update_layout({f"yaxis{axis[1:]}": {"overlaying": lane, "range": (0, 1), "visible": False}})


def quality_figure(analysis: Analysis, *, theme: Theme = LIGHT) -> go.Figure:
    """Quality of each analysed lead over time, from 0 (not analysable) to 1 (clean); a row for each lead."""
    quality, span_s = analysis.quality, analysis.record.duration_s
    n_leads, n_blocks = quality.score.shape
    step = -(-n_blocks // TREND_BINS)  # blocks per column: the worst of them is shown
    starts = np.arange(0, n_blocks, step)
    worst = np.minimum.reduceat(quality.score, starts, axis=1)
    further = slice(len(analysis.usual_leads), None)  # read where the usual ones failed: elsewhere nothing is known
    most = np.maximum.reduceat(quality.score[further], starts, axis=1)
    worst[further] = np.where(most > 0, most, np.nan)
    figure = blank_figure(theme, 16 * n_leads + 64, (44, 12, 4, 24))
    text = [clock_text(analysis.record, start) for start in (starts * quality.block_s).tolist()]
    figure.add_heatmap(
        z=worst, x0=step * quality.block_s / 2, dx=step * quality.block_s,
        y=[plain_html(name) for name in analysis.lead_names], zmin=0, zmax=1,
        colorscale="Cividis", customdata=[text] * n_leads, ygap=2,
        hovertemplate="%{customdata}<br>lead %{y}: %{z:.2f} (0 to 1)<extra></extra>",
        colorbar={"thickness": 8, "tickvals": [0, 1], "ticktext": ["not analysable", "clean"], "outlinewidth": 0},
    )  # fmt: skip
    figure.update_xaxes(range=[0, span_s], **clock_ticks(analysis.record, (0.0, span_s), CLOCK_TICKS))
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return figure
