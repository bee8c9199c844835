"""Beats -> burden: counts and shares over the analysable beats and time, never over the wall clock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .labels import CLASSES
from .schema import Beats, Burden, Float64, HeartRate, Hourly, Quality, RhythmRules

HOUR_S = 3600.0
UNKNOWN = float("nan")


def measure_burden(beats: Beats, quality: Quality, duration_s: float, rules: RhythmRules) -> Burden:
    """Beats by class, ectopic burden, heart rate and the hourly table of a recording."""
    count = count_classes(beats)
    time_s, bpm = heart_rate(beats, rules)
    n_beats = int(count.sum())
    return Burden(
        duration_s=duration_s,
        analysable_s=float(_analysable_s(quality, duration_s).sum()),
        count=count,
        n_unusable_beats=int((~beats.usable).sum()),
        pvc_burden_pct=_percent(count[CLASSES.index("V")], n_beats),
        sve_burden_pct=_percent(count[CLASSES.index("S")], n_beats),
        rate_mean_bpm=_mean_rate(beats.rr_s[_counted_rr(beats, rules)]),
        rate_min=_extreme(time_s, bpm, np.argmin),
        rate_max=_extreme(time_s, bpm, np.argmax),
        hourly=_hourly(beats, quality, duration_s, rules),
    )


def count_classes(beats: Beats) -> NDArray[np.int64]:
    """Analysable beats of each class, in the order of CLASSES, shape (5,)."""
    return np.array([np.count_nonzero((beats.label == label) & beats.usable) for label in CLASSES], dtype=np.int64)


def heart_rate(beats: Beats, rules: RhythmRules) -> tuple[Float64, Float64]:
    """Moving average over ``rate_average_beats`` RR: the time of each window's last beat, and the rate in bpm.

    A window that holds an RR that does not count (across an unusable stretch, too short, too long) has no rate.
    """
    width = rules.rate_average_beats
    counted = _counted_rr(beats, rules)
    if len(beats) < width:
        return np.zeros(0), np.zeros(0)
    rr = np.where(counted, beats.rr_s, 0.0)
    total = np.convolve(rr, np.ones(width), "valid")
    whole = np.convolve(counted, np.ones(width), "valid") > width - 0.5
    return np.asarray(beats.time_s[width - 1 :][whole]), np.asarray(60.0 * width / total[whole])


def _counted_rr(beats: Beats, rules: RhythmRules) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        inside = (beats.rr_s >= rules.rate_min_rr_s) & (beats.rr_s <= rules.rate_max_rr_s)
    return np.asarray(inside & beats.usable)


def _mean_rate(rr_s: Float64) -> float:
    return float(60.0 / rr_s.mean()) if len(rr_s) else UNKNOWN


def _extreme(time_s: Float64, bpm: Float64, pick: object) -> HeartRate | None:
    if not len(bpm):
        return None
    i = int(pick(bpm))  # type: ignore[operator]
    return HeartRate(float(bpm[i]), float(time_s[i]))


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else UNKNOWN


def _analysable_s(quality: Quality, duration_s: float) -> Float64:
    """Seconds of each quality block that could be read; the last block ends with the recording."""
    start = np.arange(len(quality.usable)) * quality.block_s
    length = np.clip(duration_s - start, 0, quality.block_s)
    return np.asarray(np.where(quality.usable, length, 0.0))


def _hourly(beats: Beats, quality: Quality, duration_s: float, rules: RhythmRules) -> Hourly:
    n_hours = max(1, int(np.ceil(duration_s / HOUR_S)))
    hour = np.minimum((beats.time_s / HOUR_S).astype(int), n_hours - 1)
    count = np.stack(
        [np.bincount(hour[(beats.label == label) & beats.usable], minlength=n_hours) for label in CLASSES], axis=1
    )
    block_hour = np.minimum((np.arange(len(quality.usable)) * quality.block_s / HOUR_S).astype(int), n_hours - 1)
    analysable_s = np.bincount(block_hour, weights=_analysable_s(quality, duration_s), minlength=n_hours)
    time_s, bpm = heart_rate(beats, rules)
    rate_hour = np.minimum((time_s / HOUR_S).astype(int), n_hours - 1)
    counted = _counted_rr(beats, rules)
    rates = [bpm[rate_hour == i] for i in range(n_hours)]
    return Hourly(
        start_s=np.arange(n_hours, dtype=np.float64) * HOUR_S,
        analysable_s=analysable_s.astype(np.float64),
        count=count.astype(np.int64),
        rate_min_bpm=np.array([rate.min() if len(rate) else UNKNOWN for rate in rates]),
        rate_mean_bpm=np.array([_mean_rate(beats.rr_s[counted & (hour == i)]) for i in range(n_hours)]),
        rate_max_bpm=np.array([rate.max() if len(rate) else UNKNOWN for rate in rates]),
    )
