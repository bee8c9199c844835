"""A gallery: small calibrated strips, 12 or 24 a page, gone through and judged with the keyboard.

A caller makes a ``GallerySource`` and names its actions; it learns which action was taken on which items.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st

from ecg_core.errors import EcgError
from ecg_core.figures import Scale
from ecg_core.figures.gallery import WIDEST_MM, GallerySource, gallery_data
from ecg_core.figures.samples import STEP_MV
from ecg_core.rhythm.reviewing import ReviewItems, beat_items, changed_beats
from ecg_core.schema import Analysis, Index, Record

from .figures import theme
from .frame import guarded, show_error
from .view import address, study_key
from .workspace import current_workspace

HERE = Path(__file__).resolve().parent
PER_PAGE: Final = (12, 24)
EVENTS: Final = ("act", "open", "page")  # what the browser reports
HTML: Final = """<div class="gallery">
<div class="bar"><div class="line"><span class="verdicts" role="toolbar" aria-label="Verdicts"></span>
<span class="locked" role="status"></span></div>
<div class="line"><span class="group"><button class="back" aria-keyshortcuts="PageUp">Previous<kbd>PgUp</kbd></button>
<button class="on" aria-keyshortcuts="PageDown">Next<kbd>PgDn</kbd></button></span>
<span class="place" role="status"></span><span class="group">
<button class="all" title="Chooses all strips of this page, or one again" aria-keyshortcuts="P">All<kbd>P</kbd></button>
<button class="open" title="Shows it in Review" aria-keyshortcuts="Enter">Review<kbd>Enter</kbd></button></span>
<span class="steps"></span><span class="scale"></span></div></div>
<div class="strips" role="listbox" aria-multiselectable="true"></div></div>"""

OnAction = Callable[[str, Index], float | None]


@dataclass(frozen=True)
class GalleryAction:
    """A button with its key."""

    name: str  # by which the caller knows it
    key: str  # as it is written on the button; with an arrow for Shift
    text: str
    help: str
    enabled: bool = True
    also: str = ""  # another key, that Review has for it


@dataclass(frozen=True)
class ActionGroup:
    """Buttons that stand together."""

    name: str
    actions: tuple[GalleryAction, ...]
    shown: str = ""  # before the buttons
    is_verdict: bool = True  # else it stands beside the buttons that turn the page


@dataclass(frozen=True)
class GalleryLayout:
    """How a gallery is drawn."""

    per_page: int
    lead: str
    scale: Scale


@dataclass
class Place:
    """Where a reader is in a gallery."""

    item: int = 0
    move: int = 0  # counts the moves that the browser has to follow
    turn: int = 0  # counts the pages that were sent: what the browser says about an earlier one is not taken
    after: tuple[float, float] | None = None  # extent of the item to go on with, once the list is made again
    near_s: float | None = None  # a time to go to
    open_s: float | None = None  # a time to open in Review
    problem: EcgError | None = None  # why the last action was not taken

    def settle(self, items: ReviewItems) -> None:
        """Go to the item that a verdict left to be gone on with; by default to what has taken its place."""
        if self.near_s is not None and len(items):
            self.item = int(np.abs(items.start_s - self.near_s).argmin())
        elif self.after is not None:
            same = np.flatnonzero((items.start_s == self.after[0]) & (items.end_s == self.after[1]))
            self.item = int(same[0]) if len(same) else self.item
        self.after = self.near_s = None
        self.item = max(0, min(self.item, len(items) - 1))

    def leave(self, items: ReviewItems, index: Index) -> None:
        """Prepare to go on with the first item after those of a verdict that is none of them."""
        left = np.setdiff1d(np.arange(int(index[-1]) + 1, len(items)), index)[:1]
        self.item = int(index[0]) if len(left) else int(index[-1])
        self.after = (float(items.start_s[left[0]]), float(items.end_s[left[0]])) if len(left) else None
        self.move += 1


@functools.cache
def gallery_component() -> Callable[..., Any]:
    """The strips and their buttons, which the browser draws."""
    js, css = ((HERE / f"gallery.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    component: Callable[..., Any] = st.components.v2.component("gallery", html=HTML, css=css, js=js)
    return component


def choose_layout(analysis: Analysis, key: str) -> GalleryLayout:
    """Draw how many strips a page has, and their lead and scale."""
    names = analysis.record.lead_names
    per_page = st.segmented_control(
        "Strips a page",
        PER_PAGE,
        default=PER_PAGE[0],
        key=f"{key} per page",
        required=True,
        persist_state="session",
        format_func=lambda n: f"{n} a page",
        label_visibility="collapsed",
    )
    with st.popover("Display", icon=":material/tune:", width="content"):
        lead = st.selectbox(
            "Lead", names, index=names.index(analysis.lead_names[0]),
            key=study_key(f"{key} lead", analysis.record.sha256), persist_state="session",
        )  # fmt: skip
        speed = st.segmented_control(
            "mm/s", [12.5, 25, 50], default=25, key=f"{key} speed", required=True, persist_state="session"
        )
        gain = st.segmented_control(
            "mm/mV", [5, 10, 20], default=10, key=f"{key} gain", required=True, persist_state="session"
        )
    return GalleryLayout(per_page, lead, Scale(speed, gain))


def draw_gallery(
    key: str, source: GallerySource, actions: Sequence[ActionGroup], on_action: OnAction, *,
    per_page: int = PER_PAGE[0], locked: str = "", note: str = "",
) -> None:  # fmt: skip
    """Draw a page of strips with buttons for the actions; to be called in a fragment, which each action runs again.

    Parameters
    ----------
    key
        Of the component; the place in the gallery is kept by it and by the study.
    on_action
        Called with the name of the action and the places of the items that it is about, ascending, before the fragment
        runs again; it returns a time to go to, or None to go on with the next item.
    locked
        Why no action can be taken at present; empty where they can.
    note
        Stands beside the number of strips.

    """
    record, place = source.analysis.record, _place(key, source.analysis.record)
    if place.open_s is not None:
        time_s, place.open_s = place.open_s, None
        st.switch_page("pages/review.py", query_params=address(record, time_s))
    if place.problem is not None:
        show_error(place.problem)
        place.problem = None
    place.settle(source.items)
    place.turn += 1
    first = place.item // per_page * per_page
    data = {
        "title": source.title, "strips": gallery_data(source, first, first + per_page), "first": first,
        "n": len(source.items), "per_page": per_page, "chosen": place.item, "move": place.move, "turn": place.turn,
        "actions": [asdict(group) for group in actions], "locked": locked, "note": note, "step_mv": STEP_MV,
        "scale": asdict(source.scale), "scale_text": _scale_text(source), "theme": asdict(theme()),
        "colours": dict(theme().letter), "widest_mm": WIDEST_MM,
    }  # fmt: skip
    react = functools.partial(_react, key, source, on_action)
    current_workspace().on_select[key] = react
    gallery_component()(key=key, data=data, **{f"on_{name}_change": functools.partial(_call, key) for name in EVENTS})


def draw_changes(key: str, before: Analysis, after: Analysis, *, per_page: int = PER_PAGE[0]) -> None:
    """Draw the beats whose class differs between two analyses of a record, each as ``N → V``; in a fragment."""
    changed, labels = changed_beats(before.beats, after.beats)
    items, lead = beat_items(after, changed), after.lead_names[0]
    source = GallerySource(after, items, "Beats that change", np.zeros(len(items), dtype=bool), lead, before=labels)
    draw_gallery(key, source, (), lambda name, index: None, per_page=per_page)


def choose_first(key: str, record: Record) -> None:
    """Begin a gallery at its first item, where it goes through something else than before."""
    place = _place(key, record)
    place.item, place.move, place.after, place.near_s = 0, place.move + 1, None, None


def _place(key: str, record: Record) -> Place:
    place: Place = st.session_state.setdefault(study_key(f"{key} place", record.sha256), Place())
    return place


def _scale_text(source: GallerySource) -> str:
    record, scale = source.analysis.record, source.scale
    known = record.calibrated[record.lead_names.index(source.lead)]
    gain = f"{scale.mm_per_mv:g} mm/mV" if known else f"{scale.mm_per_mv:g} mm/mV, gain not known"
    return f"Lead {source.lead}, {scale.mm_per_s:g} mm/s, {gain}"


def _call(key: str) -> None:
    """Answer the browser by what was drawn last; Streamlit keeps this callback, and with it nothing but the key."""
    react = current_workspace().on_select.get(key)
    if react is not None:
        react()


@guarded
def _react(key: str, source: GallerySource, on_action: OnAction) -> None:
    """Take what the browser says about the page that it shows."""
    said, place, n = st.session_state.get(key, {}), _place(key, source.analysis.record), len(source.items)
    name = next((name for name in EVENTS if said.get(name)), "")
    value: dict[str, Any] = said[name] if name else {}
    if not name or value["turn"] != place.turn:
        return
    if name == "act":
        index = np.array(sorted(item for item in value["items"] if 0 <= item < n), dtype=np.int64)
        try:
            near_s = on_action(value["name"], index)
        except EcgError as error:
            place.problem = error
            return
        if near_s is not None:
            place.near_s, place.move = near_s, place.move + 1
        elif len(index):
            place.leave(source.items, index)
    elif 0 <= value["item"] < n:
        place.item = value["item"]
        if name == "open":
            place.open_s = float(source.items.start_s[place.item])
        else:
            place.move += 1
