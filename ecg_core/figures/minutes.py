"""A page of minutes: full disclosure, a row a minute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..clock import clock_text
from ..labels import COLOUR
from ..schema import Analysis, Beats, Float32, Float64, Lead
from .theme import LIGHT, QRS_HALF_S, Theme, band, beats_within, blank_figure, centre

ROW_S = 60.0  # a row of the page of minutes
ROW_COLUMNS = 1000  # pixel columns of such a row
ROW_PX = 38


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


def disclosure_figure(
    analysis: Analysis, lead: Lead, *, theme: Theme = LIGHT, marked_s: tuple[float, float] | None = None
) -> go.Figure:
    """Minutes of a lead below each other, a row a minute, ectopic beats in their colour; each beat can be selected."""
    n_rows = max(1, int(np.ceil(len(lead.signal_mv) / lead.fs_hz / ROW_S - 1e-6)))
    figure = blank_figure(theme, n_rows * ROW_PX + 34, (72, 12, 4, 30))
    per_row = round(ROW_S * lead.fs_hz)
    height_mv = _usual_height_mv(lead)
    rows = [lead.signal_mv[row * per_row : (row + 1) * per_row] for row in range(n_rows)]
    for row, signal in enumerate(rows):
        points, step = decimate((signal - centre(signal)) / height_mv - row, ROW_COLUMNS)
        trace = {"x0": 0.0, "dx": step / lead.fs_hz, "mode": "lines", "hoverinfo": "skip"}
        points = np.clip(points, -row - 0.75, -row + 0.75)
        figure.add_scatter(y=points, line={"color": theme.trace, "width": 0.8}, **trace)
        times_s = np.asarray(
            lead.start_s + row * ROW_S + np.arange(len(points)) * (step / lead.fs_hz), dtype=np.float64
        )
        for label in "SVF":
            shown = _near_beats(analysis.beats, label, times_s)
            if shown.any():
                coloured = np.where(shown, points, np.float32(np.nan))
                figure.add_scatter(y=coloured, line={"color": COLOUR[label], "width": 1.6}, **trace)
    _add_beat_targets(figure, analysis, lead, n_rows)
    figure.update_xaxes(range=[0, ROW_S], dtick=10, title="s", gridcolor=theme.line, showgrid=True)
    figure.update_yaxes(
        range=[-n_rows + 0.4, 0.6], tickmode="array", tickvals=[-row for row in range(n_rows)], showgrid=False,
        ticktext=[clock_text(analysis.record, lead.start_s + row * ROW_S) for row in range(n_rows)],
    )  # fmt: skip
    figure.update_layout(shapes=_row_shapes(analysis, lead, n_rows, marked_s, theme))
    return figure


def _usual_height_mv(lead: Lead) -> float:
    """Peak-to-peak amplitude that most seconds of a lead stay within; a flat lead gets 1 mV."""
    second = max(1, round(lead.fs_hz))
    whole = lead.signal_mv[: len(lead.signal_mv) // second * second].reshape(-1, second)
    whole = whole[np.isfinite(whole).all(axis=1)]
    height = float(np.percentile(np.ptp(whole, axis=1), 75)) if len(whole) else 0.0
    return height * 1.25 if height > 0 else 1.0


def _near_beats(beats: Beats, label: str, time_s: Float64) -> NDArray[np.bool_]:
    """Whether each time lies in the QRS of a beat of the class."""
    own = beats.time_s[(beats.label == label) & beats.usable]
    before = np.searchsorted(own, time_s - QRS_HALF_S)
    return np.asarray(np.searchsorted(own, time_s + QRS_HALF_S) > before)


def _add_beat_targets(figure: go.Figure, analysis: Analysis, lead: Lead, n_rows: int) -> None:
    """Unseen markers that make each beat of the page of minutes hover and click."""
    beats = analysis.beats
    seen = beats_within(beats, lead.start_s, lead.start_s + n_rows * ROW_S)
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
    analysis: Analysis, lead: Lead, n_rows: int, marked_s: tuple[float, float] | None, theme: Theme
) -> list[dict[str, Any]]:
    """Bands on the page of minutes: grey where nothing could be read, tinted where the strip lies."""
    end_s = lead.start_s + n_rows * ROW_S
    grey = replace(theme, marked=theme.unusable.replace("0.45", "0.25"))
    bands = [(stretch, grey) for stretch in analysis.quality.unusable_stretches(analysis.record.duration_s)]
    bands += [(marked_s, theme)] if marked_s else []
    shapes = []
    for stretch, colour in bands:
        start, end = max(stretch[0], lead.start_s) - lead.start_s, min(stretch[1], end_s) - lead.start_s
        for row in range(int(start // ROW_S), int(np.ceil(end / ROW_S)) if end > start else 0):
            piece = (max(start - row * ROW_S, 0), min(end - row * ROW_S, ROW_S))
            shapes.append(band(piece, colour, y0=-row - 0.5, y1=-row + 0.5))
    return shapes
