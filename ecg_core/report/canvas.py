"""Drawing on paper in true millimetres: text, lines, tables, and ECG strips on their grid."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from reportlab.lib.units import mm
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas

from ..labels import COLOUR
from ..schema import Beats, Float32, Float64, Lead
from ..text import one_line

PAGE_WIDTH_MM, PAGE_HEIGHT_MM = 297.0, 210.0  # A4, landscape
LEFT_MM, RIGHT_MM, TOP_MM, BOTTOM_MM = 23.5, 273.5, 12.0, 198.0
WIDTH_MM = RIGHT_MM - LEFT_MM  # between the margins: ten seconds
MM_PER_S = 25.0
GAINS_MM_PER_MV = (10.0, 5.0, 2.5)  # the largest that fits the trace into its strip ...
REACH_PERCENTILE = 99.8  # ... but for 20 ms of ten seconds, which a spike may take
TEXT, FAINT, LINE, MINOR, MAJOR = "#1B2A36", "#5B6B78", "#CBD5DD", "#F6DEDA", "#E9B5AC"
DANGER, DANGER_FILL = "#A50F15", "#FBE3E1"  # dark red, to differ from the paper's boxes also without colour
PLAIN, BOLD = "Helvetica", "Helvetica-Bold"
POINT_MM = 25.4 / 72
PULSE_MM = 5.0  # width of the calibration pulse, 200 ms
TRACE_MM = 0.25  # width of its line and of the trace
LABEL_MM = 3.5  # height of the row of beat labels
LEADING = 1.25  # distance of two lines over the size of their letters

BAND_MM = 3.4  # height of the band that names a stretch

Column = tuple[float, str]  # x in mm and how it is aligned there: "left" or "right"


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
             align: str = "left", fit_mm: float | None = None) -> None:  # fmt: skip
        """One line of text on its baseline; cut with dots where it is wider than ``fit_mm``."""
        text = _printable(text)
        while fit_mm and len(text) > 1 and self.canvas.stringWidth(text, font, size) > fit_mm * mm:
            text = text[:-2].rstrip() + "…"
        self.canvas.setFont(font, size)
        self.canvas.setFillColor(colour)
        draw = {"right": self.canvas.drawRightString, "centre": self.canvas.drawCentredString}
        draw.get(align, self.canvas.drawString)(x * mm, (PAGE_HEIGHT_MM - y) * mm, text)

    def text_mm(self, text: str, *, size: float = 8, font: str = PLAIN) -> float:
        """Width of a line of text."""
        return float(self.canvas.stringWidth(_printable(text), font, size) / mm)

    def paragraph(self, x: float, y: float, width: float, text: str, *, size: float = 8, colour: str = TEXT) -> float:
        """Text broken into lines; returns the baseline after the last."""
        for line in simpleSplit(_printable(text), PLAIN, size, width * mm):
            self.text(x, y, line, size=size, colour=colour)
            y += size * POINT_MM * LEADING
        return y

    def line(self, x0: float, y0: float, x1: float, y1: float, *, colour: str = LINE, width_mm: float = 0.15) -> None:
        """A straight line."""
        self._pen(colour, width_mm)
        self.canvas.line(x0 * mm, (PAGE_HEIGHT_MM - y0) * mm, x1 * mm, (PAGE_HEIGHT_MM - y1) * mm)

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = "", colour: str = LINE,
            width_mm: float = 0.15) -> None:  # fmt: skip
        """A rectangle by its upper left corner, filled or framed."""
        self._pen(colour, width_mm)
        if fill:
            self.canvas.setFillColor(fill)
        bottom = (PAGE_HEIGHT_MM - y - height) * mm
        self.canvas.rect(x * mm, bottom, width * mm, height * mm, stroke=not fill, fill=bool(fill))

    def curve(self, x: Float64, y: Float64, *, colour: str = TEXT, width_mm: float = 0.2) -> None:
        """A line through points, broken where one is NaN."""
        self._pen(colour, width_mm)
        path, drawing = self.canvas.beginPath(), False
        for at, value in zip((x * mm).tolist(), ((PAGE_HEIGHT_MM - y) * mm).tolist(), strict=True):
            if value != value:  # noqa: PLR0124  # NaN
                drawing = False
                continue
            (path.lineTo if drawing else path.moveTo)(at, value)
            drawing = True
        self.canvas.drawPath(path)

    def grid(self, x: float, y: float, width: float, height: float) -> None:
        """ECG paper: boxes of 1 mm and of 5 mm; width and height are multiples of 5 mm."""
        for step, colour, width_mm in ((1.0, MINOR, 0.08), (5.0, MAJOR, 0.15)):
            self._pen(colour, width_mm)
            across = [(x + i * step) * mm for i in range(int(width / step + 1.5))]
            down = [(PAGE_HEIGHT_MM - y - i * step) * mm for i in range(int(height / step + 1.5))]
            self.canvas.grid(across, down)

    def table(self, y: float, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, size: float = 7,
              row_mm: float = 4.0) -> float:  # fmt: skip
        """Rows of text, the first one as a heading; returns the baseline after the last."""
        for number, row in enumerate(rows):
            font, colour = (BOLD, FAINT) if number == 0 else (PLAIN, TEXT)
            for (x, align), cell in zip(columns, row, strict=True):
                self.text(x, y, cell, size=size, font=font, colour=colour, align=align)
            if number == 0:
                self.line(columns[0][0], y + 1.2, RIGHT_MM, y + 1.2)
            y += row_mm
        return y

    def _pen(self, colour: str, width_mm: float) -> None:
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(width_mm * mm)
        self.canvas.setLineJoin(1)
        self.canvas.setLineCap(1)


def draw_strip(sheet: Sheet, lead: Lead, *, beats: Beats, x: float, y: float, width: float, height: float,
               marked: Sequence[Stretch] = ()) -> float:  # fmt: skip
    """A lead on ECG paper at 25 mm/s with the labels of its beats above; returns the gain in mm/mV.

    The pulse at the left edge is 1 mV high. Each ``marked`` stretch has a band on the lower edge with its name.
    """
    sheet.grid(x, y, width, height)
    for stretch in marked:
        _mark_stretch(sheet, stretch, lead.start_s, x=x, bottom=y + height, width=width)
    centre_mv = float(np.nanmedian(lead.signal_mv)) if np.isfinite(lead.signal_mv).any() else 0.0
    trace_mv = (lead.signal_mv - centre_mv).astype(np.float64)
    gain = fitting_gain(trace_mv, height / 2 - LABEL_MM)
    middle = y + height / 2
    sheet.canvas.saveState()
    clip = sheet.canvas.beginPath()
    clip.rect(x * mm, (PAGE_HEIGHT_MM - y - height) * mm, width * mm, height * mm)
    sheet.canvas.clipPath(clip, stroke=0, fill=0)
    across = x + np.arange(len(trace_mv)) * (MM_PER_S / lead.fs_hz)
    sheet.curve(np.asarray(across), middle - gain * trace_mv, width_mm=TRACE_MM)
    sheet.canvas.restoreState()
    pulse_x = x - PULSE_MM - 1.5 + np.array([0.0, 1.0, 1.0, PULSE_MM - 1, PULSE_MM - 1, PULSE_MM])
    sheet.curve(np.asarray(pulse_x), middle - gain * np.array([0.0, 0, 1, 1, 0, 0]), width_mm=TRACE_MM)
    _label_beats(sheet, x, y + LABEL_MM - 0.5, width, lead.start_s, beats)
    return gain


def _mark_stretch(sheet: Sheet, stretch: Stretch, start_s: float, *, x: float, bottom: float, width: float) -> None:
    """A band on the lower edge of a strip where a stretch reaches into it, with its name."""
    left = x + max(0.0, (stretch.start_s - start_s) * MM_PER_S)
    right = x + min(width, (stretch.end_s - start_s) * MM_PER_S)
    if right > left:
        sheet.box(left, bottom - BAND_MM, right - left, BAND_MM, fill=stretch.colour)
        sheet.text(left + 1, bottom - 1, stretch.name, size=7, font=BOLD, colour="#FFFFFF", fit_mm=right - left - 1)


def fitting_gain(trace_mv: Float64, within_mm: float) -> float:
    """The largest gain in mm/mV at which a trace around 0 mV stays within some millimetres, but for rare spikes."""
    reach_mv = float(np.nanpercentile(np.abs(trace_mv), REACH_PERCENTILE)) if np.isfinite(trace_mv).any() else 0.0
    return next((gain for gain in GAINS_MM_PER_MV if reach_mv * gain <= within_mm), GAINS_MM_PER_MV[-1])


def _label_beats(sheet: Sheet, x: float, y: float, width: float, start_s: float, beats: Beats) -> None:
    first, last = np.searchsorted(beats.time_s, (start_s, start_s + width / MM_PER_S))
    for beat in range(int(first), int(last)):
        label = str(beats.label[beat]) if beats.usable[beat] else "–"
        at = x + (float(beats.time_s[beat]) - start_s) * MM_PER_S
        emphasis = BOLD if label in "SVF" else PLAIN
        sheet.text(at, y, label, size=7, font=emphasis, colour=COLOUR.get(label, FAINT), align="centre")


def draw_bars(sheet: Sheet, edges: Float64, height: Float32 | Float64, base: float, colour: str) -> None:
    """Bars on a base line between edges, x in mm; shapes (n + 1,), (n,)."""
    for left, right, tall in zip(edges[:-1].tolist(), edges[1:].tolist(), height.tolist(), strict=True):
        if tall > 0:
            sheet.box(left, base - tall, max(right - left - 0.1, 0.1), tall, fill=colour)


def make_pdf(title: str, pages: Sequence[Callable[[Sheet], None]], footer: Callable[[Sheet, int, int], None]) -> bytes:
    """A document of these pages; the same content always gives the same bytes."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(PAGE_WIDTH_MM * mm, PAGE_HEIGHT_MM * mm), invariant=1, pageCompression=1)
    canvas.setTitle(_printable(title))
    for number, draw in enumerate(pages, 1):
        sheet = Sheet(canvas)
        draw(sheet)
        footer(sheet, number, len(pages))
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def _printable(text: str) -> str:
    """Text in the characters of the printer's own fonts; others become question marks."""
    return one_line(text).encode("cp1252", "replace").decode("cp1252")
