"""EDF files as recorders really write them: sound ones, and those that bend the standard."""

import re
from datetime import datetime, time

import numpy as np
import pytest
from support.made_files import whole

from ecg_core.errors import MissingMetadataError, RecordError
from ecg_core.overrides import RecordOverrides
from ecg_core.records import read_record
from ecg_core.records.patients import read_diary

FS_HZ = 250
START = datetime(2024, 3, 2, 23, 59, 30)
COUNTS = np.rint(6000 * np.sin(np.arange(60 * 1000) / 40)).astype("<i2")  # 0.92 mV over a range of -5 to 5 mV
FIXED_WIDTHS = {"date": 8, "clock": 8, "bytes": 8, "kind": 44, "n_records": 8, "record_s": 8, "n_signals": 4}
WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)


def ecg(label="ECG II", unit="mV", n=FS_HZ, physical=("-5", "5"), digital=("-32768", "32767")):
    """The fields of a signal."""
    return [label, "", unit, *physical, *digital, "", str(n), ""]


def edf(
    signals=None, *, n_records=60, marks=None, texts=(), recording="Startdate 02-MAR-2024 X X X", extra=0, **fields
):
    """The bytes of a file whose data records last a second; with time marks as EDF+ where they are given.

    ``texts`` has what is annotated at an onset in seconds, in the first data record.
    """
    signals = [ecg()] if signals is None else list(signals)
    if marks is not None:
        signals.append(ecg("EDF Annotations", "", 30 + 10 * len(texts), ("-1", "1")))
    noted = "".join(f"+{onset_s:g}\x14{text}\x14\0" for onset_s, text in texts)
    stated = {
        "date": "02.03.24", "clock": "23.59.30", "bytes": str(256 * (len(signals) + 1)),
        "kind": "" if marks is None else "EDF+C", "n_records": str(n_records), "record_s": "1",
        "n_signals": str(len(signals)), **fields,
    }  # fmt: skip
    head = b"0       " + b"X X X X".ljust(80) + recording.encode().ljust(80)
    head += b"".join(as_bytes(stated[name]).ljust(width) for name, width in FIXED_WIDTHS.items())
    for column, width in zip(zip(*signals, strict=True), WIDTHS, strict=True):
        head += b"".join(as_bytes(text).ljust(width) for text in column)
    for number in range(n_records):
        for label, *_, n, _ in signals:
            part = COUNTS[number * int(n or 0) : (number + 1) * int(n or 0)].tobytes()
            mark = f"{marks[number]}\x14\x14\0{'' if number else noted}".encode() if marks else b""
            head += mark.ljust(2 * int(n or 0), b"\0") if label == "EDF Annotations" else part
    return head + bytes(extra) if extra >= 0 else head[:extra]


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def opened(folder, content, **overrides):
    (folder / "x.edf").write_bytes(content)
    return read_record(folder / "x.edf", RecordOverrides(**overrides))


def expected_mv(n, scale=1.0):
    return (COUNTS[:n] * (10 / 65_535) + 5 / 65_535) * scale


# What the header may hold


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("mv", 1), (b"mV\0\0\0", 1), ("V", 1000), ("microV", 1e-3), (b"uV \0\0", 1e-3), (b"\xb5V", 1e-3),
        ("\u00b5V", 1e-3), ("\u03bcV", 1e-3),
    ],
)  # fmt: skip
def test_a_unit_is_read_in_each_of_its_spellings(tmp_path, unit, scale):
    record = opened(tmp_path, edf([ecg(unit=unit)]))
    np.testing.assert_allclose(whole(record)[0], expected_mv(60 * FS_HZ, scale), rtol=1e-4, atol=1e-4 * scale)
    assert record.doubts == record.left_out == ()


