"""What this program cannot do, how well its model does, and what both are made of."""

import streamlit as st

from ecg_core import NOTICE
from ecg_core.report.dangers import NOT_ANALYSED
from ecg_core.text import plain_markdown
from pages._ui.frame import draw_frame, facts
from pages._ui.model_facts import RIGHT_MEANS, headlines, performance, spec_facts, specs
from pages._ui.own_models import draw_own_models
from pages._ui.tables import versions

NOT_MEASURED = "The performance of this model has not been measured yet."
READ = "ANSI/AAMI EC57, per cent, gross; QRS, V and S as sensitivity / positive predictivity."

draw_frame()
models = specs()
by_network = any(spec.finds_af for spec in models[:1])
how_af_is_found = "irregular normal beats without P waves" + (
    " or by the network's probability of it" if by_network else ""
)
st.title("About", anchor=False)
st.markdown(f"**{NOTICE}**")
st.header("Limits", anchor=False)
st.markdown(
    f"- Not analysed: {', '.join(NOT_ANALYSED)}, atrial flutter and bundle branch block. Some ventricular tachycardia "
    "is called fibrillation.\n"
    "- Fusion and unclassifiable beats are too rare in the training data to be relied on; children and beats marked as "
    "paced are not in it.\n"
    "- Supraventricular beats vary most from patient to patient, and none is classified inside atrial fibrillation, "
    f"which is found by {how_af_is_found}.\n"
    "- Counts cover only the analysable part of a recording; their denominators are printed beside them.\n"
    "- Attention shows which parts of the signal the network weighted. It is not an explanation.\n"
    "- Nothing here is advice on treatment."
)
for spec in models[:1]:
    st.header(f"Performance of the model {plain_markdown(spec.name)}", anchor=False)
    best = headlines(spec)
    if best.empty:
        st.info(NOT_MEASURED, icon=":material/info:")
    else:
        st.dataframe(best, hide_index=True, height="content")
        st.caption(f"Patients that the model was not trained on, beats as it detects them. {READ} {RIGHT_MEANS}")
st.header("Your models", anchor=False)
draw_own_models()
for spec in models:
    if spec.origin:  # one of the reader's own, whose card is above
        continue
    with st.expander(f"Model {plain_markdown(spec.name)}: origin and every test set", icon=":material/neurology:"):
        facts(spec_facts(spec))
        measured = performance(spec)
        if measured.empty:
            st.caption(NOT_MEASURED)
        else:
            st.dataframe(measured, hide_index=True, height="content")
            st.caption(f"{READ} {RIGHT_MEANS}")
with st.expander("Program and versions", icon=":material/info:"):
    facts(versions())
    st.caption("MIT licence. Signals stay on this computer.")
