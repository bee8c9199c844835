"""What a live source yields, as it arrives: silence is an alarm, and what waited too long is dropped and said."""

import io
import socket
import threading
import time
from contextlib import closing

import numpy as np
import pytest
from support.records import DEMO
from support.stand_ins import Clock, ListSource

from ecg_core.live import arrivals
from ecg_core.live.alarm_lines import KINDS, LEADS_OFF, NO_SIGNAL
from ecg_core.live.arrivals import Arrivals
from ecg_core.live.console import ConsoleReporter
from ecg_core.live.drive import drive
from ecg_core.live.engine import Monitor
from ecg_core.live.line_format import header_line
from ecg_core.live.lines import HOST, TcpFeed
from ecg_core.live.replay import Replay
from ecg_core.live.sources import open_source
from ecg_core.live.stream import Notice, Silence, Stream, StreamChunk

FS_HZ = 257
STREAM = Stream("belt", FS_HZ, ("II",))


def chunk(first_s, length_s=1.0):
    return StreamChunk(round(first_s * FS_HZ), np.zeros((1, round(length_s * FS_HZ)), dtype=np.float32))


class Paced(ListSource):
    """Yields its items, and waits where one is a number of seconds."""

    def chunks(self):
        for item in super().chunks():
            if isinstance(item, float):
                time.sleep(item)
            else:
                yield item


def end_of(item):
    return (item.first + item.signal_mv.shape[1]) / FS_HZ


def test_all_items_come_in_their_order_and_an_error_after_them():
    items = [chunk(0), Notice(1.0, "sender lost"), chunk(1), chunk(2)]
    got = Arrivals(ListSource(STREAM, *items, RuntimeError("a cable was pulled"))).chunks()
    assert [next(got) for _ in items] == items
    with pytest.raises(RuntimeError, match="a cable was pulled"):
        next(got)


def test_a_sender_that_is_faster_than_the_program_has_to_wait_and_loses_nothing():
    source = ListSource(STREAM, *(chunk(at) for at in range(600)))
    got = []
    for item in Arrivals(source).chunks():
        got.append(item)
        time.sleep(0.0005)
    assert [item.first for item in got] == [FS_HZ * at for at in range(600)]


def test_the_source_is_left_when_nobody_takes_its_items():
    source = Arrivals(ListSource(STREAM, *(chunk(at) for at in range(600))))
    before = threading.active_count()
    got = source.chunks()
    next(got)
    got.close()
    deadline_s = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threading.active_count() <= before


# A computer that is too slow


def slowed(monkeypatch, *, late_s=0.5):
    """Seconds that are short."""
    for name, value in {"LATE_S": late_s, "KEPT_S": late_s / 10, "CAPACITY_S": 1e9, "POLL_S": 0.01}.items():
        monkeypatch.setattr(arrivals, name, value)


def test_what_waited_too_long_is_dropped_with_its_length_in_words(monkeypatch):
    slowed(monkeypatch)
    got = Arrivals(Paced(STREAM, *[chunk(at) for at in range(20)], Notice(20.0, "kept"), 1.0, chunk(20), 5.0)).chunks()
    next(got)
    time.sleep(0.6)  # the program takes so long for its first chunk
    text, kept, last = next(got), next(got), next(got)
    assert text.text.startswith("This computer is too slow for the stream: 19.0 s of signal (4,883 samples) waited")
    assert (text.time_s, kept.text, end_of(last)) == (20.0, "kept", 21.0)


def test_a_program_that_is_too_slow_is_never_silently_late(monkeypatch):
    """Each chunk of a tenth of a second takes three: what is analysed is about LATE_S old at most, the rest named."""
    slowed(monkeypatch, late_s=1.0)
    source = Paced(STREAM, *(item for at in range(40) for item in (chunk(at / 10, 0.1), 0.1)))
    began_s, late_s, analysed, said = time.monotonic(), [], 0, 0
    for item in Arrivals(source).chunks():
        if time.monotonic() - began_s > 3.5:  # before the end, after which nothing is late any more
            break
        if isinstance(item, Notice):
            said += int(item.text.split("(")[1].split()[0])
        else:
            late_s.append(time.monotonic() - began_s - end_of(item))
            analysed += item.signal_mv.shape[1]
            time.sleep(0.3)
    assert max(late_s) < 1.6
    assert said > analysed / 3
    assert (said + analysed) / FS_HZ > 2.0


def test_what_is_left_when_the_stream_has_ended_is_not_late(monkeypatch):
    slowed(monkeypatch)
    got = Arrivals(ListSource(STREAM, *(chunk(at) for at in range(5)))).chunks()
    next(got)
    time.sleep(0.6)
    assert [end_of(item) for item in got] == [2.0, 3.0, 4.0, 5.0]


# A silent sender


def test_silence_is_said_once_and_within_five_seconds(monkeypatch):
    assert arrivals.NO_SIGNAL_S + arrivals.POLL_S < 5
    clock = Clock()
    monkeypatch.setattr(arrivals, "time", clock)
    source = Arrivals(ListSource(STREAM))
    came = [[chunk(0)], *[[]] * 40, [Notice(1.0, "silent")], [chunk(0, 0.5)], *[[]] * 40, [chunk(1)], *[[]] * 40, None]

    def take():
        clock.wait(arrivals.POLL_S)
        return came.pop(0)

    monkeypatch.setattr(source, "_take", take)
    got, at_s = [], []
    for item in source.chunks():
        got.append(type(item).__name__)
        at_s.append(clock.now_s)
    # Samples that came before are no signal either: only new ones end the silence.
    assert got == ["StreamChunk", "Silence", "Notice", "StreamChunk", "StreamChunk", "Silence"]
    assert at_s[1] - at_s[0] == pytest.approx(4.0, abs=0.3)
    assert at_s[5] - at_s[4] == pytest.approx(4.0, abs=0.3)


