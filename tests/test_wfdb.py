"""Kinds of WFDB records that people have, each read as it is meant, or refused for the right reason."""

from datetime import datetime, time

import numpy as np
import pytest
import wfdb
from support.records import GAIN, write_record

from ecg_core.errors import MissingMetadataError, RecordError
from ecg_core.overrides import LeftOut, RecordOverrides
from ecg_core.records import find_records, read_annotations, read_record
from ecg_core.records.convert import convert
from ecg_core.records.patients import read_diary
from ecg_core.records.wfdb_header import SignalLine
from ecg_core.records.wfdb_leads import why_no_lead
from ecg_core.records.wfdb_start import parse_start

FS_HZ = 250
SECONDS = 60
N = SECONDS * FS_HZ


def beats(n=N, fs_hz=FS_HZ, amplitude_mv=1.0):
    """A narrow wave each second."""
    time_s = np.arange(n) / fs_hz
    return amplitude_mv * np.exp(-0.5 * (((time_s % 1.0) - 0.5) / 0.02) ** 2)


def counts_of(signal_mv):
    return np.rint(np.asarray(signal_mv) * GAIN).astype(np.int64)


def write(folder, name, header, content):
    (folder / f"{name}.hea").write_bytes(header if isinstance(header, bytes) else header.encode())
    (folder / f"{name}.dat").write_bytes(content)
    return folder / name


def line(name, lead="II", *, form="16", gain="200/mV"):
    return f"{name}.dat {form} {gain} 16 0 0 0 0 {lead}\n"


def whole(record):
    return record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))


# The rate of annotations

BEATS_S = np.array([0.5, 1.335, 30.0])


@pytest.fixture
def at_1000_hz(tmp_path):
    """A record at 250 Hz whose annotation file states 1000 Hz."""
    write_record(tmp_path, "x", beats(), FS_HZ, lead_names=("II",))
    wfdb.wrann("x", "atr", np.rint(BEATS_S * 1000).astype(int), symbol=["N", "V", '"'],
               aux_note=["", "", "dizzy"], fs=1000, write_dir=str(tmp_path))  # fmt: skip
    return tmp_path / "x"


def test_annotations_count_by_the_rate_that_their_file_states(at_1000_hz):
    record = read_record(at_1000_hz)
    assert record.reference.time_s.tolist() == BEATS_S.tolist()
    assert read_annotations(at_1000_hz.with_suffix(".atr"), 77.0).time_s.tolist() == BEATS_S.tolist()
    assert [(entry.time_s, entry.symptom) for entry in read_diary(record)] == [(30.0, "dizzy")]


@pytest.mark.parametrize("kind", ["wfdb", "edf", "csv", "parquet"])
@pytest.mark.parametrize("at_125_hz", [False, True])
def test_a_copy_has_annotations_at_the_same_times(at_1000_hz, tmp_path, kind, at_125_hz):
    copy = convert(read_record(at_1000_hz), kind, tmp_path / "out", at_125_hz=at_125_hz)
    table = tmp_path / "out" / "x_beats.csv"
    found = read_annotations(table, FS_HZ) if kind in ("csv", "parquet") else read_record(copy).reference
    np.testing.assert_allclose(found.time_s[:2], BEATS_S[:2], atol=0.5 / 125)


def test_annotations_without_a_rate_of_their_own_count_by_the_header_beside_them(tmp_path):
    write_record(tmp_path, "x", beats(), FS_HZ, lead_names=("II",))
    wfdb.wrann("x", "atr", np.array([125, 250]), symbol=["N", "N"], write_dir=str(tmp_path))
    assert read_annotations(tmp_path / "x.atr", 125.0).time_s.tolist() == [0.5, 1.0]
    (tmp_path / "x.hea").unlink()
    assert read_annotations(tmp_path / "x.atr", 125.0).time_s.tolist() == [1.0, 2.0]


