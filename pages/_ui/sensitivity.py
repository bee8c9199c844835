"""The control of the sensitivity: how readily beats are called V or S, in the words of what each mode was worth."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ecg_core.rules import BALANCED, SENSITIVITIES
from ecg_core.schema import Analysis, Record
from ecg_core.text import plain_markdown

from .actions import change_rules
from .frame import guarded
from .view import study_key
from .workspace import current_workspace

HELP = "No signal is read again: the beats that were found are classified by another operating point of the model."


def draw_sensitivity(analysis: Analysis) -> None:
    """Draw the choice of the mode, and what each one does; without operating points, why there is no choice."""
    record, chosen = analysis.record, analysis.rules.sensitivity
    points = analysis.model.operating_points_of(len(analysis.usual_leads))
    key = study_key(f"sensitivity {chosen}", record.sha256)  # another one with each choice: it shows what counts
    st.segmented_control(
        "Sensitivity", list(SENSITIVITIES), default=chosen, key=key, required=True, help=HELP,
        format_func=lambda mode: SENSITIVITIES[mode], on_change=choose_sensitivity, args=(record, key),
        disabled=not points or not current_workspace().may_edit(record.sha256),
    )  # fmt: skip
    if not points:
        st.caption(
            f"Model {plain_markdown(analysis.model.name)} can only be balanced: it states no operating points that "
            "were measured on patients it has not seen."
        )
    for mode, point in points.items():
        text = f"{point.text}. {point.aim_text}".strip().rstrip(".") + "."
        st.caption(f"**{text}**" if mode == chosen else text)


def sensitivity_menu(analysis: Analysis) -> None:
    """Draw a button with the name of the mode, which opens the control."""
    mode = analysis.rules.sensitivity
    icon = ":material/tune:" if mode == BALANCED else ":material/warning:"
    with st.popover(SENSITIVITIES[mode], icon=icon, width="content", help="How readily beats are called V or S"):
        draw_sensitivity(analysis)


@guarded
def choose_sensitivity(record: Record, key: str) -> None:
    """Measure again by the mode that was chosen; for callbacks."""
    mode, shown = st.session_state.get(key), current_workspace().analysis(record.sha256)
    if mode in SENSITIVITIES and mode != shown.rules.sensitivity:
        change_rules(record, replace(shown.rules, sensitivity=mode))
