"""Times of a record as text: clock time, elapsed time, ISO 8601, duration."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from .schema import Record

TYPED: Final = re.compile(r"(\+)?(?:day\s*(\d{1,3})\s+)?(\d{1,3}):(\d\d)(?::(\d\d(?:\.\d+)?))?", re.IGNORECASE)
DAY_S, HOUR_S, MINUTE_S = 86_400, 3600, 60


def clock_text(record: Record, time_s: float, *, decimals: int = 0) -> str:
    """Clock time where the record's start is known, else elapsed time; the day is named from the second day on."""
    if record.start is None:
        return elapsed_text(time_s, decimals=decimals)
    whole_s, fraction = _split_seconds(time_s, decimals)
    moment = record.start + timedelta(seconds=whole_s)
    day = (moment.date() - record.start.date()).days
    return f"{f'day {day + 1} ' if day else ''}{moment:%H:%M:%S}{fraction}"


def elapsed_text(time_s: float, *, decimals: int = 0) -> str:
    """Time from the start as hours, minutes and seconds."""
    whole_s, fraction = _split_seconds(time_s, decimals)
    return f"{whole_s // 3600:02d}:{whole_s // 60 % 60:02d}:{whole_s % 60:02d}{fraction}"


def _split_seconds(time_s: float, decimals: int) -> tuple[int, str]:
    """Whole seconds, and the fraction of a second as text."""
    scale = 10**decimals
    whole_s, fraction = divmod(round(time_s * scale), scale)
    return whole_s, f".{fraction:0{decimals}d}" if decimals else ""


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
    if record.start is None or found[1]:
        return typed_s
    if typed_s >= DAY_S:
        raise ValueError(text)
    start = record.start
    start_s = start.hour * HOUR_S + start.minute * MINUTE_S + start.second + start.microsecond / 1e6
    if found[2]:
        return (int(found[2]) - 1) * DAY_S + typed_s - start_s
    if not found[5] and 0 < start_s - typed_s < MINUTE_S:
        return 0.0  # the minute in which the recording began
    return typed_s - start_s + (DAY_S if typed_s < start_s else 0)


def iso_text(record: Record, time_s: float | None) -> str:
    """Date and time by ISO 8601 to the millisecond; empty where the start of the record or the time is unknown."""
    if record.start is None or time_s is None:
        return ""
    return (record.start + timedelta(milliseconds=round(1000 * time_s))).isoformat(timespec="milliseconds")


def duration_text(seconds: float) -> str:
    """A duration in its two largest units, such as 1 min 30 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
