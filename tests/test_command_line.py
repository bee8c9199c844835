"""The program from a shell: files and figures for good input, one sentence and exit code 2 for bad input."""

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import wfdb
from support.records import DEMO, write_record
from support.studies import contents

from ecg_core import NOTICE
from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.cli import progress
from ecg_core.cli.main import main
from ecg_core.cli.remedies import REMEDIES, with_remedies
from ecg_core.rules import RhythmRules

ROOT = Path(__file__).parents[1]
NAMES = [
    "demo.ai", "demo_beats.csv", "demo_burden.csv", "demo_events.csv", "demo_hourly.csv", "demo_report.json",
    "demo_report.pdf",
]  # fmt: skip
HUGE = 99_999_999_999


@pytest.fixture(autouse=True)
def _ready(model):
    """One thread, and the model in memory, for every test."""


@pytest.fixture
def ecg(excerpt):
    """A minute of three leads at 257 Hz."""
    lead = np.array(excerpt[: 60 * 257])
    return np.stack([lead, 0.5 * lead, -lead])


def shell(*arguments, **options):
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, **options
    )


# Good input


def test_analyze_writes_every_file_and_prints_what_was_found(tmp_path, capsys):
    assert main(["analyze", str(DEMO), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert contents(tmp_path / "out") == NAMES
    assert "demo: 30 min, lead II" in printed.out
    assert "PVC burden" in printed.out
    assert NOTICE in printed.out
    assert printed.err == ""
    with (tmp_path / "out" / "demo_beats.csv").open(newline="") as stream:
        n_beats = len(list(csv.DictReader(stream)))
    assert 2100 < n_beats < 2350


def test_the_program_runs_as_a_module_from_a_shell(tmp_path, ecg):
    write_record(tmp_path, "x", ecg, 257)
    done = shell("-m", "ecg_core", "analyze", str(tmp_path / "x.hea"), "--out", str(tmp_path / "out"), "--lead", "ii")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(contents(tmp_path / "out")) == len(NAMES)


def test_beats_of_the_patient_keep_their_class_and_are_counted_as_labelled(tmp_path, capsys, ecg):
    record = write_record(tmp_path, "x", ecg, 257)
    assert main(["analyze", str(record), "--out", str(tmp_path / "first")]) == 0
    beats = pd.read_csv(tmp_path / "first" / "x_beats.csv")
    labels = beats.iloc[10:20:3][["time_s", "label"]].assign(label=["V", "S", "V", "N"])
    labels.to_csv(tmp_path / "x_labels.csv", index=False)
    arguments = ["analyze", str(record), "--own", str(tmp_path / "x_labels.csv"), "--out", str(tmp_path / "again")]
    assert main([*arguments, "--learn-anyway"]) == 0
    again = pd.read_csv(tmp_path / "again" / "x_beats.csv")
    assert again.time_s[again.told == 1].tolist() == labels.time_s.tolist()
    assert again.label[again.told == 1].tolist() == labels.label.tolist()
    assert "4 beats labelled by a reader, model fine-tuned to 4 of them" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("records", "wanted"), [([DEMO], "x.atr: this annotation file does not exist"), ([DEMO, DEMO], "one patient")]
)
def test_labels_of_the_patient_that_cannot_be_used_end_in_one_sentence(tmp_path, capsys, records, wanted):
    out = tmp_path / "out"
    code = main(["analyze", *map(str, records), "--own", str(tmp_path / "x.atr"), "--out", str(out)])
    assert_refused(code, capsys.readouterr(), out, wanted)


def test_labels_of_another_record_fine_tune_nothing(tmp_path, capsys):
    table = pd.DataFrame({"time_s": [1.0], "label": ["V"], "record": "other", "record_sha256": "1" * 64})
    table.to_csv(tmp_path / "x.csv", index=False)
    out = tmp_path / "out"
    code = main(["analyze", str(DEMO), "--own", str(tmp_path / "x.csv"), "--out", str(out)])
    assert_refused(code, capsys.readouterr(), out, "got other (11111111)")


def test_rules_can_be_changed_and_are_printed(tmp_path, capsys):
    assert main(["analyze", str(DEMO), "--out", str(tmp_path), "--rule", "pause_s=5", "--rule", "vt_bpm=160"]) == 0
    printed = capsys.readouterr().out
    assert "Pauses        0 of 5 s and more; in AF 0 of 5 s and more; longest RR 3.40 s" in printed
    assert "vt_bpm=160, pause_s=5" in printed
    with (tmp_path / "demo_burden.csv").open(newline="") as stream:
        measured = {row["measure"]: row["value"] for row in csv.DictReader(stream)}
    assert (measured["v_tachycardias"], measured["rule_vt_bpm"]) == ("0", "160")


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("pause_s", "--rule pause_s: expected NAME=VALUE, for example pause_s=2.5. List the rules with --rule help."),
        ("pauze_s=2", '"pauze_s" is not a rule'),
        ("pause_s=two", 'expected a number, got "two"'),
        ("pause_s=0", "expected 1.5 to 10 s, got 0"),
    ],
)
def test_a_wrong_rule_is_reported_before_the_work(tmp_path, capsys, rule, wanted):
    assert main(["analyze", str(DEMO), "--out", str(tmp_path / "out"), "--rule", rule]) == 2
    assert wanted in capsys.readouterr().err
    assert contents(tmp_path / "out") == []


