"""The forms in which a copy of a record is written, with annotations of its beats; WFDB, EDF, CSV and Parquet here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import OutputError
from ..labels import AAMI_OF_SYMBOL
from ..schema import Float32, Float64, Record
from ..signals.filters import to_sample
from ..text import no_formula
from .aecg_writer import write_aecg
from .annotation_files import RHYTHM_SYMBOL, annotation_rate_hz
from .counts import UV_PER_MV, counts_of
from .dicom_writer import write_dicom
from .event_files import EventfulAnnotations
from .ishne_writer import write_ishne
from .units import ASSUMED_PER_MV

if TYPE_CHECKING:  # each loads where its form is written: together they take half a second
    import edfio
    import pandas as pd

MAX_DATA_RECORD_S = 2  # of EDF, whose last data record is filled up with the last sample
DURATION_DECIMALS = 6  # of the length of a data record, whose field has eight characters
SAME_RATE = 1e-9  # rates that differ by a smaller fraction are equal
MOST_MV = 32.0  # no ECG reaches this far from its baseline; 16 bits hold it in steps of a microvolt
USUAL_PCT, USUAL_TIMES = 99.0, 4.0  # most samples of a lead, and how far beyond them its range may go
MIN_RANGE_MV = 1.0  # of an EDF signal, on either side of zero
MAX_NUM = 127  # that wfdb writes for the number of an annotation
CSV_ROWS = 1 << 16  # written at a time
DECIMALS = "%.6f"  # microseconds, and a thousandth of a microvolt

Rows = Callable[[int], Float32]  # gives each lead in mV, shape (n,)


def plain_name(record: Record) -> str:
    """The record's name with the characters that WFDB allows."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", record.record_id)


def limited(row: Float32) -> tuple[Float32, int, float]:
    """A lead whose range 16 bits can hold without losing the ECG's resolution.

    Returns
    -------
    The lead in mV, shape (n,), how many of its samples no ECG reaches, and the limit in mV that was put in their place.

    """
    size_mv = np.abs(row[np.isfinite(row)])
    if not len(size_mv) or size_mv.max() <= MOST_MV:
        return row, 0, MOST_MV
    limit_mv = max(MOST_MV, USUAL_TIMES * float(np.percentile(size_mv, USUAL_PCT, method="lower")))
    return np.clip(row, -limit_mv, limit_mv), int((size_mv > limit_mv).sum()), limit_mv


def write_wfdb(record: Record, rows: Rows, fs_hz: float, folder: Path, *, comments: Sequence[str] = ()) -> None:
    """Write format 16, with one lead at a time in memory as floats.

    Leads keep their names; a lead whose gain is not stated is written without one. Annotations move to the nearest
    sample.
    """
    import wfdb  # noqa: PLC0415

    frames, step_uv = counts_of(record, rows)
    gain = [ASSUMED_PER_MV if step is None else UV_PER_MV / step for step in step_uv]
    name, n_leads = plain_name(record), len(gain)
    (folder / f"{name}.dat").write_bytes(frames.data)
    header = wfdb.Record(
        record_name=name, n_sig=n_leads, fs=fs_hz, sig_len=len(frames), file_name=[f"{name}.dat"] * n_leads,
        fmt=["16"] * n_leads, adc_gain=gain, baseline=[0] * n_leads, units=["mV"] * n_leads, adc_res=[16] * n_leads,
        adc_zero=[0] * n_leads, init_value=frames[0].tolist(), block_size=[0] * n_leads,
        checksum=frames.sum(axis=0, dtype=np.int16).tolist(), sig_name=list(record.lead_names),
        comments=[*record.comments, *comments], base_date=record.start.date() if record.start else None,
        base_time=record.start.time() if record.start else record.start_clock,
    )  # fmt: skip
    header.wrheader(write_dir=str(folder))
    _mark_uncalibrated(folder / f"{name}.hea", record.calibrated)
    _write_annotations(record, len(frames), fs_hz, folder)


