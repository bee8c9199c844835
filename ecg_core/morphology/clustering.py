"""Beats of like QRS: found in a sample by average linkage, then each of the other beats joins the group it fits best.

Two beats are alike by the correlation of their QRS in all leads together, at the best of some shifts: their size does
not matter, as it changes with breath and posture.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ..schema import Float32, Index
from .linkage import cut_at, cut_into
from .waveforms import OFFSET_S, Waveforms, complete, sample_evenly

NO_GROUP: Final = -1
QRS_S = (-0.12, 0.20)  # what is compared: the QRS, even a wide one; P and T waves move with the rate
SHIFTS: Final = range(-3, 4)  # steps by which two beats may be shifted: a beat's time is exact to about 20 ms
FIRST, LAST = (int(step) for step in np.searchsorted(OFFSET_S, QRS_S))
MARGIN: Final = max(SHIFTS)
MIN_LENGTH_MV = 1e-6  # keeps a flat waveform from dividing by zero

SAMPLED_BEATS = 1000  # that are compared with each other at once
MAX_DISTANCE = 0.15  # of two groups that are one: the mean correlation between their beats is at least 0.85
MIN_FIT = 0.80  # correlation with the mean of a group, from which on a beat belongs to it
MIN_BEATS = 3  # of a group: an ectopic focus fires more than twice
MAX_ROUNDS = 3  # in which what fits no group yet is grouped again


def group_beats(waveform: Waveforms, *, max_groups: int) -> Index:
    """The group of each beat, the largest is 0, shape (n,); NO_GROUP where it fits none.

    Parameters
    ----------
    waveform
        Of all beats that are to be grouped, shape (n, n_leads, n_points).

    """
    group = np.full(len(waveform), NO_GROUP)
    known = np.flatnonzero(complete(waveform))
    wide = _wide(waveform[known])
    unit = _unit(wide)
    best, fit = np.zeros(len(known), dtype=np.int64), np.full(len(known), -1, dtype=np.float32)
    n_groups = 0
    for _ in range(MAX_ROUNDS):
        means = _groups_in(wide[sample_evenly(np.flatnonzero(fit < MIN_FIT), SAMPLED_BEATS)])
        if not means:
            break
        new, new_fit = _best_group(unit, means)
        better = new_fit > fit
        best, fit = np.where(better, new + n_groups, best), np.where(better, new_fit, fit)
        n_groups += len(means)
    group[known] = np.where(fit >= MIN_FIT, best, NO_GROUP)
    return _by_size(group, max_groups)


def split_beats(waveform: Waveforms, n_parts: int) -> Index:
    """The part of each beat where a group is split into so many, the largest is 0, shape (n,).

    Every beat belongs to the part whose mean it fits best; one whose waveform is not known, to part 0.
    """
    part = np.zeros(len(waveform), dtype=np.int64)
    known = np.flatnonzero(complete(waveform))
    if len(known) < n_parts:
        return part
    wide = _wide(waveform[known])
    sample = wide[sample_evenly(np.arange(len(known)), SAMPLED_BEATS)]
    cluster = cut_into(_distances(sample), n_parts)
    part[known] = _best_group(_unit(wide), [_mean_of(sample[cluster == one]) for one in np.unique(cluster)])[0]
    return _by_size(part, n_parts)


def _wide(waveform: Waveforms) -> Float32:
    """The QRS with a margin for shifts, shape (n, n_leads, n_steps + 2 MARGIN)."""
    return waveform[:, :, FIRST - MARGIN : LAST + MARGIN].astype(np.float32)


def _unit(wide: Float32, shift: int = 0) -> Float32:
    """The shifted QRS, each lead without its mean, all leads together of length one, shape (n, n_leads * n_steps)."""
    part = wide[:, :, MARGIN + shift : wide.shape[2] - MARGIN + shift]
    flat = (part - part.mean(axis=2, keepdims=True)).reshape(len(wide), part.shape[1] * part.shape[2])
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), MIN_LENGTH_MV))


def _distances(wide: Float32) -> Float32:
    """One minus the correlation of each two beats at the best shift, shape (n, n)."""
    unshifted = _unit(wide)
    best = np.max([unshifted @ _unit(wide, shift).T for shift in SHIFTS], axis=0)
    distance = 1 - np.maximum(best, best.T)
    np.fill_diagonal(distance, 0)
    return np.asarray(np.clip(distance, 0, None))


def _groups_in(wide: Float32) -> list[Float32]:
    """Means of the groups of a sample, the largest first."""
    if len(wide) < MIN_BEATS:
        return []
    cluster = cut_at(_distances(wide), MAX_DISTANCE)
    clusters, count = np.unique(cluster, return_counts=True)
    order = np.argsort(-count, kind="stable")
    return [_mean_of(wide[cluster == clusters[at]]) for at in order if count[at] >= MIN_BEATS]


def _mean_of(wide: Float32) -> Float32:
    """Mean of beats that were shifted to fit the mean as they were, shape (n_leads, n_steps + 2 MARGIN)."""
    middle = _unit(wide.mean(axis=0, keepdims=True))[0]
    shift = np.argmax([_unit(wide, shift) @ middle for shift in SHIFTS], axis=0) - MARGIN
    step = np.clip(np.arange(wide.shape[2]) + shift[:, None], 0, wide.shape[2] - 1)
    return np.asarray(np.take_along_axis(wide, step[:, None, :], axis=2).mean(axis=0))


def _best_group(unit: Float32, means: list[Float32]) -> tuple[Index, Float32]:
    """The mean that each beat fits best, and its correlation with it, shapes (n,) and (n,).

    ``unit`` are the beats as ``_unit`` makes them.
    """
    mean = np.stack(means)
    fit = np.max([unit @ _unit(mean, shift).T for shift in SHIFTS], axis=0)
    best = fit.argmax(axis=1)
    return best, fit[np.arange(len(fit)), best]


def _by_size(group: Index, max_groups: int) -> Index:
    """Number groups by their size; those that are too small, and beyond the largest, become NO_GROUP."""
    groups, count = np.unique(group[group != NO_GROUP], return_counts=True)
    order = groups[np.argsort(-count, kind="stable")][: int((count >= MIN_BEATS).sum())][:max_groups]
    numbered = np.full(len(group), NO_GROUP)
    for number, one in enumerate(order.tolist()):
        numbered[group == one] = number
    return numbered
