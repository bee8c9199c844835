"""What is a patient's basic rhythm and no ectopy, though its QRS is wide: V that are N, and idioventricular rhythm.

Wide QRS that dominate at 40 to 120 bpm are bundle branch block, a junctional or paced rhythm, or fibrillation with
aberrant conduction: class N in EC57 (L, R, j). An ectopic rhythm begins and ends with another QRS; a run of V that
begins and ends without a change of QRS and of RR is the rhythm around it, e.g. with ST changes in exercise.
"""

from __future__ import annotations

import numpy as np

from ..rules import RhythmRules
from ..schema import Beats, Bool, Float64, Index
from ..signals.windows import window_sums
from .intervals import (
    DECIMALS,
    follows_previous,
    kept_median,
    unbroken_runs,
    unbroken_slices,
)
from .labelling import moved
from .supraventricular import MINUTE_S, USUAL_RR, usual_rr

WINDOW_BEATS = 30  # a wide rhythm is looked for in windows of so many beats ...
V_FRACTION = 0.6  # ... of which at least this fraction is V ...
V_AFTER_V = 0.7  # ... and of these at least this fraction follows another V, which excludes bigeminy
SLOW_FRACTION = 0.5  # ... and at least this fraction of their RR is as slow as the rules ask
MOST = 0.5  # of the analysable beats: more than that is the dominant rhythm
SAME_QRS = 0.9  # correlation of the QRS of two beats; 95 % of normal pairs exceed it, 95 % of pairs of N and V do not
OTHER_QRS = 0.7  # a beat that correlates less with both neighbours is ectopic in the rhythm around it
SAME_RR = 0.12  # the RR changes by no more than this fraction where the rhythm goes on
LEVEL_RR = 8  # rates before and after a beat are compared over so many RR
MIN_SLOW_BEATS = 10  # so many beats not faster than a tachycardia show that a fast rhythm came or went gradually


def settle_basic_rhythm(beats: Beats, rules: RhythmRules) -> Beats:
    """The beats with class N instead of V where these are the basic rhythm."""
    return moved(beats, dominant_wide(beats, rules) | continued(beats, rules), "V", "N")


def dominant_wide(beats: Beats, rules: RhythmRules) -> Bool:
    """V that belong to a dominant wide rhythm, shape (n,)."""
    found = np.zeros(len(beats), dtype=bool)
    usable = np.flatnonzero(beats.usable)
    inside = np.zeros(len(beats), dtype=bool)
    inside[usable] = _mostly_v(beats.label[usable] == "V", beats.rr_s[usable], rules)
    stretches = [slice(usable[part.start], usable[part.stop - 1] + 1) for part in _parts(inside[usable])]
    is_most = inside.sum() > MOST * len(usable)
    for stretch in stretches:
        rr_s = beats.rr_s[stretch][np.isfinite(beats.rr_s[stretch])]
        median_s, lasts = np.median(rr_s), rr_s.sum() >= rules.wide_rhythm_min_s
        is_basic = lasts and is_most and median_s >= MINUTE_S / rules.wide_rhythm_bpm
        if is_basic or ((lasts or is_most) and median_s >= MINUTE_S / rules.vt_bpm):
            found[stretch] = True
    return np.asarray(found & (beats.label == "V") & beats.usable & ~_stands_out(beats))


def _parts(inside: Bool) -> list[slice]:
    return unbroken_slices(inside, np.ones(len(inside), dtype=bool))


def _mostly_v(is_v: Bool, rr_s: Float64, rules: RhythmRules) -> Bool:
    """Beats in a window of slow V that follow each other, shape (n,)."""
    n = len(is_v)
    if n < WINDOW_BEATS:
        return np.zeros(n, dtype=bool)
    after_v = is_v & np.concatenate(([False], is_v[:-1])) & np.isfinite(rr_s)
    slow = after_v & (rr_s >= MINUTE_S / rules.wide_rhythm_bpm)
    n_v, n_after, n_slow = (window_sums(flags, WINDOW_BEATS) for flags in (is_v, after_v, slow))
    holds = (n_v >= V_FRACTION * WINDOW_BEATS) & (n_after >= V_AFTER_V * n_v) & (n_slow > SLOW_FRACTION * n_after)
    edge = np.zeros(WINDOW_BEATS - 1, dtype=bool)
    return np.asarray(window_sums(np.concatenate((edge, holds, edge)), WINDOW_BEATS) > 0)


