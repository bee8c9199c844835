"""The strips of the PDF report, section by section, and twelve leads at once where a record has them."""

from __future__ import annotations

from functools import partial
from typing import Final

from reportlab.platypus import Flowable, KeepTogether

from ..clock import clock_text
from ..notes import Notes
from ..records import read_strip
from ..rhythm.events import DANGERS, SHORT_NAMES
from ..schema import Analysis, Lead
from .canvas import DANGER, FAINT, LEFT_MM, WIDTH_MM, Sheet, Stretch, draw_columns, draw_strip, fitting_gain, lane_mm
from .dangers import UNJUDGED
from .document import HEADING, NOTE, Drawing, gap, page_of, paragraph, titles
from .strip_selection import CHOSEN, STRIP_S, Section, Strip, strip_leads, strip_sections, twelve_leads

STRIP_MM: Final = {1: 45.0, 2: 45.0, 3: 70.0}  # height for so many leads: three strips, or two, on a page
STRIP_GAP_MM = 3.0
COLUMNS, ROW_MM = 4, 30.0  # of twelve leads: three in each column, and a row for the rhythm below
COLUMN_S = STRIP_S / COLUMNS
MOST_TWELVE = 3  # findings that are shown in twelve leads: one of each of the most serious sections
RHYTHM_LEAD = "II"  # in which P waves are seen best


def strip_flowables(analysis: Analysis, notes: Notes) -> list[Flowable]:
    """All sections of strips, from a new page on."""
    story = page_of(1)
    for section in strip_sections(analysis, notes):
        name = section.name[0].lower() + section.name[1:]
        above = [paragraph(f"Strips: {name}", HEADING), *[paragraph(f"{text}.", NOTE) for text in section.remarks]]
        for strip in section.strips:
            story += [KeepTogether([*above, *_strip(analysis, strip)]), gap(STRIP_GAP_MM)]
            above = []
    for section in _representative(analysis, notes):
        story += [KeepTogether(_twelve(analysis, section)), gap(STRIP_GAP_MM)]
    return story


def _strip(analysis: Analysis, strip: Strip) -> list[Flowable]:
    """A strip below what it shows and how it is drawn."""
    leads = [_lead(analysis, name, strip.start_s, STRIP_S) for name in strip_leads(analysis, strip.start_s)]
    height = STRIP_MM[len(leads)]
    gain = fitting_gain(leads, lane_mm(height, len(leads)))
    marked = _marked(analysis)

    def draw(sheet: Sheet) -> None:
        draw_strip(sheet, leads, beats=analysis.beats, x=LEFT_MM, y=0.0, width=WIDTH_MM, height=height, marked=marked)

    scale = _scale_text(analysis, strip.start_s, leads, gain)
    return [titles("; ".join(strip.titles), scale), Drawing(height, draw)]


def _representative(analysis: Analysis, notes: Notes) -> list[Section]:
    """The most serious automatic sections, where the record has the twelve leads."""
    if not twelve_leads(analysis):
        return []
    return [section for section in strip_sections(analysis, notes) if section.name != CHOSEN][:MOST_TWELVE]


def _twelve(analysis: Analysis, section: Section) -> list[Flowable]:
    """The first strip of a section in twelve leads, a column of three after the other, and one lead for ten seconds."""
    strip, names = section.strips[0], twelve_leads(analysis)
    cut = partial(_lead, analysis)
    rows = [
        [cut(names[3 * column + row], strip.start_s + column * COLUMN_S, COLUMN_S) for column in range(COLUMNS)]
        for row in range(len(names) // COLUMNS)
    ]
    rows.append([cut(RHYTHM_LEAD, strip.start_s, STRIP_S)])
    gain = min(fitting_gain(row, ROW_MM) for row in rows)

    def draw(sheet: Sheet) -> None:
        draw_columns(sheet, rows, x=LEFT_MM, y=0.0, width=WIDTH_MM, row_mm=ROW_MM)

    scale = _scale_text(analysis, strip.start_s, [lead for row in rows for lead in row], gain)
    heading = paragraph("Twelve leads, 2.5 s each", HEADING)
    return [heading, titles("; ".join(strip.titles), scale), Drawing(ROW_MM * len(rows), draw)]


def _lead(analysis: Analysis, name: str, start_s: float, length_s: float) -> Lead:
    return read_strip(analysis.record, name, start_s=start_s, length_s=length_s)


def _scale_text(analysis: Analysis, start_s: float, leads: list[Lead], gain: float) -> str:
    """Time and scale of a strip; where the file states no gain for a lead, that one was assumed."""
    record = analysis.record
    named = dict(zip((name.casefold() for name in record.lead_names), record.calibrated, strict=True))
    assumed = "" if all(named[lead.name.casefold()] for lead in leads) else ", 200 counts per mV assumed"
    names = f"lead {', '.join(lead.name for lead in leads)}, " if len(leads) in STRIP_MM else ""
    return f"{clock_text(record, start_s, decimals=1)}, {names}25 mm/s, {gain:g} mm/mV{assumed}"


def _marked(analysis: Analysis) -> list[Stretch]:
    """Dangers, and stretches that could not be judged, as the strips mark them."""
    return [
        Stretch(event.start_s, event.end_s, SHORT_NAMES[event.kind], FAINT if event.kind in UNJUDGED else DANGER)
        for event in analysis.events
        if event.kind in (*DANGERS, *UNJUDGED)
    ]
