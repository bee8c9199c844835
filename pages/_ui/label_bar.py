"""The controls of the reader's edits: of a beat or of a range, queried beats, fine-tuning, undo and files."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ecg_core.clock import clock_text
from ecg_core.edits import MARKED_NAMES, Edit, text_of, time_of
from ecg_core.labels import CLASSES, NAME
from ecg_core.report.columns import csv_bytes
from ecg_core.report.export import file_name
from ecg_core.report.tables import labels_table
from ecg_core.schema import Analysis, Float64, Record
from ecg_core.text import plain_markdown

from .commands import MESSAGE, chosen_range, delete_chosen, label_chosen, mark_chosen, mark_rhythm
from .downloads import draw_download
from .frame import guarded
from .labelling import before_fine_tuning, is_fixed, load_labels, redo, step_through_queries, undo
from .learning import start_learning
from .review_edits import ANALYSABLE, ARTEFACT, Span, range_text
from .view import QUERIED, study_key
from .wording import plural
from .workspace import current_workspace


def label_bar(analysis: Analysis, beat: int | None, places: dict[str, Float64]) -> None:
    """Draw a button for each class, each with its key, and what else can be done with the beat or the range."""
    span_s = chosen_range(analysis.record)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="label_bar"):
        _class_buttons(analysis, beat, span_s)
        if span_s is None:
            _learning_buttons(analysis, places)
        else:
            _range_buttons(analysis)
        undo_button(analysis)
        redo_button(analysis)
        if span_s is None:
            with st.popover("Files", icon=":material/save:", width="content"):
                _label_files(analysis)
    if message := st.session_state.pop(MESSAGE, ""):
        st.warning(plain_markdown(message), icon=":material/warning:")
    st.caption(_labels_sentence(analysis, len(places.get(QUERIED, ()))) if span_s is None else _range(analysis, span_s))


def _class_buttons(analysis: Analysis, beat: int | None, span_s: Span | None) -> None:
    """Draw the classes, which label the beat or all beats of the range, and what deletes them."""
    is_counted = beat is not None and bool(analysis.beats.usable[beat])
    present = str(analysis.beats.label[beat]) if is_counted and span_s is None else ""
    disabled = (beat is None and span_s is None) or not current_workspace().may_edit(analysis.record.sha256)
    whom = "this beat" if span_s is None else "all beats of the range"
    for number, label in enumerate(CLASSES, 1):
        st.button(
            label, key=f"class {label}", shortcut=str(number), help=f"Label {whom}: {NAME[label].lower()}",
            type="primary" if label == present else "secondary", disabled=disabled,
            on_click=guarded(label_chosen), args=(analysis.record, label),
        )  # fmt: skip
    st.button(
        "No beat", key="delete", shortcut="Delete", help=f"Delete {whom}: what was found is no beat; key 0 too",
        disabled=disabled, on_click=guarded(delete_chosen), args=(analysis.record,),
    )  # fmt: skip


def _range_buttons(analysis: Analysis) -> None:
    """Draw what a range can be marked as."""
    record = analysis.record
    disabled = not current_workspace().may_edit(record.sha256)
    for name, mark, key in (("Artefact", ARTEFACT, "X"), ("Analysable", ANALYSABLE, "Z")):
        st.button(
            name, key=mark, shortcut=key, help=f"Mark the range as {mark}", disabled=disabled,
            on_click=guarded(mark_chosen), args=(record, mark),
        )  # fmt: skip
    with st.popover("Rhythm", width="content", disabled=disabled):
        for number, (rhythm, name) in enumerate(MARKED_NAMES.items(), 1):
            st.button(
                f"{name} (Shift+{number})", key=f"rhythm {rhythm}", type="tertiary", on_click=guarded(mark_rhythm),
                args=(record, rhythm),
            )  # fmt: skip


def _range(analysis: Analysis, span_s: Span) -> str:
    """What lies in the range, and where it is."""
    begin, end = (clock_text(analysis.record, at_s, decimals=1) for at_s in span_s)
    return (
        f"**Range: {range_text(analysis, span_s)}**, from {begin} to {end}. Each key acts on all of it; Esc clears it."
    )


def _learning_buttons(analysis: Analysis, places: dict[str, Float64]) -> None:
    workspace, sha256 = current_workspace(), analysis.record.sha256
    is_busy = workspace.job_of(sha256, beside=True) is not None
    unfitted = workspace.edits_of(sha256) != workspace.shown[sha256].fitted_labels
    st.button(
        "Label queried beats", icon=":material/live_help:", shortcut="A", on_click=step_through_queries,
        args=(places,), disabled=QUERIED not in places,
        help="The program selects the beats whose labels would help most (queried beats); step through them",
    )  # fmt: skip
    st.button(
        "Learn from my labels", icon=":material/school:", shortcut="L", on_click=guarded(start_learning),
        args=(analysis,), disabled=not unfitted or is_fixed(analysis.record.sha256) or is_busy,
        type="primary" if unfitted and QUERIED not in places else "secondary",
        help="Fine-tune the model to this patient, and see what would change before anything does",
    )  # fmt: skip


def undo_button(analysis: Analysis) -> None:
    """Draw the buttons that undo and redo one edit, or a fine-tuning."""
    workspace = current_workspace()
    edits = workspace.edits_of(analysis.record.sha256)
    st.button(
        "Undo", icon=":material/undo:", shortcut="U", on_click=guarded(undo), args=(analysis,),
        disabled=not edits or is_fixed(analysis.record.sha256), help=_next_undo(analysis) if edits else None,
    )  # fmt: skip


def redo_button(analysis: Analysis) -> None:
    """Draw the button that redoes the edit that was undone last."""
    record = analysis.record
    redoable = current_workspace().studies[record.sha256].redoable
    st.button(
        "Redo", icon=":material/redo:", shortcut="Y", on_click=guarded(redo), args=(analysis,),
        disabled=not redoable or is_fixed(analysis.record.sha256),
        help=plain_markdown(f"Redoes: {edit_text(record, redoable[0])}") if redoable else None,
    )  # fmt: skip


def _next_undo(analysis: Analysis) -> str:
    """What the next undo takes back."""
    workspace, record = current_workspace(), analysis.record
    edits = workspace.edits_of(record.sha256)
    shown = workspace.shown[record.sha256]
    if edits == shown.fitted_labels:
        is_stored = workspace.stored(before_fine_tuning(shown)) is not None
        again = "" if is_stored else "; the record is analysed again"
        return f"Undoes the fine-tuning; the labels stay{again}"
    return plain_markdown(f"Undoes: {edit_text(record, edits[-1])}")


def edit_text(record: Record, edit: Edit) -> str:
    """What an edit does and where."""
    where_s = time_of(edit)
    return text_of(edit) if where_s is None else f"{text_of(edit)}, {clock_text(record, where_s)}"


def _label_files(analysis: Analysis) -> None:
    """Draw the ways to save the labels and to load saved ones."""
    name = file_name(analysis, "_labels.csv")
    draw_download(
        name, lambda: csv_bytes(labels_table(analysis)), analysis.record.sha256, disabled=not len(analysis.labelled),
        help="Your labels, to continue with them another day",
    )  # fmt: skip
    key = study_key("labels_file", analysis.record.sha256)
    st.file_uploader("Load labels from a file", ["csv"], key=key, on_change=guarded(load_labels), args=(key,))


def _labels_sentence(analysis: Analysis, n_queried: int) -> str:
    """What was labelled, what the model was fine-tuned to, and what is left to label."""
    queried = f"{plural(n_queried, 'queried beat')} left to label" if n_queried else "no queried beats left to label"
    if not len(analysis.labelled):
        return f"A wrong class? Press 1 to 5 to label the beat; all counts follow at once. {queried.capitalize()}."
    return f"**{plural(len(analysis.labelled), 'beat')} labelled by you**, {_fine_tuning(analysis)}; {queried}."


def _fine_tuning(analysis: Analysis) -> str:
    """How many labels the model was fine-tuned to, and what that changed."""
    if not analysis.n_fitted:
        return "none of them used for fine-tuning yet"
    used = f"{analysis.n_fitted} of them used for fine-tuning"
    workspace = current_workspace()
    shown = workspace.shown[analysis.record.sha256]
    unfitted, fitted = workspace.stored(shown._replace(fitted_labels=())), workspace.stored(shown)
    if unfitted is None or fitted is None or not np.array_equal(unfitted.beats.time_s, fitted.beats.time_s):
        return used
    is_other = ~np.isin(fitted.beats.time_s, analysis.beats.time_s[analysis.labelled])
    beats = plural(int((is_other & (unfitted.beats.label != fitted.beats.label)).sum()), "other beat")
    return f"{used}, which changed the class of {beats}"
