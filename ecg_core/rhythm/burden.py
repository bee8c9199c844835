"""Beats and events -> burden: counts, and their fraction of the analysable beats and time, never of the wall clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..certainty import Calibration
from ..edits import Mark
from ..labels import CLASSES
from ..rules import RhythmRules
from ..schema import Beats, Burden, Ectopy, Episodes, Float64, HeartRate, Hourly, Quality, RhythmEvent
from .danger import Span, has_all_beats, without
from .doubt import s_doubt
from .events import RUNS, TACHYCARDIAS, ectopic_series
from .hrv import measure_variability
from .intervals import CLEAR_SCORE, counts_for_rate, heart_rate, mean_rate
from .labelling import moved
from .short_recordings import af_verdict
from .uncertainty import count_interval, counts_at_thresholds, expected_error_points, usual_per_day

HOUR_S = 3600.0
UNKNOWN = float("nan")
NOT_SINUS = ("af", "vt", "vt_sustained", "vf_suspected")  # events whose beats the sinus node does not pace

Events = Sequence[RhythmEvent]


def measure_burden(
    beats: Beats,
    events: Events,
    *,
    quality: Quality,
    duration_s: float,
    rules: RhythmRules,
    age_years: int | None = None,
    calibration: Calibration | None = None,
    marks: Sequence[Mark] = (),
) -> Burden:
    """Everything that a report counts, with the hourly table; only what could not be measured is NaN.

    Ventricular fibrillation, of which no beat can be counted, is no analysable time. An episode of atrial fibrillation
    may go on through lost signal, of which nothing is in its total. A stretch that a reader marked as
    one rhythm is among the events, and decides the verdict on a short recording.
    """
    time_s, bpm = heart_rate(beats, rules, quality=quality)
    analysable = analysable_spans(events, quality, duration_s=duration_s)
    analysable_s = float(sum(end_s - start_s for start_s, end_s in analysable))
    hourly = _hourly(beats, events, analysable, duration_s, rules, rates=(time_s, bpm))
    premature, af = without_idioventricular(beats, events), summarise_episodes(events, "af")
    af = replace(af, total_s=float(hourly.af_s.sum()))
    verdict = af_verdict(
        beats, duration_s=duration_s, analysable_s=analysable_s, clear_s=_clear_s(quality, duration_s), rules=rules,
        episodes_s=sum(event.duration_s for event in _of_kinds(events, "af")), marks=marks,
    )  # fmt: skip
    return Burden(
        duration_s=duration_s,
        analysable_s=analysable_s,
        count=count_classes(beats),
        n_unusable_beats=int((~beats.usable).sum()),
        rate_mean_bpm=mean_rate(bpm, beats.rr_s[counts_for_rate(beats, rules)]),
        rate_min=_extreme(time_s, bpm, np.argmin),
        rate_max=_extreme(time_s, bpm, np.argmax),
        v=_ectopy(premature, "V", events, hourly, analysable_s, age_years, calibration),
        s=_ectopy(beats, "S", events, hourly, analysable_s, age_years, calibration),
        pvc_error_points=expected_error_points(duration_s, analysable_s=analysable_s),
        af=af,
        vf=summarise_episodes(events, "vf"),
        vf_suspected=summarise_episodes(events, "vf_suspected"),
        asystoles=summarise_episodes(events, "asystole"),
        not_analysable=summarise_episodes(events, "not_analysable"),
        no_signal=summarise_episodes(events, "no_signal"),
        pauses=summarise_episodes(events, "pause"),
        af_pauses=summarise_episodes(events, "af_pause"),
        long_rr=summarise_episodes(events, "long_rr"),
        idioventricular=summarise_episodes(events, "idioventricular"),
        slow=summarise_episodes(events, "bradycardia"),
        fast=summarise_episodes(events, "tachycardia"),
        variability=measure_variability(beats, rules, others=_of_kinds(events, *NOT_SINUS), analysable_s=analysable_s),
        hourly=hourly,
        af_verdict=verdict,
        s_doubt=s_doubt(beats, rules),
    )


def count_classes(beats: Beats) -> NDArray[np.int64]:
    """Analysable beats of each class, in the order of CLASSES, shape (5,)."""
    return np.array([np.count_nonzero((beats.label == label) & beats.usable) for label in CLASSES], dtype=np.int64)


def without_idioventricular(beats: Beats, events: Events) -> Beats:
    """The beats with class N instead of V in idioventricular rhythms, which are no premature beats."""
    inside = np.zeros(len(beats), dtype=bool)
    for event in _of_kinds(events, "idioventricular"):
        inside |= (beats.time_s >= event.start_s) & (beats.time_s <= event.end_s)
    return moved(beats, inside & (beats.label == "V"), "V", "N")


def summarise_episodes(events: Events, *kinds: str) -> Episodes:
    """Number and total duration of the events of some kinds; the longest by time and by beats, and the fastest."""
    chosen = _of_kinds(events, *kinds)
    if not chosen:
        return Episodes()
    return Episodes(
        n=len(chosen),
        n_beats=sum(event.n_beats for event in chosen),
        rate_bpm=_mean_bpm(chosen),
        total_s=float(sum(event.duration_s for event in chosen)),
        longest=max(chosen, key=lambda event: (event.duration_s, event.n_beats, -event.start_s)),
        most_beats=longest_run(chosen),
        fastest=fastest_run(chosen),
    )


def _mean_bpm(events: Events) -> float:
    """Mean rate of events over all their RR; NaN where none is known."""
    timed = [event for event in events if math.isfinite(event.rate_bpm)]
    n_rr = [event.n_beats - 1 for event in timed]
    minutes = sum(n / event.rate_bpm for n, event in zip(n_rr, timed, strict=True))
    return sum(n_rr) / minutes if minutes else UNKNOWN


def longest_run(runs: Events) -> RhythmEvent:
    """The run of the most beats; of runs whose beats cannot all be separated, the one that takes longest."""
    by_beats = all(map(has_all_beats, runs))
    return max(runs, key=lambda run: (run.n_beats if by_beats else run.duration_s, run.duration_s, -run.start_s))


def fastest_run(runs: Events) -> RhythmEvent | None:
    """The fastest of the runs whose rate can be measured; None where there is none."""
    timed = [run for run in runs if math.isfinite(run.rate_bpm)]
    return max(timed, key=lambda run: (run.rate_bpm, run.n_beats, -run.start_s), default=None)


def _of_kinds(events: Events, *kinds: str) -> list[RhythmEvent]:
    return [event for event in events if event.kind in kinds]


def _ectopy(
    beats: Beats,
    label: str,
    events: Events,
    hourly: Hourly,
    analysable_s: float,
    age_years: int | None,
    calibration: Calibration | None,
) -> Ectopy:
    """Counts of the ectopic beats of V or S, and of the events they form."""
    counted = (beats.label == label) & beats.usable
    n, n_beats = int(counted.sum()), int(beats.usable.sum())
    hour = np.minimum((beats.time_s / HOUR_S).astype(np.int64), len(hourly.start_s) - 1)
    by_hour = np.bincount(hour[counted], minlength=len(hourly.start_s))
    low, high = count_interval(beats, label, calibration)
    first, stop = ectopic_series(beats, label)
    letter = label.lower()
    return Ectopy(
        label=label,
        n_beats=n,
        burden_pct=_percent(n, n_beats),
        interval_pct=(_percent(low, n_beats), _percent(high, n_beats)),
        at_thresholds=counts_at_thresholds(beats, label),
        per_hour=n / (analysable_s / HOUR_S) if analysable_s else UNKNOWN,
        most_in_an_hour=int(by_hour.max()),
        singles=int(np.count_nonzero(stop - first == 1)),
        couplets=len(_of_kinds(events, f"{letter}_couplet")),
        runs=summarise_episodes(events, *RUNS[label]),
        triplets=sum(event.n_beats == 3 for event in _of_kinds(events, *RUNS[label])),
        tachycardias=summarise_episodes(events, *TACHYCARDIAS[label]),
        bigeminy=summarise_episodes(events, f"{letter}_bigeminy"),
        trigeminy=summarise_episodes(events, f"{letter}_trigeminy"),
        usual_per_day=usual_per_day(label, age_years),
    )


def _extreme(time_s: Float64, bpm: Float64, pick: Callable[[Float64], np.intp]) -> HeartRate | None:
    """The lowest or the highest rate with its time, by ``np.argmin`` or ``np.argmax``; None without a rate."""
    if not len(bpm):
        return None
    i = int(pick(bpm))
    return HeartRate(float(bpm[i]), float(time_s[i]))


def _percent(part: float, whole: int) -> float:
    return 100.0 * part / whole if whole else UNKNOWN


def analysable_spans(events: Events, quality: Quality, *, duration_s: float) -> list[Span]:
    """Start and end of each stretch whose beats are counted, ascending: analysable signal without fibrillation in it.

    Where no lead holds a signal, for however short, there is no beat. Nothing in ventricular fibrillation is one
    either, so its time is in the denominator of no burden and no count an hour;
    a tachycardia of the ventricles and a fibrillation that is only suspected have beats.
    """
    empty = [(event.start_s, event.end_s) for event in _of_kinds(events, "vf", "no_signal")]
    return without((0.0, duration_s), [*quality.unusable_stretches(duration_s), *quality.lost_stretches(), *empty])


def seconds_until(spans: Sequence[Span], time_s: Float64) -> Float64:
    """Seconds of some stretches, ascending ones, that lie before each time, shape of ``time_s``."""
    edges_s = np.array([0.0, *(edge for span in spans for edge in span)])
    total_s = np.cumsum(np.diff(edges_s, prepend=0.0) * (np.arange(len(edges_s)) % 2 == 0))
    return np.asarray(np.interp(time_s, edges_s, total_s))


def _clear_s(quality: Quality, duration_s: float) -> float:
    """Seconds of signal of the quality in which few beats are false or missed."""
    clear = replace(quality, usable=(quality.score.max(axis=0) >= CLEAR_SCORE) & quality.usable)
    spans = without((0.0, duration_s), [*clear.unusable_stretches(duration_s), *quality.lost_stretches()])
    return float(sum(end_s - start_s for start_s, end_s in spans))


def _hourly(
    beats: Beats,
    events: Events,
    analysable: Sequence[Span],
    duration_s: float,
    rules: RhythmRules,
    *,
    rates: tuple[Float64, Float64],
) -> Hourly:
    """The table of hours, with the ``heart_rate``; what lies past the end of the recording belongs to its last hour."""
    n_hours = max(1, int(np.ceil(duration_s / HOUR_S)))
    start_s: Float64 = np.arange(n_hours, dtype=np.float64) * HOUR_S

    def hour_of(time_s: Float64) -> NDArray[np.int64]:
        return np.minimum((np.asarray(time_s) / HOUR_S).astype(np.int64), n_hours - 1)

    def n_beginning(*kinds: str) -> NDArray[np.int64]:
        begin_s = np.array([event.start_s for event in _of_kinds(events, *kinds)])
        return np.bincount(hour_of(begin_s), minlength=n_hours)

    hour = hour_of(beats.time_s)
    of_class = [(beats.label == label) & beats.usable for label in CLASSES]
    low, mean, high = _hourly_rates(beats, hour, n_hours, rules, rates=rates)
    return Hourly(
        start_s=start_s,
        analysable_s=np.diff(seconds_until(analysable, np.append(start_s, n_hours * HOUR_S))),
        count=np.stack([np.bincount(hour[chosen], minlength=n_hours) for chosen in of_class], axis=1).astype(np.int64),
        rate_min_bpm=low,
        rate_mean_bpm=mean,
        rate_max_bpm=high,
        af_s=time_in(_of_kinds(events, "af"), analysable, np.append(start_s, np.inf)),
        n_runs=np.stack([n_beginning(*RUNS[label]) for label in "VS"], axis=1),
        n_pauses=n_beginning("pause", "af_pause"),
    )


def _hourly_rates(
    beats: Beats, hour: NDArray[np.int64], n_hours: int, rules: RhythmRules, *, rates: tuple[Float64, Float64]
) -> tuple[Float64, Float64, Float64]:
    """Lowest, mean and highest heart rate of each hour, each of shape (n_hours,); NaN without a rate."""
    time_s, bpm = rates
    rate_hour = np.minimum((time_s / HOUR_S).astype(np.int64), n_hours - 1)
    of_hour = [bpm[rate_hour == i] for i in range(n_hours)]
    counts = counts_for_rate(beats, rules)
    return (
        np.array([rate.min() if len(rate) else UNKNOWN for rate in of_hour]),
        np.array([mean_rate(rate, beats.rr_s[counts & (hour == i)]) for i, rate in enumerate(of_hour)]),
        np.array([rate.max() if len(rate) else UNKNOWN for rate in of_hour]),
    )


def time_in(events: Events, analysable: Sequence[Span], edges_s: Float64) -> Float64:
    """Analysable seconds inside the events, which do not overlap, between each of some times and the next one."""
    inside_s = (
        np.zeros((1, len(edges_s)))
        if not events
        else np.stack([np.clip(edges_s, event.start_s, event.end_s) for event in events])
    )
    return np.asarray(np.diff(seconds_until(analysable, inside_s), axis=1).sum(axis=0))
