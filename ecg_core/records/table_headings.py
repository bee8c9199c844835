"""What the columns of a table mean, by their headings, by the lines before them, and by what a person gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final

from ..errors import RecordError
from ..overrides import LeftOut, RecordOverrides
from ..text import format_quoted
from .other_signals import other_signal
from .overrides import check_rate, missing_metadata
from .table_cells import (
    CLOCK,
    COUNTS,
    NUMBER,
    RATE_NOTE,
    TIME_NAME,
    UNIT_NOTE,
    VOLTAGE,
    Heading,
    heading_of,
    is_date,
    is_value,
    rate_of_interval,
)
from .table_text import EXAMPLE, WRITE_HEADINGS, Cells
from .units import MV_OF_UNIT, S_OF_UNIT

COUNTERS: Final = (
    "", "#", "n", "nr", "no", "row", "index", "idx", "sample #", "sample number", "sample no", "sample index", "nseq",
    "seq", "sequence", "sequence number", "counter", "packet", "packet number", "frame", "record", "line",
)  # fmt: skip
MAYBE_COUNTERS: Final = ("sample", "samples", "count", "number")  # a lead where they do not count
NOT_LEADS: Final = (  # words of headings of columns that are no signals, and what such a column is
    (r"hr|heart ?rate|pulse ?rate|puls|bpm|herzfrequenz", "a heart rate"),
    (r"rr|rri|rr ?int\w*|rr ?ms|ibi|nn", "intervals between beats"),
    (r"quality|sqi|snr", "a quality"),
    (r"events?|marks?|markers?|trigger|labels?|annot\w*|notes?|comments?|class|beats?|r ?peaks?|peaks?|rhythm|symbol",
     "marks of events"),
    (r"intervals?|counter", "counts the rows"),
    (r"contact|leads? ?off|lod|battery|status|flags?|error|rssi|digital|io", "a state of the recorder"),
)  # fmt: skip
ECG_NAME: Final = re.compile(r"\b(ecg|ekg|lead|ableitung|derivaci\w+|dérivation)\b")
TIME, CLOCK_TIME, TIME_WITHOUT_UNIT = "time", "clock", "time without unit"  # roles of columns
DAY = "holds dates, and no column beside it times of day without one"  # where it is not that of a clock
LEAD, MAYBE, EMPTY, TEXT = "lead", "no unit; open it with its unit to read it too", "empty", "holds text"
HZ_OF_UNIT: Final = {"": 1.0, "hz": 1.0, "hertz": 1.0, "sps": 1.0, "samples": 1.0, "per": 1.0, "khz": 1e3}
OPEN_SIGNALS: Final = ("sampling rate", "column")  # keys of a device in the notes of OpenSignals
ECG_SENSOR: Final = re.compile("ecg|ekg", re.IGNORECASE)
MAX_NOTE_LETTERS = 10_000


@dataclass(frozen=True)
class Notes:
    """What the lines before a table state."""

    fs_hz: float | None = None
    mv: float | None = None  # of the unit of the leads
    start: datetime | None = None
    columns: tuple[str, ...] | None = None  # headings
    sensors: tuple[tuple[str, str], ...] = ()  # heading and sensor
    hint: str = ""


@dataclass(frozen=True)
class Layout:
    """Which columns of a table are times and leads, and their units."""

    times: tuple[tuple[int, float], ...]  # columns of numbers that are times, and their unit in seconds
    clocks: tuple[tuple[int, bool], ...]  # columns of times of day, and whether they are elapsed times
    no_unit: tuple[int, ...]  # columns of times whose unit is not stated
    leads: tuple[int, ...]
    names: tuple[str | None, ...]
    mv: tuple[float, ...]  # of the unit, per lead
    left_out: tuple[LeftOut, ...]
    fs_hz: float | None  # as the notes state, or as given by a person
    notes: Notes
    overrides: RecordOverrides  # those that the table left open
    headings: tuple[str, ...]
    day: int | None = None  # column of the dates of ``clocks``
    doubts: tuple[str, ...] = ()

    @property
    def of_time(self) -> set[int]:
        """Columns that may be times."""
        days = () if self.day is None else (self.day,)
        return {number for number, _ in (*self.times, *self.clocks)} | {*self.no_unit, *days}

    def day_of(self, number: int) -> int | None:
        """Column of the dates of a column of times; None where it has none, or counts from the start."""
        return None if dict(self.clocks).get(number, True) else self.day

    def heading(self, number: int) -> str:
        """Heading of a column, or its number."""
        return self.headings[number] or f"column {number + 1}"


def layout_of(
    name: str, headings: Sequence[str] | None, samples: Sequence[Cells], notes: Notes, overrides: RecordOverrides
) -> Layout:
    """What each column means.

    Parameters
    ----------
    samples
        The first cells of each column.

    Raises
    ------
    RecordError
        No column is a lead, or what is given contradicts the table.
    MissingMetadataError
        Neither the table nor the overrides give the rate, or the unit.

    """
    heads = [heading_of(text) for text in headings] if headings else [Heading("")] * len(samples)
    intervals = [fs_hz for head in heads if (fs_hz := rate_of_interval(head.unit)) is not None]
    if notes.fs_hz is None and intervals:  # "sample interval" with "0.004 sec" below
        notes = replace(notes, fs_hz=intervals[0])
    roles = _roles(heads, samples, notes, is_headless=headings is None)
    given, maybe = ([i for i, role in enumerate(roles) if role == kind] for kind in (LEAD, MAYBE))
    times = tuple((i, S_OF_UNIT[heads[i].unit.casefold()]) for i, role in enumerate(roles) if role == TIME)
    clocks = tuple((i, _is_elapsed(heads[i])) for i, role in enumerate(roles) if role == CLOCK_TIME)
    day = _day_of_clocks(clocks, roles, samples)
    mv = {i: MV_OF_UNIT[heads[i].unit.casefold()] for i in given}
    found = _shown(heads, samples)
    fs_hz = overrides.fs_hz if notes.fs_hz is None else notes.fs_hz
    per_mv = overrides.per_mv if notes.mv is None else 1 / notes.mv
    stated_per_mv = {1 / scale for scale in mv.values()} if not maybe else {per_mv}
    if overrides.per_mv is not None and stated_per_mv - {overrides.per_mv}:
        raise RecordError(
            f"a unit of {overrides.per_mv:g} per mV was given, but its headings state another ({found})",
            where=name,
            advice="Give no unit, or correct the headings.",
        )
    if notes.fs_hz is not None:
        check_rate(name, notes.fs_hz, RecordOverrides(overrides.fs_hz))
    no_rate, no_unit = not (times or clocks) and fs_hz is None, not given and per_mv is None
    if (given or maybe) and (no_rate or no_unit):
        raise missing_metadata(
            name, f"expected a column of time and columns of leads, each with its unit; found {found}",
            rate=no_rate, unit=no_unit, hint=notes.hint or f"To give them in the table, {EXAMPLE}.",
        )  # fmt: skip
    leads = tuple(sorted([*given, *(maybe if per_mv is not None else [])]))
    if not leads:
        raise RecordError(where=name, expected="a column of a lead", got=found, advice=f"{WRITE_HEADINGS}.")
    return Layout(
        times, clocks, tuple(i for i, role in enumerate(roles) if role == TIME_WITHOUT_UNIT), leads,
        tuple(heads[i].name or None for i in leads), tuple(mv.get(i, 1 / (per_mv or 1)) for i in leads),
        tuple(
            LeftOut(heads[i].text or f"column {i + 1}", role)
            for i, role in enumerate(roles)
            if i not in (*leads, day) and role not in (TIME, CLOCK_TIME, TIME_WITHOUT_UNIT, EMPTY)
        ),
        fs_hz, notes,
        RecordOverrides(
            overrides.fs_hz if notes.fs_hz is None and not (times or clocks) else None,
            overrides.per_mv if notes.mv is None and maybe else None,
        ),
        tuple(head.text for head in heads), day,
    )  # fmt: skip


def _day_of_clocks(clocks: Sequence[tuple[int, bool]], roles: Sequence[str], samples: Sequence[Cells]) -> int | None:
    """The column of dates that belong to times of day; None where there is none, or the times have dates themselves."""
    days = [i for i, role in enumerate(roles) if role == DAY]
    cells = [cell for i, is_elapsed in clocks if not is_elapsed for cell in samples[i] if cell]
    found = [match for cell in cells if (match := CLOCK.fullmatch(cell))]
    is_bare = bool(found) and not any(match["date"] or match["date_after"] for match in found)
    return days[0] if days and is_bare else None


def _roles(heads: Sequence[Heading], samples: Sequence[Cells], notes: Notes, *, is_headless: bool) -> list[str]:
    """What each column is: one of the roles, or the reason why it is neither time nor lead."""
    roles = []
    for i, (head, cells) in enumerate(zip(heads, samples, strict=True)):
        filled = [cell for cell in cells if cell]
        if not filled and not head.text:
            roles.append(EMPTY)
        elif is_headless:
            roles.append(_role_by_cells(filled, is_first=i == 0))
        else:
            roles.append(_role(head, filled or ["0"], notes))  # a lead may begin later
    return roles


def _role_by_cells(cells: Sequence[str], *, is_first: bool) -> str:
    if _mostly(_is_clock, cells):
        return CLOCK_TIME
    if _mostly(is_date, cells):
        return DAY
    if not _mostly(is_value, cells):
        return TEXT
    return TIME_WITHOUT_UNIT if is_first and _counts(cells) else MAYBE


def _role(head: Heading, cells: Sequence[str], notes: Notes) -> str:
    unit, plain = head.unit.casefold(), re.sub(r"[\s_.-]+", " ", head.name).strip().casefold()
    is_time = bool(TIME_NAME.fullmatch(head.name.strip())) or (not head.name and unit in S_OF_UNIT)
    signal = "" if ECG_NAME.search(plain) else other_signal(plain)
    other = next((what for words, what in NOT_LEADS if re.search(rf"\b({words})\b", plain)), signal)
    is_counter = plain in COUNTERS or plain.startswith("unnamed:") or (plain in MAYBE_COUNTERS and _counts(cells))
    sensors = dict(notes.sensors)
    sensor = sensors.get(head.name, "")
    is_other_sensor = not ECG_SENSOR.search(sensor) and any(map(ECG_SENSOR.search, sensors.values()))
    rules = (
        (_mostly(is_date, cells), DAY),
        (_mostly(_is_clock, cells) and (is_time or not unit), CLOCK_TIME),
        (is_time and unit in S_OF_UNIT, TIME),
        (unit in VOLTAGE and not signal, LEAD),
        (unit in VOLTAGE, other),
        (bool(unit) and unit not in COUNTS, f"in {head.unit}, no unit of an ECG"),
        (not _mostly(is_value, cells), TEXT),
        (bool(sensors) and head.name not in sensors, "belongs to no sensor"),
        (bool(sensors) and is_other_sensor, f"of a sensor of {format_quoted(sensor)}"),
        (bool(sensors), MAYBE),
        (is_time, TIME_WITHOUT_UNIT),
        (is_counter, "counts the rows"),
        (bool(other), other),
    )
    return next((role for holds, role in rules if holds), MAYBE)


def _mostly(holds: Callable[[str], bool], cells: Sequence[str]) -> bool:
    return sum(map(holds, cells)) > len(cells) / 2


def _is_clock(cell: str) -> bool:
    return bool(CLOCK.fullmatch(cell))


def _counts(cells: Sequence[str]) -> bool:
    """Whether numbers rise by steps of about one size."""
    numbers = [float(cell.replace(",", ".")) for cell in cells if NUMBER.fullmatch(cell)]
    steps = [after - before for before, after in pairwise(numbers)]
    return bool(steps) and min(steps) > 0 and max(steps) <= 2 * min(steps)


def _is_elapsed(head: Heading) -> bool:
    return "elapsed" in head.name.casefold()


def _shown(heads: Sequence[Heading], samples: Sequence[Cells]) -> str:
    texts = [head.text for head in heads]
    first = [cells[0] if cells else "" for cells in samples]
    return format_quoted(", ".join((texts if any(texts) else first)[:6])) or "nothing"


def notes_of(lines: Sequence[str]) -> Notes:
    """Rate, unit, start and headings that the lines before a table state."""
    found = Notes()
    for line in lines:
        text = line[:MAX_NOTE_LETTERS]
        if text.startswith("{"):
            found = _open_signals(text) or found
        rate, unit = RATE_NOTE.search(text), UNIT_NOTE.match(text)
        in_khz = "khz" if rate and "khz" in rate["words"].casefold() else ""
        hz = HZ_OF_UNIT.get((rate["unit"] or in_khz).casefold()) if rate else None
        fs_hz = float(rate["rate"].replace(",", ".")) * hz if rate and hz else rate_of_interval(text)
        if fs_hz is not None and found.fs_hz is None:
            found = replace(found, fs_hz=fs_hz)
        if unit and unit["unit"].casefold() in VOLTAGE:
            found = replace(found, mv=MV_OF_UNIT[unit["unit"].casefold()])
    return found


def _open_signals(text: str) -> Notes | None:
    """What OpenSignals states of the one device that it recorded; None where the line is something else."""
    try:
        (device,) = json.loads(text).values()
        rate, columns = (device[key] for key in OPEN_SIGNALS)
        labels, sensors = device.get("label", []), device.get("sensor", [])
        bits = sorted({int(n) for n in device.get("resolution", [])[-len(labels) :]}) if labels else []
        sensors = sensors if len(sensors) == len(labels) else []
        start = _open_signals_start(str(device.get("date", "")), str(device.get("time", "")))
        hint = (
            f"Its leads are counts of {' and '.join(map(str, bits))} bits; how many make a millivolt follows from the "
            "range and gain of the sensor."
        )
        sensor_of = tuple(zip(map(str, labels), map(str, sensors), strict=bool(sensors)))
        return Notes(float(rate), None, start, tuple(map(str, columns)), sensor_of, hint if bits else "")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _open_signals_start(day: str, clock: str) -> datetime | None:
    try:
        year, month, date = map(int, day.split("-"))
        hour, minute, second = clock.split(":")
        whole, _, part = second.partition(".")
        return datetime(year, month, date, int(hour), int(minute), int(whole), int(f"{part:0<6}"[:6] or 0))
    except ValueError:
        return None