@pytest.mark.parametrize("arguments", [["analyze"], ["analyze", str(DEMO)], ["monitor"]])
def test_the_rules_are_listed_with_unit_bounds_and_source(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--rule", "help"])
    out, err = capsys.readouterr()
    assert (stop.value.code, err) == (0, "")
    assert "pause_s=3 s, 1.5 to 10\n    A pause is an RR of at least; source: Solomon 2016\n" in out
    for rule in RhythmRules().rows():
        assert f"{rule.key}={rule.value:g}" in out
        assert f"{rule.lowest:g} to {rule.highest:g}\n    {rule.says}; source: {rule.source}\n" in out


@pytest.mark.parametrize("arguments", ["analyze --rule help", "analyze --help", "inspect --json {demo}"])
def test_what_reads_the_output_may_stop_reading(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "ecg_core", *arguments.format(demo=DEMO).split()], cwd=ROOT, stdout=writer,
            stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("lead", ["auto", "all", "first", "III", "iii"])
def test_every_way_to_choose_a_lead_works(tmp_path, capsys, ecg, lead):
    write_record(tmp_path, "x", ecg, 257)
    assert main(["analyze", str(tmp_path / "x"), "--out", str(tmp_path / "out"), "--lead", lead]) == 0
    expected = {"auto": "lead I, II, III", "all": "lead I, II, III", "first": "lead I"}.get(lead, "lead III")
    assert f"{expected}, model" in capsys.readouterr().out


def test_one_flat_lead_among_good_ones_is_not_chosen(tmp_path, capsys, ecg):
    ecg[1] = 0
    write_record(tmp_path, "x", ecg, 257)
    assert main(["analyze", str(tmp_path / "x"), "--out", str(tmp_path / "out")]) == 0
    assert "lead I, III, model" in capsys.readouterr().out


def test_a_record_in_segments_with_a_gap_is_analysed(tmp_path, ecg):
    for name in ("a", "b"):
        write_record(tmp_path, name, ecg, 257)
    n, gap = ecg.shape[1], 20 * 257
    (tmp_path / "long.hea").write_text(f"long/3 3 257 {2 * n + gap}\na {n}\n~ {gap}\nb {n}\n")
    assert main(["analyze", str(tmp_path / "long"), "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "long_burden.csv").open(newline="") as stream:
        measured = {row["measure"]: row["value"] for row in csv.DictReader(stream)}
    assert (measured["duration"], measured["analysable_time"]) == ("140", "120")


def test_a_flat_lead_by_name_has_an_empty_burden(tmp_path, capsys, ecg):
    ecg[1] = 0
    write_record(tmp_path, "x", ecg, 257)
    assert main(["analyze", str(tmp_path / "x"), "--out", str(tmp_path), "--lead", "II"]) == 0
    assert "not measurable: no beat" in capsys.readouterr().out
    assert "pvc_burden,,%," in (tmp_path / "x_burden.csv").read_text()


def test_an_uncalibrated_record_is_marked_as_one(tmp_path, capsys, ecg):
    path = write_record(tmp_path, "x", ecg, 257).with_suffix(".hea")
    path.write_text(path.read_text().replace("200/mV", "0"))
    assert main(["analyze", str(path), "--out", str(tmp_path)]) == 0
    assert "200 counts per mV assumed" in capsys.readouterr().out


@pytest.fixture
def database(tmp_path, excerpt):
    """A folder with two annotated minutes and one without annotations."""
    folder = tmp_path / "db" / "1.0.0"
    folder.mkdir(parents=True)
    for name in ("r1", "r.2", "bare"):
        write_record(folder, name.replace(".", "_"), excerpt[: 60 * 257], 257)
        if name != "bare":
            marks = np.arange(10) * 257 + 100
            wfdb.wrann("m", "atr", marks, symbol=["N", "V"] * 5, write_dir=str(folder))
            (folder / "m.atr").rename(folder / f"{name}.atr")
    (folder / "r_2.hea").rename(folder / "r.2.hea")  # a name may hold dots
    return folder


def test_evaluate_writes_its_figures_as_json(database, tmp_path, capsys):
    assert main(["evaluate", str(database), "--json", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["database"] == "db/1.0.0"
    assert {record["record"] for record in figures["records"]} == {"r1", "r.2"}
    assert {"detected_beats", "reference_beats", "model_sha256"} <= set(figures)
    out = capsys.readouterr().out
    assert "DETECTED BEATS" in out
    assert "reliability of V, mean probability > share that are V: " in out
    assert contents(tmp_path) == ["db", "figures.json"]


def test_evaluate_takes_the_records_that_are_named(database, tmp_path):
    arguments = ["evaluate", str(database), "--records", "r1", "--json", str(tmp_path / "figures.json")]
    assert main(arguments) == 0
    assert len(json.loads((tmp_path / "figures.json").read_text())["records"]) == 1


# Bad input


def flat(folder, ecg):
    write_record(folder, "x", 0 * ecg[:1], 257)


def all_missing(folder, ecg):
    write_record(folder, "x", np.nan * ecg, 257)


def three_seconds(folder, ecg):
    write_record(folder, "x", ecg[:, : 3 * 257], 257)


def no_signal_file(folder, ecg):
    write_record(folder, "x", ecg, 257)
    (folder / "x.dat").unlink()


def renamed_signal_file(folder, ecg):
    write_record(folder, "x", ecg, 257)
    (folder / "x.dat").rename(folder / "y.dat")


def four_seconds_of_a_signal_file(folder, ecg):
    write_record(folder, "x", ecg, 257)
    (folder / "x.dat").write_bytes((folder / "x.dat").read_bytes()[: 4 * 257 * 2 * len(ecg)])


def empty_signal_file(folder, ecg):
    write_record(folder, "x", ecg, 257)
    (folder / "x.dat").write_bytes(b"")


def no_samples(folder, ecg):
    write_record(folder, "x", ecg[:, :0], 257)


def huge(folder, ecg):
    write_record(folder, "x", ecg, 257)
    change(folder / "x.hea", f"257 {ecg.shape[1]}", f"257 {HUGE}")


def no_leads(folder, ecg):
    (folder / "x.hea").write_text("x 0 257 15420\n")


def rate(value):
    def make(folder, ecg):
        write_record(folder, "x", ecg, 257)
        change(folder / "x.hea", "x 3 257", f"x 3 {value}")

    return make


def path_traversal(folder, ecg):
    write_record(folder, "x", ecg, 257)
    change(folder / "x.hea", "x.dat", "../../x.dat")


def text(folder, ecg):
    (folder / "x.hea").write_text("Dear colleague,\nplease find enclosed the recording.\n")


def junk(folder, ecg):
    (folder / "x.hea").write_bytes(np.random.default_rng(0).bytes(3000))


def not_utf8(folder, ecg):
    (folder / "x.hea").write_bytes("Größe\n".encode("utf-16"))


def junk_marks(folder, ecg):
    write_record(folder, "x", ecg, 257)
    (folder / "x.atr").write_bytes(b"\xff" * 1001)


def change(path, old, new):
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


BAD_RECORDS = {
    flat: "no lead holds a signal",
    all_missing: "no lead holds a signal",
    three_seconds: "got 3.0 s",
    no_signal_file: "x.dat, which is not beside it",
    renamed_signal_file: "x.dat, which is not beside it",
    four_seconds_of_a_signal_file: "truncated",
    empty_signal_file: "got 0 bytes",
    no_samples: "0 samples",
    huge: f"got {HUGE:,} samples",
    no_leads: "no signals",
    rate(0): "0 Hz",
    rate(-257): "-257",
    rate(10**9): "1e+09 Hz",
    path_traversal: "x.hea",
    text: "line 1: expected that of a WFDB header",
    junk: "line 1: expected that of a WFDB header",
    not_utf8: "line 1: expected that of a WFDB header",
    junk_marks: "x.atr",
}


def assert_refused(code, printed, out, wanted):
    """One sentence on the error stream, exit code 2, and no file."""
    assert code == 2
    assert printed.out == ""
    assert printed.err.startswith("Error: ")
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    assert wanted in printed.err
    assert contents(out) == []


@pytest.mark.parametrize("make", BAD_RECORDS, ids=lambda make: make.__qualname__.split(".")[0])
def test_a_bad_record_ends_in_one_sentence_and_no_file(tmp_path, capsys, ecg, make):
    (tmp_path / "in").mkdir()
    make(tmp_path / "in", ecg)
    code = main(["analyze", str(tmp_path / "in" / "x"), "--out", str(tmp_path / "out")])
    assert_refused(code, capsys.readouterr(), tmp_path / "out", BAD_RECORDS[make])


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("nobody", "does not exist"),
        ("a/b/c", "does not exist"),
        ("x" * 300, "x"),
        ("x.dat/y", ""),
    ],
)
def test_a_path_that_is_no_record_ends_in_one_sentence(tmp_path, capsys, ecg, path, wanted):
    write_record(tmp_path, "x", ecg, 257)
    code = main(["analyze", str(tmp_path / path), "--out", str(tmp_path / "out")])
    assert_refused(code, capsys.readouterr(), tmp_path / "out", wanted)


def test_an_unknown_lead_ends_in_one_sentence(tmp_path, capsys):
    code = main(["analyze", str(DEMO), "--lead", "V9", "--out", str(tmp_path / "out")])
    assert_refused(code, capsys.readouterr(), tmp_path / "out", 'Lead "V9" is not in record demo; it has I, II, III')


def altered(folder):
    content = bytearray(DEFAULT_MODEL.read_bytes())
    content[-1] ^= 1
    (folder / "m.pt").write_bytes(bytes(content))
    shutil.copy(DEFAULT_MODEL.with_suffix(".json"), folder / "m.json")


def no_spec(folder):
    shutil.copy(DEFAULT_MODEL, folder / "m.pt")


def spec_alone(folder):
    shutil.copy(DEFAULT_MODEL.with_suffix(".json"), folder / "m.json")


@pytest.mark.parametrize(
    ("make", "wanted"), [(altered, "m.pt: its SHA-256"), (no_spec, "m.json"), (spec_alone, "m.pt")]
)
def test_a_bad_model_ends_in_one_sentence_and_no_file(tmp_path, capsys, make, wanted):
    make(tmp_path)
    code = main(["analyze", str(DEMO), "--model", str(tmp_path / "m.pt"), "--out", str(tmp_path / "out")])
    assert_refused(code, capsys.readouterr(), tmp_path / "out", wanted)


def test_a_file_for_an_output_folder_ends_in_one_sentence(tmp_path, capsys, ecg):
    write_record(tmp_path, "x", ecg, 257)
    before = contents(tmp_path)
    code = main(["analyze", str(tmp_path / "x"), "--out", str(tmp_path / "x.dat")])
    assert_refused(code, capsys.readouterr(), tmp_path / "out", "x.dat: the results cannot be written there")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["{db}/nowhere"], "this folder does not exist"),
        (["{db}", "--records", "nobody"], "nobody.hea"),
        (["{db}", "--records", "bare"], "bare"),
        (["{db}", "--json", "{db}/nowhere/f.json"], "cannot be written to. Choose another file with --json."),
        (["{db}", "--json", "{db}"], "is a folder"),
        (["{db}/.."], "no recording was found"),
    ],
)
def test_evaluate_refuses_what_it_cannot_score_with_one_sentence(database, capsys, arguments, wanted):
    before = contents(database)
    code = main(["evaluate", *(argument.format(db=database) for argument in arguments)])
    assert_refused(code, capsys.readouterr(), database / "out", wanted)
    assert contents(database) == before


