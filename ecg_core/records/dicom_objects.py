"""What every DICOM object that is written has in common: its identifiers, patient, study and equipment."""

from __future__ import annotations

import io
import re
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from .. import __version__
from ..errors import OutputError
from ..notes import Patient
from ..schema import Record
from ..text import one_line, plural

if TYPE_CHECKING:  # loads where DICOM is written
    from pydicom.dataset import Dataset, FileDataset

OUR_UUID: Final = uuid.UUID("0d5b4c0e-7d35-5f8c-9a55-6f4f7b8f2a51")  # names in it make the identifiers of objects
MAKER: Final = "ECG arrhythmia workstation"
SEX: Final = {"female": "F", "male": "M", "other": "O"}
MOST_LETTERS = 64  # of a name or a number in DICOM
NO_LETTERS: Final = re.compile(r"[\\^=]")  # separate values, or the parts of a name


def uid(*names: str) -> str:
    """An identifier that is always the same for the same names (PS3.5, B.2: a UUID as an integer)."""
    return f"2.25.{uuid.uuid5(OUR_UUID, '/'.join(names)).int}"


def new_dataset(
    record: Record, sop_class: str, *, instance: str, modality: str, patient: Patient | None = None
) -> FileDataset:
    """A dataset with the modules patient, study, series, equipment and SOP common.

    All objects of one record belong to one study. The same instance has the same identifier, by which a receiver knows
    it again.

    Parameters
    ----------
    instance
        What tells the object from others of the record, such as a hash of its content.
    patient
        Without it, the object is of nobody.

    Raises
    ------
    OutputError
        The number of the patient has more than 64 letters, which DICOM does not allow.

    """
    from pydicom.dataset import FileDataset, FileMetaDataset  # noqa: PLC0415  # only where DICOM is written
    from pydicom.uid import UID, ExplicitVRLittleEndian  # noqa: PLC0415

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(uid(record.sha256, sop_class, instance))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    _set_patient(made, patient or Patient())
    _set_study(made, record)
    made.Modality, made.SeriesNumber, made.InstanceNumber = modality, 1, 1
    made.SeriesInstanceUID = uid(record.sha256, sop_class)
    made.Manufacturer, made.ManufacturerModelName, made.SoftwareVersions = MAKER, MAKER, __version__
    return made


def _set_patient(made: FileDataset, patient: Patient) -> None:
    if len(patient.patient_id) > MOST_LETTERS:
        raise OutputError(
            f"The identification of the patient has {plural(len(patient.patient_id), 'letter')}, DICOM allows "
            f"{MOST_LETTERS}: shorten it, or write the file without patient data."
        )
    made.PatientName, made.PatientID = long_string(patient.name), long_string(patient.patient_id)
    is_date = re.fullmatch(r"\d{4}-\d\d-\d\d", patient.birth_date)
    made.PatientBirthDate = patient.birth_date.replace("-", "") if is_date else ""
    made.PatientSex = SEX.get(patient.sex, "")
    made.ReferringPhysicianName = long_string(patient.referring_physician)


def _set_study(made: FileDataset, record: Record) -> None:
    made.StudyInstanceUID, made.StudyID, made.AccessionNumber = uid(record.sha256), "1", ""
    clock = record.start.time() if record.start else record.start_clock
    made.StudyDate = date_text(record.start)
    made.StudyTime = f"{clock:%H%M%S}" if clock else ""
    made.ContentDate, made.ContentTime = made.StudyDate, made.StudyTime
    made.AcquisitionDateTime = f"{record.start:%Y%m%d%H%M%S.%f}" if record.start else ""


def date_text(moment: datetime | None) -> str:
    """A day as DICOM writes it; empty where it is not known."""
    return f"{moment.year:04d}{moment:%m%d}" if moment else ""


def long_string(text: str) -> str:
    """Text as a value of DICOM with at most 64 letters."""
    return NO_LETTERS.sub("_", one_line(text).strip())[:MOST_LETTERS]


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """A code with the scheme that defines it."""
    from pydicom.dataset import Dataset  # noqa: PLC0415  # see above

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, long_string(meaning)
    return item


def to_bytes(made: Any) -> bytes:
    """The object as a file."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
