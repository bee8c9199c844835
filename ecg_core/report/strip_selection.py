"""The strips of a report: extremes, the first event of each kind, and the V and S of lowest probability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..rhythm.events import KIND_NAMES
from ..schema import Analysis, RhythmEvent

STRIP_S = 10.0
LEAD_IN_S = 2.0  # before an event that is longer than its strip, which shows its beginning
SAME_STRIP_S = 3.0  # two strips that begin closer to each other are one


@dataclass(frozen=True)
class Strip:
    """Ten seconds of a record, and what they show."""

    start_s: float
    titles: tuple[str, ...]


def choose_strips(analysis: Analysis) -> tuple[Strip, ...]:
    """Strips in the order of their importance; where several findings fall into one strip, it has all their titles."""
    chosen: list[Strip] = []
    last_start_s = max(0.0, analysis.record.duration_s - STRIP_S)
    for title, from_s, to_s in _findings(analysis):
        length_s = to_s - from_s
        start_s = from_s - LEAD_IN_S if length_s > STRIP_S - LEAD_IN_S else (from_s + to_s - STRIP_S) / 2
        start_s = float(np.clip(start_s, 0.0, last_start_s))
        near = [i for i, strip in enumerate(chosen) if abs(strip.start_s - start_s) < SAME_STRIP_S]
        if near:
            strip = chosen[near[0]]
            chosen[near[0]] = Strip(strip.start_s, (*strip.titles, title))
        else:
            chosen.append(Strip(start_s, (title,)))
    return tuple(chosen)


def _findings(analysis: Analysis) -> Iterator[tuple[str, float, float]]:
    """Title, start and end of everything that a strip has to show."""
    burden = analysis.burden
    for title, rate in (("Highest heart rate", burden.rate_max), ("Lowest heart rate", burden.rate_min)):
        if rate:
            width_s = 60.0 / rate.bpm * analysis.rules.rate_average_beats
            yield f"{title}, {rate.bpm:.0f} bpm", rate.time_s - width_s, rate.time_s
    pauses = [part.longest for part in (burden.pauses, burden.af_pauses, burden.long_rr) if part.longest]
    if pauses:
        longest = max(pauses, key=lambda event: event.duration_s)
        yield f"Longest RR, {longest.duration_s:.2f} s", longest.start_s, longest.end_s
    for ectopy, name in ((burden.v, "ventricular"), (burden.s, "supraventricular")):
        if long := ectopy.runs.most_beats:
            yield f"Longest {name} run, {long.n_beats} beats", long.start_s, long.end_s
        if fast := ectopy.runs.fastest:
            yield f"Fastest {name} run, {fast.rate_bpm:.0f} bpm", fast.start_s, fast.end_s
    first: dict[str, RhythmEvent] = {}
    for event in analysis.events:
        first.setdefault(event.kind, event)
    for kind, event in first.items():
        yield f"First: {KIND_NAMES[kind].lower()}", event.start_s, event.end_s
    yield from _lowest_probability(analysis)


def _lowest_probability(analysis: Analysis) -> Iterator[tuple[str, float, float]]:
    beats = analysis.beats
    for label in "VS":
        of_class = np.flatnonzero((beats.label == label) & beats.usable)
        if len(of_class):
            beat = of_class[int(beats.confidence[of_class].argmin())]
            time_s = float(beats.time_s[beat])
            yield f"{label} with the lowest probability, {beats.confidence[beat]:.2f}", time_s, time_s
