"""Fitting: preparation of records, the loss, the fit loop and its checkpoints."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.training import QUICK_PLAN, SMALL_SPEC

from ecg_core.classifier.features import N_RR_FEATURES
from ecg_core.classifier.network import BeatNetwork, for_serving
from ecg_core.labels import CLASSES, NO_BEAT, UNLABELLED
from ecg_core.signals.filters import FS_HZ
from ecg_core.training import checkpoints
from ecg_core.training.augmentation import Crop, Material
from ecg_core.training.checkpoints import FITTED_BY, PACKAGE
from ecg_core.training.fit import draw_crops, fit, learning_rate, weigh_classes
from ecg_core.training.loss import TRAINING_SEQUENCE_BEATS, crop_loss, cut_sequence, sequence_starts, with_false_beats
from ecg_core.training.plan import FitPlan
from ecg_core.training.preparation import TrainingRecord, without_doubtful


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
    weight = weigh_classes(records, replace(QUICK_PLAN, class_power=0.5))
    assert weight[0] == 1
    assert weight[NO_BEAT] == 1
    assert 1 < weight[CLASSES.index("V")] < weight[CLASSES.index("S")] == weight[CLASSES.index("Q")]


@pytest.mark.parametrize(
    "n", [1, 5, TRAINING_SEQUENCE_BEATS, TRAINING_SEQUENCE_BEATS + 1, 3 * TRAINING_SEQUENCE_BEATS - 1]
)
def test_every_beat_of_a_crop_is_in_a_sequence(n):
    starts = sequence_starts(n)
    covered = np.concatenate([np.arange(start, start + TRAINING_SEQUENCE_BEATS) for start in starts])
    assert set(range(n)) <= set(covered)
    assert max(starts) == max(0, n - TRAINING_SEQUENCE_BEATS)


def test_a_short_crop_is_filled_up_with_unlabelled_beats():
    code = torch.zeros(5, dtype=torch.int64)
    described, rr, code = cut_sequence(torch.ones(5, 8), torch.ones(5, 7), code, start=0)
    assert (described.sum(), rr.sum()) == (40, 35)
    assert code.tolist() == [0] * 5 + [UNLABELLED] * (TRAINING_SEQUENCE_BEATS - 5)


def test_single_s_labels_in_fibrillation_are_not_learned():
    rng = np.random.default_rng(0)
    rr = 100 * np.exp(np.where(np.arange(400) < 200, 0.01, 0.2) * rng.normal(size=400))
    s = CLASSES.index("S")
    code = np.where(np.arange(400) % 20 == 10, s, 0)
    code[50] = 2
    kept = without_doubtful(np.cumsum(rr), code)
    np.testing.assert_array_equal(kept[:185], code[:185])
    assert (kept[215:][code[215:] == s] == UNLABELLED).all()
    assert (kept[code != s] == code[code != s]).all()
    frequent = np.where(np.arange(400) % 4 == 0, s, 0)  # too many for slips of the annotators
    np.testing.assert_array_equal(without_doubtful(np.cumsum(rr), frequent), frequent)


def test_false_beats_of_the_detector_are_learned_as_no_beat():
    always, never = (replace(QUICK_PLAN, false_beats_probability=probability) for probability in (1.0, 0.0))
    rng = np.random.default_rng(0)
    heatmap = np.zeros(500, dtype=np.float32)
    heatmap[[50, 102, 150, 200, 300]] = 0.9  # at 200, 408, 600, 800 and 1200: two are beats, one is near to one
    heatmap[400] = 0.9 * QUICK_PLAN.false_beat_threshold
    crop = Crop(np.zeros(2000, np.float32), heatmap, np.array([200.0, 400.0, 800.0]), np.array([0, 2, 1]))
    filled = with_false_beats(crop, heatmap, spec=SMALL_SPEC, plan=always, rng=rng)
    np.testing.assert_allclose(filled.position, [200, 400, 600, 800, 1200])
    np.testing.assert_array_equal(filled.code, [0, 2, NO_BEAT, 1, NO_BEAT])
    empty = Crop(crop.signal, heatmap, np.zeros(0), np.zeros(0, int))
    assert (with_false_beats(empty, heatmap, spec=SMALL_SPEC, plan=always, rng=rng).code == NO_BEAT).all()
    assert with_false_beats(crop, heatmap, spec=SMALL_SPEC, plan=never, rng=rng) is crop


def test_learning_rate_rises_then_falls_to_nothing():
    plan = FitPlan(steps=100, learning_rate=1.0)
    rates = [learning_rate(step, plan) for step in range(100)]
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[0] < 0.3
    assert rates[-1] < 0.01


def test_every_weight_of_the_network_learns(records, noise):
    torch.manual_seed(0)
    model = BeatNetwork(SMALL_SPEC)
    options = {"spec": SMALL_SPEC, "plan": QUICK_PLAN, "rng": np.random.default_rng(0)}
    crops = draw_crops(records, Material(noise), **options)
    crop_loss(model, crops, class_weight=weigh_classes(records, QUICK_PLAN), **options).backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_a_stopped_fit_goes_on_to_the_same_weights(records, noise, tmp_path):
    def run(path, stop_after=None):
        def report(step, loss, left_s):
            if step == stop_after:
                raise KeyboardInterrupt

        torch.manual_seed(0)
        network = BeatNetwork(SMALL_SPEC)
        return fit(network, records, noise=noise, spec=SMALL_SPEC, plan=plan, checkpoint=path, report=report)

    plan = replace(QUICK_PLAN, steps=8, crops=1, checkpoint_steps=6)
    whole = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run.ckpt", stop_after=8)  # stopped before the last checkpoint: the one of step 6 is there
    assert torch.load(tmp_path / "run.ckpt", weights_only=True)["step"] == 6
    resumed = run(tmp_path / "run.ckpt")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def steps_of(checkpoint, records, noise, *, plan=QUICK_PLAN, seed=0):
    """The steps that a fit reports."""
    torch.manual_seed(seed)
    steps = []
    fit(
        BeatNetwork(SMALL_SPEC), records, noise=noise, spec=SMALL_SPEC, plan=plan, checkpoint=checkpoint,
        report=lambda step, *_: steps.append(step),
    )  # fmt: skip
    return steps


@pytest.fixture(scope="module")
def finished(records, noise, tmp_path_factory):
    """The checkpoint of a fit that has ended."""
    path = tmp_path_factory.mktemp("finished") / "run.ckpt"
    assert steps_of(path, records, noise) == [4]
    return path


@pytest.mark.parametrize("other", ["plan", "augmentation", "code", "weights", "records"])
def test_a_checkpoint_of_another_fit_is_not_taken_over(records, noise, finished, tmp_path, monkeypatch, other):
    path = Path(shutil.copy(finished, tmp_path))

    def run(plan, seed, some):
        return steps_of(path, some, noise, plan=plan, seed=seed)

    assert run(QUICK_PLAN, 0, records) == []  # nothing is left to do
    if other == "plan":
        assert run(replace(QUICK_PLAN, steps=6), 0, records) == [6]
    elif other == "augmentation":
        changed = replace(QUICK_PLAN.augmentation, max_stretch=1.2)
        assert run(replace(QUICK_PLAN, augmentation=changed), 0, records) == [4]
    elif other == "code":
        monkeypatch.setattr(checkpoints, "FITTED_BY", ("labels.py",))  # as if another program had begun
        assert run(QUICK_PLAN, 0, records) == [4]
    elif other == "weights":
        assert run(QUICK_PLAN, 1, records) == [4]
    else:
        assert run(QUICK_PLAN, 0, records[:1]) == [4]


def test_a_change_in_any_file_of_the_fit_restarts_it():
    """All of training but the checkpoints and what runs after or around a fit."""
    files = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "training").glob("*.py")}
    around = {
        f"training/{name}.py"
        for name in ("__init__", "adaptation", "calibration", "checkpoints", "reliability", "waveform")
    }
    assert files - around <= set(FITTED_BY)
    assert all((PACKAGE / name).is_file() for name in FITTED_BY)


def test_a_network_made_ready_for_serving_gives_the_same_frames(records):
    torch.manual_seed(0)
    model = BeatNetwork(SMALL_SPEC)
    strips = torch.from_numpy(records[0].signal[:, :4000].copy())
    model.train()
    model.frames(strips)  # statistics that are not the initial ones
    model.eval()
    with torch.inference_mode():
        frames, heatmap = model.frames(strips)
        serving, serving_heatmap = for_serving(model).frames(strips)
    torch.testing.assert_close(serving, frames, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(serving_heatmap, heatmap, atol=1e-4, rtol=1e-3)


def test_the_odd_beat_stands_out_from_the_patients_common_beat():
    torch.manual_seed(0)
    model = BeatNetwork(SMALL_SPEC).eval()
    common, odd = torch.randn(2, 1, SMALL_SPEC.token_size)
    tokens = torch.cat([common.expand(39, -1) + 0.01 * torch.randn(39, SMALL_SPEC.token_size), common + odd])
    with torch.inference_mode():
        described, normal = model.describe(tokens, torch.zeros(40, N_RR_FEATURES))
    for answer in (described, normal[:, None]):
        spread = (answer[:39] - answer[:39].mean(0)).norm(dim=1).max()
        assert spread < (answer[39] - answer[:39].mean(0)).norm()
