"""A recording at a glance: burden, trend, hours, findings."""

import streamlit as st

from ecg_core.figures import trend_figure
from ecg_core.report.dangers import findings as found_in
from ecg_core.report.facts import model_text
from ecg_core.text import plain_markdown
from pages._ui.dangers import draw_dangers, draw_worst_place
from pages._ui.figures import show, theme
from pages._ui.frame import current_analysis, heading
from pages._ui.printed import SCREEN_ONLY, printed
from pages._ui.summary import draw_summary
from pages._ui.tables import (
    EVENT_COLUMNS,
    HOUR_COLUMNS,
    by_severity,
    events_table,
    hours_table,
    no_finding_text,
    short_names_text,
)
from pages._ui.view import address, selected_time_s
from pages._ui.wording import NONE

analysis = current_analysis()
record = analysis.record
heading(f"Overview of {record.record_id}", record)
if analysis.model.origin:
    st.caption(f"Model {plain_markdown(model_text(analysis.model))}")
draw_dangers(analysis)
draw_summary(analysis)
draw_worst_place(analysis)

trend = trend_figure(analysis, theme=theme())
show(trend, "trend", alt="Heart rate, ventricular and supraventricular beats over time", on_select="rerun")
if (time_s := selected_time_s("trend")) is not None:
    st.switch_page("pages/review.py", query_params=address(record, time_s))
st.caption(
    "Heart rate: mean, lowest and highest of a moving average; green: atrial fibrillation; red: VF, asystole, "
    "sustained VT; hatched: not analysable; cross-hatched: no signal. Drag across a stretch to review it."
)

findings, hours = st.columns([3, 5], gap="small")
with findings:
    n_found = len(found_in(analysis))
    st.header(f"Findings ({n_found:,})", anchor=False)
    if not n_found:
        st.caption(no_finding_text(analysis))
    if analysis.events:
        events = by_severity(analysis.events)
        table = events_table(analysis, events)
        with st.container(key=f"{SCREEN_ONLY}_findings"):
            picked = st.dataframe(
                table, hide_index=True, key="events", on_select="rerun", selection_mode="single-row", placeholder=NONE,
                column_config=EVENT_COLUMNS,
            )  # fmt: skip
        printed(table)
        names = short_names_text(events)
        st.caption(f"The most serious first. Choose a row to see it in Review.{f' {names}.' if names else ''}")
        if picked.selection.rows:
            event = events[picked.selection.rows[0]]
            st.switch_page("pages/review.py", query_params=address(record, event.start_s))
with hours:
    st.header("Hour by hour", anchor=False)
    by_hour = hours_table(analysis)
    with st.container(key=f"{SCREEN_ONLY}_hours"):
        st.dataframe(by_hour, hide_index=True, placeholder=NONE, column_config=HOUR_COLUMNS)
    printed(by_hour)
    if st.button("All measures, the definitions, and the files", icon=":material/description:", type="tertiary"):
        st.switch_page("pages/report.py")
