"""ISHNE Holter recordings (Badilini 1998, doi:10.1111/j.1542-474X.1998.tb00353.x)."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Float32, Record
from ..text import plural
from .ishne_annotations import annotations_beside, read_ishne_annotations
from .limits import FIRST_YEAR, LAST_YEAR, check_length, distinct_names, length_doubt
from .overrides import apply_overrides
from .samples import stored_numbers
from .stored_leads import age_of
from .units import ASSUMED_PER_MV

MAGIC = b"ISHNE1.0"
HEADER_BYTES = 522  # magic, checksum, and the fixed block
MAX_HEADER_BYTES = 1 << 20  # with the block of variable length, as far as it is checked
MAX_LEADS = 12
CHECKSUM_AT, CHECKED_FROM = 8, 10  # bytes
CENTURY_YEAR = 70  # years of two digits from here on are of the 20th century
MISSING = -32_768
NV_PER_MV = 1e6  # ISHNE states the resolution in nanovolts per count
SEX: Final = {1: "male", 2: "female"}
LEAD_NAMES: Final = {
    2: "X", 3: "Y", 4: "Z", 5: "I", 6: "II", 7: "III", 8: "aVR", 9: "aVL", 10: "aVF", 11: "V1", 12: "V2", 13: "V3",
    14: "V4", 15: "V5", 16: "V6", 17: "ES", 18: "AS", 19: "AI",
}  # fmt: skip


@dataclass(frozen=True)
class IshneSource:
    """Interleaved 16-bit samples after a header."""

    path: Path
    offset: int  # bytes
    mv_per_count: tuple[float, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        n_leads = len(self.mv_per_count)
        count = (stop - start) * n_leads
        counts = stored_numbers(self.path, "<i2", count, offset=self.offset + 2 * start * n_leads).reshape(-1, n_leads)
        chosen = counts[:, list(leads)].T
        scale = np.array([self.mv_per_count[lead] for lead in leads], dtype=np.float32)[:, None]
        return np.where(chosen == MISSING, np.float32(np.nan), chosen * scale).astype(np.float32)


def is_ishne(_path: Path, first: bytes) -> bool:
    """Whether a file begins as ISHNE does."""
    return first.startswith(MAGIC)


def read_ishne(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open an ISHNE file, with the annotations beside it; the patient's name and number are not read.

    Raises
    ------
    RecordError
        The header is damaged, the file holds too little of an ECG, or the overrides contradict it.

    """
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        raise RecordError(
            "ends within its header", where=path.name, position=f"byte {len(header):,}", advice="Copy it again."
        )
    (offset,) = struct.unpack_from("<i", header, 22)
    born, recorded, clock = (struct.unpack_from("<3h", header, place) for place in (132, 138, 150))
    n_leads, *specs = struct.unpack_from("<13h", header, 156)
    resolution = struct.unpack_from("<12h", header, 206)
    (rate,) = struct.unpack_from("<h", header, 272)
    if not 1 <= n_leads <= MAX_LEADS:
        raise RecordError(
            "its header is damaged",
            where=path.name,
            position="byte 156",
            expected=f"1 to {MAX_LEADS} leads",
            got=f"{n_leads:,}",
            advice="Copy it again.",
        )
    n_samples = (path.stat().st_size - offset) // (2 * n_leads)
    if offset < HEADER_BYTES or n_samples <= 0:
        raise RecordError(
            "is truncated or damaged",
            where=path.name,
            position="byte 22",
            expected=f"where the ECG begins in {plural(path.stat().st_size, 'byte')}",
            got=f"byte {offset:,}",
            advice="Copy it again.",
        )
    check_length(path.name, float(rate), n_samples)
    names = [LEAD_NAMES.get(spec) for spec in specs[:n_leads]]
    stated = tuple(value > 0 for value in resolution[:n_leads])
    day, known, start_doubts = _start(recorded, clock)
    annotations = annotations_beside(path)
    found = read_ishne_annotations(annotations, float(rate), n_samples / rate) if annotations else (None, [])
    reference, annotation_doubts = found
    mv_per_count = tuple(value / NV_PER_MV if value > 0 else 1 / ASSUMED_PER_MV for value in resolution[:n_leads])
    record = Record(
        record_id=path.stem,
        source=IshneSource(path, offset, mv_per_count),
        fs_hz=float(rate),
        n_samples=int(n_samples),
        lead_names=distinct_names(names),
        calibrated=stated,
        start=datetime.combine(day, known) if day and known is not None else None,
        start_clock=None if day or known == time(0) else known,  # midnight stands for no time, too
        doubts=(
            *_length_doubts(header, n_samples, n_leads, rate), *_checksum_doubts(path, header, offset), *start_doubts,
            *annotation_doubts,
        ),
        age_years=age_of(_birth_date(born, day), day),
        reference=reference,
        files=(path, annotations) if annotations else (path,),
    )  # fmt: skip
    return apply_overrides(record, overrides)


