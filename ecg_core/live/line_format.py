"""The text format of a stream: a header as JSON, then a line for each sample. See docs/live.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isnan
from typing import Any, Final

import numpy as np

from ..errors import LiveError
from ..records.limits import distinct_names
from ..text import plural
from .alignment import NumberClock
from .leads import LeadMapping, channel_values, map_channels, map_reconnected, printable
from .stream import Notice, Stream, StreamChunk

MAX_LINE = 4096  # bytes; a line of a few numbers is never longer
MAX_LINES_BEFORE_HEADER = 200  # a board may print messages while it starts
CHUNK_S = 0.1  # of samples that make a chunk; a chunk of each line would be too small to process
REPORT_S = 1.0  # at least, between two reports of malformed lines
SHOWN = 40  # characters of a malformed line that are shown
OUT_OF_TURN: Final = b", a number out of its turn"  # how a sample is named that no other one confirmed
EXAMPLE: Final = '{"name": "chest belt", "fs_hz": 250, "leads": ["II"], "unit": "mV"}'


def header_line(stream: Stream) -> bytes:
    """The header of a stream."""
    header = {"name": stream.name, "fs_hz": stream.fs_hz, "leads": stream.lead_names}
    return json.dumps(header | ({"unit": "mV"} if stream.calibrated else {})).encode() + b"\n"


def sample_lines(chunk: StreamChunk, stream: Stream) -> bytes:
    """The lines of a chunk."""
    frames = channel_values(chunk, stream).T
    lines = (
        f"{number}," + ",".join("" if isnan(value) else f"{value:.6g}" for value in frame)
        for number, frame in enumerate(frames.tolist(), chunk.first)
    )
    return "".join(f"{line}\n" for line in lines).encode()


def read_header(line: bytes) -> tuple[Stream, LeadMapping]:
    """The stream that a header describes.

    Raises
    ------
    LiveError
        The line is not a header, or does not describe an ECG.

    """
    try:
        header: Any = json.loads(line)
        names, unit = header["leads"], header.get("unit")
        if not isinstance(names, list) or not isinstance(header.get("name", ""), str):
            raise TypeError
        mapping, calibrated = map_channels((None if unit is None else str(unit),) * len(names))
        lead_names = distinct_names([printable(str(name)) for name in names])
        name = printable(header.get("name", "")) or "stream"
        return Stream(name, float(header["fs_hz"]), lead_names, calibrated), mapping
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LiveError(f"{_shown(line)} is not a header of a stream; expected a line such as {EXAMPLE}.") from error


class LineReader:
    """Turns the bytes of successive connections into the chunks of one stream."""

    def __init__(self) -> None:
        self.stream: Stream | None = None  # known from the first header on
        self._splitter, self._malformed = _LineSplitter(), _MalformedLines()
        self._index: list[int] = []  # of consecutive samples that wait to become a chunk
        self._values: list[list[float]] = []
        self._doubted: tuple[int, list[float]] | None = None  # a sample whose number jumped, until the next one

    @property
    def time_s(self) -> float:
        """The end of the stream so far."""
        return self._clock.next / self.stream.fs_hz if self.stream else 0.0

    def feed(self, data: bytes, now_s: float) -> Iterator[StreamChunk | Notice]:
        """Take some bytes; empty bytes release the samples that wait to become a chunk.

        Raises
        ------
        LiveError
            A header is missing, or a later one has another sampling rate.

        """
        for line in self._splitter.split(data):
            if line.startswith(b"{"):
                yield from self._begin(line)
            elif self.stream is None:
                self._malformed.add(line)
            else:
                yield from self._sample(line, now_s, self.stream)
        if self.stream is None:
            if self._malformed.n > MAX_LINES_BEFORE_HEADER:
                raise LiveError(
                    f"{plural(self._malformed.n, 'line')} came without a header; expected first a line such as "
                    f"{EXAMPLE}."
                )
            return
        if not data:
            yield from self._release()
        if self._malformed.n and now_s - self._malformed.reported_s >= REPORT_S:
            yield Notice(self.time_s, self._malformed.report(now_s))

    def end(self, now_s: float) -> Iterator[StreamChunk | Notice]:
        """End a connection: an unfinished line is discarded, as its last number may be cut."""
        for line in self._splitter.flush():
            self._malformed.add(line)
        if self.stream is None:
            return
        if self._doubted is not None:
            self._malformed.add(b"%d%s" % (self._doubted[0], OUT_OF_TURN))
            self._doubted = None
        yield from self._release()
        if self._malformed.n:
            yield Notice(self.time_s, self._malformed.report(now_s))

    def _begin(self, line: bytes) -> Iterator[StreamChunk | Notice]:
        """Take the first header, or that of a sender that restarted."""
        try:
            offered, mapping = read_header(line)
        except LiveError:
            if self.stream is None:
                raise
            self._malformed.add(line)
            return
        if self.stream is None:
            self.stream, self._mapping = offered, mapping
            self._clock = NumberClock(offered.fs_hz)
            return
        yield from self._release()
        self._mapping, changes = map_reconnected(self.stream, offered, mapping)
        if changes:
            yield Notice(self.time_s, changes)

    def _sample(self, line: bytes, now_s: float, stream: Stream) -> Iterator[StreamChunk]:
        """Collect a sample; release a chunk when there are enough, or where the numbers jump.

        A number that jumps is believed when the next one agrees: one damaged digit makes no gap and moves no time.
        """
        number_text, *texts = line.split(b",")
        try:
            values = [float(text) if text.strip() else np.nan for text in texts]
            number = int(number_text)
        except ValueError:
            self._malformed.add(line)
            return
        if len(values) != len(self._mapping.scale_mv) or number < 0:
            self._malformed.add(line)
            return
        doubted, self._doubted = self._doubted, None
        if doubted is not None and self._clock.confirms(number, doubted[0]):
            yield from self._place(*doubted, now_s=now_s, stream=stream)
        elif doubted is not None:
            self._malformed.add(b"%d%s" % (doubted[0], OUT_OF_TURN))
        if self._clock.is_jump(number):
            self._doubted = number, values
        else:
            yield from self._place(number, values, now_s=now_s, stream=stream)

    def _place(self, number: int, values: list[float], *, now_s: float, stream: Stream) -> Iterator[StreamChunk]:
        index = self._clock.align(number, now_s)
        if self._index and (index != self._index[-1] + 1 or len(self._index) >= CHUNK_S * stream.fs_hz):
            yield from self._release()
        if index >= 0:  # a late sample may belong before the first one
            self._index.append(index)
            self._values.append(values)

    def _release(self) -> Iterator[StreamChunk]:
        if self._index:
            with np.errstate(over="ignore"):  # what is too large for 32 bits is not a voltage and becomes infinite
                values = np.array(self._values, dtype=np.float64).T.astype(np.float32)
                yield StreamChunk(self._index[0], self._mapping.arrange(values))
            self._index, self._values = [], []


class _LineSplitter:
    """Splits bytes into lines; one that is too long is truncated with dots, so that it cannot pass for a sample."""

    def __init__(self) -> None:
        self._begun, self._overlong = b"", False

    def split(self, data: bytes) -> Iterator[bytes]:
        """Complete lines except empty ones and comments, which begin with a hash."""
        *lines, begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._begun = line
            if (whole := next(self.flush(), b"")) and not whole.startswith(b"#"):
                yield whole
        self._begun = begun
        if len(begun) > MAX_LINE:
            self._begun, self._overlong = begun[:SHOWN], True

    def flush(self) -> Iterator[bytes]:
        """The unfinished line, if there is one."""
        line, overlong = self._begun.strip(), self._overlong or len(self._begun) > MAX_LINE
        self._begun, self._overlong = b"", False
        if line:
            yield line[:SHOWN] + b"..." if overlong else line


class _MalformedLines:
    """Counts malformed lines since the last report of them."""

    def __init__(self) -> None:
        self.n, self.reported_s = 0, float("-inf")
        self._last = b""

    def add(self, line: bytes) -> None:
        self.n += 1
        self._last = line

    def report(self, now_s: float) -> str:
        """A sentence on the lines since the last report."""
        lines = "1 malformed line was" if self.n == 1 else f"{self.n} malformed lines were"
        text = f"{lines} ignored, the last one: {_shown(self._last)}"
        self.n, self.reported_s = 0, now_s
        return text


def _shown(line: bytes) -> str:
    """A line as it may be shown: short, and harmless to a terminal."""
    return ascii(line[:SHOWN].decode("utf-8", errors="replace"))
