"""ISHNE files as recorders really write them, and the annotations beside them."""

import struct
from binascii import crc_hqx
from datetime import datetime, time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.made_files import FS_HZ, START, N, ishne, signal, whole

from ecg_core.records import read_record

CLOCK = time(23, 59, 30)


def holter(*, day=(2, 3, 2024), clock=(23, 59, 30), stated=N, cut=0, checksum=0, **more):
    content = bytearray(ishne(signal(), **more))
    struct.pack_into("<H", content, 8, checksum)
    struct.pack_into("<i", content, 14, stated)
    struct.pack_into("<3h", content, 138, *day)
    struct.pack_into("<3h", content, 150, *clock)
    return bytes(content[: len(content) - cut])


def opened(folder, content, annotations=None, suffix=".ann"):
    (folder / "x.ecg").write_bytes(content)
    if annotations is not None:
        (folder / f"x{suffix}").write_bytes(annotations)
    return read_record(folder / "x.ecg")


@pytest.mark.parametrize(("year", "read"), [(24, 2024), (69, 2069), (70, 1970), (99, 1999), (0, 2000), (2024, 2024)])
def test_a_year_may_have_two_digits(tmp_path, year, read):
    record = opened(tmp_path, holter(day=(2, 3, year)))
    assert (record.start, record.doubts) == (datetime(read, 3, 2, 23, 59, 30), ())


@pytest.mark.parametrize(("born", "age"), [(50, 74), (20, 4), (24, 0), (25, 99), (1950, 74), (0, 24)])
def test_a_year_of_birth_of_two_digits_is_the_last_before_the_recording(tmp_path, born, age):
    assert opened(tmp_path, holter(born=(1, 1, born))).age_years == age


@pytest.mark.parametrize(
    ("day", "clock", "known", "doubts"),
    [
        ((0, 0, 0), (23, 59, 30), CLOCK, ()),
        ((-9, -9, -9), (23, 59, 30), CLOCK, ()),
        ((0, 0, 0), (0, 0, 0), None, ()),
        ((31, 2, 2024), (23, 59, 30), CLOCK, ("the start date 31.2.2024 is none",)),
        ((2, 3, 124), (23, 59, 30), CLOCK, ("the start date 2.3.124 is none",)),
        ((2, 3, 2024), (25, 0, 0), None, ("the start time 25:0:0 is none",)),
    ],
)
def test_a_clock_without_a_date_is_kept(tmp_path, day, clock, known, doubts):
    record = opened(tmp_path, holter(day=day, clock=clock))
    assert (record.start, record.start_clock, record.doubts) == (None, known, doubts)


@pytest.mark.parametrize(
    ("stated", "cut", "doubts"),
    [
        (N, 0, ()),
        (2 * N, 0, ()),  # of all leads together
        (0, 0, ()),
        (N, 8 * FS_HZ * 4, ("the header states 20 s, the file holds 12 s",)),
        (10 * FS_HZ - 1, 0, ("the header states 10 s, the file holds 20 s",)),
        (N, 4, ("the header states 20.000 s, the file holds 19.996 s",)),
    ],
)
def test_a_length_other_than_the_stated_one_is_a_doubt_with_both(tmp_path, stated, cut, doubts):
    record = opened(tmp_path, holter(stated=stated, cut=cut))
    assert record.doubts == doubts
    assert record.n_samples == N - cut // 4
    np.testing.assert_allclose(whole(record), signal()[:, : record.n_samples], atol=0.0013)


@pytest.mark.parametrize("first", [0, 0xFFFF])
def test_a_checksum_is_compared_where_it_is_stated(tmp_path, first):
    right = crc_hqx(holter()[10:522], first)
    for checksum in (0, right, right >> 8 | (right & 0xFF) << 8):
        assert opened(tmp_path, holter(checksum=checksum)).doubts == ()
    assert opened(tmp_path, holter(checksum=right ^ 1)).doubts == (
        "the header does not have the checksum that it states",
    )


# Annotations


def annotations(beats, *, first=50, rate=FS_HZ, extra=b""):
    """The bytes of a file of annotations: labels, and the samples since the one before."""
    header = bytearray(ishne(signal(), rate=rate)[:522])
    header[:8] = b"ANN  1.0"
    struct.pack_into("<i", header, 10, len(extra))
    body = b"".join(struct.pack("<cBH", label.encode(), 0, samples) for label, samples in beats)
    return bytes(header) + extra + struct.pack("<I", first) + body


BEATS = [("N", 0), ("V", 200), ("S", 100), ("!", 300), ("B", 200), ("C", 10), ("P", 240), ("U", 250), ("X", 250)]


@pytest.mark.parametrize("suffix", [".ann", ".ANN"])
def test_annotations_beside_a_recording_are_its_reference(tmp_path, suffix):
    record = opened(tmp_path, holter(), annotations([*BEATS, ("w", 50)], extra=b"more"), suffix)
    assert record.reference.symbol.tolist() == ["N", "V", "S", "B", "/", "Q", "|", '"']
    assert record.reference.aux.tolist() == [*[""] * 7, "w"]
    sample = np.array([50, 250, 350, 850, 1100, 1350, 1600, 1650])
    np.testing.assert_allclose(record.reference.time_s, sample / FS_HZ)
    assert record.doubts == ()
    assert {path.suffix for path in record.files} == {".ecg", suffix}


def test_annotations_count_by_the_rate_that_their_file_states(tmp_path):
    record = opened(tmp_path, holter(), annotations([("N", 0), ("N", 1000)], rate=1000))
    np.testing.assert_allclose(record.reference.time_s, [0.05, 1.05])


def test_annotations_after_the_end_are_left_out_with_a_doubt(tmp_path):
    record = opened(tmp_path, holter(), annotations([("N", 0), ("N", 6000)]))
    assert record.reference.symbol.tolist() == ["N"]
    assert record.doubts == ("x.ann has 1 annotation after the end of the ECG",)


def test_a_damaged_file_of_annotations_does_not_keep_the_recording_shut(tmp_path):
    record = opened(tmp_path, holter(), annotations(BEATS)[:524])
    assert record.reference is None
    assert record.doubts == ("x.ann ends within its header, so that there are no reference annotations",)
    record = opened(tmp_path, holter(), b"something else")
    assert (record.reference, record.doubts, record.start) == (None, (), START.replace(2024, 3, 2, 23, 59, 30))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(3, 600), st.integers(0, 255)), max_size=20),
    length=st.integers(0, 600),
)
def test_random_damage_of_annotations_leaves_the_recording_readable(tmp_path, changes, length):
    content = bytearray(annotations(BEATS))
    for place, value in changes:
        content[place % len(content)] = value
    record = opened(tmp_path, holter(), bytes(content[:length]))
    assert record.reference is None or (np.diff(record.reference.time_s) >= 0).all()
