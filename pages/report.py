"""What leaves the workstation: tables, annotations, and the rules they were made with."""

from functools import partial

import streamlit as st

from ecg_core.export import WRITERS, file_name
from pages._ui.frame import current_analysis, heading
from pages._ui.tables import rules_shown

CONTENT = {
    "_beats.csv": ("Beats", "One row a beat: sample, time, class, probabilities, RR, readable or not."),
    "_events.csv": ("Findings", "One row a couplet, run, tachycardia, pause or long RR."),
    "_burden.csv": ("Burden", "One row a measure, each with its unit and its denominator."),
    "_hourly.csv": ("Hours", "One row an hour: readable time, beats by class, heart rate."),
    ".ai": ("WFDB annotations", "The beats as an annotation file that WFDB tools read."),
}

analysis = current_analysis()
heading(f"Report of {analysis.record.record_id}", analysis.record)
files, rules = st.columns([3, 2], gap="large")

with files:
    st.header("Files", anchor=False)
    for suffix, writer in WRITERS.items():
        name, what = CONTENT.get(suffix, (suffix, ""))
        text, button = st.columns([3, 2], vertical_alignment="center")
        text.markdown(f"**{name}**  \n:small[{what}]")
        button.download_button(
            file_name(analysis, suffix), partial(writer, analysis), file_name(analysis, suffix), on_click="ignore",
            icon=":material/download:", width="stretch",
        )  # fmt: skip
    st.caption("Each file is made when it is clicked.")

with rules:
    st.header("Made with", anchor=False)
    st.markdown(
        f"Lead **{', '.join(analysis.lead_names)}**, model **{analysis.model.name}** "
        f"(`{analysis.model.sha256[:12]}`), record `{analysis.record.sha256[:12]}`"
    )
    st.dataframe(rules_shown(analysis.rules), hide_index=True)
