"""Training crops: what is changed, and that positions and classes stay true to it."""

from dataclasses import replace

import numpy as np
import pytest
from support.training import CROP_S, SHORT_CROPS, SMALL_SPEC

from ecg_core.labels import CLASSES, NO_BEAT, UNLABELLED
from ecg_core.signals.filters import FS_HZ
from ecg_core.training import rhythm_changes
from ecg_core.training.augmentation import add_noise, draw_crop, gather_material, target_heatmap
from ecg_core.training.augmentation_config import AUGMENTATION, Augmentation
from ecg_core.training.preparation import TrainingRecord
from ecg_core.training.rhythm_changes import (
    change_rhythm,
    dominant_runs,
    draw_drift,
    draw_episodes,
    draw_prematurity,
    draw_slow_run,
    is_steady,
    premature_beats,
)
from ecg_core.training.waveforms import NORMAL, VENTRICULAR, Strip, bend_qrs, time_map

S = CLASSES.index("S")


def changed(config=SHORT_CROPS, **groups):
    """The augmentation with other numbers: ``changed(noise={"probability": 0.0})``."""
    return replace(config, **{name: replace(getattr(config, name), **numbers) for name, numbers in groups.items()})


NEVER = {"probability": 0.0}
EXACT_DETECTION = {"jitter_samples": 0.0, "missed_probability": 0.0, "extra_probability": 0.0}
STEADY_RATE = {"rate_probability": 0.0, "drift_probability": 0.0, "sinus_arrhythmia_probability": 0.0}


def spikes(rr_s, code, *, name="a", in_af=None):
    """One lead of narrow spikes; ventricular beats are broad and go down. In no fibrillation unless ``in_af`` says."""
    position = np.cumsum(rr_s) * FS_HZ
    time = np.arange(int(position[-1] + 2 * FS_HZ))
    signal = 0.01 * np.random.default_rng(0).normal(size=(1, len(time)))
    for centre, kind in zip(position, code, strict=True):
        width, height = (8, -0.8) if kind == VENTRICULAR else (3, 1.0)
        signal += height * np.exp(-0.5 * ((time - centre) / width) ** 2)
    in_af = np.zeros(len(position), dtype=np.int64) if in_af is None else in_af
    valid = np.ones(signal.shape, dtype=bool)
    return TrainingRecord(name, signal.astype(np.float32), valid, position, np.asarray(code), in_af)


def strip_of(record):
    return Strip(record.signal[0], record.position, record.code, record.in_af, np.diff(record.position))


@pytest.fixture(scope="module")
def regular():
    return spikes(np.full(400, 0.8), np.full(400, NORMAL))


@pytest.fixture(scope="module")
def with_ectopics():
    return spikes(np.full(400, 0.8), np.where(np.arange(400) % 9 == 4, VENTRICULAR, NORMAL), name="b")


@pytest.fixture(scope="module")
def quiet():
    return np.zeros((2, int(400 * FS_HZ)), dtype=np.float32)


def crops(record, material, *, config=SHORT_CROPS, n=25, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_crop(record, material, spec=SMALL_SPEC, rng=rng, config=config) for _ in range(n)]


def test_the_target_heatmap_peaks_at_each_beat_and_is_zero_between():
    target = target_heatmap(np.array([400.0, 802.0]), SMALL_SPEC, n_frames=300)
    assert target[100] == 1
    assert target[200] == pytest.approx(target[201])  # the second beat lies between two frames
    assert target[150] < 1e-6


def test_the_target_heatmap_without_beats_is_zero():
    assert not target_heatmap(np.zeros(0), SMALL_SPEC, n_frames=100).any()


def test_positions_stay_on_their_beats_whatever_is_done_to_the_signal(regular, with_ectopics, quiet):
    for crop in crops(regular, gather_material([with_ectopics], quiet)):
        assert len(crop.signal) == int(CROP_S * FS_HZ)
        beats = crop.position[crop.code != NO_BEAT].astype(int)
        beats = beats[(beats > 20) & (beats < len(crop.signal) - 20)]
        height = np.array([np.abs(crop.signal[b - 8 : b + 9]).max() for b in beats])
        assert np.median(height) > 0.25


def test_false_beats_are_labelled_as_no_beat(regular, quiet):
    codes = np.concatenate([crop.code for crop in crops(regular, gather_material([regular], quiet))])
    assert set(codes) == {NORMAL, S, NO_BEAT}  # a regular heart gets premature beats, but no ventricular ones


