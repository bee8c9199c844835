"""Records written in another form: WFDB, EDF, CSV or Parquet, at their own rate or at 125 Hz."""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

import edfio
import numpy as np
import pandas as pd
import wfdb

from ..errors import OutputError, RecordError
from ..labels import AAMI_OF_SYMBOL
from ..schema import Annotations, Float32, Record
from ..signals.filters import FS_HZ, fill_gaps, resample, to_sample
from ..text import no_formula
from . import ASSUMED_PER_MV, RHYTHM, RHYTHM_SYMBOL, read_annotations

HIDDEN = ".copy-"  # what the folder of a copy in the making begins with
GAIN_PER_MV = 1000.0  # steps of a microvolt ...
LIMIT = 32_000  # ... or coarser, where 16 bits would not hold the signal
MISSING = -32_768  # what format 16 writes where nothing was recorded
MAX_RECORD_S = 1000  # of a data record of EDF, for rates that are no whole number
MAX_NUM = 127  # of an annotation
CSV_ROWS = 1 << 16  # at a time
DECIMALS = "%.6f"  # microseconds, and a thousandth of a microvolt

Rows = Callable[[int], Float32]  # gives each lead in mV, shape (n,)


def convert(
    record: Record,
    kind: str,
    folder: Path,
    *,
    at_125_hz: bool = False,
    annotations: Path | None = None,
    anonymise: bool = False,
) -> Path:
    """Write a record, and marks of its beats, into a folder in another form; all of it is there, or nothing.

    Parameters
    ----------
    kind
        One of ``WRITERS``.
    annotations
        A file of marks to write along; the record's own reference where none is given.
    anonymise
        Write no name, no start, and nothing that was written by hand.

    Raises
    ------
    OutputError
        The kind is not known, the form cannot hold the record, or the folder cannot be written to.
    RecordError
        The annotations cannot be read, or lie beyond the record's end.

    """
    if kind not in WRITERS:
        raise OutputError(f'"{kind}" is no form that is written here; choose among {", ".join(WRITERS)}.')
    fs_hz = FS_HZ if at_125_hz else record.fs_hz
    rows = partial(_row, record, at_125_hz=at_125_hz)
    if annotations is not None:
        record = _with_marks(record, annotations)
    if anonymise:
        record = _anonymised(record)
    elif not record.is_simulated:
        record = replace(record, comments=())  # they may name a patient
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _hidden(folder, record) as hidden:
            WRITERS[kind](record, rows, fs_hz, hidden)
    except OSError as error:
        raise OutputError(
            f"{folder}: the copy cannot be written there ({error.strerror or error}); nothing was left behind. Name "
            "another folder with --out."
        ) from error
    return folder / (_plain_name(record) if kind == "wfdb" else f"{record.record_id}.{kind}")


def _with_marks(record: Record, path: Path) -> Record:
    """The record with the marks of a file in place of its own."""
    marks = read_annotations(path, record.fs_hz)
    if len(marks.time_s) and marks.time_s[-1] > record.duration_s:
        raise RecordError(
            f"{path.name}: its last mark is at {marks.time_s[-1]:,.1f} s, the record {record.record_id} is "
            f"{record.duration_s:,.1f} s long; they do not belong together."
        )
    return replace(record, reference=marks, files=_without_marks_file(record))


def _anonymised(record: Record) -> Record:
    """The record under a name that says nothing, without start and comments; its marks without free notes."""
    marks = record.reference
    if marks is not None:
        told = np.isin(marks.symbol, [*AAMI_OF_SYMBOL, RHYTHM_SYMBOL])
        aux = np.array([note if RHYTHM.fullmatch(note) else "" for note in marks.aux.tolist()], dtype=np.str_)
        marks = Annotations(marks.time_s[told], marks.symbol[told], aux[told])
    return replace(
        record, record_id=f"anonymous-{record.sha256[:8]}", start=None, comments=(), age_years=None, reference=marks,
        files=_without_marks_file(record),
    )  # fmt: skip


def _without_marks_file(record: Record) -> tuple[Path, ...]:
    """Files of the record, so that its marks are taken from ``reference``."""
    return tuple(file for file in record.files if file.suffix != ".atr")


def _plain_name(record: Record) -> str:
    """A name that WFDB can hold."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", record.record_id)


def write_at_125_hz(record: Record, folder: Path, *, origin: str) -> Path:
    """Write a record and its reference annotations at 125 Hz in WFDB's format 16, and where it came from."""
    rates = f"Resampled from {record.fs_hz:g} Hz to {FS_HZ:g} Hz, anti-aliased"
    with _hidden(folder, record) as hidden:
        rows = partial(_row, record, at_125_hz=True)
        _write_wfdb(record, rows, FS_HZ, hidden, (f"Origin: {origin}, record {record.record_id}", rates))
    return folder / _plain_name(record)


