"""Timestamp alignment: jitter and drift make no gap, a drop-out makes one, and no sample is lost."""

import numpy as np
import pytest

from ecg_core.live.alignment import MAX_GAP_S, NumberClock, StampClock

FS_HZ = 250.0


def aligned(number, stamp_s, *, pull=25, fs_hz=FS_HZ):
    """Index of each sample, which arrive in pulls; the signal is the number of each sample, to recognise it by."""
    clock, index = StampClock(fs_hz, 1), {}
    pulls = [slice(start, start + pull) for start in range(0, len(number), pull)]
    chunks = [
        chunk
        for part in pulls
        for chunk in clock.push(number[part][None].astype(np.float32), stamp_s[part], float(stamp_s[part][-1]))
    ]
    for chunk in [*chunks, *clock.flush()]:
        for offset, value in enumerate(chunk.signal_mv[0].tolist()):
            assert value not in index
            index[value] = chunk.first + offset
    assert sorted(index) == number.tolist()
    return np.array([index[value] for value in number.tolist()])


def test_samples_with_even_stamps_count_on():
    number = np.arange(2000)
    assert (aligned(number, 5000 + number / FS_HZ) == number).all()


@pytest.mark.parametrize("pull", [1, 25, 400])
def test_jitter_of_stamps_makes_no_gap(pull):
    rng, number = np.random.default_rng(1), np.arange(5000)
    jitter_s = np.repeat(rng.normal(0, 0.02, 200).clip(-0.05, 0.05), 25)  # of each packet
    assert (aligned(number, number / FS_HZ + jitter_s, pull=pull) == number).all()


@pytest.mark.parametrize("rate", [0.995, 1.005])
def test_a_clock_that_drifts_by_more_than_any_in_a_day_makes_no_gap(rate):
    number = np.arange(round(1200 * 50.0))  # 20 minutes, at the end of which the clock is 6 s off
    assert (aligned(number, number / 50.0 * rate, pull=5, fs_hz=50.0) == number).all()


@pytest.mark.parametrize("lost_s", [0.2, 1.0, 3000.0])
def test_a_drop_out_becomes_a_gap_of_its_length(lost_s):
    rng, lost = np.random.default_rng(2), round(lost_s * FS_HZ)
    number = np.concatenate((np.arange(3000), np.arange(3000 + lost, 6000 + lost)))
    jitter_s = np.repeat(rng.normal(0, 0.005, 240), 25)
    index = aligned(number, number / FS_HZ + jitter_s)
    assert (index[:3000] == number[:3000]).all()
    assert np.abs(index[3000:] - number[3000:]).max() <= 0.03 * FS_HZ
    assert (np.diff(index[3000:]) == 1).all()


def test_two_drop_outs_within_one_pull_are_two_gaps():
    number = np.concatenate((np.arange(500), np.arange(1000, 1500), np.arange(3000, 3500)))
    assert (aligned(number, number / FS_HZ, pull=1500) == number).all()


def test_samples_that_were_only_late_make_no_gap():
    number = np.arange(3000)
    stamp_s = number / FS_HZ
    stamp_s[1000:1500] = stamp_s[1499]  # two seconds of silence, then all of it at once
    assert (aligned(number, stamp_s) == number).all()


def test_samples_held_back_when_the_stream_ends_are_not_lost():
    number = np.concatenate((np.arange(500), np.arange(1000, 1010)))
    assert (aligned(number, number / FS_HZ) == number).all()


@pytest.mark.parametrize("step_s", [-1e6, -50.0, 1e9])
def test_a_clock_that_is_reset_makes_no_gap(step_s):
    number = np.arange(2000)
    index = aligned(number, number / FS_HZ + np.where(number < 1000, 0, step_s))
    assert (index[:1000] == number[:1000]).all()
    assert (np.diff(index) >= 1).all()


def test_a_clock_that_is_reset_during_a_wait_makes_a_gap_of_the_wait():
    clock = StampClock(FS_HZ, 1)
    signal, stamp_s = np.zeros((1, 250), dtype=np.float32), np.arange(250) / FS_HZ
    assert [chunk.first for chunk in clock.push(signal, stamp_s + 9e5, 10.0)] == [0]
    assert [chunk.first for chunk in clock.push(signal, stamp_s, 70.0)] == [250 + 60 * 250]


# By the numbers of the sender


def numbered(*pairs, fs_hz=100.0):
    clock = NumberClock(fs_hz)
    return [clock.align(number, now_s) for number, now_s in pairs]


def test_the_first_number_begins_the_stream():
    assert numbered((7000, 1.0), (7001, 1.0)) == [0, 1]


def test_a_jump_of_the_number_is_a_gap_however_long_it_took():
    assert numbered((0, 1.0), (500, 1.0)) == [0, 500]


def test_numbers_that_come_late_or_twice_keep_their_index():
    assert numbered(*((n, 1.0) for n in (500, 501, 503, 502, 501, 504))) == [0, 1, 3, 2, 1, 4]


@pytest.mark.parametrize("again", [0, 3])
def test_a_counter_that_restarts_goes_on_by_the_wall_clock(again):
    assert numbered((0, 0.0), (500, 5.0), (again, 35.0), (again + 1, 35.0)) == [0, 500, 3501, 3502]


def test_a_counter_that_restarts_without_a_wait_makes_no_gap():
    assert numbered((0, 0.0), (500, 5.0), (0, 5.1)) == [0, 500, 501]


def test_a_single_absurd_number_makes_no_gap():
    far = round(MAX_GAP_S * 100) + 10
    assert numbered((0, 0.0), (1, 0.0), (far, 0.0), (2, 0.0), (3, 0.0)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("period", [30, 64, 100, 128])
def test_a_counter_that_wraps_early_goes_on_after_two_seconds_at_most(period):
    index = numbered(*((n % period, n / 100.0) for n in range(1200)))
    lost = max(0, 2 * period + 100) if period < 100 else 0
    new = np.diff(np.maximum.accumulate(index)) > 0
    assert new[lost:].all()
    assert index[-1] >= 1199 - lost


def test_a_counter_that_hangs_in_a_loop_goes_on_by_the_clock():
    hanging = [n if n < 1000 else 800 + n % 200 for n in range(2000)]
    index = numbered(*((number, n / 100.0) for n, number in enumerate(hanging)))
    assert index[-1] > 1400
    assert (np.diff(index[1600:]) == 1).all()


def test_packets_that_are_sent_several_times_are_no_counter_that_wraps():
    """Each tenth of a second four times, and half a minute later the last five seconds again, in one go."""
    packets = [range(10 * k, 10 * k + 10) for k in range(300) for _ in range(4)]
    sent = [(n, packet[0] / 100.0) for packet in packets for n in packet]
    again = [(n, 30.0) for _ in range(4) for n in range(2500, 3000)]
    assert numbered(*sent, *again, (3000, 30.0)) == [n for n, _ in (*sent, *again)] + [3000]
