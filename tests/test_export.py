"""The files hold what the analysis holds, in the formats that other programs read."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pypdfium2
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.strategies import beat_columns, make_beats

from ecg_core.batch.study import ADDED, FAILURE_COLUMNS, TEXTS, study_row
from ecg_core.batch.tables import FAILURES, PARQUET, STUDY
from ecg_core.errors import OutputError
from ecg_core.labels import CLASSES
from ecg_core.notes import DiaryEntry, Notes, Patient, ReportStrip, Signature
from ecg_core.records import read_annotations
from ecg_core.report import export
from ecg_core.report.annotations import encoded
from ecg_core.report.columns import csv_bytes, json_columns
from ecg_core.report.export import (
    ANNOTATOR,
    WRITERS,
    annotation_bytes,
    file_contents,
    report_json,
    write_files,
)
from ecg_core.report.measures import measures
from ecg_core.report.tables import beats_table, burden_table, events_table, hourly_table
from ecg_core.rhythm.events import KIND_NAMES
from ecg_core.signals.filters import to_sample

TABLES = {
    "_beats.csv": beats_table,
    "_events.csv": events_table,
    "_burden.csv": burden_table,
    "_hourly.csv": hourly_table,
}
COLUMNS = {
    "_beats.csv": [
        "sample", "time_s", "label", *(f"probability_{name}" for name in CLASSES), "rr_s", "usable", "time_iso",
        "told",
    ],
    "_events.csv": [
        "kind", "name", "start_s", "end_s", "n_beats", "rate_bpm", "duration_s", "start_iso", "record", "at_least",
    ],
    "_burden.csv": [
        "measure", "value", "unit", "denominator", "name", "at_s", "at_iso", "reason_if_empty", "record",
        "at_least",
    ],
    "_hourly.csv": [
        "hour", "start_s", "analysable_s", "beats", *(f"beats_{name}" for name in CLASSES),
        "rate_min_bpm", "rate_mean_bpm", "rate_max_bpm", "v_runs", "s_runs", "pauses", "af_s", "start_iso", "record",
    ],
}  # fmt: skip
NAMES = [
    "demo.ai", "demo_beats.csv", "demo_burden.csv", "demo_events.csv", "demo_hourly.csv", "demo_report.json",
    "demo_report.pdf",
]  # fmt: skip
few_examples = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def empty(make_analysis):
    return make_analysis(make_beats([], ""))


@pytest.mark.parametrize("suffix", TABLES)
def test_columns_are_those_that_are_documented(demo_analysis, empty, suffix):
    for analysis in (demo_analysis, empty):
        head = WRITERS[suffix](analysis).decode().split("\r\n")[0]
        assert head.split(",") == COLUMNS[suffix]


@pytest.mark.parametrize("suffix", TABLES)
def test_a_table_read_back_equals_what_was_written(demo_analysis, suffix):
    text = WRITERS[suffix](demo_analysis)
    written = pd.DataFrame(TABLES[suffix](demo_analysis))
    back = pd.read_csv(io.BytesIO(text), keep_default_na=False, na_values={name: [""] for name in written})
    assert len(back) == len(written)
    for name in written:
        if suffix == "_burden.csv" and name in ("value", "at_s"):
            np.testing.assert_allclose(back[name], [float(value or "nan") for value in written[name]])
        elif written[name].dtype.kind in "fiu":
            np.testing.assert_allclose(back[name], written[name], rtol=1e-6)
        else:
            assert back[name].fillna("").tolist() == written[name].tolist()


@pytest.mark.parametrize("suffix", TABLES)
def test_lines_end_as_rfc_4180_asks_and_all_are_of_one_length(demo_analysis, empty, suffix):
    for analysis in (demo_analysis, empty):
        text = WRITERS[suffix](analysis).decode("ascii")
        assert text.endswith("\r\n")
        assert not re.search(r"[^\r]\n|\r[^\n]", text)
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert {len(row) for row in rows} == {len(COLUMNS[suffix])}


@pytest.mark.parametrize("suffix", TABLES)
def test_what_is_not_known_is_an_empty_cell(demo_analysis, empty, suffix):
    for analysis in (demo_analysis, empty):
        text = WRITERS[suffix](analysis).decode().lower()
        assert not re.search(r"(^|,)-?(nan|none|inf|nat|<na>)(,|\r)", text)


cell_texts = st.one_of(st.none(), st.text(st.sampled_from('ab ,"\n;é'), max_size=4))


@few_examples
@given(
    st.lists(st.tuples(st.floats(), st.floats(width=32), st.integers(-(2**63), 2**63 - 1), st.booleans(), cell_texts))
)
def test_the_text_of_a_table_is_that_of_pandas(rows):
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(5)]
    types = (np.float64, np.float32, np.int64, np.bool_, object)
    table = {name: np.array(column, dtype=kind) for name, column, kind in zip("abcde", columns, types, strict=True)}
    text = pd.DataFrame(table).to_csv(index=False, lineterminator="\r\n")
    assert csv_bytes(table).decode("ascii" if text.isascii() else "utf-8-sig") == text


def test_times_are_written_as_any_other_numbers():
    times = np.array([-0.0, 1e-5, 0.1, 2.0, 1234.5678, 1e15, 1e16, 1.2345678901234567e20])
    ascending = csv_bytes({"time_s": times}).decode().split()
    mixed = csv_bytes({"time_s": times[::-1]}).decode().split()
    assert ascending[1:] == mixed[:0:-1] == [*map(repr, times.tolist())]


def test_beats_of_the_table_are_the_beats(demo_analysis):
    beats, record = demo_analysis.beats, demo_analysis.record
    table = pd.DataFrame(beats_table(demo_analysis))
    assert len(table) == len(beats)
    np.testing.assert_array_equal(table["sample"], to_sample(beats.time_s, record.fs_hz, record.n_samples))
    np.testing.assert_allclose(table["time_s"], beats.time_s, atol=5e-5)
    np.testing.assert_allclose(table["sample"] / record.fs_hz, table["time_s"], atol=0.5 / record.fs_hz + 1e-4)
    assert table["label"].tolist() == beats.label.tolist()
    assert set(table["usable"]) <= {0, 1}
    total = table[[f"probability_{name}" for name in CLASSES]].sum(axis=1)
    np.testing.assert_allclose(total, 1, atol=1e-3)


@few_examples
@given(beat_columns())
def test_sums_of_the_tables_agree(make_analysis, columns):
    rr_ticks, labels, usable, broken = columns
    analysis = make_analysis(make_beats(rr_ticks, labels, usable=usable, broken=broken))
    beats, hours = pd.DataFrame(beats_table(analysis)), pd.DataFrame(hourly_table(analysis))
    burden = burden_table(analysis)
    measured = dict(zip(burden["measure"], burden["value"], strict=True))
    for name in CLASSES:
        n = int(((beats["label"] == name) & (beats["usable"] == 1)).sum())
        assert hours[f"beats_{name}"].sum() == n
        assert int(measured[f"beats_{name}"]) == n
    assert hours["beats"].sum() == int(measured["analysable_beats"])
    assert int(measured["beats_in_unusable_signal"]) == (beats["usable"] == 0).sum()


def test_a_percentage_names_its_denominator(make_analysis):
    table = pd.DataFrame(burden_table(make_analysis(make_beats([80] * 10, "NNVNNNVNNS")))).set_index("measure")
    assert table.loc["pvc_burden", ["value", "unit", "denominator"]].tolist() == ["20", "%", "10 analysable beats"]


@few_examples
@given(beat_columns(), st.sampled_from([0, 5, 10_000, 100_000_000]))
def test_the_annotation_file_read_by_wfdb_holds_the_same_samples_and_symbols(
    make_analysis, tmp_path_factory, columns, later
):
    rr_ticks, labels, usable, broken = columns
    rr_ticks = [rr + (later if i == 0 else 0) for i, rr in enumerate(rr_ticks)]
    beats = make_beats(rr_ticks, labels, usable=usable, broken=broken)
    analysis = make_analysis(beats)
    path = tmp_path_factory.mktemp("ann") / f"x.{ANNOTATOR}"
    path.write_bytes(annotation_bytes(analysis))
    record = analysis.record
    if not len(beats):
        assert len(read_annotations(path, record.fs_hz).time_s) == 0
        return
    marks = wfdb.rdann(str(path.with_suffix("")), ANNOTATOR)
    expected = to_sample(beats.time_s, record.fs_hz, record.n_samples)
    is_beat = np.array(marks.symbol) != "+"
    np.testing.assert_array_equal(marks.sample[is_beat], expected)
    assert np.array(marks.symbol)[is_beat].tolist() == beats.label.tolist()
    assert np.all(np.diff(marks.sample) >= 0)
    assert marks.fs == record.fs_hz


def test_a_beat_on_the_first_sample_is_kept_in_the_annotation_file(make_analysis, tmp_path):
    (tmp_path / f"x.{ANNOTATOR}").write_bytes(annotation_bytes(make_analysis(make_beats([0, 80], "VN"))))
    marks = wfdb.rdann(str(tmp_path / "x"), ANNOTATOR)
    assert (marks.sample.tolist(), marks.symbol) == ([0, 0, 206], ["+", "V", "N"])


def test_changes_of_rhythm_are_marked_before_their_first_beat(make_analysis, tmp_path):
    labels = "N" * 10 + "VVV" + "N" * 10 + "NV" * 5 + "N" * 10
    rr = [80] * 10 + [40] * 3 + [80] * 30
    analysis = make_analysis(make_beats(rr, labels))
    (tmp_path / f"x.{ANNOTATOR}").write_bytes(annotation_bytes(analysis))
    marks = wfdb.rdann(str(tmp_path / "x"), ANNOTATOR)
    changes = [i for i, symbol in enumerate(marks.symbol) if symbol == "+"]
    assert [marks.aux_note[i].rstrip("\x00") for i in changes] == ["(N", "(VT", "(N", "(B", "(N"]
    follow = [marks.symbol[i + 1] for i in changes]
    assert follow == ["N", "V", "N", "N", "N"]
    assert [int(marks.sample[i + 1] - marks.sample[i]) for i in changes] == [1] * 5


def test_rhythms_of_the_demo_read_back_are_those_that_it_was_made_with(demo_analysis, tmp_path):
    (tmp_path / f"x.{ANNOTATOR}").write_bytes(annotation_bytes(demo_analysis))
    found = {mark.rstrip("\x00") for mark in wfdb.rdann(str(tmp_path / "x"), ANNOTATOR).aux_note if mark}
    assert {"(N", "(B", "(T", "(VT", "(AFIB", "(SVTA"} <= found


@few_examples
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 300, 1023, 1024, 70_000, 2**31 - 1, 2**31, 2**33]),
            st.sampled_from("NVFSQ+[]"),
            st.sampled_from(["", "(N", "(AFIB", "x" * 255]),
        ),
        min_size=1,
    ),
    st.sampled_from([360.0, 257.5, 1000 / 3]),
)
def test_the_bytes_of_the_annotation_file_are_those_of_the_reference_library(tmp_path_factory, marks, fs_hz):
    steps, symbols, notes = zip(*marks, strict=True)
    sample, folder = np.cumsum(steps), tmp_path_factory.mktemp("ann")
    wfdb.wrann("x", "ref", sample, symbol=[*symbols], aux_note=[*notes], fs=fs_hz, write_dir=str(folder))
    written = encoded(sample, np.array(symbols), np.array(notes), fs_hz=fs_hz)
    assert written == (folder / "x.ref").read_bytes()


# JSON


def test_the_json_document_holds_what_the_tables_hold(demo_analysis):
    content = json.loads(report_json(demo_analysis))
    assert (content["schema"], content["schema_version"]) == ("ecg-workstation-report", 2)
    assert content["model"]["sha256"] == demo_analysis.model.sha256
    assert content["record"]["sha256"] == demo_analysis.record.sha256
    assert content["beats"]["label"] == demo_analysis.beats.label.tolist()
    assert len(content["events"]) == len(demo_analysis.events)
    values = {measure["key"]: measure["value"] for measure in content["measures"]}
    assert values["pvc_burden"] == pytest.approx(demo_analysis.burden.pvc_burden_pct)
    assert {rule["key"] for rule in content["rules"]} == {rule.key for rule in demo_analysis.rules.rows()}
    assert content["unusable_s"] == [[1400.0, 1430.0]]


def test_labelled_beats_of_the_json_document_are_those_that_a_reader_labelled(demo_analysis):
    columns = json.loads(report_json(replace(demo_analysis, labelled=np.array([3, 7]))))["beats"]
    assert np.flatnonzero(columns["labelled"]).tolist() == [3, 7]


def test_the_json_document_of_a_day_stays_below_eight_megabytes(demo_analysis):
    bytes_per_beat = len(json_columns(json.loads(report_json(demo_analysis))["beats"])) / len(demo_analysis.beats)
    assert bytes_per_beat * 110_000 < 8e6


def test_what_is_not_known_is_null_with_a_reason(empty):
    content = json.loads(report_json(empty))
    missing = [measure for measure in content["measures"] if measure["value"] is None]
    assert {"pvc_burden", "heart_rate_mean", "sdnn"} <= {measure["key"] for measure in missing}
    assert all(measure["why"] for measure in missing)
    assert content["hourly"][0]["rate_mean_bpm"] is None


# Names that a spreadsheet would run, and letters beyond ASCII


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2+3", "@sum", "\ttab"])
@pytest.mark.parametrize("suffix", ["_burden.csv", "_events.csv", "_hourly.csv"])
def test_a_record_whose_name_is_a_formula_is_not_run(demo_analysis, suffix, name):
    analysis = replace(demo_analysis, record=replace(demo_analysis.record, record_id=name))
    rows = csv.DictReader(io.StringIO(WRITERS[suffix](analysis).decode(), newline=""))
    assert {row["record"] for row in rows} == {f"'{name}"}


def test_letters_beyond_ascii_are_read_by_excel_and_by_pandas(demo_analysis):
    analysis = replace(demo_analysis, record=replace(demo_analysis.record, record_id="Żółć"))
    text = WRITERS["_hourly.csv"](analysis)
    assert text.startswith(b"\xef\xbb\xbf")  # by which Excel knows UTF-8
    table = pd.read_csv(io.BytesIO(text))
    assert table.columns[0] == "hour"
    assert table["record"].tolist() == ["Żółć"]


# What cannot be measured


ODD = {
    "no beats": ("", {}),
    "one beat": ("N", {}),
    "nothing analysable": ("NVS" * 20, {"usable": [False] * 60}),
    "a gap at each beat": ("NVS" * 20, {"broken": [True] * 60}),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_recording_gives_every_file_without_a_nan(make_analysis, case):
    labels, more = ODD[case]
    analysis = make_analysis(make_beats([80] * len(labels), labels, **more))
    for suffix, writer in WRITERS.items():
        content = writer(analysis)
        if suffix.endswith(".csv"):
            assert not re.search(r"(^|,)-?(nan|none|inf|nat|<na>)(,|\r)", content.decode().lower())
        if suffix.endswith(".pdf"):
            assert content.startswith(b"%PDF")
    table = pd.DataFrame(burden_table(analysis)).set_index("measure")
    without = table[(table["value"] == "") & ~table.index.str.startswith("rule_")]
    assert len(without)
    assert (without["reason_if_empty"] != "").all()
    assert (table.loc[table["value"] != "", "reason_if_empty"] == "").all()


@pytest.mark.parametrize(
    ("start", "duration_s"),
    [
        (None, 3.0), (datetime(1969, 7, 20, 20, 17), 3.0), (datetime(2001, 1, 1), 3.0),
        (None, 14 * 86_400.0), (datetime(1969, 7, 20, 20, 17), 14 * 86_400.0),
    ],
)  # fmt: skip
def test_any_start_and_any_length_give_every_file(make_analysis, start, duration_s):
    n = 4 if duration_s < 10 else 3000
    made = make_analysis(make_beats([int(100 * duration_s / n)] * n, "N" * n), duration_s=duration_s)
    record = replace(made.record, start=start, n_samples=int(duration_s * made.record.fs_hz))
    analysis = replace(made, record=record)
    assert all(writer(analysis) for writer in WRITERS.values())
    hours = pd.DataFrame(hourly_table(analysis))
    assert len(hours) == max(1, duration_s // 3600)
    assert hours["start_iso"].iloc[0] == ("" if start is None else start.isoformat(timespec="milliseconds"))


# Files


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_file_is_written_and_nothing_else(demo_analysis, tmp_path):
    written = write_files(demo_analysis, tmp_path / "new" / "folder")
    assert contents(tmp_path / "new" / "folder") == NAMES == sorted(path.name for path in written)
    for suffix, writer in WRITERS.items():
        assert (tmp_path / "new" / "folder" / f"demo{suffix}").read_bytes() == writer(demo_analysis)


def test_earlier_results_are_replaced(demo_analysis, tmp_path):
    (tmp_path / "demo_beats.csv").write_text("old")
    write_files(demo_analysis, tmp_path)
    assert contents(tmp_path) == NAMES
    assert (tmp_path / "demo_beats.csv").read_bytes() == WRITERS["_beats.csv"](demo_analysis)


def test_a_file_for_a_folder_is_refused_and_left_as_it_was(demo_analysis, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written there") as caught:
        write_files(demo_analysis, tmp_path / "file")
    assert caught.value.settings == ("out",)
    assert "--" not in str(caught.value)
    assert contents(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("n_written", [0, 1, 4])
def test_a_disk_that_fills_up_leaves_nothing_and_what_was_there_before(demo_analysis, tmp_path, monkeypatch, n_written):
    (tmp_path / "demo_beats.csv").write_text("old")
    real, written = Path.write_bytes, []

    def fill(path, content):
        written.append(path)
        if len(written) > n_written:
            real(path, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill)
    monkeypatch.setattr(export, "annotation_bytes", lambda analysis: b"")
    with pytest.raises(OutputError, match="No space left on device"):
        write_files(demo_analysis, tmp_path)
    assert contents(tmp_path) == ["demo_beats.csv"]
    assert (tmp_path / "demo_beats.csv").read_text() == "old"


def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_written(demo_analysis, tmp_path):
    (tmp_path / "demo.ai").mkdir()
    with pytest.raises(OutputError, match=r"demo\.ai is a folder"):
        write_files(demo_analysis, tmp_path)
    assert contents(tmp_path) == ["demo.ai"]


def test_interrupted_writing_leaves_no_partial_file_and_is_repeated_without_a_trace(
    demo_analysis, tmp_path, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_files(demo_analysis, tmp_path)
    assert not set(contents(tmp_path)) & set(NAMES)
    monkeypatch.undo()
    write_files(demo_analysis, tmp_path)
    assert contents(tmp_path) == NAMES


def test_the_folder_of_an_empty_analysis_holds_every_file_too(empty, tmp_path):
    write_files(empty, tmp_path)
    assert contents(tmp_path) == NAMES


# The documentation


def test_every_column_measure_and_kind_of_event_is_documented(demo_analysis):
    text = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([^`]+)`", text))
    names = {name for columns in COLUMNS.values() for name in columns}
    names |= {measure.key for measure in measures(demo_analysis)} | set(KIND_NAMES)
    report = json.loads(report_json(demo_analysis))
    names |= {*report, *report["record"], *report["rules"][0], *report["measures"][0], *report["edits"]}
    names |= {*study_row("demo", demo_analysis), STUDY, PARQUET, FAILURES, *FAILURE_COLUMNS}
    names |= {"made_from", "files", "row", "lead"}
    assert names <= documented, names - documented
    rows = re.findall(r"^\| `([a-z_A-Z0-9.]+)` \|", text, flags=re.MULTILINE)
    of_the_store = {".join", "manifest.json", "studies.0001.sqlite"}
    unknown = set(rows) - names - of_the_store
    assert not unknown


def test_measures_are_documented_with_their_names_units_and_denominators(demo_analysis):
    text = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    n_beats = f"{demo_analysis.burden.n_beats} "  # stands before the denominator "analysable beats"
    for measure in measures(demo_analysis):
        assert [f"`{measure.key}`", measure.name, measure.unit, measure.of.removeprefix(n_beats)] in lines


def test_every_measure_has_a_key_of_its_own(demo_analysis, empty):
    for analysis in (demo_analysis, empty):
        keys = [measure.key for measure in measures(analysis)]
        assert len(keys) == len(set(keys))
        table = pd.DataFrame(burden_table(analysis))
        assert table["measure"].is_unique


def test_the_burden_with_fusion_is_in_csv_json_and_study(make_analysis):
    analysis = make_analysis(make_beats([80] * 20, "NNNVFNNNNN" * 2))
    assert pd.DataFrame(burden_table(analysis)).set_index("measure").loc["pvc_burden_with_fusion", "value"] == "20"
    in_json = {measure["key"]: measure["value"] for measure in json.loads(report_json(analysis))["measures"]}
    assert (in_json["pvc_burden"], in_json["pvc_burden_with_fusion"]) == (10.0, 20.0)
    row = study_row("made", analysis)
    assert row["pvc_burden_with_fusion"] == 20.0
    assert list(row)[-len(ADDED) - len(TEXTS) :] == [*ADDED, *TEXTS]  # earlier columns keep their place


def test_an_interval_holds_its_burden(demo_analysis):
    value = {measure.key: measure.value for measure in measures(demo_analysis)}
    for burden in ("pvc_burden", "sve_burden"):
        assert value[f"{burden}_low"] <= value[burden] <= value[f"{burden}_high"]


def test_comments_that_may_name_a_patient_are_in_no_file(demo_analysis):
    record = replace(demo_analysis.record, comments=("Name: Somebody Known", "age: 65"))
    analysis = replace(demo_analysis, record=record)
    for suffix, writer in WRITERS.items():
        content = writer(analysis)
        if suffix.endswith(".pdf"):
            document = pypdfium2.PdfDocument(content)
            text = " ".join(page.get_textpage().get_text_range() for page in document)
            document.close()
            assert "Somebody" not in text
        assert b"Somebody" not in content


# What people wrote

PATIENT = Patient(
    "Somebody Known", "ID4711", "1950-03-01", "female", "Syncope", "Bisoprolol", "Referrer", "Doctor", "R5"
)
NOTES = Notes(
    PATIENT,
    (DiaryEntry(30.0, "Palpitations", "on the stairs"), DiaryEntry(1000.0, "Dizziness")),
    "My own words.",
    (ReportStrip(120.0, "Look here"),),
    (Signature(1, "Dr. B", "cardiologist", "I read it.", "2026-01-05T10:11:12.000000+00:00"),),
)


def texts_of(contents):
    """The text of each file; that of a PDF as it is printed."""
    for name, content in contents.items():
        yield content.decode("latin-1")
        if name.endswith(".pdf"):
            document = pypdfium2.PdfDocument(content)
            yield " ".join(page.get_textpage().get_text_range() for page in document)
            document.close()


@pytest.mark.parametrize("is_older", [False, True])
def test_every_report_says_where_the_narrative_is_older_than_the_figures(demo_analysis, is_older):
    files = file_contents(demo_analysis, replace(NOTES, is_narrative_older=is_older), also=("xlsx", "fhir"))
    heading = "Narrative (written before the last change of labels, rules, leads, model or program)"
    printed = list(texts_of({"demo_report.pdf": files["demo_report.pdf"]}))[-1]
    assert (heading in " ".join(printed.split())) == is_older
    sheet = openpyxl.load_workbook(io.BytesIO(files["demo_report.xlsx"])).worksheets[0]
    assert any(cell == heading for row in sheet.iter_rows(values_only=True) for cell in row) == is_older
    assert (heading in files["demo_fhir.json"].decode()) == is_older
    assert json.loads(files["demo_report.json"])["narrative_older"] == is_older


def test_patient_data_are_in_no_file_unless_they_are_asked_for(demo_analysis):
    without = " ".join(texts_of(file_contents(demo_analysis, NOTES)))
    asked = " ".join(texts_of(file_contents(demo_analysis, NOTES, with_patient=True)))
    for value in ("Somebody Known", "ID4711", "1950-03-01", "Bisoprolol", "Referrer"):
        assert value not in without
        assert asked.count(value) >= 2  # PDF and JSON
    assert "patient" not in json.loads(file_contents(demo_analysis, NOTES)["demo_report.json"])


def test_written_files_hold_the_notes_and_patient_data_only_where_asked_for(demo_analysis, tmp_path):
    for with_patient in (False, True):
        write_files(demo_analysis, tmp_path, NOTES, with_patient=with_patient)
        content = json.loads((tmp_path / "demo_report.json").read_bytes())
        assert content["narrative"] == "My own words."
        assert ("patient" in content) == with_patient


def test_notes_are_in_the_json_document_under_keys_of_their_own(demo_analysis):
    content, before = json.loads(report_json(demo_analysis, NOTES)), json.loads(report_json(demo_analysis))
    assert content["schema_version"] == before["schema_version"] == 2
    assert content["patient"]["name"] == "Somebody Known"
    assert content["signed"] is False  # changed since its signature
    assert (content["narrative"], content["narrative_drafted"]) == ("My own words.", False)
    assert before["narrative_drafted"]
    assert before["narrative"].startswith("Simulated recording of 30 min")
    assert [(row["time_s"], row["symptom"], row["note"]) for row in content["diary"]] == [
        (30.0, "Palpitations", "on the stairs"), (1000.0, "Dizziness", ""),
    ]  # fmt: skip
    assert content["diary"][1]["rhythm"].startswith("Atrial fibrillation")
    assert content["diary"][1]["rate_bpm"] > 60
    assert content["strips"] == [{"start_s": 120.0, "caption": "Look here"}]
    assert content["signatures"][0]["reader"] == "Dr. B"
    day, night, total = content["day_and_night"]
    assert day["beats"] == total["beats"] == demo_analysis.burden.n_beats
    assert (night["beats"], night["rate_mean_bpm"]) == (0, None)


@pytest.mark.parametrize("suffix", TABLES)
def test_tables_are_the_same_whatever_people_wrote(demo_analysis, suffix):
    assert WRITERS[suffix](demo_analysis, NOTES) == WRITERS[suffix](demo_analysis)
