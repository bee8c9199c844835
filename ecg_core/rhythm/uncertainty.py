"""How far a count can be trusted: what the classifier itself leaves open, and what one recording can tell."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..labels import CLASSES
from ..schema import Beats

THRESHOLDS: Final = (0.3, 0.5, 0.7, 0.9, 0.97)
DRAWS = 400
INTERVAL = (2.5, 97.5)  # percentiles
SHARED_S = 60.0  # beats of one minute look alike, so that the classifier is right or wrong about all of them
LEVELS = 200

DAY_S: Final = 86_400.0
# Expected error of a PVC burden against two weeks of recording, in points, by the length of the recording:
# Krumerman 2024. Shorter recordings are worse than the first, longer ones better than the last.
ERROR_POINTS: Final = ((1 * DAY_S, 2.9), (7 * DAY_S, 1.3), (10 * DAY_S, 0.7))
# 97.5th percentile of ectopic beats a day in healthy people, by age: Hashimoto 2023.
USUAL_PER_DAY: Final = {
    "V": ((20, 39, 149.0), (40, 59, 254.0), (60, 89, 1682.0)),
    "S": ((20, 39, 131.0), (40, 59, 232.0), (60, 89, 1063.0)),
}


def counts_at_thresholds(beats: Beats, label: str) -> tuple[tuple[float, int], ...]:
    """How many beats have at least each of some probabilities of being of a class."""
    probability = beats.probability[beats.usable, CLASSES.index(label)]
    return tuple((threshold, int(np.sum(probability >= np.float32(threshold)))) for threshold in THRESHOLDS)


def count_interval(beats: Beats, label: str) -> tuple[float, float]:
    """Interval of 95 % of the number of beats of a class, by the classifier's own probabilities.

    In each of many draws, each minute is judged more or less strictly at random: a beat is of the class if its
    probability exceeds a uniform random number that the beats of the minute share. The interval is made to hold the
    count itself. Says nothing of errors that the classifier is sure of.
    """
    probability = beats.probability[beats.usable, CLASSES.index(label)]
    if not len(probability):
        return 0.0, 0.0
    minute = (beats.time_s[beats.usable] / SHARED_S).astype(int)
    n_minutes = int(minute.max()) + 1
    level = np.minimum((probability * LEVELS).astype(int), LEVELS - 1)
    held = np.bincount(minute * LEVELS + level, minlength=n_minutes * LEVELS).reshape(n_minutes, LEVELS)
    reached = held[:, ::-1].cumsum(axis=1)[:, ::-1]  # beats of each minute at or above each level
    drawn = np.random.default_rng(0).integers(1, LEVELS, size=(DRAWS, n_minutes))
    count = reached[np.arange(n_minutes), drawn].sum(axis=1)
    low, high = np.percentile(count, INTERVAL)
    counted = np.sum((beats.label == label) & beats.usable)
    return float(min(low, counted)), float(max(high, counted))


def expected_error_points(duration_s: float) -> float:
    """Expected error of a PVC burden, in points, for the length of the recording; see ERROR_POINTS."""
    length_s, points = zip(*ERROR_POINTS, strict=True)
    return float(np.interp(np.log(max(duration_s, 1.0)), np.log(length_s), points))


def usual_per_day(label: str, age_years: int | None) -> float | None:
    """Ectopic beats a day that 97.5 % of healthy people of this age stay below; None where it is not known."""
    if age_years is None:
        return None
    return next((most for low, high, most in USUAL_PER_DAY[label] if low <= age_years <= high), None)
