"""From the whole recording to the strip and to the single beat; beats are edited and intervals measured here."""

from functools import partial

import streamlit as st

from ecg_core.evaluation.comparison import Disagreements
from ecg_core.figures import disclosure_figure, probability_figure, strip_figure, strip_text, trend_figure
from ecg_core.morphology.filtered import FILTER_TEXT
from ecg_core.report.dangers import findings
from ecg_core.schema import Analysis, Float64, Record
from pages._ui import commands
from pages._ui.figures import legend, show, theme
from pages._ui.frame import current_analysis, draw_again_if_noticed, facts, guarded, heading, show_progress
from pages._ui.kept_measurements import (
    Measurement,
    measurement_texts,
    measurements_of,
    remove_measurement,
    within_strip,
)
from pages._ui.key_sheet import key_sheet
from pages._ui.label_bar import label_bar
from pages._ui.learning import draw_proposal, learning_job
from pages._ui.report_strips import to_report_button
from pages._ui.sensitivity import sensitivity_menu
from pages._ui.strip_gestures import strip_gestures
from pages._ui.strip_layout import BESIDE_PX, GAP_PX, Layout, choose_layout, has_room_beside
from pages._ui.tables import beat_facts, by_severity, events_table, no_finding_text, short_name
from pages._ui.view import (
    PAGE_S,
    cached,
    cached_disagreements,
    cached_stations,
    check_by_occlusion,
    counted,
    current_time_s,
    follow_address,
    go_to_selected,
    leads_to_draw,
    nearest_beat,
    neighbour,
    occlusion_text,
    probability_note,
    remember,
    stepped_through,
    stepping_key,
    strip,
    strip_start_s,
    study_key,
)
from pages._ui.wording import NONE
from pages._ui.workspace import current_workspace

TREND_PX = 96  # of the whole recording, slim enough for the strip to be seen below it
STYLE = """<style>
.st-key-review_side { min-width: 0; }
.st-key-review_strip, .st-key-label_bar { gap: 0.3rem; }
.st-key-label_bar button { padding-left: 0.6rem; padding-right: 0.6rem; }
.st-key-strip_row { gap: 0.4rem; }
</style>"""
BESIDE = f"""<style>.st-key-review {{ display: grid !important; align-items: start;
  grid-template-columns: minmax(0, 1fr) {BESIDE_PX}px; gap: 0 {GAP_PX}px; }}</style>"""


def choose_steps(record: Record, places: dict[str, Float64], time_s: float, length_s: float) -> None:
    """Draw what is stepped through, and the buttons that move through the record, each with its key."""
    key = stepping_key()
    if stepped_through() in places:
        st.session_state[key] = stepped_through()  # stays, though its count may have changed
    stepped = st.selectbox(
        "Step through", list(places), key=key, persist_state="session", width=190, label_visibility="collapsed",
        format_func=lambda name: counted(name, len(places[name])), help="What N and P step through",
    )  # fmt: skip
    times_s = places.get(stepped)
    for name, key, by in (("Previous", "P", -1), ("Next", "N", 1)):
        is_end = times_s is None or neighbour(times_s, time_s, by) is None
        st.button(name, shortcut=key, key=name, disabled=is_end, on_click=guarded(commands.step), args=(record, by))
    for name, key, by in (("Back", "Left", -1), ("Forward", "Right", 1)):
        st.button(name, shortcut=key, key=name, on_click=guarded(commands.turn_page), args=(record, by))
    st.text_input(
        "Go to", key="goto", placeholder="Go to: G", label_visibility="collapsed", width=110,
        on_change=guarded(commands.go_to_typed), args=(record,),
        help="14:05, 14:05:30, with its day 2:14:05:30; from the start 1h02m or 3723 s; a step +30 or -30",
    )  # fmt: skip


def draw_trend(analysis: Analysis, page_s: float) -> None:
    """Draw the whole recording; a stretch that is dragged across leads to its time."""
    colours = theme()
    trend = cached(
        "trend", (analysis, page_s, colours),
        lambda: trend_figure(analysis, theme=colours, marked_s=(page_s, page_s + PAGE_S), height_px=TREND_PX),
    )  # fmt: skip
    show(trend, "day", alt="Trend", on_select=lambda: go_to_selected("day"))


def draw_strip(analysis: Analysis, layout: Layout, start_s: float, beat: int | None, differ: Disagreements) -> None:
    """Draw the strip, in rows where it is longer than the paper."""
    record, names = analysis.record, leads_to_draw(analysis.record, layout.lead, layout.n_leads)
    for row in range(layout.n_rows):
        span_s = (start_s + row * layout.row_s, start_s + (row + 1) * layout.row_s)
        leads = tuple(
            strip(record, name, start_s=span_s[0], length_s=layout.row_s, filtered=layout.filtered) for name in names
        )
        figure = strip_figure(
            analysis, leads, length_s=layout.row_s, selected=beat, differ=differ,
            shaded=commands.shaded_finding(record), show_attention=layout.attention, show_reference=layout.reference,
            scale=layout.scale, theme=theme(),
        )  # fmt: skip
        if layout.filtered:
            figure.add_annotation(
                text=FILTER_TEXT, xref="paper", x=1, xanchor="right", yref="y domain", y=1, yanchor="top",
                showarrow=False, font={"size": 10, "color": theme().faint},
            )  # fmt: skip
        show(figure, f"strip{row}", alt=strip_text(analysis, span_s, names), width="content")


