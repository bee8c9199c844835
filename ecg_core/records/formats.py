"""The registry of file formats: adding one is a module with its reader and one entry of ``FORMATS``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from ..errors import MissingMetadataError, RecordError
from ..files import is_there
from ..notes import Patient
from ..overrides import RecordOverrides
from ..schema import Record
from . import dicom_files, edf_header, ishne_files, wfdb_notes
from .archives import UnpackedSource, is_archive, unpack
from .cart_kinds import is_aecg, is_atc, is_mfer, is_mortara, is_muse, is_scp, is_sierra, is_watch_json, reader_of
from .dicom_files import is_dicom, read_dicom
from .edf_files import is_edf, marks_of, read_edf
from .folder import Folder
from .ishne_files import is_ishne, read_ishne
from .joined import first_samples, is_join, join_records, read_join
from .kinds import foreign_kind, not_a_recording
from .mat_files import is_mat, read_mat
from .parquet_files import is_parquet
from .table_files import is_table, is_table_among_texts, read_parquet, read_table
from .unchanged import guarded
from .wfdb_files import has_header, is_wfdb, read_wfdb
from .wfdb_header import headers_in, segment_names

FIRST_BYTES = 512  # that identify a format
# Ends of the names, and whole names, of files that this program writes and that have the suffix of a recording.
RESULTS: Final = (
    "_beats.csv", "_events.csv", "_hourly.csv", "_burden.csv", "_labels.csv", "_alarms.csv", "_audit.csv",
    "_report.dcm", "_report.json", "_fhir.json", "_study.zip",
)  # fmt: skip
OF_MANY: Final = ("study.csv", "study.parquet", "failures.csv", "finished.json")
COPY_NUMBER: Final = re.compile(r" ?\(\d+\)(?=\.\w+$)")  # that a browser adds to the name of a second download


Marks = list[tuple[float, str]]  # time in seconds and text of each mark


def _no_patient(_path: Path) -> Patient:
    return Patient()


def _no_marks(_record: Record) -> Marks:
    return []


def _open_archive(path: Path, overrides: RecordOverrides) -> Record:
    """Open the one record of an archive."""
    folder = Folder()
    unpack(path, folder.path)
    found = records_in(folder.path)
    if len(found) != 1:
        names = ", ".join(record.name for record in found[:8]) or "none"
        raise RecordError(
            where=path.name, expected="one record in the archive", got=f"{len(found)} ({names})", advice="Unpack it."
        )
    try:
        record = open_record(found[0], overrides)
    except MissingMetadataError:
        raise
    except RecordError as error:
        raise error.inside(path.name) from error
    return replace(record, source=UnpackedSource(record.source, folder), archive=path)


def _open_joined(path: Path, overrides: RecordOverrides) -> Record:
    """Open all pieces of a joined recording as one."""
    try:
        record = join_records([replace(open_record(piece, overrides), path=piece) for piece in read_join(path)])
    except MissingMetadataError:
        raise
    except RecordError as error:
        raise error.inside(path.name) from error
    return replace(record, record_id=path.stem, files=(path, *record.files))


def _patient_of_joined(path: Path) -> Patient:
    """What the pieces state; a field in which they differ is empty."""
    stated = [asdict(form.patient(piece)) for piece in read_join(path) if (form := format_of(piece))]
    values = {name: {fields[name] for fields in stated} - {""} for name in asdict(Patient())}
    return Patient(**{name: found.pop() for name, found in values.items() if len(found) == 1})


def _marks_of_joined(record: Record) -> Marks:
    found: Marks = []
    for piece, first in zip(record.pieces, first_samples(record), strict=True):
        form = format_of(piece.path) if piece.path else None
        found += [(time_s + first / record.fs_hz, text) for time_s, text in (form.marks(piece) if form else [])]
    return found


@dataclass(frozen=True)
class Format:
    """A file format: how it is recognised and opened."""

    name: str
    suffixes: tuple[str, ...]  # of the files of a folder that are tried as records
    sniff: Callable[[Path, bytes], bool]  # whether a file is of this format, by its path and first bytes
    open: Callable[[Path, RecordOverrides], Record]
    patient: Callable[[Path], Patient] = _no_patient  # what the header states of patient and recorder
    marks: Callable[[Record], Marks] = _no_marks  # event marks of an opened record
    variants: tuple[tuple[int, bytes, str], ...] = ()  # offset, bytes there, and the name of the variant

    def kind(self, first: bytes) -> str:
        """Name of a file's variant of the format, or of the format."""
        found = (name for offset, magic, name in self.variants if first[offset:].startswith(magic))
        return next(found, self.name)


