"""HL7 annotated ECG (ANSI/HL7 V3 ECG, R1-2004), the XML in which trials hand in ECGs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Annotations, Float64, LeftOut, Record
from ..text import format_quoted
from .stored_leads import About, StoredLead, age_of, open_leads, standard_name
from .units import mv_of_unit
from .xml_text import attribute_at, date_of, number_of, read_xml, root_name, text_at

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROOT = "AnnotatedECG"
LEAD, BEAT, TIME = "MDC_ECG_LEAD_", "MDC_ECG_BEAT", "TIME_"
STEP_S: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}  # UCUM, of the time between two samples
SUBJECT = "componentOf/timepointEvent/componentOf/subjectAssignment/subject/trialSubject"
SEX: Final = {"M": "male", "F": "female", "UN": "other"}
# Beats of IEEE 11073-10102 as WFDB writes them; one of another code is not classifiable (Q)
SYMBOL_OF_BEAT: Final = {
    "NORMAL": "N", "DOMINANT": "N", "SV_P_C": "S", "ATR_P_C": "A", "JUNC_P_C": "J", "ATR_P_C_ABERR": "a", "V_P_C": "V",
    "V_P_C_FUSION": "F", "V_P_C_RONT": "r", "SV_ESC": "n", "ATR_ESC": "e", "JUNC_ESC": "j", "V_ESC": "E",
    "BB_BLK": "B", "LBB_BLK": "L", "LBB_BLK_COMP": "L", "RBB_BLK": "R", "RBB_BLK_COMP": "R", "PACED": "/",
    "PACED_FUS": "f",
}  # fmt: skip
NOT_CLASSIFIABLE = "Q"
LONGEST_QRS_S = 0.25  # the middle of a longer stretch is not where a detector finds the beat


def is_aecg(path: Path, first: bytes) -> bool:
    """Whether a file is an XML document of this kind."""
    return root_name(path, first) == ROOT


def read_aecg(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the longest rhythm of an annotated ECG; the patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no waveform, its rate is not stated, or it is damaged.

    """
    root = read_xml(path)
    series = root.findall("component/series")
    found = [_Waveform(path, one, sequences) for one in series for sequences in one.findall("component/sequenceSet")]
    found = [waveform for waveform in found if waveform.leads]
    if not found:
        raise RecordError(
            f"{path.name}: is an HL7 annotated ECG without a waveform (no sequence of digits in it); "
            "an ECG is needed. Export it with its waveforms."
        )
    rhythms = [waveform for waveform in found if waveform.is_rhythm] or found
    chosen = max(rhythms, key=lambda waveform: waveform.duration_s)
    start = chosen.start or _time(_low(root))
    born = date_of(attribute_at(root, f"{SUBJECT}/subjectDemographicPerson/birthTime", "value")[:8], "%Y%m%d")
    beats = [beat for rhythm in series for beat in _beats(rhythm, start, chosen.duration_s)]
    others = [waveform.left_out for waveform in found if waveform is not chosen]
    derived = [_derived_name(one) for one in root.iter("derivedSeries")]
    about = About(
        start=start,
        age_years=age_of(born, start),
        reference=_reference(beats),
        left_out=(*chosen.others, *others, *(LeftOut(name, "derived from the rhythm") for name in derived)),
    )
    return open_leads(path, chosen.leads, about, overrides)


class _Waveform:
    """The leads of one set of sequences, which share their times."""

    def __init__(self, path: Path, series: Element, sequences: Element) -> None:
        self.path, self.code = path, attribute_at(series, "code", "code")
        self.is_rhythm = self.code.upper() != "REPRESENTATIVE_BEAT"
        self.start, self.fs_hz = _time(_low(series)), 0.0
        self.leads: list[StoredLead] = []
        self.others: list[LeftOut] = []
        stored = [(attribute_at(one, "code", "code"), one.find("value")) for one in sequences.iter("sequence")]
        stored = [(code, value) for code, value in stored if not self._is_time(code, value)]
        for code, value in stored:
            self._add(code, value)
        if self.leads and self.fs_hz <= 0:
            raise RecordError(
                f"{path.name}: states no time between two samples (the increment of TIME_ABSOLUTE or TIME_RELATIVE, in "
                "s, ms or us), and no rate is guessed. Export it again."
            )

    @property
    def duration_s(self) -> float:
        return max(len(lead.counts) for lead in self.leads) / self.fs_hz

    @property
    def left_out(self) -> LeftOut:
        name = self.code or "a series without a code"
        return LeftOut(format_quoted(name), f"{self.duration_s:.1f} s of another waveform; the longest rhythm is read")

    def _is_time(self, code: str, value: Element | None) -> bool:
        """Take the rate and the start from the sequence of times."""
        if not code.upper().startswith(TIME):
            return False
        step = number_of(attribute_at(value, "increment", "value"))
        unit = STEP_S.get(attribute_at(value, "increment", "unit") or "s")
        if step and step > 0 and unit:
            self.fs_hz = round(1 / (step * unit), 6)
        if code.upper() == "TIME_ABSOLUTE":
            self.start = _time(attribute_at(value, "head", "value")) or self.start
        return True

    def _add(self, code: str, value: Element | None) -> None:
        """Add a lead, or the reason why a sequence is none."""
        stored = value.find("digits") if value is not None else None
        words = (stored.text or "").split() if stored is not None else []
        if not words:
            return
        if LEAD not in code.upper():
            self.others.append(LeftOut(format_quoted(code or "a sequence without a code"), "no code of an ECG lead"))
            return
        name = standard_name(code[code.upper().index(LEAD) + len(LEAD) :])
        scale, unit = number_of(attribute_at(value, "scale", "value")), attribute_at(value, "scale", "unit")
        origin, origin_unit = number_of(attribute_at(value, "origin", "value")), attribute_at(value, "origin", "unit")
        mv, origin_mv = mv_of_unit(unit), mv_of_unit(origin_unit or unit)
        if unit and mv is None:
            self.others.append(LeftOut(name, f"in {format_quoted(unit)}, no unit of an ECG"))
            return
        stated = scale is not None and mv is not None
        self.leads.append(
            StoredLead(
                name,
                _numbers(self.path, words, name),
                self.fs_hz,
                scale * mv if scale is not None and mv is not None else None,
                (origin or 0.0) * (origin_mv or 0.0) if stated else 0.0,
            )
        )


