"""Templates: each beat of an analysis belongs to one, with beats of like QRS, timing and certainty of its class.

They are made from an analysis without a reader's edits, so their names stay whatever is edited: "V1" holds the most of
the beats that the program found ventricular. Edits of templates then change which beats belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from ..edits import TemplateEdit
from ..labels import CLASSES
from ..schema import Beats, Bool, Float32, Float64, FrozenArrays, Index, Record
from ..signals.windows import running_median
from .clustering import NO_GROUP, group_beats, split_beats
from .waveforms import Waveforms, columns_within, complete, cut_waveforms

# Chosen on mitdb DS1 and on svdb without its test records by the wrong beats that relabelling ten templates mends.
MAX_GROUPS = 12  # of like QRS in a class; what fits none of them is the rest of the class
PREMATURE = 0.85  # a beat whose RR is shorter than this part of the usual one near to it is premature
USUAL_BEATS = 31  # whose median RR is the usual one
BY_TIMING = "NS"  # classes whose beats differ by their timing, not by their QRS
CERTAIN = 0.6  # a beat whose class is less probable stands with the others that are
MIN_PART_BEATS = 8  # fewer beats of another timing or certainty stay with those of their QRS

UNUSABLE, INSERTED = "Not analysable", "Inserted"  # templates of no class: see ``make_templates``, ``edited_templates``
UNNAMED_CLASS = "Q"  # by which the parts of those are named
SAME_S = 1e-3  # times of one beat in two analyses of the same leads differ by less ...
SAME_IN_OTHER_LEADS_S = 0.05  # ... and in those of other leads
MARKS = 3  # beats by which an edit knows a template again

MAX_OVERLAID = 60  # waveforms of a template that are drawn: more would hide each other
RR_EDGES_S: Final = np.arange(0.2, 2.01, 0.05)  # the first and the last bar count shorter and longer RR too


@dataclass(frozen=True, eq=False)
class BeatTemplates(FrozenArrays):
    """Which template each beat belongs to."""

    lead_names: tuple[str, ...]
    time_s: Float64  # (n_beats,), ascending
    waveform: Waveforms  # (n_beats, n_leads, n_points)
    names: tuple[str, ...]  # of all templates, such as "V1"; those that were merged into others have no beats
    number: Index  # (n_beats,), position in ``names``
    hidden: tuple[str, ...] = ()

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Waveforms of each template that has beats, by its name."""
        known = complete(self.waveform)
        return {name: _shape(self.waveform, index[known[index]]) for name, index in self.members.items()}

    @cached_property
    def members(self) -> dict[str, Index]:
        """Positions of the beats of each template that has any, by its name."""
        order = np.argsort(self.number, kind="stable")
        parts = np.split(order, np.searchsorted(self.number[order], np.arange(1, len(self.names))))
        return {name: part for name, part in zip(self.names, parts, strict=False) if len(part)}


@dataclass(frozen=True, eq=False)
class Shape(FrozenArrays):
    """Waveforms of a template."""

    mean_mv: Float32  # (n_leads, n_points) at OFFSET_S, less its median; NaN where no beat is complete
    overlaid_mv: Float32  # (n, n_leads, n_points), of at most MAX_OVERLAID beats, evenly spread


@dataclass(frozen=True, eq=False)
class Template(FrozenArrays):
    """Beats of like shape as they are counted at present."""

    name: str
    label: str  # class of most of its beats at present
    index: Index  # (n,), positions of its beats, ascending
    count: Index  # (5,), its beats by class, in the order of CLASSES
    share_of_class: float  # its beats of class ``label`` among all analysable ones of this class
    share_of_all: float  # its beats among all beats
    doubt: float  # sum of one minus the probability of the class of each beat that is counted
    rr_count: Index  # (n_bars,), beats by the RR before them, between RR_EDGES_S
    shape: Shape
    is_hidden: bool

    @property
    def made_label(self) -> str:
        """The class by which it was named; empty where it has none."""
        return self.name[0] if self.name not in (UNUSABLE, INSERTED) else ""


