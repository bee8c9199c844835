"""What one reader's window has open: studies, their analyses and labels; all of it is saved as it happens."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from ecg_core.edits import Edit
from ecg_core.errors import ChangeRefusedError, MissingMetadataError, RecordMovedError, StoreError
from ecg_core.notes import Notes
from ecg_core.schema import Analysis, Record
from ecg_core.studies.analyses import set_shown, stored_rules
from ecg_core.studies.edits import add_edit, edits_of, redo_edit, redoable_of, undo_edit
from ecg_core.studies.holding import keep_holding, release
from ecg_core.studies.recordings import open_recording
from ecg_core.studies.store import Store
from ecg_core.studies.study import SIGNED, Editor, Study, delete_study, get_study, note_export, set_view
from ecg_core.studies.study_notes import notes_of

from .analyses import WindowAnalyses
from .jobs import AnalysisKey, AnalysisQueue, Job
from .open_study import READ_AGAIN, OpenStudy, become_study, hold_where_free, stored_study
from .session_cleanup import session_cleanup
from .stores import Desk, account_name, ephemeral_desk, session_desk, window_name
from .streamlit_runtime import current_session_id
from .unsaved import Change, UnsavedChanges
from .uploads import UploadFolder

if TYPE_CHECKING:  # what monitors a stream loads when one begins
    from ecg_core.live.session import LiveSession

CANCEL_WAIT_S = 5.0  # an analysis stops at the end of the chunk at work
RECORDINGS = "recordings"  # folder of the store for uploads


@dataclass(eq=False)
class Workspace:
    """State of one window; what has to last is in the store."""

    desk: Desk = field(default_factory=ephemeral_desk)
    editor: Editor = field(default_factory=lambda: Editor(account_name(), window_name()))
    studies: dict[str, OpenStudy] = field(default_factory=dict)  # by sha256 of the record
    current: str = ""  # sha256 of the record that is shown
    unsaved: UnsavedChanges = field(default_factory=UnsavedChanges)
    address: str = ""  # how the address of the page named it last
    linked_s: dict[str, float] = field(default_factory=dict)  # times in links to records not yet open, by record_id
    awaiting_metadata: dict[Path, MissingMetadataError] = field(default_factory=dict)  # rate or unit to be entered
    moved: dict[str, RecordMovedError] = field(default_factory=dict)  # studies whose recording is to be found
    live: LiveSession | None = None  # the stream that is watched
    live_speed: float = 1.0
    notice: str = ""  # a sentence for the next page that is drawn
    cache: dict[str, tuple[Hashable, Any]] = field(default_factory=dict)  # the last value of each name, with its key
    on_select: dict[str, Callable[[], object]] = field(default_factory=dict)  # by the key of a figure
    _stop_live: Callable[[], object] | None = None

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        return self.desk.store

    @property
    def queue(self) -> AnalysisQueue:
        """The analyses that run and wait."""
        return self.desk.queue

    @cached_property
    def uploads(self) -> UploadFolder:
        """Where uploads are kept."""
        return UploadFolder(self.store.subfolder(RECORDINGS))

    @cached_property
    def window_analyses(self) -> WindowAnalyses:
        """The analyses that this window used."""
        return WindowAnalyses(self.store)

    @property
    def analyses(self) -> dict[AnalysisKey, Analysis]:
        """Those of them that are in memory."""
        return self.window_analyses.by_key

    @property
    def records(self) -> dict[str, Record]:
        """The open records, by sha256."""
        return {sha256: study.record for sha256, study in self.studies.items()}

    @property
    def shown(self) -> dict[str, AnalysisKey]:
        """Which analysis is shown, by sha256 of its record."""
        return {sha256: study.shown for sha256, study in self.studies.items() if study.shown}

    # -- opening and closing -------------------------------------------------------------------------------------

    def add(self, record: Record) -> None:
        """Open a record and show it; it becomes a study where it is none yet."""
        record, study = self.add_study(record)
        self.moved.pop(record.sha256, None)
        self._open(record, study)
        if record.record_id in self.linked_s:
            self.studies[record.sha256].time_s = self.linked_s.pop(record.record_id)

    def add_study(self, record: Record) -> tuple[Record, Study]:
        """Make a record a study where it is none yet, without opening it."""
        return become_study(self.store, self.uploads, record, self.editor)

    def open_study(self, sha256: str) -> None:
        """Open a study of the store and show it as it was left; raises as ``recording_of``."""
        if sha256 not in self.studies:
            study, record = self.recording_of(sha256)
            self._open(record, study)
        self.current = sha256

    def recording_of(self, sha256: str) -> tuple[Study, Record]:
        """A study of the store and its recording, which need not be open; a StoreError where either is not there."""
        study = stored_study(self.store, sha256)
        if sha256 in self.studies:
            return study, self.studies[sha256].record
        try:
            record = open_recording(self.store, study)
        except RecordMovedError as error:
            self.moved[sha256] = error
            raise
        self.moved.pop(sha256, None)
        return study, record

    def close(self, sha256: str) -> None:
        """Put a study away: it stays in the store."""
        self._put_away(sha256)
        release(self.store, self.editor.session, record_sha256=sha256)

    def _put_away(self, sha256: str) -> None:
        self.studies.pop(sha256, None)
        self.window_analyses.forget(sha256)
        if self.current not in self.studies:
            self.current = next(reversed(self.studies), "")
        self.cache.clear()
        self.on_select.clear()

    def delete(self, sha256: str) -> None:
        """Delete a study with all that was kept of it."""
        if (job := self.job_of(sha256)) is not None:
            self.queue.cancel(job)
            job.wait(CANCEL_WAIT_S)
        delete_study(self.store, sha256, self.editor)
        self.queue.take_unsaved(sha256)
        self._put_away(sha256)
        self.moved.pop(sha256, None)

    def decline(self, path: Path) -> None:
        """Leave a file closed that waits for its rate or unit."""
        self.awaiting_metadata.pop(path, None)
        self.uploads.tidy(path, self.awaiting_metadata)

    def empty(self) -> None:
        """Forget everything: the reader has left."""
        self._save_what_waits()
        for sha256 in list(self.studies):
            self._put_away(sha256)
        self.watch(None)
        self.awaiting_metadata.clear()
        self.moved.clear()
        self.linked_s.clear()
        if self.desk.is_ephemeral:
            self.queue.stop()
            for job in self.queue.jobs:
                job.wait(CANCEL_WAIT_S)
        else:
            release(self.store, self.editor.session)
        self.desk.clear()

    def watch(self, live: LiveSession | None) -> None:
        """Watch a stream, or none, instead of the previous one; it ends with the workspace."""
        if self._stop_live is not None:
            self._stop_live()
        self.live = live
        self._stop_live = weakref.finalize(self, live.stop) if live else None

    def _open(self, record: Record, study: Study) -> None:
        sha256 = record.sha256
        time_s = float(study.view.get("t", 0.0))
        opened = self.studies.setdefault(sha256, OpenStudy(record, study, time_s=time_s))
        self.current = sha256
        self._read(opened, study)

    # -- what the store has -----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read again what another window or the queue changed in the study that is shown; save what is unsaved."""
        self._save_what_waits()
        self._take_unsaved_results()
        opened = self.studies.get(self.current)
        if opened is None or self.unsaved:
            return
        study = get_study(self.store, self.current)
        if study is None:
            self.close(self.current)
            self.notice = "The study was deleted in another window."
        elif study.version != opened.study.version:
            self._read(opened, study)
        else:
            self._hold(opened)

    def _read(self, opened: OpenStudy, study: Study) -> None:
        sha256 = study.record_sha256
        opened.study, opened.notes = study, notes_of(self.store, sha256)
        opened.edits, opened.redoable = edits_of(self.store, sha256), redoable_of(self.store, sha256)
        if study.model_name:
            fitted = opened.edits[: study.n_fitted_edits]
            rules = stored_rules(study.rules)
            opened.shown = AnalysisKey(sha256, study.lead, study.model_sha256, rules, fitted)
        self._hold(opened)

    def _hold(self, opened: OpenStudy, *, take_over: bool = False) -> None:
        """Hold a study; where the store cannot be written at present, nobody new does."""
        try:
            opened.hold = hold_where_free(self.store, opened.record.sha256, self.editor, take_over=take_over)
        except StoreError as error:
            self.unsaved.problem = str(error)

    def may_edit(self, sha256: str) -> bool:
        """Whether this window may change a study: no other one holds it, and it is not signed."""
        return self.holds(sha256) and not self.is_signed(sha256)

    def holds(self, sha256: str) -> bool:
        """Whether no other window holds a study."""
        held = self.studies[sha256].hold
        return held is None or held.session == self.editor.session

    def is_signed(self, sha256: str) -> bool:
        """Whether the report of a study is signed, which locks it."""
        return self.studies[sha256].study.state == SIGNED

    @property
    def noticed(self) -> tuple[object, ...]:
        """What every page has to begin with: changes that are not saved, and what keeps the study from changes."""
        lock = (not self.holds(self.current), self.is_signed(self.current)) if self.current else (False, False)
        return len(self.unsaved) > 0, self.unsaved.problem, *lock

    def take_over(self, sha256: str) -> None:
        """Hold a study that another window holds, which reads along from then on."""
        self._hold(self.studies[sha256], take_over=True)
        self._read_again(self.studies[sha256])

    def stay(self) -> None:
        """Note that this window is still there, and keep what it shows; called every few seconds."""
        self._save_what_waits()
        if self.studies:
            keep_holding(self.store, {self.editor.session})
            self.window_analyses.keep_shown()

    def set_reader(self, name: str) -> None:
        """Work under another name from now on."""
        self.editor = self.editor._replace(reader=name)

    # -- changes ------------------------------------------------------------------------------------------------------

    def save(self, change: Callable[..., object], sha256: str, *args: Any) -> None:
        """Make a change in the store: ``change(store, sha256, *args, editor)``.

        What the store cannot take now stays unsaved, with a sentence on every page, and is tried again.

        Raises
        ------
        ChangeRefusedError
            Another window holds the study, or it is signed; nothing was changed.

        """
        opened = self.to_be_changed(sha256)
        opened.note(change, *args)
        self._save(partial(change, self.store, sha256, *args, self.editor), sha256)

    def to_be_changed(self, sha256: str) -> OpenStudy:
        """An open study, for a change; refused where this window had lost it meanwhile and shows an earlier state."""
        opened = self.studies[sha256]
        before = opened.hold
        self._hold(opened)
        if before and opened.hold and before.since != opened.hold.since and self.holds(sha256):
            self._read_again(opened)
            raise ChangeRefusedError(READ_AGAIN)
        return opened

    def note_export(self, sha256: str, name: str, *, with_patient: bool) -> None:
        """Note in the audit trail that a file was handed out."""
        noted = partial(note_export, self.store, sha256, self.editor, files=[name], with_patient=with_patient)
        self._make(Change(sha256, noted))

    def _save(self, change: Callable[[], object], sha256: str) -> bool:
        """Make a change; returns whether the whole study was read again, as another one came between."""
        self._make(Change(sha256, change))
        opened = self.studies.get(sha256)
        study = None if self.unsaved or opened is None else get_study(self.store, sha256)
        if opened is None or study is None:
            return False
        if study.version > opened.study.version + 1:
            self._read(opened, study)
            return True
        opened.study, opened.notes = study, notes_of(self.store, sha256)
        return False

    def _make(self, change: Change) -> None:
        """Make a change, after those that wait; what is refused counts here no longer."""
        try:
            self.unsaved.make(change)
        except ChangeRefusedError:
            for opened in self.studies.values():
                self._read_again(opened)
            raise

    def _save_what_waits(self) -> None:
        """Try again to save what the store could not take; what is refused becomes a notice."""
        try:
            self.unsaved.save()
        except ChangeRefusedError as error:
            self.notice = str(error)
            for opened in list(self.studies.values()):
                self._read_again(opened)

    def _read_again(self, opened: OpenStudy) -> None:
        study = get_study(self.store, opened.record.sha256)
        if study is not None:
            self._read(opened, study)

    def _take_unsaved_results(self) -> None:
        """Show the results that the store could not take, and save them with the other unsaved changes."""
        for job, editor in self.queue.take_unsaved(self.current):
            if job.result is not None:
                self.analyses[job.key] = job.result
                self.studies[self.current].shown = self.shown.get(self.current) if job.beside else job.key
            with suppress(ChangeRefusedError):  # it is stored; who holds the study decides what it shows
                self._make(Change(job.key.record_sha256, partial(self.queue.keep, job, editor)))

    def notes(self, sha256: str) -> Notes:
        """What people wrote about a record."""
        return self.studies[sha256].notes

    def study(self, sha256: str) -> Study:
        """What the store knows of an open record."""
        return self.studies[sha256].study

    def edits_of(self, sha256: str) -> tuple[Edit, ...]:
        """The edits of a record that count, the oldest first."""
        return self.studies[sha256].edits

    def add_edit(self, sha256: str, edit: Edit) -> None:
        """Make an edit, which counts from then on."""
        opened = self.to_be_changed(sha256)
        self._change_edits(opened, partial(add_edit, self.store, sha256, edit), (*opened.edits, edit), ())

    def undo_edit(self, sha256: str) -> None:
        """Undo the last edit."""
        opened = self.to_be_changed(sha256)
        redoable = (*opened.edits[-1:], *opened.redoable)
        self._change_edits(opened, partial(undo_edit, self.store, sha256), opened.edits[:-1], redoable)

    def redo_edit(self, sha256: str) -> None:
        """Redo the edit that was undone last."""
        opened = self.to_be_changed(sha256)
        edits = (*opened.edits, *opened.redoable[:1])
        self._change_edits(opened, partial(redo_edit, self.store, sha256), edits, opened.redoable[1:])

    def _change_edits(self, opened: OpenStudy, change: Callable[[Editor], object], *after: tuple[Edit, ...]) -> None:
        """Make a change, after which these edits count, saved or not, and these can be redone."""
        opened.note_new_figures()
        if not self._save(partial(change, self.editor), opened.record.sha256):
            opened.edits, opened.redoable = after

    def remember(self, sha256: str, **view: Any) -> None:
        """Keep where and how a study was left."""
        opened = self.studies[sha256]
        opened.time_s = float(view.get("t", opened.time_s))
        changed = {name: value for name, value in view.items() if opened.study.view.get(name) != value}
        if changed and not self.unsaved:
            opened.study = replace(opened.study, view={**opened.study.view, **changed})
            try:
                set_view(self.store, sha256, changed)
            except StoreError as error:
                self.unsaved.problem = str(error)

    # -- analyses -----------------------------------------------------------------------------------------------------

    def start(self, job: Job) -> None:
        """Put a job into the queue."""
        self.queue.add(job, self.editor)

    def job_of(self, sha256: str, *, beside: bool = False) -> Job | None:
        """The job that runs or waits for a record."""
        return self.queue.job_of(sha256, beside=beside)

    def stored(self, key: AnalysisKey) -> Analysis | None:
        """An analysis from this window's memory, or from the store; None where it was not made yet."""
        return self.window_analyses.measured(key, self.studies[key.record_sha256].record)

    def show(self, key: AnalysisKey, analysis: Analysis) -> None:
        """Show an analysis of its record."""
        opened = self.to_be_changed(key.record_sha256)
        self.analyses[key] = analysis
        edited = self.window_analyses.edited(key, opened.edits, analysis)
        opened.note_new_figures()
        self._save(partial(set_shown, self.store, key, edited, self.editor), key.record_sha256)
        opened.shown = key

    def has_analysis(self, sha256: str) -> bool:
        """Whether there is an analysis of a record to be shown."""
        opened = self.studies[sha256]
        return opened.shown is not None and self.window_analyses.base(opened.shown, opened.record) is not None

    def analysis(self, sha256: str) -> Analysis:
        """The analysis that is shown of a record, with its readers' edits."""
        opened = self.studies[sha256]
        key, edits = opened.shown, opened.edits
        base = self.window_analyses.base(key, opened.record) if key else None
        if key is None or base is None:
            raise StoreError("This record has not been analysed yet.")
        analysis = self.window_analyses.edited(key, edits, base)
        self._note_findings(opened, analysis)
        return analysis

    def _note_findings(self, opened: OpenStudy, analysis: Analysis) -> None:
        """Let the worklist follow what is shown."""
        key, edits, sha256 = opened.shown, opened.edits, opened.record.sha256
        if key is None or opened.noted == (key, edits) or not self.may_edit(sha256) or self.unsaved:
            return
        try:
            self._save(partial(set_shown, self.store, key, analysis, self.editor), sha256)
        except ChangeRefusedError as error:
            self.notice = str(error)
        opened.noted = None if self.unsaved else (key, edits)


def current_workspace() -> Workspace:
    """The workspace of this session.

    Raises
    ------
    StoreError
        The store cannot be opened.

    """
    if "workspace" not in st.session_state:
        st.session_state["workspace"] = Workspace(session_desk())
        session_cleanup().add(current_session_id(), st.session_state["workspace"])
    workspace: Workspace = st.session_state["workspace"]
    return workspace
