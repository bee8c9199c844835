"""The calibrated strip on the paper's own scale, with beat labels, reference and attention; and one beat's classes.

Distances are CSS pixels (1/96 inch), so that a strip is drawn as large as on paper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from ..clock import clock_text
from ..evaluation.comparison import Disagreements
from ..labels import CLASSES, COLOUR, NAME
from ..schema import Analysis, Lead, Record
from ..text import plain_html
from .theme import LIGHT, QRS_HALF_S, Theme, band, beats_within, blank_figure, centre

PX_PER_MM: Final = 96 / 25.4  # CSS: an inch is 96 px
LARGE_BOX_MM, SMALL_BOX_MM = 5.0, 1.0

STRIP_LEFT_PX, STRIP_RIGHT_PX = 44, 6
LABEL_PX, RR_PX, REFERENCE_PX, ATTENTION_PX, CLOCK_PX, SCALE_PX = 20, 16, 20, 14, 22, 25
LEAD_GAP_MV = 2.0  # from lead to lead where several are drawn: a large R wave just fits
SINGLE_MIN_MV, SINGLE_MAX_MV = 2.0, 5.0  # height of a single lead
RR_TEXT_MIN_MM = 9.0  # narrower, the number would run into the labels at either side

LEGIBLE_TOP = 1.5  # below so many times uniform, the two ends of the colour bar would run into each other


@dataclass(frozen=True)
class Scale:
    """How paper is scaled; by default as a standard ECG."""

    mm_per_s: float = 25.0
    mm_per_mv: float = 10.0


STANDARD: Final = Scale()


def strip_figure(
    analysis: Analysis,
    leads: tuple[Lead, ...],
    *,
    length_s: float,
    selected: int | None = None,
    differ: Disagreements | None = None,
    scale: Scale = STANDARD,
    theme: Theme = LIGHT,
) -> go.Figure:
    """One or several leads on paper in true millimetres, labels and RR above, the reference and the attention below.

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
    scale
        Speed and gain of the paper.

    """
    start_s = leads[0].start_s
    offsets_mv, low_mv, high_mv = _layout_leads(leads)
    own = beats_within(analysis.beats, start_s, start_s + length_s)
    shown = selected if selected is not None and own.start <= selected < own.stop else None
    lanes = _lanes(
        (high_mv - low_mv) * scale.mm_per_mv * PX_PER_MM,
        has_reference=analysis.record.reference is not None,
        has_attention=shown is not None,
    )
    width_px = STRIP_LEFT_PX + length_s * scale.mm_per_s * PX_PER_MM + STRIP_RIGHT_PX
    bottom_px = CLOCK_PX + (SCALE_PX if shown is not None else 0)
    figure = blank_figure(theme, sum(lanes.values()) + bottom_px + 2, (STRIP_LEFT_PX, STRIP_RIGHT_PX, 2, bottom_px))
    figure.update_layout(width=int(np.ceil(width_px)), clickmode="event+select", dragmode=False)
    _draw_paper(figure, analysis.record, (start_s, start_s + length_s), scale, theme)
    for lead, offset in zip(leads, offsets_mv, strict=True):
        figure.add_scatter(
            x0=lead.start_s, dx=1 / lead.fs_hz, y=lead.signal_mv - centre(lead.signal_mv) + np.float32(offset),
            mode="lines", line={"color": theme.trace, "width": 1.3}, hoverinfo="skip", name=plain_html(lead.name),
        )  # fmt: skip
    _add_pulse(figure, start_s, offsets_mv[0], scale, theme)
    figure.add_annotation(
        text=f"{scale.mm_per_s:g} mm/s, {scale.mm_per_mv:g} mm/mV", xref="paper", x=1, xanchor="right", yref="y",
        y=low_mv, yanchor="bottom", showarrow=False, font={"size": 10, "color": theme.faint},
    )  # fmt: skip
    _add_labels(figure, analysis, own, shown, scale, theme)
    _add_reference(figure, analysis.record, (start_s, start_s + length_s), low_mv, theme)
    if differ is not None:
        _add_disagreements(figure, differ, (start_s, start_s + length_s), theme)
    if shown is not None:
        _add_attention(figure, analysis, shown, theme)
    _place_lanes(figure, lanes, (low_mv, high_mv))
    _name_leads(figure, leads, offsets_mv, analysis.record)
    figure.update_layout(shapes=_strip_shapes(analysis, (start_s, start_s + length_s), shown, theme))
    return figure


def _layout_leads(leads: tuple[Lead, ...]) -> tuple[list[float], float, float]:
    """Where the line of each lead lies, and the lowest and the highest mV of the paper; whole large boxes."""
    offsets = [-LEAD_GAP_MV * i for i in range(len(leads))]
    low, high = _reach_mv(leads[-1])[0] + offsets[-1], _reach_mv(leads[0])[1]
    spare = max(0.0, SINGLE_MIN_MV - (high - low))
    return offsets, low - spare / 2, high + spare / 2


def _reach_mv(lead: Lead) -> tuple[float, float]:
    """How far a lead goes below and above its own line, in half millivolts and within reason."""
    signal = lead.signal_mv - centre(lead.signal_mv)
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


def _draw_paper(figure: go.Figure, record: Record, span_s: tuple[float, float], scale: Scale, theme: Theme) -> None:
    """Boxes of 5 mm and of 1 mm; a clock time at each whole second."""
    large_s, small_s = LARGE_BOX_MM / scale.mm_per_s, SMALL_BOX_MM / scale.mm_per_s
    first = np.ceil(span_s[0] / large_s - 1e-6) * large_s
    ticks = np.round(np.arange(first, span_s[1] + 1e-6, large_s), 3)
    every_s = (1 if record.start is None or record.duration_s < 86400 else 2) * max(1, round(25 / scale.mm_per_s))
    whole = [abs(tick - round(tick)) < 1e-6 and round(tick) % every_s == 0 for tick in ticks.tolist()]
    text = [clock_text(record, tick) if at else "" for tick, at in zip(ticks.tolist(), whole, strict=True)]
    figure.update_xaxes(
        range=list(span_s), tickmode="array", tickvals=ticks, ticktext=text, showgrid=True, gridcolor=theme.large_box,
        gridwidth=1, minor={"showgrid": True, "dtick": small_s, "tick0": 0, "gridcolor": theme.small_box}, ticks="",
    )  # fmt: skip
    figure.update_layout(
        yaxis={
            "showgrid": True, "gridcolor": theme.large_box, "gridwidth": 1,
            "dtick": LARGE_BOX_MM / scale.mm_per_mv, "tick0": 0,
            "minor": {"showgrid": True, "dtick": SMALL_BOX_MM / scale.mm_per_mv, "gridcolor": theme.small_box},
        }
    )  # fmt: skip


def _add_pulse(figure: go.Figure, start_s: float, offset_mv: float, scale: Scale, theme: Theme) -> None:
    """Draw the calibration pulse, 1 mV high and 5 mm wide, left of the first lead in the margin."""
    x = start_s - np.array([9.0, 7.75, 7.75, 2.75, 2.75, 1.5]) / scale.mm_per_s
    y = np.array([0, 0, 1, 1, 0, 0]) + offset_mv
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": theme.faint, "width": 1.2}, hoverinfo="skip", cliponaxis=False
    )


def _add_labels(
    figure: go.Figure, analysis: Analysis, own: slice, selected: int | None, scale: Scale, theme: Theme
) -> None:
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
    told = np.isfinite(rr_s) & (rr_s * scale.mm_per_s >= RR_TEXT_MIN_MM)
    told[:1] = False  # its middle lies before the strip
    figure.add_scatter(
        x=time_s[told] - rr_s[told] / 2, y=np.full(int(told.sum()), 0.2), xaxis="x2", yaxis="y2", mode="text",
        text=[f"{1000 * rr:.0f}" for rr in rr_s[told].tolist()], textfont={"size": 11, "color": theme.faint},
        hoverinfo="skip",
    )  # fmt: skip


def _add_reference(figure: go.Figure, record: Record, span_s: tuple[float, float], low_mv: float, theme: Theme) -> None:
    """Write the symbols of the record's own annotations below the paper."""
    marks = record.reference
    if marks is None:
        return
    inside = (marks.time_s >= span_s[0]) & (marks.time_s < span_s[1])
    signs = inside & (marks.symbol != "+")  # "+" stands for a note, which is written out
    figure.add_scatter(
        x=marks.time_s[signs], y=np.full(int(signs.sum()), 0.5), xaxis="x2", yaxis="y3", mode="text",
        text=marks.symbol[signs].tolist(), textfont={"size": 11, "color": theme.faint}, hoverinfo="skip",
        name="reference",
    )  # fmt: skip
    notes = inside & (marks.aux != "")
    figure.add_scatter(
        x=marks.time_s[notes], y=np.full(int(notes.sum()), low_mv), mode="text",
        text=[plain_html(note) for note in marks.aux[notes].tolist()],
        textposition="top center", textfont={"size": 11, "color": theme.text}, hoverinfo="skip", name="notes",
    )  # fmt: skip


