"""A study as a window read it from the store, and how a recording becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ecg_core.edits import Edit
from ecg_core.errors import StoreError
from ecg_core.notes import NO_NOTES, Notes
from ecg_core.schema import Record
from ecg_core.studies.holding import Hold, hold
from ecg_core.studies.recordings import open_recording
from ecg_core.studies.store import Store
from ecg_core.studies.study import DELETED, Editor, Study, get_study, path_of
from ecg_core.studies.study_notes import add_recording, set_diary, set_narrative, set_patient, set_report_strips

from .jobs import AnalysisKey
from .stores import is_gone
from .uploads import UploadFolder

NOTE_OF: Final[dict[Callable[..., object], str]] = {  # which of the notes a change replaces
    set_patient: "patient", set_narrative: "narrative", set_diary: "diary", set_report_strips: "strips",
}  # fmt: skip
READ_AGAIN: Final = (
    "Another window may have changed this study in the meantime, so it was read again and nothing was changed. Look at "
    "it, and make the change again."
)


@dataclass(eq=False)
class OpenStudy:
    """A study as this window read it from the store."""

    record: Record
    study: Study
    edits: tuple[Edit, ...] = ()  # the oldest first
    redoable: tuple[Edit, ...] = ()  # the next to be redone first
    shown: AnalysisKey | None = None
    notes: Notes = NO_NOTES
    hold: Hold | None = None
    noted: tuple[AnalysisKey, tuple[Edit, ...]] | None = None  # whose findings stand in the worklist
    time_s: float = 0.0

    def note(self, change: Callable[..., object], *args: Any) -> None:
        """Let what a change writes into the notes count from now on, saved or not."""
        if change in NOTE_OF:
            self.notes = replace(self.notes, **{NOTE_OF[change]: args[0]})
        if change is set_narrative:
            self.notes = replace(self.notes, is_narrative_older=False)

    def note_new_figures(self) -> None:
        """Let a narrative count as older than the figures from now on, saved or not."""
        self.notes = replace(self.notes, is_narrative_older=bool(self.notes.narrative))


def become_study(store: Store, uploads: UploadFolder, record: Record, editor: Editor) -> tuple[Record, Study]:
    """Make a record a study where it is none yet; returns it as it lies in the store, where it is kept once."""
    files = (record.archive,) if record.archive else record.files
    kept = any(uploads.holds(path) for path in files)
    study = add_recording(store, record, editor, kept=kept)
    if kept and study.path == path_of(record):
        uploads.keep(files)
    elif kept:
        uploads.discard(path_of(record), files)  # its study has the same files already
        record = open_recording(store, study)
    return record, study


def stored_study(store: Store, sha256: str) -> Study:
    """A study of the store.

    Raises
    ------
    StoreError
        It was deleted.

    """
    study = get_study(store, sha256)
    if study is None:
        raise StoreError(DELETED)
    return study


def hold_where_free(store: Store, sha256: str, editor: Editor, *, take_over: bool) -> Hold:
    """Hold a study where no other window does; one whose window is closed is free."""
    held = hold(store, sha256, session=editor.session, reader=editor.reader, take_over=take_over)
    if held.session != editor.session and is_gone(held.session):
        held = hold(store, sha256, session=editor.session, reader=editor.reader, take_over=True)
    return held
