"""What readers change in an analysis: labels of beats, each edit undone as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..schema import Annotations
from . import audit
from .audit import content_sha256
from .store import Store, now
from .study import IN_REVIEW, Editor, changing, leave_as_it_is
from .tables import EditRow

LABELS: Final = "labels"  # content: [time in seconds, class] of each beat
EDIT_KINDS: Final = (LABELS,)


class Label(NamedTuple):
    """A beat's class as the reader labels it."""

    time_s: float
    label: str


LabelEdit = tuple[Label, ...]  # labels of one beat or of many that are set, and undone, together


def all_labels(edits: Iterable[LabelEdit]) -> list[Label]:
    """The labels of all edits, in their order."""
    return [label for edit in edits for label in edit]


def edits_of(store: Store, record_sha256: str) -> tuple[LabelEdit, ...]:
    """The edits that count, the oldest first."""
    with store.reading() as session:
        return edits_in(session, record_sha256)


def edits_in(session: Session, record_sha256: str) -> tuple[LabelEdit, ...]:
    """See ``edits_of``; in a transaction."""
    query = select(EditRow).where(EditRow.record_sha256 == record_sha256, EditRow.undone_at == "")
    rows = session.scalars(query.order_by(EditRow.number)).all()
    return tuple(tuple(map(Label._make, row.content)) for row in rows)


def annotations_of(edits: Iterable[LabelEdit]) -> Annotations | None:
    """The labels of edits as annotations, in the order of the edits; None where there are none."""
    labels = all_labels(edits)
    if not labels:
        return None
    time_s, label = zip(*labels, strict=True)
    return Annotations(np.array(time_s), np.array(label), np.full(len(labels), ""))


def add_edit(store: Store, record_sha256: str, edit: LabelEdit, editor: Editor) -> None:
    """Save an edit."""
    content = [list(label) for label in edit]
    with changing(store, record_sha256, editor) as (session, row):
        last = session.scalar(select(func.max(EditRow.number)).where(EditRow.record_sha256 == record_sha256)) or 0
        session.add(
            EditRow(
                record_sha256=record_sha256,
                number=last + 1,
                kind=LABELS,
                content=content,
                made_at=now(),
                made_by=editor.reader,
                undone_at="",
            )
        )
        row.state = IN_REVIEW
        audit.append(
            session, record_sha256, editor.reader, "labelled", edit=last + 1, sha256=content_sha256(content),
            **_summary(edit),
        )  # fmt: skip


def undo_edit(store: Store, record_sha256: str, editor: Editor) -> None:
    """Undo the last edit that counts; it stays in the store as undone."""
    query = select(EditRow).where(EditRow.record_sha256 == record_sha256, EditRow.undone_at == "")
    with changing(store, record_sha256, editor) as (session, _row):
        last = session.scalars(query.order_by(EditRow.number.desc()).limit(1)).first()
        if last is not None:
            last.undone_at = now()
            audit.append(session, record_sha256, editor.reader, audit.UNDONE, edit=last.number)
        else:
            leave_as_it_is(session)


def _summary(edit: LabelEdit) -> dict[str, Any]:
    """What an edit did, in short: one beat, or how many of each class."""
    if len(edit) == 1:
        return {"time_s": edit[0].time_s, "label": edit[0].label}
    counts: dict[str, int] = {}
    for label in edit:
        counts[label.label] = counts.get(label.label, 0) + 1
    return {"beats": counts}
