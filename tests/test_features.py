"""Cutting, and the rhythm features of the network."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_core.classifier.features import (
    CONTEXT_BEATS,
    DISORDER,
    INFERENCE_SEQUENCE_BEATS,
    N_RR_FEATURES,
    REFERENCE_BEATS,
    RR_RANGE,
    beat_frames,
    frame_offsets,
    reference_groups,
    rr_features,
    sequences,
)

RATE = DISORDER - 1  # columns before it are 0 in a steady rhythm

rr_lists = st.lists(st.one_of(st.floats(0.2, 3.0), st.just(np.nan), st.just(0.0)), max_size=300)


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 320, 321, 1000, 1024])
def test_sequences_hold_each_beat_once_and_in_order(n):
    cores = [np.arange(n)[cut.core] for cut in sequences(n)]
    assert np.concatenate([*cores, []]).tolist() == list(range(n))


@given(st.integers(1, 5000))
def test_sequences_show_the_context_on_both_sides_of_their_core(n):
    for context, core in sequences(n):
        assert 0 < core.stop - core.start <= INFERENCE_SEQUENCE_BEATS
        assert core.start - context.start >= min(CONTEXT_BEATS, core.start)
        assert context.stop - core.stop >= min(CONTEXT_BEATS, n - core.stop)
        assert context.stop - context.start == min(n, INFERENCE_SEQUENCE_BEATS + 2 * CONTEXT_BEATS)


@given(st.integers(0, 200_000))
def test_reference_groups_partition_the_beats_into_nearly_equal_parts(n):
    groups = reference_groups(n)
    assert groups[0].start == 0
    assert groups[-1].stop == n
    assert all(a.stop == b.start for a, b in pairwise(groups))
    size = [group.stop - group.start for group in groups]
    assert max(size) - min(size) <= 1
    assert max(size) < 2 * REFERENCE_BEATS


@given(rr_lists)
def test_rr_features_are_finite_and_in_range_whatever_is_missing(rr_s):
    features = rr_features(np.array(rr_s, dtype=float))
    assert features.shape == (len(rr_s), N_RR_FEATURES)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.abs(features).max(initial=0) <= RR_RANGE


@pytest.mark.parametrize("rr_s", [0.4, 0.8, 1.5])
def test_a_steady_rhythm_has_no_prematurity_at_any_rate(rr_s):
    features = rr_features(np.append(np.nan, np.full(300, rr_s)))
    np.testing.assert_allclose(features[:, :RATE], 0, atol=1e-6)
    np.testing.assert_allclose(features[:, RATE], np.log(rr_s / 0.8), atol=1e-6)


def test_prematurity_is_relative_to_the_patients_own_rate():
    rr_s = np.append(np.nan, np.full(300, 0.8))
    rr_s[100:102] = 0.5, 1.1
    slow = 1.3 * rr_s
    np.testing.assert_allclose(np.delete(rr_features(rr_s) - rr_features(slow), RATE, axis=1), 0, atol=1e-5)


def test_an_early_beat_with_a_pause_stands_out():
    rr_s = np.append(np.nan, np.full(50, 0.8))
    rr_s[20:22] = 0.5, 1.1
    before, after, *_ = rr_features(rr_s)[20]
    assert before == pytest.approx(np.log(0.5 / 0.8), abs=1e-5)
    assert after == pytest.approx(np.log(1.1 / 0.8), abs=1e-5)


def test_an_unknown_interval_is_neither_early_nor_late():
    rr_s = np.append(np.nan, np.full(50, 0.8))
    rr_s[25] = np.nan
    np.testing.assert_allclose(rr_features(rr_s)[:, :RATE], 0, atol=1e-6)


@pytest.mark.parametrize("pattern", [[0.8], [0.5, 1.1], [0.8, 0.5, 1.1], [0.8] * 12 + [0.5, 1.1]])
def test_premature_beats_in_order_are_no_disorder(pattern):
    jitter = np.exp(0.02 * np.random.default_rng(0).normal(size=300))
    ordered = rr_features(np.resize(pattern, 300) * jitter)[:, DISORDER]
    fibrillating = rr_features(0.8 * jitter ** (0.2 / 0.02))[:, DISORDER]
    assert ordered.max() < 0.1
    assert np.median(fibrillating) > 0.5


def test_disorder_begins_where_fibrillation_begins():
    rng = np.random.default_rng(0)
    rr_s = 0.8 * np.exp(np.where(np.arange(200) < 100, 0.02, 0.2) * rng.normal(size=200))
    disorder = rr_features(rr_s)[:, DISORDER]
    assert disorder[:88].max() < -0.2
    assert disorder[112:].min() > 0.2


def test_frames_around_a_beat_stay_inside_the_strip(model):
    spec = model.spec
    index = beat_frames(np.array([0.0, 1000.0, 4000.0]), spec, 1000)
    assert index.shape == (3, len(frame_offsets(spec)))
    assert index.min() == 0
    assert index.max() == 999
    np.testing.assert_array_equal(index[1] - 1000 / spec.stride, frame_offsets(spec))
    assert (frame_offsets(spec) == -frame_offsets(spec)[::-1]).all()
