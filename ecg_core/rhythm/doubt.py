"""How uncertain the count of S is in a recording, and why, in words.

Supraventricular ectopy is found by prematurity and by the P wave. Where P waves are not clear, where sinus rhythm is
irregular by itself, or where the classifier finds the S beats nearly as probable to be N, the count can be far off
while it looks like any other. A logistic of what is seen in the recording says how probable that is. What a reader has
labelled is certain: the doubt falls with every S beat that is labelled or accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from ..certainty import SDoubt
from ..labels import CLASSES
from ..rules import RhythmRules
from ..schema import Beats, Bool, Float32
from .events import ectopic_series
from .intervals import nn_intervals
from .supraventricular import usual_rr
from .uncertainty import expected_share

UNCERTAIN_FROM: Final = 0.5  # score from which on readers are told not to use the count before they have looked
BETWEEN: Final = (0.3, 0.7)  # probabilities of S that are nearly those of another class
MIN_NN: Final = 10  # pairs of successive NN from which on their spread is measured
REASON_FROM: Final = 0.3  # of the log odds: a term that adds less is no reason
MOST_REASONS: Final = 3
UNKNOWN: Final = float("nan")


class Term(NamedTuple):
    """What a feature adds to the log odds of doubt: weight * (value - centre) / scale."""

    weight: float
    centre: float
    scale: float
    high: str  # the reason in words where a value above the centre adds to the doubt ...
    low: str = ""  # ... and where one below it does


CONSTANT: Final = -1.0  # log odds of a recording whose features lie at their centres
# A first choice, not fitted: what has the weight 0 waits for the fit. Centres and scales are those of usual recordings.
TERMS: Final[Mapping[str, Term]] = {
    "s_in_doubt": Term(1.0, 0.01, 0.02, "{percent} of all beats may or may not be S"),
    "s_expected_off": Term(0.5, 0.01, 0.02, "the probabilities give another count of S"),
    "s_between": Term(1.0, 0.2, 0.3, "{share} of the S beats are nearly as probable to be N"),
    "s_same_p": Term(
        0.0, 0.8, 0.2, "before {share} of the S beats the P waves are those before N", "the P waves change at S beats"
    ),
    "p_unclear": Term(0.5, 0.4, 0.3, "P waves are not clear", "P waves are clear"),
    "sinus_arrhythmia": Term(0.5, 0.04, 0.06, "sinus arrhythmia or other irregular RR", "regular RR"),
    "s_in_runs": Term(0.0, 0.1, 0.3, "{share} of the S beats lie in runs", "few of the S beats lie in runs"),
    "s_prematurity": Term(-0.5, 0.25, 0.15, "the S beats are very premature", "the S beats are hardly premature"),
    "s_share": Term(0.0, 0.02, 0.05, "S beats are frequent", "S beats are rare"),
    "af_share": Term(0.0, 0.0, 0.3, "part of the recording is atrial fibrillation"),
}
SHARES: Final = ((0.9, "nearly all"), (0.6, "most"), (0.4, "half"), (0.28, "a third"), (0.18, "a fifth"))


def s_doubt(beats: Beats, rules: RhythmRules, *, af_share: float = 0.0) -> SDoubt:
    """How uncertain the count of S is among the beats as they are counted; see ``doubt_features``."""
    if not beats.usable.any():
        return SDoubt(0.0, ())
    features = doubt_features(beats, rules, af_share=af_share)
    added = {name: _added(term, features[name]) for name, term in TERMS.items()}
    odds = CONSTANT + sum(added.values())
    return SDoubt(float(open_share(beats) / (1 + np.exp(-odds))), _reasons(features, added))


def is_uncertain(doubt: SDoubt | None) -> bool:
    """Whether readers are told to look at the S beats before they use their count."""
    return doubt is not None and doubt.score >= UNCERTAIN_FROM


def doubt_features(beats: Beats, rules: RhythmRules, *, af_share: float = 0.0) -> dict[str, float]:
    """What is seen of S in a recording with usable beats, by the names of TERMS; NaN where it cannot be measured.

    Parameters
    ----------
    beats
        As they are counted, with calibrated probabilities. What is measured at S beats leaves out those that a reader
        labelled, as shares of all S beats: they are certain.
    af_share
        Of the analysable time, in atrial fibrillation.

    """
    is_s = (beats.label == "S") & beats.usable
    unread = is_s & ~_is_certain(beats)
    n_s, share = int(is_s.sum()), float(is_s.sum() / beats.usable.sum())
    probability = beats.probability[:, CLASSES.index("S")]
    expected, in_doubt = expected_share(beats, "S")

    def share_of_s(chosen: Bool) -> float:
        return float((unread & chosen).sum() / n_s) if n_s else 0.0

    return {
        "s_in_doubt": in_doubt,
        "s_expected_off": abs(expected - share),
        "s_between": share_of_s((probability >= BETWEEN[0]) & (probability <= BETWEEN[1])),
        "s_same_p": _same_p(beats, unread, rules),
        "p_unclear": 1 - _mean_known(beats.p_repeats, beats.usable),
        "sinus_arrhythmia": _sinus_arrhythmia(beats, rules),
        "s_in_runs": share_of_s(_in_runs(beats, rules)),
        "s_prematurity": _prematurity(beats, unread, rules),
        "s_share": share,
        "af_share": af_share,
    }


def open_share(beats: Beats) -> float:
    """Share of the beats that are S, or may well be, that no reader labelled; 0 where there are none."""
    probable = beats.probability[:, CLASSES.index("S")] >= BETWEEN[0]
    candidates = ((beats.label == "S") | probable) & beats.usable
    return float((candidates & ~_is_certain(beats)).sum() / candidates.sum()) if candidates.any() else 0.0


def _is_certain(beats: Beats) -> Bool:
    """Whether a reader labelled each beat: no other probability is 1."""
    return np.asarray((beats.probability >= 1.0).any(axis=1))


def _mean_known(values: Float32 | None, chosen: Bool) -> float:
    """Mean of the chosen values that are known; NaN where none is."""
    known = np.zeros(0) if values is None else values[chosen & np.isfinite(values)]
    return float(known.mean()) if len(known) else UNKNOWN


def _same_p(beats: Beats, unread: Bool, rules: RhythmRules) -> float:
    """Share of S beats before which the P wave does not change; NaN where that is known of none."""
    correlation = beats.p_correlation
    if correlation is None:
        return UNKNOWN
    return _mean_known(np.where(np.isnan(correlation), np.nan, correlation >= rules.s_p_correlation), unread)


def _sinus_arrhythmia(beats: Beats, rules: RhythmRules) -> float:
    """Standard deviation of the log ratio of successive NN."""
    is_nn = np.zeros(len(beats), dtype=bool)
    is_nn[nn_intervals(beats, rules)] = True
    second = np.flatnonzero(is_nn[1:] & is_nn[:-1]) + 1
    if len(second) < MIN_NN:
        return UNKNOWN
    return float(np.log(beats.rr_s[second] / beats.rr_s[second - 1]).std())


def _in_runs(beats: Beats, rules: RhythmRules) -> Bool:
    """Whether each beat belongs to a run of S, shape (n,)."""
    first, stop = ectopic_series(beats, "S")
    is_run = stop - first >= rules.run_min_beats
    edges = np.zeros(len(beats) + 1, dtype=np.int64)
    np.add.at(edges, first[is_run], 1)
    np.subtract.at(edges, stop[is_run], 1)
    return np.asarray(np.cumsum(edges)[:-1] > 0)


def _prematurity(beats: Beats, unread: Bool, rules: RhythmRules) -> float:
    """Median of how much earlier than the usual RR the S beats come, as a share of it."""
    if not unread.any():
        return UNKNOWN
    early = 1 - beats.rr_s / usual_rr(np.where(beats.rr_s < rules.pause_s, beats.rr_s, np.nan))
    known = early[unread & np.isfinite(early)]
    return float(np.median(known)) if len(known) else UNKNOWN


def _added(term: Term, value: float) -> float:
    """What a feature adds to the log odds; nothing where it is not known."""
    return term.weight * (value - term.centre) / term.scale if np.isfinite(value) else 0.0


def _reasons(features: Mapping[str, float], added: Mapping[str, float]) -> tuple[str, ...]:
    """The features that add most to the doubt, in words; the weightiest alone where none adds much."""
    pushing = [name for name in sorted(added, key=added.__getitem__, reverse=True) if added[name] > 0]
    heavy = [name for name in pushing if added[name] >= REASON_FROM]
    return tuple(_reason(TERMS[name], features[name]) for name in (heavy or pushing[:1])[:MOST_REASONS])


def _reason(term: Term, value: float) -> str:
    words = term.high if value > term.centre else term.low
    share = next((name for least, name in SHARES if value >= least), "some")
    return words.format(share=share, percent=f"{100 * value:.1f} %")
