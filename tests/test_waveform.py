"""Measures of the waveform, the head that reads them, and standstill: what is no beat."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_core.classifier.standstill import STILL, is_still, usual_slopes
from ecg_core.classifier.waveform import CLEAR, MEASURES, measure_waveform
from ecg_core.classifier.waveform_head import (
    HEAD_FILE,
    RHYTHMS,
    fuse_leads,
    head_inputs,
    load_head,
    rhythm_probability,
    usual_size,
)
from ecg_core.errors import ModelError
from ecg_core.evaluation.cut_pauses import FILLINGS, with_pauses
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.signals.filters import FS_HZ, CleanLeads, local_amplitude, usual_heights

N_S, STRIDE = 60, 4
TIME_S = np.arange(int(N_S * FS_HZ)) / FS_HZ


def lead_of(signal_mv):
    """A clean lead, all of it valid."""
    signal_mv = np.atleast_2d(np.asarray(signal_mv, dtype=np.float32))
    return CleanLeads(signal_mv, np.ones(signal_mv.shape, dtype=bool))


def measured(signal_mv, beat_heatmap=None):
    clean = lead_of(signal_mv)
    if beat_heatmap is None:
        beat_heatmap = np.full((len(clean.signal_mv), len(TIME_S) // STRIDE), 0.3, dtype=np.float32)
    return measure_waveform(clean, beat_heatmap, stride=STRIDE, first=0, n_steps=N_S)


def column(measures, name):
    return measures.measure[5:-5, 0, MEASURES.index(name)]


def test_a_sine_has_its_frequency_and_period_and_leaks_nothing():
    measures = measured(0.5 * np.sin(2 * np.pi * 5 * TIME_S))
    assert column(measures, "peak_hz") == pytest.approx(5, abs=0.15)
    assert column(measures, "fast_lag_s") == pytest.approx(0.2, abs=0.01)
    assert column(measures, "fast_correlation").min() > 0.95
    assert column(measures, "leakage").max() < 0.1
    assert np.exp(column(measures, "log_amplitude")) == pytest.approx(1.0, abs=0.02)


def test_sharp_beats_leak_and_are_level_between():
    beats = np.zeros_like(TIME_S)
    beats[(np.arange(0, N_S, 0.8) * FS_HZ).astype(int)] = 1
    measures = measured(np.convolve(beats, [0.5, 1, 0.5], "same"))
    assert column(measures, "leakage").min() > 0.7
    assert column(measures, "level_share").min() > 0.9
    assert column(measures, "slow_lag_s") == pytest.approx(0.8, abs=0.02)


def test_seconds_with_clear_beats_in_one_lead_are_not_measured():
    heat = np.zeros((2, len(TIME_S) // STRIDE), dtype=np.float32)
    heat[0, (np.arange(0.4, N_S, 0.8) * FS_HZ / STRIDE).astype(int)] = 0.98
    heat[1] = 0.3
    measures = measure_waveform(lead_of(np.zeros((2, len(TIME_S)))), heat, stride=STRIDE, first=0, n_steps=N_S)
    assert measures.clear.all() and not len(measures.step)
    found = rhythm_probability(load_head(), measures, usual_size(measures))
    assert (found[:, RHYTHMS.index("beats")] == 1).all()


def test_clear_is_above_what_noise_and_fibrillation_reach():
    assert 0.8 <= CLEAR <= 0.9


def test_a_stretch_is_measured_as_its_part_of_the_whole():
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.normal(0, 0.05, len(TIME_S))).astype(np.float32)
    clean, heat = lead_of(signal), rng.uniform(0, 0.6, (1, len(TIME_S) // STRIDE)).astype(np.float32)
    whole = measure_waveform(clean, heat, stride=STRIDE, first=0, n_steps=N_S)
    part = measure_waveform(clean, heat, stride=STRIDE, first=int(20 * FS_HZ), n_steps=20)
    inside = (whole.step >= 20) & (whole.step < 40)
    assert np.array_equal(part.step + 20, whole.step[inside])
    assert np.allclose(part.measure, whole.measure[inside], atol=1e-4)


def test_the_inputs_compare_amplitude_with_the_usual_one():
    measures = measured(0.5 * np.sin(2 * np.pi * 5 * TIME_S))
    twice = measured(np.sin(2 * np.pi * 5 * TIME_S))
    inputs, other = (head_inputs(some, usual_size(some)) for some in (measures, twice))
    assert np.allclose(inputs, other, atol=0.02)


def test_a_lead_of_noise_hardly_counts_beside_one_with_beats():
    beats, noise, vf = np.float32([[0.97, 0.01, 0.01, 0.01]]), np.float32([[0.01, 0.01, 0.3, 0.68]]), None
    vf = np.float32([[0.02, 0.02, 0.94, 0.02]])
    assert fuse_leads(np.stack([beats, noise], axis=1))[0, 0] > 0.8
    assert fuse_leads(np.stack([vf, noise], axis=1))[0, 2] > 0.6


def test_altered_weights_of_the_head_are_refused(tmp_path):
    original = HEAD_FILE
    path = tmp_path / "waveform.npz"
    path.write_bytes(original.read_bytes() + b"x")
    path.with_suffix(".json").write_bytes(original.with_suffix(".json").read_bytes())
    with pytest.raises(ModelError, match="SHA-256"):
        load_head(path)
    with pytest.raises(ModelError, match="does not exist"):
        load_head(tmp_path / "other.npz")


def test_p_waves_are_still_and_wide_beats_are_not():
    usual = usual_slopes(np.full((1, 50), 0.5, dtype=np.float32))
    slope = np.float32([[0.02, 0.07, 0.1, 0.5]])  # of P waves, two wide beats, a narrow one
    assert is_still(slope, usual).tolist() == [True, True, False, False]
    assert STILL == 0.15


def test_a_lead_that_is_off_does_not_make_the_others_still():
    usual = np.float32([0.5, np.nan])
    assert is_still(np.float32([[0.4], [np.nan]]), usual).tolist() == [False]
    assert is_still(np.float32([[np.nan], [np.nan]]), usual).tolist() == [False]


def test_rare_beats_are_measured_by_their_own_height():
    lead = np.zeros(int(300 * FS_HZ), dtype=np.float32)
    lead[:: int(2.7 * FS_HZ)] = 1.0  # 22 bpm
    lead += np.random.default_rng(0).normal(0, 0.01, len(lead)).astype(np.float32)
    amplitude = local_amplitude(lead, np.ones(len(lead), dtype=bool))
    assert amplitude == pytest.approx(1.0, abs=0.1)


def test_rare_artefacts_are_not_taken_for_rare_beats():
    rng = np.random.default_rng(0)
    height = np.ones(300)
    height[rng.choice(300, 75, replace=False)] = rng.uniform(1, 30, 75)
    assert (usual_heights(height.astype(np.float32)) == 1).all()


def of_kind(analysis, kind):
    return [(event.start_s, event.end_s) for event in analysis.events if event.kind == kind]


@pytest.mark.parametrize("filling", FILLINGS)
def test_a_pause_cut_into_a_record_is_found_to_the_tenth_of_a_second(demo, model, filling):
    record, pauses = with_pauses(demo, (3.5, 8.0, 20.0, 40.0, 90.0), filling)
    analysis = analyse(record, model, lead="II")
    for start_s, end_s in pauses.tolist():
        kind = "no_signal" if filling == "flat" else "pause"
        found = [
            event
            for event in analysis.events
            if event.kind == kind and event.start_s < end_s - 0.2 and event.end_s > start_s + 0.2
        ]
        assert len(found) == 1, (start_s, end_s)
        if filling != "flat":
            assert (found[0].start_s, found[0].end_s) == (
                pytest.approx(start_s, abs=0.1), pytest.approx(end_s, abs=0.1)
            )  # fmt: skip
        asystoles = [
            event for event in analysis.events if event.kind == "asystole" and event.start_s < end_s < event.end_s + 0.2
        ]
        assert len(asystoles) == (filling != "flat" and end_s - start_s >= 4)


def test_the_analysis_of_a_record_in_fibrillation_says_so(databases, model):
    record = read_record(databases / "cudb/1.0.0/cu01")
    analysis = analyse(record, model)
    assert sum(event.duration_s for event in analysis.events if event.kind == "vf") > 270  # of 295 s
    normal = analysis.beats.label[analysis.beats.time_s > 220]
    assert np.count_nonzero(normal == "N") < 10
    assert not analysis.burden.pauses.n


def test_a_chest_lead_that_falls_off_is_no_fibrillation_and_no_asystole(demo, model):
    class HalfOff:
        def read(self, start, stop, leads):
            signal = np.array(demo.source.read(start, stop, leads))
            signal[0, max(0, 60_000 - start) : max(0, 90_000 - start)] = 0.0
            return signal

    analysis = analyse(replace(demo, source=HalfOff()), model, lead="II")
    kinds = {event.kind for event in analysis.events}
    assert "no_signal" in kinds and not kinds & {"vf", "vf_suspected", "asystole"}
