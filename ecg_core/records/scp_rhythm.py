"""The rhythm of SCP-ECG: differences, a reference beat that was subtracted, and bimodal compression, undone in order.

Bimodal compression keeps every sample of the protected zones around QRS complexes; between them it keeps the mean of
each four samples (EN 1064, annex C). What lies between two means is interpolated here.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..schema import Index
from ..text import plural
from .samples import undo_differences
from .scp_huffman import Table, decode, read_tables

MAX_SAMPLES: Final = 1 << 20  # of a lead, whose data have at most 65,535 bytes of at least a bit a sample
MAX_DECIMATION: Final = 4
FILLING_BITS = 15  # after the last number, up to a whole byte or two: each may look like one more
MAX_ORDER = 2  # second differences
ORDINARY = 0  # the type of the beats that the reference beat was subtracted from


@dataclass(frozen=True)
class Lead:
    """A lead of section 3: its first and last sample, counted from 1, and its code."""

    first: int
    last: int
    code: int

    @property
    def n_samples(self) -> int:
        """How many samples are stated."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Beat:
    """A QRS of section 4: where the reference beat was subtracted and where all samples are kept; counted from 1."""

    kind: int
    first: int
    fiducial: int
    last: int
    kept_first: int
    kept_last: int


@dataclass(frozen=True)
class Stored:
    """What a file stores of its rhythm: the bodies of sections 2, 4, 5 and 6."""

    leads: tuple[Lead, ...]
    is_subtracted: bool  # whether the reference beat was
    tables: bytes | None
    beats: bytes | None
    reference: bytes | None
    rhythm: bytes


@dataclass(frozen=True, eq=False)
class Rhythm:
    """The leads as they were recorded."""

    signals: tuple[NDArray[Any], ...]
    nv_per_count: float  # 0 where it is not stated
    interval_us: float
    has_reference: bool
    doubts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Block:
    """Section 5 or 6."""

    nv_per_count: int
    interval_us: int
    order: int  # of the differences
    is_bimodal: bool
    content: tuple[bytes, ...]  # per lead


