"""Other labels in the place of predictions: those of another operating point, a reader's, or those of a rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import RecordError
from ..labels import CLASSES, MATCH_WINDOW_S, UNLABELLED, Codes, class_codes, most_probable, nearest
from ..rules import OperatingPoint
from ..schema import Annotations, Beats, Bool, Float64
from ..text import plural
from .uncertainty import SMALLEST_PROBABILITY

LEAST_MATCHED = 0.8  # labels of another patient meet a beat by chance, at usual rates a third of them


def at_operating_point(beats: Beats, point: OperatingPoint | None) -> Beats:
    """The beats as a network classifies them, at an operating point; their probabilities stay.

    The offsets are added to the logarithms of the probabilities of V and S, and the most probable class is then the
    label. Without offsets the beats are the same.
    """
    if point is None or not (point.v_offset or point.s_offset):
        return beats
    offset = np.zeros(len(CLASSES), dtype=np.float32)
    offset[CLASSES.index("V")], offset[CLASSES.index("S")] = point.v_offset, point.s_offset
    logits = np.log(np.maximum(beats.probability, np.float32(SMALLEST_PROBABILITY))) + offset
    return replace(beats, label=most_probable(logits, beats.usable))


def label_codes(labels: Annotations | None, time_s: Float64) -> Codes:
    """Class of each beat that has a label, UNLABELLED for the others, shape (n_beats,)."""
    return np.full(len(time_s), UNLABELLED) if labels is None else labels.codes_at(time_s)


def refuse_foreign(labels: Annotations | None, time_s: Float64) -> None:
    """Refuse labels that do not belong to the beats of a record.

    Raises
    ------
    RecordError
        Fewer than LEAST_MATCHED of them are at a beat.

    """
    label_s = np.zeros(0) if labels is None else labels.time_s[class_codes(labels.symbol) != UNLABELLED]
    if not len(label_s):
        return
    matched = nearest(time_s, label_s)[1] <= MATCH_WINDOW_S if len(time_s) else np.zeros(len(label_s), dtype=bool)
    if matched.mean() < LEAST_MATCHED:
        raise RecordError(
            "the labels belong to another record, or their times are wrong; nothing was labelled",
            expected=f"at least {100 * LEAST_MATCHED:.0f} % of {plural(len(label_s), 'label')} at a beat",
            got=f"{matched.sum():,} ({100 * matched.mean():.0f} %)",
            settings=("own",),
        )


def set_labels(beats: Beats, labels: Codes) -> Beats:
    """The beats with a reader's labels, which are certain; those that are UNLABELLED stay as they are.

    A labelled beat counts, also where the signal is not analysable; its RR stays as it is, unknown in such signal.
    """
    index = np.flatnonzero(labels != UNLABELLED)
    label, probability, usable = beats.label.copy(), beats.probability.copy(), beats.usable.copy()
    label[index] = np.array(CLASSES)[labels[index]]
    probability[index] = np.eye(len(CLASSES), dtype=np.float32)[labels[index]]
    usable[index] = True
    return replace(beats, label=label, probability=probability, usable=usable)


def moved(beats: Beats, chosen: Bool, source: str, target: str) -> Beats:
    """The beats with the label ``target`` where ``chosen``, to whose probability that of ``source`` is added there."""
    if not chosen.any():
        return beats
    label, probability = beats.label.copy(), beats.probability.copy()
    a, b = CLASSES.index(source), CLASSES.index(target)
    label[chosen] = target
    probability[chosen, b] += probability[chosen, a]
    probability[chosen, a] = 0
    return replace(beats, label=label, probability=probability)
