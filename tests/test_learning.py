"""Whether a model should learn from labels: cross-validation on them, and the decision."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.learning import HELPS
from support.training import SMALL_SPEC

from ecg_core.classifier.cross_validation import folds_of, learn
from ecg_core.classifier.fine_tuning import FINE_TUNING_SEQUENCE_BEATS
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.weights import torch_model
from ecg_core.labels import CLASSES, NO_BEAT, UNLABELLED
from ecg_core.parallel import use_threads

N_BEATS = 320
V = CLASSES.index("V")


@pytest.fixture(scope="module")
def tokens():
    """Tokens of two shapes, every fifth beat of the odd one; shape (n_beats, 1, token_size)."""
    rng = np.random.default_rng(0)
    common, odd = rng.normal(size=(2, SMALL_SPEC.token_size))
    shapes = np.where(IS_ODD[:, None], odd, common) + 0.1 * rng.normal(size=(N_BEATS, SMALL_SPEC.token_size))
    return shapes[:, None].astype(np.float32)


IS_ODD = np.arange(N_BEATS) % 5 == 4
S_LOST = (985, 5, 10, 0, 0, 0)


@pytest.fixture(scope="module")
def ignorant():
    """A network that has learned nothing yet."""
    use_threads(1)
    torch.manual_seed(0)
    return torch_model(SMALL_SPEC, BeatNetwork(SMALL_SPEC).eval())


@pytest.fixture
def eager(monkeypatch):
    """Learn more from the labels, and in less time, than a network does that has been trained."""
    monkeypatch.setattr("ecg_core.classifier.fine_tuning.STEPS", 25)
    monkeypatch.setattr("ecg_core.classifier.fine_tuning.LEARNING_RATE", 0.02)
    monkeypatch.setattr("ecg_core.classifier.fine_tuning.ANCHOR_WEIGHT", 0.0)


def labels(target, every=3):
    """Every third beat labelled."""
    code = np.full(N_BEATS, UNLABELLED)
    code[::every] = target[::every]
    return code


def learned(model, tokens, code):
    weight = np.ones((N_BEATS, 1), dtype=np.float32)
    return learn(model, tokens, np.full(N_BEATS, 0.8), weight, code, rows=np.arange(N_BEATS))


def test_labels_that_repeat_are_found_right_where_they_are_held_out(ignorant, tokens, eager):
    predictions, check = learned(ignorant, tokens, labels(np.where(IS_ODD, V, 0)))
    assert sum(check.held_out) == check.n_labels == 107
    assert check.right_after[V] / check.held_out[V] > 0.9
    assert check.right_after[0] / check.held_out[0] > 0.9
    assert sum(check.others_after) == sum(check.others_before) == N_BEATS - 107
    assert np.mean(predictions.probability.argmax(axis=1)[IS_ODD] == V) > 0.9


def test_labels_by_chance_are_held_back(ignorant, tokens, eager):
    by_chance = np.random.default_rng(1).choice([0, 1, V], N_BEATS)
    _, check = learned(ignorant, tokens, labels(by_chance, every=16))
    assert check.problem


def test_what_is_no_beat_can_be_learned(ignorant, tokens, eager):
    predictions, check = learned(ignorant, tokens, labels(np.where(IS_ODD, NO_BEAT, 0)))
    assert check.held_out[NO_BEAT] > 0
    assert check.right_after[NO_BEAT] / check.held_out[NO_BEAT] > 0.9
    assert np.mean(predictions.noise[IS_ODD] > 0.5) > 0.9


def test_labels_that_are_read_together_are_held_out_together():
    code = np.full(1000, UNLABELLED)
    code[np.random.default_rng(0).permutation(1000)[:60]] = 0
    fold = folds_of(code)
    labelled = np.flatnonzero(code != UNLABELLED)
    assert (fold[labelled] >= 0).all()
    assert (fold[code == UNLABELLED] == -1).all()
    for stretch in np.unique(labelled // FINE_TUNING_SEQUENCE_BEATS):
        assert len(set(fold[labelled][labelled // FINE_TUNING_SEQUENCE_BEATS == stretch])) == 1


def test_each_class_is_spread_over_the_folds():
    code = np.full(1280, UNLABELLED)
    code[::64], code[5::256] = 0, V
    fold = folds_of(code)
    assert len(set(fold[code == V])) == 5


@pytest.mark.parametrize("where", [[], [3], [3, 5, 9, 20]])
def test_labels_too_close_together_to_be_held_out_are_held_back(ignorant, tokens, where):
    code = np.full(N_BEATS, UNLABELLED)
    code[where] = V
    _, check = learned(ignorant, tokens, code)
    assert (check.n_labels, check.held_out) == (len(where), ())
    assert "too few or too close together" in check.sentence


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"right_after": (8, 1, 1, 0, 0, 0)}, "would agree with 10 of 20 held-out labels, and agrees with 11 as it is"),
        ({"right_before": HELPS.held_out, "right_after": HELPS.held_out}, "there is nothing to learn"),
        ({"right_before": (1, 0, 0, 0, 0, 0), "right_after": (9, 0, 0, 0, 0, 0)}, "contradict each other"),
        ({"n_changed": 400}, "40 % of the other beats would change"),
        ({"fold_agreement": 0.4}, "depends on which of the labels"),
        (
            {
                "held_out": (16, 0, 4, 0, 0, 0),
                "said_before": (15, 4, 1, 0, 0, 0),
                "others_after": S_LOST,
            },
            "15 of 20 S beats that were looked at would be lost",
        ),
        ({"held_out": (16, 0, 4, 0, 0, 0), "others_after": S_LOST}, ""),  # five labels say they are none
        ({"others_after": S_LOST}, ""),  # some labels say what S is
    ],
)
def test_learning_is_held_back_with_the_reason(change, problem):
    check = replace(HELPS, **change)
    assert problem in check.problem
    assert bool(check.problem) == bool(problem)
    assert check.sentence.startswith("Held back: ") == bool(problem)
