"""Short records for the analysis of many, and what a folder of results holds."""

import csv

import numpy as np

from ecg_core.batch import Settings
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.rules import RhythmRules
from support.records import write_record

FS_HZ = 257
SETTINGS = Settings(DEFAULT_MODEL, "auto", RhythmRules())
STUDY = ["study.csv", "study.parquet"]


def write_half_minute(folder, name, excerpt, number=0):
    """A record of two leads; another half minute of the excerpt for each number."""
    folder.mkdir(parents=True, exist_ok=True)
    lead = excerpt[number * 30 * FS_HZ : (number + 1) * 30 * FS_HZ]
    return write_record(folder, name, np.stack([lead, 0.5 * lead]), FS_HZ)


def write_half_minutes(folder, names, excerpt):
    """A folder of records, each of another half minute."""
    for number, name in enumerate(names):
        write_half_minute(folder, name, excerpt, number)
    return folder


def contents(folder):
    """Names of what a folder holds, none where there is no folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def files(folder):
    """Bytes of every file below a folder, by its path in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(path):
    """Rows of a CSV file."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))
