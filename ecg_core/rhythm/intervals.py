"""RR intervals: which of them count, which lie between normal beats, and the heart rate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..labels import CLASSES
from ..rules import RhythmRules
from ..schema import Beats, Bool, Float64, Index, Quality
from ..signals.windows import window_sums

RHYTHM_LOST_S = 10.0  # between two beats, so much lost signal does not end a rhythm that goes on after it
MASKED_S = 2.0  # a longer RR with noise in it has no length: the noise may mask a beat
SLOW_RR_S = 2.0  # of a rhythm below 30 bpm, in which an RR beyond the longest of the rules is no pause among others
WINDOWS_AT_ONCE = 8192  # so that those being sorted fit into the processor's cache
MEDIANS_KEPT = 10  # of all RR of a record: those of two records, 2 MB a day each
# Of the signal in which a lowest or highest rate is measured. Set on mitdb DS1 and qtdb with nstdb's noise, where it
# removes most of the rates that no reference beats have, and takes none from the records without noise.
CLEAR_SCORE = 0.6  # least quality; at it about every seventh beat is false or missed, below it more (models/quality.py)
MOST_FALSE = 0.05  # false beats to be expected per RR, by the classifier's probabilities: 5 % of the rate
DECIMALS = 6  # times are compared to the microsecond, so that 13.1 s - 10.1 s is an RR of 3.0 s


def rr_between(time_s: Float64, lost_s: Float64) -> Float64:
    """RR to the previous beat, seconds; NaN for the first beat, and where the signal in between is not analysable.

    Parameters
    ----------
    time_s, lost_s
        Times of beats, and times at which no lead is analysable, seconds, both ascending.

    """
    rr_s = np.diff(time_s, prepend=np.nan)
    rr_s[1:][np.diff(np.searchsorted(lost_s, time_s)) > 0] = np.nan
    return rr_s


def analysable_rr(time_s: Float64, lost_s: Float64, dropped_s: Float64) -> Float64:
    """``rr_between``, and NaN for an RR longer than MASKED_S that holds noise: candidates dropped at ``dropped_s``."""
    rr_s = rr_between(time_s, lost_s)
    rr_s[np.isnan(rr_between(time_s, dropped_s)) & (rr_s > MASKED_S)] = np.nan
    return rr_s


def follows_previous(beats: Beats) -> Bool:
    """Whether each beat follows the previous one in analysable signal, shape (n,)."""
    return np.asarray(beats.usable & _of_previous(beats.usable) & np.isfinite(beats.rr_s))


def goes_on(beats: Beats, lost_s: float) -> Bool:
    """Whether a rhythm can go on from the previous beat to each beat, shape (n,).

    It can where one follows the other, and through lost signal, in which beats are not counted, where the analysable
    beats around it are no more than ``lost_s`` apart.
    """
    known_s = np.concatenate(([-np.inf], beats.time_s[beats.usable], [np.inf]))
    n_before: Index = np.cumsum(beats.usable) - beats.usable
    return np.asarray(follows_previous(beats) | (known_s[n_before + 1] - known_s[n_before] <= lost_s))


def _of_previous(flags: Bool) -> Bool:
    """The flag of the previous beat, shape (n,); False for the first."""
    return np.concatenate(([False], flags[:-1]))[: len(flags)]


def unbroken_slices(inside: Bool, follows: Bool) -> list[slice]:
    """Slices over which ``inside`` is true, cut where a beat does not follow the previous one."""
    first, stop = unbroken_runs(inside, follows)
    return [slice(a, b) for a, b in zip(first.tolist(), stop.tolist(), strict=True)]


def unbroken_runs(inside: Bool, follows: Bool) -> tuple[Index, Index]:
    """The first beat of each of the ``unbroken_slices``, and the beat after its last, each of shape (n_slices,)."""
    continues = inside & _of_previous(inside) & follows
    first = np.flatnonzero(inside & ~continues)
    last = np.flatnonzero(inside & ~np.concatenate((continues[1:], [False]))[: len(inside)])
    return first, last + 1


def running_median(values: Float64, width: int, *, offset: int, at_least: int) -> Float64:
    """Median of the ``width`` values around each one that are known, shape (n,); NaN where fewer than ``at_least`` are.

    Parameters
    ----------
    offset
        How far after each value the first of its ``width`` values is: with ``-width`` they are those before it.

    """
    return window_median(values, np.arange(len(values)) + offset, width, at_least=at_least)


def kept_median(rr_s: Float64, width: int, *, offset: int, at_least: int) -> Float64:
    """The ``running_median`` of RR that no label changes, read-only; kept by their bytes from one edit to the next."""
    return _kept_median(rr_s.tobytes(), width, offset, at_least)


@lru_cache(maxsize=MEDIANS_KEPT)
def _kept_median(rr_s: bytes, width: int, offset: int, at_least: int) -> Float64:
    median = running_median(np.frombuffer(rr_s), width, offset=offset, at_least=at_least)
    median.flags.writeable = False
    return median


def window_median(values: Float64, first: Index, width: int, *, at_least: int) -> Float64:
    """Median of those of the ``width`` values from each ``first`` on that are known, shape of ``first``.

    A window may reach beyond the values, where none is known; NaN where fewer than ``at_least`` are.
    """
    beyond = np.full(width, np.nan)
    padded = np.concatenate((beyond, values, beyond))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    n_before = np.concatenate(([0], np.cumsum(np.isfinite(padded))))  # values that are known before each one
    median = np.empty(len(first))
    for start in range(0, len(first), WINDOWS_AT_ONCE):
        row = first[start : start + WINDOWS_AT_ONCE] + width
        ordered = np.sort(windows[row], axis=1).ravel()  # NaN come last in each; one index is faster than two
        n_known = n_before[row + width] - n_before[row]
        at, middle = np.arange(len(row)) * width, np.maximum(n_known - 1, 0)
        of_known = (ordered[at + middle // 2] + ordered[at + (middle + 1) // 2]) / 2
        median[start : start + WINDOWS_AT_ONCE] = np.where(n_known >= at_least, of_known, np.nan)
    return median


def counts_for_rate(beats: Beats, rules: RhythmRules) -> Bool:
    """Whether the RR that ends at each beat counts for the heart rate, shape (n,).

    A pause among faster beats does not, but where RR are long for most of a window, they are the rhythm: no rate would
    hide the slowest one.
    """
    counts = _within_limits(beats, rules)
    width, rr_s = rules.rate_average_beats, np.where(beats.usable, beats.rr_s, np.nan)
    long = np.flatnonzero(np.round(rr_s, DECIMALS) > rules.rate_max_rr_s)
    around_s = window_median(rr_s, long - width // 2, width, at_least=width // 2)
    counts[long] = np.round(around_s, DECIMALS) > SLOW_RR_S
    return counts


def _within_limits(beats: Beats, rules: RhythmRules) -> Bool:
    """Whether the RR that ends at each beat lies between the limits of the rules, shape (n,)."""
    rr_s = np.round(beats.rr_s, DECIMALS)
    return np.asarray((rr_s >= rules.rate_min_rr_s) & (rr_s <= rules.rate_max_rr_s) & beats.usable)


def nn_intervals(beats: Beats, rules: RhythmRules) -> Index:
    """Positions of the beats that end an RR between two normal beats (NN), ascending."""
    is_normal = beats.label == "N"
    is_nn = is_normal & _of_previous(is_normal) & follows_previous(beats)
    return np.flatnonzero(is_nn & _within_limits(beats, rules))


def rate_windows(beats: Beats, rules: RhythmRules) -> tuple[Index, Float64]:
    """Heart rate as a moving average over ``rate_average_beats`` RR.

    A window with an RR that does not count (across an unusable stretch, too short, a pause) has no rate.

    Returns
    -------
    The position of each window's last beat, and its rate in bpm, both of shape (n_windows,).

    """
    width = rules.rate_average_beats
    if len(beats) < width:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    counts = counts_for_rate(beats, rules)
    total = np.convolve(np.where(counts, beats.rr_s, 0.0), np.ones(width), "valid")
    complete = np.flatnonzero(window_sums(counts, width) == width)
    return complete + width - 1, np.asarray(np.round(60.0 * width / total[complete], DECIMALS))


def heart_rate(beats: Beats, rules: RhythmRules, *, quality: Quality) -> tuple[Float64, Float64]:
    """Time of the last beat of each rate window in clear signal, and its rate in bpm.

    Noise that is taken for beats, and beats that are missed in it, make the lowest and the highest rates of a
    recording. So all beats of a window lie in blocks of at least CLEAR_SCORE, and the classifier expects at most
    MOST_FALSE of them per RR to be no beats. Beats classified as Q are not weighed in this: paced ones are Q.
    """
    last, bpm = rate_windows(beats, rules)
    first = np.maximum(last - rules.rate_average_beats, 0)
    false = np.where(beats.label == "Q", 0.0, beats.probability[:, CLASSES.index("Q")])
    n_doubtful = _sum_over(quality.score_at(beats.time_s) < CLEAR_SCORE, first, last)
    clear = (n_doubtful == 0) & (_sum_over(false, first, last) <= MOST_FALSE * rules.rate_average_beats)
    return np.asarray(beats.time_s[last[clear]]), bpm[clear]


def mean_rate(bpm: Float64, rr_s: Float64) -> float:
    """Mean of the rates of ``heart_rate``, weighted by time: neither below the lowest nor above the highest of them.

    Where there are none, as too few RR that follow each other lie in clear signal, it is the rate of the mean of the
    RR ``rr_s`` that count; NaN without these either.
    """
    if len(bpm):
        return float(np.clip(len(bpm) / (1 / bpm).sum(), bpm.min(), bpm.max()))
    return float(60.0 / rr_s.mean()) if len(rr_s) else float("nan")


def rate_over(n_rr: int, length_s: float) -> float:
    """Mean rate of so many RR that take so long, bpm; NaN where that is no time."""
    duration_s = round(length_s, DECIMALS)
    return round(float(60.0 * n_rr / duration_s), DECIMALS) if duration_s else float("nan")


def _sum_over(values: Bool | Float64, first: Index, last: Index) -> Float64:
    """Sum of the values of the beats from each ``first`` to each ``last``."""
    total = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return np.asarray(total[last + 1] - total[first])


def rate_trend(
    beats: Beats, rules: RhythmRules, *, quality: Quality, bin_s: float, n_bins: int
) -> tuple[Float64, Float64, Float64]:
    """Lowest, mean and highest heart rate in bins of ``bin_s``, each of shape (n_bins,); NaN without a rate."""
    time_s, bpm = heart_rate(beats, rules, quality=quality)
    bin_of = np.minimum((time_s / bin_s).astype(int), n_bins - 1)
    count = np.bincount(bin_of, minlength=n_bins)
    low, high = np.full(n_bins, np.inf), np.full(n_bins, -np.inf)
    np.minimum.at(low, bin_of, bpm)
    np.maximum.at(high, bin_of, bpm)
    total = np.bincount(bin_of, bpm, minlength=n_bins)
    low, mean, high = (np.where(count, values, np.nan) for values in (low, total / np.maximum(count, 1), high))
    return low, mean, high


def local_rr_s(beats: Beats, beat: int, *, half_width: int = 20) -> float:
    """Median RR between normal beats within ``half_width`` beats of one, seconds; NaN where there is none."""
    around = slice(max(0, beat - half_width), beat + half_width + 1)
    is_normal = beats.label[around] == "N"
    rr_s = beats.rr_s[around]
    nn_s = rr_s[1:][is_normal[1:] & is_normal[:-1] & np.isfinite(rr_s[1:])]
    return float(np.median(nn_s)) if len(nn_s) else float("nan")
