"""Recordings as tables of text or Parquet: a column of time, or a stated rate, and a column a lead. Nothing is guessed.

The headings say what the columns are: ``time_s`` or ``time_ms``, and a lead with its unit, such as ``II_mv``,
``V1 (uV)`` or ``ecg [mV]``. What they leave open a person has to state. Apple Watch's electrocardiograms, which state
rate and unit in lines of their own, are read too.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import RecordError
from ..schema import Float64, Record, RecordOverrides
from ..text import format_quoted
from .limits import check_leads, check_length, distinct_names
from .overrides import apply_overrides, check_rate, missing_metadata
from .parquet_files import PARQUET_MAGIC, ParquetSource, open_parquet, parquet_column
from .samples import ArraySource

MV_OF_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}
S_OF_UNIT = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3}
LEAD = re.compile(r"^(?P<name>.+?)[ _]*[\[(_ ](?P<unit>mv|uv|µv|μv|v)[\])]?$", re.IGNORECASE)
TIME = re.compile(r"^(time|t|seconds|elapsed)[ _]*[\[(_ ]?(?P<unit>s|sec|seconds|ms)?[\])]?$", re.IGNORECASE)
COUNTERS = ("", "#", "n", "nr", "no", "row", "index", "sample", "samples", "sample #", "sample number", "timestamp")
UNNAMED = "unnamed:"  # what pandas calls a column without a heading
EVEN = 0.02  # time steps may differ by so much of a step, from rounding
APPLE_RATE, APPLE_UNIT = "Sample Rate", "Unit"
ENDINGS = (".csv", ".tsv", ".txt")
HEAD_BYTES = 1 << 16  # in which the headings stand
EXAMPLE = 'write headings such as "time_s,II_mv,V1_mv"'


@dataclass(frozen=True)
class Layout:
    """What the columns of a table are."""

    time: int | None  # its position
    time_unit_s: float
    leads: tuple[int, ...]  # their positions
    names: tuple[str | None, ...]
    mv: tuple[float, ...]  # of the unit of each lead
    fs_hz: float | None  # as stated by a person
    overrides: RecordOverrides  # what of it was needed


def is_table(path: Path, first: bytes) -> bool:
    """Whether a file is Parquet, or text of an ending that tables have."""
    return first.startswith(PARQUET_MAGIC) or (path.suffix.lower() in ENDINGS and b"\0" not in first)


def read_table(path: Path, overrides: RecordOverrides) -> Record:
    """Read a table as a record; one of text as a whole, of Parquet piece by piece.

    Raises
    ------
    RecordError
        Steps of time are uneven, a value is no number, or what was stated contradicts the headings.
    MissingMetadataError
        Neither the headings nor a person say what the rate is, or the unit.

    """
    with path.open("rb") as stream:
        first = stream.read(HEAD_BYTES)
    if first.startswith(PARQUET_MAGIC):
        return _read_parquet(path, overrides)
    lines = first.decode("utf-8-sig", errors="replace").splitlines()
    if any(line.startswith(APPLE_RATE) for line in lines[:20]):
        return apply_overrides(_read_apple(path), overrides)
    return _read_text(path, lines[0] if lines else "", overrides)


def _read_text(path: Path, heading: str, overrides: RecordOverrides) -> Record:
    """A table of text, its separator told from its first line."""
    separator = max(",;\t", key=heading.count)
    is_headless = _all_numbers(heading.split(separator))
    try:
        table = pd.read_csv(
            path, sep=separator, decimal="," if separator == ";" else ".", header=None if is_headless else "infer",
            encoding="utf-8-sig", low_memory=False,
        )  # fmt: skip
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{path.name}: expected text in UTF-8, but byte {error.start} is none; save it anew."
        ) from error
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        raise RecordError(f"{path.name}: is no table with a heading ({format_quoted(error)}); {EXAMPLE}.") from error
    shown = heading.split(separator) if is_headless else list(table)
    layout = _layout(path, shown, overrides, is_headless=is_headless)
    columns = [_numbers(path, table.iloc[:, i]) for i in layout.leads]
    for name, column in zip(layout.names, columns, strict=True):
        _check_lead(path, name, column)
    time_s = None if layout.time is None else _numbers(path, table.iloc[:, layout.time]) * layout.time_unit_s
    signal = np.stack([column.astype(np.float32) for column in columns])
    return _record(path, ArraySource(signal, layout.mv, (0.0,) * len(signal)), layout, time_s, len(table))


def _read_parquet(path: Path, overrides: RecordOverrides) -> Record:
    """A table of Parquet; of its leads only the beginning is looked at."""
    names, n_rows = open_parquet(path)
    layout = _layout(path, names, overrides, is_headless=False)
    source = ParquetSource(path, tuple(names[i] for i in layout.leads), layout.mv)
    n_looked = min(n_rows, HEAD_BYTES)
    for number, name in enumerate(layout.names):
        _check_lead(path, name, source.read(0, n_looked, (number,))[0].astype(np.float64))
    time_s = None if layout.time is None else parquet_column(path, names[layout.time], n_rows) * layout.time_unit_s
    return _record(path, source, layout, time_s, n_rows)


def _layout(path: Path, headings: Sequence[object], overrides: RecordOverrides, *, is_headless: bool) -> Layout:
    """Which columns are time and leads, and what their unit is: by their headings, or as stated."""
    plain = [str(name).strip().strip("'\"").strip() for name in headings]
    times = {i: match["unit"] for i, name in enumerate(plain) if (match := TIME.match(name))}
    timed = [i for i, unit in times.items() if unit]
    named = {i: match for i, name in enumerate(plain) if (match := LEAD.match(name)) and i not in times}
    others = [i for i, name in enumerate(plain) if i not in times and (is_headless or not _is_counter(name))]
    found = format_quoted(", ".join(plain[:6])) or "nothing"
    no_rate, no_unit = not timed and overrides.fs_hz is None, not named and overrides.per_mv is None
    if no_rate or no_unit:
        raise missing_metadata(
            path.name, f"expected a column of time and columns of leads, each with its unit; found {found}",
            rate=no_rate, unit=no_unit, hint=f", or {EXAMPLE}",
        )  # fmt: skip
    if not (named or others):
        raise RecordError(f"{path.name}: has no column of a lead, found {found}; {EXAMPLE}.")
    leads = tuple(named or others)
    own = {1 / MV_OF_UNIT[match["unit"].lower()] for match in named.values()}
    if overrides.per_mv is not None and own - {overrides.per_mv}:
        raise RecordError(
            f"{path.name}: {overrides.per_mv:g} a mV were stated, its headings say another unit ({found}); leave --unit "
            "out, or correct the headings."
        )
    mv = [MV_OF_UNIT[named[i]["unit"].lower()] if named else 1 / (overrides.per_mv or 1) for i in leads]
    return Layout(
        time=timed[0] if timed else None,
        time_unit_s=S_OF_UNIT[times[timed[0]].lower()] if timed else 1.0,
        leads=leads,
        names=tuple(None if is_headless else named[i]["name"] if named else plain[i] for i in leads),
        mv=tuple(mv),
        fs_hz=overrides.fs_hz,
        overrides=RecordOverrides(None if timed else overrides.fs_hz, None if named else overrides.per_mv),
    )


def _is_counter(name: str) -> bool:
    return name.casefold() in COUNTERS or name.casefold().startswith(UNNAMED)


def _all_numbers(words: Sequence[str]) -> bool:
    try:
        return bool(words) and all(float(word.strip().replace(",", ".")) is not None for word in words)
    except ValueError:
        return False


def _read_apple(path: Path) -> Record:
    """Lines of names and values, then a number a line."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    stated: dict[str, str] = {}
    values: list[str] = []
    for row in csv.reader(lines):
        if len(row) == 2 and not re.fullmatch(r"\s*-?\d+", row[0]):
            stated[row[0].strip()] = row[1].strip()
        elif row and re.match(r"\s*-?\d", row[0]):
            values.append(".".join(part.strip() for part in row if part.strip()))
    rate = re.match(r"(\d+(?:[.,]\d+)?)", stated.get(APPLE_RATE, ""))
    unit = stated.get(APPLE_UNIT, "").lower()
    if rate is None or unit not in MV_OF_UNIT:
        raise RecordError(
            f"{path.name}: expected lines that state {APPLE_RATE} and {APPLE_UNIT}, found {', '.join(stated)[:80]}."
        )
    try:
        signal = np.array(values, dtype=np.float32)[None]
    except ValueError as error:
        raise RecordError(
            f"{path.name}: expected a number a line after the heading ({format_quoted(error)})."
        ) from error
    fs_hz, name = float(rate[1].replace(",", ".")), stated.get("Lead", "I").removeprefix("Lead ")
    layout = Layout(None, 1.0, (0,), (name,), (MV_OF_UNIT[unit],), fs_hz, RecordOverrides())
    return _record(path, ArraySource(signal, layout.mv, (0.0,)), layout, None, signal.shape[1])


