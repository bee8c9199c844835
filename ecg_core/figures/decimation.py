"""Long signals reduced to what a screen can show, no peak lost."""

from __future__ import annotations

import numpy as np

from ..schema import Float32


def decimate(signal: Float32, n_columns: int) -> tuple[Float32, float]:
    """Lowest and highest value of each pixel column, in the order in which they occur, so that no peak is lost.

    Returns
    -------
    The points, and the number of samples from one to the next; the signal itself where it has at most two samples per
    column.

    """
    width = -(-len(signal) // n_columns)
    if width <= 2:
        return signal, 1.0
    padded = np.full(-(-len(signal) // width) * width, np.nan, dtype=np.float32)
    padded[: len(signal)] = signal
    columns = padded.reshape(-1, width)
    known = np.isfinite(columns)
    lowest = np.where(known, columns, np.inf).argmin(axis=1)
    highest = np.where(known, columns, -np.inf).argmax(axis=1)
    order = np.sort(np.stack((lowest, highest), axis=1), axis=1)
    return np.take_along_axis(columns, order, axis=1).ravel(), width / 2
