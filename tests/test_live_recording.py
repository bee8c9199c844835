"""A stream on disk: unchanged, aligned, a valid record at any moment, and never over another one."""

import csv
import errno
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import wfdb
from support.stand_ins import Engine

from ecg_core.errors import OutputError
from ecg_core.live import recording as recordings
from ecg_core.live import signal_files
from ecg_core.live.line_format import LineReader
from ecg_core.live.recording import Recording
from ecg_core.live.signal_files import FREE_GAP_BYTES, GAP_SAMPLES
from ecg_core.live.stream import Alarm, Notice, Stream, StreamChunk, Update
from ecg_core.records import read_record
from ecg_core.records.formats import records_in
from ecg_core.records.wfdb_notes import marks_of
from ecg_core.schema import Attention, Beats

FS_HZ = 250.0
STREAM = Stream("belt", FS_HZ, ("I", "V1 left"))
UNKNOWN = Stream("adc", FS_HZ, ("I", "II"), calibrated=False)
START = datetime(2026, 3, 1, 23, 59, 58, 250_000)
ALL = ["belt.dat", "belt.hea", "belt_alarms.csv", "belt_beats.csv"]


@pytest.fixture
def signal():
    signal = np.random.default_rng(0).normal(0, 2, (2, 5000)).astype(np.float32)
    signal[0, 100:200] = np.nan
    signal[1, 300:400] = 250.125  # the offset of an electrode
    signal[1, 400] = -8000.0
    return signal


def written(folder, signal_mv, *, stream=STREAM, step=37, **options):
    recording = Recording(folder, stream, start=START, **options)
    for at in range(0, signal_mv.shape[1], step):
        assert recording.write_chunk(StreamChunk(at, signal_mv[:, at : at + step])) == ()
    return recording


def samples(path):
    record = read_record(path)
    return record.source.read(0, record.n_samples, tuple(range(len(record.lead_names))))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("closed", [False, True])
def test_what_was_written_is_read_back_to_half_a_microvolt_finished_or_not(tmp_path, signal, closed):
    recording = written(tmp_path, signal)
    if closed:
        assert recording.close() == ()
    record = read_record(tmp_path / "belt")
    assert (record.fs_hz, record.lead_names, record.calibrated) == (FS_HZ, STREAM.lead_names, (True, True))
    assert record.start == START
    assert record.comments == ()
    assert [doubt.split(":")[0] for doubt in record.doubts] == ([] if closed else ["the recording was not finished"])
    got = samples(tmp_path / "belt")
    assert np.array_equal(np.isnan(got), np.isnan(signal))
    assert np.nanmax(np.abs(got - signal)) <= 0.00051
    part = record.source.read(350, 450, (1,))
    assert np.array_equal(part, got[1:, 350:450])
    recording.close()


def test_other_wfdb_software_reads_it_too_with_its_checksums(tmp_path, signal):
    written(tmp_path, signal).close()
    read = wfdb.rdrecord(str(tmp_path / "belt"), physical=False)
    assert [sum_ % 65536 for sum_ in read.checksum] == read.calc_checksum()
    assert read.init_value == read.d_signal[0].tolist()


def test_lost_samples_are_missing_and_those_that_come_twice_are_written_once(tmp_path, signal):
    with closing(Recording(tmp_path, STREAM)) as recording:
        for first, last in ((0, 1000), (2000, 2100), (1500, 2050), (2050, 2200), (-20, 10), (2200, 5000)):
            part = np.zeros((2, 20), np.float32) if first < 0 else signal[:, first:last]
            recording.write_chunk(StreamChunk(first, part))
    signal[:, 1000:2000] = np.nan
    assert np.allclose(samples(tmp_path / "belt"), signal, atol=0.00051, equal_nan=True)


def test_a_gap_of_an_hour_keeps_sample_numbers_true(tmp_path, signal):
    first = round(3600 * FS_HZ) + 1000
    assert first > 2 * GAP_SAMPLES
    with closing(Recording(tmp_path, STREAM)) as recording:
        recording.write_chunk(StreamChunk(0, signal[:, :1000]))
        recording.write_chunk(StreamChunk(first, signal[:, 1000:1500]))
    record = read_record(tmp_path / "belt")
    assert record.n_samples == first + 500
    got = record.source.read(first - 100, first + 500, (0,))[0]
    assert np.isnan(got[:100]).all()
    assert np.allclose(got[100:], signal[0, 1000:1500], atol=0.00051)


