"""The form of patient and recording data: each field is saved when it is left."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any, Final

import streamlit as st

from ecg_core.notes import SEXES, Patient
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
    """Draw one field; its key holds the stored value, so that a change from elsewhere is seen."""
    key = _key(field, value, record)
    shared: dict[str, Any] = {
        "key": key, "disabled": disabled, "on_change": guarded(_save), "args": (record,),
    }  # fmt: skip
    if field == "sex":
        st.selectbox(LABELS[field], SEXES, SEXES.index(value), format_func=lambda sex: sex or NONE, **shared)
    elif field == "birth_date":
        today = datetime.now(tz=UTC).date()
        st.date_input(
            LABELS[field], _date(value), min_value=FIRST_BIRTH, max_value=today, format="YYYY-MM-DD", **shared
        )
    elif field in ("indication", "medication"):
        st.text_area(LABELS[field], value, max_chars=MAX_TEXT_LETTERS, height=TEXT_HEIGHT_PX, **shared)
    else:
        st.text_input(LABELS[field], value, max_chars=MAX_LETTERS, **shared)


def _save(record: Record) -> None:
    """Save what the form holds; for callbacks."""
    workspace = current_workspace()
    before = asdict(workspace.notes(record.sha256).patient)
    typed = {name: _text(st.session_state.get(_key(name, value, record), value)) for name, value in before.items()}
    workspace.save(set_patient, record.sha256, Patient(**typed))


def _text(value: str | date | None) -> str:
    return value.isoformat() if isinstance(value, date) else (value or "").strip()


def _date(text: str) -> date | None:
    """A stored date where it is one that the form can show."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if FIRST_BIRTH <= found <= datetime.now(tz=UTC).date() else None


def _key(field: str, value: str, record: Record) -> str:
    return f"patient {record.sha256[:12]} {field} {value}"
