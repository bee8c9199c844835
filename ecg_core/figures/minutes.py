"""The full disclosure of a lead: a page of minutes, each in a row."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from ..clock import clock_text
from ..labels import COLOUR
from ..rhythm.events import SHORT_NAMES
from ..schema import Analysis, Beats, Bool, Float64, Lead
from .decimation import decimate
from .stretches import add_unjudged, danger_bands, dangers_within, hover_text, rows_of, unjudged_within
from .theme import HIDDEN, LIGHT, QRS_HALF_S, Theme, band, beats_within, blank_figure, centre

ROW_S = 60.0
ROW_COLUMNS = 1000  # pixel columns of a row
ROW_PX = 38
CLIPPED: Final = 0.75  # of a row: a trace reaches no farther above or below its baseline
USUAL_PERCENTILE, SPARE = 75, 1.25  # a row is high enough for this percentile of seconds, with some space left


def disclosure_figure(
    analysis: Analysis, lead: Lead, *, theme: Theme = LIGHT, marked_s: tuple[float, float] | None = None
) -> go.Figure:
    """Draw each minute of a lead as a row, ectopic beats in the colour of their class; each beat can be clicked."""
    n_rows = max(1, int(np.ceil(len(lead.signal_mv) / lead.fs_hz / ROW_S - 1e-6)))
    figure = blank_figure(theme, n_rows * ROW_PX + 34, (72, 12, 4, 30))
    height_mv = _usual_height_mv(lead)
    _mark_unjudged(figure, analysis, lead.start_s, n_rows, theme)
    for row in range(n_rows):
        _add_row(figure, analysis.beats, lead, row, height_mv=height_mv, theme=theme)
    _add_beat_targets(figure, analysis, lead, n_rows)
    figure.update_xaxes(range=[0, ROW_S], dtick=10, title="s", gridcolor=theme.line, showgrid=True)
    figure.update_yaxes(
        range=[-n_rows + 0.4, 0.6], tickmode="array", tickvals=[-row for row in range(n_rows)], showgrid=False,
        ticktext=[clock_text(analysis.record, lead.start_s + row * ROW_S) for row in range(n_rows)],
    )  # fmt: skip
    _name_dangers(figure, analysis, lead.start_s, n_rows, theme)
    figure.update_layout(shapes=_row_bands(analysis, lead.start_s, n_rows, marked_s, theme))
    return figure


def _add_row(figure: go.Figure, beats: Beats, lead: Lead, row: int, *, height_mv: float, theme: Theme) -> None:
    """Draw a minute, and over it the QRS of its S, V and F beats."""
    per_row = round(ROW_S * lead.fs_hz)
    signal = lead.signal_mv[row * per_row : (row + 1) * per_row]
    points, step = decimate((signal - centre(signal)) / height_mv - row, ROW_COLUMNS)
    points = np.clip(points, -row - CLIPPED, -row + CLIPPED)
    step_s = step / lead.fs_hz
    trace = {"x0": 0.0, "dx": step_s, "mode": "lines", "hoverinfo": "skip"}
    figure.add_scatter(y=points, line={"color": theme.trace, "width": 0.8}, **trace)
    time_s = np.asarray(lead.start_s + row * ROW_S + np.arange(len(points)) * step_s, dtype=np.float64)
    for label in "SVF":
        in_qrs = _in_qrs(beats, label, time_s)
        if in_qrs.any():
            coloured = np.where(in_qrs, points, np.float32(np.nan))
            figure.add_scatter(y=coloured, line={"color": COLOUR[label], "width": 1.6}, **trace)


def _usual_height_mv(lead: Lead) -> float:
    """Height of a row: the peak-to-peak amplitude of most seconds of a lead; 1 mV for a flat lead."""
    n = max(1, round(lead.fs_hz))
    seconds = lead.signal_mv[: len(lead.signal_mv) // n * n].reshape(-1, n)
    complete = seconds[np.isfinite(seconds).all(axis=1)]
    height = float(np.percentile(np.ptp(complete, axis=1), USUAL_PERCENTILE)) if len(complete) else 0.0
    return height * SPARE if height > 0 else 1.0


def _in_qrs(beats: Beats, label: str, time_s: Float64) -> Bool:
    """Whether each time lies in the QRS of a usable beat of the class, shape of ``time_s``."""
    beat_s = beats.time_s[(beats.label == label) & beats.usable]
    before = np.searchsorted(beat_s, time_s - QRS_HALF_S)
    return np.asarray(np.searchsorted(beat_s, time_s + QRS_HALF_S) > before)


def _add_beat_targets(figure: go.Figure, analysis: Analysis, lead: Lead, n_rows: int) -> None:
    """Add a hidden marker for each beat, which can be hovered over and clicked."""
    beats = analysis.beats
    shown = beats_within(beats, lead.start_s, lead.start_s + n_rows * ROW_S)
    since_s = beats.time_s[shown] - lead.start_s
    text = [
        f"{clock_text(analysis.record, time_s, decimals=1)}  {label}"
        for time_s, label in zip(beats.time_s[shown].tolist(), beats.label[shown].tolist(), strict=True)
    ]
    figure.add_scatter(
        x=(since_s % ROW_S).astype(np.float32), y=-(since_s // ROW_S).astype(np.float32), mode="markers", text=text,
        customdata=beats.time_s[shown], marker={"size": 16, "opacity": 0}, selected=HIDDEN, unselected=HIDDEN,
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _mark_unjudged(figure: go.Figure, analysis: Analysis, start_s: float, n_rows: int, theme: Theme) -> None:
    """Fill what could not be judged with the pattern of its kind, in each row that it reaches."""
    for event in unjudged_within(analysis, (start_s, start_s + n_rows * ROW_S)):
        parts = rows_of((event.start_s, event.end_s), start_s, ROW_S, n_rows)
        rectangles = [(part, (-row - 0.5, -row + 0.5)) for row, part in parts]
        add_unjudged(figure, event.kind, rectangles, theme, text=hover_text(analysis, event))


def _name_dangers(figure: go.Figure, analysis: Analysis, start_s: float, n_rows: int, theme: Theme) -> None:
    """Write the name of each danger where it begins in a row."""
    for event in dangers_within(analysis, (start_s, start_s + n_rows * ROW_S)):
        for row, part in rows_of((event.start_s, event.end_s), start_s, ROW_S, n_rows):
            figure.add_annotation(
                text=f"<b>{SHORT_NAMES[event.kind]}</b>", x=part[0], y=-row + 0.5, xanchor="left", yanchor="top",
                showarrow=False, font={"size": 10, "color": theme.danger}, borderpad=0,
            )  # fmt: skip


def _row_bands(
    analysis: Analysis, start_s: float, n_rows: int, marked_s: tuple[float, float] | None, theme: Theme
) -> list[dict[str, Any]]:
    """Red bands at dangers, and a tinted one where the strip lies; one for each row they reach."""
    bands: list[dict[str, Any]] = []
    for event in dangers_within(analysis, (start_s, start_s + n_rows * ROW_S)):
        for row, part in rows_of((event.start_s, event.end_s), start_s, ROW_S, n_rows):
            bands += danger_bands([part], theme, y0=-row - 0.5, y1=-row + 0.5, yref="y")
    for row, part in rows_of(marked_s or (0.0, 0.0), start_s, ROW_S, n_rows):
        bands.append(band(part, theme.marked, y0=-row - 0.5, y1=-row + 0.5))
    return bands