def test_a_few_bytes_of_a_stream_are_no_more_than_a_few_on_disk(tmp_path):
    """Eight leads at 10 kHz whose numbers jump by most of an hour, and by a second: 862 MB if gaps were samples."""
    names = ", ".join(f'"V{n}"' for n in range(8))
    header = b'{"name": "x", "fs_hz": 10000, "leads": [%s], "unit": "mV"}\n' % names.encode()
    hour, second, every = 35_000_000, 9_000, range(6)
    starts = [0, *(hour * k for k in range(1, 4)), *(3 * hour + 100 + second * k for k in range(1, 50))]
    text = b"".join(b"%d%s\n" % (start + n, b",1" * 8) for start in starts for n in every)
    reader = LineReader()
    items = [item for item in [*reader.feed(header + text, 0.0), *reader.end(0.0)] if isinstance(item, StreamChunk)]
    with closing(Recording(tmp_path, reader.stream)) as recording:
        for item in items:
            assert recording.write_chunk(item) == ()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * len(text) + FREE_GAP_BYTES + 100_000
    record = read_record(tmp_path / "x")
    assert record.n_samples == starts[-1] + len(every)
    for start in starts:
        n = min(len(every) + 2, record.n_samples - start)
        got = record.source.read(start, start + n, (0, 7))
        assert np.isfinite(got).all(axis=0).tolist() == [True] * 6 + [False] * (n - 6)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("first", [0, 3_000_000], ids=["at once", "after a gap"])
def test_samples_after_long_gaps_keep_their_times_finished_or_not(tmp_path, signal, first, closed):
    recording = Recording(tmp_path, STREAM, start=START)
    places = (first, first + 1_000_000, first + 9_000_000)
    for place in places:
        for at in range(0, 1000, 50):
            assert recording.write_chunk(StreamChunk(place + at, signal[:, at : at + 50])) == ()
    if closed:
        recording.close()
        assert wfdb.rdheader(str(tmp_path / "belt")).sig_len == places[-1] + 1000
    record = read_record(tmp_path / "belt")
    assert (record.n_samples, record.lead_names) == (places[-1] + 1000, STREAM.lead_names)
    assert record.start == START
    assert len(record.doubts) == (not closed)
    for place in places:
        got = record.source.read(max(0, place - 5), place + 1000, (0, 1))
        assert np.isnan(got[:, :-1000]).all()
        assert np.allclose(got[:, -1000:], signal[:, :1000], atol=0.00051, equal_nan=True)
    recording.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000
    assert records_in(tmp_path)[0] == tmp_path / "belt"
    assert not [found for found in records_in(tmp_path) if "-" in found.name]


@pytest.mark.parametrize(("bound", "most"), [("MAX_BYTES", 12_000), ("MAX_S", 8.0), ("MAX_SEGMENTS", 0)])
def test_at_its_bound_a_recording_is_complete_and_says_that_monitoring_goes_on(
    tmp_path, signal, monkeypatch, bound, most
):
    monkeypatch.setattr(recordings if bound == "MAX_S" else signal_files, bound, most or 1)
    monkeypatch.setattr(signal_files, "FREE_GAP_BYTES", 0)
    recording, notices = Recording(tmp_path, STREAM, start=START), []
    for at in range(0, 3000, 100):
        place = at + 5_000 * (at > 1900) * (bound == "MAX_SEGMENTS")
        notices += recording.write_chunk(StreamChunk(place, signal[:, at : at + 100]))
    (notice,) = notices
    assert "has reached its bound, 14 days (gaps included) or 32 GB, and ends here" in notice.text
    assert "monitoring goes on" in notice.text
    record = read_record(tmp_path / "belt")
    assert notice.time_s == record.n_samples / FS_HZ
    assert record.start == START
    assert recording.close() == ()


def test_marks_are_annotations_that_are_read_back_at_their_times(tmp_path, signal):
    with closing(written(tmp_path, signal)) as recording:
        for time_s, text in ((12.5, "Mark 2"), (3.0, "Mark 1"), (99.0, "after the end"), (0.0, "at the start")):
            assert recording.write_mark(time_s, text) == ()
    marks = marks_of(read_record(tmp_path / "belt"))
    assert [text for _, text in marks] == ["at the start", "Mark 1", "Mark 2", "after the end"]
    assert [time_s for time_s, _ in marks] == pytest.approx([0.004, 3.0, 12.5, 4999 / FS_HZ])
    read = wfdb.rdann(str(tmp_path / "belt"), "mrk")
    assert read.sample.tolist() == [1, 750, 3125, 4999]
    assert (read.fs, read.aux_note[1]) == (FS_HZ, "Mark 1")


