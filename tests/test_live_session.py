"""A watch in its own thread: it ends, it tells, it keeps little, and no one sees another's."""

import threading
import time

import numpy as np
import pytest
from support.records import in_memory

from ecg_core.classifier.spec import DEFAULT_MODEL
from ecg_core.errors import LiveError
from ecg_core.live.lines import LineSource, TcpFeed
from ecg_core.live.replay import Replay
from ecg_core.live.session import ENDED, KEPT_S, MARK, RUNNING, WAITING, LiveSession
from ecg_core.live.stream import Chunk, Stream
from ecg_core.records import read_record
from ecg_core.rules import RhythmRules

FS_HZ = 257
WAIT_S = 60


class LabelBudget:
    """A source that sends what it was told."""

    def __init__(self, stream, items, *, error=None):
        self.stream, self._items, self._error, self.closed = stream, items, error, threading.Event()

    def chunks(self):
        yield from self._items
        if self._error:
            raise self._error

    def close(self):
        self.closed.set()


def watch(source, **options):
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
    view = ended(watch(Replay(part, speed=np.inf)))
    assert (view.state, view.problem) == (ENDED, "")
    np.testing.assert_array_equal(view.signal_mv, part.source.read(0, part.n_samples, (0,)))
    assert sum(view.count.values()) == len(view.beats) == len(view.attention.weight) > 30
    assert view.until_s == view.end_s == pytest.approx(40, abs=0.01)


def test_the_last_seconds_alone_can_be_asked_for(part):
    live = watch(Replay(part, speed=np.inf))
    ended(live)
    view = live.view(5)
    assert view.first / FS_HZ == pytest.approx(35, abs=0.2)
    assert view.beats.time_s[0] > 34
    assert 0 < len(view.beats) < 12


def test_what_it_keeps_is_bounded(part):
    """Gaps of ten minutes age what was there, without their being watched sample by sample."""
    signal = part.source.read(0, part.n_samples, (0,))
    gap = int(KEPT_S * FS_HZ) + 1
    chunks = [Chunk(0, signal), Chunk(gap + signal.shape[1], signal[:, :1000])]
    live = watch(LabelBudget(Stream("x", FS_HZ, ("II",)), chunks))
    view = ended(live)
    assert view.first > signal.shape[1]
    assert view.beats.time_s[0] > 37  # what came with the chunk before is gone
    assert any("did not come" in said.text for said in view.log)


def test_it_can_be_stopped_while_it_runs(part):
    live = watch(Replay(part, speed=1.0))
    while live.view().state == WAITING:
        time.sleep(0.01)
    assert live.view().state == RUNNING
    live.stop()
    assert ended(live).problem == ""


def test_it_can_be_stopped_while_it_waits_for_a_sender():
    live = watch(lambda closed: LineSource(TcpFeed(0), closed))
    assert live.view().state == WAITING
    live.stop()
    view = ended(live)
    assert (view.problem, view.stream) == ("", None)


def test_an_error_of_the_source_is_told_in_its_sentence(part):
    def refuse(closed):
        raise LiveError("lsl:x: no such stream was found.")

    assert ended(watch(refuse)).problem == "lsl:x: no such stream was found."
    broken = LabelBudget(Stream("x", FS_HZ, ("II",)), [], error=LiveError("x: another rate."))
    assert ended(watch(broken)).problem == "x: another rate."
    assert broken.closed.is_set()


def test_a_recording_holds_what_was_watched_and_says_that_it_is_simulated(demo, tmp_path):
    source = Replay(demo, speed=np.inf, start_s=demo.duration_s - 20)
    view = ended(watch(source, folder=tmp_path, lead="II"))
    record = read_record(view.recording)
    assert record.duration_s == pytest.approx(20, abs=0.1)
    assert record.lead_names == demo.lead_names
    assert record.is_simulated
    assert (tmp_path / f"{view.recording.name}_beats.csv").read_text().count("\n") == 1 + len(view.beats)


def test_marks_stand_in_the_list_and_alarms_get_their_end(part):
    signal = part.source.read(0, part.n_samples, (0,)).copy()
    signal[:, 15 * FS_HZ : 25 * FS_HZ] = np.nan
    live = watch(LabelBudget(Stream("x", FS_HZ, ("II",)), [Chunk(0, signal)]))
    live.mark(12.5, "coffee")
    log = ended(live).log
    assert [(said.start_s, said.text) for said in log if said.kind == MARK] == [(12.5, "coffee")]
    (off,) = [said for said in log if said.kind == "leads_off"]
    assert off.end_s is not None


def test_two_watches_share_nothing(excerpt):
    one = watch(Replay(in_memory(excerpt[: 20 * FS_HZ], FS_HZ), speed=np.inf))
    other = watch(Replay(in_memory(excerpt[20 * FS_HZ : 50 * FS_HZ], FS_HZ), speed=np.inf))
    one.mark(1, "mine")
    a, b = ended(one), ended(other)
    assert (a.end_s, b.end_s) == (pytest.approx(20, abs=0.1), pytest.approx(30, abs=0.1))
    assert not [said for said in b.log if said.kind == MARK]
