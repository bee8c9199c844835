"""Recordings as tables of text or Parquet: a column of time, or a given rate, and a column per lead.

The headings define the columns: ``time_s`` or ``time_ms``, and leads with their units, such as ``II_mv``,
``V1 (uV)`` or ``ecg [mV]``. What they leave open is not guessed: a person has to give it. Electrocardiograms of Apple
Watch, which state rate and unit in separate lines, are read too.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import RecordError
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Float64, Record
from ..text import format_quoted
from .limits import check_leads, check_length, distinct_names
from .overrides import apply_overrides, check_rate, missing_metadata
from .parquet_files import ParquetSource, open_parquet, parquet_column
from .samples import ArraySource
from .units import MV_OF_UNIT, S_OF_UNIT, WRITTEN_BY_HAND, mv_of_unit

if TYPE_CHECKING:
    import pandas as pd

LEAD = re.compile(rf"^(?P<name>.+?)[ _]*[\[(_ ](?P<unit>{'|'.join(WRITTEN_BY_HAND)})[\])]?$", re.IGNORECASE)
TIME = re.compile(rf"^(time|t|seconds|elapsed)[ _]*[\[(_ ]?(?P<unit>{'|'.join(S_OF_UNIT)})?[\])]?$", re.IGNORECASE)
COUNTERS = ("", "#", "n", "nr", "no", "row", "index", "sample", "samples", "sample #", "sample number", "timestamp")
UNNAMED = "unnamed:"  # pandas' name of a column without a heading
MAX_JITTER = 0.02  # of a time step, from rounding
MAX_JITTER_S = 0.0011  # times are often rounded to milliseconds
APPLE_RATE, APPLE_UNIT = "Sample Rate", "Unit"
SUFFIXES = (".csv", ".tsv", ".txt")
HEAD_BYTES = 1 << 16  # which include the headings
HEAD_ROWS = 1 << 16  # of Parquet, in which the leads are checked
EXAMPLE = 'write headings such as "time_s,II_mv,V1_mv"'


@dataclass(frozen=True)
class Layout:
    """Which columns of a table are time and leads, and their units."""

    time: int | None  # position of the column
    time_unit_s: float
    leads: tuple[int, ...]  # positions of the columns
    names: tuple[str | None, ...]
    mv: tuple[float, ...]  # of the unit, per lead
    fs_hz: float | None  # as given by a person
    overrides: RecordOverrides  # those that the headings left open


def is_table(path: Path, first: bytes) -> bool:
    """Whether a file is text with a suffix of tables."""
    return path.suffix.lower() in SUFFIXES and b"\0" not in first


def read_table(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Read a table of text as a record, all at once.

    Raises
    ------
    RecordError
        Steps of time are uneven, a value is not a number, or the overrides contradict the headings.
    MissingMetadataError
        Neither the headings nor the overrides give the rate, or the unit.

    """
    with path.open("rb") as stream:
        first = stream.read(HEAD_BYTES)
    lines = first.decode("utf-8-sig", errors="replace").splitlines()
    if any(line.startswith(APPLE_RATE) for line in lines[:20]):
        return apply_overrides(_read_apple(path), overrides)
    return _read_text(path, lines[0] if lines else "", overrides)


def _read_text(path: Path, heading: str, overrides: RecordOverrides) -> Record:
    """Read a table whose separator is the most frequent one of its first line."""
    separator = max(",;\t", key=heading.count)
    is_headless = _all_numbers(heading.split(separator))
    import pandas as pd  # noqa: PLC0415  # a quarter of a second, which only tables need

    try:
        table = pd.read_csv(
            path, sep=separator, decimal="," if separator == ";" else ".", header=None if is_headless else "infer",
            encoding="utf-8-sig", low_memory=False,
        )  # fmt: skip
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{path.name}: expected text in UTF-8, but byte {error.start} is not UTF-8; save it again in UTF-8."
        ) from error
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        raise RecordError(f"{path.name}: is not a table with a heading ({format_quoted(error)}); {EXAMPLE}.") from error
    shown = heading.split(separator) if is_headless else list(table)
    layout = _layout(path, shown, overrides, is_headless=is_headless)
    columns = [_numbers(path, table.iloc[:, i]) for i in layout.leads]
    for name, column in zip(layout.names, columns, strict=True):
        _check_lead(path, name, column)
    time_s = None if layout.time is None else _numbers(path, table.iloc[:, layout.time]) * layout.time_unit_s
    signal = np.stack([column.astype(np.float32) for column in columns])
    return _record(path, ArraySource(signal, layout.mv, (0.0,) * len(signal)), layout, time_s, len(table))