def _mark_uncalibrated(header: Path, calibrated: Sequence[bool]) -> None:
    """Replace the gain of leads whose original states none by 0."""
    lines = header.read_text(encoding="utf-8").splitlines()
    for number, stated in enumerate(calibrated, 1):
        if not stated:
            lines[number] = re.sub(r"^(\S+ \S+) \S+", r"\1 0", lines[number])
    header.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_annotations(record: Record, n_samples: int, fs_hz: float, folder: Path) -> None:
    """Write what lies within the record of its annotation file, with all its fields, or else of the reference."""
    import wfdb  # noqa: PLC0415

    path = None if record.pieces else next((path for path in record.files if path.suffix.lower() == ".atr"), None)
    reference = record.reference
    more: dict[str, Any] = {}
    try:
        if path is not None:
            found = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
            time_s = found.sample / annotation_rate_hz(path, record.fs_hz)
            symbol, note = found.symbol, found.aux_note
            num = np.clip(found.num, 0, MAX_NUM)  # wfdb reads larger numbers, but does not write them
            more = {"subtype": found.subtype, "chan": found.chan, "num": num}
        elif reference is not None and len(reference.time_s):
            time_s, symbol, note = reference.time_s, reference.symbol.tolist(), reference.aux.tolist()
        else:
            return
        inside = time_s < record.duration_s
        if inside.any():
            wfdb.wrann(
                plain_name(record), "atr", to_sample(time_s[inside], fs_hz, n_samples),
                symbol=[*compress(symbol, inside)], aux_note=[*compress(note, inside)], fs=fs_hz,
                write_dir=str(folder), **{field: values[inside] for field, values in more.items()},
            )  # fmt: skip
    except (ValueError, TypeError, IndexError) as error:
        raise OutputError(f"{record.record_id}: its annotations cannot be written ({error}).") from error


def _write_edf(record: Record, rows: Rows, fs_hz: float, folder: Path) -> None:
    """Write EDF+C without a patient's name.

    EDF cannot represent missing samples, which are refused. Its data records are full: the last sample is repeated
    until the end of the last one.
    """
    import edfio  # noqa: PLC0415

    signal = _signal(record, rows)
    n_samples = signal.shape[1]
    if np.isnan(signal).any():
        raise OutputError(
            f"{record.record_id}: EDF cannot represent missing samples; choose wfdb, csv or parquet.", settings=("to",)
        )
    n_per_record, record_s = data_record(fs_hz)
    padding = -n_samples % n_per_record
    units = ["mV" if stated else "" for stated in record.calibrated]
    leads = zip(record.lead_names, signal, units, strict=True)
    clock = record.start.time() if record.start else record.start_clock
    annotations = _edf_annotations(record, n_samples, fs_hz)
    try:
        file = edfio.Edf(
            [
                _edf_signal(
                    name, np.pad(row.astype(np.float64), (0, padding), mode="edge"), n_per_record / record_s, unit
                )
                for name, row, unit in leads
            ],
            starttime=clock,
            recording=edfio.Recording(startdate=record.start.date()) if record.start else None,
            data_record_duration=record_s,
            annotations=annotations if annotations or (clock and clock.microsecond) else None,  # which hold fractions
        )
    except ValueError as error:
        raise OutputError(
            f"{record.record_id}: EDF cannot hold this record ({error}); choose another form.", settings=("to",)
        ) from error
    file.write(folder / f"{record.record_id}.edf")


def data_record(fs_hz: float) -> tuple[int, float]:
    """Samples of a data record and its length in seconds, of at most two, whose ratio is the rate.

    Examples
    --------
    >>> data_record(257), data_record(128.5), data_record(1000 / 11)
    ((257, 1), (257, 2), (46, 0.506))

    """
    ratio = Fraction(fs_hz).limit_denominator(MAX_DATA_RECORD_S)
    if abs(float(ratio) - fs_hz) <= SAME_RATE * fs_hz:
        return ratio.numerator, ratio.denominator
    counts = np.arange(np.ceil(fs_hz / 2), MAX_DATA_RECORD_S * fs_hz)
    lengths_s = np.round(counts / fs_hz, DURATION_DECIMALS)
    best = int(np.argmin(np.abs(counts / lengths_s / fs_hz - 1).round(12)))
    return int(counts[best]), float(lengths_s[best])


