"""Streams whose every line is damaged: nothing crashes or fills memory or disk, and after it the time is right."""

import random
import socket
import threading
import time
import tracemalloc
from contextlib import closing

import numpy as np
import pytest
from support.stand_ins import Engine

from ecg_core.live.alignment import JUMP_S, MIN_WAIT_S
from ecg_core.live.arrivals import Arrivals
from ecg_core.live.drive import drive
from ecg_core.live.line_format import LineReader
from ecg_core.live.lines import HOST, LineSource, TcpFeed
from ecg_core.live.recent import KEPT_LOG_ENTRIES, RUNNING, RecentStream
from ecg_core.live.recording import Recording
from ecg_core.live.signal_files import FREE_GAP_BYTES
from ecg_core.live.stream import StreamChunk
from ecg_core.records import read_record

FS_HZ, N_LINES, N_WHOLE = 250, 10_000, 500
HEADER = b'{"name": "belt", "fs_hz": 250, "leads": ["I", "II"], "unit": "mV"}\n'
FIRST = 123_000  # the number of the first sample
# What a byte becomes: anything, or what a line is made of, which is harder to recognise.
ALPHABETS = {
    "any byte": bytes(range(256)),
    "of a line": b"0123456789,.-\n",
    "digits": b"0123456789",
    "of other lines": b'{#"\n,0_e',
}


def line_of(number):
    return b"%d,%.3f,%.3f\n" % (number, number % 997 / 500, -(number % 997) / 500)


def damaged(line, alphabet, rng):
    """A line with one to three damaged bytes, the last of which ends it unless that one is damaged."""
    line = bytearray(line)
    for at in rng.sample(range(len(line)), rng.randint(1, 3)):
        line[at] = rng.choice(alphabet)
    return bytes(line)


def stream_of(alphabet, seed, *, lost=0, restart=False):
    """Lines as they come: number of the sample they were sent for, its bytes; whole ones, damaged ones, whole ones."""
    rng = random.Random(seed)  # noqa: S311
    whole = N_WHOLE + N_LINES
    for n in range(whole + N_WHOLE):
        at = n + (lost if n >= whole // 2 else 0)
        number = n - whole // 2 if restart and n >= whole // 2 else FIRST + at
        line = line_of(number)
        yield at, damaged(line, alphabet, rng) if N_WHOLE <= n < whole else line


def places(items):
    return [
        n
        for item in items
        if isinstance(item, StreamChunk)
        for n in range(item.first, item.first + item.signal_mv.shape[1])
    ]


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("lost", [0, 40 * FS_HZ], ids=["", "gap"])
def test_after_ten_thousand_damaged_lines_every_sample_is_at_its_time_again(alphabet, lost):
    reader, ahead = LineReader(), 0
    list(reader.feed(HEADER, 0.0))
    for at, line in stream_of(ALPHABETS[alphabet], 1, lost=lost):
        found = places(reader.feed(line, at / FS_HZ))
        ahead = max(ahead, max(found, default=0) - at)
    found += places(reader.end(at / FS_HZ))
    assert found[-10:] == list(range(at - 9, at + 1))
    assert ahead <= JUMP_S * FS_HZ  # no damaged number moves the time ahead for longer than that


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_counter_that_restarts_among_damaged_lines_is_right_to_the_shortest_wait_that_is_a_gap(alphabet):
    reader = LineReader()
    list(reader.feed(HEADER, 0.0))
    for at, line in stream_of(ALPHABETS[alphabet], 2, restart=True):
        list(reader.feed(line, at / FS_HZ))
    found = places(reader.end(at / FS_HZ))
    assert abs(found[-1] - at) <= (MIN_WAIT_S + JUMP_S) * FS_HZ


@pytest.mark.parametrize("alphabet", ["of a line"])
def test_what_is_kept_of_damaged_lines_is_bounded_in_memory_and_on_disk(alphabet, tmp_path):
    reader, recent, n_bytes = LineReader(), RecentStream(), 0
    list(reader.feed(HEADER, 0.0))
    recent.begin(reader.stream)
    tracemalloc.start()
    with closing(Recording(tmp_path, reader.stream)) as recording:
        for at, line in stream_of(ALPHABETS[alphabet], 3, lost=3000 * FS_HZ):
            n_bytes += len(line)
            for item in reader.feed(line, at / FS_HZ):
                if isinstance(item, StreamChunk):
                    assert recording.write_chunk(item) == ()
                    recent.write_chunk(item)
                else:
                    recent.write_notice(item)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20e6
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < n_bytes + 2 * FREE_GAP_BYTES
    assert len(recent.view(0, state=RUNNING, problem="", lag_s=0.0, recording=None).log) <= KEPT_LOG_ENTRIES
    record = read_record(tmp_path / "belt")
    assert 0 <= at + 1 - record.n_samples < 0.2 * FS_HZ  # the last chunk was not released
    check_end(record, 100)


def check_end(record, n):
    """The last samples of a recording are those of the whole lines, at their times."""
    got = record.source.read(record.n_samples - n, record.n_samples, (0, 1))
    wanted = (np.arange(record.n_samples - n, record.n_samples) + FIRST) % 997 / 500
    np.testing.assert_allclose(got, [wanted, -wanted], atol=0.001)


@pytest.mark.parametrize("seed", [1, 2])
def test_bytes_that_are_no_stream_at_all_do_no_harm(seed):
    rng, reader = random.Random(seed), LineReader()  # noqa: S311
    list(reader.feed(HEADER, 0.0))
    for number in range(2000):
        list(reader.feed(rng.randbytes(rng.randint(1, 300)), number / 10))
    end = places(reader.feed(b"".join(b"\n" + line_of(FIRST + n) for n in range(N_WHOLE)), 300.0))
    assert np.all(np.diff(end[10:]) == 1)


def test_a_sender_of_damaged_lines_is_monitored_and_recorded_to_its_end(tmp_path):
    """Through a port, as it is: the parser in its thread, the queue, the loop and the files."""
    text = HEADER + b"".join(
        line for at, line in stream_of(ALPHABETS["of a line"], 5) if not N_WHOLE + 1500 <= at < N_WHOLE + N_LINES
    )
    feed = TcpFeed(0)

    def send():
        with socket.create_connection((HOST, feed.port)) as sender:
            for at in range(0, len(text), 777):
                sender.sendall(text[at : at + 777])
            sender.shutdown(socket.SHUT_WR)
            sender.recv(1)

    sender = threading.Thread(target=send)
    sender.start()
    source = Arrivals(LineSource(feed))
    recording, recent = Recording(tmp_path, source.stream), RecentStream()
    recent.begin(source.stream)
    threading.Timer(3.0, source.close).start()
    began_s = time.monotonic()
    drive(source, Engine(FS_HZ), [recording, recent])
    sender.join()
    assert time.monotonic() - began_s < 20
    record = read_record(tmp_path / "belt")
    assert record.n_samples == N_LINES + 2 * N_WHOLE
    check_end(record, 400)
