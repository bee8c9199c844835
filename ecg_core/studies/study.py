"""Studies: adding, finding, opening, and what the worklist says of each."""

from __future__ import annotations

import json
import os
import re
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import JSON, String, cast, delete, func, select
from sqlalchemy.orm import Session

from ..errors import ChangeRefusedError, StoreError
from ..files import typed_path
from ..overrides import RecordOverrides
from ..schema import Record
from ..text import one_line, plural
from . import audit
from .holding import COMMAND, require_hold
from .store import Store, insert_missing, now
from .study_files import delete_files, is_as_stored, paths_of_study, state_of_file, stored_path
from .tables import StudyRow

NEW, ANALYSED, IN_REVIEW, SIGNED = "new", "analysed", "in review", audit.SIGNED
STATES: Final = (NEW, ANALYSED, IN_REVIEW, SIGNED)  # a running analysis is known by the queue
MEASUREMENTS: Final = "measurements"  # in the view of a study: what was measured with the calipers and kept
MEASURED: Final = ("RR", "PR", "QRS", "QT")  # intervals that can be
UNCHANGED: Final = "unchanged"  # what a transaction notes that changes nothing; see ``leave_as_it_is``
DELETED: Final = "This study was deleted in the meantime; open its recording again."
# What the worklist reads: not the columns that can be long, and JSON as text, as most studies hold the same.
LISTED: Final = tuple(
    cast(column, String).label(column.name) if isinstance(column.type, JSON) else column
    for column in StudyRow.__table__.columns
    if column.name not in ("files", "patient", "patient_key", "narrative", "narratives", "notes_key", "created_at")
)
PATIENT_NAME: Final = StudyRow.patient["name"].as_string().label("patient_name")

HASH_START: Final = re.compile(r"[0-9a-f]{6,64}")  # six digits: of 10,000 studies, fewer than one in 1,600 shares them
SHOWN_DIGITS: Final = 8  # of a hash, in sentences and tables
SHOWN_STUDIES: Final = 5  # in a sentence that lists those that fit
MAX_NAMED: Final = 10_000  # hashes in one query: SQLite takes 32,766, PostgreSQL 65,535
PARTS_OF_A_RECORD: Final = (".hea", ".dat", ".atr")  # a WFDB record opens by its path without these

SIGNED_AND_LOCKED: Final = (
    "The report of this study is signed, and the study is locked: nothing was changed. Write an addendum, or begin a "
    "new version of the report."
)


class Editor(NamedTuple):
    """Who changes something, and from where."""

    reader: str  # a name, as typed
    session: str  # a browser window or a command; see ``holding``


def command_editor(reader: str) -> Editor:
    """A command as an editor of studies; each call is another one, also in one process."""
    return Editor(reader, f"{COMMAND}{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}")


@dataclass(frozen=True, slots=True)  # of which a worklist holds thousands
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
    model_sha256: str  # as in ``StudyRow``; empty until analysed
    rules: dict[str, float | str]  # those that differ from the default ones
    n_fitted_edits: int
    n_beats: int | None
    pvc_pct: float | None
    sve_pct: float | None
    af_pct: float | None
    danger: str
    unlike_pct: float | None
    patient_name: str
    view: dict[str, Any]
    edited_at: str
    edited_by: str
    version: int


def add_study(store: Store, record: Record, editor: Editor, *, kept: bool = False) -> Study:
    """Add a recording, or return its study where it is known; a file that was moved has its new place from then on."""
    files = files_of(store, record)
    with store.writing() as session:
        if insert_missing(session, StudyRow, _new_values(store, record, editor, files, kept=kept)):
            audit.append(session, record.sha256, editor.reader, "opened", record=record.record_id)
        row = session.get_one(StudyRow, record.sha256, with_for_update=True)
        if not is_as_stored(store, row.files):
            row.path, row.files, row.kept = stored_path(store, path_of(record)), files, kept
            row.version += 1
            audit.append(session, record.sha256, editor.reader, "file found again", record=record.record_id)
        return study_of(store, row, row.patient.get("name", ""))


