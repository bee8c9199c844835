"""Archives (.zip, .tar.gz) that hold a record: unpacked within limits, and removed with the record."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EILSEQ, EINVAL
from pathlib import Path, PurePosixPath
from typing import IO

from ..errors import RecordError
from ..schema import Float32, SignalSource
from ..text import format_quoted, plural
from .folder import Folder, no_room
from .limits import MAX_EXPANSION

ZIP_MAGIC, GZIP_MAGIC = b"PK\x03\x04", b"\x1f\x8b"
MAX_FILES = 1_000
MAX_BYTES = 4 << 30  # after decompression: two weeks of twelve leads
MAX_NAME_BYTES = 255  # of a file, on all usual file systems
DAMAGE = (None, EINVAL, EILSEQ)  # numbers of an OSError that a name or an offset in the archive causes
CHUNK_BYTES = 1 << 20
INNER = (".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar")


@dataclass(frozen=True, eq=False)
class UnpackedSource:
    """A source whose files lie in a temporary folder, which it keeps alive."""

    inner: SignalSource
    folder: Folder

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        return self.inner.read(start, stop, leads)


@dataclass(frozen=True)
class Member:
    """A file of an archive."""

    name: str
    stream: IO[bytes]


def is_archive(_path: Path, first: bytes) -> bool:
    """Whether a file begins as a zip or gzip file does."""
    return first.startswith((ZIP_MAGIC, GZIP_MAGIC))


def unpack(path: Path, folder: Path) -> None:
    """Write the files of an archive into a folder, without the folders that they have in the archive.

    Raises
    ------
    RecordError
        It is damaged or encrypted, too large, holds another archive, or a name in it points outside or is too long;
        or there is no room for its files.

    """
    left = min(MAX_BYTES, max(path.stat().st_size, 1) * MAX_EXPANSION)
    try:
        for number, member in enumerate(_members(path), 1):
            if number > MAX_FILES:
                raise RecordError(
                    f"holds more than {MAX_FILES} files", where=path.name, advice="Pack one record by itself."
                )
            left = _write(path, member, folder, left)
    except RecordError:
        raise
    except Exception as error:  # the decoders raise all kinds of errors on damaged bytes
        if isinstance(error, OSError) and error.errno not in DAMAGE:
            raise no_room(error) from error  # the disk failed, not the archive
        raise RecordError(
            f"the archive is damaged or encrypted ({format_quoted(error)})",
            where=path.name,
            advice="Pack the record again.",
        ) from error


def _write(path: Path, member: Member, folder: Path, left: int) -> int:
    """Write one file, and return how many bytes may still follow."""
    parts = PurePosixPath(member.name.replace("\\", "/")).parts
    bare = parts[-1] if parts else ""
    if member.name.startswith("/") or ".." in parts or ":" in bare or not bare:
        raise RecordError(
            f"a file in it names a place outside ({member.name[:60]!r}); nothing was unpacked",
            where=path.name,
            advice="Pack the record again, by itself.",
        )
    if bare.lower().endswith(INNER):
        raise RecordError(
            f"holds another archive ({bare})", where=path.name, advice="Unpack it, and open what is in it."
        )
    if len(bare.encode(errors="surrogatepass")) > MAX_NAME_BYTES:
        raise RecordError(
            f"a file in it has a name of {plural(len(bare), 'letter')} ({bare[:40]} ...), and no disk takes more than "
            f"{MAX_NAME_BYTES} bytes",
            where=path.name,
            advice="Rename it, and pack the record again.",
        )
    target = folder / bare
    if target.exists():
        raise RecordError(f"two files in it are called {bare}", where=path.name, advice="Pack one record by itself.")
    with target.open("xb") as stream:
        while chunk := member.stream.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise RecordError(
                    "unpacks to far more than a record needs", where=path.name, advice="Pack one record by itself."
                )
            stream.write(chunk)
    return left


def _members(path: Path) -> Iterator[Member]:
    """Regular files of an archive, without links and devices."""
    with path.open("rb") as stream:
        first = stream.read(len(ZIP_MAGIC))
    if first == ZIP_MAGIC:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                mode = info.external_attr >> 16
                if not info.is_dir() and not stat.S_ISLNK(mode) and not _is_hidden(info.filename):
                    with archive.open(info) as content:
                        yield Member(info.filename, content)
        return
    with tarfile.open(path, "r:gz") as archive:
        for entry in archive:
            data = archive.extractfile(entry) if entry.isreg() and not _is_hidden(entry.name) else None
            if data is not None:
                with data:
                    yield Member(entry.name, data)


def _is_hidden(name: str) -> bool:
    """Whether macOS added a file."""
    return "__MACOSX" in name or PurePosixPath(name).name.startswith("._")
