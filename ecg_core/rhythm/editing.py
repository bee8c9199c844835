"""A reader's edits, applied to what the program found: beats, signal quality, waveform; the counts follow from these.

Edits count in their order: a beat that was labelled and then deleted is gone; a stretch that was marked as artefact
takes back the labels in it. What no edit touches keeps its values, bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..edits import (
    MARKED_CLASS,
    NO_CHANGES,
    Changes,
    DeleteEdit,
    Edit,
    InsertEdit,
    Label,
    LabelEdit,
    Mark,
    RhythmEdit,
    Stretch,
    StretchEdit,
    counting,
)
from ..labels import CLASSES, MATCH_WINDOW_S, NO_BEAT, SAME_BEAT_S, UNLABELLED, Codes, most_probable, nearest
from ..schema import Analysis, Attention, Beats, Bool, Float32, Float64, Index, Quality, RhythmEvent, Waveform
from .danger import without
from .events import DANGERS
from .intervals import DECIMALS, MASKED_S

EDITED_BLOCK_S = 0.2  # of the signal quality where a reader marked stretches: their edges lie on large boxes


class _EditedBeats:
    """The beats while edits are applied one after the other: those that were found, then those that were inserted."""

    def __init__(self, time_s: Float64, code: Codes, usable: Bool, quality: Quality, *, duration_s: float) -> None:
        n = len(time_s)
        self.n_found = n
        self.time_s, self.code, self.usable, self.quality = time_s, code.copy(), usable.copy(), quality
        self.duration_s = duration_s
        self.gone, self.hidden, self.inserted, self.by_mark = (np.zeros(n, dtype=bool) for _ in range(4))
        self.own: Codes = np.full(n, UNLABELLED)  # class of an inserted beat apart from any mark
        self.order: Index = np.arange(n)  # by time
        self.artefact: list[Stretch] = []
        self.analysable: list[Stretch] = []
        self.marks: list[Mark] = []

    def apply(self, edit: Edit) -> None:
        """Apply one edit."""
        match edit:
            case LabelEdit(labels=labels):
                self._label(labels)
            case DeleteEdit(times_s=times_s):
                rows = self._nearest(np.array(times_s, dtype=np.float64), MATCH_WINDOW_S)
                self.gone[rows[rows >= 0]] = True
            case InsertEdit(beats=beats):
                for beat in beats:
                    self._insert(beat)
            case StretchEdit():
                self._mark_quality(edit)
            case RhythmEdit():
                self._mark_rhythm(edit)

    def _label(self, labels: Sequence[Label]) -> None:
        """Set labels; where several belong to one beat, the last one counts."""
        time_s, code = _columns(labels)
        rows = self._nearest(time_s, MATCH_WINDOW_S)
        rows, code = rows[rows >= 0], code[rows >= 0]
        self._set(rows, code)
        self.own[rows[rows >= self.n_found]] = code[rows >= self.n_found]

    def _insert(self, beat: Label) -> None:
        """Put a beat in; where there is one already, or one that was deleted, it gets the class."""
        time_s, code = _columns([beat])
        row = self._nearest(time_s, SAME_BEAT_S, also_gone=True)
        if row[0] >= 0:
            self.inserted[row] = (row >= self.n_found) | ~self.gone[row]
            self.gone[row] = self.hidden[row] = False
            self._set(row, code)
            return
        added = {"time_s": time_s, "code": code, "own": code, "usable": self.quality.usable_at(time_s)}
        added |= {name: np.array([name == "inserted"]) for name in ("inserted", "gone", "hidden", "by_mark")}
        for name, value in added.items():
            setattr(self, name, np.concatenate((getattr(self, name), value)))
        self.order = np.argsort(self.time_s, kind="stable")

    def _mark_quality(self, edit: StretchEdit) -> None:
        """Mark stretches as artefact, which takes back the labels in them, or as analysable."""
        self.quality = _refined(self.quality)
        usable = self.quality.usable.copy()
        for stretch in (_rounded(one, self.duration_s) for one in edit.stretches):
            usable[_blocks(stretch)] = edit.analysable
            gained, other = (self.analysable, self.artefact) if edit.analysable else (self.artefact, self.analysable)
            other[:] = [Stretch(*rest) for one in other for rest in without(one, [stretch])]
            gained[:] = sorted([*(Stretch(*rest) for one in gained for rest in without(one, [stretch])), stretch])
            self.usable[self._inside(stretch, also_gone=True)] = edit.analysable
            if edit.analysable:
                self._show(stretch)
            else:
                self.marks = self._marks_outside(stretch)
                self._take_back(self._inside(stretch), hide=True)
        self.quality = replace(self.quality, usable=usable)

    def _mark_rhythm(self, edit: RhythmEdit) -> None:
        """Mark stretches as a rhythm, whose class their beats get; fibrillation has none."""
        label = MARKED_CLASS[edit.rhythm]
        for stretch in edit.stretches:
            self.marks = sorted([*self._marks_outside(stretch), Mark(*stretch, edit.rhythm)])
            if edit.rhythm != "vf":
                self._show(stretch)
            inside = self._inside(stretch) & (self.usable | (self.code != UNLABELLED))  # the beats that are counted
            if label is not None:
                self._set(np.flatnonzero(inside), np.full(int(inside.sum()), CLASSES.index(label)))
                self.by_mark |= inside
            else:
                self._take_back(inside & (self.by_mark | (edit.rhythm == "vf")), hide=edit.rhythm == "vf")

    def _marks_outside(self, stretch: Stretch) -> list[Mark]:
        return [Mark(*part, one.rhythm) for one in self.marks for part in without(one[:2], [stretch])]

    def _take_back(self, rows: Bool, *, hide: bool) -> None:
        """Take labels back; an inserted beat has its own class again or, with ``hide``, is hidden."""
        self.code[rows] = self.own[rows]
        if hide:
            is_new = np.flatnonzero(rows[self.n_found :]) + self.n_found
            self.gone[is_new] = self.hidden[is_new] = True

    def _show(self, stretch: Stretch) -> None:
        """Show the inserted beats of a stretch again that an earlier mark hid, and none hides any more."""
        again = self._inside(stretch, also_gone=True) & self.hidden
        for start_s, end_s in (*self.artefact, *(mark[:2] for mark in self.marks if mark.rhythm == "vf")):
            again &= ~self._inside(Stretch(start_s, end_s), also_gone=True)
        self.gone[again] = self.hidden[again] = False
        self.code[again] = self.own[again]

    def _set(self, rows: Index, code: Codes) -> None:
        self.code[rows] = code
        self.by_mark[rows] = False

    def _inside(self, stretch: Stretch, *, also_gone: bool = False) -> Bool:
        inside = (self.time_s >= stretch.start_s) & (self.time_s < stretch.end_s)
        return np.asarray(inside if also_gone else inside & ~self.gone)

    def _nearest(self, time_s: Float64, within_s: float, *, also_gone: bool = False) -> Index:
        """The beat nearest to each time, shape (n,); -1 where there is none within ``within_s``."""
        order = self.order if also_gone else self.order[~self.gone[self.order]]
        if not len(order):
            return np.full(len(time_s), -1)
        place, away_s = nearest(self.time_s[order], time_s)
        return np.where(away_s <= within_s, order[place], -1)

    @property
    def kept(self) -> Index:
        """The beats that are left, by time."""
        return self.order[~self.gone[self.order]]

    def changes(self) -> Changes:
        """What the edits come to beside the labels."""
        return Changes(
            deleted_s=tuple(self.time_s[: self.n_found][self.gone[: self.n_found]].tolist()),
            inserted_s=tuple(np.sort(self.time_s[self.inserted & ~self.gone]).tolist()),
            artefact=tuple(self.artefact),
            analysable=tuple(self.analysable),
            marks=tuple(self.marks),
        )


def apply_edits(base: Analysis, edits: Iterable[Edit]) -> tuple[Analysis, Codes]:
    """An analysis with the beats, quality and waveform that edits leave, and the class of each labelled beat in it.

    Its counts are still those of ``base``: it is to be measured.

    Parameters
    ----------
    base
        As the program made it, with no edit but the labels that its model was fine-tuned to.

    Returns
    -------
    The analysis, and codes of shape (n_beats,), UNLABELLED where no reader labelled the beat.

    """
    found = base.predicted
    duration_s = base.record.duration_s
    edited = _EditedBeats(found.time_s, base.label_codes, found.usable, base.quality, duration_s=duration_s)
    for edit in edits:
        edited.apply(edit)
    changes, kept = edited.changes(), edited.kept
    if changes == NO_CHANGES:
        return base, edited.code[: edited.n_found]
    quality = _with_artefact(edited.quality, changes.artefact)
    analysis = replace(
        base,
        predicted=_predicted(found, edited, quality, changes),
        attention=_attention(base.attention, edited),
        quality=quality,
        waveform=_without_standstill(base.waveform, changes.artefact),
        queried=_moved(base.queried[edited.usable[base.queried]], edited),
        changes=changes,
    )
    return analysis, edited.code[kept]


def rejected_dangers(base: Analysis, changes: Changes) -> tuple[RhythmEvent, ...]:
    """Dangers, and ventricular tachycardia of any length, that the program found in what a reader calls artefact."""
    serious = [event for event in base.events if event.kind in (*DANGERS, "vt")]
    spans = [(event.start_s, event.end_s) for event in serious]
    return tuple(event for event, span in zip(serious, spans, strict=True) if without(span, changes.artefact) != [span])


def learnable_codes(
    time_s: Float64, codes: Codes, usable: Bool, quality: Quality, edits: Iterable[Edit], *, duration_s: float
) -> Codes:
    """Class of each beat that edits give one, NO_BEAT where a reader deleted it, else ``codes``; shape (n_beats,)."""
    edited = _EditedBeats(time_s, codes, usable, quality, duration_s=duration_s)
    for edit in edits:
        edited.apply(edit)
    n = edited.n_found
    return np.where(edited.gone[:n], NO_BEAT, edited.code[:n])


def outside_artefact(analysis: Analysis, beats: Index) -> Index:
    """Those of some beats of an edited analysis that lie in nothing that a reader marked as artefact."""
    time_s = analysis.beats.time_s[beats]
    outside = np.ones(len(beats), dtype=bool)
    for start_s, end_s in analysis.changes.artefact:
        outside &= (time_s < start_s) | (time_s >= end_s)
    return beats[outside]


def inserted_times(edits: Iterable[Edit]) -> Float64:
    """Times of all beats that edits insert, ascending."""
    return np.unique([beat.time_s for edit in edits if isinstance(edit, InsertEdit) for beat in edit.beats])


def changes_beats(edits: Iterable[Edit]) -> bool:
    """Whether edits change more than labels, so that an analysis fine-tuned to them does not show them yet."""
    return any(not isinstance(edit, LabelEdit) for edit in counting(edits))


def _columns(labels: Sequence[Label]) -> tuple[Float64, Codes]:
    code_of = {label: code for code, label in enumerate(CLASSES)}
    time_s = np.array([label.time_s for label in labels], dtype=np.float64)
    return time_s, np.array([code_of[label.label] for label in labels], dtype=np.int64)


def _refined(quality: Quality) -> Quality:
    """The same quality in blocks of EDITED_BLOCK_S."""
    times = round(quality.block_s / EDITED_BLOCK_S)
    score, usable = np.repeat(quality.score, times, axis=1), np.repeat(quality.usable, times)
    return replace(quality, block_s=quality.block_s / times, score=score, usable=usable)


def _rounded(stretch: Stretch, duration_s: float) -> Stretch:
    """A stretch whose edges lie on large boxes, of one at least; the last box of a recording is filled."""
    first = round(stretch.start_s / EDITED_BLOCK_S)
    n_boxes = math.ceil(round(duration_s / EDITED_BLOCK_S, DECIMALS))
    reaches_end = round(stretch.end_s / EDITED_BLOCK_S, DECIMALS) > n_boxes - 1
    last = n_boxes if reaches_end else max(first + 1, round(stretch.end_s / EDITED_BLOCK_S))
    return Stretch(round(first * EDITED_BLOCK_S, 1), round(last * EDITED_BLOCK_S, 1))


def _blocks(stretch: Stretch) -> slice:
    return slice(round(stretch.start_s / EDITED_BLOCK_S), round(stretch.end_s / EDITED_BLOCK_S))


def _with_artefact(quality: Quality, artefact: Iterable[Stretch]) -> Quality:
    """The quality with the lowest score where a reader sees artefact."""
    score = quality.score.copy()
    for stretch in artefact:
        score[:, _blocks(stretch)] = 0
    return replace(quality, score=score)


def _without_standstill(waveform: Waveform, artefact: Iterable[Stretch]) -> Waveform:
    """The waveform without a standstill where a reader sees artefact: it shows no pause."""
    still = [rest for span in waveform.still_s.tolist() for rest in without((span[0], span[1]), artefact)]
    return replace(waveform, still_s=np.array(still, dtype=np.float64).reshape(-1, 2))


def _predicted(found: Beats, edited: _EditedBeats, quality: Quality, changes: Changes) -> Beats:
    """The beats that are left; an inserted one has its reader's class, and is compared with no other beat."""
    kept, n = edited.kept, edited.n_found
    is_new = kept >= n
    source = np.where(is_new, 0, kept)
    probability: Float32 = found.probability[source] if n else np.zeros((len(kept), len(CLASSES)), dtype=np.float32)
    probability[is_new] = np.eye(len(CLASSES), dtype=np.float32)[edited.code[kept[is_new]]]
    usable, time_s = edited.usable[kept], edited.time_s[kept]
    label = most_probable(probability, usable)
    follows_another = np.diff(kept, prepend=-2) != 1  # than the beat that it followed as it was found
    follows_another |= is_new
    rr_s = _rr(found, edited, quality, changes, follows_another)

    def column(values: Float32 | None, unknown: Bool) -> Float32 | None:
        if values is None:
            return None
        return np.where(unknown, np.float32(np.nan), values[source] if n else np.float32(np.nan))

    return Beats(
        time_s, label, probability, rr_s, usable,
        p_repeats=_interpolated(found, found.p_repeats, time_s),
        p_correlation=column(found.p_correlation, is_new),
        qrs_correlation=column(found.qrs_correlation, follows_another),
        af_probability=_interpolated(found, found.af_probability, time_s),
    )  # fmt: skip


