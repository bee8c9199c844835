"""Whom the recording is of, the recording itself, and the diary with the rhythm at each symptom."""

import streamlit as st

from ecg_core.report.diary import symptom_rows, symptom_table
from pages._ui.diary import draw_diary, draw_symptoms
from pages._ui.frame import current_record, facts, guarded, heading
from pages._ui.patient_form import patient_form
from pages._ui.tables import record_facts
from pages._ui.view import cached_doubts
from pages._ui.workspace import current_workspace

record = current_record()
workspace = current_workspace()
heading(f"Patient of {record.record_id}", record)

form, about = st.columns([3, 2], gap="large")
with form:
    patient_form(record)
    st.caption(
        "Saved when you leave a field. Patient data stays in the studies on this computer, and is left out of every "
        "export unless you ask for it there. The audit trail names the fields that changed, not what they hold.",
    )
with about:
    st.header("Recording", anchor=False)
    facts([*record_facts(record), ("Signal check", "; ".join(guarded(cached_doubts)(record) or ()))])

diary = workspace.notes(record.sha256).diary
analysis = workspace.analysis(record.sha256) if workspace.has_analysis(record.sha256) else None
rows = None if analysis is None else symptom_rows(analysis, diary)
st.header(f"Diary ({len(diary)})", anchor=False)
draw_diary(record, rows)
if rows:
    st.header("Symptoms against rhythms", anchor=False)
    draw_symptoms(symptom_table(rows))
