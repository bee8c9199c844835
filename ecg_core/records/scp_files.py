"""SCP-ECG (EN 1064, ISO 11073-91064): the compressed rhythm of electrocardiographs and some Holters."""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Record
from ..text import format_quoted, plural
from .cart_kinds import FIRST_POINTER_AT, HEADER_BYTES, POINTER_BYTES, PREAMBLE_BYTES
from .limits import check_leads, read_whole
from .mdc import LEAD_OF_NUMBER
from .scp_rhythm import MAX_SAMPLES, Lead, Rhythm, Stored, read_rhythm
from .stored_leads import About, StoredLead, age_of, open_leads

MAX_BYTES: Final = 64 << 20  # ten seconds of twelve leads have 40 kB; a lead has at most 65,535 bytes
NV_PER_MV = 1e6
US_PER_S = 1e6
PATIENT, TABLES, LEADS, BEATS, REFERENCE, RHYTHM = range(1, 7)  # numbers of sections
LONG_TERM = 12  # the section of a version 3 for recordings of days
LAST_TAG = 255
TWO_BYTES, UTF8 = 0x07, 0x37  # encodings of texts
SEX: Final = {1: "male", 2: "female"}
YEARS = 1  # the unit of a stated age
LAST_NAME, FIRST_NAME, NUMBER, AGE, BORN, SEX_TAG, DEVICE = 0, 1, 2, 4, 5, 8, 14  # tags of section 1
REFERRING, CONFIRMING, DAY, CLOCK = 20, 21, 25, 26
NAMES: Final = (LAST_NAME, FIRST_NAME, NUMBER, REFERRING, CONFIRMING)


@dataclass(frozen=True, eq=False)
class Sections:
    """The sections of a file, each without its header, and what is wrong with them."""

    body: dict[int, bytes]
    doubts: list[str] = field(default_factory=list)


