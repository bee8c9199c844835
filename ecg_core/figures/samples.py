"""Samples as a browser takes them: 16 bits each, as base64."""

from __future__ import annotations

import base64
from typing import Final

import numpy as np

from ..schema import Float32

STEP_MV: Final = 0.002  # of the 16 bits of a sample: they reach 65 mV
MAX_COUNT, MISSING = 32767, -32768
DRAWN_HZ: Final = 250.0  # more than a screen can show at 50 mm/s


def encoded(signal_mv: Float32) -> str:
    """Samples, shape (n,), as base64 of 16 bits each; MISSING where nothing was recorded."""
    counts = np.clip(np.rint(np.nan_to_num(signal_mv) / STEP_MV), -MAX_COUNT, MAX_COUNT)
    counts = np.where(np.isfinite(signal_mv), counts, MISSING).astype("<i2")
    return base64.b64encode(counts.tobytes()).decode()


def every_nth(fs_hz: float) -> int:
    """Every which sample is drawn."""
    return max(1, round(fs_hz / DRAWN_HZ))
