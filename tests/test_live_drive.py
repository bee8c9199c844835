"""The loop of a live stream: all that it opened is closed, whatever raises, and the first error is the one reported."""

import io

import numpy as np
import pytest
from support.stand_ins import Engine, ListSource

from ecg_core.live.console import ConsoleReporter
from ecg_core.live.drive import Sink, drive
from ecg_core.live.recording import Recording
from ecg_core.live.stream import Notice, Stream, StreamChunk
from ecg_core.records import read_record

STREAM = Stream("belt", 250.0, ("I",))
CHUNK = StreamChunk(0, np.ones((1, 1400), dtype=np.float32))


class Keeper(Sink):
    """Keeps what it gets; ``fails`` names the methods that raise."""

    def __init__(self, *fails):
        self.fails, self.calls, self.notices = fails, [], []

    def call(self, name):
        self.calls.append(name)
        if name in self.fails:
            raise RuntimeError(f"{name} failed")
        return ()

    def write_chunk(self, chunk):
        return self.call("write_chunk")

    def write_update(self, update):
        return self.call("write_update")

    def write_notice(self, notice):
        self.notices.append(notice.text)

    def close(self):
        return self.call("close")


class FailingEngine(Engine):
    """Raises when it is closed, and on a chunk if it shall."""

    def __init__(self, *, push=False):
        super().__init__(STREAM.fs_hz)
        self.fails = push

    def push(self, chunk):
        if self.fails:
            raise ValueError("push failed")
        return super().push(chunk)

    def close(self):
        self.closed = True
        raise ValueError("close failed")


def test_a_recording_is_closed_when_the_engine_fails_to_close(tmp_path):
    source, engine, recording = ListSource(STREAM, CHUNK), FailingEngine(), Recording(tmp_path, STREAM)
    with pytest.raises(ValueError, match="close failed"):
        drive(source, engine, [recording, ConsoleReporter({}, out=io.StringIO())])
    assert source.closed
    record = read_record(tmp_path / "belt")
    assert record.n_samples == 1400
    assert record.start is not None  # as the header of a finished recording states it
    assert (tmp_path / "belt_beats.csv").read_text().count("\n") == 1 + 5


@pytest.mark.parametrize(
    ("items", "engine", "sink", "first"),
    [
        ([OSError("cable pulled")], FailingEngine(), Keeper("close"), "cable pulled"),
        ([CHUNK], FailingEngine(push=True), Keeper("close"), "push failed"),
        ([CHUNK], FailingEngine(), Keeper("write_update", "close"), "write_update failed"),
        ([CHUNK], FailingEngine(), Keeper("close"), "close failed"),
        ([], Engine(STREAM.fs_hz), Keeper("write_update", "close"), "write_update failed"),
    ],
)
def test_of_several_errors_the_first_is_raised_and_everything_is_closed(items, engine, sink, first):
    source, other = ListSource(STREAM, *items), Keeper()
    with pytest.raises((OSError, ValueError, RuntimeError), match=first) as error:
        drive(source, engine, [sink, other])
    assert str(error.value) == first
    assert error.value.__notes__  # the later errors
    assert source.closed
    assert engine.closed
    assert sink.calls[-1] == other.calls[-1] == "close"


def test_every_sink_gets_the_last_update_even_if_another_fails():
    sinks = [Keeper("write_update"), Keeper()]
    with pytest.raises(RuntimeError, match="write_update failed"):
        drive(ListSource(STREAM), Engine(STREAM.fs_hz), sinks)
    assert [sink.calls for sink in sinks] == [["write_update", "close"]] * 2


def test_a_second_interruption_of_the_user_still_closes_the_sinks():
    class Interrupted(ListSource):
        def chunks(self):
            raise KeyboardInterrupt
            yield

    keeper = Keeper()
    with pytest.raises(KeyboardInterrupt):
        drive(Interrupted(STREAM), Engine(STREAM.fs_hz), [keeper])
    assert keeper.calls == ["write_update", "close"]


def test_a_chunk_that_the_engine_refuses_reaches_no_sink():
    keeper = Keeper()
    with pytest.raises(ValueError, match="push failed"):
        drive(ListSource(STREAM, CHUNK), FailingEngine(push=True), [keeper])
    assert "write_chunk" not in keeper.calls


def test_notices_of_the_source_and_of_each_sink_reach_all_sinks():
    class Full(Keeper):
        def write_chunk(self, chunk):
            return (Notice(1.0, "disk full"),)

        def close(self):
            return (Notice(2.0, "not finished"),)

    sinks = [Full(), Keeper()]
    drive(ListSource(STREAM, CHUNK, Notice(0.0, "sender lost")), Engine(STREAM.fs_hz), sinks)
    assert sinks[0].notices == ["disk full", "sender lost"]
    assert sinks[1].notices == ["disk full", "sender lost", "not finished"]
