"""Waveforms of beats: the signal of some leads around each of them, on one grid whatever the rate of the record."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..records import lead_index
from ..schema import Bool, Float32, Float64, Index, Record
from ..signals.filters import FS_HZ

Waveforms = NDArray[np.float16]  # (n_beats, n_leads, n_points) at OFFSET_S, mV, without their mean; NaN where unknown

BEFORE_S, AFTER_S = 0.36, 0.56  # from before the P wave to the end of the T wave
STEP_S: Final = 1 / FS_HZ  # the QRS lies below 40 Hz
OFFSET_S: Final = np.arange(-round(BEFORE_S / STEP_S), round(AFTER_S / STEP_S) + 1) * STEP_S
CHUNK_S = 1800.0  # read at once

BURST_BEATS = 5  # sampled in a row, since one access to a file reads all of them


def cut_waveforms(record: Record, lead_names: tuple[str, ...], time_s: Float64) -> Waveforms:
    """Read the signal around each beat, and no chunk of the record without beats.

    Parameters
    ----------
    time_s
        Beat times, shape (n,), seconds, ascending.

    """
    leads = tuple(lead_index(record, name) for name in lead_names)
    waveform = np.full((len(time_s), len(leads), len(OFFSET_S)), np.nan, dtype=np.float16)
    most_mv = np.finfo(waveform.dtype).max  # beyond it is no ECG
    for rows in np.split(np.arange(len(time_s)), np.flatnonzero(np.diff(time_s // CHUNK_S)) + 1):
        if len(rows):
            waveform[rows] = _cut(record, leads, time_s[rows]).clip(-most_mv, most_mv)
    return waveform


def _cut(record: Record, leads: tuple[int, ...], time_s: Float64) -> Float32:
    """``cut_waveforms`` of beats near to each other."""
    every = max(1, int(record.fs_hz / FS_HZ))  # samples that are averaged: aliasing stays small
    edge_s = 2 * every / record.fs_hz
    first = max(0, int((time_s[0] + OFFSET_S[0] - edge_s) * record.fs_hz))
    last = min(record.n_samples, int((time_s[-1] + OFFSET_S[-1] + edge_s) * record.fs_hz) + 1)
    n_means = (last - first) // every
    if n_means < 1:
        return np.full((len(time_s), len(leads), len(OFFSET_S)), np.nan, dtype=np.float32)
    signal_mv = record.source.read(first, first + n_means * every, leads)
    signal_mv = signal_mv.reshape(len(leads), n_means, every).mean(axis=2)
    centre_s = (first + (every - 1) / 2) / record.fs_hz
    place = (time_s[:, None] + (OFFSET_S - centre_s)) * (record.fs_hz / every)
    grid = np.arange(n_means)
    cut = np.stack([np.interp(place, grid, lead, left=np.nan, right=np.nan) for lead in signal_mv], axis=1)
    cut -= cut.mean(axis=2, keepdims=True)
    return cut.astype(np.float32)


def complete(waveform: Waveforms) -> Bool:
    """Whether the whole waveform of each beat is known in all leads, shape (n,)."""
    return np.asarray(np.isfinite(waveform).all(axis=(1, 2)))


def columns_within(offset_s: tuple[float, float]) -> slice:
    """Columns of waveforms between two times around the beat; at least one."""
    first, last = np.searchsorted(OFFSET_S, (min(offset_s), max(offset_s)))
    return slice(int(min(first, len(OFFSET_S) - 1)), int(max(last, first + 1)))


def sample_evenly(beat: Index, max_beats: int) -> Index:
    """At most ``max_beats`` of the beats, in short bursts spread evenly over all of them."""
    if len(beat) <= max_beats:
        return beat
    start = np.linspace(0, len(beat) - BURST_BEATS, max_beats // BURST_BEATS).astype(np.int64)
    return np.asarray(beat[(start[:, None] + np.arange(BURST_BEATS)).ravel()])
