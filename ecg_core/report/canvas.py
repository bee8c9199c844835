"""Drawing on paper in true millimetres: text, lines, and ECG strips on their grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from ..labels import COLOUR_ON_LIGHT
from ..schema import Beats, Float32, Float64, Lead
from .fonts import BOLD, PLAIN, font_for, printable

PAGE_WIDTH_MM, PAGE_HEIGHT_MM = 297.0, 210.0  # A4, landscape
LEFT_MM, RIGHT_MM, TOP_MM, BOTTOM_MM = 23.5, 273.5, 12.0, 198.0
WIDTH_MM = RIGHT_MM - LEFT_MM  # between the margins: ten seconds
MM_PER_S = 25.0
GAINS_MM_PER_MV = (10.0, 5.0, 2.5)  # the largest that fits the trace into its strip ...
REACH_PERCENTILES = (0.1, 99.9)  # ... but for 20 ms of ten seconds, which a spike may take
TEXT, FAINT, LINE, MINOR, MAJOR = "#1B2A36", "#5B6B78", "#CBD5DD", "#F6DEDA", "#E9B5AC"
DANGER, DANGER_FILL = "#A50F15", "#FBE3E1"  # dark red, to differ from the paper's boxes also without colour
PULSE_MM = 5.0  # width of the calibration pulse, 200 ms
TRACE_MM = 0.25  # width of its line and of the trace
LABEL_MM = 3.5  # height of the row of beat labels
LEAD_NAME_MM = 6.5  # from the upper edge of a lead to the baseline of its name
BAND_MM = 3.4  # height of the band that names a stretch
POINT_FORMAT = "%.2f %.2f"  # of a place in points: a twelfth of the dot of a printer of 600 dpi


@dataclass(frozen=True)
class Stretch:
    """A named stretch of time."""

    start_s: float
    end_s: float
    name: str
    colour: str


class Sheet:
    """A page being drawn; x to the right and y downwards, in millimetres from the upper left corner."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas

    def text(self, x: float, y: float, text: str, *, size: float = 8, font: str = PLAIN, colour: str = TEXT,
             align: str = "left") -> None:  # fmt: skip
        """One line of text on its baseline."""
        shown = printable(text)
        self.canvas.setFont(font_for(shown, font), size)
        self.canvas.setFillColor(_colour(colour))
        draw = {"right": self.canvas.drawRightString, "centre": self.canvas.drawCentredString}
        draw.get(align, self.canvas.drawString)(x * mm, (PAGE_HEIGHT_MM - y) * mm, shown)

    def text_mm(self, text: str, *, size: float = 8, font: str = PLAIN) -> float:
        """Width of a line of text."""
        shown = printable(text)
        return float(self.canvas.stringWidth(shown, font_for(shown, font), size) / mm)

    def line(self, x0: float, y0: float, x1: float, y1: float, *, colour: str = LINE, width_mm: float = 0.15) -> None:
        """A straight line."""
        self._pen(colour, width_mm)
        self.canvas.line(x0 * mm, (PAGE_HEIGHT_MM - y0) * mm, x1 * mm, (PAGE_HEIGHT_MM - y1) * mm)

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = "", colour: str = LINE,
            width_mm: float = 0.15) -> None:  # fmt: skip
        """A rectangle by its upper left corner, filled or framed."""
        self._pen(colour, width_mm)
        if fill:
            self.canvas.setFillColor(_colour(fill))
        bottom = (PAGE_HEIGHT_MM - y - height) * mm
        self.canvas.rect(x * mm, bottom, width * mm, height * mm, stroke=not fill, fill=bool(fill))

    def curve(self, x: Float64, y: Float64, *, colour: str = TEXT, width_mm: float = 0.2) -> None:
        """A line through points, broken where one is NaN."""
        self._pen(colour, width_mm)
        self.canvas.addLiteral(_path(x * mm, (PAGE_HEIGHT_MM - y) * mm))

    def grid(self, x: float, y: float, width: float, height: float) -> None:
        """ECG paper: boxes of 1 mm and of 5 mm; width and height are multiples of 5 mm."""
        for step, colour, width_mm in ((1.0, MINOR, 0.08), (5.0, MAJOR, 0.15)):
            self._pen(colour, width_mm)
            self.canvas.addLiteral(_boxes(x, y, width, height, step))

    @contextmanager
    def clipped(self, x: float, y: float, width: float, height: float) -> Iterator[None]:
        """Draw within a rectangle only, given by its upper left corner."""
        self.canvas.saveState()
        path = self.canvas.beginPath()
        path.rect(x * mm, (PAGE_HEIGHT_MM - y - height) * mm, width * mm, height * mm)
        self.canvas.clipPath(path, stroke=0, fill=0)
        yield
        self.canvas.restoreState()

    def _pen(self, colour: str, width_mm: float) -> None:
        self.canvas.setStrokeColor(_colour(colour))
        self.canvas.setLineWidth(width_mm * mm)
        self.canvas.setLineJoin(1)
        self.canvas.setLineCap(1)