def make_templates(record: Record, lead_names: tuple[str, ...], beats: Beats) -> BeatTemplates:
    """The templates of an analysis without edits.

    Beats of one class and of like QRS are one template; those that are premature, and those whose class is less
    probable than CERTAIN, are templates of their own. Templates of a class are numbered by their size; beats that fit
    none of its groups come last as its rest. Beats in signal that is not analysable are one template, of no class.

    Parameters
    ----------
    beats
        As they are counted before any edit.

    """
    waveform = cut_waveforms(record, lead_names, beats.time_s)
    names: list[str] = []
    number = np.zeros(len(beats), dtype=np.int64)
    for label in CLASSES:
        index = np.flatnonzero((beats.label == label) & beats.usable)
        group = group_beats(waveform[index], max_groups=MAX_GROUPS)
        parts = [index[part] for part in _parts(group, premature(beats)[index], beats.confidence[index], label)]
        parts.sort(key=len, reverse=True)
        rest = index[group == NO_GROUP]
        named = {f"{label}{at}": part for at, part in enumerate(parts, 1)} | {f"{label} rest": rest}
        for name, part in named.items():
            if len(part):
                number[part] = len(names)
                names.append(name)
    if not beats.usable.all():
        number[~beats.usable] = len(names)
        names.append(UNUSABLE)
    return BeatTemplates(lead_names, beats.time_s, waveform, tuple(names), number)


def morphologies(
    record: Record, lead_names: tuple[str, ...], time_s: Float64, *, max_groups: int
) -> tuple[list[tuple[Shape, int]], tuple[Shape, int]]:
    """Waveforms and number of beats of like QRS, the most frequent first, and those of the remaining beats."""
    waveform = cut_waveforms(record, lead_names, time_s)
    group, known = group_beats(waveform, max_groups=max_groups), complete(waveform)
    found = [
        (_shape(waveform, np.flatnonzero((group == one) & known)), int((group == one).sum()))
        for one in range(NO_GROUP, int(group.max(initial=NO_GROUP)) + 1)
    ]
    return found[1:], found[0]


def premature(beats: Beats) -> Bool:
    """Whether each beat comes earlier than the RR near to it let expect, shape (n,)."""
    known = np.isfinite(beats.rr_s)
    if not known.any():
        return np.zeros(len(beats), dtype=bool)
    rr_s = np.interp(np.arange(len(beats)), np.flatnonzero(known), beats.rr_s[known])
    return np.asarray(known & (rr_s < PREMATURE * running_median(rr_s, USUAL_BEATS, ends="reflect")))


def _parts(group: Index, is_premature: Bool, confidence: Float32, label: str) -> list[Index]:
    """Positions of the beats of each template of a class, without its rest."""
    kind = 2 * (is_premature & (label in BY_TIMING)) + (confidence < CERTAIN)
    parts: list[Index] = []
    for one in range(int(group.max(initial=NO_GROUP)) + 1):
        within = np.flatnonzero(group == one)
        size = np.bincount(kind[within], minlength=4)
        of_kind = np.where(size[kind[within]] < MIN_PART_BEATS, size.argmax(), kind[within])
        parts += [within[of_kind == other] for other in np.unique(of_kind)]
    return parts


def edited_templates(
    made: BeatTemplates, record: Record, time_s: Float64, edits: Iterable[TemplateEdit]
) -> BeatTemplates:
    """The templates of the beats of an edited analysis: inserted beats are one template, deleted ones drop out.

    Parameters
    ----------
    time_s
        Times of the beats of the edited analysis, shape (n,), ascending.

    """
    edited = apply_template_edits(_with_inserted(made, record, time_s), edits)
    if np.array_equal(edited.time_s, time_s):
        return edited
    at = _found(edited.time_s, time_s)
    return replace(edited, time_s=time_s, waveform=edited.waveform[at], number=edited.number[at])


