"""DICOM waveforms (PS3.3, annex C.10.9): 12-lead, general and ambulatory ECG, read through pydicom."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom

from ..errors import RecordError
from ..schema import Record
from .limits import check_length, distinct_names
from .samples import ASSUMED_PER_MV, ArraySource

MAGIC, MAGIC_AT = b"DICM", 128
MV_OF_UNIT: Final = {"mV": 1.0, "uV": 1e-3, "V": 1e3}  # UCUM codes


def is_dicom(_path: Path, first: bytes) -> bool:
    """Whether a file begins as DICOM does."""
    return first[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def read_dicom(path: Path) -> Record:
    """Open a DICOM waveform: the multiplex group that lasts longest. The patient's name and number are not read."""
    try:
        dataset = pydicom.dcmread(path)
        groups = list(dataset.get("WaveformSequence", []))
        lengths = [int(group.NumberOfWaveformSamples) / float(group.SamplingFrequency) for group in groups]
        if groups:
            number = int(np.argmax(lengths))
            group, channels = groups[number], list(groups[number].ChannelDefinitionSequence)
            counts = np.asarray(dataset.waveform_array(number), dtype=np.float64).T  # sensitivity is applied
    except Exception as error:  # the decoder raises whatever the bytes make it trip over
        raise RecordError(
            f"{path.name}: begins as DICOM but its waveforms cannot be read ({error}). Export the recording anew."
        ) from error
    if not groups:
        raise RecordError(f"{path.name}: is a DICOM file without waveforms ({_what(dataset)}); an ECG is needed.")
    units = [_unit(channel) for channel in channels]
    wrong = [unit for unit in units if unit not in ("", *MV_OF_UNIT)]
    if wrong:
        raise RecordError(f"{path.name}: its channels are in {wrong[0]}, expected mV, uV or V; an ECG is needed.")
    scale = np.array([MV_OF_UNIT.get(unit, 1 / ASSUMED_PER_MV) for unit in units])
    fs_hz, n_samples = float(group.SamplingFrequency), counts.shape[1]
    check_length(path.name, fs_hz, n_samples)
    return Record(
        record_id=path.stem,
        source=ArraySource((counts * scale[:, None]).astype(np.float32)),  # DICOM has no way to a piece of them
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([_lead(channel) for channel in channels]),
        calibrated=tuple(unit != "" for unit in units),
        start=_start(dataset),
        age_years=_age(dataset),
        files=(path,),
    )


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
