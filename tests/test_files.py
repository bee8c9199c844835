"""Files and folders are complete or absent: after an interruption, after a kill, and with two writers at once."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import END_S, ENDED_BY_SIGNALS, started

from ecg_core import files
from ecg_core.files import (
    LONGEST_NAME,
    TemporaryFolder,
    atomic_file,
    atomic_files,
    atomic_folder,
    hidden_name,
    remove_with,
    sweep,
    sweep_temporary,
)


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
    assert moved == ["x_unfinished.txt", "b.atr", "z.dat", "a.hea"]


KILLED = """
import os, sys
from pathlib import Path
from ecg_core.files import atomic_file, atomic_files, atomic_folder
folder = Path(sys.argv[1])
with atomic_file(folder / "x.csv") as one, atomic_files(folder, "x") as two, atomic_folder(folder / "x", "x") as three:
    one.touch(), (two / "x.csv").touch(), (two / "y.csv").touch(), (three / "x.csv").touch()
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


WORKING = """
import sys, time
from pathlib import Path
from ecg_core.files import atomic_file
with atomic_file(Path(sys.argv[1]) / "x.csv") as part:
    part.touch()
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_sweep_spares_what_is_in_progress_here_and_elsewhere(tmp_path):
    begun = write_file(tmp_path, "new")
    next(begun)
    (tmp_path / f"{hidden_name('x')}.{os.getpid()}").mkdir()  # of a process that had this one's number
    (tmp_path / "visible").touch()
    command = [sys.executable, "-c", WORKING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:  # noqa: S603
        assert other.stdout.readline() == "ready\n"
        sweep(tmp_path)
        assert len(list(tmp_path.glob(".part-*"))) == 2
        other.kill()
        other.wait()
    sweep(tmp_path)
    assert len(list(tmp_path.glob(".part-*"))) == 1
    assert list(begun) == []
    assert names(tmp_path) == ["visible", "x.csv"]


def test_a_sweep_of_a_folder_that_goes_meanwhile_finds_nothing(tmp_path, monkeypatch):
    def read_too_late(folder, pattern):
        raise FileNotFoundError(folder)

    monkeypatch.setattr(files.Path, "glob", read_too_late)
    sweep(tmp_path)


def test_a_sweep_of_one_name_leaves_the_others(tmp_path):
    for name in ("x", "xy", "[x]"):
        (tmp_path / f"{hidden_name(name)}.0").mkdir()
    sweep(tmp_path, "[x]")
    sweep(tmp_path, "x")
    assert [path.name for path in tmp_path.iterdir()] == [f"{hidden_name('xy')}.0"]


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


# Sets of files


def write_set(folder, text, *more):
    with atomic_files(folder, "x") as hidden:
        for name in ("a.csv", "b.csv", "c.csv", *more):
            (hidden / name).write_text(text)
        if not more:
            remove_with(hidden, "d.csv")


STEP = """
import os, sys
from pathlib import Path
from ecg_core import files
left = [int(sys.argv[2])]
def counted(name):
    whole = getattr(Path, name)
    def call(path, *arguments, **options):
        if left[0] == 0:
            os._exit(9)
        left[0] -= 1
        return whole(path, *arguments, **options)
    return call
for name in ("replace", "rename", "unlink", "write_text"):
    setattr(Path, name, counted(name))
with files.atomic_files(Path(sys.argv[1]), "x") as hidden:
    for name in ("a.csv", "b.csv", "c.csv"):
        with (hidden / name).open("w") as stream:
            stream.write("new")
    files.remove_with(hidden, "d.csv")
