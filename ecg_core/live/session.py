"""A live stream that is monitored in a thread of its own, for a page that reads it while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from ..classifier.model import load_model
from ..errors import EcgError, LiveError
from ..parallel import use_threads
from ..rules import RhythmRules
from .drive import Engine, drive
from .engine import Monitor
from .recent import ENDED, KEPT_S, RUNNING, WAITING, LiveView, RecentStream
from .recording import Recording
from .stream import Source, StreamChunk, Update

LAG_WEIGHT = 0.1  # of the latest chunk in the running mean of the processing time


class TimedEngine:
    """An engine with the running mean of the time that it takes for a chunk."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.lag_s = engine, 0.0

    def push(self, chunk: StreamChunk) -> Update:
        """See ``Engine``."""
        began_s = time.perf_counter()
        update = self._engine.push(chunk)
        self.lag_s += LAG_WEIGHT * (time.perf_counter() - began_s - self.lag_s)
        return update

    def lose_signal(self, silent_s: float) -> Update:
        """See ``Engine``."""
        return self._engine.lose_signal(silent_s)

    def close(self) -> Update:
        """See ``Engine``."""
        return self._engine.close()


class LiveSession:
    """Monitors a source until it ends or is stopped; the memory that it takes is bounded.

    Parameters
    ----------
    open_source
        Opens the source; called in the thread, as it may wait for a sender. Its argument is set to end the wait.
    folder
        Where the stream is recorded; None records nothing.

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
        self._closed = threading.Event()  # also set where the source closes itself
        self._is_stopped = False
        self._recent = RecentStream()
        self._state, self._problem = WAITING, ""
        self._source: Source | None = None
        self._engine: TimedEngine | None = None
        self._recording: Recording | None = None
        self._thread = threading.Thread(
            target=self._run, args=(open_source, model, rules, folder), daemon=True, name="live"
        )
        self._thread.start()

    def stop(self) -> None:
        """End the session; what was received until now is still decided."""
        self._is_stopped = True
        self._closed.set()
        if self._source is not None:
            self._source.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the session; whether it has ended within the time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def mark(self, time_s: float, text: str, *, pressed: datetime | None = None) -> None:
        """Set a mark with a text, and write it beside what is recorded, with the time of day at which it was set."""
        pressed = pressed or datetime.now()
        self._recent.mark(time_s, text)
        if self._recording is not None:
            for notice in self._recording.write_mark(time_s, f"Mark {text}, set at {pressed:%H:%M:%S}"):
                self._recent.write_notice(notice)

    def view(self, last_s: float = KEPT_S) -> LiveView:
        """The last seconds of the stream, as they are now."""
        return self._recent.view(
            last_s, state=self._state, problem=self._problem, lag_s=self._engine.lag_s if self._engine else 0.0,
            recording=self._recording.path if self._recording else None,
            recorded_s=self._recording.recorded_s if self._recording else 0.0,
        )  # fmt: skip

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
            with closing(open_source(self._closed)) as source:
                monitor = Monitor(source.stream, loaded, rules, horizon_s=self.horizon_s, lead=self.lead)
                self._monitor(source, TimedEngine(monitor), Recording(folder, source.stream) if folder else None)
        except EcgError as error:
            self._problem = "" if self._is_stopped and isinstance(error, LiveError) else str(error)
        except Exception as error:  # nothing above a thread reports it
            self._problem = f"The session ended with an unexpected error ({type(error).__name__})."
            raise
        finally:
            self._state = ENDED

    def _monitor(self, source: Source, engine: TimedEngine, recording: Recording | None) -> None:
        self._recent.begin(source.stream)
        self._source, self._engine, self._recording, self._state = source, engine, recording, RUNNING
        if self._closed.is_set():  # stopped while it waited for a sender
            source.close()
        drive(source, engine, [recording, self._recent] if recording else [self._recent])