@pytest.mark.parametrize("value", [np.nan, 0.0, 3.5, 1e30, -np.inf])
def test_missing_constant_and_saturated_chunks_are_written(tmp_path, value):
    with closing(written(tmp_path, np.full((2, 2000), value, dtype=np.float32))):
        got = samples(tmp_path / "belt")
    with closing(written(tmp_path, np.full((2, 2000), value, dtype=np.float32), stream=UNKNOWN)):
        assert (np.isfinite(samples(tmp_path / "adc")) == np.isfinite(got)).all()
    wanted = np.clip(value, -8388.607, 8388.607)
    assert np.allclose(got, wanted, rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3, 8e6])
def test_a_stream_of_unknown_unit_keeps_its_waveform_whatever_the_unit(tmp_path, signal, unit):
    sent = (np.nan_to_num(signal[:1, :300]) * unit / 200).astype(np.float32)
    sent[0, 50:60], sent[0, 200] = np.nan, 200 * sent[0, 100]
    sent = np.concatenate((np.zeros((1, 1300), np.float32), sent), axis=1)
    written(tmp_path, sent, stream=replace(UNKNOWN, lead_names=("I",))).close()
    assert read_record(tmp_path / "adc").calibrated == (False,)
    got, known = samples(tmp_path / "adc")[0], np.isfinite(sent[0])
    assert np.array_equal(np.isfinite(got), known)
    assert np.ptp(got[known]) > 0
    factor = got[known] @ sent[0, known] / (sent[0, known] @ sent[0, known])
    assert np.abs(got / factor - sent[0])[known].max() < 1e-4 * np.abs(sent[0, known]).max()


def test_an_earlier_recording_is_never_touched(tmp_path, signal):
    written(tmp_path, signal).close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "belt_2_alarms.csv").touch()
    written(tmp_path, signal).close()
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert (tmp_path / "belt_3.hea").is_file()
    assert wfdb.rdheader(str(tmp_path / "belt_3")).file_name == ["belt_3.dat"] * 2


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("a b/c", "a_b_c"),
        ("\u5fc3", "stream"),
        ("..", "stream"),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_name_of_a_stream_becomes_a_name_of_a_file(tmp_path, name, path):
    with closing(Recording(tmp_path / "in", Stream(name, FS_HZ, ("I",)))) as recording:
        assert recording.path == tmp_path / "in" / path
    assert {item.name for item in tmp_path.iterdir()} == {"in"}


def test_beats_and_alarms_are_on_disk_as_soon_as_they_are_written(tmp_path):
    probability = np.array([[0.9, 0.1, 0, 0, 0], [0, 0, 1, 0, 0]], dtype=np.float32)
    beats = Beats(
        np.array([1.0, 2.5]), np.array(["N", "V"]), probability, np.array([np.nan, 1.5]), np.array([True, False])
    )
    attention = Attention(np.zeros((2, 2), dtype=np.float16), np.zeros(2, dtype=np.float32))
    alarms = (Alarm("v_run", 1.0, 2.5), Alarm("v_run", 1.0, 4.0, 3.5))
    with closing(Recording(tmp_path, STREAM, start=START)) as recording:
        assert recording.write_update(Update(beats, attention, alarms)) == ()
        beat_rows, alarm_rows = rows(tmp_path / "belt_beats.csv"), rows(tmp_path / "belt_alarms.csv")
    assert [row["sample"] for row in beat_rows] == ["250", "625"]
    assert [row["label"] for row in beat_rows] == ["N", "V"]
    assert beat_rows[0]["probability_N"] == "0.9000"
    assert [row["rr_s"] for row in beat_rows] == ["", "1.5000"]
    assert [row["usable"] for row in beat_rows] == ["1", "0"]
    assert beat_rows[1]["time_iso"] == "2026-03-02T00:00:00.750"
    assert [row["end_s"] for row in alarm_rows] == ["", "3.500"]


def test_beats_have_the_columns_of_an_analysis(tmp_path, demo_analysis):
    from ecg_core.report.tables import beats_table

    with closing(Recording(tmp_path, STREAM)):
        header = (tmp_path / "belt_beats.csv").read_text().strip()
    assert header.split(",") == list(beats_table(demo_analysis))


def test_without_samples_there_are_beats_and_alarms_alone(tmp_path, signal):
    written(tmp_path, signal, signal=False).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ALL[2:]


def test_a_full_disk_ends_the_recording_with_a_notice_and_keeps_what_is_there(tmp_path, signal, monkeypatch):
    recording = written(tmp_path, signal[:, :2000])
    file = recording._signal

    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            file.close()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recording, "_signal", Full())
    (notice,) = recording.write_chunk(StreamChunk(2000, signal[:, 2000:2100]))
    assert notice.time_s == 8.0
    assert "the recording stops here" in notice.text
    assert "No space left on device" in notice.text
    assert recording.write_chunk(StreamChunk(2100, signal[:, 2100:])) == ()
    assert recording.write_update(Engine(FS_HZ).close()) == ()
    assert recording.close() == ()
    assert np.allclose(samples(tmp_path / "belt"), signal[:, :2000], atol=0.00051, equal_nan=True)


