"""The report as a FHIR R4 document for programs of a hospital: a Bundle with the report, its measures and its PDF.

A measure has a code of the program's own code system, which is the key of ``_burden.csv``, and a LOINC code only where
LOINC means exactly it. Units are those of UCUM.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from .. import NOTICE, __version__
from ..clock import moment_of
from ..notes import NO_NOTES, Notes, Patient
from ..rhythm.events import KIND_NAMES, MOST_SERIOUS_FIRST
from ..schema import Analysis, Record
from .columns import json_text
from .dangers import dangers, remarks
from .facts import signer_text
from .measures import GROUPS, YES_NO, Measure, format_edits, measures
from .narrative import narrative_heading, narrative_of
from .operating import chosen_sensitivity
from .pdf import report_pdf
from .statements import statements

Resource = dict[str, Any]

OUR_UUID: Final = uuid.UUID("5a1f6c86-6d0e-5c0b-8f0c-6b1f1f2c7b1e")  # names in it make the identifiers of resources
MEASURES: Final = f"urn:oid:2.25.{uuid.uuid5(OUR_UUID, 'measures').int}"  # the keys of ``_burden.csv``
FINDINGS: Final = f"urn:oid:2.25.{uuid.uuid5(OUR_UUID, 'findings').int}"  # the kinds of ``_events.csv``
RECORDS: Final = f"urn:oid:2.25.{uuid.uuid5(OUR_UUID, 'records').int}"  # records by the hash of their files
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
EKG_STUDY: Final = {"system": LOINC, "code": "11524-6", "display": "EKG study"}
LOINC_OF: Final = {"heart_rate_mean": ("8867-4", "Heart rate")}
UCUM_OF: Final = {
    "%": "%", "s": "s", "ms": "ms", "ms2": "ms2", "bpm": "/min", "/h": "/h", "/day": "/d", "": "1", "points": "%",
    "beats": "{beats}", "couplets": "{couplets}", "runs": "{runs}", "episodes": "{episodes}", "pauses": "{pauses}",
    "RR": "{RR}",
}  # fmt: skip
GENDER: Final = {"female": "female", "male": "male", "other": "other"}
TEST_DATA: Final = {"system": f"{TERMINOLOGY}/v3-ActReason", "code": "HTEST", "display": "test health data"}
START_CLOCK, AT = "start_clock", "at_s"  # codes of ours that are no measure: when it began, and when a value occurred


def fhir_bundle(analysis: Analysis, notes: Notes = NO_NOTES, *, pdf: bytes | None = None) -> bytes:
    """A Bundle of the type collection as JSON; patient data are those of the notes.

    The report is final where it is signed as it is, and preliminary otherwise.

    Parameters
    ----------
    pdf
        The report with these notes, where it is made already.

    """
    record = analysis.record
    observed = [*_clock(analysis, notes), *(_observation(one, analysis, notes) for one in measures(analysis))]
    patient = [] if notes.patient.is_empty else [_patient(record, notes.patient)]
    report = _report(analysis, notes, observed, report_pdf(analysis, notes) if pdf is None else pdf)
    bundle: Resource = {
        "resourceType": "Bundle",
        "id": _id(record, "Bundle"),
        "identifier": _identifier(record),
        "type": "collection",
        "entry": [_entry(one, record) for one in (report, *patient, _device(analysis), *observed)],
    }
    if notes.is_signed:
        bundle["timestamp"] = notes.signatures[-1].signed_at
    return json_text(bundle).encode()


def _id(record: Record, name: str) -> str:
    """The same for the same resource of a record."""
    return str(uuid.uuid5(OUR_UUID, f"{record.sha256}/{name}"))


def _entry(resource: Resource, record: Record) -> Resource:
    """A resource under its name, by which others refer to it; that of a simulated record is marked as a test."""
    if record.is_simulated:
        resource = {**resource, "meta": {"tag": [TEST_DATA]}}
    return {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}


def _identifier(record: Record) -> Resource:
    return {"system": RECORDS, "value": record.sha256}


def _reference(record: Record, name: str) -> Resource:
    return {"reference": f"urn:uuid:{_id(record, name)}"}


def _status(notes: Notes) -> str:
    return "final" if notes.is_signed else "preliminary"


def _common(analysis: Analysis, notes: Notes) -> Resource:
    """Status, patient and days of a report or a measure.

    FHIR wants a time zone with each time of day, which no recording states: the days stand alone here.
    """
    record, common = analysis.record, {"status": _status(notes)}
    return {
        **common,
        **({} if notes.patient.is_empty else {"subject": _reference(record, "Patient")}),
        **({"effectivePeriod": _period(record)} if record.start else {}),
    }


def _period(record: Record) -> Resource:
    if record.start is None:
        return {}
    end = record.start + timedelta(seconds=record.duration_s)
    return {"start": record.start.date().isoformat(), "end": end.date().isoformat()}


def _report(analysis: Analysis, notes: Notes, observed: list[Resource], pdf: bytes) -> Resource:
    record = analysis.record
    found = {event.kind for event in analysis.events}
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "id": _id(record, "DiagnosticReport"),
        "identifier": [_identifier(record)],
        **_common(analysis, notes),
        "category": [{"coding": [{"system": f"{TERMINOLOGY}/v2-0074", "code": "EC"}]}],
        "code": {"coding": [EKG_STUDY], "text": "ECG arrhythmia report"},
        "result": [{"reference": f"urn:uuid:{one['id']}"} for one in observed],
        "conclusion": _conclusion(analysis, notes),
        "presentedForm": [
            {
                "contentType": "application/pdf",
                "language": "en",
                "data": base64.b64encode(pdf).decode(),
                "size": len(pdf),
                "title": f"ECG report {record.record_id}",
            }
        ],
    }
    codes = [kind for kind in MOST_SERIOUS_FIRST if kind in found]
    if codes:
        report["conclusionCode"] = [
            {"coding": [{"system": FINDINGS, "code": kind, "display": KIND_NAMES[kind]}]} for kind in codes
        ]
    if notes.is_signed:
        report["issued"] = notes.signatures[-1].signed_at
        signers = dict.fromkeys(signer_text(one) for one in notes.signatures if signer_text(one))
        report["resultsInterpreter"] = [{"display": signer} for signer in signers]
    return report


def _conclusion(analysis: Analysis, notes: Notes) -> str:
    """Dangers first, then the other statements, and the narrative; a reader's own need not name the edits."""
    texts = [*(danger.text for danger in dangers(analysis)), *chosen_sensitivity(analysis)]
    texts += [*(statement.text for statement in statements(analysis)), *remarks(analysis)]
    if notes.narrative and (edited := format_edits(analysis)):
        texts.append(f"Edits: {edited}")
    heading = [f"{narrative_heading(notes)}:"] if notes.is_narrative_older else []
    return "\n".join([*(f"{text}." for text in texts), *heading, narrative_of(analysis, notes), NOTICE])


