"""Killed at any moment, without warning: no half file under its own name, nothing finished lost, and the next run ends
as one that was never disturbed.

The work runs in a forked child, which is killed after shares of the time that an undisturbed one takes, and every other
time as soon as it has changed something in its folder.
"""

import hashlib
import os
import signal
import threading
import time
import warnings
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from support.records import write_record
from test_training import CROP_S, SPEC

from ecg_core.__main__ import main
from ecg_core.classifier.network import BeatNetwork
from ecg_core.records.physionet import fetch
from ecg_core.signals.filters import FS_HZ
from ecg_core.training import augmentation
from ecg_core.training import fit as training
from ecg_core.training.augmentation import TrainingRecord
from ecg_core.training.fit import FitPlan, fit

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")

MOMENTS = 8
RECORD_HZ = 257


@pytest.fixture(autouse=True)
def _ready(model):
    """One thread, and the model in memory, for every test."""


@pytest.fixture
def database(tmp_path, excerpt):
    """Four half minutes with marks of nobody."""
    folder = tmp_path / "db"
    folder.mkdir()
    for number, name in enumerate("abcd"):
        lead = excerpt[number * 30 * RECORD_HZ : (number + 1) * 30 * RECORD_HZ]
        write_record(folder, name, np.stack([lead, 0.5 * lead]), RECORD_HZ)
    return folder


def started(work):
    """A child that does the work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests' threads: the child is killed or ends soon
        child = os.fork()
    if child == 0:
        code = 99
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            code = work() or 0
        finally:
            os._exit(code)
    return child


def killed_at_moments(work, folder, look, moments=MOMENTS):
    """Kill the work again and again, and ``look`` after each time; return how often it was killed in the middle."""
    began = time.monotonic()
    _, status = os.waitpid(started(lambda: work("undisturbed")), 0)
    assert status == 0
    whole_s = time.monotonic() - began
    n_killed = 0
    shares = (np.arange(moments) + np.random.default_rng(0).random(moments)) / moments
    for number, share in enumerate(shares.tolist()):
        before = everything(folder)
        child = started(lambda: work("killed"))
        if number % 2:
            until = time.monotonic() + 2 * whole_s
            while everything(folder) == before and time.monotonic() < until:
                time.sleep(0.0005)
        else:
            time.sleep(share * whole_s)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        n_killed += os.WIFSIGNALED(status)
        look()
    return n_killed


def visible(folder):
    """Bytes of all files that a reader sees, by their path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith((".", "tmp")) for part in path.relative_to(folder).parts)
    }


def everything(folder):
    """Paths of all files and folders below a folder; what goes while it is looked at does not matter."""
    return {
        Path(place, name).relative_to(folder).as_posix()
        for place, inner, names in os.walk(folder)
        for name in (*inner, *names)
    }


def assert_killed_and_gone_on(tmp_path, work, *, finished=lambda name: True):
    """What is visible after each kill is whole, what is finished stays as it is, and the next run ends it all."""
    kept = {}

    def look():
        whole = visible(tmp_path / "undisturbed")
        for name, content in visible(tmp_path / "killed").items():
            assert content == whole[name], name
        for name, changed in kept.items():
            assert (tmp_path / "killed" / name).stat().st_mtime_ns == changed, name
        kept.update(
            (name, (tmp_path / "killed" / name).stat().st_mtime_ns)
            for name in visible(tmp_path / "killed")
            if finished(name)
        )

    assert killed_at_moments(work, tmp_path / "killed", look) >= 2
    assert not work("killed")
    look()
    assert everything(tmp_path / "killed") == everything(tmp_path / "undisturbed")
    assert visible(tmp_path / "killed") == visible(tmp_path / "undisturbed")


def test_the_analysis_of_one_record(tmp_path, database):
    def work(out):
        return main(["analyze", str(database / "a"), "--out", str(tmp_path / out)])

    assert_killed_and_gone_on(tmp_path, work, finished=lambda name: False)


