"""Learning from a reader's labels, and whether that helps: cross-validation on the labelled beats.

The labelled beats are divided into folds. For each fold the model is fine-tuned to the labels of the others and
classifies those that were held out: where they agree less often with the reader than before, learning does harm. Other
beats of the record are classified too, as twelve labels say little of a day: how many of them would change, and whether
the models of the folds agree on the change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..labels import NO_BEAT, UNLABELLED, Codes
from ..learning import LearningCheck
from ..parallel import parallel_map
from ..schema import Float32, Float64, Index, ModelSpec
from .classification import NOISE, Predictions, classify, predictions_of
from .features import N_OUTPUTS, evenly
from .fine_tuning import FINE_TUNING_SEQUENCE_BEATS, PatientBeats, fine_tune
from .model import Model
from .network import BeatNetwork

N_FOLDS = 5
MIN_STRETCHES = 3  # labels in fewer cannot be held out: what is read together would give them away
BLOCK_BEATS = FINE_TUNING_SEQUENCE_BEATS // 2  # beats are judged in the middle of a stretch, half of it at a time
MARGIN_BEATS = BLOCK_BEATS // 2
LABELLED_BLOCKS = 24  # with labels of a class, at most: a key may label 25,000 beats of a day
OTHER_BLOCKS = 96  # of other beats, evenly over the record: all of half an hour, 3,000 beats of a day
STRETCHES_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class _Judged:
    """Which blocks of beats are judged."""

    labelled: Index  # blocks that hold labels
    others: Index  # blocks all over the record


def learn(
    model: Model,
    tokens: NDArray[np.floating[Any]],
    rr_s: Float64,
    lead_weight: Float32,
    code: Codes,
    *,
    rows: Index,
    report: Callable[[float], None] = lambda fraction: None,
) -> tuple[Predictions, LearningCheck]:
    """Classify the beats of a record by a model fine-tuned to some of them, and check on held-out ones if that helps.

    Parameters
    ----------
    tokens, rr_s, lead_weight, rows
        See ``classify``.
    code
        Shape (n_beats,): index into CLASSES, NO_BEAT for what is none, or UNLABELLED where nothing is known.
    report
        Called after each part of the work with the fraction that is done.

    """
    patient = PatientBeats.of(model, tokens[rows], rr_s, lead_weight)
    fold = folds_of(code)
    n_folds = int(fold.max(initial=-1)) + 1
    judged = _judged_blocks(code)
    both = np.union1d(judged.labelled, judged.others)

    def codes_by(network: BeatNetwork, blocks: Index) -> Codes:
        return _codes(patient, network, blocks, model.spec)

    def fitted_without(held_out: int) -> tuple[Model, Codes]:
        """Fitted to the labels of the other folds, with the classes by it; fold -1 holds nothing out."""
        tuned = fine_tune(model, patient, np.where((fold == held_out) & (fold >= 0), UNLABELLED, code))
        return tuned, codes_by(tuned.network, both if n_folds else both[:0])

    done = []
    for number, fitted in enumerate(parallel_map(fitted_without, range(-1, n_folds)), 1):
        done.append(fitted)
        report(number / (n_folds + 1))
    (tuned, after), by_fold = done[0], np.array([codes for _, codes in done[1:]])
    before = codes_by(model.network, both if n_folds else both[:0])
    predictions = classify(tuned, tokens, rr_s, lead_weight, rows=rows)
    return predictions, _checked(code, fold, before, after, by_fold, judged)


def folds_of(code: Codes) -> Index:
    """The fold of each labelled beat, -1 of the others and where the labels cannot be divided; shape (n_beats,).

    The labels of one stretch stay together, as the model reads its beats together; each class is spread over the folds.
    """
    labelled = np.flatnonzero(code != UNLABELLED)
    fold = np.full(len(code), -1)
    stretch, member = np.unique(labelled // FINE_TUNING_SEQUENCE_BEATS, return_inverse=True)
    if len(stretch) < MIN_STRETCHES:
        return fold
    frequency = np.bincount(code[labelled], minlength=N_OUTPUTS)
    rarest = np.full(len(stretch), len(labelled) + 1)
    np.minimum.at(rarest, member, frequency[code[labelled]])
    rank = np.empty(len(stretch), dtype=np.int64)
    rank[np.lexsort((stretch, rarest))] = np.arange(len(stretch))
    fold[labelled] = (rank % min(N_FOLDS, len(stretch)))[member]
    return fold


def _judged_blocks(code: Codes) -> _Judged:
    """Blocks with labels of each class, and blocks evenly over the record."""
    n_blocks = -(-len(code) // BLOCK_BEATS)
    of_class = [np.unique(np.flatnonzero(code == label) // BLOCK_BEATS) for label in range(N_OUTPUTS)]
    labelled = [evenly(blocks, LABELLED_BLOCKS) for blocks in of_class]
    return _Judged(np.unique(np.concatenate(labelled)), evenly(np.arange(n_blocks), OTHER_BLOCKS))


@torch.inference_mode()
def _codes(patient: PatientBeats, network: BeatNetwork, blocks: Index, spec: ModelSpec) -> Codes:
    """The classes of the beats of some blocks, NO_BEAT where there is none, UNLABELLED elsewhere; (n_beats,)."""
    n_beats = len(patient.part)
    found = np.full(n_beats, UNLABELLED)
    last = max(0, n_beats - FINE_TUNING_SEQUENCE_BEATS)
    for first in range(0, len(blocks), STRETCHES_AT_ONCE):
        some = blocks[first : first + STRETCHES_AT_ONCE]
        starts = np.clip(some * BLOCK_BEATS - MARGIN_BEATS, 0, last).tolist()
        logits = patient.logits(network, starts).numpy()
        for block, start, row in zip(some.tolist(), starts, logits, strict=True):
            beats = slice(block * BLOCK_BEATS, min((block + 1) * BLOCK_BEATS, n_beats))
            predictions = predictions_of(row[beats.start - start : beats.stop - start], spec)
            code = predictions.probability.argmax(axis=1)
            found[beats] = np.where(predictions.noise >= NOISE, NO_BEAT, code)
    return found


def _checked(
    code: Codes, fold: Index, before: Codes, after: Codes, by_fold: NDArray[np.int64], judged: _Judged
) -> LearningCheck:
    """Count what agrees and what changes."""
    block = np.arange(len(code)) // BLOCK_BEATS
    if not len(by_fold):
        return LearningCheck(int(np.sum(code != UNLABELLED)))
    held_out = np.flatnonzero((fold >= 0) & np.isin(block, judged.labelled))
    truth = code[held_out]
    learned = by_fold[fold[held_out], held_out]
    other = np.flatnonzero((code == UNLABELLED) & np.isin(block, judged.others))
    changed = other[before[other] != after[other]]

    def per_class(of: Codes) -> tuple[int, ...]:
        return tuple(np.bincount(of, minlength=N_OUTPUTS).tolist())

    return LearningCheck(
        n_labels=int(np.sum(code != UNLABELLED)),
        held_out=per_class(truth),
        said_before=per_class(before[held_out]),
        right_before=per_class(truth[before[held_out] == truth]),
        right_after=per_class(truth[learned == truth]),
        others_before=per_class(before[other]),
        others_after=per_class(after[other]),
        n_changed=len(changed),
        fold_agreement=float(np.mean(by_fold[:, changed] == after[changed])) if len(changed) else 1.0,
    )
