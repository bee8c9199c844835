"""XML of Philips electrocardiographs (``restingecgdata``, Sierra ECG 1.03 and 1.04), plain or compressed by XLI.

XLI compresses each lead by LZW with codes of ten bits, over second differences of its samples; of III, aVR, aVL and aVF
it keeps what the sums of the other leads leave over.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Index, Record
from ..text import format_quoted, plural
from .limits import check_leads
from .samples import undo_differences
from .stored_leads import STANDARD, About, StoredLead, age_of, open_leads
from .xml_text import attribute_at, bytes_of, counts_of, date_of, number_of, read_xml, text_at

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

UV_PER_MV, MS_PER_S = 1e3, 1e3
CODE_BITS = 10
FIRST_CODE, LAST_CODE = 256, (1 << CODE_BITS) - 2  # the table grows no further; the code after them is the end
CHUNK_HEADER_BYTES = 8
DELTA_ZERO = 64  # stands for a difference of 0
MAX_SAMPLES: Final = 1 << 22  # of a lead, an hour at 1,000 Hz: more is damage
SEX: Final = {"MALE": "male", "FEMALE": "female"}
TWELVE_LEAD_TYPES: Final = ("STD-12", "10-WIRE")


def read_sierra(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the waveforms of a Philips document; the patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no waveforms, they are compressed in another way, or it is damaged.

    """
    root = read_xml(path)
    waveforms, signal = root.find(".//parsedwaveforms"), root.find(".//signalcharacteristics")
    if waveforms is None or not text_at(waveforms):
        raise RecordError(
            "is Philips XML without waveforms (no data in parsedwaveforms); an ECG is needed",
            where=path.name,
            advice="Export it with its waveforms.",
        )
    fs_hz = number_of(waveforms.get("samplespersecond", "") or text_at(signal, "samplingrate"))
    duration_ms = number_of(waveforms.get("durationperchannel", ""))
    if fs_hz is None or fs_hz <= 0 or duration_ms is None or duration_ms <= 0:
        raise RecordError(
            "states no sampling rate or no duration (samplingrate, durationperchannel), and none is guessed",
            where=path.name,
            advice="Export it again.",
        )
    resolution = number_of(
        waveforms.get("resolution", "") or text_at(signal, "resolution") or text_at(signal, "signalresolution")
    )
    zero = number_of(waveforms.get("signaloffset", "")) or 0.0
    mv = resolution / UV_PER_MV if resolution and resolution > 0 else None
    n = round(min(duration_ms * fs_hz / MS_PER_S, MAX_SAMPLES))
    names = _names(waveforms, signal)
    check_leads(path.name, len(names))
    start = _start(root)
    born = date_of(text_at(root, ".//generalpatientdata/age/dateofbirth"))
    stated_age = number_of(text_at(root, ".//generalpatientdata/age/years"))
    about = About(
        start=start,
        age_years=int(stated_age) if stated_age is not None else age_of(born, start),
        left_out=(LeftOut("representative beats", "averaged, no rhythm"),) * (root.find(".//repbeat") is not None),
    )
    leads = [
        StoredLead(name, row, fs_hz, mv, -zero * mv if mv else 0.0, stated=n)
        for name, row in zip(names, _rows(path, waveforms, names, n), strict=True)
    ]
    return open_leads(path, leads, about, overrides)


def _names(waveforms: Element, signal: Element | None) -> list[str]:
    """Names of the leads, as stated or as the kind of recording implies them."""
    labels = waveforms.get("leadlabels", "").split()
    stated = number_of(waveforms.get("numberofleads", "") or text_at(signal, "numberchannelsallocated"))
    n = int(min(max(stated or 0, 0), 1000)) or len(labels)
    if labels:
        return labels[:n]
    twelve = text_at(signal, "acquisitiontype").upper() in TWELVE_LEAD_TYPES
    return [STANDARD[k] if twelve and k < len(STANDARD) else f"channel {k + 1}" for k in range(n)]


