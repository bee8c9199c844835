"""How far a count can be trusted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import make_beats

from ecg_core.rhythm.uncertainty import (
    THRESHOLDS,
    count_interval,
    counts_at_thresholds,
    expected_error_points,
    usual_per_day,
)


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


@given(st.lists(st.floats(0, 1, width=32), max_size=200))
def test_the_interval_includes_the_count_and_lies_within_what_is_possible(p):
    low, high = count_interval(beats_with(p), "V")
    n = sum(value > 0.5 for value in p)
    assert 0 <= low <= n <= high <= len(p)


def test_certain_probabilities_give_an_interval_without_width():
    assert count_interval(beats_with([1.0] * 40 + [0.0] * 60), "V") == (40, 40)


def test_less_certain_probabilities_widen_the_interval():
    narrow, wide = (count_interval(beats_with([p] * 2000 + [0.0] * 2000), "V") for p in (0.99, 0.7))
    assert wide[1] - wide[0] > narrow[1] - narrow[0]


def test_the_mean_of_the_draws_is_the_sum_of_the_probabilities():
    low, high = count_interval(beats_with([0.6] * 20_000), "V")
    assert low < 12_000 < high


def test_unusable_beats_are_in_no_count():
    beats = beats_with([1.0] * 10, usable=[True] * 4 + [False] * 6)
    assert counts_at_thresholds(beats, "V")[0][1] == 4
    assert count_interval(beats, "V")[1] == 4


@pytest.mark.parametrize(
    ("days", "points"), [(0.02, 2.9), (1, 2.9), (np.sqrt(7), 2.1), (7, 1.3), (10, 0.7), (14, 0.7), (0, 2.9)]
)
def test_the_error_of_a_length_is_the_published_one_or_interpolated(days, points):
    assert expected_error_points(days * 86_400) == pytest.approx(points)


@pytest.mark.parametrize(
    ("label", "age", "most"),
    [("V", 20, 149), ("V", 39, 149), ("V", 40, 254), ("V", 89, 1682), ("S", 60, 1063), ("S", 25, 131)],
)
def test_healthy_limits_are_those_of_the_age(label, age, most):
    assert usual_per_day(label, age) == most


@pytest.mark.parametrize("age", [None, 0, 19, 90, 120])
def test_where_no_healthy_limit_is_known_none_is_given(age):
    assert usual_per_day("V", age) is None
