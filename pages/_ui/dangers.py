"""What pages begin with: dangers in red, each with a way to its place, and what was not judged or not looked at."""

from __future__ import annotations

import streamlit as st

from ecg_core.figures import MARGIN_PX, STANDARD, strip_figure, strip_text
from ecg_core.report.dangers import Danger, dangers, nothing_judged, remarks_below, unread_text
from ecg_core.report.operating import chosen_sensitivity
from ecg_core.report.strip_selection import STRIP_S, clearest_lead, strip_start_s
from ecg_core.schema import Analysis
from ecg_core.text import plain_markdown

from .figures import show, theme
from .page_width import paper_seconds
from .view import address, cached, strip


def draw_dangers(analysis: Analysis) -> None:
    """Draw a red line for each kind of danger, the sensitivity where it is not balanced, and what remains open."""
    found, is_judged = dangers(analysis), not nothing_judged(analysis)
    with st.container(key="dangers"):
        if not is_judged:
            st.error(f"{plain_markdown(unread_text(analysis))}.", icon=":material/signal_disconnected:")
        for danger in found:
            line, way = st.columns([10, 1], vertical_alignment="center", gap="small")
            line.error(plain_markdown(danger.text), icon=":material/emergency_home:")
            if way.button("Review", key=f"danger {danger.kind}", help="Shows the longest episode", width="stretch"):
                st.switch_page("pages/review.py", query_params=address(analysis.record, danger.longest.start_s))
    for text in chosen_sensitivity(analysis):
        st.info(f"{plain_markdown(text)}.", icon=":material/tune:")
    icon = ":material/check_circle: " if is_judged and not found else ""
    st.caption(icon + " ".join(f"{plain_markdown(text)}." for text in remarks_below(analysis)))


def draw_worst_place(analysis: Analysis) -> None:
    """Draw the strip of the longest episode of the most serious danger, or of its beginning; nothing without one."""
    for danger in dangers(analysis)[:1]:
        _draw_strip(analysis, danger)


def _draw_strip(analysis: Analysis, danger: Danger) -> None:
    record, event, colours = analysis.record, danger.longest, theme()
    length_s = min(STRIP_S, paper_seconds(STANDARD, MARGIN_PX))
    start_s = strip_start_s(event.start_s, event.end_s, duration_s=record.duration_s, length_s=length_s)
    name = clearest_lead(analysis, start_s)
    figure = cached(
        "danger", (analysis, length_s, colours),
        lambda: strip_figure(
            analysis, (strip(record, name, start_s=start_s, length_s=length_s),), length_s=length_s, theme=colours
        ),
    )  # fmt: skip
    show(figure, "danger", alt=strip_text(analysis, (start_s, start_s + length_s), [name]), width="content")
