"""P waves: the fraction of the signal before the QRS that repeats from beat to beat.

In sinus rhythm the P wave precedes each QRS by the same time. In atrial fibrillation no wave does, and the atrial
activity cancels in the mean of many beats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema import Beats, Float32, Float64
from ..signals.filters import FS_HZ
from ..signals.windows import window_sums

START_S, END_S = -0.24, -0.064  # from the QRS: holds the P wave and ends before the QRS begins
AVERAGED_BEATS = 30  # normal beats in a row that are averaged; of noise alone a fraction of about 0.03 then repeats
FEWEST_BEATS = 12  # in a short recording all are averaged, of these at least; of noise alone about 0.08 then repeats
COMPARED_BEATS = 5  # so many beats on either side are averaged to see whether the P wave changes
MIN_POWER = 1e-12  # keeps a flat signal from dividing by zero


def segments_at(signal: Float32, position: Float64, first: int, last: int) -> Float32:
    """Signal from ``first`` to ``last`` samples relative to each QRS, the ends of the signal held.

    Parameters
    ----------
    signal
        Shape (n_leads, n), at 125 Hz.
    position
        QRS positions in samples, shape (n_beats,).

    Returns
    -------
    Segments of shape (n_beats, n_leads, n_steps).

    """
    index = np.clip(np.rint(position).astype(int)[:, None] + np.arange(first, last), 0, signal.shape[1] - 1)
    return np.asarray(signal[:, index].transpose(1, 0, 2), dtype=np.float32)


def before_qrs(signal: Float32, position: Float64) -> Float32:
    """Signal from START_S to END_S of each QRS, without its mean and slope; see ``segments_at``."""
    segments = segments_at(signal, position, round(START_S * FS_HZ), round(END_S * FS_HZ))
    line = np.linspace(-1, 1, segments.shape[2], dtype=np.float32)
    centred = segments - segments.mean(axis=2, keepdims=True)
    return np.asarray(centred - (centred @ line / (line @ line))[..., None] * line)


def repeating_fraction(segments: NDArray[np.floating[Any]], beats: Beats) -> Float32:
    """Fraction of the power before the QRS that repeats, in the lead where it is largest, shape (n_beats,).

    A normal beat has the mean over all windows of AVERAGED_BEATS normal beats that it belongs to, or over all of them
    where there are fewer; the other beats are interpolated between the normal ones. NaN where there are fewer normal
    beats than FEWEST_BEATS.

    Parameters
    ----------
    segments
        Result of ``before_qrs``, shape (n_beats, n_leads, n_steps).

    """
    normal = np.flatnonzero((beats.label == "N") & beats.usable)
    if len(normal) < FEWEST_BEATS:
        return np.full(len(beats), np.nan, dtype=np.float32)
    by_lead = [_repeating_in_lead(segments[normal, lead]) for lead in range(segments.shape[1])]
    return np.asarray(np.interp(np.arange(len(beats)), normal, np.max(by_lead, axis=0)), dtype=np.float32)


def _repeating_in_lead(segments: NDArray[np.floating[Any]]) -> Float64:
    """Fraction of the power of one lead's segments that their mean accounts for, (n, n_steps) -> (n,)."""
    width = min(AVERAGED_BEATS, len(segments))
    power, repeated = np.zeros(len(segments)), np.zeros(len(segments) - width + 1)
    for at_step in segments.T:  # step by step to save memory: a week has a million beats
        exact = at_step.astype(np.float64)
        power += exact**2
        repeated += (window_sums(exact, width) / width) ** 2
    varying = (window_sums(power, width) / width - repeated) * width / (width - 1)
    repeated = np.maximum(repeated - varying / width, 0)  # less what noise alone leaves in a mean
    fraction = repeated / (repeated + varying + MIN_POWER)
    n_windows = np.convolve(np.ones(len(fraction)), np.ones(width))
    return np.asarray(np.convolve(fraction, np.ones(width)) / n_windows)


def p_correlation(segments: NDArray[np.floating[Any]]) -> Float32:
    """Correlation of the mean signal before the QRS of COMPARED_BEATS beats from each one on with that before it, (n,).

    Low where another P wave begins. NaN at the first and the last beats.

    Parameters
    ----------
    segments
        Result of ``before_qrs``, shape (n_beats, n_leads, n_steps); the leads are taken together.

    """
    n, width = len(segments), COMPARED_BEATS
    found = np.full(n, np.nan, dtype=np.float32)
    if n < 2 * width:
        return found
    both, before, after = np.zeros(n - 2 * width + 1), np.zeros(n - 2 * width + 1), np.zeros(n - 2 * width + 1)
    for lead in range(segments.shape[1]):
        for at_step in segments[:, lead].T:  # step by step to save memory
            sums = window_sums(at_step.astype(np.float64), width)
            first, second = sums[:-width], sums[width:]
            both += first * second
            before += first**2
            after += second**2
    found[width : n - width + 1] = both / np.sqrt(before * after + MIN_POWER)
    return found
