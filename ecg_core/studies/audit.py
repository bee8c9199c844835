"""The audit trail: who did what and when, append-only, each entry with the hash of the one before.

A changed, removed or inserted entry breaks the chain; a shortened trail no longer ends where ``chain`` says. Whoever
can write to the database can also compute a whole new chain: a signed report holds the hash of the entry before it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..text import plural
from .store import Store, insert_missing, now
from .tables import AuditRow, ChainRow, DiaryRow, EditRow, SignatureRow, StripRow, StudyRow

FIRST_PREVIOUS: Final = "0" * 64
STORE: Final = ""  # in place of a recording: the store's own trail, of studies deleted and imported
DELETED, IMPORTED, UNDONE, REDONE = "deleted", "imported", "undone", "redone"  # actions that decide what is stored
SIGNED, NEW_VERSION = "signed", "new version begun"  # actions that lock a study, and unlock it; the first is its state
SHOWN, NARRATIVE, DIARY, STRIPS = (
    "analysis shown", "narrative changed", "diary changed", "strips for the report changed",
)  # fmt: skip
EDIT_ACTIONS: Final = {  # by the kind of the edit
    "labels": "labelled", "delete": "beats deleted", "insert": "beats inserted", "stretch": "stretches marked",
    "rhythm": "rhythm marked", "accept": "events accepted", "templates": "templates changed",
}  # fmt: skip
STUDY_DELETED: Final = "study deleted"  # in the store's own trail
FROM_FILE: Final = "taken from the file"
HANDED_OUT: Final = ("files exported", "exported", "export failed")  # actions that change nothing of a study
ENTRY_COLUMNS: Final = ("number", "made_at", "reader", "action", "detail", "previous", "hash")
SHOWN_AT_FIRST: Final = {"lead": "auto", "model_name": "", "model_sha256": "", "rules": {}, "n_fitted_edits": 0}


@dataclass(frozen=True)
class AuditEntry:
    """One entry of a trail."""

    number: int
    made_at: str  # UTC, ISO 8601
    reader: str
    action: str
    detail: dict[str, Any]
    hash: str
    text: str = ""  # the narrative that was kept, where its study still has it


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
    row.hash = hash_of(row)
    session.add(row)
    chain.length, chain.head = row.number, row.hash
    return row.hash


def trail(store: Store, record_sha256: str) -> tuple[AuditEntry, ...]:
    """The entries of a study, the oldest first."""
    with store.reading() as session:
        study = session.get(StudyRow, record_sha256)
        texts = study.narratives if study else {}
        entries = [_entry(row) for row in rows_of(session, record_sha256)]
    return tuple(replace(one, text=texts.get(one.detail.get("narrative_keyed_sha256", ""), "")) for one in entries)


def has_words(entries: Iterable[AuditEntry]) -> bool:
    """Whether a trail itself holds narratives or addenda, as earlier versions wrote them: they outlast the study."""
    return any(
        one.detail.get("narrative") or one.detail.get("addendum") or has_words(others_of(one)) for one in entries
    )


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
    if problems:
        return problems  # what follows a break proves nothing
    if record_sha256 == STORE:
        return tuple(_deletion_problems(session, [_entry(row) for row in rows]))
    return tuple(_content_problems(session, record_sha256, [_entry(row) for row in rows]))


def chain_problems(rows: Sequence[AuditRow], end: tuple[int, str]) -> tuple[str, ...]:
    """What is wrong with the entries of a trail, given the length and the last hash that it should have."""
    problems, previous = [], FIRST_PREVIOUS
    for place, row in enumerate(rows, 1):
        if row.number != place:
            problems.append(f"Entry {place} is missing: entry {row.number} follows.")
        if row.previous != previous:
            problems.append(f"Entry {row.number} does not continue the entry before it.")
        if row.hash != hash_of(row):
            problems.append(f"Entry {row.number} was changed after it was written.")
        if problems:
            return tuple(problems)
        problems += _brought_problems(rows[: place - 1], row)
        previous = row.hash
    if end != (len(rows), previous):
        problems.append(f"The trail ends after entry {len(rows)}; {end[0]:,} were written.")
    return tuple(problems)


def counting(entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    """The entries that describe what is stored now: those since a deletion, or those that an import brought back."""
    count: list[AuditEntry] = []
    for place, entry in enumerate(entries):
        if entry.action == DELETED:
            count = []
        elif entry.action == IMPORTED:
            count = counting([*entries[: min(place, _n_kept(entry.detail))], *others_of(entry)])
        count.append(entry)
    return count


def last_entry(session: Session, record_sha256: str, action: str) -> AuditEntry | None:
    """The last entry of an action among those that describe what is stored now; None where there is none."""
    query = select(AuditRow).where(AuditRow.record_sha256 == record_sha256)
    query = query.where(AuditRow.action.in_((action, DELETED, IMPORTED)))
    last = session.scalars(query.order_by(AuditRow.number.desc()).limit(1)).first()
    if last is None or last.action == action:
        return _entry(last) if last else None
    entries = counting([_entry(row) for row in rows_of(session, record_sha256)])
    return next((entry for entry in reversed(entries) if entry.action == action), None)


def others_of(entry: AuditEntry) -> list[AuditEntry]:
    """The entries that an import brought and that do not stand in the trail, which had gone on here."""
    return [_entry(row) for row in _others(STORE, entry.detail)]


def as_list(row: AuditRow) -> list[Any]:
    """An entry as the entry of an import holds it."""
    return [getattr(row, name) for name in ENTRY_COLUMNS]


def _others(record_sha256: str, detail: Mapping[str, Any]) -> list[AuditRow]:
    rows = (dict(zip(ENTRY_COLUMNS, values, strict=True)) for values in detail.get("others", ()))
    return [AuditRow(record_sha256=record_sha256, **row) for row in rows]


def _n_kept(detail: Mapping[str, Any]) -> int:
    """How many of the first entries of the trail belong to an imported study; none where its entry is damaged."""
    return int(detail.get("kept", detail.get("entries", 0)))


def _brought_problems(before: Sequence[AuditRow], row: AuditRow) -> tuple[str, ...]:
    """What is wrong with the entries that the entry of an import holds."""
    detail = _detail(row.detail) if row.action == IMPORTED else {}
    if "others" not in detail:
        return ()
    brought = [*before[: _n_kept(detail)], *_others(row.record_sha256, detail)]
    problems = chain_problems(brought, (detail["entries"], detail["trail"]))
    return tuple(f"Of what entry {row.number} brought: {problem}" for problem in problems)


def content_sha256(content: Sequence[Any]) -> str:
    """Hash of an edit or a signature, by which the audit trail knows it."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def signature_sha256(row: SignatureRow) -> str:
    """Hash of a signature, which its entry in the trail states."""
    by_whom = [row.version, row.reader, row.role, row.statement, row.signed_at, row.addendum]
    return content_sha256([*by_whom, dict(row.hashes), dict(row.files), row.with_patient])