def test_samples_that_repeat_for_ever_are_no_signal(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(arrivals, "time", clock)
    source = Arrivals(ListSource(STREAM))
    came = [[chunk(0)], *[[chunk(0)]] * 40, None]

    def take():
        clock.wait(arrivals.POLL_S)
        return came.pop(0)

    monkeypatch.setattr(source, "_take", take)
    items = list(source.chunks())
    assert [item for item in items if isinstance(item, Silence)] == [Silence(4.0)]


@pytest.mark.parametrize(("goes_on_at_s", "ahead_s"), [(1, 7.75), (9, None)])
def test_a_silence_that_the_numbers_leave_out_is_said_with_its_length(monkeypatch, goes_on_at_s, ahead_s):
    """The sender pauses for eight seconds, but for a chunk; its counter stands still meanwhile, or it goes on."""
    clock = Clock()
    monkeypatch.setattr(arrivals, "time", clock)
    source = Arrivals(ListSource(STREAM))
    after = [[chunk(goes_on_at_s + 0.25 * n, 0.25)] for n in range(30)]
    came = [[chunk(0)], *[[]] * 31, *after, None]

    def take():
        clock.wait(arrivals.POLL_S)
        return came.pop(0)

    monkeypatch.setattr(source, "_take", take)
    notices = [item for item in source.chunks() if isinstance(item, Notice)]
    assert [notice.ahead_s for notice in notices] == pytest.approx([] if ahead_s is None else [ahead_s], abs=0.3)
    assert [notice.time_s for notice in notices] == ([] if ahead_s is None else [1.0])


@pytest.mark.parametrize("gap_s", [0.0, 30.0])
def test_no_signal_is_an_alarm_that_is_over_when_samples_come_again(excerpt, model, gap_s):
    cut, monitor = 20 * FS_HZ, Monitor(STREAM, model)
    signal = excerpt[: 40 * FS_HZ][None].astype(np.float32)
    alarms = list(monitor.push(StreamChunk(0, signal[:, :cut])).alarms)
    lost = monitor.lose_signal()
    assert [(alarm.kind, alarm.start_s, alarm.end_s) for alarm in lost.alarms] == [(NO_SIGNAL, 20.0, None)]
    assert (lost.vitals.rate_bpm, lost.vitals.rhythm, lost.vitals.active) == (None, "No signal", lost.alarms)
    assert monitor.lose_signal().alarms == ()
    first = cut + round(gap_s * FS_HZ)
    came = [
        monitor.push(StreamChunk(first + at, signal[:, cut + at : cut + at + 26])) for at in range(0, 19 * FS_HZ, 26)
    ]
    (over,) = came[0].alarms
    assert (over.kind, over.start_s, over.end_s) == (NO_SIGNAL, 20.0, pytest.approx(first / FS_HZ))
    alarms += [alarm for update in came for alarm in update.alarms]
    vitals = [update.vitals for update in came if update.vitals]
    assert NO_SIGNAL not in [alarm.kind for seen in vitals[1:] for alarm in seen.active]
    assert sum(alarm.kind == NO_SIGNAL for alarm in alarms) == 1
    assert LEADS_OFF not in [alarm.kind for alarm in alarms]  # one alarm for one thing


def test_a_stream_without_a_first_sample_has_no_signal(model):
    monitor = Monitor(STREAM, model)
    assert monitor.lose_signal().vitals.active[0].kind == NO_SIGNAL


def test_a_silent_sender_is_printed_and_so_is_its_end(monkeypatch, model):
    for name, value in {"NO_SIGNAL_S": 0.2, "POLL_S": 0.02}.items():
        monkeypatch.setattr(arrivals, name, value)
    out = io.StringIO()
    source = Arrivals(Paced(STREAM, chunk(0), 0.6, chunk(1)))
    drive(source, Monitor(STREAM, model), [ConsoleReporter(KINDS, out=out)])
    assert "*** ALARM *** No signal, since 00:00:01.0" in out.getvalue()
    lasted = out.getvalue().split("*** over  *** No signal, ")[1].split(" s")[0]
    assert 0.4 < float(lasted) < 3


def test_what_is_sent_live_is_taken_as_it_arrives_and_a_record_waits():
    assert isinstance(open_source(str(DEMO)), Replay)
    with closing(TcpFeed(0)) as free:
        port = free.port

    def send():
        time.sleep(0.3)
        with socket.create_connection((HOST, port)) as sender:
            sender.sendall(header_line(STREAM) + b"0,1\n")

    threading.Thread(target=send).start()
    with closing(open_source(f"tcp:{port}")) as source:
        assert isinstance(source, Arrivals)
        assert source.stream == STREAM
        items = source.chunks()
        assert isinstance(next(items), StreamChunk)
        source.close()
        assert [item for item in items if isinstance(item, StreamChunk)] == []
