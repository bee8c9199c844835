"""Training crops: what is changed, and that marks and classes stay true to it."""

import numpy as np
import pytest
from test_training import SPEC

from ecg_core.labels import CLASSES, NO_BEAT
from ecg_core.signals.filters import FS_HZ
from ecg_core.training import augmentation
from ecg_core.training.augmentation import (
    FASTEST,
    NORMAL,
    SLOWEST,
    VENTRICULAR,
    TrainingRecord,
    _aberrant,
    _add_noise,
    _another_rhythm,
    _drift,
    _episodes,
    _is_steady,
    _long_run,
    _premature_pattern,
    _prematurity,
    _retimed,
    draw_crop,
    gather_material,
    target_heatmap,
)

CROP_S = 60.0
S = CLASSES.index("S")


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(augmentation, "CROP_S", CROP_S)


def spikes(rr_s, code, *, name="a"):
    """One lead of narrow spikes; ventricular beats are broad and go down."""
    position = np.cumsum(rr_s) * FS_HZ
    time = np.arange(int(position[-1] + 2 * FS_HZ))
    signal = 0.01 * np.random.default_rng(0).normal(size=(1, len(time)))
    for centre, kind in zip(position, code, strict=True):
        width, height = (8, -0.8) if kind == VENTRICULAR else (3, 1.0)
        signal += height * np.exp(-0.5 * ((time - centre) / width) ** 2)
    return TrainingRecord(name, signal.astype(np.float32), np.ones(signal.shape, bool), position, np.asarray(code))


@pytest.fixture(scope="module")
def regular():
    return spikes(np.full(400, 0.8), np.full(400, NORMAL))


@pytest.fixture(scope="module")
def with_ectopics():
    return spikes(np.full(400, 0.8), np.where(np.arange(400) % 9 == 4, VENTRICULAR, NORMAL), name="b")


@pytest.fixture(scope="module")
def quiet():
    return np.zeros((2, int(400 * FS_HZ)), dtype=np.float32)


def crops(record, material, n=25, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_crop(record, material, SPEC, rng) for _ in range(n)]


def test_heat_peaks_at_each_beat_and_is_silent_between():
    heat = target_heatmap(np.array([400.0, 802.0]), SPEC, 300)
    assert heat[100] == 1
    assert heat[200] == pytest.approx(heat[201])  # the second beat lies between two frames
    assert heat[150] < 1e-6


def test_heat_without_beats_is_zero():
    assert not target_heatmap(np.zeros(0), SPEC, 100).any()


def test_crops_keep_marks_on_their_beats_whatever_is_done_to_the_signal(regular, with_ectopics, quiet):
    for crop in crops(regular, gather_material([with_ectopics], quiet)):
        assert len(crop.signal) == int(CROP_S * FS_HZ)
        beats = crop.position[crop.code != NO_BEAT].astype(int)
        beats = beats[(beats > 20) & (beats < len(crop.signal) - 20)]
        there = np.array([np.abs(crop.signal[b - 8 : b + 9]).max() for b in beats])
        assert np.median(there) > 0.25


def test_what_is_no_beat_is_called_so(regular, quiet):
    codes = np.concatenate([crop.code for crop in crops(regular, gather_material([regular], quiet))])
    assert set(codes) == {NORMAL, S, NO_BEAT}  # a regular heart gets premature beats, but no ventricular ones


def test_beats_that_are_made_supraventricular_come_early(regular, quiet, monkeypatch):
    for name in ("RATE_SHARE", "SWAYING_SHARE", "MISSED_SHARE", "EXTRA_SHARE", "BLOCKED_SHARE", "FIBRILLATING_SHARE"):
        monkeypatch.setattr(augmentation, name, 0.0)
    early, usual = [], []
    for crop in crops(regular, gather_material([regular], quiet)):
        rr, s = np.diff(crop.position), crop.code == S
        early += list(rr[s[1:] & ~s[:-1]] / np.median(rr[~s[1:] & ~s[:-1]]))
        usual += list(rr[~s[1:] & ~s[:-1]] / np.median(rr[~s[1:] & ~s[:-1]]))
    assert np.median(early) < 0.85
    assert np.median(usual) == pytest.approx(1, abs=0.02)


