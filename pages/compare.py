"""One record analysed by two models, and each analysis against the reference."""

import streamlit as st

from ecg_core.classifier.spec import model_digest
from ecg_core.evaluation.comparison import Differences
from ecg_core.evaluation.ec57 import LEARNING_S
from ecg_core.report.measures import format_edits
from ecg_core.text import plain_markdown
from pages._ui.actions import analyse_beside, analysis_beside
from pages._ui.comparison import (
    Pair,
    burden_table,
    compare,
    confusion_table,
    difference_strip,
    differences_table,
    format_label,
    kinds,
    of_kind,
    scores_table,
)
from pages._ui.figures import show, theme
from pages._ui.frame import current_analysis, guarded, heading, show_progress
from pages._ui.installed_models import installed_models
from pages._ui.model_facts import overlap_sentence, specs, training_sentence
from pages._ui.tables import MAX_ROWS
from pages._ui.view import address, study_key
from pages._ui.workspace import current_workspace

ALL_KINDS = "All kinds"
PLACE = "difference"  # in the session: a list of differences, and the number of the one that is shown of it


def step_to(listed: str, number: int) -> None:
    """Show another difference of a list; for callbacks."""
    st.session_state[PLACE] = (listed, number)


@guarded
def draw_differences(pair: Pair) -> None:
    """List where the two analyses of a pair differ, and draw one of these places."""
    listed, drawn = st.columns([2, 3], gap="medium")
    with listed:
        kind, differences = list_differences(pair)
    with drawn:
        names = f"{pair.one.model.name} {pair.other_name} {kind}"  # without counts, which change as beats are labelled
        draw_difference(pair, differences, listed=study_key(names, pair.one.record.sha256))


