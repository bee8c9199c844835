"""Files and folders that are complete or absent, and temporary ones that are gone, whatever stops the program.

Unfinished work stands in a hidden folder, ``.part-NAME.TOKEN``, and is renamed when it is complete. The process that
works in such a folder, or in a temporary one, holds a lock on it that ends with the process, however it ends: what a
killed one left is finished or removed by the next one that writes the same name, or by ``sweep``.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, Final, Self

if sys.platform != "win32":
    import fcntl

APP_NAME = "ecg-workstation"  # of the folders of the user's data
PRIVATE = 0o700  # patient data lie in there: a folder for its owner alone, where the system knows owners
LONGEST_NAME = 50  # characters of a name inside a hidden name: at 4 bytes each, far below the 255 bytes of file systems
QUERY_LIMITED_INFORMATION, ACCESS_DENIED = 0x1000, 5  # of the Windows API
FOLDER_EXISTS = {errno.EEXIST, errno.ENOTEMPTY, errno.EACCES}  # answers to a rename; the last one is that of Windows
TEMPORARY: Final = "ecg-workstation-"  # beginning of the name of a temporary folder
ORDER: Final = ".order"  # in a hidden folder that is complete: how its files take their places
REPLACED: Final = "replaced"  # in a hidden folder: what was there before
GONE: Final = ".gone-"  # beginning of the name of a file in a hidden folder that says which one is to go
TOKEN_BYTES: Final = 4  # of a random name; a second one that is equal would be an error, and not the same folder
UNFINISHED: Final = (
    "The files of {name} in this folder are not complete: the program was stopped while it replaced them, so some are "
    "new, and some may be of an earlier run.\nRun the same command again: it completes them, and removes this note.\n"
)


def typed_path(text: str) -> Path:
    """The path that a person typed: ``~`` is the home folder, and with a name that no user has it stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111, as that of Path raises an error for such a name


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path in a hidden folder beside ``path``; the file written there replaces ``path`` at a good end.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_file(folder / "beats.csv") as part:
    ...     _ = part.write_text("time_s")
    >>> [file.name for file in folder.iterdir()]
    ['beats.csv']

    """
    with _hidden_folder(path.parent, path.name) as hidden:
        yield hidden / path.name
        (hidden / path.name).replace(path)


def write_json(path: Path, content: object, *, default: Callable[[Any], object] | None = None) -> None:
    """Write an object as JSON; the file is written whole or not at all.

    Parameters
    ----------
    default
        What to write for an object that JSON has no form for; without it, such an object is an error.

    """
    with atomic_file(path) as part:
        text = json.dumps(content, ensure_ascii=False, indent=1, default=default)
        part.write_text(f"{text}\n", encoding="utf-8", newline="\n")


@contextmanager
def atomic_files(
    folder: Path, name: str, *, last: Callable[[Path], Any] = lambda path: path.name, noted: bool = True
) -> Iterator[Path]:
    """Yield a hidden folder inside ``folder``; its files move up one by one when the block ends well.

    Between the first and the last of them, a note in ``folder`` says that they are being replaced. Where the program is
    killed there, the next one that writes the same name finishes what was begun, and so does ``sweep``.

    Parameters
    ----------
    name
        Part of the hidden name; the same for the same work.
    last
        Sort key for the order in which the files move up: the file that makes the others count comes last, and the one
        that it replaces goes first.
    noted
        Whether files that a killed process began to move are finished; else they are dropped, as where a database says
        whether they count.

    """
    with _hidden_folder(folder, name) as hidden:
        yield hidden
        paths = sorted((path for path in hidden.iterdir() if not path.name.startswith(GONE)), key=last)
        gone = [path.name.removeprefix(GONE) for path in hidden.glob(f"{GONE}*")]
        order = {"note": unfinished_name(name), "files": [path.name for path in paths], "gone": gone}
        if noted and len(paths) + len(gone) > 1:
            _write_note(hidden, name)
            for earlier in _leftovers(folder, name):  # that could not be finished: all of it is replaced now
                _remove_unlocked(earlier)
            (hidden / f"{ORDER}-").write_text(json.dumps(order), encoding="utf-8")
            (hidden / f"{ORDER}-").rename(hidden / ORDER)  # from here on, it is finished whatever stops this process
        try:
            _take_places(hidden, folder, order)
        except BaseException:  # a reader's Ctrl-C, which must not come between; or a file that cannot be replaced
            with suppress(OSError):
                _take_places(hidden, folder, order)
            raise


def remove_with(hidden: Path, name: str) -> None:
    """Have a file go when the files of a hidden folder of ``atomic_files`` take their places."""
    (hidden / f"{GONE}{name}").touch()


def note_unfinished(folder: Path, name: str) -> Path:
    """Say in a folder that its files are being replaced, before work that may be stopped; ``atomic_files`` ends it."""
    with _hidden_folder(folder, name) as hidden:
        return _write_note(hidden, name).replace(folder / unfinished_name(name))


def _write_note(folder: Path, name: str) -> Path:
    path = folder / unfinished_name(name)
    path.write_text(UNFINISHED.format(name=name), encoding="utf-8")
    return path


def unfinished_name(name: str) -> str:
    """Name of the note that stands beside files while they are replaced."""
    return f"{name[:LONGEST_NAME]}_unfinished.txt"


def _take_places(hidden: Path, folder: Path, order: dict[str, Any]) -> None:
    """Move up the files that are still in a hidden folder; the note stands from the first to the last."""
    note, files = order["note"], order["files"]
    left = [name for name in files if (hidden / name).exists()]
    if (hidden / note).exists():
        (hidden / note).replace(folder / note)
    try:
        if len(files) > 1 and left:
            (folder / left[-1]).unlink(missing_ok=True)
    except OSError:
        if left == files:  # nothing was changed, and nothing is
            (hidden / ORDER).unlink(missing_ok=True)
            (folder / note).unlink(missing_ok=True)
        raise
    for name in left:
        (hidden / name).replace(folder / name)
    for name in order["gone"]:
        (folder / name).unlink(missing_ok=True)
    (folder / note).unlink(missing_ok=True)
    (hidden / ORDER).unlink(missing_ok=True)


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
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _hidden_folder(folder.parent, name) as hidden:
        yield hidden
        try:
            hidden.rename(folder)
        except OSError as error:
            if error.errno not in FOLDER_EXISTS or not folder.is_dir():
                raise
            if not keep(folder):
                _replace_folder(hidden, folder, name)


class TemporaryFolder:
    """A folder for what must not outlive its use, such as a patient's files.

    It is removed by ``remove``, at the end of a ``with`` block, with the last reference to it, or at exit; what a
    killed process left is removed by the next ``sweep_temporary``.

    Parameters
    ----------
    place, prefix
        The folder in which it is made, if not the system's for temporary files, and the beginning of its name.

    """

    def __init__(self, place: Path | None = None, prefix: str = TEMPORARY) -> None:
        place = place or Path(tempfile.gettempdir())
        if prefix == TEMPORARY:
            sweep_temporary(place)
        self.path, self._lock = _made(lambda: Path(tempfile.mkdtemp(prefix=prefix, dir=place)))
        self.remove = weakref.finalize(self, _remove_own, self.path, self._lock, os.getpid())

    def keep(self) -> None:
        """Have it stay, as something refers to it now; the ``spare`` of ``sweep_temporary`` has to know it."""
        if self.remove.detach() is not None:
            os.close(self._lock)

    def __enter__(self) -> Self:
        """The folder itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        self.remove()