def test_a_rate_is_also_read_from_a_file_with_symbols_of_its_own(tmp_path):
    write_record(tmp_path, "x", beats(), FS_HZ, lead_names=("II",))
    wfdb.wrann("x", "atr", np.array([500, 1335]), symbol=["N", "X"], fs=1000, write_dir=str(tmp_path),
               custom_labels=[(42, "X", "something else")])  # fmt: skip
    assert read_record(tmp_path / "x").reference.time_s.tolist() == [0.5, 1.335]


def test_annotations_far_beyond_the_end_are_a_doubt(tmp_path):
    path = write_record(tmp_path, "x", beats(), FS_HZ, lead_names=("II",))
    wfdb.wrann("x", "atr", np.array([125, N]), symbol=["N", "N"], write_dir=str(tmp_path))
    assert read_record(path).doubts == ()
    wfdb.wrann("x", "atr", np.array([125, 4 * N]), symbol=["N", "N"], write_dir=str(tmp_path))
    assert read_record(path).doubts == ("the annotations in x.atr reach to 240.0 s, the record lasts 60.0 s",)


# Frames

SATURATION = np.full(SECONDS, 97)


def in_frames(*signals):
    """The counts of signals, each (frames, samples a frame), as a file has them."""
    return np.concatenate([np.reshape(signal, (SECONDS, -1)) for signal in signals], axis=1).astype("<i2").tobytes()


def test_each_signal_has_its_own_rate_in_frames_of_several_samples(tmp_path):
    text = f"x 2 1 {SECONDS}\n{line('x', 'ECG', form='16x250')}{line('x', 'SpO2', gain='1/%')}"
    record = read_record(write(tmp_path, "x", text, in_frames(counts_of(beats()), SATURATION)))
    assert (record.fs_hz, record.duration_s, record.lead_names) == (FS_HZ, SECONDS, ("ECG",))
    assert record.left_out == (LeftOut("SpO2", "in %, which is no unit of an ECG"),)
    np.testing.assert_allclose(whole(record)[0], counts_of(beats()) / GAIN, atol=1e-6)
    np.testing.assert_array_equal(record.source.read(333, 1111, (0,)), whole(record)[:, 333:1111])


