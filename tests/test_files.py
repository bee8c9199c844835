"""Files and folders are complete or absent: after an interruption, after a kill, and with two writers at once."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecg_core import files
from ecg_core.files import LONGEST_NAME, atomic_file, atomic_files, atomic_folder, hidden_name, sweep


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def write_file(folder, text):
    with atomic_file(folder / "x.csv") as part:
        part.write_text(text)
        yield


def write_files(folder, text):
    with atomic_files(folder, "x") as hidden:
        (hidden / "x.csv").write_text(text)
        yield


def write_folder(folder, text):
    with atomic_folder(folder / "x", "x") as hidden:
        (hidden / "x.csv").write_text(text)
        yield


WRITERS = [write_file, write_files, write_folder]


def content(folder):
    """Text of the only file that is visible."""
    (path,) = [path for path in folder.rglob("x.csv") if not any(part.startswith(".part") for part in path.parts)]
    return path.read_text()


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_is_visible_before_the_block_ends_and_only_the_result_after(tmp_path, write):
    begun = write(tmp_path, "new")
    next(begun)
    assert all(name.startswith(".part-x") for name in names(tmp_path))
    assert list(begun) == []
    assert content(tmp_path) == "new"
    assert names(tmp_path) == (["x", "x/x.csv"] if write is write_folder else ["x.csv"])


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError, ValueError])
@pytest.mark.parametrize("write", WRITERS)
def test_an_interrupted_block_leaves_nothing_and_what_was_there_before(tmp_path, write, stop):
    for before in ([], ["old"]):
        for text in before:
            list(write(tmp_path, text))
        there = names(tmp_path)
        begun = write(tmp_path, "new")
        next(begun)
        with pytest.raises(stop):
            begun.throw(stop())
        assert names(tmp_path) == there
    assert content(tmp_path) == "old"


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_there_is_replaced(tmp_path, write):
    for text in ("first", "second"):
        list(write(tmp_path, text))
    assert content(tmp_path) == "second"


@pytest.mark.parametrize("write", WRITERS)
def test_of_two_writers_at_once_both_end_well_and_the_last_one_stays(tmp_path, write):
    first, second = write(tmp_path, "first"), write(tmp_path, "second")
    next(first)
    next(second)
    assert list(second) == []
    assert content(tmp_path) == "second"
    assert list(first) == []
    assert content(tmp_path) == "first"
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_a_folder_that_is_to_be_kept_is_not_replaced(tmp_path):
    list(write_folder(tmp_path, "finished"))
    for kept in (True, False):
        with atomic_folder(
            tmp_path / "x", "x", keep=lambda folder, kept=kept: (folder / "x.csv").exists() and kept
        ) as part:
            (part / "x.csv").write_text("late")
        assert content(tmp_path) == ("finished" if kept else "late")
        assert names(tmp_path) == ["x", "x/x.csv"]


def test_a_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    list(write_folder(tmp_path, "old"))
    rename, refused = Path.rename, []

    def refuse_the_second_time(path, target):
        if target == tmp_path / "x" and path.name.startswith(".part") and (path / "x.csv").read_text() == "new":
            refused.append(path)
            raise OSError(errno.EEXIST if len(refused) == 1 else errno.EIO, "no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_the_second_time)
    with pytest.raises(OSError, match="no"):
        list(write_folder(tmp_path, "new"))
    assert len(refused) == 2
    assert names(tmp_path) == ["x", "x/x.csv"]
    assert content(tmp_path) == "old"


def test_a_file_in_the_place_of_the_folder_is_an_error_and_stays(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(OSError, match="x"):
        list(write_folder(tmp_path, "new"))
    assert names(tmp_path) == ["x"]


def test_files_move_up_in_the_order_of_the_key(tmp_path, monkeypatch):
    moved = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, target: moved.append(path.name) or replace(path, target))
    with atomic_files(tmp_path, "x", last=lambda path: (path.suffix == ".hea", path.name)) as hidden:
        for name in ("a.hea", "z.dat", "b.atr"):
            (hidden / name).touch()
    assert moved == ["b.atr", "z.dat", "a.hea"]


KILLED = """
import os, sys
from pathlib import Path
from ecg_core.files import atomic_file, atomic_files, atomic_folder
folder = Path(sys.argv[1])
with atomic_file(folder / "x.csv") as one, atomic_files(folder, "x") as two, atomic_folder(folder / "x", "x") as three:
    one.touch(), (two / "x.csv").touch(), (three / "x.csv").touch()
    os._exit(9)
"""


@pytest.mark.parametrize(
    "mend", [sweep, lambda folder: [list(write(folder, "new")) for write in (write_file, write_files)]]
)
def test_what_a_killed_process_left_is_removed_by_a_sweep_or_by_the_next_writer(tmp_path, mend):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)  # noqa: S603
    assert done.returncode == 9
    assert len(list(tmp_path.glob(".part-*"))) == 3
    mend(tmp_path)
    assert not list(tmp_path.glob(".part-*"))


def test_a_sweep_spares_what_is_in_progress_here_and_elsewhere(tmp_path):
    begun = write_file(tmp_path, "new")
    next(begun)
    for process in (os.getppid(), 1):
        (tmp_path / f"{hidden_name('x')}.{process}-0").touch()
    (tmp_path / f"{hidden_name('x')}.{os.getpid()}-999999").touch()  # of an earlier process with the same number
    (tmp_path / f"{hidden_name('x')}.{'9' * 30}-0").touch()
    (tmp_path / hidden_name("anything")).mkdir()
    (tmp_path / "visible").touch()
    sweep(tmp_path)
    left = names(tmp_path)
    assert "visible" in left
    assert len(left) == 1 + 1 + len({os.getppid(), 1})
    assert list(begun) == []


def test_a_sweep_of_one_name_leaves_the_others(tmp_path):
    for name in ("x", "xy", "[x]"):
        (tmp_path / f"{hidden_name(name)}.{'9' * 30}-0").touch()
    sweep(tmp_path, "[x]")
    sweep(tmp_path, "x")
    assert [path.name for path in tmp_path.iterdir()] == [f"{hidden_name('xy')}.{'9' * 30}-0"]


def test_the_longest_name_of_a_file_system_has_room(tmp_path):
    name = "ä" * 127
    with atomic_file(tmp_path / name) as part:
        part.write_text("new")
    assert names(tmp_path) == [name]
    assert len(hidden_name("😀" * 255).encode()) <= 4 * LONGEST_NAME + len(".part-")


def test_a_process_of_another_user_counts_as_running(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(files.os, "kill", refuse)
    assert files.is_running(1)
