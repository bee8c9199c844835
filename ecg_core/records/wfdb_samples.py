"""Samples of WFDB signal files (https://wfdb.io/spec/signal-files.html): every format, any stretch of a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..schema import Float32
from ..text import plural
from .samples import stored_numbers

Counts = NDArray[np.signedinteger[Any]]

# Samples, and the bytes that these take together; None in compressed files (FLAC)
GROUPS: Final[dict[str, tuple[int, int] | None]] = {
    "8": (1, 1), "16": (1, 2), "24": (1, 3), "32": (1, 4), "61": (1, 2), "80": (1, 1), "160": (1, 2), "212": (2, 3),
    "310": (3, 4), "311": (3, 4), "508": None, "516": None, "524": None,
}  # fmt: skip
MISSING: Final = {  # samples that were not recorded; differences (format 8) have none
    "16": -(1 << 15), "24": -(1 << 23), "32": -(1 << 31), "61": -(1 << 15), "80": -(1 << 7), "160": -(1 << 15),
    "212": -(1 << 11), "310": -(1 << 9), "311": -(1 << 9), "508": -(1 << 7), "516": -(1 << 15), "524": -(1 << 23),
}  # fmt: skip
TYPES: Final = {"8": "i1", "16": "<i2", "32": "<i4", "61": ">i2", "80": "u1", "160": "<u2"}
WIDE: Final = ("24", "32", "524")  # counts that single precision may not hold
LAST_OF: Final = {"212": (0, 0, 1), "310": (0, 0, 1, 1), "311": (0, 0, 1, 2)}  # samples in 0, 1, 2 and 3 bytes
FLAC_BITS: Final = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}
FLAC_MAX_BLOCK, FLAC_MIN_BYTES = 65_535, 10  # samples of the longest compressed block, bytes of the smallest
AT_ONCE: Final = 1 << 22  # compressed samples that are read at a time
BLOCK: Final = 1 << 17  # differences between two levels that are remembered ...
MAX_FILES = 8  # ... of the files that were read last


@dataclass(frozen=True)
class Channel:
    """A signal in the frames of a file."""

    place: int  # of its first sample in the frame
    per_frame: int
    skew: int  # frames
    gain: float  # counts per unit
    baseline: int
    unit_mv: float
    first: int  # before the first difference (format 8)


@dataclass(frozen=True)
class SignalFile:
    """A signal file: its signals alternate frame by frame."""

    path: Path
    form: str
    offset: int  # bytes before the first frame; samples in a compressed file
    channels: tuple[Channel, ...]
    n_frames: int  # that it holds

    @property
    def frame_size(self) -> int:
        """Samples in a frame."""
        return sum(channel.per_frame for channel in self.channels)

    def read(self, start: int, stop: int, channels: list[int]) -> Float32:
        """Samples [start, stop) of signals with equal rates, in mV, (n_channels, stop - start); NaN beyond the end."""
        signal = np.full((len(channels), stop - start), np.nan, dtype=np.float32)
        chosen = [self.channels[number] for number in channels]
        per_frame = chosen[0].per_frame
        skews = [channel.skew for channel in chosen]
        first = start // per_frame + min(skews)
        last = min(-(-stop // per_frame) + max(skews), self.n_frames)
        if first >= last:
            return signal
        counts = self._counts(first, last)
        for row, channel in zip(signal, chosen, strict=True):
            own = counts[:, channel.place : channel.place + per_frame].reshape(-1)
            begin = start + (channel.skew - first) * per_frame
            part = own[begin : begin + stop - start]
            self._voltage(part, channel, row[: len(part)])
        return signal

    def _voltage(self, counts: Counts, channel: Channel, mv: Float32) -> None:
        """Write the counts of a signal in mV."""
        difference = np.empty(len(counts)) if self.form in WIDE else mv
        np.subtract(counts, np.int64(channel.baseline), difference, dtype=np.float64, casting="same_kind")
        np.divide(difference, np.float64(channel.gain), mv, casting="same_kind")
        mv *= np.float32(channel.unit_mv)
        if self.form in MISSING:
            mv[counts == MISSING[self.form]] = np.nan

    def _counts(self, first: int, last: int) -> Counts:
        """Frames [first, last), shape (last - first, samples in a frame)."""
        if GROUPS[self.form] is None:
            return self._decompressed(first, last)
        if self.form == "8":
            return self._summed(first, last)
        return _unpacked(self, first * self.frame_size, last * self.frame_size).reshape(last - first, -1)

    def _summed(self, first: int, last: int) -> Counts:
        """Differences of each signal, summed from the beginning of the file on."""
        levels, step = _levels(self, self.path.stat().st_mtime_ns)
        block = first // step
        steps = self._differences(block * step, last).astype(np.int64)
        for own, before in zip(self.channels, levels[block], strict=True):
            columns = steps[:, own.place : own.place + own.per_frame]
            columns[:] = before + np.cumsum(columns).reshape(columns.shape)
        return steps[first - block * step :]

    def _differences(self, first: int, last: int) -> Counts:
        return _unpacked(self, first * self.frame_size, last * self.frame_size).reshape(last - first, -1)

    def _decompressed(self, first: int, last: int) -> Counts:
        import soundfile  # noqa: PLC0415  # for compressed files alone

        per_frame = self.channels[0].per_frame
        with soundfile.SoundFile(self.path) as stream:
            bits = FLAC_BITS[stream.subtype]
            wide = bits > 16
            stream.seek(first * per_frame + self.offset)
            parts, left = [], (last - first) * per_frame
            while left:  # libsndfile fails on larger blocks
                part = stream.read(min(left, AT_ONCE // stream.channels), "int32" if wide else "int16", always_2d=True)
                if not len(part):
                    raise EOFError("it ends too early")
                parts.append(part)
                left -= len(part)
        counts = np.concatenate(parts) >> ((32 if wide else 16) - bits)
        return counts.reshape(last - first, per_frame, -1).transpose(0, 2, 1).reshape(last - first, -1)


@lru_cache(maxsize=MAX_FILES)
def _levels(file: SignalFile, _mtime_ns: int) -> tuple[NDArray[np.int64], int]:
    """Level of each signal of a file of differences before each block of frames, (n_blocks, n), and the block's size.

    Found once, in one pass: else each stretch would be summed from the beginning of the file on again.
    """
    step = max(BLOCK // file.frame_size, 1)
    levels = [np.array([channel.first for channel in file.channels], dtype=np.int64)]
    for at in range(0, file.n_frames - step, step):
        steps = file._differences(at, at + step)
        sums = [steps[:, c.place : c.place + c.per_frame].sum(dtype=np.int64) for c in file.channels]
        levels.append(levels[-1] + np.array(sums))
    return np.stack(levels), step


def frames_of_file(path: Path, form: str, offset: int, per_frame: list[int]) -> int:
    """Frames that a signal file holds.

    Raises
    ------
    RecordError
        It is compressed, and is not what its header states.

    """
    group, size = GROUPS[form], path.stat().st_size
    if group is None:
        return _compressed_frames(path, form, offset, per_frame)
    samples, n_bytes = group
    whole, rest = divmod(max(size - offset, 0), n_bytes)
    return (whole * samples + (LAST_OF[form][rest] if form in LAST_OF else 0)) // sum(per_frame)


def _compressed_frames(path: Path, form: str, offset: int, per_frame: list[int]) -> int:
    import soundfile  # noqa: PLC0415  # see above

    if not path.stat().st_size:
        return 0
    try:
        with soundfile.SoundFile(path) as stream:
            kind, subtype, n_channels, n_samples = stream.format, stream.subtype, stream.channels, int(stream.frames)
    except (OSError, RuntimeError, ValueError) as error:  # soundfile's own is a RuntimeError
        raise RecordError(
            "is damaged, or its header states another format",
            where=path.name,
            expected=f"a signal compressed as FLAC (format {form})",
            got="other bytes",
            advice="Copy both again.",
        ) from error
    if kind != "FLAC" or FLAC_BITS.get(subtype, 99) > int(form) - 500 or {*per_frame} != {per_frame[0]}:
        raise RecordError(
            "its header belongs to another file",
            where=path.name,
            expected=f"FLAC of at most {int(form) - 500} bits with equal rates",
            got=f"{kind}, {subtype}",
            advice="Copy both again.",
        )
    if n_channels != len(per_frame):
        raise RecordError(
            "it and its header do not belong together",
            where=path.name,
            expected=plural(len(per_frame), "signal"),
            got=f"{n_channels}",
            advice="Copy both again.",
        )
    possible = path.stat().st_size // FLAC_MIN_BYTES * FLAC_MAX_BLOCK  # more is damage, or an attempt on the memory
    return max(min(n_samples, possible) - offset, 0) // per_frame[0]


def _unpacked(file: SignalFile, first: int, last: int) -> Counts:
    """Samples [first, last) in the order of the file."""
    if file.form in TYPES:
        kind = np.dtype(TYPES[file.form])
        counts = stored_numbers(file.path, kind.str, last - first, offset=file.offset + first * kind.itemsize)
        if file.form == "80":
            return counts.astype(np.int16) - 128
        return counts.astype(np.int32) - (1 << 15) if file.form == "160" else counts
    samples, n_bytes = GROUPS[file.form] or (1, 1)
    begin = first // samples
    n_groups = -(-last // samples) - begin
    n_needed = _bytes_before(file.form, last) - begin * n_bytes  # the last group of a file may be incomplete
    raw = stored_numbers(file.path, "u1", n_needed, offset=file.offset + begin * n_bytes)
    raw = np.pad(raw, (0, n_groups * n_bytes - n_needed)).reshape(-1, n_bytes)
    counts = UNPACK[file.form](raw)
    return counts[first - begin * samples : last - begin * samples]


def _bytes_before(form: str, last: int) -> int:
    """Bytes of a packed format that hold its first samples."""
    samples, n_bytes = GROUPS[form] or (1, 1)
    whole, rest = divmod(last, samples)
    return whole * n_bytes + (next((size for size, n in enumerate(LAST_OF[form]) if n >= rest), n_bytes) if rest else 0)


def _unpacked_24(raw: NDArray[np.uint8]) -> Counts:
    high = np.zeros((len(raw), 4), dtype=np.uint8)  # in the high bytes, so that the sign is right
    high[:, 1:] = raw
    return high.view("<i4").reshape(-1) >> 8


def _unpacked_212(raw: NDArray[np.uint8]) -> Counts:
    """Two samples of 12 bits in three bytes."""
    low, both, high = raw.astype(np.int16).T
    pairs = np.stack((low | (both & 0x0F) << 8, high | (both & 0xF0) << 4), axis=1)
    return np.where(pairs > 0x7FF, pairs - 0x1000, pairs).ravel()


def _unpacked_310(raw: NDArray[np.uint8]) -> Counts:
    """Two samples of 10 bits in two words, and the third in what these leave: its low half in the first."""
    first, second = raw.reshape(-1).view("<u2").reshape(-1, 2).astype(np.int16).T
    third = ((first >> 11) & 0x1F) | (((second >> 11) & 0x1F) << 5)
    return _signed_10(np.stack(((first >> 1) & 0x3FF, (second >> 1) & 0x3FF, third), axis=1))


def _unpacked_311(raw: NDArray[np.uint8]) -> Counts:
    """Three samples of 10 bits in four bytes."""
    word = raw.reshape(-1).view("<u4")
    return _signed_10(np.stack([(word >> shift & 0x3FF).astype(np.int16) for shift in (0, 10, 20)], axis=1))


def _signed_10(values: NDArray[np.int16]) -> Counts:
    return np.where(values > 0x1FF, values - 0x400, values).ravel()


UNPACK: Final = {"24": _unpacked_24, "212": _unpacked_212, "310": _unpacked_310, "311": _unpacked_311}
