"""Findings as a reader goes through them one by one: what there is, in which order, and what a verdict changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..edits import (
    MARKED_NAMES,
    AcceptEdit,
    DeleteEdit,
    Edit,
    Label,
    LabelEdit,
    RhythmEdit,
    Stretch,
    StretchEdit,
)
from ..errors import EcgError
from ..labels import CLASSES, NAME
from ..schema import Analysis, Beats, Bool, Float64, FrozenArrays, Index, RhythmEvent, Text
from .events import KIND_NAMES, MOST_SERIOUS_FIRST

BEATS: Final = "beats"  # the kind of items that are single beats
BEAT_CLASSES: Final = ("V", "S", "F", "Q")  # whose beats are gone through one by one
ACCEPT, DELETE, ARTEFACT, ANALYSABLE = "accept", "delete", "artefact", "analysable"
BY_TIME, BY_LENGTH, BY_RATE, BY_PROBABILITY = "time", "length", "rate", "probability"
EVENT_ORDERS: Final = (BY_TIME, BY_LENGTH, BY_RATE)
BEAT_ORDERS: Final = (BY_TIME, BY_RATE, BY_PROBABILITY)
ARTEFACT_MARGIN_S = 0.12  # half a wide QRS: the first and the last beat of an event lie wholly in the artefact
LAST_BEAT_S = 0.01  # a marked stretch ends so long after the last beat of an event, which so lies in it

# The classes of the beats that a kind of event is made of, which a label or a deletion of the event is about: in a
# paced rhythm and in signal that is not analysable, whatever is not normal. Kinds that are not here are made of no
# ectopic beats; a fibrillation stays one, whatever is called a beat in it.
MADE_OF: Final = {
    **dict.fromkeys(("v_couplet", "v_run", "idioventricular", "vt", "vt_sustained", "v_bigeminy", "v_trigeminy"), "VF"),
    **dict.fromkeys(("s_couplet", "s_run", "svt", "svt_sustained", "s_bigeminy", "s_trigeminy"), "S"),
    **dict.fromkeys(("not_analysable", "artefact", "paced"), "SVFQ"),
}
# The kinds that are a rhythm, each with the one that it is already; another one can be marked over its stretch.
RHYTHM_OF: Final = {
    "vf": "vf", "vf_suspected": "", "asystole": "", "v_run": "", "idioventricular": "", "vt": "vt",
    "vt_sustained": "vt", "v_bigeminy": "", "v_trigeminy": "", "s_run": "", "svt": "svt", "svt_sustained": "svt",
    "s_bigeminy": "", "s_trigeminy": "", "af": "af", "paced": "paced", "bradycardia": "", "tachycardia": "",
    "not_analysable": "", "artefact": "",
}  # fmt: skip


class NothingToChangeError(EcgError):
    """A verdict is about beats that the chosen findings do not hold."""


@dataclass(frozen=True, eq=False)
class ReviewItems(FrozenArrays):
    """Events of one kind, or single beats, in the order in which they are gone through."""

    kind: str  # a key of KIND_NAMES, or BEATS
    start_s: Float64  # (n,)
    end_s: Float64  # (n,), of a beat its start
    n_beats: Index  # (n,)
    rate_bpm: Float64  # (n,), NaN where there is none; of a beat, of the RR before it
    at_least: Bool  # (n,), whether it may have lasted longer than could be seen
    beat: Index  # (n,), positions of single beats in the analysis; -1 for events

    def __len__(self) -> int:
        return len(self.start_s)

    def only(self, index: Index | Bool) -> ReviewItems:
        """Some of the items."""
        return ReviewItems(
            self.kind, self.start_s[index], self.end_s[index], self.n_beats[index], self.rate_bpm[index],
            self.at_least[index], self.beat[index],
        )  # fmt: skip

    def event(self, item: int) -> RhythmEvent:
        """One of them as an event."""
        return RhythmEvent(
            self.kind, float(self.start_s[item]), float(self.end_s[item]), int(self.n_beats[item]),
            float(self.rate_bpm[item]), bool(self.at_least[item]),
        )  # fmt: skip


def kinds_found(analysis: Analysis) -> dict[str, int]:
    """How many there are of each kind of event and of each ectopic class, the most serious kinds first."""
    events, labels = Counter(event.kind for event in analysis.events), analysis.beats.label[analysis.beats.usable]
    found = {kind: events[kind] for kind in MOST_SERIOUS_FIRST}
    found |= {label: int((labels == label).sum()) for label in BEAT_CLASSES}
    return {kind: n for kind, n in found.items() if n}


def kind_name(kind: str) -> str:
    """Name of a kind of event, or of a class."""
    return KIND_NAMES[kind] if kind in KIND_NAMES else f"{NAME[kind]} beats"


def review_items(analysis: Analysis, kind: str) -> ReviewItems:
    """All events of a kind, or all analysable beats of a class, in the order of time."""
    if kind in CLASSES:
        return beat_items(analysis, np.flatnonzero((analysis.beats.label == kind) & analysis.beats.usable))
    events = [event for event in analysis.events if event.kind == kind]
    return ReviewItems(
        kind,
        np.array([event.start_s for event in events], dtype=np.float64),
        np.array([event.end_s for event in events], dtype=np.float64),
        np.array([event.n_beats for event in events], dtype=np.int64),
        np.array([event.rate_bpm for event in events], dtype=np.float64),
        np.array([event.at_least for event in events], dtype=bool),
        np.full(len(events), -1),
    )


def beat_items(analysis: Analysis, beats: Index) -> ReviewItems:
    """Single beats, in the order that is given."""
    time_s, rr_s = analysis.beats.time_s[beats], analysis.beats.rr_s[beats]
    with np.errstate(divide="ignore"):
        rate_bpm = np.where(rr_s > 0, 60.0 / rr_s, np.nan)
    n = len(beats)
    return ReviewItems(BEATS, time_s, time_s, np.ones(n, dtype=np.int64), rate_bpm, np.zeros(n, dtype=bool), beats)


def changed_beats(before: Beats, after: Beats) -> tuple[Index, Text]:
    """The beats whose class differs from the one before, and the class before of all beats of ``after``.

    Beats belong together by their times; one that is new has no class before, an empty text.
    """
    place = np.searchsorted(before.time_s, after.time_s).clip(max=max(0, len(before) - 1))
    same = before.time_s[place] == after.time_s if len(before) else np.zeros(len(after), dtype=bool)
    label = np.full(len(after), "", dtype="U1")
    label[same] = before.label[place[same]]
    return np.flatnonzero(label != after.label), label


def ordered(analysis: Analysis, items: ReviewItems, order: str) -> ReviewItems:
    """The items by time; the longest, the fastest, or the least probable first, and then by time."""
    if order == BY_LENGTH:
        value = items.start_s - items.end_s
    elif order == BY_RATE:
        value = np.where(np.isfinite(items.rate_bpm), -items.rate_bpm, np.inf)
    elif order == BY_PROBABILITY:
        value = analysis.beats.confidence[items.beat].astype(np.float64)
    else:
        value = np.zeros(len(items))
    return items.only(np.lexsort((items.start_s, value)))


def reviewed(analysis: Analysis, items: ReviewItems, edits: Iterable[Edit]) -> Bool:
    """Whether each item was accepted, shape (n,): an event by an edit, a beat by a reader's label."""
    if items.kind == BEATS:
        return np.isin(items.beat, analysis.labelled)
    accepted = [
        complex(*stretch)
        for edit in edits
        if isinstance(edit, AcceptEdit) and edit.event == items.kind
        for stretch in edit.stretches
    ]
    return np.isin(items.start_s + 1j * items.end_s, np.array(accepted, dtype=np.complex128))


