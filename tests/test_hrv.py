"""Heart rate variability of rhythms whose variability is known by construction."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from support.strategies import all_analysable, make_beats

from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.hrv import cubic_spline, measure_variability
from ecg_core.rules import RhythmRules
from ecg_core.schema import Beats, RhythmEvent

RULES = RhythmRules()


def swinging(duration_s, *, mean_s=0.8, amplitude_s=0.0, hz=0.1):
    """Normal beats whose RR swings as a sine of time."""
    time_s = [0.0]
    while time_s[-1] < duration_s:
        time_s.append(time_s[-1] + mean_s + amplitude_s * np.sin(2 * np.pi * hz * time_s[-1]))
    time_s = np.array(time_s)
    n = len(time_s)
    probability = np.tile(np.eye(5, dtype=np.float32)[0], (n, 1))
    rr_s = np.diff(time_s, prepend=np.nan)
    return Beats(time_s, np.full(n, "N"), probability, rr_s, np.ones(n, dtype=bool))


def measured(beats, duration_s, fibrillation=()):
    return measure_variability(beats, RULES, others=fibrillation, analysable_s=duration_s)


def test_a_steady_rhythm_has_no_variability():
    hrv = measured(swinging(1200), 1200)
    assert hrv.sdnn_ms == pytest.approx(0, abs=1e-6)
    assert hrv.rmssd_ms == pytest.approx(0, abs=1e-6)
    assert hrv.pnn50_pct == 0
    assert hrv.lf_ms2 == pytest.approx(0, abs=1e-6)
    assert hrv.coverage_pct == pytest.approx(100, abs=0.2)


@pytest.mark.parametrize(("hz", "band"), [(0.1, "lf_ms2"), (0.25, "hf_ms2")])
def test_the_power_of_a_sine_is_half_its_squared_amplitude_in_its_own_band(hz, band):
    hrv = measured(swinging(3000, amplitude_s=0.03, hz=hz), 3000)
    assert getattr(hrv, band) == pytest.approx(450, rel=0.1)  # 30 ms squared over 2
    other = {"lf_ms2": "hf_ms2", "hf_ms2": "lf_ms2"}[band]
    assert getattr(hrv, other) < 10
    assert hrv.sdnn_ms == pytest.approx(30 / np.sqrt(2), rel=0.05)


def test_successive_differences_are_those_of_neighbours():
    hrv = measured(make_beats([70, 80] * 50, "N" * 100), 75)
    assert hrv.rmssd_ms == pytest.approx(100)
    assert hrv.pnn50_pct == pytest.approx(100)


def test_intervals_at_ectopic_beats_are_left_out():
    calm = measured(make_beats([80] * 101, "N" * 101), 81)
    early = [80] * 101
    early[50], early[51] = 50, 110
    hrv = measured(make_beats(early, "N" * 50 + "V" + "N" * 50), 81)
    assert hrv.n_intervals == calm.n_intervals - 2
    assert hrv.sdnn_ms == pytest.approx(0, abs=1e-6)
    assert hrv.coverage_pct < calm.coverage_pct


def test_differences_do_not_reach_across_an_ectopic_beat():
    rr = [70] * 51 + [100] * 50
    hrv = measured(make_beats(rr, "N" * 50 + "V" + "N" * 50), 90)
    assert hrv.rmssd_ms == pytest.approx(0, abs=1e-6)


def test_fibrillation_is_left_out():
    rng = np.random.default_rng(0)
    rr = np.concatenate([[80] * 300, rng.integers(40, 120, 200), [80] * 300])
    beats = make_beats(rr, "N" * 800)
    episode = RhythmEvent("af", float(beats.time_s[299]), float(beats.time_s[500]), 200, 75.0)
    assert measured(beats, 640).sdnn_ms > 50
    assert measured(beats, 640, [episode]).sdnn_ms == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("gaps_s", [[(50 * i, 50 * i + 9) for i in range(1, 6)], [(100, 109), (200, 230)]])
def test_gaps_between_nn_add_no_slow_oscillation(gaps_s):
    rng = np.random.default_rng(1)
    beats = swinging(300.0, amplitude_s=0.04, hz=0.25)
    beats = replace(beats, rr_s=beats.rr_s + 0.01 * rng.normal(size=len(beats)))
    lost = np.any([(beats.time_s > a) & (beats.time_s - beats.rr_s < b) for a, b in gaps_s], axis=0)
    whole, gapped = (measured(replace(beats, rr_s=np.where(gone, np.nan, beats.rr_s)), 300.0) for gone in (False, lost))
    assert gapped.lf_hf == pytest.approx(whole.lf_hf, abs=0.1)
    assert gapped.hf_ms2 == pytest.approx(whole.hf_ms2, rel=0.35)


def test_sdann_is_the_spread_of_means_of_five_minutes():
    rr = [70] * 430 + [80] * 375 + [90] * 334  # 301, 300 and 300.6 s
    hrv = measured(make_beats(rr, "N" * len(rr)), 902)
    assert hrv.sdann_ms == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize("n", [0, 1, 2, 29])
def test_too_few_intervals_give_no_figure_and_no_error(n):
    hrv = measured(make_beats([80] * n, "N" * n), 30)
    assert np.isnan([hrv.sdnn_ms, hrv.sdann_ms, hrv.rmssd_ms, hrv.pnn50_pct, hrv.lf_ms2, hrv.hf_ms2, hrv.lf_hf]).all()


@pytest.mark.parametrize("n", [4, 5, 40, 400])
def test_the_spline_is_that_of_the_reference_library(n):
    rng = np.random.default_rng(n)
    time_s, rr_ms = np.cumsum(rng.uniform(0.3, 2.0, n)), rng.normal(800, 50, n)
    grid_s = np.linspace(time_s[0], time_s[-1], 1000)
    expected = CubicSpline(time_s, rr_ms)(grid_s)
    np.testing.assert_allclose(cubic_spline(grid_s, time_s, rr_ms), expected, rtol=1e-12)


def test_without_analysable_time_there_is_no_coverage():
    assert np.isnan(measured(make_beats([], ""), 0.0).coverage_pct)


@pytest.mark.parametrize("kind", ["af", "vt", "vt_sustained", "vf_suspected"])
def test_beats_that_the_sinus_node_does_not_pace_are_no_nn_whatever_their_label(kind):
    beats = make_beats([80] * 101, "N" * 101)
    event = RhythmEvent(kind, float(beats.time_s[20]), float(beats.time_s[60]), 0, float("nan"))
    burden = measure_burden(beats, [event], quality=all_analysable(81.0), duration_s=81.0, rules=RULES)
    assert burden.variability.n_intervals == 60
