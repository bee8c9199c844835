"""The recording of a study: opened again where it is as it was, found where it was moved, refused where it changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from sqlalchemy import select

from ..errors import RecordError, RecordMovedError, StoreError
from ..files import sweep_temporary
from ..overrides import RecordOverrides
from ..schema import Record
from . import audit
from .store import Store
from .study import DELETED, SHOWN_DIGITS, Editor, Study, changing, files_of, get_study, path_of
from .study_files import RECORDINGS, files_of_study, is_as_stored, stored_path
from .tables import StudyRow

__all__ = ["RECORDINGS", "UPLOAD", "files_of_study", "open_recording", "relocate", "sha256_in_full", "sweep_uploads"]

UPLOAD: Final = "upload-"  # beginning of the name of a folder of the store that holds an upload


def sweep_uploads(store: Store) -> None:
    """Remove uploads that have no study, as their window was killed before it made one; to be called at a start."""
    sweep_temporary(store.folder / RECORDINGS, UPLOAD, spare=lambda folder: _has_study(store, folder))


def _has_study(store: Store, folder: Path) -> bool:
    """Whether a study has files in a folder of the store; asked while the folder is locked, as one may be made now."""
    place = folder.relative_to(store.folder)
    with store.reading() as session:
        return any(
            place in Path(file[0]).parents for files in session.scalars(select(StudyRow.files)) for file in files
        )


def open_recording(store: Store, study: Study, *, in_full: bool = False) -> Record:
    """Open the recording of a study; it is hashed only where its files do not look as they did, or ``in_full``.

    Raises
    ------
    RecordMovedError
        It is no longer where it was.
    StoreError
        Its files changed since; or the study is gone.
    RecordError
        Its files look as they did and cannot be read.

    """
    from ..records import read_record  # noqa: PLC0415, as wfdb takes half a second

    with store.reading() as session:
        row = session.get(StudyRow, study.record_sha256)
        if row is None:
            raise StoreError(DELETED)
        path, files = store.folder / row.path, row.files
    missing = next((name for name, *_ in files if not (store.folder / name).is_file()), None)
    if missing is not None:
        raise _moved(study, store.folder / missing)
    intact = is_as_stored(store, files)

    try:
        record = read_record(path, study.overrides)
        if intact and not in_full and files_of(store, record) == files:
            vars(record)["sha256"] = study.record_sha256  # of a cached property: a day is not hashed again
        elif record.sha256 == study.record_sha256 and files_of(store, record) != files:
            _note_files(store, record)
    except OSError as error:  # it went away between two steps
        raise _moved(study, path) from error
    except RecordError as error:
        if intact:
            raise
        raise _changed(study, path) from error
    if record.sha256 != study.record_sha256:
        raise _changed(study, path)
    return record


def sha256_in_full(record: Record) -> str:
    """SHA-256 of a recording by all bytes of its files as they are now, whatever was known of it before."""
    return _not_hashed(record).sha256


def _not_hashed(record: Record) -> Record:
    return replace(record, pieces=tuple(map(_not_hashed, record.pieces)))


def relocate(store: Store, record_sha256: str, path: Path, editor: Editor) -> Study:
    """Note where the recording of a study is now, after its hash was compared.

    Raises
    ------
    RecordError
        There is no recording that can be read.
    StoreError
        It is another recording; or the store cannot be written.

    """
    from ..records import read_record  # noqa: PLC0415, as wfdb takes half a second

    with store.reading() as session:
        row = session.get(StudyRow, record_sha256)
        if row is None:
            raise StoreError(DELETED)
        known = row.record_id
        overrides = RecordOverrides(row.fs_hz, row.per_mv)

    record = read_record(path, overrides)
    if record.sha256 != record_sha256:
        raise StoreError(
            f"{path}: this is the recording {record.record_id} (SHA-256 {record.sha256[:SHOWN_DIGITS]}), not {known} "
            f"({record_sha256[:SHOWN_DIGITS]}), to which the study belongs. Choose the file of {known}, unchanged and "
            "under its own name."
        )
    files = files_of(store, record)
    with changing(store, record_sha256, editor, while_signed=True) as (session, row):
        inside = store.folder in path_of(record).parents
        row.path, row.files, row.kept = stored_path(store, path_of(record)), files, row.kept and inside
        audit.append(session, record_sha256, editor.reader, "file found again", record=record.record_id)
    found = get_study(store, record_sha256)
    if found is None:
        raise StoreError(DELETED)
    return found


def _note_files(store: Store, record: Record) -> None:
    """Keep the state of unchanged files that were copied or touched, so that they need not be hashed again."""
    with store.writing() as session:
        row = session.get(StudyRow, record.sha256)
        if row is not None:
            row.files = files_of(store, record)


def _moved(study: Study, place: Path) -> RecordMovedError:
    return RecordMovedError(
        f"{study.record_id}: its recording is no longer at {place}. Name its present place, or connect the disk it is "
        "on; all that was stored of it is kept.",
        place=str(place),
    )


def _changed(study: Study, place: Path) -> StoreError:
    return StoreError(
        f"{study.record_id}: its recording at {place} was changed since the study was made (expected SHA-256 "
        f"{study.record_sha256[:SHOWN_DIGITS]}). Put the unchanged file back, or open this one as a study of its own."
    )