def verdicts(kind: str) -> tuple[str, ...]:
    """The verdicts that there are on a kind of event, or on BEATS, in the order of their buttons."""
    is_beat, own = kind == BEATS, RHYTHM_OF.get(kind)
    return (
        ACCEPT,
        *(CLASSES if is_beat or kind in MADE_OF else ()),
        *({"not_analysable": (ANALYSABLE,), "artefact": (ANALYSABLE,), "no_signal": ()}.get(kind, (ARTEFACT,))),
        *((DELETE,) if is_beat or kind in MADE_OF else ()),
        *(rhythm for rhythm in MARKED_NAMES if own is not None and rhythm != own),
    )


def edit_of_action(analysis: Analysis, items: ReviewItems, action: str) -> Edit:
    """The one edit by which a verdict on some items counts.

    An accepted beat is labelled with the class that it has; an accepted event is kept as it was found.

    Parameters
    ----------
    action
        One of ``verdicts`` of their kind: ACCEPT, ARTEFACT, ANALYSABLE, DELETE, a class, or a key of MARKED_NAMES.

    Raises
    ------
    NothingToChangeError
        The items hold no beat that the verdict could be about.
    ValueError
        The verdict does not apply to this kind.

    """
    if action not in verdicts(items.kind):
        raise ValueError(f"{items.kind}: {action} is no verdict on it")
    stretches = tuple(map(Stretch, items.start_s.tolist(), items.end_s.tolist()))
    if action == ACCEPT:
        return _accepted(analysis, items, stretches)
    if action == ANALYSABLE:
        return StretchEdit(stretches, analysable=True)
    if action == ARTEFACT:
        return StretchEdit(
            _widened(stretches, ARTEFACT_MARGIN_S, ARTEFACT_MARGIN_S, analysis.record.duration_s), analysable=False
        )
    if action in MARKED_NAMES:
        return RhythmEdit(_widened(stretches, 0.0, LAST_BEAT_S, analysis.record.duration_s), action)
    times_s = analysis.beats.time_s[beats_in(analysis, items)].tolist()
    if not times_s:
        raise NothingToChangeError(_without_beats_text(items))
    return DeleteEdit(tuple(times_s)) if action == DELETE else LabelEdit(tuple(Label(at_s, action) for at_s in times_s))