def draw_tools(record: Record, layout: Layout, start_s: float, measured: list[Measurement], texts: list[str]) -> None:
    """Draw the modes of the mouse, with what handles keys and gestures, and the way to the report."""
    with st.container(horizontal=True, vertical_alignment="center", key="strip_row"):
        strip_gestures(
            study=record.sha256,
            handled=commands.handled_command(),
            chosen_s=commands.chosen_range(record),
            measured=[(one.start_s, one.end_s, f"{one.interval} {1000 * one.length_s:.0f}") for one in measured],
            scroll=st.session_state.get(commands.SCROLL, 0),
            on_commands=partial(commands.perform_sent, record.sha256),
        )
        to_report_button(record, start_s, layout.length_s, measured="; ".join(texts))


def list_measurements(record: Record, measured: list[Measurement], texts: list[str]) -> None:
    """List what is measured in the strip, each with a button that removes it."""
    for one, text in zip(measured, texts, strict=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"**{text}**", width="content")
            st.button(
                "Remove", key=f"remove {one}", type="tertiary", on_click=guarded(remove_measurement),
                args=(record.sha256, one), disabled=not current_workspace().may_edit(record.sha256),
            )  # fmt: skip


def draw_beat(analysis: Analysis, beat: int, differ: Disagreements) -> None:
    """Draw what is known of the chosen beat, its probabilities, and the occlusion check of its attention."""
    facts(beat_facts(analysis, beat, differ))
    show(probability_figure(analysis, beat, theme=theme()), "probability", alt="Probability of each class")
    if note := probability_note(analysis, beat):
        st.caption(note)
    st.caption("Attention shows which parts of the signal the network weighted. It is not an explanation of the class.")
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
        st.caption(no_finding_text(analysis))
    if not analysis.events:
        return
    events = cached("by_severity", analysis, lambda: by_severity(analysis.events))
    kinds = st.pills(
        "Kinds", list(dict.fromkeys(event.kind for event in events)), selection_mode="multi",
        format_func=short_name, key=study_key("kinds", analysis.record.sha256),
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    listed = [event for event in events if not kinds or event.kind in kinds]
    key = study_key("found", analysis.record.sha256)
    table = cached("events_table", (analysis, tuple(kinds)), lambda: events_table(analysis, listed))
    st.dataframe(
        table, hide_index=True, height=240, key=key, selection_mode="single-row", placeholder=NONE,
        on_select=partial(commands.show_row, key, analysis.record, listed),
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
    """Trend, strip, beat, findings and full disclosure; a step or an edit redraws these and nothing else."""
    draw_again_if_noticed()
    workspace = current_workspace()
    analysis = workspace.analysis(record.sha256)
    differ, places = cached_disagreements(analysis), cached_stations(analysis)
    time_s = current_time_s(record)

    with st.container(key="review"):
        main, side = st.container(key="review_strip"), st.container(key="review_side")
    with main:
        trend = st.container()
        controls = st.container(horizontal=True, vertical_alignment="center", gap="xsmall")
        shown = st.container()
        with controls:
            steps = st.container(horizontal=True, vertical_alignment="center", gap="xsmall")
            layout = choose_layout(analysis)
            st.button("Keys ?", key="sheet", on_click=commands.show_sheet, help="All keys and gestures of this page")
    start_s = strip_start_s(record, time_s, layout.length_s)
    span_s = (start_s, start_s + layout.length_s)
    beat = nearest_beat(analysis, time_s, within_s=span_s)
    with shown:  # before all else: it is what the reader waits for
        draw_strip(analysis, layout, start_s, beat, differ)
        remember(record, time_s)
        measured = within_strip(measurements_of(record.sha256), span_s)
        texts = measurement_texts(analysis, measured, span_s)
        draw_tools(record, layout, start_s, measured, texts)
        label_bar(analysis, beat, places)
        list_measurements(record, measured, texts)
        progress = st.container()
    minutes = main.container() if has_room_beside() else st.container()
    with steps:
        choose_steps(record, places, time_s, layout.length_s)
    page_s = time_s // PAGE_S * PAGE_S
    with trend:
        draw_trend(analysis, page_s)
    with side:
        draw_findings(analysis)
        if beat is not None:
            draw_beat(analysis, beat, differ)
    with minutes:
        draw_minutes(analysis, layout.lead, page_s, span_s)
    if commands.sheet_is_asked_for():
        key_sheet()
    with progress:
        draw_proposal(analysis)
    if (job := workspace.job_of(record.sha256) or learning_job(record.sha256)) is not None:
        with progress:
            show_progress(job)


analysis = current_analysis(wait=False)
follow_address()
st.html(STYLE + BESIDE if has_room_beside() else STYLE)
with st.container(horizontal=True, vertical_alignment="center"):
    heading(f"Review of {analysis.record.record_id}", analysis.record)
    sensitivity_menu(analysis)
    legend()
viewer(analysis.record)
