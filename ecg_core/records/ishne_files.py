"""ISHNE Holter recordings (Badilini 1998, doi:10.1111/j.1542-474X.1998.tb00353.x)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Float32, Record
from ..text import plural
from .limits import check_length, distinct_names
from .overrides import apply_overrides
from .units import ASSUMED_PER_MV

MAGIC = b"ISHNE1.0"
HEADER_BYTES = 522  # magic, checksum, and the fixed block
MAX_LEADS = 12
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
        counts = np.fromfile(self.path, "<i2", count, offset=self.offset + 2 * start * n_leads)
        if len(counts) < count:
            raise RecordError(f"{self.path.name}: has become shorter since it was opened; copy it again.")
        counts = counts.reshape(-1, n_leads)
        chosen = counts[:, list(leads)].T
        scale = np.array([self.mv_per_count[lead] for lead in leads], dtype=np.float32)[:, None]
        return np.where(chosen == MISSING, np.float32(np.nan), chosen * scale).astype(np.float32)


def is_ishne(_path: Path, first: bytes) -> bool:
    """Whether a file begins as ISHNE does."""
    return first.startswith(MAGIC)


def read_ishne(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open an ISHNE file; the patient's name and number are not read.

    Raises
    ------
    RecordError
        The header is damaged, the file is shorter than it promises, or the overrides contradict it.

    """
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        raise RecordError(f"{path.name}: ends after {plural(len(header), 'byte')}, within its header; copy it again.")
    (offset,) = struct.unpack_from("<i", header, 22)
    born, recorded, clock = (struct.unpack_from("<3h", header, place) for place in (132, 138, 150))
    n_leads, *specs = struct.unpack_from("<13h", header, 156)
    resolution = struct.unpack_from("<12h", header, 206)
    (rate,) = struct.unpack_from("<h", header, 272)
    if not 1 <= n_leads <= MAX_LEADS:
        raise RecordError(
            f"{path.name}: its header states {plural(n_leads, 'lead')}, expected 1 to {MAX_LEADS}; it is damaged."
        )
    n_samples = (path.stat().st_size - offset) // (2 * n_leads)
    if offset < HEADER_BYTES or n_samples <= 0:
        raise RecordError(
            f"{path.name}: its header states that the ECG begins at byte {offset}, the file has "
            f"{path.stat().st_size:,}; it is truncated or damaged. Copy it again."
        )
    check_length(path.name, float(rate), n_samples)
    names = [LEAD_NAMES.get(spec) for spec in specs[:n_leads]]
    stated = tuple(value > 0 for value in resolution[:n_leads])
    start = _start(recorded, clock)
    mv_per_count = tuple(value / NV_PER_MV if value > 0 else 1 / ASSUMED_PER_MV for value in resolution[:n_leads])
    record = Record(
        record_id=path.stem,
        source=IshneSource(path, offset, mv_per_count),
        fs_hz=float(rate),
        n_samples=int(n_samples),
        lead_names=distinct_names(names),
        calibrated=stated,
        start=start,
        age_years=_age(born, start),
        files=(path,),
    )
    return apply_overrides(record, overrides)


def _start(day: tuple[int, ...], clock: tuple[int, ...]) -> datetime | None:
    try:
        return datetime(day[2], day[1], day[0], clock[0], clock[1], clock[2])
    except ValueError:  # not stated
        return None


def _age(born: tuple[int, ...], start: datetime | None) -> int | None:
    try:
        birth = date(born[2], born[1], born[0])
    except ValueError:
        return None
    if start is None or birth > start.date():
        return None
    return start.year - birth.year - ((start.month, start.day) < (birth.month, birth.day))


def patient_of(path: Path) -> Patient:
    """Patient and recorder, from the header."""
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    first, last, number, recorder = (
        header[place : place + width].partition(b"\0")[0].decode("utf-8", errors="replace").strip()
        for place, width in ((28, 40), (68, 40), (108, 20), (232, 40))
    )
    sex, _, day, month, year = struct.unpack_from("<5h", header, 128)
    return Patient(
        name=f"{first} {last}".strip(),
        patient_id=number,
        birth_date=f"{year:04d}-{month:02d}-{day:02d}" if min(day, month, year) > 0 else "",
        sex=SEX.get(sex, ""),
        recorder=recorder,
    )
