"""Peaks of a series: its local maxima, and of those that are too close together, the highest ones."""

from __future__ import annotations

import numpy as np

from ..schema import Float32, Float64, Index


def find_peaks(values: Float32 | Float64, *, height: float, distance: int = 1) -> Index:
    """Positions of the peaks of a series, ascending; of a plateau the middle sample, or the left one of the two there.

    A value at either end of the series is no peak. Of peaks less than ``distance`` apart the highest stays, then the
    highest of those that are far enough from it, and so on; of equal ones the last stays.

    Parameters
    ----------
    values
        Shape (n,), without NaN.
    height
        Least value of a peak.
    distance
        Least number of samples between two peaks.

    """
    high = np.flatnonzero(values[1:-1] >= height) + 1
    at = values[high]
    begin = high[(at > values[high - 1]) & (at >= values[high + 1])]
    end = _run_ends(values, begin)
    falls = values[np.minimum(end + 1, len(values) - 1)] < values[begin]
    peak = (begin + end)[falls] // 2
    return _highest_apart(peak, values[peak], distance)


def _run_ends(values: Float32 | Float64, begin: Index) -> Index:
    """The last sample of the run of equal values at each position, none of which is the last of all."""
    if not (values[begin + 1] == values[begin]).any():
        return begin
    last = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)
    return np.asarray(last[np.searchsorted(last, begin)])


def _highest_apart(peak: Index, height: Float32 | Float64, distance: int) -> Index:
    """The highest peaks that are at least ``distance`` apart, taken one by one from the highest on."""
    close = np.pad(np.diff(peak) < distance, 1)  # of the gap before each peak, and of that after the last
    crowded = np.flatnonzero(close[1:] | close[:-1])  # hardly any, so that a loop over them costs little
    if not len(crowded):
        return peak
    position = [-distance, *peak[crowded].tolist(), int(peak[-1]) + distance]
    kept = [True] * len(position)
    for number in (np.argsort(height[crowded], kind="stable")[::-1] + 1).tolist():
        for step in (-1, 1) if kept[number] else ():
            other = number + step
            while abs(position[other] - position[number]) < distance:
                kept[other] = False
                other += step
    return np.delete(peak, crowded[~np.array(kept[1:-1])])
