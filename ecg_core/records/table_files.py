"""Recordings as tables of text or Parquet: a column of time, or a given rate, and a column per lead.

The headings define the columns: ``time_s`` or ``Time [ms]``, and leads with their units, such as ``II_mv``,
``V1 (uV)`` or ``ecg [mV]``. What they leave open is not guessed: a person has to give it. ``table_text`` finds the
table in the file, ``table_headings`` what its columns mean, ``table_times`` its rate and its gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EcgError, MissingMetadataError, RecordError
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Float64, Record, SignalSource
from ..text import format_quoted
from .kinds import markup_kind
from .limits import check_leads, check_length, distinct_names
from .overrides import SAME_RATE, check_rate, missing_metadata
from .parquet_files import (
    ParquetSource,
    open_parquet,
    parquet_cells,
    parquet_column,
    parquet_first_time,
    parquet_times_s,
)
from .samples import ArraySource
from .table_cells import unquoted
from .table_clocks import clocks_s, dated, moment_of, start_of
from .table_headings import TEXT, Layout, Notes, layout_of, notes_of
from .table_text import EXAMPLE, N_SAMPLE, TableText, ends_in_a_cut_line, is_text, line_of, read_columns, table_text
from .table_times import GappedSource, Timing, Where, even_timing, timing_of
from .units import S_OF_UNIT
from .watch_files import is_watch, read_watch

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".txt", ".asc")
MAX_NUMBER = float(np.finfo(np.float32).max)
FIRST_UNIX_S, LAST_UNIX_S = 1e9, 4e9  # times from 2001 to 2096, in seconds since 1970
SUFFIXES_OF_ANY_TEXT = (".txt", ".asc")  # in a folder, tables among other texts
HEAD_ROWS = 1 << 16  # of Parquet, in which the leads are checked
MAX_DELAY_S = 1.0  # with which a computer may have noted the time of a sample
NEAR_RATE = 0.02  # of a given rate, within which the times of a column without a unit have to lie
RISES = "only rises, as a time or a counter does"


def is_table(path: Path, first: bytes) -> bool:
    """Whether a file is text with a suffix of tables."""
    is_text = b"\0" not in first or first.startswith((b"\xff\xfe", b"\xfe\xff"))
    return path.suffix.lower() in SUFFIXES and is_text and markup_kind(first) is None


def is_table_among_texts(path: Path) -> bool:
    """Whether a file with a suffix of any text is a table, or a watch's export, that states a rate or a unit."""
    if path.suffix.lower() not in SUFFIXES_OF_ANY_TEXT or not path.is_file():
        return False
    try:
        if is_watch(path):
            return True
        text = table_text(path)
        _layout(text, NO_OVERRIDES)
    except MissingMetadataError as error:
        return not error.unit or (not error.rate and notes_of(text.notes).fs_hz is not None)
    except (EcgError, OSError):
        return False
    return True


