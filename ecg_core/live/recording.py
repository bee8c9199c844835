"""A stream on disk as it goes: a WFDB record, and its beats and alarms as CSV. See docs/live.md."""

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
from ..labels import CLASSES
from ..schema import Beats, Float32
from .stream import Alarm, Chunk, Notice, Stream, Update

GAIN_PER_MV = 1000.0  # steps of a microvolt
# Format 24, three bytes a sample: it reaches 8.3 V, where 16 bits would end at 33 mV, and an electrode's own voltage,
# which many recorders pass on, is up to 300 mV.
N_BYTES = 3
# Numbers of no known unit may be volts or counts of 24 bits: four bytes, of which what comes first takes 100,000 steps.
N_BYTES_UNKNOWN, STEPS_LOG10 = 4, 5
PIECE = 1 << 16  # samples of a gap at a time
MAX_NAME = 60
BEAT_COLUMNS: Final = (
    "sample", "time_s", "label", *(f"probability_{name}" for name in CLASSES), "rr_s", "usable", "time_iso",
    "told",
)  # fmt: skip
ALARM_COLUMNS: Final = ("kind", "start_s", "said_s", "end_s", "start_iso")


class Recording:
    """Files that grow with a stream; whatever was written is there if the program is killed.

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
        self._next = 0  # the sample that comes next
        self._sum: NDArray[np.int64] = np.zeros(len(stream.lead_names), dtype=np.int64)  # WFDB's checksum
        self._first: list[int] = []  # WFDB's initial value
        self._gain = GAIN_PER_MV if stream.calibrated else None  # steps a mV; without a unit, told from what comes
        self._n_bytes = N_BYTES if stream.calibrated else N_BYTES_UNKNOWN
        self._limit = (1 << 8 * self._n_bytes - 1) - 1
        self._signal: IO[bytes] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = _free(folder, re.sub(r"\W+", "_", stream.name, flags=re.ASCII).strip("_")[:MAX_NAME])
            self._beats = _table(self.path, "_beats.csv", BEAT_COLUMNS)
            self._alarms = _table(self.path, "_alarms.csv", ALARM_COLUMNS)
            if signal:
                self._signal = self.path.with_suffix(".dat").open("xb")
                self._write_header("")
        except OSError as error:
            raise OutputError(
                f"{folder}: the recording cannot be written there ({error.strerror}). Name another folder with --out."
            ) from error
        self._open = True

    def write(self, chunk: Chunk) -> tuple[Notice, ...]:
        """Add samples, where they belong; says so where that cannot be done, and adds nothing from then on."""
        return self._try(lambda: self._write(chunk))

    def say(self, update: Update) -> tuple[Notice, ...]:
        """Add beats and alarms."""
        return self._try(lambda: self._say(update))

    def close(self) -> tuple[Notice, ...]:
        """Finish the files."""
        told = self._try(self._finish)
        self._let_go()
        return told

    def _try(self, act: Callable[[], None]) -> tuple[Notice, ...]:
        if not self._open:
            return ()
        try:
            act()
        except OSError as error:  # a disk that is full, or was taken away
            self._let_go()
            return (
                Notice(
                    self._next / self.stream.fs_hz,
                    f"{self.path.name}: the recording stops here, as it cannot be written any more "
                    f"({error.strerror or error}); what was written is kept, and watching goes on",
                ),
            )
        return ()

    def _write(self, chunk: Chunk) -> None:
        if self._signal is None:
            return
        gap, known = chunk.first - self._next, chunk.signal_mv.shape[1]
        for begun in range(0, gap, PIECE):
            self._append(self._signal, np.full((len(self.stream.lead_names), min(PIECE, gap - begun)), np.nan, "f4"))
        if known + min(gap, 0) > 0:
            self._append(self._signal, chunk.signal_mv[:, max(0, -gap) :])

    def _append(self, file: IO[bytes], signal_mv: Float32) -> None:
        count = np.nan_to_num(signal_mv).astype(np.float64) * self._steps_a_mv(signal_mv)
        count = np.clip(np.rint(count), -self._limit, self._limit)
        # Below the limit is WFDB's sign that nothing was recorded.
        frames = np.where(np.isnan(signal_mv), -self._limit - 1, count).T.astype("<i4", order="C")
        file.write(frames.view(np.uint8).reshape(*frames.shape, 4)[:, :, : self._n_bytes].tobytes())
        file.flush()
        self._first = self._first or frames[0].tolist()
        self._sum += frames.sum(axis=0)
        self._next += len(frames)

    def _steps_a_mv(self, signal_mv: Float32) -> float:
        if self._gain is None:
            peak_mv = float(np.abs(signal_mv[np.isfinite(signal_mv)]).max(initial=0.0))
            self._gain = 10.0 ** (STEPS_LOG10 - round(np.log10(peak_mv))) if peak_mv else None
        return self._gain or 0.0

    def _say(self, update: Update) -> None:
        if len(update.beats):
            self._add(self._beats, self._beat_rows(update.beats))
        if update.alarms:
            self._add(self._alarms, map(self._alarm_row, update.alarms))

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
        return alarm.kind, f"{alarm.start_s:.3f}", f"{alarm.said_s:.3f}", end, self._iso(alarm.start_s)

    @staticmethod
    def _add(file: IO[str], rows: Iterable[tuple[Any, ...]]) -> None:
        csv.writer(file).writerows(rows)
        file.flush()

    def _iso(self, time_s: float) -> str:
        return (self._start + timedelta(seconds=time_s)).isoformat(timespec="milliseconds")

    def _finish(self) -> None:
        if self._signal is not None:
            self._write_header(f" {self._next}")

    def _write_header(self, n_samples: str) -> None:
        """WFDB's header; without a number of samples, the size of the signal file says how many there are."""
        name, leads = self.path.name, self.stream.lead_names
        gain = f"{self._gain:g}/mV" if self.stream.calibrated else "0"
        bits = 8 * self._n_bytes
        first = self._first or [0] * len(leads)
        checksum = self._sum.astype(np.int16).tolist()
        start = f" {self._start:%H:%M:%S.%f} {self._start:%d/%m/%Y}" if n_samples else ""  # stands behind the number
        lines = [f"{name} {len(leads)} {self.stream.fs_hz:.10g}{n_samples}{start}"]
        lines += [
            f"{name}.dat {bits} {gain} {bits} 0 {first[i]} {checksum[i]} 0 {' '.join(lead.split())}"
            for i, lead in enumerate(leads)
        ]
        lines += ["# Simulated record, replayed"] if self.stream.is_simulated else []
        lines += [] if n_samples else [f"# Recording began {self._iso(0.0)} and was not finished"]
        half = self.path.with_name(f".{name}.hea.part")
        half.write_text("\n".join(lines) + "\n", encoding="utf-8")
        half.replace(self.path.with_suffix(".hea"))

    def _let_go(self) -> None:
        self._open = False
        for file in (self._beats, self._alarms, self._signal):
            if file is not None:
                with suppress(OSError):  # what could not be written before
                    file.close()


def _free(folder: Path, name: str) -> Path:
    """The path of a recording, without extension, of which no file is there yet."""
    number, path = 1, folder / (name or "stream")
    while any(path.with_name(path.name + ending).exists() for ending in (".hea", ".dat", "_beats.csv", "_alarms.csv")):
        number += 1
        path = folder / f"{name or 'stream'}_{number}"
    return path


def _table(path: Path, ending: str, columns: tuple[str, ...]) -> IO[str]:
    """A table with its heading, open to grow."""
    file = path.with_name(path.name + ending).open("x", encoding="ascii", newline="")
    csv.writer(file).writerow(columns)
    file.flush()
    return file
