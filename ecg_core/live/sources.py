"""A source by the text that names it."""

from __future__ import annotations

import threading
from pathlib import Path

from ..records import read_record
from .lines import InputFeed, LineSource, TcpFeed, port_of
from .lsl import LslSource
from .replay import Replay
from .stream import Source

LSL, TCP, INPUT = "lsl:", "tcp:", "-"


def open_source(text: str, *, speed: float = 1.0, closed: threading.Event | None = None) -> Source:
    """Open ``lsl:NAME``, ``tcp:PORT``, ``-`` (standard input) or a record; waits until a sender has said what it sends.

    Parameters
    ----------
    speed
        Of a record that is replayed.
    closed
        Ends the waiting for a sender of lines when it is set.

    Raises
    ------
    LiveError
        There is no such stream, or it is none of an ECG.
    RecordError
        The record cannot be read.

    """
    if text.startswith(LSL):
        return LslSource(text.removeprefix(LSL))
    if text.startswith(TCP):
        return LineSource(TcpFeed(port_of(text)), closed)
    if text == INPUT:
        return LineSource(InputFeed())
    return Replay(read_record(Path(text)), speed=speed)
