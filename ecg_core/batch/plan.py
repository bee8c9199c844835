"""Which records are meant, and the folder of each one's results. Nothing is analysed here."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from ..errors import OutputError, RecordError
from ..files import is_there
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..records import SINGLE_FILES, find_records, is_result, records_in
from ..rules import RhythmRules
from ..text import one_line
from .tables import MARK

UNSAFE = re.compile(r'[<>:"/\\|?*]')  # in the name of a folder
PARTS_OF_A_RECORD = (".hea", ".dat", ".atr")


@dataclass(frozen=True)
class Task:
    """A record to be analysed, and the folder of its results; both paths absolute, as workers have other folders."""

    path: Path
    folder: Path

    @property
    def name(self) -> str:
        """Its name in tables and in the progress."""
        return self.folder.name


@dataclass(frozen=True)
class Studies:
    """The store into which records are also analysed, and by whom."""

    folder: Path | None  # the default one where it is None
    reader: str


@dataclass(frozen=True)
class Settings:
    """How every record is analysed."""

    model: Path
    lead: str
    rules: RhythmRules
    overrides: RecordOverrides = NO_OVERRIDES  # for records whose files state no rate or no unit
    studies: Studies | None = None  # where each record also becomes a study
    engine: str | None = None  # see ``load_model``
    also: tuple[str, ...] = ()  # further forms of each report; see ``write_files``
    by_recorder: bool = False  # whether a record whose recorder has a default model is analysed by that one


@dataclass(frozen=True)
class Outcome:
    """Result of a task: a row of the study, or the problem in a sentence."""

    task: Task
    row: dict[str, str | float | None]
    problem: str = ""
    settings: tuple[str, ...] = ()  # names of those that would mend the problem; see ``EcgError``
    fields: Mapping[str, str] = field(default_factory=dict)  # of the error, apart; see ``EcgError``
    kept: bool = False  # finished by an earlier run


def is_many(arguments: Sequence[Path]) -> bool:
    """Whether the arguments mean more than one named record."""
    return len(arguments) > 1 or _is_folder(arguments[0]) or _is_pattern(arguments[0])


def plan(arguments: Sequence[Path], out: Path) -> list[Task]:
    """Records of all arguments in order, each once, with a folder of its own in ``out``.

    Raises
    ------
    RecordError
        A folder or pattern holds no record.

    """
    found = dict.fromkeys(path.absolute() for argument in arguments for path in _records_of(argument))
    paths = list(found)
    return [Task(path, out.absolute() / name) for path, name in zip(paths, folder_names(paths), strict=True)]


def skipped_folders(arguments: Sequence[Path]) -> list[Path]:
    """Folders that hold records and lie in a folder that was given, but were not: their records are not looked at."""
    given = {argument.resolve() for argument in arguments}
    folders = (folder for argument in arguments if _is_folder(argument) for folder in sorted(argument.iterdir()))
    inside = (folder for folder in folders if folder.is_dir() and folder.resolve() not in given)
    return [folder for folder in inside if not mark_of(folder) and records_in(folder)]


def mark_of(folder: Path) -> dict[str, Any]:
    """What the results in a folder were made from; empty where there is no such mark."""
    try:
        found = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_place(task: Task) -> None:
    """Refuse a folder that holds anything but results of an earlier run: these are replaced, nothing else is.

    Raises
    ------
    OutputError
        Naming the folder.

    """
    folder = task.folder
    with suppress(OSError):  # a name that is too long, which is reported where the folder is made
        found = {path.name for path in folder.iterdir()}
        known = {*mark_of(folder).get("files", {}), MARK}
        if not found <= known:
            raise OutputError(
                f"{folder}: exists and holds files that this program did not write; move it away.", settings=("out",)
            )
    if is_there(folder):
        raise OutputError(
            f"{folder}: is a file, and the results of {task.path.name} need a folder of this name; nothing was "
            "analysed.",
            settings=("out",),
        )


def folder_names(paths: Sequence[Path]) -> list[str]:
    """Names for paths, as short as possible, all different on any file system.

    The record's own name; where two share it, the file's, and then with the names of the folders above.
    """
    candidates = [_candidates(path) for path in paths]
    depth = [0] * len(paths)
    while True:
        names = [longer[at] for longer, at in zip(candidates, depth, strict=True)]
        count = Counter(name.casefold() for name in names)
        deeper = [
            min(at + (count[name.casefold()] > 1), len(longer) - 1)
            for name, at, longer in zip(names, depth, candidates, strict=True)
        ]
        if deeper == depth:
            return _numbered(names)
        depth = deeper


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not is_there(path.with_name(f"{path.name}.hea"))


def _is_pattern(path: Path) -> bool:
    return has_magic(str(path)) and not path.exists()


def _records_of(argument: Path) -> list[Path]:
    if _is_folder(argument):
        return find_records(argument)
    if not _is_pattern(argument):
        return [_without_extension(argument)]
    found = [Path(name) for name in sorted(glob(str(argument), recursive=True))]  # noqa: PTH207  # it may be absolute
    files = [_without_extension(path) for path in found if path.name.lower().endswith((".hea", *SINGLE_FILES))]
    folders = [path for path in found if path.is_dir() and any(path.glob("*.hea"))]
    inside = [record for folder in folders for record in find_records(folder)]
    records = [path for path in (*files, *inside) if not is_result(path)]
    if not records:
        raise RecordError(
            "no recording matches this pattern", where=argument, advice="Check it, or choose a folder of records."
        )
    return records


def _without_extension(path: Path) -> Path:
    """The stem of a WFDB record, whichever of its files was named; any other path as it is."""
    stem = path.with_suffix("") if path.suffix.lower() in PARTS_OF_A_RECORD else path
    return stem if is_there(stem.with_name(f"{stem.name}.hea")) else path


def _candidates(path: Path) -> list[str]:
    """Names for a path, from short to long."""
    ending = next((ending for ending in SINGLE_FILES if path.name.lower().endswith(ending)), "")
    short = path.name[: -len(ending)] if ending else path.name
    above = [part for part in (part.strip("/\\:") for part in path.parts[:-1]) if part]
    longer = ["_".join([*above[-depth:], path.name]) for depth in range(1, len(above) + 1)]
    return [_folder_name(name) for name in (short or path.name, path.name, *longer)]


def _folder_name(name: str) -> str:
    """A name that is that of a folder inside the results on any system: never the results' own, nor one above."""
    return UNSAFE.sub("_", one_line(name)).strip(" .") or "record"


def _numbered(names: Sequence[str]) -> list[str]:
    """Names with a number appended to each that an earlier one has taken."""
    taken: dict[str, str] = {}
    for name in names:
        unique, number = name, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{name} ({number})"
        taken[unique.casefold()] = unique
    return list(taken.values())
