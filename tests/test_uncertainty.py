"""How far a count can be trusted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import make_beats

from ecg_core.certainty import Calibration
from ecg_core.rhythm.uncertainty import (
    THRESHOLDS,
    calibrate_probabilities,
    count_interval,
    counts_at_thresholds,
    expected_error_points,
    usual_per_day,
)

CALIBRATION = Calibration(
    slope=(0.8, 0.6, 1.2, 1.0, 1.5), offset=(0.6, -1.2, -0.3, 0.2, 0.8), v_spread=(0.02, 1.0), s_spread=(0.01, 1.2),
    n_patients=100, fitted_on=("made",), recipe="by hand",
)  # fmt: skip


def beats_with(probability_of_v, *, usable=None):
    """Beats a second apart with given probabilities of V."""
    p = np.asarray(probability_of_v, dtype=np.float32)
    labels = "".join("V" if value > 0.5 else "N" for value in p)
    beats = make_beats([100] * len(p), labels, usable=usable)
    probability = np.zeros((len(p), 5), dtype=np.float32)
    probability[:, 2], probability[:, 0] = p, 1 - p
    return replace(beats, probability=probability)


@given(st.lists(st.floats(0, 1, width=32), max_size=200))
def test_counts_fall_with_the_threshold_and_are_those_of_a_plain_count(p):
    counts = counts_at_thresholds(beats_with(p), "V")
    assert [threshold for threshold, _ in counts] == list(THRESHOLDS)
    assert [n for _, n in counts] == [sum(value >= np.float32(t) for value in p) for t in THRESHOLDS]
    assert [n for _, n in counts] == sorted((n for _, n in counts), reverse=True)


@given(st.lists(st.floats(0, 1, width=32), max_size=200), st.sampled_from("VS"))
def test_the_interval_includes_the_count_and_lies_within_what_is_possible(p, label):
    beats = beats_with(p)
    low, high = count_interval(beats, label, CALIBRATION)
    assert 0 <= low <= np.sum(beats.label == label) <= high <= len(p)


def test_without_calibration_there_is_no_interval():
    assert np.isnan(count_interval(beats_with([0.2, 0.9]), "V", None)).all()


def test_a_reader_who_labelled_all_beats_leaves_no_doubt():
    assert count_interval(beats_with([1.0] * 40 + [0.0] * 60), "V", CALIBRATION) == (40, 40)


def test_without_a_beat_of_the_class_the_interval_begins_at_zero_and_holds_what_may_be_missed():
    low, high = count_interval(beats_with([0.01] * 1000), "V", CALIBRATION)
    assert low == 0
    assert 10 < high < 200


def test_more_doubt_widens_the_interval():
    narrow, wide = (count_interval(beats_with([p] * 2000 + [0.0] * 2000), "V", CALIBRATION) for p in (0.99, 0.7))
    assert wide[1] - wide[0] > narrow[1] - narrow[0]


def test_the_interval_lies_around_the_expected_count_even_where_no_beat_has_the_label():
    low, high = count_interval(beats_with([0.4] * 2000), "V", CALIBRATION)
    assert low == 0  # the count itself is none
    assert high > 800


def test_unusable_beats_are_in_no_count():
    beats = beats_with([1.0] * 10, usable=[True] * 4 + [False] * 6)
    assert counts_at_thresholds(beats, "V")[0][1] == 4
    assert count_interval(beats, "V", CALIBRATION)[1] == 4


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50))
def test_calibrated_probabilities_are_those_of_vector_scaling_and_change_no_label(p):
    beats = beats_with(p)
    found = calibrate_probabilities(beats, CALIBRATION)
    assert found.label.tolist() == beats.label.tolist()
    for before, after in zip(beats.probability.astype(float), found.probability, strict=True):
        powers = np.maximum(before, 1e-6) ** CALIBRATION.slope * np.exp(CALIBRATION.offset)
        assert after == pytest.approx(powers / powers.sum(), abs=1e-5)


def test_a_higher_probability_among_the_same_others_stays_higher():
    p = np.linspace(0, 1, 50)
    assert (np.diff(calibrate_probabilities(beats_with(p), CALIBRATION).probability[:, 2]) > 0).all()


def test_without_calibration_probabilities_stay_and_without_beats_nothing_fails():
    beats = beats_with([0.3, 0.6])
    assert calibrate_probabilities(beats, None) is beats
    assert len(calibrate_probabilities(beats_with([]), CALIBRATION)) == 0


@pytest.mark.parametrize(("days", "points"), [(1, 2.9), (np.sqrt(7), 2.1), (7, 1.3), (10, 0.7), (14, 0.7)])
def test_the_error_of_a_length_is_the_published_one_or_interpolated(days, points):
    assert expected_error_points(days * 86_400, analysable_s=days * 86_400) == pytest.approx(points)


def test_the_error_of_a_length_is_not_given_below_the_lengths_it_was_measured_for():
    assert np.isnan(expected_error_points(86_399, analysable_s=86_399))
    assert expected_error_points(86_400, analysable_s=40_000) == 2.9
    assert expected_error_points(86_400, analysable_s=28_800) == 2.9
    assert np.isnan(expected_error_points(86_400, analysable_s=28_799))
    assert np.isnan(expected_error_points(14 * 86_400, analysable_s=600))


@pytest.mark.parametrize(
    ("label", "age", "most"),
    [("V", 20, 149), ("V", 39, 149), ("V", 40, 254), ("V", 89, 1682), ("S", 60, 1063), ("S", 25, 131)],
)
def test_healthy_limits_are_those_of_the_age(label, age, most):
    assert usual_per_day(label, age) == most


@pytest.mark.parametrize("age", [None, 0, 19, 90, 120])
def test_where_no_healthy_limit_is_known_none_is_given(age):
    assert usual_per_day("V", age) is None
