"""Measurements of one beat, on beats of known width and correlation."""

from dataclasses import replace

import numpy as np
import pytest
from support.records import in_memory
from support.strategies import make_beats

from ecg_core.evaluation.comparison import disagreements
from ecg_core.morphology.measurements import qrs_width_s, template_correlation
from ecg_core.schema import Annotations, Quality
from pages._ui.tables import beat_facts

FS_HZ = 250.0


def bump(width_s, *, height=1.0):
    """A smooth biphasic wave that lasts ``width_s``, on half a second."""
    at = np.arange(-0.25, 0.25, 1 / FS_HZ)
    inside = np.abs(at) <= width_s / 2
    return np.where(inside, height * np.sin(2 * np.pi * at / width_s) * np.cos(np.pi * at / width_s), 0.0)


def analysis_of(make_analysis, waves, *, labels=None, noise=0.0):
    """Beats 0.8 s apart, each with one of the waves."""
    n = len(waves)
    beats = make_beats([80] * n, labels or "N" * n)
    signal = np.zeros(int((0.8 * n + 1) * FS_HZ))
    for time_s, wave in zip(beats.time_s, waves, strict=True):
        first = round((time_s - 0.25) * FS_HZ)
        signal[first : first + len(wave)] += wave
    signal += noise * np.random.default_rng(0).normal(size=len(signal))
    made = make_analysis(beats, duration_s=len(signal) / FS_HZ)
    return replace(made, record=replace(in_memory(signal, FS_HZ), start=None))


@pytest.mark.parametrize("width_s", [0.08, 0.12, 0.16, 0.2])
def test_the_width_is_that_of_the_wave(make_analysis, width_s):
    analysis = analysis_of(make_analysis, [bump(width_s)] * 5)
    assert qrs_width_s(analysis, 2, "II") == pytest.approx(width_s, abs=0.03)


def test_the_width_does_not_depend_on_the_amplitude(make_analysis):
    one, other = (analysis_of(make_analysis, [bump(0.12, height=h)] * 5) for h in (0.1, 5.0))
    assert qrs_width_s(one, 2, "II") == qrs_width_s(other, 2, "II")


@pytest.mark.parametrize("wave", [np.zeros(125), np.full(125, np.nan), np.sin(np.arange(125) / 3)])
def test_a_wave_without_edges_has_no_width(make_analysis, wave):
    assert np.isnan(qrs_width_s(analysis_of(make_analysis, [wave] * 5), 2, "II"))


def test_a_usual_beat_correlates_with_the_template_and_another_does_not(make_analysis):
    waves = [bump(0.09)] * 20
    waves[10] = -bump(0.18)
    labels = "N" * 10 + "V" + "N" * 9
    analysis = analysis_of(make_analysis, waves, labels=labels, noise=0.02)
    assert template_correlation(analysis, 5, "II") > 0.95
    assert template_correlation(analysis, 10, "II") < 0.5


def test_a_small_error_of_the_beats_time_does_not_lower_the_correlation(make_analysis):
    waves = [bump(0.09)] * 20
    waves[10] = np.roll(bump(0.09), 4)  # 16 ms
    assert template_correlation(analysis_of(make_analysis, waves), 10, "II") > 0.95


def test_without_normal_beats_nearby_there_is_no_template(make_analysis):
    analysis = analysis_of(make_analysis, [bump(0.09)] * 8, labels="NVVVVVVN")
    assert np.isnan(template_correlation(analysis, 3, "II"))
    assert np.isnan(template_correlation(analysis_of(make_analysis, [bump(0.09)], labels="V"), 0, "II"))


def test_a_beat_is_measured_in_a_lead_that_is_analysable_there(make_analysis):
    """The first lead holds hum from 20 s on, where the analysis rests on the second one."""
    made = analysis_of(make_analysis, [bump(0.09)] * 40)
    clear = made.record.source.signal_mv[0]
    failed, off_from = clear.copy(), round(20 * FS_HZ)
    failed[off_from:] = np.sin(2 * np.pi * 50 * np.arange(len(clear) - off_from) / FS_HZ)
    score = np.array([[1, 1, 0, 0], [0.8] * 4], dtype=np.float32)
    record = in_memory([failed, clear], FS_HZ, lead_names=("II", "V1"))
    made = replace(made, record=record, lead_names=("II", "V1"), quality=Quality(10.0, score, np.ones(4, dtype=bool)))
    early, late = (dict(beat_facts(made, beat, disagreements(made))) for beat in (10, 30))
    assert "in lead II" in early["QRS width"]
    assert "in lead V1" in late["QRS width"]
    assert late["Morphology"] == "correlation 1.00 with the normal beats around it in lead V1"


def test_a_beat_that_is_not_compared_does_not_agree_with_the_reference(make_analysis):
    """Beats that are not counted are in no comparison: what the reference says of them is said."""
    made = analysis_of(make_analysis, [bump(0.09)] * 40)
    time_s, symbol = made.beats.time_s, np.array(["N"] * 40)
    symbol[30] = "V"
    known = np.delete(np.arange(40), 31)  # here the reference has no beat
    reference = Annotations(time_s[known], symbol[known], np.array([""] * 39))
    usable = made.beats.usable & (time_s < 20)
    made = replace(made, record=replace(made.record, reference=reference), beats=replace(made.beats, usable=usable))
    quality = Quality(10.0, np.array([[1, 1, 0, 0]], np.float32), np.array([1, 1, 0, 0], dtype=bool))
    made = replace(made, quality=quality)
    said = [dict(beat_facts(made, beat, disagreements(made)))["Reference"] for beat in (10, 29, 30, 31)]
    assert said == ["agrees", "N", "V", "has no beat here"]
