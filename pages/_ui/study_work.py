"""What can be done with studies that need not be open in this window: each acts on several, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ecg_core.errors import ChangeRefusedError, EcgError, StudyHeldError
from ecg_core.schema import Record
from ecg_core.studies.analyses import AnalysisKey, load_analysis, stored_rules
from ecg_core.studies.edits import edits_of
from ecg_core.studies.holding import holds
from ecg_core.studies.queue import Queued
from ecg_core.studies.study import NEW, SIGNED, SIGNED_AND_LOCKED, Study, set_archived

from .actions import open_record, resume, start_job
from .analyses import set_shown_with_edits
from .installed_models import choose_model, installed_models, recorder_with_default, weights_of
from .jobs import Job
from .messages import error_message
from .stores import is_gone
from .uploads import temporary_folder
from .workspace import Workspace, current_workspace


def open_elsewhere(workspace: Workspace) -> dict[str, str]:
    """Readers in other windows, by the SHA-256 of the study that they hold."""
    mine = workspace.editor.session
    return {
        sha256: held.reader or "another reader"
        for sha256, held in holds(workspace.store).items()
        if held.session != mine and not is_gone(held.session)
    }


def each(studies: Sequence[Study], work: Callable[[Study], object]) -> None:
    """Do something with each study; one that it cannot be done with does not stop the others.

    Raises
    ------
    EcgError
        After the last one, with a sentence for each that failed.

    """
    problems = []
    for study in studies:
        try:
            work(study)
        except EcgError as error:
            text = error_message(error)
            problems.append(text if study.record_id in text else f"{study.record_id}: {text}")
    if problems:
        raise EcgError(" ".join(problems))


def refuse_where_held(workspace: Workspace, study: Study) -> None:
    """Refuse what would only fail at its end.

    Raises
    ------
    StudyHeldError
        Another window holds the study.

    """
    reader = open_elsewhere(workspace).get(study.record_sha256)
    if reader is not None:
        raise StudyHeldError(
            f"{study.record_id}: open for changes in another window, by {reader}. Close it there, or open it here and "
            "take it over."
        )


def analyse_study(study: Study) -> None:
    """Put a study into the queue, as it was analysed last; what is stored already is shown instead.

    Raises
    ------
    EcgError
        It is signed, held by another window, or its recording is not where it was; or no model is installed.

    """
    workspace = current_workspace()
    if study.state == SIGNED:
        raise ChangeRefusedError(SIGNED_AND_LOCKED)
    refuse_where_held(workspace, study)
    _now, record = workspace.recording_of(study.record_sha256)
    analyse_unopened(workspace, study, record)


def analyse_unopened(workspace: Workspace, study: Study, record: Record) -> None:
    """See ``analyse_study``; with the recording at hand."""
    models = installed_models()
    recorder = recorder_with_default(record)
    name = choose_model(models, study.model_name, digest=study.model_sha256, recorder=recorder)
    store = workspace.store
    fitted = edits_of(store, study.record_sha256)[: study.n_fitted_edits]
    key = AnalysisKey(study.record_sha256, study.lead, models[name], stored_rules(study.rules), fitted)
    found = load_analysis(store, key, record)
    if found is None:
        is_renamed = models[name] == study.model_sha256
        start_job(Job(key, record, weights_of(name)), name, wanted="" if is_renamed else study.model_name)
    elif study.state == NEW:
        set_shown_with_edits(store, key, found, workspace.editor)


def join_studies(studies: Sequence[Study]) -> None:
    """Join recordings that follow each other into one, and open it as a study; theirs stay.

    Raises
    ------
    EcgError
        They do not follow each other, differ in leads or rate, or one is not where it was.

    """
    from ecg_core.records import write_join  # noqa: PLC0415, as wfdb takes half a second

    workspace = current_workspace()
    records = [workspace.recording_of(study.record_sha256)[1] for study in studies]
    folder = workspace.uploads.make()
    try:
        open_record(write_join(records, folder))
    except EcgError:
        workspace.uploads.tidy(folder)
        raise


def archive_study(study: Study, *, archived: bool) -> None:
    """Move a study into the archive, or take it from there."""
    workspace = current_workspace()
    set_archived(workspace.store, study.record_sha256, workspace.editor, archived=archived)


def delete_one(study: Study) -> None:
    """Delete a study with all that was stored of it."""
    workspace = current_workspace()
    refuse_where_held(workspace, study)
    workspace.delete(study.record_sha256)


def exported(workspace: Workspace, study: Study, *, with_patient: bool) -> bytes:
    """A study as a zip, for a download; a sentence on the next page says why there is none.

    Raises
    ------
    EcgError
        The recording is not where it was, or there is no room for the zip.

    """
    from ecg_core.studies.bundle import export_study  # noqa: PLC0415, as wfdb takes half a second

    with temporary_folder() as folder:
        path = folder / "study.zip"
        try:
            export_study(workspace.store, study.record_sha256, path, workspace.editor, with_patient=with_patient)
        except EcgError as error:
            workspace.notice = error_message(error)
            raise
        return path.read_bytes()


def resume_all(stopped: Sequence[Queued]) -> None:
    """Start all analyses again that were stopped.

    Raises
    ------
    EcgError
        After the last one, with a sentence for each that cannot be started.

    """
    problems = []
    for one in stopped:
        try:
            resume(one)
        except EcgError as error:
            problems.append(error_message(error))
    if problems:
        raise EcgError(" ".join(problems))
