"""WFDB records, PhysioNet's format: plain and in segments, with reference annotations beside them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RecordError
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Float32, Record
from ..text import format_quoted, plural
from .annotation_files import read_wfdb_annotations
from .folder import Folder
from .limits import MAX_EXPANSION, check_leads, distinct_names
from .overrides import apply_overrides
from .unfinished import length_by_size, unfinished_source
from .wfdb_header import (
    HEADER_SUFFIX,
    N_FIELDS,
    REFERENCE_SUFFIX,
    age_of,
    check_header,
    header_lines,
    header_of,
    is_bare,
    lead_names_of,
    read_header,
    signal_lines,
    start_of,
    states_gain,
    states_length,
    stem_of,
    unit_mv_of,
    with_ending,
)
from .wfdb_plain import PlainSignal, plain_signal

PLAIN_NAME = "record"  # of a segment whose own name the decoder does not understand
PART_SUFFIXES = (HEADER_SUFFIX, ".dat", REFERENCE_SUFFIX)

# Bits per sample on disk; the last three formats are compressed (FLAC) and have no fixed size.
BITS_OF_FORMAT = {
    "8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 32 / 3, "311": 32 / 3,
    "508": 0, "516": 0, "524": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """A stretch of a record with signal files of its own; a plain record is one segment."""

    path: Path  # without suffix
    first: int  # its first sample, counted in the record
    n_samples: int
    leads: tuple[str, ...]
    calibrated: tuple[bool, ...]  # per lead: whether the header states a gain
    unit_mv: tuple[float, ...]  # per lead
    files: tuple[Path, ...]
    plain: PlainSignal | None = field(default=None, repr=False)  # its signal file, where that is plain
    folder: Folder | None = field(default=None, repr=False)  # the temporary folder of ``path``, where it needs one

    def read(self, start: int, stop: int, channels: list[int]) -> Float32:
        """Samples [start, stop) of the segment in mV, shape (n_channels, stop - start)."""
        try:
            part = self.plain.read(start, stop, channels) if self.plain else self._decoded(start, stop, channels)
        except Exception as error:  # the decoders raise all kinds of errors on damaged bytes
            raise RecordError(
                f"{self.path.name}: samples {start} to {stop} cannot be read from its signal files "
                f"({format_quoted(error)}). Check that they are complete and belong to this header."
            ) from error
        unit_mv = np.array([self.unit_mv[i] for i in channels], dtype=np.float32)
        return np.asarray(part.T * unit_mv[:, None], dtype=np.float32)

    def _decoded(self, start: int, stop: int, channels: list[int]) -> Float32:
        import wfdb  # noqa: PLC0415  # a third of a second, for signal files that are not plain

        part = wfdb.rdrecord(str(self.path), sampfrom=start, sampto=stop, channels=channels, return_res=32)
        return np.asarray(part.p_signal)


@dataclass(frozen=True)
class WfdbSource:
    """The samples of a WFDB record; segments find leads by name, and may lack some."""

    segments: tuple[Segment, ...]
    lead_names: tuple[str, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        for segment in self.segments:
            first, last = max(start, segment.first), min(stop, segment.first + segment.n_samples)
            rows = [row for row, lead in enumerate(leads) if self.lead_names[lead] in segment.leads]
            if first < last and rows:
                channels = [segment.leads.index(self.lead_names[leads[row]]) for row in rows]
                part = segment.read(first - segment.first, last - segment.first, channels)
                signal[rows, first - start : last - start] = part
        return signal


def is_wfdb(path: Path, _first: bytes) -> bool:
    """Whether a file has a suffix of WFDB, or a header beside it."""
    return path.suffix.lower() in PART_SUFFIXES or with_ending(path, HEADER_SUFFIX).is_file()


def has_header(path: Path) -> bool:
    """Whether a header lies beside a file; a signal file may begin with any bytes, so they identify nothing."""
    return path.with_suffix(HEADER_SUFFIX).is_file()


def read_wfdb(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a WFDB record, given with or without suffix; its samples stay on disk.

    Raises
    ------
    RecordError
        The header is missing or damaged, its signal files are missing or shorter than it promises, or the overrides
        contradict it.

    """
    stem = stem_of(path)
    header = read_header(stem)
    stated = states_length(stem)
    if not stated:
        header.sig_len = length_by_size(stem, header)
    check_header(stem, header)
    layout, segments = _segments(stem, header)
    lead_names = tuple(dict.fromkeys([*layout, *(name for segment in segments for name in segment.leads)]))
    check_leads(header_of(stem).name, len(lead_names))
    gains = [pair for segment in segments for pair in zip(segment.leads, segment.calibrated, strict=True)]
    reference = with_ending(stem, REFERENCE_SUFFIX)
    files = {header_of(stem), *(file for segment in segments for file in segment.files)}
    files |= {header_of(stem.with_name(header.seg_name[0]))} if layout else set()
    record = Record(
        record_id=stem.name,
        source=WfdbSource(segments, lead_names) if stated else unfinished_source(stem, header, segments[0].unit_mv),
        fs_hz=float(header.fs),
        n_samples=int(header.sig_len),
        lead_names=lead_names,
        calibrated=tuple((name, True) in gains and (name, False) not in gains for name in lead_names),
        start=start_of(header),
        comments=tuple(header.comments or ()),
        age_years=age_of(tuple(header.comments or ())),
        reference=read_wfdb_annotations(reference, float(header.fs)) if reference.is_file() else None,
        files=tuple(sorted(files | ({reference} if reference.is_file() else set()))),
    )
    return apply_overrides(record, overrides)


