"""ECG paper in true millimetres: its boxes, the leads on it, and the calibration pulse.

Distances are CSS pixels (1/96 inch), so that a strip on the screen is as large as on paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go

from ..clock import clock_text
from ..schema import Lead, Record
from ..text import plain_html
from .theme import Theme, centre

PX_PER_MM: Final = 96 / 25.4  # CSS: an inch is 96 px
LARGE_BOX_MM, SMALL_BOX_MM = 5.0, 1.0
PULSE_MM: Final = (9.0, 7.75, 7.75, 2.75, 2.75, 1.5)  # corners of the calibration pulse, left of the paper
DAY_S = 86_400.0

LEAD_GAP_MV = 2.0  # between the baselines of several leads: a large R wave just fits
SINGLE_MIN_MV, SINGLE_MAX_MV = 2.0, 5.0  # height of a single lead


@dataclass(frozen=True)
class Scale:
    """Speed and gain of ECG paper; by default those of a standard ECG."""

    mm_per_s: float = 25.0
    mm_per_mv: float = 10.0


STANDARD: Final = Scale()


def place_leads(leads: tuple[Lead, ...]) -> tuple[list[float], tuple[float, float]]:
    """Baseline of each lead, and the lowest and the highest mV of the paper, which end on large boxes."""
    offsets_mv = [-LEAD_GAP_MV * i for i in range(len(leads))]
    low, high = _range_mv(leads[-1])[0] + offsets_mv[-1], _range_mv(leads[0])[1]
    spare = max(0.0, SINGLE_MIN_MV - (high - low))
    return offsets_mv, (low - spare / 2, high + spare / 2)


def _range_mv(lead: Lead) -> tuple[float, float]:
    """Lowest and highest value of a lead from its baseline, in half millivolts and at most half of SINGLE_MAX_MV."""
    signal = lead.signal_mv - centre(lead.signal_mv)
    known = signal[np.isfinite(signal)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    low, high = np.floor(2 * low - 0.2) / 2, np.ceil(2 * high + 0.2) / 2
    return float(max(low, -SINGLE_MAX_MV / 2)), float(min(high, SINGLE_MAX_MV / 2))


def draw_paper(figure: go.Figure, record: Record, span_s: tuple[float, float], *, scale: Scale, theme: Theme) -> None:
    """Draw the boxes of 5 mm and of 1 mm, and write the clock time at whole seconds."""
    large_s, small_s = LARGE_BOX_MM / scale.mm_per_s, SMALL_BOX_MM / scale.mm_per_s
    first = np.ceil(span_s[0] / large_s - 1e-6) * large_s
    ticks_s = np.round(np.arange(first, span_s[1] + 1e-6, large_s), 3)
    every_s = _clock_step_s(record, scale)
    is_whole = [abs(tick_s - round(tick_s)) < 1e-6 and round(tick_s) % every_s == 0 for tick_s in ticks_s.tolist()]
    text = [
        clock_text(record, tick_s) if whole else "" for tick_s, whole in zip(ticks_s.tolist(), is_whole, strict=True)
    ]
    figure.update_xaxes(
        range=list(span_s), tickmode="array", tickvals=ticks_s, ticktext=text, showgrid=True, gridcolor=theme.large_box,
        gridwidth=1, minor={"showgrid": True, "dtick": small_s, "tick0": 0, "gridcolor": theme.small_box}, ticks="",
    )  # fmt: skip
    figure.update_layout(
        yaxis={
            "showgrid": True, "gridcolor": theme.large_box, "gridwidth": 1,
            "dtick": LARGE_BOX_MM / scale.mm_per_mv, "tick0": 0,
            "minor": {"showgrid": True, "dtick": SMALL_BOX_MM / scale.mm_per_mv, "gridcolor": theme.small_box},
        }
    )  # fmt: skip


def _clock_step_s(record: Record, scale: Scale) -> int:
    """Seconds from one clock time to the next, so that they do not overlap; those with a day are longer."""
    has_days = record.start is not None and record.duration_s >= DAY_S
    return (2 if has_days else 1) * max(1, round(25 / scale.mm_per_s))


def draw_leads(figure: go.Figure, leads: tuple[Lead, ...], offsets_mv: list[float], *, theme: Theme) -> None:
    """Draw each lead as recorded, its median on its baseline."""
    for lead, offset_mv in zip(leads, offsets_mv, strict=True):
        figure.add_scatter(
            x0=lead.start_s, dx=1 / lead.fs_hz, y=lead.signal_mv - centre(lead.signal_mv) + np.float32(offset_mv),
            mode="lines", line={"color": theme.trace, "width": 1.3}, hoverinfo="skip", name=plain_html(lead.name),
        )  # fmt: skip


def draw_calibration(
    figure: go.Figure, start_s: float, *, offset_mv: float, low_mv: float, scale: Scale, theme: Theme
) -> None:
    """Draw a pulse of 1 mV and 5 mm in the margin before the first lead, and write speed and gain on the paper."""
    figure.add_scatter(
        x=start_s - np.array(PULSE_MM) / scale.mm_per_s, y=np.array([0, 0, 1, 1, 0, 0]) + offset_mv, mode="lines",
        line={"color": theme.faint, "width": 1.2}, hoverinfo="skip", cliponaxis=False,
    )  # fmt: skip
    figure.add_annotation(
        text=f"{scale.mm_per_s:g} mm/s, {scale.mm_per_mv:g} mm/mV", xref="paper", x=1, xanchor="right", yref="y",
        y=low_mv, yanchor="bottom", showarrow=False, font={"size": 10, "color": theme.faint},
    )  # fmt: skip


def name_leads(figure: go.Figure, leads: tuple[Lead, ...], offsets_mv: list[float], *, record: Record) -> None:
    """Write the leads' names in the margin, with a question mark where the header states no gain."""
    calibrated = dict(zip(record.lead_names, record.calibrated, strict=True))
    names = [lead.name if calibrated.get(lead.name, False) else f"{lead.name} ?" for lead in leads]
    for name, offset_mv in zip(names, offsets_mv, strict=True):
        figure.add_annotation(
            text=f"<b>{plain_html(name)}</b>", xref="paper", x=0, xanchor="right", xshift=-5, yref="y", y=offset_mv,
            yshift=-9, showarrow=False, font={"size": 12},
        )  # fmt: skip
