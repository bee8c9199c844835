"""Analysis -> plotly figures: trends, a page of minutes, the calibrated strip. Knows nothing of streamlit.

Distances are CSS pixels (1/96 inch), so that a strip is drawn at the paper's own scale. Backgrounds are transparent;
classes have the colours of ``labels.COLOUR`` and everything else the neutral colours of an ``Ink``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from .burden import HOUR_S
from .clock import clock_text
from .intervals import rate_trend
from .labels import CLASSES, COLOUR, NAME, UNLABELLED, class_codes
from .schema import Analysis, Beats, Float32, Float64, Lead, Record, Text
from .scoring import match_beats

PX_PER_MM: Final = 96 / 25.4  # CSS: an inch is 96 px
PAPER_MM_PER_S: Final = 25.0  # the paper speed of a standard ECG
STANDARD_MM_PER_MV: Final = 10.0
LARGE_BOX_S, SMALL_BOX_S = 0.2, 0.04  # 5 mm and 1 mm of paper
LARGE_BOX_MM, SMALL_BOX_MM = 5.0, 1.0

STRIP_LEFT_PX, STRIP_RIGHT_PX = 44, 6
LABEL_PX, RR_PX, REFERENCE_PX, ATTENTION_PX, CLOCK_PX, SCALE_PX = 20, 16, 20, 14, 22, 25
LEAD_GAP_MV = 2.0  # from lead to lead where several are drawn: a large R wave just fits
SINGLE_MIN_MV, SINGLE_MAX_MV = 2.0, 5.0  # height of a single lead
RR_TEXT_MIN_S = 0.36  # narrower, the number would run into the labels at either side

LEGIBLE_TOP = 1.5  # below so many times uniform, the two ends of the colour bar would run into each other

ROW_S = 60.0  # a row of the page of minutes
ROW_COLUMNS = 1000  # pixel columns of such a row
ROW_PX = 38
QRS_HALF_S = 0.12  # so much of the trace is coloured at either side of an ectopic beat

TREND_BINS = 1500  # the trend is one value a bin, and no wider than a screen
TICK_PX = 22  # height that a number on an axis takes
BIN_STEPS_S = (2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
MINUTE_S = 60.0
BY_MINUTE_MAX_S = 3 * HOUR_S  # longer recordings are counted by the hour
TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)

Column = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Ink:
    """Neutral colours of a figure on a light or on a dark page."""

    trace: str
    text: str
    faint: str  # secondary text
    line: str  # axes and frames
    small_box: str
    large_box: str
    unusable: str
    band: str  # from the lowest to the highest
    marked: str  # the stretch or the beat that is selected
    fibrillation: str  # behind the heart rate in atrial fibrillation


LIGHT: Final = Ink(
    trace="#14202A", text="#1B2A36", faint="#5B6B78", line="#CBD5DD",
    small_box="rgba(214,96,77,0.13)", large_box="rgba(214,96,77,0.34)",
    unusable="rgba(91,107,120,0.45)", band="rgba(91,107,120,0.30)", marked="rgba(0,114,178,0.16)",
    fibrillation="rgba(0,158,115,0.20)",
)  # fmt: skip
DARK: Final = Ink(
    trace="#EEF3F7", text="#E3EAF0", faint="#9DB0BF", line="#34434F",
    small_box="rgba(224,130,110,0.11)", large_box="rgba(224,130,110,0.30)",
    unusable="rgba(157,176,191,0.45)", band="rgba(157,176,191,0.35)", marked="rgba(86,180,233,0.22)",
    fibrillation="rgba(0,158,115,0.34)",
)  # fmt: skip


class Disagreements(NamedTuple):
    """Where the reference and the analysis differ; ``-`` stands for no beat."""

    time_s: Float64
    found: Text
    reference: Text


def decimate(signal: Float32, n_columns: int) -> tuple[Float32, float]:
    """Lowest and highest value of each pixel column, in the order in which they occur: no peak is lost.

    Returns
    -------
    The points, and how many samples lie between two of them; the signal itself where it has no more than two samples
    a column.

    """
    width = -(-len(signal) // n_columns)
    if width <= 2:
        return signal, 1.0
    padded = np.full(-(-len(signal) // width) * width, np.nan, dtype=np.float32)
    padded[: len(signal)] = signal
    columns = padded.reshape(-1, width)
    known = np.isfinite(columns)
    lowest = np.where(known, columns, np.inf).argmin(axis=1)
    highest = np.where(known, columns, -np.inf).argmax(axis=1)
    order = np.sort(np.stack((lowest, highest), axis=1), axis=1)
    return np.take_along_axis(columns, order, axis=1).ravel(), width / 2


def disagreements(analysis: Analysis) -> Disagreements:
    """Extra beats, marks that were not found, and classes that differ; in readable stretches only."""
    marks = analysis.record.reference
    if marks is None:
        return Disagreements(np.zeros(0), np.zeros(0, "<U1"), np.zeros(0, "<U1"))
    code = class_codes(marks.symbol)
    time_s = np.asarray(marks.time_s[code != UNLABELLED])
    label = np.array(CLASSES)[code[code != UNLABELLED]]
    beats = analysis.beats
    i, j = match_beats(time_s, beats.time_s)
    missed = np.setdiff1d(np.arange(len(time_s)), i)
    extra = np.setdiff1d(np.arange(len(beats)), j)
    differ = label[i] != beats.label[j]
    when = np.concatenate((beats.time_s[j][differ], time_s[missed], beats.time_s[extra]))
    found = np.concatenate((beats.label[j][differ], np.full(len(missed), "-"), beats.label[extra]))
    reference = np.concatenate((label[i][differ], label[missed], np.full(len(extra), "-")))
    kept = analysis.quality.usable_at(when) if len(when) else np.zeros(0, dtype=bool)
    order = np.argsort(when[kept], kind="stable")
    return Disagreements(when[kept][order], found[kept][order].astype("<U1"), reference[kept][order].astype("<U1"))


def local_rr_s(beats: Beats, beat: int, *, half_width: int = 20) -> float:
    """Median RR from normal beat to normal beat around one, seconds; NaN where there is none."""
    around = slice(max(0, beat - half_width), beat + half_width + 1)
    normal = beats.label[around] == "N"
    rr_s = beats.rr_s[around]
    known = rr_s[1:][normal[1:] & normal[:-1] & np.isfinite(rr_s[1:])]
    return float(np.median(known)) if len(known) else float("nan")


def trend_figure(
    analysis: Analysis, *, ink: Ink = LIGHT, marked_s: tuple[float, float] | None = None, height_px: int = 330
) -> go.Figure:
    """Heart rate, and V and S a minute or an hour, on one time axis; what could not be read is hatched."""
    figure = _figure(ink, height_px, (40, 12, 4, 24))
    _add_rate(figure, analysis, ink)
    _add_counts(figure, analysis)
    _add_unusable(figure, analysis, ink)
    span_s = analysis.record.duration_s
    ticks = _clock_ticks(analysis.record, (0.0, span_s), 9)
    figure.update_xaxes(range=[0, span_s], **ticks, showgrid=True, gridcolor=ink.line, griddash="dot", anchor="y3")
    unit = "minute" if span_s <= BY_MINUTE_MAX_S else "hour"
    lanes = {"yaxis": (0.48, 1.0), "yaxis2": (0.24, 0.45), "yaxis3": (0.0, 0.21)}
    names = ("heart rate, bpm", f"V per {unit}", f"S per {unit}")
    for (axis, domain), name in zip(lanes.items(), names, strict=True):
        n_ticks = max(2, round(height_px * (domain[1] - domain[0]) / TICK_PX))
        figure.update_layout(
            {axis: {"domain": domain, "nticks": n_ticks, "showgrid": axis == "yaxis", "gridcolor": ink.line}}
        )
        figure.add_annotation(
            text=name, xref="paper", yref="paper", x=0, y=domain[1], xanchor="left", yanchor="top", xshift=2,
            showarrow=False, font={"size": 11, "color": ink.faint}, borderpad=0,
        )  # fmt: skip
    figure.update_layout(
        dragmode="select",
        selectdirection="h",
        bargap=0,
        newselection={"line": {"color": ink.text, "width": 1, "dash": "dot"}},
    )
    marked = [_band(marked_s, ink, yref="paper")] if marked_s else []
    figure.update_layout(shapes=[*_fibrillation_shapes(analysis, ink), *marked])
    return figure


def _fibrillation_shapes(analysis: Analysis, ink: Ink) -> list[dict[str, Any]]:
    """Bands behind the heart rate where there is atrial fibrillation."""
    episodes = [event for event in analysis.events if event.kind == "af"]
    spans = [(event.start_s, event.end_s) for event in episodes]
    return [{**_band(span, ink, yref="y domain"), "fillcolor": ink.fibrillation, "layer": "below"} for span in spans]


def _add_rate(figure: go.Figure, analysis: Analysis, ink: Ink) -> None:
    """Mean rate of each bin as a line in the band of its lowest and highest rate; every point can be selected."""
    span_s = analysis.record.duration_s
    bin_s = next((step for step in BIN_STEPS_S if span_s / step <= TREND_BINS), BIN_STEPS_S[-1])
    n_bins = int(span_s / bin_s) + 1
    low, mean, high = rate_trend(analysis.beats, analysis.rules, bin_s, n_bins)
    centre = (np.arange(n_bins) + 0.5) * bin_s
    figure.add_scatter(**_outline(centre, low, high, np.isfinite(mean)), mode="lines", line={"width": 0}, fill="toself",
        fillcolor=ink.band, hoverinfo="skip",
    )  # fmt: skip
    text = [clock_text(analysis.record, value) for value in centre.tolist()]
    unseen = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=centre, y=mean.astype(np.float32), mode="lines+markers", name="heart rate", text=text,
        line={"color": ink.trace, "width": 1.2}, marker={"size": 5, "opacity": 0}, unselected=unseen, selected=unseen,
        hovertemplate="%{text}<br>%{y:.0f} bpm<extra></extra>",
    )  # fmt: skip


def _outline(centre: Column, low: Column, high: Column, seen: NDArray[np.bool_]) -> dict[str, Column]:
    """Outline of a band, a closed piece for each unbroken stretch of bins."""
    edges = np.flatnonzero(np.diff(seen, prepend=False, append=False))
    x: list[Column] = [np.zeros(0)]
    y: list[Column] = [np.zeros(0)]
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        x += [centre[a:b], centre[a:b][::-1], np.array([np.nan])]
        y += [high[a:b], low[a:b][::-1], np.array([np.nan])]
    return {"x": np.concatenate(x), "y": np.concatenate(y)}


def _add_counts(figure: go.Figure, analysis: Analysis) -> None:
    """Bars of V and of S beats, by the minute or by the hour."""
    beats, span_s = analysis.beats, analysis.record.duration_s
    step_s = MINUTE_S if span_s <= BY_MINUTE_MAX_S else HOUR_S
    n_steps = max(1, int(np.ceil(span_s / step_s)))
    start = np.arange(n_steps) * step_s
    text = [clock_text(analysis.record, value) for value in start.tolist()]
    for label, axis in (("V", "y2"), ("S", "y3")):
        own = beats.time_s[(beats.label == label) & beats.usable]
        count = np.bincount(np.minimum((own / step_s).astype(int), n_steps - 1), minlength=n_steps)
        figure.add_bar(
            x=start, y=count.astype(np.int32), offset=0.04 * step_s, width=0.92 * step_s, yaxis=axis, name=NAME[label],
            marker={"color": COLOUR[label], "line": {"width": 0}}, unselected={"marker": {"opacity": 1}},
            text=text, textposition="none", hovertemplate=f"from %{{text}}<br>%{{y}} {label}<extra></extra>",
        )  # fmt: skip
        most = max(1, int(count.max()))
        figure.update_layout({f"yaxis{axis[1:]}": {"range": (0, 1.08 * most), "tickmode": "array", "tickvals": [most]}})


def _add_unusable(figure: go.Figure, analysis: Analysis, ink: Ink) -> None:
    """Hatch over the stretches that no analysed lead could be read in."""
    stretches = analysis.quality.unusable_stretches(analysis.record.duration_s)
    if not stretches:
        return
    x = [edge for start, end in stretches for edge in (start, start, end, end)]
    for axis, lane in (("y4", "y"), ("y5", "y2"), ("y6", "y3")):
        figure.add_scatter(
            x=x, y=[0, 1, 1, 0] * len(stretches), yaxis=axis, mode="lines", line={"width": 0}, fill="tozeroy",
            fillcolor="rgba(0,0,0,0)", fillpattern={"shape": "/", "fgcolor": ink.unusable, "size": 5, "solidity": 0.35},
            hoverinfo="skip", name="not readable",
        )  # fmt: skip
        figure.update_layout({f"yaxis{axis[1:]}": {"overlaying": lane, "range": (0, 1), "visible": False}})


def disclosure_figure(
    analysis: Analysis, lead: Lead, *, ink: Ink = LIGHT, marked_s: tuple[float, float] | None = None
) -> go.Figure:
    """Minutes of a lead below each other, a row a minute, ectopic beats in their colour; each beat can be selected."""
    n_rows = max(1, int(np.ceil(len(lead.signal_mv) / lead.fs_hz / ROW_S - 1e-6)))
    figure = _figure(ink, n_rows * ROW_PX + 34, (72, 12, 4, 30))
    per_row = round(ROW_S * lead.fs_hz)
    height_mv = _usual_height_mv(lead)
    rows = [lead.signal_mv[row * per_row : (row + 1) * per_row] for row in range(n_rows)]
    for row, signal in enumerate(rows):
        points, step = decimate((signal - _centre(signal)) / height_mv - row, ROW_COLUMNS)
        trace = {"x0": 0.0, "dx": step / lead.fs_hz, "mode": "lines", "hoverinfo": "skip"}
        points = np.clip(points, -row - 0.75, -row + 0.75)
        figure.add_scatter(y=points, line={"color": ink.trace, "width": 0.8}, **trace)
        times_s = np.asarray(
            lead.start_s + row * ROW_S + np.arange(len(points)) * (step / lead.fs_hz), dtype=np.float64
        )
        for label in "SVF":
            shown = _near_beats(analysis.beats, label, times_s)
            if shown.any():
                coloured = np.where(shown, points, np.float32(np.nan))
                figure.add_scatter(y=coloured, line={"color": COLOUR[label], "width": 1.6}, **trace)
    _add_beat_targets(figure, analysis, lead, n_rows)
    figure.update_xaxes(range=[0, ROW_S], dtick=10, title="s", gridcolor=ink.line, showgrid=True)
    figure.update_yaxes(
        range=[-n_rows + 0.4, 0.6], tickmode="array", tickvals=[-row for row in range(n_rows)], showgrid=False,
        ticktext=[clock_text(analysis.record, lead.start_s + row * ROW_S) for row in range(n_rows)],
    )  # fmt: skip
    figure.update_layout(shapes=_row_shapes(analysis, lead, n_rows, marked_s, ink))
    return figure


def _usual_height_mv(lead: Lead) -> float:
    """Peak-to-peak amplitude that most seconds of a lead stay within; a flat lead gets 1 mV."""
    second = max(1, round(lead.fs_hz))
    whole = lead.signal_mv[: len(lead.signal_mv) // second * second].reshape(-1, second)
    whole = whole[np.isfinite(whole).all(axis=1)]
    height = float(np.percentile(np.ptp(whole, axis=1), 75)) if len(whole) else 0.0
    return height * 1.25 if height > 0 else 1.0


def _centre(signal: Float32) -> np.float32:
    known = signal[np.isfinite(signal)]
    return np.float32(np.median(known)) if len(known) else np.float32(0)


def _near_beats(beats: Beats, label: str, time_s: Float64) -> NDArray[np.bool_]:
    """Whether each time lies in the QRS of a beat of the class."""
    own = beats.time_s[(beats.label == label) & beats.usable]
    before = np.searchsorted(own, time_s - QRS_HALF_S)
    return np.asarray(np.searchsorted(own, time_s + QRS_HALF_S) > before)


def _beats_within(beats: Beats, start_s: float, end_s: float) -> slice:
    first, last = np.searchsorted(beats.time_s, (start_s, end_s))
    return slice(int(first), int(last))


def _add_beat_targets(figure: go.Figure, analysis: Analysis, lead: Lead, n_rows: int) -> None:
    """Unseen markers that make each beat of the page of minutes hover and click."""
    beats = analysis.beats
    seen = _beats_within(beats, lead.start_s, lead.start_s + n_rows * ROW_S)
    since_s = beats.time_s[seen] - lead.start_s
    text = [
        f"{clock_text(analysis.record, time_s, decimals=1)}  {label}"
        for time_s, label in zip(beats.time_s[seen].tolist(), beats.label[seen].tolist(), strict=True)
    ]
    unseen = {"marker": {"opacity": 0}}
    figure.add_scatter(
        x=(since_s % ROW_S).astype(np.float32), y=-(since_s // ROW_S).astype(np.float32), mode="markers", text=text,
        customdata=beats.time_s[seen], marker={"size": 16, "opacity": 0}, selected=unseen, unselected=unseen,
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _row_shapes(
    analysis: Analysis, lead: Lead, n_rows: int, marked_s: tuple[float, float] | None, ink: Ink
) -> list[dict[str, Any]]:
    """Bands on the page of minutes: grey where nothing could be read, tinted where the strip lies."""
    end_s = lead.start_s + n_rows * ROW_S
    grey = replace(ink, marked=ink.unusable.replace("0.45", "0.25"))
    bands = [(stretch, grey) for stretch in analysis.quality.unusable_stretches(analysis.record.duration_s)]
    bands += [(marked_s, ink)] if marked_s else []
    shapes = []
    for stretch, colour in bands:
        start, end = max(stretch[0], lead.start_s) - lead.start_s, min(stretch[1], end_s) - lead.start_s
        for row in range(int(start // ROW_S), int(np.ceil(end / ROW_S)) if end > start else 0):
            piece = (max(start - row * ROW_S, 0), min(end - row * ROW_S, ROW_S))
            shapes.append(_band(piece, colour, y0=-row - 0.5, y1=-row + 0.5))
    return shapes


def strip_figure(
    analysis: Analysis,
    leads: tuple[Lead, ...],
    *,
    length_s: float,
    selected: int | None = None,
    differ: Disagreements | None = None,
    mm_per_mv: float = STANDARD_MM_PER_MV,
    ink: Ink = LIGHT,
) -> go.Figure:
    """One or several leads at 25 mm/s on paper, with labels and RR above, the reference and the attention below.

    Parameters
    ----------
    leads
        Pieces that start at the same time; each is drawn as recorded, moved to its own line.
    length_s
        Length of the paper; the leads may be shorter at the record's end.
    selected
        The beat whose attention is shown, where it lies in this strip.
    differ
        What ``disagreements`` found in the record, to be marked at the reference.
    mm_per_mv
        Gain of the paper.

    """
    start_s = leads[0].start_s
    offsets_mv, low_mv, high_mv = _layout_leads(leads)
    own = _beats_within(analysis.beats, start_s, start_s + length_s)
    shown = selected if selected is not None and own.start <= selected < own.stop else None
    lanes = _lanes(
        (high_mv - low_mv) * mm_per_mv * PX_PER_MM,
        has_reference=analysis.record.reference is not None,
        has_attention=shown is not None,
    )
    width_px = STRIP_LEFT_PX + length_s * PAPER_MM_PER_S * PX_PER_MM + STRIP_RIGHT_PX
    bottom_px = CLOCK_PX + (SCALE_PX if shown is not None else 0)
    figure = _figure(ink, sum(lanes.values()) + bottom_px + 2, (STRIP_LEFT_PX, STRIP_RIGHT_PX, 2, bottom_px))
    figure.update_layout(width=int(np.ceil(width_px)), clickmode="event+select", dragmode=False)
    _draw_paper(figure, analysis.record, (start_s, start_s + length_s), mm_per_mv, ink)
    for lead, offset in zip(leads, offsets_mv, strict=True):
        figure.add_scatter(
            x0=lead.start_s, dx=1 / lead.fs_hz, y=lead.signal_mv - _centre(lead.signal_mv) + np.float32(offset),
            mode="lines", line={"color": ink.trace, "width": 1.3}, hoverinfo="skip", name=lead.name,
        )  # fmt: skip
    _add_pulse(figure, start_s, offsets_mv[0], ink)
    figure.add_annotation(
        text=f"{PAPER_MM_PER_S:g} mm/s, {mm_per_mv:g} mm/mV", xref="paper", x=1, xanchor="right", yref="y", y=low_mv,
        yanchor="bottom", showarrow=False, font={"size": 10, "color": ink.faint},
    )  # fmt: skip
    _add_labels(figure, analysis, own, shown, ink)
    _add_reference(figure, analysis.record, (start_s, start_s + length_s), low_mv, ink)
    if differ is not None:
        _add_disagreements(figure, differ, (start_s, start_s + length_s), ink)
    if shown is not None:
        _add_attention(figure, analysis, shown, ink)
    _place_lanes(figure, lanes, (low_mv, high_mv))
    _name_leads(figure, leads, offsets_mv, analysis.record)
    figure.update_layout(shapes=_strip_shapes(analysis, (start_s, start_s + length_s), shown, ink))
    return figure


def _layout_leads(leads: tuple[Lead, ...]) -> tuple[list[float], float, float]:
    """Where the line of each lead lies, and the lowest and the highest mV of the paper; whole large boxes."""
    offsets = [-LEAD_GAP_MV * i for i in range(len(leads))]
    low, high = _reach_mv(leads[-1])[0] + offsets[-1], _reach_mv(leads[0])[1]
    spare = max(0.0, SINGLE_MIN_MV - (high - low))
    return offsets, low - spare / 2, high + spare / 2


def _reach_mv(lead: Lead) -> tuple[float, float]:
    """How far a lead goes below and above its own line, in half millivolts and within reason."""
    signal = lead.signal_mv - _centre(lead.signal_mv)
    known = signal[np.isfinite(signal)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    low, high = np.floor(2 * low - 0.2) / 2, np.ceil(2 * high + 0.2) / 2
    return float(max(low, -SINGLE_MAX_MV / 2)), float(min(high, SINGLE_MAX_MV / 2))


def _lanes(paper_px: float, *, has_reference: bool, has_attention: bool) -> dict[str, float]:
    """Height of each lane of a strip from the top down, by the name of its axis."""
    lanes: dict[str, float] = {"y2": LABEL_PX + RR_PX, "y": paper_px}
    if has_reference:
        lanes["y3"] = REFERENCE_PX
    if has_attention:
        lanes["y4"] = ATTENTION_PX
    return lanes


def _draw_paper(figure: go.Figure, record: Record, span_s: tuple[float, float], mm_per_mv: float, ink: Ink) -> None:
    """Boxes of 5 mm and of 1 mm; a clock time at each whole second."""
    first = np.ceil(span_s[0] / LARGE_BOX_S - 1e-6) * LARGE_BOX_S
    ticks = np.round(np.arange(first, span_s[1] + 1e-6, LARGE_BOX_S), 3)
    every_s = 1 if record.start is None or record.duration_s < 86400 else 2
    whole = [abs(tick - round(tick)) < 1e-6 and round(tick) % every_s == 0 for tick in ticks.tolist()]
    text = [clock_text(record, tick) if at else "" for tick, at in zip(ticks.tolist(), whole, strict=True)]
    figure.update_xaxes(
        range=list(span_s), tickmode="array", tickvals=ticks, ticktext=text, showgrid=True, gridcolor=ink.large_box,
        gridwidth=1, minor={"showgrid": True, "dtick": SMALL_BOX_S, "tick0": 0, "gridcolor": ink.small_box}, ticks="",
    )  # fmt: skip
    figure.update_layout(
        yaxis={
            "showgrid": True, "gridcolor": ink.large_box, "gridwidth": 1, "dtick": LARGE_BOX_MM / mm_per_mv, "tick0": 0,
            "minor": {"showgrid": True, "dtick": SMALL_BOX_MM / mm_per_mv, "gridcolor": ink.small_box},
        }
    )  # fmt: skip


def _add_pulse(figure: go.Figure, start_s: float, offset_mv: float, ink: Ink) -> None:
    """Draw the calibration pulse, 1 mV and 0.2 s, left of the first lead in the margin."""
    x = np.array([-0.36, -0.31, -0.31, -0.11, -0.11, -0.06]) + start_s
    y = np.array([0, 0, 1, 1, 0, 0]) + offset_mv
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": ink.faint, "width": 1.2}, hoverinfo="skip", cliponaxis=False
    )


def _add_labels(figure: go.Figure, analysis: Analysis, own: slice, selected: int | None, ink: Ink) -> None:
    """Class of each beat above it, and the RR in ms between two of them."""
    beats = analysis.beats
    time_s, label, rr_s = beats.time_s[own], beats.label[own].tolist(), beats.rr_s[own]
    size = [17 if selected == own.start + i else 13 for i in range(len(label))]
    text = [f"<b>{name}</b>" if name != "N" or points > 13 else name for name, points in zip(label, size, strict=True)]
    confidence = beats.confidence[own]
    figure.add_scatter(
        x=time_s, y=np.full(len(label), 0.72), xaxis="x2", yaxis="y2", mode="markers+text",
        text=text, customdata=time_s,
        textfont={"size": size, "color": [COLOUR[name] for name in label]}, textposition="middle center",
        marker={"size": 22, "opacity": 0}, selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}},
        hovertext=[
            f"{clock_text(analysis.record, at, decimals=2)}<br>{NAME[name]}, probability {p:.2f}"
            for at, name, p in zip(time_s.tolist(), label, confidence.tolist(), strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    told = np.isfinite(rr_s) & (rr_s >= RR_TEXT_MIN_S)
    told[:1] = False  # its middle lies before the strip
    figure.add_scatter(
        x=time_s[told] - rr_s[told] / 2, y=np.full(int(told.sum()), 0.2), xaxis="x2", yaxis="y2", mode="text",
        text=[f"{1000 * rr:.0f}" for rr in rr_s[told].tolist()], textfont={"size": 11, "color": ink.faint},
        hoverinfo="skip",
    )  # fmt: skip


def _add_reference(figure: go.Figure, record: Record, span_s: tuple[float, float], low_mv: float, ink: Ink) -> None:
    """Write the symbols of the record's own annotations below the paper."""
    marks = record.reference
    if marks is None:
        return
    inside = (marks.time_s >= span_s[0]) & (marks.time_s < span_s[1])
    signs = inside & (marks.symbol != "+")  # "+" stands for a note, which is written out
    figure.add_scatter(
        x=marks.time_s[signs], y=np.full(int(signs.sum()), 0.5), xaxis="x2", yaxis="y3", mode="text",
        text=marks.symbol[signs].tolist(), textfont={"size": 11, "color": ink.faint}, hoverinfo="skip",
        name="reference",
    )  # fmt: skip
    notes = inside & (marks.aux != "")
    figure.add_scatter(
        x=marks.time_s[notes], y=np.full(int(notes.sum()), low_mv), mode="text", text=marks.aux[notes].tolist(),
        textposition="top center", textfont={"size": 11, "color": ink.text}, hoverinfo="skip", name="notes",
    )  # fmt: skip


