"""A recording that grows with its stream: a WFDB record, and its beats and alarms as CSV. See docs/live.md."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from ..clock import elapsed_text, moment_after
from ..errors import OutputError
from ..files import atomic_file
from ..labels import CLASSES
from ..records.wfdb_annotations import note_annotations
from ..schema import Beats
from .drive import Sink
from .signal_files import MAX_BYTES, SignalFiles
from .stream import Alarm, Notice, Stream, StreamChunk, Update

MAX_S = 14 * 86_400.0  # of a recording, gaps included: as long as a patch is worn
BOUND: Final = f"{MAX_S / 86_400:.0f} days (gaps included) or {MAX_BYTES / 1e9:.0f} GB"
MAX_NAME = 60
MARKS_SUFFIX: Final = ".mrk"  # of WFDB annotations
ENDINGS: Final = (".hea", ".dat", MARKS_SUFFIX, "_beats.csv", "_alarms.csv")
BEAT_COLUMNS: Final = (
    "sample", "time_s", "label", *(f"probability_{name}" for name in CLASSES), "rr_s", "usable", "time_iso",
    "told",
)  # fmt: skip
ALARM_COLUMNS: Final = ("kind", "start_s", "said_s", "end_s", "start_iso")


class _BoundReached(Exception):
    """The next samples would exceed the bound of the recording."""


class Recording(Sink):
    """Files that grow with a stream; if the program is killed, what was written stays.

    At its bound, ``BOUND``, the recording ends with a notice, complete and closed, and what else takes the stream goes
    on.

    Parameters
    ----------
    signal
        Whether the samples are recorded, or beats and alarms alone.
    start
        Date and time of the first sample, with their offset from UTC; where it is not given, that of a replayed
        record, or else the time by the clock at which the first sample comes.

    Raises
    ------
    OutputError
        The folder cannot be made or written to.

    """

    def __init__(self, folder: Path, stream: Stream, *, signal: bool = True, start: datetime | None = None) -> None:
        self.stream, self._start = stream, start or stream.start
        self._made = (
            datetime.now().astimezone()
        )  # the zone of the moment stays: summer time does not shift what follows
        self._ahead: list[tuple[float, float]] = []  # from when on the clock is ahead of the numbers, and by how much
        self._received = 0  # index of the sample after the last one
        self._marks: list[tuple[int, str]] = []
        self._signal: SignalFiles | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = _unused_path(folder, re.sub(r"\W+", "_", stream.name, flags=re.ASCII).strip("_")[:MAX_NAME])
            self._beats = _new_table(self.path, "_beats.csv", BEAT_COLUMNS)
            self._alarms = _new_table(self.path, "_alarms.csv", ALARM_COLUMNS)
            if signal:
                self._signal = SignalFiles(self.path, stream, self._start)
        except OSError as error:
            raise OutputError(
                f"{folder}: the recording cannot be written there ({error.strerror}).", settings=("out",)
            ) from error
        self._open = True

    def write_chunk(self, chunk: StreamChunk) -> tuple[Notice, ...]:
        """Write samples where they belong; the notice that this failed, or reached the bound, ends the recording."""
        end = chunk.first + chunk.signal_mv.shape[1]
        if self._start is None and not self.stream.is_replayed:
            self._start = datetime.now().astimezone() - timedelta(seconds=end / self.stream.fs_hz)
            if self._signal is not None:
                self._signal.start = self._start
        notices = self._attempt(lambda: self._write_samples(chunk, end))
        if self._open:
            self._received = max(self._received, end)
        return notices

    def _write_samples(self, chunk: StreamChunk, end: int) -> None:
        is_short = end <= MAX_S * self.stream.fs_hz
        if not is_short or (self._signal is not None and not self._signal.write(chunk)):
            raise _BoundReached

    def write_update(self, update: Update) -> tuple[Notice, ...]:
        """Write beats and alarms; the notice that this failed ends the recording."""
        return self._attempt(lambda: self._write_rows(update))

    def write_notice(self, notice: Notice) -> None:
        """Keep how far the clock ran ahead of the numbers of the samples, for the times of day that follow."""
        if notice.ahead_s:
            self._ahead.append((notice.time_s, notice.ahead_s))

    @property
    def recorded_s(self) -> float:
        """Length of what was recorded, seconds."""
        return self._received / self.stream.fs_hz

    def write_mark(self, time_s: float, text: str) -> tuple[Notice, ...]:
        """Write a mark of the user among the annotations beside the samples; the notice that this failed.

        May be called from another thread, and after the end of the stream.
        """
        if not self._open and time_s > self.recorded_s:
            text = (
                f"{self.path.name}: the recording ended at {elapsed_text(self.recorded_s)}, so this mark is not in it"
            )
            return (Notice(time_s, text),)
        # An annotation belongs to a sample that is there; one at the first sample would be a definition.
        sample = max(1, min(round(time_s * self.stream.fs_hz), self._received - 1))
        self._marks.append((sample, text))
        try:
            with atomic_file(self.path.with_suffix(MARKS_SUFFIX)) as part:
                part.write_bytes(note_annotations(sorted(self._marks), self.stream.fs_hz))
        except OSError as error:
            return (Notice(time_s, f"{self.path.name}: the mark cannot be written ({error.strerror or error})"),)
        return ()

    def close(self) -> tuple[Notice, ...]:
        """Finish the files."""
        notices = self._attempt(lambda: self._signal.finish() if self._signal else None)
        self._close_files()
        return notices

    def _attempt(self, write: Callable[[], None]) -> tuple[Notice, ...]:
        if not self._open:
            return ()
        try:
            write()
        except _BoundReached:
            text = (
                f"{self.path.name}: the recording has reached its bound, {BOUND}, and ends here; it is complete, and "
                "monitoring goes on without recording"
            )
            return (*self.close(), Notice(self._received / self.stream.fs_hz, text))
        except OSError as error:  # the disk is full, or was removed
            self._close_files()
            text = (
                f"{self.path.name}: the recording stops here, as it cannot be written any more "
                f"({error.strerror or error}); what was written is kept, and monitoring goes on"
            )
            return (Notice(self._received / self.stream.fs_hz, text),)
        return ()

    def _write_rows(self, update: Update) -> None:
        if len(update.beats):
            self._add_rows(self._beats, self._beat_rows(update.beats))
        if update.alarms:
            self._add_rows(self._alarms, map(self._alarm_row, update.alarms))

    def _beat_rows(self, beats: Beats) -> Iterable[tuple[Any, ...]]:
        for i, time_s in enumerate(beats.time_s.tolist()):
            rr_s = float(beats.rr_s[i])
            yield (
                round(time_s * self.stream.fs_hz), f"{time_s:.4f}", beats.label[i],
                *(f"{p:.4f}" for p in beats.probability[i].tolist()), "" if np.isnan(rr_s) else f"{rr_s:.4f}",
                int(beats.usable[i]), self._iso(time_s), 0,
            )  # fmt: skip

    def _alarm_row(self, alarm: Alarm) -> tuple[str, ...]:
        end = "" if alarm.end_s is None else f"{alarm.end_s:.3f}"
        return alarm.kind, f"{alarm.start_s:.3f}", f"{alarm.announced_s:.3f}", end, self._iso(alarm.start_s)

    @staticmethod
    def _add_rows(file: IO[str], rows: Iterable[tuple[Any, ...]]) -> None:
        csv.writer(file).writerows(rows)
        file.flush()

    def _iso(self, time_s: float) -> str:
        """Time of day by the clock; empty for a replayed record that states none."""
        start = self._start or (None if self.stream.is_replayed else self._made)
        if start is None:
            return ""
        ahead_s = sum(ahead_s for from_s, ahead_s in self._ahead if time_s >= from_s)
        return moment_after(start, time_s + ahead_s, decimals=3).isoformat(timespec="milliseconds")

    def _close_files(self) -> None:
        self._open = False
        for file in (self._beats, self._alarms, self._signal):
            if file is not None:
                with suppress(OSError):  # of data that could not be written before
                    file.close()


def _unused_path(folder: Path, name: str) -> Path:
    """The path of a new recording, without extension; a number is added to a name that is in use."""
    number, path = 1, folder / (name or "stream")
    while any(path.with_name(path.name + ending).exists() for ending in ENDINGS):
        number += 1
        path = folder / f"{name or 'stream'}_{number}"
    return path


def _new_table(path: Path, ending: str, columns: tuple[str, ...]) -> IO[str]:
    """A new table with its column names, open for more rows."""
    file = path.with_name(path.name + ending).open("x", encoding="ascii", newline="")
    csv.writer(file).writerow(columns)
    file.flush()
    return file
