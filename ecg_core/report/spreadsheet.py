"""The report as a spreadsheet (.xlsx): what is read first, and all beats, events and hours as tables."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import NOTICE
from ..clock import clock_text
from ..notes import NO_NOTES, Notes
from ..schema import Analysis, Record
from ..text import no_formula, one_line
from .columns import Table
from .dangers import dangers, remarks
from .facts import PATIENT_FIELDS, provenance, recording_facts, signer_text, unsigned_text, utc_text
from .measures import GROUPS, Measure, measures
from .narrative import narrative_heading, narrative_of
from .operating import chosen_sensitivity
from .statements import statements
from .tables import beats_table, events_table, hourly_table

if TYPE_CHECKING:  # loads where a spreadsheet is made
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

SUMMARY, HOURS, EVENTS, BEATS = "Summary", "Beats by hour", "Events", "Beats"
MOST_ROWS = 1_048_576  # of a sheet, its heading among them
DECIMALS = 6  # of numbers in single precision
MOST_LETTERS = 32_000  # of a cell, whose limit is 32,767 with what is escaped in it
NEVER: Final = datetime(2000, 1, 1)  # stated as the time at which the file was made: the same report is the same bytes
DAY_ZERO: Final = datetime(1899, 12, 30)  # of a spreadsheet's dates ...
FIRST_DAY: Final = datetime(1900, 3, 1)  # ... which are the days of the calendar from this one on
DAY = timedelta(days=1)
DATE_FORMAT, DATE_WIDTH, COLUMN_WIDTH = "yyyy-mm-dd hh:mm:ss.000", 24, 14
SUMMARY_WIDTHS: Final = (38, 24, 14, 24, 60)
MEASURE_HEAD: Final = ("Measure", "Value", "Unit", "At", "Of, or why there is no value")
RULE_HEAD: Final = ("Rule", "Value", "Unit", "", "Source")
WIDE: Final = frozenset({"name", "record"})  # columns of names
TIMES: Final = {"time_iso": "time_s", "start_iso": "start_s"}  # columns that become dates, and their seconds
DATES: Final = {"time_iso": "date_time", "start_iso": "date_time"}


class Line(NamedTuple):
    """A row of the summary."""

    cells: tuple[str | float | None, ...]
    look: str = ""  # one of the formats of ``_looks``


def spreadsheet(analysis: Analysis, notes: Notes = NO_NOTES) -> bytes:
    """The report as a workbook of four sheets that opens on the summary; patient data are those of the notes.

    Text stays text: no cell is a formula or a link. Beats beyond the rows that a sheet can have go on in another one.
    """
    from xlsxwriter import Workbook  # noqa: PLC0415  # only where a spreadsheet is asked for

    stream = io.BytesIO()
    with Workbook(stream, {"constant_memory": True}) as book:
        book.set_properties({"title": f"ECG report {one_line(analysis.record.record_id)}", "created": NEVER})
        looks = _looks(book)
        _write_summary(book.add_worksheet(SUMMARY), _summary(analysis, notes), looks)
        for name, table in ((HOURS, hourly_table), (EVENTS, events_table), (BEATS, beats_table)):
            _write_table(book, name, _with_dates(table(analysis), analysis.record), looks)
    return stream.getvalue()


def _looks(book: Workbook) -> dict[str, Any]:
    return {
        "": None,
        "title": book.add_format({"bold": True, "font_size": 16}),
        "heading": book.add_format({"bold": True, "font_size": 12}),
        "head": book.add_format({"bold": True, "bottom": 1}),
        "danger": book.add_format({"bold": True, "font_color": "#B00020"}),
        "strong": book.add_format({"bold": True}),
        "date": book.add_format({"num_format": DATE_FORMAT, "align": "left"}),
    }


# The summary


def _summary(analysis: Analysis, notes: Notes) -> Iterator[Line]:
    """Dangers and statements first, then narrative, signature, measures, rules and origin."""
    yield Line((f"ECG arrhythmia report: {analysis.record.record_id}",), "title")
    yield from (Line((danger.text,), "danger") for danger in dangers(analysis))
    yield from (Line((f"{text}.",), "strong") for text in chosen_sensitivity(analysis))
    yield from (Line((f"{statement.text}.",), "strong") for statement in statements(analysis))
    yield from (Line((f"{text}.",)) for text in remarks(analysis))
    yield from (Line((text,), look) for text, look in _signatures(notes))
    patient = [
        ("" if number else name, line)
        for field, name in PATIENT_FIELDS.items()
        for number, line in enumerate(getattr(notes.patient, field).splitlines())
    ]
    for heading, facts in (("Patient", patient), ("Recording", recording_facts(analysis))):
        lines = [Line(fact) for fact in facts]
        yield from _under(heading, lines)
    text = narrative_of(analysis, notes)
    yield from _under(narrative_heading(notes), [Line((line,)) for line in text.splitlines() if line.strip()])
    yield from _measure_lines(analysis)
    changed = {rule.key for rule in analysis.rules.changed()}
    rules = [
        Line((rule.says + (" (changed by the reader)" if rule.key in changed else ""), rule.value, rule.unit, "",
              rule.source))
        for rule in analysis.rules.rows()
    ]  # fmt: skip
    yield from _under("Rules", [Line(RULE_HEAD, "head"), *rules])
    yield from _under("Origin", [Line((text,)) for text in provenance(analysis)])


def _under(heading: str, lines: Sequence[Line]) -> Iterator[Line]:
    """Lines under a heading; nothing where there is none."""
    if lines:
        yield from (Line(()), Line((heading,), "heading"), *lines)


def _signatures(notes: Notes) -> Iterator[tuple[str, str]]:
    if not notes.is_signed:
        yield unsigned_text(notes), "strong"
        return
    for one in notes.signatures:
        what = "Addendum" if one.addendum else f"Version {one.version}, signed"
        yield f"{what} by {signer_text(one)}, {utc_text(one.signed_at)}", "strong"
        yield from ((line, "") for text in (one.addendum, one.statement) for line in text.splitlines())


def _measure_lines(analysis: Analysis) -> Iterator[Line]:
    """Every measure under the name of its group."""
    every = measures(analysis)
    for group, name in GROUPS.items():
        lines = [_measure_line(measure, analysis.record) for measure in every if measure.group == group]
        yield from _under(name, [Line(MEASURE_HEAD, "head"), *lines])


def _measure_line(measure: Measure, record: Record) -> Line:
    at = "" if measure.at_s is None else clock_text(record, measure.at_s)
    of = measure.of + ("; a lower limit" if measure.at_least else "")
    if measure.value is None:
        of = "; ".join(text for text in (of, f"not measurable: {measure.why}" if measure.why else "") if text)
    value = None if measure.value is None else round(measure.value, 4)
    return Line((measure.name, value, measure.unit, at, of))


def _write_summary(sheet: Worksheet, lines: Iterator[Line], looks: dict[str, Any]) -> None:
    for column, width in enumerate(SUMMARY_WIDTHS):
        sheet.set_column(column, column, width)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(f"&L{NOTICE.replace('&', '&&')[:200]}&R&P/&N")
    row = 0
    for line in lines:
        for part in _split(line):
            for column, cell in enumerate(part.cells):
                if isinstance(cell, str) and cell:
                    sheet.write_string(row, column, _text(cell), looks[line.look])
                elif isinstance(cell, float | int):
                    sheet.write_number(row, column, cell, looks[line.look])
            row += 1


def _split(line: Line) -> Iterator[Line]:
    """The line, or several where its only text is longer than a cell can be."""
    if len(line.cells) == 1 and isinstance(line.cells[0], str) and len(line.cells[0]) > MOST_LETTERS:
        text = line.cells[0]
        yield from (Line((text[at : at + MOST_LETTERS],), line.look) for at in range(0, len(text), MOST_LETTERS))
    else:
        yield line


def _text(cell: str) -> str:
    return no_formula(one_line(cell))[:MOST_LETTERS]


# Tables


def _with_dates(table: Table, record: Record) -> dict[str, Any]:
    """The table with dates of a spreadsheet in place of ISO 8601; these stay where it knows no such date."""
    columns = dict(table)
    if record.start is None or record.start < FIRST_DAY:
        return columns
    start_days = (record.start - DAY_ZERO) / DAY
    named: dict[str, Any] = {}
    for name, column in columns.items():
        if name in TIMES:
            named[DATES[name]] = start_days + np.round(np.asarray(columns[TIMES[name]], dtype=np.float64), 3) / 86_400
        else:
            named[name] = column
    return named


def _write_table(book: Workbook, name: str, table: Table, looks: dict[str, Any]) -> None:
    """A sheet with a heading that stays in view; as many sheets as the rows need."""
    n_rows = len(next(iter(table.values())))
    for number, first in enumerate(range(0, max(n_rows, 1), MOST_ROWS - 1), 1):
        sheet = book.add_worksheet(name if number == 1 else f"{name} {number}")
        stop = min(first + MOST_ROWS - 1, n_rows)
        for column, heading in enumerate(table):
            is_date = heading in DATES.values()
            width = DATE_WIDTH if is_date or heading in WIDE else max(COLUMN_WIDTH, len(heading) + 1)
            sheet.set_column(column, column, width, looks["date"] if is_date else None)
            sheet.write_string(0, column, heading, looks["head"])
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, stop - first, len(table) - 1)
        _write_rows(sheet, [np.asarray(column)[first:stop] for column in table.values()])


def _write_rows(sheet: Worksheet, columns: Sequence[NDArray[Any]]) -> None:
    """Cells row by row, in which order alone they are written without being kept in memory."""
    numeric = [column.dtype.kind in "biuf" for column in columns]
    writers = [sheet.write_number if is_number else sheet.write_string for is_number in numeric]
    cells = [_cells(column, is_number=is_number) for column, is_number in zip(columns, numeric, strict=True)]
    numbers = range(len(columns))
    for row, values in enumerate(zip(*cells, strict=True), 1):
        for write, column, value in zip(writers, numbers, values, strict=True):
            if value is not None:
                write(row, column, value)


def _cells(column: NDArray[Any], *, is_number: bool) -> list[Any]:
    """The cells of a column; None where one is empty."""
    if column.dtype == np.float32:  # .0034, and not .003400000045
        column = column.astype(np.float64).round(DECIMALS)
    values = column.tolist()
    if is_number:
        return [None if value != value else value for value in values]  # noqa: PLR0124  # NaN
    known = {value: _text(value) or None for value in {*values}}
    return [known[value] for value in values]
