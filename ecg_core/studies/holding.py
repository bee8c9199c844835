"""Who may change a study: one browser window or command at a time; the others read along, or take over."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from ..errors import StudyHeldError
from ..files import is_running
from .store import Store, as_text, database_time, insert_missing
from .tables import HoldRow, StudyRow

COMMAND: Final = "command "  # beginning of the session of a command; then its computer, its process, and a number
LOST_AFTER: Final = timedelta(seconds=30)  # a holder that was not seen for so long has left; windows report every 5 s


@dataclass(frozen=True)
class Hold:
    """Who holds a study, and since when (UTC, ISO 8601)."""

    session: str
    reader: str
    since: str


def hold(store: Store, record_sha256: str, *, session: str, reader: str, take_over: bool = False) -> Hold:
    """Hold a study where nobody else does, or take it over; returns who holds it now."""
    with store.writing() as database:
        row = database.get(HoldRow, record_sha256, with_for_update=True)
        if row is None and database.get(StudyRow, record_sha256) is None:
            return Hold(session, reader, as_text(database_time(database)))
        while row is None:  # again, where another window held it for the moment between these two statements
            nobody = {"session": "", "reader": "", "since": "", "seen_at": ""}
            insert_missing(database, HoldRow, {"record_sha256": record_sha256, **nobody})
            row = database.get(HoldRow, record_sha256, with_for_update=True)
        moment = database_time(database)
        if take_over or row.session == session or _is_lost(row, moment):
            if row.session != session:
                row.session, row.since = session, as_text(moment)
            row.reader, row.seen_at = reader, as_text(moment)
        return Hold(row.session, row.reader, row.since)


def keep_holding(store: Store, sessions: set[str]) -> None:
    """Note that these windows are still there."""
    with store.writing() as database:  # one statement: another window may take over, or release, at this moment
        seen = update(HoldRow).where(HoldRow.session.in_(sessions)).values(seen_at=as_text(database_time(database)))
        database.execute(seen, execution_options={"synchronize_session": False})


def release(store: Store, session: str, *, record_sha256: str = "") -> None:
    """Release all studies that a window or command holds, or the one that is named."""
    with store.writing() as database:
        held = database.query(HoldRow).filter(HoldRow.session == session)
        if record_sha256:
            held = held.filter(HoldRow.record_sha256 == record_sha256)
        held.delete()


def holds(store: Store) -> dict[str, Hold]:
    """Who holds which study at present, by the SHA-256 of its recording."""
    with store.reading() as database:
        rows, moment = database.query(HoldRow).all(), database_time(database)
        held = [row for row in rows if not _is_lost(row, moment)]
        return {row.record_sha256: Hold(row.session, row.reader, row.since) for row in held}


def require_hold(database: Session, record_sha256: str, session: str) -> None:
    """Refuse a change by a window that does not hold the study; nobody takes it over until the change is made.

    Raises
    ------
    StudyHeldError
        Another window or command holds it.

    """
    row = database.get(HoldRow, record_sha256, with_for_update=True)
    if row is None or row.session == session or _is_lost(row, database_time(database)):
        return
    raise StudyHeldError(
        f"This study is open for changes elsewhere, by {row.reader or 'another reader'}: nothing was changed here. "
        "Take it over to go on."
    )


def _is_lost(row: HoldRow, moment: datetime) -> bool:
    """Whether a holder was not seen for long, or is a command of this computer whose process has ended."""
    if not row.seen_at or moment - datetime.fromisoformat(row.seen_at) > LOST_AFTER:
        return True
    host, _, rest = row.session.removeprefix(COMMAND).partition(":")
    process = rest.partition(":")[0]
    is_here = row.session.startswith(COMMAND) and host == socket.gethostname() and process.isdigit()
    return is_here and not is_running(int(process))
