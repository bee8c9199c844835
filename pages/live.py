"""Live monitoring: a moving strip with a label above each beat, running counts, and a list of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from ecg_core.clock import elapsed_text
from ecg_core.text import plain_markdown, plural
from pages._ui.figures import legend, theme
from pages._ui.frame import SIMULATED, cards, draw_frame, guarded
from pages._ui.live import (
    NO_SPACE,
    OVERLAP_S,
    POLL_S,
    begin,
    counts_text,
    demo_record,
    feed_component,
    leave,
    log_rows,
    log_styles,
    lsl_streams,
    open_recording,
    recording_text,
    set_mark,
    source_text,
    status_html,
    stop,
    strip_data,
    trace_component,
    vital_cards,
)
from pages._ui.view import study_key

if TYPE_CHECKING:  # what monitors a stream loads when one begins
    from ecg_core.live.recent import LiveView
    from ecg_core.live.session import LiveSession

DEMO, OPEN, LSL, TCP = "The demo record", "The open record", "Lab Streaming Layer", "TCP port on this computer"
SPEEDS = {1.0: "real time", 2.0: "2 x", 5.0: "5 x", 20.0: "20 x"}
HORIZONS_S = (0.5, 1.0, 2.0, 5.0)
STATUS_S = 0.5  # the line of alarms is drawn again at this interval
VITALS_S = 1.0  # the counts and the list of events are drawn again at this interval
ROW_PX, MAX_ROWS = 35, 6
FIRST_STAGE = (
    "Beats are classified as they arrive. The analysis of the whole recording afterwards also compares each with all "
    "others, and calls fewer of them S."
)
NO_MONITOR = (
    "For research only: this is **not a patient monitor**. Do not rely on it for anyone's safety. Pacing is not looked "
    "for: spikes to which the heart does not answer may look like beats."
)


@guarded
def start(source: str) -> None:
    """Begin a live session with what was chosen; for a callback."""
    chosen = st.session_state
    record = demo_record() if source == DEMO else workspace.records[workspace.current] if source == OPEN else None
    text = "" if record else source_text("lsl" if source == LSL else "tcp", str(chosen["stream_name"] or ""))
    lead = chosen.get(study_key("live_lead", record.sha256), "auto") if record else "auto"
    begin(
        text, record=record, speed=chosen.get("live_speed", 1.0) if record else 1.0, horizon_s=chosen["horizon"],
        lead=lead, keep=chosen.get(f"keep {record is not None}", False),
    )  # fmt: skip


@guarded
def choose_source() -> None:
    """Choose a source and the options of a live session."""
    st.markdown(
        "Monitor a live stream: the network that analyses recordings labels each beat a fixed time after it occurs."
    )
    source_box, options_box = st.columns(2, gap="large", border=True)
    with source_box:
        sources = [DEMO, *([OPEN] if workspace.current else []), LSL, TCP]
        source = st.radio("Source", sources, key="source")
        replayed = source in (DEMO, OPEN)
        if replayed:
            st.segmented_control(
                "Speed", list(SPEEDS), default=1.0, required=True, format_func=lambda speed: SPEEDS[speed],
                key="live_speed",
            )  # fmt: skip
        elif source == LSL:
            choose_lsl_stream()
        else:
            st.number_input("Port", 1, 65535, 5555, key="stream_name")
            st.caption(
                "Only programs on this computer can connect. `docs/live.md` describes the lines, and how to bridge a "
                "device to them."
            )
    with options_box:
        st.segmented_control(
            "Horizon", HORIZONS_S, default=2.0, required=True, format_func=lambda horizon_s: f"{horizon_s:g} s",
            key="horizon",
            help="Seconds of signal after a beat that are used before it is labelled.",
        )  # fmt: skip
        if source == OPEN:
            choose_lead()
        if workspace.desk.is_ephemeral:
            st.caption("Nothing is kept here after you leave, so a stream is monitored without a recording.")
        elif st.toggle("Save the recording", value=not replayed, key=f"keep {replayed}"):
            st.caption(recording_text())
        st.button("Start", type="primary", width="stretch", on_click=start, args=(source,))
    st.caption(NO_MONITOR)


def choose_lead() -> None:
    """Choose the leads of the open record that are analysed."""
    record = workspace.records[workspace.current]
    choices = {"auto": "All leads, weighted by their quality"} | {name: name for name in record.lead_names}
    key = study_key("live_lead", record.sha256)
    st.selectbox("Leads to analyse", list(choices), format_func=lambda lead: choices[lead], key=key)


def choose_lsl_stream() -> None:
    """Enter the name of a stream of the layer, or choose one that was found."""
    if st.button("Search for streams"):
        st.session_state["found_streams"] = guarded(lsl_streams)() or []
        if not st.session_state["found_streams"]:
            st.info("No stream was found. Start the sender, then search again.")
    found = st.session_state.get("found_streams", [])
    st.selectbox("Name", found, accept_new_options=True, index=0 if found else None, key="stream_name")


def mark() -> None:
    """Set a mark at the time that the strip showed when it was pressed; for a callback, which may come twice."""
    press = st.session_state["live_strip"].get("mark")
    if press and workspace.live is not None:
        st.session_state["pressed_ms"] = set_mark(workspace.live, press, st.session_state.get("pressed_ms"))


@st.fragment(run_every=POLL_S)
def feed_strip() -> None:
    """Send new data to the moving strip."""
    live = workspace.live
    if live is None:
        return
    whole = st.session_state.pop("whole_strip", False)
    view = live.view() if whole else live.view(OVERLAP_S)
    if (view.state, view.stream is None) != st.session_state["shown_as"]:
        st.rerun()
    if view.stream is not None and view.signal_mv.size:
        names = view.stream.lead_names
        lead = names.index(st.session_state["drawn"]) if st.session_state.get("drawn") in names else 0
        data = strip_data(workspace, view, view.stream, lead, theme())
        feed_component()(key="live_strip", data=data, on_mark_change=mark)
    elif not view.has_ended:
        awaited = "the first samples" if view.stream else "a sender"
        st.info(f"Waiting for {awaited} ...", icon=":material/hourglass:")


@st.fragment(run_every=STATUS_S)
def draw_status() -> None:
    """Draw the alarms that go on, in one line beside the buttons."""
    html = status_html(workspace.live.view(0)) if workspace.live else ""
    if html:
        st.html(html, width="stretch")


@st.fragment(run_every=VITALS_S)
def draw_vitals() -> None:
    """Draw the running counts and the list of events."""
    if workspace.live is None:
        return
    view = workspace.live.view(0)
    cards(vital_cards(view))
    rows = log_rows(view)
    st.markdown("**Alarms, marks and stream events**")
    if rows["Time"]:
        widths = {"Time": st.column_config.Column(width=110), "Duration": st.column_config.Column(width=110)}
        height = ROW_PX * (1 + min(len(rows["Time"]), MAX_ROWS)) + 3
        styles = log_styles(view)
        styled = pd.DataFrame(rows).style.apply(lambda row: [styles[row.name]] * len(row), axis=1)
        st.dataframe(styled, hide_index=True, height=height, width="stretch", column_config=widths)
        if view.n_dropped:
            st.caption(f"{plural(view.n_dropped, 'earlier event')} not shown: those of least weight, then the oldest.")
    else:
        st.caption("Nothing yet.")


def choose_drawn_lead(names: tuple[str, ...]) -> None:
    """Choose the lead that the strip shows; lead II at first, the usual one for rhythm."""
    rhythm_lead = names.index("II") if "II" in names else 0
    st.selectbox(
        "Lead shown", names, index=rhythm_lead, key="drawn", width=160, label_visibility="collapsed",
        format_func="Lead {}".format,
    )  # fmt: skip


def draw_session(live: LiveSession) -> None:
    """Draw a session that is running, or has just ended."""
    view = live.view(0)
    st.session_state.update(whole_strip=True, shown_as=(view.state, view.stream is None))
    simulated = f" :orange-badge[{SIMULATED}]" if view.stream and view.stream.is_simulated else ""
    st.title(f"Live: {plain_markdown(view.stream.name)}{simulated}" if view.stream else "Live", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if view.stream and len(view.stream.lead_names) > 1:
            choose_drawn_lead(view.stream.lead_names)
        if view.has_ended:
            st.button("Close", on_click=leave, icon=":material/close:")
        else:
            st.button("Stop", on_click=stop, icon=":material/stop:")
        draw_status()
    if view.has_ended:
        draw_end(view)
    if view.stream is not None:
        st.html(NO_SPACE)
        trace_component()(key="live_picture")
    feed_strip()
    legend()
    draw_vitals()
    recorded = f"{recording_text()} " if view.recording is not None and not view.has_ended else ""
    st.caption(f"{recorded}{FIRST_STAGE} {NO_MONITOR}")


def draw_end(view: LiveView) -> None:
    """Draw how the session ended, with a button that opens its recording."""
    if view.problem:
        st.error(plain_markdown(workspace.uploads.hide(view.problem)), icon=":material/error:")
    else:
        st.success(f"The stream has ended. {counts_text(view)}.", icon=":material/check:")
    if view.recording is not None:
        label = f"Open the recording of {elapsed_text(view.recorded_s)} for review"
        if st.button(label, type="primary"):
            guarded(open_recording)(view.recording)
            st.switch_page("pages/studies.py")


workspace = draw_frame()
if workspace.live is None:
    st.title("Live", anchor=False)
    choose_source()
else:
    draw_session(workspace.live)
