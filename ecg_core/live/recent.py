"""The last minutes of a live stream, kept for a page that draws them from another thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ..labels import CLASSES
from ..rhythm.events import DANGERS
from ..schema import Attention, Beats, Float32, FrozenArrays
from .alarm_lines import KINDS, MOST_SERIOUS_FIRST
from .drive import Sink
from .stream import Alarm, Notice, Stream, StreamChunk, Update, Vitals, merge_updates

KEPT_S = 600.0  # of signal and beats ...
KEPT_BYTES = 1 << 26  # ... or fewer where they take more than this, as twelve leads do at 2300 Hz
KEPT_LOG_ENTRIES = 200  # alarms, notices and marks
WAITING, RUNNING, ENDED = "waiting", "running", "ended"
MARK: Final = "mark"


@dataclass(frozen=True)
class LogEntry:
    """An event of a live stream: an alarm, a notice of the stream, or a mark that the user set."""

    kind: str  # of an alarm, or MARK; empty for a notice
    start_s: float
    end_s: float | None = None  # of an alarm that is over
    text: str = ""  # name of the alarm, or what the notice or mark says
    duration_s: float | None = None  # of an alarm that is over

    @property
    def is_mark(self) -> bool:
        """Whether the user set it."""
        return self.kind == MARK

    @property
    def is_alarm(self) -> bool:
        """Whether it is an alarm."""
        return self.kind not in ("", MARK)


@dataclass(frozen=True, eq=False)
class LiveView(FrozenArrays):
    """The state of a live session, and the last part of its stream."""

    state: str  # WAITING, RUNNING or ENDED
    stream: Stream | None  # None until a sender describes its stream
    problem: str  # why the session ended, in a sentence; empty if nothing went wrong
    first: int  # index of the first sample of ``signal_mv``
    signal_mv: Float32  # (n_leads, n), as recorded
    beats: Beats  # since the first sample
    attention: Attention
    end_s: float  # of the received signal
    until_s: float  # end of the decided signal
    vitals: Vitals | None
    log: tuple[LogEntry, ...]  # the latest entry last
    count: dict[str, int]  # beats by label, since the start
    lag_s: float  # mean time from a chunk to what is decided on it
    recording: Path | None
    kept_s: float = KEPT_S  # of signal and beats; older ones are dropped
    recorded_s: float = 0.0  # length of the recording
    n_marks: int = 0  # set so far
    n_dropped: int = 0  # entries that the log holds no more

    @property
    def has_ended(self) -> bool:
        """Whether the session is over."""
        return self.state == ENDED

    @property
    def marks(self) -> tuple[LogEntry, ...]:
        """The marks that the user set."""
        return tuple(entry for entry in self.log if entry.is_mark)


NO_UPDATE: Final = Update(
    Beats(
        np.zeros(0), np.zeros(0, dtype="<U1"), np.zeros((0, len(CLASSES)), dtype=np.float32), np.zeros(0),
        np.zeros(0, dtype=bool),
    ),
    Attention(np.zeros((0, 2), dtype=np.float16), np.zeros(2, dtype=np.float32)),
)  # fmt: skip


class RecentStream(Sink):
    """Keeps the last minutes of signal and beats, and the latest events; may be read from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._kept_s = KEPT_S
        self._chunks: deque[StreamChunk] = deque()
        self._updates: deque[Update] = deque()
        self._log: deque[LogEntry] = deque()
        self._n_marks = self._n_dropped = 0
        self._vitals: Vitals | None = None
        self._count: dict[str, int] = {}

    def begin(self, stream: Stream) -> None:
        """Set the stream that the chunks belong to."""
        with self._lock:
            self._stream = stream
            second = np.dtype(np.float32).itemsize * len(stream.lead_names) * stream.fs_hz
            self._kept_s = min(KEPT_S, KEPT_BYTES / second)

    def write_chunk(self, chunk: StreamChunk) -> Sequence[Notice]:
        """Keep samples that are new, and drop what is too old."""
        with self._lock:
            if not self._chunks or chunk.first >= self._chunks[-1].first + self._chunks[-1].signal_mv.shape[1]:
                self._chunks.append(chunk)
            old_s = self._end_s - self._kept_s
            while self._chunks and self._end_of(self._chunks[0]) < old_s:
                self._chunks.popleft()
        return ()

    def write_update(self, update: Update) -> Sequence[Notice]:
        """Keep beats, alarms and vitals, and drop what is too old."""
        with self._lock:
            if len(update.beats):
                self._updates.append(update)
                for label in update.beats.label.tolist():
                    self._count[label] = self._count.get(label, 0) + 1
            for alarm in update.alarms:
                self._log_alarm(alarm)
            self._vitals = update.vitals or self._vitals
            while self._updates and self._updates[0].beats.time_s[-1] < self._end_s - self._kept_s:
                self._updates.popleft()
        return ()

    def write_notice(self, notice: Notice) -> None:
        """Log a notice."""
        with self._lock:
            self._add(LogEntry("", notice.time_s, text=notice.text))

    def mark(self, time_s: float, text: str) -> None:
        """Log a mark with a text."""
        with self._lock:
            self._add(LogEntry(MARK, time_s, text=text))

    def view(
        self, last_s: float, *, state: str, problem: str, lag_s: float, recording: Path | None, recorded_s: float = 0.0
    ) -> LiveView:
        """The last seconds of the stream as they are now, with the state of its session."""
        with self._lock:
            since_s = self._end_s - min(last_s, self._kept_s)
            chunks = [chunk for chunk in self._chunks if self._end_of(chunk) > since_s]
            updates = [update for update in self._updates if update.beats.time_s[-1] >= since_s]
            merged = merge_updates(updates) if updates else NO_UPDATE
            return LiveView(
                state=state,
                stream=self._stream,
                problem=problem,
                first=chunks[0].first if chunks else 0,
                signal_mv=_gap_filled(chunks) if chunks else np.zeros((0, 0), dtype=np.float32),
                beats=merged.beats,
                attention=merged.attention,
                end_s=self._end_s,
                until_s=self._vitals.time_s if self._vitals else 0.0,
                vitals=self._vitals,
                log=tuple(self._log),
                count=dict(self._count),
                lag_s=lag_s,
                recording=recording,
                kept_s=self._kept_s,
                recorded_s=recorded_s,
                n_marks=self._n_marks,
                n_dropped=self._n_dropped,
            )

    def _log_alarm(self, alarm: Alarm) -> None:
        """Log an alarm that begins; that it is over, or became more serious, is noted in its entry."""
        entry = LogEntry(alarm.kind, alarm.start_s, alarm.end_s, KINDS[alarm.kind], alarm.duration_s)
        for row, logged in enumerate(self._log):
            if (logged.kind, logged.start_s, logged.end_s) == (alarm.before or alarm.kind, alarm.start_s, None):
                self._log[row] = entry
                return
        self._add(entry)

    def _add(self, entry: LogEntry) -> None:
        """Log an entry; of too many the least serious one goes, and the oldest of these."""
        self._n_marks += entry.is_mark
        self._log.append(entry)
        if len(self._log) > KEPT_LOG_ENTRIES:
            self._log.remove(min(self._log, key=_seriousness))
            self._n_dropped += 1

    @property
    def _end_s(self) -> float:
        return self._end_of(self._chunks[-1]) if self._chunks else 0.0

    def _end_of(self, chunk: StreamChunk) -> float:
        return (chunk.first + chunk.signal_mv.shape[1]) / self._stream.fs_hz if self._stream else 0.0


def _seriousness(entry: LogEntry) -> tuple[int, int]:
    """Which entry stays before others: dangers and marks, then what goes on, then alarms; notices, the last, rank 0."""
    if entry.is_mark or entry.kind in DANGERS:
        return 3, 0
    if not entry.is_alarm:
        return 0, 0
    return 1 + (entry.end_s is None), -MOST_SERIOUS_FIRST.index(entry.kind)


def _gap_filled(chunks: list[StreamChunk]) -> Float32:
    """Samples of ascending chunks, shape (n_leads, n), with NaN where samples are missing between them."""
    first, last = chunks[0].first, chunks[-1]
    signal = np.full((len(last.signal_mv), last.first + last.signal_mv.shape[1] - first), np.nan, dtype=np.float32)
    for chunk in chunks:
        signal[:, chunk.first - first :][:, : chunk.signal_mv.shape[1]] = chunk.signal_mv
    return signal