def read_parquet(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a table in Parquet, whose leads stay on disk; only their beginning is checked.

    Raises
    ------
    RecordError, MissingMetadataError
        See ``read_table``.

    """
    names, n_rows = open_parquet(path)
    layout = _layout(path, names, overrides, is_headless=False)
    source = ParquetSource(path, tuple(names[i] for i in layout.leads), layout.mv)
    n_checked = min(n_rows, HEAD_ROWS)
    for number, name in enumerate(layout.names):
        _check_lead(path, name, source.read(0, n_checked, (number,))[0].astype(np.float64))
    time_s = None if layout.time is None else parquet_column(path, names[layout.time], n_rows) * layout.time_unit_s
    return _record(path, source, layout, time_s, n_rows)


def _layout(path: Path, headings: Sequence[object], overrides: RecordOverrides, *, is_headless: bool) -> Layout:
    """Which columns are time and leads, and their units: by their headings, or as given."""
    plain = [str(name).strip().strip("'\"").strip() for name in headings]
    time_unit = {i: match["unit"] for i, name in enumerate(plain) if (match := TIME.match(name))}
    timed = [i for i, unit in time_unit.items() if unit]
    named = {i: match for i, name in enumerate(plain) if (match := LEAD.match(name)) and i not in time_unit}
    others = [i for i, name in enumerate(plain) if i not in time_unit and (is_headless or not _is_counter(name))]
    found = format_quoted(", ".join(plain[:6])) or "nothing"
    _check_given(path, overrides, found, has_time=bool(timed), lead_mv=[MV_OF_UNIT[_unit(m)] for m in named.values()])
    if not (named or others):
        raise RecordError(f"{path.name}: has no column of a lead, found {found}; {EXAMPLE}.")
    leads = tuple(named or others)
    return Layout(
        time=timed[0] if timed else None,
        time_unit_s=S_OF_UNIT[time_unit[timed[0]].lower()] if timed else 1.0,
        leads=leads,
        names=tuple(None if is_headless else named[i]["name"] if named else plain[i] for i in leads),
        mv=tuple(MV_OF_UNIT[_unit(named[i])] if named else 1 / (overrides.per_mv or 1) for i in leads),
        fs_hz=overrides.fs_hz,
        overrides=RecordOverrides(None if timed else overrides.fs_hz, None if named else overrides.per_mv),
    )


def _unit(heading: re.Match[str]) -> str:
    return heading["unit"].lower()


def _check_given(
    path: Path, overrides: RecordOverrides, found: str, *, has_time: bool, lead_mv: Sequence[float]
) -> None:
    """Refuse overrides that leave rate or unit open, or that contradict the units of the headings."""
    no_rate, no_unit = not has_time and overrides.fs_hz is None, not lead_mv and overrides.per_mv is None
    if no_rate or no_unit:
        raise missing_metadata(
            path.name, f"expected a column of time and columns of leads, each with its unit; found {found}",
            rate=no_rate, unit=no_unit, hint=f"To give them in the table, {EXAMPLE}.",
        )  # fmt: skip
    if overrides.per_mv is not None and {1 / mv for mv in lead_mv} - {overrides.per_mv}:
        raise RecordError(
            f"{path.name}: a unit of {overrides.per_mv:g} per mV was given, but its headings state another ({found}). "
            "Give no unit, or correct the headings."
        )


def _is_counter(name: str) -> bool:
    return name.casefold() in COUNTERS or name.casefold().startswith(UNNAMED)


def _all_numbers(words: Sequence[str]) -> bool:
    try:
        return bool(words) and all(float(word.strip().replace(",", ".")) is not None for word in words)
    except ValueError:
        return False


def _read_apple(path: Path) -> Record:
    """Read lines of names and values, followed by a number per line."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    fields: dict[str, str] = {}
    values: list[str] = []
    for row in csv.reader(lines):
        if len(row) == 2 and not re.fullmatch(r"\s*-?\d+", row[0]):
            fields[row[0].strip()] = row[1].strip()
        elif row and re.match(r"\s*-?\d", row[0]):
            values.append(".".join(part.strip() for part in row if part.strip()))
    rate = re.match(r"(\d+(?:[.,]\d+)?)", fields.get(APPLE_RATE, ""))
    mv = mv_of_unit(fields.get(APPLE_UNIT, ""), WRITTEN_BY_HAND)
    if rate is None or mv is None:
        raise RecordError(
            f"{path.name}: expected lines that state {APPLE_RATE} and {APPLE_UNIT}, found {', '.join(fields)[:80]}."
        )
    try:
        signal = np.array(values, dtype=np.float32)[None]
    except ValueError as error:
        raise RecordError(
            f"{path.name}: expected one number per line after the heading ({format_quoted(error)})."
        ) from error
    fs_hz, name = float(rate[1].replace(",", ".")), fields.get("Lead", "I").removeprefix("Lead ")
    layout = Layout(None, 1.0, (0,), (name,), (mv,), fs_hz, NO_OVERRIDES)
    return _record(path, ArraySource(signal, layout.mv, (0.0,)), layout, None, signal.shape[1])


def _numbers(path: Path, column: pd.Series) -> Float64:
    """A column as numbers, NaN where a cell is empty."""
    import pandas as pd  # noqa: PLC0415  # see above

    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        got, name = format_quoted(column.iloc[wrong[0]]), format_quoted(column.name)
        raise RecordError(f'{path.name}: line {wrong[0] + 2}, column {name}: expected a number, got "{got}".')
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def _check_lead(path: Path, name: str | None, column: Float64) -> None:
    """Refuse a column that cannot be a lead."""
    if np.isinf(column).any():
        raise RecordError(f"{path.name}: has infinite values; leave cells empty where nothing was recorded.")
    if len(column) > 1 and (np.diff(column) > 0).all():
        raise RecordError(
            f"{path.name}: the column {format_quoted(name or 'without a heading')} only rises, as a time or a counter "
            f"does; it is not a lead. To define the columns, {EXAMPLE}."
        )


def _rate(path: Path, time_s: Float64) -> float:
    """Sampling rate of evenly spaced times, in Hz."""
    step = np.diff(time_s)
    if len(step) < 2 or not np.isfinite(step).all() or step.min() <= 0:
        raise RecordError(
            f"{path.name}: its times do not rise from line to line; sort the lines, and leave no time out."
        )
    usual = (time_s[-1] - time_s[0]) / len(step)
    if max(step.max() - usual, usual - step.min()) > max(MAX_JITTER * usual, MAX_JITTER_S):
        line = int(np.abs(step - usual).argmax()) + 3
        raise RecordError(
            f"{path.name}: times are not evenly spaced: {usual:.6g} s from line to line, but {step[line - 3]:.6g} s "
            f"before line {line}. Fill gaps with empty cells."
        )
    return float(round(1 / usual, 3))


def _record(
    path: Path, source: ArraySource | ParquetSource, layout: Layout, time_s: Float64 | None, n_samples: int
) -> Record:
    """A record of the leads of a table, at the rate of its times, or at the given rate."""
    fs_hz = layout.fs_hz if time_s is None else _rate(path, time_s)
    if fs_hz is None:  # the layout has ensured one
        raise missing_metadata(path.name, "has no column of time", rate=True, unit=False)
    check_rate(path.name, fs_hz, RecordOverrides(layout.fs_hz))
    check_leads(path.name, len(layout.names))
    check_length(path.name, fs_hz, n_samples)
    return Record(
        record_id=path.stem,
        source=source,
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names(layout.names),
        calibrated=(True,) * len(layout.names),
        overrides=layout.overrides,
        files=(path,),
    )
