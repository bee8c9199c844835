"""Which beats of a patient a reader is asked about: of each shape that the program is unsure of, one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans, vq

from .intervals import Index
from .schema import Bool, Float32

ASKED = 50  # beats: a few minutes of a reader's time
DOUBTFUL_EACH = 10  # so many doubtful beats, on average, stand behind each that is asked about


def worth_asking(
    token: NDArray[np.float16], share: Float32, rows: Index, probability: Float32, usable: Bool, *, n: int = ASKED
) -> Index:
    """Positions of at most n beats whose classes would tell the model most, the most telling first.

    The beats whose two likeliest classes are nearest to each other (Scheffer 2001, doi:10.1007/3-540-44816-0_31) are
    grouped by what the network sees in them (k-means, Lloyd 1982, doi:10.1109/TIT.1982.1056489, from centres far
    apart, Arthur 2007, doi:10.5555/1283383.1283494), and the middle one of each group stands for it (Xu 2003,
    doi:10.1007/3-540-36618-0_28): fifty of one shape would tell no more than one. A group comes the earlier, the more
    doubt there is about all its beats together.

    Parameters
    ----------
    token, rows
        What the network sees in each of what was found, (n_found, n_leads, token_size), and which of these are the
        beats, (n_beats,).
    share
        What each lead counts, (n_found, n_leads), summing to one over the leads.
    probability
        Shape (n_beats, n_classes).
    usable
        Shape (n_beats,): which may be asked about.

    """
    likeliest = np.sort(probability, axis=1)
    margin = np.where(usable, likeliest[:, -1] - likeliest[:, -2], np.inf)
    doubtful = np.argsort(margin, kind="stable")[: min(n * DOUBTFUL_EACH, int(usable.sum()))]
    if len(doubtful) <= n:
        return doubtful
    seen = _seen(token[rows[doubtful]], share[rows[doubtful]])
    centre, _ = kmeans(seen, _far_apart(seen, n))
    group, away = vq(seen, centre)
    nearest = np.lexsort((away, group))
    _, first, member = np.unique(group[nearest], return_index=True, return_inverse=True)
    doubt = np.bincount(member, 1 - margin[doubtful[nearest]])
    return doubtful[nearest[first[np.argsort(-doubt, kind="stable")]]]


def _seen(token: NDArray[np.float16], share: Float32) -> Float32:
    """Beats as points that lie near each other where the beats look alike, the leads side by side by their share."""
    apart: Float32 = token.astype(np.float32) * np.sqrt(share)[:, :, None]
    return apart.reshape(len(token), -1)


def _far_apart(seen: Float32, n: int) -> Float32:
    """Some n of the points to begin with: each next one is drawn by the square of how far it is from those before."""
    rng = np.random.default_rng(0)
    chosen = [int(rng.integers(len(seen)))]
    away = np.full(len(seen), np.inf)
    while len(chosen) < n:
        away = np.minimum(away, ((seen - seen[chosen[-1]]).astype(np.float64) ** 2).sum(axis=1))
        if not away.any():  # the others are the same as these
            break
        chosen.append(int(rng.choice(len(seen), p=away / away.sum())))
    return seen[chosen]
