"""The analysis of one record of many: its folder of results is complete or absent."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..classifier.chunks import Progress
from ..classifier.engine import TORCH
from ..classifier.installed import default_weights
from ..classifier.model import load_model
from ..classifier.spec import model_digest, read_spec
from ..errors import OutputError, RecordError
from ..files import atomic_folder, place_mends, reason_of
from ..notes import NO_NOTES, Notes
from ..pipeline import analyse
from ..records import read_record, recorder_of
from ..report.export import file_contents, without_patient
from ..schema import Analysis, Record
from ..studies.analyses import AnalysisKey
from ..studies.analysing import Wanted, analyse_held, held_study, is_stored, shows
from ..studies.audit import content_sha256
from ..studies.edits import edits_of, edits_sha256
from ..studies.store import Store, open_store
from ..studies.study import command_editor, get_study, note_export
from ..studies.study_notes import notes_of
from .plan import Outcome, Settings, Studies, Task, check_place, mark_of
from .study import study_row
from .tables import MARK

Row = dict[str, str | float | None]


def analyse_one(task: Task, settings: Settings, progress: Progress) -> Outcome:
    """Analyse a record, unless an earlier run finished the same record with the same settings.

    Raises
    ------
    EcgError
        See ``read_record``, ``load_model`` and ``analyse``; OutputError where the results cannot be written.

    """
    record = read_record(task.path, settings.overrides)
    if settings.by_recorder:
        settings = replace(settings, model=default_weights(recorder_of(record)))
    if settings.studies is not None:
        return _analyse_into(task, record, settings, settings.studies, progress)
    made_from = _made_from(record, settings)
    row = finished_row(task.folder, made_from)
    if row is not None:
        return Outcome(task, row, kept=True)
    check_place(task)
    analysis = analyse(
        record,
        load_model(settings.model, engine=settings.engine),
        settings.rules,
        lead=settings.lead,
        progress=progress,
    )
    return Outcome(task, _write(task, analysis, made_from, settings.also))


def _analyse_into(task: Task, record: Record, settings: Settings, studies: Studies, progress: Progress) -> Outcome:
    """Analyse a record into the store as well; where its study shows what its folder holds, nothing is done."""
    with closing(open_store(studies.folder, checked=True)) as store:  # the command checked it when it began
        row = finished_row(task.folder, _made_from(record, settings) | _edited(store, record))
        if row is not None and _is_shown(store, record, settings):
            return Outcome(task, row, kept=True)
        check_place(task)
        wanted, editor = Wanted(settings.model, settings.lead, settings.rules), command_editor(studies.reader)
        with held_study(store, record, editor) as study:
            analysis = analyse_held(store, record, study, wanted, editor, progress=progress)
            made_from = _made_from(record, settings) | _edited(store, record)  # a new study took notes from its file
            notes = notes_of(store, record.sha256)
        row = finished_row(task.folder, made_from)
        if row is not None:
            return Outcome(task, row, kept=True)
        row = _write(task, analysis, made_from, settings.also, notes)
        names = mark_of(task.folder).get("files", {})
        note_export(store, record.sha256, editor, files=list(names), with_patient=False)
        return Outcome(task, row)


def _edited(store: Store, record: Record) -> dict[str, Any]:
    """What the results of a study are made from beside the settings: its readers' labels and notes, if any."""
    edits, study = edits_of(store, record.sha256), get_study(store, record.sha256)
    notes = without_patient(notes_of(store, record.sha256))
    made_from: dict[str, Any] = {} if notes == NO_NOTES else {"notes_sha256": content_sha256([asdict(notes)])}
    if edits and study is not None:
        made_from |= {"labels_sha256": edits_sha256(store, record.sha256), "fitted_edits": study.n_fitted_edits}
    return made_from


def _is_shown(store: Store, record: Record, settings: Settings) -> bool:
    """Whether the study of a record shows its analysis by these settings, and it is stored."""
    study = get_study(store, record.sha256)
    if study is None:
        return False
    fitted = edits_of(store, record.sha256)[: study.n_fitted_edits]
    key = AnalysisKey(record.sha256, settings.lead, model_digest(read_spec(settings.model)), settings.rules, fitted)
    return shows(study, key) and is_stored(store, key)


def finished_row(folder: Path, made_from: dict[str, Any]) -> Row | None:
    """Row of a record whose results are complete; None where they are not, or were made from something else."""
    mark = mark_of(folder)
    sizes: dict[str, int] = mark.get("files", {})
    if mark.get("made_from") != made_from:
        return None
    whole = all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())
    return mark["row"] if whole else None


def _made_from(record: Record, settings: Settings) -> dict[str, Any]:
    spec = read_spec(settings.model)
    spec = replace(spec, int8_sha256="") if settings.engine == TORCH else spec
    return {
        "record_sha256": record.sha256,
        "model_sha256": spec.sha256,
        "int8_sha256": spec.int8_sha256,
        "model_digest": model_digest(spec),
        "lead": settings.lead,
        "rules": asdict(settings.rules),
        "stated": asdict(settings.overrides),
        "software_version": __version__,
        **({"also": sorted(settings.also)} if settings.also else {}),
    }


def _write(
    task: Task, analysis: Analysis, made_from: dict[str, Any], also: tuple[str, ...], notes: Notes = NO_NOTES
) -> Row:
    """Write the results and the mark that says what they were made from; return the row of the study."""
    row, contents = study_row(task.name, analysis), file_contents(analysis, notes, also=also)
    mark = {"made_from": made_from, "files": {name: len(content) for name, content in contents.items()}, "row": row}

    def is_finished(folder: Path) -> bool:
        """Whether another worker, which a cluster had given up, has finished the record in the meantime."""
        return finished_row(folder, made_from) is not None

    try:
        with atomic_folder(task.folder, task.name, keep=is_finished) as hidden:
            for name, content in contents.items():
                (hidden / name).write_bytes(content)
            (hidden / MARK).write_text(json.dumps(mark, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        if not place_mends(error):  # of this record alone
            raise RecordError(f"its results cannot be written ({reason_of(error)})", where=task.path) from error
        raise OutputError(
            f"{task.folder.parent}: the results of {task.name} cannot be written there ({reason_of(error)}); "
            "finished records are kept. Make room, and run the same command again.",
            settings=("out",),
        ) from error
    return row
