"""Samples in memory, samples that a file stores as their differences, and numbers as they lie in a file.

Nothing is mapped into memory: a mapped file that becomes shorter ends the whole program at the next look at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..schema import Float32, Float64, Index


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Numbers in memory as the file stores them, which takes less space than mV; they become mV when they are read."""

    numbers: NDArray[Any]  # (n_leads, n)
    mv_per_count: tuple[float, ...]  # per lead
    mv_at_zero: tuple[float, ...]  # per lead
    missing: int | None = None  # the number that marks a sample as not recorded

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        chosen = self.numbers[list(leads), start:stop]
        scale, zero = (np.array(column)[list(leads), None] for column in (self.mv_per_count, self.mv_at_zero))
        mv = scaled(chosen, scale, zero)
        if self.missing is not None:
            mv[chosen == self.missing] = np.nan
        return np.asarray(mv)


def scaled(numbers: NDArray[Any], scale: Float64 | float, zero: Float64 | float = 0.0) -> Float32:
    """Numbers in mV; NaN where one is none, or is beyond what float32 holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        mv = (numbers * scale + zero).astype(np.float32)
    mv[~np.isfinite(mv)] = np.nan
    return np.asarray(mv)


def stored_numbers(path: Path, kind: str, count: int, *, offset: int) -> NDArray[Any]:
    """Numbers of a numpy type from a place in a file on, shape (count,).

    Raises
    ------
    RecordError
        The file ends before the last of them.

    """
    numbers = np.fromfile(path, kind, count, offset=offset)
    if len(numbers) < count:
        raise RecordError("has become shorter since it was opened", where=path.name, advice="Copy it again.")
    return numbers


def undo_differences(numbers: Index, order: int) -> Index:
    """Samples of first or second differences, in the 16 bits that encoders calculate with.

    Examples
    --------
    >>> undo_differences(np.array([5, 7, 1, -1]), 2).tolist()
    [5, 7, 10, 12]

    """
    if order == 0 or len(numbers) == 0:
        samples = numbers
    elif order == 1:
        samples = np.cumsum(numbers)
    else:
        slopes = np.cumsum([numbers[1] - numbers[0], *numbers[2:]]) if len(numbers) > 1 else numbers[:0]
        samples = numbers[0] + np.concatenate([[0], np.cumsum(slopes)])
    return samples.astype(np.int16).astype(np.int64)
