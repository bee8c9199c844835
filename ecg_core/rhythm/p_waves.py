"""P waves: how much of what lies before the QRS repeats from beat to beat.

In sinus rhythm the P wave comes at the same time before each QRS; in atrial fibrillation nothing does, and what is
there cancels in the mean of many beats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema import Beats, Float32, Float64
from ..signals.filters import FS_HZ

FROM_S, TO_S = -0.24, -0.064  # before the QRS: a P wave, and not yet the QRS itself
AT_ONCE = 30  # normal beats that are averaged; noise alone then repeats by some 0.03


def before_qrs(signal: Float32, position: Float64) -> Float32:
    """What lies before each QRS, without its slope: shapes (n_leads, n), (n_beats,) -> (n_beats, n_leads, n_steps)."""
    offset = np.arange(round(FROM_S * FS_HZ), round(TO_S * FS_HZ))
    index = np.clip(np.rint(position).astype(int)[:, None] + offset, 0, signal.shape[1] - 1)
    pieces = signal[:, index].transpose(1, 0, 2)
    line = np.linspace(-1, 1, len(offset), dtype=np.float32)
    level = pieces - pieces.mean(axis=2, keepdims=True)
    return np.asarray(level - (level @ line / (line @ line))[..., None] * line)


def repeating(pieces: NDArray[np.floating[Any]], beats: Beats) -> Float32:
    """Share of the power before the QRS that repeats, in the lead where it is largest, shape (n_beats,).

    Each normal beat has the mean of all series of AT_ONCE normal beats that it belongs to; the others have what lies
    between their neighbours'. NaN where there are fewer normal beats.
    """
    normal = np.flatnonzero((beats.label == "N") & beats.usable)
    if len(normal) < AT_ONCE:
        return np.full(len(beats), np.nan, dtype=np.float32)
    shares = [_share(pieces[normal, lead]) for lead in range(pieces.shape[1])]
    return np.interp(np.arange(len(beats)), normal, np.max(shares, axis=0)).astype(np.float32)


def _share(pieces: NDArray[np.floating[Any]]) -> Float64:
    """Share of the power of pieces of one lead, shape (n, n_steps), that is their mean's, shape (n,)."""
    power, common = np.zeros(len(pieces)), np.zeros(len(pieces) - AT_ONCE + 1)
    for at_step in pieces.T:  # one after the other: a week has a million beats
        exact = at_step.astype(np.float64)
        power += exact**2
        common += (_series_sum(exact) / AT_ONCE) ** 2
    own = (_series_sum(power) / AT_ONCE - common) * AT_ONCE / (AT_ONCE - 1)
    common = np.maximum(common - own / AT_ONCE, 0)  # what noise alone leaves in a mean
    share = common / (common + own + 1e-12)
    within = np.convolve(np.ones(len(share)), np.ones(AT_ONCE))
    return np.asarray(np.convolve(share, np.ones(AT_ONCE)) / within)


def _series_sum(values: Float64) -> Float64:
    """Sums of AT_ONCE values in a row, shape (n,) -> (n - AT_ONCE + 1,)."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    return np.asarray(total[AT_ONCE:] - total[:-AT_ONCE])
