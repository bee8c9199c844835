"""The strips of a report: dangers, extremes, the first event of each kind, and the V and S of lowest probability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..rhythm.events import DANGERS, KIND_NAMES
from ..schema import Analysis, RhythmEvent
from .dangers import at_least_text, dangers, findings, length_text

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
    for title, from_s, to_s in _findings(analysis):
        start_s = strip_start_s(from_s, to_s, duration_s=analysis.record.duration_s)
        near = [i for i, strip in enumerate(chosen) if abs(strip.start_s - start_s) < SAME_STRIP_S]
        if near:
            strip = chosen[near[0]]
            chosen[near[0]] = Strip(strip.start_s, (*strip.titles, title))
        else:
            chosen.append(Strip(start_s, (title,)))
    return tuple(chosen)


def strip_start_s(from_s: float, to_s: float, *, duration_s: float) -> float:
    """Start of a strip that shows a stretch of a record in its middle, or the beginning of a longer one."""
    is_long = to_s - from_s > STRIP_S - LEAD_IN_S
    start_s = from_s - LEAD_IN_S if is_long else (from_s + to_s - STRIP_S) / 2
    return float(np.clip(start_s, 0.0, max(0.0, duration_s - STRIP_S)))


def clearest_lead(analysis: Analysis, start_s: float) -> str:
    """Name of the analysed lead of the best quality in a strip."""
    quality = analysis.quality
    block = min(int((start_s + STRIP_S / 2) / quality.block_s), quality.score.shape[1] - 1)
    return analysis.lead_names[int(quality.score[:, block].argmax())]


def _findings(analysis: Analysis) -> Iterator[tuple[str, float, float]]:
    """Title, start and end of everything that a strip has to show."""
    burden = analysis.burden
    yield from _dangers(analysis)
    for title, rate in (("Highest heart rate", burden.rate_max), ("Lowest heart rate", burden.rate_min)):
        if rate:
            width_s = 60.0 / rate.bpm * analysis.rules.rate_average_beats
            yield f"{title}, {rate.bpm:.0f} bpm", rate.time_s - width_s, rate.time_s
    pauses = [part.longest for part in (burden.pauses, burden.af_pauses, burden.long_rr) if part.longest]
    if pauses:
        longest = max(pauses, key=lambda event: event.duration_s)
        length = f"{at_least_text(longest.at_least)}{longest.duration_s:.2f} s"
        yield f"Longest RR, {length}", longest.start_s, longest.end_s
    for ectopy, name in ((burden.v, "ventricular"), (burden.s, "supraventricular")):
        if long := ectopy.runs.most_beats:
            yield f"Longest {name} run, {long.n_beats} beats", long.start_s, long.end_s
        if fast := ectopy.runs.fastest:
            yield f"Fastest {name} run, {fast.rate_bpm:.0f} bpm", fast.start_s, fast.end_s
    first: dict[str, RhythmEvent] = {}
    for event in findings(analysis):
        if event.kind not in DANGERS:
            first.setdefault(event.kind, event)
    for kind, event in first.items():
        yield f"First: {KIND_NAMES[kind].lower()}", event.start_s, event.end_s
    yield from _lowest_probability(analysis)
    if unread := burden.not_analysable.longest:
        yield f"Longest stretch that is not analysable, {length_text(unread)}", unread.start_s, unread.end_s


def _dangers(analysis: Analysis) -> Iterator[tuple[str, float, float]]:
    """The first few episodes of each kind of danger, and the longest."""
    for danger in dangers(analysis):
        for event in danger.shown:
            several = f" {danger.events.index(event) + 1} of {len(danger.events)}" if len(danger.events) > 1 else ""
            longest = ", the longest" if several and event is danger.longest else ""
            yield f"{KIND_NAMES[danger.kind]}{several}, {length_text(event)}{longest}", event.start_s, event.end_s


def _lowest_probability(analysis: Analysis) -> Iterator[tuple[str, float, float]]:
    beats = analysis.beats
    for label in "VS":
        of_class = np.flatnonzero((beats.label == label) & beats.usable)
        if len(of_class):
            beat = of_class[int(beats.confidence[of_class].argmin())]
            time_s = float(beats.time_s[beat])
            yield f"{label} with the lowest probability, {beats.confidence[beat]:.2f}", time_s, time_s
