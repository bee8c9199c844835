"""Atrial fibrillation told from normal beats that come without order, the more surely the less of a P wave there is.

The measure of order is the coefficient of sample entropy, CoSEn (Lake & Moorman 2011,
doi:10.1152/ajpheart.00561.2010): how badly an RR predicts the next one, corrected for the tolerance and the heart rate.
Differs from the paper in that it is measured over RR between normal beats only, so that ectopic beats in sinus rhythm
do not look like fibrillation, and over more of them; in that a beat has the mean of the windows that hold it; and in
that the threshold rises where what lies before the QRS repeats from beat to beat, as P waves do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..labels import CLASSES
from ..rules import RhythmRules
from ..schema import Beats, Bool, Float64
from .intervals import DECIMALS, follows_previous, normal, unbroken

TOLERANCE_S = 0.03  # two RR are alike if they differ by no more; the paper's ...
TOLERANCE_STEP_S = 0.005
MIN_MATCHES = 5  # ... made wider until so many pairs of RR and their followers are alike
STEP = 10  # RR from window to window
WINDOWS_AT_ONCE = 4096  # so that two weeks fit into memory
LIKELY = 0.5  # an episode goes on where half of what P waves add to the threshold is reached


def af_episodes(beats: Beats, rules: RhythmRules) -> list[slice]:
    """Episodes as slices of the beats: likely stretches that hold a sure one.

    A return to order that is shorter than an episode does not end one; a stretch that cannot be read does.
    """
    surely, likely = irregular(beats, rules)
    follows = follows_previous(beats)
    sure = [part.start for part in _lasting(beats, surely, follows, rules.af_min_s)]
    found = [
        part
        for part in _lasting(beats, likely, follows, rules.af_min_s)
        if any(part.start <= start < part.stop for start in sure)
    ]
    merged: list[slice] = []
    for part in found:
        if merged and _is_short_break(beats, follows, merged[-1], part, rules):
            merged[-1] = slice(merged[-1].start, part.stop)
        else:
            merged.append(part)
    return merged


def suppress_s_in_af(beats: Beats, rules: RhythmRules) -> Beats:
    """The beats, with N for S inside episodes of atrial fibrillation: where no beat is expected, none is premature.

    The probability of S goes to N there.
    """
    label, probability = beats.label.copy(), beats.probability.copy()
    n, s = CLASSES.index("N"), CLASSES.index("S")
    for part in af_episodes(beats, rules):
        probability[part, n] += probability[part, s]
        probability[part, s] = 0
        best = np.array(CLASSES)[probability[part].argmax(axis=1)]
        label[part] = np.where(beats.usable[part], best, label[part])
    return replace(beats, label=label, probability=probability)


def _lasting(beats: Beats, inside: Bool, follows: Bool, min_s: float) -> list[slice]:
    """Unbroken stretches of beats that last long enough."""
    return [
        part
        for part in unbroken(inside, follows)
        if round(float(beats.time_s[part.stop - 1] - beats.time_s[part.start]), DECIMALS) >= min_s
    ]


def _is_short_break(beats: Beats, follows: Bool, before: slice, after: slice, rules: RhythmRules) -> bool:
    away_s = beats.time_s[after.start] - beats.time_s[before.stop - 1]
    return bool(away_s < rules.af_min_s and follows[before.stop : after.start + 1].all())


def irregular(beats: Beats, rules: RhythmRules) -> tuple[Bool, Bool]:
    """Whether each beat surely, and whether it likely, lies among normal RR without order and P waves, shape (n,)."""
    nn = normal(beats, rules)
    if len(nn) < rules.af_intervals:
        return np.zeros(len(beats), dtype=bool), np.zeros(len(beats), dtype=bool)
    entropy = np.interp(np.arange(len(beats)), nn, _spread(beats.rr_s[nn], rules.af_intervals))
    p_repeats = np.zeros(len(beats)) if beats.p_repeats is None else np.nan_to_num(beats.p_repeats)
    is_nn = np.bincount(nn, minlength=len(beats))
    share = np.convolve(is_nn, np.ones(rules.af_intervals) / rules.af_intervals)
    share = share[rules.af_intervals // 2 :][: len(beats)]
    enough = (share >= rules.af_normal_share) & beats.usable  # in bigeminy there is no normal RR
    more = rules.af_entropy_p * p_repeats
    return (entropy > rules.af_entropy + more) & enough, (entropy > rules.af_entropy + LIKELY * more) & enough


def _spread(nn_s: Float64, width: int) -> Float64:
    """Mean CoSEn of the windows that hold each RR, shape of ``nn_s``."""
    start = np.unique(np.append(np.arange(0, len(nn_s) - width, STEP), len(nn_s) - width))
    windows = np.lib.stride_tricks.sliding_window_view(nn_s, width)
    cut = range(0, len(start), WINDOWS_AT_ONCE)
    entropy = np.concatenate([cosen(windows[start[first : first + WINDOWS_AT_ONCE]]) for first in cut])
    edge = np.zeros((2, len(nn_s) + 1))
    for row, value in enumerate((entropy, np.ones(len(entropy)))):  # what begins and what ends at each RR
        np.add.at(edge[row], start, value)
        np.subtract.at(edge[row], start + width, value)
    total, n_windows = np.cumsum(edge, axis=1)[:, :-1]
    return np.asarray(total / n_windows)


def cosen(rr_s: Float64) -> Float64:
    """Coefficient of sample entropy of series of RR, shape (n_series, n) -> (n_series,)."""
    first, second = np.triu_indices(rr_s.shape[1] - 1, 1)
    alike = np.abs(rr_s[:, first] - rr_s[:, second])
    followed = np.maximum(alike, np.abs(rr_s[:, first + 1] - rr_s[:, second + 1]))
    least = np.partition(followed, MIN_MATCHES - 1, axis=1)[:, MIN_MATCHES - 1]
    steps = np.ceil(np.round((least - TOLERANCE_S) / TOLERANCE_STEP_S, 6))
    tolerance = TOLERANCE_S + TOLERANCE_STEP_S * np.maximum(steps, 0)
    wide = tolerance[:, None] + 1e-9  # what differs by just the tolerance is alike, whatever the rounding
    n_followed, n_alike = (followed <= wide).sum(axis=1), (alike <= wide).sum(axis=1)
    return np.asarray(np.log(n_alike / n_followed) + np.log(2 * tolerance) - np.log(rr_s.mean(axis=1)))
