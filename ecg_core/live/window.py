"""The last seconds of a stream, moved on in hops of fixed length however its chunks are cut."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..errors import LiveError
from ..schema import Float32
from ..signals.filters import FS_HZ, rate_ratio
from .stream import Chunk, Stream

HOP_S = 0.2  # what came is looked at so often
MOST_DOWN = 4000  # the window begins on a sample of the 125-Hz grid: after at most so many samples there is one
LONGEST_GAP_S = 86_400.0  # sample numbers that jump further count something else


class Window:
    """The latest samples of a stream; a gap is NaN, and what comes twice is taken once.

    Attributes
    ----------
    rate_hz
        The stream's rate, or one within a millionth of it whose ratio to 125 Hz is simple.
    end
        Samples of the stream up to the window's end.
    samples
        Template (n_leads, n), the newest last; the first is sample ``start`` of the stream.
    n_missed, n_repeated
        Samples that a gap took, and that came more than once, so far.

    """

    def __init__(self, stream: Stream, *, length_s: float) -> None:
        self.stream = stream
        self.up, self.down = simple_ratio(stream.fs_hz)
        self.rate_hz = FS_HZ * self.down / self.up
        self.hop = max(1, round(HOP_S * stream.fs_hz))
        self._kept = int(length_s * stream.fs_hz)
        self._ahead = np.zeros((len(stream.lead_names), 0), dtype=np.float32)  # came since the last hop
        self.samples = self._ahead
        self.start = self.end = 0
        self.n_missed = self.n_repeated = 0

    @property
    def received(self) -> int:
        """Samples of the stream that came, or were missed, so far."""
        return self.end + self._ahead.shape[1]

    @property
    def end_s(self) -> float:
        """Time of the window's end."""
        return self.end / self.stream.fs_hz

    @property
    def first_out(self) -> int:
        """Where the window begins in the stream at 125 Hz; see ``out_hz``."""
        return self.start * self.up // self.down

    @property
    def out_hz(self) -> float:
        """The rate that the network sees, 125 Hz but for rates without a simple ratio to it."""
        return self.stream.fs_hz * self.up / self.down

    def hops(self, chunk: Chunk) -> Iterator[None]:
        """Take a chunk; the window stands still each time that it has moved on by a hop.

        Raises
        ------
        LiveError
            The chunk has other leads than the stream, or lies a day and more ahead.

        """
        n_leads = len(self.stream.lead_names)
        if chunk.signal_mv.ndim != 2 or len(chunk.signal_mv) != n_leads:
            raise LiveError(
                f"{self.stream.name}: expected chunks of {n_leads} leads, got an array of shape "
                f"{chunk.signal_mv.shape}; a stream keeps its leads, a lead that is off is NaN."
            )
        missed = chunk.first - self.received
        if missed > LONGEST_GAP_S * self.stream.fs_hz:
            raise LiveError(
                f"{self.stream.name}: sample {chunk.first} came after sample {self.received}, a day and more ahead; "
                "its samples are numbered otherwise. Begin a new recording."
            )
        self.n_missed += max(0, missed)
        while missed > 0:  # in parts, so that a long gap needs no memory
            part = min(missed, self.hop)
            yield from self._take(np.full((n_leads, part), np.nan, dtype=np.float32))
            missed -= part
        repeated = min(max(0, -missed), chunk.signal_mv.shape[1])
        self.n_repeated += repeated
        signal = np.asarray(chunk.signal_mv[:, repeated:], dtype=np.float32)
        yield from self._take(np.where(np.isfinite(signal), signal, np.float32(np.nan)))

    def rest(self) -> bool:
        """Move on by what is left of a hop at the end of the stream; whether there was any."""
        n_left = self._ahead.shape[1]
        self._move(n_left)
        return n_left > 0

    def _take(self, signal: Float32) -> Iterator[None]:
        self._ahead = np.concatenate((self._ahead, signal), axis=1)
        while self._ahead.shape[1] >= self.hop:
            self._move(self.hop)
            yield

    def _move(self, n: int) -> None:
        joined = np.concatenate((self.samples, self._ahead[:, :n]), axis=1)
        self.end += n
        start = max(0, self.end - self._kept) // self.down * self.down
        self.samples, self._ahead = joined[:, start - self.start :], self._ahead[:, n:]
        self.start = start


def simple_ratio(fs_hz: float) -> tuple[int, int]:
    """``rate_ratio``, or one close to it of smaller numbers."""
    up, down = rate_ratio(fs_hz)
    if down > MOST_DOWN:
        near = Fraction(up, down).limit_denominator(MOST_DOWN)
        up, down = near.numerator, near.denominator
    return up, down
