"""ECG paper in true millimetres: its boxes, the leads on it, and the calibration pulses.

Distances are CSS pixels (1/96 inch), so that a strip on the screen is as large as on paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from ..clock import clock_of, clock_text
from ..schema import Lead, Record
from ..text import plain_html
from .decimation import decimate
from .theme import Theme, centre

PX_PER_MM: Final = 96 / 25.4  # CSS: an inch is 96 px
LARGE_BOX_MM, SMALL_BOX_MM = 5.0, 1.0
PULSE_MM: Final = (9.0, 7.75, 2.75, 1.5)  # begin, edges and end of a calibration pulse, left of the paper
PULSE = "1 mV"  # name of these shapes
DAY_S = 86_400.0

LEAD_GAP_MV = 2.0  # between the baselines of several leads: a large R wave just fits
SINGLE_MIN_MV, SINGLE_MAX_MV = 2.0, 5.0  # height of a single lead
COLUMNS_PER_PX = 2  # a browser zoomed to 200 % still shows every column
MARGIN_LETTERS = 6  # a longer name of a lead has no room in the margin
LETTER_PX = 6.5  # width of a letter of a clock time, at most
SCALE_PX = 112  # width of the line that states speed and gain


@dataclass(frozen=True)
class Scale:
    """Speed and gain of ECG paper; by default those of a standard ECG."""

    mm_per_s: float = 25.0
    mm_per_mv: float = 10.0

    @property
    def px_per_s(self) -> float:
        """CSS pixels of a second."""
        return self.mm_per_s * PX_PER_MM

    @property
    def px_per_mv(self) -> float:
        """CSS pixels of a millivolt."""
        return self.mm_per_mv * PX_PER_MM

    @property
    def large_box_s(self) -> float:
        """Seconds of a large box."""
        return LARGE_BOX_MM / self.mm_per_s

    @property
    def large_box_mv(self) -> float:
        """Millivolts of a large box."""
        return LARGE_BOX_MM / self.mm_per_mv


STANDARD: Final = Scale()


def place_leads(leads: tuple[Lead, ...], scale: Scale) -> tuple[list[float], tuple[float, float]]:
    """Baseline of each lead, and the lowest and the highest mV of the paper, which end on large boxes."""
    box_mv = scale.large_box_mv
    offsets_mv = [-LEAD_GAP_MV * i for i in range(len(leads))]
    low = np.floor((_range_mv(leads[-1])[0] + offsets_mv[-1]) / box_mv)
    high = np.ceil(_range_mv(leads[0])[1] / box_mv)
    spare = max(0, int(np.ceil(SINGLE_MIN_MV / box_mv - (high - low))))
    return offsets_mv, (float(low - spare // 2) * box_mv, float(high + (spare + 1) // 2) * box_mv)


def _range_mv(lead: Lead) -> tuple[float, float]:
    """Lowest and highest value of a lead from its baseline with some space, at most half of SINGLE_MAX_MV each."""
    signal = lead.signal_mv - centre(lead.signal_mv)
    known = signal[np.isfinite(signal)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    return max(low - 0.1, -SINGLE_MAX_MV / 2), min(high + 0.1, SINGLE_MAX_MV / 2)


def draw_paper(figure: go.Figure, record: Record, span_s: tuple[float, float], *, scale: Scale, theme: Theme) -> None:
    """Draw the boxes of 5 mm and of 1 mm, and below them the clock time at whole seconds, speed and gain."""
    large_s, large_mv = scale.large_box_s, scale.large_box_mv
    first = np.ceil(span_s[0] / large_s - 1e-6) * large_s
    ticks_s = np.round(np.arange(first, span_s[1] + 1e-6, large_s), 3)
    text = [_clock_at(record, tick_s, span_s, scale) for tick_s in ticks_s.tolist()]
    small = {"showgrid": True, "tick0": 0, "gridcolor": theme.small_box}
    figure.update_xaxes(
        range=list(span_s), tickmode="array", tickvals=ticks_s, ticktext=text, showgrid=True, gridcolor=theme.large_box,
        gridwidth=1, minor={**small, "dtick": SMALL_BOX_MM / scale.mm_per_s}, ticks="",
    )  # fmt: skip
    figure.update_layout(
        yaxis={
            "showgrid": True, "gridcolor": theme.large_box, "gridwidth": 1, "dtick": large_mv, "tick0": 0,
            "minor": {**small, "dtick": SMALL_BOX_MM / scale.mm_per_mv},
        }
    )  # fmt: skip
    figure.add_annotation(
        text=f"{scale.mm_per_s:g} mm/s, {scale.mm_per_mv:g} mm/mV", xref="paper", x=1, xanchor="right", yref="paper",
        y=0, yanchor="top", yshift=-2, showarrow=False, font={"size": 10, "color": theme.faint}, borderpad=0,
    )  # fmt: skip


def _clock_at(record: Record, time_s: float, span_s: tuple[float, float], scale: Scale) -> str:
    """The clock time below a large box, where one is due and has room before the statement of speed and gain."""
    has_days = clock_of(record) is not None and record.duration_s >= DAY_S
    every_s = (2 if has_days else 1) * max(1, round(25 / scale.mm_per_s))
    if abs(time_s - round(time_s)) > 1e-6 or round(time_s) % every_s:
        return ""
    text = clock_text(record, time_s)
    fits = (span_s[1] - time_s) * scale.px_per_s >= SCALE_PX + LETTER_PX * len(text) / 2
    return text if fits else ""


def draw_leads(
    figure: go.Figure, leads: tuple[Lead, ...], offsets_mv: list[float], *, scale: Scale, theme: Theme
) -> None:
    """Draw each lead as recorded, its median on its baseline; what is finer than the screen as the extremes of it."""
    for lead, offset_mv in zip(leads, offsets_mv, strict=True):
        n_columns = max(1, round(COLUMNS_PER_PX * scale.px_per_s * len(lead.signal_mv) / lead.fs_hz))
        points, step = decimate(lead.signal_mv, n_columns)
        figure.add_scatter(
            x0=lead.start_s, dx=step / lead.fs_hz, y=points - centre(lead.signal_mv) + np.float32(offset_mv),
            mode="lines", line={"color": theme.trace, "width": 1.3}, hoverinfo="skip", name=plain_html(lead.name),
        )  # fmt: skip


def calibration_pulses(offsets_mv: list[float], *, theme: Theme) -> list[dict[str, Any]]:
    """A pulse of 1 mV and 5 mm in the margin before each lead, as shapes."""
    a, b, c, d = (-mm * PX_PER_MM for mm in PULSE_MM)
    pulse = {
        "type": "path", "xref": "paper", "xsizemode": "pixel", "xanchor": 0, "yref": "y", "name": PULSE,
        "line": {"color": theme.faint, "width": 1.2},
    }  # fmt: skip
    return [
        {**pulse, "path": f"M {a:.3f},{zero} L {b:.3f},{zero} V {zero + 1} H {c:.3f} V {zero} H {d:.3f}"}
        for zero in offsets_mv
    ]


def name_leads(
    figure: go.Figure, leads: tuple[Lead, ...], offsets_mv: list[float], *, record: Record, theme: Theme
) -> None:
    """Write the leads' names in the margin, or on the paper where they are long; "?" where the header has no gain."""
    calibrated = dict(zip(record.lead_names, record.calibrated, strict=True))
    names = [lead.name if calibrated.get(lead.name, False) else f"{lead.name} ?" for lead in leads]
    for name, offset_mv in zip(names, offsets_mv, strict=True):
        in_margin = len(name) <= MARGIN_LETTERS
        place = {"xanchor": "right", "xshift": -5} if in_margin else {"xanchor": "left", "bgcolor": theme.veil}
        figure.add_annotation(
            text=f"<b>{plain_html(name)}</b>", xref="paper", x=0, yref="y", y=offset_mv, yshift=-9, showarrow=False,
            font={"size": 12}, borderpad=0, **place,
        )  # fmt: skip
