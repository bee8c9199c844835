"""Published databases with a test split by patient: where they lie, and whether their signals are there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..classifier.leads import ALL, FIRST
from ..errors import AdaptationError
from ..records.physionet import DATABASES
from ..text import plural
from .source import database_folder, database_folders, split_names

PUBLISHED: Final = {"svdb": (FIRST, ALL), "incartdb": ("II", ALL)}  # by database, the leads that are measured
SPLITS: Final = ("adaptation", "validation", "test")  # of svdb and incartdb alike; the last one is held out
MOST_LISTED: Final = 6


def is_published(named: str) -> bool:
    """Whether a published database is meant: a folder of this name comes first."""
    return named in PUBLISHED and not Path(named).exists()


def names_of(database: str, *splits: str) -> list[str]:
    """Names of the records of some splits of a database, sorted."""
    return sorted({name for split in splits for name in split_names(f"{database}_{split}")})


def published_folder(database: str, records: Iterable[str]) -> Path:
    """The folder of a published database with the signals of these records.

    Raises
    ------
    AdaptationError
        The database is not on this computer, or signals are missing there.

    """
    records, title = list(records), f"{database}, {DATABASES[database].title}"
    places = [database_folder(folder, database) for folder in database_folders()]
    found = [place for place in places if place.is_dir()]
    if not found:
        looked = ", ".join(str(place.resolve()) for place in places)
        raise AdaptationError(
            f"{title}: its recordings are not on this computer (looked in {looked}). "
            "Fetch them, or name the folder of the databases in ECG_DATABASES.",
            settings=("database", "sources"),
        )
    missing = {place: [name for name in records if not (place / f"{name}.dat").is_file()] for place in found}
    best = min(found, key=lambda place: len(missing[place]))
    if missing[best]:
        more = len(missing[best]) - MOST_LISTED
        listed = ", ".join(missing[best][:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
        raise AdaptationError(
            f"{title}: of {plural(len(records), 'record')} that are needed, {len(missing[best]):,} have no signals in "
            f"{best.resolve()}; expected there {listed}, each with .dat beside .hea and .atr.",
            settings=("database", "sources"),
        )
    return best