@pytest.mark.parametrize(
    "content",
    [
        edf([ecg(physical=("-5,0", "5,0"))]),
        edf(n_signals=b"1\0\0\0"),
        edf([ecg(physical=(b"-5\0", b"5\0garb"), digital=(b"-32768\0", b"32767.0"))], record_s=b"1\0\0"),
        b"0" + bytes(7) + edf()[8:],
    ],
    ids=["comma", "nul in the number of signals", "nul in other numbers", "nul in the version"],
)
def test_numbers_may_have_a_comma_or_end_in_nul(tmp_path, content):
    record = opened(tmp_path, content)
    np.testing.assert_allclose(whole(record)[0], expected_mv(60 * FS_HZ), atol=1e-5)


def test_only_the_channels_in_use_have_to_be_sound_and_the_others_are_named(tmp_path):
    others = [
        ecg("-", "uV", physical=("0", "0")),
        ecg("ECG V1", digital=("7", "7")),
        ecg("ECG V2", n=0),
        ecg("ECG V3", n=10),
        ecg("Resp", "", n=25),
        ecg("SpO2", "%", n=1, physical=("", "")),
        ecg("EEG Fpz", "uV"),
        ["unused", *[""] * 9],
    ]
    record = opened(tmp_path, edf([others[0], ecg(), *others[1:]]))
    assert record.lead_names == ("II",)
    assert {channel.name: channel.reason for channel in record.left_out} == {
        "-": "its range, 0 to 0 at the counts -32768 to 32767, gives no scale",
        "ECG V1": "its range, -5 to 5 at the counts 7 to 7, gives no scale",
        "ECG V2": "holds no samples",
        "ECG V3": "at 10 Hz, an ECG has 50 to 10000 Hz",
        "Resp": "states no unit",
        "SpO2": "in %, no unit of an ECG",
        "EEG Fpz": "its label names no ECG lead",
        "unused": "holds no samples",
    }


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (ecg(physical=("5", "5")), "ECG II cannot be scaled: its range, 5 to 5 at the counts"),
        (ecg("Flow", "l/min"), r"expected mV, uV or V, got l/min"),
        (ecg(n=0), "0 samples in a data record"),
        (ecg(n=40), "got 40 Hz"),
    ],
)
def test_a_file_without_a_sound_lead_is_refused_with_the_reason(tmp_path, signal, message):
    with pytest.raises(RecordError, match=message):
        opened(tmp_path, edf([signal]))


def test_leads_are_known_by_their_usual_labels(tmp_path):
    labels = ["EKG II", "Lead V1", "ECG Lead aVF", "aVR", "ECG", "CH1 ECG", "ecg_V5", "MLII"]
    record = opened(tmp_path, edf([*map(ecg, labels), ecg("Pleth"), ecg("VECGX")]))
    assert record.lead_names == ("II", "V1", "aVF", "aVR", "ECG", "CH1 ECG", "V5", "MLII")
    assert [channel.name for channel in record.left_out] == ["Pleth", "VECGX"]


def test_a_file_of_annotations_alone_is_named_as_that(tmp_path):
    for record_s in ("0", "1"):
        with pytest.raises(RecordError, match="holds annotations and no signal"):
            opened(tmp_path, edf([], marks=["+0"], n_records=1, record_s=record_s))


# Units that the file does not state


@pytest.mark.parametrize("signal", [ecg(unit=""), ecg(unit="ADU"), ecg("channel", "")])
def test_a_unit_that_is_not_stated_is_asked_for_and_then_used(tmp_path, signal):
    with pytest.raises(MissingMetadataError, match="never guessed") as error:
        opened(tmp_path, edf([signal]))
    assert error.value.settings == ("unit",)
    record = opened(tmp_path, edf([signal]), per_mv=1000.0)
    np.testing.assert_allclose(whole(record)[0], expected_mv(60 * FS_HZ, 1e-3), atol=1e-7)
    assert record.calibrated == (True,)


