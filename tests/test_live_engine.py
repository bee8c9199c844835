"""The monitor: its results do not depend on how the stream was cut, come in time, and nothing is invented in gaps."""

import time
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly
from support.af_model import finding_af, without_af
from support.records import in_memory

from ecg_core.errors import LeadError, LiveError
from ecg_core.evaluation.matching import match_beats
from ecg_core.live import amplitude, window
from ecg_core.live.alarm_lines import KINDS
from ecg_core.live.engine import Monitor
from ecg_core.live.stream import Stream, StreamChunk, merge_updates
from ecg_core.live.window import simple_ratio
from ecg_core.pipeline import analyse
from ecg_core.schema import Beats

FS_HZ = 257
RUN = slice(0, 40 * FS_HZ)  # of the excerpt


def watch(signal_mv, model, *, fs_hz=FS_HZ, cuts=None, firsts=None, lead_names=("II",), **options):
    """The updates of a signal, cut at samples; ``firsts`` are the numbers that the chunks claim."""
    signal_mv = np.atleast_2d(signal_mv).astype(np.float32)
    monitor = Monitor(Stream("test", fs_hz, lead_names), model, **options)
    n = signal_mv.shape[1]
    cuts = list(range(0, n, int(fs_hz))) if cuts is None else sorted({0, *cuts})
    parts = [signal_mv[:, a:b] for a, b in zip(cuts, [*cuts[1:], n], strict=True)]
    updates = [monitor.push(StreamChunk(first, part)) for first, part in zip(firsts or cuts, parts, strict=True)]
    return [*updates, monitor.close()]


def joined(updates):
    """The beats of several updates."""
    return merge_updates(updates).beats


def alarms(updates):
    return [alarm for update in updates for alarm in update.alarms]


def notices(updates):
    return [notice.text for update in updates for notice in update.notices]


def assert_same(updates, others):
    a, b = joined(updates), joined(others)
    for item in fields(Beats):
        np.testing.assert_array_equal(getattr(a, item.name), getattr(b, item.name), err_msg=item.name)
    np.testing.assert_array_equal(
        np.concatenate([u.attention.weight for u in updates]), np.concatenate([u.attention.weight for u in others])
    )
    assert alarms(updates) == alarms(others)


@pytest.fixture(scope="module")
def known(excerpt, model):
    """The first part, second by second."""
    return watch(excerpt[RUN], model)


@given(cuts=st.lists(st.integers(1, RUN.stop - 1), max_size=60))
@settings(max_examples=5)
def test_the_result_does_not_depend_on_how_the_stream_was_cut(cuts, known, excerpt, model):
    assert_same(watch(excerpt[RUN], model, cuts=cuts), known)


def test_single_samples_give_the_same_too(excerpt, model):
    few = excerpt[: 6 * FS_HZ]
    assert_same(watch(few, model, cuts=range(len(few))), watch(few, model))


def test_with_a_full_horizon_the_beats_are_those_of_the_whole_recording(excerpt, model):
    part = excerpt[: 150 * FS_HZ]
    live = joined(watch(part, model, horizon_s=30))
    whole = analyse(in_memory(part, FS_HZ), model).beats
    program, _ = match_beats(whole.time_s, live.time_s)
    same = [at >= 0 and live.label[at] == label for at, label in zip(program, whole.label, strict=True)]
    assert np.mean(same) >= 0.99
    assert len(live) == len(whole)


def test_a_model_that_does_not_find_fibrillation_gives_no_probability_of_it(excerpt, model):
    assert joined(watch(excerpt[: 30 * FS_HZ], without_af(model))).af_probability is None


