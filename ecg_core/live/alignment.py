"""Where in a stream a sample belongs, by its number or by its time stamp."""

from __future__ import annotations

from collections import deque

import numpy as np

from ..schema import Float32, Float64
from .stream import StreamChunk

MAX_GAP_S = 3600.0  # a longer jump means that a clock or counter was reset: then the wall clock gives the gap
JUMP_S = 0.1  # numbers that jump by more are believed when those after them agree: a digit may be damaged
SURE_RUN = 5  # a number from which so many in a row go on shows where the stream is: jumps are measured from there
MIN_WAIT_S = 1.0  # a shorter wait before a reset is not a gap
MAX_DELAY_S = 10.0  # a number that falls back by less is a repeat or late; by more, the counter was reset ...
RESTART_S = 1.0  # ... and so it was if the number is below this and falls back by as much
JITTER_S = 0.1  # stamps that are late by less are jitter
CONFIRM_S = 0.3  # stamps that are late for longer are a gap; those that are on time again within this are jitter
EQUAL_FALLS = 2  # so many by the same size, and nothing new for MIN_WAIT_S, mean that the counter wraps or hangs there
DRIFT_S = 10.0  # time constant of the estimate of the sender's clock: a drift of 1 % then makes an error of 0.1 s


class NumberClock:
    """Aligns samples by the numbers that their sender gives them."""

    def __init__(self, fs_hz: float) -> None:
        self.next = 0  # index of the sample that is expected next
        self._fs_hz = fs_hz
        self._offset: int | None = None  # from the number of the sender to the index in the stream
        self._last_s = 0.0  # wall clock at the last sample
        self._run: deque[int] = deque(
            maxlen=SURE_RUN
        )  # indices of the last samples, each of which goes on from another
        self._sure = 0  # index after the last sample whose number is beyond doubt
        self._repeats = _Repeats()
        self._period = 0  # after so many samples the counter begins again; 0 where it goes on

    @property
    def has_begun(self) -> bool:
        """Whether a sample was aligned."""
        return self._offset is not None

    def is_jump(self, number: int, now_s: float) -> bool:
        """Whether a number is so far from the expected one that a digit may be damaged; of the first, none knows."""
        if self._offset is None:
            return True
        index = self._index_of(number, now_s)
        return index - self._sure > JUMP_S * self._fs_hz or self._was_reset(number, index - self.next)

    def agrees(self, number: int, jump: int) -> bool:
        """Whether a number that follows a jump is near it, as after a gap or a restart of the sender."""
        return 0 < number - jump <= JUMP_S * self._fs_hz

    def align(self, number: int, now_s: float, *, confirmed: bool = False) -> int:
        """Index in the stream of the sample with this number; below ``next`` if it is late or a repeat.

        ``confirmed`` states that other numbers agree with it.
        """
        if self._offset is None:
            self._offset = -number
        elif self._has_wrapped(number, now_s):
            self._offset = self.next + _samples_lost(now_s - self._repeats.new_s, self._fs_hz) - number
        elif self._was_reset(number, self._index_of(number, now_s) - self.next):
            self._offset = self.next + _samples_lost(now_s - self._last_s, self._fs_hz) - number
        index = self._index_of(number, now_s)
        self._offset = index - number
        self._repeats.take(number, now_s, is_new=index >= self.next)
        self.next = max(self.next, index + 1)
        if self._run and not self.agrees(index, self._run[-1]):
            self._run.clear()
        self._run.append(index)
        if confirmed or len(self._run) == SURE_RUN:
            self._sure = self._run[0] + 1
        self._last_s = now_s
        return index

    def _was_reset(self, number: int, ahead: int) -> bool:
        # All of the numbers that have to agree on it are counted as of the same restart.
        restarted = number < RESTART_S * self._fs_hz and -ahead > (RESTART_S - JUMP_S) * self._fs_hz
        return restarted or ahead > MAX_GAP_S * self._fs_hz or -ahead > MAX_DELAY_S * self._fs_hz

    def _has_wrapped(self, number: int, now_s: float) -> bool:
        """Whether numbers that bring nothing new are those of a counter that wraps or hangs; keeps its period."""
        period = self._repeats.period(number, now_s)
        self._period = period or self._period
        return period > 0

    def _index_of(self, number: int, now_s: float) -> int:
        """Index in the stream by the number; of a counter that wraps, the one nearest to the expected sample."""
        index = number + (self._offset or 0)
        if not self._period:
            return index
        expected = self.next + _samples_lost(now_s - self._last_s, self._fs_hz)
        return index + self._period * round((expected - index) / self._period)


