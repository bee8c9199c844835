"""Beats that were chosen in a figure: which ones, and the list that leads from each to its place in the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from ecg_core.labels import CLASSES, NAME
from ecg_core.morphology.templates import Template, class_templates
from ecg_core.schema import Analysis, Beats, Index

from .frame import guarded
from .labelling import tell
from .tables import MOST_ROWS, beats_shown, plural
from .view import address, kept


class Chosen(NamedTuple):
    """Beats to be listed."""

    beats: Beats  # whose positions these are
    what: str
    index: Index  # (n,), ascending


def shapes_of(analysis: Analysis, lead_name: str) -> tuple[Template, ...]:
    """The waveforms of an analysis' beats in one lead; the record is read once for each choice of lead."""
    key = (analysis.beats, lead_name)
    return kept("shapes", key, lambda: class_templates(analysis.record, lead_name, analysis.beats))


def choose_panels(key: str, beats: Beats, shapes: Sequence[Template]) -> None:
    """Take the beats of the panels whose means were clicked: of a class all, of a shape those read; for callbacks."""
    numbers = sorted({int(np.ravel(mark)[0]) for mark in _marks(key)})
    parts = [shapes[number] for number in numbers]
    names = ", ".join(f"{part.label} {part.name}".strip() for part in parts)
    read = " that were read" if any(part.name for part in parts) else ""
    every = [np.flatnonzero((beats.label == part.label) & beats.usable) for part in parts if not part.name]
    _choose(beats, f"of {names}{read}", every + [part.beat for part in parts if part.name])


def choose_bars(key: str, beats: Beats, bar: Index, what: str) -> None:
    """Take the beats that the clicked bars count; for callbacks."""
    marks = _marks(key)
    labels = ", ".join(sorted({str(label) for label, _ in marks}))
    _choose(
        beats, f"of {labels} by {what}",
        [np.flatnonzero((bar == int(number)) & (beats.label == label)) for label, number in marks],
    )  # fmt: skip


def choose_points(key: str, beats: Beats) -> None:
    """Take the beats whose points were boxed; for callbacks."""
    _choose(beats, "by RR before and after", [np.array([int(np.ravel(mark)[0])]) for mark in _marks(key)])


def _marks(key: str) -> list[Any]:
    """The custom data of what was clicked or boxed."""
    return [point["customdata"] for point in st.session_state[key].selection.points if "customdata" in point]


def _choose(beats: Beats, what: str, parts: Sequence[Index]) -> None:
    """Keep some beats to be listed by the run that follows."""
    index = np.unique(np.concatenate([*parts, np.zeros(0, dtype=np.int64)])).astype(np.int64)
    if len(index):
        st.session_state["chosen"] = Chosen(beats, f"{plural(len(index), 'beat')} {what}", index)
        st.session_state["list_chosen"] = True


def chosen_beats(analysis: Analysis) -> Chosen | None:
    """What was chosen last among the beats of an analysis."""
    chosen: Chosen | None = st.session_state.get("chosen")
    return chosen if chosen is not None and chosen.beats is analysis.beats else None


@st.dialog("Chosen beats", width="medium")
@guarded
def list_beats(analysis: Analysis, chosen: Chosen) -> None:
    """List beats; a row leads to Review."""
    shown = chosen.index[:MOST_ROWS]
    more = f"; the first {MOST_ROWS:,} are listed" if len(chosen.index) > MOST_ROWS else ""
    st.markdown(f"{chosen.what}{more}. Choose a row to see it in Review.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("All of them are:", width="content")
        for label in CLASSES:
            if st.button(label, help=NAME[label]):
                tell(analysis, dict.fromkeys(chosen.index.tolist(), label))
                st.rerun()
    picked = st.dataframe(
        beats_shown(analysis, shown), hide_index=True, key="chosen_rows", on_select="rerun",
        selection_mode="single-row", height=380,
    )  # fmt: skip
    if picked.selection.rows:
        time_s = float(analysis.beats.time_s[shown[picked.selection.rows[0]]])
        st.switch_page("pages/review.py", query_params=address(analysis.record, time_s))
