"""XML of Mortara, Welch Allyn and Hillrom electrocardiographs (``ECG`` with a ``CHANNEL`` for each lead)."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Record
from ..text import format_quoted
from .stored_leads import About, StoredLead, age_of, open_leads
from .xml_text import attribute_at, counts_of, date_of, number_of, read_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FORMAT: Final = {"BITS": "16", "FORMAT": "SIGNED", "ENCODING": "BASE64"}  # what is read; taken where it is not stated
SEX: Final = {"M": "male", "F": "female"}
YEARS: Final = ("", "Y", "YEARS", "YEAR")


def read_mortara(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the channels of a document; the patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no channel, a rate is not stated, or it is damaged.

    """
    root = read_xml(path)
    leads: list[StoredLead] = []
    left_out: list[LeftOut] = []
    doubts: list[str] = []
    for number, channel in enumerate(root.findall("CHANNEL"), 1):
        name = format_quoted(channel.get("NAME", "").strip() or f"channel {number}")
        other = [f"{key} {channel.get(key, '')}" for key, value in FORMAT.items() if not _is(channel, key, value)]
        if other:
            left_out.append(LeftOut(name, f"{format_quoted(', '.join(other))}; 16-bit signed base64 is read"))
            continue
        leads.append(_lead(path, channel, name))
        if number_of(channel.get("OFFSET", "")):
            doubts.append(f"lead {name} states an offset, which is not applied: what it means is not documented")
    if not leads:
        raise RecordError(
            "is Mortara XML without a channel that is read; an ECG is needed",
            where=path.name,
            advice="Export it with its waveforms.",
        )
    if root.find("TYPICAL_CYCLE") is not None:
        left_out.append(LeftOut("typical cycle", "an averaged beat, no rhythm"))
    start = _time(root.get("ACQUISITION_TIME_XML", "")) or _time(root.get("ACQUISITION_TIME", ""))
    age = number_of(root.get("AGE", "")) if root.get("AGE_UNITS", "").strip().upper() in YEARS else None
    about = About(
        start=start,
        age_years=int(age) if age is not None else age_of(_born(root), start),
        left_out=tuple(left_out),
        doubts=tuple(doubts),
    )
    return open_leads(path, leads, about, overrides)


def _is(channel: Element, key: str, value: str) -> bool:
    return (channel.get(key, "").strip() or value).upper() == value


def _lead(path: Path, channel: Element, name: str) -> StoredLead:
    fs_hz, per_mv = number_of(channel.get("SAMPLE_FREQ", "")), number_of(channel.get("UNITS_PER_MV", ""))
    if fs_hz is None or fs_hz <= 0:
        raise RecordError(
            f"lead {name} states no sampling rate (SAMPLE_FREQ), and none is guessed",
            where=path.name,
            advice="Export it again.",
        )
    counts = counts_of(path, channel.get("DATA") or channel.text or "", what=f"lead {name}")
    duration = number_of(channel.get("DURATION", ""))
    stated = None if duration is None else round(duration)
    in_ms = stated is not None and stated == round(1000 * len(counts) / fs_hz)  # some state milliseconds
    return StoredLead(
        name, counts, fs_hz, 1 / per_mv if per_mv and per_mv > 0 else None, stated=len(counts) if in_ms else stated
    )


def _time(stated: str) -> datetime | None:
    """A time as ISO 8601 writes it, or its digits alone; a zone after it is the clock's own."""
    for form in ("%Y%m%d%H%M%S", None):
        try:
            time = datetime.strptime(stated.strip(), form) if form else datetime.fromisoformat(stated.strip())
        except ValueError:
            continue
        return time.replace(tzinfo=None)
    return None


def _born(root: Element) -> date | None:
    return date_of(attribute_at(root, "SUBJECT", "DOB"))


def patient_of(path: Path) -> Patient:
    """Patient and recorder, from the attributes of a document."""
    root = read_xml(path)
    last, first, number, sex = (
        attribute_at(root, "SUBJECT", key) for key in ("LAST_NAME", "FIRST_NAME", "ID", "GENDER")
    )
    maker, model = (attribute_at(root, "SOURCE", key) for key in ("MANUFACTURER", "MODEL"))
    born = _born(root)
    return Patient(
        name=f"{first} {last}".strip(),
        patient_id=number,
        birth_date=born.isoformat() if born else "",
        sex=SEX.get(sex[:1].upper(), ""),
        recorder=f"{maker} {model}".strip(),
    )