def read_scp(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the rhythm of an SCP-ECG file; the patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no rhythm, is damaged, or is compressed in a way that cannot be undone.

    """
    sections = _sections(path)
    if not {LEADS, RHYTHM} <= {*sections.body}:
        what = "a long-term rhythm (section 12)" if LONG_TERM in sections.body else f"sections {sorted(sections.body)}"
        raise RecordError(
            "is SCP-ECG without a rhythm that is read",
            where=path.name,
            expected="leads in section 3 and a rhythm in section 6",
            got=what,
            advice="Export the recording, for example as EDF.",
        )
    try:
        stored = _stored(path, sections)
        rhythm = read_rhythm(stored)
    except (ValueError, IndexError, struct.error) as error:
        raise RecordError(
            f"its rhythm cannot be decoded ({format_quoted(error)}); it is damaged",
            where=path.name,
            advice="Copy or export it again.",
        ) from error
    earliest = min(lead.first for lead in stored.leads)
    leads = [
        StoredLead(
            LEAD_OF_NUMBER.get(lead.code, f"lead of code {lead.code}"),
            _later(signal, lead.first - earliest),
            US_PER_S / rhythm.interval_us,
            rhythm.nv_per_count / NV_PER_MV if rhythm.nv_per_count else None,
            stated=lead.last - earliest + 1,
        )
        for lead, signal in zip(stored.leads, rhythm.signals, strict=True)
    ]
    about = _about(sections, rhythm)
    return open_leads(path, leads, about, overrides)


def _later(signal: NDArray[Any], n: int) -> NDArray[Any]:
    """A lead that begins so many samples after the first one, which are missing."""
    return np.concatenate([np.full(n, np.nan), signal]) if n else signal


def _sections(path: Path) -> Sections:
    """Sections that the pointers name, as far as they lie within the file."""
    content = read_whole(path, MAX_BYTES, what="is a damaged SCP-ECG file")
    size = len(content)
    crc, stated = struct.unpack_from("<HI", content)
    found = Sections({})
    if stated > size:
        found.doubts.append(f"the header states {plural(stated, 'byte')}, the file has {size:,}")
    elif binascii.crc_hqx(content[2:stated], 0xFFFF) != crc:
        found.doubts.append("the checksum of the file does not match; a byte of it may have changed")
    (length,) = struct.unpack_from("<I", content, PREAMBLE_BYTES + 4)
    ends = min(PREAMBLE_BYTES + length, size) - POINTER_BYTES
    for place in range(FIRST_POINTER_AT, ends + 1, POINTER_BYTES):
        number, length, index = struct.unpack_from("<HII", content, place)
        if number == 0 or length <= HEADER_BYTES or index == 0:
            continue
        body = content[index - 1 + HEADER_BYTES : index - 1 + length]
        if len(body) < length - HEADER_BYTES:
            found.doubts.append(f"section {number} is stated to end at byte {index - 1 + length:,}, beyond the file")
        found.body[number] = body
    return found


def _stored(path: Path, sections: Sections) -> Stored:
    """What sections 2 to 6 store of the rhythm."""
    body = sections.body[LEADS]
    n_leads, flags = body[0], body[1]
    check_leads(path.name, n_leads)
    leads = [Lead(*struct.unpack_from("<IIB", body, 2 + 9 * number)) for number in range(n_leads)]
    leads = [replace(lead, first=1) if lead.first == 0 else lead for lead in leads]  # some count from 0 to the end
    if any(not 1 <= lead.first <= lead.last <= MAX_SAMPLES for lead in leads):
        raise ValueError(f"a lead that ends before it begins, or after more than {MAX_SAMPLES:,} samples")
    return Stored(
        leads=tuple(leads),
        is_subtracted=bool(flags & 1),
        tables=sections.body.get(TABLES),
        beats=sections.body.get(BEATS),
        reference=sections.body.get(REFERENCE),
        rhythm=sections.body[RHYTHM],
    )


def _about(sections: Sections, rhythm: Rhythm) -> About:
    tags = _tags(sections.body.get(PATIENT, b""))
    day, clock = _day(tags.get(DAY, b"")), _clock(tags.get(CLOCK, b""))
    age, unit = struct.unpack("<HB", tags[AGE][:3]) if len(tags.get(AGE, b"")) >= 3 else (0, 0)
    start = datetime.combine(day, clock) if day and clock else None
    born = _day(tags.get(BORN, b""))
    stated = age if age and unit == YEARS else None
    left_out = (LeftOut("reference beat", "an averaged beat, no rhythm"),) if rhythm.has_reference else ()
    return About(
        start=start,
        start_clock=clock,
        age_years=stated if stated is not None else age_of(born, start),
        left_out=left_out,
        doubts=(*sections.doubts, *rhythm.doubts),
    )


def _tags(body: bytes) -> dict[int, bytes]:
    """The tags of section 1; the first of several that are equal."""
    found: dict[int, bytes] = {}
    place = 0
    while place + 3 <= len(body) and body[place] != LAST_TAG:
        (length,) = struct.unpack_from("<H", body, place + 1)
        found.setdefault(body[place], body[place + 3 : place + 3 + length])
        place += 3 + length
    return found


def _day(value: bytes) -> date | None:
    try:
        return date(*struct.unpack("<HBB", value[:4]))
    except (ValueError, struct.error):  # not stated
        return None


def _clock(value: bytes) -> time | None:
    try:
        return time(*value[:3]) if len(value) >= 3 else None
    except ValueError:
        return None


def patient_of(path: Path) -> Patient:
    """Patient, physicians and recorder, from section 1."""
    tags = _tags(_sections(path).body.get(PATIENT, b""))
    device = tags.get(DEVICE, b"")
    language = device[16] if len(device) > 16 else 0
    last, first, number, referring, confirming = (_text(tags.get(tag, b""), language) for tag in NAMES)
    born = _day(tags.get(BORN, b""))
    return Patient(
        name=f"{first} {last}".strip(),
        patient_id=number,
        birth_date=born.isoformat() if born else "",
        sex=SEX.get(int.from_bytes(tags.get(SEX_TAG, b"")[:1], "little"), ""),
        referring_physician=referring,
        reading_physician=confirming,
        recorder=_text(device[8:14], language),
    )


def _text(value: bytes, language: int) -> str:
    """A text of the encoding that the device states; Latin-1 where it is none of the common ones."""
    if language == TWO_BYTES:
        return value.decode("utf-16-le", errors="replace").partition("\0")[0].strip()
    encoding = "utf-8" if language == UTF8 else "latin-1"
    return value.partition(b"\0")[0].decode(encoding, errors="replace").strip()
