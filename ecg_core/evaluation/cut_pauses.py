"""Pauses of known length in real records, to measure how they are found: beats are removed, and their place is filled.

The place holds what a standstill of the ventricles leaves: low noise, low noise with P waves, or the flat line of a
recorder without a signal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..errors import RecordError
from ..labels import class_codes
from ..schema import Float32, Float64, Record, SignalSource

FILLINGS: Final = ("noise", "p_waves", "flat")
AFTER_QRS_S, BEFORE_QRS_S = 0.45, 0.12  # T wave of the last beat and QRS onset of the next stay in the signal
NOISE_MV = 0.015  # standard deviation, as of a good electrode at rest
P_MV, P_WIDTH_S, P_PERIOD_S = 0.12, 0.025, 0.85  # Gaussian P waves at 70 per minute


@dataclass(frozen=True)
class FilledSource:
    """A signal source in which some stretches are replaced."""

    clean: SignalSource
    filling: str  # one of FILLINGS
    gaps: tuple[tuple[int, int], ...]  # first sample, and the one after the last
    fs_hz: float

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.array(self.clean.read(start, stop, leads))
        for first, last in self.gaps:
            a, b = max(first, start), min(last, stop)
            if a < b:
                edges = np.stack([self.clean.read(i, i + 1, leads)[:, 0] for i in (first - 1, last)], axis=1)
                signal[:, a - start : b - start] = self._filled(edges, last - first)[:, a - first : b - first]
        return np.asarray(signal, dtype=np.float32)

    def _filled(self, edges: Float32, n: int) -> Float32:
        """Of one gap, shape (n_leads, n), between the samples beside it, shape (n_leads, 2)."""
        if self.filling == "flat":
            return np.repeat(edges[:, :1], n, axis=1)
        ramp = np.linspace(edges[:, 0], edges[:, 1], n).T
        noise = np.random.default_rng(n).normal(0, NOISE_MV, ramp.shape)
        if self.filling == "noise":
            return np.asarray(ramp + noise, dtype=np.float32)
        time_s = np.arange(n) / self.fs_hz
        since_s = (time_s % P_PERIOD_S) - P_PERIOD_S / 2
        return np.asarray(ramp + noise + P_MV * np.exp(-0.5 * (since_s / P_WIDTH_S) ** 2), dtype=np.float32)


def with_pauses(record: Record, lengths_s: tuple[float, ...], filling: str) -> tuple[Record, Float64]:
    """The record with pauses of about these lengths, evenly spread, and each pause from beat to beat.

    Returns
    -------
    The record, and start and end of each pause in seconds, shape (n, 2).

    Raises
    ------
    RecordError
        The record has no reference annotations to cut at.

    """
    if record.reference is None:
        raise RecordError("pauses cannot be cut without reference annotations (.atr)", where=record.record_id)
    beat_s = record.reference.time_s[class_codes(record.reference.symbol) >= 0]
    starts_s = np.linspace(0, record.duration_s, len(lengths_s) + 2)[1:-1]
    pauses = []
    for start_s, length_s in zip(starts_s.tolist(), lengths_s, strict=True):
        first = beat_s[np.searchsorted(beat_s, start_s)]
        pauses.append((first, beat_s[np.searchsorted(beat_s, first + length_s)]))
    gaps = tuple((round((a + AFTER_QRS_S) * record.fs_hz), round((b - BEFORE_QRS_S) * record.fs_hz)) for a, b in pauses)
    source = FilledSource(record.source, filling, gaps, record.fs_hz)
    return replace(record, record_id=f"{record.record_id}+{filling}", source=source), np.array(pauses)
