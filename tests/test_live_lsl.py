"""The Lab Streaming Layer: how a stream is found, how it is described, and what happens when it is lost."""

import os
import sys
import threading
import time

import numpy as np
import pytest
from support.stand_ins import Info, Lsl

from ecg_core.errors import LiveError
from ecg_core.live import lsl
from ecg_core.live.lsl import LslSource, lsl_outlet
from ecg_core.live.stream import Notice, Stream, StreamChunk

FS_HZ = 250.0
N = 25  # samples a pull


@pytest.fixture
def opened(monkeypatch):
    """Open a source among the streams of the first round; later searches find the later rounds."""

    def open_(name, *rounds):
        layer = Lsl(*rounds)
        monkeypatch.setattr(lsl, "_library", lambda: layer)
        monkeypatch.setattr(lsl, "time", layer.clock)
        source = LslSource(name)
        layer.at_end = source.close
        return source

    return open_


def pulls(first, n, *, leads=2, gain=1.0):
    """Pulls of samples whose values are their numbers, stamped by an even clock."""
    return [
        (np.full((leads, N), gain) * np.arange(at, at + N)).T.astype(np.float32).copy() for at in range(first, n, N)
    ]


def script(first, last, **options):
    stamps = [np.arange(at, at + N) / FS_HZ for at in range(first, last, N)]
    return list(zip(pulls(first, last, **options), stamps, strict=True))


def received(source):
    """Indices and values of all samples, and the notices."""
    items = list(source.chunks())
    chunks = [item for item in items if isinstance(item, StreamChunk)]
    index = np.concatenate([np.arange(c.first, c.first + c.signal_mv.shape[1]) for c in chunks])
    return index, np.concatenate([c.signal_mv for c in chunks], axis=1), [i for i in items if isinstance(i, Notice)]


# How a stream is found


def test_a_stream_is_found_by_its_name(opened):
    assert opened("belt", [Info("other"), Info()]).stream == Stream("belt", FS_HZ, ("I", "II"))


def test_streams_of_the_same_name_are_listed_with_how_to_choose_one(opened):
    two = [Info(source_id_="a1", host="ward"), Info(source_id_="b2", host="lab")]
    with pytest.raises(LiveError, match="2 streams are called belt: lsl:belt@a1 on ward, lsl:belt@b2 on lab") as error:
        opened("belt", two)
    assert "lsl:NAME@SOURCE_ID" in str(error.value)
    assert opened("belt@b2", two)._info is two[1]


def test_a_missing_stream_is_reported_with_those_that_were_found(opened):
    with pytest.raises(LiveError, match=r"was found within 5 s \(found instead: lsl:other@one on ward\)"):
        opened("belt", [Info("other")])
    with pytest.raises(LiveError, match="there are no streams at all"):
        opened("belt", [])


def test_a_layer_that_is_not_installed_is_reported_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(LiveError, match="install pylsl"):
        LslSource("belt")


# How it is described


@pytest.mark.parametrize(
    ("unit", "scale", "known"),
    [
        ("mV", 1, True), ("microvolts", 1e-3, True), ("uV", 1e-3, True), ("\u00b5V", 1e-3, True), ("V", 1e3, True),
        (None, 1 / 200, False), ("counts", 1 / 200, False),
    ],
)  # fmt: skip
def test_units_come_from_the_description_and_are_a_guess_where_it_has_none(opened, unit, scale, known):
    source = opened("belt", [Info(unit=unit, script=script(0, 100))])
    assert source.stream.calibrated is known
    _, signal, _ = received(source)
    assert np.allclose(signal[1], np.arange(100) * scale)


def test_leads_without_names_and_of_the_same_name_get_distinct_names(opened):
    assert opened("belt", [Info(labels=("", "V1", "v1"))]).stream.lead_names == ("lead 1", "V1", "v1 (2)")


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (Info(fs_hz=0.0), "no fixed sampling rate"),
        (Info(fs_hz=10.0), "10 Hz, expected 50 to 10000 Hz"),
        (Info(form="string"), "sends text"),
    ],
)
def test_a_stream_that_is_no_ecg_is_refused(opened, info, reason):
    with pytest.raises(LiveError, match=reason):
        opened("belt", [info])


