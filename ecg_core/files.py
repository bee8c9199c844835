"""Files that are there as a whole or not at all, whatever stops the program."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A hidden file beside ``path``, to be written; it takes the place of ``path`` when the block ends well.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_file(folder / "beats.csv") as part:
    ...     _ = part.write_text("time_s")
    >>> [file.name for file in folder.iterdir()]
    ['beats.csv']

    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_files(folder: Path, name: str, *, last: Callable[[Path], Any] = lambda path: path.name) -> Iterator[Path]:
    """A hidden folder inside ``folder``; its files move up one by one when the block ends well.

    Parameters
    ----------
    name
        Names the hidden folder: what a killed run of the same work left in it is removed first.
    last
        Sort key of the order in which the files move up: the file that makes the others count comes last.

    """
    hidden = folder / hidden_name(name)
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir()
    try:
        yield hidden
        for path in sorted(hidden.iterdir(), key=last):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


@contextmanager
def atomic_folder(folder: Path, name: str) -> Iterator[Path]:
    """A hidden folder beside ``folder`` that takes its place, and that of what was in it, when the block ends well."""
    hidden = folder.with_name(hidden_name(name))
    hidden.mkdir(parents=True)
    try:
        yield hidden
        if hidden.exists() and folder.exists():
            old = hidden.with_name(f"{hidden.name}-old")
            folder.rename(old)
            hidden.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        elif hidden.exists():
            hidden.rename(folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def hidden_name(name: str) -> str:
    """The name that unfinished work carries."""
    return f".part-{name}"


def sweep(folder: Path) -> None:
    """Remove the hidden folders that killed runs left in a folder."""
    for leftover in folder.glob(hidden_name("*")):
        shutil.rmtree(leftover, ignore_errors=True)
