"""The calibrated strip: leads on ECG paper, with beat labels, reference annotations and attention."""

from __future__ import annotations

from math import ceil
from typing import Any

import plotly.graph_objects as go

from ..evaluation.comparison import Disagreements
from ..schema import Analysis, Lead, Record
from .lanes import (
    CLOCK_PX,
    Span,
    add_attention,
    add_disagreements,
    add_labels,
    add_mark,
    add_reference,
    add_rr,
    lane_heights_px,
    notes_within,
    place_lanes,
)
from .paper import STANDARD, Scale, calibration_pulses, draw_leads, draw_paper, name_leads, place_leads
from .stretches import (
    add_danger_names,
    add_unjudged,
    clipped,
    danger_bands,
    dangers_within,
    hover_text,
    unjudged_within,
)
from .theme import LIGHT, QRS_HALF_S, Theme, band, beats_within, blank_figure

LEFT_PX, RIGHT_PX, TOP_PX = 44, 6, 2
MARGIN_PX = LEFT_PX + RIGHT_PX  # of the width of a strip, that are not paper
WHOLE_PX = 1e-6  # a plot that is wider than whole pixels by less is not wider


def strip_figure(
    analysis: Analysis,
    leads: tuple[Lead, ...],
    *,
    length_s: float,
    selected: int | None = None,
    differ: Disagreements | None = None,
    shaded: Span | None = None,
    show_attention: bool = True,
    show_reference: bool = True,
    scale: Scale = STANDARD,
    theme: Theme = LIGHT,
) -> go.Figure:
    """One or several leads on paper in true millimetres, labels and RR above, reference and attention below.

    Parameters
    ----------
    leads
        Excerpts that start at the same time; each is drawn as it is, recorded or filtered, on its own baseline.
    length_s
        Length of the paper; the leads may be shorter at the end of the record.
    selected
        The beat that is marked, where it lies in this strip.
    differ
        The disagreements of the analysis with the reference, which are marked.
    shaded
        Start and end of a finding, seconds: it is shaded, and its ends are marked.
    show_attention, show_reference
        Whether there are a lane for the attention of the selected beat, and one for the annotations of the record.
    scale
        Speed and gain of the paper.

    """
    span_s = (leads[0].start_s, leads[0].start_s + length_s)
    offsets_mv, paper_mv = place_leads(leads, scale)
    beats = beats_within(analysis.beats, *span_s)
    shown = selected if selected is not None and beats.start <= selected < beats.stop else None
    reference = analysis.record.reference if show_reference else None
    has_attention = show_attention and shown is not None
    lanes = lane_heights_px(
        (paper_mv[1] - paper_mv[0]) * scale.px_per_mv, has_reference=reference is not None,
        has_notes=bool(notes_within(reference, span_s)), has_attention=has_attention,
    )  # fmt: skip
    paper_px = length_s * scale.px_per_s
    plot_px = (ceil(paper_px - WHOLE_PX), ceil(sum(lanes.values()) - WHOLE_PX))
    figure = _empty_strip(plot_px, theme)
    draw_paper(figure, analysis.record, span_s, scale=scale, theme=theme)
    for event in unjudged_within(analysis, span_s):
        rectangle = (clipped(event, span_s), paper_mv)
        add_unjudged(figure, event.kind, [rectangle], theme, text=hover_text(analysis, event))
    draw_leads(figure, leads, offsets_mv, scale=scale, theme=theme)
    add_labels(figure, analysis, beats, span_s, selected=shown, scale=scale, theme=theme)
    add_rr(figure, analysis, beats, scale=scale, theme=theme)
    if reference is not None:
        add_reference(figure, reference, span_s, scale=scale, theme=theme)
        if differ is not None:
            add_disagreements(figure, differ, span_s, theme=theme)
    if has_attention and shown is not None:
        add_attention(figure, analysis, shown, span_s, scale=scale, plot_px=plot_px[0], theme=theme)
    place_lanes(figure, lanes, paper_mv, paper_px, plot_px)
    name_leads(figure, leads, offsets_mv, record=analysis.record, theme=theme)
    add_danger_names(figure, dangers_within(analysis, span_s), span_s, px_per_s=scale.px_per_s, theme=theme)
    shapes = [*_finding(shaded, span_s, theme), *_bands(analysis, span_s, shown, theme)]
    figure.update_layout(shapes=[*shapes, *calibration_pulses(offsets_mv, theme=theme)])
    return figure


