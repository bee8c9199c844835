"""The strips of a report in sections: those of the reader, then dangers, VT, pauses, AF, SVT, patterns and rates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..notes import NO_NOTES, Notes
from ..rhythm.burden import longest_run, summarise_episodes
from ..rhythm.events import DANGERS, KIND_NAMES
from ..schema import Analysis, Ectopy, RhythmEvent
from ..text import plural
from .dangers import UNJUDGED, at_least_text, length_text, run_text
from .measures import longest_rr

STRIP_S = 10.0
LEAD_IN_S = 2.0  # before an event that is longer than its strip, which shows its beginning
SAME_STRIP_S = 3.0  # two strips that begin closer to each other are one
MOST_EPISODES = 12  # of a kind that are all shown: four pages of three strips
MOST_LEADS = 3  # on a strip
CHOSEN: Final = "Chosen by the reader"
TWELVE_LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# Kinds of a section of which every episode is shown, and those of which the first is.
SECTIONS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "Ventricular fibrillation, asystole, sustained ventricular tachycardia": (DANGERS, ()),
    "Ventricular tachycardia and runs": (("vt",), ("v_run", "idioventricular")),
    "Pauses": (("pause", "af_pause"), ("long_rr",)),
    "Atrial fibrillation": (("af",), ()),
    "Supraventricular tachycardia and runs": ((), ("svt_sustained", "svt", "s_run")),
    "Patterns and single ectopic beats": (
        (), ("v_bigeminy", "v_trigeminy", "v_couplet", "s_bigeminy", "s_trigeminy", "s_couplet"),
    ),
    "Highest and lowest heart rate": ((), ("tachycardia", "bradycardia")),
    "Not analysable": ((), ()),
}  # fmt: skip
_DANGER, VT, PAUSE, _AF, SVT, PATTERN, RATE, UNJUDGED_SECTION = SECTIONS

Finding = tuple[str, float, float]  # title, start and end in seconds


@dataclass(frozen=True)
class Strip:
    """Ten seconds of a record, and what they show."""

    start_s: float
    titles: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Strips under one heading."""

    name: str
    strips: tuple[Strip, ...]
    remarks: tuple[str, ...] = ()  # how many episodes are shown, where not all are


def strip_sections(analysis: Analysis, notes: Notes = NO_NOTES) -> tuple[Section, ...]:
    """The sections of a report that have a strip, the reader's own first.

    Where several findings fall into one automatic strip, it stands in the most serious section with all their titles.
    """
    duration_s, chosen = analysis.record.duration_s, dict[str, list[Strip]]()
    for section in SECTIONS:
        chosen[section] = []
        for title, from_s, to_s in _findings(analysis, section):
            start_s = strip_start_s(from_s, to_s, duration_s=duration_s)
            if not _joined(chosen.values(), start_s, title):
                chosen[section].append(Strip(start_s, (title,)))
    automatic = [Section(name, tuple(strips), _remarks(analysis, name)) for name, strips in chosen.items() if strips]
    own = reader_strips(analysis, notes)
    return (*([Section(CHOSEN, own)] if own else []), *automatic)


def choose_strips(analysis: Analysis) -> tuple[Strip, ...]:
    """The automatic strips of all sections."""
    return tuple(strip for section in strip_sections(analysis) for strip in section.strips)


def reader_strips(analysis: Analysis, notes: Notes) -> tuple[Strip, ...]:
    """The strips that a reader chose, in the reader's order, each with its caption."""
    last_s = max(0.0, analysis.record.duration_s - STRIP_S)
    return tuple(
        Strip(float(np.clip(strip.start_s, 0.0, last_s)), (strip.caption,) if strip.caption else ())
        for strip in notes.strips
    )


def strip_start_s(from_s: float, to_s: float, *, duration_s: float, length_s: float = STRIP_S) -> float:
    """Start of a strip that shows a stretch of a record in its middle, or the beginning of a longer one."""
    is_long = to_s - from_s > length_s - LEAD_IN_S
    start_s = from_s - LEAD_IN_S if is_long else (from_s + to_s - length_s) / 2
    return float(np.clip(start_s, 0.0, max(0.0, duration_s - length_s)))


def clearest_lead(analysis: Analysis, start_s: float) -> str:
    """Name of the analysed lead of the best quality in a strip."""
    return strip_leads(analysis, start_s, most=1)[0]


def readable_lead(analysis: Analysis, lead_name: str, start_s: float, end_s: float) -> str:
    """A lead; where it is an analysed one that nowhere between two times was analysable, the clearest one there."""
    quality, names = analysis.quality, analysis.lead_names
    first, last = (min(int(at_s / quality.block_s), quality.score.shape[1] - 1) for at_s in (start_s, end_s))
    score = quality.score[:, first : last + 1].max(axis=1)
    if lead_name not in names or score[names.index(lead_name)] > 0 or not score.any():
        return lead_name
    return names[int(score.argmax())]


def strip_leads(analysis: Analysis, start_s: float, *, most: int = MOST_LEADS) -> tuple[str, ...]:
    """Names of the analysed leads on a strip: all of them, or those of the best quality in it, in their order."""
    quality = analysis.quality
    block = min(int((start_s + STRIP_S / 2) / quality.block_s), quality.score.shape[1] - 1)
    best = np.argsort(-quality.score[:, block], kind="stable")[:most]
    return tuple(analysis.lead_names[lead] for lead in sorted(best.tolist()))