def test_beats_that_are_made_supraventricular_come_early(regular, quiet):
    config = changed(
        rhythm={"rate_probability": 0.0, "sinus_arrhythmia_probability": 0.0},
        detection={"missed_probability": 0.0, "extra_probability": 0.0},
        blocked=NEVER,
        fibrillation=NEVER,
    )
    early, usual = [], []
    for crop in crops(regular, gather_material([regular], quiet), config=config):
        rr, s = np.diff(crop.position), crop.code == S
        early += list(rr[s[1:] & ~s[:-1]] / np.median(rr[~s[1:] & ~s[:-1]]))
        usual += list(rr[~s[1:] & ~s[:-1]] / np.median(rr[~s[1:] & ~s[:-1]]))
    assert np.median(early) < 0.85
    assert np.median(usual) == pytest.approx(1, abs=0.02)


def test_an_irregular_heart_gets_no_premature_beats(quiet):
    rr_s = 0.8 * np.exp(0.2 * np.random.default_rng(0).normal(size=400))
    fibrillating = spikes(rr_s, np.full(400, NORMAL))
    assert not is_steady(strip_of(fibrillating), AUGMENTATION.rhythm)
    assert not any(np.any(crop.code == S) for crop in crops(fibrillating, gather_material([fibrillating], quiet)))


def test_in_fibrillation_no_beat_is_premature(monkeypatch):
    """Not even one that the record's annotations call so: its P wave is taken out."""
    config = changed(blocked=NEVER, rhythm=STEADY_RATE, atrial=NEVER, fibrillation={"probability": 1.0})
    record = spikes(np.full(400, 0.8), np.where(np.arange(400) % 9 == 4, S, NORMAL))
    for seed in range(10):
        inside = draw_episodes(400, config.fibrillation, rng=np.random.default_rng(seed))
        monkeypatch.setattr(rhythm_changes, "draw_episodes", lambda n, config, rng, inside=inside: inside)
        strip = change_rhythm(strip_of(record), config, rng=np.random.default_rng(seed))
        assert (strip.code[inside] == NORMAL).all()
        np.testing.assert_array_equal(strip.code[~inside], record.code[~inside])
        np.testing.assert_array_equal(strip.in_af, inside)
        np.testing.assert_allclose(strip.rr[~inside[1:]], np.diff(strip.position)[~inside[1:]])
        assert np.std(np.log(strip.rr[inside[1:]])) > 0.08


def test_simulated_fibrillation_is_learned_as_fibrillation_and_what_lies_around_it_as_it_was(quiet):
    unknown = np.full(400, UNLABELLED)
    config = changed(blocked=NEVER, ventricular=NEVER, detection=EXACT_DETECTION, fibrillation={"probability": 1.0})
    for known, outside in ((None, 0), (unknown, UNLABELLED)):
        record = spikes(np.full(400, 0.8), np.full(400, NORMAL), in_af=known)
        learned = np.concatenate(
            [crop.in_af for crop in crops(record, gather_material([record], quiet), config=config)]
        )
        assert set(learned) == {1, outside}


def test_a_beat_keeps_the_rhythm_that_is_known_of_it_and_a_false_one_has_none(regular, quiet):
    """The second half of the record is fibrillation; no augmentation makes other."""
    half = np.repeat([0, 1], 200)
    record = replace(regular, in_af=half)
    config = changed(fibrillation=NEVER, rhythm=STEADY_RATE, atrial=NEVER, detection={"extra_probability": 0.2})
    for crop in crops(record, gather_material([record], quiet), config=config):
        assert (crop.in_af[crop.code == NO_BEAT] == UNLABELLED).all()
        known = crop.in_af[crop.code != NO_BEAT]
        assert set(known) <= {0, 1}
        assert (np.diff(known) >= 0).all()  # it begins once and goes on


