"""Beats -> rhythm events: couplets, runs, patterns, fibrillation, pauses and rates, as ``RhythmRules`` define them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from ..edits import Mark
from ..rules import RhythmRules
from ..schema import Beats, Bool, Index, RhythmEvent
from .basic_rhythm import is_idioventricular
from .danger import MAX_TACHYCARDIC_RR_S, Span, join_tachycardias, stretches
from .intervals import (
    DECIMALS,
    RHYTHM_LOST_S,
    counts_for_rate,
    follows_previous,
    rate_over,
    rate_windows,
    unbroken_runs,
)

KIND_NAMES: Final = {
    "vf": "Ventricular fibrillation or flutter",
    "vf_suspected": "Ventricular fibrillation suspected",
    "asystole": "Asystole",
    "v_couplet": "Ventricular couplet",
    "v_run": "Ventricular run",
    "idioventricular": "Idioventricular rhythm",
    "vt": "Ventricular tachycardia, non-sustained",
    "vt_sustained": "Ventricular tachycardia, sustained",
    "v_bigeminy": "Ventricular bigeminy",
    "v_trigeminy": "Ventricular trigeminy",
    "s_couplet": "Supraventricular couplet",
    "s_run": "Supraventricular run",
    "svt": "Supraventricular tachycardia, non-sustained",
    "svt_sustained": "Supraventricular tachycardia, sustained",
    "s_bigeminy": "Supraventricular bigeminy",
    "s_trigeminy": "Supraventricular trigeminy",
    "af": "Atrial fibrillation",
    "paced": "Paced rhythm",
    "pause": "Pause",
    "af_pause": "Pause in atrial fibrillation",
    "long_rr": "Long RR",
    "bradycardia": "Bradycardia",
    "tachycardia": "Tachycardia",
    "not_analysable": "Not analysable",
    "artefact": "Artefact, marked by a reader",
    "no_signal": "No signal",
}
SHORT_NAMES: Final = {  # for strips and columns of tables, inside a sentence as they are; a legend gives the full name
    "vf": "VF",
    "vf_suspected": "VF suspected",
    "asystole": "asystole",
    "v_couplet": "V couplet",
    "v_run": "V run",
    "idioventricular": "IVR",
    "vt": "NSVT",
    "vt_sustained": "sustained VT",
    "v_bigeminy": "V bigeminy",
    "v_trigeminy": "V trigeminy",
    "s_couplet": "S couplet",
    "s_run": "S run",
    "svt": "SVT",
    "svt_sustained": "sustained SVT",
    "s_bigeminy": "S bigeminy",
    "s_trigeminy": "S trigeminy",
    "af": "AF",
    "paced": "paced",
    "pause": "pause",
    "af_pause": "pause in AF",
    "long_rr": "long RR",
    "bradycardia": "bradycardia",
    "tachycardia": "tachycardia",
    "not_analysable": "not analysable",
    "artefact": "artefact",
    "no_signal": "no signal",
}
DANGERS: Final = ("vf", "asystole", "vt_sustained", "vf_suspected")  # what a report begins with
MOST_SERIOUS_FIRST: Final = (
    "vf", "asystole", "vt_sustained", "vf_suspected", "vt", "af_pause", "pause", "af", "svt_sustained", "svt", "v_run",
    "idioventricular", "v_bigeminy", "v_trigeminy", "v_couplet", "s_run", "bradycardia", "tachycardia", "s_bigeminy",
    "s_trigeminy", "s_couplet", "paced", "long_rr", "not_analysable", "artefact",
    "no_signal",
)  # fmt: skip
TACHYCARDIAS: Final = {"V": ("vt", "vt_sustained"), "S": ("svt", "svt_sustained")}
JOINS: Final = {"V": ("V", "F"), "S": ("S",)}  # EC57 counts a fusion beat in the run of V that it lies in
RUNS: Final = {label: (f"{label.lower()}_run", *TACHYCARDIAS[label]) for label in "VS"}
LONGEST_OF_SERIES_S: Final = 3.0  # from beat to beat: an ectopic beat after a pause is none of the series before it
CYCLES: Final = {"bigeminy": 2, "trigeminy": 3}  # beats a cycle, of which the last is ectopic


def find_rhythms(
    beats: Beats,
    rules: RhythmRules,
    *,
    episodes: Sequence[slice],
    others: Iterable[RhythmEvent] = (),
    marks: Iterable[Mark] = (),
) -> tuple[RhythmEvent, ...]:
    """All events in the order of their start.

    Parameters
    ----------
    episodes
        Atrial fibrillation as slices of the beats, as found before S inside was suppressed; see ``af_episodes``.
    others
        What was found in the waveform and not in the beats, see ``find_dangers``, or is marked by a reader.
    marks
        By a reader; V in a marked ventricular tachycardia belong to it, however slow they are.

    """
    follows = follows_previous(beats)
    marked = [mark[:2] for mark in marks if mark.rhythm == "vt"]
    fibrillation = [_episode("af", beats, episode) for episode in episodes]
    events = [
        *others,
        *fibrillation,
        *_long_intervals(beats, follows, fibrillation, rules),
        *unusual_rates(beats, rules),
    ]
    for label in "VS":
        events += [*_ectopic_series(beats, label, rules, marked), *_patterns(beats, label, follows, rules)]
    for kinds in TACHYCARDIAS.values():
        events = join_tachycardias(events, beats, rules, kinds=kinds)
    return tuple(sorted(events, key=lambda event: (event.start_s, event.kind)))


def series_of(beats: Beats, label: str) -> list[slice]:
    """Unbroken series of beats of one class, as slices of the beats; F joins a series of V but makes none of its own.

    As in the run-by-run comparison of EC57, except that there F beats also form a run without any V.
    """
    first, stop = ectopic_series(beats, label)
    return [slice(a, b) for a, b in zip(first.tolist(), stop.tolist(), strict=True)]


def ectopic_series(beats: Beats, label: str) -> tuple[Index, Index]:
    """The first beat of each of the series of ``series_of``, and the beat after its last, each of shape (n_series,).

    Two beats at the RR of a tachycardia follow each other though some signal between them is lost: no beat of another
    class lies in between. Beats with a pause between them are no series.
    """
    joined = np.isin(beats.label, JOINS[label]) & beats.usable
    apart_s = np.round(np.diff(beats.time_s, prepend=-np.inf), DECIMALS)
    near, no_pause = apart_s <= MAX_TACHYCARDIC_RR_S, apart_s < LONGEST_OF_SERIES_S
    n_before = np.concatenate(([0], np.cumsum(beats.label == label)))  # beats of the class before each beat
    first, stop = unbroken_runs(joined, (follows_previous(beats) | near) & no_pause)
    holds_class = n_before[stop] > n_before[first]
    return first[holds_class], stop[holds_class]


def _event(kind: str, beats: Beats, first: int, last: int) -> RhythmEvent:
    """The event from one beat to another, with the rate of its mean RR."""
    start_s, end_s = float(beats.time_s[first]), float(beats.time_s[last])
    return RhythmEvent(kind, start_s, end_s, int(last - first + 1), rate_over(last - first, end_s - start_s))


def _episode(kind: str, beats: Beats, episode: slice) -> RhythmEvent:
    """An episode that may hold lost signal, with its analysable beats; what is lost makes its rate no lower."""
    usable, rr_s = beats.usable[episode], beats.rr_s[episode]
    known_s = rr_s[1:][np.isfinite(rr_s[1:]) & usable[1:] & usable[:-1]]
    start_s, end_s = float(beats.time_s[episode.start]), float(beats.time_s[episode.stop - 1])
    length_s = end_s - start_s if len(known_s) == len(usable) - 1 else float(known_s.sum())
    return RhythmEvent(kind, start_s, end_s, int(usable.sum()), rate_over(len(known_s), length_s))


def _ectopic_series(beats: Beats, label: str, rules: RhythmRules, marked: Sequence[Span]) -> Iterator[RhythmEvent]:
    """Couplets, runs and tachycardias of V (with F) or S; a single ectopic beat is no event."""
    first, stop = ectopic_series(beats, label)
    is_event = (stop - first == 2) | (stop - first >= rules.run_min_beats)
    for start, end in zip(first[is_event].tolist(), stop[is_event].tolist(), strict=True):
        event = _series_event(beats, label, slice(start, end), rules)
        if event.kind in TACHYCARDIAS[label] or label == "S":
            yield event
            continue
        for part, is_tachycardia in _parts(beats, slice(start, end), marked, rules):
            if is_tachycardia:
                yield _event("vt", beats, part.start, part.stop - 1)
            else:
                yield _series_event(beats, label, part, rules)


def _series_event(beats: Beats, label: str, series: slice, rules: RhythmRules) -> RhythmEvent:
    """The couplet, run or tachycardia that a series of V or S is."""
    n_beats = series.stop - series.start
    event = _event(f"{label.lower()}_{'couplet' if n_beats == 2 else 'run'}", beats, series.start, series.stop - 1)
    if n_beats > 2 and event.rate_bpm > rules.vt_bpm:
        sustained = round(event.duration_s, DECIMALS) > rules.sustained_s
        return replace(event, kind=TACHYCARDIAS[label][sustained])
    if n_beats > 2 and label == "V" and is_idioventricular(beats, series, rules):
        return replace(event, kind="idioventricular")
    return event


def _parts(beats: Beats, series: slice, marked: Sequence[Span], rules: RhythmRules) -> list[tuple[slice, bool]]:
    """A slow series of V, cut into what a reader marked as tachycardia and what not, which is a run of its own."""
    time_s = beats.time_s[series]
    inside = np.any([(time_s >= start_s) & (time_s < end_s) for start_s, end_s in marked], axis=0)
    if not np.any(inside):
        return [(series, False)]
    for start, stop in stretches(~inside):
        inside[start:stop] = stop - start < rules.run_min_beats
    edges = [0, *(np.flatnonzero(np.diff(inside)) + 1).tolist(), len(inside)]
    return [(slice(series.start + a, series.start + b), bool(inside[a])) for a, b in pairwise(edges)]


def _patterns(beats: Beats, label: str, follows: Bool, rules: RhythmRules) -> Iterator[RhythmEvent]:
    """Bigeminy (one normal beat before each ectopic one) and trigeminy (two normal beats before each)."""
    is_normal = (beats.label == "N") & beats.usable
    for name, length in CYCLES.items():
        ends_cycle = (beats.label == label) & beats.usable
        for back in range(1, length):
            ends_cycle[back:] &= is_normal[:-back] & follows[1 : len(beats) - back + 1]
            ends_cycle[:back] = False
        last = np.flatnonzero(ends_cycle)
        for first_cycle, last_cycle in _chains(last, length, follows, rules.pattern_min_cycles):
            yield _event(f"{label.lower()}_{name}", beats, int(last[first_cycle]) - length + 1, int(last[last_cycle]))


def _chains(last: Index, length: int, follows: Bool, min_cycles: int) -> list[tuple[int, int]]:
    """The first and the last cycle of each chain of at least ``min_cycles`` without a beat in between.

    Parameters
    ----------
    last
        The last beat of each cycle, ascending.

    """
    continues = (np.diff(last) == length) & follows[last[:-1] + 1]
    first, stop = unbroken_runs(np.ones(len(last), dtype=bool), np.append(False, continues)[: len(last)])
    lasts = stop - first >= min_cycles
    return list(zip(first[lasts].tolist(), (stop[lasts] - 1).tolist(), strict=True))


def _long_intervals(
    beats: Beats, follows: Bool, fibrillation: list[RhythmEvent], rules: RhythmRules
) -> Iterator[RhythmEvent]:
    """Pauses and long RR, of which each RR is one, and asystoles; an RR across an unusable stretch has no length."""
    rr_s = np.round(beats.rr_s, DECIMALS)
    shortest_s = min(rules.long_rr_s, rules.pause_s, rules.af_pause_s, rules.asystole_s)
    for i in np.flatnonzero(follows & (rr_s >= shortest_s)).tolist():
        start_s, end_s = beats.time_s[i - 1], beats.time_s[i]
        in_af = any(af.start_s <= start_s and end_s <= af.end_s for af in fibrillation)
        if rr_s[i] >= rules.asystole_s:
            yield _event("asystole", beats, i - 1, i)
        if in_af and rr_s[i] >= rules.af_pause_s:
            yield _event("af_pause", beats, i - 1, i)
        elif rr_s[i] >= rules.pause_s:
            yield _event("pause", beats, i - 1, i)
        elif rr_s[i] >= rules.long_rr_s:
            yield _event("long_rr", beats, i - 1, i)


def unusual_rates(beats: Beats, rules: RhythmRules) -> Iterator[RhythmEvent]:
    """Bradycardia and tachycardia: rate windows that are all too slow, or all too fast, also through short lost signal.

    An RR that is known and does not count, such as a pause, ends an episode; so does more than RHYTHM_LOST_S from one
    window to the next.
    """
    last, bpm = rate_windows(beats, rules)
    first = np.maximum(last - rules.rate_average_beats, 0)
    n_uncounted = np.cumsum(follows_previous(beats) & ~counts_for_rate(beats, rules))[last]
    apart_s = beats.time_s[first[1:]] - beats.time_s[last[:-1]]
    follows = np.append(False, (np.diff(n_uncounted) == 0) & (apart_s <= RHYTHM_LOST_S))[: len(last)]
    for kind, unusual in (("bradycardia", bpm < rules.slow_bpm), ("tachycardia", bpm > rules.fast_bpm)):
        start, stop = unbroken_runs(unusual, follows)
        begin, end = first[start], last[stop - 1]
        is_long = beats.time_s[end] - beats.time_s[begin] >= rules.rate_min_s
        for first_beat, last_beat in zip(begin[is_long].tolist(), end[is_long].tolist(), strict=True):
            yield _episode(kind, beats, slice(first_beat, last_beat + 1))
