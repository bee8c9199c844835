"""Many records: each complete by itself, none repeated, none lost, and the same bytes however many at a time."""

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from support.documents import ROOT
from support.made_files import csv_text
from support.made_files import signal as simulated
from support.studies import SETTINGS, STUDY, contents, files, rows, write_half_minute, write_half_minutes

from ecg_core import __main__ as started
from ecg_core.batch import analyse_many, plan, work
from ecg_core.batch.plan import folder_names, is_many
from ecg_core.batch.study import IDENTITY, TEXTS, study_table
from ecg_core.batch.tables import FAILURES, MARK, PARQUET
from ecg_core.batch.tables import STUDY as STUDY_TABLE
from ecg_core.cli import progress
from ecg_core.cli.main import main
from ecg_core.errors import LeadError
from ecg_core.files import hidden_name
from ecg_core.pipeline import analyse
from ecg_core.records import SINGLE_FILES, is_result, read_record
from ecg_core.report.export import MORE_WRITERS, WRITERS, write_files


@pytest.fixture(autouse=True)
def _ready(model, monkeypatch):
    """One thread, and the model in memory, for every test; new processes begin as those of the command line do.

    They import the main module, in whose place a test of a page before may have put that page.
    """
    monkeypatch.setitem(sys.modules, "__main__", started)


@pytest.fixture
def database(tmp_path, excerpt):
    """Three records in a folder."""
    return write_half_minutes(tmp_path / "db", "abc", excerpt)


@pytest.fixture
def calls(monkeypatch):
    """Names of the records whose signals were analysed."""
    names = []

    def spy(record, *arguments, **options):
        names.append(record.record_id)
        return analyse(record, *arguments, **options)

    monkeypatch.setattr(work, "analyse", spy)
    return names


# What is meant


def test_one_record_is_analysed_as_ever_and_several_make_a_study(tmp_path, excerpt):
    path = write_half_minute(tmp_path, "x", excerpt)
    assert not is_many([path])
    assert not is_many([path.with_suffix(".hea")])
    assert is_many([path, path])
    assert is_many([tmp_path])
    assert is_many([tmp_path / "*.hea"])
    write_half_minute(tmp_path, "odd[1]", excerpt)
    assert not is_many([tmp_path / "odd[1].hea"])


def test_every_way_to_name_records_finds_them_once(database):
    expected = ["a", "b", "c"]
    for arguments in (
        [database],
        [database / "*.hea"],
        [database.parent / "*"],
        [database.parent / "**" / "*.hea"],
        [database / name for name in ("a", "a.hea", "a.dat", "b", "c")],
        [database, database / "b"],
    ):
        assert [task.name for task in plan(arguments, database / "out")] == expected, arguments


def written_names():
    """Endings and names of all files that this program writes, read from its source."""
    pattern = re.compile(r'"(?:\{[\w.]+\})?(_\w+\.[a-z]+)"')
    sources = [path for folder in ("ecg_core", "pages") for path in (ROOT / folder).rglob("*.py")]
    return {name for path in sources for name in pattern.findall(path.read_text(encoding="utf-8"))} | {
        *WRITERS, *MORE_WRITERS, STUDY_TABLE, PARQUET, FAILURES,
    }  # fmt: skip


def test_every_file_that_is_written_of_a_record_is_known_as_no_record():
    written = {name for name in written_names() if name.endswith(SINGLE_FILES)}
    assert written >= {"_alarms.csv", "_labels.csv", "_events.csv", "_report.dcm", "_study.zip", "_audit.csv"}
    assert {name for name in written if not is_result(Path(f"x{name}" if name[0] == "_" else name))} == set()
    assert is_result(Path("x_beats (1).csv"))
    assert is_result(Path("study(2).csv"))
    assert not is_result(Path("holter of a study.csv"))


