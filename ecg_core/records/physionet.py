"""Databases of PhysioNet on this computer: downloaded, verified, and copied at 125 Hz.

Files have PhysioNet's layout, ``<folder>/<database>/<version>/<record>.hea``; the copy of the database at 125 Hz is
beside it, ``<folder>/<database>-125hz/<version>/``. A file under its final name is complete and has its published
checksum. An interrupted download continues where it stopped when it is started again.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pooch
import requests

from ..errors import DownloadError
from ..files import sweep
from ..text import plural
from .convert import write_at_125_hz
from .reading import read_record
from .wfdb_header import is_bare

BASE_URL = "https://physionet.org/files/"
FOLDER = Path("data")
SUFFIXES = (".hea", ".dat", ".atr")
CHECKSUMS = "SHA256SUMS.txt"
TRIES = 4  # of each file, with longer and longer pauses between them
TIMEOUT_S = 30.0  # without a byte
CHUNK_BYTES = 1 << 16
RESAMPLED = "-125hz"  # suffix of the folder that holds the copies of a database


@dataclass(frozen=True)
class Database:
    """A database of PhysioNet."""

    name: str
    version: str
    title: str
    records: tuple[str, ...]  # fetched by default


DATABASES: Final = {
    database.name: database
    for database in (
        Database("nsrdb", "1.0.0", "MIT-BIH Normal Sinus Rhythm, 24 h, 128 Hz", ("16265", "16272")),
        Database("svdb", "1.0.0", "MIT-BIH Supraventricular Arrhythmia, 30 min, 128 Hz", ("801", "802", "841")),
        Database("incartdb", "1.0.0", "St Petersburg INCART, 12 leads, 30 min, 257 Hz", ("I01", "I02", "I20")),
        Database("mitdb", "1.0.0", "MIT-BIH Arrhythmia, 30 min, 360 Hz", ("100", "119", "208")),
        Database("nstdb", "1.0.0", "MIT-BIH Noise Stress Test, 30 min, 360 Hz", ("bw", "em", "ma")),
    )
}
USUAL: Final = ("nsrdb", "svdb", "incartdb")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a database, with the checksum that PhysioNet publishes."""

    name: str
    sha256: str


class DownloadProgress:
    """Counts the bytes of all downloads and reports them with the time left."""

    def __init__(self, total_bytes: int, show: Callable[[str], None]) -> None:
        self._expected, self._show, self._done = total_bytes, show, 0
        self._began, self._lock = time.monotonic(), threading.Lock()

    def update(self, n_bytes: int) -> None:
        """Count some bytes more."""
        with self._lock:
            self._done = min(self._done + n_bytes, self._expected)
            passed_s = time.monotonic() - self._began
            left_s = passed_s * (self._expected / self._done - 1) if self._done else 0.0
            self._show(f"{_size(self._done)} of {_size(self._expected)}, {left_s:.0f} s left")


class _FileProgress:
    """A progress bar as pooch expects one: pooch fills it again at the end of a file, which would count twice."""

    def __init__(self, progress: DownloadProgress) -> None:
        self.progress, self.total, self._filled = progress, 0, False

    def update(self, n_bytes: int) -> None:
        if not self._filled:
            self.progress.update(n_bytes)

    def reset(self) -> None:
        self._filled = True

    def close(self) -> None:
        pass


