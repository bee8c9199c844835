"""Greatest and least values of a series within windows: those that are asked for alone, or all of one width."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..schema import Index

Value = TypeVar("Value", bound=np.generic)


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


def _within(extreme: Any, values: NDArray[Value], first: Index, after: Index) -> NDArray[Value]:
    edges = np.stack([first, after], axis=1).reshape(-1)
    return np.asarray(extreme.reduceat(np.append(values, values[-1:]), edges)[::2])
