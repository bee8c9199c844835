"""The databases of the models: folders, splits, recorded noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecg_core.records import read_record
from ecg_core.training.preparation import TrainingRecord, prepare_record

FOLDER = Path(__file__).resolve().parent  # of weights, specs, figures and splits

# Folders below that of the databases, as PhysioNet names them
MITDB, SVDB, NSTDB, INCARTDB = "mitdb/1.0.0", "svdb/1.0.0", "nstdb/1.0.0", "incartdb/1.0.0"
ICENTIA = "icentia11k-continuous-ecg/1.0.0"
QTDB, LTDB, LTAFDB, AFTDB = "qtdb/1.0.0", "ltdb/1.0.0", "ltafdb/1.0.0", "aftdb/1.0.0"
AFDB, AFPDB, LUDB, CHALLENGE = "afdb/1.0.0", "afpdb/1.0.0", "ludb/1.0.1", "challenge-2017/1.0.0"


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
