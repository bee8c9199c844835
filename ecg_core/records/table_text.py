"""The text of a table: its encoding, what stands before it, its separators, and its columns as they are.

Nothing is known here of what a column means. The table begins where rows of values follow each other; a line before it
is a note, the headings, or their units.
"""

from __future__ import annotations

import codecs
import csv
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import RecordError
from ..text import format_quoted, plural
from .table_cells import (
    MISSING_WORDS,
    NUMBER,
    RATE_NOTE,
    UNIT_NOTE,
    heading_of,
    is_unit,
    is_value,
    rate_of_interval,
    unquoted,
)

if TYPE_CHECKING:
    import pandas as pd

HEAD_BYTES = 1 << 16  # in which the table begins
N_SAMPLE = 64  # rows by which separator and number of columns are found
N_HEAD = 512  # rows in which decimal marks are looked for
N_ROWS, MOST_ROWS = 20, 0.8  # rows after which the table begins, and how many of them hold values
WHITE_SPACE = r"\s+"
SEPARATORS: Final = (",", ";", "\t", "|", WHITE_SPACE)
COMMENT_MARKS: Final = ("#", "%", ";")
LABELS: Final = re.compile(r"^(labels|columns|channels|headings)\s*:=?\s*", re.IGNORECASE)
EXAMPLE = 'write headings such as "time_s,II_mv,V1_mv"'
WRITE_HEADINGS = f"W{EXAMPLE[1:]}"
LIST: Final = re.compile(r"\[\s*-?\d+(\.\d+)?(\s*[,;]\s*-?\d+(\.\d+)?){9}")  # ten samples or more in a cell
Cells = tuple[str, ...]


@dataclass(frozen=True)
class TableText:
    """How a table is written, with its first rows."""

    path: Path
    encoding: str
    separator: str
    decimal: str
    quote: str
    n_before: int  # lines before the first row
    n_columns: int
    headings: Cells | None  # per column, with the unit of a row of units in brackets; None where there are none
    notes: tuple[str, ...]  # lines before the headings, without the marks of comments
    rows: tuple[Cells, ...]  # the first ones

    def column(self, number: int) -> Cells:
        """The first cells of a column."""
        return tuple(row[number] if number < len(row) else "" for row in self.rows)


def encoding_of(first: bytes) -> str:
    """Encoding of a text by its first bytes: Unicode, or else Latin-1, in which older programs write the micro sign."""
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def lines_of(text: str) -> list[str]:
    """Lines as an editor counts them."""
    return re.split(r"\r\n|\r|\n", text)


def head_of(path: Path) -> tuple[str, list[str]]:
    """Encoding and first lines of a file, each of them whole."""
    with path.open("rb") as stream:
        first = stream.read(HEAD_BYTES)
        is_whole = not stream.read(1)
    encoding = encoding_of(first)
    lines = lines_of(first.decode(encoding, errors="replace"))
    return encoding, lines if is_whole or len(lines) == 1 else lines[:-1]


def table_text(path: Path) -> TableText:
    """How the table in a file is written.

    Raises
    ------
    RecordError
        It has no rows of values, their number of cells differs from that of the headings, or its numbers are grouped
        by thousands.

    """
    encoding, lines = head_of(path)
    if any("[" in line and LIST.search(line) for line in lines):
        raise RecordError(
            "is not a table with a heading and rows of numbers but holds a list of samples in one cell",
            where=path.name,
            advice="Write each of them into a row of its own, below a heading with its unit, such as II_mv.",
        )
    stated = re.fullmatch(r"\s*\"?sep=(.)\"?\s*", lines[0]) if lines else None
    quote = "'" if sum(line.count("'") for line in lines) > sum(line.count('"') for line in lines) else '"'
    separator = stated[1] if stated else _separator(lines, quote)
    head = Lines(tuple(["", *lines[1:]] if stated else lines), separator, quote)
    n_columns, begin = _begin(path, head)
    places = [number for number in range(begin, len(lines)) if head.is_row(number)][:N_HEAD]
    table = [head.cells(number) for number in places]
    headings, used = _headings(head, begin, n_columns)
    is_short = headings is not None and any(any(row[len(headings) :]) for row in table)
    if separator == "," and n_columns == 2 and (headings is None or is_short) and _follow_a_comma(table, headings):
        separator, n_columns, table, is_short = ";", 1, [(",".join(row),) for row in table], False
    if headings is not None and (is_short or len(headings) > n_columns):
        raise _uneven(path, used[0], len(headings), begin, n_columns)
    notes = [line for number, line in enumerate(head.lines[:begin]) if line.strip() and number not in used]
    return TableText(
        path, encoding, separator, _decimal(path, table, separator), quote, begin, n_columns,
        None if headings is None else (*headings, *[""] * (n_columns - len(headings)))[:n_columns],
        tuple(line.strip().lstrip("".join(COMMENT_MARKS)).strip() for line in notes), tuple(table[:N_SAMPLE]),
    )  # fmt: skip