def _interpolated(found: Beats, column: Float32 | None, time_s: Float64) -> Float32 | None:
    """A column that changes slowly from beat to beat, between the beats that were found; theirs stay."""
    if column is None or not len(found):
        return None
    return np.asarray(np.interp(time_s, found.time_s, column), dtype=np.float32)


def _rr(found: Beats, edited: _EditedBeats, quality: Quality, changes: Changes, follows_another: Bool) -> Float64:
    """RR of the beats that are left.

    One between other beats than before is known where all RR that it is made of were, or where it is too short for a
    beat to have been masked, and no signal in it is unusable. The same holds where a stretch was marked.
    """
    kept, time_s = edited.kept, edited.time_s[edited.kept]
    if not len(kept):
        return np.zeros(0)
    rr_s = np.diff(time_s, prepend=np.nan)
    n_lost = np.concatenate(([0], np.cumsum(~np.isfinite(found.rr_s))))  # up to each beat that was found
    last = np.searchsorted(found.time_s, time_s, "left")  # the beat that was found at each time or after it
    before = np.concatenate(([0], np.searchsorted(found.time_s, time_s[:-1], "right")))  # after those up to the last
    known = (n_lost[np.minimum(last + 1, len(found))] == n_lost[np.minimum(before, len(found))]) & (last < len(found))
    known |= rr_s <= MASKED_S
    block = np.minimum((time_s / quality.block_s).astype(int), len(quality.usable) - 1)
    marked = np.zeros(len(quality.usable), dtype=bool)
    for stretch in (*changes.artefact, *changes.analysable):
        marked[_blocks(stretch)] = True
    known &= ~_between(~quality.usable, block)
    changed = follows_another | _between(marked, block)
    of_found = (
        np.where(kept < edited.n_found, found.rr_s[np.minimum(kept, len(found) - 1)], np.nan) if len(found) else rr_s
    )
    new_s = np.where(known, rr_s, np.nan)
    new_s[0] = np.nan
    return np.where(changed, new_s, of_found)


def _between(flags: Bool, block: Index) -> Bool:
    """Whether any block from that of the previous beat to that of each beat has a flag, shape (n_beats,)."""
    total = np.concatenate(([0], np.cumsum(flags)))
    previous = np.concatenate((block[:1], block[:-1]))
    return np.asarray(total[block + 1] > total[previous])


def _attention(attention: Attention, edited: _EditedBeats) -> Attention:
    """The attention of the beats that are left; for an inserted one it is the same everywhere."""
    kept = edited.kept
    is_new = kept >= edited.n_found
    weight = np.full((len(kept), len(attention.offset_s)), 1 / len(attention.offset_s), dtype=np.float16)
    weight[~is_new] = attention.weight[kept[~is_new]]
    return replace(attention, weight=weight)


def _moved(beats: Index, edited: _EditedBeats) -> Index:
    """Positions of beats that were found among those that are left."""
    place = np.full(len(edited.time_s), -1)
    place[edited.kept] = np.arange(len(edited.kept))
    return np.asarray(place[beats][place[beats] >= 0])
