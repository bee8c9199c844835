"""All beats in templates of like shape, which are reviewed and edited as one; their probability and RR."""

from functools import partial

import streamlit as st

from ecg_core.figures import confidence_bars, confidence_figure, lorenz_figure, rr_bars, rr_figure
from ecg_core.figures.beats import LORENZ_BEATS
from ecg_core.schema import Analysis, Record
from pages._ui.chosen_beats import choose_bars, choose_points, chosen_beats, list_beats
from pages._ui.figures import show, theme
from pages._ui.frame import current_analysis, draw_again_if_noticed, guarded, heading
from pages._ui.label_bar import undo_button
from pages._ui.template_cards import draw_templates, made_templates, wait_for_templates
from pages._ui.wording import plural
from pages._ui.workspace import current_workspace

TEMPLATES, DISTRIBUTIONS = "Templates", "Probability and RR"


@st.fragment
@guarded
def templates(record: Record) -> None:
    """The cards; an edit of theirs redraws these and nothing else."""
    draw_again_if_noticed()
    if "list_chosen" in st.session_state:
        st.rerun()  # the page draws the list
    analysis = current_workspace().analysis(record.sha256)
    draw_templates(analysis, theme())
    st.caption(
        "All beats by shape, timing and certainty, those with the most doubt first: the sum of one minus the "
        "probability of each beat's class. Names stay as they are whatever is edited. Shift and click selects several; "
        "a box dragged across an overlay takes the beats through it out of the template."
    )


def distributions(analysis: Analysis) -> None:
    """Probability and RR of all beats, by class."""
    beats, colours = analysis.beats, theme()
    st.caption("Click a bar, or drag a box around points, to list the beats.")
    probability, rr, lorenz = st.columns([3, 3, 4], gap="medium")
    with probability:
        st.header("Probability", anchor=False)
        show(
            confidence_figure(beats, theme=colours), "confidence",
            alt="Histogram of the probability of the assigned class",
            on_select=partial(guarded(choose_bars), "confidence", beats, confidence_bars(beats), "probability"),
        )  # fmt: skip
        if n_unusable := int((~beats.usable).sum()):
            st.caption(f"Left out: {plural(n_unusable, 'beat')} in signal that is not analysable.")
    with rr:
        st.header("RR", anchor=False)
        show(
            rr_figure(beats, theme=colours), "rr", alt="Histogram of the RR interval before each beat by class",
            on_select=partial(guarded(choose_bars), "rr", beats, rr_bars(beats), "RR"),
        )  # fmt: skip
    with lorenz:
        st.header("Lorenz plot", anchor=False)
        show(
            lorenz_figure(beats, theme=colours), "lorenz",
            alt="RR before against RR after each beat, coloured by class",
            on_select=partial(guarded(choose_points), "lorenz", beats),
        )  # fmt: skip
        st.caption(
            "Colour: class of the middle beat. An evenly spread sample is drawn, of each class at most "
            f"{LORENZ_BEATS:,}; a box lists all beats in it."
        )


analysis = current_analysis()
record = analysis.record
heading(f"Beats of {record.record_id}", record)
if not len(analysis.beats) and analysis.changes.deleted_s:
    st.info("All beats that were found in this recording were deleted.")
    undo_button(analysis)
    st.stop()
if not len(analysis.beats):
    st.info("No beat was found in this recording. Try another lead on the page Studies.")
    st.stop()

with st.container(horizontal=True, vertical_alignment="center"):
    view = st.segmented_control(
        "View", [TEMPLATES, DISTRIBUTIONS], default=TEMPLATES, key="beats_view", required=True,
        label_visibility="collapsed", persist_state="session", width="content",
    )  # fmt: skip
    chosen = chosen_beats(analysis)
    is_listed = chosen and st.button("Chosen beats", icon=":material/list:")
is_listed = st.session_state.pop("list_chosen", False) or is_listed
if view == TEMPLATES:
    templates(record)
else:
    distributions(analysis)
if chosen and is_listed:
    list_beats(analysis, chosen)
if view == TEMPLATES and made_templates(analysis) is None:
    wait_for_templates(analysis)
