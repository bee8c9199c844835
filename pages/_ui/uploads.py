"""Uploaded files: stored in the folder of the store, until their study is deleted."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ecg_core.errors import RecordError
from ecg_core.files import is_running

from . import streamlit_runtime

PREFIX = "ecg-workstation-"
SAFE_NAME = re.compile(r"\w[\w .,()+-]{0,99}")  # letters of any script


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
    """The folder of a store that holds uploads, each in a subfolder of its own until its study is deleted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_stored = 0  # how many times this window stored files

    def store(self, files: Sequence[Upload]) -> list[Path]:
        """Store files; return the paths of the records that they make. See ``store``."""
        return store(files, self.path)

    def release(self, files: Sequence[Upload]) -> None:
        """Free the memory of files that were stored."""
        streamlit_runtime.release_uploads([file.file_id for file in files])
        self.n_stored += 1

    def holds(self, path: Path) -> bool:
        """Whether a file was uploaded."""
        return self.path in path.parents

    def discard(self, path: Path) -> None:
        """Remove the upload that a file belongs to; a file elsewhere stays."""
        if self.holds(path):
            shutil.rmtree(self.path / path.relative_to(self.path).parts[0], ignore_errors=True)

    def hide(self, message: str) -> str:
        """A message without the place where uploads are stored: readers of the page need not know it."""
        return re.sub(re.escape(str(self.path)) + r"([/\\][^/\\\s]+)?[/\\]?", "", message)


def safe_name(name: str) -> str:
    """Bare file name of an upload; it cannot name a place outside the folder of the uploads.

    Raises
    ------
    RecordError
        The name holds other signs than expected.

    """
    bare = Path(name.replace("\\", "/")).name
    if not SAFE_NAME.fullmatch(bare):
        raise RecordError(
            f'"{bare}" cannot be used as a file name: only letters, digits, spaces and "_.,()+-" are expected. '
            "Rename the file; for WFDB, rename the .hea and .dat together and correct the names in the header."
        )
    return bare


def make_folder() -> Path:
    """Create an empty folder for one session, and remove the folders that killed programs left behind."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        process = old.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and not is_running(int(process)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def store(files: Sequence[Upload], folder: Path) -> list[Path]:
    """Write uploads into a new folder inside ``folder``; return the paths of the records that they make.

    Raises
    ------
    RecordError
        A name is not acceptable, or no file is a WFDB header or a recording by itself.

    """
    from ecg_core.records import SINGLE_FILES, records_in  # noqa: PLC0415, as all formats load
    from ecg_core.records.table_files import SUFFIXES_OF_ANY_TEXT  # noqa: PLC0415

    by_itself = (*SINGLE_FILES, *SUFFIXES_OF_ANY_TEXT)
    names = [safe_name(file.name) for file in files]
    if not any(name.lower().endswith((".hea", *by_itself)) for name in names):
        raise RecordError(
            f"No header (.hea) is among the files ({', '.join(sorted(names))}): choose the .hea and the .dat of a "
            f"WFDB record together, and its .atr if there is one; or a file of another format "
            f"({', '.join(by_itself)})."
        )
    subfolder = Path(tempfile.mkdtemp(dir=folder))
    try:
        for name, file in zip(names, files, strict=True):
            (subfolder / name).write_bytes(file.getbuffer())
        alone = [subfolder / name for name in names if name.lower().endswith(by_itself)]
        return records_in(subfolder) or alone  # opening a file that is no record states why
    except OSError as error:
        shutil.rmtree(subfolder, ignore_errors=True)
        raise RecordError(f"The upload cannot be kept ({error.strerror}); make room on the disk.") from error
