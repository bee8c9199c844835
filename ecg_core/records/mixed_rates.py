"""Leads of one recording at rates of their own, read at the highest of these rates."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..schema import Float32, Float64, Index, SignalSource
from ..signals.filters import fill_gaps

MARGIN = 32  # samples at the lower rate on either side of a sample that its value depends on
MAX_UP = 1 << 12  # of a ratio of rates; real ones are 2, 4, 5 or 250 / 257
KAISER_BETA = 8.0  # side lobes of the window below -80 dB


@dataclass(frozen=True)
class LeadsOfRate:
    """Leads of a file that have the same rate."""

    source: SignalSource
    fs_hz: float
    n_samples: int  # at this rate
    n_leads: int


@dataclass(frozen=True)
class MixedRateSource:
    """Leads of several rates at the highest one; leads count through the parts in their order.

    A lower rate is interpolated by a windowed sinc, the same wherever a stretch is cut. A sample is missing where the
    one that was recorded nearest to it is.
    """

    parts: tuple[LeadsOfRate, ...]
    fs_hz: float  # the highest rate

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        before = 0
        for part in self.parts:
            rows = [row for row, lead in enumerate(leads) if before <= lead < before + part.n_leads]
            if rows:
                signal[rows] = self._read_part(part, start, stop, tuple(leads[row] - before for row in rows))
            before += part.n_leads
        return signal

    def _read_part(self, part: LeadsOfRate, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        if part.fs_hz == self.fs_hz:
            return _read_within(part, start, stop, leads)
        ratio = Fraction(part.fs_hz / self.fs_hz).limit_denominator(MAX_UP)
        first = start * ratio.numerator // ratio.denominator - MARGIN
        last = stop * ratio.numerator // ratio.denominator + MARGIN + 1
        known = _read_within(part, first, last, leads)
        place = np.arange(start, stop) * ratio.numerator / ratio.denominator - first  # in samples of ``known``
        nearest = np.rint(place).astype(np.int64)
        end = part.n_samples - first  # of the part, up to which its last sample lasts
        nearest[(nearest == end) & (place < end)] -= 1
        return np.stack([_interpolated(row, place, nearest) for row in known])


def _read_within(part: LeadsOfRate, first: int, last: int, leads: tuple[int, ...]) -> Float32:
    """Samples [first, last) of a part; missing beyond its ends."""
    signal = np.full((len(leads), last - first), np.nan, dtype=np.float32)
    begin, end = max(first, 0), min(last, part.n_samples)
    if begin < end:
        signal[:, begin - first : end - first] = part.source.read(begin, end, leads)
    return signal


def _interpolated(row: Float32, place: Float64, nearest: Index) -> Float32:
    """A lead between its samples; NaN where the nearest one is missing."""
    missing = ~np.isfinite(row)
    if missing.all():
        return np.full(len(place), np.nan, dtype=np.float32)
    filled = fill_gaps(row, missing).astype(np.float64)
    whole = np.floor(place).astype(np.int64)
    part = place - whole
    out = np.zeros(len(place))
    weights = np.zeros(len(place))
    for offset in range(1 - MARGIN // 2, MARGIN // 2 + 1):
        away = offset - part
        weight = np.sinc(away) * np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (2 * away / MARGIN) ** 2, 0, 1)))
        out += weight * filled[np.clip(whole + offset, 0, len(row) - 1)]
        weights += weight
    out /= weights  # a constant stays what it is
    out[missing[nearest]] = np.nan
    return out.astype(np.float32)
