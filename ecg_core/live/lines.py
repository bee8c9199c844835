"""Streams as lines of text: from standard input or a connection on this machine, and sent to one."""

from __future__ import annotations

import os
import queue
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Protocol

from ..errors import LiveError
from .line_format import EXAMPLE, LineReader, header_line, sample_lines
from .stream import Chunk, Notice, Stream

HOST = "127.0.0.1"  # whoever can reach the port is believed: it is not for a network
LAST_PORT = 65_535
WAIT_S = 0.05  # for bytes
BLOCK = 1 << 16  # bytes at a time
AHEAD = 64  # blocks that are read from standard input before they are needed
SILENT_S = 3.0  # without a byte for so long, the sender is said to be silent
CONNECT_S = 5.0


class Feed(Protocol):
    """Where the bytes come from."""

    name: str
    lasting: bool  # whether one connection may follow another

    def read(self) -> bytes | None:
        """Bytes that came within a moment, none where none did; None where the connection ended."""
        ...

    def answer(self, text: str) -> None:
        """Tell the sender what is wrong, where it can be told, and let go of it."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class LineSource:
    """Lines of text as a source; waits for the first header.

    Parameters
    ----------
    closed
        Ends the stream, and the waiting, from elsewhere when it is set.

    Raises
    ------
    LiveError
        What comes is no stream, or nothing came.

    """

    stream: Stream

    def __init__(self, feed: Feed, closed: threading.Event | None = None) -> None:
        self._feed, self._closed = feed, closed or threading.Event()
        self._reader = LineReader()
        self._first: list[Chunk | Notice] = []  # what came along with the header
        try:
            while self._reader.stream is None:
                self._await_header()
        except BaseException:
            feed.close()
            raise
        self.stream = self._reader.stream

    def _await_header(self) -> None:
        if self._closed.is_set():
            raise LiveError(f"{self._feed.name}: no sender came until it was given up.")
        data = self._feed.read()
        try:
            if data is None and not self._feed.lasting:
                raise LiveError(f"{self._feed.name} ended before a header came; expected a line such as {EXAMPLE}.")
            if data is None:
                self._reader = LineReader()
            else:
                self._first += self._reader.feed(data, time.monotonic())
        except LiveError as error:
            if not self._feed.lasting:
                raise
            self._feed.answer(str(error))
            self._reader = LineReader()

    def chunks(self) -> Iterator[Chunk | Notice]:
        """Samples as they come; a connection that is lost is waited for until ``close``."""
        yield from self._first
        heard_s, waiting = time.monotonic(), False
        try:
            while not self._closed.is_set():
                data, now_s = self._feed.read(), time.monotonic()
                if data is None:
                    yield from self._reader.end(now_s)
                    if not self._feed.lasting:
                        return
                    yield Notice(self._reader.time_s, f"{self._feed.name}: the sender is gone; waiting for it")
                    waiting = True
                elif data:
                    if waiting:
                        yield Notice(self._reader.time_s, f"{self._feed.name}: the sender is there again")
                    heard_s, waiting = now_s, False
                elif not waiting and now_s - heard_s > SILENT_S:
                    yield Notice(self._reader.time_s, f"{self._feed.name}: nothing comes any more; waiting")
                    waiting = True
                yield from self._reader.feed(data or b"", now_s)
            yield from self._reader.end(time.monotonic())
        except LiveError as error:  # a sender that is another one now
            self._feed.answer(str(error))
            yield Notice(self._reader.time_s, str(error))
        finally:
            self._feed.close()

    def close(self) -> None:
        """End the stream; ``chunks`` ends within a moment."""
        self._closed.set()


class InputFeed:
    """Standard input, or any open file."""

    name, lasting = "standard input", False

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file = file or sys.stdin.buffer
        self._blocks: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        # A thread that may wait for ever: no system lets go of a read that has begun.
        threading.Thread(target=self._fetch, daemon=True).start()

    def _fetch(self) -> None:
        with suppress(OSError, ValueError):  # closed meanwhile
            while block := os.read(self._file.fileno(), BLOCK):  # without the lock that the end of the program needs
                self._blocks.put(block)
        self._blocks.put(None)

    def read(self) -> bytes | None:
        """See ``Feed``."""
        try:
            return self._blocks.get(timeout=WAIT_S)
        except queue.Empty:
            return b""

    def answer(self, text: str) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Nothing to let go of."""


