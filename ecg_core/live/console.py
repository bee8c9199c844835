"""What ``monitor`` and ``replay`` do: a source, an engine that judges it, and what is told and kept of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import IO, Protocol

import numpy as np

from .. import NOTICE
from ..clock import elapsed_text
from ..errors import LiveError
from ..labels import CLASSES
from ..records import read_record
from ..rules import RhythmRules
from ..schema import Beats
from .lines import line_writer, port_of, tcp_sender
from .lsl import lsl_outlet
from .recording import Recording
from .replay import Replay
from .sources import INPUT, LSL, TCP, open_source
from .stream import Alarm, Chunk, Notice, Source, Stream, Update

LOUD, PLAIN = "\x1b[1;31m", "\x1b[0m"  # of an alarm on a terminal

Sender = AbstractContextManager[Callable[[Chunk], None]]


class Engine(Protocol):
    """Judges a stream as it comes."""

    def push(self, chunk: Chunk) -> Update:
        """What a chunk brings."""
        ...

    def close(self) -> Update:
        """What was left to decide when the stream ended."""
        ...


def monitor(
    text: str,
    rules: RhythmRules,
    model: Path,
    *,
    out: Path | None = None,
    record: bool = True,
    horizon_s: float = 2.0,
    lead: str = "auto",
    speed: float = 1.0,
    quiet: bool = False,
) -> None:
    """Watch a source until it ends or the program is stopped; see docs/live.md.

    Parameters
    ----------
    text
        As ``open_source`` takes it.
    out
        Folder of the recording; None keeps nothing.
    record
        Whether samples are recorded there, or beats and alarms alone.

    """
    from ..classifier.model import load_model  # noqa: PLC0415  # a replay needs no torch
    from ..parallel import use_threads  # noqa: PLC0415
    from .alarms import KINDS  # noqa: PLC0415
    from .engine import Monitor  # noqa: PLC0415

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that the console cannot show
    use_threads(1)
    loaded = load_model(model)
    if text == INPUT or text.startswith((LSL, TCP)):
        print(f"{text}: waiting for a sender", file=sys.stderr, flush=True)
    source = open_source(text, speed=speed)
    with _ended_by_signals(source), _reader_may_leave():
        engine = Monitor(source.stream, loaded, rules, horizon_s=horizon_s, lead=lead)
        recording = Recording(out, source.stream, signal=record) if out else None
        print(f"{_described(source.stream)}; Ctrl-C ends. {NOTICE}", file=sys.stderr)
        watch(source, engine, ConsoleReporter(KINDS, quiet=quiet), recording)


def watch(source: Source, engine: Engine, reporter: ConsoleReporter, recording: Recording | None = None) -> None:
    """Push what comes into the engine, tell and keep what it says, and finish all when the source ends."""

    def pass_on(update: Update) -> None:
        reporter.tell(update)
        if recording:
            reporter.tell_notices(recording.say(update))

    try:
        for item in source.chunks():
            if isinstance(item, Notice):
                reporter.tell_notices((item,))
                continue
            if recording:
                reporter.tell_notices(recording.write(item))
            pass_on(engine.push(item))
    finally:
        source.close()
        try:
            pass_on(engine.close())
        finally:
            if recording:
                reporter.tell_notices(recording.close())
    reporter.sum_up(source.stream, recording)


class ConsoleReporter:
    """Says on a terminal what an engine found, and counts it.

    Parameters
    ----------
    kinds
        Of alarms, in words.
    quiet
        Whether alarms alone are told.

    """

    def __init__(self, kinds: Mapping[str, str], *, quiet: bool = False, out: IO[str] | None = None) -> None:
        self._kinds, self._quiet, self._out = kinds, quiet, out or sys.stdout
        self._beats: Counter[str] = Counter()
        self._alarms = 0
        self._time_s = 0.0
        self._rate_bpm: float | None = None

    def tell(self, update: Update) -> None:
        """A line a beat and an alarm, in this order: an alarm rests on beats."""
        if update.vitals:
            self._time_s, self._rate_bpm = update.vitals.time_s, update.vitals.rate_bpm
        self._beats.update(update.beats.label.tolist())
        self._alarms += sum(alarm.end_s is None for alarm in update.alarms)
        if not self._quiet:
            for line in beat_lines(update.beats, self._rate_bpm):
                print(line, file=self._out)
        for alarm in update.alarms:
            line = alarm_line(alarm, self._kinds)
            print(f"{LOUD}{line}{PLAIN}" if self._out.isatty() else line, file=self._out)
        self._out.flush()
        self.tell_notices(update.notices)

    def tell_notices(self, notices: Iterable[Notice]) -> None:
        """What happened to the stream, beside what is said of the heart."""
        for notice in notices:
            self._out.flush()
            print(f"{elapsed_text(notice.time_s, decimals=1)}  ! {notice.text}", file=sys.stderr, flush=True)

    def sum_up(self, stream: Stream, recording: Recording | None) -> None:
        """One line at the end."""
        counts = ", ".join(f"{label} {self._beats[label]:,}" for label in CLASSES)
        kept = f"; recorded as {recording.path}" if recording else ""
        print(
            f"{stream.name}: {elapsed_text(self._time_s)} watched, {self._beats.total():,} beats: {counts}; "
            f"alarms {self._alarms}{kept}",
            file=self._out,
            flush=True,
        )


def beat_lines(beats: Beats, rate_bpm: float | None) -> Iterator[str]:
    """Time, class with its probability, RR and heart rate of each beat."""
    rate = "   -" if rate_bpm is None else f"{rate_bpm:4.0f}"
    confidence = beats.confidence.tolist()
    for i, (time_s, rr_s) in enumerate(zip(beats.time_s.tolist(), beats.rr_s.tolist(), strict=True)):
        rr = "    -" if np.isnan(rr_s) else f"{rr_s:5.3f}"
        unread = "" if beats.usable[i] else "  not readable"
        yield (
            f"{elapsed_text(time_s, decimals=2)}  {beats.label[i]}  {confidence[i]:4.2f}  RR {rr} s  {rate}/min{unread}"
        )


def alarm_line(alarm: Alarm, kinds: Mapping[str, str]) -> str:
    """An alarm that begins, or is over."""
    words = kinds.get(alarm.kind, alarm.kind)
    began = elapsed_text(alarm.start_s, decimals=1)
    if alarm.end_s is None:
        return f"{elapsed_text(alarm.said_s, decimals=2)}  *** ALARM *** {words}, since {began}"
    return f"{elapsed_text(alarm.said_s, decimals=2)}  *** over  *** {words}, {alarm.end_s - alarm.start_s:.1f} s"


def replay(path: Path, to: str, *, speed: float = 1.0) -> None:
    """Send a record as if it came just now: to ``lsl:NAME``, to ``tcp:PORT`` of this machine, or to standard output."""
    source = Replay(read_record(path), speed=speed)
    print(f"{_described(source.stream)}, to {to}", file=sys.stderr, flush=True)
    with _reader_may_leave(), _sender(to, source.stream) as send, _ended_by_signals(source):
        for chunk in source.chunks():
            send(chunk)


def _sender(to: str, stream: Stream) -> Sender:
    if to.startswith(LSL):
        return lsl_outlet(stream, to.removeprefix(LSL) or stream.name)
    if to.startswith(TCP):
        return tcp_sender(stream, port_of(to))
    if to == INPUT:
        return line_writer(stream, sys.stdout.buffer)
    raise LiveError(f"--to {to}: expected lsl:NAME, tcp:PORT or - for standard output.")


def _described(stream: Stream) -> str:
    unit = "" if stream.calibrated else ", of no known unit (200 counts taken for 1 mV)"
    return f"{stream.name}: {stream.fs_hz:g} Hz, {', '.join(stream.lead_names)}{unit}"


@contextmanager
def _ended_by_signals(source: Source) -> Iterator[None]:
    """The first Ctrl-C ends the source, so that all that came is decided and kept; a second one ends the program."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, kept[signal.Signals(number)])
        # Not from here: the thread that was interrupted may hold the very lock that closing needs.
        threading.Thread(target=source.close).start()

    for number in kept:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """A reader of standard output that has seen enough, such as ``head``, is no error."""
    try:
        yield
    except BrokenPipeError:  # Python would meet it once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