def _length_doubts(header: bytes, n_samples: int, n_leads: int, fs_hz: float) -> list[str]:
    """A doubt where the header states another number of samples; programs write that of a lead, or of all leads."""
    (stated,) = struct.unpack_from("<i", header, 14)
    if stated <= 0 or n_samples in (stated, stated // n_leads):
        return []
    return [length_doubt(stated / fs_hz, n_samples / fs_hz)]


def _checksum_doubts(path: Path, header: bytes, offset: int) -> list[str]:
    """A doubt where the header does not have the checksum it states, in whichever way programs compute it."""
    (stated,) = struct.unpack_from("<H", header, CHECKSUM_AT)
    if not stated:  # programs often leave it out
        return []
    with path.open("rb") as stream:
        head = stream.read(min(offset, MAX_HEADER_BYTES))[CHECKED_FROM:]
    sums = {crc_hqx(part, first) for part in (head, head[: HEADER_BYTES - CHECKED_FROM]) for first in (0, 0xFFFF)}
    swapped = stated >> 8 | (stated & 0xFF) << 8
    return [] if sums & {stated, swapped} else ["the header does not have the checksum that it states"]


def _start(recorded: tuple[int, ...], clock: tuple[int, ...]) -> tuple[date | None, time | None, list[str]]:
    """Date and time of day of the start, None where it is not stated or no such, and doubts."""
    doubts = []
    day = _date(recorded)
    if day is None and min(recorded) > 0:
        doubts.append(f"the start date {recorded[0]}.{recorded[1]}.{recorded[2]} is none")
    try:
        known = time(clock[0], clock[1], clock[2])
    except ValueError:
        known = None
        if min(clock) >= 0:
            doubts.append(f"the start time {clock[0]}:{clock[1]}:{clock[2]} is none")
    return day, known, doubts


def _date(parts: tuple[int, ...], century_year: int = CENTURY_YEAR) -> date | None:
    """A date from day, month and year, which may have two digits; None where it is none."""
    day, month, year = parts
    if 0 <= year < 100 and day > 0:
        year += 1900 if year >= century_year else 2000
    try:
        return date(year, month, day) if FIRST_YEAR <= year <= LAST_YEAR else None
    except ValueError:
        return None


def _birth_date(born: tuple[int, ...], recorded: date | None) -> date | None:
    """Date of birth; a year of two digits is the last one before the recording."""
    last = recorded.year % 100 if recorded and recorded.year >= 2000 else CENTURY_YEAR - 1
    return _date(born, last + 1)


def patient_of(path: Path) -> Patient:
    """Patient and recorder, from the header."""
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    first, last, number, recorder = (
        header[place : place + width].partition(b"\0")[0].decode("utf-8", errors="replace").strip()
        for place, width in ((28, 40), (68, 40), (108, 20), (232, 40))
    )
    sex, _, *dates = struct.unpack_from("<8h", header, 128)
    birth = _birth_date(tuple(dates[:3]), _date(tuple(dates[3:])))
    return Patient(
        name=f"{first} {last}".strip(),
        patient_id=number,
        birth_date=birth.isoformat() if birth else "",
        sex=SEX.get(sex, ""),
        recorder=recorder,
    )