"""


def read_set(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_set_of_files_is_old_or_new_or_has_a_note_at_every_step_at_which_it_is_killed(tmp_path):
    old, new = (
        dict.fromkeys(("a.csv", "b.csv", "c.csv", "d.csv"), "old"),
        dict.fromkeys(("a.csv", "b.csv", "c.csv"), "new"),
    )
    n_noted = 0
    for step in range(30):
        folder = tmp_path / str(step)
        folder.mkdir()
        write_set(folder, "old", "d.csv")
        assert read_set(folder) == old
        done = subprocess.run([sys.executable, "-c", STEP, str(folder), str(step)], check=False)  # noqa: S603
        found = read_set(folder)
        note = found.pop("x_unfinished.txt", "")
        n_noted += bool(note)
        assert note or found in (old, new)
        assert not note or "Run the same command again" in note
        sweep(folder)
        assert read_set(folder) in ([new] if note else [old, new])
        assert not list(folder.glob(".*"))
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert n_noted >= 4


def test_a_set_that_was_not_finished_does_not_replace_the_one_that_came_after(tmp_path, monkeypatch):
    write_set(tmp_path, "old")
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, target: no() if target.name == "b.csv" else replace(path, target))
    with pytest.raises(OSError, match="in use"):
        write_set(tmp_path, "middle")
    assert (tmp_path / "x_unfinished.txt").exists()
    monkeypatch.undo()
    write_set(tmp_path, "new")
    assert set(read_set(tmp_path).values()) == {"new"}
    sweep(tmp_path)
    assert set(read_set(tmp_path).values()) == {"new"}


def no():
    raise OSError(errno.EACCES, "in use")


def test_a_set_whose_first_step_is_refused_changes_nothing(tmp_path, monkeypatch):
    write_set(tmp_path, "old")
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **o: no() if path == tmp_path / "c.csv" else unlink(path, **o))
    with pytest.raises(OSError, match="in use"):
        write_set(tmp_path, "new")
    assert read_set(tmp_path) == dict.fromkeys(("a.csv", "b.csv", "c.csv"), "old")
    assert not list(tmp_path.glob(".*"))


def test_ctrl_c_between_two_files_of_a_set_comes_after_the_last(tmp_path, monkeypatch):
    write_set(tmp_path, "old")
    replace, stopped = Path.replace, []

    def interrupted(path, target):
        if target.name == "b.csv" and not stopped:
            stopped.append(path)
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path, "new")
    assert read_set(tmp_path) == dict.fromkeys(("a.csv", "b.csv", "c.csv"), "new")
    assert not list(tmp_path.glob(".*"))


# Temporary folders

UNPACKED = f"""
import sys, time
{ENDED_BY_SIGNALS}
from ecg_core.files import TemporaryFolder
folder = TemporaryFolder()
(folder.path / "patient.dat").touch()
print(folder.path, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("end", ["SIGKILL", "SIGHUP", "SIGQUIT", "SIGTERM"])
def test_a_temporary_folder_is_left_alone_in_use_and_gone_after_any_end(tmp_path, monkeypatch, end):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", UNPACKED], stdout=subprocess.PIPE, text=True) as other:  # noqa: S603
        path = Path(other.stdout.readline().strip())
        os.utime(path, (0, 0))  # however old
        sweep_temporary()
        assert (path / "patient.dat").exists()
        other.send_signal(getattr(signal, end))
        other.wait(END_S)
    with TemporaryFolder() as folder:
        assert list(tmp_path.iterdir()) == [folder.path]
    assert list(tmp_path.iterdir()) == []


def test_a_forked_process_does_not_remove_the_folder_of_the_first_one(tmp_path):
    with TemporaryFolder(tmp_path) as folder:
        child = started(lambda: folder.remove() and None)
        os.waitpid(child, 0)
        assert folder.path.is_dir()


def test_where_the_file_system_knows_no_locks_nothing_is_swept(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr(files.fcntl, "flock", unknown)
    with TemporaryFolder(tmp_path) as folder:
        sweep_temporary(tmp_path)
        assert folder.path.is_dir()
    assert not folder.path.exists()


def test_a_typed_path_of_an_unknown_user_stays_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert files.typed_path("~/holter") == tmp_path / "holter"
    assert files.typed_path("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
