"""Copies of records in another form, at their own rate or at 125 Hz, and without what identifies a patient."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import OutputError
from ..files import atomic_files, place_mends, reason_of
from ..schema import Float32, Record
from ..signals.filters import FS_HZ, fill_gaps, resample
from ..text import plural
from .copied_annotations import (
    EDF,
    anonymous,
    held_by,
    with_annotations,
    with_events,
    within_end,
    without_annotation_file,
)
from .writers import SUFFIXES, WRITERS, Rows, limited, plain_name, write_wfdb

OF_16_BITS = ("wfdb", EDF, "dicom", "ishne", "aecg")  # forms whose steps grow with the range of a lead
HASH_DIGITS = 8  # of the hash of the files, in the name of an anonymous copy


def convert(
    record: Record,
    kind: str,
    folder: Path,
    *,
    at_125_hz: bool = False,
    annotations: Path | None = None,
    events: Path | None = None,
    anonymise: bool = False,
    report: Callable[[str], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a record and annotations of its beats into a folder in another form, all of it or nothing.

    Parameters
    ----------
    kind
        One of ``WRITERS``.
    annotations
        An annotation file to write as well; by default the record's reference annotations.
    events
        A table of events to write as well, which EDF alone can hold.
    anonymise
        Write no name, no start, and no text that a person wrote.
    report
        Takes a sentence for what the copy lacks: annotations at or beyond the end of the record, those of a kind that
        the form does not hold, and samples that no ECG reaches, which a form of 16 bits limits.
    overwrite
        Replace files that are there; never those of the record itself, nor the annotations.

    Returns
    -------
    The copy, as a path for ``read_record``.

    Raises
    ------
    OutputError
        The kind is unknown, the form cannot hold the record, a file of that name exists, or the folder cannot be
        written to.
    RecordError
        The annotations cannot be decoded, or lie beyond the record's end.

    """
    if kind not in WRITERS:
        raise OutputError(
            f'"{kind}": the record cannot be written as this; choose among {", ".join(WRITERS)}.', settings=("to",)
        )
    rows = partial(_row, record, at_125_hz=at_125_hz)
    if kind in OF_16_BITS:
        rows = partial(_limited_row, record, at_125_hz=at_125_hz, report=report)
    used = _files_of(record, annotations, events)
    if annotations is not None:
        record = with_annotations(record, annotations)
    record = within_end(record, report)
    if events is not None:
        record = with_events(record, events, kind)
    if anonymise:
        record = _anonymised(record)
    elif not record.is_simulated:
        record = replace(record, comments=())  # they may name a patient
    record = held_by(record, kind, report)
    copy = plain_name(record) if kind == "wfdb" else f"{record.record_id}.{SUFFIXES.get(kind, kind)}"

    def check(path: Path, made: Path | None = None) -> None:
        """Refuse to replace what must stay."""
        _check_place(path, made, used, overwrite=overwrite)

    check(folder / (f"{copy}.hea" if kind == "wfdb" else copy))  # one of the record's own is known before the work
    _write(record, rows, FS_HZ if at_125_hz else record.fs_hz, folder, WRITERS[kind], check)
    return folder / copy


def write_at_125_hz(record: Record, folder: Path, *, origin: str) -> Path:
    """Write a record and its reference annotations at 125 Hz in WFDB's format 16, with its origin as a comment."""
    rates = f"Resampled from {record.fs_hz:g} Hz to {FS_HZ:g} Hz, anti-aliased"
    comments = (f"Origin: {origin}, record {record.record_id}", rates)
    with atomic_files(folder, record.record_id, last=_header_last) as hidden:
        write_wfdb(record, partial(_row, record, at_125_hz=True), FS_HZ, hidden, comments=comments)
    return folder / plain_name(record)


def _files_of(record: Record, *others: Path | None) -> tuple[Path, ...]:
    """All files that a copy is made from."""
    pieces = [path for piece in record.pieces for path in _files_of(piece)]
    places = (record.path, record.archive, *others)
    return (*record.files, *pieces, *(path for path in places if path is not None))


def _check_place(path: Path, made: Path | None, used: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to write where a file of the record is, or, unless it may be replaced, another one than what was made.

    A run that was killed among its files is so continued by the next one.

    Raises
    ------
    OutputError
        Naming the file.

    """
    if not path.exists():
        return
    if any(one.exists() and path.samefile(one) for one in used):
        raise OutputError(
            f"{path}: is a file of what is converted, which is never replaced; nothing was written.", settings=("out",)
        )
    if made is not None and not overwrite and not filecmp.cmp(path, made, shallow=False):
        raise OutputError(
            f"{path}: exists and is another file than the copy; nothing was written.", settings=("overwrite", "out")
        )


def _write(
    record: Record,
    rows: Rows,
    fs_hz: float,
    folder: Path,
    write: Callable[[Record, Rows, float, Path], None],
    check: Callable[[Path, Path], None],
) -> None:
    """Write all files of a copy, or none; each place is checked before any of them gets there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_files(folder, record.record_id, last=_header_last) as hidden:
            write(record, rows, fs_hz, hidden)
            for made in hidden.iterdir():
                check(folder / made.name, made)
    except OSError as error:
        raise OutputError(
            f"{folder}: the copy cannot be written there ({reason_of(error)}); no file was left half written.",
            settings=("out",) * place_mends(error),
        ) from error


def _header_last(path: Path) -> tuple[bool, str]:
    """Sort key that puts a header, without which a WFDB record does not exist, behind the other files."""
    return path.suffix == ".hea", path.name


def _anonymised(record: Record) -> Record:
    """The record under a neutral name, without start, comments and age; its annotations without free text."""
    return replace(
        record, record_id=f"anonymous-{record.sha256[:HASH_DIGITS]}", start=None, start_clock=None, comments=(),
        age_years=None, reference=anonymous(record.reference), files=without_annotation_file(record),
    )  # fmt: skip


def _limited_row(record: Record, lead: int, *, at_125_hz: bool, report: Callable[[str], None] | None) -> Float32:
    """One lead as ``_row`` gives it, within what an ECG reaches where its unit is known."""
    raw = record.source.read(0, record.n_samples, (lead,))[0]
    if record.calibrated[lead]:
        raw, n, limit_mv = limited(raw)
        if n and report:
            report(
                f"Lead {record.lead_names[lead]}: {plural(n, 'sample')} beyond {limit_mv:g} mV, which no ECG reaches, "
                f"{'was' if n == 1 else 'were'} limited to it so that the others keep their resolution."
            )
    return _at_rate(record, raw, at_125_hz=at_125_hz)


def _row(record: Record, lead: int, *, at_125_hz: bool) -> Float32:
    """One lead in mV, shape (n,), NaN where nothing was recorded."""
    return _at_rate(record, record.source.read(0, record.n_samples, (lead,))[0], at_125_hz=at_125_hz)


def _at_rate(record: Record, raw: Float32, *, at_125_hz: bool) -> Float32:
    """A lead at the rate of the copy, NaN where nothing was recorded."""
    known = np.isfinite(raw)
    if not at_125_hz:
        return raw if known.all() else np.where(known, raw, np.float32(np.nan))
    row = resample(fill_gaps(raw, ~known), record.fs_hz)
    if known.all():
        return row
    nearest = np.minimum(np.rint(np.arange(len(row)) * (record.fs_hz / FS_HZ)).astype(int), len(raw) - 1)
    return np.where(known[nearest], row, np.float32(np.nan))
