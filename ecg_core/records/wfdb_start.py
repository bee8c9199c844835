"""The start that a WFDB header states, also in the sloppy ways in which people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from ..text import format_quoted

CLOCK: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?", re.ASCII)
FIRST_HOUR: Final = re.compile(r"(\d{1,2}):(\d{1,2})\.(\d{1,9})", re.ASCII)  # as WFDB's programs leave out the hour 0
SHORT_CLOCK: Final = re.compile(r"0{1,2}:0{1,2}", re.ASCII)  # midnight, whether minutes or seconds come last
DAY_FIRST: Final = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})", re.ASCII)  # the specification has "/"
YEAR_FIRST: Final = re.compile(r"(\d{4})([/.-])(\d{1,2})\2(\d{1,2})", re.ASCII)
# The comment of this program in the header of a recording that grows; it goes when the recording is finished.
UNFINISHED: Final = re.compile(r"Recording began (.+) and was not finished")
HALVES_OF_DAY: Final = ("am", "pm")
FIRST_SHORT_YEAR = 70  # 70 to 99 are of the last century, 0 to 69 of this one


@dataclass(frozen=True)
class Start:
    """Date and time of the first sample as far as they are stated."""

    start: datetime | None = None
    clock: time | None = None  # where the date is not known
    doubts: tuple[str, ...] = ()


NO_START: Final = Start()


def unfinished_start(comments: tuple[str, ...]) -> Start:
    """The start that a recording states whose program ended before it was finished, with this as a doubt."""
    found = next(filter(None, map(UNFINISHED.fullmatch, comments)), None)
    if found is None:
        return NO_START
    doubts = (
        "the recording was not finished: the program that wrote it was ended, and what it had not written is lost",
    )
    try:
        return Start(datetime.fromisoformat(found[1]).replace(tzinfo=None), doubts=doubts)
    except ValueError:
        return Start(doubts=doubts)


def parse_start(text: str) -> Start:
    """The start that a header states after its length: a time of day, and a date.

    Examples
    --------
    >>> parse_start("12:00:00 01/02/2006").start
    datetime.datetime(2006, 2, 1, 12, 0)
    >>> parse_start("8:04:00").clock
    datetime.time(8, 4)
    >>> parse_start("2006").doubts
    ("the start is stated as '2006', which is no time",)

    """
    words = [word for word in re.split(r"[\s\[\]]+|(?<=\d)T(?=\d)", text) if word]
    half = _half_of_day(words)
    clocks = [_clock(word, half) for word in words]
    dates = [_date(word) for word in words]
    clock = next((found for found in clocks if found is not None), None)
    day = next((found for found in dates if found is not None), None)
    n_known = (clock is not None) + (day is not None) + bool(half)
    known = " and ".join(["date"] * (day is not None) + ["time of day"] * (clock is not None))
    doubts: tuple[str, ...] = ()
    if n_known < len(words) or clock is None:
        what = f"of which only the {known} can be understood" if known else "which is no time"
        doubts = (f"the start is stated as '{format_quoted(' '.join(words))}', {what}",)
    if clock is None or not words:
        return Start(doubts=doubts if words else ())
    return Start(datetime.combine(day, clock), doubts=doubts) if day else Start(clock=clock, doubts=doubts)


def _half_of_day(words: list[str]) -> str:
    plain = [word.casefold().replace(".", "") for word in words]
    return next((word for word in plain if word in HALVES_OF_DAY), "")


def _clock(word: str, half: str) -> time | None:
    if SHORT_CLOCK.fullmatch(word):
        return time(0)
    if FIRST_HOUR.fullmatch(word) and not half:
        word = f"0:{word}"
    found = CLOCK.fullmatch(word)
    if found is None:
        return None
    hour = int(found[1])
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + 12 * (half == "pm") if half else hour
    try:
        return time(hour, int(found[2]), int(found[3]), int((found[4] or "0")[:6].ljust(6, "0")))
    except ValueError:
        return None


def _date(word: str) -> date | None:
    try:
        if found := DAY_FIRST.fullmatch(word):
            year = int(found[4])
            century = 0 if len(found[4]) == 4 else 1900 if year >= FIRST_SHORT_YEAR else 2000
            return date(century + year, int(found[3]), int(found[1]))
        if found := YEAR_FIRST.fullmatch(word):
            return date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        pass
    return None
