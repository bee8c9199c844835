"""The noise stress test."""

from dataclasses import replace

import numpy as np
import pytest
from support.records import in_memory

from ecg_core.errors import RecordError
from ecg_core.evaluation.noise_stress import CLEAN_S, TURN_S, with_noise
from ecg_core.schema import Annotations

FS_HZ = 100


@pytest.fixture(scope="module")
def record():
    """Ten minutes of triangular QRS of 1 mV and 2 mV on two leads, one a second."""
    n = 600 * FS_HZ
    qrs = np.maximum(0, 1 - np.abs((np.arange(n) % FS_HZ) - 50) / 4)
    time_s = np.arange(600) + 0.5
    marks = Annotations(time_s, np.full(600, "N"), np.full(600, ""))
    return replace(in_memory(np.stack([qrs, 2 * qrs]), FS_HZ, lead_names=("I", "II")), reference=marks)


@pytest.fixture(scope="module")
def noise():
    return in_memory(np.random.default_rng(0).normal(size=(2, 100 * FS_HZ)), FS_HZ, lead_names=("a", "b"))


def added(record, noisy, start_s, stop_s):
    start, stop = int(start_s * FS_HZ), int(stop_s * FS_HZ)
    return noisy.source.read(start, stop, (0, 1)) - record.source.read(start, stop, (0, 1))


def test_the_learning_period_stays_clean_then_noise_comes_and_goes(record, noise):
    noisy = with_noise(record, noise, snr_db=6.0)
    assert not added(record, noisy, 0, CLEAN_S).any()
    assert added(record, noisy, CLEAN_S, CLEAN_S + TURN_S).all(axis=1).any()
    assert not added(record, noisy, CLEAN_S + TURN_S, CLEAN_S + 2 * TURN_S).any()


@pytest.mark.parametrize("snr_db", [0.0, 6.0, 24.0])
def test_noise_has_the_wanted_power_on_each_lead(record, noise, snr_db):
    level = added(record, with_noise(record, noise, snr_db=snr_db), CLEAN_S, CLEAN_S + TURN_S).std(axis=1)
    expected = np.array([1.0, 2.0]) / np.sqrt(8) / 10 ** (snr_db / 20)
    np.testing.assert_allclose(level, expected, rtol=0.05)


def test_only_the_first_half_of_the_noise_is_added(record):
    """Training takes its noise from the other half, so that the noise of the test is new."""
    samples = np.concatenate([np.random.default_rng(0).normal(size=(2, 50 * FS_HZ)), np.full((2, 50 * FS_HZ), 1e6)], 1)
    noisy = with_noise(record, in_memory(samples, FS_HZ, lead_names=("a", "b")), snr_db=6.0)
    assert np.abs(added(record, noisy, 0, 600)).max() < 10


def test_pieces_of_a_noisy_record_equal_the_whole(record, noise):
    source = with_noise(record, noise, snr_db=6.0).source
    whole = source.read(0, record.n_samples, (1,))
    parts = [source.read(first, first + 12_000, (1,)) for first in range(0, record.n_samples, 12_000)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_noise_of_another_rate_is_refused(record, noise):
    with pytest.raises(RecordError, match="100 Hz"):
        with_noise(record, replace(noise, fs_hz=360.0), snr_db=6.0)


def test_a_record_without_marks_is_refused(record, noise):
    with pytest.raises(RecordError, match="reference"):
        with_noise(replace(record, reference=None), noise, snr_db=6.0)
