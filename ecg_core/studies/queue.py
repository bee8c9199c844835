"""The queue of analyses, as it is stored: what waits, runs, or was stopped; it outlives the server."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update

from ..files import is_running
from .store import Store, as_text, database_time, now
from .study import Editor
from .tables import QueueRow, StudyRow

WAITING, RUNNING, CANCELLED, FAILED, INTERRUPTED = "waiting", "running", "cancelled", "failed", "interrupted"
QUEUE_STATES: Final = (WAITING, RUNNING, CANCELLED, FAILED, INTERRUPTED)
LOST_AFTER: Final = timedelta(minutes=10)  # the longest step of an analysis without a report takes a minute or two


@dataclass(frozen=True)
class Queued:
    """An analysis in the queue."""

    id: int
    record_sha256: str
    record_id: str
    lead: str
    model_name: str
    rules: dict[str, Any]
    n_fitted_edits: int
    state: str
    problem: str
    asked_by: str


def enqueue(
    store: Store, record_sha256: str, editor: Editor, *, lead: str, model_name: str, rules: dict[str, Any],
    n_fitted_edits: int = 0,
) -> int:  # fmt: skip
    """Put an analysis at the end of the queue; returns its id.

    One of the same study that was stopped gives way, or that waits for the same model; an analysis by another model
    beside it stays in line.
    """
    with store.writing() as session:
        for old in session.scalars(select(QueueRow).where(QueueRow.record_sha256 == record_sha256)):
            if old.state != RUNNING and (old.state != WAITING or old.model_name == model_name):
                session.delete(old)
        row = QueueRow(
            record_sha256=record_sha256, lead=lead, model_name=model_name, rules=rules, n_fitted_edits=n_fitted_edits,
            state=WAITING, problem="", asked_at=now(), asked_by=editor.reader, owner=this_process(),
            seen_at=as_text(database_time(session)),
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def queue(store: Store) -> list[Queued]:
    """The whole queue, in its order."""
    query = select(QueueRow, StudyRow.record_id).join(StudyRow).order_by(QueueRow.id)
    with store.reading() as session:
        return [
            Queued(
                row.id,
                row.record_sha256,
                name,
                row.lead,
                row.model_name,
                dict(row.rules),
                row.n_fitted_edits,
                row.state,
                row.problem,
                row.asked_by,
            )
            for row, name in session.execute(query)
        ]


def set_queue_state(store: Store, queued_id: int, state: str, *, problem: str = "") -> bool:
    """Note the state of an analysis; False where it is no longer in the queue."""
    with store.writing() as session:
        row = session.get(QueueRow, queued_id)
        if row is not None:
            row.state, row.problem = state, problem
            row.owner, row.seen_at = this_process(), as_text(database_time(session))
        return row is not None


def this_process() -> str:
    """A name of this process that no other has, on any computer."""
    return f"{socket.gethostname()}:{os.getpid()}"


def keep_in_queue(store: Store) -> None:
    """Note that the process whose analyses wait or run is still there; called every few seconds while one runs."""
    with store.writing() as session:
        seen = update(QueueRow).where(QueueRow.owner == this_process(), QueueRow.state.in_((WAITING, RUNNING)))
        moment = as_text(database_time(session))
        session.execute(seen.values(seen_at=moment), execution_options={"synchronize_session": False})


def leave_queue(store: Store, queued_id: int) -> None:
    """Take an analysis out of the queue: it is done, or nobody wants it."""
    with store.writing() as session:
        row = session.get(QueueRow, queued_id)
        if row is not None:
            session.delete(row)


def note_interrupted(store: Store) -> None:
    """What a server that ended left as waiting or running is interrupted, so that it can be resumed.

    To be called when a server begins. Another one that works on the same store keeps its analyses.
    """
    query = select(QueueRow).where(QueueRow.state.in_((WAITING, RUNNING))).with_for_update()
    with store.writing() as session:
        moment = database_time(session)
        for row in session.scalars(query):
            if _is_gone(row.owner) or moment - datetime.fromisoformat(row.seen_at) > LOST_AFTER:
                row.state = INTERRUPTED


def _is_gone(owner: str) -> bool:
    """Whether a process is known to have ended: this one, which begins, had its number from an earlier one."""
    host, _, process = owner.rpartition(":")
    return host == socket.gethostname() and (owner == this_process() or not is_running(int(process)))
