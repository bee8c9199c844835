"""The usual amplitude of each lead of a stream, from seconds that hold a beat, and where it is too quiet for one.

When the heart stands still, what is left must not be enlarged until it looks like beats: so seconds without a beat do
not count, however many there are.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from ..schema import Bool, Float32, Float64
from ..signals.filters import FS_HZ, SCALE_BLOCK_S, SCALE_BLOCKS, CleanLeads, peak_to_peak
from ..signals.windows import sliding_maximum

MIN_SECONDS = 8  # of seconds with a beat: fewer may be noise that looked like beats while the stream began
# Where the leads move less than this fraction of their usual amplitude within QUIET_HALF_S to either side, on average
# over the leads and for longer than QUIET_MIN_S, there is no QRS: of 57,000 beats of mitdb DS1, qtdb and ltafdb 18 lie
# there, none of them in a stretch of four seconds, and 96 % of the P waves are as low.
QUIET: Final = 0.3
QUIET_HALF_S = 0.032  # the upstroke of a QRS, and little of slower waves
QUIET_MIN_S = 1.5
LEAST_AMPLITUDE = 1 / 3  # of that of the largest lead: in a lead with a very low QRS a P wave is no lower
QUIET_EDGE_S = 0.1  # of such a stretch, which the detector's response to a beat beside it may reach
RELEARN_S = 120.0  # after so long without a beat the amplitude may have changed for good, as by a new gain


class UsualAmplitude:
    """Follows the peak-to-peak amplitude of each lead: the median over about a minute of seconds with a beat."""

    def __init__(self, n_leads: int) -> None:
        self._heights: list[deque[float]] = [deque(maxlen=SCALE_BLOCKS) for _ in range(n_leads)]
        self._next = 0  # the first second that is not measured yet
        self._empty_s = 0.0  # seconds without a beat since the last one with a beat

    @property
    def is_known(self) -> bool:
        """Whether enough seconds with a beat were measured."""
        return any(len(heights) >= MIN_SECONDS for heights in self._heights)

    @property
    def is_doubtful(self) -> bool:
        """Whether no beat was found at this amplitude for so long that it may have changed."""
        return self.is_known and self._empty_s >= RELEARN_S

    def forget(self) -> None:
        """Learn the amplitude again."""
        for heights in self._heights:
            heights.clear()
        self._empty_s = 0.0

    def measure(self, clean: CleanLeads, *, first: int, until: int, beats_s: Float64) -> None:
        """Measure the seconds that end before a sample and were not measured yet.

        Parameters
        ----------
        clean
            The window; ``first`` is the index of its first sample in the stream at 125 Hz.
        until
            A sample before which beats are decided and the signal has settled.
        beats_s
            Times of the latest analysable beats.

        """
        second = int(SCALE_BLOCK_S * FS_HZ)
        with_beat = set((beats_s / SCALE_BLOCK_S).astype(int).tolist())
        for number in range(max(self._next, -(-first // second)), until // second):
            part = slice(number * second - first, (number + 1) * second - first)
            self._next = number + 1
            if number not in with_beat:
                self._empty_s += SCALE_BLOCK_S
                continue
            self._empty_s = 0.0
            for heights, lead, valid in zip(self._heights, clean.signal_mv, clean.valid, strict=True):
                height = float(np.ptp(np.where(valid[part], lead[part], 0)))
                if height > 0:
                    heights.append(height)

    def of_leads(self, clean: CleanLeads) -> Float32:
        """Usual amplitude of each lead in mV, (n_leads,), never zero; that of the window until a lead's is known."""
        local = window_amplitude(clean)
        known = [float(np.median(heights)) if len(heights) >= MIN_SECONDS else 0.0 for heights in self._heights]
        return np.where(np.array(known) > 0, known, local).astype(np.float32)


def window_amplitude(clean: CleanLeads) -> Float32:
    """Median peak-to-peak of the seconds of a window, (n_leads,), never zero."""
    second = int(SCALE_BLOCK_S * FS_HZ)
    heights = [
        float(np.median(peak_to_peak(np.where(valid, lead, 0).astype(np.float32), second)))
        for lead, valid in zip(clean.signal_mv, clean.valid, strict=True)
    ]
    return np.array([height or 1.0 for height in heights], dtype=np.float32)


def is_quiet(clean: CleanLeads, amplitude_mv: Float32) -> Bool:
    """Where the leads of a window move too little for a beat, given their usual amplitudes (n_leads,); (n_samples,)."""
    valid = clean.valid
    largest = amplitude_mv[valid.any(axis=1)].max(initial=0.0)
    full = np.maximum(amplitude_mv, LEAST_AMPLITUDE * largest)
    signal = clean.signal_mv / full[:, None]
    size = 2 * round(QUIET_HALF_S * FS_HZ) + 1
    padded = np.pad(signal, [(0, 0), (size // 2, size // 2)], mode="edge")
    height = sliding_maximum(padded, size) + sliding_maximum(-padded, size)
    n_valid = valid.sum(axis=0)
    low = (n_valid > 0) & ((height * valid).sum(axis=0) < QUIET * n_valid)
    edges = np.flatnonzero(np.diff(low, prepend=False, append=False))
    long_enough = np.diff(edges)[::2] >= QUIET_MIN_S * FS_HZ
    quiet, edge = np.zeros(len(low), dtype=bool), round(QUIET_EDGE_S * FS_HZ)
    for first, after in zip(edges[::2][long_enough], edges[1::2][long_enough], strict=True):
        quiet[first + edge : after - edge] = True
    return quiet