def _edf_signal(name: str, row: Float64, fs_hz: float, unit: str) -> edfio.EdfSignal:
    """A lead with a range of whole millivolts, or of counts, and with a label of 16 letters of ASCII."""
    label = unicodedata.normalize("NFKD", f"ECG {name}").encode("ascii", "ignore").decode()[:16]
    import edfio  # noqa: PLC0415

    reach = float(np.ceil(max(np.abs(row).max(), MIN_RANGE_MV)))
    return edfio.EdfSignal(row, fs_hz, label=label, physical_dimension=unit, physical_range=(-reach, reach))


def _edf_annotations(record: Record, n_samples: int, fs_hz: float) -> list[edfio.EdfAnnotation]:
    """Beats and changes of rhythm as texts of EDF+, at the nearest sample; events with their duration."""
    import edfio  # noqa: PLC0415

    if record.reference is None:
        return []
    reference = record.reference
    time_s = (to_sample(reference.time_s, fs_hz, n_samples) / fs_hz).round(9)
    texts = np.where(reference.symbol == RHYTHM_SYMBOL, reference.aux, reference.symbol)
    found = [edfio.EdfAnnotation(float(t), None, str(text)) for t, text in zip(time_s, texts, strict=True)]
    events = reference.events if isinstance(reference, EventfulAnnotations) else ()
    return [*found, *(edfio.EdfAnnotation(event.start_s, event.duration_s, event.code) for event in events)]


def _write_csv(record: Record, rows: Rows, fs_hz: float, folder: Path) -> None:
    table = _columns(record, _signal(record, rows), fs_hz).rename(columns=no_formula)
    _write_beats(record, len(table), fs_hz, folder)
    table.to_csv(folder / f"{record.record_id}.csv", index=False, float_format=DECIMALS, chunksize=CSV_ROWS)


def _write_parquet(record: Record, rows: Rows, fs_hz: float, folder: Path) -> None:
    table = _columns(record, _signal(record, rows), fs_hz)
    _write_beats(record, len(table), fs_hz, folder)
    table.to_parquet(folder / f"{record.record_id}.parquet", index=False)


def _columns(record: Record, signal: Float32, fs_hz: float) -> pd.DataFrame:
    """Time and leads, with headings as ``read_record`` expects them; no unit where the gain is not known."""
    import pandas as pd  # noqa: PLC0415

    time_s = np.arange(signal.shape[1]) / fs_hz
    headings = [f"{n}_mv" if stated else n for n, stated in zip(record.lead_names, record.calibrated, strict=True)]
    return pd.DataFrame({"time_s": time_s.round(6), **dict(zip(headings, signal, strict=True))})


def _write_beats(record: Record, n_samples: int, fs_hz: float, folder: Path) -> None:
    """Write the beats among the annotations as a table beside the table of samples."""
    import pandas as pd  # noqa: PLC0415

    if record.reference is None:
        return
    is_beat = np.isin(record.reference.symbol, list(AAMI_OF_SYMBOL))
    sample = to_sample(record.reference.time_s[is_beat], fs_hz, n_samples)
    symbol = record.reference.symbol[is_beat].tolist()
    label = [AAMI_OF_SYMBOL[name] for name in symbol]
    table = pd.DataFrame({"sample": sample, "time_s": (sample / fs_hz).round(6), "label": label, "symbol": symbol})
    table.to_csv(folder / f"{record.record_id}_beats.csv", index=False)


def _signal(record: Record, rows: Rows) -> Float32:
    """All leads, shape (n_leads, n): in mV, or as the counts that they were read from where no gain is stated."""
    return np.stack(
        [rows(lead) * np.float32(1 if stated else ASSUMED_PER_MV) for lead, stated in enumerate(record.calibrated)]
    )


WRITERS: Final[dict[str, Callable[[Record, Rows, float, Path], None]]] = {
    "wfdb": write_wfdb,
    "edf": _write_edf,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "dicom": write_dicom,
    "ishne": write_ishne,
    "aecg": write_aecg,
}
# Of forms whose files are not called by the name of the form.
SUFFIXES: Final = {"dicom": "dcm", "ishne": "ecg", "aecg": "xml"}
