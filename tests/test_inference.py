"""Weights with their spec, and beats found, described and classified: whatever the cut, the same."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.af_model import finding_af, without_af

from ecg_core.classifier import encoder
from ecg_core.classifier import model as models
from ecg_core.classifier.classification import classify, classify_latest, references
from ecg_core.classifier.detection import fuse_heatmaps, pick_beats
from ecg_core.classifier.encoder import describe_beats, encode
from ecg_core.classifier.engine import ENGINES
from ecg_core.classifier.model import load_model
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.errors import ModelError
from ecg_core.labels import CLASSES
from ecg_core.parallel import use_threads
from ecg_core.signals.filters import FS_HZ, clean_leads, normalise

EXCERPT_FS_HZ = 257
ROOT = Path(__file__).parents[1]
GROWN = """
import numpy, os, pathlib, sys
from ecg_core.parallel import use_threads
from ecg_core.classifier.model import load_model
from ecg_core.classifier.encoder import encode
use_threads(1)
model, memory_mb = load_model(engine=sys.argv[1]), []
for n in range(1000, 2200, 4):
    encode(model, numpy.zeros((1, n), dtype=numpy.float32))
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    memory_mb.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
print(memory_mb[-1] - memory_mb[60])
"""


@pytest.fixture(scope="module")
def signal(excerpt):
    """Five minutes of a normalised lead, shape (1, n)."""
    clean = clean_leads(excerpt[None, : 300 * EXCERPT_FS_HZ], EXCERPT_FS_HZ)
    return normalise(clean.signal_mv[0], clean.valid[0])[None]


def weight_of(model, signal):
    return np.ones((len(signal), -(-signal.shape[1] // model.spec.stride)), dtype=np.float32)


def find_beats(model, signal, weight, *, position=None):
    """Beats of leads that count by ``weight``, or those at ``position``, with how the network describes them."""
    encoded = encode(model, signal)
    if position is None:
        heatmap = fuse_heatmaps(encoded.beat_heatmap, weight)
        position = 4 * pick_beats(heatmap, threshold=model.spec.detection_threshold, frame_s=4 / FS_HZ)
    described = describe_beats(model, encoded, position)
    return SimpleNamespace(position=position, token=described.token, attention=described.attention)


@pytest.fixture(scope="module")
def found(model, signal):
    return find_beats(model, signal, weight_of(model, signal))


@pytest.fixture
def saved(tmp_path, model):
    """A new network of the shipped shape, as it was before it was saved, and where it lies."""
    torch.manual_seed(0)
    network = BeatNetwork(model.spec).eval()
    path = tmp_path / "new.pt"
    return save_model(path, torch_model(model.spec, network)), path


# Files


def test_a_saved_model_comes_back_with_its_spec(saved, model):
    written, path = saved
    loaded = load_model(path)
    assert loaded.spec == written.spec
    assert replace(loaded.spec, sha256=model.spec.sha256, int8_sha256=model.spec.int8_sha256) == model.spec
    assert sorted(file.name for file in path.parent.iterdir()) == ["new.json", "new.pt"]


def test_a_saved_model_comes_back_with_its_results(saved, signal):
    written, path = saved
    strip = torch.from_numpy(signal[:, :5000])
    loaded = load_model(path).network
    with torch.inference_mode():
        for before, after in zip(written.network.frames(strip), loaded.frames(strip), strict=True):
            torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_altered_weights_are_refused(saved, place):
    _, path = saved
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"new.pt: its SHA-256 is .*expected .* from new.json"):
        load_model(path)


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_a_missing_file_is_named(saved, suffix):
    _, path = saved
    path.with_suffix(suffix).unlink()
    with pytest.raises(ModelError, match=rf"new\{suffix}: this file does not exist"):
        load_model(path)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("write", [lambda x, f: f.write(pickle.dumps(x)), torch.save])
def test_a_foreign_pickle_is_refused_and_runs_no_code(saved, tmp_path, write):
    _, path = saved
    trace = tmp_path / "it ran"
    with path.open("wb") as stream:
        write({"stem.0.weight": Bomb(trace)}, stream)
    spec = json.loads(path.with_suffix(".json").read_text())
    spec["sha256"] = models.sha256_of(path)
    path.with_suffix(".json").write_text(json.dumps(spec))
    with pytest.raises(ModelError, match=r"new\.pt: expected weights of this network"):
        load_model(path)
    assert not trace.exists()


def change_spec(path, **fields):
    spec = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(spec | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"unheard_of": 1},
        {"channels": [8, 8]},
        {"channels": [8, 8, 8]},
        {"channels": ["a", "b", "c"]},
        {"heads": -1},
        {"stride": 0},
        {"token_size": None},
    ],
)
def test_a_spec_of_another_network_is_refused(saved, fields):
    _, path = saved
    change_spec(path, **fields)
    with pytest.raises(ModelError, match="new"):
        load_model(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "1", '"spec"', "\x00"])
def test_a_spec_that_is_none_is_refused(saved, text):
    _, path = saved
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match=r"new\.json"):
        load_model(path)


def test_the_spec_is_plain_json_of_every_field(saved):
    written, path = saved
    spec = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert set(spec) == set(asdict(written.spec))


# Beats


def test_beats_are_in_order_and_as_dense_as_a_heart_beats(found):
    assert (np.diff(found.position) > 0.15 * FS_HZ).all()
    assert 200 < len(found.position) < 700


@pytest.mark.parametrize("strip_frames", [200, 1000, 9000])
def test_beats_do_not_depend_on_how_strips_are_cut(model, signal, found, monkeypatch, strip_frames):
    monkeypatch.setattr(encoder, "STRIP_FRAMES", strip_frames)
    again = find_beats(model, signal, weight_of(model, signal))
    np.testing.assert_allclose(again.position, found.position, atol=1e-3 * FS_HZ)
    np.testing.assert_allclose(again.token, found.token, atol=1e-3)
    np.testing.assert_allclose(again.attention, found.attention, atol=1e-4)


def test_beats_anywhere_can_be_described_and_even_past_the_end(model, signal):
    position = np.array([0.0, 3.7, 1000.25, 20_000.0, signal.shape[1] - 1.0, signal.shape[1] + 5.0])
    known = find_beats(model, signal, weight_of(model, signal), position=position)
    assert np.isfinite(known.token).all()


def test_a_known_beat_is_described_as_when_it_is_found(model, signal, found):
    known = find_beats(model, signal, weight_of(model, signal), position=found.position)
    np.testing.assert_allclose(known.token, found.token, atol=1e-5)


def test_attention_sums_to_one_over_the_steps(found):
    np.testing.assert_allclose(found.attention.sum(axis=2), 1, atol=1e-5)
    assert (found.attention >= 0).all()


@pytest.mark.parametrize("n_leads", [1, 3])
def test_where_no_lead_counts_no_beat_is_found(model, signal, n_leads):
    several = np.repeat(signal[:, :10_000], n_leads, axis=0)
    nothing = find_beats(model, several, 0 * weight_of(model, several))
    assert nothing.position.shape == (0,)
    assert nothing.token.shape == (0, n_leads, model.spec.token_size)
    assert nothing.attention.shape[:2] == (0, n_leads)


def test_a_flat_signal_has_no_beats(model):
    flat = np.zeros((1, 20_000), dtype=np.float32)
    assert len(find_beats(model, flat, weight_of(model, flat)).position) == 0


def test_a_lead_without_weight_changes_no_beat(model, signal, found):
    junk = np.random.default_rng(0).normal(0, 1, signal.shape).astype(np.float32)
    both = np.concatenate([signal, junk])
    weight = weight_of(model, both)
    weight[1] = 0
    again = find_beats(model, both, weight)
    np.testing.assert_allclose(again.position, found.position, atol=1e-3)
    np.testing.assert_allclose(again.token[:, :1], found.token, atol=1e-5)


# Classes


def rr_of(found):
    return np.diff(found.position / FS_HZ, prepend=np.nan)


def test_probabilities_are_of_every_class_and_sum_to_one(model, found):
    weight = np.ones((len(found.position), 1), np.float32)
    probability = classify(model, found.token, rr_of(found), weight).probability
    assert probability.shape == (len(found.position), 5)
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)


def test_the_same_lead_twice_gives_the_same_probabilities(model, found):
    n = len(found.position)
    once = classify(model, found.token, rr_of(found), np.ones((n, 1), np.float32))
    twice = classify(model, np.repeat(found.token, 2, axis=1), rr_of(found), np.full((n, 2), 0.5, np.float32))
    np.testing.assert_allclose(twice.probability, once.probability, atol=1e-5)


def test_a_model_that_does_not_find_fibrillation_gives_no_probability_of_it(model, found):
    weight = np.ones((len(found.position), 1), np.float32)
    assert classify(without_af(model), found.token, rr_of(found), weight).af is None


def logit(probability):
    return np.log(probability / (1 - probability))


@pytest.fixture(scope="module")
def other_token(found):
    """Tokens of another lead."""
    return found.token[::-1] + np.float32(0.5)


def test_each_beat_is_read_in_the_leads_that_have_weight(model, found, other_token):
    finding, rr_s, n = finding_af(model), rr_of(found), len(found.position)
    both = np.concatenate([found.token, other_token], axis=1)
    alone = [classify(finding, token, rr_s, np.ones((n, 1), np.float32)) for token in (found.token, other_token)]
    for lead, one in enumerate(alone):
        weight = np.tile(np.eye(2, dtype=np.float32)[lead], (n, 1))
        together = classify(finding, both, rr_s, weight)
        for name in ("probability", "noise", "af"):
            np.testing.assert_allclose(getattr(together, name), getattr(one, name), atol=1e-6)
    assert np.abs(alone[0].probability - alone[1].probability).max() > 0.01


def test_leads_that_show_the_same_are_read_as_one(model, found):
    rr_s, n = rr_of(found), len(found.position)
    weight = np.random.default_rng(0).uniform(0, 1, (n, 1)).astype(np.float32)
    twice = classify(model, np.repeat(found.token, 2, axis=1), rr_s, np.concatenate([weight, 1 - weight], axis=1))
    once = classify(model, found.token, rr_s, np.ones((n, 1), np.float32))
    np.testing.assert_allclose(twice.probability, once.probability, atol=1e-3)


def test_the_latest_beats_are_read_in_the_same_leads(model, found, other_token):
    finding, rr_s = finding_af(model), rr_of(found)[:80]
    tokens = np.concatenate([found.token, other_token], axis=1)[:80]
    reference = references(finding, tokens, rr_s)
    first = np.tile(np.array([1, 0], np.float32), (80, 1))
    together = classify_latest(finding, tokens, rr_s, first, reference)
    alone = classify_latest(finding, tokens[:, [0]], rr_s, np.ones((80, 1), np.float32), reference[[0]])
    np.testing.assert_allclose(together.probability, alone.probability, atol=1e-6)
    np.testing.assert_allclose(together.af, alone.af, atol=1e-6)


def test_what_may_be_no_beat_counts_as_unclassifiable(model, found):
    """Tokens of nothing at all: they are no beats, and may not be called ventricular because no class fits."""
    token = 10 * np.random.default_rng(0).normal(size=found.token.shape).astype(np.float32)
    predictions = classify(model, token, rr_of(found), np.ones((len(token), 1), np.float32))
    assert (predictions.probability[:, CLASSES.index("Q")] >= predictions.noise - 1e-6).all()
    assert (predictions.noise > 0).any()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_beats_are_classified_too(model, found, n):
    weight = np.ones((n, 1), np.float32)
    for one in (without_af(model), finding_af(model)):
        predictions = classify(one, found.token[:n], rr_of(found)[:n], weight)
        assert predictions.probability.shape == (n, 5)
        assert np.isfinite(predictions.probability).all()
    assert predictions.af.shape == (n,)
    assert np.isfinite(predictions.af).all()


def test_the_bias_of_a_class_makes_it_more_probable(model, found):
    weight = np.ones((len(found.position), 1), np.float32)
    biased = torch_model(replace(model.spec, class_bias=(0.0, 0.0, 2.0, 0.0, 0.0)), model.network)
    plain = torch_model(replace(model.spec, class_bias=(0.0,) * 5), model.network)
    args = found.token, rr_of(found), weight
    assert (classify(biased, *args).probability[:, 2] >= classify(plain, *args).probability[:, 2]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_number_of_threads_changes_no_bit_of_half_an_hour(engine, signal):
    model = load_model(engine=engine)
    half_hour = np.tile(signal, 6) + np.random.default_rng(0).normal(scale=0.05, size=(1, 6 * signal.shape[1]))
    half_hour = half_hour.astype(np.float32)
    try:
        use_threads(1)
        alone = encode(model, half_hour)
        for n_threads in (2, 3, 5, 7):
            use_threads(n_threads)
            encoded = encode(model, half_hour)
            np.testing.assert_array_equal(encoded.beat_heatmap, alone.beat_heatmap)
            np.testing.assert_array_equal(encoded.frames, alone.frames)
    finally:
        use_threads(1)


def test_a_prediction_needed_alone_is_the_one_of_the_whole(model, found):
    model = finding_af(model)
    n = 1500
    beats = np.resize(np.arange(len(found.position)), n)
    tokens, weight = found.token[beats], np.ones((n, 1), np.float32)
    rr_s = np.random.default_rng(0).normal(0.8, 0.05, n)
    needed = np.arange(n) == 700
    alone, all_of_them = (classify(model, tokens, rr_s, weight, needed=which) for which in (needed, None))
    np.testing.assert_allclose(alone.probability[needed], all_of_them.probability[needed], atol=1e-5)
    np.testing.assert_allclose(alone.af[needed], all_of_them.af[needed], atol=1e-5)
    assert (alone.noise[:512] == alone.noise[0]).all()  # not classified


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_length_of_its_own_in_every_record_does_not_fill_the_memory(engine):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONEDNN")}
    grown = subprocess.run(  # noqa: S603
        [sys.executable, "-c", GROWN, engine], check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert float(grown.stdout) < 90  # 144 where every length is kept