def test_an_irregular_heart_gets_no_premature_beats(quiet):
    rr_s = 0.8 * np.exp(0.2 * np.random.default_rng(0).normal(size=400))
    fibrillating = spikes(rr_s, np.full(400, NORMAL))
    assert not _is_steady(fibrillating.position, fibrillating.code)
    assert not any(np.any(crop.code == S) for crop in crops(fibrillating, gather_material([fibrillating], quiet)))


def test_in_fibrillation_no_beat_is_premature(monkeypatch):
    """Not even one that the record's marks call so: its P wave is taken away."""
    for name in ("BLOCKED_SHARE", "RATE_SHARE", "DRIFTING_SHARE", "SWAYING_SHARE", "PREMATURE_SHARE"):
        monkeypatch.setattr(augmentation, name, 0.0)
    monkeypatch.setattr(augmentation, "FIBRILLATING_SHARE", 1.0)
    record = spikes(np.full(400, 0.8), np.where(np.arange(400) % 9 == 4, S, NORMAL))
    for seed in range(10):
        inside = _episodes(400, np.random.default_rng(seed))
        monkeypatch.setattr(augmentation, "_episodes", lambda n, rng, inside=inside: inside)
        rng = np.random.default_rng(seed)
        _, position, code, rr = _another_rhythm(record.signal[0], record.position, record.code, rng)
        assert (code[inside] == NORMAL).all()
        np.testing.assert_array_equal(code[~inside], record.code[~inside])
        np.testing.assert_allclose(rr[~inside[1:]], np.diff(position)[~inside[1:]])
        assert np.std(np.log(rr[inside[1:]])) > 0.08


def test_episodes_begin_and_end_inside_most_crops():
    rng = np.random.default_rng(0)
    drawn = np.stack([_episodes(300, rng) for _ in range(100)])
    changes = np.abs(np.diff(drawn.astype(int), axis=1)).sum(axis=1)
    assert 0.6 < np.mean(changes > 0) < 0.95
    assert changes.max() >= 4
    assert drawn.all(axis=1).any()


def test_a_run_of_premature_beats_is_regular_and_fibrillation_is_not():
    early = np.zeros(60, dtype=bool)
    early[[3, 30, *range(10, 20)]] = True
    shares = np.stack([_prematurity(early, np.random.default_rng(seed)) for seed in range(20)])
    assert (np.std(np.log(shares[:, 10:20]), axis=1) < 0.08).all()
    assert np.std(np.log(shares[:, [3, 30]]) @ [1, -1]) > 0.08  # two lone ones differ


def test_aberrant_beats_differ_in_degree_and_no_other_beat_changes(regular):
    before, bent = regular.signal[0], regular.position[10:390:10]
    other = np.setdiff1d(regular.position, bent).astype(int)
    degrees = []
    for seed in range(10):
        after = _aberrant(before, bent, np.random.default_rng(seed))
        assert all(np.array_equal(after[b - 8 : b + 9], before[b - 8 : b + 9]) for b in other)
        change = [np.abs(after - before)[b - 10 : b + 20].max() for b in np.rint(bent).astype(int)]
        degrees.append(np.percentile(change, [10, 90]))
    low, high = np.transpose(degrees)
    assert np.median(high) > 0.1  # of the height of a QRS
    assert np.median(low / high) < 0.7


def test_a_drift_is_slow_and_stays_between_effort_and_rest():
    for seed in range(20):
        factor = _drift(300, np.random.default_rng(seed))
        assert factor.min() >= FASTEST - 1e-9
        assert factor.max() <= SLOWEST + 1e-9
    changes = [np.abs(np.diff(np.log(_drift(300, np.random.default_rng(seed))))) for seed in range(20)]
    assert np.median(np.concatenate(changes)) < 0.02