def apply_template_edits(made: BeatTemplates, edits: Iterable[TemplateEdit]) -> BeatTemplates:
    """The templates after a reader's edits, in their order; templates that there are not are passed over."""
    for edit in edits:
        names = _meant(made, edit)
        if edit.action == "show":
            made = replace(made, hidden=tuple(name for name in made.hidden if name not in names))
        elif edit.action == "hide":
            made = replace(made, hidden=tuple(dict.fromkeys([*made.hidden, *names])))
        elif edit.action == "merge" and len(names) > 1:
            made = _merged(made, names)
        elif edit.action == "split" and names:
            made = _split_off(made, names, edit.times_s) if edit.times_s else _split(made, names[0], edit.n_parts)
    return made


def marks_of(made: BeatTemplates, names: Sequence[str]) -> tuple[float, ...]:
    """Times of MARKS beats of each template, by which an edit knows it again, seconds."""
    marks = [made.members[name][np.linspace(0, len(made.members[name]) - 1, MARKS).astype(int)] for name in names]
    return tuple(made.time_s[np.concatenate(marks)].tolist()) if marks else ()


def _meant(made: BeatTemplates, edit: TemplateEdit) -> tuple[str, ...]:
    """The templates of an edit that there are: of those with marks, the ones that hold all of these that are beats."""
    known = [name for name in edit.names if name in made.members]
    if edit.action == "split" or not edit.times_s or not known:
        return tuple(known)
    marks_s = dict(zip(edit.names, np.reshape(edit.times_s, (len(edit.names), -1)), strict=True))
    found = {name: _found(made.time_s, marks_s[name], within_s=SAME_IN_OTHER_LEADS_S) for name in known}
    inside = {name: made.number[at[at >= 0]] == made.names.index(name) for name, at in found.items()}
    return tuple(name for name in known if len(inside[name]) and inside[name].all())


def _merged(made: BeatTemplates, names: tuple[str, ...]) -> BeatTemplates:
    number = made.number.copy()
    for name in names[1:]:
        number[made.members[name]] = made.names.index(names[0])
    return replace(made, number=number, hidden=tuple(name for name in made.hidden if name not in names))


def _split(made: BeatTemplates, name: str, n_parts: int) -> BeatTemplates:
    """The largest part keeps the name."""
    index = made.members[name]
    part = split_beats(made.waveform[index], n_parts)
    for number in range(1, int(part.max()) + 1):
        made = _taken_out(made, name, index[part == number])
    return made


def _split_off(made: BeatTemplates, names: tuple[str, ...], times_s: tuple[float, ...]) -> BeatTemplates:
    """Some beats of templates become one of their own, unless they are all that there are."""
    index = np.sort(np.concatenate([made.members[name] for name in names]))
    chosen = index[_found(np.array(times_s), made.time_s[index]) >= 0]
    return made if len(chosen) in (0, len(index)) else _taken_out(made, names[0], chosen)


def _taken_out(made: BeatTemplates, name: str, index: Index) -> BeatTemplates:
    """The beats under the next free number of the class of ``name``."""
    label = name[0] if name not in (UNUSABLE, INSERTED) else UNNAMED_CLASS
    used = [int(other[1:]) for other in made.names if other[0] == label and other[1:].isdigit()]
    number = made.number.copy()
    number[index] = len(made.names)
    return replace(made, names=(*made.names, f"{label}{max(used, default=0) + 1}"), number=number)


def _with_inserted(made: BeatTemplates, record: Record, time_s: Float64) -> BeatTemplates:
    """The templates with one more for those of the beats at these times that it does not know."""
    inserted_s = time_s[_found(made.time_s, time_s) < 0]
    if not len(inserted_s):
        return made
    every_s = np.concatenate((made.time_s, inserted_s))
    waveform = np.concatenate((made.waveform, cut_waveforms(record, made.lead_names, inserted_s)))
    number = np.concatenate((made.number, np.full(len(inserted_s), len(made.names))))
    order = np.argsort(every_s, kind="stable")
    names = (*made.names, INSERTED)
    return BeatTemplates(made.lead_names, every_s[order], waveform[order], names, number[order], made.hidden)


