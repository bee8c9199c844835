"""Excerpts of a lead without baseline wander and muscle noise, at the record's own rate."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ..records import read_strip
from ..schema import Float32, Lead, Record
from ..signals.filters import BASELINE_HZ, NOISE_HZ, fill_gaps

MARGIN_S: Final = 4.0  # further than this from its ends, an excerpt does not depend on where it was cut
NYQUIST_SHARE: Final = 0.9  # of half the rate: the low-pass of a slow record lies here where NOISE_HZ is beyond
FILTER_TEXT: Final = f"filter {BASELINE_HZ:g} to {NOISE_HZ:g} Hz"


def read_filtered_strip(record: Record, lead_name: str, *, start_s: float, length_s: float) -> Lead:
    """An excerpt of a lead, filtered without a shift in time; NaN where nothing was recorded."""
    wide = read_strip(record, lead_name, start_s=start_s - MARGIN_S, length_s=length_s + 2 * MARGIN_S)
    filtered = _filtered(wide.signal_mv, record.fs_hz)
    raw = read_strip(record, lead_name, start_s=start_s, length_s=length_s)
    first = round((raw.start_s - wide.start_s) * record.fs_hz)
    return replace(raw, signal_mv=filtered[first : first + len(raw.signal_mv)])


def _filtered(signal_mv: Float32, fs_hz: float) -> Float32:
    """A lead, shape (n,), between BASELINE_HZ and NOISE_HZ; shorter ones than the filter needs stay as they are."""
    gap = ~np.isfinite(signal_mv)
    high_hz = min(NOISE_HZ, NYQUIST_SHARE * fs_hz / 2)
    if len(signal_mv) <= fs_hz or gap.all() or high_hz <= BASELINE_HZ:
        return signal_mv
    from scipy.signal import butter, sosfiltfilt  # noqa: PLC0415  # half a second, for a strip that is filtered

    sos = butter(2, (BASELINE_HZ, high_hz), "bandpass", fs=fs_hz, output="sos")
    pad = min(len(signal_mv) - 1, int(MARGIN_S * fs_hz))
    filtered = sosfiltfilt(sos, fill_gaps(signal_mv, gap), padlen=pad).astype(np.float32)
    return np.where(gap, np.float32(np.nan), filtered)
