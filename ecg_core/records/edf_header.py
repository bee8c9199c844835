"""Headers of EDF, EDF+ and BDF files: what is recorded, at which rate and scale, and where its samples lie."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from ..clock import ANY_DAY
from ..errors import RecordError
from ..notes import Patient
from ..text import format_quoted, plural
from .limits import FIRST_YEAR, LAST_YEAR, MAX_DURATION_S
from .units import ASSUMED_PER_MV, GREEK_MU, MICRO_SIGN, mv_of_unit

EDF_MAGIC, BDF_MAGIC = b"0       ", b"\xffBIOSEMI"
KIND_AT = 192  # the byte at which EDF+ and BDF+ name themselves
FIXED_BYTES = 256  # of the header before its columns, and again for each signal
MAX_SIGNALS = 9_999  # the field has four digits
WIDTHS: Final = {  # bytes of each column of the header, in their order
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8, "digital_max": 8,
    "filter": 80, "n_per_record": 8, "reserved": 32,
}  # fmt: skip
ANNOTATION_LABELS: Final = ("EDF Annotations", "BDF Annotations")
UNITS: Final = (  # that are read as voltage
    "mv", "uv", f"{MICRO_SIGN}v", f"{GREEK_MU}v", "v", "nv", "microv", "microvolt", "millivolt", "volt",
)  # fmt: skip
CENTURY_YEAR = 85  # EDF's rule: years from 85 are of the 20th century
NO_DATE: Final = date(1985, 1, 1)  # that EDF+ prescribes where the date is not known; no EDF file is so old
SEXES_OF_LETTER: Final = {"M": "male", "F": "female"}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
LONG_DATE: Final = re.compile(
    r"Startdate (\d{1,2})-([A-Z]{3})-(\d{4})\b", re.IGNORECASE
)  # other months: the short date
THREE_NUMBERS: Final = re.compile(r"(\d{1,2})[-.:/ ](\d{1,2})[-.:/ ](\d{1,2})")
NOT_STATED: Final = re.compile(r"[Xx0?\s.:/-]*")  # a date or a time of zeros, crosses or nothing


@dataclass(frozen=True)
class Channel:
    """A signal: where its samples lie in a data record, and what they mean."""

    label: str
    unit: str
    place: int  # bytes from the start of the data record
    n_per_record: int  # samples per data record
    is_voltage: bool
    mv_per_count: float  # where it is not a voltage, that of a unit of ASSUMED_PER_MV per mV
    mv_at_zero: float
    fault: str = ""  # why its range gives no scale

    @property
    def is_annotation(self) -> bool:
        """Whether it holds the annotations and time marks of EDF+."""
        return self.label in ANNOTATION_LABELS


@dataclass(frozen=True)
class Start:
    """When a recording began, as far as the header states it."""

    moment: datetime | None = None
    clock: time | None = None  # where the date is not known
    doubts: tuple[str, ...] = ()

    def later(self, by_s: float) -> Start:
        """The start of a recording whose first sample comes so much later."""
        by = timedelta(seconds=by_s)
        clock = (datetime.combine(ANY_DAY, self.clock) + by).time() if self.clock else None
        return Start(self.moment + by if self.moment else None, clock, self.doubts)


@dataclass(frozen=True)
class Header:
    """A decoded header."""

    kind: str  # "EDF+C", "EDF+D", or other text
    offset: int  # bytes before the first data record
    n_records: int  # -1 where the recorder never wrote the number
    record_s: float
    start: Start
    channels: tuple[Channel, ...]
    record_bytes: int
    sample_bytes: int  # 2 in EDF, 3 in BDF


def read_header(path: Path) -> Header:
    """Decode the header of a file.

    Raises
    ------
    RecordError
        The file ends within it, one of the numbers that place its samples is none, or it has no signal.

    """
    with path.open("rb") as stream:
        fixed = stream.read(FIXED_BYTES)
        try:
            n_signals = _whole(text_of(fixed[252:256]))
            if not 0 < n_signals <= MAX_SIGNALS:
                raise ValueError(f"{plural(n_signals, 'signal')}")
            columns = stream.read(FIXED_BYTES * n_signals)
            if len(columns) < FIXED_BYTES * n_signals:
                raise ValueError(f"it ends after {plural(FIXED_BYTES + len(columns), 'byte')}, within its header")
            field = _fields(columns, n_signals)
            if not {*field["label"]} <= {*ANNOTATION_LABELS}:
                return _decode_header(fixed, field)
        except (ValueError, ArithmeticError) as error:
            raise RecordError(
                f"begins as EDF or BDF but its header cannot be decoded ({format_quoted(error)})",
                where=path.name,
                advice="Copy or export it again.",
            ) from error
    raise RecordError(
        "holds annotations and no signal; an ECG is needed",
        where=path.name,
        advice="Open the recording that they belong to.",
    )


def _fields(columns: bytes, n_signals: int) -> dict[str, list[str]]:
    """Texts of each column of the header, one for each signal."""
    field: dict[str, list[str]] = {}
    place = 0
    for name, width in WIDTHS.items():
        field[name] = [text_of(columns[place + i * width : place + (i + 1) * width]) for i in range(n_signals)]
        place += width * n_signals
    return field


def _decode_header(fixed: bytes, field: dict[str, list[str]]) -> Header:
    sample_bytes = 3 if fixed.startswith(BDF_MAGIC) else 2
    sizes = [_whole(text or "0") for text in field["n_per_record"]]  # channels that are not in use may state nothing
    if min(sizes) < 0 or sum(sizes) == 0:
        raise ValueError(f"{min(sizes)} samples in a data record")
    places = np.cumsum([0, *sizes]) * sample_bytes
    rows = [dict(zip(field, texts, strict=True)) for texts in zip(*field.values(), strict=True)]
    record_s = _number(text_of(fixed[244:252]))
    if not 0 < record_s < MAX_DURATION_S:
        raise ValueError(f"data records of {record_s:g} s")
    return Header(
        kind=text_of(fixed[KIND_AT:236])[:5],
        offset=FIXED_BYTES * (len(sizes) + 1),
        n_records=_whole(text_of(fixed[236:244]) or "-1"),
        record_s=record_s,
        start=_start(fixed),
        channels=tuple(_channel(row, int(place), n) for row, place, n in zip(rows, places[:-1], sizes, strict=True)),
        record_bytes=int(places[-1]),
        sample_bytes=sample_bytes,
    )


def _channel(row: dict[str, str], place: int, n_per_record: int) -> Channel:
    """A channel from its fields; a range that gives no scale matters only where the channel is read."""
    mv = mv_of_unit(row["unit"], UNITS)
    ends = [row[name] for name in ("digital_min", "digital_max", "physical_min", "physical_max")]
    fault, step, zero = "", 1.0, 0.0
    try:
        low, high, bottom, top = (_number(end) for end in ends)
        step = (top - bottom) / (high - low)
        zero = bottom - low * step
        if not (0 < abs(step) < math.inf and abs(zero) < math.inf):
            raise ValueError(step)
    except (ValueError, ArithmeticError):
        fault = f"its range, {' to '.join(ends[2:])} at the counts {' to '.join(ends[:2])}, gives no scale"
        step, zero = 1.0, 0.0
    mv_per_unit = 1 / ASSUMED_PER_MV if mv is None else mv
    return Channel(
        row["label"], row["unit"], place, n_per_record, mv is not None, mv_per_unit * step, mv_per_unit * zero, fault
    )


def _number(text: str) -> float:
    """A number, perhaps with a decimal comma."""
    return float(text.replace(",", "."))


def _whole(text: str) -> int:
    """A whole number, which some programs write with a decimal point."""
    value = _number(text)
    if not value.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(value)


def _start(fixed: bytes) -> Start:
    """Date and time; the year has four digits in EDF+ only. The date is not known where it was removed ("X")."""
    short, clock, recording = text_of(fixed[168:176]), text_of(fixed[176:184]), text_of(fixed[88:168])
    removed = re.match(r"Startdate X\b", recording, re.IGNORECASE) is not None
    day = None if removed else _long_date(recording) or _short_date(short)
    known = _clock_of(clock)
    doubts = []
    if day is None and not removed and not NOT_STATED.fullmatch(short):
        doubts.append(f"the start date {format_quoted(short)} cannot be read, expected dd.mm.yy")
    if known is None and not NOT_STATED.fullmatch(clock):
        doubts.append(f"the start time {format_quoted(clock)} cannot be read, expected hh.mm.ss")
    if day == NO_DATE:
        day = None
    if day is not None and known is not None:
        return Start(moment=datetime.combine(day, known), doubts=tuple(doubts))
    return Start(clock=None if known == time(0) else known, doubts=tuple(doubts))  # midnight stands for no time, too


def _long_date(recording: str) -> date | None:
    """The date of EDF+, such as 02-MAR-2024; None where it is none, or its month is not an English one."""
    found = LONG_DATE.match(recording)
    try:
        if found and FIRST_YEAR <= int(found[3]) <= LAST_YEAR:
            return date(int(found[3]), MONTHS.index(found[2].upper()) + 1, int(found[1]))
        return None
    except ValueError:
        return None


def _short_date(text: str) -> date | None:
    """Day, month and year of two digits; None where they are no date."""
    found = THREE_NUMBERS.fullmatch(text)
    try:
        days, month, year = (int(part) for part in found.groups()) if found else (0, 0, 0)
        return date(year + (1900 if year >= CENTURY_YEAR else 2000), month, days)
    except ValueError:
        return None


def _clock_of(text: str) -> time | None:
    found = THREE_NUMBERS.fullmatch(text)
    try:
        return time(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def patient_of(path: Path) -> Patient:
    """Patient and recorder, from the two fields of identification; plain EDF states a text without parts.

    EDF+ writes "code sex birthdate name" and "Startdate date code technician equipment", with X for what is unknown and
    an underscore for a space within a part.
    """
    with path.open("rb") as stream:
        fixed = stream.read(FIXED_BYTES)
    stated, recording = text_of(fixed[8:88]), text_of(fixed[88:168])
    code, sex, born, name, *_ = [*map(_part, stated.split()), "", "", "", ""]
    start, _, _, _, equipment, *_ = [*map(_part, recording.split()), "", "", "", "", ""]
    recorder = equipment if start == "Startdate" else ""
    if stated.split()[1:2] not in (["M"], ["F"], ["X"]):
        return Patient(patient_id="" if set(stated) <= set("X ") else stated, recorder=recorder)
    return Patient(
        name=name, patient_id=code, birth_date=_birth_date(born), sex=SEXES_OF_LETTER.get(sex, ""), recorder=recorder
    )


def _part(text: str) -> str:
    return "" if text == "X" else text.replace("_", " ")


def _birth_date(text: str) -> str:
    """02-AUG-1951 as 1951-08-02; empty where it is none."""
    found = re.fullmatch(r"(\d\d)-([A-Z]{3})-(\d{4})", text)
    return f"{found[3]}-{MONTHS.index(found[2]) + 1:02d}-{found[1]}" if found and found[2] in MONTHS else ""


def text_of(content: bytes) -> str:
    """The text of a field without what fills it up: in UTF-8, or else in Latin-1, as older programs write it."""
    content = content.strip(b" \0").partition(b"\0")[0]
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return content.decode("latin-1").strip()
