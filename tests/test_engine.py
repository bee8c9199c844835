"""What runs the network: both engines give the same beats, and a stale or damaged pair of files is refused."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.training import SMALL_SPEC

from ecg_core.classifier.engine import ENGINES, lower_median
from ecg_core.classifier.features import N_OUTPUTS, N_RR_FEATURES, frame_offsets
from ecg_core.classifier.int8_engine import SUFFIX, WEIGHTS, Int8Engine
from ecg_core.classifier.model import load_model, save_spec, sha256_of
from ecg_core.classifier.network import BeatNetwork
from ecg_core.classifier.spec import MODELS, find_models
from ecg_core.classifier.weights import save_model, torch_model
from ecg_core.errors import ModelError
from ecg_core.evaluation.comparison import compare_beats
from ecg_core.pipeline import analyse
from ecg_core.training.export import export_int8

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def strips():
    """Simulated strips that the small network is exported with."""
    return np.random.default_rng(0).normal(size=(4, 2000)).astype(np.float32)


@pytest.fixture(scope="module")
def small():
    """A small network that was not trained, in torch."""
    torch.manual_seed(0)
    return torch_model(replace(SMALL_SPEC, finds_af=True), BeatNetwork(replace(SMALL_SPEC, finds_af=True)).eval())


@pytest.fixture(scope="module")
def exported(small, strips):
    """The same network in 8-bit integers."""
    return Int8Engine(export_int8(small.network, small.spec, strips), Path("small.pt"), small.spec)


def correlation(a, b):
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def test_every_step_gives_nearly_the_same_in_8_bits(small, exported, strips):
    spec, index = small.spec, np.arange(100, 400, 10)[:, None] + frame_offsets(small.spec)
    frames, logit = small.engine.frames(strips)
    of_ints, logit_of_ints = exported.frames(strips)
    assert of_ints.dtype == np.uint8
    assert of_ints.shape == frames.shape
    assert correlation(of_ints, frames) > 0.99
    assert correlation(logit_of_ints, logit) > 0.99
    (token, attention), (other, weights) = small.engine.tokens(frames[0], index), exported.tokens(of_ints[0], index)
    assert correlation(token, other) > 0.99
    np.testing.assert_allclose(weights, attention, atol=0.01)
    rr = np.random.default_rng(1).normal(size=(len(token), N_RR_FEATURES)).astype(np.float32)
    reference = small.engine.reference(token, rr)
    np.testing.assert_allclose(exported.reference(token, rr), reference, atol=1e-4)
    described = small.engine.beside(token, np.broadcast_to(reference, token.shape))
    np.testing.assert_allclose(exported.beside(token, np.broadcast_to(reference, token.shape)), described, atol=1e-4)
    logits = small.engine.logits(described[None], rr[None])
    assert logits.shape == (1, len(token), N_OUTPUTS + 1)
    np.testing.assert_allclose(exported.logits(described[None], rr[None]), logits, atol=0.02)
    assert spec.finds_af


def test_the_median_is_the_one_of_torch():
    rows = np.random.default_rng(0).normal(size=(10, 7)).astype(np.float32)
    for n in (1, 2, 9, 10):
        np.testing.assert_array_equal(lower_median(rows[:n]), torch.from_numpy(rows[:n]).median(dim=0).values.numpy())


def test_both_engines_find_the_same_in_the_demo_record(demo):
    found = [analyse(demo, load_model(engine=engine), lead="II") for engine in ENGINES]
    by_ints, by_torch = found
    assert [one.model.engine for one in found] == ["8-bit integers", "single precision by PyTorch"]
    assert len(compare_beats(by_ints.beats, by_torch.beats).time_s) < 0.002 * len(by_torch.beats)
    np.testing.assert_allclose(by_ints.burden.count, by_torch.burden.count, atol=4)


def test_every_shipped_model_has_its_network_in_8_bits():
    for path in find_models(MODELS):
        assert load_model(path).engine.name == "int8", path.stem


@pytest.fixture
def pair(tmp_path, small, exported):
    """A small model on disk, with its network in 8-bit integers."""
    path = tmp_path / "small.pt"
    saved = save_model(path, small)
    _write(path, exported, saved.spec.sha256)
    return path


def _write(path, exported, sha256):
    graphs = path.with_suffix(SUFFIX)
    np.savez(graphs, **{WEIGHTS: np.array(sha256)}, **exported._stored)
    spec = load_model(path, engine="torch").spec
    save_spec(path, replace(spec, int8_sha256=sha256_of(graphs)))


def test_a_model_is_run_in_8_bits_where_they_were_exported(pair):
    assert load_model(pair).engine.name == "int8"
    assert load_model(pair, engine="torch").engine.name == "torch"
    again = load_model(pair).network.state_dict()
    for name, weight in load_model(pair, engine="torch").network.state_dict().items():
        assert torch.equal(weight, again[name]), name


def test_new_weights_no_longer_name_the_old_network(pair, small):
    torch.manual_seed(1)
    save_model(pair, torch_model(small.spec, BeatNetwork(small.spec).eval()))
    assert load_model(pair).engine.name == "torch"
    with pytest.raises(ModelError, match=r"small\.int8\.npz: this model has no network in 8-bit integers; make it by"):
        load_model(pair, engine="int8")


def test_a_network_of_other_weights_is_refused(pair, exported):
    _write(pair, exported, "0" * 64)
    with pytest.raises(ModelError, match=r"made from weights with SHA-256 000000000000\.\.\., expected those of small"):
        load_model(pair)


@pytest.mark.parametrize("place", [0, 3000, -1])
def test_an_altered_network_is_refused(pair, place):
    graphs = pair.with_suffix(SUFFIX)
    content = bytearray(graphs.read_bytes())
    content[place] ^= 1
    graphs.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"small\.int8\.npz: its SHA-256 is .*expected .* from small\.json"):
        load_model(pair)


def test_a_missing_network_is_refused_with_what_makes_it(pair):
    pair.with_suffix(SUFFIX).unlink()
    with pytest.raises(ModelError, match=r"small\.int8\.npz: this model has no network.*models\.export .*small\.pt"):
        load_model(pair)


def test_another_file_is_refused(pair, tmp_path):
    shutil.copy(pair.with_suffix(".json"), tmp_path / "kept.json")
    graphs = pair.with_suffix(SUFFIX)
    graphs.write_bytes(b"no network")
    save_spec(pair, replace(load_model(pair, engine="torch").spec, int8_sha256=sha256_of(graphs)))
    with pytest.raises(ModelError, match=r"small\.int8\.npz: expected the network of small\.pt in 8-bit integers"):
        load_model(pair)


def test_the_same_weights_and_strips_give_the_same_network(small, exported, strips):
    again = export_int8(small.network, small.spec, strips)
    assert again.keys() == exported._stored.keys()
    for name, array in again.items():
        np.testing.assert_array_equal(array, exported._stored[name], err_msg=name)


def test_an_analysis_loads_torch_only_where_it_learns(tmp_path):
    script = (
        "import sys\nfrom ecg_core import analyse, load_model, read_record\n"
        "analyse(read_record('demo_data/demo'), load_model(), lead='II')\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "False\n"


def test_nothing_is_reported_to_the_maker_of_the_library(tmp_path):
    """ONNX Runtime reports its use over the network unless forbidden; where it may, it leaves a file of it."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    script = "from ecg_core import load_model\nload_model()\nimport os\nprint(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], cwd=ROOT, env={**environment, "TMPDIR": str(tmp_path)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "1\n"
    assert not list(tmp_path.iterdir())
    for path in (ROOT / "ecg_core").rglob("*.py"):
        assert not re.search("^(import|from) onnxruntime", path.read_text("utf-8"), re.MULTILINE), path.name