def _numbers(path: Path, words: list[str], name: str) -> Float64:
    try:
        return np.array(words, dtype=np.float64)
    except ValueError as error:
        raise RecordError(
            f"{path.name}: the digits of lead {name} are damaged ({format_quoted(error)}). Copy or export it again."
        ) from error


def _low(element: Element) -> str:
    """When a document or a series begins, as it states it."""
    return attribute_at(element, "effectiveTime/low", "value") or attribute_at(element, "effectiveTime/center", "value")


def _time(stated: str) -> datetime | None:
    """A time of HL7 (YYYYMMDDHHMMSS.fff, a zone after it is the clock's own), to the minute at least."""
    found = re.match(r"(\d{12})(\d\d)?(\.\d{1,6})?", stated)
    if not found:
        return None
    try:
        return datetime.strptime(found[1] + (found[2] or "00"), "%Y%m%d%H%M%S") + timedelta(
            seconds=round(float(found[3] or 0), 6)
        )
    except ValueError:
        return None


def _derived_name(series: Element) -> str:
    return format_quoted(attribute_at(series, "code", "code") or "a derived series")


def _beats(series: Element, start: datetime | None, duration_s: float) -> list[tuple[float, str]]:
    """Time and symbol of each annotated beat of a series."""
    found = []
    for annotation in series.iter("annotation"):
        if not attribute_at(annotation, "code", "code").upper().startswith(BEAT):
            continue
        code = attribute_at(annotation, "value", "code") or attribute_at(annotation, "code", "code")
        kind = code.upper().removeprefix(BEAT).strip("_")
        time_s = _time_of(annotation, start)
        if kind and time_s is not None and 0 <= time_s <= duration_s:
            found.append((time_s, SYMBOL_OF_BEAT.get(kind, NOT_CLASSIFIABLE)))
    return found


def _time_of(annotation: Element, start: datetime | None) -> float | None:
    """Where a beat is, in seconds from the start: a point, or the middle of a QRS."""
    for boundary in annotation.findall("support/supportingROI/component/boundary"):
        absolute = attribute_at(boundary, "code", "code").upper() == "TIME_ABSOLUTE"
        value = boundary.find("value")
        if value is None or not attribute_at(boundary, "code", "code").upper().startswith(TIME):
            continue
        point = _seconds(value, start, absolute=absolute)
        low, high = (_seconds(value.find(end), start, absolute=absolute) for end in ("low", "high"))
        if low is not None and high is not None:
            return (low + high) / 2 if 0 <= high - low <= LONGEST_QRS_S else None
        return point if point is not None else low
    return None


def _seconds(value: Element | None, start: datetime | None, *, absolute: bool) -> float | None:
    stated = "" if value is None else value.get("value", "")
    if value is None or not stated:
        return None
    if not absolute:
        number, unit = number_of(stated), STEP_S.get(value.get("unit", "s"))
        return number * unit if number is not None and unit else None
    time = _time(stated)
    return (time - start).total_seconds() if time and start else None


def _reference(beats: list[tuple[float, str]]) -> Annotations | None:
    if not beats:
        return None
    time_s, symbol = zip(*sorted(beats), strict=True)
    return Annotations(np.array(time_s), np.array(symbol), np.full(len(time_s), "", dtype=np.str_))


def patient_of(path: Path) -> Patient:
    """Patient and recorder, from the subject and the device of a document."""
    root = read_xml(path)
    subject = root.find(SUBJECT)
    person = None if subject is None else subject.find("subjectDemographicPerson")
    name = None if person is None else person.find("name")
    parts = [] if name is None else [*name.findall("prefix"), *name.findall("given"), *name.findall("family")]
    born = date_of(attribute_at(person, "birthTime", "value")[:8], "%Y%m%d")
    author = root.find("component/series/author/seriesAuthor")
    maker, model = (
        text_at(author, "manufacturerOrganization/name"),
        text_at(author, "manufacturedSeriesDevice/manufacturerModelName"),
    )
    return Patient(
        name=" ".join(filter(None, map(text_at, parts))) or text_at(name),
        patient_id=attribute_at(subject, "id", "extension"),
        birth_date=born.isoformat() if born else "",
        sex=SEX.get(attribute_at(person, "administrativeGenderCode", "code"), ""),
        recorder=f"{maker} {model}".strip(),
    )
