"""The model, what was measured of it, and what this program is not."""

import streamlit as st

from ecg_core import NOTICE
from pages._ui.frame import draw_frame, facts
from pages._ui.models import measured, spec_facts, specs
from pages._ui.tables import versions

draw_frame()
st.title("About", anchor=False)
st.markdown(f"**{NOTICE}**")

for spec in specs():
    st.header(f"Model {spec.name}", anchor=False)
    facts(spec_facts(spec))
    figures = measured(spec)
    if figures.empty:
        st.info("No figures were measured for this model yet.", icon=":material/info:")
    else:
        st.dataframe(figures, hide_index=True, height="content")
        st.caption("ANSI/AAMI EC57, per cent, gross; QRS, V and S as sensitivity / positive predictivity.")

limits, program = st.columns(2, gap="large")
with limits:
    st.header("Limits", anchor=False)
    st.markdown(
        "- Beats are judged as N, S, V, F or Q; events are found from the beats.\n"
        "- Atrial fibrillation is told from irregular normal beats without P waves; flutter with regular beats is not "
        "found.\n"
        "- Paced rhythm, bundle branch block and ischaemia are not recognised as such.\n"
        "- Counts stand for the readable part of a recording alone; denominators are printed beside them.\n"
        "- Attention shows where the network looked. It is not an explanation.\n"
        "- Nothing here is advice on treatment."
    )
with program:
    st.header("Program", anchor=False)
    facts(versions())
    st.caption("MIT licence. Signals stay on this computer.")
