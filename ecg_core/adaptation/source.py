"""The recordings that the shipped models come from: relearned so that they are not forgotten, and to measure that."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from ..classifier.spec import MODELS
from ..errors import AdaptationError
from ..evaluation.noise_stress import TEST_FRACTION
from ..records import read_record
from ..records.physionet import DATABASES
from ..records.physionet import FOLDER as FETCHED
from ..schema import Float32
from ..signals.filters import clean_leads

SOURCE, NOISE = "mitdb", "nstdb"
REHEARSED, MEASURED = "mitdb_ds1", "mitdb_ds2"  # files of record names: relearned, and only measured on
# 202 is a patient of REHEARSED, and 232 alone has three quarters of the S: what is forgotten would hang on one patient
NOT_MEASURED: Final = ("202", "232")
NOISES: Final = ("em", "em", "ma", "bw")  # electrode motion twice as often: of all noise it resembles beats most


def database_folders() -> list[Path]:
    """Where databases of PhysioNet are looked for: ``ECG_DATABASES``, then where they are fetched to."""
    named = os.environ.get("ECG_DATABASES", "")
    return [*(Path(folder) for folder in named.split(os.pathsep) if folder), FETCHED]


def find_source() -> Path | None:
    """The folder that holds what is needed of the databases SOURCE and NOISE; None if there is none."""
    return next((folder for folder in database_folders() if not missing_in(folder)), None)


def missing_in(folder: Path) -> list[str]:
    """Records of the source that a folder of databases lacks, as "database/record"."""
    wanted = [(SOURCE, name) for split in (REHEARSED, MEASURED) for name in split_names(split)]
    wanted += [(NOISE, name) for name in dict.fromkeys(NOISES)]
    return [
        f"{database}/{name}"
        for database, name in wanted
        if not all((database_folder(folder, database) / f"{name}{suffix}").is_file() for suffix in (".hea", ".dat"))
    ]


def require_source() -> Path:
    """See ``find_source``.

    Raises
    ------
    AdaptationError
        It is not on this computer.

    """
    folder = find_source()
    if folder is None:
        looked = ", ".join(str(place.resolve()) for place in database_folders())
        raise AdaptationError(
            f"The databases {SOURCE} and {NOISE} of PhysioNet (about 130 MB) are not on this computer: looked in "
            f"{looked}. They are needed so that the model does not forget what it knows, and to measure whether it "
            "did. Fetch them, or name the folder that holds them in ECG_DATABASES.",
        )
    return folder


def database_folder(folder: Path, database: str) -> Path:
    """Where the records of a database lie in a folder of databases, as PhysioNet lays them out."""
    return folder / database / DATABASES[database].version


@cache
def split_names(name: str) -> tuple[str, ...]:
    """Record names of a split of the models."""
    return tuple((MODELS / "splits" / f"{name}.txt").read_text(encoding="utf-8").split())


def source_paths(folder: Path, split: str) -> list[Path]:
    """Records of the source in a split, without NOT_MEASURED where they are measured on."""
    left_out = NOT_MEASURED if split == MEASURED else ()
    return [database_folder(folder, SOURCE) / name for name in split_names(split) if name not in left_out]


def read_noise(folder: Path, names: Sequence[str] = NOISES) -> Float32:
    """nstdb's noise at 125 Hz, each channel of unit power, without the part that the noise stress test adds.

    Parameters
    ----------
    folder
        That holds the records of nstdb.

    Returns
    -------
    Shape (n_channels, n).

    """
    channels = []
    for name in names:
        record = read_record(folder / name)
        raw = record.source.read(int(TEST_FRACTION * record.n_samples), record.n_samples, (0, 1))
        channels += [channel / channel.std() for channel in clean_leads(raw, record.fs_hz).signal_mv]
    return np.stack(channels)
