"""Long records to measure on: real leads one after the other, with or without noise, and the demo's twelve leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import wfdb
from numpy.typing import NDArray
from scipy.signal import resample_poly

from benchmarks.command import ROOT
from ecg_core.evaluation.noise_stress import with_noise
from ecg_core.records import read_record
from ecg_core.records.samples import ArraySource

if TYPE_CHECKING:
    from ecg_core.evaluation.noise_stress import NoisySource
    from ecg_core.schema import Float32

HOURS = 24
COUNTS_PER_MV = 200.0
DEMO_FS_HZ = 250  # the demo's samples are written as those of a recorder of this rate


def tile(database: Path, folder: Path, *, hours: float = HOURS, noise: Path | None = None, snr_db: float = 0.0) -> Path:
    """Write a record of one lead: the first leads of the database's records, one after the other.

    A ``noise`` record is added throughout at ``snr_db``, which is measured in each record separately.
    """
    names = (database / "RECORDS").read_text(encoding="utf-8").split()
    leads = [_lead(database / name, noise, snr_db) for name in names if (database / f"{name}.dat").is_file()]
    samples = np.rint(COUNTS_PER_MV * np.nan_to_num(np.concatenate(leads)))[:, None]
    fs_hz = read_record(database / names[0]).fs_hz
    return _write(folder / "tiled", samples, fs_hz, hours, [f"{COUNTS_PER_MV:g}(0)/mV 16 0 0 0 0 ECG"])


def _lead(path: Path, noise: Path | None, snr_db: float) -> Float32:
    """The first lead of a record in mV, shape (n,), with noise throughout where a noise record is given."""
    record = read_record(path)
    signal = record.source.read(0, record.n_samples, (0,))[0]
    if noise is None:
        return signal
    loud = read_record(noise)
    lead = loud.source.read(0, loud.n_samples, (0,))[0]
    at_rate = resample_poly(lead, round(record.fs_hz), round(loud.fs_hz))[None]
    source = ArraySource(at_rate, (1.0,), (0.0,))
    loud = replace(loud, source=source, fs_hz=record.fs_hz, n_samples=at_rate.shape[1], lead_names=("noise",))
    added = cast("NoisySource", with_noise(record, loud, snr_db=snr_db).source).noise[0]
    return np.asarray(signal + np.resize(added, len(signal)), dtype=np.float32)


def tile_demo(folder: Path, *, hours: float = HOURS, leads: Sequence[str] | None = None) -> Path:
    """Write a record that repeats the simulated demo, with all its twelve leads or some of them."""
    demo = wfdb.rdrecord(str(ROOT / "demo_data" / "demo"), physical=False, channel_names=leads)
    columns = zip(demo.adc_gain, demo.baseline, demo.sig_name, strict=True)
    lines = [f"{gain:g}({baseline})/mV 16 0 0 0 0 {name}" for gain, baseline, name in columns]
    return _write(folder / "demo", demo.d_signal, DEMO_FS_HZ, hours, lines)


def _write(path: Path, samples: NDArray[Any], fs_hz: float, hours: float, leads: list[str]) -> Path:
    """Repeat samples (n, n_leads) in a file; not a day at once, as commands start with the memory of this process."""
    n_samples, once = round(hours * 3600 * fs_hz), samples.astype("<i2")
    with path.with_suffix(".dat").open("wb") as stream:
        for first in range(0, n_samples, len(once)):
            stream.write(once[: n_samples - first].tobytes())
    lines = [f"{path.name} {len(leads)} {fs_hz:g} {n_samples}", *(f"{path.name}.dat 16 {lead}" for lead in leads)]
    path.with_suffix(".hea").write_text("\n".join(lines) + "\n", encoding="ascii")
    return path
