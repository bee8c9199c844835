"""The edits of a study, as stored: each is made, undone and redone as a whole, and noted in the audit trail."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..edits import (
    DeleteEdit,
    Edit,
    InsertEdit,
    LabelEdit,
    TemplateEdit,
    content_of,
    digest_of,
    edit_of,
)
from . import audit
from .audit import content_sha256
from .store import Store, as_text, now
from .study import IN_REVIEW, Editor, changing, leave_as_it_is
from .tables import EditRow


def edits_of(store: Store, record_sha256: str) -> tuple[Edit, ...]:
    """The edits that count, the oldest first."""
    with store.reading() as session:
        return edits_in(session, record_sha256)


def edits_sha256(store: Store, record_sha256: str) -> str:
    """Hash of the edits that count; empty where there are none."""
    return digest_of(edits_of(store, record_sha256))


def edits_in(session: Session, record_sha256: str) -> tuple[Edit, ...]:
    """See ``edits_of``; in a transaction."""
    query = select(EditRow).where(EditRow.record_sha256 == record_sha256, EditRow.undone_at == "")
    return tuple(edit_of(row.kind, row.content) for row in session.scalars(query.order_by(EditRow.number)))


def redoable_of(store: Store, record_sha256: str) -> tuple[Edit, ...]:
    """The edits that were undone since the last one was made: the next to be redone comes first."""
    with store.reading() as session:
        return tuple(edit_of(row.kind, row.content) for row in _redoable(session, record_sha256))


def add_edit(store: Store, record_sha256: str, edit: Edit, editor: Editor) -> None:
    """Save an edit."""
    content = content_of(edit)
    with changing(store, record_sha256, editor) as (session, row):
        last = session.scalar(select(func.max(EditRow.number)).where(EditRow.record_sha256 == record_sha256)) or 0
        session.add(
            EditRow(
                record_sha256=record_sha256,
                number=last + 1,
                kind=edit.kind,
                content=content,
                made_at=now(),
                made_by=editor.reader,
                undone_at="",
            )
        )
        row.state = IN_REVIEW
        audit.append(
            session, record_sha256, editor.reader, audit.EDIT_ACTIONS[edit.kind], edit=last + 1,
            sha256=content_sha256(content), **_summary(edit),
        )  # fmt: skip


def undo_edit(store: Store, record_sha256: str, editor: Editor) -> None:
    """Undo the last edit that counts; it stays in the store as undone."""
    query = select(EditRow).where(EditRow.record_sha256 == record_sha256, EditRow.undone_at == "")
    with changing(store, record_sha256, editor) as (session, _row):
        last = session.scalars(query.order_by(EditRow.number.desc()).limit(1)).first()
        if last is not None:
            last.undone_at = _undone_at(session, record_sha256)
            audit.append(session, record_sha256, editor.reader, audit.UNDONE, edit=last.number)
        else:
            leave_as_it_is(session)


def redo_edit(store: Store, record_sha256: str, editor: Editor) -> None:
    """Let the edit count again that was undone last, where no other was made since."""
    with changing(store, record_sha256, editor) as (session, _row):
        undone = _redoable(session, record_sha256)
        if undone:
            undone[0].undone_at = ""
            audit.append(session, record_sha256, editor.reader, audit.REDONE, edit=undone[0].number)
        else:
            leave_as_it_is(session)


def _undone_at(session: Session, record_sha256: str) -> str:
    """The present moment, or one after all at which edits of the study were undone: clocks stand, and are set back."""
    query = select(func.max(EditRow.undone_at)).where(EditRow.record_sha256 == record_sha256)
    moment, latest = now(), session.scalar(query) or ""
    if moment > latest:
        return moment
    return as_text(datetime.fromisoformat(latest) + timedelta(microseconds=1))


def _redoable(session: Session, record_sha256: str) -> list[EditRow]:
    """The undone edits after the last one that counts, the last undone first.

    One that had been undone before another was made is older than the latter's undoing, and does not return.
    """
    query = select(EditRow).where(EditRow.record_sha256 == record_sha256).order_by(EditRow.number)
    after: list[EditRow] = []
    for row in session.scalars(query):
        after = [*after, row] if row.undone_at else []
    found: list[EditRow] = []
    for row in sorted(after, key=lambda row: row.undone_at, reverse=True):
        if not found or row.number > found[-1].number:
            found.append(row)
    return found


def _summary(edit: Edit) -> dict[str, Any]:
    """What an edit did, in short: one beat, or how many of each class."""
    match edit:
        case LabelEdit(labels=labels) | InsertEdit(beats=labels):
            several = {"beats": dict(Counter(label.label for label in labels))}
            return labels[0]._asdict() if len(labels) == 1 else several
        case DeleteEdit(times_s=times_s):
            return {"time_s": times_s[0]} if len(times_s) == 1 else {"n_beats": len(times_s)}
        case TemplateEdit():
            return {"change": edit.action, "templates": list(edit.names)}
    what = {name: getattr(edit, name) for name in ("analysable", "rhythm", "event") if hasattr(edit, name)}
    if len(edit.stretches) == 1:
        return what | edit.stretches[0]._asdict()
    total_s = sum(stretch.end_s - stretch.start_s for stretch in edit.stretches)
    return what | {"stretches": len(edit.stretches), "total_s": round(total_s, 3)}
