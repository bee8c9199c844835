"""Commands and the store: records become studies, nothing is analysed twice, and the worklist is listed."""

import getpass
import json
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from support.kept_models import whole_files
from support.studies import contents, files, write_half_minute, write_half_minutes

from ecg_core.batch import work
from ecg_core.classifier.kept import keep
from ecg_core.classifier.model import save_spec
from ecg_core.classifier.spec import model_digest, read_spec
from ecg_core.cli import options
from ecg_core.cli.main import main
from ecg_core.cli.studies import STATES, table_text
from ecg_core.edits import Label, LabelEdit
from ecg_core.errors import StoreError, StudyHeldError
from ecg_core.notes import Patient
from ecg_core.pipeline import analyse
from ecg_core.records import read_record
from ecg_core.rules import RhythmRules
from ecg_core.studies import analyses, analysing, audit, study
from ecg_core.studies import store as store_module
from ecg_core.studies.analyses import AnalysisKey, load_analysis, save_analysis, stored_analyses
from ecg_core.studies.analysing import held_study, is_stored
from ecg_core.studies.edits import add_edit, edits_of, undo_edit
from ecg_core.studies.holding import hold, release
from ecg_core.studies.store import open_store
from ecg_core.studies.study import Editor, command_editor, find_one, find_studies
from ecg_core.studies.study_notes import set_narrative, set_patient
from ecg_core.studies.tables import AnalysisRow, HoldRow, StudyRow

READER = Editor("A. Reader", "window")


@pytest.fixture(autouse=True)
def _ready(model):
    """One thread, and the model in memory, for every test."""


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "studies", url="")
    yield opened
    opened.close()


@pytest.fixture
def calls(monkeypatch):
    """Names of the records whose signals were analysed."""
    names = []

    def spy(record, *arguments, **keywords):
        names.append(record.record_id)
        return analyse(record, *arguments, **keywords)

    monkeypatch.setattr(analysing, "analyse", spy)
    return names


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run ``ecg analyze`` into the test's own store and folder."""
    monkeypatch.delenv("ECG_STUDIES_URL", raising=False)

    def run(*arguments, out="out", study=True):
        into = ["--study", "--studies", tmp_path / "studies"] if study else []
        return main([str(part) for part in ("analyze", *arguments, "--out", tmp_path / out, *into)])

    return run


@pytest.fixture
def record(tmp_path, excerpt):
    return write_half_minute(tmp_path / "db", "x", excerpt)


@pytest.fixture
def labels(tmp_path, record, run):
    """Two beats of the record, labelled, in the form that Review writes."""
    assert run(record, out="first", study=False) == 0
    table = pd.read_csv(tmp_path / "first" / "x_beats.csv").iloc[5:15:5][["time_s"]].assign(label=["V", "S"])
    table.to_csv(tmp_path / "x_labels.csv", index=False)
    return tmp_path / "x_labels.csv"


# One record


def test_a_record_becomes_a_study_and_the_files_are_as_without_the_store(tmp_path, record, run, store):
    assert run(record, "--reader", "A. Reader") == 0
    assert run(record, out="plain", study=False) == 0
    assert files(tmp_path / "out") == files(tmp_path / "plain")
    (found,) = find_studies(store)
    assert (found.record_id, found.path, found.state, found.edited_by) == ("x", record, "analysed", "A. Reader")
    assert found.n_beats > 20
    assert audit.verify(store, found.record_sha256) == ()


def test_files_of_a_study_have_its_readers_narrative_and_no_patient_data(tmp_path, record, run, store):
    assert run(record) == 0
    (found,) = find_studies(store)
    set_narrative(store, found.record_sha256, "My own words.", READER)
    set_patient(store, found.record_sha256, Patient(name="Somebody Known"), READER)
    assert run(record) == 0
    content = json.loads((tmp_path / "out" / "x_report.json").read_bytes())
    assert content["narrative"] == "My own words."
    assert "patient" not in content


def test_nothing_is_analysed_twice_and_the_stored_analysis_gives_the_same_bytes(tmp_path, record, run, store, calls):
    for out in ("out", "again"):
        assert run(record, out=out) == 0
    assert calls == ["x"]
    assert files(tmp_path / "out") == files(tmp_path / "again")
    assert len([entry for entry in audit.trail(store, read_record(record).sha256) if "shown" in entry.action]) == 1


def test_another_lead_is_another_analysis_and_other_rules_are_not(tmp_path, record, run, store, calls):
    for out, other in (("out", []), ("rule", ["--rule", "pause_s=1.5"]), ("lead", ["--lead", "II"])):
        assert run(record, *other, out=out) == 0
    assert calls == ["x", "x"]
    assert len(stored_analyses(store, read_record(record).sha256)) == 2
    assert run(record, "--rule", "pause_s=1.5", out="plain", study=False) == 0
    assert files(tmp_path / "rule") == files(tmp_path / "plain")


