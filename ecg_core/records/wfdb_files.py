"""WFDB records, PhysioNet's format: plain and in segments, with reference annotations beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, groupby
from pathlib import Path

import numpy as np

from ..errors import RecordError
from ..files import is_there
from ..overrides import NO_OVERRIDES, LeftOut, RecordOverrides
from ..schema import Annotations, Float32, Record, SignalSource
from ..text import format_quoted, one_line, plural
from .annotation_files import read_wfdb_annotations
from .limits import MAX_DURATION_S, MIN_DURATION_S, MIN_FS_HZ, check_leads, check_length, distinct_names
from .mixed_rates import LeadsOfRate, MixedRateSource
from .overrides import apply_overrides
from .wfdb_header import (
    HEADER_SUFFIX,
    REFERENCE_SUFFIX,
    Header,
    SignalLine,
    age_of,
    file_named,
    header_of,
    is_bare,
    read_header,
    stem_of,
    with_ending,
)
from .wfdb_leads import scale_of, why_no_lead
from .wfdb_samples import GROUPS, Channel, SignalFile, frames_of_file

PART_SUFFIXES = (HEADER_SUFFIX, ".dat", REFERENCE_SUFFIX)
BEYOND_S = 1.0  # an annotation so long after the record's end does not belong to it
GAP = "~"  # in place of a segment's name: nothing was recorded
PUT_BESIDE = "Put it there, and correct its name in the header."


@dataclass(frozen=True)
class Lead:
    """A lead in a signal file."""

    name: str
    file: SignalFile
    channel: int  # in the file
    calibrated: bool  # whether the header states a gain

    @property
    def per_frame(self) -> int:
        """Samples in a frame."""
        return self.file.channels[self.channel].per_frame


@dataclass(frozen=True)
class Part:
    """What was recorded in one stretch, with signal files of its own: a whole record, or one of its segments."""

    header: Header
    leads: tuple[Lead, ...]
    left_out: tuple[LeftOut, ...]
    n_frames: int
    doubts: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FileSource:
    """Leads with equal rates, from their files."""

    leads: tuple[Lead, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        chosen = [self.leads[lead] for lead in leads]
        files = dict.fromkeys(lead.file for lead in chosen)
        if len(files) == 1:
            return chosen[0].file.read(start, stop, [lead.channel for lead in chosen])
        signal = np.empty((len(leads), stop - start), dtype=np.float32)
        for file in files:
            rows = [row for row, lead in enumerate(chosen) if lead.file == file]
            signal[rows] = file.read(start, stop, [chosen[row].channel for row in rows])
        return signal


@dataclass(frozen=True)
class Segment:
    """A part of a record at its place, at the rate of the record."""

    name: str
    first: int  # its first sample, counted in the record
    n_samples: int
    leads: tuple[str, ...]
    source: SignalSource = field(repr=False)

    def read_leads(self, start: int, stop: int, names: list[str]) -> Float32:
        """Samples [start, stop) of the record, all of them in the segment, in mV, shape (n_leads, stop - start)."""
        start, stop = start - self.first, stop - self.first
        try:
            return self.source.read(start, stop, tuple(map(self.leads.index, names)))
        except Exception as error:  # damaged bytes raise all kinds of errors
            raise RecordError(
                f"samples {start} to {stop} cannot be read from its signal files ({format_quoted(error)})",
                where=self.name,
                advice="Check that they are complete and belong to this header.",
            ) from error


@dataclass(frozen=True)
class WfdbSource:
    """The samples of a WFDB record; segments find leads by name, and may lack some."""

    segments: tuple[Segment, ...]
    lead_names: tuple[str, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        wanted = [self.lead_names[lead] for lead in leads]
        for segment in self.segments:
            if segment.first <= start and stop <= segment.first + segment.n_samples and {*wanted} <= {*segment.leads}:
                return segment.read_leads(start, stop, wanted)  # nothing has to be put together
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        for segment in self.segments:
            first, last = max(start, segment.first), min(stop, segment.first + segment.n_samples)
            rows = [row for row, name in enumerate(wanted) if name in segment.leads]
            if first < last and rows:
                part = segment.read_leads(first, last, [wanted[row] for row in rows])
                signal[rows, first - start : last - start] = part
        return signal


def is_wfdb(path: Path, _first: bytes) -> bool:
    """Whether a file has a suffix of WFDB, or a header beside it."""
    return path.suffix.lower() in PART_SUFFIXES or is_there(header_of(path))


def has_header(path: Path) -> bool:
    """Whether a header lies beside a file; a signal file may begin with any bytes, so they identify nothing."""
    return is_there(header_of(path.with_suffix("")))


def read_wfdb(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open a WFDB record, given with or without suffix; its samples stay on disk.

    Raises
    ------
    RecordError
        The header is missing or damaged, its signal files are missing or belong to another record, no signal is an
        ECG, or the overrides contradict it.
    MissingMetadataError
        Neither the header nor the overrides state the rate.

    """
    stem = stem_of(path)
    header = read_header(stem, overrides.fs_hz)
    if not header.fs_hz:
        check_length(header.path.name, 0.0, header.n_frames)
    layout, parts, n_frames = _parts(header)
    held = [part for _, part in parts]
    names, left_out = _leads(layout, held)
    _check_leads(header, names, left_out)
    per_frame = max(lead.per_frame for part in held for lead in part.leads)
    fs_hz = header.fs_hz * per_frame
    if not n_frames:
        raise RecordError("the record is empty (0 samples)", where=header.path.name, advice="Choose another one.")
    check_length(header.path.name, fs_hz, n_frames * per_frame)
    segments = tuple(_segment(part, first * per_frame, header.fs_hz, per_frame) for first, part in parts)
    uncalibrated = {lead.name for part in held for lead in part.leads if not lead.calibrated}
    annotations = with_ending(stem, REFERENCE_SUFFIX)
    reference = read_wfdb_annotations(annotations, header.fs_hz) if annotations.is_file() else None
    files = {header.path, *(file for part in held for file in part.files)}
    files |= {layout.path} if layout else set()
    record = Record(
        record_id=stem.name,
        source=WfdbSource(segments, names),
        fs_hz=fs_hz,
        n_samples=n_frames * per_frame,
        lead_names=names,
        calibrated=tuple(name not in uncalibrated for name in names),
        start=header.start.start,
        start_clock=header.start.clock,
        left_out=left_out,
        doubts=(
            *dict.fromkeys((*header.doubts, *(doubt for part in held for doubt in part.doubts))),
            *_doubts_of_annotations(annotations, reference, n_frames / header.fs_hz),
        ),
        comments=header.comments,
        age_years=age_of(header.comments),
        reference=reference,
        files=tuple(sorted(files | ({annotations} if reference else set()))),
    )
    return apply_overrides(record, overrides, states_rate=header.states_rate)