@pytest.mark.parametrize("n_leads", [1, 2])
def test_the_probability_of_fibrillation_comes_with_the_beats_however_the_stream_was_cut(excerpt, model, n_leads):
    part, finding = np.stack([excerpt[: 30 * FS_HZ], 0.5 * excerpt[: 30 * FS_HZ]])[:n_leads], finding_af(model)
    names = ("II", "V1")[:n_leads]
    updates = watch(part, finding, lead_names=names)
    beats = joined(updates)
    assert beats.af_probability.shape == (len(beats),)
    assert ((beats.af_probability > 0) & (beats.af_probability < 1)).all()
    assert_same(watch(part, finding, lead_names=names, cuts=[1000, 1001, 4000]), updates)


def test_with_a_full_horizon_the_probability_of_fibrillation_is_that_of_the_recording(excerpt, model):
    part, finding = excerpt[: 90 * FS_HZ], finding_af(model)
    live, whole = joined(watch(part, finding, horizon_s=30)), analyse(in_memory(part, FS_HZ), finding).beats
    program, pair = match_beats(whole.time_s, live.time_s)
    away = np.abs(live.af_probability[pair] - whole.af_probability[program])
    assert np.median(away) < 0.1 * np.ptp(whole.af_probability)


@pytest.mark.parametrize(("raised", "raises"), [(8.0, True), (-8.0, False)])
def test_the_alarm_of_atrial_fibrillation_follows_the_network(excerpt, model, raised, raises):
    updates = watch(excerpt[: 60 * FS_HZ], finding_af(model, raised=raised))
    assert ("af" in {alarm.kind for alarm in alarms(updates)}) == raises


@pytest.mark.parametrize("horizon_s", [0.5, 2.0])
def test_no_beat_waits_longer_than_the_horizon(excerpt, model, horizon_s):
    step = FS_HZ // 20
    part = excerpt[: 20 * FS_HZ]
    cuts = range(0, len(part), step)
    updates = watch(part, model, cuts=cuts, horizon_s=horizon_s)[:-1]
    waited_s = [
        (end + step) / FS_HZ - time_s
        for end, update in zip(cuts, updates, strict=True)
        for time_s in update.beats.time_s
    ]
    assert len(waited_s) > 15
    assert max(waited_s) <= horizon_s + step / FS_HZ


@pytest.mark.parametrize("fs_hz", [128, 360, 500, 1000 / 3])
def test_the_rate_of_the_stream_does_not_move_the_beats(excerpt, known, model, fs_hz):
    part = excerpt[: 30 * FS_HZ]
    n = int(30 * fs_hz)
    if fs_hz == int(fs_hz):
        other = resample_poly(part, int(fs_hz), FS_HZ, padtype="line")
    else:
        other = np.interp(np.arange(n) / fs_hz, np.arange(len(part)) / FS_HZ, part)
    beats, whole = joined(watch(other, model, fs_hz=fs_hz)), joined(known)
    known_s = whole.time_s[whole.time_s < 29]
    np.testing.assert_allclose(beats.time_s[beats.time_s < 29], known_s, atol=0.02)


@pytest.mark.parametrize("fs_hz", [125.0, 249.7, 1000 / 3, 512.033])
def test_odd_rates_get_a_simple_ratio_that_is_off_by_less_than_a_millionth(fs_hz):
    up, down = simple_ratio(fs_hz)
    assert down <= 4000
    assert fs_hz * up / down == pytest.approx(125.0, rel=1e-6)


# Gaps, repeats, and what is no signal


def test_a_gap_is_the_same_as_missing_samples_and_nothing_is_invented_in_it(excerpt, model):
    part = excerpt[: 50 * FS_HZ].copy()
    lost = slice(20 * FS_HZ, 30 * FS_HZ)
    part[lost] = np.nan
    missing = watch(part, model)
    kept = np.delete(part, np.arange(lost.start, lost.stop))
    gap = watch(kept, model, cuts=[lost.start], firsts=[0, lost.stop])
    assert_same(gap, missing)
    beats = joined(gap)
    assert not ((beats.time_s > 20) & (beats.time_s < 30)).any()
    assert np.isnan(beats.rr_s[np.searchsorted(beats.time_s, 30)])
    assert any("10.00 s" in text for text in notices(gap))
    assert [alarm.kind for alarm in alarms(gap) if alarm.end_s is None] == ["leads_off"]
    (over,) = [alarm for alarm in alarms(gap) if alarm.end_s is not None]
    assert over.kind == "leads_off"
    assert over.end_s == pytest.approx(30, abs=2.5)