@cache
def _colour(colour: str) -> Color:
    return HexColor(colour)


def _path(x: Float64, y: Float64) -> str:
    """PDF operators that stroke a line through points, broken where one is NaN; in points, to POINT_FORMAT."""
    known = np.isfinite(x) & np.isfinite(y)
    begins = known & ~np.concatenate(([False], known[:-1]))
    operators = np.where(begins, f"{POINT_FORMAT} m", f"{POINT_FORMAT} l")[known].tolist()
    return "\n".join([*operators, "S"]) % tuple(np.stack((x, y), axis=1)[known].ravel().tolist())


@cache
def _boxes(x: float, y: float, width: float, height: float, step: float) -> str:
    """PDF operators that stroke the lines of boxes of one size; all strips of a report have the same."""
    across = x + step * np.arange(int(width / step + 1.5))
    down = y + step * np.arange(int(height / step + 1.5))
    ends = [
        *((at, end) for at in across.tolist() for end in (down[0], down[-1], np.nan)),
        *((end, at) for at in down.tolist() for end in (across[0], across[-1], np.nan)),
    ]
    points = np.array(ends)
    return _path(points[:, 0] * mm, (PAGE_HEIGHT_MM - points[:, 1]) * mm)


def draw_strip(sheet: Sheet, leads: Sequence[Lead], *, beats: Beats, x: float, y: float, width: float, height: float,
               marked: Sequence[Stretch] = ()) -> float:  # fmt: skip
    """Leads below each other on ECG paper at 25 mm/s, with the labels of beats above; returns the gain in mm/mV.

    All leads have one gain; the pulse at the left edge of each is 1 mV high. Each ``marked`` stretch has a band on the
    lower edge with its name.
    """
    start_s, lead_mm = leads[0].start_s, lane_mm(height, len(leads))
    sheet.grid(x, y, width, height)
    for stretch in marked:
        _mark_stretch(sheet, stretch, start_s, x=x, bottom=y + height, width=width)
    gain = fitting_gain(leads, lead_mm)
    with sheet.clipped(x, y, width, height):
        for number, lead in enumerate(leads):
            _draw_trace(sheet, lead, gain, x=x, middle=y + LABEL_MM + (number + 0.5) * lead_mm)
    for number, lead in enumerate(leads):
        top = y + LABEL_MM + number * lead_mm
        _draw_pulse(sheet, gain, x=x, middle=top + lead_mm / 2)
        sheet.text(x + 1, top + LEAD_NAME_MM - LABEL_MM, lead.name, size=7, font=BOLD)
    _label_beats(sheet, x, y + LABEL_MM - 0.5, width, start_s, beats)
    return gain


def lane_mm(height: float, n_leads: int) -> float:
    """Height of the lane of each lead of a strip, between the labels of beats and the names of stretches."""
    return (height - LABEL_MM - BAND_MM) / n_leads


def draw_columns(sheet: Sheet, rows: Sequence[Sequence[Lead]], *, x: float, y: float, width: float,
                 row_mm: float) -> float:  # fmt: skip
    """Rows of leads, those of a row one after the other on ECG paper at 25 mm/s; returns the gain in mm/mV."""
    height = row_mm * len(rows)
    sheet.grid(x, y, width, height)
    gain = min(fitting_gain(row, row_mm) for row in rows)
    for number, row in enumerate(rows):
        column_mm, top = width / len(row), y + number * row_mm
        _draw_pulse(sheet, gain, x=x, middle=top + row_mm / 2)
        for column, lead in enumerate(row):
            left = x + column * column_mm
            with sheet.clipped(left, y, column_mm, height):
                _draw_trace(sheet, lead, gain, x=left, middle=top + row_mm / 2)
            if column:
                sheet.line(left, top + row_mm / 3, left, top + 2 * row_mm / 3, colour=TEXT)
            sheet.text(left + 1, top + LABEL_MM, lead.name, size=7, font=BOLD)
    return gain


