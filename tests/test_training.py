"""Fitting: preparation of records, the loss, the fit loop and its checkpoints."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.records import in_memory
from support.training import AF_SPEC, QUICK_PLAN, SMALL_SPEC

from ecg_core.classifier.features import N_RR_FEATURES
from ecg_core.classifier.network import BeatNetwork, for_serving
from ecg_core.labels import CLASSES, NO_BEAT, UNLABELLED
from ecg_core.schema import Annotations
from ecg_core.signals.filters import FS_HZ
from ecg_core.training import checkpoints
from ecg_core.training.augmentation import Crop, Material
from ecg_core.training.checkpoints import FITTED_BY, PACKAGE
from ecg_core.training.fit import draw_crops, fit, learning_rate, weigh_classes
from ecg_core.training.loss import (
    TRAINING_SEQUENCE_BEATS,
    DescribedCrop,
    crop_loss,
    cut_sequence,
    sequence_loss,
    sequence_starts,
    with_false_beats,
)
from ecg_core.training.plan import FitPlan
from ecg_core.training.preparation import (
    TrainingRecord,
    prepare_record,
    reference_rhythm,
    snap_to_r_peaks,
    without_doubtful,
)


@pytest.fixture(scope="module")
def records():
    """Two leads of spikes, every seventh beat early and broad, the second half in fibrillation."""
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
        in_af = (position > 150 * FS_HZ).astype(np.int64)
        valid = np.ones(signal.shape, dtype=bool)
        made.append(TrainingRecord(name, signal.astype(np.float32), valid, position, code, in_af))
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
    described, rr, code, in_af = cut_sequence(described_crop(in_af=[1] * 5), start=0)
    assert (described.sum(), rr.sum()) == (40, 5 * N_RR_FEATURES)
    assert code.tolist() == [0] * 5 + [UNLABELLED] * (TRAINING_SEQUENCE_BEATS - 5)
    assert in_af.tolist() == [1] * 5 + [UNLABELLED] * (TRAINING_SEQUENCE_BEATS - 5)


def test_a_sequence_of_a_long_crop_holds_the_beats_from_its_start():
    n = TRAINING_SEQUENCE_BEATS + 50
    crop = replace(described_crop(in_af=[0] * n), code=torch.arange(n))
    _, _, code, in_af = cut_sequence(crop, start=50)
    assert code.tolist() == list(range(50, n))
    assert in_af.tolist() == [0] * TRAINING_SEQUENCE_BEATS


def described_crop(*, in_af):
    """Normal beats whose descriptions are all one."""
    n = len(in_af)
    described, rr = torch.ones(n, SMALL_SPEC.hidden_size), torch.ones(n, N_RR_FEATURES)
    code = torch.zeros(n, dtype=torch.int64)
    return DescribedCrop(described, rr, torch.zeros(n), code, torch.tensor(in_af))


def loss_of(in_af, *, spec=AF_SPEC, af_weight=1.0):
    torch.manual_seed(0)
    network = BeatNetwork(spec).eval()
    with torch.inference_mode():
        loss = sequence_loss(network, [described_crop(in_af=in_af)], class_weight=torch.ones(6), af_weight=af_weight)
    return float(loss)


def test_fibrillation_is_learned_by_its_weight_and_where_it_is_known():
    classes = loss_of([UNLABELLED] * 20)
    assert loss_of([1] * 20) > classes
    assert loss_of([1] * 20, af_weight=0.0) == classes
    assert loss_of([1] * 20, af_weight=3.0) - classes == pytest.approx(3 * (loss_of([1] * 20) - classes), rel=1e-4)
    for half in ([1] * 10 + [UNLABELLED] * 10, [UNLABELLED] * 10 + [0] * 10):
        assert loss_of(half) > classes
    assert loss_of([1] * 20) != pytest.approx(loss_of([0] * 20), abs=1e-3)


def test_a_network_that_does_not_find_fibrillation_learns_the_classes_alone():
    assert loss_of([1] * 20, spec=SMALL_SPEC) == loss_of([0] * 20, spec=SMALL_SPEC, af_weight=9.0)


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
    beats = np.array([200.0, 400.0, 800.0]), np.array([0, 2, 1]), np.array([0, 1, 1])
    crop = Crop(np.zeros(2000, np.float32), heatmap, *beats)
    filled = with_false_beats(crop, heatmap, spec=SMALL_SPEC, plan=always, rng=rng)
    np.testing.assert_allclose(filled.position, [200, 400, 600, 800, 1200])
    np.testing.assert_array_equal(filled.code, [0, 2, NO_BEAT, 1, NO_BEAT])
    np.testing.assert_array_equal(filled.in_af, [0, 1, UNLABELLED, 1, UNLABELLED])
    empty = Crop(crop.signal, heatmap, np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert (with_false_beats(empty, heatmap, spec=SMALL_SPEC, plan=always, rng=rng).code == NO_BEAT).all()
    assert with_false_beats(crop, heatmap, spec=SMALL_SPEC, plan=never, rng=rng) is crop


def test_learning_rate_rises_then_falls_to_nothing():
    plan = FitPlan(steps=100, learning_rate=1.0)
    rates = [learning_rate(step, plan) for step in range(100)]
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[0] < 0.3
    assert rates[-1] < 0.01


@pytest.mark.parametrize("spec", [SMALL_SPEC, AF_SPEC], ids=lambda spec: spec.name)
def test_every_weight_of_the_network_learns(records, noise, spec):
    torch.manual_seed(0)
    model = BeatNetwork(spec)
    options = {"spec": spec, "plan": QUICK_PLAN, "rng": np.random.default_rng(0)}
    crops = draw_crops(records, Material(noise), **options)
    crop_loss(model, crops, class_weight=weigh_classes(records, QUICK_PLAN), **options).backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def drawn(records, noise, weights, *, steps=60):
    """How often each record is drawn in some steps of one crop."""
    weighted = [replace(records[0], name=str(i), weight=weight) for i, weight in enumerate(weights)]
    rng, plan = np.random.default_rng(0), replace(QUICK_PLAN, crops=1)
    names = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ecg_core.training.fit.draw_crop", lambda record, *_, **__: names.append(record.name))
        for _ in range(steps):
            draw_crops(weighted, Material(noise), spec=SMALL_SPEC, plan=plan, rng=rng)
    return [names.count(record.name) for record in weighted]


def test_a_record_is_drawn_as_often_as_it_weighs(records, noise):
    heavy, light, none = drawn(records, noise, [3.0, 1.0, 0.0])
    assert heavy + light == 60
    assert 1.5 < heavy / light < 6
    assert none == 0


def test_records_of_one_weight_are_drawn_alike(records, noise):
    assert min(drawn(records, noise, [0.2, 0.2, 0.2])) > 10


def test_no_record_is_drawn_twice_in_one_step(records, noise):
    weighted = [replace(record, weight=weight) for record, weight in zip(records, (9.0, 1.0), strict=True)]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        both = draw_crops(weighted, Material(noise), spec=SMALL_SPEC, plan=QUICK_PLAN, rng=rng)
        assert len(both) == QUICK_PLAN.crops == 2


# Preparation


def peaks(*, onset_s=0.0, height=1.0):
    """Half a minute of spikes with T waves, and marks that lie ``onset_s`` before them; all in samples."""
    position = np.arange(1.0, 29.0, 0.8) * FS_HZ
    time = np.arange(int(30 * FS_HZ))
    signal = 0.01 * np.random.default_rng(0).normal(size=(2, len(time)))
    for centre in position:
        signal += height * np.exp(-0.5 * ((time - centre) / 2) ** 2)
        signal += 0.4 * np.exp(-0.5 * ((time - centre - 0.3 * FS_HZ) / 10) ** 2)
    return signal.astype(np.float32), position, position - onset_s * FS_HZ


@pytest.mark.parametrize("height", [1.0, -1.0])
@pytest.mark.parametrize("onset_s", [0.0, 0.03, 0.08])
def test_marks_at_the_onset_of_the_qrs_are_moved_to_the_r_peaks(onset_s, height):
    signal, position, marks = peaks(onset_s=onset_s, height=height)
    np.testing.assert_allclose(snap_to_r_peaks(signal, marks), np.rint(position), atol=1)


def test_moved_marks_ascend_and_lie_inside_the_signal():
    signal, position, _ = peaks()
    marks = np.concatenate(([0.0], position, [signal.shape[1] - 1.0]))
    snapped = snap_to_r_peaks(signal, marks)
    assert (np.diff(snapped) >= 0).all()
    assert snapped.min() >= 0
    assert snapped.max() < signal.shape[1]


def recorded(position, *, rhythms=(), duration_s=None):
    """A record with an N at each position, and rhythms named at some times."""
    signal, _, _ = peaks()
    if duration_s:
        signal = np.zeros((2, int(duration_s * FS_HZ)), dtype=np.float32)
    time_s = np.concatenate((position / FS_HZ, [at_s for at_s, _ in rhythms]))
    symbol = np.array(["N"] * len(position) + ["+"] * len(rhythms))
    aux = np.array([""] * len(position) + [name for _, name in rhythms])
    order = np.argsort(time_s, kind="stable")
    reference = Annotations(time_s[order], symbol[order], aux[order])
    return replace(in_memory(signal, FS_HZ, lead_names=("I", "II")), reference=reference)


def test_a_record_is_prepared_with_its_weight_and_its_marks_moved_only_where_they_are_to_be():
    _, position, marks = peaks(onset_s=0.06)
    record = recorded(marks)
    kept = prepare_record(record, "a", weight=0.3)
    moved = prepare_record(record, "a", snapped=True)
    np.testing.assert_allclose(kept.position, marks)
    np.testing.assert_allclose(moved.position, np.rint(position), atol=1)
    assert (kept.weight, moved.weight) == (0.3, 1.0)
    assert len(kept.position) == len(kept.code) == len(kept.in_af)


def test_beats_that_are_given_take_the_place_of_the_reference():
    _, position, _ = peaks()
    given = position[::2], np.full(len(position[::2]), UNLABELLED)
    ready = prepare_record(recorded(position, rhythms=[(0.0, "(AFIB")]), "a", beats=given)
    np.testing.assert_array_equal(ready.position, given[0])
    assert (ready.code == UNLABELLED).all()
    assert (ready.in_af == 1).all()  # the rhythm is that of the reference


def test_the_reference_says_which_beats_lie_in_fibrillation_or_flutter():
    _, position, _ = peaks()
    rhythms = [(0.0, "(N"), (5.0, "(AFIB"), (10.0, "(SVTA"), (15.0, "(AFL"), (20.0, "(N")]
    found = reference_rhythm(recorded(position, rhythms=rhythms), position)
    time_s = position / FS_HZ
    expected = ((time_s >= 5) & (time_s < 10)) | ((time_s >= 15) & (time_s < 20))
    np.testing.assert_array_equal(found, expected)
    assert (reference_rhythm(recorded(position, rhythms=[(0.0, "(N")]), position) == 0).all()


@pytest.mark.parametrize("without", ["rhythms", "reference"])
def test_where_no_rhythm_is_named_what_is_regular_is_no_fibrillation_and_the_rest_is_not_known(without):
    rng = np.random.default_rng(0)
    rr_s = 0.8 * np.exp(np.where(np.arange(400) < 200, 0.01, 0.2) * rng.normal(size=400))
    position = np.cumsum(rr_s) * FS_HZ
    record = recorded(position, duration_s=400.0)
    record = record if without == "rhythms" else replace(record, reference=None)
    found = reference_rhythm(record, position)
    assert (found[:185] == 0).all()
    assert (found[215:-10] == UNLABELLED).all()  # the ends of a record are judged by few RR


# The loop


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


def test_only_the_parts_that_a_plan_names_are_fitted(records, noise):
    torch.manual_seed(0)
    network = BeatNetwork(AF_SPEC)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    plan = replace(QUICK_PLAN, parts=("fibrillation",))
    after = fit(network, records, noise=noise, spec=AF_SPEC, plan=plan).state_dict()
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed == {name for name in before if name.startswith("fibrillation.")}


def test_crops_that_teach_the_fitted_parts_nothing_change_nothing(records, noise):
    torch.manual_seed(0)
    network = BeatNetwork(AF_SPEC)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    unknown = [replace(record, in_af=np.full(len(record.in_af), UNLABELLED)) for record in records]
    crops = QUICK_PLAN.augmentation
    no_episodes = replace(crops, fibrillation=replace(crops.fibrillation, probability=0.0))
    plan = replace(QUICK_PLAN, parts=("fibrillation",), augmentation=no_episodes)
    after = fit(network, unknown, noise=noise, spec=AF_SPEC, plan=plan).state_dict()
    assert all(torch.equal(weight, before[name]) for name, weight in after.items())


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


@pytest.mark.parametrize("other", ["plan", "augmentation", "code", "weights", "records", "fibrillation", "weight"])
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
    elif other == "fibrillation":
        assert run(QUICK_PLAN, 0, [replace(records[0], in_af=1 - records[0].in_af), *records[1:]]) == [4]
    elif other == "weight":
        assert run(QUICK_PLAN, 0, [replace(records[0], weight=0.5), *records[1:]]) == [4]
    else:
        assert run(QUICK_PLAN, 0, records[:1]) == [4]


def test_a_change_in_any_file_of_the_fit_restarts_it():
    """All of training but the checkpoints and what runs after or around a fit."""
    files = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "training").glob("*.py")}
    around = {
        f"training/{name}.py"
        for name in (
            "__init__",
            "adaptation",
            "calibration",
            "checkpoints",
            "domain",
            "export",
            "reliability",
            "second_stage",
            "waveform",
        )
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