def test_a_slow_ventricular_rhythm_is_one_run_of_normal_beats():
    code = np.full(200, NORMAL)
    code[::7] = S
    for seed in range(20):
        run = _long_run(code, np.random.default_rng(seed))
        first, last = np.flatnonzero(run)[[0, -1]]
        assert not run[code == S].any()
        assert run[first : last + 1][code[first : last + 1] == NORMAL].all()


def test_a_slow_ventricular_rhythm_is_not_premature(regular, with_ectopics, quiet, monkeypatch):
    for name in ("RATE_SHARE", "DRIFTING_SHARE", "SWAYING_SHARE", "FIBRILLATING_SHARE", "PREMATURE_SHARE"):
        monkeypatch.setattr(augmentation, name, 0.0)
    for name in ("MISSED_SHARE", "EXTRA_SHARE", "BLOCKED_SHARE", "JITTER_SAMPLES"):
        monkeypatch.setattr(augmentation, name, 0.0)
    monkeypatch.setattr(augmentation, "VENTRICULAR_SHARE", 1.0)
    monkeypatch.setattr(augmentation, "IDIOVENTRICULAR_SHARE", 1.0)
    relative = []
    for crop in crops(regular, gather_material([with_ectopics], quiet)):
        rr, code = np.diff(crop.position), crop.code[1:]
        relative += list(rr[code == VENTRICULAR] / np.median(rr[code == NORMAL]))
    assert len(relative) > 100
    assert min(relative) > 0.8


@pytest.mark.parametrize("snr_db", [0.0, 12.0])
def test_noise_is_as_loud_as_stated_or_softer(monkeypatch, snr_db):
    monkeypatch.setattr(augmentation, "NOISE_DB", (snr_db, snr_db))
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 60_000)).astype(np.float32)
    level = [_add_noise(np.zeros(30_000, np.float32), noise, rng).std() for _ in range(30)]
    stated = 10 ** (-snr_db / 20) / np.sqrt(8)
    assert max(level) == pytest.approx(stated, rel=0.05)
    assert min(level) < 0.8 * stated


def test_ventricular_beats_of_another_patient_look_like_that_patients(regular, with_ectopics, quiet, monkeypatch):
    for name in ("MIX_SHARE", "INVERT_SHARE", "NOISE_SHARE", "BAND_SHARE", "MISSED_SHARE", "EXTRA_SHARE"):
        monkeypatch.setattr(augmentation, name, 0.0)
    lowest = []
    for crop in crops(regular, gather_material([with_ectopics], quiet)):
        beats = crop.position[crop.code == VENTRICULAR].astype(int)
        beats = beats[(beats > 20) & (beats < len(crop.signal) - 20)]
        lowest += [crop.signal[b - 8 : b + 9].min() for b in beats]
    assert len(lowest) > 20
    assert np.median(lowest) < -0.3  # they go down, the patient's own beats go up


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
        early = np.flatnonzero(_premature_pattern(code, rng))
        assert (code[early] == NORMAL).all()
        assert (code[early - 1] == NORMAL).all()
        assert (code[early + 1] == NORMAL).all()


def test_a_map_of_time_gives_each_beat_the_rr_that_is_asked_for():
    position = np.cumsum(np.full(50, 100.0))
    rr = np.random.default_rng(0).uniform(70, 160, 49)
    before, after = _retimed(position, rr, 5200)
    assert (np.diff(before) >= 0).all()
    assert (np.diff(after) >= 0).all()
    np.testing.assert_allclose(np.diff(np.interp(position, before, after)), rr, rtol=1e-6)


def test_a_map_of_time_leaves_each_qrs_its_width():
    position = np.cumsum(np.full(20, 100.0))
    before, after = _retimed(position, np.full(19, 60.0), 2200)
    qrs = np.stack([position - 5, position + 5])[:, 1:-1]
    np.testing.assert_allclose(np.diff(np.interp(qrs, before, after), axis=0), 10.0)
