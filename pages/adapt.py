"""A model is adapted to a recorder, and kept only with a proof on patients that it did not learn from."""

import streamlit as st

from ecg_core.adaptation.task import find_all
from pages._ui.adaptations import draw_adaptations
from pages._ui.frame import draw_frame
from pages._ui.new_adaptation import draw_new, draw_source
from pages._ui.waiting import await_changes

NOT_KEPT = "This dashboard keeps nothing, so no model can be adapted here: an adaptation outlives the program."

workspace = draw_frame()
st.title("Adapt to a recorder", anchor=False)
st.markdown(
    "A model learns from recordings of your recorder, and its figures before and after are measured on patients that "
    "it did not learn from. It needs recordings of several patients, at least two of them with a label for every beat."
)
if workspace.desk.is_ephemeral:
    st.info(NOT_KEPT, icon=":material/info:")
    st.stop()

# Each part keeps its place: while the page waits, what was drawn before at another place would stay.
there, source, new = st.container(), st.container(), st.container()
with there:
    waits = draw_adaptations(find_all())
with source:
    waits += draw_source()
with new:
    st.header("New adaptation", anchor=False)
    draw_new(workspace)
await_changes(waits)