def _stands_out(beats: Beats) -> Bool:
    """Beats whose QRS is like neither neighbour's, shape (n,); none where that was not measured."""
    if beats.qrs_correlation is None:
        return np.zeros(len(beats), dtype=bool)
    before = beats.qrs_correlation < OTHER_QRS
    return np.asarray(before & np.append(before[1:], False)[: len(before)])


def continued(beats: Beats, rules: RhythmRules) -> Bool:
    """Runs of V that begin and end without a change of QRS and RR, and shorter ones in the same part, shape (n,).

    Of those that are fast enough for a tachycardia, only the runs of a rhythm that came or went gradually.
    """
    found = np.zeros(len(beats), dtype=bool)
    if beats.qrs_correlation is None:
        return found
    follows = follows_previous(beats)
    rr_s, usual_s = beats.rr_s, usual_rr(beats.rr_s)
    goes_on = follows & (beats.qrs_correlation >= SAME_QRS) & (np.abs(rr_s - usual_s) <= SAME_RR * usual_s)
    part, is_gradual = _gradual_parts(rr_s, follows, rules)
    runs = []
    for run in _without_change((beats.label == "V") & beats.usable, follows, goes_on):
        edges = [edge for edge in (run.start, run.stop) if edge < len(beats) and follows[edge]]
        is_slow = (rr_s[edges] >= MINUTE_S / rules.vt_bpm).all()
        is_slow &= not (rr_s[run] <= (1 - rules.svt_onset_share) * usual_s[run]).any()
        is_even = is_gradual[run.start] and part[run.start] == part[run.stop - 1]
        if is_slow or (is_even and not (rr_s[run] < (1 - SAME_RR) * usual_s[run]).any()):
            runs.append(run)
    proven = {int(part[run.start]) for run in runs if run.stop - run.start >= rules.run_min_beats}
    for run in runs:
        found[run] = int(part[run.start]) in proven
    return found


def _without_change(is_v: Bool, follows: Bool, goes_on: Bool) -> list[slice]:
    """Runs of V where the rhythm goes on at both edges, or at one if the recording begins or ends at the other."""
    first, stop = unbroken_runs(is_v, follows)
    follows, goes_on = np.append(follows, False), np.append(goes_on, False)
    changes = follows & ~goes_on
    chosen = (follows[first] | follows[stop]) & ~changes[first] & ~changes[stop]
    return [slice(a, b) for a, b in zip(first[chosen].tolist(), stop[chosen].tolist(), strict=True)]


def _gradual_parts(rr_s: Float64, follows: Bool, rules: RhythmRules) -> tuple[Index, Bool]:
    """Number of the part, without an abrupt change of RR, that each beat lies in, and whether it is slow somewhere."""
    before, after = (kept_median(rr_s, LEVEL_RR, offset=i, at_least=LEVEL_RR // 2) for i in (-LEVEL_RR, 0))
    jumps = (after > (1 + SAME_RR) * before) | (before > (1 + SAME_RR) * after)
    part = np.cumsum(~follows | jumps).astype(np.int64)
    slow = after >= MINUTE_S / rules.vt_bpm
    n_slow = np.bincount(part, weights=slow, minlength=int(part.max(initial=0)) + 1)
    return part, np.asarray(n_slow[part] >= MIN_SLOW_BEATS)


def is_idioventricular(beats: Beats, run: slice, rules: RhythmRules) -> bool:
    """Whether a run of V that is no tachycardia is an idioventricular rhythm: it lasts, and its onset is not early."""
    before_s = beats.rr_s[max(0, run.start - USUAL_RR) : run.start]
    usual_s = np.median(before_s[np.isfinite(before_s)]) if np.isfinite(before_s).any() else 0.0
    is_early = np.round(beats.rr_s[run.start] - (1 - rules.svt_onset_share) * usual_s, DECIMALS) <= 0
    length_s = np.round(beats.time_s[run.stop - 1] - beats.time_s[run.start], DECIMALS)
    return bool(length_s >= rules.idioventricular_min_s and not is_early)
