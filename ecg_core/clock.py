"""Times of a record as text: clock time, elapsed time, ISO 8601, duration."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final

from .errors import EcgError
from .schema import Record

TYPED: Final = re.compile(r"(\+)?(?:day\s*(\d{1,3})\s+)?(\d{1,3}):(\d\d)(?::(\d\d(?:\.\d+)?))?", re.IGNORECASE)
WITH_DAY: Final = re.compile(r"(\d{1,3}):(\d{1,2}:\d\d:\d\d(?:\.\d+)?)")
_NUMBER = r"(\d+(?:\.\d+)?)"
IN_UNITS: Final = re.compile(
    rf"(?:{_NUMBER}\s*h)?\s*(?:{_NUMBER}\s*m(?:in)?)?\s*(?:{_NUMBER}\s*(?:s|sec)?)?", re.IGNORECASE
)  # fmt: skip
ANY_DAY: Final = date(2000, 1, 1)  # of a time of day without a date
DAY_S, HOUR_S, MINUTE_S = 86_400, 3600, 60
US_PER_S: Final = 1_000_000


def clock_of(record: Record) -> datetime | None:
    """Start by the clock, on ANY_DAY where its date is not known; None where its time of day is not."""
    if record.start is not None or record.start_clock is None:
        return record.start
    return datetime.combine(ANY_DAY, record.start_clock)


def moment_after(start: datetime, time_s: float, *, decimals: int) -> datetime:
    """Moment so many seconds after a start: not the seconds but the moment is rounded, half a step upwards.

    The start may have a fraction of a second itself: an hour after 20:15:30.7 it is 21:15:31, and the full hour before
    is 21:00:00 however it is reckoned.
    """
    step_us = US_PER_S // 10**decimals
    moment = start + timedelta(microseconds=round(US_PER_S * time_s) + step_us // 2)
    return moment.replace(microsecond=moment.microsecond // step_us * step_us)


def moment_of(record: Record, time_s: float, *, decimals: int = 3) -> datetime | None:
    """Moment of a record by the clock, rounded; on ANY_DAY where the date is not known, None where the start is not."""
    clock = clock_of(record)
    return None if clock is None else moment_after(clock, time_s, decimals=decimals)


def clock_text(record: Record, time_s: float, *, decimals: int = 0) -> str:
    """Clock time where that of the record's start is known, else elapsed time; the day is named from the second on."""
    clock, moment = clock_of(record), moment_of(record, time_s, decimals=decimals)
    if clock is None or moment is None:
        return elapsed_text(time_s, decimals=decimals)
    day = (moment.date() - clock.date()).days
    fraction = f".{moment.microsecond:06d}"[: decimals + 1] if decimals else ""
    return f"{f'day {day + 1} ' if day else ''}{moment:%H:%M:%S}{fraction}"


def start_text(record: Record) -> str:
    """Date and time of the start of a record; in words where the file does not state them."""
    moment = moment_of(record, 0.0, decimals=0)
    if moment is None:
        return "unknown; times are elapsed times"
    return f"{moment:%Y-%m-%d %H:%M:%S}" if record.start else f"{moment:%H:%M:%S}, date unknown"


def elapsed_text(time_s: float, *, decimals: int = 0) -> str:
    """Time from the start as hours, minutes and seconds."""
    scale = 10**decimals
    whole_s, fraction = divmod(round(time_s * scale), scale)
    text = f"{whole_s // 3600:02d}:{whole_s // 60 % 60:02d}:{whole_s % 60:02d}"
    return f"{text}.{fraction:0{decimals}d}" if decimals else text


def time_of(record: Record, text: str) -> float:
    """Seconds from the start of a record to a time as ``clock_text`` writes it, without seconds if they are not known.

    Where the start is known it is a time by the clock, of the first day that has it unless a day is named; with a plus
    before it, and where the start is unknown, it is elapsed time: hours, minutes and seconds.

    Raises
    ------
    ValueError
        The text is no time.

    """
    found = TYPED.fullmatch(text.strip())
    if found is None or int(found[4]) >= MINUTE_S or float(found[5] or 0) >= MINUTE_S:
        raise ValueError(text)
    typed_s = int(found[3]) * HOUR_S + int(found[4]) * MINUTE_S + float(found[5] or 0)
    start = clock_of(record)
    if start is None or found[1]:
        return typed_s
    if typed_s >= DAY_S:
        raise ValueError(text)
    start_s = start.hour * HOUR_S + start.minute * MINUTE_S + start.second + start.microsecond / 1e6
    if found[2]:
        return (int(found[2]) - 1) * DAY_S + typed_s - start_s
    if 0 < start_s - typed_s < (1 if found[5] else MINUTE_S):
        return 0.0  # the minute or second in which the recording began
    return typed_s - start_s + (DAY_S if typed_s < start_s else 0)


def place_of(record: Record, text: str, *, here_s: float) -> float:
    """Seconds from the start of a record to the place that a reader asks for.

    Parameters
    ----------
    text
        A time as ``time_of`` reads it, or with its day before it (2:14:05:30); a time from the start in units
        (1h02m, 3723 s); or a step from ``here_s`` with its sign (+30, -5m).

    Raises
    ------
    EcgError
        The text is no place, or one outside the record.

    >>> from ecg_core import read_record
    >>> place_of(read_record("demo_data/demo"), "08:10:30", here_s=0.0)
    630.0

    """
    try:
        time_s = _place_s(record, text.strip(), here_s)
    except ValueError:
        raise EcgError(
            f'"{text.strip()}" is no time: expected a time such as 14:05 or 14:05:30, with its day 2:14:05:30, from '
            "the start of the recording 1h02m or 3723 s, or a step +30 or -30 (seconds)."
        ) from None
    if not 0 <= time_s <= record.duration_s:
        first, last = clock_text(record, 0.0), clock_text(record, record.duration_s)
        raise EcgError(f"{text.strip()} lies outside the recording, which is from {first} to {last}.")
    return time_s


def _place_s(record: Record, text: str, here_s: float) -> float:
    with_day = WITH_DAY.fullmatch(text)
    if with_day is not None:
        day, clock = int(with_day[1]), with_day[2]
        return time_of(record, f"day {day} {clock}") + (0 if clock_of(record) else (day - 1) * DAY_S)
    if ":" in text:
        return time_of(record, text)
    sign = {"+": 1, "-": -1}.get(text[:1], 0)
    found = IN_UNITS.fullmatch(text[1:].strip() if sign else text)
    if found is None or not any(found.groups()):
        raise ValueError(text)
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    length_s = hours * HOUR_S + minutes * MINUTE_S + seconds
    return here_s + sign * length_s if sign else length_s


def iso_text(record: Record, time_s: float | None) -> str:
    """Date and time by ISO 8601 to the millisecond; empty where the start of the record or the time is unknown."""
    if record.start is None or time_s is None:
        return ""
    return moment_after(record.start, time_s, decimals=3).isoformat(timespec="milliseconds")


def duration_text(seconds: float) -> str:
    """A duration in its two largest units, such as 1 min 30 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