WFDB: Final = Format(  # a record is found by its header, whatever its other files
    "WFDB", (), is_wfdb, read_wfdb, wfdb_notes.patient_of, wfdb_notes.marks_of
)
FORMATS: Final = (  # tried in this order
    Format(
        "EDF, EDF+, BDF", (".edf", ".bdf"), is_edf, read_edf, edf_header.patient_of, marks_of,
        variants=(
            (edf_header.KIND_AT, b"EDF+D", "EDF+, interrupted"), (edf_header.KIND_AT, b"EDF+", "EDF+"),
            (edf_header.KIND_AT, b"BDF+", "BDF+"), (0, edf_header.EDF_MAGIC, "EDF"), (0, edf_header.BDF_MAGIC, "BDF"),
        ),
    ),
    Format("ISHNE", (".ecg",), is_ishne, read_ishne, ishne_files.patient_of),
    Format(  # by its name alone, and in no archive
        "joined recording", (), is_join, _open_joined, _patient_of_joined, _marks_of_joined
    ),
    Format("DICOM", (".dcm",), is_dicom, read_dicom, dicom_files.patient_of),
    Format("HL7 annotated ECG", (".xml",), is_aecg, *reader_of("aecg_files", "read_aecg")),
    Format("GE MUSE XML", (".xml",), is_muse, *reader_of("muse_files", "read_muse")),
    Format("SCP-ECG", (".scp",), is_scp, *reader_of("scp_files", "read_scp")),
    Format("Philips XML", (".xml",), is_sierra, *reader_of("sierra_files", "read_sierra")),
    Format("Mortara XML", (".xml",), is_mortara, *reader_of("mortara_files", "read_mortara")),
    Format("MFER", (".mwf",), is_mfer, *reader_of("mfer_files", "read_mfer")),
    Format("AliveCor ATC", (".atc",), is_atc, *reader_of("atc_files", "read_atc")),
    Format("JSON of a watch", (".json",), is_watch_json, *reader_of("json_files", "read_json")),
    Format("MATLAB", (".mat",), is_mat, read_mat),
    Format("Parquet", (".parquet",), is_parquet, read_parquet),
    Format(
        "archive of one record", (".zip", ".tar.gz", ".tgz"), is_archive, _open_archive,
        variants=((0, b"PK", "zip archive"), (0, b"\x1f\x8b", "gzip archive")),
    ),
    Format("table of text", (".csv", ".tsv"), is_table, read_table),
    WFDB,
)  # fmt: skip
SINGLE_FILES: Final = tuple(dict.fromkeys(suffix for form in FORMATS for suffix in form.suffixes))
SHARED_SUFFIXES: Final = (".xml", ".json")  # of files that are seldom recordings: those of a folder are sniffed


def open_record(path: Path, overrides: RecordOverrides) -> Record:
    """Open a file by the reader of its format.

    Raises
    ------
    RecordError
        It is of no known format, or its reader refuses it.

    """
    form = format_of(path)
    if form is None:
        names = ", ".join(form.name for form in FORMATS)
        raise not_a_recording(path, first_bytes(path), formats=names)
    return guarded(form.open(path, overrides))


def format_of(path: Path) -> Format | None:
    """Format of a file; WFDB where no file has this path, as a WFDB record is given without suffix."""
    first = first_bytes(path)
    if not is_there(path) or _belongs_to_header(path, first):
        return WFDB
    return next((form for form in FORMATS if form.sniff(path, first)), None)


def _belongs_to_header(path: Path, first: bytes) -> bool:
    """Whether a file holds samples or annotations of a WFDB record; PhysioNet keeps some samples as MATLAB files."""
    suffix = path.suffix.lower()
    if not has_header(path):
        return False
    if suffix == ".mat":
        return is_mat(path, first)
    return suffix in (".dat", ".atr") or _is_annotator(path, first)


def _is_annotator(path: Path, first: bytes) -> bool:
    """Whether a file beside a header is an annotation file whose annotator has any name, such as "ecg"."""
    others = (form for form in FORMATS if form.sniff not in (is_wfdb, is_table))  # no text ends in two zeros
    return wfdb_notes.may_hold_annotations(path) and not any(form.sniff(path, first) for form in others)


def kind_of(path: Path) -> str:
    """Name of what a file is, such as "EDF+" or "PDF document"."""
    form, first = format_of(path), first_bytes(path)
    foreign = foreign_kind(first)
    if form:
        return form.kind(first)
    return foreign.name if foreign else "unknown format"


def records_in(folder: Path) -> list[Path]:
    """Records of a folder: those of WFDB without suffix and without their segments, then files of other formats."""
    headers = headers_in(folder)
    segments = {name for header in headers for name in segment_names(header)}
    stems = {header.stem for header in headers}
    files = [
        path for path in sorted(folder.glob("*.*"))
        if path.name.lower().endswith(SINGLE_FILES) or is_table_among_texts(path)
    ]  # fmt: skip
    files = [
        path for path in files
        if not is_result(path)
        and not (path.stem in stems and _belongs_to_header(path, first_bytes(path)))
        and (path.suffix.lower() not in SHARED_SUFFIXES or format_of(path) is not None)
    ]  # fmt: skip
    return [*(header.with_suffix("") for header in headers if header.stem not in segments), *files]


def is_result(path: Path) -> bool:
    """Whether a file is called as one that this program writes about a recording, and so is none."""
    name = COPY_NUMBER.sub("", path.name.lower())
    return name.endswith(RESULTS) or name in OF_MANY


def first_bytes(path: Path) -> bytes:
    """The bytes by which formats are recognised; none where there is no file."""
    if not is_there(path):
        return b""
    with path.open("rb") as stream:
        return stream.read(FIRST_BYTES)