def marked_strip_figure(
    record: Record,
    leads: tuple[Lead, ...],
    *,
    length_s: float,
    at_s: float,
    text: str,
    scale: Scale = STANDARD,
    theme: Theme = LIGHT,
) -> go.Figure:
    """Leads of a record that need not be analysed, on paper in true millimetres: one beat is marked.

    Parameters
    ----------
    leads, length_s
        As for ``strip_figure``.
    at_s
        Time of the beat.
    text
        That stands above it; the annotations of the record stand below the paper.

    """
    span_s = (leads[0].start_s, leads[0].start_s + length_s)
    offsets_mv, paper_mv = place_leads(leads, scale)
    reference = record.reference
    lanes = lane_heights_px(
        (paper_mv[1] - paper_mv[0]) * scale.px_per_mv, has_reference=reference is not None,
        has_notes=bool(notes_within(reference, span_s)), has_attention=False,
    )  # fmt: skip
    paper_px = length_s * scale.px_per_s
    plot_px = (ceil(paper_px - WHOLE_PX), ceil(sum(lanes.values()) - WHOLE_PX))
    figure = _empty_strip(plot_px, theme)
    draw_paper(figure, record, span_s, scale=scale, theme=theme)
    draw_leads(figure, leads, offsets_mv, scale=scale, theme=theme)
    add_mark(figure, at_s, text, theme=theme)
    if reference is not None:
        add_reference(figure, reference, span_s, scale=scale, theme=theme)
    place_lanes(figure, lanes, paper_mv, paper_px, plot_px)
    name_leads(figure, leads, offsets_mv, record=record, theme=theme)
    marked = (max(at_s - QRS_HALF_S, span_s[0]), min(at_s + QRS_HALF_S, span_s[1]))
    shapes = [band(marked, theme.marked, yref="y domain"), *calibration_pulses(offsets_mv, theme=theme)]
    figure.update_layout(shapes=shapes, clickmode="none")
    return figure


def _empty_strip(plot_px: tuple[int, int], theme: Theme) -> go.Figure:
    """A figure with fixed margins round a plot of this width and height."""
    width_px, height_px = plot_px
    figure = blank_figure(theme, height_px + TOP_PX + CLOCK_PX, (LEFT_PX, RIGHT_PX, TOP_PX, CLOCK_PX))
    width_px += MARGIN_PX
    figure.update_layout(width=width_px, margin={"autoexpand": False}, clickmode="event+select", dragmode=False)
    return figure


def _bands(analysis: Analysis, span_s: Span, selected: int | None, theme: Theme) -> list[dict[str, Any]]:
    """Red bands at dangers, and a tinted one at the selected beat."""
    spans = [clipped(event, span_s) for event in dangers_within(analysis, span_s)]
    bands: list[dict[str, Any]] = danger_bands(spans, theme)
    if selected is not None:
        at_s = float(analysis.beats.time_s[selected])
        marked = (max(at_s - QRS_HALF_S, span_s[0]), min(at_s + QRS_HALF_S, span_s[1]))
        bands.append(band(marked, theme.marked, yref="y domain"))
    return bands


def _finding(shaded: Span | None, span_s: Span, theme: Theme) -> list[dict[str, Any]]:
    """A tinted band over the part of a finding in a strip, and a line at each end of it that lies there."""
    if shaded is None or shaded[0] >= span_s[1] or shaded[1] <= span_s[0]:
        return []
    edge = {"type": "line", "xref": "x", "yref": "y domain", "y0": 0, "y1": 1, "layer": "below"}
    line = {"color": theme.shaded_edge, "width": 2, "dash": "dash"}
    inside = (max(shaded[0], span_s[0]), min(shaded[1], span_s[1]))
    ends = [{**edge, "x0": end, "x1": end, "line": line} for end in shaded if span_s[0] <= end <= span_s[1]]
    return [band(inside, theme.shaded, yref="y domain"), *ends]