def fetch(
    names: Sequence[str],
    *,
    records: str = "",
    folder: Path = FOLDER,
    base_url: str = BASE_URL,
    jobs: int = 4,
    report: Callable[[str], None] = print,
    show: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Download records of some databases and copy them at 125 Hz.

    Parameters
    ----------
    records
        A number of records of each database, ``all``, or names with commas; by default a few of each.
    jobs
        Downloads at a time.
    report, show
        Called with each line that stays, and with each line of progress.

    Returns
    -------
    The records at 125 Hz, as paths without suffix.

    Raises
    ------
    DownloadError
        A database or record does not exist, the server cannot be reached or sends wrong files, or the disk is full.
        What was downloaded until then is kept.

    """
    pooch.get_logger().setLevel(logging.ERROR)  # this function reports instead
    copies: list[Path] = []
    for name in names:
        database = _database(name)
        place = folder / database.name / database.version
        with _worded_errors(_url(base_url, database), place):
            place.mkdir(parents=True, exist_ok=True)
            _remove_partial_downloads(place)
            sums = _checksums(database, place, base_url)
            chosen = _choose(database, sums, records)
            files = [RemoteFile(file, sums[file]) for file in sums if Path(file).stem in chosen]
            files = [file for file in files if Path(file.name).suffix in SUFFIXES and is_bare(file.name)]
            _download(database, files, place, base_url, jobs, report, show)
            target = folder / f"{database.name}{RESAMPLED}" / database.version
            copies += _copy_all(database, [place / record for record in chosen], target, report, show)
    return copies


def _database(name: str) -> Database:
    if name not in DATABASES:
        raise DownloadError(f'"{name}" is not a known database; choose among {", ".join(DATABASES)}.')
    return DATABASES[name]


def _url(base_url: str, database: Database) -> str:
    return f"{base_url}{database.name}/{database.version}/"


def _remove_partial_downloads(place: Path) -> None:
    """Remove the temporary files of pooch that killed downloads left."""
    for leftover in place.glob("tmp????????"):
        leftover.unlink(missing_ok=True)


def _checksums(database: Database, place: Path, base_url: str) -> dict[str, str]:
    """Names of the database's files with their SHA-256, as PhysioNet publishes them."""
    path = place / CHECKSUMS
    if not path.is_file():
        url = f"{_url(base_url, database)}{CHECKSUMS}"
        store = pooch.create(place, base_url="", registry={CHECKSUMS: None}, urls={CHECKSUMS: url})
        store.retry_if_failed = TRIES - 1
        store.fetch(CHECKSUMS, downloader=pooch.HTTPDownloader(timeout=TIMEOUT_S))
    found = re.findall(r"^([0-9a-f]{64})[ *]+(\S+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if not found:
        path.unlink()
        raise DownloadError(f"{path}: expected lines of a SHA-256 and a name, found none; start the download again.")
    return {name: sha256 for sha256, name in found}


def _choose(database: Database, sums: dict[str, str], records: str) -> list[str]:
    """Names of the records to be fetched."""
    available = [Path(name).stem for name in sums if name.endswith(".hea") and "/" not in name]
    if not records:
        return [name for name in database.records if name in available] or available[:2]
    if records == "all":
        return available
    if records.isdigit() and records not in available:
        if int(records) == 0:
            raise DownloadError(
                "0 records: expected a number from 1, all, or names with commas.", settings=("records",)
            )
        return available[: int(records)]
    chosen = [name.strip() for name in records.split(",") if name.strip()]
    missing = [name for name in chosen if name not in available]
    if missing:
        raise DownloadError(
            f"{database.name} has no record {', '.join(missing)}; it has {', '.join(available[:8])} and so on "
            f"({len(available)} in all).",
            settings=("records",),
        )
    return chosen


def _download(
    database: Database,
    files: Sequence[RemoteFile],
    place: Path,
    base_url: str,
    jobs: int,
    report: Callable[[str], None],
    show: Callable[[str], None],
) -> None:
    """Download the files that are missing or damaged, several at a time."""
    left = [file for file in files if not _is_complete(place / file.name, file.sha256)]
    if not left:
        report(f"{place}: complete with {plural(len(files), 'file')}; nothing to fetch.")
        return
    url = _url(base_url, database)
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        sizes = list(pool.map(lambda file: _size_of(f"{url}{file.name}"), left))
        report(f"{database.title}: {plural(len(left), 'file')}, {_size(sum(sizes))}, to {place}")
        progress = DownloadProgress(sum(sizes), show)
        store = pooch.create(place, base_url=url, registry={file.name: file.sha256 for file in left})
        store.retry_if_failed = TRIES - 1

        def fetch_one(file: RemoteFile) -> None:
            bar: Any = _FileProgress(progress)
            store.fetch(file.name, downloader=pooch.HTTPDownloader(bar, CHUNK_BYTES, timeout=TIMEOUT_S))

        list(pool.map(fetch_one, left))


def _is_complete(path: Path, sha256: str) -> bool:
    return path.is_file() and pooch.file_hash(str(path)) == sha256


def _size_of(url: str) -> int:
    """Bytes of a file on the server; 0 where it does not state them."""
    answer = requests.head(url, timeout=TIMEOUT_S, allow_redirects=True)
    return int(answer.headers.get("content-length", 0)) if answer.ok else 0


def _copy_all(
    database: Database, paths: Sequence[Path], target: Path, report: Callable[[str], None], show: Callable[[str], None]
) -> list[Path]:
    """Copy records at 125 Hz, except those that have been copied."""
    target.mkdir(parents=True, exist_ok=True)
    sweep(target)
    copies, made = [], 0
    for path in paths:
        copy = target / path.name
        if not copy.with_name(f"{path.name}.hea").is_file():
            show(f"{path.name} at 125 Hz")
            write_at_125_hz(read_record(path), target, origin=f"PhysioNet {database.name} {database.version}")
            made += 1
        copies.append(copy)
    report(f"{target}: {plural(made, 'record')} copied at 125 Hz, {len(copies) - made} were there before.")
    return copies


@contextmanager
def _worded_errors(url: str, place: Path) -> Iterator[None]:
    """Turn errors of network and disk into sentences that say what to do."""
    again = "What was fetched is kept; start the same download again to go on."
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise DownloadError(f"{url}: the server answered {status}. {again}") from error
    except requests.Timeout as error:
        raise DownloadError(f"{url}: no answer within {TIMEOUT_S:g} s. {again}") from error
    except requests.RequestException as error:
        raise DownloadError(
            f"{url}: cannot be reached, or the connection was lost; check the network. {again}"
        ) from error
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise
        name = re.search(r"\(([^)]+)\)", str(error))
        raise DownloadError(
            f"{name[1] if name else 'A file'}: what the server sent does not have the published SHA-256, {TRIES} "
            f"times; it was discarded. {again}"
        ) from error
    except OSError as error:
        raise DownloadError(f"{place}: cannot be written ({error.strerror or error}). {again}") from error


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