@contextmanager
def _hidden(folder: Path, record: Record) -> Iterator[Path]:
    """A hidden folder whose files move up when all of them are whole; a header, without which no record is, last.

    It has the record's name: what a copy that was killed left in it, the next one of the same record removes.
    """
    hidden = folder / f"{HIDDEN}{record.record_id}"
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir()
    try:
        yield hidden
        for path in sorted(hidden.iterdir(), key=lambda path: (path.suffix == ".hea", path.name)):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _row(record: Record, lead: int, *, at_125_hz: bool) -> Float32:
    """One lead in mV, shape (n,), NaN where nothing was recorded."""
    raw = record.source.read(0, record.n_samples, (lead,))[0]
    known = np.isfinite(raw)
    if not at_125_hz:
        return raw if known.all() else np.where(known, raw, np.float32(np.nan))
    row = resample(fill_gaps(raw, ~known), record.fs_hz)
    if known.all():
        return row
    nearest = np.minimum(np.rint(np.arange(len(row)) * (record.fs_hz / FS_HZ)).astype(int), len(raw) - 1)
    return np.where(known[nearest], row, np.float32(np.nan))


def _signal(record: Record, rows: Rows) -> Float32:
    """All leads, shape (n_leads, n)."""
    return np.stack([rows(lead) for lead in range(len(record.lead_names))])


def _write_wfdb(record: Record, rows: Rows, fs_hz: float, folder: Path, more: Sequence[str] = ()) -> None:
    """Format 16, a lead at a time, so that a day fits into little memory.

    Leads keep their names; one whose gain is not stated is written without. Marks move to the nearest sample.
    """
    columns, gain = [], []
    for lead, stated in enumerate(record.calibrated):
        row = rows(lead)
        peak_mv = float(np.nanmax(np.abs(row), initial=1e-3))
        gain.append(float(min(GAIN_PER_MV, LIMIT / peak_mv)) if stated else ASSUMED_PER_MV)
        counts = np.clip(np.rint(np.nan_to_num(row) * np.float32(gain[-1])), -LIMIT, LIMIT)
        columns.append(np.where(np.isnan(row), MISSING, counts).astype("<i2"))
    frames = np.stack(columns, axis=1)
    name, n_leads = _plain_name(record), len(columns)
    (folder / f"{name}.dat").write_bytes(frames.data)
    header = wfdb.Record(
        record_name=name, n_sig=n_leads, fs=fs_hz, sig_len=len(frames), file_name=[f"{name}.dat"] * n_leads,
        fmt=["16"] * n_leads, adc_gain=gain, baseline=[0] * n_leads, units=["mV"] * n_leads, adc_res=[16] * n_leads,
        adc_zero=[0] * n_leads, init_value=frames[0].tolist(), block_size=[0] * n_leads,
        checksum=frames.sum(axis=0, dtype=np.int16).tolist(), sig_name=list(record.lead_names),
        comments=[*record.comments, *more], base_date=record.start.date() if record.start else None,
        base_time=record.start.time() if record.start else None,
    )  # fmt: skip
    header.wrheader(write_dir=str(folder))
    _mark_uncalibrated(folder / f"{name}.hea", record.calibrated)
    _write_annotations(record, len(frames), fs_hz, folder)


def _mark_uncalibrated(header: Path, calibrated: Sequence[bool]) -> None:
    """Take the gain out of the lines of leads whose original states none."""
    lines = header.read_text(encoding="utf-8").splitlines()
    for number, stated in enumerate(calibrated, 1):
        if not stated:
            lines[number] = re.sub(r"^(\S+ \S+) \S+", r"\1 0", lines[number])
    header.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_annotations(record: Record, n_samples: int, fs_hz: float, folder: Path) -> None:
    """The record's annotation file with all that is in it, or the marks that were found elsewhere."""
    path = next((path for path in record.files if path.suffix == ".atr"), None)
    marks = record.reference
    if path is None and (marks is None or not len(marks.time_s)):
        return
    try:
        if path is not None:
            own = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
            sample, symbol, note = to_sample(own.sample / record.fs_hz, fs_hz, n_samples), own.symbol, own.aux_note
            num = np.clip(own.num, 0, MAX_NUM)  # which wfdb reads where it would not write it
            more = {"subtype": own.subtype, "chan": own.chan, "num": num}
        elif marks is not None:
            sample, symbol, more = to_sample(marks.time_s, fs_hz, n_samples), marks.symbol.tolist(), {}
            note = marks.aux.tolist()
        wfdb.wrann(
            _plain_name(record), "atr", sample, symbol=symbol, aux_note=note, fs=fs_hz, write_dir=str(folder), **more
        )
    except (ValueError, TypeError, IndexError) as error:
        raise OutputError(f"{record.record_id}: its annotations cannot be written ({error}).") from error


