"""The store: a database, and beside it a folder for what is too large for one.

By default an SQLite file in the user's data folder; ``ECG_STUDIES`` names another folder, ``ECG_STUDIES_URL`` another
database, such as a department's PostgreSQL server.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final

import platformdirs
from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from ..errors import StoreError
from ..files import APP_NAME, PRIVATE, atomic_file, sweep
from .migrations import HEAD, REVISIONS, upgrade
from .problems import DAMAGED, PROTECTED, store_problem, text_problem
from .tables import Base

DATABASE: Final = "studies.sqlite"
BUSY_WAIT_MS: Final = 10_000  # for another program that writes at the same moment
CONNECT_WAIT_S: Final = 10  # for a database server that does not answer
VERSION_TABLE: Final = "alembic_version"
SQLITE, POSTGRESQL, DRIVER = "sqlite", "postgresql", "postgresql+psycopg"
SET_UP_LOCK: Final = 0x656367  # any number: of two programs that make the tables on a server, one waits
INSERT: Final[dict[str, Any]] = {SQLITE: sqlite.insert, POSTGRESQL: postgresql.insert}


@dataclass(eq=False)
class Store:
    """An open store."""

    folder: Path
    engine: Engine = field(repr=False)

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        url = self.engine.url
        return str(url.database) if url.get_backend_name() == SQLITE else url.render_as_string()

    @property
    def copies(self) -> list[Path]:
        """Copies of an SQLite database that were kept before its tables changed; what was deleted since is in them."""
        database = Path(self.place)
        is_sqlite = self.engine.url.get_backend_name() == SQLITE
        return sorted(database.parent.glob(f"{database.stem}.*{database.suffix}")) if is_sqlite else []

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that reads; it sees the database as of one moment.

        Raises
        ------
        StoreError
            The database cannot be read.

        """
        of_one_moment = {"isolation_level": "REPEATABLE READ"} if self.engine.dialect.name == POSTGRESQL else {}
        with database_problems(self.place), Session(self.engine.execution_options(**of_one_moment)) as session:
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
        with database_problems(self.place), Session(engine, expire_on_commit=False) as session, session.begin():
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


def open_store(folder: Path | None = None, *, url: str | None = None, checked: bool = False) -> Store:
    """Open the store, and make it where there is none; one that an earlier version made is brought up to date.

    Parameters
    ----------
    folder
        The folder of its files; ``ECG_STUDIES``, or the user's data folder, if not given.
    url
        The database as SQLAlchemy names it; ``ECG_STUDIES_URL``, or a file in the folder, if not given.
    checked
        Whether this command has opened it before: an SQLite file is not read as a whole again to find damage, which
        takes as long as the store is large.

    Raises
    ------
    StoreError
        It cannot be opened or written, is damaged, or was made by a newer version of this program.

    """
    try:
        place = Path(os.path.abspath((folder or default_folder()).expanduser()))  # noqa: PTH100  # links stay
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=PRIVATE, exist_ok=True)
    except (OSError, RuntimeError) as error:  # the latter where "~name" names nobody
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"{folder or default_folder()}: the studies cannot be kept there ({reason}). {FREE_THE_PLACE}"
        ) from error
    address = os.environ.get("ECG_STUDIES_URL", "") if url is None else url
    store = Store(place, _engine(_url(address) if address else URL.create(SQLITE, database=str(place / DATABASE))))
    try:
        with database_problems(store.place), store.engine.execution_options(writes=True).begin() as connection:
            if connection.dialect.name == SQLITE:
                _check_file(connection, store.place, checked=checked)
            _bring_up_to_date(connection, store.place)
    except BaseException:
        store.close()
        raise
    if not checked:
        for subfolder in (place, *place.glob("*/"), *place.glob("*/*/")):  # what a killed process left
            sweep(subfolder)
    return store