def test_a_mark_after_the_recording_stopped_is_not_moved_into_it(tmp_path, signal, monkeypatch):
    recording = written(tmp_path, signal[:, :2000])

    def full(chunk):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recording._signal, "write", full)
    recording.write_chunk(StreamChunk(2000, signal[:, 2000:2100]))
    assert recording.recorded_s == 8.0
    assert recording.write_mark(3.0, "Mark 1") == ()
    (notice,) = recording.write_mark(3000.0, "Mark 2")
    assert "the recording ended at 00:00:08, so this mark is not in it" in notice.text
    assert [text for _, text in marks_of(read_record(tmp_path / "belt"))] == ["Mark 1"]


# The time of day


class Now(datetime):
    """A clock that stands where it is set."""

    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    @classmethod
    def now(cls, tz=None):
        return cls.moment


def test_a_recording_starts_with_its_first_sample_and_keeps_its_offset_from_utc(tmp_path, signal, monkeypatch):
    monkeypatch.setattr(recordings, "datetime", Now)
    with closing(Recording(tmp_path, STREAM)) as recording:
        monkeypatch.setattr(Now, "moment", Now.moment + timedelta(minutes=10))  # that the sender lets the program wait
        recording.write_chunk(StreamChunk(0, signal[:, :2000]))
        began = Now.moment - timedelta(seconds=8)
        recording.write_update(replace(Engine(FS_HZ).close(), alarms=(Alarm("af", 1.0, 1.5),)))
        assert read_record(tmp_path / "belt").start.time() == began.astimezone().time()
    assert read_record(tmp_path / "belt").start.time() == began.astimezone().time()
    (alarm,) = rows(tmp_path / "belt_alarms.csv")
    assert datetime.fromisoformat(alarm["start_iso"]) == began + timedelta(seconds=1)


def test_times_of_day_count_a_silence_that_the_numbers_leave_out(tmp_path, signal):
    with closing(written(tmp_path, signal)) as recording:
        recording.write_notice(Notice(10.0, "the clock went on", ahead_s=8.0))
        alarms = Alarm("af", 9.0, 9.5), Alarm("af", 11.0, 11.5)
        recording.write_update(replace(Engine(FS_HZ).close(), alarms=alarms))
    got = [datetime.fromisoformat(row["start_iso"]) - START for row in rows(tmp_path / "belt_alarms.csv")]
    assert [moment.total_seconds() for moment in got] == [9.0, 19.0]


@pytest.mark.parametrize("start", [START, None])
def test_a_replayed_record_keeps_its_own_start_and_says_that_it_was_replayed(tmp_path, signal, start):
    stream = replace(STREAM, is_replayed=True, start=start)
    with closing(Recording(tmp_path, stream)) as recording:
        recording.write_chunk(StreamChunk(0, signal))
        recording.write_update(replace(Engine(FS_HZ).close(), alarms=(Alarm("af", 1.0, 1.5),)))
    record = read_record(tmp_path / "belt")
    assert (record.start, record.comments) == (start, ("Replayed record",))
    (alarm,) = rows(tmp_path / "belt_alarms.csv")
    assert alarm["start_iso"] == ("" if start is None else "2026-03-01T23:59:59.250")


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="the recording cannot be written there"):
        Recording(tmp_path / "file", STREAM)


# Reading a record whose header states no length


@pytest.mark.parametrize(("bits", "kind"), [(16, "<i2"), (32, "<i4")])
def test_a_header_without_a_length_is_read_by_the_size_of_its_file(tmp_path, bits, kind):
    count = np.arange(-3000, 3000).reshape(3000, 2)
    count[5] = -(1 << bits - 1)
    (tmp_path / "x.dat").write_bytes(b"head" + count.astype(kind).tobytes() + b"\1")
    lines = [f"x.dat {bits}+4 100({zero})/{unit} {bits} 0 0 0 0 {unit}" for zero, unit in ((10, "uV"), (-7, "mV"))]
    (tmp_path / "x.hea").write_text("\n".join(["x 2 250", *lines]) + "\n")
    record = read_record(tmp_path / "x")
    wanted = ((count - [10, -7]) / [100_000, 100]).T
    wanted[:, 5] = np.nan
    assert record.n_samples == 3000
    assert np.allclose(record.source.read(0, 3000, (0, 1)), wanted, equal_nan=True)
    assert np.allclose(record.source.read(2990, 3000, (1,)), wanted[1:, 2990:])
