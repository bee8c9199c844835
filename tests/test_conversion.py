"""Records written in another form and read back."""

import json
import re
from dataclasses import replace
from datetime import datetime, time

import edfio
import numpy as np
import pandas as pd
import pydicom
import pytest
import wfdb
from support.made_files import dicom_group, ishne, whole, write_dicom
from support.records import in_memory, write_record

from ecg_core.cli.main import main
from ecg_core.errors import OutputError, RecordError
from ecg_core.evaluation.matching import vf_episodes
from ecg_core.labels import AAMI_OF_SYMBOL
from ecg_core.records import read_annotations, read_record
from ecg_core.records.convert import convert, write_at_125_hz
from ecg_core.records.writers import WRITERS, data_record
from ecg_core.schema import Annotations

N = 5000
SIGNAL = np.stack([np.sin(np.arange(N) / 20), 3 * np.cos(np.arange(N) / 30)])


@pytest.fixture
def record():
    made = in_memory(SIGNAL, 250.0, lead_names=("II", "V1"))
    return replace(made, record_id="x", start=datetime(2001, 5, 4, 3, 2, 1))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_round_trip_gives_the_same_signal_to_one_step(tmp_path, record, kind):
    back = read_record(convert(record, kind, tmp_path))
    assert (back.fs_hz, back.n_samples, back.lead_names) == (250, N, ("II", "V1"))
    step = {"edf": 6 / 65_535, "csv": 1e-5, "parquet": 1e-6}.get(kind, 0.001)
    np.testing.assert_allclose(whole(back), SIGNAL, atol=step)
    assert back.start == (None if kind in ("csv", "parquet") else record.start)


@pytest.mark.parametrize("kind", WRITERS)
def test_records_of_more_than_a_thousand_seconds_keep_their_times(tmp_path, kind):
    signal = np.sin(np.arange(66_000) / 7)
    back = read_record(convert(replace(in_memory(signal, 60.0), record_id="x"), kind, tmp_path))
    assert (back.fs_hz, back.n_samples) == (60, 66_000)
    np.testing.assert_allclose(whole(back)[0], signal, atol=0.001)


def test_parquet_holds_the_columns_of_the_table(tmp_path, record):
    table = pd.read_parquet(convert(record, "parquet", tmp_path))
    assert list(table) == ["time_s", "II_mv", "V1_mv"]
    np.testing.assert_allclose(table["V1_mv"], SIGNAL[1], atol=1e-6)
    np.testing.assert_allclose(np.diff(table["time_s"]), 0.004, atol=1e-9)


@pytest.mark.parametrize("kind", ["wfdb", "csv", "parquet", "dicom", "ishne"])
def test_gaps_stay_gaps(tmp_path, kind):
    signal = SIGNAL.copy()
    signal[0, 100:200] = np.nan
    path = convert(replace(in_memory(signal, 250.0, lead_names=("II", "V1")), record_id="x"), kind, tmp_path)
    row = pd.read_parquet(path)["II_mv"].to_numpy() if kind == "parquet" else whole(read_record(path))[0]
    assert np.flatnonzero(np.isnan(row)).tolist() == list(range(100, 200))


