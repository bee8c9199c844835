"""What people wrote about a recording, as it is stored: patient data, diary, narrative, strips, signatures."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..edits import digest_of
from ..notes import DiaryEntry, Notes, Patient, ReportStrip, Signature
from ..schema import Record
from . import audit
from .analyses import code_version
from .edits import edits_in
from .store import Store
from .study import MEASUREMENTS, SIGNED, Editor, Study, add_study, changing, get_study, leave_as_it_is
from .tables import DiaryRow, SignatureRow, StripRow, StudyRow

DIARY, STRIPS = "diary_keyed_sha256", "strips_keyed_sha256"  # names of hashes in entries of the trail
FIGURES = "written_over"  # in the entry of a narrative: over which figures it was written
NOT_MEASURED: Final = ("accept", "templates")  # kinds of edits that leave the figures as they are
KEY_BYTES: Final = 16  # of a random key that nobody can guess


def notes_of(store: Store, record_sha256: str) -> Notes:
    """All notes of a study; empty ones where there is none."""
    with store.reading() as session:
        row = session.get(StudyRow, record_sha256)
        if row is None:
            return Notes()
        diary = tuple(
            DiaryEntry(entry.time_s, entry.symptom, entry.note, entry.source)
            for entry in _rows(session, DiaryRow, record_sha256)
        )
        strips = tuple(ReportStrip(strip.start_s, strip.caption) for strip in _rows(session, StripRow, record_sha256))
        signed = _rows(session, SignatureRow, record_sha256).all()
        signatures = tuple(
            Signature(one.version, one.reader, one.role, one.statement, one.signed_at, one.addendum) for one in signed
        )
        by_time = tuple(sorted(diary, key=lambda entry: entry.time_s))
        is_signed = row.state == SIGNED and _is_of_this_program(signed)
        is_older = bool(row.narrative) and _figures_of_narrative(session, record_sha256) != _figures(session, row)
        return Notes(Patient(**row.patient), by_time, row.narrative, strips, signatures, is_signed, is_older)


def _figures(session: Session, row: StudyRow) -> str:
    """Hash of what decides the figures of a report: the analysis that is shown, the edits that count, the program."""
    shown = [row.lead, row.model_sha256, row.rules, row.n_fitted_edits]
    edits = digest_of([edit for edit in edits_in(session, row.record_sha256) if edit.kind not in NOT_MEASURED])
    return audit.content_sha256([*shown, edits, code_version()])


def _figures_of_narrative(session: Session, record_sha256: str) -> str:
    """Over which figures the narrative was kept that is there; empty where an earlier version kept it."""
    entry = audit.last_entry(session, record_sha256, audit.NARRATIVE)
    return str(entry.detail.get(FIGURES, "")) if entry else ""


def _is_of_this_program(signatures: Iterable[SignatureRow]) -> bool:
    """Whether this version of the program made the report that was signed last: another one may find other beats."""
    made_by = [row.hashes.get("program") for row in signatures if not row.addendum]
    return made_by[-1:] == [code_version()]


def add_recording(store: Store, record: Record, editor: Editor, *, kept: bool = False) -> Study:
    """Add a recording as ``add_study`` does; a new study takes over what its file states."""
    is_new = get_study(store, record.sha256) is None
    study = add_study(store, record, editor, kept=kept)
    if is_new:
        fill_from_file(store, record, editor)
    return study


def fill_from_file(store: Store, record: Record, editor: Editor) -> None:
    """Take over what the file of a new study states: fields of the patient that are empty, event marks for the diary.

    The audit trail names the fields, and not what they hold.
    """
    from ..records import main_file, read_marks, read_patient  # noqa: PLC0415, as wfdb takes half a second

    if not record.files:  # made in memory
        return
    stated = asdict(read_patient(main_file(record)))
    marks, n_outside = read_marks(record)
    if not any(stated.values()) and not marks and not n_outside:
        return
    with changing(store, record.sha256, editor) as (session, row):
        present = asdict(Patient(**row.patient))
        taken = sorted(name for name, value in stated.items() if value and not present[name])
        row.patient = present | {name: stated[name] for name in taken}
        empty = session.scalar(select(DiaryRow.id).where(DiaryRow.record_sha256 == record.sha256).limit(1)) is None
        entries = marks if empty else ()
        rows = [DiaryRow(record_sha256=record.sha256, **asdict(entry)) for entry in entries]
        session.add_all(rows)
        hashes = (_keyed(row) if taken else {}) | ({DIARY: _hash(row, audit.diary_of(rows))} if rows else {})
        outside = {"marks_outside": n_outside} if n_outside else {}
        if taken or rows or outside:
            audit.append(
                session, record.sha256, editor.reader, audit.FROM_FILE, fields=taken, diary_entries=len(rows),
                **outside, **hashes,
            )  # fmt: skip
        else:
            leave_as_it_is(session)


def set_patient(store: Store, record_sha256: str, patient: Patient, editor: Editor) -> None:
    """Keep patient data; the audit trail names the fields that changed, and not what they hold."""
    with changing(store, record_sha256, editor) as (session, row):
        before, after = asdict(Patient(**row.patient)), asdict(patient)
        changed = sorted(name for name in after if after[name] != before[name])
        if changed:
            row.patient = after
            entry = {"fields": changed, **_keyed(row)}
            audit.append(session, record_sha256, editor.reader, "patient data changed", **entry)
        else:
            leave_as_it_is(session)


def set_narrative(store: Store, record_sha256: str, narrative: str, editor: Editor) -> None:
    """Keep the narrative of the report; an empty one is drafted again from the measures.

    The audit trail states a hash of it, with a key. The words of this one and of all before stay with the study: they
    can be read in its trail, and go when it is deleted. The same words, kept again over other figures, hold of these.
    """
    with changing(store, record_sha256, editor) as (session, row):
        figures, is_same = _figures(session, row), row.narrative == narrative
        if is_same and (not narrative or figures == _figures_of_narrative(session, record_sha256)):
            leave_as_it_is(session)
            return
        row.narrative, stated = narrative, _hash(row, narrative) if narrative else ""
        row.narratives = row.narratives | ({stated: narrative} if narrative else {})
        over = {FIGURES: figures, "confirmed": is_same} if narrative else {}
        audit.append(session, record_sha256, editor.reader, audit.NARRATIVE, narrative_keyed_sha256=stated, **over)


def set_diary(store: Store, record_sha256: str, diary: Sequence[DiaryEntry], editor: Editor) -> None:
    """Keep a diary instead of the one before."""
    rows = [DiaryRow(record_sha256=record_sha256, **asdict(entry)) for entry in diary]
    with changing(store, record_sha256, editor) as (session, row):
        _replace(session, row, DiaryRow, rows, editor, (audit.DIARY, DIARY, audit.diary_of))


def set_report_strips(store: Store, record_sha256: str, strips: Sequence[ReportStrip], editor: Editor) -> None:
    """Keep the strips that a reader chose, instead of those before."""
    rows = [StripRow(record_sha256=record_sha256, **asdict(strip)) for strip in strips]
    with changing(store, record_sha256, editor) as (session, row):
        _replace(session, row, StripRow, rows, editor, (audit.STRIPS, STRIPS, audit.strips_of))


def keep_measurement(store: Store, record_sha256: str, measurement: Sequence[Any], editor: Editor) -> None:
    """Keep an interval that was measured, as its kind and its start and end in seconds, beside those that are kept."""
    with changing(store, record_sha256, editor) as (_session, row):
        row.view = row.view | {MEASUREMENTS: [*row.view.get(MEASUREMENTS, ()), list(measurement)]}


def drop_measurement(store: Store, record_sha256: str, measurement: Sequence[Any], editor: Editor) -> None:
    """Keep a measurement no longer; the others stay."""
    with changing(store, record_sha256, editor) as (session, row):
        kept = row.view.get(MEASUREMENTS, [])
        left = [one for one in kept if one != list(measurement)]
        if left != kept:
            row.view = row.view | {MEASUREMENTS: left}
        else:
            leave_as_it_is(session)


def _replace(
    session: Session, study: StudyRow, table: Any, rows: Sequence[Any], editor: Editor,
    entry: tuple[str, str, Callable[[Any], Any]],
) -> None:  # fmt: skip
    """Put rows in the place of those that are stored; ``entry``: action, name of the hash, and what is hashed."""
    action, name, content_of = entry
    if content_of(rows) == content_of(_rows(session, table, study.record_sha256)):
        leave_as_it_is(session)
        return
    session.execute(delete(table).where(table.record_sha256 == study.record_sha256))
    session.add_all(rows)
    stated: dict[str, Any] = {"entries": len(rows), name: _hash(study, content_of(rows))}
    audit.append(session, study.record_sha256, editor.reader, action, **stated)


def _hash(row: StudyRow, content: Any) -> str:
    """The hash of notes for the trail, with the key of the study, which goes with it: nothing can be tried then."""
    row.notes_key = row.notes_key or secrets.token_hex(KEY_BYTES)
    return audit.keyed_sha256(row.notes_key, content)


def _keyed(row: StudyRow) -> dict[str, str]:
    """The hash of the patient data for the trail, with a new key."""
    row.patient_key = secrets.token_hex(KEY_BYTES)
    return {"patient_sha256": audit.patient_sha256(row.patient_key, row.patient)}


def _rows(session: Session, table: Any, record_sha256: str) -> Any:
    return session.scalars(select(table).where(table.record_sha256 == record_sha256).order_by(table.id))
