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
from numpy.typing import NDArray

from ..errors import OutputError
from ..files import atomic_file
from ..labels import CLASSES
from ..schema import Beats, Float32
from .drive import Sink
from .stream import Alarm, Notice, Stream, StreamChunk, Update

STEPS_PER_MV = 1000.0  # steps of a microvolt
# Format 24, three bytes a sample: it reaches 8.3 V, where 16 bits would end at 33 mV, and the offset of an electrode,
# which many recorders pass on, is up to 300 mV.
N_BYTES = 3
# Numbers of unknown unit may be volts or counts of 24 bits: four bytes, and the first peak gets about 100,000 steps.
N_BYTES_UNKNOWN, STEPS_LOG10 = 4, 5
GAP_SAMPLES = 1 << 16  # of a gap, written at a time
MAX_NAME = 60
BEAT_COLUMNS: Final = (
    "sample", "time_s", "label", *(f"probability_{name}" for name in CLASSES), "rr_s", "usable", "time_iso",
    "told",
)  # fmt: skip
ALARM_COLUMNS: Final = ("kind", "start_s", "said_s", "end_s", "start_iso")


class Recording(Sink):
    """Files that grow with a stream; if the program is killed, what was written stays.

    Parameters
    ----------
    signal
        Whether the samples are recorded, or beats and alarms alone.

    Raises
    ------
    OutputError
        The folder cannot be made or written to.

    """

    def __init__(self, folder: Path, stream: Stream, *, signal: bool = True, start: datetime | None = None) -> None:
        self.stream, self._start = stream, start or datetime.now()
        self._next = 0  # index of the sample that is written next
        self._sum: NDArray[np.int64] = np.zeros(len(stream.lead_names), dtype=np.int64)  # for the checksum of WFDB
        self._initial: list[int] = []  # the initial values of WFDB
        self._steps = STEPS_PER_MV if stream.calibrated else None  # without a unit, chosen by the first peak
        self._n_bytes = N_BYTES if stream.calibrated else N_BYTES_UNKNOWN
        self._limit = (1 << 8 * self._n_bytes - 1) - 1
        self._signal: IO[bytes] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = _unused_path(folder, re.sub(r"\W+", "_", stream.name, flags=re.ASCII).strip("_")[:MAX_NAME])
            self._beats = _new_table(self.path, "_beats.csv", BEAT_COLUMNS)
            self._alarms = _new_table(self.path, "_alarms.csv", ALARM_COLUMNS)
            if signal:
                self._signal = self.path.with_suffix(".dat").open("xb")
                self._write_header(finished=False)
        except OSError as error:
            raise OutputError(
                f"{folder}: the recording cannot be written there ({error.strerror}).", settings=("out",)
            ) from error
        self._open = True

    def write_chunk(self, chunk: StreamChunk) -> tuple[Notice, ...]:
        """Write samples where they belong; the notice that this failed ends the recording."""
        return self._attempt(lambda: self._write_samples(chunk))

    def write_update(self, update: Update) -> tuple[Notice, ...]:
        """Write beats and alarms; the notice that this failed ends the recording."""
        return self._attempt(lambda: self._write_rows(update))

    def close(self) -> tuple[Notice, ...]:
        """Finish the files."""
        notices = self._attempt(lambda: self._write_header(finished=True))
        self._close_files()
        return notices

    def _attempt(self, write: Callable[[], None]) -> tuple[Notice, ...]:
        if not self._open:
            return ()
        try:
            write()
        except OSError as error:  # the disk is full, or was removed
            self._close_files()
            text = (
                f"{self.path.name}: the recording stops here, as it cannot be written any more "
                f"({error.strerror or error}); what was written is kept, and monitoring goes on"
            )
            return (Notice(self._next / self.stream.fs_hz, text),)
        return ()

    def _write_samples(self, chunk: StreamChunk) -> None:
        if self._signal is None:
            return
        gap, n_samples = chunk.first - self._next, chunk.signal_mv.shape[1]
        for done in range(0, gap, GAP_SAMPLES):
            n_missing = min(GAP_SAMPLES, gap - done)
            self._append(self._signal, np.full((len(self.stream.lead_names), n_missing), np.nan, "f4"))
        if n_samples + min(gap, 0) > 0:
            self._append(self._signal, chunk.signal_mv[:, max(0, -gap) :])

    def _append(self, file: IO[bytes], signal_mv: Float32) -> None:
        count = np.nan_to_num(signal_mv).astype(np.float64) * self._steps_per_mv(signal_mv)
        count = np.clip(np.rint(count), -self._limit, self._limit)
        # The value below the limit is WFDB's mark of a missing sample.
        frames = np.where(np.isnan(signal_mv), -self._limit - 1, count).T.astype("<i4", order="C")
        file.write(frames.view(np.uint8).reshape(*frames.shape, 4)[:, :, : self._n_bytes].tobytes())
        file.flush()
        self._initial = self._initial or frames[0].tolist()
        self._sum += frames.sum(axis=0)
        self._next += len(frames)

    def _steps_per_mv(self, signal_mv: Float32) -> float:
        if self._steps is None:
            peak_mv = float(np.abs(signal_mv[np.isfinite(signal_mv)]).max(initial=0.0))
            self._steps = 10.0 ** (STEPS_LOG10 - round(np.log10(peak_mv))) if peak_mv else None
        return self._steps or 0.0

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
        return (self._start + timedelta(seconds=time_s)).isoformat(timespec="milliseconds")

    def _write_header(self, *, finished: bool) -> None:
        """Write the header of WFDB; until it states a number of samples, the size of the signal file gives it."""
        if self._signal is None:
            return
        name, leads = self.path.name, self.stream.lead_names
        gain = f"{self._steps:g}/mV" if self.stream.calibrated else "0"
        bits = 8 * self._n_bytes
        initial = self._initial or [0] * len(leads)
        checksum = self._sum.astype(np.int16).tolist()
        # WFDB allows the start time only after the number of samples.
        length = f" {self._next} {self._start:%H:%M:%S.%f} {self._start:%d/%m/%Y}" if finished else ""
        lines = [f"{name} {len(leads)} {self.stream.fs_hz:.10g}{length}"]
        lines += [
            f"{name}.dat {bits} {gain} {bits} 0 {initial[i]} {checksum[i]} 0 {' '.join(lead.split())}"
            for i, lead in enumerate(leads)
        ]
        lines += ["# Simulated record, replayed"] if self.stream.is_simulated else []
        lines += [] if finished else [f"# Recording began {self._iso(0.0)} and was not finished"]
        with atomic_file(self.path.with_suffix(".hea")) as part:
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _close_files(self) -> None:
        self._open = False
        for file in (self._beats, self._alarms, self._signal):
            if file is not None:
                with suppress(OSError):  # of data that could not be written before
                    file.close()


def _unused_path(folder: Path, name: str) -> Path:
    """The path of a new recording, without extension; a number is added to a name that is in use."""
    number, path = 1, folder / (name or "stream")
    while any(path.with_name(path.name + ending).exists() for ending in (".hea", ".dat", "_beats.csv", "_alarms.csv")):
        number += 1
        path = folder / f"{name or 'stream'}_{number}"
    return path


def _new_table(path: Path, ending: str, columns: tuple[str, ...]) -> IO[str]:
    """A new table with its column names, open for more rows."""
    file = path.with_name(path.name + ending).open("x", encoding="ascii", newline="")
    csv.writer(file).writerow(columns)
    file.flush()
    return file
