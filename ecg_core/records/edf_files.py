"""EDF, EDF+ and BDF recordings (Kemp 1992, doi:10.1016/0013-4694(92)90009-7), read piece by piece through edfio."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import edfio
import numpy as np

from ..errors import RecordError
from ..schema import Float32, Record
from .limits import check_length, distinct_names

EDF_MAGIC, BDF_MAGIC = b"0       ", b"\xffBIOSEMI"
GAPPED = (b"EDF+D", b"BDF+D")
RESERVED = slice(192, 236)  # where the header says whether the record is continuous
MV_OF_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3, "nv": 1e-6}
LEADS = re.compile(r"^(ECG|EKG)?[ _-]*(I{1,3}|AV[RLF]|V\d|MLII|MV\d|[XYZ])?[ _-]*(\d*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Channel:
    """A signal with its header decoded at once: edfio decodes a field, and trips over a damaged one, when asked."""

    signal: Any
    label: str
    fs_hz: float
    n_a_record: int  # samples of a data record
    mv_per_count: float
    mv_at_zero: float

    def read(self, start: int, stop: int) -> Float32:
        """Samples [start, stop) in mV."""
        counts = self.signal.get_digital_slice(start / self.fs_hz, stop / self.fs_hz)[: stop - start]
        return np.asarray(counts * self.mv_per_count + self.mv_at_zero, dtype=np.float32)


@dataclass(frozen=True)
class EdfSource:
    """Channels of one rate in an EDF or BDF file."""

    channels: tuple[Channel, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        return np.stack([self.channels[lead].read(start, stop) for lead in leads])


def is_edf(_path: Path, first: bytes) -> bool:
    """Whether a file begins as EDF or BDF does."""
    return first.startswith((EDF_MAGIC, BDF_MAGIC))


def read_edf(path: Path) -> Record:
    """Open an EDF, EDF+ or BDF file: its signals in units of voltage, at the highest rate that these have.

    Names, patient codes and dates of birth in the header are not read.
    """
    with path.open("rb") as stream:
        first = stream.read(256)
    reserved = first[RESERVED]
    if reserved.startswith(GAPPED):
        raise RecordError(
            f"{path.name}: is an interrupted recording ({reserved[:5].decode()}); its clock times would be wrong if it "
            "were read as one piece. Export it as continuous EDF+C, or as one file for each piece."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as that the file is cut off
            file = edfio.read_bdf(path) if first.startswith(BDF_MAGIC) else edfio.read_edf(path, lazy_load_data=True)
            channels = [_channel(signal) for signal in file.signals if _unit(signal) in MV_OF_UNIT]
            n_signals, n_records, start = file.num_signals, int(file.num_data_records), _start(file)
    except Exception as error:  # the decoder raises whatever the bytes make it trip over
        raise RecordError(
            f"{path.name}: begins as EDF or BDF but cannot be read as such ({error}). Copy or export it anew."
        ) from error
    ecg = [channel for channel in channels if LEADS.match(channel.label)] or channels
    if not ecg:
        raise RecordError(f"{path.name}: none of its {n_signals} signals is in mV, uV or V; an ECG lead is needed.")
    fs_hz = max(channel.fs_hz for channel in ecg)
    ecg = [channel for channel in ecg if channel.fs_hz == fs_hz]
    n_samples = n_records * ecg[0].n_a_record
    check_length(path.name, fs_hz, n_samples)
    return Record(
        record_id=path.stem,
        source=EdfSource(tuple(ecg)),
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([_lead_name(channel.label) for channel in ecg]),
        calibrated=(True,) * len(ecg),
        start=start,
        files=(path,),
    )


def _channel(signal: Any) -> Channel:
    low, high = signal.digital_min, signal.digital_max
    mv, step = MV_OF_UNIT[_unit(signal)], (signal.physical_max - signal.physical_min) / (high - low)
    return Channel(
        signal=signal,
        label=str(signal.label).strip(),
        fs_hz=float(signal.sampling_frequency),
        n_a_record=int(signal.samples_per_data_record),
        mv_per_count=float(step * mv),
        mv_at_zero=float((signal.physical_min - low * step) * mv),
    )


def _unit(signal: Any) -> str:
    return str(signal.physical_dimension).strip().lower()


def _lead_name(label: str) -> str:
    return re.sub(r"^(ECG|EKG)[ _-]+", "", label, flags=re.IGNORECASE) or label


def _start(file: Any) -> datetime | None:
    try:
        return datetime.combine(file.startdate, file.starttime)
    except ValueError:  # anonymised: "X"
        return None
