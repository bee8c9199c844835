"""One record read by two models, and each of them against the reference."""

import streamlit as st

from ecg_core.evaluation.comparison import Differences
from ecg_core.evaluation.ec57 import LEARNING_S
from ecg_core.report.measures import format_labels
from ecg_core.text import plain_markdown
from pages._ui.compared import (
    Pair,
    burdens_shown,
    compare,
    difference_strip,
    differences_shown,
    format_label,
    kinds,
    only,
    scores_shown,
)
from pages._ui.frame import current_analysis, guarded, heading, show, theme, watch
from pages._ui.models import specs, training_sentence
from pages._ui.session import analyse_beside, current_workspace, installed_models, reading_beside
from pages._ui.tables import MOST_ROWS
from pages._ui.view import address

EVERY = "All kinds"


def step_to(number: int) -> None:
    """Show another difference; for callbacks."""
    st.session_state["difference"] = number


def from_first() -> None:
    """Begin with the first difference of another list; for callbacks."""
    step_to(0)


@guarded
def draw_differences(pair: Pair) -> None:
    """List where two readings differ, and draw one of these places."""
    listed, drawn = st.columns([2, 3], gap="medium")
    with listed:
        differ = list_differences(pair)
    with drawn:
        draw_difference(pair, differ)


def list_differences(pair: Pair) -> Differences:
    """List the differences of the chosen kind; a row leads to Review."""
    ways = kinds(pair.differ)
    way = st.selectbox(
        f"{pair.one.model.name} / {pair.other_name}", [EVERY, *ways], key=f"way {pair.name}", on_change=from_first
    )
    differ = only(pair.differ, ways.get(way))
    n = len(differ.time_s)
    picked = st.dataframe(
        differences_shown(pair, differ)[:MOST_ROWS], hide_index=True, key=f"rows {pair.name} {way}", height=265,
        on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    first = f"The first {MOST_ROWS:,} of {n:,}. " if n > MOST_ROWS else ""
    st.caption(f"{first}Choose a row to see it in Review.")
    if picked.selection.rows:
        time_s = float(differ.time_s[picked.selection.rows[0]])
        st.switch_page("pages/review.py", query_params=address(pair.one.record, time_s))
    return differ


def draw_difference(pair: Pair, differ: Differences) -> None:
    """Draw one difference, and the ways to the next ones."""
    n = len(differ.time_s)
    at = min(st.session_state.get("difference", 0), n - 1)
    time_s = float(differ.time_s[at])
    with st.container(horizontal=True, vertical_alignment="center"):
        moves = [
            ("Previous", "P", at - 1, ":material/skip_previous:"),
            ("Next", "N", at + 1, ":material/skip_next:"),
        ]
        for name, key, number, icon in moves:
            st.button(name, shortcut=key, icon=icon, disabled=not 0 <= number < n, on_click=step_to, args=(number,))
        if st.button("Review", icon=":material/ecg:"):
            st.switch_page("pages/review.py", query_params=address(pair.one.record, time_s))
        st.markdown(f"**{at + 1:,} of {n:,}**")
    one, other = format_label(str(differ.one[at])), format_label(str(differ.other[at]))
    st.markdown(f"{pair.one.model.name} says **{one}**, {pair.other_name} says **{other}**.")
    figure = difference_strip(pair, time_s, pair.one.lead_names[0], theme=theme())
    show(figure, "difference_strip", alt="ECG strip around the difference", width="content")
    st.caption("The attention shows where the network looked. It is not an explanation of the class.")


analysis = current_analysis()
record, workspace = analysis.record, current_workspace()
heading(f"Compare models on {record.record_id}", record)

models = installed_models()
others = [name for name, sha256 in models.items() if sha256 != analysis.model.sha256]
name = st.selectbox("Compare with", others) if len(others) > 1 else next(iter(others), "")
second = reading_beside(analysis, name) if name else None
order = list(models.values())
readings = [reading for reading in (analysis, second) if reading]
readings.sort(key=lambda reading: order.index(reading.model.sha256) if reading.model.sha256 in order else -1)

learned = [spec for spec in specs() if spec.name == name and not second]
st.markdown(" ".join(training_sentence(spec) for spec in (*(reading.model for reading in readings), *learned)))
job = workspace.job if workspace.job and workspace.job.key.record_sha256 == record.sha256 else None
offer, progress = st.container(), st.container()  # always there, so that nothing below is drawn twice meanwhile
if not name:
    offer.info(
        f"Only one model is installed, {analysis.model.name}. Put the weights and the spec of a second one into "
        "`models/` to compare the two.",
        icon=":material/info:",
    )
elif second is None:
    offer.button(
        f"Analyse with {name}", type="primary", on_click=guarded(analyse_beside), args=(analysis, name),
        icon=":material/play_arrow:", disabled=job is not None,
    )  # fmt: skip

comparison = compare(readings)
scores, burdens = st.columns([2, 3], gap="medium")
with scores:
    if comparison.scores:
        st.dataframe(scores_shown(comparison), hide_index=True, height="content")
        n_scored = int(comparison.scores[0].matrix[:5].sum())
        learning = "; EC57 leaves the first 5 minutes out" if record.duration_s > LEARNING_S else ""
        own = f" Of those of {analysis.model.name}, {format_labels(analysis)}." if len(analysis.labelled) else ""
        st.caption(f"Gross of this record: {n_scored:,} reference beats{learning}.{own}")
    else:
        st.info("This record has no reference annotations, so nothing can be scored.", icon=":material/info:")
with burdens:
    st.dataframe(burdens_shown(comparison), hide_index=True, height="content")
    st.caption(
        f"Lead {plain_markdown(', '.join(analysis.lead_names))}. Models count the beats of readable stretches"
        + (", the reference all that it marks." if record.reference else ".")
    )

if comparison.pairs:
    st.header("Where they differ", anchor=False)
    names = [pair.name for pair in comparison.pairs]
    chosen = st.segmented_control(
        "Compared", names, default=names[0], key=f"pair {names}", required=True, label_visibility="collapsed",
        on_change=from_first,
    )  # fmt: skip
    pair = comparison.pairs[names.index(chosen)]
    if len(pair.differ.time_s):
        draw_differences(pair)
    else:
        st.success(f"{pair.one.model.name} and {pair.other_name} agree on every readable beat.")

if job:
    with progress:
        watch(job)