def test_leads_of_two_rates_are_read_at_the_higher_one(tmp_path):
    leads = (("I", 125), ("II", 250), ("III", 125))
    text = f"x 3 1 {SECONDS}\n" + "".join(line("x", lead, form=f"16x{per_frame}") for lead, per_frame in leads)
    slow = beats(N // 2, FS_HZ / 2)
    content = in_frames(counts_of(slow), counts_of(beats()), counts_of(-slow))
    record = read_record(write(tmp_path, "x", text, content))
    assert (record.fs_hz, record.lead_names) == (FS_HZ, ("I", "II", "III"))
    inside = slice(100, N - 100)
    for row, sign in ((0, 1), (1, 1), (2, -1)):
        np.testing.assert_allclose(whole(record)[row, inside], sign * beats()[inside], atol=0.02)
    np.testing.assert_array_equal(record.source.read(777, 2000, (2, 0)), whole(record)[[2, 0], 777:2000])


def test_a_voltage_too_slow_for_an_ecg_is_left_out(tmp_path):
    text = f"x 2 1 {SECONDS}\n{line('x', 'ECG', form='16x250')}{line('x', 'trend')}"
    record = read_record(write(tmp_path, "x", text, in_frames(counts_of(beats()), SATURATION)))
    assert record.left_out == (LeftOut("trend", "at 1 Hz, too slow for an ECG"),)


def test_annotations_of_frames_count_frames_unless_they_state_a_rate(tmp_path):
    text = f"x 1 1 {SECONDS}\n{line('x', form='16x250')}"
    path = write(tmp_path, "x", text, in_frames(counts_of(beats())))
    wfdb.wrann("x", "atr", np.array([3, 5]), symbol=["N", "N"], write_dir=str(tmp_path))
    assert read_record(path).reference.time_s.tolist() == [3.0, 5.0]
    wfdb.wrann("x", "atr", np.array([125, 375]), symbol=["N", "N"], fs=250, write_dir=str(tmp_path))
    record = read_record(path)
    assert record.reference.time_s.tolist() == [0.5, 1.5]
    copy = read_record(convert(record, "wfdb", tmp_path / "out"))
    assert copy.reference.time_s.tolist() == [0.5, 1.5]
    assert copy.fs_hz == FS_HZ


def test_segments_of_frames_are_read_as_a_monitor_stores_them(tmp_path):
    """Compressed ECG of four samples a frame, a pulse wave of two in the same segment, and leads that change."""
    frame_hz, frames = 62.5, 1000
    ecg = beats(4 * frames, FS_HZ)
    for name, lead in (("a", "II"), ("b", "V")):
        wfdb.wrsamp(f"{name}e", FS_HZ, ["mV"], [lead], d_signal=counts_of(ecg)[:, None], fmt=["516"],
                    adc_gain=[GAIN], baseline=[0], write_dir=str(tmp_path))  # fmt: skip
        (tmp_path / f"{name}p.dat").write_bytes(np.arange(2 * frames).astype("<i2").tobytes())
        (tmp_path / f"{name}.hea").write_text(
            f"{name} 2 {frame_hz} {frames}\n{line(name + 'e', lead, form='516x4')}"
            f"{line(name + 'p', 'Pleth', form='16x2', gain='9/NU')}"
        )
    (tmp_path / "lay.hea").write_text(
        f"lay 4 {frame_hz} 0\n~ 0x4 200/mV 16 0 0 0 0 II\n~ 0x4 200/mV 16 0 0 0 0 V\n~ 0x4 200/mV 16 0 0 0 0 aVR\n"
        "~ 0x2 9/NU 16 0 0 0 0 Pleth\n"
    )
    (tmp_path / "x.hea").write_text(f"x/4 4 {frame_hz} {3 * frames}\nlay 0\na {frames}\n~ {frames}\nb {frames}\n")
    record = read_record(tmp_path / "x")
    assert (record.fs_hz, record.n_samples, record.lead_names) == (FS_HZ, 12 * frames, ("II", "V"))
    assert record.left_out == (
        LeftOut("Pleth", "in NU, which is no unit of an ECG"),
        LeftOut("aVR", "no segment holds it"),
    )
    signal = whole(record)
    np.testing.assert_allclose(signal[0, : 4 * frames], counts_of(ecg) / GAIN, atol=1e-6)
    np.testing.assert_allclose(signal[1, 8 * frames :], counts_of(ecg) / GAIN, atol=1e-6)
    assert np.isnan(signal[0, 4 * frames :]).all()
    assert np.isnan(signal[1, : 8 * frames]).all()


def test_rate_limits_are_those_of_the_leads_and_not_of_the_frames(tmp_path):
    content = in_frames(counts_of(beats()))
    text = f"x 1 1 {SECONDS}\n{line('x', form='16x250')}"
    assert read_record(write(tmp_path, "x", text, content)).fs_hz == FS_HZ
    with pytest.raises(RecordError, match="expected 50 to 10000 Hz, got 1 Hz"):
        read_record(write(tmp_path, "x", f"x 1 1 {SECONDS}\n{line('x')}", content))


@pytest.mark.parametrize("per_frame", [1, 3])
def test_skew_moves_a_signal_by_frames(tmp_path, per_frame):
    """A signal of skew 2 begins two frames later in the file than the others."""
    n = N // per_frame
    first, second = counts_of(beats(n * per_frame)).reshape(n, -1), counts_of(-beats(n * per_frame)).reshape(n, -1)
    late = np.concatenate([np.full((2, per_frame), 99), second[:-2]])
    content = np.concatenate([first, late], axis=1).astype("<i2").tobytes()
    frames = f"x{per_frame}" if per_frame > 1 else ""
    lines = line("x", "I", form=f"16{frames}+24") + line("x", "II", form=f"16{frames}:2+24")
    text = f"x 2 {FS_HZ / per_frame:.10g} {n}\n{lines}"
    record = read_record(write(tmp_path, "x", text, bytes(24) + content))
    signal, lost = whole(record), 2 * per_frame
    np.testing.assert_allclose(signal[0], first.ravel() / GAIN, atol=1e-6)
    np.testing.assert_allclose(signal[1, :-lost], second.ravel()[:-lost] / GAIN, atol=1e-6)
    assert np.isnan(signal[1, -lost:]).all()
    np.testing.assert_array_equal(record.source.read(100, record.n_samples - 1, (1,))[0], signal[1, 100:-1])


def test_segments_give_the_length_that_their_record_does_not_state(tmp_path):
    write_record(tmp_path, "a", beats(), FS_HZ, lead_names=("II",))
    (tmp_path / "x.hea").write_text(f"x/3 1 {FS_HZ}\na {N}\n~ 100\na {N}\n")
    record = read_record(tmp_path / "x")
    assert record.n_samples == 2 * N + 100
    np.testing.assert_array_equal(whole(record)[0, N + 100 :], whole(record)[0, :N])


def test_a_lead_that_is_none_in_one_segment_is_missing_there_and_named(tmp_path):
    for name in ("a", "b"):
        write_record(tmp_path, name, beats(), FS_HZ, lead_names=("II",))
    (tmp_path / "b.hea").write_text((tmp_path / "b.hea").read_text().replace("/mV", "/mmHg"))
    (tmp_path / "x.hea").write_text(f"x/2 1 {FS_HZ} {2 * N}\na {N}\nb {N}\n")
    record = read_record(tmp_path / "x")
    assert record.left_out == (LeftOut("II", "in mmHg, which is no unit of an ECG, in b.hea"),)
    assert np.isnan(whole(record)[0, N:]).all()


def test_a_layout_and_a_record_of_gaps_are_refused_as_what_they_are(tmp_path):
    (tmp_path / "lay.hea").write_text(f"lay 1 {FS_HZ} 0\n~ 0 200/mV 16 0 0 0 0 II\n")
    (tmp_path / "x.hea").write_text(f"x/2 1 {FS_HZ} {N}\nlay 0\n~ {N}\n")
    with pytest.raises(RecordError, match=r"lay\.hea: is the layout of a record in segments"):
        read_record(tmp_path / "lay")
    with pytest.raises(RecordError, match=r"x\.hea: none of its segments holds a sample"):
        read_record(tmp_path / "x")


# What is no ECG


@pytest.mark.parametrize("unit", ["mmHg", "%", "bpm", "NU", "degC", "\u00b0C", "l/min", "adu", "mmHG"])
def test_a_signal_in_a_unit_that_is_no_voltage_is_left_out_and_never_exported(tmp_path, unit):
    text = f"x 2 250 {N}\n{line('x', 'II')}{line('x', 'signal', gain=f'10(-500)/{unit}')}"
    content = np.stack([counts_of(beats()), np.arange(N) % 900], axis=1).astype("<i2").tobytes()
    record = read_record(write(tmp_path, "x", text, content))
    assert record.lead_names == ("II",)
    assert record.left_out == (LeftOut("signal", f"in {unit}, which is no unit of an ECG"),)
    assert read_record(convert(record, "wfdb", tmp_path / "out")).lead_names == ("II",)
    np.testing.assert_allclose(whole(record)[0], counts_of(beats()) / GAIN, atol=1e-6)


@pytest.mark.parametrize("unit", ["mV", ""])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        *((name, "respiration") for name in ("RESP", "Resp A", "resp (nasal)", "RESP. IMP.", "Airflow")),
        *((name, "a pressure") for name in ("ABP", "ART", "CVP", "PAP", "BP", "ABP1", "ICP")),
        *((name, "a pulse wave") for name in ("PLETH", "PPG")),
        *((name, "oxygen saturation") for name in ("SpO2", "SO2", "SaO2")),
        ("CO2", "carbon dioxide"), ("EEG (C4-A1)", "an EEG"), ("EOG (right)", "an EOG"), ("EMG", "an EMG"),
        ("HR", "a rate"), ("foot GSR", "skin conductance"), ("SCG", "movement"), ("marker", "a marker"),
        *((name, None) for name in ("II", "MLII", "ECG", "ECG lead I", "ECG resp", "aVR", "V1", "CM5", "mod.V1")),
        *((name, None) for name in ("", "ch1", "Channel 2", "D3", "ML2", "CC5", "Abdomen_1", "signal", "P", "lead 1")),
    ],
)  # fmt: skip
def test_a_signal_is_left_out_by_its_name_where_its_unit_does_not_tell(name, what, unit):
    signal = SignalLine("x.dat", "16", 1, 0, 0, 200.0, True, 0, unit, 0, name)
    assert why_no_lead(signal) == (f"its name is that of {what}" if what else None)


