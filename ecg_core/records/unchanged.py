"""Whether the files of a record stay as they are while it is read: its identity is that of what was read."""

from __future__ import annotations

from ..errors import RecordError
from ..schema import Record

State = tuple[tuple[int, int, int], ...]  # of each file: size, time of the last change, and number on its disk


def state_of(record: Record) -> State:
    """What would differ if a file were written to, or replaced; its hash is taken as well, before anything is read."""
    _ = record.sha256
    return tuple((stat.st_size, stat.st_mtime_ns, stat.st_ino) for stat in (path.stat() for path in record.files))


def check_unchanged(record: Record, before: State) -> None:
    """Refuse a record whose files are no longer what they were.

    Raises
    ------
    RecordError
        With the file that changed.

    """
    for path, old in zip(record.files, before, strict=True):
        try:
            stat = path.stat()
            now = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        except OSError:
            now = (0, 0, 0)
        if now != old:
            raise RecordError(
                f"{path.name}: was changed while it was read ({old[0]:,} bytes before, {now[0]:,} after); nothing was "
                "kept. Wait until it is complete, and open it again."
            )