def _segments(stem: Path, header: Any) -> tuple[list[str], tuple[Segment, ...]]:
    """Names of the leads where a layout segment lists them, and the segments that hold samples."""
    if not _has_segments(header):
        return [], (_segment(stem, header, first=0),)
    layout: list[str] = []
    segments, first = [], 0
    for name, length in zip(header.seg_name, header.seg_len, strict=True):
        if name != "~":  # else a gap
            part = _read_segment_header(stem, header, name, length)
            if length:
                segments.append(_segment(stem.with_name(name), part, first=first))
            else:
                layout = list(distinct_names(lead_names_of(stem.with_name(name), part)))
        first += length
    if first != header.sig_len or not segments:
        raise RecordError(
            f"{stem.name}.hea promises {plural(header.sig_len, 'sample')}, its segments hold {first:,}; "
            "some are missing from the header, or it is damaged. Copy it again."
        )
    return layout, tuple(segments)


def _has_segments(header: Any) -> bool:
    return hasattr(header, "seg_name")


def _read_segment_header(stem: Path, header: Any, name: str, length: int) -> Any:
    if not is_bare(name):
        raise RecordError(f"{stem.name}.hea names {name}: a segment must lie beside its header.")
    if not header_of(stem.with_name(name)).is_file():
        raise RecordError(f"{stem.name}.hea names the segment {name}.hea, which is not beside it; add it.")
    part = read_header(stem.with_name(name))
    if _has_segments(part):
        raise RecordError(f"{stem.name}.hea: its segment {name} has segments of its own, which WFDB does not allow.")
    if length and (part.fs, part.sig_len) != (header.fs, length):
        raise RecordError(
            f"{stem.name}.hea expects {length:,} samples at {header.fs:g} Hz in the segment {name}, {name}.hea states "
            f"{part.sig_len or 0:,} at {part.fs:g} Hz; they do not belong together. Copy both again."
        )
    return part


def _segment(stem: Path, header: Any, *, first: int) -> Segment:
    lines = signal_lines(stem)
    if len(lines) != header.n_sig:
        raise RecordError(
            f"{stem.name}.hea promises {plural(header.n_sig, 'lead')} and describes {len(lines)}; it is damaged. "
            "Copy it again."
        )
    header.file_name = [line[0] for line in lines]  # the parser drops letters that are not ASCII
    _check_signal_files(stem, header)
    gains = [line[2] if len(line) > 2 else "" for line in lines]
    folder = None if "".join(header.file_name).isascii() else _under_plain_names(stem, lines)
    return Segment(
        path=folder.path / PLAIN_NAME if folder else stem,
        first=first,
        n_samples=int(header.sig_len),
        leads=tuple(distinct_names(lead_names_of(stem, header))),
        calibrated=tuple(states_gain(gain) for gain in gains),
        unit_mv=tuple(unit_mv_of(gain) for gain in gains),
        plain=None if folder else plain_signal(stem, header),
        files=(header_of(stem), *(stem.parent / name for name in header.file_name)),
        folder=folder,
    )


def _under_plain_names(stem: Path, lines: list[list[str]]) -> Folder:
    """The segment under names that the decoder understands: linked, or copied where no link is possible."""
    folder = Folder()
    plain = {name: f"signal{number}.dat" for number, name in enumerate(dict.fromkeys(line[0] for line in lines))}
    first = header_lines(header_of(stem))[0].split()[1:]
    text = [" ".join([PLAIN_NAME, *first]), *(" ".join([plain[line[0]], *line[1:N_FIELDS]]) for line in lines)]
    header = folder.path / f"{PLAIN_NAME}{HEADER_SUFFIX}"
    header.write_text("\n".join(text) + "\n", encoding="ascii", errors="replace")
    for name, other in plain.items():
        try:
            os.link((stem.parent / name).resolve(), folder.path / other)
        except OSError:  # another disk, or one without links
            shutil.copyfile(stem.parent / name, folder.path / other)
    return folder


def _check_signal_files(stem: Path, header: Any) -> None:
    """Refuse signal files that are missing or too short; wfdb itself would allocate the memory first."""
    bits: dict[str, float] = {}
    for file_name, form, per_frame in zip(header.file_name, header.fmt, header.samps_per_frame, strict=True):
        if not is_bare(file_name):
            raise RecordError(f"{stem.name}.hea names {file_name}: a signal file must lie beside its header.")
        if not (stem.parent / file_name).is_file():
            raise RecordError(f"{stem.name}.hea names {file_name}, which is not beside it; add this file.")
        if form not in BITS_OF_FORMAT:
            raise RecordError(
                f"{stem.name}.hea: {file_name} has the format {form}, expected one of {', '.join(BITS_OF_FORMAT)}. "
                "Convert the record, for example with xform."
            )
        bits[file_name] = bits.get(file_name, 0) + BITS_OF_FORMAT[form] * (per_frame or 1)
    offset = {name: int(start or 0) for name, start in zip(header.file_name, header.byte_offset, strict=True)}
    for file_name, frame_bits in bits.items():
        size = (stem.parent / file_name).stat().st_size - offset[file_name]
        promised = int(header.sig_len) * (frame_bits / 8 or 1 / MAX_EXPANSION)
        if size < int(promised):
            raise RecordError(
                f"{file_name}: {stem.name}.hea promises {plural(header.sig_len, 'sample')} "
                f"({plural(promised, 'byte')}), the file holds {plural(size, 'byte')}; it is truncated or belongs to "
                "another record. Copy it again."
            )
