"""A whole study as one zip, for a colleague or another computer: rows, trail, analyses, signed files, recording."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from .. import __version__
from ..errors import EcgError, StoreError
from ..files import atomic_file, atomic_files, atomic_folder
from ..overrides import RecordOverrides
from ..records import read_record
from ..records.archives import MAX_BYTES
from ..records.joined import MAGIC, is_join, list_beside
from ..records.limits import MAX_EXPANSION
from ..schema import Analysis, Record
from ..text import format_quoted
from . import audit
from .audit import FIRST_PREVIOUS
from .bundle_checks import (
    EMPTIED,
    FORMAT,
    LISTS,
    MANIFEST,
    NOT_EXPORTED,
    VERSION,
    Values,
    check_limits,
    checked_rows,
    read_manifest,
    shared_view,
)
from .frozen import read_frozen
from .recordings import open_recording
from .store import FREE_THE_PLACE, Store, insert_missing
from .study import DELETED, SHOWN_DIGITS, Editor, Study, get_study
from .study_files import ANALYSES, RECORDINGS, SIGNED_FILES, is_bare, signed_path, state_of_file
from .tables import AuditRow, Base, ChainRow, StudyRow

CHUNK_BYTES: Final = 1 << 20
MAX_FOLDERS: Final = 1_000  # of one recording, left by kills in the middle of an import
NO_ZIP: Final = (OSError, zipfile.BadZipFile, NotImplementedError)  # raised for a file that is none, or damaged
NO_HASH: Final = "0" * 64  # in a manifest whose files were not read yet


@dataclass(frozen=True)
class Packed:
    """A file of the zip."""

    subfolder: str  # of the store: ANALYSES, RECORDINGS or SIGNED_FILES
    name: str  # below it, without the folder of the study
    sha256: str

    @property
    def member(self) -> str:
        """Its name in the zip."""
        return f"{self.subfolder}/{self.name}"


def export_study(store: Store, record_sha256: str, path: Path, editor: Editor, *, with_patient: bool) -> None:
    """Write a study with its recording into a zip.

    Parameters
    ----------
    with_patient
        Whether patient data are in it; without them, signed files that hold some are left out. The recording's own
        files are as they are, and may name the patient too.

    Raises
    ------
    StoreError
        The recording is missing or was changed, the audit trail was altered, the study is too large for a zip, or the
        zip cannot be written or would replace another file than an earlier export of the same study.

    """
    study = get_study(store, record_sha256)
    if study is None:
        raise StoreError(DELETED)
    with _not_written(path):
        _require_free(path, record_sha256)
    open_recording(store, study, in_full=True)
    with _not_written(path), store.writing() as session:
        audit.append(session, record_sha256, editor.reader, "exported", with_patient=with_patient)
        session.flush()
        manifest, files = _collected(store, session, record_sha256, with_patient=with_patient)
        if problems := audit.problems_of(session, record_sha256):
            raise StoreError(
                f"{study.record_id}: its audit trail was altered ({' '.join(problems)}), so that no import would "
                "accept an export; write its report and labels instead."
            )
        sizes = [source.stat().st_size for _, _, source in files]
        listed = manifest | {"files": [vars(Packed(subfolder, name, NO_HASH)) for subfolder, name, _ in files]}
        check_limits(study.record_id, sizes, len(_as_json(listed)), max_bytes=MAX_BYTES)
        _check_as_imported(study.record_id, listed)
    try:
        with _not_written(path), atomic_file(path) as part:
            _write_zip(part, manifest, files, zipfile.ZIP_DEFLATED)
            if sum(sizes) > part.stat().st_size * MAX_EXPANSION:  # an import would take it for a bomb
                _write_zip(part, manifest, files, zipfile.ZIP_STORED)
    except StoreError:
        with store.writing() as session:
            audit.append(session, record_sha256, editor.reader, "export failed")
        raise


def _check_as_imported(record_id: str, manifest: Values) -> None:
    """Refuse to write a zip whose rows no import would accept."""
    try:
        checked_rows(manifest)
    except Exception as error:  # of any kind
        raise StoreError(
            f"{record_id}: no import would accept this study ({format_quoted(error)}); nothing was written. Copy the "
            "folder of the studies instead."
        ) from error


def _require_free(path: Path, record_sha256: str) -> None:
    """Refuse to replace what is no export of the same study."""
    if path.exists() and not _is_export_of(path, record_sha256):
        raise StoreError(
            f"{path}: there is a file already, which is no export of this study, and it was not replaced. Choose "
            "another place."
        )


def _is_export_of(path: Path, record_sha256: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(read_manifest(path, archive)["record_sha256"] == record_sha256)
    except Exception:  # the file may be anything
        return False


@contextmanager
def _not_written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: the study cannot be written there ({error.strerror or error}). Choose another place."
        ) from error


def _write_zip(part: Path, manifest: Values, files: Sequence[tuple[str, str, Path]], compression: int) -> None:
    with zipfile.ZipFile(part, "w", compression, compresslevel=1) as archive:
        packed = [_pack(archive, subfolder, name, source) for subfolder, name, source in files]
        archive.writestr(MANIFEST, _as_json(manifest | {"files": [vars(one) for one in packed]}))


def _as_json(manifest: Values) -> bytes:
    return json.dumps(manifest, allow_nan=False, indent=1).encode()


def import_study(store: Store, path: Path, editor: Editor) -> Study:
    """Add the study of a zip to a store; all of it, or nothing.

    Raises
    ------
    StoreError
        There is no such file, the zip is damaged, altered or of another version, its recording does not fit, or the
        study is in the store.

    """
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file; expected the zip of an exported study.")
    try:
        with _damage(path), zipfile.ZipFile(path) as archive:
            manifest = read_manifest(path, archive)
            known = get_study(store, str(manifest["record_sha256"]))
            if known is not None:
                raise StoreError(
                    f"{path.name}: the study of {known.record_id} is already in the store, last edited by "
                    f"{known.edited_by or 'nobody named'} on {known.edited_at[:10]}; nothing was changed. Delete it "
                    "first to take the one of the file."
                )
            _unpack(store, path, archive, manifest, editor)
    except OSError as error:
        raise StoreError(
            f"{path.name}: the study cannot be imported ({error.strerror or error}); nothing was kept of it. "
            f"{FREE_THE_PLACE}"
        ) from error
    study = get_study(store, str(manifest["record_sha256"]))
    if study is None:
        raise StoreError(DELETED)
    return study


def is_study_zip(path: Path) -> bool:
    """Whether a file is a zip as ``export_study`` writes it, by what it names; ``import_study`` checks the rest."""
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except NO_ZIP:
        return False


def _collected(
    store: Store, session: Session, record_sha256: str, *, with_patient: bool
) -> tuple[Values, list[tuple[str, str, Path]]]:
    """The manifest of a study, and its files: subfolder of the store, name below it, and where they lie."""
    row = session.get_one(StudyRow, record_sha256)
    rows: dict[str, Sequence[Any]] = {
        name: session.scalars(select(table).filter_by(record_sha256=record_sha256).order_by(_order(table))).all()
        for name, table in LISTS.items()
    }
    files = [(RECORDINGS, Path(file[0]).name, store.folder / file[0]) for file in row.files]
    if len({name.casefold() for _, name, _ in files}) < len(files):
        raise StoreError(
            f"{row.record_id}: files of its pieces have the same names in other folders, and cannot lie in one zip. "
            "Rename the pieces, and join them again."
        )
    kept = [one.digest for one in rows["analyses"] if (store.folder / ANALYSES / f"{one.digest}.npz").is_file()]
    files += [(ANALYSES, f"{digest}.npz", store.folder / ANALYSES / f"{digest}.npz") for digest in kept]
    signed = [one for one in rows["signatures"] if with_patient or not one.with_patient]
    names = dict.fromkeys(str(name) for one in signed for name in one.files.values())
    places = [place for name in names if (place := signed_path(store, record_sha256, name)).is_file()]
    files += [(SIGNED_FILES, f"{record_sha256}/{place.name}", place) for place in places]
    study = _values(row) | EMPTIED | {"view": shared_view(row.view)}
    study |= {} if with_patient else {"patient": {}, "patient_key": ""}
    lists = {name: [_values(one) for one in found] for name, found in rows.items()}
    lists["analyses"] = [one for one in lists["analyses"] if one["digest"] in kept]
    manifest = {
        "format": FORMAT, "version": VERSION, "software_version": __version__, "record_sha256": record_sha256,
        "with_patient": with_patient, "opens": Path(row.path).name, "study": study, **lists,
    }  # fmt: skip
    return manifest, files


def _pack(archive: zipfile.ZipFile, subfolder: str, name: str, source: Path) -> Packed:
    digest = hashlib.sha256()
    with source.open("rb") as stream, archive.open(f"{subfolder}/{name}", "w", force_zip64=True) as member:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            member.write(chunk)
    return Packed(subfolder, name, digest.hexdigest())


def _unpack(store: Store, path: Path, archive: zipfile.ZipFile, manifest: Values, editor: Editor) -> None:
    """Write files and rows; the files take their places within the transaction, so that both are there or neither."""
    study, rows = checked_rows(manifest)
    sha256, opens = manifest["record_sha256"], manifest["opens"]
    with ExitStack() as stack:
        folder = _free_folder(store.subfolder(RECORDINGS), sha256)
        stack.callback(_remove_empty, store.folder / SIGNED_FILES / sha256)
        hidden = {
            RECORDINGS: stack.enter_context(atomic_folder(folder, sha256)),
            ANALYSES: stack.enter_context(atomic_files(store.subfolder(ANALYSES), sha256, noted=False)),
            SIGNED_FILES: stack.enter_context(atomic_files(store.subfolder(SIGNED_FILES, sha256), sha256, noted=False)),
        }
        _write_files(path, archive, manifest, hidden)
        record = _recording(path, hidden[RECORDINGS] / opens, study, sha256)
        rows["analyses"] = _sound_analyses(hidden[ANALYSES], rows["analyses"], record)
        files = [
            [f"{RECORDINGS}/{folder.name}/{file.name}", *state_of_file(file)]
            for file in sorted(hidden[RECORDINGS].iterdir())
        ]
        study |= {"path": f"{RECORDINGS}/{folder.name}/{opens}", "kept": True, "files": files}
        moving = [
            part.parent.parent / part.name for name in (ANALYSES, SIGNED_FILES) for part in hidden[name].iterdir()
        ]
        imported = {"with_patient": manifest["with_patient"], "left_out": _left_out(manifest, rows["signatures"])}
        is_moving = False
        try:
            with store.writing() as session:
                _insert(session, path, (sha256, study, rows), editor, imported)
                is_moving = True
                stack.close()
        except BaseException:
            if is_moving and get_study(store, sha256) is None:
                _remove(folder, moving)
            raise


def _free_folder(recordings: Path, sha256: str) -> Path:
    """A folder for a recording that is not there yet: another study may use what lies in one that is."""
    names = (sha256, *(f"{sha256}-{number}" for number in range(2, MAX_FOLDERS)))
    return next(folder for name in names if not (folder := recordings / name).exists())


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty
        folder.rmdir()


def _remove(folder: Path, files: Sequence[Path]) -> None:
    """Remove what was moved before a transaction failed."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in files:
        with suppress(OSError):
            file.unlink()
        if file.parent.parent.name == SIGNED_FILES:
            _remove_empty(file.parent)


