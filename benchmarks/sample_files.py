"""Public sample files of other libraries, each compared with an independent reader.

    python -m benchmarks.sample_files FOLDER... [--json FILE]

A FOLDER is a copy of a library's repository, or of its folder of test data, by whose name it is listed. Each file in it
with the suffix of a recording is opened. A lead is equal where no sample is more than one step of the file (the
smallest difference that it can hold) from what the independent reader gives: wfdb for WFDB, edfio for EDF and BDF,
pydicom for DICOM, numpy for tables of counts. What is refused is listed with the sentence.
"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import edfio
import numpy as np
import wfdb
from pydicom import dcmread

from benchmarks.command import publish
from ecg_core.errors import EcgError, MissingMetadataError
from ecg_core.overrides import NO_OVERRIDES, RecordOverrides
from ecg_core.records import read_record
from ecg_core.records.units import mv_of_unit
from ecg_core.schema import Float32, Float64, Record

SUFFIXES: Final = (".hea", ".edf", ".bdf", ".dcm", ".txt")
RATE: Final = re.compile(r"Sampling Rate \(Hz\):= *([\d.]+)")  # of BioSPPy's tables
UNIT: Final = re.compile(r"Units:= *(\w+)")
LABELS: Final = re.compile(r"Labels:= *(.+)")
EQUAL, OPENED, REFUSED = "equal", "opened", "refused"
MOST_STEPS: Final = 1000  # of a ratio of rates
ROUNDING: Final = 1e-6  # of a lead's largest value: what single precision can hold


@dataclass(frozen=True)
class Channel:
    """A signal as an independent reader gives it."""

    name: str
    fs_hz: float
    values_mv: Float64  # (n,)
    step_mv: float


@dataclass(frozen=True)
class Row:
    """What became of a file."""

    library: str
    file: str
    result: str  # EQUAL, or OPENED where a lead differs or was not compared, or REFUSED
    text: str


def main() -> None:
    """Compare the files, print and write what became of them."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [row for folder in options.folders for row in compared(folder)]
    count = {
        folder.name: Counter(row.result for row in rows if row.library == folder.name) for folder in options.folders
    }
    publish({"count": count, "files": [asdict(row) for row in rows]}, options.json)
    sys.exit(any(row.result == OPENED for row in rows))