def _notes(record: Record, n_samples: int, fs_hz: float) -> list[edfio.EdfAnnotation]:
    """Marks as EDF+ has them: a text each, at the nearest sample."""
    if record.reference is None:
        return []
    marks = record.reference
    time_s = (to_sample(marks.time_s, fs_hz, n_samples) / fs_hz).round(9)
    texts = np.where(marks.symbol == RHYTHM_SYMBOL, marks.aux, marks.symbol)
    told = np.isin(marks.symbol, list(AAMI_OF_SYMBOL)) | (marks.symbol == RHYTHM_SYMBOL)
    return [edfio.EdfAnnotation(float(t), None, str(text)) for t, text in zip(time_s[told], texts[told], strict=True)]


def _write_beats(record: Record, n_samples: int, fs_hz: float, folder: Path) -> None:
    """Marks of beats as a table beside a table."""
    if record.reference is None:
        return
    is_beat = np.isin(record.reference.symbol, list(AAMI_OF_SYMBOL))
    sample = to_sample(record.reference.time_s[is_beat], fs_hz, n_samples)
    symbol = record.reference.symbol[is_beat].tolist()
    label = [AAMI_OF_SYMBOL[name] for name in symbol]
    table = pd.DataFrame({"sample": sample, "time_s": (sample / fs_hz).round(6), "label": label, "symbol": symbol})
    table.to_csv(folder / f"{record.record_id}_beats.csv", index=False)


def _write_edf(record: Record, rows: Rows, fs_hz: float, folder: Path) -> None:
    """EDF+C without a patient's name; EDF has no sign for missing samples, and whole data records only.

    A data record lasts whole seconds; the last sample is repeated until the last one is full.
    """
    signal = _signal(record, rows)
    n_samples = signal.shape[1]
    if np.isnan(signal).any():
        raise OutputError(f"{record.record_id}: EDF cannot say that samples are missing; choose wfdb, csv or parquet.")
    a_record = Fraction(fs_hz).limit_denominator(MAX_RECORD_S)  # samples in so many seconds
    signals = []
    for name, own in zip(record.lead_names, signal, strict=True):
        row = np.pad(own.astype(np.float64), (0, -n_samples % a_record.numerator), mode="edge")
        reach = float(np.ceil(max(np.abs(own).max(), 1.0)))
        signals.append(
            edfio.EdfSignal(
                row, float(a_record), label=_edf_label(name), physical_dimension="mV", physical_range=(-reach, reach)
            )
        )
    start = record.start
    try:
        file = edfio.Edf(
            signals,
            starttime=start.time().replace(microsecond=0) if start else None,
            recording=edfio.Recording(startdate=start.date()) if start else None,
            data_record_duration=a_record.denominator,
            annotations=_notes(record, n_samples, fs_hz) or None,
        )
    except ValueError as error:
        raise OutputError(f"{record.record_id}: EDF cannot hold this record ({error}); choose another form.") from error
    file.write(folder / f"{record.record_id}.edf")


def _edf_label(name: str) -> str:
    """A label of EDF: 16 letters of ASCII, without the marks on letters."""
    return unicodedata.normalize("NFKD", f"ECG {name}").encode("ascii", "ignore").decode()[:16]


def _columns(record: Record, signal: Float32, fs_hz: float) -> pd.DataFrame:
    """Time and leads with their units in the names, as ``read_record`` reads them."""
    time_s = np.arange(signal.shape[1]) / fs_hz
    return pd.DataFrame(
        {"time_s": time_s.round(6), **{f"{n}_mv": row for n, row in zip(record.lead_names, signal, strict=True)}}
    )


def _write_csv(record: Record, rows: Rows, fs_hz: float, folder: Path) -> None:
    table = _columns(record, _signal(record, rows), fs_hz).rename(columns=no_formula)
    _write_beats(record, len(table), fs_hz, folder)
    table.to_csv(folder / f"{record.record_id}.csv", index=False, float_format=DECIMALS, chunksize=CSV_ROWS)


def _write_parquet(record: Record, rows: Rows, fs_hz: float, folder: Path) -> None:
    table = _columns(record, _signal(record, rows), fs_hz)
    _write_beats(record, len(table), fs_hz, folder)
    table.to_parquet(folder / f"{record.record_id}.parquet", index=False)


WRITERS: Final[dict[str, Callable[[Record, Rows, float, Path], None]]] = {
    "wfdb": _write_wfdb,
    "edf": _write_edf,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