def _rows(path: Path, waveforms: Element, names: list[str], n: int) -> list[Index]:
    """Counts of each lead, at most ``n``."""
    encoding = waveforms.get("dataencoding", "")
    method = waveforms.get("compression", "") or waveforms.get("compressmethod", "")
    if waveforms.get("compressflag", "").lower() == "false" or method.lower() in ("", "none", "uncompressed"):
        method = ""
    if encoding != "Base64" or method not in ("", "XLI"):
        raise RecordError(
            "its waveforms are stored in a form that is not read",
            where=path.name,
            expected="Base64 with compression XLI or none",
            got=f"{format_quoted(encoding or 'nothing stated')} with compression {format_quoted(method or 'none')}",
            advice="Export it in version 1.03 or 1.04.",
        )
    if method:
        return _xli(path, bytes_of(path, text_at(waveforms), what="its waveforms"), names, n)
    counts = counts_of(path, text_at(waveforms), what="its waveforms").astype(np.int64)
    if len(counts) < n * len(names):
        raise RecordError(
            "is truncated or damaged",
            where=path.name,
            expected=f"{plural(n, 'sample')} for each of {plural(len(names), 'lead')}",
            got=f"{len(counts):,} together",
            advice="Copy or export it again.",
        )
    return [counts[k * n : k * n + n] for k in range(len(names))]


def _xli(path: Path, content: bytes, names: list[str], n: int) -> list[Index]:
    """Leads of compressed chunks, and the limb leads of what their sums left over."""
    rows: list[Index] = []
    place = 0
    while place + CHUNK_HEADER_BYTES <= len(content) and len(rows) < len(names):
        size = int.from_bytes(content[place : place + 4], "little")
        first = int.from_bytes(content[place + 6 : place + 8], "little", signed=True)
        place += CHUNK_HEADER_BYTES
        rows.append(_samples(_lzw(content[place : place + size], 2 * n + 2), first)[:n])
        place += size
    if len(rows) < len(names) or place > len(content) or min(map(len, rows)) == 0:
        raise RecordError(
            "is truncated or damaged",
            where=path.name,
            expected=f"the compressed waveforms of {plural(len(names), 'lead')}",
            got=f"{len(rows)}, or the last one in part",
            advice="Copy or export it again.",
        )
    if names[:6] == list(STANDARD[:6]):
        shared = min(map(len, rows[:6]))
        rows[:6] = _limb_leads([row[:shared] for row in rows[:6]])
    return rows


def _lzw(content: bytes, most: int) -> bytes:
    """Bytes of a stream of codes, up to its end or to ``most`` bytes."""
    strings = [bytes((k,)) for k in range(FIRST_CODE)]
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8))
    whole = bits[: len(bits) // CODE_BITS * CODE_BITS].reshape(-1, CODE_BITS)
    codes = (whole @ (1 << np.arange(CODE_BITS)[::-1])).tolist()
    found, length, before = [], 0, b""
    for code in codes:
        if code > LAST_CODE or code > len(strings) or (code == len(strings) and not before) or length >= most:
            break
        text = strings[code] if code < len(strings) else before + before[:1]
        if before and len(strings) <= LAST_CODE:
            strings.append(before + text[:1])
        found.append(text)
        length += len(text)
        before = text
    return b"".join(found)[:most]


def _samples(content: bytes, first: int) -> Index:
    """Samples of a chunk: two of them, then second differences; all high bytes come before all low ones."""
    halves = np.frombuffer(content + bytes(len(content) % 2), dtype=np.uint8).reshape(2, -1).astype(np.uint16)
    numbers = (halves[0] << 8 | halves[1]).astype(np.int16).astype(np.int64)
    turned = np.concatenate([[first], numbers[2:-1] - DELTA_ZERO])[: max(len(numbers) - 2, 0)]
    return undo_differences(np.concatenate([numbers[:2], -turned]), 2)


def _limb_leads(rows: list[Index]) -> list[Index]:
    """The six limb leads, of which four are stored as what their sums leave over."""
    one, two, third, right, left, foot = rows
    three = two - one - third
    return [one, two, three, -right - (one + two) // 2, (one - three) // 2 - left, (two + three) // 2 - foot]


def _start(root: Element) -> datetime | None:
    stated = f"{attribute_at(root, 'dataacquisition', 'date')}T{attribute_at(root, 'dataacquisition', 'time')}"
    try:
        return datetime.fromisoformat(stated).replace(tzinfo=None)
    except ValueError:
        return None


def patient_of(path: Path) -> Patient:
    """Patient and recorder, from the general data of a document."""
    root = read_xml(path)
    person = root.find(".//generalpatientdata")
    born = date_of(text_at(person, "age/dateofbirth"))
    return Patient(
        name=f"{text_at(person, 'name/firstname')} {text_at(person, 'name/lastname')}".strip(),
        patient_id=text_at(person, "patientid"),
        birth_date=born.isoformat() if born else "",
        sex=SEX.get(text_at(person, "sex").upper(), ""),
        recorder=text_at(root, "dataacquisition/machine"),
    )
