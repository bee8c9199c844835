"""A whole study as one zip, for a colleague or another computer: rows, trail, analyses, signed files, recording."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from .. import __version__
from ..errors import EcgError, StoreError
from ..files import atomic_file, atomic_files, atomic_folder
from ..labels import CLASSES
from ..notes import Patient
from ..records import read_record
from ..records.archives import MAX_BYTES, MAX_FILES
from ..records.joined import MAGIC, is_join, list_beside
from ..records.limits import MAX_EXPANSION
from ..schema import Analysis, Record, RecordOverrides
from ..text import format_quoted
from . import audit
from .audit import FIRST_PREVIOUS
from .edits import EDIT_KINDS, LABELS
from .frozen import read_frozen
from .recordings import open_recording
from .store import FREE_THE_PLACE, Store, insert_missing
from .study import DELETED, SHOWN_DIGITS, STATES, Editor, Study, get_study
from .study_files import ANALYSES, RECORDINGS, SIGNED_FILES, is_bare, signed_file
from .tables import AnalysisRow, AuditRow, Base, ChainRow, DiaryRow, EditRow, SignatureRow, StripRow, StudyRow

FORMAT, VERSION = "ecg-workstation-study", 1  # raised when a column is added or changes its meaning
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 256 << 20  # a hundred edits of all beats of two weeks
CHUNK_BYTES: Final = 1 << 20
LISTS: Final[dict[str, type[Base]]] = {
    "edits": EditRow, "diary": DiaryRow, "strips": StripRow, "signatures": SignatureRow, "analyses": AnalysisRow,
    "audit": AuditRow,
}  # fmt: skip
LIST_COLUMNS: Final = {"study": ("files", "lead_names"), "edit": ("content",)}  # in other JSON columns stand dicts
NOT_EXPORTED: Final = ("id", "record_sha256")  # numbers of this database, and what the manifest states once
EMPTIED: Final = {"path": "", "files": [], "view": {}}  # of this computer
ENDINGS_OF_TRAIL: Final = {"exported", "export failed", audit.DELETED}  # what may stand here and not in an import


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
        Whether patient data are in it; without them, signed files are left out where they hold some. The recording's
        own files are as they are, and may name the patient too.

    Raises
    ------
    StoreError
        The recording is missing or was changed, or the zip cannot be written.

    """
    study = get_study(store, record_sha256)
    if study is None:
        raise StoreError(DELETED)
    open_recording(store, study)
    with store.writing() as session:
        audit.append(session, record_sha256, editor.reader, "exported", with_patient=with_patient)
        session.flush()
        manifest, files = _collected(store, session, record_sha256, with_patient=with_patient)
    try:
        with atomic_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            packed = [_pack(archive, subfolder, name, source) for subfolder, name, source in files]
            manifest["files"] = [vars(one) for one in packed]
            archive.writestr(MANIFEST, json.dumps(manifest, allow_nan=False, indent=1))
    except OSError as error:
        with store.writing() as session:
            audit.append(session, record_sha256, editor.reader, "export failed")
        raise StoreError(
            f"{path}: the study cannot be written there ({error.strerror or error}). Choose another place."
        ) from error


def import_study(store: Store, path: Path, editor: Editor) -> Study:
    """Add the study of a zip to a store; all of it, or nothing.

    Raises
    ------
    StoreError
        The zip is damaged, altered or of another version, its recording does not fit, or the study is in the store.

    """
    try:
        with _damage(path), zipfile.ZipFile(path) as archive:
            manifest = _manifest(path, archive)
            known = get_study(store, str(manifest["record_sha256"]))
            if known is not None:
                raise StoreError(
                    f"{path.name}: the study of {known.record_id} is already in the store, last edited by "
                    f"{known.edited_by or 'nobody named'} on {known.edited_at[:10]}; nothing was changed. Delete it "
                    "first to take the one of the file."
                )
            with ExitStack() as stack:
                _unpack(store, path, archive, manifest, stack, editor)
    except OSError as error:
        raise StoreError(
            f"{path.name}: the study cannot be imported ({error.strerror or error}); nothing was kept of it. "
            f"{FREE_THE_PLACE}"
        ) from error
    study = get_study(store, str(manifest["record_sha256"]))
    if study is None:
        raise StoreError(DELETED)
    return study


def _collected(
    store: Store, session: Session, record_sha256: str, *, with_patient: bool
) -> tuple[dict[str, Any], list[tuple[str, str, Path]]]:
    """The manifest of a study, and its files: subfolder of the store, name below it, and where they lie."""
    row = session.get_one(StudyRow, record_sha256)
    patient = Patient(**row.patient)
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
    if with_patient or patient.is_empty:
        names = dict.fromkeys(str(name) for one in rows["signatures"] for name in one.files.values())
        places = [place for name in names if (place := signed_file(store, record_sha256, name)).is_file()]
        signed = store.folder / SIGNED_FILES
        files += [(SIGNED_FILES, place.relative_to(signed).as_posix(), place) for place in places]
    study = _values(row) | EMPTIED | ({} if with_patient else {"patient": {}})
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