def test_of_leads_with_and_without_a_unit_the_latter_are_left_out_until_it_is_given(tmp_path):
    content = edf([ecg(), ecg("ECG V1", "")])
    record = opened(tmp_path, content)
    assert record.lead_names == ("II",)
    assert [(channel.name, channel.reason) for channel in record.left_out] == [
        ("ECG V1", "states no unit; it is read where one is given")
    ]
    record = opened(tmp_path, content, per_mv=1000.0)
    assert (record.lead_names, record.left_out) == (("II", "V1"), ())
    found = whole(record)
    np.testing.assert_allclose(found[1] * 1000, found[0], rtol=1e-4, atol=1e-6)
    with pytest.raises(RecordError, match="states the unit of every lead"):
        opened(tmp_path, edf(), per_mv=1000.0)


# Rates, lengths and times


def test_leads_of_several_rates_are_read_together_in_the_order_of_the_file(tmp_path):
    record = opened(tmp_path, edf([ecg("ECG I", n=125), ecg("ECG II"), ecg("ECG V1", n=125), ecg("HR", "bpm", n=1)]))
    assert (record.fs_hz, record.n_samples, record.lead_names) == (FS_HZ, 60 * FS_HZ, ("I", "II", "V1"))
    found = whole(record)
    np.testing.assert_allclose(found[1], expected_mv(60 * FS_HZ), atol=1e-5)
    np.testing.assert_allclose(found[0, ::2], expected_mv(60 * 125), atol=1e-3)
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("content", "length_s", "doubt"),
    [
        (edf(extra=100), 60, "100 bytes follow the 60 s that the header states"),
        (edf(extra=-100), 59, "the header states 60 s, the file holds 59 s"),
        (edf(extra=5 * 500 + 1), 65, "the header states 60 s, the file holds 65 s"),
        (edf(extra=-20 * 500), 40, "the header states 60 s, the file holds 40 s"),
        (edf().replace(b"60      1   ", b"-1      1   "), 60, "the header does not state how long .* holds 60 s"),
        (edf().replace(b"60      1   ", b"0       1   "), 60, "the header does not state how long .* holds 60 s"),
        (edf().replace(b"60      1   ", b"        1   "), 60, "the header does not state how long .* holds 60 s"),
    ],
    ids=["bytes more", "bytes less", "records more", "records less", "-1", "0", "blank"],
)
def test_a_file_that_is_longer_or_shorter_than_stated_opens_with_a_doubt(tmp_path, content, length_s, doubt):
    record = opened(tmp_path, content)
    assert record.duration_s == length_s
    (found,) = record.doubts
    assert re.fullmatch(doubt, found)
    n = min(length_s, 40) * FS_HZ
    np.testing.assert_allclose(record.source.read(0, n, (0,))[0], expected_mv(n), atol=1e-5)


def test_the_rest_of_a_file_that_is_too_short_is_refused_with_both_lengths(tmp_path):
    with pytest.raises(RecordError, match=r"expected 60 data records of 500 bytes, as its header states, got 4\.0"):
        opened(tmp_path, edf(extra=-56 * 500))


@pytest.mark.parametrize(
    ("recording", "date", "clock"),
    [
        ("", "02.03.24", "23:59:30"),
        ("", "02/03/24", "23-59-30"),
        ("", "02-03-24", "23 59 30"),
        ("", "2.3.24", "23.59.30"),
        ("Startdate 02-MRZ-2024 X X X", "02.03.24", "23.59.30"),
        ("Startdate 02-mar-2024 X X X", "xx.xx.xx", "23.59.30"),
        ("Startdate 2024-03-02", "02.03.24", "23.59.30"),
        ("Startdate 02-MAR-0024", "02.03.24", "23.59.30"),
    ],
)
def test_dates_and_times_are_read_in_the_forms_that_recorders_write(tmp_path, recording, date, clock):
    record = opened(tmp_path, edf(recording=recording, date=date, clock=clock))
    assert (record.start, record.start_clock, record.doubts) == (START, None, ())