def _recording(path: Path, place: Path, study: Values, sha256: str) -> Record:
    """The recording of a zip, as it was unpacked; refused where it is another one."""
    if is_join(place, MAGIC):
        list_beside(place)
    record = read_record(place, RecordOverrides(study["fs_hz"], study["per_mv"]))
    if record.sha256 != sha256:
        raise StoreError(
            f"{path.name}: its recording {record.record_id} (SHA-256 {record.sha256[:SHOWN_DIGITS]}) is not the one to "
            f"which the study of {study['record_id']} belongs ({sha256[:SHOWN_DIGITS]}). Export the study again."
        )
    return record


def _sound_analyses(hidden: Path, rows: Sequence[Values], record: Record) -> list[Values]:
    """The rows of those analyses that this version reads; files without a row, and the others, are removed."""
    sound = {part.stem for part in hidden.iterdir() if _is_sound(part, record)} & {one["digest"] for one in rows}
    for part in hidden.iterdir():
        if part.stem not in sound:
            part.unlink()
    return [one for one in rows if one["digest"] in sound]


def _left_out(manifest: Values, signatures: Sequence[Values]) -> list[str]:
    """Names of the signed files that an export without patient data left out."""
    if manifest["with_patient"]:
        return []
    inside = {one["name"] for one in manifest["files"] if one["subfolder"] == SIGNED_FILES}
    names = {name for one in signatures if one["with_patient"] for name in one["files"].values()}
    return sorted(name for name in names if f"{manifest['record_sha256']}/{name}" not in inside)


