"""What tells a standstill of the ventricles from beats that have become small."""

from dataclasses import replace

import numpy as np
import pytest
from support.records import in_memory

from ecg_core.evaluation.cut_pauses import with_pauses
from ecg_core.pipeline import analyse

LENGTH_S = 600
LARGE, SMALL = "V4", "AVL"  # of the demo record: the QRS of the one is 5.6 times as steep as that of the other
PAUSES_S = (20.0, 40.0, 180.0)


def read(record, *lead_names, until_s=LENGTH_S):
    leads = tuple(record.lead_names.index(name) for name in lead_names)
    return np.array(record.source.read(0, round(until_s * record.fs_hz), leads))


def beats_within(analysis, start_s, end_s):
    return analysis.beats.time_s[(analysis.beats.time_s > start_s) & (analysis.beats.time_s < end_s)]


def asystoles(analysis):
    return [(event.start_s, event.end_s) for event in analysis.events if event.kind == "asystole"]


def test_beats_of_a_small_lead_stay_where_the_larger_one_comes_off_with_noise(demo, model):
    signal = read(demo, LARGE, SMALL)
    first, last = round(300 * demo.fs_hz), round(360 * demo.fs_hz)
    signal[0, first:last] = signal[0, first] + np.random.default_rng(0).normal(0, 0.01, last - first)
    both = analyse(in_memory(signal, demo.fs_hz, lead_names=(LARGE, SMALL)), model)
    alone = analyse(in_memory(signal[1:], demo.fs_hz, lead_names=(SMALL,)), model)
    assert len(beats_within(alone, 301, 359)) > 40
    assert len(beats_within(both, 301, 359)) == len(beats_within(alone, 301, 359))
    assert not asystoles(both)


@pytest.mark.parametrize("gain", [0.12, 0.03])
def test_beats_go_on_where_the_gain_falls(demo, model, gain):
    signal = read(demo, "II")
    before = analyse(in_memory(signal, demo.fs_hz), model)
    signal[:, round(400 * demo.fs_hz) :] *= gain
    after = analyse(in_memory(signal, demo.fs_hz), model)
    assert len(beats_within(after, 400, LENGTH_S)) == pytest.approx(len(beats_within(before, 400, LENGTH_S)), abs=3)
    assert not asystoles(after)


@pytest.mark.parametrize("falls_s", [None, 1250.0])
def test_p_waves_of_minutes_are_an_asystole_before_and_after_the_gain_falls(demo, model, falls_s):
    record, pauses = with_pauses(demo, PAUSES_S, "p_waves")
    signal = read(record, "II", until_s=demo.duration_s)
    if falls_s is not None:
        signal[:, round(falls_s * demo.fs_hz) :] *= 0.1
        assert pauses[1, 1] < falls_s < pauses[2, 0]
    analysis = analyse(replace(in_memory(signal, demo.fs_hz), record_id="pauses"), model)
    found = np.array(asystoles(analysis))
    assert found == pytest.approx(pauses, abs=0.1)
