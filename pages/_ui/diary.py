"""The diary: its entries with the rhythm at each, a form to add and change them, symptoms against rhythms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import streamlit as st

from ecg_core.clock import clock_text, elapsed_text, time_of
from ecg_core.notes import FROM_FILE, TYPED, DiaryEntry
from ecg_core.report.diary import AFTER_S, BEFORE_S, SymptomRow, SymptomTable
from ecg_core.schema import Record
from ecg_core.studies.study_notes import set_diary
from ecg_core.text import plain_markdown

from .frame import guarded
from .view import address
from .workspace import current_workspace

SYMPTOMS: Final = (
    "Palpitations", "Skipped beat", "Racing heart", "Dizziness", "Near syncope", "Syncope", "Chest pain",
    "Shortness of breath", "Fatigue", "Exercise", "Rest or sleep", "Medication taken", "Event button",
)  # fmt: skip
MAX_LETTERS, MAX_NOTE_LETTERS = 120, 500
WINDOW: Final = f"from {BEFORE_S:g} s before to {AFTER_S:g} s after"
NOT_YET: Final = "not analysed yet"


def diary_table(record: Record, diary: Sequence[DiaryEntry], rows: Sequence[SymptomRow] | None) -> pd.DataFrame:
    """A row per entry, with the rhythm that was there; ``rows`` is None where there is no analysis."""
    return pd.DataFrame(
        {
            "Time": [clock_text(record, entry.time_s) for entry in diary],
            "Symptom": [entry.symptom for entry in diary],
            f"Rhythm {WINDOW}": [NOT_YET] * len(diary) if rows is None else [row.rhythm for row in rows],
            "Note": [entry.note for entry in diary],
            "From": ["the file" if entry.source == FROM_FILE else "typed" for entry in diary],
        }
    )


def draw_diary(record: Record, rows: Sequence[SymptomRow] | None) -> None:
    """Draw the entries, and a form below them; a chosen entry can be shown, changed and deleted."""
    workspace = current_workspace()
    diary = workspace.notes(record.sha256).diary
    version = workspace.study(record.sha256).version  # no choice and no text outlives a change
    chosen = None
    if diary:
        picked = st.dataframe(
            diary_table(record, diary, rows), hide_index=True, key=f"diary {record.sha256[:12]} {version}",
            on_select="rerun", selection_mode="single-row",
        )  # fmt: skip
        chosen = picked.selection.rows[0] if picked.selection.rows else None
        st.caption("Choose a row to see its strip, to change it or to delete it.")
    else:
        st.caption("No entry yet: the file holds no event marks.")
    _draw_form(record, diary, chosen, key=f"{record.sha256[:12]} {version} {chosen}")
    if chosen is not None:
        _draw_ways(record, diary, chosen)
    if message := st.session_state.pop("diary_message", ""):
        st.warning(plain_markdown(message), icon=":material/warning:")


def _draw_form(record: Record, diary: Sequence[DiaryEntry], chosen: int | None, *, key: str) -> None:
    """Draw the fields of a new entry, or of the chosen one."""
    disabled = not current_workspace().may_edit(record.sha256)
    entry = None if chosen is None else diary[chosen]
    known = list(SYMPTOMS if entry is None or entry.symptom in SYMPTOMS else (entry.symptom, *SYMPTOMS))
    with st.form(f"diary form {key}"):
        time, symptom, note, save = st.columns([3, 4, 7, 2], vertical_alignment="bottom")
        time.text_input(
            "Time by the clock" if record.start else "Time from the start",
            "" if entry is None else clock_text(record, entry.time_s), key=f"diary time {key}",
            placeholder=_example(record), help=_help(record), disabled=disabled,
        )  # fmt: skip
        symptom.selectbox(
            "Symptom", known, None if entry is None else known.index(entry.symptom), key=f"diary symptom {key}",
            accept_new_options=True, placeholder="choose or type", disabled=disabled,
        )  # fmt: skip
        known_note = "" if entry is None else entry.note
        note.text_input(
            "Note", known_note, key=f"diary note {key}", max_chars=max(MAX_NOTE_LETTERS, len(known_note)),
            disabled=disabled,
        )  # fmt: skip
        save.form_submit_button(
            "Add" if entry is None else "Save", type="primary", disabled=disabled, width="stretch",
            on_click=guarded(_save_entry), args=(record, entry, key),
        )  # fmt: skip


def _draw_ways(record: Record, diary: Sequence[DiaryEntry], chosen: int) -> None:
    """Draw what can be done with the chosen entry beside changing it."""
    disabled = not current_workspace().may_edit(record.sha256)
    with st.container(horizontal=True):
        if st.button("Show its strip in Review", icon=":material/ecg:"):
            st.switch_page("pages/review.py", query_params=address(record, diary[chosen].time_s))
        st.button(
            "Delete this entry", icon=":material/delete:", disabled=disabled, on_click=guarded(_put),
            args=(record, diary[chosen], None),
        )  # fmt: skip


def _save_entry(record: Record, entry: DiaryEntry | None, key: str) -> None:
    """Add what the form holds, or put it in place of an entry; for callbacks."""
    typed, symptom, note = (st.session_state.get(f"diary {name} {key}") or "" for name in ("time", "symptom", "note"))
    try:
        time_s = time_of(record, typed)
    except ValueError:
        st.session_state["diary_message"] = f'"{typed}" is no time; expected one such as {_example(record)}.'
        return
    if not 0 <= time_s <= record.duration_s:
        first, last = clock_text(record, 0.0), clock_text(record, record.duration_s)
        st.session_state["diary_message"] = f"{typed} is outside the recording, which is from {first} to {last}."
        return
    if not symptom.strip():
        st.session_state["diary_message"] = "Choose or type a symptom first."
        return
    source, most_letters = TYPED, MAX_LETTERS
    if entry is not None:
        source, most_letters = entry.source, max(MAX_LETTERS, len(entry.symptom))
        unchanged = clock_text(record, entry.time_s) == typed.strip()  # which shows whole seconds only
        time_s = entry.time_s if unchanged else time_s
    _put(record, entry, DiaryEntry(time_s, symptom.strip()[:most_letters], note.strip(), source))


def _put(record: Record, before: DiaryEntry | None, after: DiaryEntry | None) -> None:
    """Put an entry in the place of another one; either may be None. A second click finds nothing left to do."""
    workspace = current_workspace()
    diary = workspace.notes(record.sha256).diary
    if after in diary or (before is not None and before not in diary):
        return
    entries = list(diary)
    if before is not None:
        entries.remove(before)
    if after is not None:
        entries.append(after)
    workspace.save(set_diary, record.sha256, tuple(sorted(entries, key=lambda entry: entry.time_s)))


def draw_symptoms(table: SymptomTable) -> None:
    """Draw symptoms against rhythms."""
    frame = pd.DataFrame(table.count, columns=list(table.findings))
    frame.insert(0, "Symptom", list(table.symptoms))
    frame["Total"] = [sum(row) for row in table.count]
    st.dataframe(frame, hide_index=True, width="content")
    st.caption(f"How often the most serious finding {WINDOW} each entry was of which kind.")


def _example(record: Record) -> str:
    middle_s = record.duration_s / 2
    return clock_text(record, middle_s) if record.start else elapsed_text(middle_s)


def _help(record: Record) -> str:
    elapsed = "hours, minutes and seconds from the start of the recording"
    if record.start is None:
        return elapsed.capitalize()
    return f"The first such time in the recording, or with its day: day 2 01:30. With a plus: {elapsed}"