def test_a_copy_as_edf_is_refused_where_samples_are_missing(tmp_path):
    signal = SIGNAL.copy()
    signal[0, 5] = np.nan
    with pytest.raises(OutputError, match="EDF cannot represent missing samples; choose wfdb, csv or parquet"):
        convert(in_memory(signal, 250.0, lead_names=("II", "V1")), "edf", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_annotations_go_with_a_wfdb_copy(tmp_path):
    path = write_record(tmp_path, "x", SIGNAL, 250, lead_names=("II", "V1"))
    wfdb.wrann("x", "atr", np.array([5, 777, 4000]), symbol=["N", "V", "N"], fs=250, write_dir=str(tmp_path))
    copy = read_record(convert(read_record(path), "wfdb", tmp_path / "out"))
    assert copy.reference.symbol.tolist() == ["N", "V", "N"]
    np.testing.assert_allclose(copy.reference.time_s * 250, [5, 777, 4000])


@pytest.mark.parametrize("kind", WRITERS)
def test_every_form_is_written_at_125_hz(tmp_path, record, kind):
    path = convert(record, kind, tmp_path, at_125_hz=True)
    back = read_record(path)
    assert (back.fs_hz, back.n_samples) == (125, N // 2)


def test_a_copy_is_there_as_a_whole_or_not_at_all(tmp_path, record, monkeypatch):
    def fill(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fill)
    with pytest.raises(OutputError, match=r"No space left on device\); no file was left half written"):
        convert(record, "csv", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_form_is_refused_with_the_known_ones(tmp_path, record):
    with pytest.raises(
        OutputError,
        match=r'"mp3": the record cannot be written as this; choose among wfdb, edf, csv, parquet, dicom, ishne, aecg',
    ):
        convert(record, "mp3", tmp_path)


def test_comments_that_may_name_a_patient_are_left_out(tmp_path, record):
    named = replace(record, comments=("Name: Somebody Known",))
    assert "Somebody" not in convert(named, "wfdb", tmp_path).with_suffix(".hea").read_text()


# The commands


def test_convert_and_inspect_from_the_command_line(tmp_path, capsys):
    path = write_record(tmp_path, "x", SIGNAL, 250, lead_names=("II", "V1"))
    assert main(["convert", str(path), "--to", "edf", "--rate", "125", "--out", str(tmp_path / "out")]) == 0
    assert "x.edf" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "out" / "x.edf"), str(path)]) == 0
    shown = capsys.readouterr().out
    assert "x (EDF)" in shown
    assert "20 s at 125 Hz, 2,500 samples per lead" in shown
    assert "x (WFDB)" in shown
    assert "nothing wrong was found" in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s * 100, "lead II: its amplitude is .* mV, which no ECG has; check unit and gain"),
        (lambda s: np.where(np.arange(N) % 3, s, np.nan), "% is missing; these stretches are not analysed"),
        (lambda s: np.clip(s, -0.5, 0.5), r"is at the limits of the recorder \(clipped\)"),
        (lambda s: s * 0, "holds no signal"),
    ],
)
def test_inspect_states_what_is_wrong_with_a_signal(tmp_path, capsys, change, message):
    path = write_record(tmp_path, "x", change(SIGNAL), 250, lead_names=("II", "V1"))
    assert main(["inspect", str(path)]) == 0
    assert re.search(message, capsys.readouterr().out)


def test_inspect_states_that_a_gain_is_not_stated(tmp_path, capsys):
    header = write_record(tmp_path, "x", SIGNAL, 250, lead_names=("II", "V1")).with_suffix(".hea")
    header.write_text(header.read_text().replace("200/mV", "0"))
    main(["inspect", str(header)])
    assert "no gain for II, V1: 200 counts per mV assumed" in capsys.readouterr().out


def test_inspect_of_a_broken_file_says_why_and_ends_with_2(tmp_path, capsys):
    (tmp_path / "x.edf").write_bytes(b"0       " + bytes(100))
    assert main(["inspect", str(tmp_path / "x.edf"), str(tmp_path / "none.hea")]) == 2
    shown = capsys.readouterr().out
    assert shown.count("Cannot be analysed") == 2


def test_inspect_as_json_has_the_parts_of_an_error_apart_and_nothing_about_the_patient(tmp_path, capsys):
    (tmp_path / "x.csv").write_text(
        "time_s,II_mv\n0,0.1\n0.004,oops\n" + "".join(f"{i / 250},0\n" for i in range(2, 3000))
    )
    (tmp_path / "y.ecg").write_bytes(ishne(SIGNAL))
    assert main(["inspect", "--json", str(tmp_path / "x.csv"), str(tmp_path / "y.ecg")]) == 2
    shown = capsys.readouterr().out
    broken, fine = json.loads(shown)
    assert broken["error"] == {
        "where": "x.csv", "position": "line 3, column II_mv", "what": "", "expected": "a number", "got": '"oops"',
        "advice": "Correct the cell, or leave it empty.", "settings": [],
    }  # fmt: skip
    assert fine["error"] is None
    assert (fine["fs_hz"], fine["samples_per_lead"], len(fine["leads"])) == (250, SIGNAL.shape[1], 2)
    assert "Firstname" not in shown