def _leads(layout: Header | None, parts: list[Part]) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Names of the leads, in the order of the layout where there is one, and what is left out."""
    held = dict.fromkeys(lead.name for part in parts for lead in part.leads)
    left_out = dict.fromkeys(
        replace(channel, reason=f"{channel.reason}, in {part.header.path.name}") if channel.name in held else channel
        for part in parts
        for channel in part.left_out
    )
    listed = list(zip(_names(layout), layout.signals, strict=True)) if layout else []
    known = {*held, *(channel.name for channel in left_out)}
    missing = [
        LeftOut(name, why_no_lead(signal) or "no segment holds it") for name, signal in listed if name not in known
    ]
    names = dict.fromkeys([*(name for name, _ in listed if name in held), *held])
    return tuple(names), (*left_out, *missing)


def _check_leads(header: Header, lead_names: tuple[str, ...], left_out: tuple[LeftOut, ...]) -> None:
    if not lead_names:
        found = "; ".join(f"{channel.name}: {channel.reason}" for channel in left_out)
        raise RecordError(
            f"none of its signals is a lead of an ECG ({found})",
            where=header.path.name,
            advice="Choose another record; or where one of them is an ECG after all, correct its unit and its name in "
            "the header.",
        )
    check_leads(header.path.name, len(lead_names))


def _parts(header: Header) -> tuple[Header | None, list[tuple[int, Part]], int]:
    """The layout segment where there is one, the parts that hold samples with their first frame, and all frames."""
    if not header.is_of_segments:
        whole = _part(header, least_s=MIN_DURATION_S)
        return None, [(0, whole)], whole.n_frames
    layout, parts, first = None, [], 0
    for number, (name, length) in enumerate(header.segments, 1):
        held = length
        if name != GAP:
            own = _segment_header(header, name, length, is_last=number == len(header.segments))
            if length:
                parts.append((first, _part(own)))
                held = length if own.n_frames else parts[-1][1].n_frames  # of a recording that was not finished
            else:
                layout = own
        first += held
    if not parts:
        raise RecordError(
            "none of its segments holds a sample", where=header.path.name, advice="Choose another record."
        )
    if first != (header.n_frames or first):
        raise RecordError(
            "segments are missing from it, or it is damaged",
            where=header.path.name,
            expected=plural(header.n_frames, "sample"),
            got=f"{first:,} in its segments",
            advice="Copy it again.",
        )
    return layout, parts, first


def _segment_header(header: Header, name: str, length: int, *, is_last: bool) -> Header:
    if not is_bare(name):
        raise RecordError(
            f"names {name}: a segment must lie beside its header", where=header.path.name, advice=PUT_BESIDE
        )
    if not header_of(header.path.with_name(name)).is_file():
        raise RecordError(
            f"names the segment {name}.hea, which is not beside it", where=header.path.name, advice="Add it."
        )
    own = read_header(header.path.with_name(name), header.fs_hz)
    if own.is_of_segments:
        raise RecordError(
            f"its segment {name} has segments of its own, which WFDB does not allow",
            where=header.path.name,
            advice="Open those instead.",
        )
    stated = own.n_frames or (length if is_last else 0)
    if length and (own.fs_hz, stated) != (header.fs_hz, length):
        raise RecordError(
            f"it and {name}.hea do not belong together",
            where=header.path.name,
            expected=f"{length:,} samples at {header.fs_hz:g} Hz in the segment {name}",
            got=f"{own.n_frames:,} at {own.fs_hz:g} Hz",
            advice="Copy both again.",
        )
    return own


def _names(header: Header) -> tuple[str, ...]:
    return distinct_names([signal.name for signal in header.signals])


def _part(header: Header, *, least_s: float = 0.0) -> Part:
    """The signals of a header that are leads, and why the others are not."""
    _check_signals(header)
    groups: dict[str, list[SignalLine]] = {}
    for signal in header.signals:
        groups.setdefault(signal.file_name, []).append(signal)
    files = {name: _signal_file(header, name, signals) for name, signals in groups.items()}
    n_frames, doubts = _length(header, [*files.values()], least_s)
    fastest_hz = header.fs_hz * max(signal.per_frame for signal in header.signals)
    leads, left_out = [], []
    for name, signal in zip(_names(header), header.signals, strict=True):
        fs_hz, why = header.fs_hz * signal.per_frame, why_no_lead(signal)
        if not why and fs_hz < MIN_FS_HZ <= fastest_hz:
            why = f"at {fs_hz:g} Hz, too slow for an ECG"
        if why:
            left_out.append(LeftOut(name, one_line(why)))
        else:
            channel = next(at for at, own in enumerate(groups[signal.file_name]) if own is signal)
            leads.append(Lead(name, files[signal.file_name], channel, scale_of(signal)[2]))
    paths = (header.path, *(file.path for file in files.values()))
    return Part(header, tuple(leads), tuple(left_out), n_frames, doubts, paths)


def _check_signals(header: Header) -> None:
    """Refuse signal files that are elsewhere, missing, or of a format that does not exist."""
    name = header.path.name
    for signal in header.signals:
        if signal.file_name == GAP:
            raise RecordError(
                "is the layout of a record in segments, which holds no samples itself",
                where=name,
                advice="Open the record whose header lists this segment.",
            )
        if not is_bare(signal.file_name):
            raise RecordError(
                f"names {signal.file_name}: a signal file must lie beside its header", where=name, advice=PUT_BESIDE
            )
        if not file_named(header.path.parent, signal.file_name).is_file():
            own = with_ending(header.path.with_suffix(""), Path(signal.file_name).suffix)
            renamed = f" Or was it renamed to {own.name}? Then correct the name in {name}." if own.is_file() else ""
            raise RecordError(
                f"names {signal.file_name}, which is not beside it", where=name, advice=f"Add this file.{renamed}"
            )
        if signal.form not in GROUPS:
            raise RecordError(
                f"the format of {signal.file_name} is not read",
                where=name,
                expected=f"one of {', '.join(GROUPS)}",
                got=signal.form,
                advice="Convert the record, for example with xform.",
            )
    check_leads(name, len(header.signals))


def _signal_file(header: Header, name: str, signals: list[SignalLine]) -> SignalFile:
    forms = sorted({signal.form for signal in signals})
    if len(forms) > 1:
        raise RecordError(
            "the header is damaged",
            where=header.path.name,
            expected=f"one format of all signals in {name}",
            got=", ".join(forms),
            advice="Copy it again.",
        )
    per_frame = [signal.per_frame for signal in signals]
    channels = []
    for place, signal in zip(accumulate(per_frame, initial=0), signals, strict=False):
        gain, unit_mv, _ = scale_of(signal)
        channels.append(Channel(place, signal.per_frame, signal.skew, gain, signal.baseline, unit_mv, signal.first))
    path, offset = file_named(header.path.parent, name), signals[0].offset
    return SignalFile(path, forms[0], offset, tuple(channels), frames_of_file(path, forms[0], offset, per_frame))


def _length(header: Header, files: list[SignalFile], least_s: float) -> tuple[int, tuple[str, ...]]:
    """Frames of a part, and a doubt for each file that holds fewer or more than the header states.

    Raises
    ------
    RecordError
        A file holds less than ``least_s``, or nothing: it is not the one that the header describes.

    """
    held, stated = max(file.n_frames for file in files), header.n_frames
    if stated / header.fs_hz > MAX_DURATION_S:  # refused, whatever the files hold
        per_frame = max(signal.per_frame for signal in header.signals)
        check_length(header.path.name, header.fs_hz * per_frame, stated * per_frame)
    for file in files:
        if file.n_frames < stated and (file.n_frames == 0 or file.n_frames / header.fs_hz < least_s):
            raise RecordError(
                "is truncated, or belongs to another record",
                where=file.path.name,
                expected=f"{plural(stated, 'sample')}, as {header.path.name} states",
                got=f"{plural(file.path.stat().st_size, 'byte')}, {plural(file.n_frames, 'sample')}",
                advice="Copy it again.",
            )
    return min(stated or held, held), tuple(_doubts(header, files))


def _doubts(header: Header, files: list[SignalFile]) -> Iterator[str]:
    expected, fs_hz = header.n_frames or max(file.n_frames for file in files), header.fs_hz
    whose = f"{header.path.name} states" if header.n_frames else "another signal file holds"
    for file in files:
        lengths = (
            f"{whose} {plural(expected, 'sample')} ({expected / fs_hz:,.1f} s), {file.path.name} holds "
            f"{file.n_frames:,} ({file.n_frames / fs_hz:,.1f} s)"
        )
        if file.n_frames < expected:
            yield f"{lengths}; the rest is missing"
        elif file.n_frames - expected >= fs_hz:
            yield f"{lengths}; what is beyond the stated length is not read"


def _doubts_of_annotations(path: Path, reference: Annotations | None, duration_s: float) -> Iterator[str]:
    last_s = float(reference.time_s[-1]) if reference and len(reference.time_s) else 0.0
    if last_s > duration_s + BEYOND_S:
        yield f"the annotations in {path.name} reach to {last_s:,.1f} s, the record lasts {duration_s:,.1f} s"


def _segment(part: Part, first: int, frame_hz: float, per_frame: int) -> Segment:
    """A part at the highest rate of the record's leads."""
    groups = [tuple(group) for _, group in groupby(part.leads, lambda lead: lead.per_frame)]
    source: SignalSource = FileSource(part.leads)
    if any(group[0].per_frame != per_frame for group in groups):
        rates = tuple(
            LeadsOfRate(FileSource(group), frame_hz * n, part.n_frames * n, len(group))
            for group in groups
            for n in (group[0].per_frame,)
        )
        source = MixedRateSource(rates, frame_hz * per_frame)
    name = part.header.path.name.removesuffix(HEADER_SUFFIX)
    return Segment(name, first, part.n_frames * per_frame, tuple(lead.name for lead in part.leads), source)
