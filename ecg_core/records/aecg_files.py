"""HL7 annotated ECG (ANSI/HL7 V3 ECG, R1-2004), the XML in which trials hand in ECGs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Annotations, Record
from ..text import format_quoted
from .mdc import BEATS, OURS
from .stored_leads import About, StoredLead, age_of, open_leads, standard_name
from .units import mv_of_unit
from .xml_text import attribute_at, date_of, number_of, numbers_of, read_xml, text_at

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LEAD, BEAT, TIME = "MDC_ECG_LEAD_", "MDC_ECG_BEAT", "TIME_"
STEP_S: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}  # UCUM, of the time between two samples
SUBJECT = "componentOf/timepointEvent/componentOf/subjectAssignment/subject/trialSubject"
SEX: Final = {"M": "male", "F": "female", "UN": "other"}
# Beats by their codes as WFDB writes them, the first symbol of a code; one of another code is not classifiable (Q)
SYMBOL_OF_BEAT: Final = {
    **{code.name.upper().removeprefix(f"{BEAT}_"): symbol for symbol, code in reversed(BEATS.items())},
    "DOMINANT": "N", "LBB_BLK": "L", "RBB_BLK": "R",
}  # fmt: skip
NOT_CLASSIFIABLE = "Q"
AVERAGED = "REPRESENTATIVE_BEAT"
LONGEST_QRS_S = 0.25  # the middle of a longer stretch is not where a detector finds the beat


@dataclass(frozen=True, eq=False)
class Waveform:
    """The leads of one set of sequences, which share their times."""

    series: Element  # that it is of
    start: datetime | None
    from_s: float  # relative time of the first sample
    fs_hz: float  # 0 where it is not stated
    leads: tuple[StoredLead, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def code(self) -> str:
        """Of the series."""
        return attribute_at(self.series, "code", "code")

    @property
    def is_rhythm(self) -> bool:
        """Whether it is no averaged beat."""
        return self.code.upper() != AVERAGED

    @property
    def duration_s(self) -> float:
        """Of the longest lead; 0 where the rate is not stated."""
        return max(len(lead.counts) for lead in self.leads) / self.fs_hz if self.fs_hz else 0.0


def read_aecg(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open the longest rhythm of an annotated ECG; the patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no waveform, its rate is not stated, or it is damaged.

    """
    root = read_xml(path)
    series = root.findall("component/series")
    found = [_waveform(path, one, sequences) for one in series for sequences in one.findall("component/sequenceSet")]
    found = [waveform for waveform in found if waveform.leads]
    if not found:
        raise RecordError(
            "is an HL7 annotated ECG without a waveform (no sequence of digits in it); an ECG is needed",
            where=path.name,
            advice="Export it with its waveforms.",
        )
    chosen = max(found, key=lambda waveform: (waveform.is_rhythm, waveform.duration_s))
    if chosen.fs_hz <= 0:
        raise RecordError(
            "states no time between two samples (the increment of TIME_ABSOLUTE or TIME_RELATIVE, in s, ms or us), and "
            "no rate is guessed",
            where=path.name,
            advice="Export it again.",
        )
    start = chosen.start or _time(_low(root))
    born = date_of(attribute_at(root, f"{SUBJECT}/subjectDemographicPerson/birthTime", "value")[:8], "%Y%m%d")
    beats = _beats(replace(chosen, start=start))
    others = [_why_not(waveform) for waveform in found if waveform is not chosen]
    derived = [attribute_at(one, "code", "code") or "a derived series" for one in root.iter("derivedSeries")]
    about = About(
        start=start,
        age_years=age_of(born, start),
        reference=_reference(beats),
        left_out=(
            *chosen.left_out, *others, *(LeftOut(format_quoted(name), "derived from the rhythm") for name in derived)
        ),
    )  # fmt: skip
    return open_leads(path, chosen.leads, about, overrides)


def _waveform(path: Path, series: Element, sequences: Element) -> Waveform:
    """The leads of a set of sequences, and what of it is no lead."""
    fs_hz, start, from_s = 0.0, _time(_low(series)), 0.0
    leads: list[StoredLead] = []
    left_out: list[LeftOut] = []
    stored = [(_code(one), one.find("value")) for one in sequences.iter("sequence")]
    for code, value in stored:
        if code.upper().startswith(TIME):
            fs_hz = _rate(value) or fs_hz
            absolute = code.upper() == "TIME_ABSOLUTE"
            head = None if value is None else value.find("head")
            if absolute:
                start = _time(attribute_at(value, "head", "value")) or start
            else:
                from_s = _seconds(head, None, absolute=False) or 0.0
    for code, value in stored:
        if code.upper().startswith(TIME):
            continue
        found = _lead(path, code, value, fs_hz)
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            leads.append(found)
    return Waveform(series, start, from_s, fs_hz, tuple(leads), tuple(left_out))