def list_differences(pair: Pair) -> tuple[tuple[str, str] | None, Differences]:
    """List the differences of the chosen kind, which it returns with them; a row leads to Review."""
    known, sha256 = kinds(pair.differences), pair.one.record.sha256
    chosen = st.selectbox(
        plain_markdown(f"{pair.one.model.name} / {pair.other_name}"),
        [ALL_KINDS, *known],
        key=study_key(f"kind {pair.name}", sha256),
    )
    kind = known.get(chosen)
    differences = of_kind(pair.differences, kind)
    n = len(differences.time_s)
    picked = st.dataframe(
        differences_table(pair, differences)[:MAX_ROWS], hide_index=True, height=265,
        key=study_key(f"rows {pair.name} {kind}", sha256), on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    first = f"The first {MAX_ROWS:,} of {n:,}. " if n > MAX_ROWS else ""
    st.caption(f"{first}Choose a row to see it in Review.")
    if picked.selection.rows:
        time_s = float(differences.time_s[picked.selection.rows[0]])
        st.switch_page("pages/review.py", query_params=address(pair.one.record, time_s))
    return kind, differences


def draw_difference(pair: Pair, differences: Differences, *, listed: str) -> None:
    """Draw one difference, the first of a list that was not shown before, and the buttons to the next ones."""
    n = len(differences.time_s)
    before, number = st.session_state.get(PLACE, ("", 0))
    index = min(number, n - 1) if before == listed else 0
    time_s = float(differences.time_s[index])
    with st.container(horizontal=True, vertical_alignment="center"):
        moves = [
            ("Previous", "P", index - 1, ":material/skip_previous:"),
            ("Next", "N", index + 1, ":material/skip_next:"),
        ]
        for name, key, to, icon in moves:
            st.button(name, shortcut=key, icon=icon, disabled=not 0 <= to < n, on_click=step_to, args=(listed, to))
        if st.button("Review", icon=":material/ecg:"):
            st.switch_page("pages/review.py", query_params=address(pair.one.record, time_s))
        st.markdown(f"**{index + 1:,} of {n:,}**")
    one, other = format_label(str(differences.one[index])), format_label(str(differences.other[index]))
    names = plain_markdown(pair.one.model.name), plain_markdown(pair.other_name)
    st.markdown(f"{names[0]}: **{one}**, {names[1]}: **{other}**.")
    figure, alt = difference_strip(pair, time_s, theme=theme())
    show(figure, "difference_strip", alt=alt, width="content")
    st.caption("Attention shows which parts of the signal the network weighted. It is not an explanation of the class.")


analysis = current_analysis()
record, workspace = analysis.record, current_workspace()
heading(f"Compare models on {record.record_id}", record)

models = installed_models()
others = [name for name, digest in models.items() if digest != model_digest(analysis.model)]
name = st.selectbox("Compare with", others) if len(others) > 1 else next(iter(others), "")
second = analysis_beside(analysis, name) if name else None
order = {digest: place for place, digest in enumerate(models.values())}
analyses = [one for one in (analysis, second) if one]
analyses.sort(key=lambda one: order.get(model_digest(one.model), -1))

not_run = [spec for spec in specs() if spec.name == name and not second]
st.markdown(" ".join(training_sentence(spec) for spec in (*(one.model for one in analyses), *not_run)))
for spec in (*(one.model for one in analyses), *not_run):
    if overlap := overlap_sentence(spec, record):
        st.warning(plain_markdown(overlap), icon=":material/warning:")
job = workspace.job_of(record.sha256, beside=True) or workspace.job_of(record.sha256)
offer, progress = st.container(), st.container()  # always drawn, so that what follows keeps its place on the page
if not name:
    offer.info(
        f"Only one model is installed, {plain_markdown(analysis.model.name)}. Put the weights and the spec of a second "
        "one into `models/` to compare the two.",
        icon=":material/info:",
    )
elif second is None:
    offer.button(
        f"Analyse with {name}", type="primary", on_click=guarded(analyse_beside), args=(analysis, name),
        icon=":material/play_arrow:", disabled=job is not None,
    )  # fmt: skip

comparison = compare(analyses)
scores, burdens = st.columns([2, 3], gap="medium")
with scores:
    if comparison.scores:
        st.dataframe(scores_table(comparison), hide_index=True, height="content")
        n_scored = int(comparison.scores[0].matrix[:5].sum())
        learning = "; EC57 excludes the first 5 minutes" if record.duration_s > LEARNING_S else ""
        st.caption(f"Scored on {n_scored:,} reference beats of this record{learning}.")
    else:
        st.info("This record has no reference annotations, so nothing can be scored.", icon=":material/info:")
with burdens:
    st.dataframe(burden_table(comparison), hide_index=True, height="content")
    st.caption(
        f"Lead {plain_markdown(', '.join(analysis.lead_names))}. Models count the beats of analysable stretches"
        + (", the reference all annotated beats." if record.reference else ".")
        + (f" Edits of {plain_markdown(analysis.model.name)}: {edited}." if (edited := format_edits(analysis)) else "")
    )

if comparison.scores:
    st.header("Confusion matrix", anchor=False)
    for one, score, place in zip(comparison.analyses, comparison.scores, st.columns(2, gap="medium"), strict=False):
        place.dataframe(confusion_table(score), hide_index=True, height="content")
        place.caption(
            f"Rows: class by the reference; columns: class by **{plain_markdown(one.model.name)}**. Extra: no beat by "
            "the reference. Missed: no beat by the model."
        )

if comparison.pairs:
    st.header("Where they differ", anchor=False)
    names = [pair.name for pair in comparison.pairs]
    chosen = st.segmented_control(
        "Compared", names, default=names[0], key=study_key(f"pair {names}", record.sha256), required=True,
        label_visibility="collapsed", format_func=plain_markdown,
    )  # fmt: skip
    pair = comparison.pairs[names.index(chosen)]
    if len(pair.differences.time_s):
        draw_differences(pair)
    else:
        st.success(plain_markdown(f"{pair.one.model.name} and {pair.other_name} agree on every analysable beat."))

if job:
    with progress:
        show_progress(job)
