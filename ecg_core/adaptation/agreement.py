"""Whether labels can be of their recordings: wrong ones are refused before anything is learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ..classifier.model import Model
from ..errors import AdaptationError
from ..labels import CLASSES, UNLABELLED, Codes, class_codes
from ..pipeline import analyse
from ..schema import Record
from ..text import plural
from .material import Recording

ECTOPIC: Final = (CLASSES.index("S"), CLASSES.index("V"))
LEAST_ECTOPIC: Final = 20  # labels of S and V of a recording that can be judged
# Of Cohen (1960, doi:10.1177/001316446002000104): 0 is chance. ``source`` reaches .44 or more in 53 of 55 records of
# recorders that it does not know (svdb outside its test set, ltdb, qtdb), .13 in the last; with shuffled labels .00.
LEAST_KAPPA: Final = 0.1


def refuse_contradicting(opened: Sequence[tuple[Recording, Record]], model: Model) -> None:
    """Refuse labels that agree with a model no better than by chance in more than half of the recordings.

    Recordings of which some beats alone are labelled tell nothing: readers label those that the model has wrong.

    Raises
    ------
    AdaptationError
        They do: they were shuffled, belong to other recordings, or are late by some beats.

    """
    kappas = {
        recording.name: kappa
        for recording, record in opened
        if recording.is_complete and (kappa := agreement(record, model)) is not None
    }
    chance = [f"{name} {kappa:.2f}" for name, kappa in kappas.items() if kappa < LEAST_KAPPA]
    if len(chance) > len(kappas) / 2:
        raise AdaptationError(
            f"The labels agree with the model no better than by chance in {len(chance)} of "
            f"{plural(len(kappas), 'recording')} with ectopic beats (Cohen's kappa, "
            f"expected {LEAST_KAPPA:g} or more: {', '.join(chance)}), so nothing is learned from them. "
            "Check that each annotation file belongs to its recording."
        )


def agreement(record: Record, model: Model) -> float | None:
    """Cohen's kappa of the labels and the model's classes N, S and V; None where too few ectopic beats are labelled."""
    if record.reference is None:
        return None
    known = class_codes(record.reference.symbol)
    if np.isin(known, ECTOPIC).sum() < LEAST_ECTOPIC:
        return None
    beats = analyse(record, model).beats
    true, found = record.reference.codes_at(beats.time_s), class_codes(beats.label)
    both = beats.usable & (true != UNLABELLED)
    return cohens_kappa(true[both], found[both])


def cohens_kappa(one: Codes, other: Codes) -> float:
    """Agreement beyond chance of two sequences of codes: 1 is full, 0 that of chance.

    Examples
    --------
    >>> cohens_kappa(np.array([0, 0, 2, 2]), np.array([0, 0, 2, 2]))
    1.0
    >>> cohens_kappa(np.array([0, 0, 2, 2]), np.array([0, 2, 0, 2]))
    0.0

    """
    if not len(one):
        return 0.0
    n = len(CLASSES)
    shares = [np.bincount(codes, minlength=n)[:n] / len(codes) for codes in (one, other)]
    by_chance = float(shares[0] @ shares[1])
    return float((np.mean(one == other) - by_chance) / (1 - by_chance)) if by_chance < 1 else 1.0
