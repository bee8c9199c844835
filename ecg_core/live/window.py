"""The last seconds of a stream, moved on in hops of fixed length however the stream is cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import lcm

import numpy as np

from ..errors import LiveError
from ..records.limits import MAX_DURATION_S
from ..schema import Float32
from ..signals.filters import FS_HZ, rate_ratio
from ..text import plural
from .stream import Stream, StreamChunk

HOP_S = 0.2  # the window is analysed at this interval
MAX_DOWN = 4000  # the window begins on a sample of the 125-Hz grid: one occurs at least once in so many samples
MAX_GAP_S = MAX_DURATION_S  # sample numbers that jump further do not count samples
# Of a gap, so much is analysed: by then all that a beat or an alarm left behind is over, even the usual amplitude.
EMPTY_S = 300.0


class Window:
    """The latest samples of a stream; gaps are NaN, and samples that come repeatedly are taken once.

    Attributes
    ----------
    rate_hz
        The rate of the stream, or one within a millionth of it whose ratio to 125 Hz is simple.
    end
        Index in the stream of the sample after the window.
    samples
        Shape (n_leads, n), mV; the first is sample ``start`` of the stream.
    n_missed, n_repeated
        Samples so far that were lost in gaps, and that came repeatedly.

    """

    def __init__(self, stream: Stream, *, length_s: float) -> None:
        self.stream = stream
        self.up, self.down = simple_ratio(stream.fs_hz)
        self.rate_hz = FS_HZ * self.down / self.up
        self.hop = max(1, round(HOP_S * stream.fs_hz))
        self._kept = int(length_s * stream.fs_hz)
        self._ahead = np.zeros((len(stream.lead_names), 0), dtype=np.float32)  # received since the last hop
        self.samples = self._ahead
        self.start = self.end = 0
        self.n_missed = self.n_repeated = 0

    @property
    def received(self) -> int:
        """Samples of the stream that were received or lost so far."""
        return self.end + self._ahead.shape[1]

    @property
    def end_s(self) -> float:
        """Time of the end of the window."""
        return self.end / self.stream.fs_hz

    @property
    def first_out(self) -> int:
        """Index of the first sample of the window in the stream at 125 Hz; see ``out_hz``."""
        return self.start * self.up // self.down

    @property
    def out_hz(self) -> float:
        """The rate that the network receives: 125 Hz, except for rates without a simple ratio to it."""
        return self.stream.fs_hz * self.up / self.down

    def hops(self, chunk: StreamChunk) -> Iterator[None]:
        """Take a chunk; yields each time that the window has moved on by a hop.

        Raises
        ------
        LiveError
            The chunk has other leads than the stream, or begins months ahead of it.

        """
        n_leads = len(self.stream.lead_names)
        if chunk.signal_mv.ndim != 2 or len(chunk.signal_mv) != n_leads:
            raise LiveError(
                f"{self.stream.name}: expected chunks of {plural(n_leads, 'lead')}, got an array of shape "
                f"{chunk.signal_mv.shape}; the number of leads is fixed, and a missing lead is NaN."
            )
        missed = chunk.first - self.received
        if missed > MAX_GAP_S * self.stream.fs_hz:
            raise LiveError(
                f"{self.stream.name}: sample {chunk.first} came after sample {self.received}, more than "
                f"{MAX_GAP_S / 86_400:.0f} days ahead, so these numbers do not count samples. Begin a new recording."
            )
        yield from self._take_gap(max(0, missed))
        repeated = min(max(0, -missed), chunk.signal_mv.shape[1])
        self.n_repeated += repeated
        signal = np.asarray(chunk.signal_mv[:, repeated:], dtype=np.float32)
        yield from self._take(np.where(np.isfinite(signal), signal, np.float32(np.nan)))

    def _take_gap(self, missed: int) -> Iterator[None]:
        """Move on over lost samples, hop by hop while that can change anything, so that no gap takes long."""
        self.n_missed += missed
        begun = self.received
        while missed > 0:
            if self.received - begun >= EMPTY_S * self.stream.fs_hz:
                missed -= self._skip(missed - self.hop)
            part = min(missed, self.hop)
            yield from self._take(np.full((len(self.stream.lead_names), part), np.nan, dtype=np.float32))
            missed -= part

    def _skip(self, n: int) -> int:
        """Skip up to ``n`` samples where the window holds none, and stay on the grids of hops and of 125 Hz."""
        step = lcm(self.hop, self.down)
        skipped = max(0, n) // step * step
        self.start, self.end = self.start + skipped, self.end + skipped
        return skipped

    def finish(self) -> None:
        """Move on by the rest of a hop at the end of the stream."""
        self._move(self._ahead.shape[1])

    def _take(self, signal: Float32) -> Iterator[None]:
        self._ahead = np.concatenate((self._ahead, signal), axis=1)
        while self._ahead.shape[1] >= self.hop:
            self._move(self.hop)
            yield

    def _move(self, n: int) -> None:
        samples = np.concatenate((self.samples, self._ahead[:, :n]), axis=1)
        self.end += n
        start = max(0, self.end - self._kept) // self.down * self.down
        self.samples, self._ahead = samples[:, start - self.start :], self._ahead[:, n:]
        self.start = start


def simple_ratio(fs_hz: float) -> tuple[int, int]:
    """``rate_ratio``, or a close ratio of smaller numbers."""
    up, down = rate_ratio(fs_hz)
    if down > MAX_DOWN:
        near = Fraction(up, down).limit_denominator(MAX_DOWN)
        up, down = near.numerator, near.denominator
    return up, down
