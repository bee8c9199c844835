"""Greatest, least and middle values and sums of a series within windows: of chosen ones, or of all of one width."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..schema import Index

Value = TypeVar("Value", bound=np.generic)
Ends: TypeAlias = Literal["edge", "symmetric", "reflect"]

SORTED_WIDTH: Final = 31  # narrower windows are sorted sooner, each by itself
SHARED: Final = 8  # wider ones that begin side by side are sorted together; see ``_median_of_wide``
BLOCKS_AT_ONCE: Final = 512
SORTED_AT_ONCE: Final = 1 << 15  # so many of them: they are copied to be sorted, and a week has a million beats


def maximum_within(values: NDArray[Value], first: Index, after: Index) -> NDArray[Value]:
    """Maximum of the values from each ``first`` to the one before ``after``, which is greater than ``first``."""
    return _within(np.maximum, values, first, after)


def minimum_within(values: NDArray[Value], first: Index, after: Index) -> NDArray[Value]:
    """Minimum of the values from each ``first`` to the one before ``after``, which is greater than ``first``."""
    return _within(np.minimum, values, first, after)


def sliding_maximum(values: NDArray[Value], width: int) -> NDArray[Value]:
    """Maximum of ``width`` values from each one on, along the last axis, (..., n) -> (..., n - width + 1)."""
    covered = 1
    while covered < width:  # each pass doubles the width
        step = min(covered, width - covered)
        values = np.maximum(values[..., :-step], values[..., step:])
        covered += step
    return values


def window_sums(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Sums of ``width`` values from each one on, of flags how many are true, (n, ...) -> (n - width + 1, ...)."""
    total = np.cumsum(values, axis=0)
    total = np.concatenate((np.zeros((1, *values.shape[1:]), dtype=total.dtype), total))
    return np.asarray(total[width:] - total[:-width])


def sliding_rank(values: NDArray[Value], width: int, rank: int) -> NDArray[Value]:
    """Of ``width`` values from each one on, that of a rank from the least, 0, on, shape (n,) -> (n - width + 1,)."""
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    found = np.empty(len(windows), dtype=values.dtype)
    for first in range(0, len(windows), SORTED_AT_ONCE):
        some = slice(first, first + SORTED_AT_ONCE)
        found[some] = np.partition(windows[some], rank, axis=1)[:, rank]
    return found


def running_median(values: NDArray[np.float64], width: int, *, ends: Ends = "edge") -> NDArray[np.float64]:
    """Median of an odd ``width`` of values around each one, shape (n,).

    Parameters
    ----------
    ends
        What lies beyond the ends, by ``numpy.pad``: the outermost value ("edge"), or the values mirrored with it
        ("symmetric") or without it ("reflect").

    """
    around = np.pad(values, width // 2, mode=ends)
    if width <= SORTED_WIDTH:
        return sliding_rank(around, width, width // 2)
    return _median_of_wide(around, width)


def _median_of_wide(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Median of an odd ``width`` of values from each one on, shape (n,) -> (n - width + 1,).

    SHARED windows in a row have all but SHARED - 1 of their values in common. Of these, sorted once, only the SHARED in
    the middle can be a median: it is the median of them and of the window's SHARED - 1 others.
    """
    n, others = len(values) - width + 1, SHARED - 1
    n_blocks = -(-n // SHARED)
    padded = np.pad(values, (0, n_blocks * SHARED - n), mode="edge")
    blocks = np.lib.stride_tricks.sliding_window_view(padded, width + others)[::SHARED]
    median = np.empty((n_blocks, SHARED))
    for first in range(0, n_blocks, BLOCKS_AT_ONCE):
        block = blocks[first : first + BLOCKS_AT_ONCE]
        common = np.sort(block[:, others:width], axis=1)[:, None, width // 2 - others : width // 2 + 1]
        edges = np.concatenate((block[:, :others], block[:, width:]), axis=1)
        own = np.lib.stride_tricks.sliding_window_view(edges, others, axis=1)  # (n_blocks, SHARED, SHARED - 1)
        possible = np.concatenate((np.broadcast_to(common, (len(block), SHARED, SHARED)), own), axis=2)
        median[first : first + BLOCKS_AT_ONCE] = np.partition(possible, others, axis=2)[:, :, others]
    return median.reshape(-1)[:n]


def with_held_ends(values: NDArray[Value], width: int) -> NDArray[Value]:
    """A series with its ends held, so that a window of odd ``width`` lies around each value: (n + width - 1, ...)."""
    return np.pad(values, [(width // 2, width // 2), *[(0, 0)] * (values.ndim - 1)], mode="edge")


def _within(extreme: Any, values: NDArray[Value], first: Index, after: Index) -> NDArray[Value]:
    edges = np.stack([first, after], axis=1).reshape(-1)
    return np.asarray(extreme.reduceat(np.append(values, values[-1:]), edges)[::2])
