"""A model fine-tuned to a patient by a few labelled beats."""

import numpy as np
import pytest
import torch
from support.training import SMALL_SPEC

from ecg_core.classifier.classification import classify
from ecg_core.classifier.fine_tuning import PatientBeats, fine_tune
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.weights import torch_model
from ecg_core.labels import CLASSES, UNLABELLED
from ecg_core.parallel import use_threads

N_BEATS = 200
V = CLASSES.index("V")


@pytest.fixture(scope="module")
def patient():
    """Tokens of two shapes, every fifth beat of the odd one: (n_beats, 1, token_size) and which are odd."""
    rng = np.random.default_rng(0)
    common, odd = rng.normal(size=(2, SMALL_SPEC.token_size))
    is_odd = np.arange(N_BEATS) % 5 == 4
    tokens = np.where(is_odd[:, None], odd, common) + 0.1 * rng.normal(size=(N_BEATS, SMALL_SPEC.token_size))
    return tokens[:, None].astype(np.float32), is_odd


@pytest.fixture(scope="module")
def ignorant():
    """A network that has learned nothing yet."""
    use_threads(1)
    torch.manual_seed(0)
    return torch_model(SMALL_SPEC, BeatNetwork(SMALL_SPEC).eval())


def codes(is_odd, n_known):
    code = np.full(N_BEATS, UNLABELLED)
    code[:n_known] = np.where(is_odd[:n_known], V, 0)
    return code


def labels(model, tokens):
    weight = np.ones((N_BEATS, 1), dtype=np.float32)
    return classify(model, tokens, np.full(N_BEATS, 0.8), weight).probability.argmax(axis=1)


def tuned(model, tokens, code):
    return fine_tune(
        model, PatientBeats.of(model, tokens, np.full(N_BEATS, 0.8), np.ones((N_BEATS, 1), np.float32)), code
    )


def test_beats_like_the_labelled_ones_are_classified_like_them(patient, ignorant, monkeypatch):
    monkeypatch.setattr("ecg_core.classifier.fine_tuning.STEPS", 80)  # more than for a network that has been trained
    monkeypatch.setattr("ecg_core.classifier.fine_tuning.ANCHOR_WEIGHT", 0.0)  # untrained predictions are worth nothing
    tokens, is_odd = patient
    model = tuned(ignorant, tokens, codes(is_odd, 50))
    after = labels(model, tokens)[50:]
    assert np.mean(after[is_odd[50:]] == V) > 0.9
    assert np.mean(after[~is_odd[50:]] == 0) > 0.9


def test_without_known_beats_the_model_stays_as_it_is(patient, ignorant):
    tokens, is_odd = patient
    assert tuned(ignorant, tokens, codes(is_odd, 0)) is ignorant


def test_the_given_model_and_the_trunk_are_not_changed(patient, ignorant):
    tokens, is_odd = patient
    before = {name: value.clone() for name, value in ignorant.network.state_dict().items()}
    model = tuned(ignorant, tokens, codes(is_odd, 12))
    for name, value in ignorant.network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    changed = {
        name.split(".")[0] for name, value in model.network.state_dict().items() if not value.equal(before[name])
    }
    assert changed == {"beat", "sequence", "judge"}


def test_the_same_beats_give_the_same_model(patient, ignorant):
    tokens, is_odd = patient
    a, b = (tuned(ignorant, tokens, codes(is_odd, 12)) for _ in range(2))
    for one, other in zip(a.network.parameters(), b.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