def test_labels_of_the_patient_become_one_edit_of_the_study(tmp_path, record, labels, run, store, calls):
    for out in ("out", "again"):
        assert run(record, "--own", labels, "--learn-anyway", "--reader", "A. Reader", out=out) == 0
    assert run(record, "--own", labels, "--learn-anyway", out="plain", study=False) == 0
    assert files(tmp_path / "out") == files(tmp_path / "plain") == files(tmp_path / "again")
    table = pd.read_csv(labels)
    sha256 = read_record(record).sha256
    assert edits_of(store, sha256) == (LabelEdit(tuple(Label(*row) for row in table.itertuples(index=False))),)
    assert calls == ["x"]
    assert (find_one(store, "x").state, find_one(store, "x").n_fitted_edits) == ("in review", 1)
    (entry,) = [entry for entry in audit.trail(store, sha256) if entry.action == "labelled"]
    assert entry.reader == "A. Reader"


def test_labels_that_cannot_be_checked_count_and_the_model_stays_as_it_was(
    tmp_path, record, labels, run, store, capsys
):
    assert run(record, "--own", labels) == 0
    assert "Learning      Held back: the labels are too few" in capsys.readouterr().out
    assert run(record, "--own", labels, out="plain", study=False) == 0
    assert files(tmp_path / "out") == files(tmp_path / "plain")
    content = json.loads((tmp_path / "out" / "x_report.json").read_text())
    assert content["model"]["fitted_to_own_beats"] == content["learning"]["held_back_to"] == 0
    assert "too few" in content["learning"]["problem"]
    assert pd.read_csv(tmp_path / "out" / "x_beats.csv").told.sum() == len(pd.read_csv(labels))
    assert (len(edits_of(store, read_record(record).sha256)), find_one(store, "x").n_fitted_edits) == (1, 0)


def test_labels_that_a_reader_set_are_in_the_files(tmp_path, record, run, store):
    assert run(record) == 0
    beats = pd.read_csv(tmp_path / "out" / "x_beats.csv")
    add_edit(store, read_record(record).sha256, LabelEdit((Label(float(beats.time_s[7]), "F"),)), READER)
    assert run(record, out="again") == 0
    again = pd.read_csv(tmp_path / "again" / "x_beats.csv")
    assert again.label[again.told == 1].tolist() == ["F"]


# Who may change it


def test_a_study_that_somebody_else_holds_is_refused_in_a_sentence(tmp_path, record, labels, run, store, capsys):
    assert run(record) == 0
    sha256 = read_record(record).sha256
    hold(store, sha256, session="window", reader="B. Other")
    capsys.readouterr()
    assert run(record, "--own", labels, out="again") == 2
    error = capsys.readouterr().err
    assert "x: its study is open for changes by B. Other since" in error
    assert "Leave --study out to write the files alone." in error
    assert contents(tmp_path / "again") == []
    assert edits_of(store, sha256) == ()
    release(store, "window")
    assert run(record, "--own", labels, out="again") == 0


@pytest.mark.parametrize("fails", [False, True])
def test_the_command_holds_the_study_while_it_works_and_releases_it(record, store, fails):
    opened = read_record(record)
    one, other = command_editor("A"), command_editor("B")
    assert one.session != other.session
    try:
        with held_study(store, opened, one):
            with pytest.raises(StudyHeldError), held_study(store, opened, other):
                pass
            if fails:
                raise ValueError
    except ValueError:
        assert fails
    with store.reading() as session:
        assert session.query(HoldRow).count() == 0
    assert threading.active_count() < 10


def test_a_long_command_reports_that_it_still_holds_the_study(record, store, monkeypatch):
    monkeypatch.setattr(analysing, "REPORT_S", 0.01)
    reported = threading.Event()
    monkeypatch.setattr(analysing, "keep_holding", lambda *_: reported.set())
    with held_study(store, read_record(record), command_editor("A")):
        assert reported.wait(10)


def test_a_signed_study_stays_as_it_was_signed(tmp_path, record, labels, run, store, capsys):
    assert run(record) == 0
    with store.writing() as session:
        session.query(StudyRow).one().state = "signed"
    before = find_one(store, "x")
    for number, other in enumerate((["--own", labels], ["--lead", "I"], ["--rule", "pause_s=2.5"])):
        assert run(record, *other, out=f"no{number}") == 2
        assert "its study is signed" in capsys.readouterr().err
        assert contents(tmp_path / f"no{number}") == []
    assert run(record, out="again") == 0  # what was signed can be written again
    assert find_one(store, "x") == before
    assert edits_of(store, before.record_sha256) == ()


