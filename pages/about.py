"""The installed models and their performance, the limits of this program, and its versions."""

import streamlit as st

from ecg_core import NOTICE
from pages._ui.frame import draw_frame, facts
from pages._ui.model_facts import performance, spec_facts, specs
from pages._ui.tables import versions

draw_frame()
st.title("About", anchor=False)
st.markdown(f"**{NOTICE}**")

for spec in specs():
    st.header(f"Model {spec.name}", anchor=False)
    facts(spec_facts(spec))
    measured = performance(spec)
    if measured.empty:
        st.info("The performance of this model has not been measured yet.", icon=":material/info:")
    else:
        st.dataframe(measured, hide_index=True, height="content")
        st.caption("ANSI/AAMI EC57, per cent, gross; QRS, V and S as sensitivity / positive predictivity.")

limits, program = st.columns(2, gap="large")
with limits:
    st.header("Limits", anchor=False)
    st.markdown(
        "- Beats are classified as N, S, V, F or Q; events are derived from the beats.\n"
        "- Atrial fibrillation is found by irregular normal beats without P waves.\n"
        "- Ventricular fibrillation, asystole, atrial flutter, AV block, pacing, bundle branch block, ischaemia (ST) "
        "and QT changes are not recognised as such.\n"
        "- Counts cover only the analysable part of a recording; their denominators are printed beside them.\n"
        "- Attention shows which parts of the signal the network weighted. It is not an explanation.\n"
        "- Nothing here is advice on treatment."
    )
with program:
    st.header("Program", anchor=False)
    facts(versions())
    st.caption("MIT licence. Signals stay on this computer.")