def test_files_that_were_written_before_are_no_records(database):
    assert main(["analyze", str(database), "--out", str(database), "--also", "xlsx,fhir,dicom"]) == 0
    assert main(["analyze", str(database / "a"), "--out", str(database), "--also", "xlsx,fhir,dicom"]) == 0
    for name in ("a_labels.csv", "a_alarms.csv", "a_audit.csv", "a_study.zip", "a_beats (1).csv"):
        (database / name).write_bytes((database / "a_beats.csv").read_bytes())
    assert [task.name for task in plan([database], database)] == ["a", "b", "c"]
    assert [task.name for task in plan([database / "*"], database)] == ["a", "b", "c"]
    assert main(["analyze", str(database), "--out", str(database), "--also", "xlsx,fhir,dicom"]) == 0


@pytest.mark.parametrize("as_pattern", [False, True])
def test_results_beside_the_records_work_or_are_refused_before_the_first_one(database, capsys, calls, as_pattern):
    wanted = str(database / "*") if as_pattern else str(database)
    assert main(["analyze", wanted, "--out", str(database)]) == 0
    assert calls == ["a", "b", "c"]
    (database / "c").rename(database / "old")
    for name in ("x.csv", "x.tsv"):  # whose results need folders of the names of the files themselves
        (database / name).write_text(csv_text(simulated()))
    before = contents(database)
    assert main(["analyze", wanted, "--out", str(database)]) == 2
    assert (
        "x.csv: is a file, and the results of x.csv need a folder of this name; nothing was" in capsys.readouterr().err
    )
    assert calls == ["a", "b", "c"]
    assert contents(database) == before


def test_a_record_in_a_folder_of_its_own_name_does_not_get_its_results_in_there(tmp_path, excerpt, calls, capsys):
    write_half_minute(tmp_path / "db" / "x", "x", excerpt)
    assert main(["analyze", str(tmp_path / "db" / "x"), "--out", str(tmp_path / "db")]) == 2
    assert "holds files that this program did not write" in capsys.readouterr().err
    assert calls == []


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/s/a/100", "/s/a/101"], ["100", "101"]),
        (["/s/a/100", "/s/b/100", "/s/b/101"], ["a_100", "b_100", "101"]),
        (["/s/a/x/100", "/s/b/x/100"], ["a_x_100", "b_x_100"]),
        (["/s/100", "/s/100.edf"], ["100", "100.edf"]),
        (["/s/100.edf", "/s/100.csv"], ["100.edf", "100.csv"]),
        (["/s/A", "/s/a"], ["s_A", "s_a (2)"]),
        (["/s/r.2", "/s/r.3"], ["r.2", "r.3"]),
        (["/s/..edf"], ["record"]),
        (["/s/..edf", "/s/...edf"], ["s_..edf", "s_...edf"]),
        (["/s/a:b.edf", "/s/ c .edf"], ["a_b", "c"]),
        (["/s/a_b/c", "/s/a/b_c", "/t/a/b/c", "/c"], ["s_a_b_c", "b_c", "t_a_b_c", "c"]),
    ],
)
def test_no_two_records_share_a_folder_whatever_their_names(paths, names):
    made = folder_names([Path(path) for path in paths])
    assert made == names
    assert len({name.casefold() for name in made}) == len(paths)


def test_records_of_the_same_name_do_not_overwrite_each_other(tmp_path, excerpt):
    write_half_minute(tmp_path / "one", "x", excerpt, 0)
    write_half_minute(tmp_path / "two", "x", excerpt, 1)
    assert main(["analyze", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]) == 0
    assert contents(tmp_path / "out") == ["one_x", *STUDY, "two_x"]
    first, second = (tmp_path / "out" / name / "x_beats.csv" for name in ("one_x", "two_x"))
    assert first.read_bytes() != second.read_bytes()
    assert [row["folder"] for row in rows(tmp_path / "out" / "study.csv")] == ["one_x", "two_x"]


