"""The text format of a stream: a header as JSON, then a line for each sample. See docs/live.md."""

from __future__ import annotations

import hmac
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
# A jump of the numbers is believed when so many lines in a row agree on it: three damaged bytes reach three of them.
AGREEING_LINES = 5
FIRST_LINES, LAST_LINES = 2, 3  # that have to agree where a stream begins, and where a connection ends after them
MAX_VALUE = 2.0**32  # no converter counts further, and no voltage has so many microvolts
EXAMPLE: Final = '{"name": "chest belt", "fs_hz": 250, "leads": ["II"], "unit": "mV"}'


def header_line(stream: Stream, *, token: str = "") -> bytes:
    """The header of a stream, with the token that a monitor may expect."""
    header = {"name": stream.name, "fs_hz": stream.fs_hz, "leads": stream.lead_names}
    unit, secret = {"unit": "mV"} if stream.calibrated else {}, {"token": token} if token else {}
    return json.dumps(header | unit | secret).encode() + b"\n"


def has_token(line: bytes, token: str) -> bool:
    """Whether a line is a header with this token; takes equally long wherever a wrong one differs from it."""
    try:
        header: Any = json.loads(line)
        offered = header["token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(offered, str) and hmac.compare_digest(offered.encode(errors="replace"), token.encode())


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
        self._awaits_header = False  # after a connection whose sender is known
        self._index: list[int] = []  # of consecutive samples that wait to become a chunk
        self._values: list[list[float]] = []
        # Samples whose numbers jumped, and when they arrived, until enough of them agree.
        self._doubted: list[tuple[int, list[float], float]] = []

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
        OtherSenderError
            A later header is that of another stream; ``forget`` what else its sender has sent.

        """
        for line in self._splitter.split(data):
            if line.startswith(b"{"):
                yield from self._begin(line)
            elif self.stream is None or self._awaits_header:
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
            if not self._clock.has_begun:
                yield from self._settle(self.stream)
            yield from self._release()
        if self._malformed.n and now_s - self._malformed.reported_s >= REPORT_S:
            yield Notice(self.time_s, self._malformed.report(now_s))

    def forget(self) -> None:
        """Forget the bytes of a sender that was refused; only another header goes on with the stream."""
        self._splitter, self._awaits_header = _LineSplitter(), True

    def end(self, now_s: float) -> Iterator[StreamChunk | Notice]:
        """End a connection: an unfinished line is discarded, as its last number may be cut; another has a header."""
        self._awaits_header = True
        for line in self._splitter.flush():
            self._malformed.add(line)
        if self.stream is None:
            return
        yield from self._settle(self.stream)
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
        yield from self._settle(self.stream)
        yield from self._release()
        self._mapping, changes = map_reconnected(self.stream, offered, mapping)
        self._awaits_header = False
        if changes:
            yield Notice(self.time_s, changes)

    def _sample(self, line: bytes, now_s: float, stream: Stream) -> Iterator[StreamChunk]:
        """Collect a sample; release a chunk when there are enough, or where the numbers jump.

        A number that jumps is believed when those after it agree: damaged digits make no gap and move no time.
        """
        sample = self._parsed(line)
        if sample is None:
            self._malformed.add(line)
        elif not self._clock.is_jump(sample[0], now_s):
            self._distrust(len(self._doubted))
            yield from self._place(*sample, now_s=now_s, stream=stream)
        elif not self._doubted or self._clock.agrees(sample[0], self._doubted[-1][0]):
            self._doubted.append((*sample, now_s))
            if len(self._doubted) >= (AGREEING_LINES if self._clock.has_begun else FIRST_LINES):
                yield from self._believe(stream)
        elif len(self._doubted) == 1:
            self._distrust(1)
            self._doubted = [(*sample, now_s)]
        else:  # each line that contradicts takes one away, so that the majority prevails
            self._distrust(1)
            self._malformed.add(b"%d%s" % (sample[0], OUT_OF_TURN))

    def _parsed(self, line: bytes) -> tuple[int, list[float]] | None:
        """Number and values of a line; None where it is not a sample."""
        number_text, *texts = line.split(b",")
        if len(texts) != len(self._mapping.scale_mv) or b"_" in line:  # which Python allows in a number
            return None
        try:
            number, values = int(number_text), [float(text) if text.strip() else np.nan for text in texts]
        except ValueError:
            return None
        return None if number < 0 else (number, [value if abs(value) < MAX_VALUE else np.nan for value in values])

    def _believe(self, stream: Stream) -> Iterator[StreamChunk]:
        """Place the samples that were in doubt."""
        believed, self._doubted = self._doubted, []
        for number, values, came_s in believed:
            yield from self._place(number, values, now_s=came_s, stream=stream, confirmed=True)

    def _distrust(self, n: int) -> None:
        """Give up the last ``n`` samples that are in doubt."""
        for _ in range(n):
            self._malformed.add(b"%d%s" % (self._doubted.pop()[0], OUT_OF_TURN))

    def _settle(self, stream: Stream) -> Iterator[StreamChunk]:
        """Decide on the samples in doubt that no later line can confirm; the first ones of a stream begin it."""
        if len(self._doubted) >= LAST_LINES or not self._clock.has_begun:
            yield from self._believe(stream)
        self._distrust(len(self._doubted))

    def _place(
        self, number: int, values: list[float], *, now_s: float, stream: Stream, confirmed: bool = False
    ) -> Iterator[StreamChunk]:
        index = self._clock.align(number, now_s, confirmed=confirmed)
        if self._index and (index != self._index[-1] + 1 or len(self._index) >= CHUNK_S * stream.fs_hz):
            yield from self._release()
        if index >= 0:  # a late sample may belong before the first one
            self._index.append(index)
            self._values.append(values)

    def _release(self) -> Iterator[StreamChunk]:
        if self._index:
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
