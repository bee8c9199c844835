"""A stream as lines of text that anyone can write: a header as JSON, then a line a sample. See docs/live.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isnan
from typing import Any, Final

import numpy as np

from ..errors import LiveError
from ..records.limits import distinct_names
from .alignment import NumberClock
from .leads import Leads, as_sent, first_leads, leads_again, printable
from .stream import Chunk, Notice, Stream

MAX_LINE = 4096  # bytes; more is no line of a few numbers
HEADER_WITHIN = 200  # lines: a board may say something while it starts
CHUNK_S = 0.1  # samples are passed on so many at a time, so that a line of its own makes no chunk of its own
SAY_S = 1.0  # lines that cannot be read are said at most so often
SHOWN = 40  # characters of such a line
EXAMPLE: Final = '{"name": "chest belt", "fs_hz": 250, "leads": ["II"], "unit": "mV"}'


def header_line(stream: Stream) -> bytes:
    """The header of a stream."""
    header = {"name": stream.name, "fs_hz": stream.fs_hz, "leads": stream.lead_names}
    return json.dumps(header | ({"unit": "mV"} if stream.calibrated else {})).encode() + b"\n"


def sample_lines(chunk: Chunk, stream: Stream) -> bytes:
    """The lines of a chunk."""
    frames = as_sent(chunk, stream).T
    lines = (
        f"{number}," + ",".join("" if isnan(value) else f"{value:.6g}" for value in frame)
        for number, frame in enumerate(frames.tolist(), chunk.first)
    )
    return "".join(f"{line}\n" for line in lines).encode()


def read_header(line: bytes) -> tuple[Stream, Leads]:
    """What a header says.

    Raises
    ------
    LiveError
        It is none, or says what no ECG has.

    """
    try:
        header: Any = json.loads(line)
        names, unit = header["leads"], header.get("unit")
        if not isinstance(names, list) or not isinstance(header.get("name", ""), str):
            raise TypeError
        leads, calibrated = first_leads((None if unit is None else str(unit),) * len(names))
        own = distinct_names([printable(str(name)) for name in names])
        return Stream(printable(header.get("name", "")) or "stream", float(header["fs_hz"]), own, calibrated), leads
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LiveError(f"{_shown(line)} is no header of a stream; expected a line such as {EXAMPLE}.") from error


class LineReader:
    """Bytes of one connection after the other, as chunks of one stream."""

    def __init__(self) -> None:
        self.stream: Stream | None = None  # known from the first header on
        self._cutter, self._bad = _Cutter(), _Bad()
        self._place: list[int] = []  # of samples in a row that are not passed on yet
        self._values: list[list[float]] = []

    @property
    def time_s(self) -> float:
        """The end of the stream so far."""
        return self._clock.next / self.stream.fs_hz if self.stream else 0.0

    def feed(self, data: bytes, now_s: float) -> Iterator[Chunk | Notice]:
        """What some bytes bring; none bring what was held back.

        Raises
        ------
        LiveError
            There is no header where one is needed, or a later one has another rate.

        """
        for line in self._cutter.lines(data):
            if line.startswith(b"{"):
                yield from self._begin(line)
            elif self.stream is None:
                self._bad.add(line)
            else:
                yield from self._sample(line, now_s, self.stream)
        if self.stream is None:
            if self._bad.n > HEADER_WITHIN:
                raise LiveError(f"{self._bad.n} lines came without a header; expected first a line such as {EXAMPLE}.")
            return
        if not data:
            yield from self._held()
        if self._bad.n and now_s - self._bad.said_s >= SAY_S:
            yield Notice(self.time_s, self._bad.say(now_s))

    def end(self, now_s: float) -> Iterator[Chunk | Notice]:
        """The connection ended: half a line is no line, as its last number may be cut."""
        for line in self._cutter.rest():
            self._bad.add(line)
        if self.stream is None:
            return
        yield from self._held()
        if self._bad.n:
            yield Notice(self.time_s, self._bad.say(now_s))

    def _begin(self, line: bytes) -> Iterator[Chunk | Notice]:
        """The first header, or one more of a sender that started anew."""
        try:
            offered, leads = read_header(line)
        except LiveError:
            if self.stream is None:
                raise
            self._bad.add(line)
            return
        if self.stream is None:
            self.stream, self._leads = offered, leads
            self._clock = NumberClock(offered.fs_hz)
            return
        yield from self._held()
        self._leads, changed = leads_again(self.stream, offered, leads)
        if changed:
            yield Notice(self.time_s, changed)

    def _sample(self, line: bytes, now_s: float, stream: Stream) -> Iterator[Chunk]:
        """Hold a sample until there are some in a row."""
        number, *texts = line.split(b",")
        try:
            values = [float(text) if text.strip() else np.nan for text in texts]
            count = int(number)
        except ValueError:
            self._bad.add(line)
            return
        if len(values) != len(self._leads.scale_mv) or count < 0:
            self._bad.add(line)
            return
        place = self._clock.place(count, now_s)
        if self._place and (place != self._place[-1] + 1 or len(self._place) >= CHUNK_S * stream.fs_hz):
            yield from self._held()
        if place >= 0:  # else it comes late, from before the first one
            self._place.append(place)
            self._values.append(values)

    def _held(self) -> Iterator[Chunk]:
        if self._place:
            with np.errstate(over="ignore"):  # beyond what is a number of 32 bits there is no voltage either
                values = np.array(self._values, dtype=np.float64).T.astype(np.float32)
                yield Chunk(self._place[0], self._leads.arrange(values))
            self._place, self._values = [], []


class _Cutter:
    """Cuts bytes into lines; one beyond the limit is cut off, so that it cannot be read."""

    def __init__(self) -> None:
        self._begun, self._overlong = b"", False

    def lines(self, data: bytes) -> Iterator[bytes]:
        """Whole lines, but empty ones and those that begin with a hash."""
        *lines, begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._begun = line
            if (whole := next(self.rest(), b"")) and not whole.startswith(b"#"):
                yield whole
        self._begun = begun
        if len(begun) > MAX_LINE:
            self._begun, self._overlong = begun[:SHOWN], True

    def rest(self) -> Iterator[bytes]:
        """What there is of a line that was begun."""
        line, overlong = self._begun.strip(), self._overlong or len(self._begun) > MAX_LINE
        self._begun, self._overlong = b"", False
        if line:
            yield line[:SHOWN] + b"..." if overlong else line


class _Bad:
    """Counts lines that cannot be read, and says so seldom enough."""

    def __init__(self) -> None:
        self.n, self.said_s = 0, float("-inf")
        self._last = b""

    def add(self, line: bytes) -> None:
        self.n += 1
        self._last = line

    def say(self, now_s: float) -> str:
        """What came since it was said last."""
        text = f"{self.n} lines could not be read, the last one was {_shown(self._last)}"
        self.n, self.said_s = 0, now_s
        return text


def _shown(line: bytes) -> str:
    """A line as it may be shown: short, and harmless to a terminal."""
    return ascii(line[:SHOWN].decode("utf-8", errors="replace"))
