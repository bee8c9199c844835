"""Atrial fibrillation, by the probability that the network gives it, or from irregular normal beats without P waves.

A network that was fitted to rhythms gives each beat a probability of fibrillation, which is smoothed over the beats
around it. The other measure, and the only one for the beats of another network, is how irregular they are, and that no
P waves repeat.
The measure of irregularity is the coefficient of sample entropy, CoSEn (Lake & Moorman 2011,
doi:10.1152/ajpheart.00561.2010): how badly an RR predicts the next one, corrected for the tolerance and the heart rate.
Differs from the paper in that it is computed over RR between normal beats (NN) only, so that ectopic beats in sinus
rhythm are not mistaken for fibrillation, and over more of them; in that a beat has the mean of the windows it lies in;
and in that the threshold rises where the signal before the QRS repeats from beat to beat, as P waves do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..labels import CLASSES
from ..probabilities import expit, logit
from ..rules import RhythmRules
from ..schema import Beats, Bool, Float32, Float64, Index
from ..signals.windows import window_sums
from .intervals import DECIMALS, RHYTHM_LOST_S, goes_on, nn_intervals, unbroken_slices

# By the network:
# Around each beat, an odd number: the mean of their logits counts. Chosen by cross-validation over the patients of
# afdb, aftdb and ltafdb, as were the numbers below and the probability of the rule.
AF_BEATS = 61
# P waves are evidence against fibrillation: what repeats before the QRS beyond this fraction raises the threshold, in
# log odds, by so much for each unit. In fibrillation some .05 to .3 repeats, in sinus rhythm .4 to .9.
P_WAVES_FROM, P_WAVES_ODDS = 0.3, 8.0
LEAST_PROBABILITY = 1e-3  # of fibrillation or of none at a beat, so that no single one outweighs those around it
AF_CONTINUES = 0.5  # an episode, once begun, needs to exceed only this fraction of the rule
# By irregularity:
TOLERANCE_S = 0.03  # two RR match if they differ by no more; the paper's value ...
TOLERANCE_STEP_S = 0.005  # ... widened in these steps ...
MIN_MATCHES = 5  # ... until so many pairs of RR match along with the RR that follow them
ROUNDING_S = 1e-9  # RR that differ by exactly the tolerance match, whatever the rounding
WINDOWS_AT_ONCE = 8192  # so that two weeks fit into memory
CONTINUES = 0.5  # an episode, once begun, needs to exceed only this fraction of what P waves add to the threshold


def af_episodes(beats: Beats, rules: RhythmRules) -> list[slice]:
    """Episodes as slices of the beats: stretches of possible fibrillation that contain certain fibrillation.

    Neither a regular stretch shorter than an episode ends one, nor lost signal of up to RHYTHM_LOST_S, whose beats may
    lie in the slice.
    """
    usable = np.flatnonzero(beats.usable)
    time_s, continues = beats.time_s[usable], goes_on(beats, RHYTHM_LOST_S)[usable]
    certain, possible = (inside[usable] for inside in in_fibrillation(beats, rules))
    starts = [stretch.start for stretch in _lasting(time_s, certain, continues, rules.af_min_s)]
    found = [
        stretch
        for stretch in _lasting(time_s, possible, continues, rules.af_min_s)
        if any(stretch.start <= start < stretch.stop for start in starts)
    ]
    merged: list[slice] = []
    for stretch in found:
        if merged and _is_short_break(time_s, continues, merged[-1], stretch, rules):
            merged[-1] = slice(merged[-1].start, stretch.stop)
        else:
            merged.append(stretch)
    return [slice(int(usable[one.start]), int(usable[one.stop - 1]) + 1) for one in merged]


def suppress_s_in_af(beats: Beats, episodes: Sequence[slice]) -> Beats:
    """The beats without class S inside episodes of atrial fibrillation: where no beat is expected, none is premature.

    The probability of S goes to N. The episodes are those of the beats as they were: with premature beats counted as
    normal, an episode would grow over the sinus rhythm around it, and over the premature beats there.
    """
    label, probability = beats.label.copy(), beats.probability.copy()
    n, s = CLASSES.index("N"), CLASSES.index("S")
    for episode in episodes:
        probability[episode, n] += probability[episode, s]
        probability[episode, s] = 0
        best = np.array(CLASSES)[probability[episode].argmax(axis=1)]
        label[episode] = np.where(beats.usable[episode], best, label[episode])
    return replace(beats, label=label, probability=probability)


def _lasting(time_s: Float64, inside: Bool, continues: Bool, min_s: float) -> list[slice]:
    """Stretches of the beats ``inside`` that last at least ``min_s``, each of beats from which the rhythm goes on."""
    return [
        stretch
        for stretch in unbroken_slices(inside, continues)
        if round(float(time_s[stretch.stop - 1] - time_s[stretch.start]), DECIMALS) >= min_s
    ]


def _is_short_break(time_s: Float64, continues: Bool, before: slice, after: slice, rules: RhythmRules) -> bool:
    """Whether the break between two stretches is shorter than an episode and nothing longer in it is lost."""
    break_s = time_s[after.start] - time_s[before.stop - 1]
    return bool(break_s < rules.af_min_s and continues[before.stop : after.start + 1].all())


def in_fibrillation(beats: Beats, rules: RhythmRules) -> tuple[Bool, Bool]:
    """Whether each beat certainly, and whether it possibly, lies in fibrillation, shape (n,).

    By either way: the network misses fibrillation whose QRS are all wide, which the irregular RR show.
    """
    certain, possible = _is_irregular(beats, rules)
    if beats.af_probability is None:
        return certain, possible
    odds = logit(smoothed_probability(beats.af_probability, beats.usable)) - P_WAVES_ODDS * _p_waves(beats)
    begins, continues = logit(np.array([1.0, AF_CONTINUES]) * rules.af_probability)
    certain |= (odds > begins) & beats.usable
    possible |= (odds > continues) & beats.usable
    return certain, possible


def smoothed_probability(probability: Float32, usable: Bool) -> Float64:
    """Probability of fibrillation over the analysable ones of AF_BEATS around each beat, shape (n,)."""
    limited = np.clip(probability.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    total, n_usable = (
        window_sums(np.pad(values, AF_BEATS // 2), AF_BEATS)
        for values in (np.where(usable, logit(limited), 0.0), usable.astype(np.float64))
    )
    return expit(total / np.maximum(n_usable, 1))


def _p_waves(beats: Beats) -> Float64:
    """How much more than P_WAVES_FROM of the power before the QRS repeats, shape (n,); 0 where not known."""
    if beats.p_repeats is None:
        return np.zeros(len(beats))
    return np.maximum(np.nan_to_num(beats.p_repeats.astype(np.float64)) - P_WAVES_FROM, 0)


def _is_irregular(beats: Beats, rules: RhythmRules) -> tuple[Bool, Bool]:
    """Whether each beat certainly, and whether it possibly, lies among irregular NN without P waves, shape (n,)."""
    nn = nn_intervals(beats, rules)
    if len(nn) < rules.af_intervals:
        return np.zeros(len(beats), dtype=bool), np.zeros(len(beats), dtype=bool)
    entropy = np.interp(np.arange(len(beats)), nn, _mean_entropy(beats.rr_s[nn], rules.af_intervals))
    p_repeats = np.zeros(len(beats)) if beats.p_repeats is None else np.nan_to_num(beats.p_repeats)
    raised = rules.af_entropy_p * p_repeats
    eligible = _has_enough_nn(nn, len(beats), rules) & beats.usable
    certain = (entropy > rules.af_entropy + raised) & eligible
    possible = (entropy > rules.af_entropy + CONTINUES * raised) & eligible
    return certain, possible


def _has_enough_nn(nn: Index, n_beats: int, rules: RhythmRules) -> Bool:
    """Whether enough of the RR around each beat are NN, shape (n_beats,); in bigeminy none is."""
    is_nn = np.bincount(nn, minlength=n_beats)
    fraction = np.convolve(is_nn, np.ones(rules.af_intervals) / rules.af_intervals)
    return np.asarray(fraction[rules.af_intervals // 2 :][:n_beats] >= rules.af_normal_share)


def _mean_entropy(nn_s: Float64, width: int) -> Float64:
    """Mean CoSEn of the windows of ``width`` NN that each NN lies in, shape of ``nn_s``.

    A window begins at each NN, so that what is found does not depend on which NN of a record is the first.
    """
    windows = np.lib.stride_tricks.sliding_window_view(nn_s, width)
    batches = range(0, len(windows), WINDOWS_AT_ONCE)
    entropy = np.concatenate([cosen(windows[first : first + WINDOWS_AT_ONCE]) for first in batches])
    total, n_windows = (window_sums(np.pad(value, width - 1), width) for value in (entropy, np.ones(len(entropy))))
    return np.asarray(total / n_windows)


def cosen(rr_s: Float64) -> Float64:
    """Coefficient of sample entropy of series of RR, shape (n_series, n) -> (n_series,)."""
    tolerance_s = np.full(len(rr_s), TOLERANCE_S)
    n_single, n_pair = _count_matches(rr_s, tolerance_s)
    few = np.flatnonzero(n_pair < MIN_MATCHES)  # elsewhere the paper's tolerance is wide enough
    tolerance_s[few] = _widened_s(rr_s[few])
    n_single[few], n_pair[few] = _count_matches(rr_s[few], tolerance_s[few])
    return np.asarray(np.log(n_single / n_pair) + np.log(2 * tolerance_s) - np.log(rr_s.mean(axis=1)))


def _count_matches(rr_s: Float64, tolerance_s: Float64) -> tuple[Index, Index]:
    """Pairs of RR of each series that match, and pairs that match along with the RR that follow, each (n_series,)."""
    value_s = np.ascontiguousarray(rr_s.T)  # (n, n_series): the same pair of all series lies together, which is faster
    n_first = len(value_s) - 1  # RR that another one follows
    n_single, n_pair = (np.zeros(len(rr_s), dtype=np.int64) for _ in range(2))
    for apart in range(1, n_first):
        match = np.abs(value_s[apart:] - value_s[:-apart]) <= tolerance_s + ROUNDING_S
        n_single += match[:-1].sum(axis=0, dtype=np.int16)
        n_pair += (match[:-1] & match[1:]).sum(axis=0, dtype=np.int16)
    return n_single, n_pair


def _widened_s(rr_s: Float64) -> Float64:
    """Tolerance of each series at which MIN_MATCHES pairs match along with the RR that follow, shape (n_series,)."""
    first, second = np.triu_indices(rr_s.shape[1] - 1, 1)
    single_s, next_s = (np.abs(rr_s[:, first + i] - rr_s[:, second + i]) for i in (0, 1))
    needed_s = np.partition(np.maximum(single_s, next_s), MIN_MATCHES - 1, axis=1)[:, MIN_MATCHES - 1]
    steps = np.ceil(np.round((needed_s - TOLERANCE_S) / TOLERANCE_STEP_S, 6))
    return np.asarray(TOLERANCE_S + TOLERANCE_STEP_S * np.maximum(steps, 0))
