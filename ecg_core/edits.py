"""What a reader changes in an analysis: labels, beats added and deleted, artefact, rhythms, templates.

Each edit is a value: it can be stored, hashed, undone and redone as a whole. ``rhythm.editing`` applies edits to an
analysis, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from .labels import CLASSES

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
    """Templates are merged into the first one, split into so many parts or by these beats, hidden, or shown again."""

    kind: ClassVar[str] = "templates"
    action: str  # one of TEMPLATE_ACTIONS
    names: tuple[str, ...]  # such as "V1"
    n_parts: int = 0  # of a split; 0 where the beats are given
    times_s: tuple[float, ...] = ()  # of the beats that a split takes out, ascending


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


def edit_of(kind: str, content: list[Any]) -> Edit:
    """The edit of these values.

    Raises
    ------
    ValueError
        They are those of no edit.

    """
    try:
        return _READ[kind](content)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{kind}: this is no edit") from error


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
    _require(action in TEMPLATE_ACTIONS and all(isinstance(name, str) for name in names), "a template edit is unknown")
    _require(type(n_parts) is int and n_parts >= 0, "a template is split into no number of parts")
    return TemplateEdit(action, tuple(names), n_parts, tuple(map(_time_s, times_s)))


def _time_s(value: Any) -> float:
    _require(type(value) in (int, float) and value >= 0, "a time is none, or lies before the recording")
    return float(value)


def _require(fulfilled: bool, problem: str) -> None:
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


def labels_of(edits: Iterable[Edit]) -> list[Label]:
    """The labels of all edits, in their order."""
    return [label for edit in edits if isinstance(edit, LabelEdit) for label in edit.labels]
