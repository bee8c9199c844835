"""A live session in its thread: it ends, reports its errors, keeps a bounded part, and shares nothing with others."""

import socket
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from support.records import in_memory
from support.stand_ins import ListSource

from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.errors import LiveError
from ecg_core.live.arrivals import Arrivals
from ecg_core.live.lines import HOST, LineSource, TcpFeed
from ecg_core.live.recent import (
    ENDED,
    KEPT_BYTES,
    KEPT_LOG_ENTRIES,
    KEPT_S,
    MARK,
    NO_UPDATE,
    RUNNING,
    WAITING,
    RecentStream,
)
from ecg_core.live.replay import Replay
from ecg_core.live.session import LiveSession
from ecg_core.live.stream import Alarm, Notice, Stream, StreamChunk
from ecg_core.records import read_record
from ecg_core.records.wfdb_notes import marks_of
from ecg_core.rules import RhythmRules

FS_HZ = 257
STREAM = Stream("x", FS_HZ, ("II",))
WAIT_S = 60


def started(source, **options):
    opened = source if callable(source) else lambda closed: source
    options = {"horizon_s": 2.0, "lead": "auto", **options}
    return LiveSession(opened, DEFAULT_MODEL, RhythmRules(), **options)


def ended(live):
    assert live.wait(WAIT_S)
    return live.view()


@pytest.fixture
def part(excerpt):
    return in_memory(excerpt[: 40 * FS_HZ], FS_HZ)


def test_a_replay_runs_to_its_end_and_leaves_signal_beats_and_counts(part):
    view = ended(started(Replay(part, speed=np.inf)))
    assert (view.state, view.problem) == (ENDED, "")
    np.testing.assert_array_equal(view.signal_mv, part.source.read(0, part.n_samples, (0,)))
    assert sum(view.count.values()) == len(view.beats) == len(view.attention.weight) > 30
    assert view.until_s == view.end_s == pytest.approx(40, abs=0.01)


def test_a_view_can_be_limited_to_the_last_seconds(part):
    live = started(Replay(part, speed=np.inf))
    ended(live)
    view = live.view(5)
    assert view.first / FS_HZ == pytest.approx(35, abs=0.2)
    assert view.beats.time_s[0] > 34
    assert 0 < len(view.beats) < 12


def test_what_it_keeps_is_bounded(part):
    """A gap of ten minutes makes what came before it too old."""
    signal = part.source.read(0, part.n_samples, (0,))
    gap = int(KEPT_S * FS_HZ) + 1
    chunks = [StreamChunk(0, signal), StreamChunk(gap + signal.shape[1], signal[:, :1000])]
    live = started(ListSource(STREAM, *chunks))
    view = ended(live)
    assert view.first > signal.shape[1]
    assert view.beats.time_s[0] > 37  # what came with the chunk before is gone
    assert any("are missing" in entry.text for entry in view.log)


def test_it_can_be_stopped_while_it_runs(part):
    live = started(Replay(part, speed=1.0))
    while live.view().state == WAITING:
        time.sleep(0.01)
    assert live.view().state == RUNNING
    live.stop()
    assert ended(live).problem == ""


def test_it_can_be_stopped_while_it_waits_for_a_sender():
    live = started(lambda closed: LineSource(TcpFeed(0), closed))
    assert live.view().state == WAITING
    live.stop()
    view = ended(live)
    assert (view.problem, view.stream) == ("", None)


def test_an_error_of_the_source_is_shown_with_its_sentence(part):
    def refuse(closed):
        raise LiveError("lsl:x: no such stream was found.")

    assert ended(started(refuse)).problem == "lsl:x: no such stream was found."
    broken = ListSource(STREAM, LiveError("x: another rate."))
    assert ended(started(broken)).problem == "x: another rate."
    assert broken.closed


def test_a_sender_that_ends_the_session_by_another_rate_is_a_problem():
    header = b'{"name": "x", "fs_hz": %d, "leads": ["II"], "unit": "mV"}\n'
    with closing(TcpFeed(0)) as feed, socket.create_connection((HOST, feed.port)) as sender:
        live = started(lambda closed: Arrivals(LineSource(feed, closed)))
        sender.sendall(header % 100 + b"".join(b"%d,0.1\n" % n for n in range(300)))
        while live.view().state == WAITING:
            time.sleep(0.01)
        sender.sendall(header % 250)
        view = ended(live)
    assert "came back with 250 Hz instead of 100 Hz" in view.problem
    assert view.end_s == pytest.approx(3.0, abs=0.01)


def test_a_recording_holds_what_was_monitored_and_states_that_it_is_simulated(demo, tmp_path):
    source = Replay(demo, speed=np.inf, start_s=demo.duration_s - 20)
    view = ended(started(source, folder=tmp_path, lead="II"))
    record = read_record(view.recording)
    assert record.duration_s == pytest.approx(20, abs=0.1)
    assert record.lead_names == demo.lead_names
    assert record.is_simulated
    assert (tmp_path / f"{view.recording.name}_beats.csv").read_text().count("\n") == 1 + len(view.beats)


