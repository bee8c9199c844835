"""From the beat probability map to beats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_core.classifier.detection import REFRACTORY_S, fuse_heatmaps, pick_beats
from ecg_core.signals.quality import certainty

FRAME_S = 0.032


def bumps(centre_s, *, n=400, sigma_s=0.05, height=0.9):
    """Gaussian bumps as the network is trained to draw them."""
    frame_s = np.arange(n) * FRAME_S
    heatmap = height * np.exp(-0.5 * ((frame_s - np.atleast_1d(centre_s)[:, None]) / sigma_s) ** 2)
    return heatmap.max(axis=0).astype(np.float32)


def pick_s(heatmap):
    return FRAME_S * pick_beats(heatmap, threshold=0.5, frame_s=FRAME_S)


@given(st.floats(1.0, 11.0), st.floats(0.03, 0.08), st.floats(0.6, 1.0))
def test_a_beat_between_frames_is_found_within_a_millisecond(centre_s, sigma_s, height):
    found = pick_s(bumps(centre_s, sigma_s=sigma_s, height=height))
    assert found == pytest.approx([centre_s], abs=1e-3)


@pytest.mark.parametrize("centre_s", [0.0, 399 * FRAME_S])
def test_a_beat_on_the_first_or_last_frame_is_found(centre_s):
    assert pick_s(bumps(centre_s)) == pytest.approx([centre_s], abs=FRAME_S / 2)


@pytest.mark.parametrize("level", [0.0, 0.49])
def test_a_flat_heatmap_below_the_threshold_has_no_beats(level):
    assert len(pick_beats(np.full(1000, level, dtype=np.float32), threshold=0.5, frame_s=FRAME_S)) == 0


def test_an_empty_heatmap_has_no_beats():
    assert len(pick_beats(np.zeros(0, dtype=np.float32), threshold=0.5, frame_s=FRAME_S)) == 0


def test_of_two_peaks_within_the_refractory_time_the_higher_one_stays():
    heatmap = np.maximum(bumps(5.0, sigma_s=0.02, height=0.7), bumps(5.13, sigma_s=0.02, height=0.95))
    assert pick_s(heatmap) == pytest.approx([5.13], abs=2e-3)


def test_two_beats_at_200_bpm_are_both_found():
    assert pick_s(bumps([5.0, 5.3], sigma_s=0.03)) == pytest.approx([5.0, 5.3], abs=2e-3)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=400))
def test_no_two_beats_are_closer_than_the_refractory_time_and_a_frame(heatmap):
    found = pick_s(np.array(heatmap, dtype=np.float32))
    assert (np.diff(found) > REFRACTORY_S - 2 * FRAME_S).all()
    assert ((found >= -FRAME_S / 2) & (found <= (len(heatmap) - 0.5) * FRAME_S)).all()


def test_a_lead_without_weight_does_not_count_in_the_fused_heatmap():
    heatmap = np.array([[0.9, 0.9], [0.1, 0.1]], dtype=np.float32)
    weight = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(fuse_heatmaps(heatmap, weight), [0.9, 0.1], rtol=1e-6)


def test_fused_heatmap_is_the_mean_weighted_by_quality():
    heatmap = np.array([[0.8], [0.2]], dtype=np.float32)
    np.testing.assert_allclose(fuse_heatmaps(heatmap, np.array([[3.0], [1.0]], np.float32)), [0.65], rtol=1e-6)


def test_where_no_lead_counts_the_fused_heatmap_is_zero():
    assert (fuse_heatmaps(np.ones((2, 5), np.float32), np.zeros((2, 5), np.float32)) == 0).all()


def test_certainty_is_high_where_beats_stand_out_and_low_where_all_is_doubtful():
    frame = np.arange(900)
    bumps = np.exp(-0.5 * ((frame % 30 - 15) / 1.2) ** 2).astype(np.float32)
    heatmap = np.where(frame < 300, 0.95 * bumps, np.where(frame < 600, 0.25 * bumps, 0)).astype(np.float32)
    assert certainty(heatmap, frame // 300) == pytest.approx([0.95, 0.25, 1.0], abs=0.01)
