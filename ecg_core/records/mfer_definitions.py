"""The definitions of an MFER file (ISO 22077-1), a tag, a length and a value each, and the frames they describe."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from ..errors import RecordError
from ..text import format_quoted, plural
from .limits import MAX_LEADS
from .mdc import LEAD_OF_NUMBER

(ZERO, BYTE_ORDER, TEXT_CODE, BLOCK, CHANNELS, SEQUENCES, POINTER, WAVEFORM, LEAD, TYPE, INTERVAL, SENSITIVITY, OFFSET,
 COMPRESSION) = (0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E)  # fmt: skip
NULL, MAKER, WAVE, ATTRIBUTE, PREAMBLE, SET, END = 0x12, 0x17, 0x1E, 0x3F, 0x40, 0x67, 0x80
NAME, NUMBER, AGE, SEX, TIME = 0x81, 0x82, 0x83, 0x84, 0x85
OF_CHANNEL: Final = (BLOCK, SEQUENCES, WAVEFORM, LEAD, TYPE, INTERVAL, SENSITIVITY, OFFSET, NULL)
COMPRESSED_TYPE = 9  # of the American Heart Association
TYPES: Final = {0: "i2", 1: "u2", 2: "i4", 3: "u1", 4: "u2", 5: "i1", 6: "u4", 7: "f4", 8: "f8"}
STATUS_TYPE, STATUS_LEAD, AVERAGED = 4, 4160, 9
HERTZ, SECONDS, VOLT = 0, 1, 0  # codes of units
MAX_VALUE_BYTES = 1 << 16  # of a definition that is no waveform
MAX_DEFINITIONS = 200_000  # a file of a day in frames of a second has half of them
MV_PER_V = 1e3
V2R = 10  # a number that MFER does not use
LEAD_NAMES: Final = {
    **{number: name for number, name in LEAD_OF_NUMBER.items() if number != V2R},
    31: "NASA", 32: "CB4", 33: "CB5", 34: "CB6", 4166: "ECG1", 4167: "ECG2", 4168: "ECG3", 4169: "ECG4",
}  # fmt: skip


@dataclass(frozen=True)
class Channel:
    """A channel of a frame."""

    name: str
    dtype: str  # of numpy, with its byte order
    block: int  # samples of a sequence
    fs_hz: float | None  # None where it is not stated
    mv_per_count: float | None  # likewise
    offset: float  # counts
    null: float | None  # the count of a sample that was not recorded
    reason: str  # why it is no lead; empty where it is one

    @property
    def n_bytes(self) -> int:
        """Bytes of a sequence."""
        return self.block * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Frame:
    """Where the sequences of a frame lie in the file."""

    channels: tuple[Channel, ...]
    place: int
    n_sequences: int


@dataclass
class State:
    """Definitions in force while a file is read."""

    big_endian: bool = True
    n_channels: int = 1
    common: dict[int, bytes] = field(default_factory=dict)
    own: dict[int, dict[int, bytes]] = field(default_factory=dict)  # by channel
    about: dict[int, bytes] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    layout: tuple[Channel, ...] = ()  # of a frame by the definitions; empty where one of them is new
    n_samples: int = 0  # of the first channel in the frames so far
    pointer: int | None = None  # sample at which the next frame is stated to begin

    def number(self, value: bytes, *, signed: bool = False) -> int:
        """A whole number in the byte order of the file."""
        return int.from_bytes(value, "big" if self.big_endian else "little", signed=signed)


def read_definitions(path: Path) -> State:
    """All definitions and frames of a file."""
    state = State()
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            _walk(stream, state, end=size, channel=None)
    except RecordError as error:
        raise error.inside(path.name) from error
    except (ValueError, IndexError, struct.error) as error:
        if not state.frames:
            raise RecordError(
                f"begins as MFER but cannot be decoded ({format_quoted(error)}); it is truncated or damaged",
                where=path.name,
                advice="Copy or export it again.",
            ) from error
        state.doubts.append(f"the file cannot be decoded to its end ({format_quoted(error)})")
    return state


def _definitions(stream: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """Tag, channel of an attribute (else -1), and length of each definition; the stream is then at its value."""
    for _ in range(MAX_DEFINITIONS):
        place = stream.tell()
        if place >= end:
            return
        tag = stream.read(1)[0]
        if tag == END:
            return
        if tag == ZERO:
            continue
        channel = _channel(stream) if tag == ATTRIBUTE else -1
        length = _length(stream)
        value_at = stream.tell()
        yield tag, channel, end - value_at if length is None else length
        if length is not None:
            stream.seek(value_at + length)
    raise ValueError(f"more than {MAX_DEFINITIONS:,} definitions")


def _channel(stream: BinaryIO) -> int:
    number = 0
    for _ in range(4):
        byte = stream.read(1)[0]
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            return number
    raise ValueError("a channel of more than four bytes")


def _length(stream: BinaryIO) -> int | None:
    """Length of a value; None where it lasts up to its own end."""
    first = stream.read(1)[0]
    if first < END:
        return first
    n = first & 0x7F
    if n > 4:
        raise ValueError(f"a length in {plural(n, 'byte')}")
    content = stream.read(n)
    if len(content) < n:
        raise ValueError("a length that is cut")
    return int.from_bytes(content, "big") if n else None


def _walk(stream: BinaryIO, state: State, *, end: int, channel: int | None) -> None:
    """Take definitions up to ``end``, of one channel or of all."""
    for tag, number, length in _definitions(stream, end):
        place = stream.tell()
        if tag == WAVE:
            state.frames.append(_frame(state, place, min(length, end - place), length))
            continue
        if tag in (ATTRIBUTE, SET):
            if channel is None or tag == SET:
                inner = number if tag == ATTRIBUTE else channel
                _walk(stream, state, end=min(place + length, end), channel=inner)
            continue
        if length > MAX_VALUE_BYTES:
            continue
        value = stream.read(length)
        if len(value) < length:
            raise ValueError(f"tag {tag:#04x} at byte {place:,} is cut")
        if tag in OF_CHANNEL:
            target = state.common if channel is None else state.own.setdefault(channel, {})
            if target.get(tag) != value and tag != SEQUENCES:
                state.layout = ()
            target[tag] = value
        else:
            _take(state, tag, value)


def _take(state: State, tag: int, value: bytes) -> None:
    """A definition that is of the whole file."""
    if tag == BYTE_ORDER:
        state.big_endian, state.layout = value[:1] != b"\1", ()
    elif tag == CHANNELS:
        state.layout = ()
        state.n_channels, state.own = state.number(value) if value else 1, {}
        if not 1 <= state.n_channels <= MAX_LEADS:
            raise ValueError(plural(state.n_channels, "channel"))
    elif tag == POINTER:
        state.pointer = state.number(value, signed=True) if value else None
    elif tag == COMPRESSION and any(value[:2]):
        raise _compressed("MWF_CMP")
    else:
        state.about.setdefault(tag, value)


def _compressed(definition: str) -> RecordError:
    """The error for samples that are compressed in a way of which no description is public."""
    what = f"its samples are compressed ({definition}), which is not read"
    return RecordError(what, advice="Export it uncompressed.")


def _frame(state: State, place: int, length: int, stated: int) -> Frame:
    """A frame of the definitions in force."""
    state.layout = state.layout or tuple(_of_channel(state, number) for number in range(state.n_channels))
    channels, before = state.layout, state.n_samples
    if state.pointer is not None and state.frames and state.pointer != before:
        state.doubts.append(
            f"frame {len(state.frames) + 1} is stated to begin at sample {state.pointer:,}, it is read as "
            f"sample {before:,}"
        )
    state.pointer = None
    size = sum(channel.n_bytes for channel in channels)
    n_sequences = length // size
    counted = state.number(state.common.get(SEQUENCES, b""))
    if length < stated:
        state.doubts.append(
            f"frame {len(state.frames) + 1} is stated to have {stated:,} bytes, the file has {length:,}"
        )
    elif counted and counted != n_sequences:
        state.doubts.append(f"{plural(counted, 'sequence')} stated, {n_sequences:,} in the file")
    elif length % size:
        state.doubts.append(f"the last {plural(length % size, 'byte')} of a frame are no whole sequence")
    n_sequences = min(n_sequences, counted or n_sequences)
    state.n_samples += n_sequences * channels[0].block
    return Frame(channels, place, n_sequences)


def _of_channel(state: State, number: int) -> Channel:
    """A channel by what is defined for it, else for all."""
    common = {tag: value for tag, value in state.common.items() if tag != LEAD or number == 0}
    stated = {tag: value for tag, value in {**common, **state.own.get(number, {})}.items() if value}
    kind = stated.get(TYPE, b"\0")[0]
    if kind == COMPRESSED_TYPE:
        raise _compressed(f"MWF_DTP {kind}")
    if kind not in TYPES:
        raise ValueError(f"samples of type {kind} (MWF_DTP)")
    dtype = (">" if state.big_endian else "<") + TYPES[kind]
    code, label = _lead(state, stated.get(LEAD, b""))
    block = state.number(stated[BLOCK]) if BLOCK in stated else 1
    if block < 1 or block > 1 << 24:
        raise ValueError(f"blocks of {block:,} samples")
    unit, per_count = _quantity(state, stated.get(SENSITIVITY))
    return Channel(
        name=LEAD_NAMES.get(code, label or (f"lead of code {code}" if code else f"channel {number + 1}")),
        dtype=dtype,
        block=block,
        fs_hz=_rate(state, stated.get(INTERVAL)),
        mv_per_count=per_count * MV_PER_V if per_count else None,
        offset=_count(stated.get(OFFSET), dtype) or 0.0,
        null=_count(stated.get(NULL), dtype),
        reason=_why_not(state, stated, kind, code, unit),
    )


def _why_not(state: State, stated: dict[int, bytes], kind: int, code: int, unit: int | None) -> str:
    """Why a channel is no lead; empty where it is one."""
    if kind == STATUS_TYPE or code == STATUS_LEAD:
        return "states of the recorder, no ECG"
    if state.number(stated.get(WAVEFORM, b"")[:2]) == AVERAGED:
        return "an averaged beat, no rhythm"
    return "in a unit that is none of voltage" if unit not in (None, VOLT) else ""


def _lead(state: State, value: bytes) -> tuple[int, str]:
    """Code of a lead, and its name where the file gives one."""
    return state.number(value[:2]) if len(value) > 1 else value[0] if value else 0, text_of(value[2:])


def _quantity(state: State, value: bytes | None) -> tuple[int | None, float | None]:
    """Unit and size of a sensitivity or an interval: a code, a power of ten and a whole number."""
    if value is None or len(value) < 3:
        return None, None
    exponent = int.from_bytes(value[1:2], "big", signed=True)
    return value[0], state.number(value[2:], signed=True) * 10.0**exponent


def _rate(state: State, value: bytes | None) -> float | None:
    unit, size = _quantity(state, value)
    if unit is None or size is None:
        return None
    if unit not in (HERTZ, SECONDS) or size <= 0:
        raise ValueError("a sampling interval that is neither in Hz nor in seconds")
    return round(size if unit == HERTZ else 1 / size, 6)


def _count(value: bytes | None, dtype: str) -> float | None:
    """A count as the samples are stored."""
    if value is None or len(value) < np.dtype(dtype).itemsize:
        return None
    return float(np.frombuffer(value, dtype=dtype, count=1)[0])


def text_of(value: bytes) -> str:
    """A text in UTF-8 or, as Japanese recorders write it, in Shift JIS."""
    for encoding in ("utf-8", "shift_jis"):
        try:
            return value.decode(encoding).strip("\0 ")
        except UnicodeDecodeError:
            continue
    return value.decode("latin-1").strip("\0 ")
