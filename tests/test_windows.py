"""Extremes within windows are those that looking at each window alone gives."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter1d, median_filter, percentile_filter

from ecg_core.signals.windows import (
    maximum_within,
    minimum_within,
    running_median,
    sliding_maximum,
    sliding_rank,
    with_held_ends,
)


@pytest.mark.parametrize("seed", range(5))
def test_windows_may_overlap_leave_gaps_and_reach_the_end(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=200).astype(np.float32)
    first = rng.integers(0, 200, 50)
    after = np.minimum(first + rng.integers(1, 40, 50), 200)
    after[0] = 200
    pairs = list(zip(first, after, strict=True))
    assert maximum_within(values, first, after).tolist() == [values[a:b].max() for a, b in pairs]
    assert minimum_within(values, first, after).tolist() == [values[a:b].min() for a, b in pairs]


@pytest.mark.parametrize("width", [1, 2, 3, 16, 17, 18, 100])
def test_the_sliding_maximum_is_that_of_scipy_inside_the_edges(width):
    values = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)
    inside = maximum_filter1d(values, width, axis=1)[:, width // 2 :][:, : 101 - width]
    np.testing.assert_array_equal(sliding_maximum(values, width), inside)


@pytest.mark.parametrize("n", [1, 5, 200])
def test_ranks_around_each_value_are_scipys_percentiles(n):
    values = np.random.default_rng(n).integers(0, 9, n).astype(np.float64)
    for rank, pct in ((6, 10), (30, 50), (54, 90)):
        found = sliding_rank(with_held_ends(values, 61), 61, rank)
        np.testing.assert_array_equal(found, percentile_filter(values, pct, 61, mode="nearest"))


@pytest.mark.parametrize("width", [11, 31, 201])
@pytest.mark.parametrize(("ends", "by_scipy"), [("edge", "nearest"), ("symmetric", "reflect"), ("reflect", "mirror")])
def test_the_running_median_is_that_of_scipy(width, ends, by_scipy):
    rng = np.random.default_rng(width)
    for values in (rng.normal(size=400), rng.integers(0, 5, 300).astype(float), np.array([1.0, 3.0, 2.0])):
        if ends != "reflect" or len(values) > 3:
            expected = median_filter(values, width, mode=by_scipy)
            np.testing.assert_array_equal(running_median(values, width, ends=ends), expected)
