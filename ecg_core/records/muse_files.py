"""XML of GE MUSE (``RestingECG``): eight stored leads in base64, the other four limb leads are their sums."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Record
from ..text import format_quoted
from .stored_leads import About, StoredLead, age_of, open_leads
from .units import mv_of_unit
from .xml_text import counts_of, date_of, number_of, read_xml, text_at

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

RHYTHM, SAMPLE_BYTES = "rhythm", 2
MAX_EXPONENT: Final = 9  # a larger power of ten is damage
DATES: Final = ("%m-%d-%Y", "%m/%d/%Y", "%Y-%m-%d")  # MUSE writes American dates
SEX: Final = {"MALE": "male", "M": "male", "FEMALE": "female", "F": "female"}


def read_muse(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the longest rhythm of a MUSE export; the patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no rhythm, its rate is not stated, or it is damaged.

    """
    root = read_xml(path)
    waveforms = root.findall("Waveform")
    rhythms = [
        one for one in waveforms if text_at(one, "WaveformType").lower() == RHYTHM and one.find("LeadData") is not None
    ]
    if not rhythms:
        kinds = ", ".join(text_at(one, "WaveformType") or "of no stated type" for one in waveforms) or "none"
        raise RecordError(
            f"is GE MUSE XML without a rhythm (its waveforms: {format_quoted(kinds)}); a rhythm is needed",
            where=path.name,
            advice="Export the ECG with its waveforms.",
        )
    found = [_leads(path, one) for one in rhythms]
    number = max(range(len(found)), key=lambda place: _duration_s(found[place][0]))
    leads, left_out, doubts = found[number]
    others = [
        LeftOut(format_quoted(text_at(one, "WaveformType") or "waveform"), _why_not(one))
        for one in waveforms if one is not rhythms[number]
    ]  # fmt: skip
    start, clock = _start(root)
    stated = number_of(text_at(root, "PatientDemographics/PatientAge"))
    in_years = text_at(root, "PatientDemographics/AgeUnits").upper() in ("", "YEARS")
    about = About(
        start=start,
        start_clock=clock,
        age_years=int(stated) if stated is not None and in_years else age_of(_born(root), start),
        left_out=(*left_out, *others),
        doubts=tuple(doubts),
    )
    return open_leads(path, leads, about, overrides)


def _duration_s(leads: list[StoredLead]) -> float:
    return max((len(lead.counts) / lead.fs_hz for lead in leads), default=0.0)


def _why_not(waveform: Element) -> str:
    if text_at(waveform, "WaveformType").lower() == RHYTHM:
        return "a shorter rhythm than the one that is read"
    return "an averaged beat, no rhythm"


def _leads(path: Path, waveform: Element) -> tuple[list[StoredLead], list[LeftOut], list[str]]:
    """Leads of a waveform, what of it is none, and what is doubtful."""
    base, exponent = number_of(text_at(waveform, "SampleBase")), number_of(text_at(waveform, "SampleExponent") or "0")
    if not base or base <= 0 or exponent is None or abs(exponent) > MAX_EXPONENT:
        raise RecordError(
            "its SampleBase and SampleExponent state no sampling rate, and none is guessed",
            where=path.name,
            advice="Export it again.",
        )
    leads, left_out, doubts = [], [], []
    for data in waveform.findall("LeadData"):
        name = format_quoted(text_at(data, "LeadID") or "a lead without a name")
        size = number_of(text_at(data, "LeadSampleSize") or str(SAMPLE_BYTES))
        unit, scale = text_at(data, "LeadAmplitudeUnits"), number_of(text_at(data, "LeadAmplitudeUnitsPerBit"))
        mv = mv_of_unit(unit)
        if size != SAMPLE_BYTES:
            left_out.append(LeftOut(name, f"{size} bytes a sample, {SAMPLE_BYTES} are read"))
        elif unit and mv is None:
            left_out.append(LeftOut(name, f"in {format_quoted(unit)}, no unit of an ECG"))
        else:
            counts = counts_of(path, text_at(data, "WaveFormData"), what=f"lead {name}")
            stated = number_of(text_at(data, "LeadSampleCountTotal"))
            known = scale is not None and scale > 0 and mv is not None
            leads.append(
                StoredLead(
                    name,
                    counts,
                    base * 10.0**exponent,
                    scale * mv if known and scale and mv else None,
                    stated=None if stated is None else int(stated),
                )
            )
            late = number_of(text_at(data, "LeadTimeOffset")) or number_of(text_at(data, "LeadOffsetFirstSample"))
            if late:
                doubts.append(f"lead {name} states a time offset of {late:g}, which is not applied: it has no unit")
    return leads, left_out, doubts


def _start(root: Element) -> tuple[datetime | None, time | None]:
    """Start of the recording, and its time of day."""
    day = date_of(text_at(root, "TestDemographics/AcquisitionDate"), *DATES)
    try:
        clock = time.fromisoformat(text_at(root, "TestDemographics/AcquisitionTime")).replace(tzinfo=None)
    except ValueError:
        return None, None
    return (datetime.combine(day, clock) if day else None), clock


def _born(root: Element) -> date | None:
    return date_of(text_at(root, "PatientDemographics/DateofBirth"), *DATES)


def patient_of(path: Path) -> Patient:
    """Patient, physicians and recorder, from the demographics of a document."""
    root = read_xml(path)
    stated, test = root.find("PatientDemographics"), root.find("TestDemographics")
    born = _born(root)
    return Patient(
        name=_person(stated, "Patient"),
        patient_id=text_at(stated, "PatientID"),
        birth_date=born.isoformat() if born else "",
        sex=SEX.get(text_at(stated, "Gender").upper(), ""),
        referring_physician=_person(test, "ReferringMD"),
        reading_physician=_person(test, "Overreader"),
        recorder=text_at(test, "AcquisitionDevice"),
    )


def _person(element: Element | None, role: str) -> str:
    return f"{text_at(element, f'{role}FirstName')} {text_at(element, f'{role}LastName')}".strip()
