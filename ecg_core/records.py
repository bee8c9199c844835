"""Recordings on disk: the only module that knows a file format (WFDB)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from .errors import LeadError, RecordError
from .schema import Annotations, Float32, Lead, Record

MIN_FS_HZ, MAX_FS_HZ = 50.0, 10_000.0  # below, no QRS can be told; above, it is no surface ECG
MIN_DURATION_S = 5.0  # a few beats are needed to say anything
REFERENCE_SUFFIX = ".atr"

# Bits a sample takes on disk; formats that are not here (FLAC) are compressed and have no fixed size.
BITS_OF_FORMAT = {
    "8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 32 / 3, "311": 32 / 3,
}  # fmt: skip


@dataclass(frozen=True)
class WfdbSource:
    """The samples of a WFDB record; single- or multi-segment."""

    path: Path  # without extension

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """Samples [start, stop) of the leads in mV, shape (n_leads, stop - start); NaN where nothing was recorded."""
        try:
            part = wfdb.rdrecord(str(self.path), sampfrom=start, sampto=stop, channels=list(leads), return_res=32)
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise RecordError(
                f"{self.path.name}: samples {start} to {stop} cannot be read from its signal files ({error}). "
                "Check that they are complete and belong to this header."
            ) from error
        signal = np.asarray(part.p_signal, dtype=np.float32).T
        to_mv = np.array([_TO_MV.get(unit.lower(), 1.0) for unit in part.units], dtype=np.float32)
        return np.asarray(signal * to_mv[:, None], dtype=np.float32)


_TO_MV = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3, "nv": 1e-6}


def read_record(path: str | Path) -> Record:
    """Open a WFDB record, given with or without extension; its samples stay on disk.

    Raises
    ------
    RecordError
        The header is missing or is none, or the signal files are missing, or shorter than the header says.

    """
    stem = _stem(Path(path))
    header = _read_header(stem)
    signals = _signal_headers(stem, header)
    _check_header(stem, header, signals)
    for segment_stem, segment in signals:
        _check_signal_files(segment_stem, segment)
    lead_names, calibrated = _leads(header, signals)
    reference = stem.with_name(stem.name + REFERENCE_SUFFIX)
    files = {stem.with_name(stem.name + ".hea"), *([reference] if reference.is_file() else [])}
    for segment_stem, segment in signals:
        files |= {segment_stem.with_name(segment_stem.name + ".hea")}
        files |= {segment_stem.parent / name for name in segment.file_name or ()}
    return Record(
        record_id=stem.name,
        source=WfdbSource(stem),
        fs_hz=float(header.fs),
        n_samples=int(header.sig_len),
        lead_names=lead_names,
        calibrated=calibrated,
        start=_start(header),
        comments=tuple(header.comments or ()),
        reference=read_annotations(reference, float(header.fs)) if reference.is_file() else None,
        files=tuple(sorted(files)),
    )


def read_annotations(path: Path, fs_hz: float) -> Annotations:
    """Marks of a WFDB annotation file, in seconds from the start of the record."""
    try:
        marks = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise RecordError(
            f"{path.name}: expected WFDB annotations, but the file cannot be read as such ({error}). "
            "Get it anew, or remove it to analyse the record without a reference."
        ) from error
    aux = np.array([note.rstrip("\x00") for note in marks.aux_note], dtype=np.str_)
    return Annotations(np.asarray(marks.sample) / fs_hz, np.array(marks.symbol, dtype=np.str_), aux)


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
    """Paths without extension of the WFDB records of a folder; segments of a record are not records of their own."""
    headers = sorted(folder.glob("*.hea"))
    if not headers:
        raise RecordError(f"{folder}: no WFDB header (.hea) was found in this folder; name one that holds records.")
    return [header.with_suffix("") for header in headers]


def _stem(path: Path) -> Path:
    """The record's path without extension; a record's own name may hold dots."""
    known = {".hea", ".dat", REFERENCE_SUFFIX}
    stem = path.with_suffix("") if path.suffix.lower() in known else path
    header = stem.with_name(stem.name + ".hea")
    if header.is_file():
        return stem
    if path.is_dir():
        raise RecordError(f"{path}: is a folder, expected a record; name one of the records inside it.")
    found = sorted(p.stem for p in stem.parent.glob("*.hea"))[:5] if stem.parent.is_dir() else []
    hint = f"records there: {', '.join(found)}" if found else "there are no records in that folder"
    raise RecordError(f"{header}: this header file does not exist ({hint}). Check the path of the record.")


def _read_header(stem: Path) -> Any:
    name = stem.name + ".hea"
    try:
        header = wfdb.rdheader(str(stem))
    except Exception as error:  # the parser raises whatever the text makes it trip over
        raise RecordError(
            f"{name}: expected a WFDB header, but its text is none ({type(error).__name__}). "
            "Check that the file was not renamed from something else."
        ) from error
    if header.fs is None or header.n_sig is None:
        raise RecordError(f"{name}: expected a WFDB header with a rate and a number of leads, found neither.")
    return header


def _signal_headers(stem: Path, header: Any) -> list[tuple[Path, Any]]:
    """(path, header) of every piece that has signal files of its own: the segments, or the record itself."""
    if not isinstance(header, wfdb.MultiRecord):
        return [(stem, header)]
    pieces = []
    for name, length in zip(header.seg_name, header.seg_len, strict=True):
        if name == "~" or length == 0:  # a gap, or the layout of a variable-layout record
            continue
        segment = stem.with_name(name)
        if not segment.with_name(name + ".hea").is_file():
            raise RecordError(f"{stem.name}.hea asks for the segment {name}.hea, which is not beside it; add it.")
        pieces.append((segment, _read_header(segment)))
    return pieces


def _check_header(stem: Path, header: Any, signals: list[tuple[Path, Any]]) -> None:
    name = stem.name + ".hea"
    if not header.n_sig or not signals:
        raise RecordError(f"{name}: the record has no signals; a record with at least one ECG lead is needed.")
    if not MIN_FS_HZ <= header.fs <= MAX_FS_HZ:
        raise RecordError(
            f"{name}: its sampling rate is {header.fs:g} Hz, expected {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz. "
            "Check the second number group of the header's first line."
        )
    if not header.sig_len:
        raise RecordError(f"{name}: the record is empty (0 samples); at least {MIN_DURATION_S:g} s are needed.")
    if header.sig_len / header.fs < MIN_DURATION_S:
        raise RecordError(
            f"{name}: the record is {header.sig_len / header.fs:.1f} s long, at least {MIN_DURATION_S:g} s are needed "
            "to judge beats; choose a longer record."
        )


def _check_signal_files(stem: Path, header: Any) -> None:
    """The files exist and hold what the header promises; wfdb itself would ask for the memory first."""
    bits: dict[str, float] = {}
    for file_name, form, per_frame in zip(header.file_name, header.fmt, header.samps_per_frame, strict=True):
        if Path(file_name).name != file_name:
            raise RecordError(f"{stem.name}.hea asks for {file_name}: a signal file must lie beside its header.")
        if not (stem.parent / file_name).is_file():
            raise RecordError(f"{stem.name}.hea asks for {file_name}, which is not beside it; add this file.")
        bits[file_name] = bits.get(file_name, 0) + BITS_OF_FORMAT.get(form, 0) * (per_frame or 1)
    offset = {name: int(start or 0) for name, start in zip(header.file_name, header.byte_offset, strict=True)}
    for file_name, bits_a_frame in bits.items():
        size = (stem.parent / file_name).stat().st_size - offset[file_name]
        promised = int(header.sig_len) * bits_a_frame / 8
        if size < int(promised):
            raise RecordError(
                f"{file_name}: {stem.name}.hea promises {header.sig_len:,} samples ({promised:,.0f} bytes), the file "
                f"holds {size:,} bytes; it is truncated or belongs to another record. Copy it anew."
            )


def _leads(header: Any, signals: list[tuple[Path, Any]]) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Names of the leads, told apart where two are alike, and whether each has a gain of its own."""
    stated: dict[str, bool] = {}
    order: list[str] = []
    for stem, segment in signals:
        gains = _stated_gains(stem.with_name(stem.name + ".hea"))
        names = _distinct(segment.sig_name or [f"lead {i + 1}" for i in range(segment.n_sig)])
        for name, gain in zip(names, gains, strict=False):
            order += [name] if name not in stated else []
            stated[name] = stated.get(name, True) and gain
    if isinstance(header, wfdb.MultiRecord) and header.layout == "variable":
        order = _distinct(header.sig_name or wfdb.rdheader(str(signals[0][0].with_name(header.seg_name[0]))).sig_name)
    return tuple(order), tuple(stated.get(name, False) for name in order)


def _distinct(names: list[str | None]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for number, name in enumerate(names, 1):
        plain = (name or f"lead {number}").strip()
        seen[plain] = seen.get(plain, 0) + 1
        result.append(plain if seen[plain] == 1 else f"{plain} ({seen[plain]})")
    return result


def _stated_gains(header_path: Path) -> list[bool]:
    """Whether each signal line states a gain: wfdb itself turns "0" and nothing into 200 adu/mV without a word."""
    lines = [
        line.split()
        for line in header_path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    gains = [fields[2].split("/")[0].split("(")[0] if len(fields) > 2 else "0" for fields in lines[1:]]
    return [_number(gain) != 0 for gain in gains]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _start(header: Any) -> datetime | None:
    if header.base_date is None or header.base_time is None:
        return None
    return datetime.combine(header.base_date, header.base_time)
