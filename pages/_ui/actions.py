"""What a reader does: open records, start analyses, change rules. Each acts on the workspace of the session."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

import ecg_core as ecg
from ecg_core.classifier.kept import tidy
from ecg_core.classifier.spec import read_spec
from ecg_core.errors import (
    ChangeRefusedError,
    EcgError,
    MissingMetadataError,
    RecordError,
    RecordMovedError,
    StoreError,
)  # fmt: skip
from ecg_core.overrides import NO_OVERRIDES, RecordOverrides
from ecg_core.records import find_records
from ecg_core.rules import BALANCED, RhythmRules
from ecg_core.schema import Analysis, Record
from ecg_core.studies.analyses import stored_rules
from ecg_core.studies.edits import edits_of
from ecg_core.studies.queue import Queued
from ecg_core.studies.study import SIGNED_AND_LOCKED, find_one, find_studies

from . import engine
from .installed_models import choose_model, installed_models, recorder_with_default, weights_of
from .jobs import AnalysisKey, Job
from .messages import error_message
from .session_cleanup import session_cleanup
from .stores import ephemeral_desk
from .streamlit_runtime import current_session_id
from .uploads import Upload, refuse_name, safe_name, temporary_folder
from .workspace import Workspace, current_workspace

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo_data" / "demo"
LIVE = "live"  # the folder of recordings of streams, below ``data``


def enter() -> Workspace:
    """The workspace of this session, with what changed in the store.

    At its first page the study in the address is opened or, with ``ECG_DEMO=1``, the demo record.
    """
    is_new = "workspace" not in st.session_state
    workspace = current_workspace()
    workspace.refresh()
    if is_new:
        warm_up()
        if os.environ.get("ECG_DEMO") == "1" and not {"study", "record"} & set(st.query_params):
            open_demo()
    return workspace


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Load what an analysis needs while the reader looks at the first page; once for the whole server."""

    def load() -> None:
        try:
            engine.load()
            gc.freeze()  # Streamlit collects garbage after every run; what was imported need not be searched each time
            if os.environ.get("ECG_EPHEMERAL") != "1":
                tidy()
        except Exception:  # the analysis itself will say what is missing
            logging.getLogger(__name__).exception("loading the libraries of the analysis")

    threading.Thread(target=load, daemon=True).start()