def get_study(store: Store, record_sha256: str) -> Study | None:
    """The study of a recording; None where there is none."""
    with store.reading() as session:
        row = session.get(StudyRow, record_sha256)
        return study_of(store, row, row.patient.get("name", "")) if row else None


def find_one(store: Store, text: str) -> Study:
    """The study that a person means: by the path of its record, its name, or the first digits of its SHA-256.

    Where a text is the name of one study and the beginning of another's hash, the name counts.

    Raises
    ------
    StoreError
        No study fits, or several do.

    """
    place = _plain_path(typed_path(text))
    whole = place.with_suffix("") if place.suffix.lower() in PARTS_OF_A_RECORD else place
    places = {stored_path(store, place), stored_path(store, whole)}
    ways = [StudyRow.path.in_(places), StudyRow.record_id == text]
    if HASH_START.fullmatch(text.casefold()):
        ways.append(StudyRow.record_sha256.startswith(text.casefold()))
    with store.reading() as session:
        for way in ways:
            rows = session.scalars(select(StudyRow).where(way).order_by(StudyRow.edited_at.desc())).all()
            if len(rows) == 1:
                return study_of(store, rows[0], rows[0].patient.get("name", ""))
            if rows:
                raise StoreError(_several(store, text, rows))
    raise StoreError(
        f'"{text}": no study has this path, this name, or a SHA-256 that begins so (at least six digits); '
        f"expected one of those in {store.place}."
    )


def _several(store: Store, text: str, rows: Sequence[StudyRow]) -> str:
    named = ", ".join(f"{row.record_sha256[:SHOWN_DIGITS]} ({store.folder / row.path})" for row in rows[:SHOWN_STUDIES])
    more = f" and {len(rows) - SHOWN_STUDIES} more" if len(rows) > SHOWN_STUDIES else ""
    fit = f"{plural(len(rows), 'study')} fit"
    return f'"{text}": {fit}, expected one: {named}{more}. Name it by its path or these digits.'


def find_studies(
    store: Store, *, search: str = "", states: Sequence[str] = (), archived: bool = False, limit: int | None = None
) -> list[Study]:
    """Studies whose record, patient or editor contains ``search``, the last edited first."""
    query = select(*LISTED, PATIENT_NAME).order_by(StudyRow.edited_at.desc())
    with store.reading() as session:
        if search:
            hashes = set(_matching(session, search, states, archived=archived)[:limit])
            if len(hashes) <= MAX_NAMED:
                query = query.where(StudyRow.record_sha256.in_(hashes))
        else:
            query = _in_states(query, states, archived=archived).limit(limit)
        # one row at a time: ten thousand rows at once keep the search for unused memory busy
        rows = session.connection().execute(query)
        return [
            study_of(store, row, row.patient_name or "") for row in rows if not search or row.record_sha256 in hashes
        ]


def count_studies(store: Store, *, search: str = "", states: Sequence[str] = (), archived: bool = False) -> int:
    """How many studies ``find_studies`` finds without a limit."""
    query = _in_states(select(func.count()).select_from(StudyRow), states, archived=archived)
    with store.reading() as session:
        if search:
            return len(_matching(session, search, states, archived=archived))
        return int(session.execute(query).scalar_one())


def _matching(session: Session, search: str, states: Sequence[str], *, archived: bool) -> list[str]:
    """Hashes of the studies that contain a text, the last edited first; searched here: SQLite knows capitals of ASCII.

    Only the columns that are searched are read: of 10,000 studies the others take half a second.
    """
    wanted = search.casefold()
    query = select(StudyRow.record_sha256, StudyRow.record_id, StudyRow.edited_by, PATIENT_NAME)
    query = _in_states(query, states, archived=archived).order_by(StudyRow.edited_at.desc())
    rows = session.connection().execute(query)
    return [sha256 for sha256, *texts in rows if wanted in "\n".join(text or "" for text in texts).casefold()]


