"""Streams as lines of text: from standard input or a connection on this machine, and sent to one."""

from __future__ import annotations

import os
import queue
import re
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final, Protocol

from ..errors import LiveError, OtherSenderError
from .line_format import EXAMPLE, MAX_LINE, LineReader, has_token, header_line, sample_lines
from .stream import Notice, Stream, StreamChunk

HOST = "127.0.0.1"  # a sender is not authenticated, so the port is not opened to the network
LAST_PORT = 65_535
POLL_S = 0.05  # a wait for bytes
BLOCK = 1 << 16  # bytes that are read at a time
QUEUED_BLOCKS = 64  # read ahead from standard input
SILENT_S = 3.0  # without a byte, before the sender is reported as silent
CONNECT_S = 5.0
GREETING_S = 2.0  # a connection that has sent no whole line by then does not hold the only place
HTTP: Final = re.compile(rb"[A-Z]{3,8} \S+ HTTP/")  # a web page can make a browser connect to this machine


class Feed(Protocol):
    """A source of bytes."""

    name: str
    reconnects: bool  # whether another connection may follow one that ended

    def read(self) -> bytes | None:
        """Bytes that arrived within POLL_S, empty if none did; None where the connection ended."""
        ...

    def reject(self, reason: str) -> None:
        """Send the sender the reason, where it can receive one, and end its connection."""
        ...

    def close(self) -> None:
        """Close the connection and stop listening."""
        ...


class LineSource:
    """Lines of text as a source; waits for the first header.

    Parameters
    ----------
    closed
        When set from another thread, ends the stream and the wait.

    Raises
    ------
    LiveError
        What arrives is not a stream, or the wait was ended.

    """

    stream: Stream

    def __init__(self, feed: Feed, closed: threading.Event | None = None) -> None:
        self._feed, self._closed = feed, closed or threading.Event()
        self._reader = LineReader()
        self._first: list[StreamChunk | Notice] = []  # what came along with the header
        try:
            while self._reader.stream is None:
                self._await_header()
        except BaseException:
            feed.close()
            raise
        self.stream = self._reader.stream

    def _await_header(self) -> None:
        if self._closed.is_set():
            raise LiveError(f"{self._feed.name}: the wait ended before a sender connected.")
        data = self._feed.read()
        try:
            if data is None and not self._feed.reconnects:
                raise LiveError(f"{self._feed.name} ended before a header came; expected a line such as {EXAMPLE}.")
            if data is None:
                self._reader = LineReader()
            else:
                self._first += self._reader.feed(data, time.monotonic())
        except LiveError as error:
            if not self._feed.reconnects:
                raise
            self._feed.reject(str(error))
            self._reader = LineReader()

    def chunks(self) -> Iterator[StreamChunk | Notice]:
        """Samples as they arrive; after a lost connection, waits for the next one until ``close``.

        Raises
        ------
        LiveError
            The sender came back with another sampling rate; or with another name where no other one can follow.

        """
        try:
            yield from self._first
            yield from self._read_connections()
        except LiveError as error:
            self._feed.reject(str(error))
            raise
        finally:
            self._feed.close()

    def _read_connections(self) -> Iterator[StreamChunk | Notice]:
        last_s, waiting = time.monotonic(), False
        while not self._closed.is_set():
            data, now_s = self._feed.read(), time.monotonic()
            if data is None:
                yield from self._reader.end(now_s)
                if not self._feed.reconnects:
                    return
                yield self._notice("the sender has disconnected; waiting for it")
                waiting = True
            elif data:
                if waiting:
                    yield self._notice(f"the sender is back after {now_s - last_s:.0f} s")
                last_s, waiting = now_s, False
            elif not waiting and now_s - last_s > SILENT_S:
                yield self._notice("the sender is silent; waiting for it")
                waiting = True
            yield from self._taken(data or b"", now_s)
        yield from self._reader.end(time.monotonic())

    def _taken(self, data: bytes, now_s: float) -> Iterator[StreamChunk | Notice]:
        """What some bytes bring; another sender is refused, and the stream waits for its own."""
        try:
            yield from self._reader.feed(data, now_s)
        except OtherSenderError as error:
            if not self._feed.reconnects:
                raise
            self._feed.reject(str(error))
            self._reader.forget()
            yield self._notice(f"refused: {error}")

    def _notice(self, text: str) -> Notice:
        return Notice(self._reader.time_s, f"{self._feed.name}: {text}")

    def close(self) -> None:
        """End the stream; ``chunks`` ends within POLL_S."""
        self._closed.set()


class InputFeed:
    """Standard input, or any open file."""

    name, reconnects = "standard input", False

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file = file or sys.stdin.buffer
        self._blocks: queue.Queue[bytes | None] = queue.Queue(QUEUED_BLOCKS)
        # A daemon thread, as no system can interrupt a read that has begun.
        threading.Thread(target=self._fetch, daemon=True).start()

    def _fetch(self) -> None:
        with suppress(OSError, ValueError):  # closed meanwhile
            while block := os.read(self._file.fileno(), BLOCK):  # without the lock that the end of the program needs
                self._blocks.put(block)
        self._blocks.put(None)

    def read(self) -> bytes | None:
        """See ``Feed``."""
        try:
            return self._blocks.get(timeout=POLL_S)
        except queue.Empty:
            return b""

    def reject(self, reason: str) -> None:
        """Do nothing: a pipe leads one way."""

    def close(self) -> None:
        """Do nothing: the file belongs to the caller."""