def _add_disagreements(figure: go.Figure, differ: Disagreements, span_s: tuple[float, float], theme: Theme) -> None:
    """Draw a box around each annotation that the analysis disagrees with."""
    here = (differ.time_s >= span_s[0]) & (differ.time_s < span_s[1])
    figure.add_scatter(
        x=differ.time_s[here], y=np.full(int(here.sum()), 0.5), xaxis="x2", yaxis="y3", mode="markers",
        name="disagreement",
        marker={"size": 18, "symbol": "square-open", "color": theme.text, "line": {"width": 1.4}},
        hovertext=[
            f"reference {_said(reference)}, found {_said(found)}"
            for found, reference in zip(differ.found[here].tolist(), differ.reference[here].tolist(), strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _said(label: str) -> str:
    return "no beat" if label == "-" else label


def _add_attention(figure: go.Figure, analysis: Analysis, beat: int, theme: Theme) -> None:
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
        yanchor="top", yshift=-(CLOCK_PX - 4), showarrow=False, font={"size": 11, "color": theme.faint},
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
            text=f"<b>{plain_html(name)}</b>", xref="paper", x=0, xanchor="right", xshift=-5, yref="y", y=offset,
            yshift=-9, showarrow=False, font={"size": 12},
        )  # fmt: skip


def _strip_shapes(
    analysis: Analysis, span_s: tuple[float, float], selected: int | None, theme: Theme
) -> list[dict[str, Any]]:
    """Grey where nothing could be read; a band at the selected beat."""
    grey = replace(theme, marked=theme.unusable.replace("0.45", "0.22"))
    shapes = [
        band((max(start, span_s[0]), min(end, span_s[1])), grey, yref="y domain")
        for start, end in analysis.quality.unusable_stretches(analysis.record.duration_s)
        if start < span_s[1] and end > span_s[0]
    ]
    if selected is not None:
        at = float(analysis.beats.time_s[selected])
        shapes.append(band((at - QRS_HALF_S, at + QRS_HALF_S), theme, yref="y domain"))
    return shapes


def probability_figure(analysis: Analysis, beat: int, *, theme: Theme = LIGHT) -> go.Figure:
    """Probability of each class for one beat."""
    probability = analysis.beats.probability[beat]
    figure = blank_figure(theme, 132, (168, 40, 2, 2))
    figure.add_bar(
        x=probability, y=[f"{NAME[label]} {label}" for label in CLASSES], orientation="h", hoverinfo="skip",
        marker={"color": [COLOUR[label] for label in CLASSES]}, text=[f"{value:.2f}" for value in probability.tolist()],
        textposition="outside", cliponaxis=False, textfont={"color": theme.text},
    )  # fmt: skip
    figure.update_xaxes(range=[0, 1], visible=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(bargap=0.35)
    return figure
