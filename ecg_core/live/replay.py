"""A record as a live stream: in real time, faster, or as fast as its chunks are taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from ..errors import LiveError
from ..schema import Float32, Record
from .stream import Stream, StreamChunk

READ_S = 60.0  # so much is read from disk at a time


class Replay:
    """A record as a source: each chunk arrives when its last sample would have been recorded.

    Raises
    ------
    LiveError
        The speed is not positive, or the start lies outside the record.

    """

    def __init__(self, record: Record, *, speed: float = 1.0, chunk_s: float = 0.1, start_s: float = 0.0) -> None:
        if not speed > 0:
            raise LiveError(
                f"The speed of a replay is {speed:g}: expected a number above 0, such as 1 or 10, or inf.",
                settings=("speed",),
            )
        if not 0 <= start_s < record.duration_s:
            raise LiveError(
                f"{record.record_id}: the start is {start_s:g} s, but the record is {record.duration_s:.0f} s long; "
                "choose a start within it."
            )
        start = None if record.start is None else record.start + timedelta(seconds=start_s)
        self.stream = Stream(
            record.record_id, record.fs_hz, record.lead_names, all(record.calibrated), record.is_simulated,
            is_replayed=True, start=start,
        )  # fmt: skip
        self._record, self._speed = record, speed
        self._start = round(start_s * record.fs_hz)
        self._step = max(1, round(chunk_s * record.fs_hz))
        self._closed = threading.Event()

    def chunks(self) -> Iterator[StreamChunk]:
        """The record in chunks, all due by the same clock: delays do not add up, and a late chunk comes at once."""
        began_s, first = time.monotonic(), 0
        for block in self._blocks():
            for start in range(0, block.shape[1], self._step):
                signal = block[:, start : start + self._step]
                due_s = began_s + (first + signal.shape[1]) / self.stream.fs_hz / self._speed
                if self._closed.wait(max(0.0, due_s - time.monotonic())):
                    return
                yield StreamChunk(first, signal)
                first += signal.shape[1]

    def _blocks(self) -> Iterator[Float32]:
        """The record in blocks of whole chunks, each of shape (n_leads, n)."""
        size = self._step * max(1, round(READ_S * self.stream.fs_hz / self._step))
        leads = tuple(range(len(self.stream.lead_names)))
        for start in range(self._start, self._record.n_samples, size):
            yield self._record.source.read(start, min(start + size, self._record.n_samples), leads)

    def close(self) -> None:
        """End the replay at once."""
        self._closed.set()
