"""Where the count of S is uncertain, the result says so and why; what a reader labelled is not in doubt."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.strategies import make_beats

from ecg_core.classifier.spec import DEFAULT_MODEL, read_spec
from ecg_core.labels import CLASSES
from ecg_core.rhythm.doubt import (
    CONSTANT,
    TERMS,
    UNCERTAIN_FROM,
    doubt_features,
    is_uncertain,
    open_share,
    s_doubt,
)
from ecg_core.rules import RhythmRules
from models.doubt import JudgedRecord, area_under_roc, figures_of

RULES = RhythmRules()
N, S = CLASSES.index("N"), CLASSES.index("S")


def beats_with(p_s, *, n_normal=9, n_cycles=20, jitter=0):
    """Some N and an early S, again and again; the S with a probability, and the N with a tenth of its complement."""
    rng = np.random.default_rng(0)
    n = (n_normal + 1) * n_cycles
    ticks = np.tile([80] * n_normal + [55], n_cycles) + rng.integers(-jitter, jitter + 1, n)
    beats = make_beats(ticks, ("N" * n_normal + "S") * n_cycles)
    probability = np.zeros((len(beats), 5), dtype=np.float32)
    probability[:, S] = np.where(beats.label == "S", p_s, 0.1 * (1 - p_s))
    probability[:, N] = 1 - probability[:, S]
    return replace(beats, probability=probability)


def labelled(beats, chosen):
    """The beats with those chosen labelled by a reader as they are."""
    probability = beats.probability.copy()
    probability[chosen] = np.eye(5, dtype=np.float32)[[CLASSES.index(label) for label in beats.label[chosen]]]
    return replace(beats, probability=probability)


def test_frequent_s_that_is_nearly_as_probable_to_be_n_is_uncertain_and_rare_clear_s_is_not():
    doubt = s_doubt(beats_with(0.5, n_normal=2), RULES)
    assert is_uncertain(doubt)
    assert set(doubt.reasons) == {"20.0 % of all beats may or may not be S", "S beats are frequent"}
    clear = s_doubt(beats_with(0.99, n_normal=199, n_cycles=2), RULES)
    assert not is_uncertain(clear)
    assert 0 <= clear.score < UNCERTAIN_FROM <= doubt.score <= 1


def test_irregular_sinus_rhythm_adds_to_the_doubt_and_is_named():
    calm, doubt = (s_doubt(beats_with(0.9, jitter=jitter), RULES) for jitter in (0, 16))
    assert doubt.score > calm.score
    assert "sinus arrhythmia or other irregular RR" in doubt.reasons
    assert "sinus arrhythmia or other irregular RR" not in calm.reasons


def test_the_doubt_falls_with_the_s_beats_that_a_reader_labelled():
    beats = beats_with(0.5, n_normal=2)
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
    assert s_doubt(as_n, RULES).score > 0
    assert doubt_features(as_n, RULES)["s_in_doubt"] == doubt_features(beats, RULES)["s_in_doubt"]


def test_the_features_are_those_of_the_terms_and_what_is_not_measured_adds_nothing():
    found = doubt_features(beats_with(0.5), RULES)
    assert list(found) == list(TERMS)
    assert found["s_share"] == pytest.approx(0.1)
    assert found["s_in_doubt"] == pytest.approx(0.1 * 0.5 + 0.9 * 0.05)
    assert found["sinus_arrhythmia"] == pytest.approx(0, abs=1e-6)
    few = beats_with(0.5, n_cycles=1)
    assert np.isnan(doubt_features(few, RULES)["sinus_arrhythmia"])
    assert TERMS["sinus_arrhythmia"].added(float("nan")) == 0
    assert np.isfinite(s_doubt(few, RULES).score)


def test_a_recording_without_usable_beats_has_no_doubt():
    assert s_doubt(make_beats([80] * 3, "NNS", usable=[False] * 3), RULES) is None
    assert s_doubt(make_beats([], ""), RULES) is None
    assert not is_uncertain(None)


def test_the_weights_in_force_were_measured_with_the_default_model():
    fitted = json.loads(DEFAULT_MODEL.with_suffix(".doubt.json").read_text(encoding="utf-8"))
    assert fitted["model_sha256"] == read_spec(DEFAULT_MODEL).sha256
    assert fitted["uncertain_from"] == UNCERTAIN_FROM
    assert fitted["in_force"]["constant"] == CONSTANT
    assert fitted["in_force"]["terms"] == {name: [term.weight, term.centre, term.scale] for name, term in TERMS.items()}
    assert all(term.weight > 0 for term in TERMS.values()), "each reason says why a high value adds to the doubt"


def judged(*, wrong, n=60):
    """Recordings with random features, a patient each; the share of S is tenfold where the burden is wrong."""
    rng = np.random.default_rng(0)
    return [
        JudgedRecord(
            f"made/{'wrong' if wrong else 'right'}{i}",
            0.5 if wrong else 0.1,
            {"s_in_doubt": rng.uniform(0, 0.1), "s_share": share, "sinus_arrhythmia": rng.choice([0.03, 0.06, np.nan])},
            open_share=1.0,
            is_wrong=wrong,
        )
        for i, share in enumerate(rng.uniform(0.001, 0.01, n) * (10 if wrong else 1))
    ]


def test_the_fit_finds_what_goes_with_wrong_counts_in_patients_that_it_does_not_know():
    figures = figures_of([*judged(wrong=True), *judged(wrong=False)])
    weight = {name: numbers[0] for name, numbers in figures["terms"].items()}
    assert weight["s_share"] > 1
    assert abs(weight["s_in_doubt"]) < 0.3
    assert figures["auc"] > 0.95
    assert figures["wrong"] == figures["right"] == 60
    assert figures["wrong_flagged"] > 50
    assert figures["right_flagged"] < 10
    assert (figures["in_force"]["wrong_flagged"], figures["in_force"]["right_flagged"]) == (60, 0)


def test_the_area_under_the_curve_counts_pairs_in_the_right_order_and_ties_half():
    wrong = np.array([True, False, True, False])
    assert area_under_roc(np.array([0.9, 0.1, 0.5, 0.5]), wrong) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
