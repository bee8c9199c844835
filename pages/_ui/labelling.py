"""What the reader tells of beats: seen at once everywhere, undone step by step, and learned from when asked to."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st

from ecg_core.clock import clock_text
from ecg_core.errors import EcgError
from ecg_core.evaluation.ec57 import match_beats
from ecg_core.labels import CLASSES, NAME, class_codes
from ecg_core.report.export import csv_bytes, file_name, labels_table
from ecg_core.schema import Analysis, Float64
from ecg_core.text import plain_markdown

from .frame import guarded
from .jobs import AnalysisKey, Job, Label
from .session import change_rules, current_workspace, model_path
from .tables import plural
from .view import ASKED, go_to, neighbour

STORED_AS = "labels.csv"  # whatever a file that is taken in is called


def tell(analysis: Analysis, label_of: Mapping[int, str]) -> None:
    """Give some beats their class; unreadable ones, which are not counted, keep theirs. For callbacks."""
    workspace, sha256, beats = current_workspace(), analysis.record.sha256, analysis.beats
    told = tuple(Label(float(beats.time_s[beat]), label) for beat, label in label_of.items() if beats.usable[beat])
    if told:
        workspace.told[sha256] = (*workspace.told.get(sha256, ()), told)


def undo(analysis: Analysis) -> None:
    """Take back what was told last, or what the model learned after it; for callbacks."""
    workspace, record = current_workspace(), analysis.record
    shown, told = workspace.shown[record.sha256], workspace.told.get(record.sha256, ())
    if told != shown.fitted_labels:
        workspace.told[record.sha256] = told[:-1]
        go_to(told[-1][0].time_s)
        return
    back = max(_earlier(shown), key=lambda key: (len(key.fitted_labels), key.rules == shown.rules))
    workspace.shown[record.sha256] = back
    if back.rules != shown.rules:
        change_rules(record, shown.rules)


def _earlier(shown: AnalysisKey) -> list[AnalysisKey]:
    """The readings of the same by less of what was told."""
    return [
        key
        for key in current_workspace().analyses
        if key._replace(fitted_labels=(), rules=shown.rules) == shown._replace(fitted_labels=())
        and len(key.fitted_labels) < len(shown.fitted_labels)
        and key.fitted_labels == shown.fitted_labels[: len(key.fitted_labels)]
    ]


def learn(analysis: Analysis) -> None:
    """Begin to read the record anew with the model brought closer to the patient by what was told; for callbacks."""
    workspace, record = current_workspace(), analysis.record
    key = workspace.shown[record.sha256]._replace(fitted_labels=workspace.told[record.sha256])
    workspace.begin(Job(key, record, model_path(analysis.model)))


def tell_and_go_on(analysis: Analysis, beat: int, label: str, places: dict[str, Float64]) -> None:
    """Give a beat its class and, on the way through those that are asked for, go on to the next one; for callbacks."""
    tell(analysis, {beat: label})
    if st.session_state.get("what") == ASKED and ASKED in places:
        next_s = neighbour(places[ASKED], float(analysis.beats.time_s[beat]), 1)
        go_to(float(places[ASKED][0]) if next_s is None else next_s)  # there may be some that were passed over


def ask(places: dict[str, Float64]) -> None:
    """Step through the beats that are asked for, from the first one on; for callbacks."""
    st.session_state["what"] = ASKED
    go_to(float(places[ASKED][0]))


def load() -> None:
    """Take in labels from a file, all at once; what goes wrong is said below the labels. For callbacks."""
    workspace, file = current_workspace(), st.session_state["labels_file"]
    if file is None:
        return
    analysis = workspace.analysis(workspace.current)
    try:
        n_left_out = _tell_from(analysis, file.getvalue())
    except EcgError as error:
        st.session_state["format_labels"] = str(error).replace(STORED_AS, file.name)
        return
    if n_left_out:
        said = f"{file.name}: {plural(n_left_out, 'label')} at no readable beat of this record, left out."
        st.session_state["format_labels"] = said


def _tell_from(analysis: Analysis, content: bytes) -> int:
    """Give beats the classes that a file tells; returns how many of these lie at no readable beat."""
    from ecg_core.records import read_annotations  # noqa: PLC0415, as wfdb takes half a second

    with tempfile.TemporaryDirectory(dir=current_workspace().folder) as folder:
        path = Path(folder) / STORED_AS
        path.write_bytes(content)
        marks = read_annotations(path, analysis.record.fs_hz)
    beats, own = match_beats(analysis.beats.time_s, marks.time_s)
    labels = np.array(CLASSES)[class_codes(marks.symbol[own])]
    tell(analysis, dict(zip(beats.tolist(), labels.tolist(), strict=True)))
    return len(marks.time_s) - int(analysis.beats.usable[beats].sum())


def label_files(analysis: Analysis) -> None:
    """Draw the ways to keep one's labels, and to get them back."""
    name = file_name(analysis, "_labels.csv")
    st.download_button(
        plain_markdown(name), lambda: csv_bytes(labels_table(analysis)), name, icon=":material/download:",
        on_click="ignore", disabled=not len(analysis.labelled), help="Your labels, to go on with them another day",
    )  # fmt: skip
    st.file_uploader("Labels from a file", ["csv"], key="labels_file", on_change=guarded(load))


