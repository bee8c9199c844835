"""Gradient-boosted decision trees, evaluated for many beats at once.

Each tree keeps, as bits, the leaves that its conditions leave open: the first of these is the one that is reached
(QuickScorer, Lucchese 2015, doi:10.1145/2766462.2767733). What a value of a feature leaves open in all trees is looked
up in a table, by its place among the thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..parallel import parallel_map
from ..schema import Float32

JUDGED: Final = ("N", "S", "V")  # the classes that they tell apart; F and Q stay as the network has them
MAX_LEAVES: Final = 8  # of a tree, as bits of a byte
AT_ONCE: Final = 1024  # beats, so that what their trees leave open stays in the processor's cache
ALL_OPEN: Final = (1 << MAX_LEAVES) - 1
_open = np.arange(1, ALL_OPEN + 1)
FIRST_OPEN: Final = np.append(0, np.log2(_open & -_open).astype(np.int64))  # the lowest bit that is set


class _Lookup(NamedTuple):
    """What one feature leaves open."""

    feature: int
    threshold: Float32  # (n,), ascending
    left_open: NDArray[np.uint8]  # (n + 1, n_trees), where so many of the thresholds lie below the value


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Trees whose leaves add to the logits of JUDGED in turn: the first tree to the first class, and so on."""

    feature: NDArray[np.int16]  # (n_trees, n_leaves - 1): what each inner node looks at ...
    threshold: Float32  # ... above which leaves to the left are not reached; inf where there is none
    left_open: NDArray[np.int16]  # the leaves, as bits, that are open where the value is above the threshold
    value: Float32  # (n_trees, n_leaves)

    @classmethod
    def empty(cls, n_trees: int, n_leaves: int) -> BoostedTrees:
        """Trees that add nothing, to be filled.

        Raises
        ------
        ValueError
            There cannot be so many.

        """
        if not 2 <= n_leaves <= MAX_LEAVES or n_trees % len(JUDGED):
            raise ValueError(
                f"expected a multiple of {len(JUDGED)} as the number of trees and 2 to {MAX_LEAVES} as that of their "
                f"leaves, got {n_trees} and {n_leaves}"
            )
        nodes = (n_trees, n_leaves - 1)
        return cls(
            np.zeros(nodes, dtype=np.int16), np.full(nodes, np.inf, dtype=np.float32),
            np.full(nodes, -1, dtype=np.int16), np.zeros((n_trees, n_leaves), dtype=np.float32),
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """How many trees, and of how many leaves."""
        n_trees, n_leaves = self.value.shape
        return n_trees, n_leaves

    @cached_property
    def _lookups(self) -> list[_Lookup]:
        """A table for each feature that the trees look at; made once, as trees in use do not change."""
        feature, threshold = self.feature, self.threshold
        left_open = (self.left_open & ALL_OPEN).astype(np.uint8)
        lookups = []
        for number in np.unique(feature[np.isfinite(threshold)]).tolist():
            tree, node = np.nonzero((feature == number) & np.isfinite(threshold))
            ascending, place = np.unique(threshold[tree, node], return_inverse=True)
            table = np.full((len(ascending) + 1, len(feature)), ALL_OPEN, dtype=np.uint8)
            np.bitwise_and.at(table, (place + 1, tree), left_open[tree, node])
            lookups.append(_Lookup(number, ascending, np.bitwise_and.accumulate(table, axis=0)))
        return lookups

    @cached_property
    def _reached(self) -> Float32:
        """The value of the leaf that is reached, by tree and by what is open, (n_trees * (ALL_OPEN + 1),)."""
        leaf = np.minimum(FIRST_OPEN, self.shape[1] - 1)
        return np.ravel(self.value[:, leaf])

    @cached_property
    def _first_of_tree(self) -> NDArray[np.int32]:
        """Where the values of each tree begin in ``_reached``, (n_trees,)."""
        return np.arange(len(self.value), dtype=np.int32) * (ALL_OPEN + 1)

    def logits(self, features: Float32) -> Float32:
        """What the trees add up to, (n, n_features) -> (n, len(JUDGED))."""
        parts = [features[first : first + AT_ONCE] for first in range(0, len(features), AT_ONCE)]
        return np.concatenate([np.zeros((0, len(JUDGED)), dtype=np.float32), *parallel_map(self._logits, parts)])

    def _logits(self, features: Float32) -> Float32:
        still_open = np.full((len(features), len(self.value)), ALL_OPEN, dtype=np.uint8)
        by_one = np.empty_like(still_open)  # what one of the features leaves open
        for number, threshold, left_open in self._lookups:
            place = np.searchsorted(threshold, features[:, number])
            still_open &= np.take(left_open, place, axis=0, out=by_one, mode="clip")
        found = self._reached.take(still_open + self._first_of_tree)
        return np.stack([found[:, output :: len(JUDGED)].sum(axis=1) for output in range(len(JUDGED))], axis=1)
