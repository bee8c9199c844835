"""The verdicts of a gallery: their buttons and keys, and how each counts, goes into the report or is undone."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st

from ecg_core.edits import MARKED_NAMES, time_of
from ecg_core.errors import ChangeRefusedError
from ecg_core.figures.gallery import GallerySource
from ecg_core.labels import CLASSES, NAME
from ecg_core.notes import ReportStrip
from ecg_core.report.strip_selection import strip_start_s
from ecg_core.rhythm.reviewing import (
    ACCEPT,
    ANALYSABLE,
    ARTEFACT,
    BEATS,
    DELETE,
    edit_of_action,
    verdicts,
)
from ecg_core.schema import Analysis, Float64, Index, Record, Text

from .gallery import ActionGroup, GalleryAction, choose_first
from .labelling import redo, undo
from .report_strips import add_strips
from .view import study_key
from .workspace import Workspace, current_workspace

TO_REPORT, UNDO, REDO = "report", "undo", "redo"
KEY: Final = "gallery"  # of the gallery on its page
OPENED = "gallery_opened"  # the beats that another page opened, in the state of the session
OPENED_KIND: Final = "opened"  # what stands for them among the kinds of findings
VERDICTS: Final = {  # key, text and help of each
    ACCEPT: ("A", "Accept", "It is as it was found"),
    ARTEFACT: ("X", "Artefact", "Its stretch is artefact: nothing in it counts"),
    ANALYSABLE: ("Z", "Analysable", "Its stretch is analysable: the beats in it count"),
    DELETE: ("D", "Not beats", "What was taken for its beats is none"),
}
RHYTHMS: Final = {  # text of each
    "sinus": "Sinus", "af": "AF", "svt": "SVT", "vt": "VT", "vf": "VF", "paced": "Paced",
}  # fmt: skip


def verdict_groups(kind: str, *, can_undo: bool, can_redo: bool) -> tuple[ActionGroup, ...]:
    """The buttons for a kind of event, or for BEATS."""
    known = verdicts(kind)
    of_it = "The beat becomes" if kind == BEATS else "Its ectopic beats become"
    general = tuple(GalleryAction(name, *VERDICTS[name]) for name in VERDICTS if name in known)
    labels = tuple(
        GalleryAction(label, label, "", f"{of_it} {label}, {NAME[label].lower()}", also=str(number))
        for number, label in enumerate(CLASSES, 1)
        if label in known
    )
    rhythms = tuple(
        GalleryAction(rhythm, f"⇧{number}", text, f"Its stretch is marked: {MARKED_NAMES[rhythm].lower()}")
        for number, (rhythm, text) in enumerate(RHYTHMS.items(), 1)
        if rhythm in known
    )
    steps = (
        GalleryAction(TO_REPORT, "T", "To report", "Adds ten seconds around it to the report"),
        GalleryAction(UNDO, "U", "Undo", "Takes back the last change", can_undo),
        GalleryAction(REDO, "Y", "Redo", "Makes the change again that was undone last", can_redo, also="⇧U"),
    )
    groups = (
        ActionGroup("Verdict", general), ActionGroup("Class of the beats", labels, "Becomes"),
        ActionGroup("Rhythm", rhythms, "Rhythm"), ActionGroup("Report and undo", steps, is_verdict=False),
    )  # fmt: skip
    return tuple(group for group in groups if group.actions)


def lock_reason(workspace: Workspace, sha256: str) -> str:
    """Why a study cannot be changed at present; empty where it can."""
    if workspace.is_signed(sha256):
        return "The study is signed and locked: no verdict can be taken."
    return "" if workspace.holds(sha256) else "Another window holds this study: no verdict can be taken here."


def take_verdict(source: GallerySource, name: str, index: Index) -> float | None:
    """Make a verdict on some items count as one edit, put them into the report, undo or redo.

    Returns a time to go to; None to go on with the next item.
    """
    analysis, workspace = source.analysis, current_workspace()
    record = analysis.record
    if not workspace.may_edit(record.sha256):
        raise ChangeRefusedError(lock_reason(workspace, record.sha256))
    if name == UNDO:
        return _undo(analysis)
    if name == REDO:
        return _redo(analysis)
    if not len(index):
        return None
    if name == TO_REPORT:
        add_strips(record, [_report_strip(source, item) for item in index.tolist()])
        return float(source.items.start_s[index[-1]])
    workspace.add_edit(record.sha256, edit_of_action(analysis, source.items.only(index), name))
    return None


def _undo(analysis: Analysis) -> float | None:
    edits = current_workspace().edits_of(analysis.record.sha256)
    undo(analysis)
    return time_of(edits[-1]) if edits else None


def _redo(analysis: Analysis) -> float | None:
    redoable = current_workspace().studies[analysis.record.sha256].redoable
    redo(analysis)
    return time_of(redoable[0]) if redoable else None


def _report_strip(source: GallerySource, item: int) -> ReportStrip:
    event = source.items.event(item)
    start_s = strip_start_s(event.start_s, event.end_s, duration_s=source.analysis.record.duration_s)
    return ReportStrip(start_s, source.caption(item))


def open_gallery(analysis: Analysis, beats: Index, title: str, *, before: Text | None = None) -> None:
    """Go through some beats on the page Gallery; see ``choose_for_gallery``. Not for callbacks."""
    choose_for_gallery(analysis, beats, title, before=before)
    st.switch_page("pages/gallery.py")


def choose_for_gallery(analysis: Analysis, beats: Index, title: str, *, before: Text | None = None) -> None:
    """Let the page Gallery begin with some beats, such as those of a template; for callbacks.

    Parameters
    ----------
    beats
        Positions of the beats, in the order in which they are to be gone through.
    before
        Classes of all beats before a change, shape (n_beats,), which are shown where they differ.

    """
    changed = np.zeros(0, dtype="U1") if before is None else before[beats]
    st.session_state[OPENED] = (analysis.record.sha256, title, analysis.beats.time_s[beats], changed)
    st.session_state[kind_key(analysis.record)] = OPENED_KIND
    choose_first(KEY, analysis.record)


def kind_key(record: Record) -> str:
    """Key of the choice of what is gone through."""
    return study_key("gallery_kind", record.sha256)


def opened_beats(analysis: Analysis) -> tuple[str, Index, Text | None] | None:
    """Title, beats, and classes before a change of what ``open_gallery`` opened of this study.

    The beats are found by their times again: some may have been deleted since.
    """
    opened: tuple[str, str, Float64, Text] | None = st.session_state.get(OPENED)
    if opened is None or opened[0] != analysis.record.sha256 or not len(analysis.beats):
        return None
    _sha256, title, time_s, changed = opened
    beats = np.searchsorted(analysis.beats.time_s, time_s).clip(max=len(analysis.beats) - 1)
    is_there = analysis.beats.time_s[beats] == time_s
    before = None
    if len(changed):
        before = analysis.beats.label.copy()
        before[beats[is_there]] = changed[is_there]
    return title, np.asarray(beats[is_there], dtype=np.int64), before
