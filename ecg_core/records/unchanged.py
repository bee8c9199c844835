"""Whether the files of a record stay as they were when it was opened: its identity is that of what is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import RecordError
from ..overrides import FileState
from ..schema import Float32, Record, SignalSource
from ..text import plural

State = tuple[FileState, ...]
GONE: FileState = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class GuardedSource:
    """Samples of files that must be the ones that were opened; they may grow, as a recording that goes on does."""

    inner: SignalSource
    files: tuple[Path, ...]
    opened: State

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``; RecordError where a file was shortened, replaced or written over."""
        self._check()
        try:
            signal = self.inner.read(start, stop, leads)
        except Exception:
            self._check()
            raise
        self._check()
        return signal

    def _check(self) -> None:
        for path, old in zip(self.files, self.opened, strict=True):
            now = _state(path)
            if now != old and (now[2] != old[2] or now[0] <= old[0]):
                raise _changed(path, old, now)


def guarded(record: Record) -> Record:
    """A record that was just opened, with the state of its files; what is read from them later is checked against it.

    The parts of what was unpacked or joined are checked one by one already.
    """
    if record.opened:
        return record
    opened = tuple(map(_state, record.files))
    if record.pieces:
        return replace(record, opened=opened)
    return replace(record, opened=opened, source=GuardedSource(record.source, record.files, opened))


def state_of(record: Record) -> State:
    """State of the files of a record as it was opened; its hash is taken as well, before anything is read.

    Raises
    ------
    RecordError
        A file is no longer what was opened.

    """
    opened = record.opened or tuple(map(_state, record.files))
    check_unchanged(record, opened)
    _ = record.sha256
    return opened


def check_unchanged(record: Record, before: Sequence[FileState]) -> None:
    """Refuse a record whose files are no longer what they were.

    Raises
    ------
    RecordError
        With the file that changed.

    """
    for path, old in zip(record.files, before, strict=True):
        now = _state(path)
        if now != old:
            raise _changed(path, old, now)


def _state(path: Path) -> FileState:
    """What would differ if a file were written to, or replaced."""
    try:
        stat = path.stat()
    except OSError:
        return GONE
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _changed(path: Path, old: FileState, now: FileState) -> RecordError:
    return RecordError(
        "was changed since it was opened; nothing was kept",
        where=path.name,
        expected=plural(old[0], "byte"),
        got=f"{now[0]:,}",
        advice="Wait until it is complete, and open it again.",
    )