def test_a_lead_in_counts_is_read_as_one_without_a_gain(tmp_path):
    text = f"x 1 250 {N}\n{line('x', 'ECG', gain='1/adu')}"
    path = write(tmp_path, "x", text, counts_of(beats()).astype("<i2").tobytes())
    assert read_record(path).calibrated == (False,)
    np.testing.assert_allclose(whole(read_record(path))[0], counts_of(beats()) / 200, atol=1e-6)
    given = read_record(path, RecordOverrides(per_mv=100.0))
    np.testing.assert_allclose(whole(given)[0], counts_of(beats()) / 100, atol=1e-6)


def test_a_record_without_any_ecg_is_refused_with_all_its_signals(tmp_path):
    text = f"x 2 250 {N}\n{line('x', 'ABP', gain='10/mmHg')}{line('x', 'RESP')}"
    with pytest.raises(RecordError, match=r"ABP: in mmHg, which is no .*; RESP: its name is that of respiration"):
        read_record(write(tmp_path, "x", text, bytes(4 * N)))


# The start


@pytest.mark.parametrize(
    ("text", "start"),
    [
        *((f"8:04:00 {day}", datetime(2006, 2, 1, 8, 4))
          for day in ("01/02/2006", "1/2/06", "1.2.2006", "2006-02-01", "2006/2/1", "01-02-2006")),
        ("[8:04:00 01/02/2006]", datetime(2006, 2, 1, 8, 4)),
        ("[08:04:00.000 01/02/2006]", datetime(2006, 2, 1, 8, 4)),
        ("01/02/2006 8:04:00", datetime(2006, 2, 1, 8, 4)),
        ("2006-02-01T08:04:00", datetime(2006, 2, 1, 8, 4)),
        ("8:04:00 PM 1/2/2006", datetime(2006, 2, 1, 20, 4)),
        ("12:00:00 AM 1/2/1999", datetime(1999, 2, 1)),
        ("0:00 1/2/70", datetime(1970, 2, 1)),
        ("0:00:00.5 1/2/69", datetime(2069, 2, 1, 0, 0, 0, 500_000)),
        ("31:51.982", time(0, 31, 51, 982_000)),
        ("8:04:00", time(8, 4)),
        ("[8:04:00]", time(8, 4)),
        ("0:00", time(0)),
    ],
)  # fmt: skip
def test_a_start_is_understood_in_the_ways_people_write_it(text, start):
    found = parse_start(text)
    assert (found.start or found.clock, found.doubts) == (start, ())