class _Repeats:
    """Numbers since the last one that brought a new sample."""

    def __init__(self) -> None:
        self.new_s = 0.0  # wall clock at the last new one
        self._last, self._fall, self._n_falls = 0, 0, 0  # the last number, and falls by the same size

    def take(self, number: int, now_s: float, *, is_new: bool) -> None:
        """Take a number that was aligned."""
        fall = self._last - number
        self._last = number
        if is_new:
            self.new_s, self._fall, self._n_falls = now_s, 0, 0
        elif fall > 0:
            self._n_falls = self._n_falls + 1 if fall == self._fall else 1
            self._fall = fall

    def period(self, number: int, now_s: float) -> int:
        """Samples after which a counter begins again, where these numbers show that; else 0."""
        goes_on = number == self._last + 1 or self._last - number == self._fall
        certain = goes_on and self._n_falls >= EQUAL_FALLS and now_s - self.new_s >= MIN_WAIT_S
        return self._fall + 1 if certain else 0


class StampClock:
    """Aligns samples by the time stamps of a sender whose clock jitters and drifts.

    Samples are numbered consecutively while their stamps are near the expected time. Stamps that are late, and stay
    late, mean a gap. Until that is decided the samples are held back: after a mere delay, the stamps of the following
    samples are on time again.
    """

    def __init__(self, fs_hz: float, n_leads: int) -> None:
        self.next = 0  # index of the sample that is expected next
        self._fs_hz = fs_hz
        self._origin_s: float | None = None  # stamp of sample 0 by the current estimate of the sender's clock
        self._n_tracked = 0  # samples behind this estimate
        self._last_s = 0.0  # wall clock at the last samples
        self._signal: Float32 = np.zeros((n_leads, 0), dtype=np.float32)  # samples that are held back
        self._stamp_s: Float64 = np.zeros(0)

    def push(self, signal_mv: Float32, stamp_s: Float64, now_s: float) -> list[StreamChunk]:
        """Take samples, shape (n_leads, n), with their stamps, shape (n,); return those whose index is decided."""
        waited_s, self._last_s = now_s - self._last_s, now_s
        self._signal = np.concatenate((self._signal, signal_mv), axis=1)
        self._stamp_s = np.concatenate((self._stamp_s, stamp_s))
        if self._origin_s is None:
            self._origin_s = float(stamp_s[0])
        chunks = []
        while n := self._n_decided(waited_s):
            chunks.append(self._release(n))
        return chunks

    def flush(self) -> list[StreamChunk]:
        """Release the samples that are held back: no later sample can show any more that they were only delayed."""
        if not len(self._stamp_s):
            return []
        self._skip(float(np.median(self._lateness_s())))
        return [self._release(len(self._stamp_s))]

    def _lateness_s(self) -> Float64:
        """How much later than expected the stamp of each held sample is, shape (n_held,)."""
        expected_s = (self._origin_s or 0.0) + (self.next + np.arange(len(self._stamp_s))) / self._fs_hz
        return np.asarray(self._stamp_s - expected_s, dtype=np.float64)

    def _n_decided(self, waited_s: float) -> int:
        """How many held samples follow the last one, at most a second of them; skips a gap that has become certain."""
        second = max(1, round(self._fs_hz))
        late_s = self._lateness_s()[:second]
        if len(late_s) and not -MIN_WAIT_S < late_s[0] < MAX_GAP_S:  # the clock of the sender was reset
            self._skip(_samples_lost(waited_s, self._fs_hz) / self._fs_hz, clock_step_s=float(late_s[0]))
            late_s = self._lateness_s()[:second]
        late = late_s > JITTER_S
        if not late.any():
            return len(late)
        return int(late.argmax()) or self._n_decided_late()

    def _n_decided_late(self) -> int:
        """How many held samples are decided where the first one is late: none until CONFIRM_S have been held."""
        in_doubt = self._stamp_s - self._stamp_s[0] < CONFIRM_S
        n = len(in_doubt) if in_doubt.all() else int(in_doubt.argmin())
        late_s = self._lateness_s()[:n]
        if (late_s <= JITTER_S).any():
            return int((late_s <= JITTER_S).argmax()) + 1
        if n == len(in_doubt):
            return 0
        self._skip(float(np.median(late_s)))
        return n

    def _skip(self, lost_s: float, *, clock_step_s: float | None = None) -> None:
        """Leave a gap of ``lost_s``; the clock of the sender has moved on by as much, or by ``clock_step_s``."""
        lost = max(0, round(lost_s * self._fs_hz))
        self.next += lost
        if clock_step_s is not None and self._origin_s is not None:
            self._origin_s += clock_step_s - lost / self._fs_hz

    def _release(self, n: int) -> StreamChunk:
        """Release the first ``n`` held samples, and update the estimate of the sender's clock with them."""
        late_s = float(np.clip(self._lateness_s()[:n], -JITTER_S, JITTER_S).mean())
        self._n_tracked += n
        self._origin_s = (self._origin_s or 0.0) + late_s * n / max(n, min(self._n_tracked, DRIFT_S * self._fs_hz))
        chunk = StreamChunk(self.next, self._signal[:, :n])
        self.next += n
        self._signal, self._stamp_s = self._signal[:, n:], self._stamp_s[n:]
        return chunk


def _samples_lost(waited_s: float, fs_hz: float) -> int:
    """Samples that were lost during a wait."""
    return round(waited_s * fs_hz) if waited_s > MIN_WAIT_S else 0
