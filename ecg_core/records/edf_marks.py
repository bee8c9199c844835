"""Annotations and time marks of EDF+ and BDF+ files: texts, and when each stretch of data records began."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..schema import Float64, FrozenArrays, Index
from ..text import plural
from .edf_header import Channel, Header, text_of
from .limits import MAX_DURATION_S
from .samples import stored_numbers

GAPPED: Final = ("EDF+D", "BDF+D")
# A time-stamped annotation list of EDF+: onset, duration, and texts that end in \x14
TAL: Final = re.compile(rb"([+-]\d{1,12}(?:\.\d{0,30})?)(?:\x15(\d{1,12}(?:\.\d{0,30})?))?\x14([^\x00]*)\x14\x00")
ROUNDED_S: Final = 1.0  # to which recorders round the marks of data records that are shorter
ROUNDED_SAMPLES: Final = 1.5  # to which they round those of an interrupted recording
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


@dataclass(frozen=True, eq=False)
class Placement(FrozenArrays):
    """Where the data records of a file lie in its recording."""

    spans: tuple[Span, ...]
    doubts: tuple[str, ...]
    begin_s: float  # time mark of the first sample
    mark_s: Float64  # (n,), time marks from there on, ascending; none where the samples lie as they say
    later_s: Float64  # (n,), by which the samples of these data records lie later than their marks

    def placed(self, texts: Texts) -> Texts:
        """Texts at the samples that their onsets mean, in seconds from the first sample."""
        time_s = np.array([onset_s for onset_s, _, _ in texts], dtype=np.float64) - self.begin_s
        if len(self.mark_s):
            record = np.maximum(np.searchsorted(self.mark_s, time_s, "right") - 1, 0)
            next_s = np.append((self.mark_s + self.later_s)[1:], np.inf)  # what is missing before it has no place
            time_s = np.minimum(time_s + self.later_s[record], next_s[record])
        return [(at_s, *rest) for at_s, (_, *rest) in zip(time_s.tolist(), texts, strict=True)]


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


def place_records(name: str, header: Header, onset_s: Float64, n_records: int, fs_hz: float) -> Placement:
    """Where the data records lie at the highest rate that is read.

    A recording that is not marked as interrupted is one span, unless its time marks leap by more than a second, or than
    a data record, and agree on it.

    Raises
    ------
    RecordError
        The recording is interrupted, and its times are missing or damaged.

    """
    if header.kind in GAPPED:
        spans, exact_s = _spans_of_interrupted(name, header, onset_s, n_records, fs_hz), ROUNDED_SAMPLES / fs_hz
        placed = _placement(spans, [], header, onset_s, exact_s)
        overlap_s = float(placed.later_s.max(initial=0.0))
        doubt = f"its data records overlap by {overlap_s:,.3g} s in all by their time marks; each is read whole"
        return replace(placed, doubts=(doubt,)) if overlap_s > ROUNDED_S else placed
    leaps, leap_s, doubts = _leaps(onset_s, header.record_s)
    bounds = [0, *leaps.tolist(), n_records]
    gaps_s = np.concatenate([[0.0], np.cumsum(leap_s)])
    spans = tuple(
        Span(first * header.record_s + float(gap_s), first, last - first)
        for first, last, gap_s in zip(bounds[:-1], bounds[1:], gaps_s, strict=True)
    )
    return _placement(spans, doubts, header, onset_s, ROUNDED_S)


def _placement(
    spans: tuple[Span, ...], doubts: Sequence[str], header: Header, onset_s: Float64, exact_s: float
) -> Placement:
    """The placement of spans whose marks are followed where they differ from the samples by more than ``exact_s``."""
    begin_s, known = begin_of(onset_s), np.isfinite(onset_s).nonzero()[0]
    begins_s, firsts = np.array([span.begin_s for span in spans]), np.array([span.first_record for span in spans])
    span = np.searchsorted(firsts, known, "right") - 1
    place_s = begins_s[span] + (known - firsts[span]) * header.record_s
    mark_s = onset_s[known] - begin_s
    later_s = place_s - mark_s
    is_far = np.abs(later_s) > exact_s
    if not is_far[:-1].any():  # the last one alone, or none
        later_s = np.where(is_far, later_s, 0.0)
    if not is_far.any() or (np.diff(mark_s) < 0).any():
        mark_s, later_s = mark_s[:0], later_s[:0]
    return Placement(spans, tuple(doubts), begin_s, mark_s, later_s)


def _leaps(onset_s: Float64, record_s: float) -> tuple[Index, Float64, list[str]]:
    """Data records of a continuous recording before which time is missing, how much, and doubts about its marks."""
    none = np.zeros(0, np.int64), np.zeros(0)
    known = np.isfinite(onset_s).nonzero()[0]
    if len(known) < 2:
        return *none, []
    late_s = onset_s[known] - known * record_s  # of each mark, behind data records without a gap
    step_s, least_s = np.diff(late_s), min(record_s, ROUNDED_S)
    back = (step_s < -max(record_s, ROUNDED_S)).nonzero()[0]
    if len(back):
        return *none, [f"its time marks go back at data record {known[back[0] + 1] + 1:,}, and are not followed"]
    places = (step_s > least_s).nonzero()[0] + 1
    near = max(MIN_NEAR, int(np.ceil(NEAR_S / record_s)))
    sustained = [
        place for place in places.tolist()
        if len(late_s) - place >= MIN_NEAR
        and late_s[place : place + near].min() - late_s[max(place - near, 0) : place].max() > least_s
    ]  # fmt: skip
    leap_s = step_s[np.array(sustained, dtype=np.int64) - 1]
    if 2 * len(sustained) > len(known) or leap_s.sum() > MAX_DURATION_S:
        return *none, ["its time marks do not fit the length of its data records, and are not followed"]
    followed_s = np.zeros(len(known))
    followed_s[sustained] = leap_s
    rest_s = late_s - late_s[0] - np.cumsum(followed_s)
    return known[sustained], leap_s, [*_doubt_of_leaps(leap_s), *_doubts_of_rest(rest_s)]


def _doubt_of_leaps(leap_s: Float64) -> list[str]:
    if not len(leap_s):
        return []
    longest = f"{leap_s.max():,.6g} s"
    many = f"{leap_s.sum():,.6g} s in {plural(len(leap_s), 'place')}, {longest} at most"
    by = longest if len(leap_s) == 1 else many
    return [f"marked as continuous, its time marks leap by {by}; the gaps are missing samples"]


def _doubts_of_rest(rest_s: Float64) -> list[str]:
    """What is odd about marks that are not followed: the last one alone, and those that move away from the samples."""
    last_s = float(rest_s[-1] - rest_s[-2])
    is_odd = last_s > ROUNDED_S
    found = [
        f"its last data record is marked {last_s:,.6g} s later than the one before it ends, and is not moved"
    ] * is_odd  # fmt: skip
    others_s = rest_s[: len(rest_s) - is_odd]
    most_s = float(others_s[np.abs(others_s).argmax()])
    if abs(most_s) > ROUNDED_S:
        found.append(
            f"its time marks move away from the length of its data records, by up to {abs(most_s):,.3g} s "
            f"{'later' if most_s > 0 else 'earlier'}, and are not followed"
        )
    return found


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
