"""What a reader changes in an analysis: labels, beats added and deleted, artefact, rhythms, templates.

Each edit is a value: it can be stored, hashed, undone and redone as a whole. ``rhythm.editing`` applies edits to an
analysis, in their order.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, NamedTuple

from .labels import CLASSES, MATCH_WINDOW_S
from .text import plural

# What a stretch can be marked as, and the class that its beats get unless they are labelled later; None keeps them.
MARKED_CLASS: Final[dict[str, str | None]] = {
    "sinus": "N", "af": None, "svt": "S", "vt": "V", "vf": None, "paced": "Q",
}  # fmt: skip
MARKED_NAMES: Final = {
    "sinus": "Sinus rhythm",
    "af": "Atrial fibrillation or flutter",
    "svt": "Supraventricular tachycardia",
    "vt": "Ventricular tachycardia",
    "vf": "Ventricular fibrillation or flutter",
    "paced": "Paced rhythm",
}
TEMPLATE_ACTIONS: Final = ("merge", "split", "hide", "show")


class Label(NamedTuple):
    """A beat's class as the reader labels it."""

    time_s: float
    label: str


class Stretch(NamedTuple):
    """From one time to another, in seconds from the start of the record."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class LabelEdit:
    """Beats get a class, in signal that is not analysable too."""

    kind: ClassVar[str] = "labels"
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class DeleteEdit:
    """What was taken for beats is none."""

    kind: ClassVar[str] = "delete"
    times_s: tuple[float, ...]


@dataclass(frozen=True)
class InsertEdit:
    """Beats that were missed, with their class."""

    kind: ClassVar[str] = "insert"
    beats: tuple[Label, ...]


@dataclass(frozen=True)
class StretchEdit:
    """Stretches are artefact, or analysable though the program found them not to be."""

    kind: ClassVar[str] = "stretch"
    stretches: tuple[Stretch, ...]
    analysable: bool


@dataclass(frozen=True)
class RhythmEdit:
    """Stretches are of one rhythm, one of MARKED_NAMES, whatever the program found there."""

    kind: ClassVar[str] = "rhythm"
    stretches: tuple[Stretch, ...]
    rhythm: str


@dataclass(frozen=True)
class AcceptEdit:
    """Events of one kind, a key of ``rhythm.events.KIND_NAMES``, are as the program found them: nothing changes."""

    kind: ClassVar[str] = "accept"
    stretches: tuple[Stretch, ...]
    event: str


@dataclass(frozen=True)
class TemplateEdit:
    """Templates are merged into the first one, split into so many parts or by these beats, hidden, or shown again.

    Templates of another lead or model have the same names. Where they are merged, hidden or shown, beats of each one
    say which is meant: as many of each, one template after the other; none in edits of earlier versions.
    """

    kind: ClassVar[str] = "templates"
    action: str  # one of TEMPLATE_ACTIONS
    names: tuple[str, ...]  # such as "V1"
    n_parts: int = 0  # of a split; 0 where the beats are given
    times_s: tuple[float, ...] = ()  # of the beats that a split takes out, ascending; else of beats of each template


class Mark(NamedTuple):
    """A stretch that a reader marked as one rhythm."""

    start_s: float
    end_s: float
    rhythm: str  # one of MARKED_NAMES


@dataclass(frozen=True)
class Changes:
    """What a reader's edits come to beside the labels: the last word on each beat and each stretch."""

    deleted_s: tuple[float, ...] = ()  # ascending, as all of them
    inserted_s: tuple[float, ...] = ()
    artefact: tuple[Stretch, ...] = ()
    analysable: tuple[Stretch, ...] = ()
    marks: tuple[Mark, ...] = ()


NO_CHANGES: Final = Changes()

Edit = LabelEdit | DeleteEdit | InsertEdit | StretchEdit | RhythmEdit | AcceptEdit | TemplateEdit
EDIT_KINDS: Final = {
    edit.kind: edit
    for edit in (LabelEdit, DeleteEdit, InsertEdit, StretchEdit, RhythmEdit, AcceptEdit, TemplateEdit)
}  # fmt: skip


