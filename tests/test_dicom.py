"""DICOM waveforms, read back as they were written."""

import numpy as np
import pytest
from support.made_files import dicom_group, write_dicom

from ecg_core.errors import RecordError
from ecg_core.records import read_record

N = 5000
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
        ([dicom_group(COUNTS, unit="mm[Hg]")], r"its channels are in mm\[Hg\], expected mV, uV or V"),
        ([dicom_group(COUNTS[:, :500])], "the record is 2.0 s long"),
        ([dicom_group(COUNTS, fs_hz=10)], "its sampling rate is 10 Hz"),
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
