"""Recordings on disk: the only place that knows file formats. What a file is, is told from its first bytes.

Each format has a module of its own; adding one is a reader and a line in ``READERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import LeadError, RecordError
from ..schema import Lead, Record
from ..text import one_line
from .archives import Folder, UnpackedSource, is_archive, unpack
from .dicom_files import is_dicom, read_dicom
from .edf_files import is_edf, read_edf
from .ishne_files import is_ishne, read_ishne
from .samples import ASSUMED_PER_MV
from .table_files import is_table, read_table
from .wfdb_files import age_of, read_annotations, read_wfdb, segment_lines

__all__ = [
    "ASSUMED_PER_MV", "SINGLE_FILES", "age_of", "find_records", "lead_index", "read_annotations", "read_record",
    "read_strip",
]  # fmt: skip

FIRST_BYTES = 512
READERS: Final[tuple[tuple[Callable[[Path, bytes], bool], Callable[[Path], Record]], ...]] = (
    (is_edf, read_edf),
    (is_ishne, read_ishne),
    (is_dicom, read_dicom),
    (is_table, read_table),
)
# Endings by which a folder is searched
SINGLE_FILES: Final = (".edf", ".bdf", ".ecg", ".dcm", ".csv", ".tsv", ".parquet", ".zip", ".tar.gz", ".tgz")


def read_record(path: str | Path) -> Record:
    """Open a record; its samples stay on disk where the format allows it.

    A WFDB record is given with or without extension, any other format by its file.

    Raises
    ------
    RecordError
        The file is missing, of no format that is known, damaged, or states no rate, unit or leads.

    """
    record = _read(Path(path))
    return replace(record, record_id=one_line(record.record_id))


def _read(path: Path) -> Record:
    if path.is_file() and path.suffix.lower() not in (".hea", ".dat", ".atr"):
        with path.open("rb") as stream:
            first = stream.read(FIRST_BYTES)
        if is_archive(path, first):
            return _read_archive(path)
        for knows, read in READERS:
            if knows(path, first):
                return read(path)
        if not path.with_name(f"{path.name}.hea").is_file() and path.suffix:
            raise RecordError(
                f"{path.name}: its first bytes are of no format that is read here (WFDB, EDF, BDF, ISHNE, DICOM, CSV, "
                "Parquet, an archive of one); it may have been renamed or be damaged. Export it anew in one of these."
            )
    return read_wfdb(path)


def _read_archive(path: Path) -> Record:
    """The one record of an archive."""
    folder = Folder()
    unpack(path, folder.path)
    found = _records_in(folder.path)
    if len(found) != 1:
        names = ", ".join(record.name for record in found[:8]) or "none"
        raise RecordError(f"{path.name}: expected one record in the archive, found {len(found)} ({names}); unpack it.")
    record = read_record(found[0])
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
    names = [lead.casefold() for lead in record.lead_names]
    if name.casefold() not in names:
        raise LeadError(
            f'Lead "{name}" is not in record {record.record_id} (it has {", ".join(record.lead_names)}): '
            "choose one of these, or auto, or all."
        )
    return names.index(name.casefold())


def find_records(folder: Path) -> list[Path]:
    """Records of a folder: WFDB by their path without extension, where segments are no records of their own; files."""
    found = _records_in(folder)
    if not found:
        kinds = ", ".join(SINGLE_FILES)
        raise RecordError(f"{folder}: no recording was found in this folder (.hea, {kinds}); name one that has.")
    return found


def _records_in(folder: Path) -> list[Path]:
    headers = sorted(folder.glob("*.hea"))
    files = sorted(path for path in folder.glob("*.*") if path.name.lower().endswith(SINGLE_FILES))
    segments = {line.split()[0] for header in headers for line in segment_lines(header)}
    return [*(header.with_suffix("") for header in headers if header.stem not in segments), *files]
