"""Headers of EDF, EDF+ and BDF files: what is recorded, at which rate and scale, and where its samples lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..text import format_quoted, plural
from .limits import MAX_DURATION_S
from .units import MICRO_SIGN, mv_of_unit

EDF_MAGIC, BDF_MAGIC = b"0       ", b"\xffBIOSEMI"
KIND_AT = 192  # the byte at which EDF+ and BDF+ name themselves
FIXED_BYTES = 256  # of the header before its columns, and again for each signal
MAX_SIGNALS = 9_999  # the field has four digits
WIDTHS: Final = {  # bytes of each column of the header, in their order
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8, "digital_max": 8,
    "filter": 80, "n_per_record": 8, "reserved": 32,
}  # fmt: skip
UNITS: Final = ("mv", "uv", f"{MICRO_SIGN}v", "v", "nv")  # that are read as voltage
CENTURY_YEAR = 85  # EDF's rule: years from 85 are of the 20th century
SEXES_OF_LETTER: Final = {"M": "male", "F": "female"}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Channel:
    """A signal: where its samples lie in a data record, and what they mean."""

    label: str
    is_voltage: bool
    place: int  # bytes from the start of the data record
    n_per_record: int  # samples per data record
    mv_per_count: float  # 0 where it is not a voltage
    mv_at_zero: float


@dataclass(frozen=True)
class Header:
    """A decoded header."""

    kind: str  # "EDF+C", "EDF+D", or other text
    offset: int  # bytes before the first data record
    n_records: int  # -1 where the recorder never wrote the number
    record_s: float
    start: datetime | None
    channels: tuple[Channel, ...]
    record_bytes: int
    sample_bytes: int  # 2 in EDF, 3 in BDF


def read_header(path: Path) -> Header:
    """Decode the header of a file.

    Raises
    ------
    RecordError
        The file ends within it, or one of its numbers is none.

    """
    with path.open("rb") as stream:
        fixed = stream.read(FIXED_BYTES)
        try:
            n_signals = int(fixed[252:256])
            if not 0 < n_signals <= MAX_SIGNALS:
                raise ValueError(f"{plural(n_signals, 'signal')}")
            columns = stream.read(FIXED_BYTES * n_signals)
            if len(columns) < FIXED_BYTES * n_signals:
                raise ValueError(f"it ends after {plural(FIXED_BYTES + len(columns), 'byte')}, within its header")
            return _decode_header(fixed, columns, n_signals)
        except (ValueError, ArithmeticError) as error:
            raise RecordError(
                f"{path.name}: begins as EDF or BDF but its header cannot be decoded ({format_quoted(error)}). Copy or "
                "export it again."
            ) from error


def _decode_header(fixed: bytes, columns: bytes, n_signals: int) -> Header:
    sample_bytes = 3 if fixed.startswith(BDF_MAGIC) else 2
    field: dict[str, list[str]] = {}
    place = 0
    for name, width in WIDTHS.items():
        field[name] = [text_of(columns[place + i * width : place + (i + 1) * width]) for i in range(n_signals)]
        place += width * n_signals
    sizes = [int(text) for text in field["n_per_record"]]
    if min(sizes) < 0 or sum(sizes) == 0:
        raise ValueError(f"{min(sizes)} samples in a data record")
    places = np.cumsum([0, *sizes]) * sample_bytes
    channels = [_channel({name: column[i] for name, column in field.items()}, int(places[i])) for i in range(n_signals)]
    record_s = float(text_of(fixed[244:252]))
    if not 0 < record_s < MAX_DURATION_S:
        raise ValueError(f"data records of {record_s:g} s")
    return Header(
        kind=text_of(fixed[KIND_AT:236])[:5],
        offset=FIXED_BYTES * (n_signals + 1),
        n_records=int(text_of(fixed[236:244])),
        record_s=record_s,
        start=_start(fixed),
        channels=tuple(channels),
        record_bytes=int(places[-1]),
        sample_bytes=sample_bytes,
    )


def _channel(field: dict[str, str], place: int) -> Channel:
    """A channel from its fields; the scale of a signal that is not a voltage is not decoded."""
    mv = mv_of_unit(field["unit"], UNITS)
    step = zero = 0.0
    if mv is not None:
        low, high = int(field["digital_min"]), int(field["digital_max"])
        bottom, top = float(field["physical_min"]), float(field["physical_max"])
        step = mv * (top - bottom) / (high - low)
        zero = mv * bottom - low * step
        if not (0 < abs(step) < np.inf and abs(zero) < np.inf):
            raise ValueError(f"{field['label']} spans {bottom:g} to {top:g} {field['unit']}")
    return Channel(field["label"], mv is not None, place, int(field["n_per_record"]), step, zero)


def _start(fixed: bytes) -> datetime | None:
    """Date and time; the year has four digits in EDF+ only. None where the date was removed ("X")."""
    day, clock, recording = text_of(fixed[168:176]), text_of(fixed[176:184]), text_of(fixed[88:168])
    long = re.match(r"Startdate (\d\d)-([A-Z]{3})-(\d{4})\b", recording)
    try:
        if long:
            date = (int(long[3]), MONTHS.index(long[2]) + 1, int(long[1]))
        else:
            days, month, year = (int(part) for part in day.split("."))
            date = (year + (1900 if year >= CENTURY_YEAR else 2000), month, days)
        hour, minute, second = (int(part) for part in clock.split("."))
        return None if recording.startswith("Startdate X") else datetime(*date, hour, minute, second)
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
    """The text of a field, without what fills it up."""
    return content.decode("utf-8", errors="replace").strip(" \0")
