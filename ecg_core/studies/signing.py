"""Signing a report: its files are kept with the hashes of what they were made from, and the study is locked.

A signature here is a name that was typed, with the hashes of what it stands under: it shows that nothing was changed
since, and not who typed the name.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..classifier.spec import model_digest
from ..edits import digest_of
from ..errors import ChangeRefusedError, EcgError, StoreError
from ..files import atomic_file
from ..notes import Notes, Patient, Signature
from ..records import read_record
from ..report.export import report_json
from ..report.pdf import report_pdf
from ..rules import BALANCED
from ..schema import Analysis, Record
from . import audit
from .analyses import code_version, rules_as_stored
from .audit import AuditEntry, content_sha256
from .edits import edits_in, edits_sha256
from .problems import require_text
from .recordings import sha256_in_full
from .store import FREE_THE_PLACE, Store, now
from .study import (
    IN_REVIEW,
    SHOWN_DIGITS,
    SIGNED,
    Editor,
    Study,
    changing,
    get_study,
    leave_as_it_is,
    path_of,
)
from .study_files import SIGNED_FILES, is_bare, signed_path
from .study_notes import KEY_BYTES, notes_of
from .tables import ChainRow, SignatureRow, StudyRow

SIGNED_ACTION, ADDENDUM_ACTION, NEW_VERSION_ACTION = audit.SIGNED, "addendum written", audit.NEW_VERSION
ANOTHER: Final = "What is shown is not what is stored of this study: open it again, then sign"
CHANGED: Final = "The study was changed since it was shown here: nothing was signed. Look at it again, then sign."
WRITERS: Final[Mapping[str, Callable[[Analysis, Notes], bytes]]] = {
    "pdf": report_pdf,
    "json": report_json,
}


@dataclass(frozen=True)
class StoredSignature:
    """A signature, with the hashes of what it stands under and its files."""

    signature: Signature
    hashes: dict[str, str]  # SHA-256 of what was signed by its name, the program's version, and an addendum's key
    files: dict[str, str]  # names of the signed files by their kind; none of an addendum
    with_patient: bool = True  # whether patient data are in these files; unless it is known, they may be

    @property
    def sha256(self) -> str:
        """Hash of all of it, which the audit trail keeps."""
        return audit.signature_sha256(self.row(""))

    def row(self, record_sha256: str) -> SignatureRow:
        """Its row in the table."""
        one = self.signature
        return SignatureRow(
            record_sha256=record_sha256, version=one.version, reader=one.reader, role=one.role,
            statement=one.statement, signed_at=one.signed_at, addendum=one.addendum, hashes=self.hashes,
            files=self.files, with_patient=self.with_patient,
        )  # fmt: skip


def sign(
    store: Store,
    record_sha256: str,
    analysis: Analysis,
    *,
    version: int,
    role: str,
    statement: str,
    editor: Editor,
    with_patient: bool = False,
) -> Signature:
    """Sign the report as its reader saw it: store it as PDF and JSON, and lock the study.

    Parameters
    ----------
    version
        Of the study, as it was when it was shown to who signs: what was changed since, nobody has signed.
    with_patient
        Whether patient data are in the signed files.

    Raises
    ------
    ChangeRefusedError
        It is signed already, was changed since it was shown, or another window holds it.
    StoreError
        What is shown is not what is stored, the recording is another one or cannot be read, no name was given, or the
        files cannot be written.

    """
    require_text(editor.reader, role, statement)
    _require_signable(store, record_sha256, analysis, editor)
    notes = notes_of(store, record_sha256)
    number = 1 + max((one.version for one in notes.signatures), default=0)
    signature = Signature(number, editor.reader, role, statement, now())
    patient = notes.patient if with_patient else Patient()
    signed = replace(notes, patient=patient, signatures=(*notes.signatures, signature), is_signed=True)
    contents = {kind: write(analysis, signed) for kind, write in WRITERS.items()}
    files = {kind: f"v{number}_report.{kind}" for kind in contents}
    hashes = _hashes(store, analysis) | {kind: _sha256(content) for kind, content in contents.items()}
    paths: list[Path] = []
    try:
        with changing(store, record_sha256, editor) as (session, row):
            if row.version != version:
                raise ChangeRefusedError(CHANGED)
            _require_same(session, row, analysis)
            for kind, content in contents.items():
                paths.append(_write(store, record_sha256, files[kind], content))
            stored = StoredSignature(signature, hashes, files, with_patient and not notes.patient.is_empty)
            _add(session, record_sha256, stored, SIGNED_ACTION)
            row.state = SIGNED
    except BaseException:  # nothing was signed: no file may look as if
        for path in paths:
            with suppress(OSError):
                path.unlink()
        raise
    return signature


def add_addendum(store: Store, record_sha256: str, text: str, *, role: str, editor: Editor) -> Signature:
    """Write an addendum to the signed report, which stays as it is.

    Raises
    ------
    ChangeRefusedError
        The report is not signed, or another window holds the study.
    StoreError
        The addendum is empty, or no name was given.

    """
    if not text.strip():
        raise StoreError("The addendum is empty: nothing was signed.")
    _require_name(editor)
    with changing(store, record_sha256, editor, while_signed=True) as (session, row):
        last = _signatures(session, record_sha256)[-1:]
        if row.state != SIGNED or not last:
            raise ChangeRefusedError("The report is not signed: change it, instead of an addendum.")
        signature = Signature(last[0].signature.version, editor.reader, role, "", now(), text.strip())
        hashes = {"report": last[0].sha256, "key": secrets.token_hex(KEY_BYTES)}  # the words cannot be tried without it
        _add(session, record_sha256, StoredSignature(signature, hashes, {}, False), ADDENDUM_ACTION)
    return signature


def begin_new_version(store: Store, record_sha256: str, editor: Editor) -> None:
    """Unlock a signed study for another version of its report; the signed files stay."""
    with changing(store, record_sha256, editor, while_signed=True) as (session, row):
        if row.state == SIGNED:
            row.state = IN_REVIEW
            version = 1 + max(one.signature.version for one in _signatures(session, record_sha256))
            audit.append(session, record_sha256, editor.reader, NEW_VERSION_ACTION, version=version)
        else:
            leave_as_it_is(session)


def signatures_of(store: Store, record_sha256: str) -> tuple[StoredSignature, ...]:
    """The signatures under a study's reports and addenda, the oldest first."""
    with store.reading() as session:
        return _signatures(session, record_sha256)


