"""Beats are cut at their time, sampled evenly, and split into templates by the correlation of their QRS alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import in_memory

from ecg_core.morphology.templates import (
    BURST_BEATS,
    MAX_BEATS,
    MAX_TEMPLATES,
    OFFSET_S,
    Template,
    class_templates,
    cut_beats,
    qrs_correlation,
    sample_evenly,
    split_templates,
)
from ecg_core.schema import Beats

FS_HZ = 250.0
UP = np.exp(-0.5 * (OFFSET_S / 0.03) ** 2)
UP_AND_DOWN = UP - 0.9 * np.exp(-0.5 * ((OFFSET_S - 0.08) / 0.03) ** 2)


def simulated(*counts, seed=0, noise_mv=0.03):
    """A class whose beats come, in turns, from one simulated focus after the other."""
    rng = np.random.default_rng(seed)
    forms = (UP, -UP, UP_AND_DOWN, -UP_AND_DOWN)
    focus = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    signal = np.array([forms[i] for i in focus]) * rng.uniform(0.5, 2, (len(focus), 1))
    signal += rng.normal(0, noise_mv, signal.shape)
    return Template("V", "", np.arange(len(focus)) * 7, signal.astype(np.float32), len(focus)), focus


def beats_at(time_s, label, usable=None):
    n = len(time_s)
    usable = np.ones(n, bool) if usable is None else usable
    probability = np.full((n, 5), 0.2, np.float32)
    return Beats(time_s, np.asarray(label), probability, np.diff(time_s, prepend=np.nan), usable)


def test_two_simulated_foci_give_two_templates_whatever_their_amplitude():
    template, focus = simulated(40, 15)
    parts = split_templates(template)
    assert [part.name for part in parts] == ["template 1", "template 2"]
    assert [part.n_beats for part in parts] == [40, 15]
    for part in parts:
        assert len(set(focus[part.beat // 7])) == 1


def test_one_focus_gives_one_template():
    assert [part.n_beats for part in split_templates(simulated(50)[0])] == [50]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(0, 99), st.sampled_from([0.02, 0.5]))
def test_templates_partition_the_sample(counts, seed, noise_mv):
    if not sum(counts):
        return
    template, _ = simulated(*counts, seed=seed, noise_mv=noise_mv)
    parts = split_templates(template)
    assert sorted(np.concatenate([part.beat for part in parts]).tolist()) == template.beat.tolist()
    assert len(parts) <= MAX_TEMPLATES + 1
    numbered = [part.n_beats for part in parts if part.name != "other templates"]
    assert numbered == sorted(numbered, reverse=True)
    for part in parts:
        assert np.array_equal(part.signal_mv, template.signal_mv[np.isin(template.beat, part.beat)])


def test_single_odd_beats_have_no_template_of_their_own():
    parts = split_templates(simulated(30, 1, 2)[0])
    assert [(part.name, part.n_beats) for part in parts] == [("template 1", 30), ("other templates", 3)]


def test_correlation_is_symmetric_and_forgives_a_small_shift_but_not_the_opposite_sign():
    late = np.roll(UP, 3)
    found = qrs_correlation(np.stack((UP, late, -UP, np.zeros_like(UP))).astype(np.float32))
    assert np.array_equal(found, found.T)
    assert found[0, 1] > 0.999
    assert found[0, 2] < 0.5
    assert found[3, 0] == 0


@given(st.integers(0, 3000), st.integers(0, 5))
def test_sample_is_ascending_without_doubles_and_reaches_both_ends(n, first):
    beat = first + 3 * np.arange(n)
    sample = sample_evenly(beat)
    assert len(sample) == min(n, MAX_BEATS)
    assert np.all(np.diff(sample) > 0)
    assert set(sample.tolist()) <= set(beat.tolist())
    if n:
        assert (sample[0], sample[-1]) == (beat[0], beat[-1])
        assert np.diff(sample).max(initial=0) <= 3 * (n / (MAX_BEATS // BURST_BEATS) + BURST_BEATS)


def test_beat_is_cut_as_recorded_around_its_moment():
    time_s = np.arange(1.0, 139.0, 0.9)
    grid_s = np.arange(round(140 * FS_HZ)) / FS_HZ
    signal = 0.5 + np.exp(-0.5 * ((grid_s[:, None] - time_s) / 0.03) ** 2).sum(axis=1)
    cut = cut_beats(in_memory(signal, FS_HZ), "II", time_s)
    assert cut.shape == (len(time_s), len(OFFSET_S))
    assert np.allclose(cut[:, np.abs(OFFSET_S) < 0.2], UP[np.abs(OFFSET_S) < 0.2], atol=0.02)


def test_only_the_minutes_that_hold_beats_are_read():
    class Counting:
        n = 0

        def read(self, start, stop, leads):
            self.n += stop - start
            return np.zeros((len(leads), stop - start), np.float32)

    source = Counting()
    record = replace(in_memory(np.zeros(1), FS_HZ), source=source, n_samples=round(86_400 * FS_HZ))
    time_s = np.sort(np.r_[np.arange(100, 86_000, 4000.0), np.arange(100, 86_000, 4000.0) + 0.8])
    cut_beats(record, "II", time_s)
    assert source.n < len(time_s) * 2 * FS_HZ


def test_beats_at_the_edge_in_gaps_and_unusable_ones_are_left_out():
    signal = np.tile(np.sin(np.arange(2500) / 20), 4)
    signal[5000:5100] = np.nan
    time_s = np.array([0.1, 5.0, 12.0, 20.2, 30.0, 39.9])
    usable = np.array([True, True, False, True, True, True])
    beats = beats_at(time_s, ["N", "N", "N", "N", "V", "V"], usable)
    normal, ventricular = class_templates(in_memory(signal, FS_HZ), "II", beats)
    assert (normal.label, normal.beat.tolist(), normal.n_beats) == ("N", [1], 3)
    assert (ventricular.label, ventricular.beat.tolist(), ventricular.n_beats) == ("V", [4], 2)


def test_record_without_usable_beats_has_no_templates():
    record = in_memory(np.zeros(2500), FS_HZ)
    assert class_templates(record, "II", beats_at(np.array([2.0]), ["Q"], np.array([False]))) == ()
    assert class_templates(record, "II", beats_at(np.zeros(0), np.zeros(0, "<U1"))) == ()


def test_mean_is_that_of_the_beats():
    template = simulated(20)[0]
    assert template.mean_mv == pytest.approx(template.signal_mv.mean(axis=0))