def _url(address: str) -> URL:
    """The address of a database as a person types it."""
    expected = "ECG_STUDIES_URL: expected the address of a database, such as postgresql+psycopg://user@host/studies"
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise StoreError(f"{expected}; it cannot be understood.") from error  # it may hold a password: not shown
    if url.drivername in (POSTGRESQL, "postgres"):
        url = url.set(drivername=DRIVER)
    if url.get_backend_name() not in INSERT:
        raise StoreError(f"{expected}; studies are kept in SQLite or PostgreSQL, not in {url.drivername}.")
    return url


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == SQLITE
    waits = {"connect_timeout": CONNECT_WAIT_S, "options": f"-c lock_timeout={BUSY_WAIT_MS}"}
    try:
        engine = create_engine(url, pool_pre_ping=not is_sqlite, connect_args={} if is_sqlite else waits)
    except (SQLAlchemyError, ImportError) as error:
        raise StoreError(
            f"{url.render_as_string()}: the driver of this database cannot be used ({error}). Install it: pip install "
            '"psycopg[binary]".'
        ) from error
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where ``_begin_sqlite`` says, and not at the first write
    pragmas = [f"busy_timeout={BUSY_WAIT_MS}", "synchronous=FULL", "foreign_keys=ON"]
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not tables or VERSION_TABLE in tables:  # else it is another program's, and is refused as it is
            pragmas.append("journal_mode=WAL")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.Error:
        connection.close()
        raise


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction; one that writes takes its turn at once, as two that read first could block each other."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check_file(connection: Connection, place: str, *, checked: bool) -> None:
    if not checked and connection.execute(text("PRAGMA quick_check(1)")).scalar() != "ok":
        raise StoreError(f"{place}: {DAMAGED}")
    if not os.access(place, os.W_OK):
        raise StoreError(f"{place}: {PROTECTED}")


def _bring_up_to_date(connection: Connection, place: str) -> None:
    if connection.dialect.name == POSTGRESQL:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({SET_UP_LOCK})"))
    present = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in present:
        _make_tables(connection, place, present)
        return
    revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    if revision not in REVISIONS:
        raise StoreError(
            f"{place}: these studies were written by a newer version of this program (format {revision}; this version "
            f"knows up to {HEAD}). Install the newer version."
        )
    if revision != HEAD:
        if connection.dialect.name == SQLITE:
            _keep_copy(Path(place), revision)
        upgrade(connection, HEAD)


def _make_tables(connection: Connection, place: str, present: set[str]) -> None:
    if present:
        names = ", ".join(sorted(present)[:3])
        raise StoreError(
            f"{place}: this database holds tables of another program ({names}), and nothing was written into it. Give "
            "the studies a database of their own."
        )
    Base.metadata.create_all(connection)
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:head)"), {"head": HEAD})  # noqa: S608


def _keep_copy(database: Path, revision: str) -> None:
    """Copy an SQLite database before its tables change, as ``studies.0001.sqlite`` beside it."""
    copy = database.with_suffix(f".{revision}{database.suffix}")
    try:
        with (
            atomic_file(copy) as part,
            closing(sqlite3.connect(database)) as source,
            closing(sqlite3.connect(part)) as target,
        ):
            source.backup(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{copy}: the copy that is kept before the studies change to this version cannot be made ({error}); they "
            f"are as they were. {FREE_THE_PLACE}"
        ) from error


def insert_missing(session: Session, table: type[Base], values: dict[str, Any]) -> bool:
    """Insert a row where its key is free, also where another program inserts the same row now; whether it was."""
    keys = inspect(table).primary_key
    statement = INSERT[session.get_bind().dialect.name](table).values(values).on_conflict_do_nothing().returning(*keys)
    return session.execute(statement).first() is not None


@contextmanager
def database_problems(place: str) -> Iterator[None]:
    """Turn the errors of a database, of damaged content in it, and of text that it cannot hold, into sentences."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise text_problem(error) from error
    except (SQLAlchemyError, JSONDecodeError, UnicodeDecodeError) as error:
        raise store_problem(place, error) from error


def database_time(session: Session) -> datetime:
    """The present moment by the clock of the database: computers that share one need not have the same time.

    An SQLite file is used by the programs of one computer alone, and so by one clock.
    """
    if session.get_bind().dialect.name == POSTGRESQL:
        moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)
    return datetime.now(UTC)


def as_text(moment: datetime) -> str:
    """A moment as the tables hold it: UTC, ISO 8601, always of equal length, so that it sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def now() -> str:
    """The present moment by the clock of this computer; see ``as_text``."""
    return as_text(datetime.now(UTC))
