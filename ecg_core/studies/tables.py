"""The tables of the store. A change here needs a migration in ``migrations/versions``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What the tables have in common."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012  # as SQLAlchemy asks for it


def _of_study(*, primary_key: bool = False, index: bool = True) -> Any:
    reference = ForeignKey("study.record_sha256", ondelete="CASCADE")
    return mapped_column(reference, primary_key=primary_key, index=index and not primary_key)


class StudyRow(Base):
    """One recording, how it is shown, and what the worklist says of it."""

    __tablename__ = "study"
    __table_args__ = (Index("ix_study_recent", "archived", "edited_at"),)

    record_sha256: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[str]
    path: Mapped[str]  # where the record is opened; below the store's folder where ``kept``
    files: Mapped[list[Any]]  # [path, *``study_files.state_of_file``] of each file
    kept: Mapped[bool]  # whether the files were uploaded into the store's folder and go with the study
    fs_hz: Mapped[float | None]  # entered by hand; see ``RecordOverrides``
    per_mv: Mapped[float | None]
    start: Mapped[str]  # ISO 8601, empty where unknown
    duration_s: Mapped[float]
    lead_names: Mapped[list[Any]]
    simulated: Mapped[bool]
    state: Mapped[str]  # one of STATES
    archived: Mapped[bool]
    lead: Mapped[str]  # how the analysis that is shown was asked for
    model_name: Mapped[str]
    model_sha256: Mapped[str]  # see ``model_digest``; up to 0.2 that of the weights; empty until analysed
    rules: Mapped[dict[str, Any]]  # those that differ from the default ones
    n_fitted_edits: Mapped[int]  # so many of the first edits, undone ones left out, were used for fine-tuning
    n_beats: Mapped[int | None]
    pvc_pct: Mapped[float | None]
    sve_pct: Mapped[float | None]
    af_pct: Mapped[float | None]
    danger: Mapped[str]  # see ``report.dangers.worklist_text``
    unlike_pct: Mapped[float | None]  # doubtful beats of a recording that is unlike the training recordings, else none
    patient: Mapped[dict[str, Any]]
    # random: without it, the hash of the patient data in the trail gives nothing away
    patient_key: Mapped[str] = mapped_column(default="")
    narrative: Mapped[str]
    narratives: Mapped[dict[str, Any]] = mapped_column(default=dict)  # all that were kept, by their hash in the trail
    notes_key: Mapped[str] = mapped_column(default="")  # random, as ``patient_key``; of narrative, diary and strips
    view: Mapped[dict[str, Any]]  # where and how it was left: time, lead, scale
    created_at: Mapped[str]  # all times: UTC, ISO 8601, of equal length
    edited_at: Mapped[str]
    edited_by: Mapped[str]
    version: Mapped[int]  # raised by every change, so that another window sees it


class AnalysisRow(Base):
    """A stored analysis; its arrays lie in a file named by the digest of what it was made from."""

    __tablename__ = "analysis"

    digest: Mapped[str] = mapped_column(primary_key=True)
    record_sha256: Mapped[str] = _of_study()
    lead: Mapped[str]
    model_name: Mapped[str]
    model_sha256: Mapped[str]  # as in ``StudyRow``
    n_fitted_edits: Mapped[int]
    code_version: Mapped[str]
    made_at: Mapped[str]


class EditRow(Base):
    """One edit of a reader; an undone one stays."""

    __tablename__ = "edit"
    __table_args__ = (UniqueConstraint("record_sha256", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    record_sha256: Mapped[str] = _of_study(index=False)
    number: Mapped[int]  # from 1
    kind: Mapped[str]  # one of EDIT_KINDS
    content: Mapped[list[Any]]
    made_at: Mapped[str]
    made_by: Mapped[str]
    undone_at: Mapped[str]  # empty where it counts; the last undone has the latest, whatever the clock did


class DiaryRow(Base):
    """A diary entry."""

    __tablename__ = "diary"

    id: Mapped[int] = mapped_column(primary_key=True)
    record_sha256: Mapped[str] = _of_study()
    time_s: Mapped[float]
    symptom: Mapped[str]
    note: Mapped[str]
    source: Mapped[str]


class StripRow(Base):
    """A strip that a reader chose for the report."""

    __tablename__ = "report_strip"

    id: Mapped[int] = mapped_column(primary_key=True)
    record_sha256: Mapped[str] = _of_study()
    start_s: Mapped[float]
    caption: Mapped[str]


class SignatureRow(Base):
    """A signature, with the hashes of what was signed and the files as they were signed."""

    __tablename__ = "signature"

    id: Mapped[int] = mapped_column(primary_key=True)
    record_sha256: Mapped[str] = _of_study()
    version: Mapped[int]
    reader: Mapped[str]
    role: Mapped[str]
    statement: Mapped[str]
    signed_at: Mapped[str]
    addendum: Mapped[str]
    hashes: Mapped[dict[str, Any]]  # SHA-256 of signal, model, labels, rules, pdf, json, and the program's version
    files: Mapped[dict[str, Any]]  # names of the signed files, by their kind
    with_patient: Mapped[bool]  # whether patient data are in these files


class AuditRow(Base):
    """An entry of the audit trail; each holds the hash of the one before."""

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("record_sha256", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    record_sha256: Mapped[str]  # empty for the store's own trail; stays when a study is deleted
    number: Mapped[int]  # from 1
    made_at: Mapped[str]
    reader: Mapped[str]
    action: Mapped[str]
    detail: Mapped[str]  # canonical JSON
    previous: Mapped[str]
    hash: Mapped[str]


class ChainRow(Base):
    """The end of an audit trail, so that a shortened one is noticed."""

    __tablename__ = "chain"

    record_sha256: Mapped[str] = mapped_column(primary_key=True)
    length: Mapped[int]
    head: Mapped[str]


class HoldRow(Base):
    """Who may change a study at present."""

    __tablename__ = "hold"

    record_sha256: Mapped[str] = _of_study(primary_key=True)
    session: Mapped[str]
    reader: Mapped[str]
    since: Mapped[str]
    seen_at: Mapped[str]


class QueueRow(Base):
    """An analysis that waits, runs, or was stopped."""

    __tablename__ = "queue"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # no number is given twice: a job knows its own

    id: Mapped[int] = mapped_column(primary_key=True)
    record_sha256: Mapped[str] = _of_study()
    lead: Mapped[str]
    model_name: Mapped[str]
    rules: Mapped[dict[str, Any]]
    n_fitted_edits: Mapped[int]
    state: Mapped[str]  # one of QUEUE_STATES
    problem: Mapped[str]
    asked_at: Mapped[str]
    asked_by: Mapped[str]
    owner: Mapped[str]  # computer and process whose queue it stands in
    seen_at: Mapped[str]  # when that process reported last
