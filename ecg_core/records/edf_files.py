"""EDF, EDF+ and BDF recordings (Kemp 1992, doi:10.1016/0013-4694(92)90009-7; EDF+: Kemp 2003), read where they lie.

The samples are decoded in chunks: a day of BDF would not fit into memory. Differs from edfio in that the gaps of an
interrupted recording (EDF+D) are kept, as missing samples, so that every beat has its true time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..overrides import NO_OVERRIDES, RecordOverrides
from ..schema import Annotations, Float32, Float64, Record
from ..text import plural
from .annotation_files import beats_of_texts, is_beat_or_rhythm
from .edf_header import BDF_MAGIC, EDF_MAGIC, Channel, Header, read_header, text_of
from .limits import MAX_DURATION_S, check_leads, check_length, distinct_names
from .overrides import apply_overrides

GAPPED = ("EDF+D", "BDF+D")
CHUNK_BYTES = 1 << 24  # read at a time
SLEEP_STAGE = "Sleep stage"  # how EDF+ begins the text of each epoch of sleep
ANNOTATION_LABELS = ("EDF Annotations", "BDF Annotations")
ECG_LABEL = re.compile(r"^((ECG|EKG).*|(I{1,3}|AV[RLF]|V\d|MLII|MV\d|[XYZ])?[ _-]*\d*)$", re.IGNORECASE)
# A time-stamped annotation list of EDF+: onset, duration, and texts that end in \x14
TAL = re.compile(rb"([+-]\d{1,12}(?:\.\d{0,30})?)(?:\x15(\d{1,12}(?:\.\d{0,30})?))?\x14([^\x00]*)\x14\x00")

Texts = list[tuple[float, float, str]]  # onset and duration in seconds, and the text


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
        found = np.fromfile(self.path, np.uint8, size, offset=offset)
        if len(found) < size:
            raise RecordError(f"{self.path.name}: has become shorter since it was opened; copy it again.")
        return found.reshape(-1, self.record_bytes)

    def _decode(self, blocks: NDArray[np.uint8], channel: Channel) -> Float32:
        """Samples of a channel in mV, shape (n,)."""
        size = channel.n_per_record * self.sample_bytes
        found = np.ascontiguousarray(blocks[:, channel.place : channel.place + size])
        counts = found.reshape(-1).view("<i2") if self.sample_bytes == 2 else _three_bytes(found)
        return np.asarray(counts * channel.mv_per_count + channel.mv_at_zero, dtype=np.float32)


def is_edf(_path: Path, first: bytes) -> bool:
    """Whether a file begins as EDF or BDF does."""
    return first.startswith((EDF_MAGIC, BDF_MAGIC))


def read_edf(path: Path, overrides: RecordOverrides = NO_OVERRIDES) -> Record:
    """Open an EDF, EDF+ or BDF file: its ECG leads, at the highest rate among them.

    Names, patient codes and dates of birth in the header are not read.

    Raises
    ------
    RecordError
        The header is damaged, the file is shorter than it promises, or the overrides contradict it.

    """
    header = read_header(path)
    n_records = _count_records(path, header)
    ecg = _ecg_of(path, header)
    n_per_record = ecg[0].n_per_record
    fs_hz = n_per_record / header.record_s
    check_length(path.name, fs_hz, n_records * n_per_record)
    onset_s, texts = _read_texts(path, header, n_records)
    spans = _spans(path, header, onset_s, n_records, n_per_record)
    n_samples = spans[-1].first + spans[-1].n_records * n_per_record
    check_length(path.name, fs_hz, n_samples)
    begin_s = _begin_s(onset_s)
    record = Record(
        record_id=path.stem,
        source=EdfSource(path, header.offset, header.record_bytes, header.sample_bytes, tuple(ecg), spans),
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([_lead_name(channel.label) for channel in ecg]),
        calibrated=(True,) * len(ecg),
        start=header.start + timedelta(seconds=begin_s) if header.start else None,
        reference=_within(beats_of_texts(texts, begin_s), n_samples / fs_hz),
        files=(path,),
    )
    return apply_overrides(record, overrides)


def marks_of(record: Record) -> list[tuple[float, str]]:
    """Time in seconds and text of each annotation of the file that is no beat, no rhythm and no stage of sleep."""
    (path,) = record.files
    header = read_header(path)
    onset_s, texts = _read_texts(path, header, _count_records(path, header))
    begin_s = _begin_s(onset_s)
    has_beats = beats_of_texts(texts, begin_s) is not None
    return [
        (onset - begin_s, text)
        for onset, _, text in texts
        if not text.startswith(SLEEP_STAGE) and not (has_beats and is_beat_or_rhythm(text))
    ]


def _begin_s(onset_s: Float64) -> float:
    """Onset of the first sample; 0 where none is stated."""
    return float(onset_s[0]) if len(onset_s) and abs(onset_s[0]) < MAX_DURATION_S else 0.0


def _count_records(path: Path, header: Header) -> int:
    """Data records of a file, which has to be as long as its header promises."""
    size = path.stat().st_size - header.offset
    complete, rest = divmod(max(size, 0), header.record_bytes)
    if header.n_records == -1 and complete:
        return complete  # the recorder was switched off before it wrote their number; a last one may be incomplete
    if rest or complete != header.n_records:
        raise RecordError(
            f"{path.name}: its header promises {plural(header.n_records, 'data record')} of "
            f"{plural(header.record_bytes, 'byte')}, the file holds {size / header.record_bytes:,.1f}; it is "
            "truncated or damaged. Copy or export it again."
        )
    return complete


def _ecg_of(path: Path, header: Header) -> list[Channel]:
    """Channels of voltage whose label names an ECG, or else all of voltage; of these, those of the highest rate."""
    voltage = [channel for channel in header.channels if channel.is_voltage and channel.n_per_record]
    ecg = [channel for channel in voltage if ECG_LABEL.match(channel.label)] or voltage
    if not ecg:
        raise RecordError(
            f"{path.name}: none of its {plural(len(header.channels), 'signal')} is in mV, uV or V; an ECG lead is "
            "needed."
        )
    most = max(channel.n_per_record for channel in ecg)
    ecg = [channel for channel in ecg if channel.n_per_record == most]
    check_leads(path.name, len(ecg))
    return ecg


def _read_texts(path: Path, header: Header, n_records: int) -> tuple[Float64, Texts]:
    """Onsets of data records in seconds, and the texts of all annotations.

    The onsets are those of all data records where there may be gaps, else that of the first; NaN where none is stated.
    """
    channels = [channel for channel in header.channels if channel.label in ANNOTATION_LABELS]
    blocks = np.memmap(path, np.uint8, "r", header.offset, (n_records, header.record_bytes)) if channels else None
    found: Texts = []
    onset_s: list[float] = []
    for number, channel in enumerate(channels):
        size = channel.n_per_record * header.sample_bytes
        rows = np.ascontiguousarray(blocks[:, channel.place : channel.place + size])  # type: ignore[index]
        if number == 0:
            firsts = (TAL.match(row.tobytes()) for row in (rows if header.kind in GAPPED else rows[:1]))
            onset_s = [float(first[1]) if first and first[3][:1] in (b"", b"\x14") else np.nan for first in firsts]
        for onset, duration, texts in TAL.findall(rows.tobytes()):
            decoded = (text_of(text) for text in texts.split(b"\x14"))
            found += [(float(onset), float(duration or 0), text) for text in decoded if text]
    return np.array(onset_s, dtype=np.float64), found


def _spans(
    path: Path, header: Header, onset_s: Float64, n_records: int, n_per_record: int
) -> tuple[ContiguousSpan, ...]:
    """Spans without a gap; a recording that is not marked as interrupted is one span."""
    if header.kind not in GAPPED:
        return (ContiguousSpan(0, 0, n_records),)
    if len(onset_s) != n_records or not np.isfinite(onset_s).all():
        raise RecordError(
            f"{path.name}: is an interrupted recording ({header.kind}) that does not state when each of its parts "
            "began, so that its clock times would be wrong. Export it as continuous EDF+C, or a file for each part."
        )
    place = np.rint((onset_s - onset_s[0]) * n_per_record / header.record_s)
    spans = [ContiguousSpan(0, 0, 0)]
    for number, first in enumerate(place.tolist()):
        last = spans[-1]
        end = last.first + last.n_records * n_per_record
        if first < end - 1:
            raise RecordError(
                f"{path.name}: its data record {number + 1} begins before the one before it ends; its times are "
                "damaged. Export it again."
            )
        if first <= end + 1:  # a sample more or less comes from rounded times
            spans[-1] = ContiguousSpan(last.first, last.first_record, last.n_records + 1)
        else:
            spans.append(ContiguousSpan(int(first), number, 1))
    return tuple(spans)


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
    return re.sub(r"^(ECG|EKG)[ _-]+", "", label, flags=re.IGNORECASE) or label