@pytest.mark.parametrize(
    ("text", "start", "doubt"),
    [
        ("2006", None, "the start is stated as '2006', which is no time"),
        ("12:30", None, "the start is stated as '12:30', which is no time"),
        ("25:00:00", None, "the start is stated as '25:00:00', which is no time"),
        ("13:00:00 PM", None, "the start is stated as '13:00:00 PM', which is no time"),
        ("01/02/2006", None, "the start is stated as '01/02/2006', of which only the date can be understood"),
        ("8:04 01/02/2006", None, "the start is stated as '8:04 01/02/2006', of which only the date can be understood"),
        ("8:04:00 31/02/2006", time(8, 4),
         "the start is stated as '8:04:00 31/02/2006', of which only the time of day can be understood"),
        ("8:04:00 12/31/2006", time(8, 4),
         "the start is stated as '8:04:00 12/31/2006', of which only the time of day can be understood"),
        ("8:04:00 1/2/2006 CET", datetime(2006, 2, 1, 8, 4),
         "the start is stated as '8:04:00 1/2/2006 CET', of which only the date and time of day can be understood"),
    ],
)  # fmt: skip
def test_what_is_not_understood_of_a_start_is_a_doubt(tmp_path, text, start, doubt):
    path = write(tmp_path, "x", f"x 1 250 {N} {text}\n{line('x')}", counts_of(beats()).astype("<i2").tobytes())
    record = read_record(path)
    assert (record.start or record.start_clock, record.doubts) == (start, (doubt,))


