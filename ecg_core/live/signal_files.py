"""The samples of a stream as a growing WFDB record, in which a gap takes no more room than was received."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_file
from ..schema import Float32
from .stream import Stream, StreamChunk

STEPS_PER_MV = 1000.0  # steps of a microvolt
# Format 24, three bytes a sample: it reaches 8.3 V, where 16 bits would end at 33 mV, and the offset of an electrode,
# which many recorders pass on, is up to 300 mV.
N_BYTES = 3
# Numbers of unknown unit may be volts or counts of 24 bits: four bytes, and the first samples get about 100,000 steps.
N_BYTES_UNKNOWN, STEPS_LOG10 = 4, 5
GAP_SAMPLES = 1 << 16  # of a gap, written at a time
# Missing samples are written as such while they take no more bytes than the received ones, and these before any. A
# longer gap begins another segment of the record and takes none, so that no line of text fills a disk.
FREE_GAP_BYTES = 1 << 16
MAX_BYTES = 32e9  # more than twelve leads at 500 Hz take in the days that a recording may last
MAX_SEGMENTS = 1000  # two more for each long gap
GAP: Final = "~"  # how WFDB names a segment in which nothing was recorded


class SignalFiles:
    """Writes samples where they belong; if the program is killed, what was written stays.

    Attributes
    ----------
    start
        Date and time of the first sample; None where it is not known, or not yet.
    next
        Index in the stream of the sample that is written next.
    n_bytes
        Of all signal files so far.
    segments
        Name and samples of each finished segment, and of the gaps between them; empty for a record of one.

    Raises
    ------
    OSError
        The files cannot be made or written to.

    """

    def __init__(self, path: Path, stream: Stream, start: datetime | None) -> None:
        self.path, self.stream, self.start = path, stream, start
        self.next = self.n_bytes = 0
        self.segments: list[tuple[str, int]] = []
        self._n_parts, self._gap_bytes, self._has_new_segment = 1, 0, True
        self._steps = STEPS_PER_MV if stream.calibrated else None  # without a unit, chosen by the first samples
        self._sample_bytes = N_BYTES if stream.calibrated else N_BYTES_UNKNOWN
        self._limit = (1 << 8 * self._sample_bytes - 1) - 1
        self._begin_part()
        self._write_headers(finished=False)

    def bytes_of(self, n_samples: int) -> int:
        """Bytes that so many samples of all leads take."""
        return n_samples * len(self.stream.lead_names) * self._sample_bytes

    def write(self, chunk: StreamChunk) -> bool:
        """Write the samples of a chunk that are new, after the gap before them; False, without them, at the bound."""
        n_new = chunk.first + chunk.signal_mv.shape[1] - self.next
        if n_new > 0:
            if self.n_bytes + self.bytes_of(chunk.signal_mv.shape[1]) > MAX_BYTES or len(self.segments) >= MAX_SEGMENTS:
                return False
            self._skip(max(0, chunk.first - self.next))
            self._append(chunk.signal_mv[:, max(0, chunk.signal_mv.shape[1] - n_new) :])
            if self._has_new_segment:  # only now, as a segment has samples, and the first sample gives the start
                self._write_headers(finished=False)
                self._has_new_segment = False
        return True

    def finish(self) -> None:
        """Write the headers with the length of what was written."""
        self._write_headers(finished=True)

    def close(self) -> None:
        """Close the signal file."""
        self._file.close()

    def _begin_part(self) -> None:
        name = self.path.name if self._n_parts == 1 else self._part_name
        self._file: IO[bytes] = self.path.with_name(f"{name}.dat").open("xb")
        self._n_samples = 0  # of this part
        self._sum: NDArray[np.int64] = np.zeros(len(self.stream.lead_names), dtype=np.int64)  # WFDB's checksum
        self._initial: list[int] = []  # and initial values

    @property
    def _part_name(self) -> str:
        """Name of the present segment; a stream's own name has no hyphen."""
        return f"{self.path.name}-{self._n_parts}"

    def _skip(self, n_missing: int) -> None:
        """Leave a gap: as missing samples where they take little room, or else as a segment without any."""
        n_bytes = self.bytes_of(n_missing)
        if self._gap_bytes + n_bytes <= self.n_bytes - self._gap_bytes + FREE_GAP_BYTES:
            for done in range(0, n_missing, GAP_SAMPLES):
                n = min(GAP_SAMPLES, n_missing - done)
                self._append(np.full((len(self.stream.lead_names), n), np.nan, dtype=np.float32))
            self._gap_bytes += n_bytes
            return
        if self._n_samples:
            self._file.close()
            self._write_part_header(self._part_name, f" {self._n_samples}")
            self.segments.append((self._part_name, self._n_samples))
            self._n_parts += 1
            self._begin_part()
        self.segments.append((GAP, n_missing))
        self.next += n_missing
        self._has_new_segment = True

    def _append(self, signal_mv: Float32) -> None:
        count = np.nan_to_num(signal_mv).astype(np.float64) * self._steps_per_mv(signal_mv)
        count = np.clip(np.rint(count), -self._limit, self._limit)
        # The value below the limit is WFDB's mark of a missing sample.
        frames = np.where(np.isnan(signal_mv), -self._limit - 1, count).T.astype("<i4", order="C")
        self._file.write(frames.view(np.uint8).reshape(*frames.shape, 4)[:, :, : self._sample_bytes].tobytes())
        self._file.flush()
        self._initial = self._initial or frames[0].tolist()
        self._sum += frames.sum(axis=0)
        self._n_samples += len(frames)
        self.next += len(frames)
        self.n_bytes += self.bytes_of(len(frames))

    def _steps_per_mv(self, signal_mv: Float32) -> float:
        if self._steps is None:  # by the median, which a damaged value does not move
            size_mv = np.abs(signal_mv[np.isfinite(signal_mv) & (signal_mv != 0)])
            self._steps = 10.0 ** (STEPS_LOG10 - round(np.log10(np.median(size_mv)))) if len(size_mv) else None
        return self._steps or 0.0

    def _write_headers(self, *, finished: bool) -> None:
        """Write the header of the record, or those of its present segment and of all segments.

        Until the header of a signal file states a number of samples, the size of the file gives it.
        """
        # Allowed only after the number of samples.
        start = f" {self.start:%H:%M:%S.%f} {self.start:%d/%m/%Y}" if self.start else ""
        if not self.segments:
            self._write_part_header(self.path.name, f" {self._n_samples}{start}" if finished else "")
            return
        self._write_part_header(self._part_name, f" {self._n_samples}" if finished else "")
        segments = [*self.segments, (self._part_name, self._n_samples)]
        length = f" {self.next}{start}" if finished else ""
        first = f"{self.path.name}/{len(segments)} {len(self.stream.lead_names)} {self.stream.fs_hz:.10g}{length}"
        self._write(self.path.name, [first, *(f"{name} {n}" for name, n in segments)], finished=finished)

    def _write_part_header(self, name: str, length: str) -> None:
        gain, bits = f"{self._steps:g}/mV" if self.stream.calibrated else "0", 8 * self._sample_bytes
        initial = self._initial or [0] * len(self.stream.lead_names)
        checksum = self._sum.astype(np.int16).tolist()
        lines = [f"{name} {len(self.stream.lead_names)} {self.stream.fs_hz:.10g}{length}"]
        lines += [
            f"{Path(self._file.name).name} {bits} {gain} {bits} 0 {initial[i]} {checksum[i]} 0 {' '.join(lead.split())}"
            for i, lead in enumerate(self.stream.lead_names)
        ]
        self._write(name, lines, finished=bool(length))

    def _write(self, name: str, lines: Sequence[str], *, finished: bool) -> None:
        replayed = ", replayed" if self.stream.is_replayed else ""
        comments = (
            [f"# Simulated record{replayed}"] if self.stream.is_simulated else ["# Replayed record"] * bool(replayed)
        )
        if not finished:
            began = self.start.isoformat(timespec="milliseconds") if self.start else "at an unknown time"
            comments.append(f"# Recording began {began} and was not finished")
        with atomic_file(self.path.with_name(f"{name}.hea")) as part:
            part.write_text("\n".join([*lines, *comments]) + "\n", encoding="utf-8")
