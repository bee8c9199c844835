"""Opens a live source by the text that names it."""

from __future__ import annotations

import threading
from pathlib import Path

from ..errors import LiveError
from ..records import read_record
from .arrivals import Arrivals
from .lines import InputFeed, LineSource, TcpFeed, parse_port
from .lsl import LslSource
from .replay import Replay
from .stream import Source

LSL, TCP, STDIN = "lsl:", "tcp:", "-"


def open_source(text: str, *, speed: float = 1.0, token: str = "", closed: threading.Event | None = None) -> Source:
    """Open ``lsl:NAME``, ``tcp:PORT``, ``-`` (standard input) or a record; waits until a sender describes its stream.

    Parameters
    ----------
    speed
        Of a replayed record, as a multiple of real time.
    token
        What a sender to ``tcp:PORT`` must carry in its header; empty if none is needed.
    closed
        When set, ends the wait for a sender of lines.

    Raises
    ------
    LiveError
        There is no such stream, or it is not an ECG.
    RecordError
        The record cannot be read.

    """
    if token and not text.startswith(TCP):
        raise LiveError(f"{text}: a token is expected of a sender to tcp:PORT alone.", settings=("token",))
    if text.startswith(LSL):
        return Arrivals(LslSource(text.removeprefix(LSL)))
    if text.startswith(TCP):
        return Arrivals(LineSource(TcpFeed(parse_port(text), token=token), closed))
    if text == STDIN:
        return Arrivals(LineSource(InputFeed()))
    return Replay(read_record(Path(text)), speed=speed)
