"""The analysis of one record of many: its folder of results is there as a whole, or not at all."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from ..classifier.model import load_model
from ..classifier.spec import read_spec
from ..errors import OutputError
from ..pipeline import Progress, analyse
from ..records import read_record
from ..report.export import file_contents
from ..schema import Record
from .plan import PART, Outcome, Settings, Task
from .study import MARK, study_row


def analyse_one(task: Task, settings: Settings, progress: Progress) -> Outcome:
    """Analyse a record, or take what an earlier run made of the same record in the same way.

    Raises
    ------
    EcgError
        See ``read_record``, ``load_model`` and ``analyse``; OutputError where the results cannot be written.

    """
    record = read_record(task.path, settings.overrides)
    made_from = _made_from(record, settings)
    row = finished_row(task.folder, made_from)
    if row is not None:
        return Outcome(task, row, kept=True)
    _check_place(task.folder)
    analysis = analyse(record, load_model(settings.model), settings.rules, lead=settings.lead, progress=progress)
    row, contents = study_row(task.name, analysis), file_contents(analysis)
    mark = {"made_from": made_from, "files": {name: len(content) for name, content in contents.items()}, "row": row}
    with _hidden(task) as hidden:
        for name, content in contents.items():
            (hidden / name).write_bytes(content)
        (hidden / MARK).write_text(json.dumps(mark, allow_nan=False, indent=1) + "\n", encoding="utf-8")
        if finished_row(task.folder, made_from) is None:  # else a worker that was taken for dead has come first
            _move(hidden, task.folder)
    return Outcome(task, row)


def finished_row(folder: Path, made_from: dict[str, Any]) -> dict[str, Any] | None:
    """The row of a record that is finished; None where it is not, or was made from something else."""
    mark = _mark(folder)
    files: dict[str, int] = mark.get("files", {})
    if mark.get("made_from") != made_from:
        return None
    whole = all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in files.items())
    return mark["row"] if whole else None


def _made_from(record: Record, settings: Settings) -> dict[str, Any]:
    return {
        "record_sha256": record.sha256,
        "model_sha256": read_spec(settings.model).sha256,
        "lead": settings.lead,
        "rules": asdict(settings.rules),
        "stated": asdict(settings.overrides),
        "software_version": __version__,
    }


def _mark(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _check_place(folder: Path) -> None:
    """Refuse a place that holds anything but results of an earlier run: these are replaced, nothing else is."""
    own = {*_mark(folder).get("files", {}), MARK}
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= own):
        raise OutputError(
            f"{folder}: is there already and holds what no run of this program put there; move it away, or name "
            "another folder with --out."
        )


@contextmanager
def _hidden(task: Task) -> Iterator[Path]:
    """A folder for results in the making, gone when they are made or cannot be."""
    hidden = task.folder.with_name(f"{PART}{uuid.uuid4().hex}")
    try:
        hidden.mkdir(parents=True)
        yield hidden
    except OSError as error:
        raise OutputError(
            f"{task.folder.parent}: the results of {task.name} cannot be written there ({error.strerror or error}); "
            "what was finished stays. Make room, or name another folder with --out, and run the same command again."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _move(hidden: Path, folder: Path) -> None:
    """Put a folder in its place, and what was there before out of the way."""
    if not folder.exists():
        hidden.rename(folder)
        return
    old = hidden.with_name(f"{hidden.name}-old")
    folder.rename(old)
    hidden.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
