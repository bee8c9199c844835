"""Copies of records in another form, at their own rate or at 125 Hz, and without what identifies a patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import OutputError, RecordError
from ..files import atomic_files
from ..labels import AAMI_OF_SYMBOL
from ..schema import Annotations, Float32, Record
from ..signals.filters import FS_HZ, fill_gaps, resample
from ..text import plural
from .annotation_files import RHYTHM, RHYTHM_SYMBOL, read_annotations
from .writers import WRITERS, Rows, limited, plain_name, write_wfdb

OF_16_BITS = ("wfdb", "edf")  # forms whose steps grow with the range of a lead
HASH_DIGITS = 8  # of the hash of the files, in the name of an anonymous copy


def convert(
    record: Record,
    kind: str,
    folder: Path,
    *,
    at_125_hz: bool = False,
    annotations: Path | None = None,
    anonymise: bool = False,
    report: Callable[[str], None] | None = None,
) -> Path:
    """Write a record and annotations of its beats into a folder in another form, all of it or nothing.

    Parameters
    ----------
    kind
        One of ``WRITERS``.
    annotations
        An annotation file to write as well; by default the record's reference annotations.
    anonymise
        Write no name, no start, and no text that a person wrote.
    report
        Takes a sentence for each lead with samples that no ECG reaches, which a form of 16 bits limits.

    Returns
    -------
    The copy, as a path for ``read_record``.

    Raises
    ------
    OutputError
        The kind is unknown, the form cannot hold the record, or the folder cannot be written to.
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
    if annotations is not None:
        record = _with_annotations(record, annotations)
    if anonymise:
        record = _anonymised(record)
    elif not record.is_simulated:
        record = replace(record, comments=())  # they may name a patient
    _write(record, rows, FS_HZ if at_125_hz else record.fs_hz, folder, WRITERS[kind])
    return folder / (plain_name(record) if kind == "wfdb" else f"{record.record_id}.{kind}")


def write_at_125_hz(record: Record, folder: Path, *, origin: str) -> Path:
    """Write a record and its reference annotations at 125 Hz in WFDB's format 16, with its origin as a comment."""
    rates = f"Resampled from {record.fs_hz:g} Hz to {FS_HZ:g} Hz, anti-aliased"
    comments = (f"Origin: {origin}, record {record.record_id}", rates)
    with atomic_files(folder, record.record_id, last=_header_last) as hidden:
        write_wfdb(record, partial(_row, record, at_125_hz=True), FS_HZ, hidden, comments=comments)
    return folder / plain_name(record)


def _write(
    record: Record, rows: Rows, fs_hz: float, folder: Path, write: Callable[[Record, Rows, float, Path], None]
) -> None:
    """Write all files of a copy, or none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_files(folder, record.record_id, last=_header_last) as hidden:
            write(record, rows, fs_hz, hidden)
    except OSError as error:
        raise OutputError(
            f"{folder}: the copy cannot be written there ({error.strerror or error}); nothing was left behind.",
            settings=("out",),
        ) from error


def _header_last(path: Path) -> tuple[bool, str]:
    """Sort key that puts a header, without which a WFDB record does not exist, behind the other files."""
    return path.suffix == ".hea", path.name


def _with_annotations(record: Record, path: Path) -> Record:
    """The record with the annotations of a file in place of its reference."""
    annotations = read_annotations(path, record.fs_hz)
    if len(annotations.time_s) and annotations.time_s[-1] > record.duration_s:
        raise RecordError(
            f"{path.name}: its last annotation is at {annotations.time_s[-1]:,.1f} s, the record {record.record_id} is "
            f"{record.duration_s:,.1f} s long; they do not belong together."
        )
    return replace(record, reference=annotations, files=_without_annotation_file(record))


def _anonymised(record: Record) -> Record:
    """The record under a neutral name, without start, comments and age; its annotations without free text."""
    reference = record.reference
    if reference is not None:
        kept = np.isin(reference.symbol, [*AAMI_OF_SYMBOL, RHYTHM_SYMBOL])
        aux = np.array([note if RHYTHM.fullmatch(note) else "" for note in reference.aux.tolist()], dtype=np.str_)
        reference = Annotations(reference.time_s[kept], reference.symbol[kept], aux[kept])
    return replace(
        record, record_id=f"anonymous-{record.sha256[:HASH_DIGITS]}", start=None, start_clock=None, comments=(),
        age_years=None, reference=reference, files=_without_annotation_file(record),
    )  # fmt: skip


def _without_annotation_file(record: Record) -> tuple[Path, ...]:
    """Files of the record, so that a writer takes the annotations from ``reference``."""
    return tuple(file for file in record.files if file.suffix.lower() != ".atr")


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