@dataclass(frozen=True)
class Lines:
    """The first lines of a file, separated into cells when they are needed."""

    lines: tuple[str, ...]
    separator: str
    quote: str

    def is_comment(self, number: int) -> bool:
        """Whether a line begins with the mark of a comment."""
        return self.lines[number].lstrip().startswith(marks_of(self.separator))

    def is_row(self, number: int) -> bool:
        """Whether a line is neither blank nor a comment."""
        return bool(self.lines[number].strip()) and not self.is_comment(number)

    def cells(self, number: int) -> Cells:
        """Cells of a line."""
        return split(self.lines[number], self.separator, self.quote)

    def heading_cells(self, number: int, n_columns: int) -> Cells:
        """Cells of a line of headings, whose names may hold single spaces."""
        wide = tuple(re.split(r"\s{2,}|\t", self.lines[number].strip()))
        return wide if self.separator == WHITE_SPACE and len(wide) == n_columns else self.cells(number)


def split(line: str, separator: str, quote: str = '"') -> Cells:
    """Cells of a line."""
    if separator == WHITE_SPACE:
        return tuple(line.split())
    try:
        cells = next(csv.reader([line], delimiter=separator, quotechar=quote, skipinitialspace=True), [])
    except csv.Error:
        return ()
    return tuple(unquoted(cell) for cell in cells)


def marks_of(separator: str) -> tuple[str, ...]:
    """Marks with which a line of comment begins."""
    return tuple(mark for mark in COMMENT_MARKS if mark != separator)


def _separator(lines: Sequence[str], quote: str) -> str:
    """The separator by which most cells of the last lines are values; of several, the one that makes most cells."""
    last = [line for line in lines if line.strip() and not line.lstrip().startswith(COMMENT_MARKS[:2])][-N_SAMPLE:]

    def score(separator: str) -> tuple[float, bool, int]:
        rows = [split(line, separator, quote) for line in last]
        n_columns = _usual([len(row) for row in rows])
        cells = [cell for row in rows if len(row) == n_columns for cell in row if cell]
        share = sum(map(is_value, cells)) / max(len(cells), 1) * sum(len(row) == n_columns for row in rows)
        return share, separator != WHITE_SPACE and n_columns > 1, n_columns

    return max(SEPARATORS, key=score)


def _usual(counts: Sequence[int]) -> int:
    return Counter(counts).most_common(1)[0][0] if counts else 0


def _begin(path: Path, head: Lines) -> tuple[int, int]:
    """Number of columns, and the line with which the rows of values begin."""
    places = [number for number in range(len(head.lines)) if head.is_row(number)]
    sample = [head.cells(number) for number in places[-N_SAMPLE:]]
    n_columns = _usual([len(row) for row in sample])
    valued = []
    for column in zip(*(row for row in sample if len(row) == n_columns), strict=True):
        cells = [cell for cell in column if cell]
        valued.append(bool(cells) and sum(map(is_value, cells)) >= len(cells) / 2)

    def is_row(row: Cells) -> bool:
        cells = [cell for cell, is_valued in zip(row, valued, strict=False) if is_valued]
        return (
            n_columns - 1 <= len(row) <= n_columns
            and all(not cell or is_value(cell) for cell in cells)
            and any(NUMBER.fullmatch(cell) for cell in cells)
        )

    fits = cache(lambda index: is_row(head.cells(places[index])))
    for index in range(len(places) if any(valued) else 0):
        following = range(index, min(index + N_ROWS, len(places)))
        if fits(index) and sum(map(fits, following)) >= MOST_ROWS * len(following):
            return n_columns, _with_wrong_rows(head, places[: index + 1], n_columns)
    found = format_quoted(next((line for line in head.lines if line.strip()), "")) or "nothing"
    raise RecordError(
        "is not a table",
        where=path.name,
        expected="a heading and rows of numbers",
        got=found,
        advice=f"{WRITE_HEADINGS}, and below a row of numbers for each sample.",
    )


