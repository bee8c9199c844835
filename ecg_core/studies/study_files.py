"""What lies on the disk of a study: its analyses, uploaded recording and signed files; found, and deleted with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import StoreError
from ..text import format_quoted
from .store import Store
from .tables import AnalysisRow, SignatureRow, StudyRow

ANALYSES, SHOWN, RECORDINGS, SIGNED_FILES = "analyses", "shown", "recordings", "signed"
SUBFOLDERS: Final = (ANALYSES, SHOWN, RECORDINGS, SIGNED_FILES)  # of the store
WHAT: Final = {
    ANALYSES: "stored analysis",
    SHOWN: "stored analysis",
    RECORDINGS: "uploaded recording",
    SIGNED_FILES: "signed file",
}
NO_NAME: Final = frozenset("/\\\0" + (":" if os.name == "nt" else ""))  # a colon names a drive on Windows alone
N_SAMPLED, SAMPLED_BYTES = 16, 4096  # blocks that are read of a file to know it again: in milliseconds, also on a share


class StudyFile(NamedTuple):
    """A file that goes with its study."""

    path: Path
    n_bytes: int
    what: str  # in words


def files_of_study(store: Store, record_sha256: str) -> list[StudyFile]:
    """The files that are deleted with a study; never a recording that lies outside the store's folder."""
    with store.reading() as session:
        paths = paths_of_study(store, session, record_sha256)
    try:
        return [StudyFile(path, path.stat().st_size, WHAT[_subfolder(store, path)]) for path in paths if path.is_file()]
    except OSError as error:
        raise StoreError(f"{store.folder}: the files of this study cannot be listed ({error.strerror}).") from error


def paths_of_study(store: Store, session: Session, record_sha256: str) -> list[Path]:
    """Where the files of a study lie, or would lie."""
    digests = session.scalars(select(AnalysisRow.digest).where(AnalysisRow.record_sha256 == record_sha256))
    paths = [store.folder / ANALYSES / f"{digest}.npz" for digest in digests]
    paths += sorted((store.folder / SHOWN).glob(f"{record_sha256}.*.npz"))
    paths += _kept_recording(store, session, record_sha256)
    for names in session.scalars(select(SignatureRow.files).where(SignatureRow.record_sha256 == record_sha256)):
        paths += [signed_path(store, record_sha256, name) for name in names.values() if is_bare(name)]
    return [path for path in dict.fromkeys(paths) if _subfolder(store, path)]


def signed_path(store: Store, record_sha256: str, name: str) -> Path:
    """Where a signed file lies, by its name in the table: in the folder of its study, and nowhere else.

    Raises
    ------
    StoreError
        The table holds what is no name of a file.

    """
    if not is_bare(name):
        raise StoreError(
            f"{format_quoted(name)}: the database names this as a signed file, expected the name of a file without a "
            "folder. The signature was altered: put a copy of the database back."
        )
    return store.folder / SIGNED_FILES / record_sha256 / name


def delete_files(store: Store, paths: Iterable[Path]) -> None:
    """Delete files, and the folders that are empty then; one that cannot be deleted stays, and raises at the end.

    Raises
    ------
    StoreError
        With the first file that could not be deleted.

    """
    stayed = []
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            stayed.append((path, error.strerror))
        with suppress(OSError):  # not empty
            for folder in path.parents:
                if folder.parent == store.folder or store.folder not in folder.parents:
                    break
                folder.rmdir()
    if stayed:
        path, reason = stayed[0]
        raise StoreError(
            f"{path}: the study was deleted, but {len(stayed)} of its files could not be ({reason}). Delete "
            "them by hand."
        )


def stored_path(store: Store, path: Path) -> str:
    """A path as the tables hold it: relative to the store's folder where it lies in there, so that it can move."""
    place = Path(os.path.abspath(path))  # noqa: PTH100  # links stay as they are named
    return place.relative_to(store.folder).as_posix() if store.folder in place.parents else str(place)


def state_of_file(path: Path) -> list[int | str]:
    """What a file is known again by: its size in bytes, the time of its last change in ns, and a digest of blocks.

    A recorder without a clock gives the next patient's files the same names, sizes and times. The blocks lie at equal
    distances, the first at the beginning and the last at the end; what changed between them is found by the SHA-256 of
    the recording alone.
    """
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        stat = os.fstat(stream.fileno())
        last = max(stat.st_size - SAMPLED_BYTES, 0)
        for place in sorted({last * number // (N_SAMPLED - 1) for number in range(N_SAMPLED)}):
            stream.seek(place)
            digest.update(stream.read(SAMPLED_BYTES))
    return [stat.st_size, stat.st_mtime_ns, digest.hexdigest()]


def is_as_stored(store: Store, files: Iterable[list[object]]) -> bool:
    """Whether all files of a recording are there, each as far as is stored of its state."""
    for name, *stored in files:
        try:
            found = state_of_file(store.folder / str(name))
        except OSError:
            return False
        if found[: len(stored)] != stored:  # an earlier version kept no digest
            return False
    return True


def is_bare(name: object) -> bool:
    """Whether a name from a file is one of a file in a folder, and no way out of it."""
    return (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and not set(name) & NO_NAME
        and PurePosixPath(name).name == name
    )


def _kept_recording(store: Store, session: Session, record_sha256: str) -> list[Path]:
    """Files of an uploaded recording, without those that another study also uses."""
    row = session.get(StudyRow, record_sha256)
    if row is None or not row.kept:
        return []
    others = select(StudyRow.files).where(StudyRow.kept, StudyRow.record_sha256 != record_sha256)
    shared = {file[0] for files in session.scalars(others) for file in files}
    return [store.folder / file[0] for file in row.files if file[0] not in shared]


def _subfolder(store: Store, path: Path) -> str:
    """The subfolder of the store in which a file lies; empty where it lies elsewhere."""
    place = path.resolve()
    root = store.folder.resolve()
    return next((name for name in SUBFOLDERS if root / name in place.parents), "")
