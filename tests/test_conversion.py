"""Records written in another form and read back."""

import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import wfdb
from conftest import in_memory, write_record

from ecg_core.__main__ import main
from ecg_core.conversion import WRITERS, convert
from ecg_core.errors import OutputError
from ecg_core.records import read_record

N = 5000
SIGNAL = np.stack([np.sin(np.arange(N) / 20), 3 * np.cos(np.arange(N) / 30)])


@pytest.fixture
def record():
    made = in_memory(SIGNAL, 250.0, lead_names=("II", "V1"))
    return replace(made, record_id="x", start=datetime(2001, 5, 4, 3, 2, 1))


def whole(record):
    return record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))


@pytest.mark.parametrize("kind", ["wfdb", "edf", "csv", "parquet"])
def test_a_round_trip_gives_the_same_signal_to_one_step(tmp_path, record, kind):
    back = read_record(convert(record, kind, tmp_path))
    assert (back.fs_hz, back.n_samples, back.lead_names) == (250, N, ("II", "V1"))
    step = {"wfdb": 0.001, "edf": 6 / 65_535, "csv": 1e-5, "parquet": 1e-6}[kind]
    np.testing.assert_allclose(whole(back), SIGNAL, atol=step)
    assert back.start == (None if kind in ("csv", "parquet") else record.start)


def test_parquet_holds_the_columns_of_the_table(tmp_path, record):
    table = pd.read_parquet(convert(record, "parquet", tmp_path))
    assert list(table) == ["time_s", "II_mv", "V1_mv"]
    np.testing.assert_allclose(table["V1_mv"], SIGNAL[1], atol=1e-6)
    np.testing.assert_allclose(np.diff(table["time_s"]), 0.004, atol=1e-9)


@pytest.mark.parametrize("kind", ["wfdb", "csv", "parquet"])
def test_gaps_stay_gaps(tmp_path, kind):
    signal = SIGNAL.copy()
    signal[0, 100:200] = np.nan
    path = convert(replace(in_memory(signal, 250.0, lead_names=("II", "V1")), record_id="x"), kind, tmp_path)
    row = pd.read_parquet(path)["II_mv"].to_numpy() if kind == "parquet" else whole(read_record(path))[0]
    assert np.flatnonzero(np.isnan(row)).tolist() == list(range(100, 200))


def test_edf_that_cannot_say_what_is_missing_is_refused(tmp_path):
    signal = SIGNAL.copy()
    signal[0, 5] = np.nan
    with pytest.raises(OutputError, match="EDF cannot say that samples are missing; choose wfdb, csv or parquet"):
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
    with pytest.raises(OutputError, match=r"No space left on device\); nothing was left behind"):
        convert(record, "csv", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_form_is_told_with_those_that_are_known(tmp_path, record):
    with pytest.raises(OutputError, match=r'"mp3" is no form .* choose among wfdb, edf, csv, parquet'):
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
    told = capsys.readouterr().out
    assert "x (EDF)" in told
    assert "20 s at 125 Hz, 2,500 samples a lead" in told
    assert "x (WFDB)" in told
    assert "nothing wrong was seen" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s * 100, "lead II: its usual height is .* mV, which no ECG has; check unit and gain"),
        (lambda s: np.where(np.arange(N) % 3, s, np.nan), "% is missing; these stretches are not analysed"),
        (lambda s: np.clip(s, -0.5, 0.5), r"is at the limits of the recorder \(clipped\)"),
        (lambda s: s * 0, "holds no signal"),
    ],
)
def test_inspect_says_what_is_wrong_with_a_signal(tmp_path, capsys, change, told):
    path = write_record(tmp_path, "x", change(SIGNAL), 250, lead_names=("II", "V1"))
    assert main(["inspect", str(path)]) == 0
    assert re.search(told, capsys.readouterr().out)


def test_inspect_says_that_a_gain_is_not_stated(tmp_path, capsys):
    header = write_record(tmp_path, "x", SIGNAL, 250, lead_names=("II", "V1")).with_suffix(".hea")
    header.write_text(header.read_text().replace("200/mV", "0"))
    main(["inspect", str(header)])
    assert "no gain is stated for II, V1: 200 counts are taken for 1 mV" in capsys.readouterr().out


def test_inspect_of_a_broken_file_says_why_and_ends_with_2(tmp_path, capsys):
    (tmp_path / "x.edf").write_bytes(b"0       " + bytes(100))
    assert main(["inspect", str(tmp_path / "x.edf"), str(tmp_path / "none.hea")]) == 2
    told = capsys.readouterr().out
    assert told.count("Cannot be analysed") == 2