@pytest.mark.parametrize("month", ["MRZ", "MAI", "OKT", "DEZ", "AVR"])
def test_the_short_date_stands_for_a_month_in_another_language(tmp_path, month):
    record = opened(tmp_path, edf(recording=f"Startdate 02-{month}-2024 X X X", date="02.05.24"))
    assert record.start == START.replace(month=5)


@pytest.mark.parametrize(
    ("recording", "date", "clock", "known", "doubts"),
    [
        ("", "31.02.24", "23.59.30", time(23, 59, 30), ["the start date 31.02.24 cannot be read, expected dd.mm.yy"]),
        ("", "02.03.24", "25.00.00", None, ["the start time 25.00.00 cannot be read, expected hh.mm.ss"]),
        ("", "", "23.59.30", time(23, 59, 30), []),
        ("", "01.01.85", "23.59.30", time(23, 59, 30), []),
        ("Startdate X X X X", "01.01.85", "00.00.00", None, []),
        ("Startdate X X X X", "02.03.24", "23.59.30", time(23, 59, 30), []),
    ],
)
def test_a_clock_without_a_date_is_kept_and_what_is_unreadable_is_doubted(
    tmp_path, recording, date, clock, known, doubts
):
    record = opened(tmp_path, edf(recording=recording, date=date, clock=clock))
    assert (record.start, record.start_clock, list(record.doubts)) == (None, known, doubts)


# Time marks of a recording that is marked as continuous


def marks(leap_s=0, at=30, *, n=60, drift_s=0.0):
    return [f"+{second + (leap_s if second >= at else 0) + drift_s * second:g}" for second in range(n)]


def test_time_marks_that_leap_are_a_gap(tmp_path):
    record = opened(tmp_path, edf(marks=marks(10)))
    assert record.duration_s == 70
    assert record.doubts == ("marked as continuous, its time marks leap by 10 s; the gaps are missing samples",)
    found = whole(record)[0]
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(30 * FS_HZ, 40 * FS_HZ))
    np.testing.assert_allclose(found[40 * FS_HZ :], expected_mv(60 * FS_HZ)[30 * FS_HZ :], atol=1e-5)


@pytest.mark.parametrize(
    ("stated", "doubt"),
    [
        (marks(), None),
        (marks(drift_s=0.01), None),
        (["+0", *[""] * 59], None),
        (marks(-20), "go back at data record 31"),
        ([*marks()[:20], "+99", *marks()[21:]], "go back at data record 22"),
        ([f"+{3 * second}" for second in range(60)], "do not fit the length of its data records"),
        ([*marks()[:59], "+99999"], "its last data record is marked 99,940 s later"),
    ],
    ids=["even", "drift", "one", "back", "one odd", "slow", "odd end"],
)
def test_time_marks_that_do_not_agree_on_a_gap_move_nothing(tmp_path, stated, doubt):
    record = opened(tmp_path, edf(marks=stated))
    assert record.duration_s == 60
    assert len(record.doubts) == (doubt is not None)
    assert doubt is None or doubt in record.doubts[0]


def test_a_leap_of_more_than_a_second_is_a_gap_between_data_records_of_a_minute(tmp_path):
    stated = [f"+{second}" for second in (0, 60, 120, 180, 295, 410, 525, 585, 645)]  # 55 s are missing in three places
    content = edf([ecg(n=60 * 100)], n_records=9, marks=stated, record_s="60", texts=[(300, "dizzy")])
    record = opened(tmp_path, content)
    assert record.duration_s == 705
    assert record.doubts == (
        "marked as continuous, its time marks leap by 165 s in 3 places, 55 s at most; the gaps are missing samples",
    )
    missing = np.isnan(whole(record)[0]).reshape(-1, 100).all(axis=1)
    assert np.flatnonzero(missing).tolist() == [*range(240, 295), *range(355, 410), *range(470, 525)]
    assert [(event.time_s, event.symptom) for event in read_diary(record)] == [(300, "dizzy")]


