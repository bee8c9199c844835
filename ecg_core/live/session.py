"""A watch in a thread of its own, with the last minutes of it kept for whoever looks on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ..classifier.model import load_model
from ..errors import EcgError, LiveError
from ..labels import CLASSES
from ..parallel import use_threads
from ..rules import RhythmRules
from ..schema import Attention, Beats, Float32, _Columns
from .engine import Monitor
from .recording import Recording
from .stream import Alarm, Chunk, Notice, Source, Stream, Update, Vitals, merge_updates

KEPT_S = 600.0  # one can look back so far
KEPT_LOG_ENTRIES = 200  # alarms, notices and marks
WAITING, RUNNING, ENDED = "waiting", "running", "ended"
LAG_SHARE = 0.1  # how fast the mean of the time that the work takes follows
MARK: Final = "mark"


@dataclass(frozen=True)
class LogEntry:
    """A line of what happened: an alarm, a notice of the stream, or a mark that a watcher set."""

    kind: str  # an alarm's kind, MARK, or empty for a notice
    start_s: float
    end_s: float | None = None  # of an alarm that is over
    text: str = ""


@dataclass(frozen=True, eq=False)
class LiveView(_Columns):
    """What can be seen of a watch at a moment."""

    state: str
    stream: Stream | None  # None until a sender has said what it sends
    problem: str  # why it ended, in a sentence; empty where all is well
    first: int  # number of the first sample of ``signal_mv``
    signal_mv: Float32  # (n_leads, n), as recorded
    beats: Beats  # since the first sample
    attention: Attention
    end_s: float  # of the signal
    until_s: float  # of what is decided
    vitals: Vitals | None
    log: tuple[LogEntry, ...]  # the latest last
    count: dict[str, int]  # beats by label, from the start on
    lag_s: float  # that the work takes after a chunk came
    recording: Path | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing comes any more."""
        return self.state == ENDED

    @property
    def marks(self) -> tuple[LogEntry, ...]:
        """What the watcher marked."""
        return tuple(said for said in self.log if said.kind == MARK)


NOTHING: Final = Update(
    Beats(
        np.zeros(0), np.zeros(0, dtype="<U1"), np.zeros((0, len(CLASSES)), dtype=np.float32), np.zeros(0),
        np.zeros(0, dtype=bool),
    ),
    Attention(np.zeros((0, 2), dtype=np.float16), np.zeros(2, dtype=np.float32)),
)  # fmt: skip


