"""Killed at any moment, without warning: no partial file under its final name, nothing finished lost, and the next run
ends as one that was never disturbed.

The work runs in a forked child, after it has run here once, so that a child has all imports. It is killed after
fractions of the time that an undisturbed one takes, and every other time as soon as it has changed something in its
folder.
"""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.physionet import serving
from support.processes import everything, started
from support.records import write_record
from support.studies import FS_HZ as RECORD_HZ
from support.studies import write_half_minutes
from support.training import QUICK_PLAN, SMALL_SPEC

from ecg_core.classifier.network import BeatNetwork
from ecg_core.cli.main import main
from ecg_core.records.physionet import fetch
from ecg_core.signals.filters import FS_HZ
from ecg_core.training.fit import fit
from ecg_core.training.preparation import TrainingRecord

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")

MOMENTS = 6


@pytest.fixture(autouse=True)
def _ready(model):
    """One thread, and the model in memory, for every test."""


@pytest.fixture
def database(tmp_path, excerpt):
    """Four half minutes without annotations."""
    return write_half_minutes(tmp_path / "db", "abcd", excerpt)


def killed_at_moments(work, folder, check, moments=MOMENTS):
    """Kill the work again and again, and ``check`` after each time; return how often it was killed in the middle."""
    assert not work("ready")
    began = time.monotonic()
    _, status = os.waitpid(started(lambda: work("undisturbed")), 0)
    assert status == 0
    whole_s = time.monotonic() - began
    n_killed = 0
    fractions = (np.arange(moments) + np.random.default_rng(0).random(moments)) / moments
    for number, fraction in enumerate(fractions.tolist()):
        before = everything(folder)
        child = started(lambda: work("killed"))
        if number % 2:
            until = time.monotonic() + 2 * whole_s
            while everything(folder) == before and time.monotonic() < until:
                time.sleep(0.0005)
        else:
            time.sleep(fraction * whole_s)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        n_killed += os.WIFSIGNALED(status)
        check()
    return n_killed


def visible(folder):
    """Bytes of all files that a reader sees, by their path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.endswith("_unfinished.txt")
        and not any(part.startswith((".", "tmp")) for part in path.relative_to(folder).parts)
    }


def assert_killed_and_gone_on(tmp_path, work, *, finished=lambda name: True):
    """After each kill, visible files are complete and finished ones unchanged; the next run completes all of them."""
    kept = {}

    def check():
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

    assert killed_at_moments(work, tmp_path / "killed", check) >= 2
    assert not work("killed")
    check()
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


@pytest.mark.parametrize("kind", ["wfdb", "edf", "csv", "parquet", "dicom", "ishne", "aecg"])
def test_a_copy_in_another_form(tmp_path, excerpt, kind):
    path = write_record(tmp_path, "x", np.stack([excerpt, 0.5 * excerpt]), RECORD_HZ)

    def work(out):
        return main(["convert", str(path), "--to", kind, "--out", str(tmp_path / out)])

    assert_killed_and_gone_on(tmp_path, work, finished=lambda name: False)


@pytest.fixture
def server(tmp_path, database):
    """PhysioNet in small."""
    with serving(tmp_path / "server", sorted(database.iterdir())) as address:
        yield address


def test_databases_that_are_fetched(tmp_path, server):
    def work(out):
        fetch(["svdb"], records="all", folder=tmp_path / out, base_url=server, jobs=2, report=lambda line: None)

    def finished(name):
        stem = name.rpartition(".")[0]
        return "-125hz" not in name or (tmp_path / "killed" / f"{stem}.hea").is_file()

    assert_killed_and_gone_on(tmp_path, work, finished=finished)


@pytest.fixture
def lesson():
    """Records and noise that a small network learns from in no time."""
    rng = np.random.default_rng(0)
    position = np.arange(1.0, 119.0, 0.8) * FS_HZ
    signal = 0.01 * rng.normal(size=(2, int(120 * FS_HZ)))
    for centre in position:
        signal += np.exp(-0.5 * ((np.arange(signal.shape[1]) - centre) / 3) ** 2)
    code = np.where(np.arange(len(position)) % 7 == 6, 2, 0)
    in_af = np.zeros(len(position), dtype=np.int64)
    record = TrainingRecord("a", signal.astype(np.float32), np.ones(signal.shape, bool), position, code, in_af)
    return [record], rng.normal(size=(2, int(130 * FS_HZ))).astype(np.float32)


def test_a_fit_with_a_checkpoint_gives_the_same_weights(tmp_path, lesson):
    records, noise = lesson
    plan = replace(QUICK_PLAN, steps=8, crops=1, checkpoint_steps=1)

    def learn(out):
        (tmp_path / out).mkdir(exist_ok=True)
        torch.manual_seed(0)
        network, checkpoint = BeatNetwork(SMALL_SPEC), tmp_path / out / "fit.pt"
        return fit(network, records, noise=noise, spec=SMALL_SPEC, plan=plan, checkpoint=checkpoint)

    steps = [0]

    def check():
        path = tmp_path / "killed" / "fit.pt"
        steps.append(torch.load(path, weights_only=True)["step"] if path.is_file() else 0)

    for _ in range(5):  # on a busy machine no step may be done before the first kills
        assert killed_at_moments(lambda out: learn(out) and None, tmp_path / "killed", check, moments=5) >= 2
        if steps[-1]:
            break
    assert steps == sorted(steps), "a step is repeated"
    assert steps[-1] > 0
    undisturbed, continued = learn("undisturbed").state_dict(), learn("killed").state_dict()
    assert all(torch.equal(undisturbed[name], continued[name]) for name in undisturbed)
    assert everything(tmp_path / "killed") == {"fit.pt"}
