"""Uploaded files: into a folder of this session alone, which is gone when the session is."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from streamlit.runtime.scriptrunner import get_script_run_ctx

from ecg_core.errors import RecordError

PREFIX = "ecg-workstation-"
STALE_S = 24 * 3600.0  # older folders were left by a program that was killed
SAFE_NAME = re.compile(r"\w[\w .,()+-]{0,99}")  # letters of any script


class Upload(Protocol):
    """A file as streamlit hands it over."""

    name: str
    file_id: str

    def getbuffer(self) -> memoryview:
        """Its content."""
        ...


def safe_name(name: str) -> str:
    """Bare file name of an upload; it can name no place outside the folder it is put in."""
    bare = Path(name.replace("\\", "/")).name
    if not SAFE_NAME.fullmatch(bare):
        raise RecordError(
            f'"{bare}" cannot be taken as a file name: only letters, digits, spaces and "_.,()+-" are expected. '
            "Rename the file, and its record with it."
        )
    return bare


def make_folder() -> Path:
    """Make an empty folder for one session, and remove what killed programs left behind."""
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
    place = Path(tempfile.mkdtemp(dir=folder))
    for name, file in zip(names, files, strict=True):
        (place / name).write_bytes(file.getbuffer())
    return records_in(place)


def forget(files: Sequence[Upload]) -> None:
    """Let streamlit forget uploads that were stored; else it holds their bytes as long as the session lives."""
    context = get_script_run_ctx()
    if context is not None:
        for file in files:
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
