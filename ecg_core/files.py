"""Files and folders that are complete or absent, whatever stops the program.

Unfinished work stands under a hidden name, ``.part-NAME.PROCESS-NUMBER``, and is renamed when it is complete. The
number of the process shows whether it is still in progress on this computer: what a killed process left is removed by
the next one that writes the same name, or by ``sweep``.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

APP_NAME = "ecg-workstation"  # of the folders of the user's data
PRIVATE = 0o700  # patient data lie in there: a folder for its owner alone, where the system knows owners
LONGEST_NAME = 50  # characters of a name inside a hidden name: at 4 bytes each, far below the 255 bytes of file systems
QUERY_LIMITED_INFORMATION, ACCESS_DENIED = 0x1000, 5  # of the Windows API
FOLDER_EXISTS = {errno.EEXIST, errno.ENOTEMPTY, errno.EACCES}  # answers to a rename; the last one is that of Windows

_numbers = itertools.count()
_in_progress: set[str] = set()  # hidden names that this process writes


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside ``path``; the file written there replaces ``path`` when the block ends well.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_file(folder / "beats.csv") as part:
    ...     _ = part.write_text("time_s")
    >>> [file.name for file in folder.iterdir()]
    ['beats.csv']

    """
    with _hidden_path(path.parent, path.name) as part:
        yield part
        part.replace(path)


@contextmanager
def atomic_files(folder: Path, name: str, *, last: Callable[[Path], Any] = lambda path: path.name) -> Iterator[Path]:
    """Yield a hidden folder inside ``folder``; its files move up one by one when the block ends well.

    Parameters
    ----------
    name
        Part of the hidden name; the same for the same work.
    last
        Sort key for the order in which the files move up: the file that makes the others count comes last.

    """
    with _hidden_path(folder, name) as hidden:
        hidden.mkdir()
        yield hidden
        for path in sorted(hidden.iterdir(), key=last):
            path.replace(folder / path.name)


@contextmanager
def atomic_folder(folder: Path, name: str, *, keep: Callable[[Path], bool] = lambda _: False) -> Iterator[Path]:
    """Yield a hidden folder beside ``folder``; it replaces ``folder`` as a whole when the block ends well.

    Parameters
    ----------
    name
        Part of the hidden name; the same for the same work.
    keep
        Called with ``folder`` where it exists at the end: whether it stays and the new one is dropped, as where another
        process has finished the same work first.

    """
    with _hidden_path(folder.parent, name) as hidden:
        hidden.mkdir(parents=True)
        yield hidden
        try:
            hidden.rename(folder)
        except OSError as error:
            if error.errno not in FOLDER_EXISTS or not folder.is_dir():
                raise
            if not keep(folder):
                _replace_folder(hidden, folder, name)


def hidden_name(name: str) -> str:
    """Beginning of the name of unfinished work."""
    return f".part-{name[:LONGEST_NAME]}"


def sweep(folder: Path, name: str = "") -> None:
    """Remove unfinished files and folders that killed processes left in ``folder``; of one name, or of all."""
    pattern = f"{escape(hidden_name(name))}.*" if name else f"{hidden_name('')}*"
    for leftover in folder.glob(pattern):
        if not _is_in_progress(leftover.name):
            _remove(leftover)


@contextmanager
def _hidden_path(folder: Path, name: str) -> Iterator[Path]:
    """Yield a path that nobody else uses, with nothing there yet; remove what is there in the end."""
    sweep(folder, name)
    path = folder / f"{hidden_name(name)}.{os.getpid()}-{next(_numbers)}"
    _in_progress.add(path.name)
    try:
        yield path
    finally:
        _remove(path)
        _in_progress.discard(path.name)


def _replace_folder(new: Path, folder: Path, name: str) -> None:
    with _hidden_path(folder.parent, name) as old:
        folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            old.rename(folder)
            raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _is_in_progress(name: str) -> bool:
    """Whether the process that a hidden name states still works on it."""
    found = re.search(r"\.(\d+)-\d+$", name)
    if found is None:
        return False
    process = int(found[1])
    return name in _in_progress if process == os.getpid() else is_running(process)


def is_running(process: int) -> bool:
    """Whether a process of this number runs on this computer."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415  # os.kill would end the process there

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(QUERY_LIMITED_INFORMATION, False, process)
        if handle:
            kernel.CloseHandle(handle)
        return bool(handle) or ctypes.get_last_error() == ACCESS_DENIED  # the process of another user
    try:
        os.kill(process, 0)  # no signal, only the check whether it could be sent
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # the process of another user
        return True
    return True
