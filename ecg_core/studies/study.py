"""Studies: adding, finding, opening, and what the worklist says of each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from ..errors import ChangeRefusedError, StoreError
from ..schema import Record, RecordOverrides
from . import audit
from .holding import require_hold
from .store import Store, now
from .tables import StudyRow

NEW, ANALYSED, IN_REVIEW, SIGNED = "new", "analysed", "in review", "signed"
STATES: Final = (NEW, ANALYSED, IN_REVIEW, SIGNED)  # a running analysis is known by the queue

HASH_START: Final = re.compile(r"[0-9a-f]{6,64}")  # six digits: of 10,000 studies, fewer than one in 1,600 shares them
SHOWN_DIGITS: Final = 8  # of a hash, in sentences and tables
SHOWN_STUDIES: Final = 5  # in a sentence that lists those that fit
PARTS_OF_A_RECORD: Final = (".hea", ".dat", ".atr")  # a WFDB record opens by its path without these


class Editor(NamedTuple):
    """Who changes something, and from where."""

    reader: str  # a name, as typed
    session: str  # a browser window or a command; see ``holding``


@dataclass(frozen=True)
class Study:
    """What the store knows of one recording."""

    record_sha256: str
    record_id: str
    path: Path
    overrides: RecordOverrides
    kept: bool  # whether its files lie in the store's folder and go with the study
    start: str
    duration_s: float
    lead_names: tuple[str, ...]
    simulated: bool
    state: str
    archived: bool
    lead: str
    model_name: str
    model_sha256: str  # empty until analysed
    rules: dict[str, float]
    n_fitted_edits: int
    n_beats: int | None
    pvc_pct: float | None
    sve_pct: float | None
    af_pct: float | None
    danger: str
    patient_name: str
    view: dict[str, Any]
    edited_at: str
    edited_by: str
    version: int


def add_study(store: Store, record: Record, editor: Editor, *, kept: bool = False) -> Study:
    """Add a recording, or return its study where it is known; a file that was moved has its new place from then on."""
    files = [[str(path.absolute()), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in sorted(record.files)]
    with store.writing() as session:
        row = session.get(StudyRow, record.sha256)
        if row is None:
            row = _new_row(record, editor, files, kept=kept)
            session.add(row)
            audit.append(session, record.sha256, editor.reader, "opened", record=record.record_id)
        elif not all(Path(path).is_file() for path, *_ in row.files):
            row.path, row.files, row.kept = str(path_of(record)), files, kept
            audit.append(session, record.sha256, editor.reader, "file found again", record=record.record_id)
        return _study(row)


def get_study(store: Store, record_sha256: str) -> Study | None:
    """The study of a recording; None where there is none."""
    with store.reading() as session:
        row = session.get(StudyRow, record_sha256)
        return _study(row) if row else None


def find_one(store: Store, text: str) -> Study:
    """The study that a person means: by the path of its record, its name, or the first digits of its SHA-256.

    Where a text is the name of one study and the beginning of another's hash, the name counts.

    Raises
    ------
    StoreError
        No study fits, or several do.

    """
    place = _plain_path(Path(text).expanduser())
    places = {str(place), str(place.with_suffix("") if place.suffix.lower() in PARTS_OF_A_RECORD else place)}
    ways = [StudyRow.path.in_(places), StudyRow.record_id == text]
    if HASH_START.fullmatch(text.casefold()):
        ways.append(StudyRow.record_sha256.startswith(text.casefold()))
    with store.reading() as session:
        for way in ways:
            rows = session.scalars(select(StudyRow).where(way).order_by(StudyRow.edited_at.desc())).all()
            if len(rows) == 1:
                return _study(rows[0])
            if rows:
                raise StoreError(_several(text, rows))
    raise StoreError(
        f'"{text}": no study has this path, this name, or a SHA-256 that begins so (at least six digits); '
        f"expected one of those in {store.place}."
    )


def _several(text: str, rows: Sequence[StudyRow]) -> str:
    named = ", ".join(f"{row.record_sha256[:SHOWN_DIGITS]} ({row.path})" for row in rows[:SHOWN_STUDIES])
    more = f" and {len(rows) - SHOWN_STUDIES} more" if len(rows) > SHOWN_STUDIES else ""
    return f'"{text}": {len(rows)} studies fit, expected one: {named}{more}. Name it by its path or these digits.'


def find_studies(
    store: Store, *, search: str = "", states: Sequence[str] = (), archived: bool = False, limit: int | None = None
) -> list[Study]:
    """Studies whose record, patient or editor contains ``search``, the last edited first."""
    query = select(StudyRow).where(StudyRow.archived == archived)
    if search:
        wanted = f"%{search.casefold()}%"
        columns = (StudyRow.record_id, StudyRow.edited_by, StudyRow.patient["name"].as_string())
        query = query.where(or_(*(column.ilike(wanted) for column in columns)))
    if states:
        query = query.where(StudyRow.state.in_(states))
    with store.reading() as session:
        return [_study(row) for row in session.scalars(query.order_by(StudyRow.edited_at.desc()).limit(limit))]


@contextmanager
def changing(store: Store, record_sha256: str, editor: Editor) -> Iterator[tuple[Session, StudyRow]]:
    """A transaction that changes a study: who holds it is checked, its version and its last edit are kept.

    Raises
    ------
    StudyHeldError
        Another reader or window holds it.
    StoreError
        There is no such study, or the store cannot be written.

    """
    with store.writing() as session:
        row = session.get(StudyRow, record_sha256, with_for_update=True)
        if row is None:
            raise ChangeRefusedError("This study was deleted in the meantime; open its recording again.")
        require_hold(session, record_sha256, editor.session)
        yield session, row
        row.version += 1
        row.edited_at, row.edited_by = now(), editor.reader


def set_archived(store: Store, record_sha256: str, editor: Editor, *, archived: bool) -> None:
    """Move a study into the archive, or back."""
    with changing(store, record_sha256, editor) as (session, row):
        row.archived = archived
        audit.append(session, record_sha256, editor.reader, "archived" if archived else "taken from the archive")


def set_view(store: Store, record_sha256: str, view: dict[str, Any]) -> None:
    """Remember where and how a study was left: time, lead, scale. It is no edit, and needs no hold."""
    with store.writing() as session:
        row = session.get(StudyRow, record_sha256)
        if row is not None and row.view != view:
            row.view = view


def delete_study(store: Store, record_sha256: str, editor: Editor) -> None:
    """Delete a study with all that was stored of it; the store's own trail keeps that it was there."""
    with changing(store, record_sha256, editor) as (session, row):
        head = audit.append(session, record_sha256, editor.reader, "deleted")
        audit.append(session, audit.STORE, editor.reader, "study deleted", record=row.record_id, trail=head)
        session.execute(delete(StudyRow).where(StudyRow.record_sha256 == record_sha256))
        session.expunge(row)