def signed_file(store: Store, record_sha256: str, stored: StoredSignature, kind: str) -> bytes:
    """A signed file, as it was signed.

    Raises
    ------
    StoreError
        It is missing, was left out when the study was exported, or was changed since.

    """
    path = signed_path(store, record_sha256, stored.files[kind])
    try:
        content = path.read_bytes()
    except OSError as error:
        if stored.files[kind] in left_out_files(store, record_sha256):
            raise StoreError(
                f"{path.name}: this signed file holds patient data, and was left out of the export from which the "
                "study was imported. Ask for an export with patient data."
            ) from error
        raise StoreError(f"{path}: this signed file cannot be read ({error.strerror}).") from error
    if _sha256(content) != stored.hashes.get(kind):
        raise StoreError(f"{path}: this file was changed after it was signed.")
    return content


def left_out_files(store: Store, record_sha256: str) -> frozenset[str]:
    """Names of the signed files that hold patient data and were left out of an export, as the trail states."""
    entries = audit.counting(audit.trail(store, record_sha256))
    imports = [entry for entry in entries if entry.action == audit.IMPORTED]
    return frozenset(str(name) for entry in imports for name in entry.detail.get("left_out", ()))


def changes_since(store: Store, record_sha256: str, version: int) -> tuple[AuditEntry, ...]:
    """The entries of the audit trail after a version was signed, without those of files that were handed out."""
    entries = audit.counting(audit.trail(store, record_sha256))
    at = [i for i, one in enumerate(entries) if one.action == SIGNED_ACTION and one.detail.get("version") == version]
    since = entries[at[-1] + 1 :] if at else ()
    return tuple(one for one in since if one.action not in audit.HANDED_OUT)


def verify_signature(store: Store, record_sha256: str) -> tuple[str, ...]:
    """What is no longer as it was signed, in sentences: signed files, labels and model.

    Empty where everything is as it was; a file that was left out of an export is no problem. The signatures themselves
    are part of what ``audit.verify`` verifies, and the recording is what ``verify_recording`` does.
    """
    stored, left_out = signatures_of(store, record_sha256), left_out_files(store, record_sha256)
    problems = []
    for one in stored:
        for kind, name in one.files.items():
            if name in left_out and is_bare(name) and not signed_path(store, record_sha256, name).exists():
                continue
            try:
                signed_file(store, record_sha256, one, kind)
            except StoreError as error:
                problems.append(str(error))
    study = get_study(store, record_sha256)
    if study is None or not stored:
        return tuple(problems)
    reports = [one for one in stored if not one.signature.addendum]
    return (*problems, *_state_problems(store, study, reports[-1:]))


def verify_recording(store: Store, record_sha256: str) -> tuple[str, ...]:
    """Whether the whole recording of a study, signed or not, is what was opened: in a sentence where it is not.

    Empty where it is, and where the study was deleted, whose recording may be too.
    """
    study = get_study(store, record_sha256)
    if study is None:
        return ()
    try:
        sha256 = read_record(study.path, study.overrides).sha256
    except (EcgError, OSError) as error:
        return (f"The recording cannot be checked: {error}",)
    return () if sha256 == study.record_sha256 else (f"{study.path}: the recording was changed after it was opened.",)


