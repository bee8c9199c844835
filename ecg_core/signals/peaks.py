"""Peaks of a series: its local maxima, and of those that are too close together, the highest ones."""

from __future__ import annotations

import numpy as np

from ..schema import Float32, Float64, Index
from .windows import maximum_within


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
    """The highest peaks that are at least ``distance`` apart, as if taken one by one from the highest on."""
    rank = np.empty(len(peak), dtype=np.int64)
    rank[np.argsort(height, kind="stable")] = np.arange(len(peak))
    while len(peak) > 1 and np.diff(peak).min() < distance:
        first, after = (np.searchsorted(peak, peak + edge) for edge in (1 - distance, distance))
        highest = maximum_within(rank, first, after) == rank  # of all around it: no higher one can remove it
        beside = (np.cumsum(highest)[after - 1] - np.cumsum(highest)[first] + highest[first]) > 0
        kept = highest | ~beside
        peak, rank = peak[kept], rank[kept]
    return peak
