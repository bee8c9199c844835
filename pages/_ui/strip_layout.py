"""How the strip of a study is drawn: the popover Display, and the steps of the zoom. It is kept in the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from ecg_core.figures import MARGIN_PX, Scale
from ecg_core.schema import Analysis, Record

from .page_width import page_px, strip_rows
from .workspace import current_workspace

LEAD_COUNTS: Final = (1, 3, 6, 12)
FEW_LEADS: Final = 3  # so many are shown together at first
SECONDS: Final = (6, 10, 30)
SPEEDS: Final = (12.5, 25, 50)
GAINS: Final = (5, 10, 20)
ZOOM: Final = ((30, 12.5), (30, 25), (10, 25), (6, 25), (6, 50))  # seconds and mm/s, from far away to close
WIDE_PX: Final = 1330.0  # a page of this width has room beside the strip
BESIDE_PX, GAP_PX = 500, 20  # for findings and beat facts, and before them


@dataclass(frozen=True)
class Layout:
    """How the strip is drawn."""

    lead: str
    n_leads: int
    n_rows: int
    row_s: float
    scale: Scale
    filtered: bool
    attention: bool
    reference: bool

    @property
    def length_s(self) -> float:
        """Seconds of all rows."""
        return self.n_rows * self.row_s


def has_room_beside() -> bool:
    """Whether findings and beat facts stand beside the strip."""
    return page_px() >= WIDE_PX


def _rows(length_s: float, scale: Scale) -> tuple[int, float]:
    """Number of rows of a strip, and seconds of each."""
    return strip_rows(length_s, scale, MARGIN_PX + (BESIDE_PX + GAP_PX if has_room_beside() else 0))


def lead_counts(record: Record) -> list[int]:
    """Numbers of leads that can be shown together, all of them among these where they are no more than usual."""
    n = len(record.lead_names)
    counts = {count for count in LEAD_COUNTS if count < n} | {min(n, LEAD_COUNTS[-1])}
    return sorted(counts)


def view_as_left(analysis: Analysis) -> dict[str, Any]:
    """How the strip of a study was left, by the keys of its controls; as it is drawn at first where it never was."""
    record, analysed = analysis.record, analysis.lead_names
    counts = lead_counts(record)
    # beats are shown in all the leads that were analysed, where these are few
    few = len(analysed) > 1 and counts[-1] <= FEW_LEADS
    first = {
        "lead": analysed[0], "leads": counts[-1] if few else 1, "sec": 10, "speed": 25, "gain": 10,
        "filter": False, "attention": record.is_simulated, "reference": True,
    }  # fmt: skip
    left = current_workspace().study(record.sha256).view
    view = {name: left.get(name, value) for name, value in first.items()}
    if view["lead"] not in record.lead_names:
        view["lead"] = analysed[0]
    view["leads"] = max(count for count in counts if count <= max(view["leads"], counts[0]))
    return view


def take_view(sha256: str, left: dict[str, Any]) -> None:
    """Let the controls show how a study was left, where they show another one; an address decides in a new window."""
    if st.session_state.setdefault("drawn_study", sha256) != sha256:
        st.session_state.update(left)
        st.session_state["drawn_study"] = sha256


def choose_layout(analysis: Analysis) -> Layout:
    """Draw the popover with the choices of how the strip is drawn, which are kept in the study."""
    record, left = analysis.record, view_as_left(analysis)
    take_view(record.sha256, left)
    counts = lead_counts(record)
    if st.session_state.get("leads", counts[0]) not in counts:  # a link to another record
        st.session_state["leads"] = left["leads"]
    with st.popover("Display", icon=":material/tune:", width="content"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            lead = st.selectbox(
                "Lead", record.lead_names, index=record.lead_names.index(left["lead"]), key="lead",
                bind="query-params", width=110,
            )  # fmt: skip
            n_leads = _choice("Number of leads", counts, "leads", left)
        with st.container(horizontal=True):
            length_s = _choice("Seconds", SECONDS, "sec", left)
            speed = _choice("mm/s", SPEEDS, "speed", left)
            gain = _choice("mm/mV", GAINS, "gain", left)
        filtered = st.toggle("Filter: without baseline wander and muscle noise", left["filter"], key="filter")
        attention = st.toggle("Attention of the network", left["attention"], key="attention")
        reference = left["reference"]
        if record.reference is not None:
            reference = st.toggle("Reference annotations", left["reference"], key="reference")
    view = {
        "lead": lead, "leads": n_leads, "sec": length_s, "speed": speed, "gain": gain,
        "filter": filtered, "attention": attention, "reference": reference,
    }  # fmt: skip
    current_workspace().remember(record.sha256, **view)
    scale = Scale(speed, gain)
    rows = _rows(length_s, scale)
    return Layout(lead, n_leads, *rows, scale, filtered=filtered, attention=attention, reference=reference)


def _choice(name: str, options: Any, key: str, left: dict[str, Any]) -> Any:
    return st.segmented_control(name, options, default=left[key], key=key, bind="query-params", required=True)


def zoom(step: int) -> float:
    """Show the strip one step closer (+1) or from further away (-1); returns its seconds. For callbacks."""
    shown = _closeness(st.session_state["sec"], st.session_state["speed"])
    nearer = [one for one in ZOOM if _closeness(*one) > shown]
    farther = [one for one in reversed(ZOOM) if _closeness(*one) < shown]
    for to in (nearer if step > 0 else farther)[:1]:
        st.session_state["sec"], st.session_state["speed"] = to
    n_rows, row_s = _rows(st.session_state["sec"], Scale(st.session_state["speed"], st.session_state["gain"]))
    return n_rows * row_s


def _closeness(length_s: float, mm_per_s: float) -> float:
    """Grows with the speed of the paper, and with fewer seconds."""
    return mm_per_s / length_s
