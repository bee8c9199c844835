"""A record as a stream: complete, read in blocks, on time."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from support.records import in_memory
from support.stand_ins import Clock

from ecg_core.errors import LiveError
from ecg_core.live import replay
from ecg_core.live.replay import READ_S, Replay

FS_HZ = 100.0


@pytest.fixture
def record():
    signal = np.random.default_rng(0).normal(0, 1, (2, 15_012)).astype(np.float32)
    return in_memory(signal, FS_HZ, lead_names=("I", "II"))


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(replay, "time", clock)
    return clock


def test_the_chunks_in_a_row_are_the_record(record):
    chunks = list(Replay(record, speed=np.inf).chunks())
    assert np.array_equal(np.concatenate([c.signal_mv for c in chunks], axis=1), record.source.signal_mv)
    ends = np.cumsum([c.signal_mv.shape[1] for c in chunks])
    assert [c.first for c in chunks] == [0, *ends[:-1].tolist()]
    assert {c.signal_mv.shape[1] for c in chunks[:-1]} == {10}


def test_a_later_start_begins_the_stream(record):
    first = next(iter(Replay(record, speed=np.inf, start_s=3.0).chunks()))
    assert first.first == 0
    assert np.array_equal(first.signal_mv, record.source.signal_mv[:, 300:310])


def test_the_record_is_never_read_at_once(record):
    sizes = []

    class Source:
        def read(self, start, stop, leads):
            sizes.append(stop - start)
            return record.source.read(start, stop, leads)

    list(Replay(replace(record, source=Source()), speed=np.inf, chunk_s=0.07).chunks())
    assert max(sizes) <= READ_S * FS_HZ * 1.01
    assert sum(sizes) == record.n_samples


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
def test_chunks_come_when_their_last_sample_is_due_and_no_delay_adds_up(record, clock, speed):
    source = Replay(record, speed=speed)
    source._closed.wait = clock.wait
    began_s = clock.now_s
    for chunk in source.chunks():
        due_s = began_s + (chunk.first + chunk.signal_mv.shape[1]) / FS_HZ / speed
        assert clock.now_s == pytest.approx(due_s, abs=1e-6)
        clock.now_s += 0.015 / speed  # that the consumer takes


def test_a_consumer_that_was_late_catches_up(record, clock):
    source = Replay(record)
    source._closed.wait = clock.wait
    chunks, began_s = source.chunks(), clock.now_s
    next(chunks)
    clock.now_s += 5.0
    for _ in range(100):
        next(chunks)
    assert clock.now_s - began_s == pytest.approx(101 * 0.1)


def test_real_time_takes_its_time_and_close_ends_it_at_once(record):
    source, began_s = Replay(record), time.monotonic()
    threading.Timer(0.25, source.close).start()
    n = len(list(source.chunks()))
    assert n in (1, 2)
    assert time.monotonic() - began_s < 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"speed": 0}, "expected a number above 0"),
        ({"speed": -1}, "expected a number above 0"),
        ({"speed": np.nan}, "expected a number above 0"),
        ({"start_s": 151}, "the record is 150 s long"),
        ({"start_s": -1}, "the start is -1 s"),
    ],
)
def test_what_cannot_be_replayed_is_refused(record, options, reason):
    with pytest.raises(LiveError, match=reason):
        Replay(record, **options)
