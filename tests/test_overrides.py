"""Files that do not state their rate or unit: these are requested, never guessed, and never override the file."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat
from support import made_carts, made_mfer, made_phones
from support.made_files import FS_HZ, N, csv_text, ishne, signal, whole, write_edf
from support.records import write_record

from ecg_core.cli.main import main
from ecg_core.errors import MissingMetadataError, RecordError
from ecg_core.overrides import LeftOut, RecordOverrides
from ecg_core.records import find_records, per_mv_of, read_record

IN_MV = RecordOverrides(FS_HZ, 1.0)


# Matrices of MATLAB


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}], ids=["5", "5, compressed", "4"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_is_read_with_its_shorter_side_as_leads(tmp_path, options, turned):
    counts = np.rint(signal() * 200)
    savemat(tmp_path / "x.mat", {"ecg": counts.T if turned else counts}, **options)
    record = read_record(tmp_path / "x.mat", RecordOverrides(FS_HZ, 200.0))
    assert (record.record_id, record.fs_hz, record.n_samples) == ("x", FS_HZ, N)
    assert record.lead_names == ("lead 1", "lead 2")
    assert record.calibrated == (True, True)
    np.testing.assert_allclose(whole(record), signal(), atol=0.0026)
    np.testing.assert_array_equal(record.source.read(777, 1234, (1,))[0], whole(record)[1, 777:1234])


def test_the_matrix_called_val_goes_before_others(tmp_path):
    savemat(tmp_path / "x.mat", {"val": signal(), "other": np.zeros((3, 9000)), "fs": 250.0, "name": "x"})
    np.testing.assert_allclose(whole(read_record(tmp_path / "x.mat", IN_MV)), signal(), atol=1e-6)


def test_numbers_beside_one_matrix_are_no_matrix(tmp_path):
    savemat(tmp_path / "x.mat", {"ecg": signal(), "fs": 250.0})
    assert read_record(tmp_path / "x.mat", IN_MV).n_samples == N


@pytest.mark.parametrize(
    ("given", "missing", "message"),
    [
        (
            RecordOverrides(),
            (True, True),
            r"the sampling rate in Hz and the unit \(.*\) are not stated and never guessed",
        ),
        (
            RecordOverrides(fs_hz=250),
            (False, True),
            r"; the unit \(mV, uV, V, or the counts per millivolt\) is not stated",
        ),
        (RecordOverrides(per_mv=1), (True, False), "; the sampling rate in Hz is not stated"),
    ],
)
def test_what_a_matrix_does_not_state_is_requested(tmp_path, given, missing, message):
    savemat(tmp_path / "x.mat", {"val": signal()})
    with pytest.raises(MissingMetadataError, match=message) as error:
        read_record(tmp_path / "x.mat", given)
    assert (error.value.rate, error.value.unit) == missing
    assert "--" not in str(error.value)


def test_a_matrix_beside_a_header_belongs_to_a_wfdb_record(tmp_path):
    path = write_record(tmp_path, "x", signal(), FS_HZ, lead_names=("II", "V1"))
    savemat(tmp_path / "x.mat", {"val": signal()}, format="4")
    (tmp_path / "x.hea").write_text(path.with_suffix(".hea").read_text().replace("x.dat 16", "x.mat 16+24"))
    assert read_record(tmp_path / "x.mat").lead_names == ("II", "V1")
    assert [path.name for path in find_records(tmp_path)] == ["x"]


# Tables


def written(folder, suffix, headings, columns):
    table = pd.DataFrame(dict(zip(headings, columns, strict=True)))
    if suffix == "parquet":
        table.to_parquet(folder / "x.parquet", index=False)
    else:
        table.to_csv(folder / f"x.{suffix}", index=False, sep="\t" if suffix == "tsv" else ",")
    return folder / f"x.{suffix}"


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_a_table_is_read_with_overrides_in_place_of_its_headings(tmp_path, suffix):
    time_s = np.arange(N) / FS_HZ
    bare = written(tmp_path, suffix, ["II", "V1"], signal())
    record = read_record(bare, RecordOverrides(500.0, 1000.0))
    assert (record.fs_hz, record.lead_names, record.n_samples) == (500.0, ("II", "V1"), N)
    np.testing.assert_allclose(whole(record), signal() / 1000, atol=1e-6)
    timed = written(tmp_path, suffix, ["time_s", "II", "V1"], [time_s, *signal()])
    record = read_record(timed, RecordOverrides(per_mv=1.0))
    assert (record.fs_hz, record.lead_names, record.overrides) == (FS_HZ, ("II", "V1"), RecordOverrides(per_mv=1.0))
    in_units = written(tmp_path, suffix, ["II_uv", "V1_uv"], signal() * 1000)
    record = read_record(in_units, RecordOverrides(fs_hz=FS_HZ))
    assert (record.lead_names, record.overrides) == (("II", "V1"), RecordOverrides(fs_hz=FS_HZ))
    np.testing.assert_allclose(whole(record), signal(), atol=1e-5)


def test_a_table_without_headings_is_read_with_rate_and_unit_given(tmp_path):
    (tmp_path / "x.csv").write_text("\n".join(f"{a:.5f},{b:.5f}" for a, b in signal().T))
    record = read_record(tmp_path / "x.csv", IN_MV)
    assert (record.lead_names, record.n_samples) == (("lead 1", "lead 2"), N)
    np.testing.assert_allclose(whole(record), signal(), atol=1e-5)


def test_a_column_that_counts_is_no_lead(tmp_path):
    path = written(tmp_path, "csv", ["'sample #'", "'MLII'", "'V5'"], [np.arange(N), *signal()])
    assert read_record(path, IN_MV).lead_names == ("MLII", "V5")
    path = written(tmp_path, "csv", ["tick", "II"], [np.arange(N), signal()[0]])
    record = read_record(path, IN_MV)
    assert record.lead_names == ("II",)
    assert record.left_out == (LeftOut("tick", "only rises, as a time or a counter does"),)
    path = written(tmp_path, "csv", ["tick"], [np.arange(N)])
    with pytest.raises(RecordError, match="the column tick only rises, as a time or a counter does"):
        read_record(path, IN_MV)


# Contradictions


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (RecordOverrides(fs_hz=500.0), "a rate of 500 Hz was given, but the file states 250 Hz. Give no rate"),
        (RecordOverrides(per_mv=1000.0), "a unit of 1000 per mV was given, but its headings state another"),
    ],
)
def test_what_contradicts_the_headings_is_refused(tmp_path, given, message):
    (tmp_path / "x.csv").write_text(csv_text(signal()))
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path / "x.csv", given)


def test_what_agrees_with_the_headings_changes_nothing(tmp_path):
    (tmp_path / "x.csv").write_text(csv_text(signal()))
    record = read_record(tmp_path / "x.csv", IN_MV)
    assert record.overrides == RecordOverrides()
    assert record.sha256 == read_record(tmp_path / "x.csv").sha256


@pytest.mark.parametrize("kind", ["wfdb", "edf", "ishne"])
def test_no_format_that_states_rate_and_unit_is_overridden(tmp_path, kind):
    path = {
        "wfdb": lambda: write_record(tmp_path, "x", signal(), FS_HZ),
        "edf": lambda: write_edf(tmp_path / "x.edf", signal()),
        "ishne": lambda: tmp_path / "x.ecg",
    }[kind]()
    (tmp_path / "x.ecg").write_bytes(ishne(signal()))
    assert read_record(path, RecordOverrides(fs_hz=FS_HZ)).overrides == RecordOverrides()
    with pytest.raises(RecordError, match="a rate of 500 Hz was given, but the file states 250 Hz"):
        read_record(path, RecordOverrides(fs_hz=500.0))
    with pytest.raises(RecordError, match="a unit was given, but the file states the unit of every lead"):
        read_record(path, RecordOverrides(per_mv=1.0))


def test_counts_whose_gain_no_header_states_get_the_given_one(tmp_path):
    (tmp_path / "x.ecg").write_bytes(ishne(signal(), resolution=0))  # counts of 1 uV
    record = read_record(tmp_path / "x.ecg", RecordOverrides(per_mv=1e6 / 1))
    guess = read_record(tmp_path / "x.ecg")
    assert (record.calibrated, guess.calibrated) == ((True, True), (False, False))
    np.testing.assert_allclose(whole(record) * 1e6, whole(guess) * 200, rtol=1e-5)


def without_rate(folder, kind):
    """A file that states no rate."""
    if kind == "wfdb":
        path = write_record(folder, "x", signal(), FS_HZ)
        header = path.with_suffix(".hea")
        header.write_text(re.sub(r"^(\S+ \S+).*", r"\1", header.read_text(), count=1))
        return path
    path = folder / {"matlab": "x.mat", "table": "x.csv", "mfer": "x.mwf", "json": "x.json"}[kind]
    if kind == "matlab":
        savemat(path, {"val": signal()})
    elif kind == "table":
        path.write_text("II\n" + "\n".join(f"{value:.5f}" for value in signal()[0]))
    elif kind == "mfer":
        path.write_bytes(made_mfer.mfer(made_carts.counts(2), interval=b""))
    else:
        document = made_phones.fitbit(made_phones.counts()[0])
        del document["ecgReadings"][0]["samplingFrequencyHz"]
        path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("kind", ["matlab", "table", "mfer", "json", "wfdb"])
def test_a_given_rate_is_kept_and_makes_another_record(tmp_path, kind):
    path, per_mv = without_rate(tmp_path, kind), 1.0 if kind in ("matlab", "table") else None
    records = [read_record(path, RecordOverrides(fs_hz, per_mv)) for fs_hz in (250.0, 500.0)]
    assert [record.fs_hz for record in records] == [250.0, 500.0]
    assert [record.overrides.fs_hz for record in records] == [250.0, 500.0]
    assert records[0].sha256 != records[1].sha256
    assert [read_record(path, record.overrides).sha256 for record in records] == [record.sha256 for record in records]


@pytest.mark.parametrize(("text", "value"), [("mV", 1), ("UV", 1000), ("µV", 1000), ("V", 0.001), ("200", 200)])
def test_a_unit_is_understood_as_people_write_it(text, value):
    assert per_mv_of(text) == value


@pytest.mark.parametrize("text", ["", "mmHg", "0", "-1", "nan", "inf"])
def test_what_is_no_unit_is_refused(text):
    with pytest.raises(RecordError, match="is not a unit: expected mV, uV, V, or a number"):
        per_mv_of(text)


@pytest.mark.parametrize(
    ("overrides", "text", "key"),
    [
        (RecordOverrides(), "", ""),
        (RecordOverrides(fs_hz=250.0), "250 Hz", "250 Hz"),
        (RecordOverrides(250.0, 1000.0), "250 Hz and values in uV", "250 Hz and 1000 a mV"),
        (RecordOverrides(per_mv=200.0), "200 counts per mV", "200 a mV"),
    ],
)
def test_overrides_have_words_for_people_and_a_key_that_never_changes(overrides, text, key):
    assert (overrides.text, overrides.key) == (text, key)


# The commands


def test_the_command_line_takes_rate_and_unit(tmp_path, capsys):
    savemat(tmp_path / "x.mat", {"val": signal() * 1000})
    assert main(["inspect", str(tmp_path / "x.mat")]) == 2
    assert "x.mat (MATLAB)" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "x.mat"), "--fs", "250", "--unit", "uV"]) == 0
    assert "given by hand: 250 Hz and values in uV" in capsys.readouterr().out
    out = ["--to", "csv", "--out", str(tmp_path / "out")]
    assert main(["convert", str(tmp_path / "x.mat"), "--fs", "250", "--unit", "uV", *out]) == 0
    np.testing.assert_allclose(whole(read_record(tmp_path / "out" / "x.csv")), signal(), atol=1e-5)
    assert main(["convert", str(tmp_path / "x.mat"), "--fs", "250", "--unit", "ounces", *out]) == 2
    assert '"ounces" is not a unit' in capsys.readouterr().err