def _found(known_s: Float64, time_s: Float64, *, within_s: float = SAME_S) -> Index:
    """Position among known times, ascending, of each time that is one of them, else -1, shape of ``time_s``."""
    if not len(known_s):
        return np.full(len(time_s), -1)
    after = np.searchsorted(known_s, time_s)
    near = np.clip([after - 1, after], 0, len(known_s) - 1)
    distance_s = np.abs(known_s[near] - time_s)
    nearest = near[distance_s.argmin(axis=0), np.arange(len(time_s))]
    return np.where(distance_s.min(axis=0) <= within_s, nearest, -1)


def describe_templates(made: BeatTemplates, beats: Beats) -> tuple[Template, ...]:
    """The templates with at least one beat as they are counted at present, those with the most doubt first.

    Parameters
    ----------
    made
        Of these very beats, see ``edited_templates``.
    beats
        As they are counted, with all edits.

    """
    code = np.argmax(beats.label[:, None] == np.array(CLASSES), axis=1)
    uncertainty = np.where(beats.usable, 1 - beats.confidence, 0).astype(np.float64)
    bar = np.clip(np.searchsorted(RR_EDGES_S, beats.rr_s, "right") - 1, 0, len(RR_EDGES_S) - 2)
    bar[~np.isfinite(beats.rr_s)] = len(RR_EDGES_S) - 1  # beyond the bars
    of_class = np.bincount(code[beats.usable], minlength=len(CLASSES))
    templates = []
    for name, index in made.members.items():
        count = np.bincount(code[index], minlength=len(CLASSES))
        most = int(count.argmax())
        counted = int((beats.usable[index] & (code[index] == most)).sum())
        templates.append(
            Template(
                name=name, label=CLASSES[most], index=index, count=count,
                share_of_class=counted / max(1, int(of_class[most])), share_of_all=len(index) / len(beats),
                doubt=float(uncertainty[index].sum()),
                rr_count=np.bincount(bar[index], minlength=len(RR_EDGES_S))[: len(RR_EDGES_S) - 1],
                shape=made.shapes[name], is_hidden=name in made.hidden,
            )
        )  # fmt: skip
    return tuple(sorted(templates, key=lambda one: (-one.doubt, -len(one.index), one.name)))


def beats_through_box(
    made: BeatTemplates, index: Index, lead_name: str, *, offset_s: tuple[float, float], mv: tuple[float, float]
) -> Index:
    """Those of some beats whose waveform, less its median, passes through a box around a part of it."""
    lead = made.lead_names.index(lead_name)
    signal_mv = made.waveform[index, lead].astype(np.float32)
    signal_mv -= np.median(signal_mv, axis=1, keepdims=True)
    columns = columns_within(offset_s)
    inside = (signal_mv[:, columns] >= min(mv)) & (signal_mv[:, columns] <= max(mv))
    return np.asarray(index[inside.any(axis=1)])


def _shape(waveform: Waveforms, index: Index) -> Shape:
    if not len(index):
        nothing = np.full(waveform.shape[1:], np.nan, dtype=np.float32)
        return Shape(nothing, np.zeros((0, *nothing.shape), dtype=np.float32))
    mean = waveform[index].mean(axis=0, dtype=np.float32)
    drawn = index[np.unique(np.linspace(0, len(index) - 1, MAX_OVERLAID).astype(int))]
    overlaid = waveform[drawn].astype(np.float32)
    return Shape(mean - np.median(mean, axis=-1, keepdims=True), overlaid - np.median(overlaid, axis=-1, keepdims=True))
