"""The strips that a report shows by itself: extremes, the first of each kind of event, and the least certain beats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..rhythm.events import KIND_NAMES
from ..schema import Analysis

STRIP_S = 10.0
LEAD_IN_S = 2.0  # an event that is longer than the strip is shown from its start
SAME_S = 3.0  # two strips that begin closer to each other are one


@dataclass(frozen=True)
class Strip:
    """A stretch worth looking at, and why."""

    start_s: float
    titles: tuple[str, ...]


def choose_strips(analysis: Analysis) -> tuple[Strip, ...]:
    """Strips in the order of their importance; what falls into one strip is shown once with all its titles."""
    chosen: list[Strip] = []
    last_start_s = max(0.0, analysis.record.duration_s - STRIP_S)
    for title, from_s, to_s in _wanted(analysis):
        length_s = to_s - from_s
        start_s = from_s - LEAD_IN_S if length_s > STRIP_S - LEAD_IN_S else (from_s + to_s - STRIP_S) / 2
        start_s = float(np.clip(start_s, 0.0, last_start_s))
        near = [i for i, strip in enumerate(chosen) if abs(strip.start_s - start_s) < SAME_S]
        if near:
            strip = chosen[near[0]]
            chosen[near[0]] = Strip(strip.start_s, (*strip.titles, title))
        else:
            chosen.append(Strip(start_s, (title,)))
    return tuple(chosen)


def _wanted(analysis: Analysis) -> Iterator[tuple[str, float, float]]:
    """Titles with the time from .. to that has to be seen."""
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
        if long := ectopy.runs.longest:
            yield f"Longest {name} run, {long.n_beats} beats", long.start_s, long.end_s
        if fast := ectopy.runs.fastest:
            yield f"Fastest {name} run, {fast.rate_bpm:.0f} bpm", fast.start_s, fast.end_s
    seen = set()
    for event in analysis.events:
        if event.kind not in seen:
            seen.add(event.kind)
            yield f"First: {KIND_NAMES[event.kind].lower()}", event.start_s, event.end_s
    yield from _least_certain(analysis)


def _least_certain(analysis: Analysis) -> Iterator[tuple[str, float, float]]:
    beats = analysis.beats
    for label in "VS":
        own = np.flatnonzero((beats.label == label) & beats.usable)
        if len(own):
            beat = own[int(beats.confidence[own].argmin())]
            time_s = float(beats.time_s[beat])
            yield f"Least certain {label}, probability {beats.confidence[beat]:.2f}", time_s, time_s