def diary_of(rows: Iterable[DiaryRow]) -> list[list[Any]]:
    """What is hashed of a diary, in any order of its entries."""
    return sorted([float(row.time_s), row.symptom, row.note, row.source] for row in rows)


def strips_of(rows: Iterable[StripRow]) -> list[list[Any]]:
    """What is hashed of the strips for the report, in their order."""
    return [[float(row.start_s), row.caption] for row in rows]


def keyed_sha256(key: str, content: Any) -> str:
    """Hash of notes with the random key of their study: without it, nobody can try what they said."""
    return content_sha256([key, content])


def patient_sha256(key: str, patient: Mapping[str, str]) -> str:
    """Hash of patient data with their key, which only those have who have the data: names cannot be tried."""
    return content_sha256([key, {name: value for name, value in patient.items() if value}])


def canonical(content: Any) -> str:
    """Content as JSON that is the same for the same content."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _content_problems(session: Session, record_sha256: str, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """Where what is stored differs from what the entries state."""
    study = session.get(StudyRow, record_sha256)
    if study is None:
        if entries and entries[-1].action != DELETED:
            yield "The study is missing, and no entry states that it was deleted."
        return
    count = counting(entries)
    yield from _study_problems(study, count)
    yield from _notes_problems(session, study, count)
    edits = session.scalars(select(EditRow).where(EditRow.record_sha256 == record_sha256).order_by(EditRow.number))
    yield from _edit_problems(list(edits), count)
    signatures = session.scalars(select(SignatureRow).where(SignatureRow.record_sha256 == record_sha256))
    stored = Counter(signature_sha256(row) for row in signatures)
    stated = Counter(str(entry.detail["signature_sha256"]) for entry in count if "signature_sha256" in entry.detail)
    if n := (stated - stored).total():
        yield f"Missing or changed: {n} of {plural(stated.total(), 'signature')} that the trail states."
    if n := (stored - stated).total():
        yield f"{n} of {stored.total()} stored signatures are in no entry of the trail."


def _deletion_problems(session: Session, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """Which deleted studies have no trail any more that ends, or goes on, where the store's own trail states."""
    for entry in entries:
        if entry.action == STUDY_DELETED and "trail" in entry.detail:
            found = session.scalar(select(AuditRow.id).where(AuditRow.hash == entry.detail["trail"]).limit(1))
            if found is None:
                yield f"The trail of {entry.detail['record']}, whose study was deleted, is missing or was changed."


def trails_of(store: Store, start: str) -> tuple[str, ...]:
    """SHA-256 of the recordings that have a trail, and whose hash begins so; their studies may be deleted."""
    with store.reading() as session:
        query = select(ChainRow.record_sha256).where(ChainRow.record_sha256.startswith(start))
        return tuple(session.scalars(query.order_by(ChainRow.record_sha256)))


