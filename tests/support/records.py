"""Records for tests, in memory and on disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecg_core.schema import Record

DEMO = Path(__file__).parents[2] / "demo_data" / "demo"

GAIN = 200  # counts a millivolt of the records written here
MISSING = -32768  # what format 16 writes where nothing was recorded


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Samples in memory."""

    signal_mv: np.ndarray

    def read(self, start, stop, leads):
        return self.signal_mv[list(leads), start:stop].astype(np.float32)


def in_memory(signal_mv, fs_hz, *, lead_names=("II",)):
    """A record of the rows of an array."""
    signal_mv = np.atleast_2d(signal_mv)
    names = tuple(lead_names)
    return Record("memory", ArraySource(signal_mv), fs_hz, signal_mv.shape[1], names, (True,) * len(names))


def write_record(folder, name, signal_mv, fs_hz=360, *, lead_names=("I", "II", "III")):
    """A record on disk in format 16, written without wfdb; NaN is written as missing."""
    signal_mv = np.atleast_2d(signal_mv)
    counts = np.where(np.isnan(signal_mv), MISSING, np.rint(np.nan_to_num(signal_mv) * GAIN))
    (folder / f"{name}.dat").write_bytes(counts.T.astype("<i2").tobytes())
    lines = [f"{name}.dat 16 {GAIN}/mV 16 0 0 0 0 {lead}" for lead in lead_names[: len(signal_mv)]]
    text = "\n".join([f"{name} {len(signal_mv)} {fs_hz} {signal_mv.shape[1]}", *lines])
    (folder / f"{name}.hea").write_text(text + "\n", encoding="ascii")
    return folder / name
