"""The buttons for the studies that are selected in the worklist."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Final

import streamlit as st

from ecg_core.errors import EcgError
from ecg_core.studies.audit import has_words, trail
from ecg_core.studies.recordings import files_of_study
from ecg_core.studies.study import Study
from ecg_core.text import plain_markdown

from .frame import guarded
from .messages import error_message
from .study_work import (
    analyse_study,
    archive_study,
    delete_one,
    each,
    exported,
    join_studies,
    open_elsewhere,
)  # fmt: skip
from .view import study_key
from .wording import bytes_text, plural
from .workspace import Workspace, current_workspace

COPY: Final = "what `{name}`, a copy of the database from before an update, held of it"
NO_WORDS: Final = "without patient data and without the words of notes"
LIST_PX: Final = 420  # of the confirmation of several studies, which scrolls


def draw_actions(workspace: Workspace, selected: Sequence[Study], *, archived: bool) -> bool:
    """Draw the buttons; returns whether a dialog is open, which a page that polls would block."""
    one, several = len(selected) == 1, len(selected) > 1
    with st.container(horizontal=True, vertical_alignment="center"):
        opened = st.button(
            "Open", type="primary", disabled=not one, icon=":material/open_in_full:", on_click=guarded(_open),
            args=(selected,), shortcut="O", help="The study that is selected, in Overview",
        )  # fmt: skip
        st.button(
            "Analyse selected", disabled=not selected, icon=":material/play_arrow:", on_click=guarded(each),
            args=(selected, analyse_study), help="Puts them into the queue; they are analysed one after the other",
        )  # fmt: skip
        st.button(
            "Join", disabled=not several, icon=":material/join:", on_click=guarded(join_studies), args=(selected,),
            help="Two or more pieces of one recording, as a recorder cut it, become one study; the pieces stay",
        )  # fmt: skip
        st.button(
            "Take from archive" if archived else "Archive", disabled=not selected, icon=":material/archive:",
            on_click=guarded(each), args=(selected, partial(archive_study, archived=not archived)),
        )  # fmt: skip
        with st.popover("Export", disabled=not one, icon=":material/upload:", help="The whole study as one zip"):
            if one:
                _draw_export(workspace, selected[0])
        deletes = st.button("Delete", disabled=not selected, icon=":material/delete:")
        st.caption(f"{plural(len(selected), 'study')} selected" if selected else "Select studies in the first column.")
    if opened and one and workspace.current == selected[0].record_sha256:
        st.switch_page("pages/overview.py")
    if deletes:
        confirm_delete(selected)
    return deletes


def _open(selected: Sequence[Study]) -> None:
    current_workspace().open_study(selected[0].record_sha256)


def _draw_export(workspace: Workspace, study: Study) -> None:
    with_patient = st.checkbox(
        "With patient data", key=study_key("export_patient", study.record_sha256),
        help="The recording's own files are in it as they are",
    )  # fmt: skip
    st.download_button(
        "Make the zip", partial(exported, workspace, study, with_patient=with_patient), f"{study.record_id}_study.zip",
        mime="application/zip", on_click="ignore", icon=":material/download:", key="export_zip", width="stretch",
    )  # fmt: skip
    st.caption("Recording, analyses, labels, measurements, notes and audit trail; import it with Add recordings.")


@st.dialog("Delete these studies?", width="medium", on_dismiss="rerun", icon=":material/delete:")
def confirm_delete(selected: Sequence[Study]) -> None:
    """Say what goes and what stays, and delete after another click."""
    workspace = current_workspace()
    elsewhere = open_elsewhere(workspace)
    free = [study for study in selected if study.record_sha256 not in elsewhere]
    with st.container(height=LIST_PX if len(selected) > 1 else "content", border=False):
        for study in selected:
            with st.container(border=True):
                st.markdown(f"**{plain_markdown(study.record_id)}**")
                if (reader := elsewhere.get(study.record_sha256)) is None:
                    _say_what_goes(workspace, study)
                else:
                    st.warning(f"Open in another window, by {plain_markdown(reader)}: it stays.")
    with st.container(horizontal=True):
        label = f"Delete {plural(len(free), 'study')}"
        icon, done = ":material/delete_forever:", False
        done |= st.button(label, type="primary", disabled=not free, icon=icon, on_click=_delete, args=(free,))
        done |= st.button("Keep")
    if done:
        st.rerun()


def _delete(studies: Sequence[Study]) -> None:
    """Delete studies; what goes wrong heads the page, as the dialog closes."""
    try:
        each(studies, delete_one)
    except EcgError as error:
        current_workspace().notice = error_message(error)


def _say_what_goes(workspace: Workspace, study: Study) -> None:
    lines = ["- labels, notes, signatures and patient data"]
    for what, files in groupby(files_of_study(workspace.store, study.record_sha256), key=lambda file: file.what):
        sizes = [file.n_bytes for file in files]
        lines.append(f"- {what}: {plural(len(sizes), 'file')}, {bytes_text(sum(sizes))}")
    st.markdown("**Goes**\n" + "\n".join(lines))
    recording = "" if study.kept else f"- the recording itself: `{study.path}`\n"
    copies = "".join(f"- {COPY.format(name=path.name)}\n" for path in workspace.store.copies)
    words = has_words(trail(workspace.store, study.record_sha256))
    what = "with the words of narratives and addenda that an earlier version wrote into it" if words else NO_WORDS
    st.markdown(f"**Stays**\n{recording}{copies}- the audit trail: who changed what and when, {what}")