def sweep_temporary(
    place: Path | None = None, prefix: str = TEMPORARY, *, spare: Callable[[Path], bool] = lambda _: False
) -> None:
    """Remove the temporary folders that killed processes left; those that are in use stay, however old they are.

    Parameters
    ----------
    spare
        Called with a folder that no process works in: whether it is to stay.

    """
    with suppress(OSError):  # there is no such place
        for leftover in (place or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
            _remove_unlocked(leftover, spare)


def reason_of(error: OSError) -> str:
    """Why a file cannot be read or written; of a name that is too long, in words that say what to do."""
    if error.errno == errno.ENAMETOOLONG:
        return "a name there is longer than the disk takes: give the recording a shorter one"
    return error.strerror or str(error)


def place_mends(error: OSError) -> bool:
    """Whether the same files could be written into another folder."""
    return error.errno != errno.ENAMETOOLONG


def is_there(path: Path) -> bool:
    """Whether a path is that of a file; also of a name that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def hidden_name(name: str) -> str:
    """Beginning of the name of unfinished work."""
    return f".part-{name[:LONGEST_NAME]}"


def sweep(folder: Path, name: str = "") -> None:
    """Finish or remove what killed processes left in ``folder`` as unfinished; of one name, or of all."""
    for leftover in _leftovers(folder, name):
        lock = _locked(leftover)
        if lock is not None:
            with suppress(OSError, ValueError, KeyError):  # there is nothing to finish; or it cannot be at present
                _take_places(leftover, folder, json.loads((leftover / ORDER).read_text(encoding="utf-8")))
            _remove_unless_ordered(leftover)
            os.close(lock)


def _leftovers(folder: Path, name: str) -> list[Path]:
    """Hidden folders, in use or not; of one name, or of all. None where the folder is gone, as another one's work."""
    pattern = f"{escape(hidden_name(name))}.*" if name else f"{hidden_name('')}*"
    try:
        return [path for path in folder.glob(pattern) if path.is_dir()]
    except FileNotFoundError:
        return []


@contextmanager
def _hidden_folder(folder: Path, name: str) -> Iterator[Path]:
    """Yield a new folder that nobody else uses; it goes in the end, unless it holds what is to be finished later."""
    sweep(folder, name)

    def make() -> Path:
        path = folder / f"{hidden_name(name)}.{secrets.token_hex(TOKEN_BYTES)}"
        path.mkdir()
        return path

    path, lock = _made(make)
    try:
        yield path
    finally:
        _remove_unless_ordered(path)
        os.close(lock)


def _replace_folder(new: Path, folder: Path, name: str) -> None:
    with _hidden_folder(folder.parent, name) as old:
        folder.rename(old / REPLACED)
        try:
            new.rename(folder)
        except BaseException:
            (old / REPLACED).rename(folder)
            raise


def _made(make: Callable[[], Path]) -> tuple[Path, int]:
    """A new folder and its lock; made again where a sweep took it before it was locked."""
    while True:
        path = make()
        lock = _locked(path, new=True)
        if lock is not None:
            return path, lock


def _locked(folder: Path, *, new: bool = False) -> int | None:
    """A descriptor whose lock on a folder ends when it is closed, or with the process, however it ends.

    None where another one holds it, or the folder is gone. Where the file system knows no locks, a new folder goes
    without, and no other one can be had.
    """
    try:
        descriptor = _lock_file(folder)
    except (FileNotFoundError, FileExistsError):
        return None
    except OSError:
        if new:
            raise
        return None
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = os.path.samestat(os.fstat(descriptor), folder.stat())
        else:
            is_held = folder.is_dir()
    except (BlockingIOError, FileNotFoundError):
        is_held = False
    except OSError:  # no locks here
        is_held = new
    if is_held:
        return descriptor
    os.close(descriptor)
    return None


def _lock_file(folder: Path) -> int:
    """What is locked: the folder itself; on Windows, a file beside it that the system deletes with the process."""
    if sys.platform == "win32":
        return os.open(f"{folder}.lock", os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _remove_unlocked(folder: Path, spare: Callable[[Path], bool] = lambda _: False) -> None:
    """Remove a folder that no process works in, and that is not to be spared."""
    lock = _locked(folder)
    if lock is not None:
        try:
            if not spare(folder):
                _remove(folder)
        finally:
            os.close(lock)


def _remove_unless_ordered(folder: Path) -> None:
    if not (folder / ORDER).exists():
        _remove(folder)


def _remove_own(folder: Path, lock: int, process: int) -> None:
    if os.getpid() == process:  # a forked process has the objects of the first one, and not its files
        _remove(folder)
    os.close(lock)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def lock_folder(folder: Path, *, by: str) -> int | None:
    """A descriptor whose lock on a folder ends when it is closed, or with this process, however it ends.

    None where it is held already. Where the file system knows no locks, it goes without.

    Parameters
    ----------
    by
        Name of a file in the folder that is locked and stays as long as the folder: network file systems lock no
        folders. On Windows, it is a file beside the folder.

    """
    if sys.platform == "win32":
        try:
            return _lock_file(folder)
        except FileExistsError:
            return None
    descriptor = os.open(folder / by, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # no locks here
        return descriptor
    return descriptor


def is_locked(folder: Path, *, by: str) -> bool:
    """Whether a process holds the lock of ``lock_folder``."""
    if sys.platform == "win32":
        return Path(f"{folder}.lock").exists()
    try:
        descriptor = os.open(folder / by, os.O_RDONLY)
    except OSError:  # it is gone
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # several may ask at once
    except BlockingIOError:
        return True
    except OSError:  # no locks here
        return False
    finally:
        os.close(descriptor)
    return False


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