def _with_wrong_rows(head: Lines, places: list[int], n_columns: int) -> int:
    """The first row, counting those with a wrong cell between the headings and it."""
    while len(places) > 2:
        above, row = (head.cells(number) for number in places[-3:-1])
        is_wrong = len(row) == n_columns and sum(map(is_value, row)) >= len(row) / 2
        if not is_wrong or len(above) != n_columns:
            break
        places = places[:-1]
    return places[-1]


def _headings(head: Lines, begin: int, n_columns: int) -> tuple[Cells | None, tuple[int, ...]]:
    """Headings, if any, and the lines that they take."""
    before = [number for number in range(begin) if head.lines[number].strip()]
    plain = [number for number in before if head.is_row(number) and not is_note(head.lines[number])]
    if len(plain) > 1:
        names, units = (head.heading_cells(number, n_columns) for number in plain[-2:])
        if any(units) and all(not cell or is_unit(cell) for cell in units) and len(units) <= n_columns:
            named = zip_longest(_without_empty(names), units, fillvalue="")
            return tuple(f"{name} [{unit.strip('()[]')}]" if unit else name for name, unit in named), tuple(plain[-2:])
    if plain:
        cells = _without_empty(head.heading_cells(plain[-1], n_columns))
        if n_columns - 1 <= len(cells) <= n_columns or is_heading(cells):
            return cells, (plain[-1],)
    for number in reversed(before):
        cells = _uncommented(head.cells(number))
        if head.is_comment(number) and len(cells) == n_columns > 1:
            return cells, (number,)
    return None, ()


def is_note(line: str) -> bool:
    """Whether a line states a rate or a unit by a name of it."""
    return bool(RATE_NOTE.search(line) or UNIT_NOTE.match(line) or rate_of_interval(line))


def is_heading(cells: Cells) -> bool:
    """Whether a line states units, as headings do, whatever its number of cells."""
    return any(heading_of(cell).unit for cell in cells)


def _uncommented(cells: Cells) -> Cells:
    """The cells of a comment without its mark, and without the word that says what they are ("Labels:= PCG")."""
    first = cells[0].lstrip("".join(COMMENT_MARKS)).strip() if cells else ""
    first = LABELS.sub("", first)
    return (first, *cells[1:]) if first else cells[1:]


def _without_empty(cells: Cells) -> Cells:
    """The cells up to the last one that is not empty."""
    n = len(cells)
    while n and not cells[n - 1]:
        n -= 1
    return cells[:n]


def _uneven(path: Path, heading: int, n_headings: int, row: int, n_cells: int) -> RecordError:
    return RecordError(
        f"is not as wide as line {heading + 1}",
        where=path.name,
        position=f"line {row + 1}",
        expected=plural(n_headings, "cell"),
        got=f"{n_cells:,}",
        advice="Write a heading for each column, and where decimals follow a comma, separate the cells by semicolons.",
    )


def _follow_a_comma(rows: Sequence[Cells], headings: Cells | None) -> bool:
    """Whether two cells in a row are a number and its decimals: by the heading of one lead, or by zeros that lead."""
    decimals = [row[1] for row in rows if len(row) > 1 and row[1]]
    if not all(map(str.isdigit, decimals)):
        return False
    return is_heading(headings) if headings else any(len(cell) > 1 and cell[0] == "0" for cell in decimals)


def _decimal(path: Path, rows: Sequence[Cells], separator: str) -> str:
    """What stands before decimals; refuses numbers that are grouped by thousands."""
    for mark in ",.":
        grouped = re.compile(rf"[-+]?[1-9]\d{{0,2}}(\{mark}\d{{3}})+")
        for column in zip(*(row for row in rows if len(row) == len(rows[0])), strict=True):
            marked = [cell for cell in column if (mark in cell and NUMBER.fullmatch(cell)) or grouped.fullmatch(cell)]
            if marked and all(map(grouped.fullmatch, marked)) and any(map(str.isdigit, column)):
                raise RecordError(
                    f'its numbers are grouped by thousands, such as "{format_quoted(marked[0])}"',
                    where=path.name,
                    advice="Write them without a mark between thousands.",
                )
    cells = [cell for row in rows for cell in row if NUMBER.fullmatch(cell)]
    if any("," in cell for cell in cells):
        return ","
    return "," if separator == ";" and not any("." in cell for cell in cells) else "."