def test_a_time_of_day_without_a_date_goes_into_a_copy_but_not_into_an_anonymous_one(tmp_path):
    path = write(tmp_path, "x", f"x 1 250 {N} 8:04:00\n{line('x')}", counts_of(beats()).astype("<i2").tobytes())
    record = read_record(path)
    assert (record.start, record.start_clock) == (None, time(8, 4))
    assert read_record(convert(record, "wfdb", tmp_path / "out")).start_clock == time(8, 4)
    assert read_record(convert(record, "wfdb", tmp_path / "none", anonymise=True)).start_clock is None


# Names of files


@pytest.mark.parametrize("annotator", ["ecg", "csv", "ECG", "edf", "tsv"])
def test_annotations_are_no_record_whatever_their_suffix(tmp_path, annotator):
    write_record(tmp_path, "slp", beats(), FS_HZ, lead_names=("ECG",))
    wfdb.wrann("slp", "atr", np.arange(125, N, 250), symbol=["N"] * SECONDS, write_dir=str(tmp_path))
    path = (tmp_path / "slp.atr").rename(tmp_path / f"slp.{annotator}")
    assert find_records(tmp_path) == [tmp_path / "slp"]
    with pytest.raises(RecordError, match=r"is an annotation file of the WFDB record slp, .*\. Open slp, or"):
        read_record(path)


@pytest.mark.parametrize("named", ["rec1.dat", "REC1.DAT", "Rec1.dat"])
def test_names_may_differ_in_case_as_on_disks_that_do_not_distinguish_it(tmp_path, named):
    write_record(tmp_path, "REC1", beats(), FS_HZ, lead_names=("II",))
    text = (tmp_path / "REC1.hea").read_text().replace("REC1.dat", named)
    (tmp_path / "REC1.hea").unlink()
    (tmp_path / "REC1.dat").rename(tmp_path / "REC1.DAT")
    (tmp_path / "REC1.HEA").write_text(text)
    wfdb.wrann("REC1", "atr", np.array([125]), symbol=["N"], write_dir=str(tmp_path))
    (tmp_path / "REC1.atr").rename(tmp_path / "REC1.ATR")
    assert find_records(tmp_path) == [tmp_path / "REC1"]
    for name in ("REC1", "REC1.HEA", "REC1.DAT", "REC1.ATR"):
        record = read_record(tmp_path / name)
        assert {path.name for path in record.files} == {"REC1.HEA", "REC1.DAT", "REC1.ATR"}
        assert record.reference.time_s.tolist() == [0.5]
    copy = read_record(convert(record, "wfdb", tmp_path / "out"))
    assert copy.reference.time_s.tolist() == [0.5]


# The length


def packed_212(values):
    first, second = (np.asarray(values).ravel() & 0xFFF).reshape(-1, 2).T
    return np.stack([first & 0xFF, (first >> 8) | ((second >> 8) << 4), second & 0xFF], axis=1).astype("u1").tobytes()


def packed_10(values, form):
    a, b, c = (np.asarray(values).ravel() & 0x3FF).reshape(-1, 3).T
    if form == "311":
        return (a | (b << 10) | (c << 20)).astype("<u4").tobytes()
    return np.stack([(a << 1) | ((c & 0x1F) << 11), (b << 1) | ((c >> 5) << 11)], axis=1).astype("<u2").tobytes()


