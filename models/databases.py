"""The databases of the models: folders, splits, recorded noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecg_core.evaluation.noise_stress import TEST_FRACTION
from ecg_core.records import read_record
from ecg_core.schema import Float32
from ecg_core.signals.filters import clean_leads
from ecg_core.training.preparation import TrainingRecord, prepare_record

FOLDER = Path(__file__).resolve().parent  # of weights, specs, figures and splits

# Folders below that of the databases, as PhysioNet names them
MITDB, SVDB, NSTDB, INCARTDB = "mitdb/1.0.0", "svdb/1.0.0", "nstdb/1.0.0", "incartdb/1.0.0"
ICENTIA = "icentia11k-continuous-ecg/1.0.0"
QTDB, LTDB, LTAFDB, AFTDB = "qtdb/1.0.0", "ltdb/1.0.0", "ltafdb/1.0.0", "aftdb/1.0.0"
AFDB, AFPDB, LUDB, CHALLENGE = "afdb/1.0.0", "afpdb/1.0.0", "ludb/1.0.1", "challenge-2017/1.0.0"

NOISES = ("em", "em", "ma", "bw")  # electrode motion twice as often: of all noise it resembles beats most


def read_split(name: str) -> list[str]:
    """Record names of a split."""
    return (FOLDER / "splits" / f"{name}.txt").read_text(encoding="utf-8").split()


def listed_names(databases: Path, folder: str, splits: Sequence[str] = ()) -> list[str]:
    """Names of the records of some splits, or of all of a database."""
    if splits:
        return [name for split in splits for name in read_split(split)]
    return (databases / folder / "RECORDS").read_text(encoding="utf-8").split()


def load_records(folder: Path, names: list[str]) -> list[TrainingRecord]:
    """Records of a database, ready for training."""
    return [prepare_record(read_record(folder / name), f"{folder.parent.name}/{name}") for name in names]


def load_noise(folder: Path) -> Float32:
    """nstdb's noise at 125 Hz, each channel of unit power, without the part that the stress test adds.

    Returns
    -------
    Shape (n_channels, n).

    """
    channels = []
    for name in NOISES:
        record = read_record(folder / name)
        raw = record.source.read(int(TEST_FRACTION * record.n_samples), record.n_samples, (0, 1))
        channels += [channel / channel.std() for channel in clean_leads(raw, record.fs_hz).signal_mv]
    return np.stack(channels)
