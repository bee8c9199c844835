"""DICOM waveforms (PS3.3, annex C.10.9): 12-lead, general and ambulatory ECG, read through pydicom."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import RecordError
from ..notes import Patient
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Record
from ..text import format_quoted, plural
from .limits import check_leads, check_length, distinct_names
from .overrides import apply_overrides
from .samples import ArraySource
from .units import ASSUMED_PER_MV, MV_OF_UNIT

MAGIC, MAGIC_AT = b"DICM", 128
PATIENT_TAGS: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReasonForTheRequestedProcedure",
    "AdmittingDiagnosesDescription", "ReferringPhysicianName", "NameOfPhysiciansReadingStudy", "Manufacturer",
    "ManufacturerModelName",
)  # fmt: skip
SEX: Final = {"M": "male", "F": "female", "O": "other"}
UNITS: Final = ("mV", "uV", "V")  # UCUM codes, which know upper and lower case


def is_dicom(_path: Path, first: bytes) -> bool:
    """Whether a file begins as DICOM does."""
    return first[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def read_dicom(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a DICOM waveform: the multiplex group that lasts longest. The patient's name and number are not read.

    Raises
    ------
    RecordError
        It holds no waveform, or none that can be decoded, or the overrides contradict it.

    """
    from pydicom import dcmread  # noqa: PLC0415  # a fifth of a second, for a format that few records have

    try:
        with _quietly():
            dataset = dcmread(path)
            groups = list(dataset.get("WaveformSequence", []))
            lengths = [int(group.NumberOfWaveformSamples) / float(group.SamplingFrequency) for group in groups]
            number = int(np.argmax(lengths)) if groups else 0
            found = _decode(dataset, groups[number], number) if groups else None
            start, age_years, what = _start(dataset), _age(dataset), _what(dataset)
    except Exception as error:  # the decoder raises all kinds of errors on damaged bytes
        raise RecordError(
            f"{path.name}: begins as DICOM but its waveforms cannot be decoded ({format_quoted(error)}). Export the "
            "recording again."
        ) from error
    if found is None:
        raise RecordError(f"{path.name}: is a DICOM file without waveforms ({format_quoted(what)}); an ECG is needed.")
    source, fs_hz, names, units = found
    wrong = [unit for unit in units if unit not in ("", *UNITS)]
    if wrong:
        raise RecordError(
            f"{path.name}: its channels are in {format_quoted(wrong[0])}, expected mV, uV or V; an ECG is needed."
        )
    check_leads(path.name, len(names))
    check_length(path.name, fs_hz, source.numbers.shape[1])
    record = Record(
        record_id=path.stem,
        source=source,
        fs_hz=fs_hz,
        n_samples=source.numbers.shape[1],
        lead_names=distinct_names(names),
        calibrated=tuple(unit != "" for unit in units),
        start=start,
        age_years=age_years,
        files=(path,),
    )
    return apply_overrides(record, overrides)


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the decoder's warnings of odd values, which are checked here, and which may name a patient."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _decode(dataset: Any, group: Any, number: int) -> tuple[ArraySource, float, list[str], list[str]]:
    """Samples, rate, names and units of a multiplex group; the samples stay as small as they are in the file."""
    from pydicom.waveforms.numpy_handler import multiplex_array  # noqa: PLC0415  # see above

    counts = multiplex_array(dataset, number, as_raw=True)
    channels = list(group.ChannelDefinitionSequence)[: counts.shape[1]]
    if len(channels) != counts.shape[1]:
        raise ValueError(f"{plural(counts.shape[1], 'channel')}, {len(channels)} of them described")
    units = [_unit(channel) for channel in channels]
    mv = [MV_OF_UNIT[unit.lower()] if unit in UNITS else 1 / ASSUMED_PER_MV for unit in units]
    scale = [
        float(channel.get("ChannelSensitivity", 1) or 1)
        * float(channel.get("ChannelSensitivityCorrectionFactor", 1) or 1)
        for channel in channels
    ]
    zero = [float(channel.get("ChannelBaseline", 0) or 0) for channel in channels]
    if not np.isfinite([*scale, *zero]).all():
        raise ValueError("a sensitivity that is not a number")
    source = ArraySource(
        counts.T,
        tuple(a * b for a, b in zip(scale, mv, strict=True)),
        tuple(a * b for a, b in zip(zero, mv, strict=True)),
        missing=_padding(group),
    )
    return source, float(group.SamplingFrequency), [_lead(channel) for channel in channels], units


