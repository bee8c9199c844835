"""The reader's labels: they count at once on every page, and are undone one by one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from ecg_core.edits import DeleteEdit, Edit, InsertEdit, Label, LabelEdit, time_of
from ecg_core.errors import EcgError
from ecg_core.evaluation.matching import match_beats
from ecg_core.labels import CLASSES, NOT_A_BEAT, class_codes
from ecg_core.records import read_labels_of
from ecg_core.schema import Analysis, Float64

from .installed_models import model_path
from .jobs import AnalysisKey, Job
from .messages import error_message
from .uploads import temporary_folder
from .view import QUERIED, go_to, neighbour, step_through, stepped_through
from .wording import plural
from .workspace import current_workspace

STORED_AS = "labels.csv"  # whatever the name of an uploaded file of labels
LEARNED_BEFORE = "learned_before"  # in the view of a study: edits of each analysis that a fine-tuned one replaced


def set_labels(analysis: Analysis, label_of: Mapping[int, str]) -> None:
    """Label some beats, which count from then on, also in signal that is not analysable. For callbacks."""
    workspace, sha256, beats = current_workspace(), analysis.record.sha256, analysis.beats
    labels = tuple(Label(float(beats.time_s[beat]), label) for beat, label in label_of.items())
    if labels:
        workspace.add_edit(sha256, LabelEdit(labels))


def set_labels_and_advance(analysis: Analysis, beat: int, label: str, places: dict[str, Float64]) -> None:
    """Label a beat; where it is one of the queried beats and these are stepped through, go on. For callbacks."""
    set_labels(analysis, {beat: label})
    time_s = float(analysis.beats.time_s[beat])
    if stepped_through() == QUERIED and time_s in places.get(QUERIED, ()):
        next_s = neighbour(places[QUERIED], time_s, 1)
        go_to(float(places[QUERIED][0]) if next_s is None else next_s)  # back to those that were skipped


def step_through_queries(places: dict[str, Float64]) -> None:
    """Step through the queried beats, from the first one on; for callbacks."""
    step_through(QUERIED)
    go_to(float(places[QUERIED][0]))


def is_fixed(sha256: str) -> bool:
    """Whether labels cannot be used or undone at present: the record is being analysed, or open elsewhere."""
    workspace = current_workspace()
    return workspace.job_of(sha256) is not None or not workspace.may_edit(sha256)


def undo(analysis: Analysis) -> None:
    """Undo the last edit, or the fine-tuning that followed it; for callbacks."""
    workspace, record = current_workspace(), analysis.record
    shown, edits = workspace.shown[record.sha256], workspace.edits_of(record.sha256)
    if not edits or is_fixed(record.sha256):  # a key reaches it also where the button is disabled
        return
    if edits != shown.fitted_labels:
        workspace.undo_edit(record.sha256)
        where_s = time_of(edits[-1])
        if where_s is not None:
            go_to(where_s)
        return
    _undo_fine_tuning(analysis, shown)


def _undo_fine_tuning(analysis: Analysis, shown: AnalysisKey) -> None:
    """Show the analysis before the fine-tuning; where it is not stored, make it again."""
    workspace, key = current_workspace(), before_fine_tuning(shown)
    before = workspace.stored(key)
    if before is not None:
        workspace.show(key, before)
    else:
        workspace.start(Job(key, analysis.record, model_path(analysis.model)))


def redo(analysis: Analysis) -> None:
    """Redo the edit that was undone last; for callbacks."""
    workspace, sha256 = current_workspace(), analysis.record.sha256
    redoable = workspace.studies[sha256].redoable
    if redoable and not is_fixed(sha256):
        workspace.redo_edit(sha256)
        where_s = time_of(redoable[0])
        if where_s is not None:
            go_to(where_s)


def show_fine_tuned(key: AnalysisKey, analysis: Analysis) -> None:
    """Show an analysis that learned from labels, and keep which one it replaces, for ``undo``."""
    workspace, sha256 = current_workspace(), key.record_sha256
    n_before = len(workspace.shown[sha256].fitted_labels)
    workspace.show(key, analysis)
    workspace.remember(sha256, **{LEARNED_BEFORE: [*_learned_before(sha256, n_before), n_before]})


def before_fine_tuning(shown: AnalysisKey) -> AnalysisKey:
    """What was shown before the last fine-tuning; the analysis without any, where the study does not say.

    An analysis by fewer of the labels may be stored that was proposed and discarded: it was never shown.
    """
    n_before = max(_learned_before(shown.record_sha256, len(shown.fitted_labels)), default=0)
    return shown._replace(fitted_labels=shown.fitted_labels[:n_before])


def _learned_before(sha256: str, n_edits: int) -> list[int]:
    """How many edits each analysis had learned from that a fine-tuned one replaced, where fewer than ``n_edits``."""
    return [n for n in current_workspace().study(sha256).view.get(LEARNED_BEFORE, []) if n < n_edits]


def load_labels(key: str) -> None:
    """Set the labels of the file in the uploader ``key`` in one edit; for callbacks.

    Problems become a message below the labels.
    """
    workspace, file = current_workspace(), st.session_state[key]
    if file is None:
        return
    analysis = workspace.analysis(workspace.current)
    try:
        n_left_out, is_stated = _set_labels_from(analysis, file.getvalue())
    except EcgError as error:
        st.session_state["labels_message"] = error_message(error).replace(STORED_AS, file.name)
        return
    notices = [f"{plural(n_left_out, 'label')} excluded: no beat at the same time."] if n_left_out else []
    notices += [] if is_stated else ["The file does not state its record: make sure that it is this one."]
    if notices:
        st.session_state["labels_message"] = f"{file.name}: {' '.join(notices)}"


def _set_labels_from(analysis: Analysis, content: bytes) -> tuple[int, bool]:
    """Label beats by a file; return how many of its labels belong to no beat, and whether it states this record."""
    with temporary_folder() as folder:
        path = folder / STORED_AS
        path.write_bytes(content)
        annotations, is_stated = read_labels_of(path, analysis.record)
    time_s, symbol = annotations.time_s, annotations.symbol
    beats, matched = match_beats(analysis.beats.time_s, time_s)
    is_gone = symbol[matched] == NOT_A_BEAT
    deleted = tuple(analysis.beats.time_s[beats[is_gone]].tolist())
    labels = np.array(CLASSES)[class_codes(symbol[matched[~is_gone]])]
    set_labels(analysis, dict(zip(beats[~is_gone].tolist(), labels.tolist(), strict=True)))
    others = np.delete(np.arange(len(time_s)), matched)
    missed = others[symbol[others] != NOT_A_BEAT] if is_stated else others[:0]  # only of this very record
    inserted = zip(time_s[missed].tolist(), np.array(CLASSES)[class_codes(symbol[missed])].tolist(), strict=True)
    found: list[Edit] = [DeleteEdit(deleted)] if deleted else []
    found += [InsertEdit(tuple(Label(*beat) for beat in inserted))] if len(missed) else []
    for edit in found:
        current_workspace().add_edit(analysis.record.sha256, edit)
    n_left_out = int((symbol[others] != NOT_A_BEAT).sum()) - len(missed)
    return n_left_out, is_stated
