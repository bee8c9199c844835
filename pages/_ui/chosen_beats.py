"""Beats that were chosen in a figure, and the list that leads from each to its place in the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from ecg_core.figures.beats import lorenz_beats
from ecg_core.labels import CLASSES, NAME
from ecg_core.schema import Analysis, Beats, Index

from .frame import guarded
from .labelling import set_labels
from .tables import MAX_ROWS, beats_table
from .view import address
from .wording import plural


@dataclass(frozen=True, eq=False)
class ChosenBeats:
    """Some of the beats of an analysis."""

    beats: Beats  # all beats of the analysis
    index: Index  # (n,), positions of the chosen ones, ascending
    title: str


def choose_bars(key: str, beats: Beats, bar: Index, quantity: str) -> None:
    """Choose the beats that the clicked bars count; for callbacks."""
    clicked = [(str(label), int(number)) for label, number in _selected_data(key)]
    labels = ", ".join(sorted({label for label, _ in clicked}))
    parts = [np.flatnonzero((bar == number) & (beats.label == label)) for label, number in clicked]
    _choose(beats, parts, f"of {labels} by {quantity}")


def choose_points(key: str, beats: Beats) -> None:
    """Choose all beats whose RR were boxed, more than the points that are drawn of them; for callbacks."""
    boxes = [(tuple(box["x"]), tuple(box["y"])) for box in st.session_state[key].selection.box]
    boxed = [lorenz_beats(beats, before_ms=before_ms, after_ms=after_ms) for before_ms, after_ms in boxes]
    clicked = [np.array([int(np.ravel(data)[0])]) for data in _selected_data(key)]
    _choose(beats, [*boxed, *clicked], "by RR before and after")


def _selected_data(key: str) -> list[Any]:
    """Custom data of what was clicked or boxed in the figure ``key``."""
    return [point["customdata"] for point in st.session_state[key].selection.points if "customdata" in point]


def _choose(beats: Beats, parts: Sequence[Index], title: str) -> None:
    """Keep the chosen beats; the next run lists them."""
    index = np.unique(np.concatenate([*parts, np.zeros(0, dtype=np.int64)])).astype(np.int64)
    if len(index):
        st.session_state["chosen"] = ChosenBeats(beats, index, f"{plural(len(index), 'beat')} {title}")
        st.session_state["list_chosen"] = True


def chosen_beats(analysis: Analysis) -> ChosenBeats | None:
    """The beats that were chosen last, where they belong to this analysis."""
    chosen: ChosenBeats | None = st.session_state.get("chosen")
    return chosen if chosen is not None and chosen.beats is analysis.beats else None


@st.dialog("Chosen beats", width="medium")
@guarded
def list_beats(analysis: Analysis, chosen: ChosenBeats) -> None:
    """List beats and offer to label them; a row leads to Review."""
    listed = chosen.index[:MAX_ROWS]
    more = f"; the first {MAX_ROWS:,} are listed" if len(chosen.index) > MAX_ROWS else ""
    st.markdown(f"{chosen.title}{more}. Choose a row to see it in Review.")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Label all of them:", width="content")
        for label in CLASSES:
            if st.button(label, help=NAME[label]):
                set_labels(analysis, dict.fromkeys(chosen.index.tolist(), label))
                st.rerun()
    picked = st.dataframe(
        beats_table(analysis, listed), hide_index=True, key="chosen_rows", on_select="rerun",
        selection_mode="single-row", height=380,
    )  # fmt: skip
    if picked.selection.rows:
        time_s = float(analysis.beats.time_s[listed[picked.selection.rows[0]]])
        st.switch_page("pages/review.py", query_params=address(analysis.record, time_s))
