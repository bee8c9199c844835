"""Active learning: which beats of a patient a reader is asked to label, one of each morphology that is in doubt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..schema import Bool, Float32, Index

N_QUERIES = 50  # beats: a few minutes of a reader's time
MOST_ROUNDS = 100  # of the grouping, which settles after some ten
DOUBTFUL_EACH = 10  # doubtful beats per query, on average


def select_queries(
    token: NDArray[np.float16],
    lead_weight: Float32,
    rows: Index,
    probability: Float32,
    unlabelled: Bool,
    *,
    n: int = N_QUERIES,
) -> Index:
    """Positions of at most n beats whose labels would improve the model most, the most informative first.

    The beats whose two likeliest classes are nearest to each other (Scheffer 2001, doi:10.1007/3-540-44816-0_31) are
    grouped by their tokens (k-means, Lloyd 1982, doi:10.1109/TIT.1982.1056489, from centres far apart, Arthur 2007,
    doi:10.5555/1283383.1283494), and the middle one of each group stands for it (Xu 2003,
    doi:10.1007/3-540-36618-0_28): fifty of one morphology would teach no more than one. A group comes the earlier, the
    more doubt there is about all its beats together.

    Parameters
    ----------
    token, rows
        Of all candidates, (n_candidates, n_leads, token_size), and which of these are the beats, (n_beats,).
    lead_weight
        Weight of each lead at each candidate, (n_candidates, n_leads), summing to one over the leads.
    probability
        Shape (n_beats, n_classes).
    unlabelled
        Shape (n_beats,): the beats that may be queried.

    """
    likeliest = np.sort(probability, axis=1)
    margin = np.where(unlabelled, likeliest[:, -1] - likeliest[:, -2], np.inf)
    doubtful = np.argsort(margin, kind="stable")[: min(n * DOUBTFUL_EACH, int(unlabelled.sum()))]
    if len(doubtful) <= n:
        return doubtful
    points = _points(token[rows[doubtful]], lead_weight[rows[doubtful]])
    group, away = _groups(points, _far_apart(points, n))
    nearest = np.lexsort((away, group))
    _, first, member = np.unique(group[nearest], return_index=True, return_inverse=True)
    doubt = np.bincount(member, 1 - margin[doubtful[nearest]])
    return doubtful[nearest[first[np.argsort(-doubt, kind="stable")]]]


def _points(token: NDArray[np.float16], lead_weight: Float32) -> Float32:
    """Beats as points that lie near each other where the beats look alike; the leads count by their weights."""
    weighted: Float32 = token.astype(np.float32) * np.sqrt(lead_weight)[:, :, None]
    return weighted.reshape(len(token), -1)


def _groups(points: Float32, centre: Float32) -> tuple[Index, Float32]:
    """The group of each point, and its distance squared from the middle of that; from some centres on."""
    group = np.zeros(len(points), dtype=np.int64)
    for _ in range(MOST_ROUNDS):
        squares = (points**2).sum(axis=1)[:, None] - 2 * points @ centre.T + (centre**2).sum(axis=1)
        before, group = group, squares.argmin(axis=1)
        if np.array_equal(group, before):
            break
        centre = np.stack([points[group == number].mean(axis=0) for number in np.unique(group)])
    return group, squares.min(axis=1)


def _far_apart(points: Float32, n: int) -> Float32:
    """Some n of the points to begin with: each next one is drawn by the square of its distance to those before."""
    rng = np.random.default_rng(0)
    chosen = [int(rng.integers(len(points)))]
    away = np.full(len(points), np.inf)
    while len(chosen) < n:
        away = np.minimum(away, ((points - points[chosen[-1]]).astype(np.float64) ** 2).sum(axis=1))
        if not away.any():  # the others are the same as these
            break
        chosen.append(int(rng.choice(len(points), p=away / away.sum())))
    return points[chosen]
