"""What a live source yields, taken as it arrives: silence is noticed, and no sample is analysed long after it came."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from ..text import plural
from .stream import Item, Notice, Silence, Source, StreamChunk

POLL_S = 0.25  # a wait for the next item
NO_SIGNAL_S = 4.0  # without a new sample, by the clock of this machine
SETTLED_S = 5.0  # after a silence, what was only delayed has come
AHEAD_S = 1.0  # the clock is ahead of the numbers of the samples by more than any delay
LATE_S = 10.0  # samples that have waited for so long are dropped ...
KEPT_S = 1.0  # ... but for the latest ones
# Samples that may wait. A sender in real time fills no more than LATE_S of it; one that is faster, as a file that is
# piped in, has to wait.
CAPACITY_S = 12.0
MAX_ITEMS = 10_000  # that may wait, notices included


class Arrivals:
    """A source whose items are read in a thread, so that the time at which each arrived is known.

    Where the program cannot keep up, the oldest samples are dropped, which leaves a gap and a notice.
    """

    def __init__(self, source: Source) -> None:
        self.stream, self._source = source.stream, source
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, Item]] = deque()  # with the time of arrival
        self._n_waiting = 0  # samples among them
        self._has_ended = self._is_left = False
        self._error: Exception | None = None

    def chunks(self) -> Iterator[Item]:
        """See ``Source``; where no new sample arrives for a while, one ``Silence`` until the next."""
        threading.Thread(target=self._read, daemon=True, name="live source").start()
        again_s = 0.0
        heard_s, end, is_silent = time.monotonic(), 0, False
        before: tuple[float, int] | None = None  # the clock and the end of the samples at the last silence
        try:
            while (items := self._take()) is not None:
                is_new = False
                for item in items:
                    yield item
                    if isinstance(item, StreamChunk) and (reached := item.first + item.signal_mv.shape[1]) > end:
                        end, is_new = reached, True
                if before and not is_silent and time.monotonic() - again_s >= SETTLED_S:
                    yield from self._step_of_clock(heard_s - before[0], before[1], end)
                    before = None
                if is_new and is_silent:
                    again_s = time.monotonic()
                if is_new:  # after it was processed, as the sender is not silent meanwhile
                    heard_s, is_silent = time.monotonic(), False
                silent_s = time.monotonic() - heard_s
                if silent_s >= NO_SIGNAL_S and not is_silent:
                    is_silent = True
                    before = before or ((heard_s, end) if end else None)
                    yield Silence(silent_s)
            if self._error is not None:
                raise self._error
        finally:
            with self._changed:
                self._is_left = True
                self._changed.notify_all()

    def _step_of_clock(self, went_on_s: float, end: int, end_now: int) -> Iterator[Notice]:
        """A notice where the clock went on across a silence, and the numbers of the samples did not."""
        fs_hz = self.stream.fs_hz
        ahead_s = went_on_s - (end_now - end) / fs_hz
        if ahead_s > AHEAD_S:
            text = (
                f"The sender was silent for {ahead_s:.1f} s by the clock of this machine that the numbers of its "
                "samples do not count; times from the start of the stream leave them out."
            )
            yield Notice(end / fs_hz, text, ahead_s)

    def close(self) -> None:
        """See ``Source``."""
        self._source.close()

    def _read(self) -> None:
        try:
            for item in self._source.chunks():
                if not self._add(item):
                    break
        except Exception as error:  # raised where the items are taken
            self._error = error
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _add(self, item: Item) -> bool:
        """Add an item when there is room; False when nobody takes it any more."""
        n_samples, most = _samples_of(item), CAPACITY_S * self.stream.fs_hz
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._is_left
                    or not self._waiting
                    or (self._n_waiting + n_samples <= most and len(self._waiting) < MAX_ITEMS)
                )
            )
            self._waiting.append((time.monotonic(), item))
            self._n_waiting += n_samples
            self._changed.notify_all()
            return not self._is_left

    def _take(self) -> list[Item] | None:
        """The next item, after a notice of what was dropped before it; none after a poll, None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._has_ended, POLL_S)
            if not self._waiting:
                return None if self._has_ended else []
            dropped = self._drop_late(time.monotonic())
            item = self._waiting.popleft()[1]
            self._n_waiting -= _samples_of(item)
            self._changed.notify_all()
        return [*dropped, item]

    def _drop_late(self, now_s: float) -> list[Item]:
        """Drop all but the latest samples if the oldest have waited too long; a notice says how many."""
        waited_s = now_s - self._waiting[0][0]
        if waited_s < LATE_S or self._has_ended:
            return []
        late = [item for at_s, item in self._waiting if now_s - at_s >= KEPT_S and isinstance(item, StreamChunk)]
        late = late[: -1 if len(late) == len(self._waiting) else None]  # one is left to be taken
        if not late:
            return []
        dropped = set(map(id, late))
        self._waiting = deque((at_s, item) for at_s, item in self._waiting if id(item) not in dropped)
        n_dropped, fs_hz = sum(map(_samples_of, late)), self.stream.fs_hz
        self._n_waiting -= n_dropped
        text = (
            f"This computer is too slow for the stream: {n_dropped / fs_hz:.1f} s of signal "
            f"({plural(n_dropped, 'sample')}) waited for up to {waited_s:.0f} s and were dropped, so that what follows "
            "is analysed in time."
        )
        return [Notice((late[-1].first + late[-1].signal_mv.shape[1]) / fs_hz, text)]


def _samples_of(item: Item) -> int:
    return item.signal_mv.shape[1] if isinstance(item, StreamChunk) else 0