def _code(sequence: Element) -> str:
    """What a sequence holds; a lead without a code of its own has its name as one of this program's."""
    code = attribute_at(sequence, "code", "code")
    return f"{LEAD}{code}" if attribute_at(sequence, "code", "codeSystem") == OURS else code


def _rate(value: Element | None) -> float | None:
    step = number_of(attribute_at(value, "increment", "value"))
    unit = STEP_S.get(attribute_at(value, "increment", "unit"))
    return round(1 / (step * unit), 6) if step and step > 0 and unit else None


def _why_not(waveform: Waveform) -> LeftOut:
    """Why a waveform is not the one that is read."""
    name = format_quoted(waveform.code or "a series without a code")
    if not waveform.is_rhythm:
        return LeftOut(name, "an averaged beat, no rhythm")
    if waveform.fs_hz <= 0:
        return LeftOut(name, "states no rate")
    when = f" from {waveform.start:%Y-%m-%d %H:%M:%S}" if waveform.start else ""
    return LeftOut(name, f"{waveform.duration_s:.1f} s{when}; the longest rhythm is read")


def _lead(path: Path, code: str, value: Element | None, fs_hz: float) -> StoredLead | LeftOut:
    """A lead, or why a sequence is none."""
    digits = value.find("digits") if value is not None else None
    text = (digits.text or "").strip() if digits is not None else ""
    if LEAD not in code.upper():
        return LeftOut(format_quoted(code or "a sequence without a code"), "no code of an ECG lead")
    name = format_quoted(standard_name(code[code.upper().index(LEAD) + len(LEAD) :]))
    if not text:
        return LeftOut(name, "no samples")
    scale, unit = number_of(attribute_at(value, "scale", "value")), attribute_at(value, "scale", "unit")
    origin = number_of(attribute_at(value, "origin", "value")) or 0.0
    mv, origin_mv = mv_of_unit(unit), mv_of_unit(attribute_at(value, "origin", "unit") or unit)
    if unit and (mv is None or (origin and origin_mv is None)):
        return LeftOut(name, f"in {format_quoted(unit)}, no unit of an ECG")
    counts = numbers_of(path, text, what=f"the digits of lead {name}")
    if scale is None or mv is None:
        return StoredLead(name, counts, fs_hz, None)
    return StoredLead(name, counts, fs_hz, scale * mv, origin * (origin_mv or 0.0))


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


def _beats(waveform: Waveform) -> list[tuple[float, str]]:
    """Time and symbol of each beat that is annotated in the series of a waveform, and in none derived from it."""
    found, series = [], waveform.series
    derived = {annotation for other in series.iter("derivedSeries") for annotation in other.iter("annotation")}
    for annotation in series.iter("annotation"):
        if annotation in derived or not attribute_at(annotation, "code", "code").upper().startswith(BEAT):
            continue
        code = attribute_at(annotation, "value", "code") or attribute_at(annotation, "code", "code")
        kind = code.upper().removeprefix(BEAT).strip("_")
        time_s = _time_of(annotation, waveform)
        if kind and time_s is not None and 0 <= time_s <= waveform.duration_s:
            found.append((time_s, SYMBOL_OF_BEAT.get(kind, NOT_CLASSIFIABLE)))
    return found


def _time_of(annotation: Element, waveform: Waveform) -> float | None:
    """Where a beat is, in seconds from the first sample: a point, or the middle of a QRS."""
    for boundary in annotation.findall("support/supportingROI/component/boundary"):
        absolute = attribute_at(boundary, "code", "code").upper() == "TIME_ABSOLUTE"
        value = boundary.find("value")
        if value is None or not attribute_at(boundary, "code", "code").upper().startswith(TIME):
            continue
        begin_s = 0.0 if absolute else waveform.from_s
        point = _seconds(value, waveform.start, absolute=absolute)
        low, high = (_seconds(value.find(end), waveform.start, absolute=absolute) for end in ("low", "high"))
        if low is not None and high is not None:
            return (low + high) / 2 - begin_s if 0 <= high - low <= LONGEST_QRS_S else None
        stated = point if point is not None else low
        return None if stated is None else stated - begin_s
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
