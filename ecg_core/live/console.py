"""What the commands ``monitor`` and ``replay`` do, and what they print."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import IO

import numpy as np

from .. import NOTICE
from ..clock import elapsed_text
from ..errors import LiveError
from ..labels import CLASSES
from ..records import ASSUMED_PER_MV, read_record
from ..rules import RhythmRules
from ..schema import Beats
from ..text import plural
from .drive import Sink, drive
from .lines import line_writer, parse_port, tcp_sender
from .lsl import lsl_outlet
from .recording import BOUND, Recording
from .replay import Replay
from .sources import LSL, STDIN, TCP, open_source
from .stream import Alarm, Notice, Source, Stream, StreamChunk, Update

LOUD, PLAIN = "\x1b[1;31m", "\x1b[0m"  # an alarm on a terminal is bold and red

Sender = AbstractContextManager[Callable[[StreamChunk], None]]


def monitor(
    text: str,
    rules: RhythmRules,
    model: Path,
    *,
    engine: str | None = None,
    out: Path | None = None,
    record: bool = True,
    horizon_s: float = 2.0,
    lead: str = "auto",
    speed: float = 1.0,
    token: str = "",
    quiet: bool = False,
) -> None:
    """Monitor a source until it ends or the program is stopped; see docs/live.md.

    Parameters
    ----------
    text
        Names the source, see ``open_source``.
    model, engine
        See ``load_model``.
    out
        Folder of the recording; None records nothing.
    record
        Whether samples are recorded there, or beats and alarms alone.
    token
        What a sender to a port must carry; see ``open_source``.
    quiet
        Whether alarms alone are printed.

    """
    from ..classifier.model import load_model  # noqa: PLC0415  # a replay does not need it
    from ..parallel import use_threads  # noqa: PLC0415
    from .alarm_lines import KINDS  # noqa: PLC0415
    from .engine import Monitor  # noqa: PLC0415

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name may have letters that the console cannot show
    use_threads(1)
    loaded = load_model(model, engine=engine)
    if text == STDIN or text.startswith((LSL, TCP)):
        print(f"{text}: waiting for a sender", file=sys.stderr, flush=True)
    with closing(open_source(text, speed=speed, token=token)) as source, _ended_by_signals(source), _reader_may_leave():
        monitored = Monitor(source.stream, loaded, rules, horizon_s=horizon_s, lead=lead)
        recording = Recording(out, source.stream, signal=record) if out else None
        print(f"{_describe(source.stream)}; press Ctrl-C to stop. {NOTICE}", file=sys.stderr)
        if recording:
            then = "then the recording ends, and the monitoring goes on"
            print(f"Recording as {recording.path}, at most {BOUND}; {then}.", file=sys.stderr)
        reporter = ConsoleReporter(KINDS, quiet=quiet, goes_on=recording is not None)
        try:
            drive(source, monitored, [recording, reporter] if recording else [reporter])
        finally:
            reporter.print_summary(source.stream, recording)


class ConsoleReporter(Sink):
    """Prints beats, alarms and notices on a terminal, and counts them.

    Parameters
    ----------
    kinds
        Name of each kind of alarm.
    quiet
        Whether alarms alone are printed.
    goes_on
        Whether the stream goes on, as it is recorded, where nobody reads the output any more.

    """

    def __init__(
        self, kinds: Mapping[str, str], *, quiet: bool = False, out: IO[str] | None = None, goes_on: bool = False
    ) -> None:
        self._kinds, self._quiet, self._out, self._goes_on = kinds, quiet, out or sys.stdout, goes_on
        self._is_cut = False  # whether the output cannot be written any more
        self._beats: Counter[str] = Counter()
        self._alarms = 0
        self._time_s = self._usable_s = 0.0  # decided so far, and with an analysable lead
        self._rate_bpm: float | None = None

    def write_update(self, update: Update) -> Sequence[Notice]:
        """Print a line for each beat, then one for each alarm, as alarms rest on beats."""
        if update.vitals:
            self._usable_s += update.vitals.usable * max(0.0, update.vitals.time_s - self._time_s)
            self._time_s, self._rate_bpm = update.vitals.time_s, update.vitals.rate_bpm
        self._beats.update(update.beats.label.tolist())
        self._alarms += sum(alarm.end_s is None and not alarm.before for alarm in update.alarms)
        lines = [] if self._quiet else list(beat_lines(update.beats, self._rate_bpm))
        alarms = [alarm_line(alarm, self._kinds) for alarm in update.alarms]
        self._print(*lines, *(f"{LOUD}{line}{PLAIN}" if self._out.isatty() else line for line in alarms))
        return ()

    def _print(self, *lines: str) -> None:
        """Print lines at once; where that fails, say so once, and go on without them."""
        if self._is_cut:
            return
        try:
            for line in lines:
                print(line, file=self._out)
            self._out.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError) and not self._goes_on:
                raise
            self._is_cut = True
            _drop_output()
            then = "the recording goes on" if self._goes_on else "the monitoring goes on"
            text = f"Beats and alarms cannot be printed any more ({error.strerror or error}); {then}."
            with suppress(OSError):
                print(text, file=sys.stderr, flush=True)

    def write_notice(self, notice: Notice) -> None:
        """Print a notice on the error stream, which keeps it apart from beats and alarms."""
        self._print()
        with suppress(OSError):
            print(f"{elapsed_text(notice.time_s, decimals=1)}  ! {notice.text}", file=sys.stderr, flush=True)

    def print_summary(self, stream: Stream, recording: Recording | None) -> None:
        """Print duration, how much of it was analysable, and counts in one line."""
        counts = ", ".join(f"{label} {self._beats[label]:,}" for label in CLASSES)
        recorded = f"; recorded as {recording.path}" if recording else ""
        self._print(
            f"{stream.name}: {elapsed_text(self._time_s)} monitored, {elapsed_text(self._usable_s)} of it analysable, "
            f"{plural(self._beats.total(), 'beat')}: {counts}; alarms {self._alarms}{recorded}"
        )


def beat_lines(beats: Beats, rate_bpm: float | None) -> Iterator[str]:
    """Time, class with its probability, RR and heart rate of each beat."""
    rate = "   -" if rate_bpm is None else f"{rate_bpm:4.0f}"
    confidence = beats.confidence.tolist()
    for i, (time_s, rr_s) in enumerate(zip(beats.time_s.tolist(), beats.rr_s.tolist(), strict=True)):
        rr = "    -" if np.isnan(rr_s) else f"{rr_s:5.3f}"
        note = "" if beats.usable[i] else "  not analysable"
        yield (
            f"{elapsed_text(time_s, decimals=2)}  {beats.label[i]}  {confidence[i]:4.2f}  RR {rr} s  {rate}/min{note}"
        )


def alarm_line(alarm: Alarm, kinds: Mapping[str, str]) -> str:
    """An alarm that begins, becomes more serious, or is over."""
    name, announced = kinds.get(alarm.kind, alarm.kind), elapsed_text(alarm.announced_s, decimals=2)
    if alarm.end_s is None:
        before = f", before: {kinds.get(alarm.before, alarm.before)}" if alarm.before else ""
        return f"{announced}  *** ALARM *** {name}, since {elapsed_text(alarm.start_s, decimals=1)}{before}"
    return f"{announced}  *** over  *** {name}, {alarm.duration_s:.1f} s"


def replay(path: Path, to: str, *, speed: float = 1.0, token: str = "") -> None:
    """Send a record like a device would: to ``lsl:NAME``, to ``tcp:PORT`` of this machine, or to standard output.

    Raises
    ------
    LiveError
        The target is none of these, nothing listens there, or the speed is not positive.

    """
    source = Replay(read_record(path), speed=speed)
    print(f"{_describe(source.stream)}, to {to}", file=sys.stderr, flush=True)
    with _reader_may_leave(), _sender(to, source.stream, token) as send, _ended_by_signals(source):
        for chunk in source.chunks():
            send(chunk)


def _sender(to: str, stream: Stream, token: str) -> Sender:
    if token and not to.startswith(TCP):
        raise LiveError(f"The target {to} takes no token, tcp:PORT alone does.", settings=("token",))
    if to.startswith(LSL):
        return lsl_outlet(stream, to.removeprefix(LSL) or stream.name)
    if to.startswith(TCP):
        return tcp_sender(stream, parse_port(to), token=token)
    if to == STDIN:
        return line_writer(stream, sys.stdout.buffer)
    raise LiveError(
        f"The target {to} is not known: expected lsl:NAME, tcp:PORT, or - for standard output.", settings=("to",)
    )


def _describe(stream: Stream) -> str:
    unit = "" if stream.calibrated else f", no gain: {ASSUMED_PER_MV:g} counts per mV assumed"
    return f"{stream.name}: {stream.fs_hz:g} Hz, {', '.join(stream.lead_names)}{unit}"


@contextmanager
def _ended_by_signals(source: Source) -> Iterator[None]:
    """The first Ctrl-C ends the source, so that what was received is classified; a second one ends the program."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, former[signal.Signals(number)])
        # In another thread: the one that was interrupted may hold the very lock that closing needs.
        threading.Thread(target=source.close).start()

    for number in former:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """A reader of standard output that needs no more of it, such as ``head``, is not an error."""
    try:
        yield
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    """Let what is still to be printed go nowhere: Python would meet the same error once more when it ends."""
    with suppress(OSError, ValueError):  # no real file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
