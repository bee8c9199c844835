"""Records in several processes: the same bytes as in one, and a process that is killed costs no other record."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.studies import SETTINGS, STUDY, contents, files, rows, write_half_minute, write_half_minutes

from ecg_core import __main__ as started
from ecg_core.batch import analyse_many

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _ready(model, monkeypatch):
    """The model in memory; new processes begin as those of the command line do, not with a page that a test ran."""
    monkeypatch.setitem(sys.modules, "__main__", started)


@pytest.fixture
def database(tmp_path, excerpt):
    """Three records in a folder."""
    return write_half_minutes(tmp_path / "db", "abc", excerpt)


def test_any_number_of_jobs_writes_the_same_bytes(tmp_path, database):
    for jobs in (1, 3):
        analyse_many([database], SETTINGS, tmp_path / str(jobs), jobs=jobs)
    once = files(tmp_path / "1")
    assert len(once) == 3 * 8 + 2
    assert files(tmp_path / "3") == once


def test_a_process_that_is_killed_costs_its_own_record_alone(tmp_path, database):
    killed = []

    def kill_one(_done, _total, in_progress):
        if in_progress and not killed:
            killed.extend(children_at_work())

    def children_at_work():
        import multiprocessing

        child = multiprocessing.active_children()[0]
        os.kill(child.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        return [child.pid]

    study = analyse_many([database], SETTINGS, tmp_path / "out", jobs=2, show=kill_one)
    assert len(study.failed) == 1
    assert "ended: killed, or out of memory" in study.failed[0].problem
    assert len(rows(tmp_path / "out" / "study.csv")) == 2
    study = analyse_many([database], SETTINGS, tmp_path / "out")
    assert (study.n_kept, study.failed) == (2, ())


@pytest.fixture(scope="module")
def many(tmp_path_factory, excerpt, model):
    """So many records that some are left when the first one is seen to be done, and their undisturbed results."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(12):
        write_half_minute(folder / "db", f"r{number}", excerpt, number)
    analyse_many([folder / "db"], SETTINGS, folder / "undisturbed")
    return folder / "db", files(folder / "undisturbed")


@pytest.mark.skipif(os.name != "posix", reason="signals of a terminal")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_several_processes_stopped_from_outside_continue_where_they_were(tmp_path, many, how):
    database, undisturbed = many
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ecg_core", "analyze", str(database), "--jobs", "2", "--out", str(out)]
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as run:
        wait_for(lambda: any(not name.startswith(".") for name in contents(out)))
        os.killpg(run.pid, how) if how == signal.SIGINT else run.kill()
        printed = run.stderr.read()  # ends when no process of it is left
    assert "Traceback" not in printed
    assert run.returncode == (130 if how == signal.SIGINT else -9)
    finished = {name for name in contents(out) if not name.startswith(".")}
    assert finished
    assert not finished & set(STUDY)
    study = analyse_many([database], SETTINGS, out)
    assert {outcome.task.name for outcome in study.outcomes if outcome.kept} == finished
    assert files(out) == undisturbed


def wait_for(condition, most_s=60.0):
    until = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)
