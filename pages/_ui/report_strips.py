"""The strips of the report: chosen in Review, captioned, ordered and removed on the page Report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from ecg_core.clock import clock_text
from ecg_core.notes import ReportStrip
from ecg_core.report.strip_selection import STRIP_S, strip_sections
from ecg_core.schema import Analysis, Record
from ecg_core.studies.study_notes import set_report_strips

from .frame import guarded
from .view import SAME_S, address, study_key
from .workspace import current_workspace


def caption_key(record: Record) -> str:
    """Key of the caption of the next strip."""
    return study_key("report_caption", record.sha256)


def to_report_button(record: Record, start_s: float, length_s: float, *, measured: str = "") -> None:
    """Draw the button that adds the ten seconds in the middle of the strip to the report.

    Its caption is what the reader typed, and what was measured in the strip.
    """
    workspace = current_workspace()
    strip = ReportStrip(min(max(0.0, start_s + (length_s - STRIP_S) / 2), max(0.0, record.duration_s - STRIP_S)))
    may_edit, is_there = (
        workspace.may_edit(record.sha256),
        _place(workspace.notes(record.sha256).strips, strip) is not None,
    )
    st.button(
        "To report", shortcut="T", icon=":material/note_add:", key="to_report", disabled=not may_edit,
        type="primary" if is_there else "secondary", on_click=guarded(_add), args=(record, strip, measured),
        help="Is in the report; takes its caption again" if is_there else "Adds this strip to the report",
    )  # fmt: skip
    with st.popover("Caption", width="content", disabled=not may_edit):
        st.text_input("Caption of the strip in the report", key=caption_key(record), persist_state="session")


def draw_report_strips(analysis: Analysis) -> None:
    """Draw the strips that the report will have: those of the reader to be edited, the automatic ones as a list."""
    record = analysis.record
    strips = current_workspace().notes(record.sha256).strips
    st.header(f"Strips chosen by the reader ({len(strips)})", anchor=False)
    if not strips:
        st.caption("None yet. In Review, press T to add the strip that is shown.")
    for number, strip in enumerate(strips):
        _draw_strip(record, strips, number, strip)
    with st.expander("Automatic strips"):
        st.dataframe(automatic_strips(analysis), hide_index=True, height="content")


def automatic_strips(analysis: Analysis) -> pd.DataFrame:
    """One row for each strip that the report chooses itself."""
    rows = [
        {
            "Section": section.name,
            "Strip": "; ".join(strip.titles),
            "From": clock_text(analysis.record, strip.start_s, decimals=1),
        }
        for section in strip_sections(analysis)
        for strip in section.strips
    ]
    return pd.DataFrame(rows, columns=["Section", "Strip", "From"])


def _draw_strip(record: Record, strips: Sequence[ReportStrip], number: int, strip: ReportStrip) -> None:
    """Draw one strip's place, caption and order; its controls are known by its time, wherever it stands by now."""
    fixed = not current_workspace().may_edit(record.sha256)
    place, caption, up, down, away = st.columns([3, 10, 1, 1, 1], vertical_alignment="center", gap="small")
    if place.button(
        clock_text(record, strip.start_s, decimals=1), key=f"strip {strip.start_s}", help="Shows it in Review"
    ):
        st.switch_page("pages/review.py", query_params=address(record, strip.start_s + STRIP_S / 2))
    key = f"caption {hash((record.sha256, strip))}"
    caption.text_input(
        "Caption", strip.caption, key=key, label_visibility="collapsed", placeholder="Caption", disabled=fixed,
        on_change=guarded(_set_caption), args=(record, strip, key),
    )  # fmt: skip
    moves = ((up, "Up", -1, ":material/arrow_upward:"), (down, "Down", 1, ":material/arrow_downward:"))
    for column, name, step, icon in moves:
        column.button(
            "", icon=icon, key=f"{name} {strip.start_s}", help=name, on_click=guarded(_move),
            args=(record, strip, step), disabled=fixed or not 0 <= number + step < len(strips),
        )  # fmt: skip
    away.button(
        "", icon=":material/delete:", key=f"Remove {strip.start_s}", help="Remove from the report", disabled=fixed,
        on_click=guarded(_remove), args=(record, strip),
    )  # fmt: skip


def _place(strips: Sequence[ReportStrip], strip: ReportStrip) -> int | None:
    """Position of a strip among those of the report; None where it is not one of them."""
    return next((i for i, one in enumerate(strips) if abs(one.start_s - strip.start_s) < SAME_S), None)


def _save(record: Record, strips: Sequence[ReportStrip]) -> None:
    current_workspace().save(set_report_strips, record.sha256, tuple(strips))


def _add(record: Record, strip: ReportStrip, measured: str) -> None:
    """Add a strip with the caption that was typed, or give that caption to the strip where it is there already."""
    typed = st.session_state.get(caption_key(record), "").strip()
    caption = ". ".join(part.rstrip(".") if measured else part for part in (typed, measured) if part)
    add_strips(record, [replace(strip, caption=caption)], with_captions=True)
    st.session_state[caption_key(record)] = ""


def add_strips(record: Record, added: Sequence[ReportStrip], *, with_captions: bool = False) -> None:
    """Add strips to the report, in one change; one that is there already keeps its caption or gets the new one."""
    strips = list(current_workspace().notes(record.sha256).strips)
    for strip in added:
        place = _place(strips, strip)
        if place is None:
            strips.append(strip)
        elif with_captions or not strips[place].caption:
            strips[place] = strip
    _save(record, strips)


def _set_caption(record: Record, strip: ReportStrip, key: str) -> None:
    strips = list(current_workspace().notes(record.sha256).strips)
    if (place := _place(strips, strip)) is not None:
        strips[place] = replace(strips[place], caption=st.session_state[key].strip())
        _save(record, strips)


def _move(record: Record, strip: ReportStrip, step: int) -> None:
    strips = list(current_workspace().notes(record.sha256).strips)
    place = _place(strips, strip)
    if place is not None and 0 <= place + step < len(strips):
        strips[place], strips[place + step] = strips[place + step], strips[place]
        _save(record, strips)


def _remove(record: Record, strip: ReportStrip) -> None:
    strips = list(current_workspace().notes(record.sha256).strips)
    if (place := _place(strips, strip)) is not None:
        del strips[place]
        _save(record, strips)