def draw_excerpt(sheet: Sheet, lead: Lead, gain: float, *, x: float, y: float, width: float, height: float) -> None:
    """A short piece of a lead on ECG paper at 25 mm/s and a given gain."""
    sheet.grid(x, y, width, height)
    with sheet.clipped(x, y, width, height):
        _draw_trace(sheet, lead, gain, x=x, middle=y + height / 2)


def _draw_trace(sheet: Sheet, lead: Lead, gain: float, *, x: float, middle: float) -> None:
    """A lead from ``x`` on, the middle of its reach at ``middle``."""
    low_mv, high_mv = _reach_mv(lead)
    trace_mv = lead.signal_mv.astype(np.float64) - (low_mv + high_mv) / 2
    across = x + np.arange(len(trace_mv)) * (MM_PER_S / lead.fs_hz)
    sheet.curve(np.asarray(across), middle - gain * trace_mv, width_mm=TRACE_MM)


def _draw_pulse(sheet: Sheet, gain: float, *, x: float, middle: float) -> None:
    """The calibration pulse of a lead, left of ``x``."""
    pulse_x = x - PULSE_MM - 1.5 + np.array([0.0, 1.0, 1.0, PULSE_MM - 1, PULSE_MM - 1, PULSE_MM])
    sheet.curve(np.asarray(pulse_x), middle - gain * (np.array([0.0, 0, 1, 1, 0, 0]) - 0.5), width_mm=TRACE_MM)


def _mark_stretch(sheet: Sheet, stretch: Stretch, start_s: float, *, x: float, bottom: float, width: float) -> None:
    """A band on the lower edge of a strip where a stretch reaches into it, with its name where it has room."""
    left = x + max(0.0, (stretch.start_s - start_s) * MM_PER_S)
    right = x + min(width, (stretch.end_s - start_s) * MM_PER_S)
    if right > left:
        sheet.box(left, bottom - BAND_MM, right - left, BAND_MM, fill=stretch.colour)
        needed = sheet.text_mm(stretch.name, size=7, font=BOLD) + 1
        if needed < right - left:
            sheet.text(left + 1, bottom - 1, stretch.name, size=7, font=BOLD, colour="#FFFFFF")
        else:  # above the band, within the strip
            at = min(left, x + width - needed)
            sheet.text(at, bottom - BAND_MM - 0.8, stretch.name, size=7, font=BOLD, colour=stretch.colour)


def _reach_mv(lead: Lead) -> tuple[float, float]:
    """Lowest and highest value of a lead but for rare spikes; 0 mV where nothing was recorded."""
    if not np.isfinite(lead.signal_mv).any():
        return 0.0, 0.0
    low, high = np.nanpercentile(lead.signal_mv, REACH_PERCENTILES).tolist()
    return low, high


def fitting_gain(leads: Sequence[Lead], within_mm: float) -> float:
    """The largest gain in mm/mV at which each of the leads fits into some millimetres, but for rare spikes."""
    reach_mv = max(high - low for low, high in map(_reach_mv, leads))
    return next((gain for gain in GAINS_MM_PER_MV if reach_mv * gain <= within_mm), GAINS_MM_PER_MV[-1])


def _label_beats(sheet: Sheet, x: float, y: float, width: float, start_s: float, beats: Beats) -> None:
    first, last = np.searchsorted(beats.time_s, (start_s, start_s + width / MM_PER_S))
    for beat in range(int(first), int(last)):
        label = str(beats.label[beat]) if beats.usable[beat] else "–"
        at = x + (float(beats.time_s[beat]) - start_s) * MM_PER_S
        emphasis = BOLD if label in "SVF" else PLAIN
        sheet.text(at, y, label, size=7, font=emphasis, colour=COLOUR_ON_LIGHT.get(label, FAINT), align="centre")


def draw_bars(sheet: Sheet, edges: Float64, height: Float32 | Float64, base: float, colour: str) -> None:
    """Bars on a base line between edges, x in mm; shapes (n + 1,), (n,)."""
    for left, right, tall in zip(edges[:-1].tolist(), edges[1:].tolist(), height.tolist(), strict=True):
        if tall > 0:
            sheet.box(left, base - tall, max(right - left - 0.1, 0.1), tall, fill=colour)