# Annotations in copies

BEATS = np.array([0.1, 1.0, 1.802, 2.7, 19.9])
SYMBOLS = ["N", "V", "A", "/", "N"]


@pytest.fixture
def marks(tmp_path):
    """Beats and a change of rhythm in a file of the record's rate."""
    sample = np.rint(np.insert(BEATS, 2, 1.4) * 250).astype(int)
    symbol, note = [*SYMBOLS[:2], "+", *SYMBOLS[2:]], ["", "", "(AFIB", "", "", ""]
    (tmp_path / "marks").mkdir()
    wfdb.wrann("rec", "atr", sample, symbol=symbol, aux_note=note, fs=250, write_dir=str(tmp_path / "marks"))
    return tmp_path / "marks" / "rec.atr"


@pytest.mark.parametrize("at_125_hz", [False, True])
@pytest.mark.parametrize("kind", ["wfdb", "edf", "csv", "parquet"])
def test_annotations_are_read_back_from_a_copy_to_half_a_sample(tmp_path, record, marks, kind, at_125_hz):
    path = convert(record, kind, tmp_path / "out", at_125_hz=at_125_hz, annotations=marks)
    table = tmp_path / "out" / "x_beats.csv"
    found = read_record(path).reference if kind in ("wfdb", "edf") else read_annotations(table, 250)
    beat = np.isin(found.symbol, list(AAMI_OF_SYMBOL))
    assert found.symbol[beat].tolist() == SYMBOLS
    exact = np.rint(BEATS * 250) / 250
    assert np.abs(found.time_s[beat] - exact).max() <= 0.5 / (125 if at_125_hz else 250) + 1e-9
    if kind in ("wfdb", "edf"):
        assert found.aux[found.symbol == "+"].tolist() == ["(AFIB"]
    assert table.is_file() == (kind in ("csv", "parquet"))


def test_the_beats_of_an_analysis_go_along(tmp_path, record):
    table = pd.DataFrame({"sample": [25, 250], "time_s": [0.1, 1.0], "label": ["N", "V"], "probability_N": [1, 0]})
    table.to_csv(tmp_path / "x_beats.csv", index=False)
    back = read_record(convert(record, "edf", tmp_path / "out", annotations=tmp_path / "x_beats.csv"))
    assert back.reference.symbol.tolist() == ["N", "V"]
    np.testing.assert_allclose(back.reference.time_s, [0.1, 1.0])


def test_annotations_of_another_rate_keep_their_times(tmp_path, record):
    wfdb.wrann("rec", "atr", np.array([360, 3600]), symbol=["N", "V"], fs=360, write_dir=str(tmp_path))
    back = read_record(convert(record, "wfdb", tmp_path / "out", annotations=tmp_path / "rec.atr"))
    np.testing.assert_allclose(back.reference.time_s, [1.0, 10.0])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.atr", None, "does not exist"),
        ("x.csv", "a,b\n1,2\n", "expected a table of beats with the columns time_s and label"),
        ("x.csv", "time_s,label\n1,X\n", "the labels N, S, V, F, Q"),
        ("x.csv", "time_s,label\nsoon,N\n", "expected a table of beats"),
        ("x.csv", "time_s,label\n1,N\n999,N\n", "expected annotations within 20.0 s, got the last one at 999.0 s"),
        ("x.atr", b"x", "expected WFDB annotations"),
    ],
)
def test_annotations_that_are_none_are_refused(tmp_path, record, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RecordError, match=message):
        convert(record, "wfdb", tmp_path / "out", annotations=tmp_path / name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [*WRITERS, "125 Hz"])