def read_rhythm(stored: Stored) -> Rhythm:
    """Decode the rhythm.

    Raises
    ------
    ValueError, IndexError, struct.error
        It is damaged, or its sections contradict each other.

    """
    tables = read_tables(stored.tables) if stored.tables is not None else None
    block = _block(stored.rhythm, len(stored.leads), "section 6")
    beats, length_ms, fiducial = _beats(stored.beats) if stored.beats else ((), 0, 0)
    reference = _block(stored.reference, len(stored.leads), "section 5") if stored.reference else None
    step, doubts = 1, []
    if block.is_bimodal and reference is not None and reference.interval_us != block.interval_us:
        step = _decimation(block, reference)
        doubts.append(
            f"the file keeps the mean of each {step} samples between QRS complexes (bimodal compression); what lies "
            "between two means is interpolated"
        )
    signals: list[NDArray[Any]]
    if step > 1:
        signals = [_bimodal(block, tables, number, lead, beats, step) for number, lead in enumerate(stored.leads)]
    else:
        signals = [_samples(block, tables, number, lead.n_samples) for number, lead in enumerate(stored.leads)]
    nv, interval_us = block.nv_per_count, block.interval_us // step
    if stored.is_subtracted:
        if reference is None or not beats:
            raise ValueError("a reference beat was subtracted, and section 4 or 5 is missing")
        if reference.interval_us != interval_us:
            raise ValueError(f"a reference beat of {reference.interval_us} us a sample, {interval_us} in the rhythm")
        n = round(length_ms * 1000 / interval_us)
        shapes = [_samples(reference, tables, number, n) for number in range(len(stored.leads))]
        nv = math.gcd(block.nv_per_count, reference.nv_per_count)
        if min(block.nv_per_count, reference.nv_per_count) == 0:
            raise ValueError("a reference beat was subtracted, and its amplitude is not stated")
        signals = [
            _with_beats(
                signal * (block.nv_per_count // nv), shape * (reference.nv_per_count // nv), lead, beats, fiducial
            )
            for signal, shape, lead in zip(signals, shapes, stored.leads, strict=True)
        ]
    return Rhythm(tuple(signals), nv, interval_us, reference is not None, tuple(doubts))


def _block(body: bytes, n_leads: int, what: str) -> _Block:
    nv, interval_us, order, bimodal = struct.unpack_from("<HHBB", body)
    if interval_us == 0 or order > MAX_ORDER:
        raise ValueError(f"{what} states {interval_us} us a sample and differences of order {order}")
    sizes = struct.unpack_from(f"<{n_leads}H", body, 6)
    ends = (6 + 2 * n_leads + np.cumsum((0, *sizes))).tolist()
    content = tuple(body[start:end] for start, end in pairwise(ends))
    return _Block(nv, interval_us, order, bool(bimodal), content)


def _beats(body: bytes) -> tuple[tuple[Beat, ...], int, int]:
    """Beats of section 4, the length of the reference beat in ms, and its fiducial sample."""
    length_ms, fiducial, n = struct.unpack_from("<3H", body)
    zones = [struct.unpack_from("<HIII", body, 6 + 14 * number) for number in range(n)]
    kept_at = 6 + 14 * n
    kept = [
        struct.unpack_from("<II", body, kept_at + 8 * number) if kept_at + 8 * n <= len(body) else (0, 0)
        for number in range(n)
    ]
    beats = tuple(Beat(*zone, *ends) for zone, ends in zip(zones, kept, strict=True))
    return tuple(sorted(beats, key=lambda beat: beat.fiducial)), length_ms, fiducial


def _samples(block: _Block, tables: tuple[Table, ...] | None, number: int, n: int) -> Index:
    """At most ``n`` samples of a lead."""
    content = block.content[number]
    if tables is not None:
        numbers = decode(content, n, tables)
    else:
        numbers = np.frombuffer(content[: len(content) // 2 * 2], dtype="<i2")[:n].astype(np.int64)
    return undo_differences(numbers, block.order)


def _decimation(block: _Block, reference: _Block) -> int:
    """How many samples of a rhythm one mean stands for; the reference beat has them all."""
    step, rest = divmod(block.interval_us, reference.interval_us)
    if rest or not 1 < step <= MAX_DECIMATION:
        raise ValueError(f"bimodal compression of {reference.interval_us} us a sample to {block.interval_us}")
    return step


def _bimodal(
    block: _Block, tables: tuple[Table, ...] | None, number: int, lead: Lead, beats: tuple[Beat, ...], step: int
) -> NDArray[np.float64]:
    """Samples of a lead, of which only those near QRS complexes are all kept."""
    first = _kept(lead, beats, step)  # of the samples that each stored number stands for, then the end
    n = len(first) - 1
    numbers = _samples(block, tables, number, n + FILLING_BITS + 1)
    if not n <= len(numbers) <= n + FILLING_BITS:
        more = " or more" * (len(numbers) > n)
        raise ValueError(f"{plural(len(numbers), 'number')}{more} for lead {number + 1}, its zones need {n:,}")
    place = (first[:-1] + first[1:] - 1) / 2  # the middle of the samples that a number stands for
    return np.asarray(np.interp(np.arange(lead.n_samples), place, numbers[:n].astype(np.float64)))


def _kept(lead: Lead, beats: tuple[Beat, ...], step: int) -> Index:
    """First sample, from 0, of those that each stored number stands for; then the number of samples."""
    zones = [(beat.kept_first - lead.first, beat.kept_last - lead.first + 1) for beat in beats]
    found: list[int] = []
    place = 0
    for begins, ends in sorted(zones):
        begins, ends = min(max(begins, place), lead.n_samples), min(ends, lead.n_samples)  # noqa: PLW2901
        found += [*range(place, begins, step), *range(begins, ends)]
        place = max(begins, ends)
    return np.array([*found, *range(place, lead.n_samples, step), lead.n_samples], dtype=np.int64)


def _with_beats(signal: NDArray[Any], shape: Index, lead: Lead, beats: tuple[Beat, ...], fiducial: int) -> NDArray[Any]:
    """A lead with the reference beat added where it was subtracted."""
    whole = signal.copy()
    for beat in beats:
        begins = beat.fiducial - fiducial + 1  # the sample, from 1, of the first one of the reference beat
        first = max(beat.first, lead.first, begins)
        last = min(beat.last, lead.first + len(whole) - 1, begins + len(shape) - 1)
        if beat.kind == ORDINARY and first <= last:
            whole[first - lead.first : last - lead.first + 1] += shape[first - begins : last - begins + 1]
    return whole
