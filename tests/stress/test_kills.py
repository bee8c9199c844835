"""Killed at random moments, again and again, each command that writes leaves the old whole, the new whole, or a note.

Where it is neither old nor new, the same command mends it. The work runs in a forked child, after it has run here once,
so that a child has all imports: half of the children are killed after a random part of the time that an undisturbed one
takes, the others a random moment after they first changed something.

    ECG_KILLS=1000 python -m pytest tests/stress/test_kills.py

kills each of them so often.
"""

import os
import shutil
import signal
import time
import zipfile
from contextlib import closing
from itertools import count

import numpy as np
import pytest
from support.processes import everything, started
from support.records import write_record
from support.studies import FS_HZ

from ecg_core.cli.main import main
from ecg_core.notes import NO_NOTES
from ecg_core.report.export import WRITERS
from ecg_core.report.pdf import report_pdf
from ecg_core.studies.audit import verify
from ecg_core.studies.bundle import import_study
from ecg_core.studies.store import open_store
from ecg_core.studies.study import command_editor, find_studies

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks")

KILLS = int(os.environ.get("ECG_KILLS", "50"))
MOST = 4  # times as many, until enough of them came in the middle
SECONDS = 12  # of ECG: enough for beats, and soon analysed
SOON_S = 0.004  # in which most of the files take their places


@pytest.fixture(autouse=True)
def _ready(model, monkeypatch):
    """One thread, and in memory the model and each report: a child is killed while it writes, not while it draws."""
    made = {}

    def once(analysis, notes=NO_NOTES):
        key = repr((analysis.record.record_id, analysis.record.sha256, analysis.rules, notes))
        if key not in made:
            made[key] = report_pdf(analysis, notes)
        return made[key]

    monkeypatch.setitem(WRITERS, "_report.pdf", once)


@pytest.fixture
def records(tmp_path, excerpt):
    """Two short records that follow each other."""
    folder = tmp_path / "db"
    folder.mkdir()
    for number, name in enumerate("ab"):
        lead = excerpt[number * SECONDS * FS_HZ : (number + 1) * SECONDS * FS_HZ]
        header = write_record(folder, name, np.stack([lead, 0.5 * lead]), FS_HZ).with_suffix(".hea")
        first, *rest = header.read_text().splitlines()
        header.write_text("\n".join([f"{first} 08:00:{number * SECONDS:02d} 01/02/2020", *rest]) + "\n")
    return folder


