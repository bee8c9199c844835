"""Peaks are scipy's, of any series; which of equal ones stays does not depend on the machine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ecg_core.signals.peaks import find_peaks


def one_by_one(peak, height, distance):
    """The peaks that stay, taken from the highest on; of equal ones the last comes first."""
    kept = []
    for number in sorted(range(len(peak)), key=lambda number: (height[number], number), reverse=True):
        if all(abs(peak[number] - other) >= distance for other in kept):
            kept.append(int(peak[number]))
    return sorted(kept)


@settings(max_examples=300)
@given(st.lists(st.integers(0, 4), max_size=60), st.integers(1, 9), st.integers(0, 4))
def test_plateaus_and_ties_are_those_of_scipy_and_of_taking_one_by_one(values, distance, height):
    values = np.array(values, dtype=np.float32)
    peak, _ = signal.find_peaks(values, height=height)
    assert find_peaks(values, height=height).tolist() == peak.tolist()
    found = find_peaks(values, height=height, distance=distance)
    assert found.tolist() == one_by_one(peak, values[peak], distance)
    if len(np.unique(values[peak])) == len(peak):  # which of equal peaks scipy keeps depends on its sort
        assert found.tolist() == signal.find_peaks(values, height=height, distance=distance)[0].tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distance", [1, 2, 6, 50])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_peaks_of_noise_are_those_of_scipy(seed, distance, dtype):
    values = np.random.default_rng(seed).random(3000).astype(dtype)
    expected, _ = signal.find_peaks(values, height=0.3, distance=distance)
    assert find_peaks(values, height=0.3, distance=distance).tolist() == expected.tolist()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
def test_what_does_not_change_has_no_peak(n):
    assert len(find_peaks(np.ones(n), height=0.0, distance=3)) == 0
