"""How far a count can be trusted: by the classifier's probabilities, and by the length of the recording."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..labels import CLASSES
from ..schema import Beats

THRESHOLDS: Final = (0.3, 0.5, 0.7, 0.9, 0.97)
N_DRAWS = 400  # enough for the percentiles below to be stable
INTERVAL_PCT = (2.5, 97.5)  # percentiles that bound an interval of 95 %
CORRELATED_S = 60.0  # beats of one minute look alike, so that the classifier is right or wrong about all of them
N_LEVELS = 200  # steps of probability that a draw distinguishes

DAY_S: Final = 86_400.0
# Expected error of a PVC burden against that of two weeks, in percentage points, by the length of the recording:
# Krumerman 2024. Shorter recordings are worse than the first, longer ones better than the last.
ERROR_POINTS: Final = ((1 * DAY_S, 2.9), (7 * DAY_S, 1.3), (10 * DAY_S, 0.7))
# 97.5th percentile of ectopic beats a day in healthy people, by age: Hashimoto 2023.
USUAL_PER_DAY: Final = {
    "V": ((20, 39, 149.0), (40, 59, 254.0), (60, 89, 1682.0)),
    "S": ((20, 39, 131.0), (40, 59, 232.0), (60, 89, 1063.0)),
}


def counts_at_thresholds(beats: Beats, label: str) -> tuple[tuple[float, int], ...]:
    """Each of THRESHOLDS with the number of usable beats whose probability of a class reaches it."""
    probability = beats.probability[beats.usable, CLASSES.index(label)]
    return tuple((threshold, int(np.sum(probability >= np.float32(threshold)))) for threshold in THRESHOLDS)


def count_interval(beats: Beats, label: str) -> tuple[float, float]:
    """Interval of 95 % of the number of beats of a class, by the classifier's probabilities.

    In each of N_DRAWS draws, each minute gets a random threshold: its beats are of the class if their probability
    reaches it. The interval is widened to include the count itself. It does not cover errors of which the classifier
    is certain.
    """
    probability = beats.probability[beats.usable, CLASSES.index(label)]
    if not len(probability):
        return 0.0, 0.0
    minute = (beats.time_s[beats.usable] / CORRELATED_S).astype(int)
    n_minutes = int(minute.max()) + 1
    level = np.minimum((probability * N_LEVELS).astype(int), N_LEVELS - 1)
    at_level = np.bincount(minute * N_LEVELS + level, minlength=n_minutes * N_LEVELS).reshape(n_minutes, N_LEVELS)
    reaching = at_level[:, ::-1].cumsum(axis=1)[:, ::-1]  # beats of each minute at or above each level
    threshold = np.random.default_rng(0).integers(1, N_LEVELS, size=(N_DRAWS, n_minutes))
    drawn = reaching[np.arange(n_minutes), threshold].sum(axis=1)
    low, high = np.percentile(drawn, INTERVAL_PCT)
    count = np.sum((beats.label == label) & beats.usable)
    return float(min(low, count)), float(max(high, count))


def expected_error_points(duration_s: float) -> float:
    """Expected error of a PVC burden over this length, in percentage points; see ERROR_POINTS."""
    length_s, points = zip(*ERROR_POINTS, strict=True)
    return float(np.interp(np.log(max(duration_s, 1.0)), np.log(length_s), points))


def usual_per_day(label: str, age_years: int | None) -> float | None:
    """97.5th percentile of ectopic beats a day in healthy people of this age; None where it is not known."""
    if age_years is None:
        return None
    return next((limit for low, high, limit in USUAL_PER_DAY[label] if low <= age_years <= high), None)