def _in_states(query: Any, states: Sequence[str], *, archived: bool) -> Any:
    query = query.where(StudyRow.archived == archived)
    return query.where(StudyRow.state.in_(states)) if states else query


@contextmanager
def changing(
    store: Store, record_sha256: str, editor: Editor, *, while_signed: bool = False
) -> Iterator[tuple[Session, StudyRow]]:
    """A transaction that changes a study: who holds it is checked, its version and its last edit are kept.

    Parameters
    ----------
    while_signed
        The change leaves what was signed as it is, and is allowed in a signed study.

    Raises
    ------
    StudyHeldError
        Another reader or window holds it.
    ChangeRefusedError
        It is signed.
    StoreError
        There is no such study, or the store cannot be written.

    """
    with store.writing() as session:
        row = session.get(StudyRow, record_sha256, with_for_update=True)
        if row is None:
            raise ChangeRefusedError(DELETED)
        require_hold(session, record_sha256, editor.session)
        if row.state == SIGNED and not while_signed:
            raise ChangeRefusedError(SIGNED_AND_LOCKED)
        yield session, row
        if not session.info.pop(UNCHANGED, False):
            row.version += 1
            row.edited_at, row.edited_by = now(), editor.reader


def leave_as_it_is(session: Session) -> None:
    """Say within ``changing`` that nothing is to be changed: version and last edit stay."""
    session.info[UNCHANGED] = True


def set_archived(store: Store, record_sha256: str, editor: Editor, *, archived: bool) -> None:
    """Move a study into the archive, or back."""
    with changing(store, record_sha256, editor, while_signed=True) as (session, row):
        if row.archived == archived:
            leave_as_it_is(session)
            return
        row.archived = archived
        audit.append(session, record_sha256, editor.reader, "archived" if archived else "taken from the archive")


def set_view(store: Store, record_sha256: str, changed: Mapping[str, Any]) -> None:
    """Remember of where and how a study was left (time, lead, scale) what changed. It is no edit, and needs no hold.

    All else stays as any other window left it; measurements are changed by ``study_notes`` alone.
    """
    with store.writing() as session:
        row = session.get(StudyRow, record_sha256, with_for_update=True)
        if row is None:
            return
        view = row.view | {name: value for name, value in changed.items() if name != MEASUREMENTS}
        if view != row.view:
            row.view = view


def note_export(store: Store, record_sha256: str, editor: Editor, *, files: Sequence[str], with_patient: bool) -> None:
    """Note in the audit trail which files were handed out; it changes nothing, and needs no hold."""
    with store.writing() as session:
        if session.get(StudyRow, record_sha256) is not None:
            audit.append(
                session, record_sha256, editor.reader, "files exported", files=list(files), with_patient=with_patient
            )


def delete_study(store: Store, record_sha256: str, editor: Editor) -> None:
    """Delete a study with all that was stored of it, its files too; the store's own trail keeps that it was there.

    Raises
    ------
    StudyHeldError
        Another reader or window holds it.
    StoreError
        The store cannot be written, or a file cannot be deleted: the study is gone then, and the file is named.

    """
    with changing(store, record_sha256, editor, while_signed=True) as (session, row):
        paths = paths_of_study(store, session, record_sha256)
        head = audit.append(session, record_sha256, editor.reader, audit.DELETED)
        audit.append(session, audit.STORE, editor.reader, audit.STUDY_DELETED, record=row.record_id, trail=head)
        session.execute(delete(StudyRow).where(StudyRow.record_sha256 == record_sha256))
        session.expunge(row)
    delete_files(store, paths)