def _study_problems(study: StudyRow, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """Where lock, analysis or narrative differ from the last entry of each."""
    is_signed = _last(entries, lambda entry: entry.action in (SIGNED, NEW_VERSION), "signature_sha256") is not None
    if is_signed != (study.state == SIGNED):
        expected = "signed and locked" if is_signed else "not signed"
        yield f'The study is "{study.state}"; the trail states that it is {expected}.'
    shown = _last(entries, lambda entry: entry.action == SHOWN) or SHOWN_AT_FIRST
    for name in SHOWN_AT_FIRST:
        if shown.get(name) != getattr(study, name):
            yield f"What the study states of its analysis ({name.replace('_', ' ')}) is not what the trail states."
    stated = _last(entries, lambda entry: entry.action == NARRATIVE) or {}
    if not _is_narrative(study, stated):
        yield "The narrative was changed, and no entry states it."
    kept = {sha256 for sha256, text in study.narratives.items() if sha256 == keyed_sha256(study.notes_key, text)}
    if kept != {sha256 for entry in entries if (sha256 := entry.detail.get("narrative_keyed_sha256"))}:
        yield "An earlier narrative is missing or was changed."


def _is_narrative(study: StudyRow, stated: Mapping[str, Any]) -> bool:
    """Whether the narrative is that of an entry, which has its hash, or the words where an earlier version wrote it."""
    if "narrative_keyed_sha256" not in stated:
        return bool(study.narrative == stated.get("narrative", ""))
    expected = keyed_sha256(study.notes_key, study.narrative) if study.narrative else ""
    return bool(stated["narrative_keyed_sha256"] == expected)


def _notes_problems(session: Session, study: StudyRow, entries: Sequence[AuditEntry]) -> Iterator[str]:
    """Where diary, strips or patient data differ from the hash in the last entry of each."""
    diary = session.scalars(select(DiaryRow).where(DiaryRow.record_sha256 == study.record_sha256)).all()
    by_id = select(StripRow).where(StripRow.record_sha256 == study.record_sha256).order_by(StripRow.id)
    strips = session.scalars(by_id).all()
    if not _are_as_stated(study, "diary", diary_of(diary), entries):
        yield "The diary was changed, and no entry states it."
    if not _are_as_stated(study, "strips", strips_of(strips), entries):
        yield "The strips for the report were changed, and no entry states it."
    stated = _last(entries, lambda entry: "patient_sha256" in entry.detail or left_out_patient(entry), "patient_sha256")
    is_as_stated = patient_sha256(study.patient_key, study.patient) == stated
    if not (is_as_stated if stated else not any(study.patient.values())):
        yield "The patient data were changed, and no entry states it."


def _are_as_stated(study: StudyRow, name: str, content: Sequence[Any], entries: Sequence[AuditEntry]) -> bool:
    """Whether diary or strips have the last hash that is stated of them; those of an earlier version have no key."""
    keyed, plain = f"{name}_keyed_sha256", f"{name}_sha256"
    stated = _last(entries, lambda entry: not entry.detail.keys().isdisjoint((keyed, plain)))
    if stated is None:
        return not content
    found = keyed_sha256(study.notes_key, content) if keyed in stated else content_sha256(content)
    return bool(stated.get(keyed, stated.get(plain)) == found)


def left_out_patient(entry: AuditEntry) -> bool:
    """Whether a study was imported without its patient data."""
    return entry.action == IMPORTED and not entry.detail.get("with_patient", True)


def _last(entries: Sequence[AuditEntry], fits: Callable[[AuditEntry], bool], name: str = "") -> Any:
    """What the last entry that fits states, or one value of it; None where none fits or it has no such value."""
    found = next((entry for entry in reversed(entries) if fits(entry)), None)
    if found is None:
        return None
    return found.detail.get(name) if name else found.detail


def _edit_problems(edits: Sequence[EditRow], entries: Sequence[AuditEntry]) -> Iterator[str]:
    stated = {entry.detail["edit"]: entry for entry in entries if {"edit", "sha256"} <= entry.detail.keys()}
    last = {entry.detail["edit"]: entry.action for entry in entries if entry.action in (UNDONE, REDONE)}
    undone = {number for number, action in last.items() if action == UNDONE}
    for number in sorted(stated.keys() - {edit.number for edit in edits}):
        yield f"Edit {number} is missing; entry {stated[number].number} states it."
    for edit in edits:
        entry = stated.get(edit.number)
        if entry is None:
            yield f"Edit {edit.number} is in no entry of the trail."
        elif (entry.action, entry.detail["sha256"]) != (EDIT_ACTIONS.get(edit.kind), content_sha256(edit.content)):
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


def hash_of(row: AuditRow) -> str:
    """Hash of an entry, with that of the one before."""
    parts = (row.record_sha256, row.number, row.made_at, row.reader, row.action, row.detail, row.previous)
    return hashlib.sha256(canonical(parts).encode()).hexdigest()
