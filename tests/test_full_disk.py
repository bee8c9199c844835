"""A full disk, and folders that cannot be made: one sentence, exit code 2, and no partial file under a final name.

The system itself refuses to write: a forked child may write no file longer than some thousand bytes.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from support.physionet import serving
from support.processes import everything, started
from support.records import write_record
from support.studies import FS_HZ as RECORD_HZ
from support.studies import contents, write_half_minutes

from ecg_core.cli.main import main

FULL = Path("/dev/full")  # a device of Linux without room
posix = pytest.mark.skipif(os.name != "posix", reason="the limit is a system call of its own")


@pytest.fixture(autouse=True)
def _ready(model):
    """One thread, and the model in memory, for every test."""


@pytest.fixture
def record(tmp_path, excerpt):
    lead = excerpt[: 60 * RECORD_HZ]
    return write_record(tmp_path, "x", np.stack([lead, 0.5 * lead]), RECORD_HZ)


@pytest.fixture
def database(tmp_path, excerpt):
    """Four half minutes without annotations."""
    return write_half_minutes(tmp_path / "db", "abcd", excerpt)


@pytest.fixture
def server(tmp_path, database):
    """PhysioNet in small."""
    with serving(tmp_path / "server", sorted(database.iterdir())) as address:
        yield address


def with_room_for(n_bytes, work):
    """Exit code of work whose files may be no longer than this, and its error stream."""
    reading, writing = os.pipe()

    def cramped():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
        with os.fdopen(writing, "w") as sys.stderr:
            return work()

    child = started(cramped)
    os.close(writing)
    with os.fdopen(reading) as stream:
        sentence = stream.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), sentence


def assert_one_sentence(code, error):
    assert code == 2
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error


@posix
@pytest.mark.parametrize("n_bytes", [0, 5_000, 30_000])
def test_analyze_leaves_nothing_where_a_file_cannot_be_written(tmp_path, record, n_bytes):
    out = tmp_path / "out"
    done = with_room_for(n_bytes, lambda: main(["analyze", str(record), "--out", str(out)]))
    assert_one_sentence(*done)
    assert everything(out) == set()


@posix
def test_analyze_of_many_stops_with_one_sentence_and_keeps_what_is_finished(tmp_path, database):
    out = tmp_path / "out"
    arguments = ["analyze", str(database / "a"), str(database / "a.hea"), "--out", str(out)]
    assert main(arguments) == 0
    (out / "study.csv").unlink()
    (out / "study.parquet").unlink()
    before = everything(out)
    many = ["analyze", str(database), "--out", str(out)]
    assert_one_sentence(*with_room_for(30_000, lambda: main(many)))
    assert everything(out) == before
    assert main(many) == 0


@posix
@pytest.mark.parametrize("kind", ["wfdb", "edf", "csv", "parquet", "dicom", "ishne", "aecg"])
def test_convert_leaves_nothing_where_a_file_cannot_be_written(tmp_path, record, kind):
    out = tmp_path / "out"
    arguments = ["convert", str(record), "--to", kind, "--out", str(out)]
    assert_one_sentence(*with_room_for(20_000, lambda: main(arguments)))
    assert everything(out) == set()


@posix
def test_fetching_keeps_whole_files_alone_where_one_cannot_be_written(tmp_path, server):
    arguments = ["fetch", "svdb", "--records", "all", "--to", str(tmp_path / "data"), "--base-url", server]
    code, error = with_room_for(20_000, lambda: main(arguments))
    assert_one_sentence(code, error)
    assert "What was fetched is kept" in error
    place = tmp_path / "server" / "svdb" / "1.0.0"
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or path.read_bytes() == (place / path.name).read_bytes()


@posix
def test_a_copy_at_125_hz_that_cannot_be_written_is_not_there(tmp_path, server):
    arguments = ["fetch", "svdb", "--records", "all", "--to", str(tmp_path / "data"), "--base-url", server]
    assert main(arguments) == 0
    copies = tmp_path / "data" / "svdb-125hz" / "1.0.0"
    for path in copies.glob("b.*"):
        path.unlink()
    before = everything(tmp_path / "data")
    assert_one_sentence(*with_room_for(10_000, lambda: main(arguments)))
    assert everything(tmp_path / "data") == before


@pytest.mark.parametrize("command", ["analyze {record}", "analyze {record} {record}", "convert {record} --to parquet"])
def test_a_name_that_is_too_long_for_its_results_is_the_reason_that_is_given(tmp_path, capsys, excerpt, command):
    record = write_record(tmp_path, 250 * "n", excerpt[None, : 30 * RECORD_HZ], RECORD_HZ)
    code = main([*command.format(record=record).split(), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    if "analyze" in command and command.count("record") == 2:
        error = (tmp_path / "out" / "failures.csv").read_text(encoding="utf-8-sig")
    assert code
    assert "longer than the disk takes: give the recording a shorter one" in error
    assert "another folder" not in error
    assert "Make room" not in error


@pytest.mark.parametrize("below", ["file", "file/inside"])
@pytest.mark.parametrize("command", ["analyze {record}", "analyze {record} {record}.hea", "convert {record}", "fetch"])
def test_a_folder_that_cannot_be_made_ends_in_one_sentence(tmp_path, capsys, record, command, below):
    (tmp_path / "file").write_text("mine")
    before = everything(tmp_path)
    place = str(tmp_path / below)
    if command == "fetch":
        code = main(["fetch", "svdb", "--to", place, "--base-url", "http://127.0.0.1:9/"])
    else:
        code = main([*command.format(record=record).split(), "--out", place])
    assert_one_sentence(code, capsys.readouterr().err)
    assert everything(tmp_path) == before
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not FULL.exists(), reason="a device of Linux")
def test_figures_of_an_evaluation_on_a_full_device_end_in_one_sentence(tmp_path, capsys, excerpt, monkeypatch):
    import wfdb

    lead = excerpt[: 60 * RECORD_HZ]
    write_record(tmp_path, "x", lead[None], RECORD_HZ)
    wfdb.wrann("x", "atr", np.arange(10) * RECORD_HZ + 100, symbol=["N"] * 10, write_dir=str(tmp_path))
    write_text = Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda _, *arguments, **options: write_text(FULL, *arguments, **options))
    assert main(["evaluate", str(tmp_path), "--json", str(tmp_path / "f.json")]) == 2
    assert_one_sentence(2, capsys.readouterr().err)
    assert contents(tmp_path) == ["x.atr", "x.dat", "x.hea"]