def twelve_leads(analysis: Analysis) -> tuple[str, ...]:
    """The record's names of the twelve standard leads in their order; empty where one of them is missing."""
    named = {name.casefold(): name for name in analysis.record.lead_names}
    names = [named.get(name.casefold()) for name in TWELVE_LEADS]
    return tuple(name for name in names if name) if all(names) else ()


def first_and_longest(events: Sequence[RhythmEvent], most: int) -> list[RhythmEvent]:
    """The first events of a kind up to a number of them, the longest among them, in the order of time."""
    if len(events) <= most:
        return list(events)
    longest = longest_of(events)
    first = list(events[:most])
    return first if longest in first else [*first[:-1], longest]


def longest_of(events: Sequence[RhythmEvent]) -> RhythmEvent:
    """The longest event of a kind: of tachycardias that are not sustained by beats, as these are what is printed."""
    return longest_run(events) if events[0].kind == "vt" else max(events, key=lambda event: event.duration_s)


def _joined(every: Iterable[list[Strip]], start_s: float, title: str) -> bool:
    """Whether a strip that begins at about the same time took the title in."""
    for strips in every:
        for place, strip in enumerate(strips):
            if abs(strip.start_s - start_s) < SAME_STRIP_S:
                strips[place] = replace(strip, titles=(*strip.titles, title))
                return True
    return False


def _findings(analysis: Analysis, section: str) -> Iterator[Finding]:
    """Title, start and end of everything that the strips of a section have to show."""
    burden = analysis.burden
    every, first = SECTIONS[section]
    if section == VT:
        yield from _runs(burden.v, "ventricular")
    if section == PAUSE and (longest := longest_rr(analysis)):
        length = f"{at_least_text(longest.at_least)}{longest.duration_s:.2f} s"
        yield f"Longest RR, {length}", longest.start_s, longest.end_s
    for kind in every:
        yield from _episodes(analysis, kind)
    if section == SVT:
        yield from _runs(burden.s, "supraventricular")
    if section == RATE:
        yield from _rates(analysis)
    for kind in first:
        if found := next((event for event in analysis.events if event.kind == kind), None):
            yield f"First: {KIND_NAMES[kind].lower()}", found.start_s, found.end_s
    if section == PATTERN:
        yield from _lowest_probability(analysis)
    if section == UNJUDGED_SECTION:
        yield from _unjudged(analysis)


def _episodes(analysis: Analysis, kind: str) -> Iterator[Finding]:
    """The episodes of a kind, up to MOST_EPISODES of them."""
    events = [event for event in analysis.events if event.kind == kind]
    longest = longest_of(events) if events else None
    for event in first_and_longest(events, MOST_EPISODES):
        several = f" {events.index(event) + 1:,} of {len(events):,}" if len(events) > 1 else ""
        is_longest = ", the longest" if several and event is longest else ""
        yield f"{KIND_NAMES[kind]}{several}, {_size_text(event)}{is_longest}", event.start_s, event.end_s


def _size_text(event: RhythmEvent) -> str:
    """Length of an episode, or number and rate of the beats of a short run."""
    if event.kind == "vt":
        return run_text(event)
    return length_text(event, decimals=2 if event.kind in ("pause", "af_pause") else 1)


def _remarks(analysis: Analysis, section: str) -> tuple[str, ...]:
    """How many episodes of a kind are shown, where not all are."""
    counted = [(kind, sum(event.kind == kind for event in analysis.events)) for kind in SECTIONS[section][0]]
    return tuple(
        f"{KIND_NAMES[kind]}: {MOST_EPISODES} of {plural(n, 'episode')} shown, the longest among them"
        for kind, n in counted
        if n > MOST_EPISODES
    )


def _runs(ectopy: Ectopy, name: str) -> Iterator[Finding]:
    if long := ectopy.runs.most_beats:
        yield f"Longest {name} run, {run_text(long, rate='')}", long.start_s, long.end_s
    if fast := ectopy.runs.fastest:
        yield f"Fastest {name} run, {fast.rate_bpm:.0f} bpm", fast.start_s, fast.end_s


def _rates(analysis: Analysis) -> Iterator[Finding]:
    burden = analysis.burden
    for title, rate in (("Highest heart rate", burden.rate_max), ("Lowest heart rate", burden.rate_min)):
        if rate:
            width_s = 60.0 / rate.bpm * analysis.rules.rate_average_beats
            yield f"{title}, {rate.bpm:.0f} bpm", rate.time_s - width_s, rate.time_s


def _lowest_probability(analysis: Analysis) -> Iterator[Finding]:
    beats = analysis.beats
    for label in "VS":
        of_class = np.flatnonzero((beats.label == label) & beats.usable)
        if len(of_class):
            beat = of_class[int(beats.confidence[of_class].argmin())]
            time_s = float(beats.time_s[beat])
            yield f"{label} with the lowest probability, {beats.confidence[beat]:.2f}", time_s, time_s


def _unjudged(analysis: Analysis) -> Iterator[Finding]:
    """The longest stretch of each kind that could not be judged."""
    for kind, says in UNJUDGED.items():
        if longest := summarise_episodes(analysis.events, kind).longest:
            what = "that is not analysable" if kind == "not_analysable" else says
            yield f"Longest stretch {what}, {length_text(longest)}", longest.start_s, longest.end_s