def _observation(measure: Measure, analysis: Analysis, notes: Notes) -> Resource:
    """A measure with its value, or the reason why there is none."""
    record, notes_of_it = analysis.record, [text for text in (measure.of, GROUPS[measure.group]) if text]
    codes = [{"system": MEASURES, "code": measure.key, "display": measure.name}]
    if measure.key in LOINC_OF:
        code, display = LOINC_OF[measure.key]
        codes.insert(0, {"system": LOINC, "code": code, "display": display})
    made: Resource = {
        "resourceType": "Observation",
        "id": _id(record, f"Observation/{measure.key}"),
        **_common(analysis, notes),
        "code": {"coding": codes, "text": measure.name},
        "device": _reference(record, "Device"),
        **_value(measure),
        "note": [{"text": text} for text in notes_of_it],
    }
    if measure.at_s is not None:
        made["component"] = [
            {"code": _own(AT, "Seconds from the start"), "valueQuantity": _quantity(measure.at_s, "s")}
        ]
    return made


def _own(code: str, display: str) -> Resource:
    return {"coding": [{"system": MEASURES, "code": code, "display": display}]}


def _value(measure: Measure) -> Resource:
    if measure.value is None:
        unknown = {"system": f"{TERMINOLOGY}/data-absent-reason", "code": "unknown", "display": "Unknown"}
        return {"dataAbsentReason": {"coding": [unknown], **({"text": measure.why} if measure.why else {})}}
    if measure.unit == YES_NO:
        return {"valueBoolean": bool(measure.value)}
    quantity = _quantity(measure.value, measure.unit)
    return {"valueQuantity": {**quantity, **({"comparator": ">="} if measure.at_least else {})}}


def _quantity(value: float, unit: str) -> Resource:
    return {"value": round(value, 4), **({"unit": unit} if unit else {}), "system": UCUM, "code": UCUM_OF[unit]}


def _clock(analysis: Analysis, notes: Notes) -> Iterator[Resource]:
    """The time of day of the start by the recorder's clock, as a time without a zone."""
    record = analysis.record
    moment = moment_of(record, 0.0, decimals=0)
    if moment is not None:
        yield {
            "resourceType": "Observation",
            "id": _id(record, f"Observation/{START_CLOCK}"),
            **_common(analysis, notes),
            "code": _own(START_CLOCK, "Start of the recording by the clock of the recorder"),
            "valueTime": moment.time().isoformat(),
        }


def _device(analysis: Analysis) -> Resource:
    """The program and its model as a device."""
    model, record = analysis.model, analysis.record
    versions = (
        ("software", __version__),
        (f"model {model.name}, SHA-256", model.sha256),
        *(((f"model {model.name} in 8-bit integers, SHA-256", model.int8_sha256),) if model.int8_sha256 else ()),
    )
    return {
        "resourceType": "Device",
        "id": _id(record, "Device"),
        "status": "active",
        "deviceName": [{"name": "ECG arrhythmia workstation", "type": "model-name"}],
        "version": [{"type": {"text": name}, "value": value} for name, value in versions if value],
        "note": [{"text": NOTICE}],
    }


def _patient(record: Record, patient: Patient) -> Resource:
    """The patient as far as FHIR has a place for it; all else is in the PDF."""
    made: Resource = {"resourceType": "Patient", "id": _id(record, "Patient")}
    if patient.name.strip():
        made["name"] = [{"text": patient.name.strip()}]
    if patient.patient_id.strip():
        made["identifier"] = [{"value": patient.patient_id.strip()}]
    if patient.sex in GENDER:
        made["gender"] = GENDER[patient.sex]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", patient.birth_date):
        made["birthDate"] = patient.birth_date
    return made
