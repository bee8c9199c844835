"""Samples in memory, and samples that a file stores as their differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema import Float32, Index


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
        with np.errstate(over="ignore", invalid="ignore"):  # a number beyond float32 becomes infinite: no sample
            mv = (chosen * scale + zero).astype(np.float32)
        mv[~np.isfinite(mv)] = np.nan
        if self.missing is not None:
            mv[chosen == self.missing] = np.nan
        return np.asarray(mv)


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
