"""EDF, EDF+ and BDF recordings (Kemp 1992, doi:10.1016/0013-4694(92)90009-7; EDF+: Kemp 2003), read piece by piece.

The header is decoded here and the samples are read where they lie: a day of BDF would not fit into memory as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..schema import Annotations, Float32, Float64, Record
from ..text import format_quoted
from .annotation_files import beats_of_texts
from .limits import MAX_DURATION_S, check_leads, check_length, distinct_names

EDF_MAGIC, BDF_MAGIC = b"0       ", b"\xffBIOSEMI"
GAPPED = ("EDF+D", "BDF+D")
FIXED_BYTES = 256  # of the header before its columns, and again for each signal
WIDTHS: Final = {
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8, "digital_max": 8,
    "filter": 80, "n_a_record": 8, "reserved": 32,
}  # fmt: skip
CHUNK_BYTES = 1 << 24  # read at a time
NOTES = ("EDF Annotations", "BDF Annotations")
MV_OF_UNIT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3, "nv": 1e-6}
LEADS = re.compile(r"^((ECG|EKG).*|(I{1,3}|AV[RLF]|V\d|MLII|MV\d|[XYZ])?[ _-]*\d*)$", re.IGNORECASE)
TAL = re.compile(rb"([+-]\d{1,12}(?:\.\d{0,30})?)(?:\x15(\d{1,12}(?:\.\d{0,30})?))?\x14([^\x00]*)\x14\x00")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Channel:
    """A signal: where its samples lie in a data record, and what they mean."""

    label: str
    unit: str
    place: int  # bytes from the start of the data record
    n_a_record: int  # samples of a data record
    mv_per_count: float
    mv_at_zero: float


@dataclass(frozen=True)
class Piece:
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
    pieces: tuple[Piece, ...]

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        signal = np.full((len(leads), stop - start), np.nan, dtype=np.float32)
        n = self.channels[0].n_a_record
        for piece in self.pieces:
            first, last = max(start, piece.first), min(stop, piece.first + piece.n_records * n)
            if first >= last:
                continue
            begin, end = (first - piece.first) // n, -((piece.first - last) // n)
            step = max(1, CHUNK_BYTES // self.record_bytes)
            for number in range(begin, end, step):
                blocks = self._blocks(piece.first_record + number, min(step, end - number))
                place = piece.first + number * n - start  # of its first sample in what is asked for
                skip, stays = max(0, -place), min(len(blocks) * n, stop - start - place)
                for row, lead in enumerate(leads):
                    signal[row, place + skip : place + stays] = self._decode(blocks, self.channels[lead])[skip:stays]
        return signal

    def _blocks(self, begin: int, count: int) -> NDArray[np.uint8]:
        """Bytes of so many data records, a row each."""
        size, offset = count * self.record_bytes, self.offset + begin * self.record_bytes
        found = np.fromfile(self.path, np.uint8, size, offset=offset)
        if len(found) < size:
            raise RecordError(f"{self.path.name}: has become shorter since it was opened; copy it anew.")
        return found.reshape(-1, self.record_bytes)

    def _decode(self, blocks: NDArray[np.uint8], channel: Channel) -> Float32:
        """Samples of a channel in mV, shape (n,)."""
        size = channel.n_a_record * self.sample_bytes
        found = np.ascontiguousarray(blocks[:, channel.place : channel.place + size])
        counts = found.reshape(-1).view("<i2") if self.sample_bytes == 2 else _three_bytes(found)
        return np.asarray(counts * channel.mv_per_count + channel.mv_at_zero, dtype=np.float32)


@dataclass(frozen=True)
class Header:
    """What the header states."""

    kind: str  # "EDF+C", "EDF+D", or other text
    offset: int
    n_records: int  # -1 where the recorder did not come to write it
    record_s: float
    start: datetime | None
    channels: tuple[Channel, ...]
    record_bytes: int
    sample_bytes: int


def is_edf(_path: Path, first: bytes) -> bool:
    """Whether a file begins as EDF or BDF does."""
    return first.startswith((EDF_MAGIC, BDF_MAGIC))


def read_edf(path: Path) -> Record:
    """Open an EDF, EDF+ or BDF file: its signals in units of voltage, at the highest rate that these have.

    Gaps of an interrupted recording (EDF+D) are read as missing samples. Names, patient codes and dates of birth in
    the header are not read.

    Raises
    ------
    RecordError
        The header is damaged, or the file does not hold what it promises.

    """
    header = _read_header(path)
    n_records = _count_records(path, header)
    ecg = _ecg_of(path, header)
    fs_hz = ecg[0].n_a_record / header.record_s
    check_length(path.name, fs_hz, n_records * ecg[0].n_a_record)
    onset_s, notes = _read_notes(path, header, n_records)
    pieces = _pieces(path, header, onset_s, n_records, ecg[0].n_a_record)
    n_samples = pieces[-1].first + pieces[-1].n_records * ecg[0].n_a_record
    check_length(path.name, fs_hz, n_samples)
    source = EdfSource(path, header.offset, header.record_bytes, header.sample_bytes, tuple(ecg), pieces)
    begin_s = float(onset_s[0]) if len(onset_s) and abs(onset_s[0]) < MAX_DURATION_S else 0.0
    return Record(
        record_id=path.stem,
        source=source,
        fs_hz=fs_hz,
        n_samples=n_samples,
        lead_names=distinct_names([_lead_name(channel.label) for channel in ecg]),
        calibrated=(True,) * len(ecg),
        start=header.start + timedelta(seconds=begin_s) if header.start else None,
        reference=_within(beats_of_texts(notes, begin_s), n_samples / fs_hz),
        files=(path,),
    )


def _read_header(path: Path) -> Header:
    with path.open("rb") as stream:
        fixed = stream.read(FIXED_BYTES)
        try:
            n_signals = int(fixed[252:256])
            if not 0 < n_signals < 10_000:
                raise ValueError(f"{n_signals} signals")
            columns = stream.read(FIXED_BYTES * n_signals)
            if len(columns) < FIXED_BYTES * n_signals:
                raise ValueError(f"it ends after {FIXED_BYTES + len(columns)} bytes, within its header")
            return _decode_header(fixed, columns, n_signals)
        except (ValueError, ArithmeticError) as error:
            raise RecordError(
                f"{path.name}: begins as EDF or BDF but its header cannot be read as such ({format_quoted(error)}). Copy or "
                "export it anew."
            ) from error


def _decode_header(fixed: bytes, columns: bytes, n_signals: int) -> Header:
    sample_bytes = 3 if fixed.startswith(BDF_MAGIC) else 2
    field: dict[str, list[str]] = {}
    place = 0
    for name, width in WIDTHS.items():
        field[name] = [_text(columns[place + i * width : place + (i + 1) * width]) for i in range(n_signals)]
        place += width * n_signals
    sizes = [int(text) for text in field["n_a_record"]]
    if min(sizes) < 0 or sum(sizes) == 0:
        raise ValueError(f"{min(sizes)} samples in a data record")
    places = np.cumsum([0, *sizes]) * sample_bytes
    channels = [_channel({name: column[i] for name, column in field.items()}, int(places[i])) for i in range(n_signals)]
    record_s = float(_text(fixed[244:252]))
    if not 0 < record_s < MAX_DURATION_S:
        raise ValueError(f"data records of {record_s:g} s")
    return Header(
        kind=_text(fixed[192:236])[:5],
        offset=FIXED_BYTES * (n_signals + 1),
        n_records=int(_text(fixed[236:244])),
        record_s=record_s,
        start=_start(fixed),
        channels=tuple(channels),
        record_bytes=int(places[-1]),
        sample_bytes=sample_bytes,
    )


def _channel(field: dict[str, str], place: int) -> Channel:
    """A channel from its fields; what is in no unit of voltage keeps its place, and its scale is not looked at."""
    mv = MV_OF_UNIT.get(field["unit"].lower())
    step = zero = 0.0
    if mv is not None:
        low, high = int(field["digital_min"]), int(field["digital_max"])
        bottom, top = float(field["physical_min"]), float(field["physical_max"])
        step = mv * (top - bottom) / (high - low)
        zero = mv * bottom - low * step
        if not (0 < abs(step) < np.inf and abs(zero) < np.inf):
            raise ValueError(f"{field['label']} spans {bottom:g} to {top:g} {field['unit']}")
    return Channel(field["label"], field["unit"], place, int(field["n_a_record"]), step, zero)


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace").strip(" \0")


def _count_records(path: Path, header: Header) -> int:
    """Data records of a file, which has to hold what its header promises."""
    size = path.stat().st_size - header.offset
    held, rest = divmod(max(size, 0), header.record_bytes)
    if header.n_records == -1 and held:
        return held  # the recorder was switched off before it wrote their number; a last one may be incomplete
    if rest or held != header.n_records:
        raise RecordError(
            f"{path.name}: its header promises {header.n_records:,} data records of {header.record_bytes:,} bytes, the "
            f"file holds {size / header.record_bytes:,.1f}; it is truncated or damaged. Copy or export it anew."
        )
    return held


def _ecg_of(path: Path, header: Header) -> list[Channel]:
    """Channels in units of voltage that are named as ECG, or else all; those of the highest rate."""
    voltage = [channel for channel in header.channels if channel.unit.lower() in MV_OF_UNIT and channel.n_a_record]
    ecg = [channel for channel in voltage if LEADS.match(channel.label)] or voltage
    if not ecg:
        raise RecordError(
            f"{path.name}: none of its {len(header.channels)} signals is in mV, uV or V; an ECG lead is needed."
        )
    most = max(channel.n_a_record for channel in ecg)
    ecg = [channel for channel in ecg if channel.n_a_record == most]
    check_leads(path.name, len(ecg))
    return ecg


def _read_notes(path: Path, header: Header, n_records: int) -> tuple[Float64, list[tuple[float, float, str]]]:
    """Onset of the first data record, or of each where there may be gaps, and all annotations.

    An annotation is (onset, duration, text), in seconds; the onset of a data record that states none is NaN.
    """
    channels = [channel for channel in header.channels if channel.label in NOTES]
    blocks = np.memmap(path, np.uint8, "r", header.offset, (n_records, header.record_bytes)) if channels else None
    notes: list[tuple[float, float, str]] = []
    onset_s: list[float] = []
    for number, channel in enumerate(channels):
        size = channel.n_a_record * header.sample_bytes
        rows = np.ascontiguousarray(blocks[:, channel.place : channel.place + size])  # type: ignore[index]
        if number == 0:
            firsts = (TAL.match(row.tobytes()) for row in (rows if header.kind in GAPPED else rows[:1]))
            onset_s = [float(first[1]) if first and first[3][:1] in (b"", b"\x14") else np.nan for first in firsts]
        for onset, duration, texts in TAL.findall(rows.tobytes()):
            texts_here = (_text(text) for text in texts.split(b"\x14"))
            notes += [(float(onset), float(duration or 0), text) for text in texts_here if text]
    return np.array(onset_s, dtype=np.float64), notes


def _pieces(path: Path, header: Header, onset_s: Float64, n_records: int, n_a_record: int) -> tuple[Piece, ...]:
    """Stretches without a gap; a recording that is not marked as interrupted is one."""
    if header.kind not in GAPPED:
        return (Piece(0, 0, n_records),)
    if len(onset_s) != n_records or not np.isfinite(onset_s).all():
        raise RecordError(
            f"{path.name}: is an interrupted recording ({header.kind}) that does not say when each of its pieces "
            "began, so that its clock times would be wrong. Export it as continuous EDF+C, or a file for each piece."
        )
    place = np.rint((onset_s - onset_s[0]) * n_a_record / header.record_s)
    pieces = [Piece(0, 0, 0)]
    for number, first in enumerate(place.tolist()):
        last = pieces[-1]
        end = last.first + last.n_records * n_a_record
        if first < end - 1:
            raise RecordError(
                f"{path.name}: its data record {number + 1} begins before the one before it ends; the times in it are "
                "damaged. Export it anew."
            )
        if first <= end + 1:  # a sample more or less comes from rounded times
            pieces[-1] = Piece(last.first, last.first_record, last.n_records + 1)
        else:
            pieces.append(Piece(int(first), number, 1))
    return tuple(pieces)


def _within(marks: Annotations | None, duration_s: float) -> Annotations | None:
    """Marks that lie in the recording."""
    if marks is None:
        return None
    inside = (marks.time_s >= 0) & (marks.time_s < duration_s)
    return Annotations(marks.time_s[inside], marks.symbol[inside], marks.aux[inside])


def _three_bytes(found: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Little-endian 24-bit numbers: the upper three bytes of a 32-bit number, shifted down with the sign."""
    wide = np.zeros((found.size // 3, 4), dtype=np.uint8)
    wide[:, 1:] = found.reshape(-1, 3)
    return np.asarray(wide.view("<i4")[:, 0] >> 8)


def _lead_name(label: str) -> str:
    return re.sub(r"^(ECG|EKG)[ _-]+", "", label, flags=re.IGNORECASE) or label


def _start(fixed: bytes) -> datetime | None:
    """Date and time; the year is stated in full in EDF+ alone. None where it was taken out ("X")."""
    day, clock, recording = _text(fixed[168:176]), _text(fixed[176:184]), _text(fixed[88:168])
    long = re.match(r"Startdate (\d\d)-([A-Z]{3})-(\d{4})\b", recording)
    try:
        if long:
            date = (int(long[3]), MONTHS.index(long[2]) + 1, int(long[1]))
        else:
            days, month, year = (int(part) for part in day.split("."))
            date = (year + (1900 if year >= 85 else 2000), month, days)  # EDF's own rule for the century
        hour, minute, second = (int(part) for part in clock.split("."))
        return None if recording.startswith("Startdate X") else datetime(*date, hour, minute, second)
    except ValueError:
        return None


def patient_of(path: Path) -> Sequence[str]:
    """What the header says of the patient, as it says it."""
    with path.open("rb") as stream:
        stated = _text(stream.read(88)[8:88])
    return [] if set(stated) <= set("X ") else [stated]
