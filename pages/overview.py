"""A recording at a glance: burden, trend, hours, findings."""

import streamlit as st

from ecg_core.clock import duration_text
from ecg_core.figures import trend_figure
from ecg_core.report.dangers import findings as found_in
from ecg_core.report.dangers import not_analysable_text
from ecg_core.report.measures import format_edits
from ecg_core.text import plain_markdown
from pages._ui.dangers import draw_dangers
from pages._ui.figures import show, theme
from pages._ui.frame import cards, current_analysis, heading
from pages._ui.tables import NO_FINDING, by_severity, events_table, hours_table, rate_card
from pages._ui.view import address, selected_time_s
from pages._ui.wording import NONE, percent, plural

LOW_ANALYSABLE_PCT = 50.0  # below this, counts do not represent the recording

analysis = current_analysis()
record, burden = analysis.record, analysis.burden
n_beats = f"{burden.n_beats:,} beats"
count = dict(zip(analysis.model.classes, burden.count.tolist(), strict=True))
with_fusion = f"; V + F {percent(burden.v_and_f_pct)}" if count["F"] else ""
slow = burden.idioventricular
apart = f"; {slow.n_beats:,} V in idioventricular rhythm not counted" if slow.n else ""
heading(f"Overview of {record.record_id}", record)
draw_dangers(analysis, with_strip=True)

if burden.analysable_pct < LOW_ANALYSABLE_PCT:
    leads = plain_markdown(", ".join(analysis.lead_names))
    st.warning(
        f"Only {burden.analysable_pct:.0f} % of this recording is analysable in lead {leads}: "
        "the counts below cover only that part. Try another lead on the page Studies.",
        icon=":material/signal_disconnected:",
    )
cards(
    [
        ("Analysable time", duration_text(burden.analysable_s), not_analysable_text(analysis)),
        (
            "PVC burden",
            percent(burden.pvc_burden_pct),
            f"{burden.v.n_beats:,} V of {n_beats}{with_fusion}{apart}",
        ),
        ("SVE burden", percent(burden.sve_burden_pct), f"{count['S']:,} S of {n_beats}"),
        (
            "AF burden",
            percent(burden.af_burden_pct),
            f"{plural(burden.af.n, 'episode')}, {duration_text(burden.af.total_s)}",
        ),
        rate_card(record, burden),
    ]
)

if edited := format_edits(analysis):
    st.caption(f"Edits: {edited}.")

trend = trend_figure(analysis, theme=theme())
show(trend, "trend", alt="Heart rate, ventricular and supraventricular beats over time", on_select="rerun")
if (time_s := selected_time_s("trend")) is not None:
    st.switch_page("pages/review.py", query_params=address(record, time_s))
st.caption(
    "Heart rate: mean, lowest and highest of a moving average; green: atrial fibrillation; red: VF, asystole, "
    "sustained VT; hatched: not analysable; cross-hatched: no signal. Drag across a stretch to review it."
)

findings, hours = st.columns(2, gap="medium")
with findings:
    n_found = len(found_in(analysis))
    st.header(f"Findings ({n_found:,})", anchor=False)
    if not n_found:
        st.caption(NO_FINDING)
    if analysis.events:
        events = by_severity(analysis.events)
        table = events_table(analysis, events)
        picked = st.dataframe(
            table, hide_index=True, key="events", on_select="rerun", selection_mode="single-row", placeholder=NONE
        )
        st.caption("The most serious first. Choose a row to see it in Review.")
        if picked.selection.rows:
            event = events[picked.selection.rows[0]]
            st.switch_page("pages/review.py", query_params=address(record, event.start_s))
with hours:
    st.header("Hour by hour", anchor=False)
    st.dataframe(hours_table(analysis), hide_index=True)
    if st.button("All measures, the definitions, and the files", icon=":material/description:", type="tertiary"):
        st.switch_page("pages/report.py")