def test_a_newer_program_does_not_analyse_a_signed_study_again(record, run, store, capsys, monkeypatch):
    assert run(record) == 0
    monkeypatch.setattr(analyses, "code_version", lambda: "newer")
    assert run(record, out="newer") == 0  # one that is not signed is analysed again
    with store.writing() as session:
        session.query(StudyRow).one().state = "signed"
    monkeypatch.setattr(analyses, "code_version", lambda: "newest")
    assert run(record, out="newest") == 2
    assert "signed, with the analysis of another version of this program" in capsys.readouterr().err


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("study", [True, False])
def test_nothing_is_taken_for_that_of_a_model_whose_spec_was_changed(record, run, store, calls, tmp_path, study):
    mine = keep(whole_files(), "mine")
    folder = record.parent
    beats = tmp_path / "out" / "x" / "x_beats.csv"
    for _ in range(2):
        assert run(folder, "--model", "mine", study=study) == 0
    assert len(calls) == study
    first = beats.read_bytes()
    save_spec(mine.weights, replace(mine.spec, class_bias=(0.0, 0.0, 9.0, 0.0, 0.0)))
    assert run(folder, "--model", "mine", study=study) == 0
    assert beats.read_bytes() != first
    assert len(calls) == 2 * study
    if study:
        assert find_one(store, "x").model_sha256 == model_digest(read_spec(mine.weights))
        assert len(stored_analyses(store, find_one(store, "x").record_sha256)) == 2


def test_what_a_newer_program_finds_is_what_the_worklist_says(record, run, store, monkeypatch):
    assert run(record) == 0
    with store.writing() as session:
        session.query(StudyRow).one().n_beats = 3  # as an older program found
    monkeypatch.setattr(analyses, "code_version", lambda: "newer")
    assert run(record, out="newer") == 0
    assert find_one(store, "x").n_beats > 3


def test_an_analysis_whose_file_is_gone_is_not_stored(record, run, store):
    assert run(record) == 0
    found = find_one(store, "x")
    key = AnalysisKey(found.record_sha256, found.lead, found.model_sha256, RhythmRules())
    assert is_stored(store, key)
    (store.folder / "analyses" / f"{key.digest}.npz").unlink()
    assert not is_stored(store, key)


def test_an_analysis_whose_row_cannot_be_written_leaves_no_file_and_the_other_way_round(
    record, run, store, monkeypatch
):
    assert run(record) == 0
    analysis = stored_analysis(store, record)
    key = AnalysisKey(analysis.record.sha256, "other", "0" * 64, RhythmRules())
    monkeypatch.setattr(analyses, "insert_missing", fail)
    with pytest.raises(StoreError):
        save_analysis(store, key, analysis)
    assert not (store.folder / "analyses" / f"{key.digest}.npz").exists()
    monkeypatch.undo()
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StoreError):
        save_analysis(store, key, analysis)
    assert not is_stored(store, key)
    with store.reading() as session:
        assert session.query(AnalysisRow).count() == 1


def fail(*_args, **_more):
    raise OSError(28, "No space left on device")


def stored_analysis(store, record):
    found, opened = find_one(store, "x"), read_record(record)
    return load_analysis(store, AnalysisKey(opened.sha256, found.lead, found.model_sha256, RhythmRules()), opened)


def test_nobody_changes_a_study_between_its_analysis_and_the_mark_of_its_results(record, run, store, monkeypatch):
    refused, edited = [], work._edited

    def edit_first(opened, found):
        if find_studies(opened):  # not before it is added
            with pytest.raises(StudyHeldError):
                add_edit(opened, found.sha256, LabelEdit((Label(1.0, "V"),)), READER)
            refused.append(found.record_id)
        return edited(opened, found)

    monkeypatch.setattr(work, "_edited", edit_first)
    assert run(record.parent, "--jobs", 1) == 0
    assert refused == ["x"]
    assert edits_of(store, read_record(record).sha256) == ()


def test_the_file_of_the_database_is_checked_once_a_command(record, run, monkeypatch):
    counts, check = [], store_module._check_file

    def spy(connection, place, *, checked):
        counts.append(checked)
        return check(connection, place, checked=checked)

    monkeypatch.setattr(store_module, "_check_file", spy)
    assert run(record.parent, "--jobs", 1) == 0
    assert counts == [False, True]


