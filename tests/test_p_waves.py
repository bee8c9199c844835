"""A P wave repeats before the QRS; noise does not."""

import numpy as np
import pytest
from support.strategies import make_beats

from ecg_core.rhythm.p_waves import COMPARED_BEATS, FEWEST_BEATS, before_qrs, p_correlation, repeating_fraction

N = 200


def segments(*, height, noise=0.1, n=N, n_leads=1, seed=0):
    rng = np.random.default_rng(seed)
    wave = height * np.exp(-0.5 * ((np.arange(22) - 10) / 3) ** 2)
    return (wave + noise * rng.normal(size=(n, n_leads, 22))).astype(np.float32)


def beats(labels="N" * N, **more):
    return make_beats([80] * len(labels), labels, **more)


def test_a_p_wave_repeats_and_noise_does_not():
    assert repeating_fraction(segments(height=0.3), beats()).min() > 0.5
    assert repeating_fraction(segments(height=0.0), beats()).max() < 0.06


def test_the_lead_with_the_clearest_p_wave_counts():
    both = np.concatenate([segments(height=0.0), segments(height=0.3, seed=1)], axis=1)
    np.testing.assert_allclose(repeating_fraction(both, beats()), repeating_fraction(both[:, 1:], beats()))


def test_the_fraction_falls_where_the_p_waves_end():
    both = np.concatenate([segments(height=0.3, n=100), segments(height=0.0, n=100)])
    found = repeating_fraction(both, beats())
    assert found[:70].min() > 0.5
    assert found[130:].max() < 0.06


def test_ectopic_beats_are_interpolated_between_the_normal_ones():
    labels = ("NNNV" * 50)[:N]
    wild = segments(height=0.3)
    wild[np.array(list(labels)) == "V"] = 5.0
    assert repeating_fraction(wild, beats(labels)).min() > 0.5


@pytest.mark.parametrize("n", [0, 1, FEWEST_BEATS - 1])
def test_too_few_normal_beats_give_nan(n):
    assert np.isnan(repeating_fraction(segments(height=0.3, n=n), beats("N" * n))).all()
    assert len(repeating_fraction(segments(height=0.3, n=n), beats("N" * n))) == n


def test_segments_are_the_signal_before_the_qrs_without_its_slope():
    ramp = np.linspace(0, 10, 1000, dtype=np.float32)[None]
    np.testing.assert_allclose(before_qrs(ramp, np.array([500.0])), 0, atol=1e-5)
    bump = np.zeros((2, 1000), dtype=np.float32)
    bump[1, 480] = 1.0
    found = before_qrs(bump, np.array([500.0, 0.0, 999.0]))
    assert found.shape == (3, 2, 22)
    assert found[0, 1].argmax() == 480 - (500 - 30)
    assert not found[[1, 2]].any()


def test_the_correlation_falls_where_another_p_wave_begins_and_only_there():
    both = np.concatenate([segments(height=0.3, n=50), -segments(height=0.3, n=50, seed=1)])
    found = p_correlation(both)
    assert found[50] < -0.5
    assert np.delete(found[10:-10], np.arange(40 - COMPARED_BEATS, 41 + COMPARED_BEATS)).min() > 0.5
    assert np.isnan(found[:COMPARED_BEATS]).all()
    assert not np.isnan(found[COMPARED_BEATS : 101 - COMPARED_BEATS]).any()


@pytest.mark.parametrize("n", [0, 1, 2 * COMPARED_BEATS - 1])
def test_too_few_beats_have_no_correlation(n):
    assert np.isnan(p_correlation(segments(height=0.3, n=n))).all()
