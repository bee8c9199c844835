"""DICOM waveforms, read back as they were written."""

from datetime import datetime, time

import numpy as np
import pytest
from support.made_files import dicom_code, dicom_group, whole, write_dicom

from ecg_core.errors import RecordError
from ecg_core.overrides import RecordOverrides
from ecg_core.records import read_record

N = 5000
START = datetime(2024, 3, 2, 23, 59, 30)
COUNTS = np.stack([np.rint(400 * np.sin(np.arange(N) / 20)), np.rint(300 * np.cos(np.arange(N) / 30))]).astype(np.int16)


def test_a_waveform_is_read_as_it_was_written(tmp_path):
    record = read_record(write_dicom(tmp_path / "x.dcm", [dicom_group(COUNTS)]))
    assert (record.fs_hz, record.n_samples, record.lead_names) == (250, N, ("II", "V1"))
    assert record.calibrated == (True, True)
    assert record.age_years == 65
    assert str(record.start) == "2001-02-03 04:05:06"
    np.testing.assert_allclose(record.source.read(0, N, (0, 1)), COUNTS * 0.0025, atol=1e-5)
    np.testing.assert_allclose(record.source.read(100, 200, (1,))[0], COUNTS[1, 100:200] * 0.0025, atol=1e-5)


def test_the_group_that_lasts_longest_is_taken_and_the_patients_name_is_not(tmp_path):
    short = dicom_group(COUNTS[:, :2000], names=("I", "III"))
    record = read_record(write_dicom(tmp_path / "x.bin", [short, dicom_group(COUNTS)]))
    assert record.lead_names == ("II", "V1")
    assert "Somebody" not in repr(record)


def test_channels_without_a_sensitivity_are_uncalibrated(tmp_path):
    record = read_record(write_dicom(tmp_path / "x.dcm", [dicom_group(COUNTS, unit="")]))
    assert record.calibrated == (False, False)
    np.testing.assert_allclose(record.source.read(0, 10, (0,))[0], COUNTS[0, :10] / 200, atol=1e-5)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([], "is a DICOM file without waveforms"),
        ([dicom_group(COUNTS, unit="mm[Hg]")], r"expected mV, uV or V, got mm\[Hg\]"),
        ([dicom_group(COUNTS[:, :500])], r"expected at least 5 s, got 2\.0 s"),
        ([dicom_group(COUNTS, fs_hz=10)], "got 10 Hz"),
    ],
)
def test_what_is_no_ecg_is_refused_in_a_sentence(tmp_path, groups, message):
    with pytest.raises(RecordError, match=message):
        read_record(write_dicom(tmp_path / "x.dcm", groups))


@pytest.mark.parametrize("length", [132, 140, 300, 1000, 6000])
@pytest.mark.filterwarnings("ignore")  # pydicom warns of what it then raises
def test_a_truncated_file_is_refused_in_a_sentence(tmp_path, length):
    path = write_dicom(tmp_path / "x.dcm", [dicom_group(COUNTS)])
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RecordError, match=r"x\.dcm"):
        read_record(path)


# Several groups


def test_a_group_of_median_beats_beside_the_rhythm_is_named_as_left_out(tmp_path):
    beats = dicom_group(COUNTS[:, :300], fs_hz=500)
    record = read_record(write_dicom(tmp_path / "x.dcm", [dicom_group(COUNTS), beats]))
    assert record.n_samples == N
    assert [(group.name, group.reason) for group in record.left_out] == [
        ("group 2 (II, V1)", "0.6 s at 500 Hz, beside 20 s at 250 Hz that are read")
    ]


def test_groups_of_the_same_time_are_read_together_at_the_highest_rate(tmp_path):
    slow = dicom_group(COUNTS[:, ::2], fs_hz=125, names=("V2", "V5"))
    record = read_record(write_dicom(tmp_path / "x.dcm", [slow, dicom_group(COUNTS)]))
    assert (record.fs_hz, record.n_samples, record.left_out) == (250, N, ())
    rows = dict(zip(record.lead_names, whole(record), strict=True))
    assert {*rows} == {"II", "V1", "V2", "V5"}
    np.testing.assert_allclose(rows["II"], COUNTS[0] * 0.0025, atol=1e-5)
    np.testing.assert_allclose(rows["V2"][100:-100], COUNTS[0, 100:-100] * 0.0025, atol=0.005)


