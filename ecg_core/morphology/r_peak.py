"""The R peak that a reader means by a click beside it."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..schema import Record
from .filtered import read_filtered_strip

SEARCH_S: Final = 0.08  # a click lies at most this far from the peak
FLANK_S: Final = 0.03  # a QRS rises and falls within this: the deflection of a T wave is far smaller over it


def snap_to_r_peak(record: Record, lead_name: str, time_s: float) -> float:
    """Time of the largest steep deflection within SEARCH_S of a time, in seconds; the time itself where there is none.

    The deflection is measured against the signal FLANK_S before and after it, of either sign, in the filtered lead.
    """
    span_s = SEARCH_S + FLANK_S
    lead = read_filtered_strip(record, lead_name, start_s=max(0.0, time_s - span_s), length_s=2 * span_s)
    flank = max(1, round(FLANK_S * lead.fs_hz))
    signal = lead.signal_mv.astype(np.float64)
    if len(signal) <= 2 * flank:
        return time_s
    deflection = np.abs(2 * signal[flank:-flank] - signal[: -2 * flank] - signal[2 * flank :])
    at_s = lead.start_s + (flank + np.arange(len(deflection))) / lead.fs_hz
    deflection = np.where((np.abs(at_s - time_s) <= SEARCH_S) & np.isfinite(deflection), deflection, 0.0)
    return float(at_s[deflection.argmax()]) if deflection.any() else time_s