PACKED = {
    "8": lambda x: np.diff(x, prepend=0).astype(np.int8).tobytes(),
    "16": lambda x: x.astype("<i2").tobytes(),
    "24": lambda x: x.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
    "32": lambda x: x.astype("<i4").tobytes(),
    "61": lambda x: x.astype(">i2").tobytes(),
    "80": lambda x: (x + 128).astype(np.uint8).tobytes(),
    "160": lambda x: (x + 32_768).astype("<u2").tobytes(),
    "212": packed_212,
    "310": lambda x: packed_10(x, "310"),
    "311": lambda x: packed_10(x, "311"),
}


@pytest.mark.parametrize("length", ["", " 0"])
@pytest.mark.parametrize("form", PACKED)
def test_a_length_that_is_not_stated_is_that_of_the_file(tmp_path, form, length):
    stored = counts_of(beats(amplitude_mv=0.5))
    record = read_record(write(tmp_path, "x", f"x 1 250{length}\n{line('x', form=form)}", PACKED[form](stored)))
    assert record.duration_s == SECONDS
    assert record.doubts == (
        ("the header states a length of 0 samples; that of the signal file is taken",) * bool(length)
    )
    np.testing.assert_allclose(whole(record)[0], stored / GAIN, atol=1e-6)
    np.testing.assert_array_equal(record.source.read(3001, 4000, (0,)), whole(record)[:, 3001:4000])


@pytest.mark.parametrize("form", ["508", "516", "524"])
def test_a_compressed_record_without_a_length_has_that_of_its_file(tmp_path, form):
    stored = counts_of(beats(amplitude_mv=0.5))
    wfdb.wrsamp("x", FS_HZ, ["mV"], ["II"], d_signal=stored[:, None], fmt=[form], adc_gain=[GAIN], baseline=[0],
                write_dir=str(tmp_path))  # fmt: skip
    header = tmp_path / "x.hea"
    header.write_text(header.read_text().replace(f"x 1 {FS_HZ} {N}", f"x 1 {FS_HZ}"))
    record = read_record(header)
    assert (record.duration_s, record.doubts) == (SECONDS, ())
    np.testing.assert_allclose(whole(record)[0], stored / GAIN, atol=1e-6)