def _add_disagreements(figure: go.Figure, differ: Disagreements, span_s: tuple[float, float], ink: Ink) -> None:
    """Draw a box around each annotation that the analysis disagrees with."""
    here = (differ.time_s >= span_s[0]) & (differ.time_s < span_s[1])
    figure.add_scatter(
        x=differ.time_s[here], y=np.full(int(here.sum()), 0.5), xaxis="x2", yaxis="y3", mode="markers",
        name="disagreement",
        marker={"size": 18, "symbol": "square-open", "color": ink.text, "line": {"width": 1.4}},
        hovertext=[
            f"reference {_said(reference)}, found {_said(found)}"
            for found, reference in zip(differ.found[here].tolist(), differ.reference[here].tolist(), strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _said(label: str) -> str:
    return "no beat" if label == "-" else label


def _add_attention(figure: go.Figure, analysis: Analysis, beat: int, ink: Ink) -> None:
    """Attention of the selected beat at the network's own step; 1 is what every step would get if all got the same."""
    attention = analysis.attention
    times_uniform = attention.weight[beat].astype(np.float32) * len(attention.offset_s)
    top = max(1.0, float(times_uniform.max()))
    step_s = attention.step_s
    figure.add_heatmap(
        z=times_uniform[None], x0=float(analysis.beats.time_s[beat] + attention.offset_s[0]), dx=step_s,
        y=[0.5], xaxis="x2", yaxis="y4", colorscale="Cividis", zmin=0, zmax=top, name="attention",
        hovertemplate="%{z:.2f} times the uniform level<extra></extra>",
        colorbar={
            "orientation": "h", "thickness": 8, "len": 0.34, "x": 0, "xanchor": "left", "y": 0, "yanchor": "top",
            "yref": "paper", "ypad": CLOCK_PX, "xpad": 0, "outlinewidth": 0, "tickfont": {"size": 10},
            "tickvals": [0, 1, top], "ticktext": ["0", "uniform", f"{top:.1f} x" if top > LEGIBLE_TOP else ""],
        },
    )  # fmt: skip
    figure.add_annotation(
        text="relative attention in this window", xref="paper", yref="paper", x=0.36, y=0, xanchor="left",
        yanchor="top", yshift=-(CLOCK_PX - 4), showarrow=False, font={"size": 11, "color": ink.faint},
    )  # fmt: skip


def _place_lanes(
    figure: go.Figure,
    lanes: dict[str, float],
    paper_mv: tuple[float, float],
) -> None:
    """Stack the lanes without gaps, each as high as it was planned in pixels."""
    total, top = sum(lanes.values()), 1.0
    for name, height in lanes.items():
        axis = f"yaxis{name[1:]}"
        domain = (max(0.0, top - height / total), top)
        figure.update_layout({axis: {"domain": domain, "range": (0, 1), "fixedrange": True, "zeroline": False}})
        top = domain[0]
        if name != "y":
            figure.update_layout({axis: {"showgrid": False, "ticks": "", "tickvals": [0.5]}})
    figure.update_layout(
        xaxis={"anchor": "free", "position": 0},
        xaxis2={"matches": "x", "visible": False, "anchor": "y2"},
        yaxis={"range": paper_mv, "tickmode": "linear", "showticklabels": False},
        yaxis2={"ticktext": [""]},
        yaxis3={"ticktext": ["ref."]},
        yaxis4={"ticktext": ["att."]},
    )


def _name_leads(figure: go.Figure, leads: tuple[Lead, ...], offsets_mv: list[float], record: Record) -> None:
    """Write the leads' names in the margin, with a question mark where the header states no gain."""
    stated = dict(zip(record.lead_names, record.calibrated, strict=True))
    names = [lead.name if stated.get(lead.name, False) else f"{lead.name} ?" for lead in leads]
    for name, offset in zip(names, offsets_mv, strict=True):
        figure.add_annotation(
            text=f"<b>{name}</b>", xref="paper", x=0, xanchor="right", xshift=-5, yref="y", y=offset, yshift=-9,
            showarrow=False, font={"size": 12},
        )  # fmt: skip


def _strip_shapes(
    analysis: Analysis, span_s: tuple[float, float], selected: int | None, ink: Ink
) -> list[dict[str, Any]]:
    """Grey where nothing could be read; a band at the selected beat."""
    grey = replace(ink, marked=ink.unusable.replace("0.45", "0.22"))
    shapes = [
        _band((max(start, span_s[0]), min(end, span_s[1])), grey, yref="y domain")
        for start, end in analysis.quality.unusable_stretches(analysis.record.duration_s)
        if start < span_s[1] and end > span_s[0]
    ]
    if selected is not None:
        at = float(analysis.beats.time_s[selected])
        shapes.append(_band((at - QRS_HALF_S, at + QRS_HALF_S), ink, yref="y domain"))
    return shapes


def probability_figure(analysis: Analysis, beat: int, *, ink: Ink = LIGHT) -> go.Figure:
    """Probability of each class for one beat."""
    probability = analysis.beats.probability[beat]
    figure = _figure(ink, 132, (168, 40, 2, 2))
    figure.add_bar(
        x=probability, y=[f"{NAME[label]} {label}" for label in CLASSES], orientation="h", hoverinfo="skip",
        marker={"color": [COLOUR[label] for label in CLASSES]}, text=[f"{value:.2f}" for value in probability.tolist()],
        textposition="outside", cliponaxis=False, textfont={"color": ink.text},
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1], visible=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(bargap=0.35)
    return figure


def _figure(ink: Ink, height_px: float, margin_px: tuple[int, int, int, int]) -> go.Figure:
    """Make an empty figure; margins are left, right, top, bottom."""
    left, right, top, bottom = margin_px
    axis = {
        "zeroline": False, "showgrid": False, "linecolor": ink.line, "tickcolor": ink.line, "fixedrange": True,
        "tickfont": {"size": 11, "color": ink.faint}, "title": {"font": {"size": 11, "color": ink.faint}},
    }  # fmt: skip
    layout = go.Layout(
        template={"layout": {"xaxis": axis, "yaxis": axis}},
        height=round(height_px), margin={"l": left, "r": right, "t": top, "b": bottom, "pad": 0}, showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", hovermode="closest", clickmode="event+select",
        font={"color": ink.text, "size": 12, "family": "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"},
        modebar={"remove": ["select", "lasso", "zoom", "pan", "autoscale", "resetscale", "zoomin", "zoomout"]},
    )  # fmt: skip
    return go.Figure(layout=layout)


def _band(span_s: tuple[float, float], ink: Ink, *, y0: float = 0, y1: float = 1, yref: str = "y") -> dict[str, Any]:
    return {
        "type": "rect", "xref": "x", "yref": yref, "x0": span_s[0], "x1": span_s[1], "y0": y0, "y1": y1,
        "fillcolor": ink.marked, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _clock_ticks(record: Record, span_s: tuple[float, float], n_most: int) -> dict[str, Any]:
    """Ticks at round clock times, as many as fit."""
    step = next((step for step in TICK_STEPS_S if (span_s[1] - span_s[0]) / step <= n_most), TICK_STEPS_S[-1])
    shift = 0.0
    if record.start is not None:
        since_midnight = record.start.hour * 3600 + record.start.minute * 60 + record.start.second
        shift = float(since_midnight % step)
    ticks = np.arange(np.ceil((span_s[0] + shift) / step) * step, span_s[1] + shift + 1e-6, step) - shift
    return {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [clock_text(record, tick)[: None if step < MINUTE_S else -3] for tick in ticks.tolist()],
    }