def path_of(record: Record) -> Path:
    """The path by which a record opens again: its archive, its own path, or the header of its WFDB files.

    Raises
    ------
    StoreError
        It was joined, and not written as a file that lists its pieces.

    """
    if record.archive is not None:
        return _plain_path(record.archive)
    if record.path is not None:
        part = record.path.suffix.lower() in PARTS_OF_A_RECORD and record.path.is_file()
        return _plain_path(record.path.with_suffix("") if part else record.path)
    if record.pieces:
        raise StoreError(f"{record.record_id}: its pieces were joined, but not written as one recording; do so first.")
    if not record.files:  # made in memory
        return Path(record.record_id)
    headers = [path for path in record.files if path.suffix.lower() == ".hea"]
    if not headers:
        return _plain_path(record.files[0])
    whole = next((path for path in headers if one_line(path.stem) == record.record_id), headers[0])  # no segment's
    return _plain_path(whole.with_suffix(""))


def _plain_path(path: Path) -> Path:
    """The absolute path without steps such as ``..``; links stay as they are named."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() follows links


def files_of(store: Store, record: Record) -> list[list[Any]]:
    """The files of a recording as the table holds them; of an archive the archive itself.

    Raises
    ------
    StoreError
        One of them is no longer there.

    """
    paths = sorted(_plain_path(path) for path in ([record.archive] if record.archive else record.files))
    try:
        return [[stored_path(store, path), *state_of_file(path)] for path in paths]
    except OSError as error:
        raise StoreError(
            f"{record.record_id}: its file {error.filename} cannot be found any more ({error.strerror}). Open the "
            "recording again."
        ) from error


def _new_values(
    store: Store, record: Record, editor: Editor, files: list[list[Any]], *, kept: bool
) -> dict[str, Any]:  # fmt: skip
    moment = now()
    of_record = {
        "record_sha256": record.sha256, "record_id": record.record_id, "path": stored_path(store, path_of(record)),
        "files": files, "kept": kept, "fs_hz": record.overrides.fs_hz, "per_mv": record.overrides.per_mv,
        "start": record.start.isoformat() if record.start else "", "duration_s": record.duration_s,
        "lead_names": list(record.lead_names), "simulated": record.is_simulated,
    }  # fmt: skip
    return of_record | {
        "state": NEW, "archived": False, "lead": "auto", "model_name": "", "model_sha256": "", "rules": {},
        "n_fitted_edits": 0, "n_beats": None, "pvc_pct": None, "sve_pct": None, "af_pct": None, "danger": "",
        "unlike_pct": None, "patient": {}, "patient_key": "", "narrative": "", "narratives": {}, "notes_key": "",
        "view": {}, "created_at": moment, "edited_at": moment, "edited_by": editor.reader, "version": 1,
    }  # fmt: skip


def _decoded(content: Any) -> Any:
    """The content of a column of JSON, which ``find_studies`` reads as text."""
    return _loaded(content) if isinstance(content, str) else content


_loaded = lru_cache(maxsize=1000)(json.loads)


@lru_cache(maxsize=20_000)  # a worklist is shown again and again, and a path takes longer to make than its row to read
def _place(folder: Path, path: str) -> Path:
    return folder / path


def study_of(store: Store, row: Any, patient_name: str) -> Study:
    """A study by its row, or by what ``find_studies`` reads of it."""
    return Study(
        record_sha256=row.record_sha256, record_id=row.record_id,
        path=_place(store.folder, row.path),
        overrides=RecordOverrides(row.fs_hz, row.per_mv), kept=row.kept, start=row.start, duration_s=row.duration_s,
        lead_names=tuple(_decoded(row.lead_names)), simulated=row.simulated, state=row.state, archived=row.archived,
        lead=row.lead, model_name=row.model_name, model_sha256=row.model_sha256, rules=dict(_decoded(row.rules)),
        n_fitted_edits=row.n_fitted_edits, n_beats=row.n_beats, pvc_pct=row.pvc_pct, sve_pct=row.sve_pct,
        af_pct=row.af_pct, danger=row.danger, unlike_pct=row.unlike_pct, patient_name=patient_name,
        view=dict(_decoded(row.view)), edited_at=row.edited_at, edited_by=row.edited_by, version=row.version,
    )  # fmt: skip
