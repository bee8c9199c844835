"""Opening records, finding them in a folder, and reading excerpts of their leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import LeadError, RecordError
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Lead, Record
from ..text import one_line
from .formats import SINGLE_FILES, open_record, records_in
from .limits import FIRST_YEAR, LAST_YEAR


def read_record(path: str | Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a record; its samples stay on disk where the format allows it.

    Parameters
    ----------
    path
        A file of any known format; a WFDB record with or without suffix.
    overrides
        Sampling rate and unit of a file that does not state them.

    Raises
    ------
    RecordError
        The file is missing, damaged, of no known format, or contradicts the overrides.
    MissingMetadataError
        Neither the file nor the overrides give the rate, or the unit; nothing is guessed.

    Examples
    --------
    >>> record = read_record("demo_data/demo")
    >>> record.fs_hz, record.duration_s, record.lead_names[:3]
    (257.0, 1800.0, ('I', 'II', 'III'))

    """
    record = open_record(Path(path), overrides)
    if record.start is not None and not FIRST_YEAR <= record.start.year <= LAST_YEAR:
        record = replace(record, start=None)
    return replace(record, record_id=one_line(record.record_id), path=Path(path))


def read_strip(record: Record, lead_name: str, *, start_s: float, length_s: float) -> Lead:
    """An excerpt of a lead as recorded, cut at the record's ends."""
    first = max(0, round(start_s * record.fs_hz))
    last = min(record.n_samples, round((start_s + length_s) * record.fs_hz))
    if first >= last:
        return Lead(lead_name, np.zeros(0, dtype=np.float32), record.fs_hz, start_s)
    signal = record.source.read(first, last, (lead_index(record, lead_name),))[0]
    return Lead(lead_name, signal, record.fs_hz, first / record.fs_hz)


def lead_index(record: Record, name: str) -> int:
    """Position of a lead of a record, by its name in any case.

    Raises
    ------
    LeadError
        The record has no lead of this name.

    """
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
            f'Lead "{name}" is not in {where}; it has {", ".join(lead_names)}.',
            settings=("lead",),
        )
    return names.index(name.casefold())


def find_records(folder: Path) -> list[Path]:
    """Records of a folder, each as a path for ``read_record``.

    Segments of WFDB records are not records, nor are tables that this program wrote.

    Raises
    ------
    RecordError
        The folder does not exist, or holds none.

    Examples
    --------
    >>> [path.name for path in find_records(Path("demo_data"))]
    ['demo']

    """
    if not folder.is_dir():
        what = "is a file, expected a folder" if folder.exists() else "this folder does not exist"
        raise RecordError(what, where=folder, advice="Choose another folder.")
    found = records_in(folder)
    if not found:
        suffixes = ", ".join(SINGLE_FILES)
        raise RecordError(
            f"no recording was found in this folder (.hea, {suffixes})", where=folder, advice="Choose another folder."
        )
    return found