def beats_in(analysis: Analysis, items: ReviewItems) -> Index:
    """The single beats, or the beats that the events are made of; positions, ascending."""
    if items.kind == BEATS:
        return np.sort(items.beat)
    first = np.searchsorted(analysis.beats.time_s, items.start_s, side="left").tolist()
    last = np.searchsorted(analysis.beats.time_s, items.end_s, side="right").tolist()
    inside = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *map(np.arange, first, last)]))
    is_part = np.isin(analysis.beats.label[inside], list(MADE_OF.get(items.kind, "")))
    return np.asarray(inside[is_part], dtype=np.int64)


def _accepted(analysis: Analysis, items: ReviewItems, stretches: tuple[Stretch, ...]) -> Edit:
    if items.kind != BEATS:
        return AcceptEdit(stretches, items.kind)
    beats = np.sort(items.beat)
    pairs = zip(analysis.beats.time_s[beats].tolist(), analysis.beats.label[beats].tolist(), strict=True)
    return LabelEdit(tuple(map(Label._make, pairs)))


def _widened(stretches: Sequence[Stretch], before_s: float, after_s: float, duration_s: float) -> tuple[Stretch, ...]:
    return tuple(
        Stretch(max(0.0, start_s - before_s), min(duration_s, end_s + after_s)) for start_s, end_s in stretches
    )


def _without_beats_text(items: ReviewItems) -> str:
    classes = ", ".join(MADE_OF.get(items.kind, ""))
    return (
        f"{KIND_NAMES[items.kind]}: there is no beat of class {classes} in it, so nothing was changed. "
        "Mark its rhythm, or mark it as artefact."
    )