def _write_files(path: Path, archive: zipfile.ZipFile, manifest: Values, folders: dict[str, Path]) -> None:
    """Write the files that a manifest names into hidden folders, by their subfolder of the store."""
    left = min(MAX_BYTES, max(path.stat().st_size, 1) * MAX_EXPANSION)
    for one in manifest["files"]:
        packed = Packed(**one)
        *inside, bare = packed.name.split("/")
        expected = [manifest["record_sha256"]] if packed.subfolder == SIGNED_FILES else []
        if not is_bare(bare) or inside != expected:
            raise ValueError(f"{packed.name!r} names a place outside")
        digest = hashlib.sha256()
        with archive.open(packed.member) as source, (folders[packed.subfolder] / bare).open("xb") as stream:
            left = _copy(source, stream, digest, left)
        if digest.hexdigest() != packed.sha256:
            raise ValueError(f"{packed.member} was changed")


def _copy(source: IO[bytes], target: IO[bytes], digest: Any, left: int) -> int:
    while chunk := source.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise ValueError("it unpacks to far more than a study needs")
        digest.update(chunk)
        target.write(chunk)
    return left


def _is_sound(part: Path, record: Record) -> bool:
    """Whether this version reads a stored analysis; one that it does not read is made again."""
    try:
        with zipfile.ZipFile(part) as arrays:
            if any(info.compress_type != zipfile.ZIP_STORED for info in arrays.infolist()):
                return False  # this program stores arrays as they are: packed ones could fill the memory
        read_frozen(part, Analysis, record=record)
    except (StoreError, *NO_ZIP):
        return False
    return True