def test_what_lies_behind_the_end_of_a_short_record_is_silent_and_holds_no_beat(quiet):
    record = spikes(np.full(20, 0.8), np.full(20, NORMAL))
    noise = quiet + np.random.default_rng(0).normal(size=quiet.shape).astype(np.float32)
    config = changed(
        replace(SHORT_CROPS, max_stretch=1.0), fibrillation=NEVER, rhythm=STEADY_RATE, atrial=NEVER, blocked=NEVER,
        ventricular=NEVER, detection=EXACT_DETECTION, noise={"probability": 1.0},
    )  # fmt: skip
    end = record.signal.shape[1]
    for crop in crops(record, gather_material([record], noise), config=config, n=5):
        assert len(crop.signal) == int(CROP_S * FS_HZ)
        assert crop.signal[:end].any()
        assert not crop.signal[end:].any()
        np.testing.assert_allclose(crop.position, record.position)
        assert not crop.target_heatmap[end // SMALL_SPEC.stride + 1 :].round(2).any()


def test_dominant_atrial_runs_are_most_of_the_normal_beats_and_no_other():
    code = np.where(np.arange(400) % 9 == 4, VENTRICULAR, NORMAL)
    fraction = []
    for seed in range(50):
        inside = dominant_runs(code, AUGMENTATION.atrial, rng=np.random.default_rng(seed))
        assert (code[inside] == NORMAL).all()
        assert not inside[[0, -1]].any()  # the RR of both ends is not known
        fraction.append(inside[code == NORMAL].mean())
    assert min(fraction) > 0.6
    assert max(fraction) < 1


def test_dominant_atrial_runs_are_drawn_as_often_as_configured(regular, quiet):
    config = changed(
        blocked=NEVER, fibrillation=NEVER, ventricular=NEVER, detection=EXACT_DETECTION, atrial={"probability": 1.0}
    )
    often = changed(config, atrial={"dominant_probability": 0.5})
    always = changed(config, atrial={"dominant_probability": 1.0})
    material = gather_material([regular], quiet)
    filled = [
        np.mean([np.mean(crop.code == S) > 0.5 for crop in crops(regular, material, config=one)])
        for one in (config, often, always)
    ]
    assert filled[0] < 0.2 < filled[1] < 0.8 < filled[2]


def test_episodes_begin_and_end_inside_most_crops():
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_episodes(300, AUGMENTATION.fibrillation, rng=rng) for _ in range(100)])
    changes = np.abs(np.diff(drawn.astype(int), axis=1)).sum(axis=1)
    assert 0.6 < np.mean(changes > 0) < 0.95
    assert changes.max() >= 4
    assert drawn.all(axis=1).any()


def test_a_run_of_premature_beats_is_regular_and_fibrillation_is_not():
    early = np.zeros(60, dtype=bool)
    early[[3, 30, *range(10, 20)]] = True
    rngs = [np.random.default_rng(seed) for seed in range(20)]
    factor = np.stack([draw_prematurity(early, AUGMENTATION.atrial, rng=rng) for rng in rngs])
    assert (np.std(np.log(factor[:, 10:20]), axis=1) < 0.08).all()
    assert np.std(np.log(factor[:, [3, 30]]) @ [1, -1]) > 0.08  # two lone ones differ


def test_aberrant_beats_differ_in_degree_and_no_other_beat_changes(regular):
    before, bent = regular.signal[0], regular.position[10:390:10]
    other = np.setdiff1d(regular.position, bent).astype(int)
    degrees = []
    for seed in range(10):
        after = bend_qrs(before, bent, config=AUGMENTATION.aberrant, rng=np.random.default_rng(seed))
        assert all(np.array_equal(after[b - 8 : b + 9], before[b - 8 : b + 9]) for b in other)
        change = [np.abs(after - before)[b - 10 : b + 20].max() for b in np.rint(bent).astype(int)]
        degrees.append(np.percentile(change, [10, 90]))
    low, high = np.transpose(degrees)
    assert np.median(high) > 0.1  # of the height of a QRS
    assert np.median(low / high) < 0.7


def test_a_drift_is_slow_and_stays_between_effort_and_rest():
    effort, rest = AUGMENTATION.rhythm.rr_factor
    drifts = [draw_drift(300, AUGMENTATION.rhythm, rng=np.random.default_rng(seed)) for seed in range(20)]
    assert np.min(drifts) >= effort - 1e-9
    assert np.max(drifts) <= rest + 1e-9
    assert np.median(np.abs(np.diff(np.log(drifts), axis=1))) < 0.02


def test_a_slow_ventricular_rhythm_is_one_run_of_normal_beats():
    code = np.full(200, NORMAL)
    code[::7] = S
    for seed in range(20):
        run = draw_slow_run(code, AUGMENTATION.ventricular, rng=np.random.default_rng(seed))
        first, last = np.flatnonzero(run)[[0, -1]]
        assert not run[code == S].any()
        assert run[first : last + 1][code[first : last + 1] == NORMAL].all()


def test_a_slow_ventricular_rhythm_is_not_premature(regular, with_ectopics, quiet):
    config = changed(
        rhythm=STEADY_RATE, fibrillation=NEVER, atrial=NEVER, blocked=NEVER, detection=EXACT_DETECTION,
        ventricular={"probability": 1.0, "slow_probability": 1.0},
    )  # fmt: skip
    relative = []
    for crop in crops(regular, gather_material([with_ectopics], quiet), config=config):
        rr, code = np.diff(crop.position), crop.code[1:]
        relative += list(rr[code == VENTRICULAR] / np.median(rr[code == NORMAL]))
    assert len(relative) > 100
    assert min(relative) > 0.8