@pytest.mark.parametrize(
    ("kind", "step_s", "doubt"),
    [
        ("EDF+C", 1.5, "move away from the length of its data records, by up to 29.5 s later, and are not followed"),
        ("EDF+C", 0.9, "move away from the length of its data records, by up to 5.9 s earlier, and are not followed"),
        ("EDF+D", 0.9, "its data records overlap by 5.9 s in all by their time marks; each is read whole"),
    ],
)
def test_marks_that_move_away_from_the_samples_are_a_doubt_and_texts_stay_at_their_samples(
    tmp_path, kind, step_s, doubt
):
    stated = [f"+{step_s * number:g}" for number in range(60)]
    texts = [*[(step_s * number + 0.25, "N") for number in range(50)], (step_s * 40 + 0.5, "dizzy")]
    record = opened(tmp_path, edf(marks=stated, texts=texts, kind=kind))
    assert record.duration_s == 60
    assert len(record.doubts) == 1
    assert doubt in record.doubts[0]
    np.testing.assert_allclose(record.reference.time_s, np.arange(50) + 0.25, atol=1e-6)
    assert [event.time_s for event in read_diary(record)] == [pytest.approx(40.5)]


def test_time_marks_in_whole_seconds_are_no_gaps_between_shorter_data_records(tmp_path):
    rounded = [f"+{number // 4}" for number in range(60)]
    record = opened(tmp_path, edf([ecg(n=60)], marks=rounded, record_s="0.25"))
    assert (record.duration_s, record.doubts) == (15, ())


def test_the_start_is_that_of_the_first_time_mark(tmp_path):
    late = [f"+{second + 40.5:g}" for second in range(60)]
    record = opened(tmp_path, edf(marks=late))
    assert record.start == datetime(2024, 3, 3, 0, 0, 10, 500_000)
    record = opened(tmp_path, edf(marks=late, date="", recording=""))
    assert (record.start, record.start_clock) == (None, time(0, 0, 10, 500_000))


def test_a_gap_is_the_same_in_leads_of_several_rates(tmp_path):
    record = opened(tmp_path, edf([ecg("ECG I", n=125), ecg()], marks=marks(10)))
    missing = np.isnan(whole(record))
    assert missing[:, 30 * FS_HZ + 2 : 40 * FS_HZ - 2].all()
    assert not missing[:, : 30 * FS_HZ - 2].any()
    assert not missing[:, 40 * FS_HZ + 2 :].any()


def test_an_interrupted_recording_whose_clock_is_slow_has_no_overlaps(tmp_path):
    slow = edf(marks=marks(10, drift_s=-0.001)).replace(b"EDF+C", b"EDF+D", 1)
    record = opened(tmp_path, slow)
    found = whole(record)[0]
    first, last = np.flatnonzero(np.isnan(found))[[0, -1]]
    assert first == 30 * FS_HZ
    assert last + 1 == round((40 - 0.03) * FS_HZ)
    np.testing.assert_allclose(found[last + 1 :], expected_mv(60 * FS_HZ)[30 * FS_HZ :], atol=1e-5)


@pytest.mark.parametrize("label", ["EEG Fpz-Cz", "EOG horizontal", "EMG submental", "Resp oro-nasal", "SaO2", "Status"])
def test_a_signal_whose_label_names_another_type_is_no_ecg(tmp_path, label):
    (tmp_path / "x.edf").write_bytes(edf([ecg(label)]))
    with pytest.raises(RecordError, match=rf"is an ECG by its label \({label}\)\. Correct the label"):
        read_record(tmp_path / "x.edf")
    (tmp_path / "x.edf").write_bytes(edf([ecg(label), ecg("A1")]))
    record = read_record(tmp_path / "x.edf")
    assert record.lead_names == ("A1",)
    assert [(channel.name, channel.reason) for channel in record.left_out] == [(label, "its label names no ECG lead")]
