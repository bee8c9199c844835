"""MFER: every sample that a writer put in, in either byte order, and a reason for each channel that is no lead."""

import numpy as np
import pytest
from support import made_mfer as made
from support.made_carts import EIGHT, START, TWELVE, N, counts
from support.made_files import whole

from ecg_core.errors import MissingMetadataError, RecordError
from ecg_core.notes import Patient
from ecg_core.overrides import RecordOverrides
from ecg_core.records import read_record
from ecg_core.records.patients import read_patient

PLACE = [TWELVE.index(name) for name in EIGHT]
TYPES = {0: "i2", 1: "u2", 2: "i4", 5: "i1", 6: "u4", 7: "f4", 8: "f8"}


def opened(folder, content, **given):
    (folder / "x.mwf").write_bytes(content)
    return read_record(folder / "x.mwf", **given)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("block", [1, 100])
def test_each_sample_is_the_one_that_was_written(tmp_path, order, frames, block):
    record = opened(tmp_path, made.mfer(counts(8), order=order, frames=frames, block=block))
    assert record.lead_names == TWELVE
    assert (record.fs_hz, record.n_samples, record.start, record.age_years) == (500, N, START, 51)
    assert (record.doubts, record.left_out) == ((), ())
    np.testing.assert_allclose(whole(record)[PLACE] * 200, counts(8), atol=1e-4)
    piece = record.source.read(950, 2150, (1, 0)) * 200
    np.testing.assert_allclose(piece, counts(8)[[1, 0], 950:2150], atol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
def test_samples_are_of_any_type(tmp_path, kind):
    rows = np.clip(counts(2) // 2 + 64, 0, 127)
    record = opened(tmp_path, made.mfer(rows, dtype=TYPES[kind], types=kind))
    np.testing.assert_allclose(whole(record) * 200, rows, atol=1e-4)


def test_offset_and_missing_samples_are_applied(tmp_path):
    rows = counts(2)
    rows[1, 100:200] = -32768
    more = made.define(0x0D, (-50).to_bytes(2, "little", signed=True))
    more += made.define(0x12, (-32768).to_bytes(2, "little", signed=True))
    signal = whole(opened(tmp_path, made.mfer(rows, more=more))) * 200
    assert np.isnan(signal[1, 100:200]).all()
    np.testing.assert_allclose(signal[0], rows[0] - 50.0, atol=1e-4)


def test_channels_have_rates_of_their_own(tmp_path):
    one, two = counts(2)
    half = bytes((1, 0xFD)) + (4).to_bytes(2, "little")  # 4 ms
    own = {"II": made.define(0x0B, half) + made.define(0x04, (50).to_bytes(4, "little"))}
    frame = np.concatenate([one.reshape(-1, 100), two[::2].reshape(-1, 50)], axis=1).astype("<i2").tobytes()
    content = made.mfer(np.stack([one, two]), own=own)
    at = content.index(made.define(0x1E, b"")[:1] + made.length(2 * 2 * N))
    record = opened(tmp_path, content[:at] + made.define(0x1E, frame))
    assert (record.fs_hz, record.n_samples, record.lead_names) == (500, N, ("I", "II"))
    signal = whole(record) * 200
    np.testing.assert_allclose(signal[0], one, atol=1e-4)
    np.testing.assert_allclose(signal[1, 100:-100:2], two[100:-100:2], atol=1e-3)


def test_channels_that_are_no_leads_are_named(tmp_path):
    pressure = made.define(0x0C, bytes((1, 0)) + (1).to_bytes(2, "little"))
    status = made.define(0x0A, bytes((4,)))
    record = opened(tmp_path, made.mfer(counts(3), own={"II": pressure, "V1": status}))
    assert record.lead_names == ("I",)
    assert [channel.reason for channel in record.left_out] == [
        "in a unit that is none of voltage", "states of the recorder, no ECG",
    ]  # fmt: skip
    np.testing.assert_allclose(whole(record)[0] * 200, counts(3)[0], atol=1e-4)
    averaged = made.define(0x08, (9).to_bytes(2, "little"))
    with pytest.raises(RecordError, match=r"without a waveform of an ECG .*an averaged beat"):
        opened(tmp_path, made.mfer(counts(1), more=averaged))


def test_a_rate_that_is_not_stated_is_asked_for(tmp_path):
    content = made.mfer(counts(8), interval=b"")
    with pytest.raises(MissingMetadataError, match="the sampling rate in Hz is not stated and never guessed") as caught:
        opened(tmp_path, content)
    assert caught.value.rate
    assert opened(tmp_path, content, overrides=RecordOverrides(fs_hz=500.0)).fs_hz == 500


def test_a_sensitivity_that_is_not_stated_is_not_calibrated(tmp_path):
    assert not any(opened(tmp_path, made.mfer(counts(2), sensitivity=b"")).calibrated)


def test_rates_are_stated_in_hertz_or_in_seconds(tmp_path):
    hertz = made.define(0x0B, bytes((0, 2)) + (5).to_bytes(2, "little"))  # 5 * 10^2 Hz
    assert opened(tmp_path, made.mfer(counts(2), interval=hertz)).fs_hz == 500
    metres = made.define(0x0B, bytes((2, 2)) + (5).to_bytes(2, "little"))
    with pytest.raises(RecordError, match="neither in Hz nor in seconds"):
        opened(tmp_path, made.mfer(counts(2), interval=metres))


def test_a_file_that_is_cut_opens_with_a_doubt(tmp_path):
    record = opened(tmp_path, made.mfer(counts(8))[:-8001])
    assert record.n_samples == N - 500
    assert record.doubts[0].startswith("frame 1 is stated to have 80,000 bytes, the file has 72,000")
    np.testing.assert_allclose(whole(record)[PLACE] * 200, counts(8)[:, : N - 500], atol=1e-4)


@pytest.mark.parametrize(
    "content", [made.mfer(counts(2), more=made.define(0x0E, b"\1\0\0\0\0\0")), made.mfer(counts(2), types=9)]
)
def test_compressed_samples_are_refused_as_such(tmp_path, content):
    with pytest.raises(RecordError, match=r"x\.mwf: its samples are compressed .*Export it uncompressed"):
        opened(tmp_path, content)


def test_the_patient_is_the_one_of_the_file(tmp_path):
    (tmp_path / "x.mwf").write_bytes(made.mfer(counts(2)))
    assert read_patient(tmp_path / "x.mwf") == Patient(
        "Erika Müster", "P7", "1950-01-02", "female", recorder="Maker Model"
    )


def test_the_preamble_may_be_missing_from_a_file_of_that_suffix(tmp_path):
    content = made.mfer(counts(2))
    assert opened(tmp_path, content[34:]).n_samples == N


def test_frames_that_do_not_follow_each_other_are_a_doubt(tmp_path):
    content = made.mfer(counts(2), frames=2)
    second = content.rindex(made.define(0x06, (25).to_bytes(4, "little")))
    pointed = content[:second] + made.define(0x07, (9999).to_bytes(4, "little")) + content[second:]
    assert opened(tmp_path, pointed).doubts == (
        "frame 2 is stated to begin at sample 9,999, it is read as sample 2,500",
    )  # fmt: skip
