"""Leads as carts store them: each with counts, a scale and a rate, and the limb leads that are sums of two others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..overrides import LeftOut, RecordOverrides
from ..schema import Annotations, Float32, Record, SignalSource
from ..text import format_quoted, plural
from .limits import check_leads, check_length, distinct_names
from .mixed_rates import LeadsOfRate, MixedRateSource
from .overrides import apply_overrides
from .samples import ArraySource
from .units import ASSUMED_PER_MV

STANDARD: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
NAMES: Final = {name.upper(): name for name in STANDARD}
STORED: Final = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # all that a cart needs to store of twelve leads
SUMS: Final = {  # factors of I and II in the other limb leads (Einthoven 1912, Goldberger 1942)
    "III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class StoredLead:
    """One lead of a file."""

    name: str
    counts: NDArray[Any]  # (n,), NaN where nothing was recorded
    fs_hz: float
    mv_per_count: float | None  # None where the file does not state it
    mv_at_zero: float = 0.0
    stated: int | None = None  # how many samples the file states


@dataclass(frozen=True)
class About:
    """What a file states beside its leads."""

    start: datetime | None = None
    start_clock: time | None = None
    age_years: int | None = None
    reference: Annotations | None = None
    left_out: tuple[LeftOut, ...] = ()
    doubts: tuple[str, ...] = ()
    states_rate: bool = True  # else the leads have the rate that was given by hand


@dataclass(frozen=True, eq=False)
class SummedSource:
    """Leads that are sums of the leads of another source; a lead whose one factor is 1 is read as it is."""

    inner: SignalSource
    terms: tuple[tuple[tuple[int, float], ...], ...]  # per lead: positions in the inner source, and their factors

    def read(self, start: int, stop: int, leads: tuple[int, ...]) -> Float32:
        """See ``SignalSource``."""
        needed = tuple(sorted({place for lead in leads for place, _ in self.terms[lead]}))
        stored = dict(zip(needed, self.inner.read(start, stop, needed), strict=True))
        rows = [sum(factor * stored[place] for place, factor in self.terms[lead]) for lead in leads]
        return np.array(rows, dtype=np.float32).reshape(len(leads), stop - start)


def standard_name(name: str) -> str:
    """A lead's name as it is usually written.

    Examples
    --------
    >>> standard_name("AVR"), standard_name("V3R")
    ('aVR', 'V3R')

    """
    return NAMES.get(name.strip().upper(), name.strip())


def age_of(born: date | None, start: date | None) -> int | None:
    """Age in whole years on the day of the recording."""
    day = start.date() if isinstance(start, datetime) else start
    if born is None or day is None or born > day:
        return None
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def open_leads(path: Path, leads: Sequence[StoredLead], about: About, overrides: RecordOverrides) -> Record:
    """The record of some leads, those of the highest rate first.

    A file that stores eight of the twelve leads also has the four that are sums of I and II.

    Raises
    ------
    RecordError
        There is no lead, its rate or its length is none of an ECG, or the overrides contradict the file.

    """
    check_leads(path.name, len(leads))
    rates = sorted({lead.fs_hz for lead in leads}, reverse=True)
    leads = [lead for rate in rates for lead in leads if lead.fs_hz == rate]
    parts = [_of_rate([lead for lead in leads if lead.fs_hz == rate], rate) for rate in rates]
    about = replace(about, doubts=(*about.doubts, *_length_doubts(leads)))
    calibrated = [lead.mv_per_count is not None for lead in leads]
    return open_parts(path, parts, [lead.name for lead in leads], calibrated, about=about, overrides=overrides)


def open_parts(
    path: Path,
    parts: Sequence[LeadsOfRate],
    names: Sequence[str],
    calibrated: Sequence[bool],
    *,
    about: About,
    overrides: RecordOverrides,
) -> Record:
    """The record of leads of some sources, in the order of their parts; see ``open_leads``."""
    check_leads(path.name, len(names))
    fs_hz = max(part.fs_hz for part in parts)
    for part in parts:
        check_length(path.name, part.fs_hz, part.n_samples)
    source: SignalSource = parts[0].source if len(parts) == 1 else MixedRateSource(tuple(parts), fs_hz)
    lead_names, known = distinct_names([standard_name(name) for name in names]), tuple(calibrated)
    if set(lead_names) & set(STANDARD) == set(STORED):
        lead_names, known, source = _with_sums(lead_names, known, source)
    record = Record(
        record_id=path.stem,
        source=source,
        fs_hz=fs_hz,
        n_samples=max(round(part.n_samples / part.fs_hz * fs_hz) for part in parts),
        lead_names=lead_names,
        calibrated=known,
        start=about.start,
        start_clock=None if about.start else about.start_clock,
        left_out=about.left_out,
        doubts=about.doubts,
        age_years=about.age_years,
        reference=about.reference,
        files=(path,),
    )
    return apply_overrides(record, overrides, states_rate=about.states_rate)


def _of_rate(leads: list[StoredLead], fs_hz: float) -> LeadsOfRate:
    """Leads of one rate as one part; a lead that is shorter than the longest is missing from its end on."""
    n_samples = max(len(lead.counts) for lead in leads)
    if all(len(lead.counts) == n_samples for lead in leads):
        numbers: NDArray[Any] = np.stack([lead.counts for lead in leads])
    else:
        numbers = np.full((len(leads), n_samples), np.nan)
        for row, lead in zip(numbers, leads, strict=True):
            row[: len(lead.counts)] = lead.counts
    scale = tuple(1 / ASSUMED_PER_MV if lead.mv_per_count is None else lead.mv_per_count for lead in leads)
    return LeadsOfRate(
        ArraySource(numbers, scale, tuple(lead.mv_at_zero for lead in leads)), fs_hz, n_samples, len(leads)
    )


def _with_sums(
    names: tuple[str, ...], calibrated: tuple[bool, ...], source: SignalSource
) -> tuple[tuple[str, ...], tuple[bool, ...], SignalSource]:
    """Twelve leads in their usual order, then the others."""
    one, two = names.index("I"), names.index("II")
    wanted = [*STANDARD, *(name for name in names if name not in STANDARD)]
    terms = tuple(
        ((one, SUMS[name][0]), (two, SUMS[name][1])) if name in SUMS else ((names.index(name), 1.0),) for name in wanted
    )
    known = tuple(all(calibrated[place] for place, _ in term) for term in terms)
    return tuple(wanted), known, SummedSource(source, terms)


def _length_doubts(leads: Sequence[StoredLead]) -> list[str]:
    """Leads that are shorter or longer than the file states, and leads that are shorter than others."""
    found = [
        f"lead {lead.name} has {plural(len(lead.counts), 'sample')}, the file states {_in_words(lead.stated)}"
        for lead in leads if lead.stated is not None and lead.stated != len(lead.counts)
    ]  # fmt: skip
    if found:
        return found if len(found) < len(leads) or len(found) == 1 else [f"{found[0]}; the other leads likewise"]
    longest_s = max(len(lead.counts) / lead.fs_hz for lead in leads)
    short = [lead for lead in leads if len(lead.counts) / lead.fs_hz < longest_s - 1 / lead.fs_hz]
    return [
        f"lead {lead.name} ends after {len(lead.counts) / lead.fs_hz:.1f} s, others after {longest_s:.1f} s"
        for lead in short
    ]


def _in_words(n: int) -> str:
    return format_quoted(f"{n:,}")  # of a damaged file, it may have hundreds of digits
