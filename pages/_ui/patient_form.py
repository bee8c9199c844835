"""The form of patient and recording data: each field is saved when it is left."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import streamlit as st

from ecg_core.errors import EcgError
from ecg_core.notes import SEXES
from ecg_core.schema import Record
from ecg_core.studies.study_notes import set_patient

from .frame import guarded
from .wording import NONE
from .workspace import current_workspace

MAX_LETTERS, MAX_TEXT_LETTERS = 120, 2000  # of a line, and of a text of several lines
FIRST_BIRTH: Final = date(1890, 1, 1)  # older than anybody who can be recorded
TEXT_HEIGHT_PX: Final = 72  # two lines
LABELS: Final = {
    "name": "Name", "patient_id": "Patient number", "birth_date": "Date of birth", "sex": "Sex",
    "indication": "Indication", "medication": "Medication", "referring_physician": "Referring physician",
    "reading_physician": "Reading physician", "recorder": "Recorder",
}  # fmt: skip
ROWS: Final = (
    ("name", "patient_id"), ("birth_date", "sex"), ("indication", "medication"),
    ("referring_physician", "reading_physician", "recorder"),
)  # fmt: skip


def patient_form(record: Record) -> None:
    """Draw the form."""
    workspace = current_workspace()
    patient = asdict(workspace.notes(record.sha256).patient)
    disabled = not workspace.may_edit(record.sha256)
    for row in ROWS:
        for field, column in zip(row, st.columns(len(row), gap="small"), strict=True):
            with column:
                _draw_field(field, patient[field], record, disabled=disabled)


def _draw_field(field: str, value: str, record: Record, *, disabled: bool) -> None:
    """Draw one field; its key holds the stored value, so that a change from elsewhere is seen.

    What is stored is shown though it could not be entered here: a file, or a study from elsewhere, may hold anything.
    """
    key = f"patient {record.sha256[:12]} {field} {value}"
    shared: dict[str, Any] = {
        "key": key, "disabled": disabled, "on_change": guarded(_save), "args": (record, field, key),
    }  # fmt: skip
    born = _date(value)
    if field == "sex":
        choices = SEXES if value in SEXES else (*SEXES, value)
        st.selectbox(LABELS[field], choices, choices.index(value), format_func=lambda sex: sex or NONE, **shared)
    elif field == "birth_date" and (born or not value):
        first, last = FIRST_BIRTH, datetime.now(tz=UTC).date()
        if born:
            first, last = min(first, born), max(last, born)
        st.date_input(LABELS[field], born, min_value=first, max_value=last, format="YYYY-MM-DD", **shared)
    elif field in ("indication", "medication"):
        st.text_area(LABELS[field], value, max_chars=_limit(value, MAX_TEXT_LETTERS), height=TEXT_HEIGHT_PX, **shared)
    else:
        st.text_input(LABELS[field], value, max_chars=_limit(value, MAX_LETTERS), **shared)


def _save(record: Record, field: str, key: str) -> None:
    """Save what one field holds, and leave the others as they are; for callbacks.

    Raises
    ------
    EcgError
        A date was typed, where the field holds no date, and is none.

    """
    workspace, typed = current_workspace(), st.session_state[key]
    text = typed.isoformat() if isinstance(typed, date) else (typed or "").strip()
    if field == "birth_date" and text:
        born = _date(text)
        if born is None:
            raise EcgError(f'Date of birth: expected YYYY-MM-DD, got "{text}". Nothing was saved.')
        text = born.isoformat()
    workspace.save(set_patient, record.sha256, replace(workspace.notes(record.sha256).patient, **{field: text}))


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _limit(value: str, letters: int) -> int:
    """How many letters a field takes: what is stored, in any case."""
    return max(letters, len(value))
