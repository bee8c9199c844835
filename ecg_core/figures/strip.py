"""The calibrated strip: leads on ECG paper, with beat labels, reference annotations and attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..evaluation.comparison import Disagreements
from ..schema import Analysis, Lead
from .lanes import (
    CLOCK_PX,
    add_attention,
    add_disagreements,
    add_labels,
    add_reference,
    add_rr,
    lane_heights_px,
    place_lanes,
)
from .paper import PX_PER_MM, STANDARD, Scale, draw_calibration, draw_leads, draw_paper, name_leads, place_leads
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
COLOUR_BAR_PX = 25  # below the clock, where attention is shown


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
    """One or several leads on paper in true millimetres, labels and RR above, reference and attention below.

    Parameters
    ----------
    leads
        Excerpts that start at the same time; each is drawn as recorded, on its own baseline.
    length_s
        Length of the paper; the leads may be shorter at the end of the record.
    selected
        The beat whose attention is shown, where it lies in this strip.
    differ
        The disagreements of the analysis with the reference, which are marked.
    scale
        Speed and gain of the paper.

    """
    span_s = (leads[0].start_s, leads[0].start_s + length_s)
    offsets_mv, paper_mv = place_leads(leads)
    beats = beats_within(analysis.beats, *span_s)
    shown = selected if selected is not None and beats.start <= selected < beats.stop else None
    lanes = lane_heights_px(
        (paper_mv[1] - paper_mv[0]) * scale.mm_per_mv * PX_PER_MM,
        has_reference=analysis.record.reference is not None,
        has_attention=shown is not None,
    )
    figure = _empty_strip(lanes, length_s * scale.mm_per_s * PX_PER_MM, theme)
    draw_paper(figure, analysis.record, span_s, scale=scale, theme=theme)
    for event in unjudged_within(analysis, span_s):
        rectangle = (clipped(event, span_s), paper_mv)
        add_unjudged(figure, event.kind, [rectangle], theme, text=hover_text(analysis, event))
    draw_leads(figure, leads, offsets_mv, theme=theme)
    draw_calibration(figure, span_s[0], offset_mv=offsets_mv[0], low_mv=paper_mv[0], scale=scale, theme=theme)
    add_labels(figure, analysis, beats, selected=shown, theme=theme)
    add_rr(figure, analysis, beats, scale=scale, theme=theme)
    add_reference(figure, analysis.record, span_s, low_mv=paper_mv[0], theme=theme)
    if differ is not None:
        add_disagreements(figure, differ, span_s, theme=theme)
    if shown is not None:
        add_attention(figure, analysis, shown, theme=theme)
    place_lanes(figure, lanes, paper_mv)
    name_leads(figure, leads, offsets_mv, record=analysis.record)
    add_danger_names(figure, dangers_within(analysis, span_s), span_s, theme)
    figure.update_layout(shapes=_bands(analysis, span_s, shown, theme))
    return figure


def _empty_strip(lanes: dict[str, float], paper_px: float, theme: Theme) -> go.Figure:
    """A figure with room for the lanes and margins round a paper of this width."""
    bottom_px = CLOCK_PX + (COLOUR_BAR_PX if "y4" in lanes else 0)
    height_px = sum(lanes.values()) + TOP_PX + bottom_px
    figure = blank_figure(theme, height_px, (LEFT_PX, RIGHT_PX, TOP_PX, bottom_px))
    width_px = int(np.ceil(LEFT_PX + paper_px + RIGHT_PX))
    figure.update_layout(width=width_px, clickmode="event+select", dragmode=False)
    return figure


def _bands(analysis: Analysis, span_s: tuple[float, float], selected: int | None, theme: Theme) -> list[dict[str, Any]]:
    """Red bands at dangers, and a tinted one at the selected beat."""
    spans = [clipped(event, span_s) for event in dangers_within(analysis, span_s)]
    bands: list[dict[str, Any]] = danger_bands(spans, theme)
    if selected is not None:
        at_s = float(analysis.beats.time_s[selected])
        bands.append(band((at_s - QRS_HALF_S, at_s + QRS_HALF_S), theme.marked, yref="y domain"))
    return bands
