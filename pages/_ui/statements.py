"""What pages say beside dangers: doubts, leads that failed, a verdict, an uncertain S count; and how to check them."""

from __future__ import annotations

from typing import Final

import streamlit as st

from ecg_core.report.statements import (
    FILE_DOUBT,
    LEADS,
    LEFT_OUT,
    SVE_UNCERTAIN,
    UNLIKE_TRAINING,
    VERDICT,
    Statement,
    doubtful_beats,
    lead_changes,
    statements,
)
from ecg_core.schema import Analysis
from ecg_core.text import plain_markdown

from .gallery_verdicts import open_gallery
from .view import address

ABOUT_THE_FILE: Final = (FILE_DOUBT, LEFT_OUT)
WARNING: Final = ":material/help:"
CALM: Final = ":material/monitor_heart:"
GALLERY_TITLE: Final = "S beats, the least certain first"
QUERIED_TITLE: Final = "Queried beats, the most informative first"
REVIEW_HELP: Final = "Shows the recording from its start"
LEADS_HELP: Final = "Shows the first of these stretches"


def draw_statements(analysis: Analysis) -> None:
    """Draw a line for each statement, in the style of a warning where the program is not sure."""
    with st.container(key="statements"):
        for statement in statements(analysis):
            text = f"{plain_markdown(statement.text)}."
            if statement.kind in ABOUT_THE_FILE:  # the file is not on any page
                _draw_text(text, is_warning=statement.is_warning)
                continue
            line, way = st.columns([10, 1], vertical_alignment="center", gap="small")
            with line:
                _draw_text(text, is_warning=statement.is_warning)
            with way:
                _draw_way(analysis, statement)


def _draw_text(text: str, *, is_warning: bool) -> None:
    if is_warning:
        st.warning(text, icon=WARNING)
    else:
        st.markdown(f"{CALM} {text}")


def _draw_way(analysis: Analysis, statement: Statement) -> None:
    """Draw the button that leads to where a statement can be checked."""
    if statement.kind == SVE_UNCERTAIN:
        beats = doubtful_beats(analysis)
        if len(beats) and st.button("Gallery", key="to doubtful beats", help=GALLERY_TITLE, width="stretch"):
            open_gallery(analysis, beats, GALLERY_TITLE)
    elif statement.kind == UNLIKE_TRAINING:
        queried = analysis.queried
        if len(queried) and st.button("Gallery", key="to queried beats", help=QUERIED_TITLE, width="stretch"):
            open_gallery(analysis, queried, QUERIED_TITLE)
    elif statement.kind == VERDICT and st.button("Review", key="to verdict", help=REVIEW_HELP, width="stretch"):
        st.switch_page("pages/review.py", query_params=address(analysis.record, 0.0))
    elif statement.kind == LEADS and st.button("Review", key="to other leads", help=LEADS_HELP, width="stretch"):
        first_s = lead_changes(analysis)[0][0]
        st.switch_page("pages/review.py", query_params=address(analysis.record, first_s))