def test_the_analysis_of_many_records_repeats_none_that_is_finished(tmp_path, database):
    def work(out):
        return main(["analyze", str(database), "--out", str(tmp_path / out)])

    assert_killed_and_gone_on(tmp_path, work, finished=lambda name: "/" in name)


@pytest.mark.parametrize("kind", ["wfdb", "edf", "csv", "parquet"])
def test_a_copy_in_another_form(tmp_path, excerpt, kind):
    path = write_record(tmp_path, "x", np.stack([excerpt, 0.5 * excerpt]), RECORD_HZ)

    def work(out):
        return main(["convert", str(path), "--to", kind, "--out", str(tmp_path / out)])

    assert_killed_and_gone_on(tmp_path, work, finished=lambda name: False)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, database):
    """PhysioNet in small."""
    place = tmp_path / "server" / "svdb" / "1.0.0"
    place.mkdir(parents=True)
    sums = []
    for path in sorted(database.iterdir()):
        content = path.read_bytes()
        (place / path.name).write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()} {path.name}\n")
    (place / "SHA256SUMS.txt").write_text("".join(sums))
    served = ThreadingHTTPServer(("127.0.0.1", 0), lambda *ends: Quiet(*ends, directory=str(tmp_path / "server")))
    served.handle_error = lambda *_: None  # a client that is killed is no news
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_address[1]}/"
    served.shutdown()
    served.server_close()


def test_databases_that_are_fetched(tmp_path, server):
    def work(out):
        fetch(["svdb"], records="all", folder=tmp_path / out, base_url=server, jobs=2, tell=lambda line: None)

    def finished(name):
        stem = name.rpartition(".")[0]
        return "-125hz" not in name or (tmp_path / "killed" / f"{stem}.hea").is_file()

    assert_killed_and_gone_on(tmp_path, work, finished=finished)


@pytest.fixture
def lesson(monkeypatch):
    """Records and noise that a small network learns from in no time."""
    monkeypatch.setattr(training, "SETTLING_BATCHES", 2)
    monkeypatch.setattr(augmentation, "CROP_S", CROP_S)
    rng = np.random.default_rng(0)
    position = np.arange(1.0, 119.0, 0.8) * FS_HZ
    signal = 0.01 * rng.normal(size=(2, int(120 * FS_HZ)))
    for centre in position:
        signal += np.exp(-0.5 * ((np.arange(signal.shape[1]) - centre) / 3) ** 2)
    code = np.where(np.arange(len(position)) % 7 == 6, 2, 0)
    record = TrainingRecord("a", signal.astype(np.float32), np.ones(signal.shape, bool), position, code)
    return [record], rng.normal(size=(2, int(130 * FS_HZ))).astype(np.float32)


def test_a_fit_with_a_checkpoint_gives_the_same_weights(tmp_path, lesson):
    records, noise = lesson
    plan = FitPlan(steps=8, crops=1, checkpoint_steps=1)

    def learn(out):
        (tmp_path / out).mkdir(exist_ok=True)
        torch.manual_seed(0)
        return fit(BeatNetwork(SPEC), records, noise, SPEC, plan, checkpoint=tmp_path / out / "fit.pt")

    steps = [0]

    def look():
        path = tmp_path / "killed" / "fit.pt"
        steps.append(torch.load(path, weights_only=True)["step"] if path.is_file() else 0)

    assert killed_at_moments(lambda out: learn(out) and None, tmp_path / "killed", look, moments=5) >= 2
    assert steps == sorted(steps), "a step that was done is done again"
    assert steps[-1] > 0
    whole, gone_on = learn("undisturbed").state_dict(), learn("killed").state_dict()
    assert all(torch.equal(whole[name], gone_on[name]) for name in whole)
    assert everything(tmp_path / "killed") == {"fit.pt"}
