"""The report as a DICOM object: the PDF in an Encapsulated PDF (PS3.3, A.45.1), as archives of images keep it."""

from __future__ import annotations

import hashlib
from typing import Final

from ..notes import NO_NOTES, Notes
from ..records.dicom_objects import code_item, new_dataset, to_bytes
from ..schema import Analysis
from .pdf import report_pdf

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
EKG_STUDY: Final = ("11524-6", "LN", "EKG study")


def encapsulated_pdf(analysis: Analysis, notes: Notes = NO_NOTES, *, pdf: bytes | None = None) -> bytes:
    """The PDF of the report in DICOM; patient data are those of the notes, in the PDF and beside it.

    Parameters
    ----------
    pdf
        The report with these notes, where it is made already.

    Raises
    ------
    OutputError
        A value of the patient does not fit in DICOM.

    """
    pdf = report_pdf(analysis, notes) if pdf is None else pdf
    made = new_dataset(
        analysis.record, ENCAPSULATED_PDF, instance=hashlib.sha256(pdf).hexdigest(), modality="DOC",
        patient=notes.patient,
    )  # fmt: skip
    made.ConversionType = "WSD"  # made by a workstation
    made.BurnedInAnnotation = "NO" if notes.patient.is_empty else "YES"  # whether the pages name the patient
    made.DocumentTitle = "ECG arrhythmia report"
    made.ConceptNameCodeSequence = [code_item(*EKG_STUDY)]
    made.VerificationFlag = "VERIFIED" if notes.is_signed else "UNVERIFIED"
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    return to_bytes(made)
