"""Times of day, dates and elapsed times in the cells of a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np

from ..schema import Float64
from .table_cells import CLOCK

if TYPE_CHECKING:
    import pandas as pd

DAY_S, HALF_DAY_S = 86_400.0, 43_200.0


@dataclass(frozen=True)
class Moment:
    """What one cell states."""

    clock_s: float  # since midnight, or elapsed
    day: date | None  # None where it states none, or one that can be read in two ways
    has_hours: bool


def moment_of(cell: str) -> Moment | None:
    """The time in a cell; None where it is none."""
    found = CLOCK.fullmatch(cell)
    if found is None:
        return None
    parts = found["time"].replace(",", ".").split(":")
    if len(parts) == 4:  # hours:minutes:seconds:milliseconds
        parts = [*parts[:2], f"{parts[2]}.{parts[3]}"]
    has_hours = len(parts) == 3 or bool(found["date"] or found["date_after"])
    if has_hours and len(parts) == 2:
        parts.append("0")
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + float(part)
    if found["half"]:
        seconds = seconds % HALF_DAY_S + (HALF_DAY_S if found["half"][0].casefold() == "p" else 0)
    return Moment(seconds, _day_of(found["date"] or found["date_after"], is_wfdb=cell.startswith("[")), has_hours)


def _day_of(text: str | None, *, is_wfdb: bool) -> date | None:
    """The day of a date; None where day and month could be either."""
    if text is None:
        return None
    mark = next(letter for letter in text if not letter.isdigit())
    a, b, c = map(int, text.split(mark))
    if a > 31:
        year, month, day = a, b, c
    elif mark == "." or is_wfdb or a > 12:  # WFDB writes [hh:mm:ss.mmm dd/mm/yyyy]
        year, month, day = c, b, a
    elif b > 12:
        year, month, day = c, a, b
    else:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def clocks_s(cells: pd.Series) -> Float64:
    """Seconds of each cell since midnight of the first day, or elapsed; NaN where it is no time."""
    import pandas as pd  # noqa: PLC0415  # see ``read_columns``

    plain = cells.astype("str").str.strip("'\" ")
    first = moment_of(plain.iloc[0]) if len(plain) else None
    if first is None:
        return np.full(len(plain), np.nan)
    if first.day is not None and plain.iloc[0][:4].isdigit():  # ISO 8601, which pandas reads at once
        stamps = pd.to_datetime(plain.str.replace(",", "."), format="ISO8601", errors="coerce", utc=True)
        seconds = (stamps - stamps.iloc[0]).dt.total_seconds().to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(seconds + first.clock_s)
    seconds = _clock_parts_s(plain)
    if not first.has_hours:
        return seconds
    with np.errstate(invalid="ignore"):
        midnight = np.diff(seconds, prepend=seconds[:1]) < -HALF_DAY_S
    return np.asarray(seconds + DAY_S * np.cumsum(midnight))


def _clock_parts_s(plain: pd.Series) -> Float64:
    """Seconds since midnight, or elapsed, of each cell, without its date."""
    import pandas as pd  # noqa: PLC0415  # see ``read_columns``

    parts = plain.str.extract(r"(?:^|[\[ T])(?:(\d{1,3}):)?(\d{1,2}):(\d{2}(?:[.,:]\d+)?)\D*(?:\s|$|\])")
    hours, minutes, rest = (parts[number] for number in range(3))
    seconds = pd.to_numeric(rest.str.replace("[,:]", ".", regex=True), errors="coerce")
    minutes_s = 60 * pd.to_numeric(minutes, errors="coerce")
    hours_s = 3600 * pd.to_numeric(hours, errors="coerce").fillna(0)
    total = (hours_s + minutes_s + seconds).to_numpy(dtype=np.float64, na_value=np.nan)
    half = plain.str.extract(r"([apAP])\.?[mM]\.?")[0]
    if half.notna().any():
        total = total % HALF_DAY_S + np.where(half.str.casefold() == "p", HALF_DAY_S, 0)
    return np.asarray(total)


def start_of(first: Moment | None, later_s: float = 0.0) -> tuple[datetime | None, time | None]:
    """Start of a recording by its first time: with its date, or as a time of day."""
    if first is None or not first.has_hours or not 0 <= first.clock_s < DAY_S:
        return None, None
    at_us = round((first.clock_s + later_s) * 1e6) % round(DAY_S * 1e6)
    clock = (datetime.min + timedelta(microseconds=at_us)).time()
    return (None, clock) if first.day is None else (datetime.combine(first.day, clock), None)