def test_marks_stand_in_the_list_and_alarms_get_their_end(part):
    signal = part.source.read(0, part.n_samples, (0,)).copy()
    signal[:, 15 * FS_HZ : 25 * FS_HZ] = np.nan
    live = started(ListSource(STREAM, StreamChunk(0, signal)))
    live.mark(12.5, "coffee")
    log = ended(live).log
    assert [(entry.start_s, entry.text) for entry in log if entry.kind == MARK] == [(12.5, "coffee")]
    (off,) = [entry for entry in log if entry.kind == "leads_off"]
    assert (off.is_alarm, off.text) == (True, "Leads off")
    assert off.end_s is not None


def test_marks_are_read_back_from_the_recording_at_the_time_of_pressing(part, tmp_path):
    live = started(Replay(part, speed=np.inf), folder=tmp_path)
    view = ended(live)
    live.mark(12.5, "1")
    live.mark(31.25, "2")
    marks = marks_of(read_record(view.recording))
    assert [time_s for time_s, _ in marks] == pytest.approx([12.5, 31.25], abs=1 / FS_HZ)
    assert [text[: len("Mark 1, set at ")] for _, text in marks] == ["Mark 1, set at ", "Mark 2, set at "]


def test_no_number_of_notices_pushes_an_alarm_out_of_the_list():
    recent = RecentStream()
    recent.write_update(replace(NO_UPDATE, alarms=(Alarm("asystole", 5.0, 9.8),)))
    recent.mark(6.0, "1")
    for number in range(3 * KEPT_LOG_ENTRIES):
        recent.write_notice(Notice(float(number), "1 malformed line was ignored"))
    log = recent.view(0, state=RUNNING, problem="", lag_s=0.0, recording=None).log
    assert [entry.kind for entry in log[:2]] == ["asystole", MARK]
    assert len(log) == KEPT_LOG_ENTRIES


def test_an_early_danger_and_the_marks_stay_in_the_list_however_many_lesser_alarms_follow():
    recent = RecentStream()
    recent.write_update(replace(NO_UPDATE, alarms=(Alarm("vf", 5.0, 9.8),)))
    recent.write_update(replace(NO_UPDATE, alarms=(Alarm("vf", 5.0, 40.0, end_s=30.0),)))
    recent.mark(6.0, "1")
    for number in range(KEPT_LOG_ENTRIES + 5):
        start_s = 100.0 + 10 * number
        begins, ends = Alarm("v_run", start_s, start_s + 3), Alarm("v_run", start_s, start_s + 4, end_s=start_s + 2)
        recent.write_update(replace(NO_UPDATE, alarms=(begins, ends)))
    view = recent.view(0, state=RUNNING, problem="", lag_s=0.0, recording=None)
    assert [entry.kind for entry in view.log[:2]] == ["vf", MARK]
    assert (len(view.log), view.n_dropped, view.n_marks) == (KEPT_LOG_ENTRIES, 7, 1)


def test_the_widest_stream_keeps_no_more_than_others():
    wide = Stream("x", 10_000.0, tuple(map(str, range(64))))
    recent = RecentStream()
    recent.begin(wide)
    for first in (0, 5_000_000):
        recent.write_chunk(StreamChunk(first, np.zeros((64, 10), dtype=np.float32)))
    view = recent.view(KEPT_S, state=RUNNING, problem="", lag_s=0.0, recording=None)
    assert view.signal_mv.nbytes <= KEPT_BYTES + 64 * 10 * 4
    assert view.kept_s < 30


def test_an_alarm_that_becomes_more_serious_stays_one_entry():
    recent = RecentStream()
    for alarm in (Alarm("pause", 5.0, 9.8), Alarm("asystole", 5.0, 10.0, before="pause"), Alarm("pause", 1.0, 2.0)):
        recent.write_update(replace(NO_UPDATE, alarms=(alarm,)))
    recent.write_update(replace(NO_UPDATE, alarms=(Alarm("asystole", 5.0, 22.0, end_s=20.0),)))
    log = recent.view(0, state=RUNNING, problem="", lag_s=0.0, recording=None).log
    assert [(entry.kind, entry.start_s, entry.end_s) for entry in log] == [
        ("asystole", 5.0, 20.0),
        ("pause", 1.0, None),
    ]


def test_two_sessions_share_nothing(excerpt):
    one = started(Replay(in_memory(excerpt[: 20 * FS_HZ], FS_HZ), speed=np.inf))
    other = started(Replay(in_memory(excerpt[20 * FS_HZ : 50 * FS_HZ], FS_HZ), speed=np.inf))
    one.mark(1, "mine")
    a, b = ended(one), ended(other)
    assert (a.end_s, b.end_s) == (pytest.approx(20, abs=0.1), pytest.approx(30, abs=0.1))
    assert not [entry for entry in b.log if entry.kind == MARK]
