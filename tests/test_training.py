"""The loss and the fit loop."""

import numpy as np
import pytest
import torch

from ecg_core.classifier.features import N_RR_FEATURES
from ecg_core.classifier.network import BeatNetwork, for_serving
from ecg_core.labels import CLASSES, NO_BEAT, UNLABELLED
from ecg_core.schema import ModelSpec
from ecg_core.signals.filters import FS_HZ
from ecg_core.training import augmentation
from ecg_core.training import fit as training
from ecg_core.training.augmentation import Crop, Material, TrainingRecord, draw_crop
from ecg_core.training.fit import (
    TRAINING_SEQUENCE_BEATS,
    FitPlan,
    _sequence,
    _starts,
    class_weight,
    crop_loss,
    fit,
    learning_rate,
    with_false_beats,
    without_doubtful,
)

SPEC = ModelSpec(
    name="small", fs_hz=FS_HZ, stride=4, stem_channels=4, channels=(4, 4, 8), token_size=8, heads=2,
    attention_half_s=0.5, hidden_size=8, classes=CLASSES, detection_threshold=0.5, class_bias=(0.0,) * 5,
    trained_on=(), validated_on=(), seed=0, recipe="",
)  # fmt: skip
CROP_S = 60.0
PLAN = FitPlan(steps=4, crops=2, checkpoint_steps=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(training, "SETTLING_BATCHES", 2)
    monkeypatch.setattr(augmentation, "CROP_S", CROP_S)


@pytest.fixture(scope="module")
def records():
    """Two leads of spikes, every seventh beat early and broad."""
    rng = np.random.default_rng(0)
    made = []
    for name in ("a", "b"):
        rr = np.where(np.arange(400) % 7 == 6, 0.5, 0.8)
        position = np.cumsum(rr)[np.cumsum(rr) < 300] * FS_HZ
        code = np.where(np.arange(len(position)) % 7 == 6, CLASSES.index("V"), 0)
        time = np.arange(int(320 * FS_HZ))
        signal = 0.01 * rng.normal(size=(2, len(time)))
        for centre, kind in zip(position, code, strict=True):
            signal += np.exp(-0.5 * ((time - centre) / (8 if kind else 3)) ** 2)
        made.append(TrainingRecord(name, signal.astype(np.float32), np.ones(signal.shape, bool), position, code))
    return made


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(1).normal(size=(2, int(400 * FS_HZ))).astype(np.float32)


def test_rare_classes_weigh_more_and_the_rarest_no_more_than_a_floor(records):
    weight = class_weight(records, 0.5)
    assert weight[0] == 1
    assert weight[NO_BEAT] == 1
    assert 1 < weight[CLASSES.index("V")] < weight[CLASSES.index("S")] == weight[CLASSES.index("Q")]


@pytest.mark.parametrize(
    "n", [1, 5, TRAINING_SEQUENCE_BEATS, TRAINING_SEQUENCE_BEATS + 1, 3 * TRAINING_SEQUENCE_BEATS - 1]
)
def test_every_beat_of_a_crop_is_in_a_sequence(n):
    starts = _starts(n)
    covered = np.concatenate([np.arange(start, start + TRAINING_SEQUENCE_BEATS) for start in starts])
    assert set(range(n)) <= set(covered)
    assert max(starts) == max(0, n - TRAINING_SEQUENCE_BEATS)


def test_a_short_sequence_has_nothing_to_learn_at_its_end():
    described, rr, code = _sequence(torch.ones(5, 8), torch.ones(5, 7), torch.zeros(5, dtype=torch.int64), 0)
    assert (described.sum(), rr.sum()) == (40, 35)
    assert code.tolist() == [0] * 5 + [UNLABELLED] * (TRAINING_SEQUENCE_BEATS - 5)


def test_nothing_is_learned_from_some_beats_of_fibrillation_being_called_premature():
    rng = np.random.default_rng(0)
    rr = 100 * np.exp(np.where(np.arange(400) < 200, 0.01, 0.2) * rng.normal(size=400))
    s = CLASSES.index("S")
    code = np.where(np.arange(400) % 20 == 10, s, 0)
    code[50] = 2
    left = without_doubtful(np.cumsum(rr), code)
    np.testing.assert_array_equal(left[:185], code[:185])
    assert (left[215:][code[215:] == s] == UNLABELLED).all()
    assert (left[code != s] == code[code != s]).all()
    often = np.where(np.arange(400) % 4 == 0, s, 0)  # so many are no slips of the pen
    np.testing.assert_array_equal(without_doubtful(np.cumsum(rr), often), often)


def test_what_the_detector_finds_where_no_beat_is_is_learned_as_no_beat(monkeypatch):
    monkeypatch.setattr(training, "FALSE_SHARE", 1.0)
    rng = np.random.default_rng(0)
    heat = np.zeros(500, dtype=np.float32)
    heat[[50, 102, 150, 200, 300]] = 0.9  # at 200, 408, 600, 800 and 1200: two are beats, one is near to one
    heat[400] = 0.9 * training.FALSE_HEAT
    crop = Crop(np.zeros(2000, np.float32), heat, np.array([200.0, 400.0, 800.0]), np.array([0, 2, 1]))
    filled = with_false_beats(crop, heat, SPEC, rng)
    np.testing.assert_allclose(filled.position, [200, 400, 600, 800, 1200])
    np.testing.assert_array_equal(filled.code, [0, 2, NO_BEAT, 1, NO_BEAT])
    nothing = with_false_beats(Crop(crop.signal, heat, np.zeros(0), np.zeros(0, int)), heat, SPEC, rng)
    assert (nothing.code == NO_BEAT).all()
    monkeypatch.setattr(training, "FALSE_SHARE", 0.0)
    assert with_false_beats(crop, heat, SPEC, rng) is crop


def test_learning_rate_rises_then_falls_to_nothing():
    plan = FitPlan(steps=100, learning_rate=1.0)
    rates = [learning_rate(step, plan) for step in range(100)]
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[0] < 0.3
    assert rates[-1] < 0.01


def test_every_weight_of_the_network_learns(records, noise):
    torch.manual_seed(0)
    model = BeatNetwork(SPEC)
    rng = np.random.default_rng(0)
    crops = [draw_crop(record, Material(noise), SPEC, rng) for record in records]
    crop_loss(model, crops, SPEC, PLAN, class_weight(records, 0.5), rng).backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_a_stopped_fit_goes_on_to_the_same_weights(records, noise, tmp_path):
    def run(path, stop_after=None):
        def report(step, loss, left_s):
            if step == stop_after:
                raise KeyboardInterrupt

        torch.manual_seed(0)
        return fit(BeatNetwork(SPEC), records, noise, SPEC, plan, checkpoint=path, report=report)

    plan = FitPlan(steps=22, crops=1, checkpoint_steps=20)
    whole = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run.ckpt", stop_after=22)  # stopped before the last checkpoint: the one of step 20 stands
    assert torch.load(tmp_path / "run.ckpt", weights_only=True)["step"] == 20
    resumed = run(tmp_path / "run.ckpt")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


@pytest.mark.parametrize("other", ["plan", "code", "weights", "records"])
def test_a_checkpoint_of_another_fit_is_not_taken_over(records, noise, tmp_path, monkeypatch, other):
    def run(plan, seed, some):
        torch.manual_seed(seed)
        steps = []
        fit(
            BeatNetwork(SPEC), some, noise, SPEC, plan, checkpoint=tmp_path / "run.ckpt",
            report=lambda step, *_: steps.append(step),
        )  # fmt: skip
        return steps

    assert run(PLAN, 0, records) == [4]
    assert run(PLAN, 0, records) == []  # of this fit nothing is left to do
    if other == "plan":
        assert run(FitPlan(steps=6, crops=2, checkpoint_steps=2), 0, records) == [6]
    elif other == "code":
        monkeypatch.setattr(training, "FITTED_BY", ("labels.py",))  # as if another program had begun
        assert run(PLAN, 0, records) == [4]
    elif other == "weights":
        assert run(PLAN, 1, records) == [4]
    else:
        assert run(PLAN, 0, records[:1]) == [4]


def test_a_network_made_ready_for_serving_gives_the_same_frames(records):
    torch.manual_seed(0)
    model = BeatNetwork(SPEC)
    strips = torch.from_numpy(records[0].signal[:, :4000].copy())
    model.train()
    model.frames(strips)  # statistics that are not the initial ones
    model.eval()
    with torch.inference_mode():
        frames, heat = model.frames(strips)
        serving, serving_heat = for_serving(model).frames(strips)
    torch.testing.assert_close(serving, frames, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(serving_heat, heat, atol=1e-4, rtol=1e-3)


def test_the_odd_beat_stands_out_from_the_patients_common_beat():
    torch.manual_seed(0)
    model = BeatNetwork(SPEC).eval()
    common, odd = torch.randn(2, 1, SPEC.token_size)
    tokens = torch.cat([common.expand(39, -1) + 0.01 * torch.randn(39, SPEC.token_size), common + odd])
    with torch.inference_mode():
        described, normal = model.describe(tokens, torch.zeros(40, N_RR_FEATURES))
    for answer in (described, normal[:, None]):
        spread = (answer[:39] - answer[:39].mean(0)).norm(dim=1).max()
        assert spread < (answer[39] - answer[:39].mean(0)).norm()
