"""The beats of each class: their waveforms, morphology templates, probability and RR."""

from functools import partial

import streamlit as st

from ecg_core.figures import confidence_bars, confidence_figure, lorenz_figure, overlay_figure, rr_bars, rr_figure
from ecg_core.figures.beats import LORENZ_BEATS
from ecg_core.labels import NAME
from ecg_core.morphology.templates import split_templates
from ecg_core.text import plain_markdown
from pages._ui.chosen_beats import (
    cached_templates,
    choose_bars,
    choose_points,
    choose_templates,
    chosen_beats,
    list_beats,
)
from pages._ui.figures import show, theme
from pages._ui.frame import current_analysis, guarded, heading
from pages._ui.label_bar import undo_button
from pages._ui.view import study_key
from pages._ui.wording import plural

FIRST_CLASS = "VSFNQ"  # whose templates are shown first: those of V show ventricular foci

analysis = current_analysis()
record, beats, colours = analysis.record, analysis.beats, theme()
heading(f"Beats of {record.record_id}", record)
if not beats.usable.any():
    st.info(
        "No beat of this recording is analysable, so there is nothing to draw. Try another lead on the page Studies."
    )
    st.stop()

choice, explained, again, back = st.columns([2, 11, 4, 2], vertical_alignment="center")
analysed = record.lead_names.index(analysis.lead_names[0])
lead = choice.selectbox(
    "Lead", record.lead_names, index=analysed, key=study_key("beats_lead", record.sha256), label_visibility="collapsed"
)
explained.caption(
    f"Lead {plain_markdown(lead)} as recorded, each beat shifted to a median of 0 mV. Click a mean waveform or a "
    "bar, or drag a box around points, to list the beats."
)
chosen = chosen_beats(analysis)
if chosen and again.button("Chosen beats", icon=":material/list:", width="stretch"):
    st.session_state["list_chosen"] = True

if len(analysis.labelled):
    with back:
        undo_button(analysis)

templates = cached_templates(analysis, lead)
if templates:
    show(
        overlay_figure(templates, theme=colours), "classes",
        on_select=partial(guarded(choose_templates), "classes", beats, templates),
        alt="Overlaid and mean waveforms of each class of beats, in mV",
    )  # fmt: skip
    labels = [template.label for template in templates]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Morphology templates of class", anchor=False, width="content")
        first = next(label for label in FIRST_CLASS if label in labels)
        label = st.segmented_control(
            "Class", labels, default=first, key="template_class", required=True, label_visibility="collapsed"
        )
        whole = templates[labels.index(label)]
        parts = split_templates(whole)
        st.caption(
            f"A sample of {len(whole.beat):,} of {whole.n_beats:,} {NAME[label].lower()} beats, spread evenly over the "
            "recording. Templates differ in the shape of their QRS, not in its size."
        )
    show(
        overlay_figure(parts, theme=colours), f"templates_{label}",
        on_select=partial(guarded(choose_templates), f"templates_{label}", beats, parts),
        alt=f"Overlaid and mean waveforms of each morphology template of the {label} beats, in mV",
    )  # fmt: skip
else:
    st.info(f"Lead {plain_markdown(lead)} holds no complete beat: choose another lead.")

probability, rr, lorenz = st.columns([3, 3, 4], gap="medium")
with probability:
    st.header("Probability", anchor=False)
    show(
        confidence_figure(beats, theme=colours), "confidence", alt="Histogram of the probability of the assigned class",
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
        lorenz_figure(beats, theme=colours), "lorenz", alt="RR before against RR after each beat, coloured by class",
        on_select=partial(guarded(choose_points), "lorenz", beats),
    )  # fmt: skip
    st.caption(
        f"Colour: class of the middle beat. An evenly spread sample of at most {LORENZ_BEATS:,} beats of each class."
    )

if chosen and st.session_state.pop("list_chosen", False):
    list_beats(analysis, chosen)