def _padding(group: Any) -> int | None:
    """The count that marks a sample as not recorded."""
    value = group.get("WaveformPaddingValue")
    if isinstance(value, bytes):
        return int.from_bytes(value, "little", signed=group.WaveformSampleInterpretation.startswith("S"))
    return value if isinstance(value, int) else None


def _what(dataset: Any) -> str:
    name = getattr(dataset.get("SOPClassUID", None), "name", "")
    return str(name) or "of no stated kind"


def _unit(channel: Any) -> str:
    """Unit of a channel's sensitivity; empty where none is stated."""
    units = channel.get("ChannelSensitivityUnitsSequence", [])
    return str(units[0].CodeValue) if units and "ChannelSensitivity" in channel else ""


def _lead(channel: Any) -> str:
    """Name of a channel's lead: "Lead II (Nehb - ...)" becomes II."""
    source = channel.get("ChannelSourceSequence", [])
    name = str(source[0].get("CodeMeaning", "")) if source else str(channel.get("ChannelLabel", ""))
    return re.sub(r"^lead\s+", "", name.split("(")[0].strip(), flags=re.IGNORECASE)


def _start(dataset: Any) -> datetime | None:
    stated = str(dataset.get("AcquisitionDateTime", ""))
    try:
        return datetime.strptime(stated[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _age(dataset: Any) -> int | None:
    """Age as DICOM states it, such as 065Y."""
    found = re.fullmatch(r"(\d{3})Y", str(dataset.get("PatientAge", "")))
    return int(found[1]) if found else None


def patient_of(path: Path) -> Patient:
    """Patient, physicians and recorder, from the attributes of the file."""
    from pydicom import dcmread  # noqa: PLC0415  # see above

    with _quietly():
        dataset = dcmread(path, specific_tags=list(PATIENT_TAGS), stop_before_pixels=True)
        stated = {tag: _value(dataset, tag) for tag in PATIENT_TAGS}
    born = stated["PatientBirthDate"]
    return Patient(
        name=_person(stated["PatientName"]),
        patient_id=stated["PatientID"],
        birth_date=f"{born[:4]}-{born[4:6]}-{born[6:]}" if re.fullmatch(r"\d{8}", born) else "",
        sex=SEX.get(stated["PatientSex"], ""),
        indication=stated["ReasonForTheRequestedProcedure"] or stated["AdmittingDiagnosesDescription"],
        referring_physician=_person(stated["ReferringPhysicianName"]),
        reading_physician=_person(stated["NameOfPhysiciansReadingStudy"]),
        recorder=f"{stated['Manufacturer']} {stated['ManufacturerModelName']}".strip(),
    )


def _value(dataset: Any, tag: str) -> str:
    """An attribute as text, empty where it is missing or damaged; the first one of several."""
    try:
        value = dataset.get(tag, "")
        values = value if isinstance(value, list | tuple) or getattr(value, "VM", 1) > 1 else [value]
        return str(next(iter(values), "") or "").strip()
    except Exception:  # the decoder raises all kinds of errors on damaged bytes
        return ""


def _person(stated: str) -> str:
    """A name that DICOM writes as Family^Given^Middle^Prefix^Suffix."""
    family, given, middle, prefix, suffix, *_ = [*stated.split("=", maxsplit=1)[0].split("^"), "", "", "", "", ""]
    return " ".join(part.strip() for part in (prefix, given, middle, family, suffix) if part.strip())