def undo_button(analysis: Analysis) -> None:
    """Draw the way back by one step."""
    workspace = current_workspace()
    told = workspace.told.get(analysis.record.sha256, ())
    st.button(
        "Undo", icon=":material/undo:", shortcut="U", on_click=guarded(undo), args=(analysis,),
        disabled=not told or workspace.job is not None, help=_last(analysis) if told else None,
    )  # fmt: skip


def label_bar(analysis: Analysis, beat: int | None, places: dict[str, Float64]) -> None:
    """Draw the classes that a beat can be given, each with its key, and what can be done with what was told so far."""
    workspace, record = current_workspace(), analysis.record
    told, learned = workspace.told.get(record.sha256, ()), workspace.shown[record.sha256].fitted_labels
    asked, busy = ASKED in places, workspace.job is not None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        own = "" if beat is None else str(analysis.beats.label[beat])
        for number, label in enumerate(CLASSES, 1):
            st.button(
                label, key=f"class {label}", shortcut=str(number), help=f"This beat is: {NAME[label].lower()}",
                type="primary" if label == own else "secondary",
                disabled=beat is None or not analysis.beats.usable[beat],
                on_click=guarded(tell_and_go_on), args=(analysis, beat, label, places),
            )  # fmt: skip
        st.button(
            "Label what it asks", icon=":material/live_help:", shortcut="A", on_click=ask, args=(places,),
            help="Go through the beats whose class would tell the model most, these first", disabled=not asked,
        )  # fmt: skip
        st.button(
            "Learn from my labels", icon=":material/school:", shortcut="L", on_click=guarded(learn), args=(analysis,),
            disabled=told == learned or busy, type="primary" if told != learned and not asked else "secondary",
            help="Bring the model closer to this patient, and read all other beats anew",
        )  # fmt: skip
        undo_button(analysis)
        with st.popover("Files", icon=":material/save:", width="content"):
            label_files(analysis)
    if problem := st.session_state.pop("format_labels", ""):
        st.warning(plain_markdown(problem), icon=":material/warning:")
    st.caption(_said(analysis, len(places.get(ASKED, ()))))


def _said(analysis: Analysis, n_left: int) -> str:
    """What was told and learned, in a sentence."""
    asks = f"the model asks about {n_left}" if n_left else "the model asks about no more"
    if not len(analysis.labelled):
        return f"A wrong class? Press 1 to 5, and all is counted anew. Of all beats {asks}: answer, and let it learn."
    return f"**{plural(len(analysis.labelled), 'beat')} labelled by you**, {_learned(analysis)}; {asks}."


def _learned(analysis: Analysis) -> str:
    """What came of the labels that the model learned from."""
    if not analysis.n_fitted:
        return "none of them learned yet"
    workspace = current_workspace()
    shown = workspace.shown[analysis.record.sha256]
    before, after = (
        workspace.analyses[min(_earlier(shown), key=lambda key: len(key.fitted_labels))].beats,
        workspace.analyses[shown].beats,
    )
    if not np.array_equal(before.time_s, after.time_s):
        return f"{analysis.n_fitted} of them learned"
    n_changed = int(np.delete(before.label != after.label, workspace.analyses[shown].labelled).sum())
    return f"{analysis.n_fitted} of them learned, which changed the class of {plural(n_changed, 'other beat')}"


def _last(analysis: Analysis) -> str:
    """What the next undo takes back."""
    workspace, record = current_workspace(), analysis.record
    told, learned = workspace.told[record.sha256], workspace.shown[record.sha256].fitted_labels
    if told == learned:
        return "Takes back what the model learned; the labels stay"
    first = told[-1][0]
    what = f"{plural(len(told[-1]), 'beat')} as {first.label}" if len(told[-1]) > 1 else first.label
    return plain_markdown(f"Takes back: {what}, {clock_text(record, first.time_s)}")
