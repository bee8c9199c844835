"""Uploaded files: stored in the folder of the store, until their study is deleted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from ecg_core.errors import RecordError
from ecg_core.files import TemporaryFolder
from ecg_core.studies.recordings import UPLOAD
from ecg_core.text import plural

from . import streamlit_runtime

SAFE_NAME: Final = re.compile(r"\w[\w .,()+&'#-]*")  # letters of any script, without their combining marks
MAX_NAME_LETTERS, MAX_NAME_BYTES = 100, 255  # as file systems count: three a letter of India or China


class Upload(Protocol):
    """A file as Streamlit's uploader returns it."""

    @property
    def name(self) -> str:
        """Name of the file on the reader's computer."""
        ...

    @property
    def file_id(self) -> str:
        """Identifier within the session."""
        ...

    def getbuffer(self) -> memoryview:
        """Content of the file."""
        ...


class UploadFolder:
    """The folder of a store that holds uploads, each in a subfolder of its own until its studies are deleted.

    What has no study yet is this window's alone: it goes with the window, whatever ends it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_stored = 0  # how many times this window stored files
        self._waiting: dict[Path, TemporaryFolder] = {}  # subfolders without a study
        self._of_studies: dict[Path, set[Path]] = {}  # files that have one, by the subfolders that this window made

    def store(self, files: Sequence[Upload]) -> list[Path]:
        """Store files; return the paths of the records that they make. See ``store``."""
        folder = self.make()
        try:
            return store(files, folder)
        except RecordError:
            self.tidy(folder)
            raise

    def make(self) -> Path:
        """Make an empty subfolder."""
        with _no_room():
            folder = TemporaryFolder(self.path, UPLOAD)
        self._waiting[folder.path], self._of_studies[folder.path] = folder, set()
        return folder.path

    def keep(self, files: Iterable[Path]) -> None:
        """Have the files of a record stay: it has a study now."""
        for file in files:
            folder = self._subfolder(file)
            if folder in self._of_studies:
                self._of_studies[folder].add(file)
            if waiting := self._waiting.pop(folder, None):
                waiting.keep()

    def release(self, files: Sequence[Upload]) -> None:
        """Free the memory of files that were stored."""
        streamlit_runtime.release_uploads([file.file_id for file in files])
        self.n_stored += 1

    def holds(self, path: Path) -> bool:
        """Whether a file was uploaded."""
        return self.path in path.parents

    def discard(self, path: Path, files: Iterable[Path]) -> None:
        """Remove those files of a record that lie in its own upload, and the folder where it is empty then.

        A file that belongs to a study stays, and so does what this window did not store.
        """
        folder = self._subfolder(path)
        if folder not in self._of_studies:
            return
        for file in files:
            if file.parent == folder and file not in self._of_studies[folder]:
                file.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            self._remove(folder)

    def tidy(self, path: Path, awaiting: Collection[Path] = ()) -> None:
        """Remove what has no study of an upload, once all of its records were opened or refused.

        Parameters
        ----------
        path
            Of a record of the upload, or its folder.
        awaiting
            Recordings that the reader is still asked about: an upload that holds one of them stays as it is.

        """
        folder = self._subfolder(path)
        if folder in self._of_studies and not any(self._subfolder(other) == folder for other in awaiting):
            self.discard(path, list(folder.iterdir()))

    def _subfolder(self, path: Path) -> Path:
        return self.path / path.relative_to(self.path).parts[0] if self.holds(path) else path

    def _remove(self, folder: Path) -> None:
        del self._of_studies[folder]
        if waiting := self._waiting.pop(folder, None):
            waiting.remove()
        else:
            folder.rmdir()

    def hide(self, message: str) -> str:
        """A message without the place where uploads are stored: readers of the page need not know it."""
        return re.sub(re.escape(str(self.path)) + r"([/\\][^/\\\s]+)?[/\\]?", "", message)


def safe_name(name: str) -> str:
    """Bare file name of an upload; it cannot name a place outside the folder of the uploads.

    Letters with marks are composed (NFC), as other computers write them than those that send them apart.

    Raises
    ------
    RecordError
        The name holds other signs than expected, or is too long.

    """
    bare = unicodedata.normalize("NFC", Path(name.replace("\\", "/")).name)
    unmarked = "".join(sign for sign in bare if not unicodedata.category(sign).startswith("M"))
    if not SAFE_NAME.fullmatch(unmarked) or unmarked[0] != bare[0]:
        raise RecordError(
            f'"{bare}" cannot be used as a file name',
            expected="letters, digits, spaces and _ . , ( ) + & ' # - alone",
            advice="Rename the file; for WFDB, rename the .hea and .dat together and correct the names in the header.",
        )
    n_bytes = len(bare.encode())
    if len(bare) > MAX_NAME_LETTERS or n_bytes > MAX_NAME_BYTES:
        raise RecordError(
            f'"{bare}" cannot be used as a file name',
            expected=f"at most {MAX_NAME_LETTERS} letters and {MAX_NAME_BYTES} bytes",
            got=f"{plural(len(bare), 'letter')} and {plural(n_bytes, 'byte')}",
            advice="Give the file a shorter name.",
        )
    return bare


def refuse_name(name: str, others: Iterable[str]) -> None:
    """Refuse a name that cannot be used, or that another file of the same upload has.

    Raises
    ------
    RecordError
        In either case; a file of the same name would take the other's place.

    """
    if safe_name(name) in map(safe_name, others):
        raise RecordError(
            f'"{safe_name(name)}" is among the files twice', advice="Upload one of them, then the other one."
        )


@contextmanager
def _no_room(what: str = "The upload") -> Iterator[None]:
    """Say that the disk does not take something, and why."""
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"{what} cannot be kept ({error.strerror or error})", advice="Make room on the disk."
        ) from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder for files that are needed for a moment.

    Raises
    ------
    RecordError
        There is no room for it.

    """
    with _no_room("A temporary file"), TemporaryFolder() as folder:
        yield folder.path


def store(files: Sequence[Upload], folder: Path) -> list[Path]:
    """Write uploads into an empty folder; return the paths of the records that they make.

    Raises
    ------
    RecordError
        A name is not acceptable, no file is a WFDB header or a recording by itself, or there is no room.

    """
    from ecg_core.records import SINGLE_FILES, records_in  # noqa: PLC0415, as all formats load
    from ecg_core.records.table_files import SUFFIXES_OF_ANY_TEXT  # noqa: PLC0415

    by_itself = (*SINGLE_FILES, *SUFFIXES_OF_ANY_TEXT)
    names = [safe_name(file.name) for file in files]
    if not any(name.lower().endswith((".hea", *by_itself)) for name in names):
        raise RecordError(
            f"No header (.hea) is among the files ({', '.join(sorted(names))})",
            advice="Choose the .hea and the .dat of a WFDB record together, and its .atr if there is one; or a file "
            f"of another format ({', '.join(by_itself)}).",
        )
    with _no_room():
        for name, file in zip(names, files, strict=True):
            (folder / name).write_bytes(file.getbuffer())
        alone = [folder / name for name in names if name.lower().endswith(by_itself)]
        return records_in(folder) or alone  # opening a file that is no record states why