def test_a_folder_or_pattern_without_records_ends_in_one_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for argument in (tmp_path / "empty", tmp_path / "*.hea"):
        assert main(["analyze", str(argument), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "no recording" in error
    assert not (tmp_path / "out").exists()


# What comes of it


def test_the_files_of_a_record_are_those_of_an_analysis_by_itself(tmp_path, database, model):
    analyse_many([database], SETTINGS, tmp_path / "out")
    for name in "abc":
        write_files(analyse(read_record(database / name), model), tmp_path / "alone" / name)
    alone = files(tmp_path / "alone")
    made = files(tmp_path / "out")
    assert set(json.loads(made[f"a/{MARK}"])) == {"made_from", "files", "row"}
    assert {name: made[name] for name in alone} == alone
    assert set(made) - set(alone) == {*STUDY, *(f"{name}/{MARK}" for name in "abc")}


def test_the_study_has_a_row_a_record_with_the_measures_of_its_burden(tmp_path, database):
    study = analyse_many([database], SETTINGS, tmp_path / "out")
    assert study.written == tuple(tmp_path / "out" / name for name in STUDY)
    listed, table = rows(tmp_path / "out" / "study.csv"), pd.read_parquet(tmp_path / "out" / "study.parquet")
    assert [row["record"] for row in listed] == table["record"].tolist() == ["a", "b", "c"]
    for row, name in zip(listed, "abc", strict=True):
        burden = {line["measure"]: line["value"] for line in rows(tmp_path / "out" / name / f"{name}_burden.csv")}
        measured = {key: value for key, value in burden.items() if not key.startswith(("rule_", "sensitivity_"))}
        assert {key: row[key] for key in measured} == measured
    assert list(table) == list(listed[0])
    assert all(table[name].dtype == float for name in table if name not in (*IDENTITY, *TEXTS))
    assert all(text.startswith(("AF: ", "no AF: ", "cannot be said: ")) for text in table["af_verdict_text"])
    assert table["duration"].tolist() == [30.0] * 3


def test_a_study_of_nothing_has_its_columns():
    assert list(study_table([])) == list(IDENTITY)


def test_a_record_that_fails_is_listed_and_stops_no_other(tmp_path, capsys, database):
    (database / "b.dat").write_bytes(b"")
    assert main(["analyze", str(database), str(database / "nobody"), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "4 records: 2 analysed, 0 already done, 2 failed" in printed.out
    assert printed.err == "Error: 2 of 4 records failed; failures.csv says why.\n"
    assert contents(tmp_path / "out") == ["a", "c", "failures.csv", *STUDY]
    failed = rows(tmp_path / "out" / "failures.csv")
    assert [Path(row["record"]).name for row in failed] == ["b", "nobody"]
    assert "got 0 bytes" in failed[0]["sentence"]
    assert (failed[0]["where"], failed[0]["advice"]) == ("b.dat", "Copy it again.")
    assert "does not exist" in failed[1]["sentence"]


def test_an_error_that_nobody_foresaw_stops_no_other(tmp_path, monkeypatch, database):
    def trip(record, *arguments, **options):
        if record.record_id == "b":
            raise ZeroDivisionError("by nothing")
        return analyse(record, *arguments, **options)

    monkeypatch.setattr(work, "analyse", trip)
    study = analyse_many([database], SETTINGS, tmp_path / "out")
    assert [outcome.task.name for outcome in study.failed] == ["b"]
    assert "ZeroDivisionError: by nothing" in study.failed[0].problem


def test_failures_of_an_earlier_run_are_gone_when_there_are_none(tmp_path, database):
    whole = (database / "b.dat").read_bytes()
    (database / "b.dat").write_bytes(b"")
    assert main(["analyze", str(database), "--out", str(tmp_path / "out")]) == 1
    (database / "b.dat").write_bytes(whole)
    assert main(["analyze", str(database), "--out", str(tmp_path / "out")]) == 0
    assert contents(tmp_path / "out") == ["a", "b", "c", *STUDY]


def test_a_wrong_model_or_rule_is_reported_once_and_before_the_work(tmp_path, capsys, database):
    for wrong in (["--model", str(tmp_path / "m.pt")], ["--rule", "pauze_s=2"]):
        assert main(["analyze", str(database), "--out", str(tmp_path / "out"), *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_jobs_are_a_number_from_one(capsys, jobs):
    with pytest.raises(SystemExit) as stop:
        main(["analyze", "x", "--jobs", jobs])
    assert stop.value.code == 2


# Going on


def test_what_is_finished_is_not_repeated(tmp_path, database, calls, capsys):
    arguments = ["analyze", str(database), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    before = files(tmp_path / "out")
    assert main(arguments) == 0
    assert calls == ["a", "b", "c"]
    assert files(tmp_path / "out") == before
    assert "3 records: 0 analysed, 3 already done, 0 failed" in capsys.readouterr().out


def other_rules(_folder, _out):
    return ["--rule", "pause_s=5"]


def other_lead(_folder, _out):
    return ["--lead", "II"]


def other_signal(folder, _out):
    content = bytearray((folder / "b.dat").read_bytes())
    content[999] ^= 1
    (folder / "b.dat").write_bytes(content)
    return []


def missing_file(_folder, out):
    (out / "b" / "b_hourly.csv").unlink()
    return []


def shortened_file(_folder, out):
    (out / "b" / "b_beats.csv").write_bytes(b"")
    return []


def damaged_mark(_folder, out):
    mark = out / "b" / MARK
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "made_from": {}}))
    return []


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (other_rules, "abc"),
        (other_lead, "abc"),
        (other_signal, "b"),
        (missing_file, "b"),
        (shortened_file, "b"),
        (damaged_mark, "b"),
    ],
)
def test_what_was_made_from_something_else_or_is_incomplete_is_made_again(tmp_path, database, calls, change, again):
    out = tmp_path / "out"
    assert main(["analyze", str(database), "--out", str(out)]) == 0
    calls.clear()
    more = change(database, out)
    assert main(["analyze", str(database), "--out", str(out), *more]) == 0
    assert calls == list(again)
    assert contents(out) == ["a", "b", "c", *STUDY]
    assert len(contents(out / "b")) == 8


def test_another_version_of_the_program_makes_everything_again(tmp_path, database, calls, monkeypatch):
    analyse_many([database], SETTINGS, tmp_path / "out")
    monkeypatch.setattr(work, "__version__", "99")
    analyse_many([database], SETTINGS, tmp_path / "out")
    assert calls == list("abcabc")


@pytest.mark.parametrize(("name", "jobs"), [("notes.txt", "1"), (MARK, "2")])
def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path, capsys, database, name, jobs):
    out = tmp_path / "out"
    (out / "b").mkdir(parents=True)
    (out / "b" / "mine.txt").write_text("mine")
    (out / "b" / name).write_text("mine")
    assert main(["analyze", str(database), "--jobs", jobs, "--out", str(out)]) == 2
    assert (
        "holds files that this program did not write; move it away. Choose another folder with --out."
        in capsys.readouterr().err
    )
    assert (out / "b" / "mine.txt").read_text() == "mine"
    assert contents(out) == ["b"]
    assert len(contents(out / "b")) == len({"mine.txt", name})


def test_ctrl_c_leaves_finished_records_finished(tmp_path, capsys, database, calls, monkeypatch):
    def stop_at_the_last(done, _total, _at_work):
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress, "study_progress", lambda: stop_at_the_last)
    out = tmp_path / "out"
    assert main(["analyze", str(database), "--out", str(out)]) == 130
    assert "finished ones are kept" in capsys.readouterr().err
    assert contents(out) == ["a", "b"]
    monkeypatch.undo()
    assert main(["analyze", str(database), "--out", str(out)]) == 0
    assert contents(out) == ["a", "b", "c", *STUDY]
    assert "1 analysed, 2 already done" in capsys.readouterr().out


