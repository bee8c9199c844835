"""The second stage: trees that classify each beat by what it is within its whole record."""

from dataclasses import asdict, replace

import lightgbm
import numpy as np
import pytest
import torch
from support.strategies import make_beats
from support.training import SMALL_SPEC

from ecg_core.classifier import trees as trees_module
from ecg_core.classifier.chunks import ChunkFeatures
from ecg_core.classifier.engine import ENGINES
from ecg_core.classifier.model import load_model
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.record_features import COMPARED_BEATS, FEATURES, record_features
from ecg_core.classifier.second_stage import fused, reclassified
from ecg_core.classifier.spec import MODELS
from ecg_core.classifier.trees import JUDGED, MAX_LEAVES, BoostedTrees
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.labels import CLASSES, UNLABELLED
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.training.second_stage import RecordFeatures, TreePlan, fit_trees
from models.cross_validate import WITH_UNSEEN_PATIENTS
from models.second_stage import record_to_learn, with_trees, without_trees

PLAN = TreePlan(rounds=20, leaves=5, least_beats=20)


@pytest.fixture(scope="module")
def learned():
    """Beats of two features that matter, one of them in steps that meet the thresholds, and one that does not."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 3)).astype(np.float32)
    features[:, 1] = np.round(features[:, 1], 1)
    code = np.where(features[:, 1] > 0.7, 1, np.where(features[:, 0] > 1, 2, 0))
    code[::50] = UNLABELLED
    return RecordFeatures(features, code)


# ------------------------------------------------------------------------------------------------------------ the trees


def test_the_arrays_give_what_the_library_gives(learned, monkeypatch):
    boosters, train = [], lightgbm.train
    monkeypatch.setattr(lightgbm, "train", lambda *args: boosters.append(train(*args)) or boosters[0])
    fitted = fit_trees([learned], PLAN)
    expected = boosters[0].predict(learned.features, raw_score=True)
    np.testing.assert_allclose(fitted.logits(learned.features), expected, atol=1e-5)
    known = learned.code != UNLABELLED
    assert np.mean(fitted.logits(learned.features).argmax(axis=1)[known] == learned.code[known]) > 0.98


def test_the_same_fit_gives_the_same_trees(learned):
    first, second = (asdict(fit_trees([learned], PLAN)) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_a_beat_has_the_same_logits_alone_and_among_others(learned, monkeypatch):
    fitted = fit_trees([learned], PLAN)
    together = fitted.logits(learned.features[:50])
    monkeypatch.setattr(trees_module, "AT_ONCE", 7)
    np.testing.assert_array_equal(fitted.logits(learned.features[:50]), together)
    np.testing.assert_array_equal(fitted.logits(learned.features[49:50]), together[49:])
    assert fitted.logits(learned.features[:0]).shape == (0, len(JUDGED))


@pytest.mark.parametrize(("n_trees", "n_leaves"), [(6, 1), (6, MAX_LEAVES + 1), (7, 4)])
def test_trees_of_another_shape_are_refused(n_trees, n_leaves):
    with pytest.raises(ValueError, match=f"got {n_trees} and {n_leaves}"):
        BoostedTrees.empty(n_trees, n_leaves)


def test_trees_without_conditions_reach_their_first_leaf():
    empty = BoostedTrees.empty(6, MAX_LEAVES)
    empty.value[:, 0] = np.arange(6)
    np.testing.assert_array_equal(empty.logits(np.zeros((1, 3), dtype=np.float32)), [[3, 5, 7]])


# ---------------------------------------------------------------------------------------------------------- both stages


def test_stages_that_agree_leave_the_probabilities():
    probability = np.array([[0.7, 0.1, 0.1, 0.06, 0.04], [0.05, 0.9, 0.01, 0.03, 0.01]], dtype=np.float32)
    np.testing.assert_allclose(fused(probability, np.log(probability[:, :3])), probability, rtol=1e-4)


def test_the_second_stage_leaves_what_is_no_class_of_its_own():
    probability = np.array([[0.01, 0.01, 0.01, 0.01, 0.96]], dtype=np.float32)
    for logits in ([9, 0, 0], [0, 9, 0]):
        found = fused(probability, np.array([logits], dtype=np.float32))
        assert found.argmax() == CLASSES.index("Q")
        assert found.sum() == pytest.approx(1, abs=1e-6)


def test_a_certain_second_stage_moves_a_doubtful_beat():
    probability = np.array([[0.45, 0.5, 0.05, 0.0, 0.0]], dtype=np.float32)
    assert CLASSES[fused(probability, np.array([[4, 0, 0]], dtype=np.float32)).argmax()] == "N"


# ------------------------------------------------------------------------------------------------------------- features


def record_of(rr, labels, *, shapes=None, seed=0):
    """Beats with these RR in hundredths of a second and labels, and what describes them: noise around their shapes."""
    beats, rng, n = make_beats(rr, labels), np.random.default_rng(seed), len(labels)
    token = 0.05 * rng.normal(size=(n, 1, 8))
    token += np.array([0.0] * n if shapes is None else shapes)[:, None, None]
    empty = np.zeros((0, 2))
    found = ChunkFeatures(
        time_s=beats.time_s, token=token.astype(np.float16), attention=np.ones((n, 3), dtype=np.float16),
        before_qrs=rng.normal(size=(n, 1, 22)).astype(np.float16), qrs_correlation=np.ones(n, dtype=np.float32),
        quality=np.ones((n, 1), dtype=np.float32), lost_s=np.zeros(0), score=np.ones((1, 1), dtype=np.float32),
        rhythm=np.zeros((1, 4), dtype=np.float32), off_s=empty, still_s=empty,
    )  # fmt: skip
    return beats, found


def columns_of(beats, found):
    values = record_features(beats, found, np.arange(len(beats)))
    assert values.shape == (len(beats), len(FEATURES))
    assert np.isfinite(values).all()
    return dict(zip(FEATURES, values.T, strict=True))


def test_prematurity_is_beside_the_normal_beats_also_where_every_other_beat_is_early():
    columns = columns_of(*record_of([60, 100] * 40, "SN" * 40))
    early = np.array(["S", "N"] * 40) == "S"
    assert np.median(columns["rr_normal"][early]) == pytest.approx(np.log(0.6), abs=0.01)
    assert np.median(columns["rr_normal"][~early]) == pytest.approx(0, abs=0.01)


def test_a_beat_is_seen_beside_the_others_of_its_shape():
    """One beat of the ectopic shape that was read as normal, among forty that were not."""
    labels, shapes = "NNS" * 40, [0, 0, 3] * 40
    missed = 62
    beats, found = record_of([80] * 120, labels[:missed] + "N" + labels[missed + 1 :], shapes=shapes)
    columns = columns_of(beats, found)
    normal = np.array(shapes) == 0
    assert columns["shape_s"][missed] > 0.5 > columns["shape_s"][normal].max()
    assert columns["from_normal"][missed] > columns["from_normal"][normal].max()


def test_a_run_has_its_length_its_place_and_its_onset():
    columns = columns_of(*record_of([100] * 10 + [60] * 4 + [100] * 10, "N" * 10 + "S" * 4 + "N" * 10))
    np.testing.assert_allclose(columns["run_length"][9:15], np.log1p([0, 4, 4, 4, 4, 0]), atol=1e-6)
    np.testing.assert_allclose(columns["run_beat"][10:14], np.log1p([0, 1, 2, 3]), atol=1e-6)
    np.testing.assert_allclose(columns["run_onset"][10:14], np.log(0.6), atol=1e-6)


@pytest.mark.parametrize("labels", ["N", "Q", "NV", "SSSS", "QQQQQ", "VVVVVV"])
def test_records_of_a_few_beats_have_features(labels):
    columns_of(*record_of([80] * len(labels), labels))


def test_a_long_record_has_features_of_all_its_parts():
    n = 3 * COMPARED_BEATS
    columns = columns_of(*record_of([80] * n, "N" * n))
    assert columns["shape_distance"].min() > 0  # no beat is compared with itself


# ----------------------------------------------------------------------------------------------------- model and record


@pytest.fixture(scope="module")
def demo():
    return read_record("demo_data/demo")


def test_the_default_model_has_two_stages_and_the_others_one(model):
    for engine in ENGINES:
        assert model.spec.trees == load_model(engine=engine).engine.trees.shape
    for name in ("source", "adapted"):
        other = load_model(MODELS / f"{name}.pt")
        assert (other.spec.trees, other.engine.trees) == ((), None)


def test_the_second_stage_changes_classes_but_no_beat(demo):
    model = load_model(engine="torch")
    both, first = analyse(demo, model, lead="II"), analyse(demo, without_trees(model), lead="II")
    for name in ("time_s", "rr_s", "usable", "af_probability", "qrs_correlation"):
        np.testing.assert_array_equal(getattr(both.predicted, name), getattr(first.predicted, name), err_msg=name)
    assert not np.array_equal(both.predicted.probability, first.predicted.probability)
    np.testing.assert_allclose(both.predicted.probability.sum(axis=1), 1, atol=1e-5)


def test_a_model_without_trees_leaves_the_beats_as_they_are(model):
    beats, found = record_of([80] * 20, "N" * 20)
    assert reclassified(without_trees(model), beats, found, np.arange(20)) is beats


def test_what_is_learned_from_a_record_lies_beside_its_reference(demo, model):
    learned = record_to_learn(demo, without_trees(model))
    assert learned.features.shape == (len(learned.code), len(FEATURES))
    counted = np.bincount(learned.code[learned.code != UNLABELLED], minlength=len(CLASSES))
    assert counted[0] > 2000
    assert counted[1] > 0
    assert counted[2] > 0


def test_a_second_stage_is_stored_with_the_weights_and_fitted_anew(tmp_path, learned):
    network = BeatNetwork(SMALL_SPEC)
    once = with_trees(torch_model(replace(SMALL_SPEC, recipe="python -m models.general"), network.eval()), [learned])
    again = with_trees(once, [learned])
    assert again.spec.recipe == once.spec.recipe == "python -m models.general; python -m models.second_stage"
    save_model(tmp_path / "small.pt", again)
    stored = load_model(tmp_path / "small.pt")
    assert stored.spec.trees == again.spec.trees
    for name, weight in once.network.state_dict().items():
        assert torch.equal(weight, stored.network.state_dict()[name]), name
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, without_trees(stored).network.state_dict()[name]), name


def test_no_record_that_a_network_of_a_fold_knows_is_learned_from():
    assert {source.name for source in WITH_UNSEEN_PATIENTS} == {"svdb", "qtdb", "ltdb", "ltafdb", "aftdb"}
