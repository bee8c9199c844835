"""The store: a database, and beside it a folder for what is too large for one.

By default an SQLite file in the user's data folder; ``ECG_STUDIES`` names another folder, ``ECG_STUDIES_URL`` another
database, such as a department's PostgreSQL server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import platformdirs
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from ..errors import StoreError
from .migrations import HEAD, REVISIONS, upgrade
from .problems import store_problem
from .tables import Base

APP_NAME: Final = "ecg-workstation"
DATABASE: Final = "studies.sqlite"
BUSY_WAIT_MS: Final = 10_000  # for another program that writes at the same moment
VERSION_TABLE: Final = "alembic_version"


@dataclass(eq=False)
class Store:
    """An open store."""

    folder: Path
    engine: Engine = field(repr=False)

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        url = self.engine.url
        return str(self.folder / DATABASE) if url.get_backend_name() == "sqlite" else url.render_as_string()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that reads.

        Raises
        ------
        StoreError
            The database cannot be read.

        """
        with _problems(self.place), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that changes something; all of it, or none where the block raises.

        Raises
        ------
        StoreError
            The database cannot be written: read-only, full, damaged, or in use for too long.

        """
        engine = self.engine.execution_options(writes=True)
        with _problems(self.place), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def subfolder(self, *names: str) -> Path:
        """A folder of the store, made where it is missing."""
        path = self.folder.joinpath(*names)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: this folder cannot be made ({error.strerror}). {FREE_THE_PLACE}") from error
        return path

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


FREE_THE_PLACE: Final = "Make room or give write access there; ECG_STUDIES names another folder."


def default_folder() -> Path:
    """The folder of the store: ``ECG_STUDIES``, or the user's data folder."""
    named = os.environ.get("ECG_STUDIES")
    return Path(named) if named else platformdirs.user_data_path(APP_NAME, appauthor=False) / "studies"


def open_store(folder: Path | None = None, *, url: str | None = None) -> Store:
    """Open the store, and make it where there is none; one that an earlier version made is brought up to date.

    Parameters
    ----------
    folder
        The folder of its files; ``ECG_STUDIES``, or the user's data folder, if not given.
    url
        The database as SQLAlchemy names it; ``ECG_STUDIES_URL``, or a file in the folder, if not given.

    Raises
    ------
    StoreError
        It cannot be opened or written, is damaged, or was made by a newer version of this program.

    """
    place = (folder or default_folder()).expanduser().absolute()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{place}: the studies cannot be kept there ({error.strerror}). {FREE_THE_PLACE}") from error
    address = os.environ.get("ECG_STUDIES_URL", "") if url is None else url
    store = Store(place, _engine(address or f"sqlite:///{place / DATABASE}"))
    with _problems(store.place), store.engine.execution_options(writes=True).begin() as connection:
        _bring_up_to_date(connection, store.place)
    return store


def _engine(address: str) -> Engine:
    try:
        url = make_url(address)
        sqlite = url.get_backend_name() == "sqlite"
        engine = create_engine(url, pool_pre_ping=not sqlite)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            "ECG_STUDIES_URL: expected the address of a database, such as postgresql+psycopg://user@host/studies "
            f"({error})."
        ) from error
    if sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where ``_begin_sqlite`` says, and not at the first write
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_WAIT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction; one that writes takes its turn at once, as two that read first could block each other."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _bring_up_to_date(connection: Connection, place: str) -> None:
    if connection.dialect.name == "sqlite":
        damage = connection.execute(text("PRAGMA quick_check(1)")).scalar()
        if damage != "ok":
            raise StoreError(f"{place}: the database is damaged ({damage}). Put a copy of it back, or move it away.")
    present = inspect(connection).get_table_names()
    if VERSION_TABLE not in present:
        Base.metadata.create_all(connection)
        connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:head)"), {"head": HEAD})  # noqa: S608
        return
    revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    if revision not in REVISIONS:
        raise StoreError(
            f"{place}: these studies were written by a newer version of this program (format {revision}; this version "
            f"knows up to {HEAD}). Install the newer version."
        )
    if revision != HEAD:
        upgrade(connection)


@contextmanager
def _problems(place: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise store_problem(place, error) from error


def now() -> str:
    """The present moment: UTC, ISO 8601, always of equal length, so that it sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