class LiveSession:
    """Watches a source until it ends or is stopped; what it keeps is bounded, and may be looked at from any thread.

    Parameters
    ----------
    open_source
        Called in the thread, as it may wait for a sender; the event is set when it shall give up.
    folder
        Where the stream is recorded; None keeps nothing.

    """

    def __init__(
        self,
        open_source: Callable[[threading.Event], Source],
        model: Path,
        rules: RhythmRules,
        *,
        horizon_s: float,
        lead: str,
        folder: Path | None = None,
    ) -> None:
        self.horizon_s, self.lead = horizon_s, lead
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._source: Source | None = None
        self._state, self._problem = WAITING, ""
        self._stream: Stream | None = None
        self._chunks: deque[Chunk] = deque()
        self._updates: deque[Update] = deque()
        self._log: deque[LogEntry] = deque(maxlen=KEPT_LOG_ENTRIES)
        self._vitals: Vitals | None = None
        self._count: dict[str, int] = {}
        self._lag_s = 0.0
        self._recording: Path | None = None
        self._thread = threading.Thread(
            target=self._run, args=(open_source, model, rules, folder), daemon=True, name="live"
        )
        self._thread.start()

    def stop(self) -> None:
        """End the watch; what came until then is decided."""
        self._closed.set()
        if self._source is not None:
            self._source.close()

    def wait(self, at_most_s: float | None = None) -> bool:
        """Whether it has ended, after some time at the most."""
        self._thread.join(at_most_s)
        return not self._thread.is_alive()

    def mark(self, time_s: float, text: str) -> None:
        """Set a mark with some words."""
        with self._lock:
            self._log.append(LogEntry(MARK, time_s, text=text))

    def view(self, last_s: float = KEPT_S) -> LiveView:
        """The last seconds, as they are now."""
        with self._lock:
            end_s = self._end_s
            since_s = end_s - last_s
            chunks = [chunk for chunk in self._chunks if self._stream and self._end_of(chunk) > since_s]
            updates = [update for update in self._updates if update.beats.time_s[-1] >= since_s]
            shown = merge_updates(updates) if updates else NOTHING
            return LiveView(
                state=self._state,
                stream=self._stream,
                problem=self._problem,
                first=chunks[0].first if chunks else 0,
                signal_mv=_gap_filled(chunks) if chunks else np.zeros((0, 0), dtype=np.float32),
                beats=shown.beats,
                attention=shown.attention,
                end_s=end_s,
                until_s=self._vitals.time_s if self._vitals else 0.0,
                vitals=self._vitals,
                log=tuple(self._log),
                count=dict(self._count),
                lag_s=self._lag_s,
                recording=self._recording,
            )

    def _run(
        self,
        open_source: Callable[[threading.Event], Source],
        model: Path,
        rules: RhythmRules,
        folder: Path | None,
    ) -> None:
        try:
            use_threads(1)
            loaded = load_model(model)
            source = open_source(self._closed)
            try:
                monitor = Monitor(source.stream, loaded, rules, horizon_s=self.horizon_s, lead=self.lead)
                recording = Recording(folder, source.stream) if folder else None
                self._begin(source, recording)
                self._watch(source, monitor, recording)
            finally:
                source.close()
        except EcgError as error:
            self._problem = "" if self._closed.is_set() and isinstance(error, LiveError) else str(error)
        except Exception as error:  # a thread has nobody above it
            self._problem = f"The watch ended by an error that was not foreseen ({type(error).__name__})."
            raise
        finally:
            self._state = ENDED

    def _begin(self, source: Source, recording: Recording | None) -> None:
        with self._lock:
            self._source, self._stream, self._state = source, source.stream, RUNNING
            self._recording = recording.path if recording else None
        if self._closed.is_set():  # stopped while it waited
            source.close()

    def _watch(self, source: Source, monitor: Monitor, recording: Recording | None) -> None:
        try:
            for item in source.chunks():
                if isinstance(item, Notice):
                    self._say((item,))
                    continue
                began_s = time.perf_counter()
                update = monitor.push(item)
                self._take(item, update, time.perf_counter() - began_s)
                if recording:
                    self._say((*recording.write(item), *recording.say(update)))
        finally:
            update = monitor.close()
            self._take(None, update, 0.0)
            if recording:
                self._say((*recording.say(update), *recording.close()))

    def _take(self, chunk: Chunk | None, update: Update, took_s: float) -> None:
        """Keep what came, and forget what is too old."""
        self._say(update.notices)
        with self._lock:
            if chunk is not None and (not self._chunks or chunk.first >= self._last_sample):
                self._chunks.append(chunk)
                self._lag_s += LAG_SHARE * (took_s - self._lag_s)
            if len(update.beats):
                self._updates.append(update)
                for label in update.beats.label.tolist():
                    self._count[label] = self._count.get(label, 0) + 1
            for alarm in update.alarms:
                self._note(alarm)
            self._vitals = update.vitals or self._vitals
            old_s = self._end_s - KEPT_S
            while self._chunks and self._end_of(self._chunks[0]) < old_s:
                self._chunks.popleft()
            while self._updates and self._updates[0].beats.time_s[-1] < old_s:
                self._updates.popleft()

    def _note(self, alarm: Alarm) -> None:
        """A new line for an alarm that begins; its end is added to the line that there is."""
        for at, said in enumerate(self._log):
            if alarm.end_s is not None and (said.kind, said.start_s) == (alarm.kind, alarm.start_s):
                self._log[at] = replace(said, end_s=alarm.end_s)
                return
        self._log.append(LogEntry(alarm.kind, alarm.start_s, alarm.end_s))

    def _say(self, notices: tuple[Notice, ...]) -> None:
        if notices:
            with self._lock:
                self._log += [LogEntry("", notice.time_s, text=notice.text) for notice in notices]

    @property
    def _last_sample(self) -> int:
        last = self._chunks[-1]
        return last.first + last.signal_mv.shape[1]

    @property
    def _end_s(self) -> float:
        return self._end_of(self._chunks[-1]) if self._chunks else 0.0

    def _end_of(self, chunk: Chunk) -> float:
        return (chunk.first + chunk.signal_mv.shape[1]) / self._stream.fs_hz if self._stream else 0.0


def _gap_filled(chunks: list[Chunk]) -> Float32:
    """Samples of chunks that ascend, with NaN where some are missing between them."""
    first, last = chunks[0].first, chunks[-1]
    signal = np.full((len(last.signal_mv), last.first + last.signal_mv.shape[1] - first), np.nan, dtype=np.float32)
    for chunk in chunks:
        signal[:, chunk.first - first :][:, : chunk.signal_mv.shape[1]] = chunk.signal_mv
    return signal
