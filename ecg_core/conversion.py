"""Records written in another form."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wfdb

from .schema import Float32, Record
from .signals import FS_HZ, resample, to_sample

HIDDEN = ".copy-"  # what the folder of a copy in the making begins with
GAIN_PER_MV = 1000.0  # steps of a microvolt ...
LIMIT = 32_000  # ... or coarser, where 16 bits would not hold the signal
MISSING = -32_768  # what format 16 writes where nothing was recorded
MAX_NUM = 127  # of an annotation


def write_at_125_hz(record: Record, folder: Path, *, origin: str) -> Path:
    """Write a record and its reference annotations at 125 Hz; the header, without which it is none, comes last.

    Leads keep their names; a lead whose gain the header does not state is written without one. Annotations keep all but
    their sample, which is the nearest at the new rate.
    """
    signal = _resampled(record)
    peak_mv = float(np.nanmax(np.abs(signal), initial=1e-3))
    gain = float(min(GAIN_PER_MV, LIMIT / peak_mv))
    counts = np.where(np.isnan(signal), MISSING, np.rint(np.nan_to_num(signal) * gain)).astype(np.int64)
    comments = [*record.comments, f"Origin: {origin}, record {record.record_id}", _rates(record)]
    name = record.record_id
    with tempfile.TemporaryDirectory(prefix=HIDDEN, dir=folder) as hidden:
        wfdb.wrsamp(
            name, fs=FS_HZ, units=["mV"] * len(signal), sig_name=list(record.lead_names), d_signal=counts.T,
            fmt=["16"] * len(signal), adc_gain=[gain] * len(signal), baseline=[0] * len(signal), comments=comments,
            base_date=record.start.date() if record.start else None,
            base_time=record.start.time() if record.start else None, write_dir=hidden,
        )  # fmt: skip
        _mark_uncalibrated(Path(hidden) / f"{name}.hea", record.calibrated)
        marks = next((path for path in record.files if path.suffix == ".atr"), None)
        if marks is not None:
            _write_marks(record, marks, signal.shape[1], Path(hidden))
        for ending in (".atr", ".dat", ".hea"):
            part = Path(hidden) / f"{name}{ending}"
            if part.is_file():
                part.replace(folder / part.name)
    return folder / name


def _resampled(record: Record) -> Float32:
    """All leads in mV at 125 Hz, shape (n_leads, n), NaN where nothing was recorded."""
    rows = []
    for lead in range(len(record.lead_names)):
        raw = record.source.read(0, record.n_samples, (lead,))[0]
        known = np.isfinite(raw)
        at = np.arange(len(raw))
        filled = np.interp(at, at[known], raw[known]) if known.any() else np.zeros(len(raw))
        row = resample(filled.astype(np.float32), record.fs_hz)
        nearest = np.minimum(np.rint(np.arange(len(row)) * (record.fs_hz / FS_HZ)).astype(int), len(raw) - 1)
        rows.append(np.where(known[nearest], row, np.float32(np.nan)))
    return np.stack(rows)


def _rates(record: Record) -> str:
    return f"Resampled from {record.fs_hz:g} Hz to {FS_HZ:g} Hz, anti-aliased"


def _mark_uncalibrated(header: Path, calibrated: Sequence[bool]) -> None:
    """Take the gain out of the lines of leads whose original states none."""
    lines = header.read_text(encoding="utf-8").splitlines()
    for number, stated in enumerate(calibrated, 1):
        if not stated:
            lines[number] = re.sub(r"^(\S+ \S+) \S+", r"\1 0", lines[number])
    header.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_marks(record: Record, path: Path, n_samples: int, folder: Path) -> None:
    """Annotations at the nearest sample of the new rate."""
    marks = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
    num = np.clip(marks.num, 0, MAX_NUM)  # which wfdb reads where it would not write it
    wfdb.wrann(
        record.record_id, "atr", to_sample(marks.sample / record.fs_hz, FS_HZ, n_samples), symbol=marks.symbol,
        subtype=marks.subtype, chan=marks.chan, num=num, aux_note=marks.aux_note, fs=FS_HZ, write_dir=str(folder),
    )  # fmt: skip