@pytest.mark.parametrize("snr_db", [0.0, 12.0])
def test_noise_is_as_loud_as_configured_or_softer(snr_db):
    config = replace(AUGMENTATION.noise, snr_db=(snr_db, snr_db))
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 60_000)).astype(np.float32)
    level = [add_noise(np.zeros(30_000, np.float32), noise, config=config, rng=rng).std() for _ in range(30)]
    loudest = 10 ** (-snr_db / 20) / np.sqrt(8)
    assert max(level) == pytest.approx(loudest, rel=0.05)
    assert min(level) < 0.8 * loudest


def test_ventricular_beats_of_another_patient_keep_that_patients_morphology(regular, with_ectopics, quiet):
    lead = ("mix_probability", "invert_probability", "lowpass_probability", "highpass_probability")
    config = changed(
        lead=dict.fromkeys(lead, 0.0), noise=NEVER, detection={"missed_probability": 0.0, "extra_probability": 0.0}
    )
    lowest = []
    for crop in crops(regular, gather_material([with_ectopics], quiet), config=config):
        beats = crop.position[crop.code == VENTRICULAR].astype(int)
        beats = beats[(beats > 20) & (beats < len(crop.signal) - 20)]
        lowest += [crop.signal[b - 8 : b + 9].min() for b in beats]
    assert len(lowest) > 20
    assert np.median(lowest) < -0.3  # they go down, the normal beats of this patient go up


def test_only_lone_ventricular_beats_are_taken_to_other_patients(quiet):
    codes = np.full(60, NORMAL)
    codes[[10, 30, 31]] = VENTRICULAR  # one alone, and a couplet
    material = gather_material([spikes(np.full(60, 0.8), codes)], quiet)
    assert [len(beats) for beats in material.ventricular] == [1]
    assert np.allclose(material.ventricular[0][..., [0, -1]], 0)


def test_premature_beats_are_made_of_normal_ones_between_normal_ones():
    rng = np.random.default_rng(0)
    code = np.where(rng.random(500) < 0.1, VENTRICULAR, NORMAL)
    for _ in range(20):
        early = np.flatnonzero(premature_beats(code, AUGMENTATION.premature, rng=rng))
        assert (code[early] == NORMAL).all()
        assert (code[early - 1] == NORMAL).all()
        assert (code[early + 1] == NORMAL).all()


def steady_strip(position, rr, *, n):
    return Strip(np.zeros(n, np.float32), position, np.full(len(position), NORMAL), np.zeros(len(position), int), rr)


def test_a_map_of_time_gives_each_beat_its_new_rr():
    position = np.cumsum(np.full(50, 100.0))
    rr = np.random.default_rng(0).uniform(70, 160, 49)
    before, after = time_map(steady_strip(position, rr, n=5200), AUGMENTATION.retiming)
    assert (np.diff(before) >= 0).all()
    assert (np.diff(after) >= 0).all()
    np.testing.assert_allclose(np.diff(np.interp(position, before, after)), rr, rtol=1e-6)


def test_a_map_of_time_leaves_each_qrs_its_width():
    position = np.cumsum(np.full(20, 100.0))
    before, after = time_map(steady_strip(position, np.full(19, 60.0), n=2200), AUGMENTATION.retiming)
    qrs = np.stack([position - 5, position + 5])[:, 1:-1]
    np.testing.assert_allclose(np.diff(np.interp(qrs, before, after), axis=0), 10.0)


def test_every_number_of_the_augmentation_can_be_changed():
    """Crops depend on each of them: none is left unused."""
    used = set()

    class Watched:
        def __init__(self, group, name):
            self.group, self.name = group, name

        def __getattr__(self, name):
            used.add((self.name, name))
            value = getattr(self.group, name)
            return Watched(value, name) if hasattr(value, "__dataclass_fields__") else value

    record = spikes(np.full(400, 0.8), np.where(np.arange(400) % 9 == 4, VENTRICULAR, NORMAL))
    noise = np.ones((2, int(400 * FS_HZ)), dtype=np.float32)
    config = Watched(changed(atrial={"dominant_probability": 0.2}), "")
    material = gather_material([record], noise, config=config.ventricular)
    two_leads = replace(record, signal=np.repeat(record.signal, 2, axis=0), valid=np.repeat(record.valid, 2, axis=0))
    steady = spikes(np.full(400, 0.8), np.full(400, NORMAL))
    for one in (two_leads, steady):
        crops(one, material, config=config, n=60)
    numbers = {("", name) for name in Augmentation.__dataclass_fields__}
    groups = {name: getattr(AUGMENTATION, name) for _, name in numbers}
    numbers |= {(name, inner) for name, group in groups.items() for inner in getattr(group, "__dataclass_fields__", ())}
    assert numbers - used == set()
