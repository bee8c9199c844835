"""``ecg models``, and the models that ``ecg analyze`` takes by name or by the recorder of a record."""

import json

import numpy as np
import pytest
from support.kept_models import MEASURED, RECORDER, adapted_files, whole_files
from support.pdf import words
from support.studies import rows, write_half_minute

from ecg_core.classifier.installed import find_model
from ecg_core.classifier.kept import keep, set_default
from ecg_core.classifier.spec import read_spec
from ecg_core.cli.main import main
from ecg_core.records import read_record, recorder_of

pytestmark = pytest.mark.usefixtures("own_models")
ORIGIN = f"adapted from general to the recorder {RECORDER}"


@pytest.fixture
def record(tmp_path, excerpt):
    """A record whose header states its recorder, and one whose header does not."""
    for number, name in enumerate(("stated", "silent")):
        write_half_minute(tmp_path / "db", name, excerpt, number)
    with (tmp_path / "db" / "stated.hea").open("a") as header:
        header.write(f"# Recorder: {RECORDER}\n")
    return tmp_path / "db" / "stated"


def run(capsys, *arguments):
    """Exit code and output of a command."""
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr()


def test_the_list_names_each_model_with_its_origin_its_recorder_and_its_verdict(capsys):
    keep(adapted_files(), "mine")
    set_default("mine", RECORDER)
    code, printed = run(capsys, "models")
    lines = printed.out.splitlines()
    assert code == 0
    assert lines[1].split()[0] == "general"
    (mine,) = (line for line in lines if line.startswith("mine"))
    assert [part for part in (ORIGIN, RECORDER, MEASURED["verdict"]) if part not in mine] == []


def test_a_model_is_exported_renamed_removed_restored_and_imported(capsys, tmp_path):
    keep(adapted_files(), "mine")
    for arguments in (
        ["show", "mine"], ["export", "mine", tmp_path / "m.zip"], ["rename", "mine", "yours"], ["remove", "yours"],
        ["restore", "yours"], ["remove", "yours"], ["import", tmp_path / "m.zip", "--name", "again"],
        ["default", "again", "--recorder", RECORDER],
    ):  # fmt: skip
        code, printed = run(capsys, "models", *arguments)
        assert (code, printed.err) == (0, ""), arguments
    assert find_model("again").is_file()


def test_the_card_of_a_shipped_model_says_so_and_has_its_figures(capsys):
    code, printed = run(capsys, "models", "show", "general")
    assert code == 0
    assert "Origin: shipped with the program" in printed.out
    assert "adapted by a user" not in printed.out
    assert "Nothing was measured" not in printed.out
    for point in read_spec(find_model("general")).operating_points_of(1).values():
        assert point.text in printed.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["rename", "general", "x"], "shipped with the program"),
        (["show", "nothing"], "expected one of general"),
        (["import", "tests/conftest.py"], "damaged or was altered"),
        (["default", "mine", "--recorder", " "], "No recorder was named"),
    ],
)
def test_what_cannot_be_done_ends_in_one_sentence(capsys, arguments, problem):
    keep(adapted_files(), "mine")
    code, printed = run(capsys, "models", *arguments)
    assert code == 2
    assert problem in printed.err
    assert printed.err.count("\n") == 1


def test_the_recorder_of_a_record_is_what_its_header_states(record):
    assert recorder_of(read_record(record)) == RECORDER
    assert recorder_of(read_record(record.with_name("silent"))) == ""


def test_a_model_chosen_by_name_stands_in_every_form_of_the_report(capsys, tmp_path, record):
    keep(whole_files(), "mine")
    code, printed = run(capsys, "analyze", record, "--model", "mine", "--out", tmp_path / "out")
    assert code == 0
    assert f"model mine ({ORIGIN}) in " in printed.out
    assert "is the default" not in printed.out
    content = json.loads((tmp_path / "out" / "stated_report.json").read_text(encoding="utf-8"))
    assert (content["model"]["name"], content["model"]["origin"]) == ("mine", ORIGIN)
    pdf = " ".join(words((tmp_path / "out" / "stated_report.pdf").read_bytes()))
    assert f"Model mine ({ORIGIN})" in pdf


def test_the_default_of_its_recorder_analyses_a_record_and_the_output_says_so(capsys, tmp_path, record):
    keep(whole_files(), "mine")
    set_default("mine", RECORDER)
    _, printed = run(capsys, "analyze", record, "--out", tmp_path / "out")
    assert f"mine is the default for the recorder {RECORDER}; --model chooses another" in printed.out
    _, printed = run(capsys, "analyze", record.with_name("silent"), "--out", tmp_path / "out")
    assert "model general in" in printed.out
    assert "is the default" not in printed.out
    _, printed = run(capsys, "analyze", record, "--model", "general", "--out", tmp_path / "out")
    assert "model general in" in printed.out


def test_each_of_many_records_is_analysed_by_the_default_of_its_recorder(capsys, tmp_path, record):
    keep(whole_files(), "mine")
    set_default("mine", RECORDER)
    arguments = ["analyze", record.parent, "--out", tmp_path / "out", "--study", "--studies", tmp_path / "studies"]
    code, printed = run(capsys, *arguments)
    assert code == 0
    assert "Model mine is the default for the recorder of 1 record" in printed.out
    found = {row["record"]: (row["model"], row["model_origin"]) for row in rows(tmp_path / "out" / "study.csv")}
    assert found == {"stated": ("mine", ORIGIN), "silent": ("general", "")}
    _, printed = run(capsys, *arguments)
    assert "2 already done" in printed.out
    _, printed = run(capsys, "studies", "--studies", tmp_path / "studies", "--json")
    named = {study["record"]: study["model"] for study in json.loads(printed.out)}
    assert named == {"stated": "mine", "silent": "general"}


def test_an_unknown_name_ends_in_one_sentence_before_any_work(capsys, tmp_path, record):
    for target in (record, record.parent):
        code, printed = run(capsys, "analyze", target, "--model", "nothing", "--out", tmp_path / "out")
        assert code == 2
        assert "no model of this name is installed" in printed.err
        assert printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_evaluate_takes_a_model_by_its_name(capsys, tmp_path, record):
    import wfdb

    keep(whole_files(), "mine")
    wfdb.wrann("stated", "atr", np.arange(1, 30) * 257, symbol=["N"] * 29, write_dir=str(record.parent))
    code, printed = run(capsys, "evaluate", record.parent, "--model", "mine")
    assert code == 0
    assert "model mine" in printed.out