def test_no_copy_has_annotations_at_the_end_of_its_record_or_beyond(tmp_path, kind):
    path = write_record(tmp_path, "x", SIGNAL, 250, lead_names=("II", "V1"))
    places = [5, 400, 777, N - 1, N, N + 1, N + 5000, N + 9000]
    wfdb.wrann("x", "atr", np.array(places), symbol=[*"NVNNVVNN"], fs=250, write_dir=str(tmp_path))
    (tmp_path / "out").mkdir()
    sentences = []
    if kind == "125 Hz":
        copy = write_at_125_hz(read_record(path), tmp_path / "out", origin="x")
    else:
        copy = convert(read_record(path), kind, tmp_path / "out", report=sentences.append)
        assert "4 annotations at or beyond the end of the record (20.0 s) were left out." in sentences
    table, beats = tmp_path / "out" / "x_beats.csv", tmp_path / "out" / "x.ann"
    if kind == "dicom":
        items = pydicom.dcmread(copy).WaveformAnnotationSequence
        time_s = sorted((place - 1) / 250 for item in items for place in np.atleast_1d(item.ReferencedSamplePositions))
    else:
        time_s = (read_annotations(table, 250) if table.is_file() else read_record(copy).reference).time_s
    assert beats.is_file() == (kind == "ishne")
    np.testing.assert_allclose(time_s, np.array(places[:4]) / 250, atol=0.005)


def test_converting_prints_what_is_in_doubt_about_the_file(tmp_path, capsys):
    path = write_record(tmp_path, "x", SIGNAL, 250, lead_names=("II", "V1"))
    (tmp_path / "x.dat").write_bytes((tmp_path / "x.dat").read_bytes()[:10_000])
    assert main(["convert", str(path), "--to", "csv", "--out", str(tmp_path / "out")]) == 0
    assert "Doubt about the file: " in capsys.readouterr().out


# Anonymous copies


@pytest.mark.parametrize("kind", WRITERS)
def test_an_anonymous_copy_names_neither_patient_nor_day(tmp_path, record, kind):
    notes = Annotations(BEATS[:3], np.array(["N", "V", '"']), np.array(["", "seen by Somebody", "Somebody is dizzy"]))
    named = replace(
        record,
        record_id="Somebody_Known",
        comments=("Simulated record", "Name: Somebody"),
        reference=notes,
        age_years=65,
    )
    path = convert(named, kind, tmp_path / "out", anonymise=True)
    written = list((tmp_path / "out").iterdir())
    assert path.name.startswith("anonymous-")
    for file in written:
        content = file.read_bytes()
        assert b"Somebody" not in content
        assert not re.search(rb"04[-./]05[-./](20)?01|(20)?01-05-04|MAY-2001", content)
        assert "Somebody" not in file.name
    back = read_record(path)
    assert (back.start, back.comments, back.age_years) == (None, (), None)
    np.testing.assert_allclose(whole(back), SIGNAL, atol=0.001)


FIBRILLATION = [
    (0.5, "N", ""), (1.0, "N", ""), (1.5, "N", "Somebody"), (2.0, "[", ""), (2.1, "+", "(VFL"), (2.4, "!", ""),
    (6.0, "]", ""),
    (6.2, "+", "(N"), (7.0, "x", ""), (7.5, "N", ""), (8.0, "|", ""), (8.5, "~", ""), (9.0, '"', "Somebody fell"),
    (9.5, "@", "Somebody.txt"), (10.0, "s", "Somebody"), (11.0, "N", ""),
]  # fmt: skip


