"""The occlusion check hides the steps that it names, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from support.records import ArraySource

from ecg_core.evaluation.occlusion import N_DRAWS, HidingSource, Occlusion, occlude

SIGNAL = np.stack([np.sin(np.arange(1000) / 7), np.cos(np.arange(1000) / 5)])


def test_hidden_samples_become_a_line_and_the_others_stay():
    hidden = np.zeros(400, dtype=bool)
    hidden[100:120] = True
    source = HidingSource(ArraySource(SIGNAL), 300, hidden)
    read = source.read(0, 400, (0, 1))
    original = SIGNAL[:, 300:700].astype(np.float32)
    np.testing.assert_array_equal(read[:, ~hidden], original[:, ~hidden])
    np.testing.assert_allclose(np.diff(read[:, 99:121], 2, axis=1), 0, atol=1e-5)
    np.testing.assert_array_equal(source.read(90, 150, (1,))[0], read[1, 90:150])


@pytest.fixture(scope="module")
def checked(demo_analysis, model):
    """A beat of each class with its check."""
    beats = demo_analysis.beats
    chosen = [int(np.flatnonzero((beats.label == label) & beats.usable)[10]) for label in "NVS"]
    return {beat: occlude(demo_analysis, model, beat=beat) for beat in chosen}


def test_a_check_starts_from_the_probability_of_the_analysis(demo_analysis, checked):
    beats = demo_analysis.beats
    for label, (beat, found) in zip("NVS", checked.items(), strict=True):
        assert found.label == label
        assert found.before == pytest.approx(float(beats.confidence[beat]), abs=0.15)
        assert len(found.random) == N_DRAWS
        assert 0 < found.n_steps < len(demo_analysis.attention.offset_s)
        assert found.hidden_s == pytest.approx(found.n_steps * demo_analysis.attention.step_s)


def test_attention_that_points_elsewhere_is_not_supported(demo_analysis, model):
    beats, attention = demo_analysis.beats, demo_analysis.attention
    beat = int(np.flatnonzero((beats.label == "V") & beats.usable)[10])
    weight = np.array(attention.weight)
    weight[beat] = 0
    weight[beat, -3:] = 1 / 3  # half a second after the beat
    misled = replace(demo_analysis, attention=replace(attention, weight=weight))
    assert not occlude(misled, model, beat=beat).supported


@pytest.mark.parametrize(
    ("attended", "random", "supported"),
    [(0.2, (0.95,) * 20, True), (0.94, (0.95,) * 20, False), (0.2, (0.1,) * 20, False), (0.96, (0.98,) * 20, False)],
)
def test_attention_is_supported_where_it_changes_more_than_random_steps_do(attended, random, supported):
    assert Occlusion("V", 8, 0.25, 0.98, attended, random).supported is supported


def test_the_same_check_gives_the_same_answer(demo_analysis, model, checked):
    beat = next(iter(checked))
    assert occlude(demo_analysis, model, beat=beat) == checked[beat]


def test_all_leads_are_hidden_where_all_were_analysed(demo, model):
    from ecg_core.pipeline import analyse

    minute = replace(demo, source=ArraySource(demo.source.read(0, 257 * 60, (0, 1, 6))), n_samples=257 * 60)
    minute = replace(minute, lead_names=("I", "II", "V1"), calibrated=(True,) * 3, reference=None)
    analysis = analyse(minute, model, lead="all")
    assert occlude(analysis, model, beat=20).before == pytest.approx(float(analysis.beats.confidence[20]), abs=0.15)
