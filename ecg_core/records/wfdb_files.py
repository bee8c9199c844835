"""WFDB records, PhysioNet's own format: plain and in segments, with reference annotations beside them."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from ..errors import RecordError
from ..schema import Float32, Record
from ..text import format_quoted
from .annotation_files import read_wfdb_annotations
from .folder import Folder
from .limits import MAX_FS_HZ, MIN_DURATION_S, MIN_FS_HZ, MOST_RATIO, check_leads, check_length, distinct_names
from .unfinished import length_by_size, unfinished_source

REFERENCE_SUFFIX = ".atr"
PLAIN_NAME = "record"  # of a segment whose own name the decoder cannot read

# Bits a sample takes on disk; the last three are compressed (FLAC) and have no fixed size.
BITS_OF_FORMAT = {
    "8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 32 / 3, "311": 32 / 3,
    "508": 0, "516": 0, "524": 0,
}  # fmt: skip
MV_OF_UNIT = {"mv": 1.0, "uv": 1e-3, "v": 1e3, "nv": 1e-6}


@dataclass(frozen=True)
class Segment:
    """A stretch of a record with signal files of its own; a plain record is one segment."""

    path: Path  # without extension
    first: int  # its first sample, counted in the record
    n_samples: int
    leads: tuple[str, ...]
    calibrated: tuple[bool, ...]  # per lead: whether the header states a gain
    unit_mv: tuple[float, ...]  # per lead
    files: tuple[Path, ...]
    folder: Folder | None = field(default=None, repr=False)  # that ``path`` lies in, where it had to be made

    def read(self, start: int, stop: int, channels: list[int]) -> Float32:
        """Samples [start, stop) of the segment in mV, shape (n_channels, stop - start)."""
        try:
            part = wfdb.rdrecord(str(self.path), sampfrom=start, sampto=stop, channels=channels, return_res=32)
        except Exception as error:  # the decoders raise whatever the bytes make them trip over
            raise RecordError(
                f"{self.path.name}: samples {start} to {stop} cannot be read from its signal files ({format_quoted(error)}). "
                "Check that they are complete and belong to this header."
            ) from error
        unit_mv = np.array([self.unit_mv[i] for i in channels], dtype=np.float32)
        return np.asarray(part.p_signal.T * unit_mv[:, None], dtype=np.float32)


@dataclass(frozen=True)
class WfdbSource:
    """The samples of a WFDB record; each lead is looked up by name in each segment, and may be missing there."""

    segments: tuple[Segment, ...]
    lead_names: tuple[str, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """Samples [start, stop) of the leads in mV, shape (n_leads, stop - start); NaN where nothing was recorded."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        for segment in self.segments:
            first, last = max(start, segment.first), min(stop, segment.first + segment.n_samples)
            rows = [row for row, lead in enumerate(leads) if self.lead_names[lead] in segment.leads]
            if first < last and rows:
                channels = [segment.leads.index(self.lead_names[leads[row]]) for row in rows]
                part = segment.read(first - segment.first, last - segment.first, channels)
                signal[rows, first - start : last - start] = part
        return signal


def read_wfdb(path: Path) -> Record:
    """Open a WFDB record, given with or without extension; its samples stay on disk.

    Raises
    ------
    RecordError
        The header is missing or is none, or the signal files are missing, or shorter than the header says.

    """
    stem = _stem(path)
    header = _read_header(stem)
    stated = len(_header_lines(_beside(stem, ".hea"))[0].split()) > 3  # a length after name, leads and rate
    if not stated:
        header.sig_len = length_by_size(stem, header)
    _check_header(stem, header)
    layout, segments = _segments(stem, header)
    lead_names = tuple(dict.fromkeys([*layout, *(name for segment in segments for name in segment.leads)]))
    check_leads(f"{stem.name}.hea", len(lead_names))
    gains = [pair for segment in segments for pair in zip(segment.leads, segment.calibrated, strict=True)]
    reference = _beside(stem, REFERENCE_SUFFIX)
    files = {_beside(stem, ".hea"), *(file for segment in segments for file in segment.files)}
    files |= {_beside(stem.with_name(header.seg_name[0]), ".hea")} if layout else set()
    return Record(
        record_id=stem.name,
        source=(WfdbSource(segments, lead_names) if stated else unfinished_source(stem, header, segments[0].unit_mv)),
        fs_hz=float(header.fs),
        n_samples=int(header.sig_len),
        lead_names=lead_names,
        calibrated=tuple((name, True) in gains and (name, False) not in gains for name in lead_names),
        start=_start(header),
        comments=tuple(header.comments or ()),
        age_years=age_of(tuple(header.comments or ())),
        reference=read_wfdb_annotations(reference, float(header.fs)) if reference.is_file() else None,
        files=tuple(sorted(files | ({reference} if reference.is_file() else set()))),
    )