class TcpFeed:
    """One sender at a time on a port of this machine; ``port`` 0 takes a free one.

    Raises
    ------
    LiveError
        The port cannot be listened on.

    """

    lasting = True

    def __init__(self, port: int) -> None:
        try:
            self._listener = socket.create_server((HOST, port))
        except OSError as error:
            raise LiveError(
                f"tcp:{port} cannot be listened on ({error}); choose another port, from 1024 to {LAST_PORT}."
            ) from error
        self.port = int(self._listener.getsockname()[1])
        self.name = f"tcp:{self.port}"
        self._sender: socket.socket | None = None

    def read(self) -> bytes | None:
        """See ``Feed``."""
        watched = [self._listener, *([self._sender] if self._sender else [])]
        ready = select.select(watched, [], [], WAIT_S)[0]
        if self._sender is not None and self._sender in ready:  # to its end, before another one is let in or refused
            return self._received(self._sender)
        if self._listener in ready:
            self._accept()
        return b""

    def _received(self, sender: socket.socket) -> bytes | None:
        with suppress(OSError):  # a connection that was torn off has ended too
            if data := sender.recv(BLOCK):
                return data
        self._let_go()
        return None

    def _accept(self) -> None:
        sender, _ = self._listener.accept()
        if self._sender is None:
            self._sender = sender
            return
        with sender, suppress(OSError):
            sender.sendall(f"{self.name} has a sender already; try again when it is gone.\n".encode())

    def answer(self, text: str) -> None:
        """See ``Feed``."""
        if self._sender is not None:
            with suppress(OSError):
                self._sender.sendall(f"{text}\n".encode())
            self._let_go()

    def _let_go(self) -> None:
        if self._sender is not None:
            self._sender.close()
        self._sender = None

    def close(self) -> None:
        """Stop listening."""
        self._let_go()
        self._listener.close()


def port_of(text: str) -> int:
    """The port of ``tcp:PORT``."""
    digits = text.partition(":")[2]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(LAST_PORT)) or int(digits) > LAST_PORT:
        raise LiveError(f"{text[:20]}: expected tcp:PORT with a number from 1024 to {LAST_PORT}, such as tcp:5555.")
    return int(digits)


@contextmanager
def tcp_sender(stream: Stream, port: int) -> Iterator[Callable[[Chunk], None]]:
    """Send a stream as lines to a port of this machine."""
    try:
        connection = socket.create_connection((HOST, port), CONNECT_S)
    except OSError as error:
        raise LiveError(
            f"tcp:{port}: nobody listens there ({error}); first start: python -m ecg_core monitor tcp:{port}"
        ) from error
    with connection:
        connection.settimeout(None)
        try:
            connection.sendall(header_line(stream))
            yield lambda chunk: connection.sendall(sample_lines(chunk, stream))
        except OSError as error:
            raise LiveError(f"tcp:{port} let go of the connection{_last_word(connection)}.") from error


def _last_word(connection: socket.socket) -> str:
    """What the other side said before it left."""
    connection.settimeout(CONNECT_S)
    with suppress(OSError):
        if said := connection.recv(BLOCK):
            return f": {said.decode('utf-8', errors='replace').strip().rstrip('.')}"
    return ""


@contextmanager
def line_writer(stream: Stream, file: IO[bytes]) -> Iterator[Callable[[Chunk], None]]:
    """Write a stream as lines into a file."""

    def send(chunk: Chunk) -> None:
        file.write(sample_lines(chunk, stream))
        file.flush()

    file.write(header_line(stream))
    yield send
