"""How far a label and a count can be trusted: by what they were worth in other patients, and by the recording's length.

The probabilities that a network gives are those of its training. Calibrated ones say how often a beat like this one was
of the class in patients that it was not trained on: their logarithms are scaled and shifted class by class, and made to
add up to one (vector scaling, Guo 2017, doi:10.48550/arXiv.1706.04599). This changes no label, which is the class that
the network and the rules decided for. Where they decide for a rare class on purpose, another can be more probable.

Beats of one patient are right or wrong together, so no sum of their probabilities says how far a burden may be off. How
far it was off in other patients does: the interval is a conformal one (Lei 2018, doi:10.1080/01621459.2017.1307116).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ..certainty import Calibration
from ..labels import CLASSES
from ..schema import Beats, Float32, Float64

THRESHOLDS: Final = (0.3, 0.5, 0.7, 0.9, 0.97)
COVERED: Final = 0.95  # share of new patients whose true burden the interval holds
SMALLEST_PROBABILITY: Final = 1e-6  # so that its logarithm is finite: no network is more certain than this

DAY_S: Final = 86_400.0
# Expected error of a PVC burden against that of two weeks, in percentage points, by the length of the recording:
# Krumerman 2024. Of shorter recordings it is not known; longer ones are better than the last.
ERROR_POINTS: Final = ((1 * DAY_S, 2.9), (7 * DAY_S, 1.3), (10 * DAY_S, 0.7))
LEAST_OF_DAY: Final = 1 / 3  # of a day analysable, for the error of a day: less can be all night, or all of it work
# 97.5th percentile of ectopic beats a day in healthy people, by age: Hashimoto 2023.
USUAL_PER_DAY: Final = {
    "V": ((20, 39, 149.0), (40, 59, 254.0), (60, 89, 1682.0)),
    "S": ((20, 39, 131.0), (40, 59, 232.0), (60, 89, 1063.0)),
}


def calibrate_probabilities(beats: Beats, calibration: Calibration | None) -> Beats:
    """The beats with calibrated probabilities and the same labels; the same beats without a calibration."""
    if calibration is None:
        return beats
    slope, offset = (np.array(numbers, dtype=np.float32) for numbers in (calibration.slope, calibration.offset))
    return replace(beats, probability=scaled(beats.probability, slope, offset))


def scaled(probability: Float32, slope: Float32, offset: Float32) -> Float32:
    """Vector scaling of probabilities, shape (n, n_classes), by slope and offset of each class, shape (n_classes,)."""
    logits = np.array(probability.T, order="C")  # in rows, along which numpy is far faster, and changed in place
    np.log(np.maximum(logits, np.float32(SMALLEST_PROBABILITY), out=logits), out=logits)
    logits *= slope[:, None]
    logits += offset[:, None]
    raised = np.exp(logits - logits.max(axis=0, initial=-np.inf), out=logits)
    raised /= raised.sum(axis=0)
    return np.ascontiguousarray(raised.T, dtype=np.float32)


def counts_at_thresholds(beats: Beats, label: str) -> tuple[tuple[float, int], ...]:
    """Each of THRESHOLDS with the number of usable beats whose probability of a class reaches it."""
    probability = beats.probability[:, CLASSES.index(label)][beats.usable]
    return tuple((threshold, int(np.sum(probability >= np.float32(threshold)))) for threshold in THRESHOLDS)


def count_interval(beats: Beats, label: str, calibration: Calibration | None) -> tuple[float, float]:
    """Interval of the number of beats of V or S that holds the true one in the share COVERED of new patients.

    On the scale of the square root of the class's share of the beats, it reaches as far to both sides of the expected
    share as the calibration found necessary, the farther the more doubt there is. It is widened to whole beats and to
    the count itself. Without a calibration nothing is known: NaN.
    """
    if calibration is None:
        return float("nan"), float("nan")
    n, count = int(beats.usable.sum()), int(np.sum((beats.label == label) & beats.usable))
    if not n:
        return 0.0, 0.0
    floor, factor = calibration.v_spread if label == "V" else calibration.s_spread
    expected, doubt = expected_share(beats, label)
    is_certain = np.asarray((beats.probability >= 1.0).any(axis=1))  # only a reader's label is
    unlabelled = np.mean(~is_certain[beats.usable])
    reach = floor * np.sqrt(unlabelled) + factor * np.sqrt(doubt)
    low, high = max(np.sqrt(expected) - reach, 0.0) ** 2, min(np.sqrt(expected) + reach, 1.0) ** 2
    return float(min(np.floor(low * n), count)), float(max(np.ceil(high * n), count))


def expected_share(beats: Beats, label: str) -> tuple[float, float]:
    """Share of the usable beats expected to be of a class, and the share that is in doubt about it.

    Doubt about a beat is its probability of the class or of all others, whichever is less.
    """
    probability: Float64 = beats.probability[:, CLASSES.index(label)][beats.usable].astype(np.float64)
    return float(probability.mean()), float(np.minimum(probability, 1 - probability).mean())


def expected_error_points(duration_s: float, *, analysable_s: float) -> float:
    """Expected error of a PVC burden over this analysable time, in percentage points; see ERROR_POINTS.

    NaN for recordings shorter than a day, for which it was not measured, and with less than LEAST_OF_DAY analysable.
    """
    length_s, points = zip(*ERROR_POINTS, strict=True)
    if duration_s < length_s[0] or analysable_s < LEAST_OF_DAY * length_s[0]:
        return float("nan")
    return float(np.interp(np.log(max(analysable_s, 1.0)), np.log(length_s), points))


def usual_per_day(label: str, age_years: int | None) -> float | None:
    """97.5th percentile of ectopic beats a day in healthy people of this age; None where it is not known."""
    if age_years is None:
        return None
    return next((limit for low, high, limit in USUAL_PER_DAY[label] if low <= age_years <= high), None)
