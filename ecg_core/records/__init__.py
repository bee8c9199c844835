"""Recordings on disk: the only place that knows file formats. What a file is, is told from its first bytes.

Each format has a module of its own; adding one is a reader and a line in ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import LeadError, MissingMetadataError, RecordError
from ..schema import NO_OVERRIDES, Lead, Record, RecordOverrides
from ..text import one_line
from . import dicom_files, edf_files, ishne_files
from .annotation_files import RHYTHM, RHYTHM_SYMBOL, read_annotations
from .archives import UnpackedSource, is_archive, unpack
from .dicom_files import is_dicom, read_dicom
from .edf_files import is_edf, read_edf
from .folder import Folder
from .ishne_files import is_ishne, read_ishne
from .kinds import first_bytes, kind_of, what_instead
from .mat_files import is_mat, read_mat
from .overrides import apply_overrides, per_mv_of
from .samples import ASSUMED_PER_MV
from .table_files import is_table, read_table
from .wfdb_files import age_of, is_bare, read_wfdb, segment_lines

__all__ = [
    "ASSUMED_PER_MV", "RESULTS", "RHYTHM", "RHYTHM_SYMBOL", "SINGLE_FILES", "age_of", "find_records", "is_bare",
    "kind_of", "lead_index", "patient_of", "per_mv_of", "position_of", "read_annotations", "read_record", "read_strip",
    "records_in",
]  # fmt: skip

READERS: Final[tuple[tuple[Callable[[Path, bytes], bool], Callable[[Path], Record]], ...]] = (
    (is_edf, read_edf),
    (is_ishne, read_ishne),
    (is_dicom, read_dicom),
)
# Of files that may leave rate and unit open, for a person to state
BARE_READERS: Final[tuple[tuple[Callable[[Path, bytes], bool], Callable[[Path, RecordOverrides], Record]], ...]] = (
    (is_mat, read_mat),
    (is_table, read_table),
)
PATIENTS: Final[tuple[tuple[Callable[[Path, bytes], bool], Callable[[Path], Sequence[str]]], ...]] = (
    (is_edf, edf_files.patient_of),
    (is_ishne, ishne_files.patient_of),
    (is_dicom, dicom_files.patient_of),
)
WFDB_PARTS = (".hea", ".dat", ".atr")
SAMPLES = (".dat", ".atr", ".mat")  # of WFDB, where a header lies beside them
# Endings by which a folder is searched
SINGLE_FILES: Final = (".edf", ".bdf", ".ecg", ".dcm", ".csv", ".tsv", ".parquet", ".mat", ".zip", ".tar.gz", ".tgz")
RESULTS = ("_beats.csv", "_events.csv", "_hourly.csv", "_burden.csv")  # tables that this program writes
FIRST_YEAR, LAST_YEAR = 1900, 2200  # a start outside of these is damage


def read_record(path: str | Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a record; its samples stay on disk where the format allows it.

    A WFDB record is given with or without extension, any other format by its file. What a file does not say, its
    rate or its unit, has to be stated; nothing is guessed.

    Raises
    ------
    RecordError
        The file is missing, of no format that is known, damaged, or says something else than was stated.
    MissingMetadataError
        The file does not say its rate or its unit, and nobody stated it.

    """
    record = _read(Path(path), overrides)
    if record.start is not None and not FIRST_YEAR <= record.start.year <= LAST_YEAR:
        record = replace(record, start=None)
    return replace(record, record_id=one_line(record.record_id))


def _read(path: Path, overrides: RecordOverrides) -> Record:
    has_header = path.suffix.lower() in SAMPLES and path.with_suffix(".hea").is_file()
    if not path.is_file() or (has_header and path.suffix.lower() != ".mat"):
        return apply_overrides(read_wfdb(path), overrides)
    first = first_bytes(path)
    if is_archive(path, first):
        return _read_archive(path, overrides)
    if has_header and is_mat(path, first):  # PhysioNet keeps the samples of some records so
        return apply_overrides(read_wfdb(path), overrides)
    for knows, read in READERS:
        if knows(path, first):
            return apply_overrides(read(path), overrides)
    for knows, read_bare in BARE_READERS:
        if knows(path, first):
            return read_bare(path, overrides)
    if path.suffix.lower() in WFDB_PARTS or path.with_name(f"{path.name}.hea").is_file():
        return apply_overrides(read_wfdb(path), overrides)
    raise RecordError(f"{path.name}: {what_instead(path, first)}")


def patient_of(path: Path) -> Sequence[str]:
    """What a file says of the patient, to be shown to whoever holds the file, and to be written nowhere."""
    first = first_bytes(path)
    for knows, says in PATIENTS:
        if knows(path, first):
            return says(path)
    return []


def _read_archive(path: Path, overrides: RecordOverrides) -> Record:
    """The one record of an archive."""
    folder = Folder()
    unpack(path, folder.path)
    found = records_in(folder.path)
    if len(found) != 1:
        names = ", ".join(record.name for record in found[:8]) or "none"
        raise RecordError(f"{path.name}: expected one record in the archive, found {len(found)} ({names}); unpack it.")
    try:
        record = read_record(found[0], overrides)
    except MissingMetadataError:
        raise
    except RecordError as error:
        raise RecordError(f"{path.name}: {error}") from error
    return replace(record, source=UnpackedSource(record.source, folder))


def read_strip(record: Record, lead_name: str, *, start_s: float, length_s: float) -> Lead:
    """A piece of a lead as recorded, cut at the record's ends."""
    first = max(0, round(start_s * record.fs_hz))
    last = min(record.n_samples, round((start_s + length_s) * record.fs_hz))
    if first >= last:
        return Lead(lead_name, np.zeros(0, dtype=np.float32), record.fs_hz, start_s)
    signal = record.source.read(first, last, (lead_index(record, lead_name),))[0]
    return Lead(lead_name, signal, record.fs_hz, first / record.fs_hz)


def lead_index(record: Record, name: str) -> int:
    """Position of a lead, by its name in any case."""
    return position_of(name, record.lead_names, where=f"record {record.record_id}")


def position_of(name: str, lead_names: Sequence[str], *, where: str) -> int:
    """Position of a name among those of leads, in any case.

    Raises
    ------
    LeadError
        It is not among them.

    """
    names = [lead.casefold() for lead in lead_names]
    if name.casefold() not in names:
        raise LeadError(
            f'Lead "{name}" is not in {where} (it has {", ".join(lead_names)}): choose one of these, or auto, or all.'
        )
    return names.index(name.casefold())


def find_records(folder: Path) -> list[Path]:
    """Records of a folder: WFDB by their path without extension, where segments are no records of their own; files."""
    found = records_in(folder)
    if not found:
        kinds = ", ".join(SINGLE_FILES)
        raise RecordError(f"{folder}: no recording was found in this folder (.hea, {kinds}); name one that has.")
    return found


def records_in(folder: Path) -> list[Path]:
    """Records of a folder, as ``find_records``; none where there are none."""
    headers = sorted(folder.glob("*.hea"))
    segments = {line.split()[0] for header in headers for line in segment_lines(header)}
    parts = {header.stem for header in headers}
    files = [path for path in sorted(folder.glob("*.*")) if path.name.lower().endswith(SINGLE_FILES)]
    files = [
        path for path in files
        if not path.name.lower().endswith(RESULTS) and not (path.suffix.lower() == ".mat" and path.stem in parts)
    ]  # fmt: skip
    return [*(header.with_suffix("") for header in headers if header.stem not in segments), *files]
