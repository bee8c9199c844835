"""ECGs of phones and watches: every sample as it was written, and what is damaged or left open is refused."""

import json
import zlib
from datetime import datetime

import numpy as np
import pytest
from support import made_phones as made
from support.made_files import whole

from ecg_core.errors import MissingMetadataError, RecordError
from ecg_core.overrides import RecordOverrides
from ecg_core.records import kind_of, read_record, records_in
from ecg_core.records.patients import read_patient


def opened(folder, content, name="x.atc", overrides=None):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else made.as_json(content))
    return read_record(path, overrides) if overrides else read_record(path)


@pytest.mark.parametrize("n_leads", [1, 6, 12])
def test_every_sample_of_an_atc_file_is_read_in_its_lead(tmp_path, n_leads):
    record = opened(tmp_path, made.atc(made.counts(n_leads)))
    names = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert (record.fs_hz, record.lead_names) == (300, names[:n_leads])
    assert record.start == datetime(2018, 10, 10, 11, 13, 11)
    np.testing.assert_allclose(whole(record), made.counts(n_leads) * 500e-6, atol=1e-6)
    assert read_patient(tmp_path / "x.atc").recorder == "AliveCor kardia_mobile"
    assert kind_of(tmp_path / "x.atc") == "AliveCor ATC"


def test_blocks_of_an_atc_file_stand_in_any_order(tmp_path):
    record = opened(tmp_path, made.atc(made.counts(), made.form(fs_hz=500, step_nv=1000), made.info()))
    assert record.fs_hz == 500
    np.testing.assert_allclose(whole(record), made.counts() * 1e-3, atol=1e-6)


def test_either_checksum_of_an_atc_file_is_right(tmp_path):
    assert opened(tmp_path, made.atc(made.counts(), checksum=zlib.crc32)).n_samples == made.N


def test_averaged_beats_and_the_beats_of_the_app_are_named_and_are_no_reference(tmp_path):
    more = made.marks(100, 400) + made.block("avg ", bytes(900)) + made.block("xyz ", b"12")
    record = opened(tmp_path, made.atc(made.counts(), more=more))
    assert record.reference is None
    assert [(left.name, left.reason) for left in record.left_out] == [
        ("ann", "beats that the recorder's software found, no reference"),
        ("avg", "an averaged beat, no rhythm"),
        ("xyz", "an unknown block"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (made.atc(made.counts(), checksum=lambda _: 7), r'byte 308: the checksum of its block "ecg" does not fit'),
        (made.atc(made.counts())[:-9], r"byte 308: is truncated.*expected a block of 6,012 bytes, got 6,003"),
        (made.atc(made.counts()) + b"ecg", r"is truncated, or damaged there"),
        (made.atc([]), "without a lead"),
        (made.atc(made.counts(), made.info()), "expected a block fmt .* got no such block"),
        (made.atc(made.counts(), made.form(kind=2)), "got format 2, 300 Hz"),
        (made.atc(made.counts(), made.form(step_nv=0)), "got format 1, 300 Hz, 0 nV"),
        (made.atc(made.counts(n=900)), r"expected at least 5 s, got 3\.0 s"),
    ],
)
def test_a_damaged_atc_file_is_refused_with_the_place(tmp_path, content, problem):
    with pytest.raises(RecordError, match=problem) as error:
        opened(tmp_path, content)
    assert error.value.advice


def test_a_damaged_start_of_an_atc_file_is_a_doubt(tmp_path):
    record = opened(tmp_path, made.atc(made.counts(), made.info(checksum=lambda _: 7), made.form()))
    assert "they may be damaged" in record.doubts[0]


@pytest.mark.parametrize(
    ("make", "lead", "fs_hz", "per_mv", "start", "recorder"),
    [
        (made.fitbit, "I", 250, 10922, datetime(2022, 9, 28, 17, 12, 30, 222000), "Sense"),
        (made.google, "I", 250, 10922, datetime(2025, 5, 31, 12), "Pixel Watch 2"),
        (made.withings, "ECG", 300, 1000, None, ""),
    ],
)
def test_json_of_a_watch_is_read_in_the_unit_that_its_service_states(
    tmp_path, make, lead, fs_hz, per_mv, start, recorder
):
    row = made.counts()[0]
    record = opened(tmp_path, make(row), "x.json")
    assert (record.lead_names, record.fs_hz, record.start, record.calibrated) == ((lead,), fs_hz, start, (True,))
    np.testing.assert_allclose(whole(record)[0], row / per_mv, atol=1e-6)
    assert read_patient(tmp_path / "x.json").recorder == recorder


def test_a_start_in_universal_time_is_a_doubt(tmp_path):
    document = made.google(made.counts()[0])
    assert opened(tmp_path, document, "x.json").doubts == ()
    text = json.dumps(document).replace(', "startUtcOffset": "7200s"', "")
    (tmp_path / "x.json").write_text(text)
    record = read_record(tmp_path / "x.json")
    assert record.start == datetime(2025, 5, 31, 10)
    assert record.doubts == ("its start is stated in UTC, and not in local time",)


def test_json_of_a_watch_without_a_rate_or_a_factor_guesses_neither(tmp_path):
    row = made.counts()[0]
    document = made.fitbit(row)
    del document["ecgReadings"][0]["samplingFrequencyHz"]
    with pytest.raises(MissingMetadataError, match="sampling rate"):
        opened(tmp_path, document, "x.json")
    assert opened(tmp_path, document, "x.json", RecordOverrides(fs_hz=250)).fs_hz == 250
    assert opened(tmp_path, made.fitbit(row, scalingFactor=None), "x.json").calibrated == (False,)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"ecgReadings": made.fitbit(made.counts()[0])["ecgReadings"] * 2}, "expected one reading .* got 2 readings"),
        (made.withings(made.counts()[0], sampling_frequency="often"), "no sampling_frequency"),
        (made.fitbit(made.counts()[0], waveformSamples=["1", "2"]), "expected a list of numbers"),
        (made.fitbit(made.counts()[0], waveformSamples=[10**400]), "expected a list of numbers"),
        (made.fitbit(made.counts()[0], waveformSamples=[[1]]), "expected a list of numbers"),
        ({"signal": [1, 2]}, "got 0 readings"),
        (b'{"signal": [' + b"[" * 100_000, "cannot be decoded"),
        (b'{"signal": [1, 2', "cannot be decoded"),
    ],
)
def test_damaged_json_of_a_watch_is_refused(tmp_path, document, problem):
    with pytest.raises(RecordError, match=problem) as error:
        opened(tmp_path, document, "x.json")
    assert error.value.advice or error.value.settings


def test_other_json_is_no_recording_in_a_folder(tmp_path):
    (tmp_path / "a_report.json").write_text('{"beats": [1, 2]}')
    (tmp_path / "b.json").write_bytes(made.as_json(made.withings(made.counts()[0])))
    (tmp_path / "c.ATC").write_bytes(made.atc(made.counts()))
    assert [path.name for path in records_in(tmp_path)] == ["b.json", "c.ATC"]