def age_of(comments: tuple[str, ...]) -> int | None:
    """Age in years where the comments state it: "Age: 65", INCART's "<age>: 65", or mitdb's "69 M 1085 1629 x1"."""
    for pattern in (r"\bage\b>?\s*[:=]?\s*(\d{1,3})\b", r"^\s*(\d{1,3})\s+[MF]\b"):
        for comment in comments:
            if found := re.search(pattern, comment, re.IGNORECASE):
                return int(found[1])
    return None


def _stem(path: Path) -> Path:
    """The record's path without extension; a record's own name may hold dots."""
    known = {".hea", ".dat", ".mat", REFERENCE_SUFFIX}
    stem = path.with_suffix("") if path.suffix.lower() in known else path
    header = _beside(stem, ".hea")
    if header.is_file():
        return stem
    if path.is_dir():
        raise RecordError(f"{path}: is a folder, expected a record; name one of the records inside it.")
    found = sorted(p.stem for p in stem.parent.glob("*.hea"))[:5] if stem.parent.is_dir() else []
    hint = f"records there: {', '.join(found)}" if found else "there are no records in that folder"
    raise RecordError(f"{header}: this header file does not exist ({hint}). Check the path of the record.")


def _beside(stem: Path, suffix: str) -> Path:
    return stem.parent / f"{stem.name}{suffix}"


def _read_header(stem: Path) -> Any:
    name = stem.name + ".hea"
    try:
        header = wfdb.rdheader(str(stem))
    except Exception as error:  # the parser raises whatever the text makes it trip over
        raise RecordError(
            f"{name}: expected a WFDB header, but its text is none ({type(error).__name__}). "
            "Check that the file was not renamed from something else."
        ) from error
    stated = [*_header_lines(_beside(stem, ".hea"))[0].split(), "", ""][2]
    if stated and _number(re.split(r"[/(]", stated)[0]) != header.fs:  # the parser reads "-360" as 250 Hz
        raise RecordError(f'{name}: expected a sampling rate in Hz, found "{stated}"; correct the first line.')
    return header


def _check_header(stem: Path, header: Any) -> None:
    name = stem.name + ".hea"
    if not header.n_sig:
        raise RecordError(f"{name}: the record has no signals; a record with at least one ECG lead is needed.")
    if not header.sig_len and MIN_FS_HZ <= header.fs <= MAX_FS_HZ:
        raise RecordError(
            f"{name}: the record is empty or states no length (0 samples); at least {MIN_DURATION_S:g} s are needed. "
            "Check the number after the sampling rate."
        )
    check_length(name, float(header.fs), int(header.sig_len or 0))


def _segments(stem: Path, header: Any) -> tuple[list[str], tuple[Segment, ...]]:
    """Names of the leads where a layout states them, and the segments that hold samples."""
    if not isinstance(header, wfdb.MultiRecord):
        return [], (_segment(stem, header, first=0),)
    layout: list[str] = []
    segments, first = [], 0
    for name, length in zip(header.seg_name, header.seg_len, strict=True):
        if name != "~":  # else a gap
            part = _read_segment_header(stem, header, name, length)
            if length:
                segments.append(_segment(stem.with_name(name), part, first=first))
            else:
                layout = list(distinct_names(_lead_names(stem.with_name(name), part)))
        first += length
    if first != header.sig_len or not segments:
        raise RecordError(
            f"{stem.name}.hea promises {header.sig_len:,} samples, its {len(segments)} segments hold {first:,}; "
            "segments are missing from the header, or it is damaged. Copy it anew."
        )
    return layout, tuple(segments)


def _read_segment_header(stem: Path, header: Any, name: str, length: int) -> Any:
    if not is_bare(name):
        raise RecordError(f"{stem.name}.hea asks for {name}: a segment must lie beside its header.")
    if not _beside(stem.with_name(name), ".hea").is_file():
        raise RecordError(f"{stem.name}.hea asks for the segment {name}.hea, which is not beside it; add it.")
    part = _read_header(stem.with_name(name))
    if isinstance(part, wfdb.MultiRecord):
        raise RecordError(f"{stem.name}.hea: its segment {name} has segments of its own, which WFDB does not allow.")
    if length and (part.fs, part.sig_len) != (header.fs, length):
        raise RecordError(
            f"{stem.name}.hea expects {length:,} samples at {header.fs:g} Hz in the segment {name}, {name}.hea states "
            f"{part.sig_len or 0:,} at {part.fs:g} Hz; they do not belong together. Copy both anew."
        )
    return part


