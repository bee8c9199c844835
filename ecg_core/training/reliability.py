"""Calibration of a model's probabilities and of the interval of a burden, fitted to patients with reference beats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from ..labels import CLASSES, UNLABELLED, Codes, class_codes
from ..rhythm.uncertainty import COVERED, SMALLEST_PROBABILITY, expected_share, scaled
from ..schema import Annotations, Beats, Bool, Float32, Float64, FrozenArrays

MOST_BEATS = 2500.0  # of a patient count fully, half an hour's; of more, each counts less
RIDGE = 1e-4  # pull of slope and offset towards 1 and 0: F and Q are rare
MIN_PATIENTS = 20  # of a database, that the farthest of them shows what 95 % of its patients need
FLOORS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)  # tried as floor of the spread, as a part of its factor
WHOLE_BEAT = 1.0  # an interval is widened to whole beats


@dataclass(frozen=True, eq=False)
class CalibrationRecord(FrozenArrays):
    """The beats of a record, as an uncalibrated model classifies them, with what the reference says of them."""

    database: str
    patient: str
    beats: Beats
    code: Codes  # (n_beats,), index of the reference's class in CLASSES, UNLABELLED where it marks no beat
    shares: tuple[float, ...]  # of each class among the reference beats, in the order of CLASSES
    weight: float = 1.0  # less than 1 where other records stand for the same beats


def calibration_record(
    database: str, patient: str, beats: Beats, reference: Annotations, *, weight: float = 1.0
) -> CalibrationRecord:
    """A record's beats with the reference's classes; marks of the QRS onset are moved to where the beats are."""
    known = class_codes(reference.symbol)
    marks_s = reference.time_s[known != UNLABELLED]
    moved = replace(reference, time_s=reference.time_s + _offset_s(marks_s, beats.time_s))
    count = np.bincount(known[known != UNLABELLED], minlength=len(CLASSES))
    shares = tuple((count / max(1, count.sum())).tolist())
    return CalibrationRecord(database, patient, beats, moved.codes_at(beats.time_s), shares, weight)


def _offset_s(marks_s: Float64, beats_s: Float64) -> float:
    """Median distance of the beats from the marks nearest to them."""
    if not len(marks_s) or not len(beats_s):
        return 0.0
    after = np.clip(np.searchsorted(marks_s, beats_s), 1, len(marks_s) - 1) if len(marks_s) > 1 else np.zeros(1, int)
    neighbours = np.stack([marks_s[after - 1], marks_s[after]])
    distance_s = beats_s - neighbours
    return float(np.median(np.take_along_axis(distance_s, np.abs(distance_s).argmin(axis=0)[None], axis=0)))


def fit_scaling(records: Sequence[CalibrationRecord]) -> tuple[Float32, Float32]:
    """Slope and offset of each class, shapes (n_classes,), by the likelihood of the reference's classes.

    Every beat counts the same, but of a patient no more than MOST_BEATS; a beat that the reference does not mark counts
    as Q.
    """
    log_p, code, weight = (np.concatenate(part) for part in zip(*_beats_of(records), strict=True))
    start = np.concatenate([np.ones(len(CLASSES)), np.zeros(len(CLASSES))])

    def loss(numbers: Float64) -> tuple[float, Float64]:
        slope, offset = np.split(numbers, 2)
        logits = slope * log_p + offset
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        rows = np.arange(len(code))
        value = -float(weight @ np.log(np.maximum(p[rows, code], SMALLEST_PROBABILITY**2)))
        p[rows, code] -= 1
        p *= weight[:, None]
        away = numbers - start
        gradient = np.concatenate([(p * log_p).sum(axis=0), p.sum(axis=0)]) + 2 * RIDGE * away
        return value + RIDGE * float(away @ away), gradient

    found = minimize(loss, start, jac=True, method="L-BFGS-B").x.astype(np.float32)
    return found[: len(CLASSES)], found[len(CLASSES) :]


def _beats_of(records: Sequence[CalibrationRecord]) -> list[tuple[Float64, Codes, Float64]]:
    """Logarithms of the probabilities, reference classes and weights of each record's usable beats."""
    n_beats: dict[str, float] = defaultdict(float)
    for record in records:
        n_beats[record.patient] += record.weight * float(record.beats.usable.sum())
    total = sum(min(n, MOST_BEATS) for n in n_beats.values())
    parts = []
    for record in records:
        usable = record.beats.usable
        log_p = np.log(np.maximum(record.beats.probability[usable].astype(np.float64), SMALLEST_PROBABILITY))
        code = np.where(record.code == UNLABELLED, CLASSES.index("Q"), record.code)[usable]
        each = record.weight * min(1.0, MOST_BEATS / max(n_beats[record.patient], 1.0)) / total
        parts.append((log_p, code, np.full(len(code), each)))
    return parts