def _manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    """The checked manifest of a zip."""
    if MANIFEST not in archive.namelist() or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise StoreError(f"{path.name}: this zip holds no study; choose the zip that the export of a study wrote.")
    with archive.open(MANIFEST) as stream:
        manifest = json.loads(stream.read(MAX_MANIFEST_BYTES), parse_constant=_refuse_constant)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(f"{path.name}: this zip holds no study; choose the zip that the export of a study wrote.")
    if manifest["version"] != VERSION:
        raise StoreError(
            f"{path.name}: this study is of format version {manifest['version']!r}, expected {VERSION}; export or "
            "import it by the same version of this program."
        )
    if len(archive.infolist()) > MAX_FILES:
        raise StoreError(f"{path.name}: holds more than {MAX_FILES} files; it is no study.")
    return manifest


def _unpack(
    store: Store, path: Path, archive: zipfile.ZipFile, manifest: dict[str, Any], stack: ExitStack, editor: Editor
) -> None:
    """Write files and rows; what ``stack`` holds takes its place when all is well."""
    sha256 = str(manifest["record_sha256"])
    study = _checked(StudyRow, manifest["study"])
    rows = {name: [_checked(table, one) for one in manifest[name]] for name, table in LISTS.items()}
    if not (
        _is_hash(sha256)
        and is_bare(str(manifest["opens"]))
        and all(_is_hash(one["digest"]) for one in rows["analyses"])
    ):
        raise ValueError("a hash or a name is none")
    _check_content(study, rows)
    folder = store.subfolder(RECORDINGS) / sha256
    hidden = stack.enter_context(atomic_folder(folder, sha256))
    analyses = stack.enter_context(atomic_files(store.subfolder(ANALYSES), sha256))
    _write_files(store, path, archive, manifest, stack, {RECORDINGS: hidden, ANALYSES: analyses})
    if is_join(hidden / manifest["opens"], MAGIC):
        list_beside(hidden / manifest["opens"])
    record = read_record(hidden / manifest["opens"], RecordOverrides(study["fs_hz"], study["per_mv"]))
    if record.sha256 != sha256:
        raise StoreError(
            f"{path.name}: its recording {record.record_id} (SHA-256 {record.sha256[:SHOWN_DIGITS]}) is not the one to "
            f"which the study of {study['record_id']} belongs ({sha256[:SHOWN_DIGITS]}). Export the study again."
        )
    sound = {part.stem for part in analyses.iterdir() if _is_sound(part, record)} & {
        one["digest"] for one in rows["analyses"]
    }
    rows["analyses"] = [one for one in rows["analyses"] if one["digest"] in sound]
    for part in analyses.iterdir():
        if part.stem not in sound:
            part.unlink()
    names = sorted(file.name for file in hidden.iterdir())
    stats = [(hidden / name).stat() for name in names]
    place = PurePosixPath(RECORDINGS, sha256)
    study |= {
        "path": str(place / manifest["opens"]), "kept": True,
        "files": [[str(place / name), stat.st_size, stat.st_mtime_ns] for name, stat in zip(names, stats, strict=True)],
    }  # fmt: skip
    with store.writing() as session:
        _insert(session, path, sha256, study, rows, editor)


def _write_files(
    store: Store, path: Path, archive: zipfile.ZipFile, manifest: dict[str, Any], stack: ExitStack,
    folders: dict[str, Path],
) -> None:  # fmt: skip
    """Write the files that a manifest names: recording and analyses into their folders, signed files hidden."""
    left = min(MAX_BYTES, max(path.stat().st_size, 1) * MAX_EXPANSION)
    for one in manifest["files"]:
        packed = Packed(**one)
        *inside, bare = packed.name.split("/")
        if not is_bare(bare) or inside not in ([], [manifest["record_sha256"]]):
            raise ValueError(f"{packed.name!r} names a place outside")
        if packed.subfolder == SIGNED_FILES:
            final = store.subfolder(SIGNED_FILES, *inside) / bare
            if final.exists():
                raise ValueError(f"{packed.name!r} is there already")
            target = stack.enter_context(atomic_file(final))
        else:
            target = folders[packed.subfolder] / bare
        digest = hashlib.sha256()
        with archive.open(packed.member) as source, target.open("xb") as stream:
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
    with zipfile.ZipFile(part) as arrays:
        if any(info.compress_type != zipfile.ZIP_STORED for info in arrays.infolist()):
            return False  # this program stores arrays as they are: packed ones could fill the memory
    try:
        read_frozen(part, Analysis, record=record)
    except StoreError:
        return False
    return True


