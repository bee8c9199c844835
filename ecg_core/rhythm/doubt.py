"""How uncertain the count of S is in a recording, and why, in words.

Supraventricular ectopy is found by prematurity and by the P wave. Where sinus rhythm is irregular by itself, where the
classifier finds beats nearly as probable to be S as not, or where S are many, the count can be far off while it looks
like any other. A logistic of what is seen in the recording says how probable that is. What a reader has labelled is
certain: the doubt falls with every S beat that is labelled or accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from ..certainty import SDoubt
from ..labels import CLASSES
from ..rules import RhythmRules
from ..schema import Beats, Bool
from .intervals import nn_intervals
from .uncertainty import expected_share

# Score from which on the count is stated as uncertain. Chosen in the cross-validation of the weights: most of the wrong
# counts have it, and few of the right ones.
UNCERTAIN_FROM: Final = 0.3
MAY_BE_S: Final = 0.3  # probability of S from which on a beat of another class may be one
MIN_NN: Final = 10  # pairs of successive NN from which on their spread is measured
REASON_FROM: Final = 0.3  # of the log odds: a term that adds less is no reason
LEAST_SHARE: Final = 0.001  # of the beats, on the scale of the logarithm: shares far below it are as good as none
UNKNOWN: Final = float("nan")


class Term(NamedTuple):
    """What a feature adds to the log odds of doubt: weight * (value on its scale - centre) / scale."""

    weight: float  # above 0
    centre: float
    scale: float
    reason: str  # in words, where a value above the centre adds to the doubt
    is_share: bool = True  # of the beats: its scale is the logarithm

    def on_scale(self, value: float) -> float:
        """The value, or the logarithm of a share; NaN where it is not known."""
        return float(np.log(value + LEAST_SHARE)) if self.is_share else value

    def added(self, value: float) -> float:
        """What a value adds to the log odds; nothing where it is not known."""
        return self.weight * (self.on_scale(value) - self.centre) / self.scale if np.isfinite(value) else 0.0


# By ``python -m models.doubt``: centre and scale are mean and standard deviation over the recordings of the fit, and
# the constant is for a recording whose features lie at their centres.
CONSTANT: Final = -3.889
TERMS: Final[Mapping[str, Term]] = {
    "s_in_doubt": Term(0.594, -5.015, 0.93, "{percent} of all beats may or may not be S"),
    "s_share": Term(0.675, -5.56, 1.673, "S beats are frequent"),
    "sinus_arrhythmia": Term(1.133, 0.046, 0.049, "sinus arrhythmia or other irregular RR", is_share=False),
}


def s_doubt(beats: Beats, rules: RhythmRules) -> SDoubt | None:
    """How probable it is that the SVE burden, by the beats as they are counted, is off by more than a point.

    None without usable beats, of which there is no burden.
    """
    if not beats.usable.any():
        return None
    features = doubt_features(beats, rules)
    added = {name: term.added(features[name]) for name, term in TERMS.items()}
    odds = CONSTANT + sum(added.values())
    return SDoubt(float(open_share(beats) / (1 + np.exp(-odds))), _reasons(features, added))


def is_uncertain(doubt: SDoubt | None) -> bool:
    """Whether the count is stated as uncertain, so that a reader reviews the S beats before it is used."""
    return doubt is not None and doubt.score >= UNCERTAIN_FROM


def doubt_features(beats: Beats, rules: RhythmRules) -> dict[str, float]:
    """What is seen of S in a recording with usable beats, by the names of TERMS; NaN where it cannot be measured.

    Parameters
    ----------
    beats
        As they are counted, with calibrated probabilities.

    """
    is_s = (beats.label == "S") & beats.usable
    return {
        "s_in_doubt": expected_share(beats, "S")[1],
        "s_share": float(is_s.sum() / beats.usable.sum()),
        "sinus_arrhythmia": _sinus_arrhythmia(beats, rules),
    }


def open_share(beats: Beats) -> float:
    """Share of the beats that are S, or may well be, that no reader labelled; 0 where there are none."""
    probable = beats.probability[:, CLASSES.index("S")] >= MAY_BE_S
    candidates = ((beats.label == "S") | probable) & beats.usable
    return float((candidates & ~_is_certain(beats)).sum() / candidates.sum()) if candidates.any() else 0.0


def _is_certain(beats: Beats) -> Bool:
    """Whether a reader labelled each beat: no other probability is 1."""
    return np.asarray((beats.probability >= 1.0).any(axis=1))


def _sinus_arrhythmia(beats: Beats, rules: RhythmRules) -> float:
    """Standard deviation of the log ratio of successive NN."""
    is_nn = np.zeros(len(beats), dtype=bool)
    is_nn[nn_intervals(beats, rules)] = True
    second = np.flatnonzero(is_nn[1:] & is_nn[:-1]) + 1
    if len(second) < MIN_NN:
        return UNKNOWN
    return float(np.log(beats.rr_s[second] / beats.rr_s[second - 1]).std())


def _reasons(features: Mapping[str, float], added: Mapping[str, float]) -> tuple[str, ...]:
    """The features that add most to the doubt, in words; the weightiest alone where none adds much."""
    pushing = [name for name in sorted(added, key=added.__getitem__, reverse=True) if added[name] > 0]
    heavy = [name for name in pushing if added[name] >= REASON_FROM]
    return tuple(TERMS[name].reason.format(percent=f"{100 * features[name]:.1f} %") for name in heavy or pushing[:1])
