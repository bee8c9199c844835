"""Annotations and time marks of EDF+ and BDF+ files: texts, and when each stretch of data records began."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..schema import Float64, Index
from ..text import plural
from .edf_header import Channel, Header, text_of
from .limits import MAX_DURATION_S
from .samples import stored_numbers

GAPPED: Final = ("EDF+D", "BDF+D")
# A time-stamped annotation list of EDF+: onset, duration, and texts that end in \x14
TAL: Final = re.compile(rb"([+-]\d{1,12}(?:\.\d{0,30})?)(?:\x15(\d{1,12}(?:\.\d{0,30})?))?\x14([^\x00]*)\x14\x00")
ROUNDED_S: Final = 1.0  # to which recorders round the marks of data records that are shorter
NEAR_S: Final = 10.0  # on either side of a leap, in which all marks have to agree with it
MIN_NEAR: Final = 2  # marks, after a leap
AT_ONCE: Final = 1 << 20  # bytes that are read at a time: they stay in the processor's cache

Texts = list[tuple[float, float, str]]  # onset and duration in seconds, and the text


@dataclass(frozen=True)
class Span:
    """Data records that follow each other without a gap."""

    begin_s: float  # from the first sample of the recording
    first_record: int
    n_records: int


def read_texts(path: Path, header: Header, n_records: int) -> tuple[Float64, Texts]:
    """Onset of each data record in seconds, NaN where none is stated, and the texts of all annotations."""
    channels = [channel for channel in header.channels if channel.is_annotation and channel.n_per_record]
    if not channels or not n_records:
        return np.zeros(0), []
    found: Texts = []
    onset_s = np.full(n_records, np.nan)
    for number, channel in enumerate(channels):
        rows = _channel_bytes(path, header, channel, n_records)
        filled = np.flatnonzero(rows.any(axis=0))
        rows = rows[:, : int(filled.max(initial=0)) + 2]  # without the zeros behind all of them
        size = rows.shape[1]
        last = -1
        for match in TAL.finditer(rows.tobytes()):
            onset, duration, texts = match.groups()
            record = match.start() // size
            if number == 0 and record != last and match.start() == record * size and texts[:1] in (b"", b"\x14"):
                onset_s[record] = float(onset)
            last = record
            if texts:
                decoded = (text_of(text) for text in texts.split(b"\x14"))
                found += [(float(onset), float(duration or 0), text) for text in decoded if text]
    return onset_s, found


def _channel_bytes(path: Path, header: Header, channel: Channel, n_records: int) -> NDArray[np.uint8]:
    """Bytes of a channel in each data record, shape (n_records, bytes)."""
    width, step = channel.n_per_record * header.sample_bytes, max(1, AT_ONCE // header.record_bytes)
    rows = np.empty((n_records, width), np.uint8)
    for first in range(0, n_records, step):
        count = min(step, n_records - first)
        size, offset = count * header.record_bytes, header.offset + first * header.record_bytes
        blocks = stored_numbers(path, "u1", size, offset=offset).reshape(count, -1)
        rows[first : first + count] = blocks[:, channel.place : channel.place + width]
    return rows


def begin_of(onset_s: Float64) -> float:
    """Onset of the first sample; 0 where none is stated."""
    return float(onset_s[0]) if len(onset_s) and abs(onset_s[0]) < MAX_DURATION_S else 0.0


def spans_of(
    name: str, header: Header, onset_s: Float64, n_records: int, fs_hz: float
) -> tuple[tuple[Span, ...], list[str]]:
    """Spans without a gap at the highest rate that is read, and doubts.

    A recording that is not marked as interrupted is one span, unless its time marks leap by more than a data record and
    agree on it.

    Raises
    ------
    RecordError
        The recording is interrupted, and its times are missing or damaged.

    """
    if header.kind in GAPPED:
        return _spans_of_interrupted(name, header, onset_s, n_records, fs_hz), []
    leaps, leap_s, doubt = _leaps(onset_s, header.record_s)
    bounds = [0, *leaps.tolist(), n_records]
    gaps_s = np.concatenate([[0.0], np.cumsum(leap_s)])
    spans = tuple(
        Span(first * header.record_s + float(gap_s), first, last - first)
        for first, last, gap_s in zip(bounds[:-1], bounds[1:], gaps_s, strict=True)
    )
    return spans, [doubt] if doubt else []


def _leaps(onset_s: Float64, record_s: float) -> tuple[Index, Float64, str]:
    """Data records of a continuous recording before which time is missing, how much, and a doubt about its marks."""
    none = np.zeros(0, np.int64), np.zeros(0)
    known = np.isfinite(onset_s).nonzero()[0]
    if len(known) < 2:
        return *none, ""
    late_s = onset_s[known] - known * record_s  # of each mark, behind data records without a gap
    step_s = np.diff(late_s)
    back = (step_s < -max(record_s, ROUNDED_S)).nonzero()[0]
    if len(back):
        return *none, f"its time marks go back at data record {known[back[0] + 1] + 1:,}, and are not followed"
    places = (step_s > record_s).nonzero()[0] + 1
    near = max(MIN_NEAR, int(np.ceil(NEAR_S / record_s)))
    sustained = [
        place for place in places.tolist()
        if len(late_s) - place >= MIN_NEAR
        and late_s[place : place + near].min() - late_s[max(place - near, 0) : place].max() > record_s
    ]  # fmt: skip
    leap_s = step_s[np.array(sustained, dtype=np.int64) - 1]
    if 2 * len(sustained) > len(known) or leap_s.sum() > MAX_DURATION_S:
        return *none, "its time marks do not fit the length of its data records, and are not followed"
    if not sustained:
        return *none, _doubt_of_end(step_s[-1], record_s)
    longest = f"{leap_s.max():,.6g} s"
    by = (
        longest
        if len(sustained) == 1
        else f"{leap_s.sum():,.6g} s in {plural(len(sustained), 'place')}, {longest} at most"
    )
    return known[sustained], leap_s, f"marked as continuous, its time marks leap by {by}; the gaps are missing samples"


def _doubt_of_end(step_s: float, record_s: float) -> str:
    """What is odd about the last mark, where only that one leaps; empty where it is not."""
    if step_s <= max(record_s, ROUNDED_S):
        return ""
    return f"its last data record is marked {step_s:,.6g} s later than the one before it ends, and is not moved"


def _spans_of_interrupted(
    name: str, header: Header, onset_s: Float64, n_records: int, fs_hz: float
) -> tuple[Span, ...]:
    if len(onset_s) != n_records or not np.isfinite(onset_s).all():
        raise RecordError(
            f"is an interrupted recording ({header.kind}) that does not state when each of its parts began, so that "
            "its clock times would be wrong",
            where=name,
            advice="Export it as continuous EDF+C, or a file for each part.",
        )
    place = np.rint((onset_s - onset_s[0]) * fs_hz)
    n_per_record = round(header.record_s * fs_hz)
    spans = [Span(0.0, 0, 0)]
    for number, first in enumerate(place.tolist()):
        last = spans[-1]
        end = round(last.begin_s * fs_hz) + last.n_records * n_per_record
        if number and first - place[number - 1] < n_per_record / 2:
            raise RecordError(
                f"its data record {number + 1} begins before the one before it ends; its times are damaged",
                where=name,
                advice="Export it again.",
            )
        if first <= end + 1:  # a sample more or less comes from rounded times, an overlap from a clock that is slow
            spans[-1] = Span(last.begin_s, last.first_record, last.n_records + 1)
        else:
            spans.append(Span(first / fs_hz, number, 1))
    return tuple(spans)
