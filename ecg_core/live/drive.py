"""The loop of every live stream: a source, the engine that classifies its beats, and sinks for the results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol

from .stream import Notice, Silence, Source, StreamChunk, Update


class Engine(Protocol):
    """Classifies the beats of a stream as it arrives."""

    def push(self, chunk: StreamChunk) -> Update:
        """Take a chunk; return what is decided now."""
        ...

    def lose_signal(self, silent_s: float) -> Update:
        """Take that the sender has been silent for so long; the next chunk with new samples ends that."""
        ...

    def close(self) -> Update:
        """Decide what was left open when the stream ended."""
        ...


class Sink(Protocol):
    """Takes chunks, updates and notices; a sink that subclasses this one overrides the methods that it needs.

    A method may return notices of the sink itself, such as a full disk.
    """

    def write_chunk(self, chunk: StreamChunk) -> Sequence[Notice]:
        """Take a chunk that the engine has accepted."""
        return ()

    def write_update(self, update: Update) -> Sequence[Notice]:
        """Take what the engine decided; its notices come one by one to ``write_notice``."""
        return ()

    def write_notice(self, notice: Notice) -> None:
        """Take a notice of the source, the engine or another sink."""
        return

    def close(self) -> Sequence[Notice]:
        """Finish; called once, however the stream ended."""
        return ()


def drive(source: Source, engine: Engine, sinks: Sequence[Sink]) -> None:
    """Push all that the source yields into the engine and hand the results to the sinks; then close all of them.

    Whatever raises, the source, the engine and every sink are closed, in this order, and the sinks get what the engine
    decides at the end. Of several errors the first one is raised.

    Parameters
    ----------
    sinks
        Closed in their order; the notices of one that is closed go to those after it.

    """
    errors = _FirstError()
    with errors:
        for item in source.chunks():
            if isinstance(item, Notice):
                _notify(sinks, [item])
                continue
            # The engine comes first: it refuses chunks that fit no recording either.
            update = engine.lose_signal(item.silent_s) if isinstance(item, Silence) else engine.push(item)
            for sink in sinks:
                written = () if isinstance(item, Silence) else sink.write_chunk(item)
                _notify(sinks, [*written, *sink.write_update(update)])
            _notify(sinks, update.notices)
    with errors:
        source.close()
    with errors:
        _write_last(sinks, engine.close(), errors)
    for number, sink in enumerate(sinks, 1):
        with errors:
            _notify(sinks[number:], sink.close())
    if errors.first is not None:
        raise errors.first


def _write_last(sinks: Sequence[Sink], update: Update, errors: _FirstError) -> None:
    """Hand the last update to every sink, even if one of them fails."""
    for sink in sinks:
        with errors:
            _notify(sinks, sink.write_update(update))
    with errors:
        _notify(sinks, update.notices)


def _notify(sinks: Iterable[Sink], notices: Iterable[Notice]) -> None:
    for notice in notices:
        for sink in sinks:
            sink.write_notice(notice)


class _FirstError:
    """Steps that have to run all, whether one fails or not; keeps the first error, the later ones as its notes."""

    def __init__(self) -> None:
        self.first: BaseException | None = None

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self.first is None:
            self.first = error
        elif error is not None:
            self.first.add_note(f"While closing: {error!r}")
        return True
