"""SCP-ECG: every sample that a writer put in, however it was compressed, and a doubt where samples were lost."""

import numpy as np
import pytest
from support import made_scp as made
from support.made_carts import EIGHT, START, TWELVE, N, counts
from support.made_files import whole

from ecg_core.errors import RecordError
from ecg_core.notes import Patient
from ecg_core.records import read_record
from ecg_core.records.patients import read_patient
from ecg_core.records.scp_huffman import decode, default_table

PLACE = [TWELVE.index(name) for name in EIGHT]


def opened(folder, content):
    (folder / "x.scp").write_bytes(content)
    return read_record(folder / "x.scp")


def stored_counts(record, nv=5000):
    """The eight stored leads, in counts."""
    return whole(record)[PLACE] * 1e6 / nv


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    ("tables", "pack"), [(made.DEFAULT, made.bits_of), (made.own_tables(), made.own_bits), (None, made.raw)]
)
def test_each_sample_is_the_one_that_was_written(tmp_path, order, tables, pack):
    record = opened(tmp_path, made.whole_scp(order=order, tables=tables, pack=pack))
    assert record.lead_names == TWELVE
    assert (record.fs_hz, record.n_samples, record.start, record.age_years) == (500, N, START, 51)
    assert record.doubts == ()
    np.testing.assert_allclose(stored_counts(record), counts(8), atol=1e-3)


def test_the_default_table_holds_every_number_of_16_bits():
    numbers = [*range(-300, 301), -32768, 32767, 0, 0, -1, 1]
    assert decode(made.bits_of(numbers), len(numbers), (default_table(),)).tolist() == numbers


def test_samples_wrap_around_in_16_bits_as_those_of_the_writer(tmp_path):
    rows = np.where(np.arange(N) // 100 % 2, 32_000, -32_000)[None]
    wrapped = [((made.differences(row, 2) + 32_768) % 65_536 - 32_768).tolist() for row in rows]
    section = made.block(wrapped, order=0)
    section = section[:4] + b"\2" + section[5:]
    record = opened(tmp_path, made.scp({2: made.DEFAULT, 3: made.leads(["II"], N), 6: section}))
    np.testing.assert_allclose(whole(record) * 200, rows, rtol=1e-6)


@pytest.mark.parametrize(("nv", "reference_nv"), [(5000, 5000), (5000, 2500), (2500, 5000)])
def test_a_reference_beat_is_added_where_it_was_subtracted(tmp_path, nv, reference_nv):
    content, expected, _ = made.subtracted(nv=nv, reference_nv=reference_nv)
    record = opened(tmp_path, content)
    assert [channel.name for channel in record.left_out] == ["reference beat"]
    assert record.doubts == ()
    np.testing.assert_allclose(stored_counts(record, nv), expected, atol=1e-3)


def test_bimodal_compression_keeps_the_zones_and_says_what_is_lost(tmp_path):
    content, expected, is_kept = made.subtracted(bimodal=True)
    record = opened(tmp_path, content)
    assert (record.fs_hz, record.n_samples) == (500, N)
    np.testing.assert_allclose(stored_counts(record)[:, is_kept], expected[:, is_kept], atol=1e-3)
    assert np.abs(stored_counts(record) - expected).max() < 5  # counts, of a beat of 200
    (doubt,) = record.doubts
    assert "the mean of each 4 samples between QRS complexes" in doubt
    assert "interpolated" in doubt


def test_leads_that_began_later_are_missing_before(tmp_path):
    rows = counts(2, N)
    late = made.leads(["I", "II"], N, first={"I": 1, "II": 2501})
    record = opened(tmp_path, made.scp({2: made.DEFAULT, 3: late, 6: made.block(rows)}))
    signal = whole(record) * 200
    assert np.isnan(signal[1, :2500]).all()
    np.testing.assert_allclose(signal[1, 2500:], rows[1], atol=1e-3)
    np.testing.assert_allclose(signal[0, :N], rows[0], atol=1e-3)
    assert len(record.doubts) == 1


def test_leads_that_are_counted_from_zero_open(tmp_path):
    rows = counts(2, N)
    section = made.leads(["I", "II"], N, first=0).replace(
        int(N - 1).to_bytes(4, "little"), int(N).to_bytes(4, "little")
    )
    record = opened(tmp_path, made.scp({3: section, 6: made.block(rows, order=0, pack=made.raw)}))
    assert (record.n_samples, record.doubts) == (N, ())


def test_the_patient_is_the_one_of_section_1(tmp_path):
    (tmp_path / "x.scp").write_bytes(made.whole_scp())
    assert read_patient(tmp_path / "x.scp") == Patient(
        "Erika Müster", "P7", "1950-01-02", "female", referring_physician="Ref", recorder="CART1"
    )


def test_what_is_damaged_is_doubted_or_refused(tmp_path):
    content = bytearray(made.whole_scp())
    content[-1] ^= 1
    assert "checksum" in opened(tmp_path, bytes(content)).doubts[0]
    short = opened(tmp_path, made.whole_scp()[:-2000])
    assert "the header states" in short.doubts[0]
    assert any("lead V6 has" in doubt for doubt in short.doubts)
    with pytest.raises(RecordError, match="without a rhythm that is read"):
        opened(tmp_path, made.scp({1: made.about()}))
    with pytest.raises(RecordError, match=r"without a rhythm that is read: .* got sections \[1, 3\]"):
        opened(tmp_path, made.scp({1: made.about(), 3: made.leads(EIGHT, N)}))
    twice = b"\1\0\2\0" + made.code("0", 1, 1, 0) + made.code("01", 2, 1, 1)
    with pytest.raises(RecordError, match="two Huffman codes of which one begins the other"):
        opened(tmp_path, made.whole_scp(tables=twice))


def test_no_amplitude_stated_is_not_calibrated(tmp_path):
    rows = counts(2, N)
    bodies = {2: made.DEFAULT, 3: made.leads(["I", "II"], N), 6: made.block(rows, nv=0)}
    assert opened(tmp_path, made.scp(bodies)).calibrated == (False, False)


def test_bimodal_compression_whose_zones_do_not_fit_the_numbers_is_refused(tmp_path):
    content, _, _ = made.subtracted(bimodal=True)
    moved = content.replace((361).to_bytes(4, "little") + (440).to_bytes(4, "little"), bytes(8))
    assert moved != content
    with pytest.raises(RecordError, match="its zones need"):
        opened(tmp_path, moved)