def test_a_long_gap_is_analysed_in_a_moment_and_nothing_after_it_is_otherwise(excerpt, model, monkeypatch):
    cut = 20 * FS_HZ
    gaps = {"cuts": [cut], "firsts": [0, cut + 700 * FS_HZ + 3]}
    short = watch(excerpt[RUN], model, **gaps)
    with monkeypatch.context() as patched:
        patched.setattr(window, "EMPTY_S", np.inf)
        whole = watch(excerpt[RUN], model, **gaps)
    assert_same(short, whole)
    assert joined(short).time_s[-1] > 720
    began_s = time.process_time()  # on a busy machine, a moment by the clock may be long
    days = watch(excerpt[RUN], model, cuts=[cut], firsts=[0, cut + 30 * 86_400 * FS_HZ])
    assert time.process_time() - began_s < 10
    assert joined(days).time_s[-1] > 30 * 86_400


def test_what_comes_twice_or_out_of_order_is_taken_once(excerpt, known, model):
    second = FS_HZ
    monitor = Monitor(Stream("test", FS_HZ, ("II",)), model)
    part = excerpt[RUN][None]
    updates = []
    for first in range(0, part.shape[1], second):
        updates.append(monitor.push(StreamChunk(first, part[:, first : first + second])))
        again = max(0, first - 2 * second)
        updates.append(monitor.push(StreamChunk(again, part[:, again : again + second + second // 2])))
    updates.append(monitor.close())
    assert_same(updates, known)
    assert any("twice" in text for text in notices(updates))


@pytest.mark.parametrize("value", [0.0, 5.0, -32.768], ids=["zero", "constant", "saturated"])
def test_a_lead_that_does_not_move_is_off_and_has_no_beats(excerpt, model, value):
    part = excerpt[: 40 * FS_HZ].copy()
    part[15 * FS_HZ : 30 * FS_HZ] = value
    updates = watch(part, model)
    time_s = joined(updates).time_s
    assert not ((time_s > 15.2) & (time_s < 29.8)).any()
    assert "leads_off" in {alarm.kind for alarm in alarms(updates)}


def test_infinite_values_are_missing(excerpt, model):
    part = excerpt[: 20 * FS_HZ].copy()
    part[10 * FS_HZ : 11 * FS_HZ] = np.inf
    as_nan = np.where(np.isfinite(part), part, np.nan)
    assert_same(watch(part, model), watch(as_nan, model))


def test_a_lead_that_falls_off_leaves_the_other_to_go_on(demo, model):
    fs_hz = int(demo.fs_hz)
    part = demo.source.read(360 * fs_hz, 420 * fs_hz, (0, 1)).copy()
    whole = joined(watch(part, model, fs_hz=fs_hz, lead_names=("A", "B")))
    part[0, 20 * fs_hz :] = np.nan
    updates = watch(part, model, fs_hz=fs_hz, lead_names=("A", "B"))
    assert updates[-1].vitals.lead_off == (True, False)
    assert [text for text in notices(updates) if "Lead" in text] == ["Lead A is off: it is flat or missing."]
    assert not alarms(updates) or "leads_off" not in {alarm.kind for alarm in alarms(updates)}
    assert len(joined(updates)) == pytest.approx(len(whole), abs=1)


def test_only_a_lead_that_is_monitored_is_reported_as_off(excerpt, model):
    part = np.stack([excerpt[: 20 * FS_HZ]] * 2)
    part[1, 8 * FS_HZ :] = np.nan
    updates = watch(part, model, lead_names=("A", "B"), lead="b")
    assert updates[-1].vitals.lead_off == (False, True)
    updates = watch(part, model, lead_names=("A", "B"), lead="a")
    assert updates[-1].vitals.lead_off == (False, False)


def test_noise_alone_brings_no_beats_that_count(model):
    noise = np.random.default_rng(0).normal(0, 0.3, 40 * FS_HZ)
    beats = joined(watch(noise, model))
    assert not beats.usable[beats.time_s > 5].any()  # quality needs some seconds of signal
    assert not np.isin(beats.label[beats.time_s > 5], list("SV")).any()


def test_a_stream_that_ends_in_the_middle_of_a_beat_ends_well(excerpt, known, model):
    known_s = joined(known).time_s
    end_s = known_s[30] + 0.02
    beats = joined(watch(excerpt[: int(end_s * FS_HZ)], model))
    np.testing.assert_allclose(beats.time_s[:30], known_s[:30], atol=0.03)
    assert len(beats) in (30, 31)


def test_an_empty_stream_has_no_beats(model):
    monitor = Monitor(Stream("test", FS_HZ, ("II",)), model)
    monitor.push(StreamChunk(0, np.zeros((1, 0), dtype=np.float32)))
    assert len(monitor.close().beats) == 0


def test_chunks_of_other_leads_are_refused_with_a_sentence(model):
    monitor = Monitor(Stream("Holter 7", FS_HZ, ("II",)), model)
    with pytest.raises(LiveError, match="Holter 7: expected chunks of 1 lead,"):
        monitor.push(StreamChunk(0, np.zeros((3, 10), dtype=np.float32)))


def test_sample_numbers_that_jump_by_months_are_refused(model):
    monitor = Monitor(Stream("test", FS_HZ, ("II",)), model)
    with pytest.raises(LiveError, match="more than 60 days ahead"):
        monitor.push(StreamChunk(10**12, np.zeros((1, 10), dtype=np.float32)))


def test_a_horizon_out_of_range_and_an_unknown_lead_are_refused(model):
    stream = Stream("test", FS_HZ, ("II", "V5"))
    with pytest.raises(LiveError, match=r"The horizon is 0 s, expected 0.25 to 60 s"):
        Monitor(stream, model, horizon_s=0)
    with pytest.raises(LeadError, match=r"it has II, V5"):
        Monitor(stream, model, lead="V9")


# Alarms and counts


def test_runs_of_the_recording_are_announced_while_they_last_and_when_they_are_over(demo, model):
    """The simulated demo record has ventricular runs; each is announced once it has three beats."""
    fs_hz = int(demo.fs_hz)
    whole = analyse(demo, model, lead="II")
    run = next(event for event in whole.events if event.kind in ("v_run", "vt"))
    first = int((run.start_s - 40) * fs_hz)
    part = demo.source.read(first, int((run.end_s + 15) * fs_hz), (demo.lead_names.index("II"),))
    runs = [alarm for alarm in alarms(watch(part, model, fs_hz=fs_hz)) if alarm.kind in ("v_run", "vt")]
    begun = next(alarm for alarm in runs if alarm.end_s is None)
    assert begun.start_s == pytest.approx(run.start_s - first / fs_hz, abs=0.05)
    assert begun.announced_s - begun.start_s < 2 + (run.end_s - run.start_s) + 0.5
    assert runs[-1].end_s == pytest.approx(run.end_s - first / fs_hz, abs=0.05)


def without_beats(part, first_s, last_s, *, p_waves=False):
    """The signal with a stretch in which the heart stands still, but not the amplifier and perhaps not the atria."""
    part, rest = part.copy(), slice(int(first_s * FS_HZ), int(last_s * FS_HZ))
    time_s = np.arange(rest.stop - rest.start) / FS_HZ
    part[rest] = part[rest.start] + np.random.default_rng(0).normal(0, 0.004, len(time_s))
    if p_waves:
        from_p_s = (time_s + 0.4) % (60 / 70) - 0.4
        part[rest] += 0.12 * np.exp(-0.5 * (from_p_s / 0.03) ** 2)
    return part


def test_a_pause_is_announced_while_it_lasts(excerpt, model):
    part = without_beats(excerpt[: 45 * FS_HZ], 25.2, 28.9)
    begun, over = [alarm for alarm in alarms(watch(part, model)) if alarm.kind == "pause"]
    assert begun.end_s is None
    assert begun.announced_s - begun.start_s == pytest.approx(3 + 2, abs=0.5)  # the rule, and the horizon
    assert over.end_s == pytest.approx(29.2, abs=1.2)


@pytest.mark.parametrize("p_waves", [False, True], ids=["noise", "P waves"])
def test_asystole_is_raised_within_six_seconds_and_nothing_in_it_is_a_beat(excerpt, model, p_waves):
    """For longer than the minute over which amplitudes are averaged: what is left is not enlarged to beats."""
    part = np.concatenate([excerpt[: 45 * FS_HZ]] * 3)
    updates = watch(without_beats(part, 25.2, 100.2, p_waves=p_waves), model)
    last_s = max(at for at in joined(updates).time_s if at < 25.3)
    raised, over = [alarm for alarm in alarms(updates) if alarm.kind == "asystole"]
    assert raised.start_s == last_s
    assert raised.announced_s - last_s <= 6
    assert over.end_s == pytest.approx(100.7, abs=0.8)
    time_s = joined(updates).time_s
    assert not ((time_s > 25.3) & (time_s < 100.1)).any()
    assert not {"unreadable", "leads_off"} & {alarm.kind for alarm in alarms(updates)}


def test_asystole_is_raised_within_six_seconds_although_packets_are_lost(excerpt, model):
    part = without_beats(excerpt[: 36 * FS_HZ], 25.2, 36)
    for at_s in np.arange(2.0, 36.0, 3.0):
        part[int(at_s * FS_HZ) : int((at_s + 0.1) * FS_HZ)] = np.nan
    updates = watch(part, model, cuts=range(0, len(part), FS_HZ // 5))
    (raised,) = [alarm for alarm in alarms(updates) if alarm.kind == "asystole" and alarm.end_s is None]
    assert raised.announced_s - joined(updates).time_s[-1] <= 6


@pytest.mark.parametrize("gain", [0.1, 0.4])
def test_beats_of_another_amplitude_are_found_again(excerpt, model, monkeypatch, gain):
    monkeypatch.setattr(amplitude, "RELEARN_S", 10.0)  # two minutes, to be quick
    part = np.concatenate([excerpt[: 30 * FS_HZ], gain * excerpt[: 30 * FS_HZ]])
    updates = watch(part, model)
    beats = joined(updates)
    late = beats.time_s > 50
    assert late.sum() == pytest.approx(((beats.time_s > 20) & (beats.time_s < 30)).sum(), abs=1)
    assert beats.usable[late].all()
    assert "asystole" not in {alarm.kind for alarm in updates[-2].vitals.active}


def test_the_counts_are_those_of_the_beats(known):
    beats, vitals = joined(known), known[-1].vitals
    assert vitals.v_hour == vitals.v_minute == np.sum(beats.label == "V")
    assert vitals.s_hour == np.sum(beats.label == "S")
    assert vitals.rate_bpm == pytest.approx(60 / np.mean(beats.rr_s[-8:]), rel=0.01)
    assert not vitals.learning
    assert vitals.usable


def test_every_alarm_has_a_name(known):
    assert {alarm.kind for alarm in alarms(known)} <= KINDS.keys()
    assert {"v_run", "vt", "pause", "af", "leads_off"} <= KINDS.keys()


def test_a_stream_that_begins_with_a_gap_is_monitored(excerpt, model):
    signal = excerpt[: 12 * 257].copy()
    signal[:150] = np.nan
    monitor = Monitor(Stream("x", 257, ("II",)), model)
    updates = [monitor.push(StreamChunk(i, signal[None, i : i + 51])) for i in range(0, len(signal), 51)]
    assert sum(len(update.beats) for update in updates) >= 8