def fit_spread(
    records: Sequence[CalibrationRecord], label: str, slope: Float32, offset: Float32
) -> tuple[tuple[float, float], dict[str, float]]:
    """Floor and factor of the spread of a class's burden between patients, and the factor that each database needs.

    The factor is a conformal quantile: in each database of MIN_PATIENTS or more, the share COVERED of its patients, and
    of one more, lies inside. The database that needs most decides, for a new patient comes from none of them. Of the
    floors, that with the narrowest intervals is chosen.
    """
    rows = np.array([_spread_row(record, label, slope, offset) for record in records])
    weight, groups = _patient_weights(records)
    tried = []
    for floor in FLOORS:
        expected, doubt, apart = rows.T
        unit = floor + np.sqrt(doubt)
        needed = {
            name: conformal_quantile((apart / unit)[of_group], weight[of_group], n_patients=n)
            for name, (of_group, n) in groups.items()
        }
        factor = max(needed.values())
        reach = factor * unit
        low, high = np.maximum(np.sqrt(expected) - reach, 0) ** 2, np.minimum(np.sqrt(expected) + reach, 1) ** 2
        width = np.mean([np.average((high - low)[chosen], weights=weight[chosen]) for chosen, _ in groups.values()])
        tried.append((float(width), (floor * factor, factor), needed))
    _, spread, needed = min(tried, key=lambda trial: trial[0])
    return spread, needed


def _spread_row(record: CalibrationRecord, label: str, slope: Float32, offset: Float32) -> tuple[float, float, float]:
    """Expected share, doubt, and how far the true share lies outside what the interval holds at no spread."""
    usable = record.beats.usable
    n = int(usable.sum())
    if not n:
        return 0.0, 0.0, 0.0
    beats = replace(record.beats, probability=scaled(record.beats.probability, slope, offset))
    expected, doubt = expected_share(beats, label)
    count = float(np.sum((beats.label == label) & usable))
    true = record.shares[CLASSES.index(label)]
    low, high = sorted((count, expected * n))
    if low - WHOLE_BEAT < true * n < high + WHOLE_BEAT:
        return expected, doubt, 0.0
    return expected, doubt, abs(float(np.sqrt(true) - np.sqrt(expected)))


def _patient_weights(records: Sequence[CalibrationRecord]) -> tuple[Float64, dict[str, tuple[Bool, int]]]:
    """Weight of each record, by which every patient counts the same; and which records a database has, of how many."""
    total: dict[str, float] = defaultdict(float)
    for record in records:
        total[record.patient] += record.weight
    weight = np.array([record.weight / total[record.patient] for record in records])
    database = np.array([record.database for record in records])
    groups = {}
    for name in sorted(set(database.tolist())):
        n_patients = len({record.patient for record in records if record.database == name})
        if n_patients >= MIN_PATIENTS:
            groups[name] = (database == name, n_patients)
    return weight, groups


def conformal_quantile(needed: Float64, weight: Float64, *, n_patients: int) -> float:
    """What the share COVERED of the patients and of one more needs, by weighted records."""
    order = np.argsort(needed, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    level = min(1.0, COVERED * (n_patients + 1) / n_patients)
    return float(needed[order][min(int(np.searchsorted(reached, level - 1e-9)), len(order) - 1)])
