"""Logits and probabilities: a few lines of numpy in place of scipy.special, which takes long to import."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floating = TypeVar("Floating", bound=np.floating[Any])


def expit(logit: NDArray[Floating]) -> NDArray[Floating]:
    """Logistic function of each logit, in its type; small probabilities keep their digits."""
    small = np.exp(-np.abs(logit))  # at most 1, so that nothing overflows
    return np.asarray(np.where(logit < 0, small, 1) / (1 + small), dtype=small.dtype)


def logit(probability: NDArray[Floating]) -> NDArray[Floating]:
    """Logarithm of the odds of each probability, in its type; infinite at 0 and 1."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probability) - np.log1p(-probability))


def softmax(logits: NDArray[Floating], axis: int) -> NDArray[Floating]:
    """Probabilities that sum to 1 along an axis, from logits, in their type."""
    power = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return np.asarray(power / power.sum(axis=axis, keepdims=True))


def log_softmax(logits: NDArray[Floating], axis: int) -> NDArray[Floating]:
    """Logarithms of ``softmax``; those of tiny probabilities stay finite."""
    below = logits - logits.max(axis=axis, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=axis, keepdims=True)))
