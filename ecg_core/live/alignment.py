"""Where in a stream a sample belongs, by its number or by its time stamp."""

from __future__ import annotations

import numpy as np

from ..schema import Float32, Float64
from .stream import Chunk

MAX_GAP_S = 3600.0  # a longer leap is a clock or a counter that was set anew: then the wall clock says how long it took
WAITED_S = 1.0  # a shorter wait before something set anew is no gap
SLACK_S = 10.0  # a number that falls back by less comes a second time or late; by more, it was set anew ...
BEGIN_S = 1.0  # ... as is one that is small again, and falls back by more than this
GAP_S = 0.1  # stamps that are late by less are jitter
CONFIRM_S = 0.3  # and so are those that are on time again after so long
DRIFT_S = 10.0  # the sender's clock is followed by a mean over so long: a drift of 1 % makes 0.1 s


class NumberClock:
    """Places samples by the numbers that their sender gives them."""

    def __init__(self, fs_hz: float) -> None:
        self.next = 0  # where the sample after the last one belongs
        self._fs_hz = fs_hz
        self._shift: int | None = None  # from the sender's number to the place
        self._seen_s = 0.0

    def place(self, number: int, now_s: float) -> int:
        """Where the sample with this number belongs; below ``next`` where it comes late or twice."""
        if self._shift is None:
            self._shift = -number
        elif self._set_anew(number, number + self._shift - self.next):
            self._shift = self.next + _waited(now_s - self._seen_s, self._fs_hz) - number
        place = number + self._shift
        self.next = max(self.next, place + 1)
        self._seen_s = now_s
        return place

    def _set_anew(self, number: int, ahead: int) -> bool:
        begins = number < BEGIN_S * self._fs_hz and -ahead > BEGIN_S * self._fs_hz
        return begins or ahead > MAX_GAP_S * self._fs_hz or -ahead > SLACK_S * self._fs_hz


class StampClock:
    """Places samples by the time stamps of a sender whose clock jitters and drifts.

    Samples count on while their stamps are about where the count has them. Stamps that are late, and stay so, are a
    gap; until that is known the samples are held back, as after a delay the late ones come close upon each other.
    """

    def __init__(self, fs_hz: float, n_leads: int) -> None:
        self.next = 0  # where the sample after the last one belongs
        self._fs_hz = fs_hz
        self._origin_s: float | None = None  # the stamp that sample 0 has by the sender's clock of now
        self._seen = 0  # samples that the origin was measured on
        self._seen_s = 0.0
        self._signal: Float32 = np.zeros((n_leads, 0), dtype=np.float32)  # what is held back
        self._stamp_s: Float64 = np.zeros(0)

    def push(self, signal_mv: Float32, stamp_s: Float64, now_s: float) -> list[Chunk]:
        """Chunks of the samples whose place is known now, shapes (n_leads, n) and (n,)."""
        waited_s, self._seen_s = now_s - self._seen_s, now_s
        self._signal = np.concatenate((self._signal, signal_mv), axis=1)
        self._stamp_s = np.concatenate((self._stamp_s, stamp_s))
        if self._origin_s is None:
            self._origin_s = float(stamp_s[0])
        chunks = []
        while n := self._decided(waited_s):
            chunks.append(self._take(n))
        return chunks

    def flush(self) -> list[Chunk]:
        """The samples that are still held back: nothing comes after them that could say that they were only late."""
        if not len(self._stamp_s):
            return []
        self._leap(float(np.median(self._late_s())))
        return [self._take(len(self._stamp_s))]

    def _late_s(self) -> Float64:
        """How much later than the count has it each held sample is."""
        expected_s = (self._origin_s or 0.0) + (self.next + np.arange(len(self._stamp_s))) / self._fs_hz
        return np.asarray(self._stamp_s - expected_s, dtype=np.float64)

    def _decided(self, waited_s: float) -> int:
        """How many samples follow the last one, at most a second of them; leaps over a gap that has shown."""
        second = max(1, round(self._fs_hz))
        late_s = self._late_s()[:second]
        if len(late_s) and not -WAITED_S < late_s[0] < MAX_GAP_S:  # the sender's clock was set anew
            self._leap(_waited(waited_s, self._fs_hz) / self._fs_hz, clock_s=float(late_s[0]))
            late_s = self._late_s()[:second]
        late = late_s > GAP_S
        if not late.any():
            return len(late)
        first = int(late.argmax())
        if first:
            return first
        in_doubt = self._stamp_s - self._stamp_s[0] < CONFIRM_S
        n = len(in_doubt) if in_doubt.all() else int(in_doubt.argmin())
        late_s = self._late_s()[:n]
        if (late_s <= GAP_S).any():
            return int((late_s <= GAP_S).argmax()) + 1
        if n == len(in_doubt):
            return 0
        self._leap(float(np.median(late_s)))
        return n

    def _leap(self, lost_s: float, *, clock_s: float | None = None) -> None:
        """Leave a gap, after which the sender's clock is where it should be, or ``clock_s`` further on than it was."""
        lost = max(0, round(lost_s * self._fs_hz))
        self.next += lost
        if clock_s is not None and self._origin_s is not None:
            self._origin_s += clock_s - lost / self._fs_hz

    def _take(self, n: int) -> Chunk:
        """The first samples of those held, and follow the sender's clock."""
        late_s = float(np.clip(self._late_s()[:n], -GAP_S, GAP_S).mean())
        self._seen += n
        self._origin_s = (self._origin_s or 0.0) + late_s * n / max(n, min(self._seen, DRIFT_S * self._fs_hz))
        chunk = Chunk(self.next, self._signal[:, :n])
        self.next += n
        self._signal, self._stamp_s = self._signal[:, n:], self._stamp_s[n:]
        return chunk


def _waited(waited_s: float, fs_hz: float) -> int:
    """Samples that were lost while nothing came."""
    return round(waited_s * fs_hz) if waited_s > WAITED_S else 0
