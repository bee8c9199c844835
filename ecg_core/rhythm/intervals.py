"""RR intervals: which of them count, the heart rate they make, and which lie between normal beats."""

from __future__ import annotations

import numpy as np

from ..rules import RhythmRules
from ..schema import Beats, Bool, Float64, Index

HIDDEN_S = 2.0  # so long an interval with noise in it is no pause: noise may hide a beat
DECIMALS = 6  # times are compared to the microsecond: 13.1 - 10.1 is an RR of 3.0 s


def rr_between(time_s: Float64, lost_s: Float64) -> Float64:
    """RR to the beat before; NaN for the first beat, and where any moment in between could not be read.

    Parameters
    ----------
    time_s, lost_s
        Beats, and moments that could not be read, both ascending.

    """
    rr_s = np.diff(time_s, prepend=np.nan)
    rr_s[1:][np.diff(np.searchsorted(lost_s, time_s)) > 0] = np.nan
    return rr_s


def analysable_rr(time_s: Float64, lost_s: Float64, dropped_s: Float64) -> Float64:
    """``rr_between``, and NaN for a long interval with noise in it that may have hidden a beat."""
    rr_s = rr_between(time_s, lost_s)
    rr_s[np.isnan(rr_between(time_s, dropped_s)) & (rr_s > HIDDEN_S)] = np.nan
    return rr_s


def follows_previous(beats: Beats) -> Bool:
    """Whether each beat follows the one before in readable signal, shape (n,)."""
    return np.asarray(beats.usable & _before(beats.usable) & np.isfinite(beats.rr_s))


def _before(flags: Bool) -> Bool:
    """The flag of the beat before each; False before the first."""
    return np.concatenate(([False], flags[:-1]))[: len(flags)]


def unbroken(inside: Bool, follows: Bool) -> list[slice]:
    """Slices over which ``inside`` holds, cut where a beat does not follow the one before."""
    goes_on = inside & _before(inside) & follows
    starts = np.flatnonzero(inside & ~goes_on)
    ends = np.flatnonzero(inside & ~np.concatenate((goes_on[1:], [False]))[: len(inside)])
    return [slice(int(a), int(b) + 1) for a, b in zip(starts, ends, strict=True)]


def counted(beats: Beats, rules: RhythmRules) -> Bool:
    """Whether the RR that ends at each beat counts for a rate, shape (n,)."""
    rr_s = np.round(beats.rr_s, DECIMALS)
    return np.asarray((rr_s >= rules.rate_min_rr_s) & (rr_s <= rules.rate_max_rr_s) & beats.usable)


def normal(beats: Beats, rules: RhythmRules) -> Index:
    """The beats that end an RR between two normal beats, in the order of time."""
    is_normal = beats.label == "N"
    return np.flatnonzero(is_normal & _before(is_normal) & follows_previous(beats) & counted(beats, rules))


def rate_windows(beats: Beats, rules: RhythmRules) -> tuple[Index, Float64]:
    """Moving average over ``rate_average_beats`` RR: each window's last beat, and its rate in bpm.

    A window that holds an RR that does not count (across an unusable stretch, too short, too long) has no rate.
    """
    width = rules.rate_average_beats
    if len(beats) < width:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    counts = counted(beats, rules)
    total = np.convolve(np.where(counts, beats.rr_s, 0.0), np.ones(width), "valid")
    whole = np.flatnonzero(np.convolve(counts, np.ones(width), "valid") > width - 0.5)
    return whole + width - 1, np.asarray(np.round(60.0 * width / total[whole], DECIMALS))


def heart_rate(beats: Beats, rules: RhythmRules) -> tuple[Float64, Float64]:
    """Time of the last beat of each rate window, and its rate in bpm."""
    last, bpm = rate_windows(beats, rules)
    return np.asarray(beats.time_s[last]), bpm


def rate_trend(beats: Beats, rules: RhythmRules, bin_s: float, n_bins: int) -> tuple[Float64, Float64, Float64]:
    """Lowest, mean and highest heart rate of consecutive bins, each of shape (n_bins,); NaN where there is none."""
    time_s, bpm = heart_rate(beats, rules)
    at = np.minimum((time_s / bin_s).astype(int), n_bins - 1)
    count = np.bincount(at, minlength=n_bins)
    low, high = np.full(n_bins, np.inf), np.full(n_bins, -np.inf)
    np.minimum.at(low, at, bpm)
    np.maximum.at(high, at, bpm)
    total = np.bincount(at, bpm, minlength=n_bins)
    low, mean, high = (np.where(count, values, np.nan) for values in (low, total / np.maximum(count, 1), high))
    return low, mean, high


def local_rr_s(beats: Beats, beat: int, *, half_width: int = 20) -> float:
    """Median RR from normal beat to normal beat around one, seconds; NaN where there is none."""
    around = slice(max(0, beat - half_width), beat + half_width + 1)
    normal = beats.label[around] == "N"
    rr_s = beats.rr_s[around]
    known = rr_s[1:][normal[1:] & normal[:-1] & np.isfinite(rr_s[1:])]
    return float(np.median(known)) if len(known) else float("nan")