def read_columns(text: TableText) -> pd.DataFrame:
    """All rows of a table, a column of numbers or of text for each of its columns.

    Raises
    ------
    RecordError
        It cannot be separated into cells.

    """
    import pandas as pd  # noqa: PLC0415  # a quarter of a second, which only tables need

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it would leave cells out
            table = _parsed(text, [])
            if is_text(table[0]) and table[0].str.startswith(marks_of(text.separator)).any():
                table = _parsed(text, _comment_lines(text))
    except (ValueError, OverflowError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        cells = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if cells:
            raise RecordError(
                where=text.path.name,
                position=f"line {int(cells[2]) + text.n_before}",
                expected=f"{cells[1]} cells",
                got=cells[3],
                advice="Correct it, or export the table again.",
            ) from error
        raise RecordError(
            f"is not a table with a heading ({format_quoted(error)})", where=text.path.name, advice=f"{WRITE_HEADINGS}."
        ) from error
    for number in range(text.n_columns):
        if is_text(table[number]) and (is_long := table[number].str.contains("[\r\n]").eq(True)).any():
            raise RecordError(
                "a quotation mark begins a text that ends lines below",
                where=text.path.name,
                position=f"line {line_of(text, int(is_long.argmax()))}, column {number + 1}",
                advice="Remove it.",
            )
    return table


def is_text(column: pd.Series) -> bool:
    """Whether a column holds more than numbers."""
    return column.dtype.kind not in "fiub"


def _parsed(text: TableText, comments: list[int]) -> pd.DataFrame:
    """The table without some lines below its first row."""
    import pandas as pd  # noqa: PLC0415  # see above

    def parsed(encoding: str) -> pd.DataFrame:
        with text.path.open(encoding=encoding, newline="") as stream:
            for _ in range(text.n_before):  # where a quotation mark that stays open would swallow rows
                stream.readline()
            return pd.read_csv(
                stream, sep=text.separator, decimal=text.decimal, quotechar=text.quote, header=None, index_col=False,
                names=list(range(text.n_columns)), na_values=list(MISSING_WORDS), low_memory=False,
                skipinitialspace=text.separator != WHITE_SPACE,
                skiprows=[number - text.n_before for number in comments] or None,
            )  # fmt: skip

    try:
        return parsed(text.encoding)
    except UnicodeDecodeError:
        return parsed("latin-1")


def _comment_lines(text: TableText) -> list[int]:
    """Lines of comments below the first row."""
    with text.path.open(encoding=text.encoding, errors="replace", newline=None) as stream:
        marks = marks_of(text.separator)
        return [
            number for number, line in enumerate(stream) if number >= text.n_before and line.lstrip().startswith(marks)
        ]


def line_of(text: TableText, row: int) -> int:
    """Number of the line, from 1, in which a row stands."""
    seen = -1
    with text.path.open(encoding=text.encoding, errors="replace", newline=None) as stream:
        for number, line in enumerate(stream):
            is_blank = not line.strip(" \r\n") or line.lstrip().startswith(marks_of(text.separator))
            seen += number >= text.n_before and not is_blank
            if seen == row:
                return number + 1
    return text.n_before + row + 1


def ends_in_a_cut_line(text: TableText) -> bool:
    """Whether the last line lacks cells and its end."""
    if text.encoding == "utf-16":
        return False
    with text.path.open("rb") as stream:
        stream.seek(max(0, text.path.stat().st_size - HEAD_BYTES))
        last = lines_of(stream.read().decode(text.encoding, errors="replace"))[-1]
    n_cells = text.n_columns - (not any(text.column(text.n_columns - 1)))
    is_row = bool(last.strip()) and not last.lstrip().startswith(marks_of(text.separator))
    return is_row and len(split(last, text.separator, text.quote)) < n_cells
