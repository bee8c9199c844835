"""The second stage of the classifier: each beat again, by what it is within the whole record."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ..labels import most_probable
from ..probabilities import log_softmax, softmax
from ..schema import Beats, Float32, Index
from .chunks import ChunkFeatures
from .model import Model
from .record_features import record_features
from .trees import JUDGED

# Of the trees in the mean of the logarithms; .5 to 1 were tried in cross-validation. Where the network was fitted to
# labels of the patient, it knows more of this patient than they do; 0 to .8 were tried with 50 queried beats of svdb.
WEIGHT: Final = 0.8
WEIGHT_BESIDE_FITTED: Final = 0.3
LEAST_PROBABILITY: Final = 1e-6  # of a class, so that its logarithm is finite


def reclassified(model: Model, beats: Beats, features: ChunkFeatures, rows: Index, *, is_fitted: bool = False) -> Beats:
    """The beats with the probabilities of both stages together, and the labels by these.

    The beats as they are where the model has no second stage.

    Parameters
    ----------
    beats, features, rows
        See ``record_features``.
    is_fitted
        Whether the beats are classified by a network that was fitted to labels of the patient.

    """
    trees = model.engine.trees
    if trees is None or not len(beats):
        return beats
    logits = trees.logits(record_features(beats, features, rows))
    probability = fused(beats.probability, logits, WEIGHT_BESIDE_FITTED if is_fitted else WEIGHT)
    return replace(beats, probability=probability, label=most_probable(probability, beats.usable))


def fused(probability: Float32, logits: Float32, weight: float = WEIGHT) -> Float32:
    """The weighted mean of the logarithms of both stages' probabilities, as probabilities, shape (n, n_classes).

    Parameters
    ----------
    probability, logits
        Of the first stage (n, n_classes), and of the second stage (n, len(JUDGED)).
    weight
        Of the second stage; the first has the rest.

    """
    n = len(JUDGED)
    first = np.log(np.maximum(probability.astype(np.float64), LEAST_PROBABILITY))
    judged = np.log(np.maximum(probability[:, :n].astype(np.float64).sum(axis=1, keepdims=True), LEAST_PROBABILITY))
    second = np.concatenate([judged + log_softmax(logits.astype(np.float64), axis=1), first[:, n:]], axis=1)
    return np.asarray(softmax((1 - weight) * first + weight * second, axis=1), dtype=np.float32)