def open_record(path: str | Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record | None:
    """Open a record by its path; None where the reader has to enter its rate or unit first."""
    workspace = current_workspace()
    try:
        record = ecg.read_record(path, overrides)
    except MissingMetadataError as error:
        workspace.awaiting_metadata[Path(path)] = error
        return None
    workspace.awaiting_metadata.pop(Path(path), None)
    workspace.add(record)
    return record


def open_with_overrides(path: Path, *, fs_hz: float | None, unit: str | None) -> Record | None:
    """Open a record with the rate and the unit that the reader entered."""
    from ecg_core.records import per_mv_of  # noqa: PLC0415, as wfdb takes half a second

    record = open_record(path, RecordOverrides(fs_hz, per_mv_of(unit) if unit else None))
    workspace = current_workspace()
    workspace.uploads.tidy(path, workspace.awaiting_metadata)
    return record


def open_uploads(files: Sequence[Upload]) -> None:
    """Store uploaded files and open their records, and studies that were exported as a zip.

    Raises
    ------
    EcgError
        After the last one, with a sentence for each that cannot be opened; the others are open.

    """
    workspace = current_workspace()
    try:
        records, errors = _import_studies(workspace, files)
        errors += _open_stored(workspace, records) if records else []
    finally:
        workspace.uploads.release(files)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise EcgError(" ".join(map(error_message, errors)))


def _import_studies(workspace: Workspace, files: Sequence[Upload]) -> tuple[list[Upload], list[EcgError]]:
    """Import the studies among uploads; returns the other files, and why some cannot be used."""
    records: list[Upload] = []
    errors: list[EcgError] = []
    for file in files:
        try:
            refuse_name(file.name, [other.name for other in records])
            if not _import_upload(workspace, file):
                records.append(file)
        except EcgError as error:
            errors.append(error)
    return records, errors


def _open_stored(workspace: Workspace, files: Sequence[Upload]) -> list[EcgError]:
    """Store uploaded files and open their records; returns why some cannot be opened, whose files are removed."""
    try:
        paths = workspace.uploads.store(files)
    except RecordError as error:
        return [error]
    errors: list[EcgError] = []
    for path in paths:
        try:
            open_record(path)
        except EcgError as error:
            errors.append(error)
    for folder in {path.parent for path in paths}:
        workspace.uploads.tidy(folder, workspace.awaiting_metadata)
    return errors


def _import_upload(workspace: Workspace, file: Upload) -> bool:
    """Import and open a study that was uploaded as a zip; False where a file is none."""
    if not file.name.lower().endswith(".zip"):
        return False
    from ecg_core.studies.bundle import import_study, is_study_zip  # noqa: PLC0415, as wfdb takes half a second

    with temporary_folder() as folder:
        path = folder / safe_name(file.name)
        path.write_bytes(file.getbuffer())
        if not is_study_zip(path):
            return False
        study = import_study(workspace.store, path, workspace.editor)
    workspace.open_study(study.record_sha256)
    return True


def open_demo() -> None:
    """Open the bundled record and analyse it, where that was not done before."""
    record = open_record(DEMO)
    if record is not None and not current_workspace().has_analysis(record.sha256):
        start_analysis(record)


def follow_link(record_id: str, time_s: float) -> None:
    """Show the record that a link names; where it is not open, remember the time until it is."""
    workspace = current_workspace()
    found = [record for record in workspace.records.values() if record.record_id == record_id]
    if not found:
        workspace.linked_s[record_id] = time_s
        known = [study for study in find_studies(workspace.store, search=record_id) if study.record_id == record_id]
        if len(known) == 1:
            workspace.open_study(known[0].record_sha256)
        elif record_id == DEMO.name:
            open_demo()
    elif workspace.current not in (record.sha256 for record in found):
        workspace.current = found[0].sha256


def follow_study(digits: str, record_id: str, time_s: float) -> None:
    """Show the study whose hash begins as the address says; another recording of the same name is never shown.

    Where it is not in this store and the address names its record, the time is remembered until it is opened.
    """
    workspace = current_workspace()
    if workspace.current.startswith(digits):
        return
    try:
        workspace.open_study(find_one(workspace.store, digits).record_sha256)
    except RecordMovedError:
        raise
    except StoreError:
        if not record_id:
            raise
        workspace.linked_s[record_id] = time_s
        if record_id == DEMO.name and ecg.read_record(DEMO).sha256.startswith(digits):
            open_demo()


def fetched_records() -> dict[str, Path]:
    """Records in the folder ``data``, by database and name; those recorded live by day and name.

    A belt has the same name every day. A recording with long gaps has headers of its segments, which are no records.
    """
    fetched = [path for path in sorted((ROOT / "data").glob("*/*/*.hea")) if path.parts[-3] != LIVE]
    names = {f"{path.parts[-3]} {path.stem}": path.with_suffix("") for path in fetched}
    days = [day for day in sorted((ROOT / "data" / LIVE).glob("*"), reverse=True) if any(day.glob("*.hea"))]
    return names | {f"{LIVE} {day.name} {path.name}": path for day in days for path in find_records(day)}


def start_analysis(record: Record, *, lead: str = "auto", model: str = "", rules: RhythmRules | None = None) -> None:
    """Show the analysis of a record; where there is none yet, start it."""
    workspace = current_workspace()
    models = installed_models()
    name = choose_model(models, model, recorder=recorder_with_default(record))
    key = AnalysisKey(record.sha256, lead, models[name], rules or RhythmRules())
    _refuse_where_signed(workspace, key)
    found = workspace.stored(key)
    if found is not None:
        workspace.show(key, found)
    else:
        start_job(Job(key, record, weights_of(name)), name, wanted=model)


def start_job(job: Job, name: str, *, wanted: str) -> None:
    """Start an analysis by the model ``name``; the next page says where it replaces a ``wanted`` one that is gone."""
    workspace = current_workspace()
    workspace.start(job)
    said = f"The model {wanted} is no longer installed; {name} analyses its recordings instead."
    if wanted not in ("", name) and said not in workspace.notice:
        workspace.notice = f"{workspace.notice} {said}".strip()


def _refuse_where_signed(workspace: Workspace, key: AnalysisKey) -> None:
    """Refuse another analysis of a signed study than the signed one."""
    if workspace.is_signed(key.record_sha256) and key != workspace.shown.get(key.record_sha256):
        raise ChangeRefusedError(SIGNED_AND_LOCKED)


def resume(stopped: Queued) -> None:
    """Start an analysis again that was cancelled, failed or was interrupted."""
    workspace = current_workspace()
    study, record = workspace.recording_of(stopped.record_sha256)
    edits, models = edits_of(workspace.store, stopped.record_sha256), installed_models()
    name = choose_model(models, stopped.model_name)
    rules, fitted = stored_rules(stopped.rules), edits[: stopped.n_fitted_edits]
    key = AnalysisKey(record.sha256, stopped.lead, models[name], rules, fitted)
    is_proposal = stopped.n_fitted_edits > study.n_fitted_edits
    start_job(Job(key, record, weights_of(name), beside=is_proposal), name, wanted=stopped.model_name)


def work_without_store() -> None:
    """Work on a store of this window alone, which goes with it."""
    workspace = Workspace(ephemeral_desk())
    st.session_state["workspace"] = workspace
    session_cleanup().add(current_session_id(), workspace)


def analyse_as_before(record: Record) -> None:
    """Analyse a record that has no stored analysis: as it was shown before, or as any new one."""
    workspace, models = current_workspace(), installed_models()
    shown = workspace.shown.get(record.sha256)
    name = next((name for name, digest in models.items() if shown and digest == shown.model_digest), "")
    if shown is None or not name:
        start_analysis(record, model=workspace.study(record.sha256).model_name)
    else:
        workspace.start(Job(shown, record, weights_of(name)))


def change_rules(record: Record, rules: RhythmRules) -> None:
    """Measure the analysis that is shown by other rules; its beats stay, so that it takes no time."""
    workspace = current_workspace()
    shown = workspace.shown[record.sha256]
    key = shown._replace(rules=rules)
    _refuse_where_signed(workspace, key)
    found = workspace.stored(key)
    if found is not None:
        workspace.show(key, found)


def analyse_beside(analysis: Analysis, model: str) -> None:
    """Start to analyse the same leads of the same record with another model; the analysis that is shown stays."""
    key = _key_beside(analysis, model)
    current_workspace().start(Job(key, analysis.record, weights_of(model), beside=True))


def analysis_beside(analysis: Analysis, model: str) -> Analysis | None:
    """The analysis of the same leads by another model, measured by the same rules; None where there is none yet.

    A model that states no operating point for the sensitivity is balanced.
    """
    workspace = current_workspace()
    digest = installed_models()[model]
    own = [
        key._replace(rules=_rules_beside(analysis, model))
        for key in workspace.analyses
        if (key.record_sha256, key.model_digest, key.fitted_labels) == (analysis.record.sha256, digest, ())
    ]
    for key in (*own, _key_beside(analysis, model)):
        found = workspace.stored(key)
        if found is not None and found.usual_leads == analysis.usual_leads:
            return found
    return None


def _key_beside(analysis: Analysis, model: str) -> AnalysisKey:
    record = analysis.record
    if len(analysis.lead_names) == 1:
        lead = analysis.lead_names[0]
    else:  # which leads hold a signal is the same for any model
        lead = "all" if analysis.lead_names == record.lead_names else "auto"
    return AnalysisKey(record.sha256, lead, installed_models()[model], _rules_beside(analysis, model))


def _rules_beside(analysis: Analysis, model: str) -> RhythmRules:
    """The rules of an analysis for another model: with its sensitivity, where that model can have it."""
    rules = analysis.rules
    if rules.sensitivity == BALANCED:
        return rules
    points = read_spec(weights_of(model)).operating_points_of(len(analysis.usual_leads))
    return rules if rules.sensitivity in points else replace(rules, sensitivity=BALANCED)