def _insert(
    session: Session, path: Path, content: tuple[str, Values, dict[str, list[Values]]], editor: Editor, imported: Values
) -> None:
    """Insert the rows of a study, and check its trail and what the trail states."""
    sha256, study, rows = content
    if not insert_missing(session, StudyRow, {"record_sha256": sha256, **study}):
        raise StoreError(f"{path.name}: this study is in the store since a moment ago; nothing was changed.")
    trail = [AuditRow(record_sha256=sha256, **one) for one in rows["audit"]]
    problems = audit.chain_problems(trail, (len(trail), trail[-1].hash if trail else FIRST_PREVIOUS))
    if not trail or problems:
        raise StoreError(f"{path.name}: its audit trail was altered ({' '.join(problems) or 'it is empty'})")
    n_entries, head = len(trail), trail[-1].hash
    beside = _join_trails(session, sha256, trail)
    for name, table in LISTS.items():
        if name != "audit":
            session.add_all(table(record_sha256=sha256, **one) for one in rows[name])
    audit.append(
        session, sha256, editor.reader, audit.IMPORTED, entries=n_entries, trail=head, **imported, **beside
    )  # fmt: skip
    audit.append(session, audit.STORE, editor.reader, "study imported", record=study["record_id"], trail=head)
    session.flush()
    problems = audit.problems_of(session, sha256)
    if problems:
        raise StoreError(f"{path.name}: this study was altered after its export ({problems[0]})")


def _join_trails(session: Session, sha256: str, trail: Sequence[AuditRow]) -> Values:
    """Bring the trail that this store kept of a deleted study together with an imported one; no entry is removed.

    Returns what the entry of the import states: where the two differ, the trail here goes on, and that entry holds the
    imported ones.
    """
    here = list(audit.rows_of(session, sha256))
    n_common = next((i for i, (a, b) in enumerate(zip(here, trail, strict=False)) if a.hash != b.hash), None)
    n_common = min(len(here), len(trail)) if n_common is None else n_common
    if n_common == len(trail):
        return {}  # the store knows more
    if n_common < len(here):
        return {"kept": n_common, "others": [audit.as_list(row) for row in trail[n_common:]]}
    session.add_all(trail[n_common:])
    insert_missing(session, ChainRow, {"record_sha256": sha256, "length": 0, "head": FIRST_PREVIOUS})
    chain = session.get_one(ChainRow, sha256, with_for_update=True)
    chain.length, chain.head = len(trail), trail[-1].hash
    session.flush()
    return {}


def _values(row: Base) -> Values:
    return {
        column.name: getattr(row, column.name) for column in row.__table__.columns if column.name not in NOT_EXPORTED
    }


def _order(table: type[Base]) -> Any:
    return getattr(table, "number", None) or getattr(table, "id", None) or table.__table__.columns["made_at"]


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what damaged or altered content raises into a sentence."""
    try:
        yield
    except (StoreError, OSError):
        raise
    except Exception as error:  # zip, JSON, and the readers of records each raise their own kinds
        reason = str(error) if isinstance(error, EcgError) else format_quoted(error)
        raise StoreError(
            f"{path.name}: this study is damaged or was altered ({reason}); nothing was imported. Export it again."
        ) from error
