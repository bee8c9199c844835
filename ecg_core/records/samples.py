"""Samples in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..schema import Float32


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
