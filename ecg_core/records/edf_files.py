"""EDF, EDF+ and BDF recordings (Kemp 1992, doi:10.1016/0013-4694(92)90009-7; EDF+: Kemp 2003), read where they lie.

The samples are decoded in chunks: a day of BDF would not fit into memory. Differs from edfio in that the gaps of an
interrupted recording (EDF+D) are kept, as missing samples, so that every beat has its true time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Annotations, Float32, Record, SignalSource
from ..text import plural
from .annotation_files import beats_of_texts, is_beat_or_rhythm
from .edf_channels import choose_channels
from .edf_header import BDF_MAGIC, EDF_MAGIC, Channel, Header, read_header
from .edf_marks import Span, place_records, read_texts
from .limits import MAX_DURATION_S, MIN_DURATION_S, check_length, distinct_names, length_doubt
from .mixed_rates import LeadsOfRate, MixedRateSource
from .overrides import apply_overrides
from .samples import stored_numbers

CHUNK_BYTES = 1 << 24  # read at a time
SLEEP_STAGE = "Sleep stage"  # how EDF+ begins the text of each epoch of sleep
NO_NUMBER = (-1, 0)  # data records of a header whose recorder was switched off before it wrote their number


@dataclass(frozen=True)
class ContiguousSpan:
    """Data records that follow each other without a gap."""

    first: int  # its first sample, counted in the recording
    first_record: int
    n_records: int


@dataclass(frozen=True)
class EdfSource:
    """Channels of one rate in an EDF or BDF file."""

    path: Path
    offset: int  # bytes of the header
    record_bytes: int
    sample_bytes: int  # 2 in EDF, 3 in BDF
    channels: tuple[Channel, ...]
    spans: tuple[ContiguousSpan, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        n = self.channels[0].n_per_record
        for first, blocks in self._chunks(start, stop):
            place = first - start  # of the chunk's first sample in the result
            skip, end = max(0, -place), min(len(blocks) * n, stop - start - place)
            for row, lead in enumerate(leads):
                signal[row, place + skip : place + end] = self._decode(blocks, self.channels[lead])[skip:end]
        return signal

    def _chunks(self, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """First sample and bytes of the data records that hold samples [start, stop), a few data records at a time."""
        n = self.channels[0].n_per_record
        step = max(1, CHUNK_BYTES // self.record_bytes)
        for span in self.spans:
            first, last = max(start, span.first), min(stop, span.first + span.n_records * n)
            if first >= last:
                continue
            begin, end = (first - span.first) // n, -((span.first - last) // n)
            for number in range(begin, end, step):
                yield span.first + number * n, self._blocks(span.first_record + number, min(step, end - number))

    def _blocks(self, begin: int, count: int) -> NDArray[np.uint8]:
        """Bytes of ``count`` data records, shape (count, record_bytes)."""
        size, offset = count * self.record_bytes, self.offset + begin * self.record_bytes
        return stored_numbers(self.path, "u1", size, offset=offset).reshape(-1, self.record_bytes)

    def _decode(self, blocks: NDArray[np.uint8], channel: Channel) -> Float32:
        """Samples of a channel in mV, shape (n,)."""
        size = channel.n_per_record * self.sample_bytes
        found = np.ascontiguousarray(blocks[:, channel.place : channel.place + size])
        counts = found.reshape(-1).view("<i2") if self.sample_bytes == 2 else _three_bytes(found)
        return np.asarray(counts * channel.mv_per_count + channel.mv_at_zero, dtype=np.float32)


def is_edf(_path: Path, first: bytes) -> bool:
    """Whether a file begins as EDF or BDF does."""
    version = first[: len(EDF_MAGIC)].replace(b"\0", b" ")  # some programs fill up their fields with NUL
    return version == EDF_MAGIC or first.startswith(BDF_MAGIC)


def read_edf(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open an EDF, EDF+ or BDF file: its ECG leads, at the highest rate among them.

    Names, patient codes and dates of birth in the header are not read.

    Raises
    ------
    RecordError
        The header is damaged, the file holds no ECG, too little of it, or the overrides contradict it.
    MissingMetadataError
        No ECG lead states its unit, and none is given.

    """
    header = read_header(path)
    n_records, length_doubts = _count_records(path, header)
    chosen = choose_channels(path.name, header, overrides)
    most = max(channel.n_per_record for channel in chosen.ecg)
    fs_hz = most / header.record_s
    check_length(path.name, fs_hz, n_records * most)
    onset_s, texts = read_texts(path, header, n_records)
    placement = place_records(path.name, header, onset_s, n_records, fs_hz)
    source, n_samples = _source_of(path, header, chosen.ecg, placement.spans)
    check_length(path.name, fs_hz, n_samples)
    start = header.start.later(placement.begin_s)
    record = Record(
        record_id=path.stem,
        source=source,
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([_lead_name(channel.label) for channel in chosen.ecg]),
        calibrated=tuple(channel.is_voltage for channel in chosen.ecg),
        start=start.moment,
        start_clock=start.clock,
        left_out=chosen.left_out,
        doubts=(*length_doubts, *placement.doubts, *start.doubts),
        reference=_within(beats_of_texts(placement.placed(texts)), n_samples / fs_hz),
        files=(path,),
    )
    return apply_overrides(record, overrides)