def path_of(record: Record) -> Path:
    """The path by which a record opens."""
    if not record.files:  # made in memory
        return Path(record.record_id)
    header = next((path for path in record.files if path.suffix == ".hea"), None)
    return _plain_path(header.with_suffix("") if header else record.files[0])


def _plain_path(path: Path) -> Path:
    """The absolute path without steps such as ``..``; links stay as they are named."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() follows links


def _new_row(record: Record, editor: Editor, files: list[list[Any]], *, kept: bool) -> StudyRow:
    moment = now()
    return StudyRow(
        record_sha256=record.sha256, record_id=record.record_id, path=str(path_of(record)), files=files, kept=kept,
        fs_hz=record.overrides.fs_hz, per_mv=record.overrides.per_mv,
        start=record.start.isoformat() if record.start else "", duration_s=record.duration_s,
        lead_names=list(record.lead_names), simulated=record.is_simulated, state=NEW, archived=False, lead="auto",
        model_name="", model_sha256="", rules={}, n_fitted_edits=0, n_beats=None, pvc_pct=None, sve_pct=None,
        af_pct=None, danger="", patient={}, narrative="", view={}, created_at=moment, edited_at=moment,
        edited_by=editor.reader, version=1,
    )  # fmt: skip


def _study(row: StudyRow) -> Study:
    return Study(
        record_sha256=row.record_sha256, record_id=row.record_id, path=Path(row.path),
        overrides=RecordOverrides(row.fs_hz, row.per_mv), kept=row.kept, start=row.start, duration_s=row.duration_s,
        lead_names=tuple(row.lead_names), simulated=row.simulated, state=row.state, archived=row.archived,
        lead=row.lead, model_name=row.model_name, model_sha256=row.model_sha256, rules=dict(row.rules),
        n_fitted_edits=row.n_fitted_edits, n_beats=row.n_beats, pvc_pct=row.pvc_pct, sve_pct=row.sve_pct,
        af_pct=row.af_pct, danger=row.danger, patient_name=row.patient.get("name", ""), view=dict(row.view),
        edited_at=row.edited_at, edited_by=row.edited_by, version=row.version,
    )  # fmt: skip