def _require_signable(store: Store, record_sha256: str, analysis: Analysis, editor: Editor) -> None:
    _require_name(editor)
    study = get_study(store, record_sha256)
    if study is None:
        raise StoreError("This study was deleted in the meantime; open its recording again.")
    if study.state == SIGNED:
        raise ChangeRefusedError("The report is signed already: write an addendum, or begin a new version.")
    if analysis.record.sha256 != record_sha256:
        raise StoreError(f"{ANOTHER} (another recording).")
    _require_recording(analysis.record)


def _require_recording(record: Record) -> None:
    """Refuse to sign where the files of the recording are others: until now it may be known by parts of them alone."""
    try:
        found = sha256_in_full(record)
    except OSError as error:
        raise StoreError(
            f"{record.record_id}: its recording cannot be read as a whole ({error.strerror or error}), and nothing was "
            "signed. Connect the disk it is on, then sign."
        ) from error
    if found != record.sha256:
        raise StoreError(
            f"{path_of(record)}: this is not the recording of the study (expected SHA-256 "
            f"{record.sha256[:SHOWN_DIGITS]}, got {found[:SHOWN_DIGITS]}), and nothing was signed. Put the unchanged "
            "file back, or open this one as a study of its own."
        )


def _require_same(session: Session, row: StudyRow, analysis: Analysis) -> None:
    """Refuse to sign an analysis that is not what is stored of its study, within the transaction that signs it."""
    edits = edits_in(session, row.record_sha256)
    leads = {"first": analysis.record.lead_names[:1], **{name: (name,) for name in analysis.record.lead_names}}
    others = {
        "another model": model_digest(analysis.model) != row.model_sha256,
        "other rules": rules_as_stored(analysis.rules) != row.rules,
        "another lead": analysis.lead_names != leads.get(row.lead, analysis.lead_names),
        "fine-tuned to other labels": analysis.fitted_sha256 != digest_of(edits[: row.n_fitted_edits]),
        "other edits": analysis.edits_sha256 != digest_of(edits),
    }
    if any(others.values()):
        raise StoreError(f"{ANOTHER} ({', '.join(name for name, differs in others.items() if differs)}).")


def _require_name(editor: Editor) -> None:
    if not editor.reader.strip():
        raise StoreError("A signature needs the name of its reader: enter it, then sign.")


def _hashes(store: Store, analysis: Analysis) -> dict[str, str]:
    """Hashes of what a report is made from, and the program's version."""
    rules: list[list[str | float]] = [[rule.key, rule.value] for rule in analysis.rules.rows()]
    if analysis.rules.sensitivity != BALANCED:  # so that the hash of a balanced report stays what it always was
        rules.append(["sensitivity", analysis.rules.sensitivity])
    return {
        "signal": analysis.record.sha256,
        "model": model_digest(analysis.model),
        "labels": edits_sha256(store, analysis.record.sha256),
        "rules": content_sha256(rules),
        "program": code_version(),
    }


def _add(session: Session, record_sha256: str, stored: StoredSignature, action: str) -> None:
    """Keep a signature, with the hash of the audit trail before it, and note it in the trail."""
    chain = session.get(ChainRow, record_sha256, with_for_update=True)
    stored = replace(stored, hashes=stored.hashes | {"audit": chain.head if chain else audit.FIRST_PREVIOUS})
    one = stored.signature
    session.add(stored.row(record_sha256))
    audit.append(
        session, record_sha256, one.reader, action, version=one.version, role=one.role,
        signature_sha256=stored.sha256,
    )  # fmt: skip


def _signatures(session: Session, record_sha256: str) -> tuple[StoredSignature, ...]:
    query = select(SignatureRow).where(SignatureRow.record_sha256 == record_sha256).order_by(SignatureRow.id)
    return tuple(
        StoredSignature(
            Signature(row.version, row.reader, row.role, row.statement, row.signed_at, row.addendum),
            dict(row.hashes),
            dict(row.files),
            row.with_patient,
        )
        for row in session.scalars(query)
    )


def _write(store: Store, record_sha256: str, name: str, content: bytes) -> Path:
    path = signed_path(store, record_sha256, name)
    store.subfolder(SIGNED_FILES, record_sha256)
    try:
        with atomic_file(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{path}: the signed file cannot be kept ({error.strerror}). {FREE_THE_PLACE}") from error
    return path


def _state_problems(store: Store, study: Study, last: Sequence[StoredSignature]) -> list[str]:
    """What of a locked study is not what was signed last."""
    if study.state != SIGNED:
        return []
    if not last:
        return ["The study is locked as signed, and no signature is stored."]
    present = {"labels": edits_sha256(store, study.record_sha256), "model": study.model_sha256}
    changed = [name for name in present if present[name] != last[0].hashes.get(name)]
    return [f"The {name} stored of this study: not what was signed." for name in changed]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
