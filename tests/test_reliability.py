"""Calibration on patients, and the measure of what it is worth."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import make_beats

from ecg_core.certainty import Calibration
from ecg_core.evaluation.reliability import BurdenInterval, measure_trust, summarise_trust
from ecg_core.labels import CLASSES, UNLABELLED
from ecg_core.rhythm.uncertainty import calibrate_probabilities, count_interval
from ecg_core.schema import Annotations
from ecg_core.training.reliability import calibration_record, conformal_quantile, fit_scaling, fit_spread

N_BEATS = 400


def patient(number, *, power, rng, database="made"):
    """Beats of N or V that are V by their probability, of which the network says a power: too sure, or too modest."""
    effect = rng.normal(0, 0.5)
    true = 1 / (1 + np.exp(-(rng.normal(-2, 2, N_BEATS) + effect)))
    said = true**power / (true**power + (1 - true) ** power)
    is_v = rng.random(N_BEATS) < true
    beats = make_beats([80] * N_BEATS, ["V" if p > 0.5 else "N" for p in said])
    probability = np.zeros((N_BEATS, len(CLASSES)), np.float32)
    probability[:, 2], probability[:, 0] = said, 1 - said
    marks = Annotations(beats.time_s, np.where(is_v, "V", "N"), np.full(N_BEATS, ""))
    return calibration_record(database, f"{database}/{number}", replace(beats, probability=probability), marks)


def patients(n, *, seed, power=2.0, database="made"):
    """So many of them."""
    rng = np.random.default_rng(seed)
    return [patient(i, power=power, rng=rng, database=database) for i in range(n)]


def calibrated_on(records):
    """The calibration by these records."""
    slope, offset = fit_scaling(records)
    spread = {label: fit_spread(records, label, slope, offset)[0] for label in "VS"}
    return Calibration(tuple(slope.tolist()), tuple(offset.tolist()), spread["V"], spread["S"], len(records), (), "")


def said_and_right(records, calibration):
    """Mean probability of V, and share of V, of the beats in bins of probability."""
    beats = [calibrate_probabilities(record.beats, calibration).probability[:, 2] for record in records]
    p, is_v = np.concatenate(beats), np.concatenate([record.code == 2 for record in records])
    bins = np.minimum((p * 5).astype(int), 4)
    return [(p[bins == i].mean(), is_v[bins == i].mean()) for i in range(5)]


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_too_sure_and_too_modest_probabilities_become_right_in_other_patients(power):
    calibration = calibrated_on(patients(60, seed=1, power=power))
    others = patients(60, seed=2, power=power)
    assert max(abs(said - right) for said, right in said_and_right(others, None)) > 0.1
    assert max(abs(said - right) for said, right in said_and_right(others, calibration)) < 0.06


def test_the_interval_holds_the_burden_of_95_per_cent_of_other_patients():
    calibration = calibrated_on(patients(100, seed=3))
    covered = []
    for record in patients(300, seed=4):
        low, high = count_interval(calibrate_probabilities(record.beats, calibration), "V", calibration)
        covered.append(low <= record.shares[2] * N_BEATS <= high)
    assert np.mean(covered) >= 0.93


def test_the_database_whose_patients_need_most_decides_and_one_of_few_patients_does_not():
    easy, hard = patients(40, seed=5, power=1.0), patients(40, seed=6, power=6.0, database="hard")
    slope, offset = np.ones(5, np.float32), np.zeros(5, np.float32)
    (_, factor), needed = fit_spread([*easy, *hard], "V", slope, offset)
    assert factor == needed["hard"] > needed["made"]
    few = fit_spread([*easy, *hard[:5]], "V", slope, offset)
    assert few == fit_spread(easy, "V", slope, offset)


@given(st.lists(st.floats(0, 10), min_size=20, max_size=60))
def test_the_conformal_quantile_is_the_order_statistic_of_the_textbook(values):
    n = len(values)
    rank = min(n, int(np.ceil(round(0.95 * (n + 1), 9))))
    found = conformal_quantile(np.array(values), np.ones(n), n_patients=n)
    assert found == sorted(values)[rank - 1]


def test_marks_at_the_onset_of_the_qrs_are_moved_to_the_beats():
    beats = make_beats([80] * 50, "NV" * 25)
    early = Annotations(beats.time_s - 0.14, beats.label, np.full(50, ""))
    assert calibration_record("made", "made/1", beats, early).code.tolist() == [0, 2] * 25


def test_a_beat_that_the_reference_does_not_mark_is_of_no_class():
    beats = make_beats([80] * 10, "N" * 10)
    marks = Annotations(beats.time_s[1:], beats.label[1:], np.full(9, ""))
    assert calibration_record("made", "made/1", beats, marks).code.tolist() == [UNLABELLED] + [0] * 9


def analysis_of(beats):
    """As much of an analysis as trust is measured on."""
    burden = SimpleNamespace(
        v=SimpleNamespace(label="V", burden_pct=10.0, interval_pct=(5.0, 30.0)),
        s=SimpleNamespace(label="S", burden_pct=0.0, interval_pct=(0.0, 1.0)),
    )
    return SimpleNamespace(beats=beats, burden=burden)


def test_said_and_right_are_those_of_a_plain_count_over_usable_beats():
    n, rng = 3000, np.random.default_rng(7)
    beats = make_beats([80] * n, "N" * n, usable=rng.random(n) < 0.8)
    probability = rng.dirichlet(np.ones(5), n).astype(np.float32)
    marks = Annotations(beats.time_s, rng.choice(["N", "A", "V"], n), np.full(n, ""))
    trust = measure_trust(analysis_of(replace(beats, probability=probability)), marks)
    found = summarise_trust([trust])["reliability"]["V"]
    p = probability[beats.usable, 2].astype(float)
    is_v = marks.symbol[beats.usable] == "V"
    plain = [(p >= i / 10) & (p < (i + 1) / 10) for i in range(10)]
    expected = [(int(b.sum()), p[b].mean(), is_v[b].mean()) for b in plain if b.sum() >= 200]
    assert [row["beats"] for row in found] == [row[0] for row in expected]
    for row, (_, said, right) in zip(found, expected, strict=True):
        assert (row["said"], row["right"]) == pytest.approx((said, right), abs=1e-4)


def test_a_burden_is_covered_if_the_reference_lies_in_its_interval():
    beats = make_beats([80] * 20, "NV" * 10)
    marks = Annotations(beats.time_s, np.array(["N"] * 15 + ["V"] * 4 + ["A"]), np.full(20, ""))
    coverage = summarise_trust([measure_trust(analysis_of(beats), marks)])["coverage"]
    assert coverage["V"] == {"records": 1, "covered": 1, "median_width_points": 25.0}  # 20 %, in 5 to 30 %
    assert coverage["S"]["covered"] == 0  # 5 %, not in 0 to 1 %


def test_a_burden_without_interval_is_not_counted():
    assert not BurdenInterval("V", 1.0, float("nan"), float("nan"), 1.0).is_covered
