"""The worklist: every study, what was found in it, and the queue of analyses; recordings are added here."""

import streamlit as st

from pages._ui.adding import draw_adding, draw_welcome
from pages._ui.analysis_choices import draw_analysis
from pages._ui.frame import draw_frame
from pages._ui.queue_view import await_queue, draw_queue
from pages._ui.study_actions import draw_actions
from pages._ui.worklist import Wanted, draw_filters, draw_worklist, find, n_shown

workspace = draw_frame(with_stopped=False)
# Each part keeps its place: while the page waits for the queue, what was drawn before at another place would stay.
title, filters, actions, table = st.empty(), st.container(), st.container(), st.container()
queue, analysis, adding = st.empty(), st.container(), st.container()

with filters:
    wanted = draw_filters()
worklist = find(workspace, wanted, n_shown())
title.title(f"Studies ({worklist.n_fitting:,})", anchor=False)

dialog_is_open = False
with table:
    if worklist.studies:
        selected = draw_worklist(worklist)
        with actions:
            dialog_is_open = draw_actions(workspace, selected, archived=wanted.archived)
    elif wanted == Wanted():
        draw_welcome()
    else:
        st.info(f"No study fits{' in the archive' if wanted.archived else ''}.", icon=":material/search_off:")

with queue.container():
    bars = draw_queue(workspace)

with analysis:
    if (record := workspace.records.get(workspace.current)) is not None:
        draw_analysis(workspace, record)

with adding:
    st.header("Add recordings", anchor=False)
    draw_adding(workspace)

if not dialog_is_open:
    await_queue(workspace, bars)
