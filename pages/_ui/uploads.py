"""Uploaded files: stored in a folder of one session alone, which is removed with the session."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from ecg_core.errors import RecordError

from . import streamlit_runtime

PREFIX = "ecg-workstation-"
STALE_S = 24 * 3600.0  # older folders were left by a program that was killed
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
    """The folder that holds the uploads of one session; created when first needed, removed with this object."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._remove_path: Callable[[], object] | None = None
        self.n_stored = 0  # how many times files were stored

    @property
    def path(self) -> Path:
        """Where uploads are stored."""
        if self._path is None:
            self._path = make_folder()
            self._remove_path = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        return self._path

    def store(self, files: Sequence[Upload]) -> list[Path]:
        """Store files; return the paths of the records that they make. See ``store``."""
        return store(files, self.path)

    def release(self, files: Sequence[Upload]) -> None:
        """Free the memory of files that were stored."""
        streamlit_runtime.release_uploads([file.file_id for file in files])
        self.n_stored += 1

    def keep_only(self, needed: Collection[Path]) -> None:
        """Remove the uploads that none of the needed files belongs to."""
        if self._path is None:
            return
        for folder in self._path.iterdir():
            if not any(folder in path.parents for path in needed):
                shutil.rmtree(folder, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder and all uploads."""
        if self._remove_path is not None:
            self._remove_path()
            self._path, self._remove_path = None, None

    def hide(self, message: str) -> str:
        """A message without the place where uploads are stored: readers of the page need not know it."""
        if self._path is None:
            return message
        for folder in (*self._path.iterdir(), self._path):
            message = message.replace(str(folder) + os.sep, "")
        return message


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
        if time.time() - old.stat().st_mtime > STALE_S:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def store(files: Sequence[Upload], folder: Path) -> list[Path]:
    """Write uploads into a new folder inside ``folder``; return the paths of the records that they make.

    Raises
    ------
    RecordError
        A name is not acceptable, or no file is a WFDB header or a recording by itself.

    """
    from ecg_core.records import SINGLE_FILES, records_in  # noqa: PLC0415, as wfdb takes half a second

    names = [safe_name(file.name) for file in files]
    if not any(name.lower().endswith((".hea", *SINGLE_FILES)) for name in names):
        raise RecordError(
            f"No header (.hea) is among the files ({', '.join(sorted(names))}): choose the .hea and the .dat of a "
            f"WFDB record together, and its .atr if there is one; or a file of another format "
            f"({', '.join(SINGLE_FILES)})."
        )
    subfolder = Path(tempfile.mkdtemp(dir=folder))
    for name, file in zip(names, files, strict=True):
        (subfolder / name).write_bytes(file.getbuffer())
    return records_in(subfolder)
