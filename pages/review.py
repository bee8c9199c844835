"""From the whole recording to the strip and to the single beat; beats are labelled here."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from ecg_core.evaluation.comparison import Disagreements
from ecg_core.figures import (
    MARGIN_PX,
    Scale,
    disclosure_figure,
    probability_figure,
    strip_figure,
    strip_text,
    trend_figure,
)
from ecg_core.report.dangers import findings
from ecg_core.rhythm.events import KIND_NAMES
from ecg_core.schema import Analysis, Float64, Record
from pages._ui.figures import show, theme
from pages._ui.frame import current_analysis, draw_again_if_noticed, facts, guarded, heading, legend, show_progress
from pages._ui.label_bar import label_bar
from pages._ui.page_width import strip_rows
from pages._ui.report_strips import to_report_button
from pages._ui.tables import NO_FINDING, beat_facts, by_severity, events_table
from pages._ui.view import (
    PAGE_S,
    cached,
    cached_disagreements,
    check_by_occlusion,
    current_time_s,
    go_to,
    go_to_row,
    go_to_selected,
    leads_to_draw,
    nearest_beat,
    neighbour,
    occlusion_text,
    probability_note,
    remember,
    stations,
    strip,
    strip_start_s,
    study_key,
)
from pages._ui.wording import NONE
from pages._ui.workspace import current_workspace


@dataclass(frozen=True)
class Layout:
    """How the strip is drawn, and which beats are stepped through."""

    stepped: str
    lead: str
    n_leads: int
    n_rows: int
    row_s: float
    scale: Scale

    @property
    def length_s(self) -> float:
        """Seconds of all rows."""
        return self.n_rows * self.row_s


def view_as_left(analysis: Analysis) -> dict[str, Any]:
    """How the strip of a study was left, by the keys of its controls; as it is drawn at first where it never was."""
    names, analysed = analysis.record.lead_names, analysis.lead_names
    # beats are shown in all the leads that were analysed, where these are few
    n_leads = 3 if len(analysed) > 1 and len(names) <= 3 else 1
    first = {"lead": analysed[0], "leads": n_leads, "sec": 10, "speed": 25, "gain": 10}
    left = current_workspace().study(analysis.record.sha256).view
    view = {name: left.get(name, value) for name, value in first.items()}
    return view if view["lead"] in names else {**view, "lead": analysed[0]}


def take_view(sha256: str, left: dict[str, Any]) -> None:
    """Let the controls show how a study was left, where they show another one; an address decides in a new window."""
    if st.session_state.setdefault("drawn_study", sha256) != sha256:
        st.session_state.update(left)
        st.session_state["drawn_study"] = sha256


def choose_layout(analysis: Analysis, places: dict[str, Float64]) -> Layout:
    """Draw the choices of what to step through and how to draw the strip, which is kept in the study."""
    names, left = analysis.record.lead_names, view_as_left(analysis)
    take_view(analysis.record.sha256, left)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.session_state.get("what") in places:
            st.session_state["what"] = st.session_state["what"]  # stays, though its count may have changed
        stepped = st.selectbox(
            "Step through", list(places), key="what", persist_state="session", width=300,
            format_func=lambda name: f"{name} ({len(places[name]):,})",
        )  # fmt: skip
        lead = st.selectbox("Lead", names, index=names.index(left["lead"]), key="lead", bind="query-params", width=90)
        n_leads = st.segmented_control(
            "Number of leads", [1, 3, 6, 12], default=left["leads"], key="leads", bind="query-params",
            required=True,
        )  # fmt: skip
        length_s = st.segmented_control(
            "Seconds", [6, 10, 30], default=left["sec"], key="sec", bind="query-params", required=True
        )
        speed = st.segmented_control(
            "mm/s", [12.5, 25, 50], default=left["speed"], key="speed", bind="query-params", required=True
        )
        gain = st.segmented_control(
            "mm/mV", [5, 10, 20], default=left["gain"], key="gain", bind="query-params", required=True
        )
    view = {"lead": lead, "leads": n_leads, "sec": length_s, "speed": speed, "gain": gain}
    current_workspace().remember(analysis.record.sha256, **view)
    scale = Scale(speed, gain)
    return Layout(stepped, lead, n_leads, *strip_rows(length_s, scale, MARGIN_PX), scale)


def step_buttons(times: Float64, time_s: float, length_s: float) -> None:
    """Draw the buttons that move through the record, each with its key."""
    previous_s, next_s = neighbour(times, time_s, -1), neighbour(times, time_s, 1)
    moves = [
        ("Previous", "P", previous_s, ":material/skip_previous:"),
        ("Back", "Left", time_s - length_s, ":material/chevron_left:"),
        ("Forward", "Right", time_s + length_s, ":material/chevron_right:"),
        ("Next", "N", next_s, ":material/skip_next:"),
    ]
    for name, key, target_s, icon in moves:
        st.button(name, shortcut=key, icon=icon, key=name, disabled=target_s is None, on_click=go_to, args=(target_s,))


def draw_trend(analysis: Analysis, page_s: float) -> None:
    """Draw the whole recording; a click leads to its time."""
    colours = theme()
    trend = cached(
        "trend", (analysis, page_s, colours),
        lambda: trend_figure(analysis, theme=colours, marked_s=(page_s, page_s + PAGE_S), height_px=120),
    )  # fmt: skip
    show(trend, "day", alt="Trend", on_select=lambda: go_to_selected("day"))


def draw_strip(analysis: Analysis, layout: Layout, start_s: float, beat: int | None, differ: Disagreements) -> None:
    """Draw the strip, in rows where it is longer than the paper."""
    record, names = analysis.record, leads_to_draw(analysis.record, layout.lead, layout.n_leads)
    for row in range(layout.n_rows):
        span_s = (start_s + row * layout.row_s, start_s + (row + 1) * layout.row_s)
        pieces = tuple(strip(record, name, start_s=span_s[0], length_s=layout.row_s) for name in names)
        figure = strip_figure(
            analysis, pieces, length_s=layout.row_s, selected=beat, differ=differ, scale=layout.scale, theme=theme()
        )
        key, alt = f"strip{row}", strip_text(analysis, span_s, names)
        show(figure, key, alt=alt, width="content", on_select=partial(go_to_selected, key))


def draw_beat(analysis: Analysis, beat: int, differ: Disagreements) -> None:
    """Draw what is known of the chosen beat, its probabilities, and the occlusion check of its attention."""
    measured, classified = st.columns(2, gap="medium")
    with measured:
        facts(beat_facts(analysis, beat, differ))
    with classified:
        show(probability_figure(analysis, beat, theme=theme()), "probability", alt="Probability of each class")
        if note := probability_note(analysis, beat):
            st.caption(note)
        st.caption(
            "Attention shows which parts of the signal the network weighted. It is not an explanation of the class."
        )
        result = occlusion_text(analysis, beat)
        if result:
            st.markdown(result)
        else:
            st.button(
                "Check the attention by occlusion", on_click=guarded(check_by_occlusion), args=(analysis, beat),
                icon=":material/visibility_off:", shortcut="O",
            )  # fmt: skip


def draw_findings(analysis: Analysis) -> None:
    """Draw the events, of all kinds or of some; a row leads to its strip."""
    n_found = len(findings(analysis))
    st.header(f"Findings ({n_found:,})", anchor=False)
    if not n_found:
        st.caption(NO_FINDING)
    if not analysis.events:
        return
    events = by_severity(analysis.events)
    kinds = st.pills(
        "Kinds", list(dict.fromkeys(event.kind for event in events)), selection_mode="multi",
        format_func=KIND_NAMES.__getitem__, key=study_key("kinds", analysis.record.sha256),
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    listed = [event for event in events if not kinds or event.kind in kinds]
    key = study_key("found", analysis.record.sha256)
    st.dataframe(
        events_table(analysis, listed), hide_index=True, height=240, key=key, selection_mode="single-row",
        placeholder=NONE,
        on_select=partial(go_to_row, key, listed),
    )  # fmt: skip


def draw_minutes(analysis: Analysis, lead: str, page_s: float, marked_s: tuple[float, float]) -> None:
    """Draw the minutes around the strip, one below the other."""
    st.header("Full disclosure", anchor=False)
    colours = theme()
    minutes = strip(analysis.record, lead, start_s=page_s, length_s=PAGE_S)
    disclosure = cached(
        "minutes", (analysis, lead, page_s, marked_s, colours),
        lambda: disclosure_figure(analysis, minutes, theme=colours, marked_s=marked_s),
    )  # fmt: skip
    show(
        disclosure,
        "minutes",
        alt="Each minute in a row, ectopic beats in the colour of their class",
        on_select=lambda: go_to_selected("minutes"),
    )


@st.fragment
@guarded
def viewer(record: Record) -> None:
    """Trend, strip, beat, findings and full disclosure; a step or a label redraws these and nothing else."""
    draw_again_if_noticed()
    workspace = current_workspace()
    analysis = workspace.analysis(record.sha256)
    differ, places = cached_disagreements(analysis), stations(analysis, cached_disagreements(analysis))
    time_s = current_time_s(record)
    remember(record, time_s)

    trend = st.container()
    layout = choose_layout(analysis, places)
    with st.container(horizontal=True, vertical_alignment="center"):
        step_buttons(places.get(layout.stepped, analysis.beats.time_s), time_s, layout.length_s)
        to_report = st.container(horizontal=True, vertical_alignment="center", width="content")
        legend()

    start_s = strip_start_s(record, time_s, layout.length_s)
    with to_report:
        to_report_button(record, start_s, layout.length_s)
    span_s = (start_s, start_s + layout.length_s)
    page_s, beat = time_s // PAGE_S * PAGE_S, nearest_beat(analysis, time_s, within_s=span_s)
    with trend:
        draw_trend(analysis, page_s)
    draw_strip(analysis, layout, start_s, beat, differ)
    label_bar(analysis, beat, places)
    progress = st.container()
    if beat is not None:
        draw_beat(analysis, beat, differ)
    draw_findings(analysis)
    draw_minutes(analysis, layout.lead, page_s, span_s)
    if (job := workspace.job_of(record.sha256)) is not None:
        with progress:
            show_progress(job)


analysis = current_analysis(wait=False)
heading(f"Review of {analysis.record.record_id}", analysis.record)
viewer(analysis.record)
