"""The narrative of the report: drafted from the measures until a reader edits it, then kept as it was edited."""

from __future__ import annotations

import streamlit as st

from ecg_core.notes import MAX_NARRATIVE_LETTERS
from ecg_core.report.narrative import draft_narrative
from ecg_core.schema import Analysis
from ecg_core.studies.study_notes import set_narrative

from .frame import guarded
from .workspace import current_workspace

AT_MOST = f"At most {MAX_NARRATIVE_LETTERS:,} letters."
DRAFTED = "Drafted from the measures; it follows labels and rules until you edit it."
EDITED = "Kept as you edited it; it no longer follows changes of labels and rules."
OLDER = (
    "Labels, rules, leads, model or program were changed after it was edited: does it still hold? Reports say so in "
    "its heading until you edit or confirm it."
)
OLDER_SIGNED = "Signed with a narrative from before the last change of labels, rules, leads, model or program."
LINE_PX, EDGE_PX, LINE_CHARACTERS = 17, 26, 155  # height of a line of the field and of its edge; letters on a line


def draw_narrative(analysis: Analysis) -> None:
    """Draw the narrative as a field that is saved when it loses the focus, and the way back to the drafted one."""
    workspace, sha256 = current_workspace(), analysis.record.sha256
    notes, fixed = workspace.notes(sha256), not workspace.may_edit(sha256)
    kept = notes.narrative
    text = kept or draft_narrative(analysis)
    title, again = st.columns([8, 1], vertical_alignment="center")
    title.header("Narrative", anchor=False)
    again.button(
        "Draft again", on_click=guarded(_save), args=(analysis, ""), disabled=fixed or not kept, width="stretch",
        help="Replaces the narrative by the one drafted from the measures",
    )  # fmt: skip
    if notes.is_narrative_older and workspace.is_signed(sha256):
        st.warning(OLDER_SIGNED, icon=":material/history:")
    elif notes.is_narrative_older:
        said, confirm = st.columns([6, 1], vertical_alignment="center")
        said.warning(OLDER, icon=":material/history:")
        confirm.button(
            "It still holds", on_click=guarded(_save), args=(analysis, kept), disabled=fixed, width="stretch",
            help="Keeps the narrative as it is, for the figures that are shown now",
        )  # fmt: skip
    n_lines = sum(1 + len(line) // LINE_CHARACTERS for line in text.splitlines())
    key = f"narrative {hash((sha256, text))}"
    st.text_area(
        "Narrative", text, key=key, label_visibility="collapsed", disabled=fixed, height=EDGE_PX + LINE_PX * n_lines,
        max_chars=max(MAX_NARRATIVE_LETTERS, len(text)), on_change=guarded(_save_field), args=(analysis, key),
    )  # fmt: skip
    st.caption(f"{EDITED if kept else DRAFTED} {AT_MOST}")


def _save_field(analysis: Analysis, key: str) -> None:
    text = st.session_state[key].strip()
    _save(analysis, "" if text == draft_narrative(analysis) else text)


def _save(analysis: Analysis, narrative: str) -> None:
    current_workspace().save(set_narrative, analysis.record.sha256, narrative)