def content_of(edit: Edit) -> list[Any]:
    """An edit's values as JSON holds them; ``edit_of`` reads them."""
    match edit:
        case LabelEdit(labels=pairs) | InsertEdit(beats=pairs):
            return [list(pair) for pair in pairs]
        case DeleteEdit(times_s=times_s):
            return list(times_s)
        case StretchEdit(stretches=stretches, analysable=value):
            return [value, *map(list, stretches)]
        case RhythmEdit(stretches=stretches, rhythm=value) | AcceptEdit(stretches=stretches, event=value):
            return [value, *map(list, stretches)]
        case TemplateEdit():
            return [edit.action, list(edit.names), edit.n_parts, list(edit.times_s)]


def counting(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits that change what is counted: not those that accept events or arrange templates."""
    return tuple(edit for edit in edits if not isinstance(edit, (AcceptEdit, TemplateEdit)))


def digest_of(edits: Iterable[Edit]) -> str:
    """SHA-256 of edits in their order; empty where there are none."""
    digests = [_digest(edit) for edit in edits]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest() if digests else ""


@lru_cache(maxsize=10_000)  # of all edits of a study, one of which may hold a day's beats
def _digest(edit: Edit) -> str:
    return hashlib.sha256(json.dumps([edit.kind, content_of(edit)]).encode()).hexdigest()


def edit_of(kind: str, content: list[Any]) -> Edit:
    """The edit of these values.

    Raises
    ------
    ValueError
        They are those of no edit.

    """
    try:
        _require(isinstance(content, list) and len(content) > 0, "an edit is empty")
        edit = _READ[kind](content)
        _require(getattr(edit, "stretches", "none"), "an edit of stretches holds none")
        return edit
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{kind}: this is no edit ({error})") from error


def _labels(content: list[Any]) -> tuple[Label, ...]:
    labels = tuple(Label(_time_s(time_s), label) for time_s, label in content)
    _require(all(label in CLASSES for _, label in labels), "a label is no class")
    return labels


def _stretches(content: list[Any]) -> tuple[Stretch, ...]:
    stretches = tuple(Stretch(_time_s(start_s), _time_s(end_s)) for start_s, end_s in content)
    _require(all(end_s >= start_s for start_s, end_s in stretches), "a stretch ends before it begins")
    return stretches


def _stretch_edit(content: list[Any]) -> StretchEdit:
    _require(isinstance(content[0], bool), "a stretch is neither artefact nor analysable")
    return StretchEdit(_stretches(content[1:]), content[0])


def _rhythm_edit(content: list[Any]) -> RhythmEdit:
    _require(content[0] in MARKED_NAMES, "a rhythm is unknown")
    return RhythmEdit(_stretches(content[1:]), content[0])


def _accept_edit(content: list[Any]) -> AcceptEdit:
    _require(isinstance(content[0], str), "an event has no kind")
    return AcceptEdit(_stretches(content[1:]), content[0])


def _template_edit(content: list[Any]) -> TemplateEdit:
    action, names, n_parts, times_s = content
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    _require(action in TEMPLATE_ACTIONS and are_names, "a template edit is unknown")
    _require(type(n_parts) is int and n_parts >= 0, "a template is split into no number of parts")
    are_shared = action == "split" or len(times_s) % max(1, len(names)) == 0
    _require(are_shared, "beats belong to none of the templates")
    return TemplateEdit(action, tuple(names), n_parts, tuple(map(_time_s, times_s)))


def _time_s(value: Any) -> float:
    _require(type(value) in (int, float) and value >= 0, "a time is none, or lies before the recording")
    return float(value)


def _require(fulfilled: object, problem: str) -> None:
    if not fulfilled:
        raise ValueError(problem)


_READ: Final[dict[str, Callable[[list[Any]], Edit]]] = {
    LabelEdit.kind: lambda content: LabelEdit(_labels(content)),
    DeleteEdit.kind: lambda content: DeleteEdit(tuple(map(_time_s, content))),
    InsertEdit.kind: lambda content: InsertEdit(_labels(content)),
    StretchEdit.kind: _stretch_edit,
    RhythmEdit.kind: _rhythm_edit,
    AcceptEdit.kind: _accept_edit,
    TemplateEdit.kind: _template_edit,
}


def lasting_labels(edits: Iterable[Edit]) -> list[Label]:
    """The labels that hold after all edits, one at each time, ascending.

    A label is taken back where its beat is deleted later, or a stretch around it marked as artefact or as fibrillation
    of the ventricles; a stretch that is marked as a rhythm with a class gives the labels in it this class.
    """
    found: dict[float, str] = {}
    for edit in edits:
        match edit:
            case LabelEdit(labels=labels):
                found |= dict(labels)
            case DeleteEdit(times_s=times_s):
                gone_s = sorted(times_s)
                found = {at: one for at, one in found.items() if not _is_near(at, gone_s)}
            case StretchEdit(stretches=stretches, analysable=False) | RhythmEdit(stretches=stretches, rhythm="vf"):
                found = {at: one for at, one in found.items() if not _is_in(at, stretches)}
            case RhythmEdit(stretches=stretches, rhythm=rhythm):
                given = MARKED_CLASS[rhythm]
                found = {at: given if given and _is_in(at, stretches) else one for at, one in found.items()}
    return [Label(*pair) for pair in sorted(found.items())]


def _is_near(time_s: float, ascending_s: Sequence[float]) -> bool:
    first = bisect_left(ascending_s, time_s - MATCH_WINDOW_S)
    return first < len(ascending_s) and ascending_s[first] <= time_s + MATCH_WINDOW_S


def _is_in(time_s: float, stretches: Iterable[Stretch]) -> bool:
    return any(stretch.start_s <= time_s < stretch.end_s for stretch in stretches)


def last_time_of(edit: Edit) -> float:
    """Where an edit ends to act, in seconds; 0 where it names no time."""
    match edit:
        case LabelEdit(labels=pairs) | InsertEdit(beats=pairs):
            return max(pair.time_s for pair in pairs)
        case DeleteEdit(times_s=times_s) | TemplateEdit(times_s=times_s):
            return max(times_s, default=0.0)
        case StretchEdit() | RhythmEdit() | AcceptEdit():
            return max(stretch.end_s for stretch in edit.stretches)


def time_of(edit: Edit) -> float | None:
    """Where an edit begins to act, in seconds; None for one of templates."""
    match edit:
        case LabelEdit(labels=pairs) | InsertEdit(beats=pairs):
            return pairs[0].time_s
        case DeleteEdit(times_s=times_s):
            return times_s[0]
        case StretchEdit() | RhythmEdit() | AcceptEdit():
            return edit.stretches[0].start_s
        case TemplateEdit():
            return None


def text_of(edit: Edit) -> str:
    """What an edit does, as the end of a sentence: "1 beat as V"."""
    match edit:
        case LabelEdit(labels=labels):
            text = f"{_beats(len(labels))} as {_classes(labels)}"
        case InsertEdit(beats=beats):
            text = f"{_beats(len(beats))} inserted as {_classes(beats)}"
        case DeleteEdit(times_s=times_s):
            text = f"{_beats(len(times_s))} deleted"
        case StretchEdit():
            text = f"{_extent(edit.stretches)} as {'analysable' if edit.analysable else 'artefact'}"
        case RhythmEdit():
            text = f"{_extent(edit.stretches)} as {MARKED_NAMES[edit.rhythm].lower()}"
        case AcceptEdit():
            text = f"{len(edit.stretches):,} {'finding' if len(edit.stretches) == 1 else 'findings'} accepted"
        case TemplateEdit():
            text = f"templates {', '.join(edit.names)}: {edit.action}"
    return text


def _beats(n: int) -> str:
    return f"{n:,} {'beat' if n == 1 else 'beats'}"


def _classes(labels: Sequence[Label]) -> str:
    return ", ".join(sorted({label.label for label in labels}, key=CLASSES.index))


def _extent(stretches: Sequence[Stretch]) -> str:
    total_s = sum(stretch.end_s - stretch.start_s for stretch in stretches)
    n = len(stretches)
    return f"{total_s:.1f} s" if n == 1 else f"{plural(n, 'stretch')} of {total_s:.1f} s together"
