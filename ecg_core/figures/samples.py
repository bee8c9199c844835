"""Samples as a browser takes them: 16 bits each, as base64, and no more than it can show."""

from __future__ import annotations

import base64
from typing import Final

import numpy as np

from ..schema import Float32
from .decimation import decimate

STEP_MV: Final = 0.002  # of the 16 bits of a sample: they reach 65 mV
MAX_COUNT, MISSING = 32767, -32768
DRAWN_HZ: Final = 250.0  # more than a screen can show at 50 mm/s


def encoded(signal_mv: Float32) -> str:
    """Samples, shape (n,), as base64 of 16 bits each; MISSING where nothing was recorded."""
    counts = np.clip(np.rint(np.nan_to_num(signal_mv) / STEP_MV), -MAX_COUNT, MAX_COUNT)
    counts = np.where(np.isfinite(signal_mv), counts, MISSING).astype("<i2")
    return base64.b64encode(counts.tobytes()).decode()


def drawn_part(signal_mv: Float32, first: int, fs_hz: float) -> tuple[Float32, int, float]:
    """A part of a stream at no more than about DRAWN_HZ, so that parts fit together and no spike is lost.

    Of twice as many samples as become one at that rate, the lowest and the highest are drawn, in the order in which
    they occur. They are counted from the first sample of the stream, so that each part draws the same ones; what is
    not complete at the ends of the part is left to the next one.

    Parameters
    ----------
    signal_mv, first
        Shape (n,), and the position of its first sample in the stream.
    fs_hz
        Sampling rate of the stream.

    Returns
    -------
    The samples that are drawn, the position of the first one among all that are, and their rate.

    """
    every = max(1, round(fs_hz / DRAWN_HZ))
    if every == 1:
        return signal_mv, first, fs_hz
    width = 2 * every
    skip = -first % width
    n_columns = max(0, len(signal_mv) - skip) // width
    columns = signal_mv[skip : skip + n_columns * width]
    drawn = decimate(columns, n_columns)[0] if n_columns else columns
    return drawn, (first + skip) // every, fs_hz / every
