"""The beats of each class: their waveforms, the shapes they come in, how sure the classifier is, and their RR."""

from functools import partial

import streamlit as st

from ecg_core.figures import confidence_bars, confidence_figure, lorenz_figure, overlay_figure, rr_bars, rr_figure
from ecg_core.figures.beats import LORENZ_BEATS
from ecg_core.labels import NAME
from ecg_core.morphology.templates import split_templates
from ecg_core.text import plain_markdown
from pages._ui.chosen import choose_bars, choose_panels, choose_points, chosen_beats, list_beats, shapes_of
from pages._ui.frame import current_analysis, guarded, heading, show, theme
from pages._ui.labelling import undo_button
from pages._ui.tables import plural

FIRST_SPLIT = "VSFNQ"  # whose shapes are worth a look first: ventricular foci

analysis = current_analysis()
record, beats, colours = analysis.record, analysis.beats, theme()
heading(f"Beats of {record.record_id}", record)
if not beats.usable.any():
    st.info("No beat of this recording could be read, so there is nothing to draw. Another lead may read better.")
    st.stop()

choice, explained, again, back = st.columns([2, 11, 4, 2], vertical_alignment="center")
analysed = record.lead_names.index(analysis.lead_names[0])
lead = choice.selectbox("Lead", record.lead_names, index=analysed, key="beats_lead", label_visibility="collapsed")
explained.caption(
    f"Lead {lead} as recorded, each beat moved to its own median. Click a mean or a bar, or box points of the Lorenz "
    "plot, to list the beats."
)
chosen = chosen_beats(analysis)
if chosen and again.button("Chosen beats", icon=":material/list:", width="stretch"):
    st.session_state["list_chosen"] = True

if len(analysis.labelled):
    with back:
        undo_button(analysis)

shapes = shapes_of(analysis, lead)
if shapes:
    show(
        overlay_figure(shapes, theme=colours), "classes",
        on_select=partial(guarded(choose_panels), "classes", beats, shapes),
        alt="Overlaid and mean waveforms of each class of beats, in mV",
    )  # fmt: skip
    labels = [shape.label for shape in shapes]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Shapes of class", anchor=False, width="content")
        first = next(label for label in FIRST_SPLIT if label in labels)
        label = st.segmented_control(
            "Class", labels, default=first, key="shapes_class", required=True, label_visibility="collapsed"
        )
        whole = shapes[labels.index(label)]
        parts = split_templates(whole)
        st.caption(
            f"{len(whole.beat):,} of {whole.n_beats:,} {NAME[label].lower()} beats were read, evenly over the "
            "recording; shapes differ in their QRS, whatever its size."
        )
    show(
        overlay_figure(parts, theme=colours), f"shapes_{label}",
        on_select=partial(guarded(choose_panels), f"shapes_{label}", beats, parts),
        alt=f"Overlaid and mean waveforms of each shape that the {label} beats come in, in mV",
    )  # fmt: skip
else:
    st.info(f"Lead {plain_markdown(lead)} holds no whole beat: choose another one.")

confidence, rr, lorenz = st.columns([3, 3, 4], gap="medium")
with confidence:
    st.header("Confidence", anchor=False)
    show(
        confidence_figure(beats, theme=colours), "confidence", alt="Histogram of the classifier's confidence by class",
        on_select=partial(guarded(choose_bars), "confidence", beats, confidence_bars(beats), "confidence"),
    )  # fmt: skip
    if n_unusable := int((~beats.usable).sum()):
        st.caption(f"Left out: {plural(n_unusable, 'beat')} in unreadable signal.")
with rr:
    st.header("RR", anchor=False)
    show(
        rr_figure(beats, theme=colours), "rr", alt="Histogram of the RR before each beat by class",
        on_select=partial(guarded(choose_bars), "rr", beats, rr_bars(beats), "RR"),
    )  # fmt: skip
with lorenz:
    st.header("Lorenz plot", anchor=False)
    show(
        lorenz_figure(beats, theme=colours), "lorenz", alt="RR before against RR after each beat, coloured by class",
        on_select=partial(guarded(choose_points), "lorenz", beats),
    )  # fmt: skip
    st.caption(f"Colour: class of the beat between. An even sample of at most {LORENZ_BEATS:,} beats a class.")

if chosen and st.session_state.pop("list_chosen", False):
    list_beats(analysis, chosen)