@pytest.mark.parametrize("lacking", [1, 2, 10_000])
def test_a_truncated_record_opens_with_what_it_holds_and_a_doubt(tmp_path, lacking):
    content = counts_of(beats()).astype("<i2").tobytes()
    record = read_record(write(tmp_path, "x", f"x 1 250 {N}\n{line('x')}", content[:-lacking]))
    held = N - -(-lacking // 2)
    assert record.n_samples == held
    assert record.doubts == (
        f"x.hea states 15,000 samples (60.0 s), x.dat holds {held:,} ({held / 250:.1f} s); the rest is missing",
    )
    np.testing.assert_allclose(whole(record)[0], counts_of(beats())[:held] / GAIN, atol=1e-6)


def test_a_lead_whose_own_file_is_shorter_is_missing_from_there_on(tmp_path):
    content = counts_of(beats()).astype("<i2").tobytes()
    (tmp_path / "y.dat").write_bytes(content[:10_000])
    record = read_record(write(tmp_path, "x", f"x 2 250 {N}\n{line('x')}{line('y', 'V1')}", content))
    signal = whole(record)
    assert record.n_samples == N
    assert np.isfinite(signal[1, :5000]).all()
    assert np.isnan(signal[1, 5000:]).all()
    assert record.doubts == ("x.hea states 15,000 samples (60.0 s), y.dat holds 5,000 (20.0 s); the rest is missing",)


def test_a_truncated_segment_is_missing_from_there_on(tmp_path):
    for name in ("a", "b"):
        write_record(tmp_path, name, beats(), FS_HZ, lead_names=("II",))
    (tmp_path / "x.hea").write_text(f"x/2 1 {FS_HZ} {2 * N}\na {N}\nb {N}\n")
    (tmp_path / "a.dat").write_bytes((tmp_path / "a.dat").read_bytes()[: -2 * FS_HZ])
    record = read_record(tmp_path / "x")
    assert np.flatnonzero(np.isnan(whole(record)[0])).tolist() == list(range(N - FS_HZ, N))
    assert record.doubts == ("a.hea states 15,000 samples (60.0 s), a.dat holds 14,750 (59.0 s); the rest is missing",)


def test_more_than_the_header_states_is_a_doubt(tmp_path):
    content = counts_of(beats()).astype("<i2").tobytes()
    record = read_record(write(tmp_path, "x", f"x 1 250 {N - 1000}\n{line('x')}", content))
    assert record.doubts == (
        "x.hea states 14,000 samples (56.0 s), x.dat holds 15,000 (60.0 s); what is beyond the stated length is not "
        "read",
    )


# The text of a header


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", " \t\r\n"])
@pytest.mark.parametrize("gap", [" ", "\t", "  \t "])
def test_lines_and_fields_of_a_header_may_be_separated_in_any_way(tmp_path, end, gap):
    names = ("II", "Brüst")
    fields = [["x", "2", "250", str(N), "8:04:00", "1/2/2006"], *(line("x", name).split() for name in names)]
    text = end.join([*(gap.join(row) for row in fields), "# Größe: 1,80 m", "#Age: 69", ""])
    content = np.stack([counts_of(beats())] * 2, axis=1).astype("<i2").tobytes()
    for start in (b"", b"\xef\xbb\xbf"):
        record = read_record(write(tmp_path, "x", start + text.encode(), content))
        assert (record.lead_names, record.start) == (("II", "Brüst"), datetime(2006, 2, 1, 8, 4))
        assert (record.comments, record.age_years) == (("Größe: 1,80 m", "Age: 69"), 69)


def test_a_name_may_follow_sooner_than_it_should(tmp_path):
    text = f"x 2 250 {N}\nx.dat 16 200/mV 16 0 II\nx.dat 16 V1 (chest)\n"
    record = read_record(write(tmp_path, "x", text, np.zeros((N, 2), "<i2").tobytes()))
    assert record.lead_names == ("II", "V1 (chest)")
    assert record.calibrated == (True, False)


def test_a_rate_that_is_missing_is_requested_and_never_guessed(tmp_path):
    path = write(tmp_path, "x", f"x 1\n{line('x')}", counts_of(beats()).astype("<i2").tobytes())
    with pytest.raises(MissingMetadataError, match=r"x\.hea: .* the sampling rate in Hz is not stated") as error:
        read_record(path)
    assert (error.value.rate, error.value.unit) == (True, False)
    record = read_record(path, RecordOverrides(fs_hz=250.0))
    assert (record.fs_hz, record.duration_s, record.overrides) == (250, SECONDS, RecordOverrides(fs_hz=250.0))


def test_a_signal_file_that_was_renamed_without_its_header_is_named(tmp_path):
    path = write(tmp_path, "x", f"x 1 250 {N}\n{line('y')}", bytes(2 * N))
    with pytest.raises(RecordError, match=r"names y\.dat, .* not beside it\. .* renamed to x\.dat\? Then correct"):
        read_record(path)


def test_a_header_of_annotations_alone_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "x.hea").write_text(f"x 0 250 {N}\n")
    with pytest.raises(RecordError, match=r"no signals; .* annotations of another recording, open that one"):
        read_record(tmp_path / "x")


def test_a_gain_that_is_no_number_is_refused_with_the_field(tmp_path):
    text = f"x 1 250 {N}\n{line('x', gain='200,5/mV')}"
    with pytest.raises(RecordError, match=r'x\.hea: expected a gain such as 200/mV .*, got "200,5/mV"'):
        read_record(write(tmp_path, "x", text, bytes(2 * N)))