class TcpFeed:
    """One sender at a time on a port of this machine.

    Parameters
    ----------
    port
        0 takes a free one.
    token
        What the header of each connection must carry as its first line; empty if none is needed.

    Raises
    ------
    LiveError
        The port cannot be opened.

    """

    reconnects = True

    def __init__(self, port: int, *, token: str = "") -> None:
        self._token = token
        try:
            self._listener = socket.create_server((HOST, port))
        except OSError as error:
            raise LiveError(
                f"tcp:{port} cannot be opened ({error}); choose another port, from 1024 to {LAST_PORT}."
            ) from error
        self.port = int(self._listener.getsockname()[1])
        self.name = f"tcp:{self.port}"
        self._sender: socket.socket | None = None
        self._accepted_s = 0.0  # since when it is the sender
        self._greeting: bytes | None = b""  # its first line so far; None when it was complete and good

    def read(self) -> bytes | None:
        """See ``Feed``."""
        watched = [self._listener, *([self._sender] if self._sender else [])]
        ready = select.select(watched, [], [], POLL_S)[0]
        if self._sender is not None and self._greeting is not None and time.monotonic() - self._accepted_s > GREETING_S:
            self.reject(f"No header came within {GREETING_S:g} s; expected first a line such as {EXAMPLE}.")
        if self._sender is not None and self._sender in ready:  # to its end, before the next sender is accepted
            return self._receive(self._sender)
        if self._listener in ready:
            self._accept()
        return b""

    def _receive(self, sender: socket.socket) -> bytes | None:
        with suppress(OSError):  # an aborted connection has ended too
            if data := sender.recv(BLOCK):
                return data if self._greeting is None else self._greet(self._greeting + data)
        was_greeted = self._greeting is None
        self._disconnect()
        return None if was_greeted else b""  # one that sent no whole line was no sender

    def _greet(self, data: bytes) -> bytes:
        """Bytes of a new sender from its first line on, which must be no request of a browser and carry the token."""
        line, ended, _ = data.partition(b"\n")
        if HTTP.match(line):
            self.reject(f"This is no web server; expected first a line such as {EXAMPLE}.")
        elif not ended and len(line) <= MAX_LINE:
            self._greeting = data
        elif self._token and not has_token(line, self._token):
            self.reject('The first line must be the header, with the "token" that the monitor was started with.')
        else:
            self._greeting = None
            return data
        return b""

    def _accept(self) -> None:
        sender, _ = self._listener.accept()
        if self._sender is None:
            self._sender, self._greeting, self._accepted_s = sender, b"", time.monotonic()
            return
        with sender, suppress(OSError):
            sender.sendall(f"{self.name} has a sender already; try again when it has disconnected.\n".encode())

    def reject(self, reason: str) -> None:
        """See ``Feed``."""
        if self._sender is not None:
            with suppress(OSError):
                self._sender.sendall(f"{reason}\n".encode())
            self._disconnect()

    def _disconnect(self) -> None:
        if self._sender is not None:
            self._sender.close()
        self._sender = None

    def close(self) -> None:
        """See ``Feed``."""
        self._disconnect()
        self._listener.close()


def parse_port(text: str) -> int:
    """The port of ``tcp:PORT``.

    Raises
    ------
    LiveError
        It is not a port number.

    """
    digits = text.partition(":")[2]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(LAST_PORT)) or int(digits) > LAST_PORT:
        raise LiveError(f"{text[:20]}: expected tcp:PORT with a number from 1024 to {LAST_PORT}, such as tcp:5555.")
    return int(digits)


@contextmanager
def tcp_sender(stream: Stream, port: int, *, token: str = "") -> Iterator[Callable[[StreamChunk], None]]:
    """Send a stream as lines to a port of this machine."""
    try:
        connection = socket.create_connection((HOST, port), CONNECT_S)
    except OSError as error:
        raise LiveError(
            f"tcp:{port}: no program listens on this port ({error}). Start the monitor on tcp:{port} first."
        ) from error
    with connection:
        connection.settimeout(None)
        try:
            connection.sendall(header_line(stream, token=token))
            yield lambda chunk: connection.sendall(sample_lines(chunk, stream))
        except OSError as error:
            raise LiveError(f"tcp:{port} closed the connection{_last_answer(connection)}.") from error


def _last_answer(connection: socket.socket) -> str:
    """The reason that the other side sent before it closed the connection."""
    connection.settimeout(CONNECT_S)
    with suppress(OSError):
        if answer := connection.recv(BLOCK):
            return f": {answer.decode('utf-8', errors='replace').strip().rstrip('.')}"
    return ""


@contextmanager
def line_writer(stream: Stream, file: IO[bytes]) -> Iterator[Callable[[StreamChunk], None]]:
    """Write a stream as lines into a file."""

    def send(chunk: StreamChunk) -> None:
        file.write(sample_lines(chunk, stream))
        file.flush()

    file.write(header_line(stream))
    yield send