def test_a_stop_in_the_middle_of_writing_leaves_nothing_of_that_record(tmp_path, database, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "json", SimpleNamespace(loads=json.loads, dumps=stop))
    assert main(["analyze", str(database), "--out", str(tmp_path / "out")]) == 130
    assert contents(tmp_path / "out") == []


def test_what_a_killed_run_left_unfinished_is_removed(tmp_path, database):
    unfinished = tmp_path / "out" / hidden_name("a")
    unfinished.mkdir(parents=True)
    (unfinished / "a_beats.csv").write_text("half")
    assert main(["analyze", str(database), "--out", str(tmp_path / "out")]) == 0
    assert contents(tmp_path / "out") == ["a", "b", "c", *STUDY]


# The progress


def test_the_progress_shows_records_time_left_and_what_is_being_analysed(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    show = progress.study_progress()
    show(0, 10, ["a", "b"])
    show(5, 10, ["c"])
    shown = capsys.readouterr().err
    assert "0 of 10 records; now a, b" in shown
    assert "5 of 10 records, 0 s left; now c" in shown


def test_the_progress_is_silent_where_there_is_no_terminal(capsys):
    progress.study_progress()(1, 2, ["a"])
    assert capsys.readouterr().err == ""


def test_the_study_is_read_alike_by_pandas(tmp_path, database):
    analyse_many([database], SETTINGS, tmp_path / "out")
    from_csv = pd.read_csv(io.BytesIO((tmp_path / "out" / "study.csv").read_bytes()), dtype={"folder": str})
    from_parquet = pd.read_parquet(tmp_path / "out" / "study.parquet")
    measured = [name for name in from_parquet if name not in (*IDENTITY, *TEXTS)]
    np.testing.assert_allclose(from_csv[measured].astype(float), from_parquet[measured], atol=5.1e-5)


def test_who_comes_second_with_the_same_record_changes_nothing(tmp_path, database, monkeypatch):
    out = tmp_path / "out"
    task = plan([database / "a", database / "b"], out)[0]
    first = []

    def meanwhile(record, *arguments, **options):
        monkeypatch.setattr(work, "analyse", analyse)
        work.analyse_one(task, SETTINGS, lambda done_s, total_s: None)
        first.extend(path.stat() for path in (task.folder, task.folder / MARK))
        return analyse(record, *arguments, **options)

    monkeypatch.setattr(work, "analyse", meanwhile)
    assert not work.analyse_one(task, SETTINGS, lambda done_s, total_s: None).problem
    assert [(task.folder / name).stat().st_ino for name in ("", MARK)] == [stat.st_ino for stat in first]
    assert contents(out) == ["a"]


def test_two_runs_in_one_folder_both_end_well(tmp_path, database, monkeypatch):
    out = tmp_path / "out"

    def another_run(*arguments, **options):
        monkeypatch.setattr(work, "study_row", study_row)
        analyse_many([database], SETTINGS, out)
        return study_row(*arguments, **options)

    study_row = work.study_row
    monkeypatch.setattr(work, "study_row", another_run)
    assert analyse_many([database], SETTINGS, out).failed == ()
    assert contents(out) == ["a", "b", "c", *STUDY]


def test_the_remedies_of_failed_records_are_printed_once_as_options(tmp_path, capsys, database, monkeypatch):
    def no_signal(*_, **__):
        raise LeadError("no lead holds a signal.", settings=("lead",))

    monkeypatch.setattr(work, "analyse", no_signal)
    assert main(["analyze", str(database), "--out", str(tmp_path / "out")]) == 1
    error = "Error: 3 of 3 records failed; failures.csv says why. Choose a lead with --lead.\n"
    assert capsys.readouterr().err == error
    assert {row["sentence"] for row in rows(tmp_path / "out" / "failures.csv")} == {"no lead holds a signal."}
