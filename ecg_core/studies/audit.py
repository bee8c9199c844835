"""The audit trail: who did what and when, append-only, each entry with the hash of the one before.

A changed, removed or inserted entry breaks the chain; a shortened trail no longer ends where ``chain`` says. Whoever
can write to the database can also compute a whole new chain: a signed report holds the hash of the entry before it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from .store import Store, now
from .tables import AuditRow, ChainRow

FIRST_PREVIOUS: Final = "0" * 64
STORE: Final = ""  # in place of a recording: the store's own trail, of studies deleted and imported


@dataclass(frozen=True)
class AuditEntry:
    """One entry of a trail."""

    number: int
    made_at: str  # UTC, ISO 8601
    reader: str
    action: str
    detail: dict[str, Any]
    hash: str


def append(session: Session, record_sha256: str, reader: str, action: str, **detail: Any) -> str:
    """Append an entry in the transaction that makes the change; returns its hash."""
    chain = session.get(ChainRow, record_sha256, with_for_update=True)
    if chain is None:
        chain = ChainRow(record_sha256=record_sha256, length=0, head=FIRST_PREVIOUS)
        session.add(chain)
    row = AuditRow(
        record_sha256=record_sha256, number=chain.length + 1, made_at=now(), reader=reader, action=action,
        detail=canonical(detail), previous=chain.head, hash="",
    )  # fmt: skip
    row.hash = _hash(row)
    session.add(row)
    chain.length, chain.head = row.number, row.hash
    return row.hash


def trail(store: Store, record_sha256: str) -> tuple[AuditEntry, ...]:
    """The entries of a study, the oldest first."""
    with store.reading() as session:
        return tuple(
            AuditEntry(row.number, row.made_at, row.reader, row.action, _detail(row.detail), row.hash)
            for row in _rows(session, record_sha256)
        )


def verify(store: Store, record_sha256: str) -> tuple[str, ...]:
    """What is wrong with the trail of a study, in sentences; empty where every entry is as it was written."""
    with store.reading() as session:
        rows, chain = list(_rows(session, record_sha256)), session.get(ChainRow, record_sha256)
    problems, previous = [], FIRST_PREVIOUS
    for place, row in enumerate(rows, 1):
        if row.number != place:
            problems.append(f"Entry {place} is missing: entry {row.number} follows.")
        if row.previous != previous:
            problems.append(f"Entry {row.number} does not continue the entry before it.")
        if row.hash != _hash(row):
            problems.append(f"Entry {row.number} was changed after it was written.")
        if problems:
            return tuple(problems)  # what follows a break proves nothing
        previous = row.hash
    length, head = (chain.length, chain.head) if chain else (0, FIRST_PREVIOUS)
    if (length, head) != (len(rows), previous):
        problems.append(f"The trail ends after entry {len(rows)}; {length} entries were written.")
    return tuple(problems)


def canonical(content: Any) -> str:
    """Content as JSON that is the same for the same content."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _rows(session: Session, record_sha256: str) -> Any:
    return session.scalars(select(AuditRow).where(AuditRow.record_sha256 == record_sha256).order_by(AuditRow.number))


def _detail(stored: str) -> dict[str, Any]:
    """What an entry states; a damaged text stays visible, and ``verify`` refuses it."""
    try:
        found = json.loads(stored)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"damaged": stored}


def _hash(row: AuditRow) -> str:
    parts = (row.record_sha256, row.number, row.made_at, row.reader, row.action, row.detail, row.previous)
    return hashlib.sha256(canonical(parts).encode()).hexdigest()
