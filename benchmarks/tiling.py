"""Long records to measure on: real leads one after the other, with recorded noise if asked, and the demo's twelve."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import wfdb
from scipy.signal import resample_poly

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ecg_core.records import read_record
from ecg_core.records.samples import ArraySource
from ecg_core.stress import with_noise

if TYPE_CHECKING:
    from ecg_core.schema import Float32
    from ecg_core.stress import NoisySource

HOURS = 24
DEMO_FS_HZ = 250  # the demo's samples are taken for those of a recorder of this rate


def options_of(text: str | None, **defaults: object) -> Namespace:
    """Options of a benchmark on real records; further ones by name with their defaults."""
    parser = ArgumentParser(description=text, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--databases", type=Path, default=os.environ.get("ECG_DATABASES"))
    parser.add_argument("--json", type=Path)
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    options = parser.parse_args()
    if options.databases is None:
        parser.error("name the folder of the databases with --databases or ECG_DATABASES")
    return options


def tile(database: Path, folder: Path, *, hours: int = HOURS, noise: Path | None = None, snr_db: float = 0.0) -> Path:
    """Write a record of one lead: the first leads of the database's records, one after the other.

    Where ``noise`` names a noise record, it is added all the way at ``snr_db``, measured in each record by itself.
    """
    names = (database / "RECORDS").read_text(encoding="utf-8").split()
    leads = [_lead(database / name, noise, snr_db) for name in names if (database / f"{name}.dat").is_file()]
    fs_hz = wfdb.rdheader(str(database / names[0])).fs
    once = np.concatenate(leads)
    signal = np.resize(once, int(hours * 3600 * fs_hz))[:, None]
    wfdb.wrsamp(
        "tiled", fs=fs_hz, units=["mV"], sig_name=["ECG"], p_signal=signal, fmt=["16"], adc_gain=[200.0],
        baseline=[0], write_dir=str(folder),
    )  # fmt: skip
    return folder / "tiled"


def _lead(path: Path, noise: Path | None, snr_db: float) -> Float32:
    """The first lead of a record in mV, with noise all the way."""
    record = read_record(path)
    signal = record.source.read(0, record.n_samples, (0,))[0]
    if noise is None:
        return signal
    loud = read_record(noise)
    lead = loud.source.read(0, loud.n_samples, (0,))[0]
    at_rate = resample_poly(lead, round(record.fs_hz), round(loud.fs_hz))[None]
    source = ArraySource(at_rate, (1.0,), (0.0,))
    loud = replace(loud, source=source, fs_hz=record.fs_hz, n_samples=at_rate.shape[1], lead_names=("noise",))
    added = cast("NoisySource", with_noise(record, loud, snr_db).source).noise[0]
    return np.asarray(signal + np.resize(added, len(signal)), dtype=np.float32)


def tile_demo(folder: Path, *, hours: int = HOURS) -> Path:
    """Write a record of twelve leads: the simulated demo's samples over and over, piece by piece."""
    demo = wfdb.rdrecord(str(ROOT / "demo_data" / "demo"), physical=False)
    samples = demo.d_signal.astype("<i2")
    n_samples = hours * 3600 * DEMO_FS_HZ
    with (folder / "twelve.dat").open("wb") as stream:
        for first in range(0, n_samples, len(samples)):
            stream.write(samples[: n_samples - first].tobytes())
    leads = zip(demo.adc_gain, demo.baseline, demo.sig_name, strict=True)
    lines = [f"twelve {demo.n_sig} {DEMO_FS_HZ} {n_samples}"]
    lines += [f"twelve.dat 16 {gain:g}({baseline})/mV 16 0 0 0 0 {name}" for gain, baseline, name in leads]
    (folder / "twelve.hea").write_text("\n".join(lines) + "\n", encoding="ascii")
    return folder / "twelve"
