"""Samples that lie in memory, and what a count is taken for where no gain is stated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..schema import Float32

ASSUMED_PER_MV: Final = 200.0  # counts a millivolt, WFDB's own assumption


@dataclass(frozen=True)
class ArraySource:
    """Samples in memory."""

    signal_mv: Float32  # (n_leads, n)

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        return self.signal_mv[list(leads), start:stop]
