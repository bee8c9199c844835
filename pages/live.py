"""Beats labelled as they come: a moving strip, what is counted, and what a watcher must know."""

import pandas as pd
import streamlit as st

from ecg_core.clock import elapsed_text
from ecg_core.text import plain_markdown
from pages._ui.frame import SIMULATED, cards, draw_frame, guarded, legend, theme
from pages._ui.live import (
    OVERLAP_S,
    POLL_S,
    begin,
    checked_source,
    counts_text,
    demo_record,
    leave,
    log_rows,
    lsl_streams,
    open_kept,
    stop,
    strip_data,
    trace_component,
    vital_cards,
)

DEMO, OPEN, LSL, TCP = "The demo record", "The open record", "Lab Streaming Layer", "Lines on a port of this computer"
SPEEDS = {1.0: "real time", 2.0: "2 x", 5.0: "5 x", 20.0: "20 x"}
HORIZONS_S = (0.5, 1.0, 2.0, 5.0)
ROW_PX, MOST_ROWS = 35, 6
NO_MONITOR = "For research: this is **no patient monitor**. Nobody's safety may rest on it."


@guarded
def start(source: str) -> None:
    """Begin what was chosen; for a callback."""
    chosen = st.session_state
    record = {DEMO: demo_record, OPEN: lambda: workspace.records[workspace.current]}.get(source, lambda: None)()
    text = "" if record else checked_source("lsl" if source == LSL else "tcp", str(chosen["stream_name"] or ""))
    begin(
        text, record=record, speed=chosen.get("speed", 1.0) if record else 1.0, horizon_s=chosen["horizon"],
        lead=chosen.get("lead", "auto"), keep=chosen[f"keep {record is not None}"],
    )  # fmt: skip


@guarded
def choose_source() -> None:
    """What to watch, and how."""
    st.markdown(
        "Watch a stream: each beat gets its label a fixed while after it, by the network that reads whole recordings."
    )
    what, how = st.columns(2, gap="large", border=True)
    with what:
        sources = [DEMO, *([OPEN] if workspace.current else []), LSL, TCP]
        source = st.radio("Source", sources, key="source")
        replayed = source in (DEMO, OPEN)
        if replayed:
            st.segmented_control("Speed", list(SPEEDS), default=1.0, required=True, format_func=SPEEDS.get, key="speed")
        elif source == LSL:
            name_lsl_stream()
        else:
            st.number_input("Port", 1, 65535, 5555, key="stream_name")
            st.caption("From this computer only; `docs/live.md` shows the lines, and how a device is bridged to it.")
    with how:
        st.segmented_control(
            "Horizon", HORIZONS_S, default=2.0, required=True, format_func=lambda s: f"{s:g} s", key="horizon",
            help="A beat waits so long for its label. The longer, the more of what follows it is seen.",
        )  # fmt: skip
        if source == OPEN:
            choices = {"auto": "All, each as well as it can be read"}
            choices |= {name: name for name in workspace.records[workspace.current].lead_names}
            st.selectbox("Leads to read", list(choices), format_func=choices.get, key="lead")
        st.toggle("Keep this recording", value=not replayed, key=f"keep {replayed}")
        st.button("Start", type="primary", width="stretch", on_click=start, args=(source,))
    st.caption(NO_MONITOR)


def name_lsl_stream() -> None:
    """Name a stream of the layer, or look for what is there."""
    if st.button("Look for streams"):
        st.session_state["found"] = guarded(lsl_streams)() or []
        if not st.session_state["found"]:
            st.info("No stream is there now. Start the sender, and look again.")
    found = st.session_state.get("found", [])
    st.selectbox("Name", found, accept_new_options=True, index=0 if found else None, key="stream_name")


def mark() -> None:
    """Set a mark where the strip is; for a callback."""
    time_s = st.session_state["strip"].get("mark")
    if time_s is not None and workspace.live is not None:
        workspace.live.mark(float(time_s), f"{len(workspace.live.view(0).marks) + 1}")


@st.fragment(run_every=POLL_S)
def draw_strip() -> None:
    """Feed the moving strip."""
    live = workspace.live
    if live is None:
        return
    whole = st.session_state.pop("whole_strip", False)
    view = live.view(*([] if whole else [OVERLAP_S]))
    if (view.state, view.stream is None) != st.session_state["shown_as"]:
        st.rerun()
    if view.stream is not None and view.signal_mv.size:
        names = view.stream.lead_names
        at = names.index(st.session_state["drawn"]) if st.session_state.get("drawn") in names else 0
        trace_component()(key="strip", data=strip_data(workspace, view, view.stream, at, theme()), on_mark_change=mark)
    elif not view.has_ended:
        waits = "the first samples" if view.stream else "a sender"
        st.info(f"Waiting for {waits} ...", icon=":material/hourglass:")


@st.fragment(run_every=1.0)
def draw_vitals() -> None:
    """What is counted, and what happened."""
    if workspace.live is None:
        return
    view = workspace.live.view(0)
    cards(vital_cards(view))
    rows = log_rows(view)
    st.markdown("**Alarms, marks and what happened to the stream**")
    if rows["Time"]:
        widths = {"Time": st.column_config.Column(width=110), "How long": st.column_config.Column(width=110)}
        height = ROW_PX * (1 + min(len(rows["Time"]), MOST_ROWS)) + 3
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=height, width="stretch", column_config=widths)
    else:
        st.caption("Nothing yet.")


def draw_watch() -> None:
    """A watch that goes on, or has just ended."""
    view = workspace.live.view(0)
    ended = view.has_ended
    st.session_state.update(whole_strip=True, shown_as=(view.state, view.stream is None))
    simulated = f" :orange-badge[{SIMULATED}]" if view.stream and view.stream.is_simulated else ""
    st.title(f"Live: {plain_markdown(view.stream.name)}{simulated}" if view.stream else "Live", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if view.stream and len(view.stream.lead_names) > 1:
            names = list(view.stream.lead_names)
            rhythm = names.index("II") if "II" in names else 0
            st.selectbox(
                "Lead that is drawn", names, index=rhythm, key="drawn", width=160, label_visibility="collapsed",
                format_func="Lead {}".format,
            )  # fmt: skip
        icon = ":material/close:" if ended else ":material/stop:"
        st.button("Close" if ended else "Stop", on_click=leave if ended else stop, icon=icon)
    if ended and view.problem:
        st.error(plain_markdown(workspace.plain(view.problem)), icon=":material/error:")
    elif ended:
        st.success(f"The watch has ended. {counts_text(view)}.", icon=":material/check:")
    if ended and view.recording is not None:
        label = f"Open the recording of {elapsed_text(view.end_s)} for review"
        if st.button(label, type="primary"):
            guarded(open_kept)(view.recording)
            st.switch_page("pages/record.py")
    draw_strip()
    legend()
    draw_vitals()
    st.caption(NO_MONITOR)


workspace = draw_frame()
if workspace.live is None:
    st.title("Live", anchor=False)
    choose_source()
else:
    draw_watch()