@pytest.mark.parametrize("anonymise", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
def test_the_ends_of_fibrillation_are_in_every_copy_or_said_to_be_missing(tmp_path, record, kind, anonymise):
    time_s, symbol, aux = (np.array(column) for column in zip(*FIBRILLATION, strict=True))
    marked, sentences = replace(record, reference=Annotations(time_s, symbol, aux)), []
    path = convert(marked, kind, tmp_path / "out", anonymise=anonymise, report=sentences.append)
    if kind == "wfdb":
        back = read_record(path).reference
        assert back.symbol.tolist() == [one for one in symbol.tolist() if not (anonymise and one in '"@')]
        assert not anonymise or set(back.aux.tolist()) == {"", "(VFL", "(N"}
    elif kind == "edf":
        np.testing.assert_array_equal(vf_episodes(read_record(path).reference), [[2, 6]])
    elif kind in ("dicom", "aecg"):
        content = path.read_bytes()
        assert content.count(b"start of ventricular flutter or fibrillation") == 1
        assert content.count(b"end of ventricular flutter or fibrillation") == 1
    else:
        assert "in WFDB's symbols: [ + ! ] x | ~" in sentences[-1]
    texts = kind in ("edf", "dicom", "aecg")
    n = 0 if kind == "wfdb" else len(FIBRILLATION) - (9 if texts else 5) - 2 * anonymise
    assert [int(sentence.split()[0]) for sentence in sentences if "does not hold" in sentence] == [n] * (n > 0)


def test_the_command_line_writes_annotations_and_leaves_out_names(tmp_path, marks, capsys):
    path = write_record(tmp_path, "Known", SIGNAL, 250, lead_names=("II", "V1"))
    options = ["--to", "edf", "--annotations", str(marks), "--anonymise", "--out", str(tmp_path / "out")]
    assert main(["convert", str(path), *options]) == 0
    shown = capsys.readouterr().out
    assert "Known" not in shown
    (copy,) = (tmp_path / "out").iterdir()
    assert len(read_record(copy).reference.time_s) == len(SYMBOLS) + 1


@pytest.mark.parametrize(
    ("n", "fs_hz"), [(5003, 250.0), (5003, 257.0), (5000, 128.2), (5000, 128.5), (30_694, 511.562), (5000, 1000 / 11)]
)
def test_edf_holds_records_of_any_length(tmp_path, n, fs_hz):
    signal = np.sin(np.arange(n) / 20)
    path = convert(replace(in_memory(signal, fs_hz), record_id="x"), "edf", tmp_path)
    back = read_record(path)
    assert back.fs_hz == pytest.approx(fs_hz, rel=3e-7)  # 26 ms a day
    assert n <= back.n_samples < n + 2 * fs_hz + 1
    assert back.doubts == ()
    np.testing.assert_allclose(whole(back)[0, :n], signal, atol=1e-4)
    assert (whole(back)[0, n:] == whole(back)[0, n - 1]).all()


def test_every_rate_has_a_data_record_of_at_most_two_seconds():
    for fs_hz in (*np.random.default_rng(0).uniform(50, 10_000, 300), *np.linspace(50, 60, 300), 359.1, 1e4):
        n, record_s = data_record(fs_hz)
        assert n / record_s == pytest.approx(fs_hz, rel=3e-7)
        assert record_s <= 2
        assert len(str(record_s)) <= 8


def test_a_time_of_day_without_a_date_is_kept_unless_the_copy_is_anonymous(tmp_path, record):
    clocked = replace(record, start=None, start_clock=time(23, 59, 30))
    assert " 23:59:30" in convert(clocked, "wfdb", tmp_path / "a").with_suffix(".hea").read_text().splitlines()[0]
    assert read_record(convert(clocked, "edf", tmp_path / "a")).start_clock == time(23, 59, 30)
    for kind in ("wfdb", "edf"):
        back = read_record(convert(clocked, kind, tmp_path / "b", anonymise=True))
        assert (back.start, back.start_clock) == (None, None)


@pytest.mark.parametrize("marked", [False, True])
def test_an_edf_copy_begins_at_the_very_moment(tmp_path, record, marked):
    start = datetime(2001, 5, 4, 3, 2, 1, 123_457)
    marks = Annotations(BEATS[:4], np.array(SYMBOLS[:4]), np.full(4, ""))
    made = replace(record, start=start, reference=marks if marked else None)
    back = read_record(convert(made, "edf", tmp_path / "a"))
    assert (back.start, back.doubts) == (start, ())
    np.testing.assert_allclose(whole(back), SIGNAL, atol=0.001)
    if marked:
        np.testing.assert_allclose(back.reference.time_s, BEATS[:4], atol=0.002)
    clocked = replace(made, start=None, start_clock=start.time())
    assert read_record(convert(clocked, "edf", tmp_path / "b")).start_clock == start.time()


@pytest.mark.parametrize("lead", [0, 1])
@pytest.mark.parametrize("at_125_hz", [False, True])
@pytest.mark.parametrize("kind", ["wfdb", "edf", "dicom", "ishne", "aecg"])
def test_a_sample_that_no_ecg_reaches_is_limited_and_named(tmp_path, kind, at_125_hz, lead):
    signal = SIGNAL.copy()
    signal[lead, 1000] = -1e6
    spiked = replace(in_memory(signal, 250.0, lead_names=("II", "V1")), record_id="x")
    sentences = []
    back = read_record(convert(spiked, kind, tmp_path, at_125_hz=at_125_hz, report=sentences.append))
    assert sentences == [
        f"Lead {('II', 'V1')[lead]}: 1 sample beyond 32 mV, which no ECG reaches, was limited to it so that the others "
        "keep their resolution."
    ]
    found = whole(back)
    if not at_125_hz:
        assert found[lead, 1000] == pytest.approx(-32, abs=0.001)
        np.testing.assert_allclose(np.delete(found, 1000, axis=1), np.delete(SIGNAL, 1000, axis=1), atol=0.001)
    np.testing.assert_allclose(found[:, 1000:], SIGNAL[:, 2000::2] if at_125_hz else found[:, 1000:], atol=0.005)


@pytest.mark.parametrize("kind", ["wfdb", "edf"])
def test_an_electrode_offset_is_no_sample_that_no_ecg_reaches(tmp_path, kind):
    offset = replace(in_memory(SIGNAL + 250, 250.0, lead_names=("II", "V1")), record_id="x")
    sentences = []
    back = read_record(convert(offset, kind, tmp_path, report=sentences.append))
    assert sentences == []
    np.testing.assert_allclose(whole(back), SIGNAL + 250, atol=0.005)


@pytest.mark.parametrize("kind", WRITERS)
def test_names_of_any_script_are_written(tmp_path, record, kind):
    named = replace(record, record_id="Jürgen Ø (2)", lead_names=("Brüst", "V1"))
    back = read_record(convert(named, kind, tmp_path))
    assert len(back.lead_names) == 2
    np.testing.assert_allclose(whole(back), SIGNAL, atol=0.001)


# What inspect prints


def test_inspect_names_the_format_by_the_first_bytes(tmp_path, record, capsys):
    convert(record, "edf", tmp_path)
    (tmp_path / "x.edf").rename(tmp_path / "x.dat")
    (tmp_path / "report.edf").write_bytes(b"%PDF-1.7 " + bytes(99))
    assert main(["inspect", str(tmp_path / "x.dat"), str(tmp_path / "report.edf")]) == 2
    shown = capsys.readouterr().out
    assert "x (EDF" in shown
    assert "report.edf (PDF document)" in shown
    assert "a printed report holds no samples. Export the recording itself" in shown


def test_inspect_shows_what_is_known_of_the_patient_and_no_copy_has_it(tmp_path, capsys):
    patient = edfio.Patient(code="MRN-47", name="Somebody_Known", sex="F")
    lead = edfio.EdfSignal(SIGNAL[0], 250, label="ECG II", physical_dimension="mV", physical_range=(-4, 4))
    edfio.Edf([lead], patient=patient).write(tmp_path / "x.edf")
    (tmp_path / "y.ecg").write_bytes(ishne(SIGNAL))
    write_dicom(tmp_path / "z.dcm", [dicom_group(np.rint(SIGNAL * 100).astype(np.int16))])
    paths = [tmp_path / name for name in ("x.edf", "y.ecg", "z.dcm")]
    assert main(["inspect", *map(str, paths)]) == 0
    shown = capsys.readouterr().out
    for name in ("MRN-47", "Somebody Known", "female", "Firstname", "Known Somebody"):
        assert name in shown
    for path in paths:
        for kind in WRITERS:
            convert(read_record(path), kind, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert not re.search(b"Somebody|Firstname|MRN-47", path.read_bytes())


def test_a_copy_that_would_be_too_large_to_be_read_is_refused(tmp_path, record, monkeypatch):
    monkeypatch.setattr("ecg_core.records.aecg_writer.MAX_BYTES", 10_000)
    with pytest.raises(OutputError, match="more than the 0 MB that are read; choose dicom, ishne or edf"):
        convert(record, "aecg", tmp_path)
    assert list(tmp_path.glob("*.xml")) == []
