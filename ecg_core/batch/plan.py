"""Which records are meant, and under which name each one's results go. Nothing is analysed here."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from ..errors import OutputError, RecordError
from ..records import SINGLE_FILES, find_records
from ..rules import RhythmRules
from ..schema import NO_OVERRIDES, RecordOverrides
from ..text import one_line
from .study import OWN_TABLES

PART = ".part-"  # what the name of a folder of results in the making begins with
PARTS_OF_A_RECORD = (".hea", ".dat", ".atr")


@dataclass(frozen=True)
class Task:
    """A record to be analysed, and the folder of its results."""

    path: Path  # absolute, as are all paths here: whoever does the work may stand elsewhere
    folder: Path

    @property
    def name(self) -> str:
        """How it is called in tables and in the progress."""
        return self.folder.name


@dataclass(frozen=True)
class Settings:
    """How every record is analysed."""

    model: Path
    lead: str
    rules: RhythmRules
    overrides: RecordOverrides = NO_OVERRIDES  # of records whose files leave rate or unit open


@dataclass(frozen=True)
class Outcome:
    """What came of a task: a row of the study, or the sentence that says why there is none."""

    task: Task
    row: dict[str, str | float | None]
    problem: str = ""
    kept: bool = False  # finished by an earlier run


def is_many(arguments: Sequence[Path]) -> bool:
    """Whether more than one named record is meant."""
    return len(arguments) > 1 or _is_folder(arguments[0]) or _is_pattern(arguments[0])


def plan(arguments: Sequence[Path], out: Path) -> list[Task]:
    """Records of all arguments in order, each once, with a folder of its own.

    Raises
    ------
    RecordError
        A folder or pattern holds no record.

    """
    found = dict.fromkeys(path.absolute() for argument in arguments for path in _records_of(argument))
    paths = list(found)
    return [Task(path, out.absolute() / name) for path, name in zip(paths, folder_names(paths), strict=True)]


def folder_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path that no other has, on any file system: as short as can be.

    The record's own name; where two share it, the file's, and then with the names of the folders above.
    """
    candidates = [_candidates(path) for path in paths]
    depth = [0] * len(paths)
    while True:
        names = [own[at] for own, at in zip(candidates, depth, strict=True)]
        count = Counter(name.casefold() for name in names)
        deeper = [
            min(at + (count[name.casefold()] > 1), len(own) - 1)
            for name, at, own in zip(names, depth, candidates, strict=True)
        ]
        if deeper == depth:
            return _numbered(names)
        depth = deeper


def sweep(out: Path) -> None:
    """Remove what a run that was killed left half done."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file, expected a folder; name another one with --out.")
    for leftover in out.glob(f"{PART}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.with_name(f"{path.name}.hea").is_file()


def _is_pattern(path: Path) -> bool:
    return has_magic(str(path)) and not path.exists()


def _records_of(argument: Path) -> list[Path]:
    if _is_folder(argument):
        return [path for path in find_records(argument) if not path.name.endswith(OWN_TABLES)]
    if not _is_pattern(argument):
        return [_bare(argument)]
    found = [Path(name) for name in sorted(glob(str(argument), recursive=True))]  # noqa: PTH207  # it may be absolute
    files = [_bare(path) for path in found if path.name.lower().endswith((".hea", *SINGLE_FILES))]
    folders = [path for path in found if path.is_dir() and any(path.glob("*.hea"))]
    inside = [record for folder in folders for record in find_records(folder)]
    records = [path for path in (*files, *inside) if not path.name.endswith(OWN_TABLES)]
    if not records:
        raise RecordError(f"{argument}: no recording matches this pattern; check it, or name a folder of records.")
    return records


def _bare(path: Path) -> Path:
    """A record by its path without extension, whichever of its files was named."""
    bare = path.with_suffix("") if path.suffix.lower() in PARTS_OF_A_RECORD else path
    return bare if bare.with_name(f"{bare.name}.hea").is_file() else path


def _candidates(path: Path) -> list[str]:
    """Names for a path, from short to long."""
    ending = next((ending for ending in SINGLE_FILES if path.name.lower().endswith(ending)), "")
    short = path.name[: -len(ending)] if ending else path.name
    above = [part for part in (part.strip("/\\:") for part in path.parts[:-1]) if part]
    longer = ["_".join([*above[-depth:], path.name]) for depth in range(1, len(above) + 1)]
    return [one_line(name) for name in (short or path.name, path.name, *longer)]


def _numbered(names: Sequence[str]) -> list[str]:
    """Names that are still alike, told apart by a number."""
    told: dict[str, str] = {}
    for name in names:
        own, number = name, 1
        while own.casefold() in told:
            number += 1
            own = f"{name} ({number})"
        told[own.casefold()] = own
    return list(told.values())
