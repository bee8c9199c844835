"""The adaptations that are there: how far each is, what it brought, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from ecg_core.adaptation.keeping import keep_adapted
from ecg_core.adaptation.material import Labels
from ecg_core.adaptation.split import Side
from ecg_core.adaptation.task import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    LOG,
    RUNNING,
    WAITING,
    Adaptation,
    State,
    Task,
    start_process,
)
from ecg_core.classifier.installed import installed_models
from ecg_core.classifier.spec import model_digest, read_spec
from ecg_core.clock import duration_text
from ecg_core.errors import ModelError
from ecg_core.text import plain_markdown

from .adaptation_proof import draw_proof
from .frame import guarded
from .waiting import Wait, noted, part
from .wording import plural
from .workspace import current_workspace

BETTER, NO_BETTER, WORSE = "better", "no better", "worse"  # outcomes of a proof
LEARNED: Final = {
    Labels.ALL: "all labels",
    Labels.SOME: "a few labels of each recording",
    Labels.NONE: "the signals alone",
}
STOPPED: Final = {
    WAITING: "It has not begun.",
    INTERRUPTED: "It was interrupted: its process ended before it was done. It can be resumed where it was.",
}
N_DRAWN: Final = "adaptations_drawn"  # in the session's state
NO_PROOF: Final = "It is done, and what it measured cannot be read. Discard it and begin again."


def draw_adaptations(adaptations: Sequence[Adaptation]) -> list[Wait]:
    """Draw each adaptation; returns those to wait for."""
    waits = []
    for number, adaptation in enumerate(adaptations):
        with st.container(border=True, key=f"adaptation {adaptation.task.name}"):
            wait = guarded(_draw_adaptation)(adaptation, is_newest=number == 0)
        if wait is not None:
            waits.append(wait)
    for _ in range(len(adaptations), st.session_state.get(N_DRAWN, 0)):
        st.empty()  # in the place of one that was discarded
    st.session_state[N_DRAWN] = len(adaptations)
    return waits


def _draw_adaptation(adaptation: Adaptation, *, is_newest: bool) -> Wait | None:
    """Draw one; returns how to wait for it, where it runs."""
    state, name = adaptation.state, plain_markdown(adaptation.task.name)
    st.markdown(f"**{name}**, {plain_markdown(summary(adaptation.task))}")
    runs, done = state.state == RUNNING, state.state == DONE
    running, stopped, ended = part(shown=runs), part(shown=not runs and not done), part(shown=done)
    if runs:
        with running:
            return _draw_running(adaptation)
    with ended if done else stopped:
        if done:
            _draw_done(adaptation, is_newest=is_newest)
        else:
            _draw_stopped(adaptation, state)
    return None


def summary(task: Task) -> str:
    """From which model, from whom and from what an adaptation learns."""
    patients = {side: {one.patient for one in task.recordings if task.sides[one.patient] == side} for side in Side}
    held_out = len(patients[Side.HOLD_OUT])
    proof = f"{plural(held_out, 'patient')} held out" if held_out else "each left out in turn for the proof"
    return (
        f"from {Path(task.model).stem}: learns {LEARNED[task.labels]} of {plural(len(patients[Side.LEARN]), 'patient')}"
        f", {proof}"
    )


def _draw_running(adaptation: Adaptation) -> Wait:
    stopping = adaptation.is_asked_to_stop
    progress, button = st.columns([6, 1], vertical_alignment="bottom")
    bar = progress.empty()
    button.button(
        "Cancel", key=f"cancel {adaptation.task.name}", width="stretch", disabled=stopping,
        on_click=noted(adaptation.ask_to_stop), help="It can be resumed where it was",
    )  # fmt: skip

    def wait() -> bool:
        state = adaptation.state
        if state.state != RUNNING or adaptation.is_asked_to_stop != stopping:
            return False
        bar.progress(min(1.0, max(0.0, state.fraction)), text=progress_text(state, stopping=stopping))
        return True

    wait()
    return wait


def progress_text(state: State, *, stopping: bool = False) -> str:
    """How far an adaptation is: per cent, what it does, and how long it will take."""
    if stopping:
        return "It stops after the step at work"
    left = "" if state.left_s is None else f"; {duration_text(state.left_s)} left"
    return f"{100 * state.fraction:.0f} %: {plain_markdown(state.stage)}{left}"


def _draw_stopped(adaptation: Adaptation, state: State) -> None:
    """Draw why it does not go on, and the choice to resume or to discard it."""
    text = STOPPED.get(state.state) or state.problem
    if state.fraction:
        text = f"{text} {100 * state.fraction:.0f} % are done."
    if state.state == FAILED:
        st.error(_plain(text), icon=":material/error:")
    else:
        icon = ":material/pause_circle:" if state.state == CANCELLED else ":material/warning:"
        st.warning(_plain(text), icon=icon)
    with st.container(horizontal=True):
        st.button(
            "Begin" if state.state == WAITING else "Resume", key=f"resume {adaptation.task.name}", type="primary",
            icon=":material/play_arrow:", on_click=noted(_resume), args=(adaptation,),
        )  # fmt: skip
        _draw_discard(adaptation)
    if state.state == FAILED:
        st.caption(f"What its process wrote is in `{adaptation.folder / LOG}`.")
    else:
        st.empty()


def _draw_done(adaptation: Adaptation, *, is_newest: bool) -> None:
    """Draw the verdict, what can be done now, and what was measured."""
    proof = adaptation.proof
    if not proof:
        st.error(NO_PROOF, icon=":material/error:")
        _draw_discard(adaptation)
        return
    _draw_verdict(proof)
    installed = installed_name(adaptation)
    kept = part(shown=bool(installed))
    if installed:
        default = ", or make it the default for its recorder on the page **About**" if proof.get("recorder") else ""
        kept.markdown(
            f":material/check: Kept as **{installed}**: choose it on the page **Studies** before you analyse{default}."
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        if installed and st.button("Your models", icon=":material/info:", key=f"about {adaptation.task.name}"):
            st.switch_page("pages/about.py")
        if not installed and proof["may_keep"]:
            st.button(
                "Keep" if proof["outcome"] == BETTER else "Keep all the same", key=f"keep {adaptation.task.name}",
                type="primary" if proof["outcome"] == BETTER else "secondary", icon=":material/download_done:",
                on_click=noted(_keep), args=(adaptation,), help="Installs it among your models, with its proof",
            )  # fmt: skip
        _draw_discard(adaptation, is_kept=bool(installed))
        shown = st.toggle("Show what was measured", is_newest, key=f"proof {adaptation.task.name}")
    measured = part(shown=shown)
    if shown:
        with measured:
            guarded(draw_proof)(adaptation)


def _draw_verdict(proof: dict[str, Any]) -> None:
    text, outcome = plain_markdown(proof["verdict"]), proof["outcome"]
    if outcome == BETTER:
        st.success(text, icon=":material/trending_up:")
    elif outcome == NO_BETTER:
        st.info(text, icon=":material/trending_flat:")
    elif outcome == WORSE:
        st.error(text, icon=":material/trending_down:")
    else:
        st.warning(text, icon=":material/question_mark:")


def _draw_discard(adaptation: Adaptation, *, is_kept: bool = False) -> None:
    name = adaptation.task.name
    with st.popover("Discard", icon=":material/delete:", key=f"discard? {name}", width="content"):
        stays = "The model that was kept stays." if is_kept else "What it has learned so far is lost."
        st.markdown(
            f"This removes the adaptation and what it measured. {stays} Recordings and studies stay as they are."
        )
        st.button("Discard it", key=f"discard {name}", type="primary", on_click=noted(_discard), args=(adaptation,))


def installed_name(adaptation: Adaptation) -> str:
    """The name under which the model of an adaptation is installed; empty where it is not."""
    try:
        digest = model_digest(read_spec(adaptation.model_path))
    except ModelError:
        return ""
    return next((model.name for model in installed_models() if model.digest == digest), "")


def _resume(adaptation: Adaptation) -> None:
    if adaptation.state.state != RUNNING:  # another window may have resumed it
        start_process(adaptation)


def _keep(adaptation: Adaptation) -> None:
    keep_adapted(adaptation)


def _discard(adaptation: Adaptation) -> None:
    adaptation.discard()


def _plain(text: str) -> str:
    return plain_markdown(current_workspace().uploads.hide(text))