def test_missing_and_infinite_samples_are_passed_on_as_missing(opened):
    (values, stamps), *rest = script(0, 100)
    values[3:5, 1] = np.nan, np.inf
    _, signal, _ = received(opened("belt", [Info(script=[(values, stamps), *rest])]))
    assert np.isnan(signal).nonzero()[1].tolist() == [3, 4]


# What happens to it


def test_a_drop_out_becomes_a_gap_without_a_notice_of_the_source(opened):
    index, signal, notices = received(opened("belt", [Info(script=script(0, 500) + script(1500, 2000))]))
    assert (index == signal[0]).all()
    assert notices == []


def test_a_lost_stream_is_waited_for_and_goes_on_with_a_gap(opened):
    came_back = Info(script=script(2500, 3000))
    source = opened("belt", [Info(script=[*script(0, 500), "lost"])], [], [Info(source_id_="two")], [came_back])
    index, signal, notices = received(source)
    assert (index == signal[0]).all()
    assert [notice.text for notice in notices] == [
        "belt is silent; waiting for belt@one to come back",
        "belt is back",
    ]
    assert notices[0].time_s == 2.0


def test_a_stream_that_was_silent_goes_on_over_the_same_connection(opened):
    info = Info(script=[*script(0, 500), *[None] * 40, *script(500, 1000)])
    index, _, notices = received(opened("belt", [info]))
    assert (index == np.arange(1000)).all()
    assert len(notices) == 2


def test_leads_that_changed_are_mapped_by_name_and_reported(opened):
    came_back = Info(labels=("V1", "ii"), script=script(1000, 1500, gain=2))
    _, signal, notices = received(opened("belt", [Info(script=[*script(0, 500), "lost"])], [came_back]))
    assert np.isnan(signal[0, 500:]).all()
    assert (signal[1, 500:] == 2 * np.arange(1000, 1500)).all()
    assert "belt came back without I and with V1, which is ignored" in [notice.text for notice in notices]


def test_another_rate_ends_the_stream_with_a_sentence(opened):
    source = opened("belt", [Info(script=[*script(0, 500), "lost"])], [Info(fs_hz=500.0, script=script(0, 500))])
    items = source.chunks()
    came = [next(items) for _ in script(0, 500)]
    assert sum(item.signal_mv.shape[1] for item in came) == 500
    with pytest.raises(LiveError, match="came back with 500 Hz instead of 250 Hz"):
        list(items)


def test_close_ends_the_wait_for_a_lost_stream(opened):
    source = opened("belt", [Info(script=["lost"])], [])
    chunks = source.chunks()
    next(chunks)
    source.close()
    assert list(chunks) == []


# The real layer, on this machine


@pytest.fixture(scope="module")
def real():
    try:
        pylsl = lsl._library()
    except LiveError as error:
        pytest.skip(str(error))
    pylsl.set_config_content("[multicast]\nResolveScope = machine\n[log]\nlevel = -3\n")
    return pylsl


def test_a_stream_sent_into_the_real_layer_arrives_unchanged(real):
    name = f"test {os.getpid()}"
    stream = Stream(name, 1000.0, ("I", "V1 \u00b5"))
    signal = np.random.default_rng(0).normal(0, 1, (2, 2000)).astype(np.float32)
    signal[1, 300:400] = np.nan

    def send():
        with lsl_outlet(stream, name) as push:
            for at in range(0, 2000, 50):
                push(StreamChunk(at, signal[:, at : at + 50]))
                time.sleep(0.005)

    sender = threading.Thread(target=send)
    sender.start()
    source = LslSource(name)
    assert source.stream == stream
    chunks = []
    for item in source.chunks():
        if isinstance(item, Notice) or (chunks.append(item) or item.first + item.signal_mv.shape[1] >= 2000):
            source.close()
    sender.join()
    assert [c.first for c in chunks] == np.cumsum([0, *(c.signal_mv.shape[1] for c in chunks)])[:-1].tolist()
    assert np.array_equal(np.concatenate([c.signal_mv for c in chunks], axis=1), signal, equal_nan=True)
