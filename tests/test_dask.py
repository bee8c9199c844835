"""The same work on a Dask cluster of this computer: nothing lost and nothing twice, even where a worker is killed."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from support.documents import ROOT
from support.studies import SETTINGS, contents, files, rows, write_half_minutes

from ecg_core.batch import analyse_many
from ecg_core.cli import progress
from ecg_core.cli.main import main

NAMES = [f"r{number}" for number in range(5)]
TRIES = 3  # to reach a scheduler that is there, where the computer is busy with other tests


@pytest.fixture(autouse=True)
def _ready(model):
    """One thread, and the model in memory, for every test."""


@pytest.fixture
def database(tmp_path, excerpt):
    """Five different half minutes."""
    return write_half_minutes(tmp_path / "db", NAMES, excerpt)


@pytest.fixture
def cluster():
    """Two workers in processes of their own."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as made:
        yield made


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(tmp_path, database, cluster):
    killed = []

    def kill_one(done, _total, _in_progress):
        if done and not killed:
            worker = next(iter(cluster.workers.values()))
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)

    out = tmp_path / "out"
    study = analyse_many([database], SETTINGS, out, dask=cluster.scheduler_address, show=kill_one)
    assert killed
    assert study.failed == ()
    assert [outcome.task.name for outcome in study.outcomes] == NAMES
    assert [row["folder"] for row in rows(out / "study.csv")] == NAMES
    analyse_many([database], SETTINGS, tmp_path / "here")
    assert files(out) == files(tmp_path / "here")
    study = analyse_many([database], SETTINGS, out, dask=cluster.scheduler_address)
    assert study.n_kept == len(NAMES)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "ftp://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there_ends_in_one_sentence(tmp_path, capsys, database, monkeypatch, address):
    from ecg_core.batch import workers

    monkeypatch.setattr(workers, "DASK_TIMEOUT_S", 0.5)
    assert main(["analyze", str(database), "--dask", address, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"Error: {address}: no Dask scheduler answers there")
    assert printed.count("\n") == 1
    assert contents(tmp_path / "out") == []


SCHEDULER = """
import asyncio, distributed
async def serve():
    async with distributed.Scheduler(dashboard_address=None) as scheduler:
        print(scheduler.address, flush=True)
        await asyncio.sleep(600)
asyncio.run(serve())
"""
WORKER = """
import asyncio, sys
import distributed
async def serve():
    async with distributed.Worker(sys.argv[1], nthreads=1, dashboard_address=None) as worker:
        print(worker.address, flush=True)
        await asyncio.sleep(600)
asyncio.run(serve())
"""
WITHOUT_PROGRAM = "import sys; sys.modules['ecg_core'] = None\n"
OF_ANOTHER_VERSION = "from ecg_core.batch import workers; workers.__version__ = '0.0.1'\n"


@contextmanager
def started(code, *arguments):
    """A process that prints its address when it is ready."""
    pytest.importorskip("distributed")
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:  # noqa: S603
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def scheduler():
    with started(SCHEDULER) as (_, address):
        yield address


def refused(database, address, out, capsys):
    """The sentence with which a cluster is refused, and after how many seconds."""
    for _ in range(TRIES):
        began = time.monotonic()
        assert main(["analyze", str(database), "--dask", address, "--out", str(out)]) == 2
        took_s, printed = time.monotonic() - began, capsys.readouterr().err
        if "no Dask scheduler answers" not in printed:
            break
    assert printed.startswith(f"Error: {address}: ")
    assert printed.count("\n") == 1
    assert not out.exists()
    return printed, took_s


def test_a_scheduler_without_workers_ends_in_one_sentence(tmp_path, capsys, database, scheduler):
    sentence, took_s = refused(database, scheduler, tmp_path / "out", capsys)
    assert "this Dask scheduler has no worker" in sentence
    assert took_s < 30


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (WITHOUT_PROGRAM, "does not have this program"),
        (OF_ANOTHER_VERSION, "has version 0.0.1 of this program, expected"),
    ],
)
def test_a_worker_that_would_do_other_work_ends_in_one_sentence(tmp_path, capsys, database, scheduler, kind, expected):
    with started(kind + WORKER, scheduler) as (_, address):
        sentence, took_s = refused(database, scheduler, tmp_path / "out", capsys)
    assert f"the worker {address} {expected}" in sentence
    assert took_s < 30


def test_a_scheduler_that_is_killed_leaves_a_table_and_no_traceback(tmp_path, capfd, database, monkeypatch):
    def kill(*_):
        scheduler.kill()

    monkeypatch.setattr(progress, "study_progress", lambda: kill)
    with started(SCHEDULER) as (scheduler, address), started(WORKER, address):
        assert main(["analyze", str(database), "--dask", address, "--out", str(tmp_path / "out")]) == 1
    printed = capfd.readouterr()
    assert printed.err.startswith("Error: 5 of 5 records failed")
    assert "Traceback" not in printed.out + printed.err
    assert {row["sentence"] for row in rows(tmp_path / "out" / "failures.csv")} == {
        "The scheduler of the cluster ended before it was done. Start it again, and run the same command again."
    }


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, capsys, database, monkeypatch):
    # only the package's own name: a client that an earlier test left half made still finds its modules when it goes
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["analyze", str(database), "--dask", "tcp://x:1", "--out", str(tmp_path / "out")]) == 2
    assert "pip install '.[dask]'" in capsys.readouterr().err