def read_table(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Read a table of text as a record, all at once.

    Raises
    ------
    RecordError
        Its times are of no one rate, a value is not a number, or the overrides contradict the headings.
    MissingMetadataError
        Neither the file nor the overrides give the rate, or the unit.

    """
    if is_watch(path):
        return read_watch(path, overrides)
    text = table_text(path)
    layout = _layout(text, overrides)
    is_cut = ends_in_a_cut_line(text)
    table = read_columns(text)
    table = table.iloc[:-1] if is_cut else table
    layout = _without(layout, [i for i in layout.leads if _is_late_text(text, table[i], i)], TEXT)
    columns = {i: _numbers(text, table[i], i) for i in layout.leads}
    layout = _without_counters(path, layout, columns)
    signal = np.stack([columns.pop(i).astype(np.float32) for i in layout.leads])
    table = table[[i for i in range(text.n_columns) if i in layout.of_time]]  # the rest takes memory
    times = TimeColumns(
        numbers=lambda number: _numbers(text, table[number], number),
        clocks=lambda number: _clocks(text, _cells_of_clock(table, layout, number), number),
        first_cell=lambda number: unquoted(str(_cells_of_clock(table, layout, number).iloc[0])),
        where=lambda row: f"line {line_of(text, row)}",
        n_rows=signal.shape[1],
    )
    record = _record(path, ArraySource(signal, layout.mv, (0.0,) * len(signal)), layout, times)
    return replace(record, doubts=(*record.doubts, "its last line is cut and left out")) if is_cut else record


def _layout(text: TableText, overrides: RecordOverrides) -> Layout:
    """What the columns of a table mean."""
    notes = notes_of(text.notes)
    headings, samples = text.headings, [text.column(number) for number in range(text.n_columns)]
    if headings is None and notes.columns and len(notes.columns) <= text.n_columns:
        headings = (*notes.columns, *[""] * (text.n_columns - len(notes.columns)))
    return layout_of(text.path.name, headings, samples, notes, overrides)


def _without_counters(path: Path, layout: Layout, columns: dict[int, Float64]) -> Layout:
    """The layout without the columns that cannot be leads.

    Raises
    ------
    RecordError
        None remains, or a lead has values that no recorder writes.

    """
    if any(
        max(np.fmax.reduce(columns[i], initial=0), -np.fmin.reduce(columns[i], initial=0)) > MAX_NUMBER
        for i in layout.leads
    ):
        raise RecordError(
            "has infinite values", where=path.name, advice="Leave cells empty where nothing was recorded."
        )
    rising = [i for i in layout.leads if _only_rises(columns[i][:HEAD_ROWS]) and _only_rises(columns[i])]
    if len(rising) == len(layout.leads):
        raise RecordError(
            f"the column {format_quoted(layout.names[0] or 'without a heading')} {RISES}; it is not a lead",
            where=path.name,
            advice=f"To define the columns, {EXAMPLE}.",
        )
    return _without(layout, rising, RISES)


def _only_rises(column: Float64) -> bool:
    return len(column) > 1 and bool((np.diff(column) > 0).all())


def _without(layout: Layout, numbers: Sequence[int], reason: str) -> Layout:
    """The layout with some columns left out for a reason."""
    kept = [position for position, i in enumerate(layout.leads) if i not in numbers]
    return replace(
        layout,
        leads=tuple(layout.leads[k] for k in kept),
        names=tuple(layout.names[k] for k in kept),
        mv=tuple(layout.mv[k] for k in kept),
        left_out=(*layout.left_out, *(LeftOut(layout.heading(i), reason) for i in numbers)),
    )


def _is_late_text(text: TableText, column: pd.Series, number: int) -> bool:
    """Whether a column of which the first cells are empty holds text below."""
    import pandas as pd  # noqa: PLC0415  # see ``read_columns``

    if any(text.column(number)) or not is_text(column):
        return False
    is_number = pd.to_numeric(column.astype("str").str.replace(",", "."), errors="coerce").notna()
    return bool(is_number.sum() < column.notna().sum() / 2)


def _numbers(text: TableText, column: pd.Series, number: int) -> Float64:
    """A column as numbers, NaN where a cell is empty."""
    import pandas as pd  # noqa: PLC0415  # see ``read_columns``

    if column.dtype.kind in "fiu":
        return column.to_numpy(dtype=np.float64)
    plain = column.astype("str").str.strip("'\" ")
    if text.decimal == ",":
        plain = plain.str.replace(",", ".")
    numbers = pd.to_numeric(plain, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        got, row = format_quoted(column.iloc[wrong[0]]), int(wrong[0])
        name = format_quoted(text.headings[number]) if text.headings and text.headings[number] else str(number + 1)
        raise RecordError(
            where=text.path.name,
            position=f"line {line_of(text, row)}, column {name}",
            expected="a number",
            got=f'"{got}"',
            advice="Correct the cell, or leave it empty.",
        )
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def _cells_of_clock(table: pd.DataFrame, layout: Layout, number: int) -> pd.Series:
    """The cells of a column of times, with the dates of another one where they have none."""
    day = layout.day_of(number)
    return table[number] if day is None else dated(table[number], table[day])


def _clocks(text: TableText, column: pd.Series, number: int) -> Float64:
    """Seconds since midnight of the first day, or elapsed, of each cell of a column."""
    seconds = clocks_s(column)
    wrong = np.flatnonzero(np.isnan(seconds))
    if len(wrong):
        row, name = int(wrong[0]), text.headings[number] if text.headings else str(number + 1)
        raise RecordError(
            where=text.path.name,
            position=f"line {line_of(text, row)}, column {format_quoted(name)}",
            expected=f"a time such as {format_quoted(column.iloc[0])}",
            got=f'"{format_quoted(column.iloc[row])}"',
            advice="Correct the cell.",
        )
    return seconds


@dataclass(frozen=True)
class TimeColumns:
    """How the columns of times of a table are read."""

    numbers: Callable[[int], Float64]
    clocks: Callable[[int], Float64]  # seconds since midnight of the first day, or elapsed
    first_cell: Callable[[int], str]
    where: Where  # name of a row
    n_rows: int


def _timing(name: str, layout: Layout, columns: TimeColumns) -> tuple[Layout, Timing]:
    """Rate and gaps by the times of a table, or by its given rate; the layout names columns that are of no use."""
    refused: RecordError | None = None
    by_clock = dict.fromkeys(dict(layout.clocks), 1.0)
    for read, numbers in ((columns.numbers, dict(layout.times)), (columns.clocks, by_clock)):
        for number, unit_s in numbers.items():
            try:
                return layout, _timing_by(name, layout, unit_s, read(number), columns.where)
            except RecordError as error:
                refused = refused or error
    if refused is not None:
        stated_hz = layout.notes.fs_hz
        if stated_hz is None or not _agrees(layout, columns):
            raise refused
        doubt = f"its times are not evenly spaced; it is read at the {stated_hz:g} Hz that the file states"
        return replace(layout, doubts=(doubt,)), even_timing(stated_hz, columns.n_rows)
    if layout.fs_hz is None:  # the layout has ensured one
        raise missing_metadata(name, "has no column of time", rate=True, unit=False)
    unused: list[LeftOut] = []
    for number in layout.no_unit:
        time = columns.numbers(number)
        found_s = _unit_by_rate(time, layout.fs_hz)
        if found_s is not None:
            return layout, _timing_by(name, replace(layout, fs_hz=None), found_s, time, columns.where)
        unused.append(LeftOut(layout.heading(number), f"has no unit of time, and no steps of {layout.fs_hz:g} Hz"))
    return replace(layout, left_out=(*layout.left_out, *unused)), even_timing(layout.fs_hz, columns.n_rows)


def _timing_by(name: str, layout: Layout, unit_s: float, time: Float64, where: Where) -> Timing:
    """The timing by a column, which a given rate must not contradict."""
    timing = timing_of(name, (time - time[:1]) * unit_s, where)
    if layout.notes.fs_hz is None:
        check_rate(name, timing.fs_hz, RecordOverrides(layout.fs_hz))
    return timing


def _agrees(layout: Layout, columns: TimeColumns) -> bool:
    """Whether the times of a table stay near those of the rate that the file states, from the first to the last."""
    seconds = [(columns.numbers(number), unit_s) for number, unit_s in layout.times]
    seconds += [(columns.clocks(number), 1.0) for number, _ in layout.clocks]
    expected_s = np.arange(columns.n_rows) / (layout.notes.fs_hz or 1)
    away_s = [np.abs((time - time[:1]) * unit_s - expected_s).max() for time, unit_s in seconds]
    return bool(max(away_s) < MAX_DELAY_S)


def _unit_by_rate(time: Float64, fs_hz: float) -> float | None:
    """Unit, in seconds, in which the steps of a column are those of a rate; None where there is none."""
    step = np.diff(time)
    if len(step) < 1 or not np.isfinite(step).all():
        return None
    for usual in (float(np.median(step)), float(step.mean())):
        for unit_s in sorted(set(S_OF_UNIT.values())):
            if abs(usual * unit_s * fs_hz - 1) < NEAR_RATE:
                return unit_s
    return None


def _start(layout: Layout, timing: Timing, columns: TimeColumns) -> tuple[datetime | None, time | None, str]:
    """Date and time of the start, or the time of day alone, and why it is in UTC, by the first times of a table."""
    for number, is_elapsed in layout.clocks:
        moment = moment_of(columns.first_cell(number))
        if moment is not None and (moment.day is not None or (moment.clock_s > 0 and not is_elapsed)):
            return *start_of(moment, timing.before_s), "are stated in UTC" if moment.is_utc else ""
    for number, unit_s in layout.times:
        first_s = float(columns.numbers(number)[0]) * unit_s
        if FIRST_UNIX_S < first_s < LAST_UNIX_S:
            return datetime(1970, 1, 1) + timedelta(seconds=first_s + timing.before_s), None, "count from 1970"
    return layout.notes.start, None, ""


def _record(path: Path, source: SignalSource, layout: Layout, columns: TimeColumns) -> Record:
    """A record of the leads of a table, at the rate of its times, or at the given rate."""
    layout, timing = _timing(path.name, layout, columns)
    start, clock, why_utc = _start(layout, timing, columns)
    check_rate(path.name, timing.fs_hz, NO_OVERRIDES)
    check_leads(path.name, len(layout.names))
    check_length(path.name, timing.fs_hz, timing.n_samples)
    stated = layout.fs_hz or timing.fs_hz
    doubts = [*layout.doubts, *timing.doubts]
    if abs(stated - timing.fs_hz) > SAME_RATE * timing.fs_hz:
        doubts.append(f"{stated:g} Hz is stated or given, its times are of {timing.fs_hz:g} Hz, at which it is read")
    if why_utc:
        doubts.append(f"its times {why_utc}, so its start is in UTC and not in local time")
    return Record(
        record_id=path.stem,
        source=source if len(timing.first) == 1 else GappedSource(source, timing),
        fs_hz=timing.fs_hz,
        n_samples=timing.n_samples,
        lead_names=distinct_names(layout.names),
        calibrated=(True,) * len(layout.names),
        start=start,
        start_clock=clock,
        left_out=layout.left_out,
        doubts=tuple(doubts),
        overrides=layout.overrides,
        files=(path,),
    )


def read_parquet(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a table in Parquet, whose leads stay on disk; only their beginning is checked.

    Raises
    ------
    RecordError, MissingMetadataError
        See ``read_table``.

    """
    names, n_rows = open_parquet(path)
    layout = layout_of(path.name, names, parquet_cells(path, names, N_SAMPLE), Notes(), overrides)
    n_checked = min(n_rows, HEAD_ROWS)
    layout = _without_counters(path, layout, {i: parquet_column(path, names[i], n_checked) for i in layout.leads})

    def name_of_day(number: int) -> str | None:
        day = layout.day_of(number)
        return None if day is None else names[day]

    source = ParquetSource(path, tuple(names[i] for i in layout.leads), layout.mv)
    columns = TimeColumns(
        numbers=cache(lambda number: parquet_column(path, names[number], n_rows)),
        clocks=cache(lambda number: parquet_times_s(path, names[number], n_rows, day=name_of_day(number))),
        first_cell=lambda number: parquet_first_time(path, names[number], day=name_of_day(number)),
        where=lambda row: f"row {row + 1}",
        n_rows=n_rows,
    )
    return _record(path, source, layout, columns)
