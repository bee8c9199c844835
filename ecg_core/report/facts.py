"""What every form of a report states of patient, recording, signatures and origin, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .. import NOTICE, __version__
from ..clock import duration_text, start_text
from ..notes import Notes, Signature
from ..rules import SENSITIVITIES
from ..schema import Analysis, ModelSpec
from .measures import format_edits
from .operating import point_of, sensitivity_text

UNSIGNED: Final = "Not signed: preliminary"
PATIENT_FIELDS: Final = {
    "name": "Patient", "patient_id": "Identification", "birth_date": "Date of birth", "sex": "Sex",
    "indication": "Indication", "medication": "Medication", "referring_physician": "Referring physician",
    "reading_physician": "Reading physician", "recorder": "Recorder",
}  # fmt: skip


def recording_facts(analysis: Analysis) -> Iterator[tuple[str, str]]:
    """Name and value of what is stated of a recording and of how it was analysed."""
    record = analysis.record
    yield "Recording", record.record_id + (" (simulated record)" if record.is_simulated else "")
    yield "Start", start_text(record)
    yield "Length", duration_text(record.duration_s)
    if record.age_years is not None:
        yield "Age", f"{record.age_years} years"
    rate = f"{record.fs_hz:g} Hz"
    entered = f" ({record.overrides.text} entered by hand)" if record.overrides.text else ""
    yield "Leads", f"{', '.join(record.lead_names)}; {rate}{entered}"
    mode = SENSITIVITIES[analysis.rules.sensitivity].lower()
    yield "Analysed", f"lead {', '.join(analysis.lead_names)}; {mode}"
    if edited := format_edits(analysis):
        yield "Edits", edited


def model_text(model: ModelSpec) -> str:
    """Name of a model; of a user's own, with what it was adapted from and to.

    Examples
    --------
    >>> from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
    >>> model_text(read_spec(DEFAULT_MODEL))
    'general'

    """
    return f"{model.name} ({model.origin})" if model.origin else model.name


def provenance(analysis: Analysis) -> tuple[str, ...]:
    """What a report was made from, in sentences."""
    record, model, point = analysis.record, analysis.model, point_of(analysis)
    aim = f" {point.aim_text}." if point and point.aim_text else ""
    return (
        f"{sensitivity_text(analysis)}.{aim}",
        *([f"Edits: {edited}."] if (edited := format_edits(analysis)) else []),
        f"Program version {__version__}. Model {model_text(model)}, SHA-256 {model.sha256}; the network ran in "
        f"{model.engine}.",
        f"Record {record.record_id}, SHA-256 {record.sha256}. The comments of its header, which may name a "
        "patient, are left out.",
        NOTICE,
    )


def unsigned_text(notes: Notes) -> str:
    """That nobody signed what is shown, with the version that was signed last; its statement is not of this content."""
    reports = [one for one in notes.signatures if not one.addendum]
    if not reports:
        return UNSIGNED
    last = reports[-1]
    by = f"signed by {signer_text(last)} on {utc_text(last.signed_at)}"
    return f"Preliminary: changed since version {last.version}, {by}"


def signer_text(signature: Signature) -> str:
    """Name and role of a reader who signed."""
    return f"{signature.reader}, {signature.role}" if signature.role else signature.reader


def utc_text(moment: str) -> str:
    """An ISO 8601 time in UTC as date and minute."""
    return f"{moment[:10]} {moment[11:16]} UTC"
