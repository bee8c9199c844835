"""Whether the QRS changes from one beat to the next: an ectopic rhythm begins and ends with another QRS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema import Float32, Float64
from ..signals.filters import FS_HZ
from .p_waves import before_qrs, segments_at

START_S, END_S = -0.104, 0.168  # around the QRS: holds a wide one and ends before T
SHIFTS = range(-2, 3)  # samples by which two beats are shifted against each other: they are found to within a frame
MARGIN = max(SHIFTS)
MIN_POWER = 1e-12  # keeps a flat signal from dividing by zero


def beat_waveforms(signal: Float32, position: Float64) -> tuple[Float32, Float32]:
    """What lies before each QRS, and the correlation of each QRS with the one before.

    Parameters
    ----------
    signal, position
        See ``segments_at``.

    Returns
    -------
    Shapes (n_beats, n_leads, n_steps) and (n_beats,).

    """
    return before_qrs(signal, position), qrs_correlation(around_qrs(signal, position))


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
    before = _unit(segments[:-1], 0)
    found[1:] = np.max([(_unit(segments[1:], shift) * before).sum(axis=(1, 2)) for shift in SHIFTS], axis=0)
    return found


def _unit(segments: NDArray[np.floating[Any]], shift: int) -> Float64:
    """The segments moved by some samples, without their mean and of unit power."""
    part = segments[:, :, MARGIN + shift : segments.shape[2] - MARGIN + shift].astype(np.float64)
    part -= part.mean(axis=2, keepdims=True)
    return np.asarray(part / np.sqrt((part**2).sum(axis=(1, 2), keepdims=True) + MIN_POWER))
