"""Gradient-boosted decision trees, evaluated for many beats at once.

All conditions of all trees are tested, and each tree keeps, as bits, the leaves that its failed conditions leave open:
the first of these is the one that is reached (QuickScorer, Lucchese 2015, doi:10.1145/2766462.2767733).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..parallel import parallel_map
from ..schema import Float32

JUDGED: Final = ("N", "S", "V")  # the classes that they tell apart; F and Q stay as the network has them
MAX_LEAVES: Final = 15  # of a tree, as bits of a signed integer of 16 bits
AT_ONCE: Final = 512  # beats, so that their conditions stay in the processor's cache

ALL_OPEN: Final = np.int16((1 << MAX_LEAVES) - 1)
_open = np.arange(1, 1 << MAX_LEAVES)
FIRST_OPEN: Final = np.append(0, np.log2(_open & -_open).astype(np.int64))  # the lowest bit that is set


class BoostedTrees(nn.Module):
    """Trees whose leaves add to the logits of JUDGED in turn: the first tree to the first class, and so on."""

    feature: torch.Tensor  # (n_trees, n_leaves - 1), int16: what each inner node looks at ...
    threshold: (
        torch.Tensor
    )  # ... and float32: above it, the leaves to the left are not reached; inf where there is none
    left_open: torch.Tensor  # int16: the leaves, as bits, that are open where the value is above the threshold
    value: torch.Tensor  # (n_trees, n_leaves), float32

    def __init__(self, n_trees: int, n_leaves: int) -> None:
        super().__init__()
        if not 2 <= n_leaves <= MAX_LEAVES or n_trees % len(JUDGED):
            raise ValueError(f"{n_trees} trees of {n_leaves} leaves for {len(JUDGED)} classes")
        nodes = (n_trees, n_leaves - 1)
        self.register_buffer("feature", torch.zeros(nodes, dtype=torch.int16))
        self.register_buffer("threshold", torch.full(nodes, torch.inf))
        self.register_buffer("left_open", torch.full(nodes, -1, dtype=torch.int16))
        self.register_buffer("value", torch.zeros(n_trees, n_leaves))

    @property
    def shape(self) -> tuple[int, int]:
        """How many trees, and of how many leaves."""
        n_trees, n_leaves = self.value.shape
        return n_trees, n_leaves

    def logits(self, features: Float32) -> Float32:
        """What the trees add up to, (n, n_features) -> (n, len(JUDGED))."""
        parts = [features[first : first + AT_ONCE] for first in range(0, len(features), AT_ONCE)]
        return np.concatenate([np.zeros((0, len(JUDGED)), dtype=np.float32), *parallel_map(self._logits, parts)])

    def _logits(self, features: Float32) -> Float32:
        n_trees = len(self.value)
        above = features[:, self.feature.numpy().ravel()] > self.threshold.numpy().ravel()
        kept = np.where(above, self.left_open.numpy().ravel(), np.int16(-1)).reshape(len(features), n_trees, -1)
        still_open: NDArray[np.int16] = np.bitwise_and.reduce(kept, axis=2)
        leaf = FIRST_OPEN[still_open & ALL_OPEN]
        found: NDArray[Any] = self.value.numpy()[np.arange(n_trees), leaf]
        return np.asarray(found.reshape(len(features), -1, len(JUDGED)).sum(axis=1))