def test_groups_of_other_times_or_of_the_same_leads_are_not_mixed(tmp_path):
    later, again = dicom_group(COUNTS, names=("V2", "V5")), dicom_group(COUNTS)
    later.MultiplexGroupTimeOffset = "20000"
    record = read_record(write_dicom(tmp_path / "x.dcm", [dicom_group(COUNTS), later, again]))
    assert record.lead_names == ("II", "V1")
    assert [group.name for group in record.left_out] == ["group 2 (V2, V5)", "group 3 (II, V1)"]


def test_the_start_is_that_of_the_group_that_is_read(tmp_path):
    late = dicom_group(COUNTS)
    late.MultiplexGroupTimeOffset = "2500"
    record = read_record(write_dicom(tmp_path / "x.dcm", [late]))
    assert record.start == datetime(2001, 2, 3, 4, 5, 8, 500_000)


# Channels


def test_pressures_beside_an_ecg_are_named_as_left_out(tmp_path):
    pressure = dicom_group(COUNTS, unit="mm[Hg]", names=("Aorta", "LV"))
    mixed = dicom_group(COUNTS)
    mixed.ChannelDefinitionSequence[1].ChannelSensitivityUnitsSequence = [dicom_code("mm[Hg]", "mmHg")]
    record = read_record(write_dicom(tmp_path / "x.dcm", [pressure, mixed]))
    assert record.lead_names == ("II",)
    assert {(channel.name, channel.reason) for channel in record.left_out} == {
        (name, "in mm[Hg], no unit of an ECG") for name in ("Aorta", "LV", "V1")
    }
    np.testing.assert_allclose(whole(record), COUNTS[:1] * 0.0025, atol=1e-5)


def test_a_channel_without_a_unit_beside_others_waits_until_it_is_given(tmp_path):
    group = dicom_group(COUNTS)
    del group.ChannelDefinitionSequence[1].ChannelSensitivityUnitsSequence
    path = write_dicom(tmp_path / "x.dcm", [group])
    record = read_record(path)
    assert record.lead_names == ("II",)
    assert [(channel.name, channel.reason) for channel in record.left_out] == [
        ("V1", "states no unit; it is read where one is given")
    ]
    record = read_record(path, RecordOverrides(per_mv=1000.0))
    assert record.left_out == ()
    np.testing.assert_allclose(whole(record), COUNTS * 0.0025, atol=1e-5)


@pytest.mark.parametrize(
    ("code", "scheme", "meaning", "name"),
    [
        ("2:2", "MDC", "Lead II", "II"),
        ("2:62", "MDC", "aVR, augmented voltage, right", "aVR"),
        ("5.6.3-9-63", "SCPECG", "", "aVL"),
        ("2:61", "MDC", "Third of Einthoven", "III"),
        ("131330", "MDC", "", "II"),
        ("MDC_ECG_LEAD_AVF", "MDC", "", "aVF"),
        ("5.6.3-9-8", "SCPECG", "Lead V6 (precordial)", "V6"),
        ("1", "99LOCAL", "CHEST", "CHEST"),
    ],
)
def test_leads_have_their_usual_names(tmp_path, code, scheme, meaning, name):
    group = dicom_group(COUNTS[:1])
    source = dicom_code(code, meaning)
    source.CodingSchemeDesignator = scheme
    group.ChannelDefinitionSequence[0].ChannelSourceSequence = [source]
    assert read_record(write_dicom(tmp_path / "x.dcm", [group])).lead_names == (name,)


# The start


@pytest.mark.parametrize(
    ("fields", "start", "clock", "n_doubts"),
    [
        ({"AcquisitionDateTime": "20240302235930.25+0100"}, START.replace(microsecond=250_000), None, 0),
        ({"AcquisitionDate": "20240302", "AcquisitionTime": "235930"}, START, None, 0),
        ({"ContentDate": "20240302", "ContentTime": "235930.0"}, START, None, 0),
        ({"StudyDate": "20240302", "StudyTime": "235930"}, START, None, 1),
        ({"AcquisitionDateTime": "20240302", "StudyTime": "235930"}, None, time(23, 59, 30), 0),
        ({"ContentTime": "235930"}, None, time(23, 59, 30), 0),
        ({"StudyDate": "20240302"}, None, None, 0),
    ],
)  # fmt: skip
def test_the_start_is_taken_from_what_is_stated(tmp_path, fields, start, clock, n_doubts):
    stated = {"AcquisitionDateTime": "", **fields}
    record = read_record(write_dicom(tmp_path / "x.dcm", [dicom_group(COUNTS)], **stated))
    assert (record.start, record.start_clock, len(record.doubts)) == (start, clock, n_doubts)