def compared(folder: Path) -> Iterator[Row]:
    """Each file of a folder that may be a recording."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()):
        yield Row(folder.name, str(path.relative_to(folder)), *_compare(path))


def _compare(path: Path) -> tuple[str, str]:
    """Result and text of a file."""
    try:
        record = read_record(path, _overrides_of(path))
    except EcgError as error:
        return REFUSED, str(error)
    try:
        channels = independent(path)
    except Exception as error:  # an independent reader may raise anything
        return OPENED, f"the independent reader fails ({type(error).__name__})"
    known = {_key(channel.name): channel for channel in channels}
    wrong = [name for lead, name in enumerate(record.lead_names) if not _is_equal(record, lead, known.get(_key(name)))]
    left_out = f"; left out: {', '.join(channel.name for channel in record.left_out)}" if record.left_out else ""
    doubts = "".join(f"; {doubt}" for doubt in record.doubts)
    what = f"{len(record.lead_names)} leads, {record.fs_hz:g} Hz, {record.duration_s:.0f} s{left_out}{doubts}"
    return (OPENED, f"differs: {', '.join(wrong)}; {what}") if wrong else (EQUAL, what)


def _overrides_of(path: Path) -> RecordOverrides:
    """What a person would give for a table of counts; nothing where the file states rate and unit."""
    try:
        read_record(path)
    except MissingMetadataError as error:
        stated = RATE.search(path.read_text(encoding="utf-8", errors="replace")[:2000]) if error.rate else None
        return RecordOverrides(float(stated[1]) if stated else None, 1.0 if error.unit else None)
    except EcgError:
        pass
    return NO_OVERRIDES


def _key(name: str) -> str:
    """The name of a signal without what readers leave out of it."""
    return re.sub(r"^(ecg|ekg|lead)[ _-]+|[^a-z0-9+]", "", name.casefold())


def _is_equal(record: Record, lead: int, channel: Channel | None) -> bool:
    if channel is None:
        return False
    ratio = Fraction(record.fs_hz / channel.fs_hz).limit_denominator(MOST_STEPS)  # samples at the same moments
    ours = record.source.read(0, record.n_samples, (lead,))[0][:: ratio.numerator]
    theirs = channel.values_mv[:: ratio.denominator]
    n = min(len(ours), len(theirs))
    return abs(len(ours) - len(theirs)) <= 1 and _agree(ours[:n], theirs[:n], channel.step_mv)


def _agree(ours: Float32, theirs: Float64, step_mv: float) -> bool:
    """Whether all samples that are known to both are within a step, and no more are missing than there."""
    known = np.isfinite(ours) & np.isfinite(theirs)
    most = step_mv + ROUNDING * float(np.abs(theirs[known]).max(initial=0.0))
    missing = np.isfinite(theirs) & ~np.isfinite(ours)
    return bool((np.abs(ours[known] - theirs[known]) <= most).all() and not missing.any())


def independent(path: Path) -> list[Channel]:
    """The signals of a file as another library reads them."""
    readers = {".hea": _of_wfdb, ".edf": _of_edf, ".bdf": _of_edf, ".dcm": _of_dicom, ".txt": _of_text}
    return readers[path.suffix.lower()](path)


def _of_wfdb(path: Path) -> list[Channel]:
    stem = str(path.with_suffix(""))
    if "/" in path.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].split()[1]:
        whole = wfdb.rdrecord(stem, return_res=64)
        signals, rates = whole.p_signal.T, [whole.fs] * whole.n_sig
    else:
        whole = wfdb.rdrecord(stem, smooth_frames=False, return_res=64)
        signals, rates = whole.e_p_signal, [whole.fs * n for n in whole.samps_per_frame]
    gains = getattr(whole, "adc_gain", None) or [200.0] * len(rates)
    mv = [mv_of_unit(unit) or 1.0 for unit in whole.units]
    columns = zip(whole.sig_name, rates, signals, mv, gains, strict=True)
    return [Channel(name, fs_hz, row * scale, scale / gain) for name, fs_hz, row, scale, gain in columns]


def _of_edf(path: Path) -> list[Channel]:
    file: Any = (edfio.read_bdf if path.suffix.lower() == ".bdf" else edfio.read_edf)(path)
    found = []
    for signal in file.signals:
        mv = mv_of_unit(signal.physical_dimension)
        if mv is not None:
            (low, high), (first, last) = signal.physical_range, signal.digital_range
            step = abs(mv * (high - low) / (last - first))
            found.append(Channel(signal.label, signal.sampling_frequency, signal.data * mv, step))
    return found


def _of_dicom(path: Path) -> list[Channel]:
    dataset = dcmread(path)
    group = dataset.WaveformSequence[0]
    signals = dataset.waveform_array(0).T
    found = []
    for channel, row in zip(group.ChannelDefinitionSequence, signals, strict=True):
        mv = mv_of_unit(channel.ChannelSensitivityUnitsSequence[0].CodeValue) or 1.0
        name = channel.ChannelSourceSequence[0].CodeMeaning.split("(")[0]
        step = float(channel.ChannelSensitivity) * mv
        found.append(Channel(name, float(group.SamplingFrequency), row * mv, step))
    return found


def _of_text(path: Path) -> list[Channel]:
    values = np.loadtxt(path, ndmin=2).T
    head = path.read_text(encoding="utf-8")[:2000]
    rate, labels, unit = RATE.search(head), LABELS.search(head), UNIT.search(head)
    mv = mv_of_unit(unit[1]) if unit else None
    stated = labels[1].split("\t") if labels else []
    return [
        Channel(name, float(rate[1]) if rate else 0.0, row * (mv or 1.0), mv or 1.0)
        for number, row in enumerate(values)
        for name in (f"lead {number + 1}", *stated[number : number + 1])  # a table of one column needs no names
    ]


if __name__ == "__main__":
    main()
