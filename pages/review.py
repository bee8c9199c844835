"""From the day to the hour to the strip, and to the single beat."""

from functools import partial
from math import ceil

import streamlit as st

from ecg_core.evaluation.comparison import Disagreements
from ecg_core.figures import Scale, disclosure_figure, probability_figure, strip_figure, trend_figure
from ecg_core.rhythm.events import KIND_NAMES
from ecg_core.schema import Analysis, Float64, Record
from pages._ui.frame import current_analysis, facts, guarded, heading, legend, show, theme, watch
from pages._ui.labelling import label_bar
from pages._ui.session import current_workspace
from pages._ui.tables import beat_facts, by_weight, events_shown
from pages._ui.view import (
    PAGE_S,
    check_by_occlusion,
    current_time_s,
    differences,
    go_to,
    go_to_row,
    go_to_selected,
    kept,
    leads_to_draw,
    nearest_beat,
    neighbour,
    occlusion_text,
    remember,
    stations,
    strip,
    strip_start_s,
)  # fmt: skip

ROW_MM = 250.0  # of paper fit beside the sidebar: 10 s at 25 mm/s; what is longer goes on in the next row
FULL_GAIN_LEADS = 3  # so many leads fit below each other at 10 mm/mV


def step_buttons(times: Float64, time_s: float, length_s: float) -> None:
    """Draw the ways to move, by button and by key."""
    previous_s, next_s = neighbour(times, time_s, -1), neighbour(times, time_s, 1)
    moves = [
        ("Previous", "P", previous_s, ":material/skip_previous:"),
        ("Back", "Left", time_s - length_s, ":material/chevron_left:"),
        ("Forward", "Right", time_s + length_s, ":material/chevron_right:"),
        ("Next", "N", next_s, ":material/skip_next:"),
    ]
    for name, key, target_s, icon in moves:
        st.button(name, shortcut=key, icon=icon, key=name, disabled=target_s is None, on_click=go_to, args=(target_s,))


def findings(analysis: Analysis) -> None:
    """Draw the events, of all kinds or of some; a row leads to its strip."""
    st.header(f"Findings ({len(analysis.events):,})", anchor=False)
    if not analysis.events:
        st.caption("No couplet, run, pattern, episode, pause or long RR was found in the readable part.")
        return
    there = dict.fromkeys(event.kind for event in by_weight(analysis.events))
    kinds = st.pills(
        "Kinds", list(there), selection_mode="multi", format_func=KIND_NAMES.__getitem__, key="kinds",
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    shown = [event for event in by_weight(analysis.events) if not kinds or event.kind in kinds]
    st.dataframe(
        events_shown(analysis, shown), hide_index=True, height=240, key="found", selection_mode="single-row",
        on_select=partial(go_to_row, "found", shown),
    )  # fmt: skip


def draw_beat(analysis: Analysis, beat: int, differ: Disagreements) -> None:
    """What is known of the chosen beat, how it was judged, and whether its attention can be read at all."""
    known, judged = st.columns(2, gap="medium")
    with known:
        facts(beat_facts(analysis, beat, differ))
    with judged:
        show(probability_figure(analysis, beat, theme=theme()), "probability", alt="Probability of each class")
        st.caption("The attention shows where the network looked. It is not an explanation of the class.")
        verdict = occlusion_text(analysis, beat)
        if verdict:
            st.markdown(verdict)
        else:
            st.button(
                "Check the attention by occlusion", on_click=guarded(check_by_occlusion), args=(analysis, beat),
                icon=":material/visibility_off:", shortcut="O",
            )  # fmt: skip


def draw_minutes(analysis: Analysis, lead: str, page_s: float, marked_s: tuple[float, float]) -> None:
    """Draw the minutes around the strip, one below the other."""
    st.header("Page of minutes", anchor=False)
    colours = theme()
    minutes = strip(analysis.record, lead, start_s=page_s, length_s=PAGE_S)
    disclosure = kept(
        "minutes", (analysis, lead, page_s, marked_s, colours),
        lambda: disclosure_figure(analysis, minutes, theme=colours, marked_s=marked_s),
    )  # fmt: skip
    show(disclosure, "minutes", alt="Full disclosure", on_select=lambda: go_to_selected("minutes"))


@st.fragment
@guarded
def viewer(record: Record) -> None:
    """Overview, strip, beat and page of minutes; a step or a label redraws these and nothing else."""
    workspace = current_workspace()
    analysis = workspace.analysis(record.sha256)
    colours, differ = theme(), differences(analysis)
    time_s = current_time_s(record)
    remember(record, time_s)

    analysed = record.lead_names.index(analysis.lead_names[0])
    # beats are seen in all the leads that told of them, where these are few
    drawn = 3 if len(analysis.lead_names) > 1 and len(record.lead_names) <= 3 else 1

    overview = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        places = stations(analysis, differ)
        if st.session_state.get("what") in places:
            st.session_state["what"] = st.session_state["what"]  # stays, though its count may have changed
        what = st.selectbox(
            "Step through", list(places), key="what", persist_state="session", width=300,
            format_func=lambda what: f"{what} ({len(places[what]):,})",
        )  # fmt: skip
        lead = st.selectbox("Lead", record.lead_names, index=analysed, key="lead", bind="query-params", width=90)
        how_many = st.segmented_control(
            "Leads", [1, 3, 6, 12], default=drawn, key="leads", bind="query-params", required=True
        )
        seconds = st.segmented_control(
            "Seconds", [6, 10, 30], default=10, key="sec", bind="query-params", required=True
        )
        speed = st.segmented_control(
            "mm/s", [12.5, 25, 50], default=25, key="speed", bind="query-params", required=True
        )
        gain = st.segmented_control("mm/mV", [5, 10, 20], default=10, key="gain", bind="query-params", required=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        step_buttons(places.get(what, analysis.beats.time_s), time_s, seconds)
        legend()

    start_s, beat = strip_start_s(record, time_s, seconds), nearest_beat(analysis, time_s)
    page_s = time_s // PAGE_S * PAGE_S
    with overview:
        trend = kept(
            "trend", (analysis, page_s, colours),
            lambda: trend_figure(analysis, theme=colours, marked_s=(page_s, page_s + PAGE_S), height_px=120),
        )  # fmt: skip
        show(trend, "day", alt="Overview", on_select=lambda: go_to_selected("day"))
    names = leads_to_draw(record, lead, how_many)
    row_s = min(seconds, ROW_MM / speed)
    for row in range(ceil(seconds / row_s)):
        pieces = tuple(strip(record, name, start_s=start_s + row * row_s, length_s=row_s) for name in names)
        figure = strip_figure(
            analysis, pieces, length_s=row_s, selected=beat, differ=differ, scale=Scale(speed, gain), theme=colours
        )
        key = f"strip{row}"
        show(figure, key, alt="ECG strip", width="content", on_select=partial(go_to_selected, key))

    label_bar(analysis, beat, places)
    progress = st.container()
    if beat is not None:
        draw_beat(analysis, beat, differ)
    findings(analysis)

    draw_minutes(analysis, lead, page_s, (start_s, start_s + seconds))
    if (job := workspace.reading(record.sha256)) is not None:
        with progress:
            watch(job)


analysis = current_analysis(wait=False)
heading(f"Review of {analysis.record.record_id}", analysis.record)
viewer(analysis.record)