def _numbers(path: Path, column: pd.Series) -> Float64:
    """A column as numbers; an empty cell is a gap."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        got, name = format_quoted(column.iloc[wrong[0]]), format_quoted(column.name)
        raise RecordError(f'{path.name}: line {wrong[0] + 2}, column {name}: expected a number, got "{got}".')
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def _check_lead(path: Path, name: str | None, column: Float64) -> None:
    """Refuse what is no voltage."""
    if np.isinf(column).any():
        raise RecordError(f"{path.name}: holds infinite values; leave cells empty where nothing was recorded.")
    if len(column) > 1 and (np.diff(column) > 0).all():
        raise RecordError(
            f"{path.name}: the column {format_quoted(name or 'without a heading')} only rises, as a time or a counter does; "
            f"it is no lead. To say what columns are, {EXAMPLE}."
        )


def _rate(path: Path, time_s: Float64) -> float:
    """Samples a second of evenly spaced times."""
    step = np.diff(time_s)
    if len(step) < 2 or not np.isfinite(step).all() or step.min() <= 0:
        raise RecordError(f"{path.name}: its times do not rise from line to line; sort it, and leave no time out.")
    usual = (time_s[-1] - time_s[0]) / len(step)
    if max(step.max() - usual, usual - step.min()) > max(EVEN * usual, 0.0011):
        line = int(np.abs(step - usual).argmax()) + 3
        raise RecordError(
            f"{path.name}: times are not evenly spaced: {usual:.6g} s from line to line, but {step[line - 3]:.6g} s "
            f"before line {line}. Fill gaps with empty cells."
        )
    return float(round(1 / usual, 3))


def _record(
    path: Path, source: ArraySource | ParquetSource, layout: Layout, time_s: Float64 | None, n_samples: int
) -> Record:
    """A record of the leads of a table, at the rate of its times, or the one that was stated."""
    fs_hz = layout.fs_hz if time_s is None else _rate(path, time_s)
    if fs_hz is None:  # the layout has seen to it
        raise missing_metadata(path.name, "states no rate", rate=True, unit=False, hint="")
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