def test_a_folder_without_annotations_cannot_be_evaluated(tmp_path, capsys, ecg):
    write_record(tmp_path, "x", ecg, 257)
    code = main(["evaluate", str(tmp_path)])
    assert_refused(code, capsys.readouterr(), tmp_path / "out", "none of its records has reference annotations")


@pytest.mark.parametrize("arguments", [[], ["analyze"], ["bake", "x"], ["analyze", "x", "--colour", "red"]])
def test_a_wrong_command_is_exit_code_2_too(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_bad_record_from_a_shell_has_no_traceback(tmp_path):
    done = shell("-m", "ecg_core", "analyze", str(tmp_path / "nobody"), "--out", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="the limit is set with ulimit")
def test_a_header_of_a_hundred_billion_samples_asks_for_no_memory(tmp_path, ecg):
    huge(tmp_path, ecg)
    script = (
        "import sys, resource, ecg_core.records as r, ecg_core.errors as e\n"
        "size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: r.read_record(sys.argv[1])\n"
        "except e.RecordError: pass\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size < 50_000\n"
    )
    done = shell("-c", script, str(tmp_path / "x"))
    assert (done.returncode, done.stderr) == (0, "")


# Stopped


def test_ctrl_c_is_a_sentence_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "record_progress", lambda name: stop)
    assert main(["analyze", str(DEMO), "--out", str(tmp_path / "out")]) == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "Stopped: no unfinished file is left, and finished ones are kept.\n"
    assert not (tmp_path / "out").exists()