def _insert(
    session: Session,
    path: Path,
    sha256: str,
    study: dict[str, Any],
    rows: dict[str, list[dict[str, Any]]],
    editor: Editor,
) -> None:
    """Insert the rows of a study, and check its trail and what the trail states."""
    if not insert_missing(session, StudyRow, {"record_sha256": sha256, **study}):
        raise StoreError(f"{path.name}: this study is in the store since a moment ago; nothing was changed.")
    trail = [AuditRow(record_sha256=sha256, **one) for one in rows["audit"]]
    problems = audit.chain_problems(trail, (len(trail), trail[-1].hash if trail else FIRST_PREVIOUS))
    if not trail or problems:
        raise StoreError(f"{path.name}: its audit trail was altered ({' '.join(problems) or 'it is empty'})")
    _continue_trail(session, path, sha256, trail)
    for name, table in LISTS.items():
        if name != "audit":
            session.add_all(table(record_sha256=sha256, **one) for one in rows[name])
    head = trail[-1].hash
    audit.append(session, sha256, editor.reader, audit.IMPORTED, entries=len(trail), trail=head)
    audit.append(session, audit.STORE, editor.reader, "study imported", record=study["record_id"], trail=head)
    session.flush()
    problems = audit.problems_of(session, sha256)
    if problems:
        raise StoreError(f"{path.name}: this study was altered after its export ({problems[0]})")


def _continue_trail(session: Session, path: Path, sha256: str, trail: Sequence[AuditRow]) -> None:
    """Bring the trail that this store kept of a deleted study together with an imported one."""
    here = list(audit.rows_of(session, sha256))
    n_common = next((i for i, (a, b) in enumerate(zip(here, trail, strict=False)) if a.hash != b.hash), None)
    n_common = min(len(here), len(trail)) if n_common is None else n_common
    if n_common == len(trail):
        return  # the store knows more: it goes on from there
    if any(row.action not in ENDINGS_OF_TRAIL for row in here[n_common:]):
        raise StoreError(
            f"{path.name}: the audit trail of this study went on in this store after the export; the two cannot be "
            "joined. Import it into another store (ECG_STUDIES names its folder)."
        )
    for row in here[n_common:]:
        session.delete(row)
    session.flush()
    session.add_all(trail[n_common:])
    insert_missing(session, ChainRow, {"record_sha256": sha256, "length": 0, "head": FIRST_PREVIOUS})
    chain = session.get_one(ChainRow, sha256, with_for_update=True)
    chain.length, chain.head = len(trail), trail[-1].hash
    session.flush()


def _values(row: Base) -> dict[str, Any]:
    return {
        column.name: getattr(row, column.name) for column in row.__table__.columns if column.name not in NOT_EXPORTED
    }


def _checked(table: type[Base], values: Any) -> dict[str, Any]:
    """The values of a row from a zip, each of the type of its column."""
    columns = {column.name: column for column in table.__table__.columns if column.name not in NOT_EXPORTED}
    if not isinstance(values, dict) or values.keys() != columns.keys():
        raise ValueError(f"the columns of {table.__tablename__} are others")
    for name, column in columns.items():
        kind = column.type.python_type
        kind = list if kind is dict and name in LIST_COLUMNS.get(table.__tablename__, ()) else kind
        fits = isinstance(values[name], (int, float) if kind is float else kind)
        fits &= kind is bool or not isinstance(values[name], bool)  # which is an int for Python
        if not fits and not (values[name] is None and column.nullable):
            raise ValueError(f"{table.__tablename__}.{name} is of another type")
    return dict(values)


def _check_content(study: dict[str, Any], rows: dict[str, list[dict[str, Any]]]) -> None:
    """Refuse what other parts of the program could not read."""
    Patient(**study["patient"])
    if study["state"] not in STATES or not all(isinstance(name, str) for name in study["lead_names"]):
        raise ValueError("the study is of an unknown state, or names no leads")
    for edit in rows["edits"]:
        if edit["kind"] not in EDIT_KINDS:
            raise ValueError("an edit is of an unknown kind")
        if edit["kind"] == LABELS and not all(
            len(label) == 2 and float(label[0]) >= 0 and label[1] in CLASSES for label in edit["content"]
        ):
            raise ValueError("an edit holds what is no label")


def _order(table: type[Base]) -> Any:
    return getattr(table, "number", None) or getattr(table, "id", None) or table.__table__.columns["made_at"]


def _is_hash(text: str) -> bool:
    return len(text) == len(FIRST_PREVIOUS) and not set(text) - set("0123456789abcdef")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


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