def _segment(stem: Path, header: Any, *, first: int) -> Segment:
    lines = _signal_lines(stem)
    if len(lines) != header.n_sig:
        raise RecordError(
            f"{stem.name}.hea promises {header.n_sig} leads and describes {len(lines)}; it is damaged. Copy it anew."
        )
    header.file_name = [line[0] for line in lines]  # the parser drops letters that are not ASCII
    _check_signal_files(stem, header)
    gains = [line[2] if len(line) > 2 else "" for line in lines]
    folder = None if "".join(header.file_name).isascii() else _under_plain_names(stem, lines)
    return Segment(
        path=folder.path / PLAIN_NAME if folder else stem,
        first=first,
        n_samples=int(header.sig_len),
        leads=tuple(distinct_names(_lead_names(stem, header))),
        calibrated=tuple(_number(re.split(r"[/(]", gain)[0]) != 0 for gain in gains),
        unit_mv=tuple(_unit_mv(gain) for gain in gains),
        files=(_beside(stem, ".hea"), *(stem.parent / name for name in header.file_name)),
        folder=folder,
    )


def _under_plain_names(stem: Path, lines: list[list[str]]) -> Folder:
    """The segment once more, under names that the decoder can read: linked, or copied where that is not possible."""
    folder = Folder()
    plain = {name: f"signal{number}.dat" for number, name in enumerate(dict.fromkeys(line[0] for line in lines))}
    first = _header_lines(_beside(stem, ".hea"))[0].split()[1:]
    text = [" ".join([PLAIN_NAME, *first]), *(" ".join([plain[line[0]], *line[1:8]]) for line in lines)]
    (folder.path / f"{PLAIN_NAME}.hea").write_text("\n".join(text) + "\n", encoding="ascii", errors="replace")
    for name, other in plain.items():
        try:
            os.link((stem.parent / name).resolve(), folder.path / other)
        except OSError:  # another disk, or one that knows no links
            shutil.copyfile(stem.parent / name, folder.path / other)
    return folder


def _check_signal_files(stem: Path, header: Any) -> None:
    """The files exist and hold what the header promises; wfdb itself would ask for the memory first."""
    bits: dict[str, float] = {}
    for file_name, form, per_frame in zip(header.file_name, header.fmt, header.samps_per_frame, strict=True):
        if not is_bare(file_name):
            raise RecordError(f"{stem.name}.hea asks for {file_name}: a signal file must lie beside its header.")
        if not (stem.parent / file_name).is_file():
            raise RecordError(f"{stem.name}.hea asks for {file_name}, which is not beside it; add this file.")
        if form not in BITS_OF_FORMAT:
            raise RecordError(
                f"{stem.name}.hea: {file_name} has the format {form}, expected one of {', '.join(BITS_OF_FORMAT)}. "
                "Convert the record, for example with xform."
            )
        bits[file_name] = bits.get(file_name, 0) + BITS_OF_FORMAT[form] * (per_frame or 1)
    offset = {name: int(start or 0) for name, start in zip(header.file_name, header.byte_offset, strict=True)}
    for file_name, bits_a_frame in bits.items():
        size = (stem.parent / file_name).stat().st_size - offset[file_name]
        promised = int(header.sig_len) * (bits_a_frame / 8 or 1 / MOST_RATIO)
        if size < int(promised):
            raise RecordError(
                f"{file_name}: {stem.name}.hea promises {header.sig_len:,} samples ({promised:,.0f} bytes), the file "
                f"holds {size:,} bytes; it is truncated or belongs to another record. Copy it anew."
            )


def is_bare(name: str) -> bool:
    """Whether a name leads nowhere else, on any system."""
    return not re.search(r"[\\/:]", name) and name not in ("", ".", "..")


def _signal_lines(stem: Path) -> list[list[str]]:
    """The words of each line that describes a signal."""
    return [line.split() for line in _header_lines(_beside(stem, ".hea"))[1:]]


def _lead_names(stem: Path, header: Any) -> list[str]:
    """The name of each signal; the parser drops letters that are not ASCII, which stand after eight numbers."""
    lines = _header_lines(_beside(stem, ".hea"))[1:]
    written = [[*line.split(maxsplit=8), *[""] * 9][8] for line in lines]
    return [parsed if own.isascii() else own for own, parsed in zip(written, header.sig_name or [], strict=False)]


def _header_lines(path: Path) -> list[str]:
    """Lines of a header but its comments: what is asked here is lost on wfdb, or turned into a default in silence."""
    content = path.read_bytes()
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = content.decode("latin-1").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def segment_lines(path: Path) -> list[str]:
    """Lines that name the segments of a multi-segment record."""
    lines = _header_lines(path)
    return lines[1:] if lines and "/" in lines[0].split()[0] else []


def _unit_mv(gain: str) -> float:
    """Millivolts of the unit in a header's gain field, such as "200(0)/mV"; mV where it states none."""
    unit = gain.partition("/")[2].lower() or "mv"
    return MV_OF_UNIT.get(unit if unit.isascii() else "uv", 1.0)  # the micro sign has many encodings


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _start(header: Any) -> datetime | None:
    if header.base_date is None or header.base_time is None:
        return None
    return datetime.combine(header.base_date, header.base_time)
