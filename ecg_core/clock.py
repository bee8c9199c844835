"""Moments of a record as a reader and a program name them."""

from __future__ import annotations

from datetime import timedelta

from .schema import Record


def clock_text(record: Record, time_s: float, *, decimals: int = 0) -> str:
    """Clock time where the record's start is known, else time from its start; days are named from the second on."""
    scale = 10**decimals
    ticks = round(time_s * scale)
    since_s, fraction = divmod(ticks, scale)
    tail = f".{fraction:0{decimals}d}" if decimals else ""
    if record.start is None:
        return f"{since_s // 3600:02d}:{since_s // 60 % 60:02d}:{since_s % 60:02d}{tail}"
    moment = record.start + timedelta(seconds=since_s)
    day = (moment.date() - record.start.date()).days
    return f"{f'day {day + 1} ' if day else ''}{moment:%H:%M:%S}{tail}"


def iso_text(record: Record, time_s: float | None) -> str:
    """Date and time by ISO 8601 to the millisecond where the record's start is known, else nothing."""
    if record.start is None or time_s is None:
        return ""
    return (record.start + timedelta(milliseconds=round(1000 * time_s))).isoformat(timespec="milliseconds")


def duration_text(seconds: float) -> str:
    """A length of time as people say it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
