"""Fine-tuning to another recorder, with its labels and without."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.records import in_memory
from support.training import QUICK_PLAN, SMALL_SPEC

from ecg_core.classifier.model import load_model
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.labels import CLASSES, UNLABELLED
from ecg_core.parallel import use_threads
from ecg_core.schema import Annotations
from ecg_core.signals.filters import FS_HZ
from ecg_core.training import adaptation
from ecg_core.training.adaptation import adapt, pseudo_label
from ecg_core.training.preparation import TrainingRecord

PLAN = replace(QUICK_PLAN, steps=3)
EXCERPT_FS_HZ = 257


@pytest.fixture(autouse=True)
def _one_thread():
    use_threads(1)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(size=(1, int(300 * FS_HZ))).astype(np.float32)


@pytest.fixture(scope="module")
def unlabelled(excerpt):
    return in_memory(excerpt, EXCERPT_FS_HZ)


@pytest.fixture(scope="module")
def labelled(unlabelled):
    time_s = np.arange(1.0, 590.0)
    return replace(unlabelled, reference=Annotations(time_s, np.full(len(time_s), "N"), np.full(len(time_s), "")))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return torch_model(SMALL_SPEC, BeatNetwork(SMALL_SPEC).eval())


def weights(model):
    return {name: value.clone() for name, value in model.network.state_dict().items()}


def test_the_given_model_stays_as_it_is_and_the_new_one_differs(small, labelled, noise):
    before = weights(small)
    adapted = adapt(small, [labelled], noise=noise, plan=PLAN)
    assert all(value.equal(before[name]) for name, value in small.network.state_dict().items())
    assert any(not value.equal(before[name]) for name, value in adapted.network.state_dict().items())
    assert adapted.spec.sha256 == ""  # it is another model now, and not saved yet


def test_the_same_records_give_the_same_model(small, labelled, noise):
    a, b = (weights(adapt(small, [labelled], noise=noise, plan=PLAN)) for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_record_without_annotations_is_learned_with_pseudo_labels(model, unlabelled, noise, monkeypatch):
    fitted = []

    def record_call(network, records, **options):
        fitted.extend(records)
        return network

    monkeypatch.setattr(adaptation, "fit", record_call)
    adapt(model, [unlabelled], noise=noise, plan=PLAN)
    assert isinstance(fitted[0], TrainingRecord)
    assert np.mean(fitted[0].code != UNLABELLED) > 0.5


def test_no_class_is_learned_where_the_model_is_not_confident(model, unlabelled, monkeypatch):
    confident = pseudo_label(unlabelled, model)
    monkeypatch.setattr(adaptation, "CONFIDENT", 1.1)
    doubtful = pseudo_label(unlabelled, model)
    np.testing.assert_array_equal(doubtful.position, confident.position)
    assert (doubtful.code == UNLABELLED).all()
    assert set(confident.code) - {UNLABELLED} <= set(range(len(CLASSES)))


def test_an_adapted_model_is_saved_and_served_like_any_other(small, labelled, noise, tmp_path):
    saved = save_model(tmp_path / "adapted.pt", adapt(small, [labelled], noise=noise, plan=PLAN))
    again = load_model(tmp_path / "adapted.pt")
    assert again.spec == saved.spec
    assert all(value.equal(weights(saved)[name]) for name, value in again.network.state_dict().items())
