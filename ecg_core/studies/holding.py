"""Who may change a study: one browser window or command at a time; the others read along, or take over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from ..errors import StudyHeldError
from .store import Store, insert_missing, now
from .tables import HoldRow, StudyRow

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
        if row is None:
            if database.get(StudyRow, record_sha256) is None:
                return Hold(session, reader, now())
            nobody = {"session": "", "reader": "", "since": "", "seen_at": ""}
            insert_missing(database, HoldRow, {"record_sha256": record_sha256, **nobody})
            row = database.get_one(HoldRow, record_sha256, with_for_update=True)
        if take_over or row.session == session or _is_lost(row):
            if row.session != session:
                row.session, row.since = session, now()
            row.reader, row.seen_at = reader, now()
        return Hold(row.session, row.reader, row.since)


def keep_holding(store: Store, sessions: set[str]) -> None:
    """Note that these windows are still there, and release what others of this server's windows left."""
    with store.writing() as database:
        for row in database.query(HoldRow).filter(HoldRow.session.in_(sessions)):
            row.seen_at = now()


def release(store: Store, session: str) -> None:
    """Release all studies that a window or command holds."""
    with store.writing() as database:
        database.query(HoldRow).filter(HoldRow.session == session).delete()


def require_hold(database: Session, record_sha256: str, session: str) -> None:
    """Refuse a change by a window that does not hold the study; one that nobody holds is held from then on.

    Raises
    ------
    StudyHeldError
        Another window or command holds it.

    """
    row = database.get(HoldRow, record_sha256)
    if row is None or row.session == session or _is_lost(row):
        return
    raise StudyHeldError(
        f"This study is open for changes elsewhere, by {row.reader or 'another reader'}: nothing was changed here. "
        "Take it over to go on."
    )


def _is_lost(row: HoldRow) -> bool:
    return not row.seen_at or datetime.now(UTC) - datetime.fromisoformat(row.seen_at) > LOST_AFTER