def test_reader_and_studies_without_study_are_refused(record, tmp_path, run, capsys):
    for arguments in (["--reader", "A"], ["--studies", tmp_path]):
        assert run(record, *arguments, study=False) == 2
        assert "expected --study with them" in capsys.readouterr().err


def test_a_store_that_cannot_be_opened_ends_in_one_sentence(record, run, tmp_path, capsys):
    (tmp_path / "studies").write_text("")
    for records in (record, record.parent):
        assert run(records) == 2
        assert "the studies cannot be kept there" in capsys.readouterr().err
    assert contents(tmp_path / "out") == []


def test_the_reader_is_the_account_unless_named(monkeypatch):
    parser = options.argparse.ArgumentParser()
    options.add_store_options(parser)
    monkeypatch.delenv("ECG_READER", raising=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "account")
    assert options.reader_of(parser.parse_args([])) == "account"
    assert options.reader_of(parser.parse_args(["--reader", "A. Reader"])) == "A. Reader"
    monkeypatch.setenv("ECG_READER", "From Outside")
    assert options.reader_of(parser.parse_args([])) == "From Outside"
    monkeypatch.delenv("ECG_READER")

    def nobody():
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert options.reader_of(parser.parse_args([])) == "unknown reader"
    with pytest.raises(options.StoreError, match="the name is blank"):
        options.reader_of(parser.parse_args(["--reader", " "]))


# Many records


def test_many_records_become_studies_and_are_done_once(tmp_path, excerpt, run, store, calls, capsys):
    database = write_half_minutes(tmp_path / "db", "abc", excerpt)
    assert run(database, study=False) == 0  # finished before there was a store
    assert run(database) == run(database) == 0
    assert calls == ["a", "b", "c"]
    assert capsys.readouterr().out.count("3 records: 0 analysed, 3 already done") == 2
    assert sorted(found.record_id for found in find_studies(store)) == ["a", "b", "c"]
    assert files(tmp_path / "out").keys() >= {"a/a_report.pdf", "study.csv"}


def test_a_label_of_a_reader_makes_the_results_of_its_record_again(tmp_path, excerpt, run, store, calls):
    database = write_half_minutes(tmp_path / "db", "ab", excerpt)
    assert run(database) == 0
    before = files(tmp_path / "out")
    beats = pd.read_csv(tmp_path / "out" / "a" / "a_beats.csv")
    sha256 = find_one(store, "a").record_sha256
    add_edit(store, sha256, LabelEdit((Label(float(beats.time_s[7]), "F"),)), READER)
    assert run(database) == 0
    after = files(tmp_path / "out")
    assert calls == ["a", "b"]
    assert after["b/b_beats.csv"] == before["b/b_beats.csv"]
    again = pd.read_csv(tmp_path / "out" / "a" / "a_beats.csv")
    assert again.label[again.told == 1].tolist() == ["F"]
    undo_edit(store, sha256, READER)
    assert run(database) == 0
    assert files(tmp_path / "out")["a/a_beats.csv"] == before["a/a_beats.csv"]


def test_a_record_whose_study_is_held_fails_alone(tmp_path, excerpt, run, store):
    database = write_half_minutes(tmp_path / "db", "ab", excerpt)
    assert run(database) == 0
    hold(store, find_one(store, "a").record_sha256, session="window", reader="B. Other")
    assert run(database, "--lead", "II") == 1
    assert "open for changes by B. Other" in (tmp_path / "out" / "failures.csv").read_text()
    assert (find_one(store, "a").lead, find_one(store, "b").lead) == ("auto", "II")


