"""Patients and recordings by numbers: what a model that is kept or exported states of its user's own names nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from .spec import MODELS, find_models, read_spec

LEARNED, HELD_OUT = "learned_from", "held_out_recordings"  # tables of a proof; what they list is numbered first
PATIENT, RECORDING, DATABASE = "patient", "recording", "database"  # columns of a proof's tables
SEVERAL: Final = re.compile(r"(.*) \(\d+ records?\)", re.DOTALL)  # a patient, with the number of recordings
NUMBERED: Final = re.compile(rf"{RECORDING} [1-9]\d*")


@cache
def public_records() -> frozenset[str]:
    """Records of public databases, as "database/record": those of the shipped splits and of the shipped specs."""
    splits = (MODELS / "splits").glob("*.txt")
    named = {
        f"{path.stem.partition('_')[0]}/{name}" for path in splits for name in path.read_text(encoding="utf-8").split()
    }
    specs = map(read_spec, find_models())
    return frozenset(named.union(*((*spec.trained_on, *spec.validated_on) for spec in specs)))


def database_of(path: str) -> str:
    """The public database whose record lies at a path, in a folder of its name; empty for any other recording.

    Examples
    --------
    >>> database_of("/physionet/svdb/1.0.0/801"), database_of("/ward/svdb/Beeblebrox"), database_of("/ward/801")
    ('svdb', '', '')

    """
    place = Path(path)
    return next((part for part in place.parent.parts if f"{part}/{place.name}" in public_records()), "")


@dataclass(frozen=True)
class _Names:
    """What names the tables of a proof hold, and their numbers."""

    patients: Mapping[str, int]
    recordings: Mapping[str, int]  # of no public database
    owners: Mapping[str, set[str]]  # patients, by the name of a recording

    @classmethod
    def of(cls, proof: Mapping[str, Any]) -> _Names:
        """Those of a proof; its lists of recordings are numbered first, as they stand."""
        rows = [row for part in (proof.get(LEARNED), proof.get(HELD_OUT), proof) for row in _rows(part)]
        listed = [row for row in rows if _holds(row, PATIENT) and _holds(row, RECORDING)]
        owners: dict[str, set[str]] = {}
        for row in listed:
            owners.setdefault(str(row[RECORDING]), set()).add(str(row[PATIENT]))
        public = {str(row[RECORDING]) for row in listed} - {
            str(row[RECORDING]) for row in listed if not _is_public(row)
        }
        recordings = (str(row[RECORDING]) for row in rows if _holds(row, RECORDING))
        known = cls({}, _numbers(name for name in recordings if name not in public), owners)
        return cls(_numbers(known.patient(row) for row in rows if _holds(row, PATIENT)), known.recordings, owners)

    def patient(self, row: Mapping[str, Any]) -> str:
        """The patient of a row, which may be named by the only recording, or with the number of recordings."""
        name = str(row[PATIENT])
        if _holds(row, RECORDING):
            return name
        if len(owners := self.owners.get(name, set())) == 1:
            return next(iter(owners))
        several = SEVERAL.fullmatch(name)
        return several[1] if several and any(several[1] in owners for owners in self.owners.values()) else name

    def numbered(self, content: Any) -> Any:
        """A part of the proof with numbers in place of names."""
        if isinstance(content, list):
            return [self.numbered(part) for part in content]
        if not isinstance(content, Mapping):
            return content
        made = {key: self.numbered(value) for key, value in content.items()}
        if _holds(content, PATIENT):
            made[PATIENT] = f"{PATIENT} {self.patients[self.patient(content)]}"
        if _holds(content, RECORDING) and (number := self.recordings.get(str(content[RECORDING]))):
            made[RECORDING] = f"{RECORDING} {number}"
        return made


def without_names(proof: Mapping[str, Any]) -> dict[str, Any]:
    """A proof with "patient 1" and "recording 1" in place of names: one number for one name in all of its tables.

    Recordings of public databases keep their names where all their rows state the database. A proof that is numbered
    stays as it is.

    Examples
    --------
    >>> without_names({"learned_from": [{"patient": "Zaphod", "recording": "a"}], "errors": [{"patient": "Zaphod"}]})
    {'learned_from': [{'patient': 'patient 1', 'recording': 'recording 1'}], 'errors': [{'patient': 'patient 1'}]}

    """
    return dict(_Names.of(proof).numbered(proof))


def without_record_names(records: Iterable[str]) -> tuple[str, ...]:
    """Records of a spec, "database/record", with numbers in place of names that are of no public database.

    Recordings that a model learned from have the numbers that ``without_names`` gives them.

    Examples
    --------
    >>> without_record_names(("mitdb/100", "mine/Zaphod", "mine/Ford"))
    ('mitdb/100', 'mine/recording 1', 'mine/recording 2')

    """
    records = tuple(records)
    own = [name for name in dict.fromkeys(records) if name not in public_records()]
    named = [name for name in own if not NUMBERED.fullmatch(name.partition("/")[2])]
    of_database: dict[str, list[str]] = {}
    for name in named:
        of_database.setdefault(name.partition("/")[0], []).append(name)
    made = {
        name: f"{database}/{RECORDING} {number}"
        for database, names in of_database.items()
        for name, number in _numbers(names).items()
    }
    return tuple(made.get(name, name) for name in records)


def _rows(content: Any) -> Iterator[Mapping[str, Any]]:
    """All objects of a proof, in their order."""
    if isinstance(content, Mapping):
        yield content
    parts = content.values() if isinstance(content, Mapping) else content if isinstance(content, list) else ()
    for part in parts:
        yield from _rows(part)


def _holds(row: Mapping[str, Any], column: str) -> bool:
    return row.get(column) is not None


def _is_public(row: Mapping[str, Any]) -> bool:
    return f"{row.get(DATABASE)}/{row[RECORDING]}" in public_records()


def _numbers(names: Iterable[str]) -> dict[str, int]:
    """Numbers from 1 in the order of first appearance."""
    return {name: number for number, name in enumerate(dict.fromkeys(names), 1)}
