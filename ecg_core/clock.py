"""Moments of a record as a reader and a program name them."""

from __future__ import annotations

from datetime import timedelta

from .schema import Record


def clock_text(record: Record, time_s: float, *, decimals: int = 0) -> str:
    """Clock time where the record's start is known, else time from its start; days are named from the second on."""
    if record.start is None:
        return elapsed_text(time_s, decimals=decimals)
    since_s, tail = _whole(time_s, decimals)
    moment = record.start + timedelta(seconds=since_s)
    day = (moment.date() - record.start.date()).days
    return f"{f'day {day + 1} ' if day else ''}{moment:%H:%M:%S}{tail}"


def elapsed_text(time_s: float, *, decimals: int = 0) -> str:
    """Time from the start as hours, minutes and seconds."""
    since_s, tail = _whole(time_s, decimals)
    return f"{since_s // 3600:02d}:{since_s // 60 % 60:02d}:{since_s % 60:02d}{tail}"


def _whole(time_s: float, decimals: int) -> tuple[int, str]:
    """Whole seconds, and their fraction as text."""
    scale = 10**decimals
    since_s, fraction = divmod(round(time_s * scale), scale)
    return since_s, f".{fraction:0{decimals}d}" if decimals else ""


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