def marks_of(record: Record) -> list[tuple[float, str]]:
    """Time in seconds and text of each annotation of the file that is no beat, no rhythm and no stage of sleep."""
    (path,) = record.files
    header = read_header(path)
    n_records, _ = _count_records(path, header)
    onset_s, texts = read_texts(path, header, n_records)
    placed = place_records(path.name, header, onset_s, n_records, record.fs_hz).placed(texts)
    has_beats = beats_of_texts(placed) is not None
    return [
        (time_s, text)
        for time_s, _, text in placed
        if not text.startswith(SLEEP_STAGE) and not (has_beats and is_beat_or_rhythm(text))
    ]


def _count_records(path: Path, header: Header) -> tuple[int, list[str]]:
    """Data records that a file holds as a whole, and doubts where its header states another length."""
    size = path.stat().st_size - header.offset
    complete, rest = divmod(max(size, 0), header.record_bytes)
    held_s, stated_s = complete * header.record_s, header.n_records * header.record_s
    if header.n_records in NO_NUMBER:
        return complete, [f"the header does not state how long the recording is, the file holds {held_s:,.6g} s"]
    if not 0 < stated_s <= MAX_DURATION_S or (complete < header.n_records and held_s < MIN_DURATION_S):
        raise RecordError(
            "is truncated or damaged",
            where=path.name,
            expected=f"{plural(header.n_records, 'data record')} of {plural(header.record_bytes, 'byte')}, as its "
            "header states",
            got=f"{size / header.record_bytes:,.1f}",
            advice="Copy or export it again.",
        )
    if complete != header.n_records:
        return complete, [length_doubt(stated_s, held_s)]
    return complete, [f"{plural(rest, 'byte')} follow the {held_s:,.6g} s that the header states"] if rest else []


def _source_of(
    path: Path, header: Header, channels: tuple[Channel, ...], spans: tuple[Span, ...]
) -> tuple[SignalSource, int]:
    """The samples of channels, at the highest rate among them, and how many there are of each."""
    parts = []
    for n_per_record, alike in groupby(channels, key=lambda channel: channel.n_per_record):
        part, fs_hz = tuple(alike), n_per_record / header.record_s
        placed = tuple(ContiguousSpan(round(span.begin_s * fs_hz), span.first_record, span.n_records) for span in spans)
        n_samples = placed[-1].first + placed[-1].n_records * n_per_record
        source = EdfSource(path, header.offset, header.record_bytes, header.sample_bytes, part, placed)
        parts.append(LeadsOfRate(source, fs_hz, n_samples, len(part)))
    if len(parts) == 1:
        return parts[0].source, parts[0].n_samples
    highest = max(parts, key=lambda part: part.fs_hz)
    return MixedRateSource(tuple(parts), highest.fs_hz), highest.n_samples


def _within(annotations: Annotations | None, duration_s: float) -> Annotations | None:
    """Annotations inside the recording."""
    if annotations is None:
        return None
    inside = (annotations.time_s >= 0) & (annotations.time_s < duration_s)
    return Annotations(annotations.time_s[inside], annotations.symbol[inside], annotations.aux[inside])


def _three_bytes(found: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Little-endian 24-bit numbers: the upper three bytes of a 32-bit number, shifted down with the sign."""
    wide = np.zeros((found.size // 3, 4), dtype=np.uint8)
    wide[:, 1:] = found.reshape(-1, 3)
    return np.asarray(wide.view("<i4")[:, 0] >> 8)


def _lead_name(label: str) -> str:
    return re.sub(r"^((ECG|EKG|lead)[ _-]+)+", "", label, flags=re.IGNORECASE) or label
