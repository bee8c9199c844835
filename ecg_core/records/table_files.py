"""Recordings as tables of text: a column of time, or a stated rate, and a column a lead. Nothing is guessed.

The headings say what the columns are: ``time_s`` or ``time_ms``, and a lead with its unit, such as ``II_mv``,
``V1 (uV)`` or ``ecg [mV]``. Apple Watch's electrocardiograms, which state rate and unit in lines of their own, are
read too.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import RecordError
from ..schema import Float64, Record
from .limits import check_length, distinct_names
from .samples import ArraySource

MV_OF_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}
S_OF_UNIT = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3}
LEAD = re.compile(r"^(?P<name>.+?)[ _]*[\[(_ ](?P<unit>mv|uv|µv|μv|v)[\])]?$", re.IGNORECASE)
TIME = re.compile(r"^(time|t|seconds|elapsed)[ _]*[\[(_ ]?(?P<unit>s|sec|seconds|ms)?[\])]?$", re.IGNORECASE)
EVEN = 0.02  # time steps may differ by so much of a step, from rounding
APPLE_RATE, APPLE_UNIT = "Sample Rate", "Unit"
ENDINGS = (".csv", ".tsv", ".txt")
PARQUET_MAGIC = b"PAR1"
EXAMPLE = 'write headings such as "time_s,II_mv,V1_mv"'


def is_table(path: Path, first: bytes) -> bool:
    """Whether a file is Parquet, or text of an ending that tables have."""
    return first.startswith(PARQUET_MAGIC) or (path.suffix.lower() in ENDINGS and b"\0" not in first)


def read_table(path: Path) -> Record:
    """Read a table of text as a record.

    Raises
    ------
    RecordError
        Time, rate or unit is not stated, steps of time are uneven, or a value is no number.

    """
    with path.open("rb") as stream:
        if stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            return _read_columns(path, _parquet(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{path.name}: expected text in UTF-8, but byte {error.start} is none; save it anew."
        ) from error
    lines = text.splitlines()
    if any(line.startswith(APPLE_RATE) for line in lines[:20]):
        return _read_apple(path, lines)
    separator = max(",;\t", key=(lines[0] if lines else "").count)
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, decimal="," if separator == ";" else ".")
    except (ValueError, pd.errors.ParserError) as error:
        raise RecordError(f"{path.name}: is no table with a heading ({error}); {EXAMPLE}.") from error
    return _read_columns(path, table)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # the decoder raises whatever the bytes make it trip over
        raise RecordError(f"{path.name}: begins as Parquet but cannot be read as such ({error}).") from error


def _read_columns(path: Path, table: pd.DataFrame) -> Record:
    """A record from columns that say what they are."""
    headings = [str(name).strip() for name in table]
    times = [(i, match["unit"]) for i, name in enumerate(headings) if (match := TIME.match(name)) and match["unit"]]
    taken = [i for i, _ in times]
    leads = [(i, match) for i, name in enumerate(headings) if (match := LEAD.match(name)) and i not in taken]
    if not times or not leads:
        raise RecordError(
            f"{path.name}: expected a column of time and columns of leads, each with its unit; found "
            f"{', '.join(headings[:6]) or 'nothing'}. Nothing is guessed: {EXAMPLE}."
        )
    (time, unit), *_ = times
    numbers = _numbers(path, table.iloc[:, [time, *(i for i, _ in leads)]])
    fs_hz = _rate(path, numbers[:, 0] * S_OF_UNIT[unit.lower()])
    scale = np.array([MV_OF_UNIT[match["unit"].lower()] for _, match in leads])
    return _record(path, (numbers[:, 1:] * scale).T, fs_hz, [match["name"] for _, match in leads])


def _read_apple(path: Path, lines: list[str]) -> Record:
    """Lines of names and values, then a number a line."""
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
        signal = np.array(values, dtype=np.float64) * MV_OF_UNIT[unit]
    except ValueError as error:
        raise RecordError(f"{path.name}: expected a number a line after the heading ({error}).") from error
    return _record(
        path, signal[None], float(rate[1].replace(",", ".")), [stated.get("Lead", "I").removeprefix("Lead ")]
    )


def _numbers(path: Path, table: pd.DataFrame) -> Float64:
    """The columns as numbers; an empty cell is a gap."""
    for name in table:
        column = pd.to_numeric(table[name], errors="coerce")
        wrong = np.flatnonzero(column.isna() & table[name].notna())
        if len(wrong):
            got = str(table[name].iloc[wrong[0]])[:40]
            raise RecordError(f'{path.name}: line {wrong[0] + 2}, column {name}: expected a number, got "{got}".')
    return np.asarray(table.to_numpy(dtype=np.float64, na_value=np.nan))


def _rate(path: Path, time_s: Float64) -> float:
    """Samples a second of evenly spaced times."""
    step = np.diff(time_s)
    if len(step) < 2 or not np.isfinite(step).all() or step.min() <= 0:
        raise RecordError(f"{path.name}: its times do not rise from line to line; sort it, and leave no time out.")
    usual = (time_s[-1] - time_s[0]) / len(step)
    rounding = np.abs(step - usual).max()
    if rounding > max(EVEN * usual, 0.0011):
        line = int(np.abs(step - usual).argmax()) + 3
        raise RecordError(
            f"{path.name}: times are not evenly spaced: {usual:.6g} s from line to line, but {step[line - 3]:.6g} s "
            f"before line {line}. Fill gaps with empty cells."
        )
    return float(round(1 / usual, 3))


def _record(path: Path, signal_mv: Float64, fs_hz: float, names: list[str]) -> Record:
    n_samples = signal_mv.shape[1]
    check_length(path.name, fs_hz, n_samples)
    if np.isinf(signal_mv).any():
        raise RecordError(f"{path.name}: holds infinite values; leave cells empty where nothing was recorded.")
    return Record(
        record_id=path.stem,
        source=ArraySource(signal_mv.astype(np.float32)),
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names(names),
        calibrated=(True,) * len(names),
        files=(path,),
    )
