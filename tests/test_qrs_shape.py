"""The correlation of a QRS with the one before is that of the two signals, at the shift where they agree best."""

from itertools import pairwise

import numpy as np
import pytest

from ecg_core.rhythm.qrs_shape import MARGIN, SHIFTS, qrs_correlation


def centred(segment):
    return segment - segment.mean(axis=1, keepdims=True)


def one_by_one(segments):
    """The correlations, beat by beat and shift by shift."""
    width = segments.shape[2] - 2 * MARGIN
    for before, after in pairwise(segments):
        first = centred(before[:, MARGIN : MARGIN + width])
        moved = [centred(after[:, MARGIN + shift : MARGIN + shift + width]) for shift in SHIFTS]
        yield max((first * other).sum() / np.sqrt((first**2).sum() * (other**2).sum()) for other in moved)


@pytest.mark.parametrize("n_leads", [1, 2, 12])
@pytest.mark.parametrize("level", [0.0, 4.0])
def test_it_is_that_of_each_pair_of_beats(n_leads, level):
    rng = np.random.default_rng(n_leads)
    segments = (level + rng.normal(size=(50, n_leads, 38)).cumsum(axis=2)).astype(np.float32)
    found = qrs_correlation(segments)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:], list(one_by_one(segments.astype(np.float64))), atol=1e-6)


def test_a_flat_signal_correlates_with_nothing():
    assert np.abs(qrs_correlation(np.full((3, 1, 38), 5.0, dtype=np.float32))[1:]).max() < 1e-3


def test_a_beat_alone_has_none_before():
    assert np.isnan(qrs_correlation(np.zeros((1, 1, 38), dtype=np.float32))).all()