def test_several_jobs_write_into_one_store_without_a_lock_error(tmp_path, excerpt, run, store, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    database = write_half_minutes(tmp_path / "db", "abc", excerpt)
    assert run(database, "--jobs", "2") == 0
    assert sorted(found.state for found in find_studies(store)) == 3 * ["analysed"]
    assert all(audit.verify(store, found.record_sha256) == () for found in find_studies(store))


def test_ten_writers_at_once_meet_no_lock_error(tmp_path, excerpt, store, make_stored):
    """Ten connections add, hold, store and release studies at the same time."""
    problems = []

    def work(number):
        own = open_store(tmp_path / "studies", url="")
        try:
            for turn in range(3):
                make_stored(own, 3 * number + turn)
        except Exception as error:
            problems.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(find_studies(store)) == 30


@pytest.fixture
def make_stored(tmp_path, excerpt, demo_analysis):
    """Store the analysis of one of many short records, as a command does."""
    from dataclasses import replace

    from ecg_core.studies.analyses import AnalysisKey, save_analysis, set_shown

    write_half_minute(tmp_path / "many", "x", excerpt)

    def make(store, number):
        record = replace(read_record(tmp_path / "many" / "x"), record_id=f"r{number}")
        vars(record)["sha256"] = f"{number:064d}"
        editor = command_editor("A. Reader")
        key = AnalysisKey(record.sha256, "auto", "m", demo_analysis.rules)
        with held_study(store, record, editor):
            save_analysis(store, key, demo_analysis)
            set_shown(store, key, demo_analysis, editor)

    return make


# The worklist


@pytest.fixture
def listed(store, make_stored, monkeypatch):
    """A store of three studies: one analysed, one in review, one in the archive."""
    monkeypatch.delenv("ECG_STUDIES_URL", raising=False)
    for number in range(3):
        make_stored(store, 123456 + number)
    add_edit(store, f"{123457:064d}", LabelEdit((Label(1.0, "V"),)), Editor("B. Other", "window"))
    study.set_archived(store, f"{123458:064d}", READER, archived=True)
    return store


def worklist(store, capsys, *arguments):
    capsys.readouterr()
    assert main(["studies", "--studies", str(store.folder), *arguments]) == 0
    return capsys.readouterr().out


def test_the_worklist_is_a_table_with_the_last_edited_first(listed, capsys):
    lines = worklist(listed, capsys).splitlines()
    assert lines[0].split() == (
        ["id", "record", "start", "length", "state", "PVC", "%", "SVE", "%", "AF", "%", "last", "edit", "by", "danger"]
    )
    assert [line.split()[1] for line in lines[1:]] == ["r123457", "r123456"]
    assert "in review" in lines[1]
    assert "B. Other" in lines[1]
    assert "30 s" in lines[2]
    assert "A. Reader" in lines[2]


def test_the_worklist_is_searched_and_filtered(listed, capsys):
    assert "r123456" not in worklist(listed, capsys, "--search", "other")
    assert "r123457" not in worklist(listed, capsys, "--state", "analysed")
    both = worklist(listed, capsys, "--state", "analysed", "--state", "in review")
    assert "r123456" in both
    assert "r123457" in both
    assert [line.split()[1] for line in worklist(listed, capsys, "--archived").splitlines()[1:]] == ["r123458"]
    assert "No study fits in" in worklist(listed, capsys, "--search", "nothing")


def test_the_worklist_is_json_without_the_patient(listed, capsys):
    found = json.loads(worklist(listed, capsys, "--json"))
    assert [entry["record"] for entry in found] == ["r123457", "r123456"]
    assert found[0]["pvc_burden_pct"] == pytest.approx(found[1]["pvc_burden_pct"])
    assert found[1]["state"] == "analysed"
    assert not any("patient" in name for name in found[0])


def test_the_states_of_the_command_are_those_of_the_store():
    assert STATES == study.STATES


def test_dangers_are_red_on_a_terminal_and_names_move_no_cursor():
    text = table_text([("id", "danger"), ("a\x1b[2J", "VF"), ("b", "")], red=True)
    assert text.splitlines()[1].endswith("\x1b[1;31mVF\x1b[0m")
    assert "\x1b[2J" not in text
    assert "\x1b" not in table_text([("id", "danger"), ("a", "VF")])


# Whole studies


def test_a_study_is_exported_and_imported_by_one_command_each(tmp_path, record, run, store, capsys):
    assert run(record) == 0
    sha256 = find_one(store, "x").record_sha256
    capsys.readouterr()
    target = tmp_path / "x.zip"
    export = ["studies", "--studies", str(store.folder), "--export", sha256[:7], "--to", str(target)]
    assert main([*export, "--reader", "A. Reader"]) == 0
    assert f"the study of x ({sha256[:8]})" in capsys.readouterr().out
    assert main(["studies", "--studies", str(tmp_path / "other"), "--import", str(target)]) == 0
    assert f"Imported: x ({sha256[:8]})" in capsys.readouterr().out
    other = open_store(tmp_path / "other", url="")
    assert find_one(other, "x").record_sha256 == sha256
    other.close()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--export", "nothing", "--to", "x.zip"], "no study has this path"),
        (["--export", "x"], "no file was named. Set it with --to."),
        (["--to", "x.zip"], "expected --export STUDY with them"),
        (["--with-patient"], "expected --export STUDY with them"),
        (["--export", "x", "--import", "x.zip"], "expected one of them"),
        (["--import", "nothing.zip"], "nothing.zip"),
    ],
)
def test_what_cannot_be_done_ends_in_one_sentence(listed, capsys, arguments, wanted):
    assert main(["studies", "--studies", str(listed.folder), *arguments]) == 2
    error = capsys.readouterr().err
    assert wanted in error
    assert error.count("\n") == 1
