"""Where the count of S is uncertain, the result says so and why; what a reader labelled is not in doubt."""

from dataclasses import replace

import numpy as np
import pytest
from support.strategies import make_beats

from ecg_core.certainty import SDoubt
from ecg_core.labels import CLASSES
from ecg_core.rhythm.doubt import TERMS, UNCERTAIN_FROM, doubt_features, is_uncertain, open_share, s_doubt
from ecg_core.rules import RhythmRules

RULES = RhythmRules()
N, S = CLASSES.index("N"), CLASSES.index("S")


def beats_with(p_s, *, p_repeats=0.9, n_cycles=20, jitter=0):
    """Nine N and an early S, again and again; the S with a probability, and the N with a tenth of it."""
    rng = np.random.default_rng(0)
    ticks = np.tile([80] * 9 + [55], n_cycles) + rng.integers(-jitter, jitter + 1, 10 * n_cycles)
    beats = make_beats(ticks, ("N" * 9 + "S") * n_cycles)
    probability = np.zeros((len(beats), 5), dtype=np.float32)
    probability[:, S] = np.where(beats.label == "S", p_s, 0.1 * (1 - p_s))
    probability[:, N] = 1 - probability[:, S]
    return replace(beats, probability=probability, p_repeats=np.full(len(beats), p_repeats, dtype=np.float32))


def labelled(beats, chosen):
    """The beats with those chosen labelled by a reader as they are."""
    probability = beats.probability.copy()
    probability[chosen] = np.eye(5, dtype=np.float32)[[CLASSES.index(label) for label in beats.label[chosen]]]
    return replace(beats, probability=probability)


def test_s_that_is_nearly_as_probable_to_be_n_is_uncertain_and_clear_s_is_not():
    doubt = s_doubt(beats_with(0.5), RULES)
    assert is_uncertain(doubt)
    assert "nearly all of the S beats are nearly as probable to be N" in doubt.reasons
    clear = s_doubt(beats_with(0.98), RULES)
    assert not is_uncertain(clear)
    assert 0 <= clear.score < UNCERTAIN_FROM <= doubt.score <= 1


def test_irregular_sinus_rhythm_and_unclear_p_waves_add_to_the_doubt_and_are_named():
    calm, doubt = (s_doubt(beats_with(0.9, jitter=j, p_repeats=p), RULES) for j, p in ((0, 0.9), (16, 0.05)))
    assert doubt.score > calm.score
    assert any("sinus arrhythmia" in reason for reason in doubt.reasons)
    assert "P waves are not clear" in doubt.reasons


def test_the_doubt_falls_with_the_s_beats_that_a_reader_labelled():
    beats = beats_with(0.5)
    s_beats = np.flatnonzero(beats.label == "S")
    scores = [s_doubt(labelled(beats, s_beats[:n]), RULES).score for n in range(0, len(s_beats) + 1, 5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] >= UNCERTAIN_FROM
    assert scores[-1] == 0


def test_what_is_not_labelled_stays_open():
    beats = beats_with(0.5)
    assert open_share(beats) == 1
    assert open_share(labelled(beats, np.flatnonzero(beats.label == "S")[:5])) == pytest.approx(0.75)
    assert open_share(make_beats([80] * 20, "N" * 20)) == 0


def test_a_beat_that_may_be_s_is_in_doubt_though_it_is_counted_as_n():
    beats = beats_with(0.5)
    as_n = replace(beats, label=np.full(len(beats), "N"))
    assert open_share(as_n) == 1
    assert doubt_features(as_n, RULES)["s_expected_off"] == pytest.approx(0.095, abs=1e-3)


def test_the_features_are_those_of_the_terms_and_what_is_not_measured_adds_nothing():
    beats = beats_with(0.5)
    found = doubt_features(beats, RULES, af_share=0.25)
    assert list(found) == list(TERMS)
    assert found["s_share"] == pytest.approx(0.1)
    assert found["s_between"] == 1
    assert found["s_in_doubt"] == pytest.approx(0.1 * 0.5 + 0.9 * 0.05)
    assert found["s_prematurity"] == pytest.approx(1 - 55 / 80)
    assert found["s_in_runs"] == 0
    assert found["af_share"] == 0.25
    assert np.isnan(found["s_same_p"])
    without = replace(beats, p_repeats=None)
    assert np.isnan(doubt_features(without, RULES)["p_unclear"])
    assert np.isfinite(s_doubt(without, RULES).score)


def test_runs_and_p_waves_are_measured_at_the_s_beats():
    beats = replace(beats_with(0.5), p_correlation=np.full(200, 0.9, dtype=np.float32))
    label = beats.label.copy()
    label[8:11] = "S"  # a run of three, of 22 S in all
    found = doubt_features(replace(beats, label=label), RULES)
    assert found["s_in_runs"] == pytest.approx(2 / 22 + 1 / 22)
    assert found["s_same_p"] == 1


def test_a_recording_without_usable_beats_has_no_doubt():
    assert s_doubt(make_beats([80] * 3, "NNS", usable=[False] * 3), RULES) == SDoubt(0.0, ())
    assert s_doubt(make_beats([], ""), RULES) == SDoubt(0.0, ())
    assert not is_uncertain(None)
