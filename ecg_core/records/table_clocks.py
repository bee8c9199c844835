"""Times of day, dates and elapsed times in the cells of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from ..schema import Float64, Index
from .table_cells import CLOCK, DATE

if TYPE_CHECKING:
    import pandas as pd

DAY_S, HALF_DAY_S = 86_400.0, 43_200.0
UTC: Final = re.compile(r"Z| ?[-+]00:?00| UTC", re.IGNORECASE)


@dataclass(frozen=True)
class Moment:
    """What one cell states."""

    clock_s: float  # since midnight, or elapsed
    day: date | None  # None where it states none, or one that can be read in two ways
    has_hours: bool
    is_utc: bool = False  # stated, by Z, UTC or +00:00


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
    day = _day_of(found["date"] or found["date_after"], is_wfdb=cell.startswith("["))
    return Moment(seconds, day, has_hours, is_utc=bool(UTC.fullmatch(found["zone"] or "")))


def _day_of(text: str | None, *, is_wfdb: bool) -> date | None:
    """The day of a date; None where day and month could be either."""
    if text is None:
        return None
    days = [_day_in(text, order) for order in _orders(text, is_wfdb=is_wfdb)]
    known = {day for day in days if day}
    return known.pop() if len(known) == 1 else None


def _orders(text: str, *, is_wfdb: bool) -> tuple[str, ...]:
    """The orders in which a date may be written: y, m and d."""
    if text[:4].isdigit():
        return ("ymd",)
    return ("dmy",) if "." in text or is_wfdb else ("dmy", "mdy")  # WFDB writes [hh:mm:ss.mmm dd/mm/yyyy]


def _day_in(text: str, order: str) -> date | None:
    parts = dict(zip(order, map(int, re.split(r"\D", text)), strict=True))
    try:
        return date(parts["y"], parts["m"], parts["d"])
    except ValueError:
        return None


def clocks_s(cells: pd.Series) -> Float64:
    """Seconds of each cell since midnight of the first day, or elapsed; NaN where it is no time."""
    plain = cells.astype("str").str.strip("'\" ")
    first = moment_of(plain.iloc[0]) if len(plain) else None
    if first is None:
        return np.full(len(plain), np.nan)
    days: Index | None = np.zeros(len(plain), dtype=np.int64)
    seconds = _iso_s(plain, first)
    if seconds is None:
        seconds = _clock_parts_s(plain)
        days = _days(plain) if first.has_hours else days
    with np.errstate(invalid="ignore"):
        is_back = np.diff(seconds, prepend=seconds[:1]) < -HALF_DAY_S
    if days is None or (first.has_hours and is_back.any() and _is_of_one_day(plain)):
        days = np.cumsum(is_back)  # of a clock without a date, or with that of the start
    return np.asarray(seconds + DAY_S * days)


def _iso_s(plain: pd.Series, first: Moment) -> Float64 | None:
    """Times of ISO 8601, which pandas reads at once; None where the first one is none, as with hours of half a day."""
    import pandas as pd  # noqa: PLC0415  # see ``read_columns``

    if first.day is None or not plain.iloc[0][:4].isdigit():
        return None
    stamps = pd.to_datetime(plain.str.replace(",", "."), format="ISO8601", errors="coerce", utc=True)
    seconds = (stamps - stamps.iloc[0]).dt.total_seconds().to_numpy(dtype=np.float64, na_value=np.nan)
    return None if stamps.isna().iloc[0] else np.asarray(seconds + first.clock_s)


def _is_of_one_day(plain: pd.Series) -> bool:
    dates = _dates_in(plain)
    return bool((dates == dates.iloc[0]).all())


def _dates_in(plain: pd.Series) -> pd.Series:
    return plain.str.extract(rf"(?:^|[\s\[])({DATE})(?=[T\s\]]|$)")[0]


def _days(plain: pd.Series) -> Index | None:
    """Days of each cell since the first, by its date; None where a cell has none that can be read.

    Where day and month could be either, they are what makes the recording shortest.
    """
    import pandas as pd  # noqa: PLC0415  # see ``read_columns``

    place, texts = pd.factorize(_dates_in(plain))
    if not len(texts) or place.min() < 0:
        return None
    readings = [
        [_day_in(text, order) for text in texts] for order in _orders(texts[0], is_wfdb=plain.iloc[0].startswith("["))
    ]
    ordinals = [[day.toordinal() for day in days if day] for days in readings]
    whole = [np.array(found, dtype=np.int64) for found in ordinals if len(found) == len(texts)]
    days = min(whole, key=np.ptp, default=None)
    return None if days is None else (days - days[0])[place]


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


def dated(clocks: pd.Series, dates: pd.Series) -> pd.Series:
    """Times of day with the dates of another column before them."""
    return dates.astype("str").str.strip("'\" ") + " " + clocks.astype("str").str.strip("'\" ")


def start_of(first: Moment | None, later_s: float = 0.0) -> tuple[datetime | None, time | None]:
    """Start of a recording by its first time: with its date, or as a time of day."""
    if first is None or not first.has_hours or not 0 <= first.clock_s < DAY_S:
        return None, None
    at_us = round((first.clock_s + later_s) * 1e6) % round(DAY_S * 1e6)
    clock = (datetime.min + timedelta(microseconds=at_us)).time()
    return (None, clock) if first.day is None else (datetime.combine(first.day, clock), None)