def visible(folder):
    """Bytes of all files that a reader sees, by their path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def finished(work):
    _, status = os.waitpid(started(work), 0)
    return os.waitstatus_to_exitcode(status)


def kill_at_random(work, folder, whole_s, random):
    """Whether the work was killed before it ended."""
    child = started(work)
    if random.random() < 0.5:
        before, until = everything(folder), time.monotonic() + 3 * whole_s
        while everything(folder) == before and time.monotonic() < until:
            time.sleep(0.0002)
        time.sleep(random.random() * SOON_S)
    else:
        time.sleep(random.random() * whole_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def assert_whole_after_every_kill(target, old, work, *, is_whole=lambda found, old, new: found in (old, new)):
    """Kill ``work`` on a target that ``old`` made; returns how often neither old nor new was there, and was mended."""
    assert not old()
    kept, first = target.with_name("kept"), visible(target)
    shutil.copytree(target, kept)
    assert not work()
    shutil.rmtree(target)
    shutil.copytree(kept, target)
    began = time.monotonic()
    assert finished(work) == 0
    whole_s, new = time.monotonic() - began, visible(target)
    assert new != first
    n_killed, n_mended, random = 0, 0, np.random.default_rng(0)
    for number in range(MOST * KILLS):
        if number >= KILLS and n_killed >= KILLS // 4:
            break  # on a busy machine most of what is short may end before it is killed
        shutil.rmtree(target)
        shutil.copytree(kept, target)
        n_killed += kill_at_random(work, target, whole_s, random)
        found = visible(target)
        if not is_whole(found, first, new):
            assert any(name.endswith("_unfinished.txt") for name in found), sorted(found)
            n_mended += 1
            assert finished(work) == 0
            assert is_whole(visible(target), new, new)
            assert everything(target) == set(everything_of(new))
    assert n_killed >= KILLS // 4
    return n_mended


def everything_of(files):
    """Paths of files, and of the folders that they lie in."""
    for name in files:
        yield name
        yield from (name[:place] for place in range(len(name)) if name[place] == "/")


def command(*words):
    return lambda: main([str(word) for word in words])


def test_an_analysis(tmp_path, records):
    analyse = ("analyze", records / "a", "--out", tmp_path / "out")
    assert_whole_after_every_kill(tmp_path / "out", command(*analyse, "--rule", "pause_s=2.5"), command(*analyse))


def test_an_analysis_of_many(tmp_path, records):
    analyse = ("analyze", records, "--out", tmp_path / "out")
    old = command(*analyse, "--rule", "pause_s=2.5")
    assert assert_whole_after_every_kill(tmp_path / "out", old, command(*analyse)) > 0


@pytest.mark.parametrize("kind", ["wfdb", "edf", "parquet", "dicom", "aecg"])
def test_a_copy_over_an_earlier_one(tmp_path, records, kind):
    copy = ("--to", kind, "--overwrite", "--out", tmp_path / "out")
    shutil.copytree(records, tmp_path / "other")
    for ending in (".hea", ".dat"):
        (tmp_path / "other" / f"b{ending}").rename(tmp_path / "other" / f"a{ending}")
    header = tmp_path / "other" / "a.hea"
    header.write_text(header.read_text().replace("b ", "a ", 1).replace("b.dat", "a.dat"))
    old, new = command("convert", tmp_path / "other" / "a", *copy), command("convert", records / "a", *copy)
    assert_whole_after_every_kill(tmp_path / "out", old, new)


def test_a_list_of_pieces(tmp_path, records):
    def old():
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "x.join").write_text("old")

    join = command("join", records / "a", records / "b", "--to", tmp_path / "out" / "x.join")
    assert assert_whole_after_every_kill(tmp_path / "out", old, join) == 0


@pytest.fixture
def studies(tmp_path, records):
    """A store with a study."""
    assert (
        main(["analyze", str(records / "a"), "--study", "--studies", str(tmp_path / "store"), "--out", str(tmp_path)])
        == 0
    )
    return tmp_path / "store"


def test_an_export_of_a_study_and_its_trail(tmp_path, studies):
    packed, trail = tmp_path / "out" / "a.zip", tmp_path / "out" / "a.csv"

    def export():
        return main(["studies", "--export", "a", "--to", str(packed), "--studies", str(studies)])

    def old():
        packed.parent.mkdir()
        trail.write_bytes(b"old")
        return export()

    def work():
        return export() or main(["audit", "a", "--csv", str(trail), "--studies", str(studies)])

    def is_whole(found, _old, _new):  # each export is in the trail, and so no two are equal
        with zipfile.ZipFile(packed) as archive:
            assert archive.testzip() is None
        return found["a.csv"] == b"old" or found["a.csv"].endswith(b"\r\n")

    assert assert_whole_after_every_kill(tmp_path / "out", old, work, is_whole=is_whole) == 0
    with closing(open_store(studies)) as store:
        (study,) = find_studies(store)
        assert not verify(store, study.record_sha256)


def test_an_import_of_a_study(tmp_path, studies):
    exported = tmp_path / "a.zip"
    assert main(["studies", "--export", "a", "--to", str(exported), "--studies", str(studies)]) == 0
    empty, target = tmp_path / "empty", tmp_path / "target"
    open_store(empty).close()
    work, random = command("studies", "--import", exported, "--studies", target), np.random.default_rng(0)
    shutil.copytree(empty, target)
    began = time.monotonic()
    assert finished(work) == 0
    whole_s, n_killed = time.monotonic() - began, 0
    for _ in range(KILLS):
        shutil.rmtree(target)
        shutil.copytree(empty, target)
        n_killed += kill_at_random(work, target / "recordings", whole_s, random)
        with closing(open_store(target)) as store:
            if not find_studies(store):
                import_study(store, exported, command_editor("reader"))
            (study,) = find_studies(store)
            assert not verify(store, study.record_sha256)
            assert study.path.with_suffix(".dat").is_file()
        assert not list(target.rglob(".part-*"))
    assert n_killed >= KILLS // 4


def test_an_analysis_into_the_store(tmp_path, records):
    target, numbers = tmp_path / "store", count()
    open_store(target).close()

    def work():
        rule = ("--rule", f"pause_s={2 + next(numbers) / 100}")
        return command("analyze", records / "a", *rule, "--study", "--studies", target, "--out", tmp_path / "out")()

    began = time.monotonic()
    assert finished(work) == 0
    whole_s, random, n_killed = time.monotonic() - began, np.random.default_rng(0), 0
    for _ in range(KILLS):
        next(numbers)  # a child has its own count
        n_killed += kill_at_random(work, target, whole_s, random)
        with closing(open_store(target)) as store:
            (study,) = find_studies(store)
            assert not verify(store, study.record_sha256)
    assert n_killed >= KILLS // 4
    assert finished(work) == 0, "the killed command holds the study"
    assert not list((tmp_path / "out").glob(".*"))
    assert not list((tmp_path / "out").glob("*_unfinished.txt"))
