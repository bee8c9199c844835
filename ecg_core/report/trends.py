"""Heart rate, atrial fibrillation and counts of V and S over a whole recording, drawn on one time axis."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..clock import clock_text
from ..labels import COLOUR
from ..rhythm.burden import HOUR_S
from ..rhythm.events import DANGERS, SHORT_NAMES
from ..rhythm.intervals import rate_trend
from ..schema import Analysis, Float64
from .canvas import DANGER, FAINT, LEFT_MM, LINE, RIGHT_MM, TEXT, WIDTH_MM, Sheet, draw_bars
from .dangers import seconds_text, unjudged_stretches
from .fonts import BOLD

TREND_BINS = 480  # at most, about two per millimetre
LEAST_BIN_S = (
    2.0  # as of the trend on the pages: in a shorter one there may be no beat, and the curve would be in pieces
)
RATE_MM, COUNT_MM, BAR_MM = 28.0, 12.0, 9.5  # heights of the heart rate, of each count of beats, and of its bars
TICK_STEPS_S: Final = (60.0, 300.0, 600.0, 1800.0, HOUR_S, 2 * HOUR_S, 6 * HOUR_S, 24 * HOUR_S, 168 * HOUR_S)
MOST_TICKS = 14  # on the time axis; the shortest step that gives no more is taken
AF_FILL, EXTREME = "#CCECE3", "#9DB0BF"  # episodes of atrial fibrillation; lowest and highest heart rate
UNJUDGED_FILL: Final = {"not_analysable": LINE, "artefact": LINE, "no_signal": "#8A97A3"}
DANGER_BAND, DANGER_BAR_MM = "#F5BDB8", 1.2  # behind the trends, and a bar at their upper edge
DANGER_MIN_MM = 0.5  # a shorter danger is drawn as wide as this
NAME_MM = 2.6  # height of the line with the names of dangers
KEY_MM, TICK_MM = 4.0, 5.0  # of the key above, and of the times below
TRENDS_MM = KEY_MM + NAME_MM + RATE_MM + 2 * COUNT_MM + TICK_MM


def draw_trends(sheet: Sheet, y: float, analysis: Analysis) -> None:
    """Draw the trends of a recording below ``y``, with their key; TRENDS_MM high."""
    y += KEY_MM + NAME_MM
    duration_s = max(analysis.record.duration_s, 1.0)
    mm_per_s = WIDTH_MM / duration_s
    _danger_trend(sheet, y, analysis, mm_per_s)
    _rate_trend(sheet, y, analysis, mm_per_s)
    for number, label in enumerate("VS", 1):
        _count_trend(sheet, y + RATE_MM + COUNT_MM * number, analysis, label)
    step_s = next((step_s for step_s in TICK_STEPS_S if duration_s / step_s <= MOST_TICKS), TICK_STEPS_S[-1])
    bottom = y + RATE_MM + 2 * COUNT_MM
    for tick_s in np.arange(0, duration_s + 1, step_s).tolist():
        x = LEFT_MM + tick_s * mm_per_s
        sheet.line(x, y, x, bottom + 0.5, width_mm=0.08)
        clock = clock_text(analysis.record, tick_s)[:-3]
        sheet.text(x, bottom + 3.5, clock, size=6, colour=FAINT, align="centre")


def _rate_trend(sheet: Sheet, y: float, analysis: Analysis, mm_per_s: float) -> None:
    """Curves of the heart rate over episodes of atrial fibrillation and stretches that are not analysable."""
    record = analysis.record
    n_bins = _n_bins(record.duration_s)
    bin_s = max(record.duration_s, 1.0) / n_bins
    beats, rules, quality = analysis.beats, analysis.rules, analysis.quality
    low, mean, high = rate_trend(beats, rules, quality=quality, bin_s=bin_s, n_bins=n_bins)
    top_bpm = max(120.0, 20 * np.ceil(np.nan_to_num(high).max() / 20))
    for episode in (event for event in analysis.events if event.kind == "af"):
        sheet.box(LEFT_MM + episode.start_s * mm_per_s, y, episode.duration_s * mm_per_s, RATE_MM, fill=AF_FILL)
    for kind, stretches in unjudged_stretches(analysis).items():
        for start_s, end_s in stretches:
            at, width = LEFT_MM + start_s * mm_per_s, (end_s - start_s) * mm_per_s
            sheet.box(at, y, width, RATE_MM + 2 * COUNT_MM, fill=UNJUDGED_FILL[kind])
    for level in np.arange(40, top_bpm + 1, 40).tolist():
        at = y + RATE_MM * (1 - level / top_bpm)
        sheet.line(LEFT_MM, at, RIGHT_MM, at, width_mm=0.08)
        sheet.text(LEFT_MM - 1, at + 1, f"{level:.0f}", size=6, colour=FAINT, align="right")
    sheet.text(LEFT_MM - 1, y - 1.5, "bpm", size=6, colour=FAINT, align="right")
    x = LEFT_MM + np.repeat(np.arange(n_bins + 1), 2)[1:-1] / n_bins * WIDTH_MM  # both edges of each bin
    for values, colour in ((low, EXTREME), (high, EXTREME), (mean, TEXT)):
        sheet.curve(x, y + RATE_MM * (1 - np.repeat(values, 2) / top_bpm), colour=colour, width_mm=0.2)
    key = (
        "heart rate: lowest, mean, highest; green: atrial fibrillation; red: VF, asystole, sustained VT; "
        "light grey: not analysable, or artefact; dark grey: no signal"
    )
    sheet.text(RIGHT_MM, y - 1.5 - NAME_MM, key, size=6, colour=FAINT, align="right")


def _n_bins(duration_s: float) -> int:
    """Parts of a recording whose rates are drawn and whose beats are counted."""
    return max(1, min(TREND_BINS, int(duration_s / LEAST_BIN_S)))


def _danger_trend(sheet: Sheet, y: float, analysis: Analysis, mm_per_s: float) -> None:
    """A red band for each danger, over all trends, and its name where there is room above."""
    free_from = LEFT_MM
    for event in analysis.events:
        if event.kind not in DANGERS:
            continue
        at, width = LEFT_MM + event.start_s * mm_per_s, max(event.duration_s * mm_per_s, DANGER_MIN_MM)
        at = min(at, RIGHT_MM - width)
        sheet.box(at, y, width, RATE_MM + 2 * COUNT_MM, fill=DANGER_BAND)
        sheet.box(at, y, width, DANGER_BAR_MM, fill=DANGER)
        name = SHORT_NAMES[event.kind]
        needed = sheet.text_mm(name, size=6, font=BOLD)
        left = min(at, RIGHT_MM - needed)
        if left >= free_from:
            sheet.text(left, y - 0.8, name, size=6, font=BOLD, colour=DANGER)
            free_from = left + needed + 1


def _count_trend(sheet: Sheet, base: float, analysis: Analysis, label: str) -> None:
    """Bars of the number of beats of a class in each part of the recording."""
    duration_s, beats = max(analysis.record.duration_s, 1.0), analysis.beats
    n_bins = _n_bins(duration_s)
    edges_s = np.linspace(0, duration_s, n_bins + 1)
    count, _ = np.histogram(beats.time_s[(beats.label == label) & beats.usable], edges_s)
    most = max(int(count.max()), 1)
    edges: Float64 = LEFT_MM + edges_s * (WIDTH_MM / duration_s)
    draw_bars(sheet, edges, count * (BAR_MM / most), base, COLOUR[label])
    sheet.line(LEFT_MM, base, RIGHT_MM, base)
    name = f"{label} in {seconds_text(duration_s / n_bins)}"
    sheet.text(LEFT_MM - 1, base - 4, name, size=6, colour=FAINT, align="right")
    sheet.text(LEFT_MM - 1, base - 8, f"{most}", size=6, colour=FAINT, align="right")
