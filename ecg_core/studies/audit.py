"""The audit trail: who did what and when, append-only, each entry with the hash of the one before.

A changed, removed or inserted entry breaks the chain; a shortened trail no longer ends where ``chain`` says. Whoever
can write to the database can also compute a whole new chain: a signed report holds the hash of the entry before it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from .store import Store, insert_missing, now
from .tables import AuditRow, ChainRow, EditRow, SignatureRow, StudyRow

FIRST_PREVIOUS: Final = "0" * 64
STORE: Final = ""  # in place of a recording: the store's own trail, of studies deleted and imported
DELETED, IMPORTED, UNDONE = "deleted", "imported", "undone"  # actions that decide what is stored


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
    if chain is None:  # another program may begin the same trail at this moment
        insert_missing(session, ChainRow, {"record_sha256": record_sha256, "length": 0, "head": FIRST_PREVIOUS})
        chain = session.get_one(ChainRow, record_sha256, with_for_update=True)
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
        return tuple(_entry(row) for row in rows_of(session, record_sha256))


def verify(store: Store, record_sha256: str) -> tuple[str, ...]:
    """What is wrong with the trail of a study, or with the edits and signatures it states, in sentences.

    Empty where every entry is as it was written, and every edit and signature is as its entry states.
    """
    with store.reading() as session:
        return problems_of(session, record_sha256)


def problems_of(session: Session, record_sha256: str) -> tuple[str, ...]:
    """See ``verify``; in a transaction, also before it ends."""
    rows, chain = list(rows_of(session, record_sha256)), session.get(ChainRow, record_sha256)
    problems = chain_problems(rows, (chain.length, chain.head) if chain else (0, FIRST_PREVIOUS))
    if problems or record_sha256 == STORE:
        return problems  # what follows a break proves nothing
    return tuple(_content_problems(session, record_sha256, [_entry(row) for row in rows]))


def chain_problems(rows: Sequence[AuditRow], end: tuple[int, str]) -> tuple[str, ...]:
    """What is wrong with the entries of a trail, given the length and the last hash that it should have."""
    problems, previous = [], FIRST_PREVIOUS
    for place, row in enumerate(rows, 1):
        if row.number != place:
            problems.append(f"Entry {place} is missing: entry {row.number} follows.")
        if row.previous != previous:
            problems.append(f"Entry {row.number} does not continue the entry before it.")
        if row.hash != _hash(row):
            problems.append(f"Entry {row.number} was changed after it was written.")
        if problems:
            return tuple(problems)
        previous = row.hash
    if end != (len(rows), previous):
        problems.append(f"The trail ends after entry {len(rows)}; {end[0]} entries were written.")
    return tuple(problems)


def counting(entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    """The entries that describe what is stored now: those since a deletion, or those that an import brought back."""
    count: list[AuditEntry] = []
    for entry in entries:
        if entry.action == DELETED:
            count = []
        elif entry.action == IMPORTED:
            count = counting([one for one in entries if one.number <= entry.detail["entries"]])
        count.append(entry)
    return count


def content_sha256(content: Sequence[Any]) -> str:
    """Hash of an edit or a signature, by which the audit trail knows it."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def signature_sha256(row: SignatureRow) -> str:
    """Hash of a signature, which its entry in the trail states."""
    return content_sha256(
        [row.version, row.reader, row.role, row.statement, row.signed_at, row.addendum, dict(row.hashes)]
    )


def canonical(content: Any) -> str:
    """Content as JSON that is the same for the same content."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _content_problems(session: Session, record_sha256: str, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """Where edits and signatures differ from what the entries state."""
    if session.get(StudyRow, record_sha256) is None:
        if entries and entries[-1].action != DELETED:
            yield "The study is missing, and no entry states that it was deleted."
        return
    count = counting(entries)
    edits = session.scalars(select(EditRow).where(EditRow.record_sha256 == record_sha256).order_by(EditRow.number))
    yield from _edit_problems(list(edits), count)
    signatures = session.scalars(select(SignatureRow).where(SignatureRow.record_sha256 == record_sha256))
    stored = Counter(signature_sha256(row) for row in signatures)
    stated = Counter(str(entry.detail["signature_sha256"]) for entry in count if "signature_sha256" in entry.detail)
    if n := (stated - stored).total():
        yield f"{n} of {stated.total()} signatures that the trail states are missing, or were changed."
    if n := (stored - stated).total():
        yield f"{n} of {stored.total()} stored signatures are in no entry of the trail."


def _edit_problems(edits: Sequence[EditRow], entries: Sequence[AuditEntry]) -> Iterator[str]:
    stated = {entry.detail["edit"]: entry for entry in entries if {"edit", "sha256"} <= entry.detail.keys()}
    undone = {entry.detail["edit"] for entry in entries if entry.action == UNDONE}
    for number in sorted(stated.keys() - {edit.number for edit in edits}):
        yield f"Edit {number} is missing; entry {stated[number].number} states it."
    for edit in edits:
        entry = stated.get(edit.number)
        if entry is None:
            yield f"Edit {edit.number} is in no entry of the trail."
        elif content_sha256(edit.content) != entry.detail["sha256"]:
            yield f"Edit {edit.number} was changed after entry {entry.number} was written."
        elif edit.made_by != entry.reader:
            yield f"Edit {edit.number} is by {entry.reader}, as entry {entry.number} states, not by {edit.made_by}."
        if bool(edit.undone_at) != (edit.number in undone):
            is_undone = (
                "is undone, and no entry states it" if edit.undone_at else "counts, and an entry states its undoing"
            )
            yield f"Edit {edit.number} {is_undone}."


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(row.number, row.made_at, row.reader, row.action, _detail(row.detail), row.hash)


def rows_of(session: Session, record_sha256: str) -> Iterable[AuditRow]:
    """The rows of a trail, the oldest first."""
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
