"""What repeats before the QRS, and what does not."""

import numpy as np
import pytest
from support.strategies import make_beats

from ecg_core.rhythm.p_waves import AT_ONCE, before_qrs, repeating

N = 200


def pieces(*, height, noise=0.1, n=N, n_leads=1, seed=0):
    rng = np.random.default_rng(seed)
    wave = height * np.exp(-0.5 * ((np.arange(22) - 10) / 3) ** 2)
    return (wave + noise * rng.normal(size=(n, n_leads, 22))).astype(np.float32)


def beats(labels="N" * N, **more):
    return make_beats([80] * len(labels), labels, **more)


def test_a_p_wave_repeats_and_noise_does_not():
    assert repeating(pieces(height=0.3), beats()).min() > 0.5
    assert repeating(pieces(height=0.0), beats()).max() < 0.06


def test_the_lead_that_shows_the_p_wave_counts():
    both = np.concatenate([pieces(height=0.0), pieces(height=0.3, seed=1)], axis=1)
    np.testing.assert_allclose(repeating(both, beats()), repeating(both[:, 1:], beats()))


def test_where_the_p_waves_end_so_does_what_repeats():
    both = np.concatenate([pieces(height=0.3, n=100), pieces(height=0.0, n=100)])
    found = repeating(both, beats())
    assert found[:70].min() > 0.5
    assert found[130:].max() < 0.06


def test_ectopic_and_unreadable_beats_have_what_lies_between_their_neighbours():
    labels = ("NNNV" * 50)[:N]
    wild = pieces(height=0.3)
    wild[np.array(list(labels)) == "V"] = 5.0
    assert repeating(wild, beats(labels)).min() > 0.5


@pytest.mark.parametrize("n", [0, 1, AT_ONCE - 1])
def test_too_few_normal_beats_tell_nothing(n):
    assert np.isnan(repeating(pieces(height=0.3, n=n), beats("N" * n))).all()
    assert len(repeating(pieces(height=0.3, n=n), beats("N" * n))) == n


def test_pieces_are_what_lies_before_the_qrs_without_its_slope():
    ramp = np.linspace(0, 10, 1000, dtype=np.float32)[None]
    np.testing.assert_allclose(before_qrs(ramp, np.array([500.0])), 0, atol=1e-5)
    bump = np.zeros((2, 1000), dtype=np.float32)
    bump[1, 480] = 1.0
    found = before_qrs(bump, np.array([500.0, 0.0, 999.0]))
    assert found.shape == (3, 2, 22)
    assert found[0, 1].argmax() == 480 - (500 - 30)
    assert not found[[1, 2]].any()