def test_progress_is_silent_where_there_is_no_terminal(capsys):
    progress.record_progress("x")(10.0, 100.0)
    progress.show_evaluation("x", 1, 10)
    progress.clear_line()
    assert capsys.readouterr().err == ""


def make_terminal(monkeypatch):
    """Let the error stream be a terminal of 40 columns."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda **_: os.terminal_size((40, 20)))


def test_progress_shows_the_percentage_and_the_time_left(capsys, monkeypatch):
    make_terminal(monkeypatch)
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    show = progress.record_progress("x")
    show(0.0, 100.0)
    show(25.0, 100.0)
    progress.show_evaluation("100", 1, 10)
    assert capsys.readouterr().err == "\r\x1b[Kx:  25 %, 30 s left\r\x1b[K100: record 2 of 10"


def test_progress_stays_within_one_line_of_the_terminal(capsys, monkeypatch):
    make_terminal(monkeypatch)
    progress.study_progress()(0, 10, ["a\nb", "c" * 100])
    shown = capsys.readouterr().err.removeprefix("\r\x1b[K")
    assert len(shown) == 39
    assert "\n" not in shown


# Remedies


def test_an_error_names_the_options_of_the_running_command_and_no_other(tmp_path, capsys):
    table = tmp_path / "x.csv"
    table.write_text("I\n" + "0\n" * 5000)
    remedies = [REMEDIES[name] for name in ("fs", "unit")]
    for command in (["analyze"], ["convert"]):
        assert main([*command, str(table), "--out", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err.endswith(f" {' '.join(remedies)}\n")
    assert main(["replay", str(table), "--to", "-"]) == 2
    assert "--" not in capsys.readouterr().err


def test_a_remedy_begins_a_sentence_of_its_own():
    options = Namespace(lead="auto")
    assert with_remedies("Lead V9 is missing", ["lead"], options) == f"Lead V9 is missing. {REMEDIES['lead']}"
    assert with_remedies("Lead V9 is missing.", ["lead"], options) == f"Lead V9 is missing. {REMEDIES['lead']}"
    assert with_remedies("Lead V9 is missing", ["unknown", "out"], options) == "Lead V9 is missing"


def test_every_remedy_names_its_option():
    assert all(f"--{name}" in sentence for name, sentence in REMEDIES.items())


def test_a_fault_of_the_program_ends_in_a_sentence_and_its_traceback_in_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path / "log")
    monkeypatch.setattr("ecg_core.records.inspect.inspect_text", lambda *_: 1 / 0)
    assert main(["inspect", "x"]) == 2
    printed = capsys.readouterr().err
    assert "failed by a fault of its own (ZeroDivisionError: division by zero)" in printed
    assert str(tmp_path / "log" / "errors.log") in printed
    assert "Traceback (most recent call last)" in (tmp_path / "log" / "errors.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_names_of_any_script_and_of_undecodable_bytes_are_printed_on_any_terminal(tmp_path, encoding):
    names = ["心電図.hea", os.fsdecode(b"bad\xff.hea")]
    for name in names:
        (tmp_path / name).write_text("no header", encoding="ascii")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "ecg_core", "inspect", *(str(tmp_path / name) for name in names)],
        cwd=ROOT, capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout.count(b"Cannot be analysed") == 2
    assert b"Traceback" not in done.stderr


def test_a_reader_of_the_output_that_has_read_enough_is_no_error(tmp_path):
    command = f"{shlex.join([sys.executable, '-m', 'ecg_core', 'inspect', *[str(DEMO)] * 200])} | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, check=False)  # noqa: S602  # a pipe
    assert (done.stdout, done.stderr) == (b"demo (WFDB)\n", b"")


def test_a_number_of_hundreds_of_digits_and_an_empty_name_are_sentences(tmp_path, capsys):
    for option, wanted in (
        (["--rule", f"run_min_beats={'9' * 400}"], "got inf"),
        (["--model", ""], "No model was named"),
    ):
        assert main(["analyze", str(DEMO), *option, "--out", str(tmp_path)]) == 2
        assert wanted in capsys.readouterr().err
