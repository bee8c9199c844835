"""Whether the QRS changes from one beat to the next: an ectopic rhythm begins and ends with another QRS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema import Float32, Float64, Index
from ..signals.filters import FS_HZ
from .p_waves import before_qrs, segments_at

START_S, END_S = -0.104, 0.168  # around the QRS: holds a wide one and ends before T
SHIFTS = range(-2, 3)  # samples by which two beats are shifted against each other: they are found to within a frame
MARGIN = max(SHIFTS)
MIN_POWER = 1e-12  # keeps a flat signal from dividing by zero


def beat_waveforms(signal: Float32, position: Float64, lead: Index) -> tuple[Float32, Float32]:
    """What lies before each QRS, and the correlation of each QRS with the one before.

    Parameters
    ----------
    signal, position
        See ``segments_at``.
    lead
        Number of the lead, or leads, that each QRS is seen in, shape (n_beats,): of two leads none are compared.

    Returns
    -------
    Shapes (n_beats, n_leads, n_steps) and (n_beats,).

    """
    correlation = qrs_correlation(around_qrs(signal, position))
    correlation[1:][np.diff(lead) != 0] = np.nan
    return before_qrs(signal, position), correlation


def around_qrs(signal: Float32, position: Float64) -> Float32:
    """Signal around each QRS, with a margin for shifts; see ``segments_at``."""
    return segments_at(signal, position, round(START_S * FS_HZ) - MARGIN, round(END_S * FS_HZ) + MARGIN)


def qrs_correlation(segments: NDArray[np.floating[Any]]) -> Float32:
    """Correlation of each QRS with that of the beat before, at the best shift, shape (n_beats,); NaN at the first.

    Parameters
    ----------
    segments
        Result of ``around_qrs``, shape (n_beats, n_leads, n_steps); the leads are taken together.

    """
    found = np.full(len(segments), np.nan, dtype=np.float32)
    if len(segments) < 2:
        return found
    exact = segments.astype(np.float64)
    width = segments.shape[2] - 2 * MARGIN
    before = exact[:-1, :, MARGIN : MARGIN + width]
    before = before - before.mean(axis=2, keepdims=True)
    before /= np.sqrt((before**2).sum(axis=(1, 2), keepdims=True) + MIN_POWER)
    moved = [exact[1:, :, MARGIN + shift :][:, :, :width] for shift in SHIFTS]
    both = np.stack([np.einsum("nlk,nlk->n", part, before) for part in moved])  # ``before`` has no mean
    found[1:] = (both / np.sqrt(_powers(exact[1:], width) + MIN_POWER)).max(axis=0)
    return found


def _powers(segments: Float64, width: int) -> Float64:
    """Power of the segments without their mean, moved by each of SHIFTS, shape (n_shifts, n)."""
    total, square = (_moving_sums(values, width) for values in (segments, segments**2))
    return np.asarray(np.maximum(square - total**2 / width, 0).sum(axis=1).T)


def _moving_sums(values: Float64, width: int) -> Float64:
    """Sums of ``width`` steps from each of the first on, shape (n, n_leads, n_steps) -> (n, n_leads, n_shifts)."""
    first = values[:, :, :width].sum(axis=2, keepdims=True)
    change = values[:, :, width:] - values[:, :, : values.shape[2] - width]
    return np.asarray(np.cumsum(np.concatenate([first, change], axis=2), axis=2))
