"""Average linkage (UPGMA, Sokal & Michener 1958): the two clusters nearest to each other are merged, again and again.

By the chain of nearest neighbours (Müllner 2011, doi:10.48550/arXiv.1109.2378), in the square of the number of items.
scipy does the same; loading it would take longer than the clusters of a recording.
"""

from __future__ import annotations

import numpy as np

from ..schema import Float32, Float64, Index


def cut_at(distance: Float32, most: float) -> Index:
    """The cluster of each item where those are merged whose mean distance is at most so large, shape (n,).

    Parameters
    ----------
    distance
        Of each two items, symmetric, shape (n, n).

    """
    pairs, height = merges(distance)
    return _clusters(len(distance), pairs[height <= most])


def cut_into(distance: Float32, n_clusters: int) -> Index:
    """The cluster of each item, of so many clusters; see ``cut_at``."""
    pairs, height = merges(distance)
    return _clusters(len(distance), pairs[np.argsort(height, kind="stable")[: max(0, len(distance) - n_clusters)]])


def merges(distance: Float32) -> tuple[Index, Float64]:
    """An item of either cluster of each merge, (n - 1, 2), and the mean distance of the clusters, (n - 1,).

    They stand in the order in which they were found, not by distance.
    """
    n = len(distance)
    between = distance.astype(np.float64)
    np.fill_diagonal(between, np.inf)
    size = np.ones(n)
    pairs, height = np.empty((max(0, n - 1), 2), dtype=np.int64), np.empty(max(0, n - 1))
    chain: list[int] = []
    for merge in range(n - 1):
        if not chain:
            chain.append(int(np.flatnonzero(size)[0]))
        while True:
            last = chain[-1]
            nearest = int(between[last].argmin())
            if len(chain) > 1 and between[last, chain[-2]] <= between[last, nearest]:
                break  # two clusters that are each other's nearest
            chain.append(nearest)
        kept, gone = chain.pop(), chain.pop()
        pairs[merge], height[merge] = (kept, gone), between[kept, gone]
        mean = (size[kept] * between[kept] + size[gone] * between[gone]) / (size[kept] + size[gone])
        between[kept], between[:, kept] = mean, mean
        between[kept, kept] = np.inf
        between[gone], between[:, gone] = np.inf, np.inf
        size[kept], size[gone] = size[kept] + size[gone], 0
    return pairs, height


def _clusters(n: int, pairs: Index) -> Index:
    """The clusters that some merges leave, numbered by their first item, shape (n,)."""
    parent = list(range(n))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in pairs.tolist():
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return np.unique([root(item) for item in range(n)], return_inverse=True)[1].astype(np.int64)
