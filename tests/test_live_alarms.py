"""Alarms of a live stream: in time, over once, never reopened, and the most dangerous one first."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import make_beats

from ecg_core.live import fibrillation
from ecg_core.live.alarm_lines import ASYSTOLE, GROWING_LINES, KINDS, LEADS_OFF, LINE_OF, LINES, MOST_SERIOUS_FIRST
from ecg_core.live.alarms import AlarmTracker
from ecg_core.live.detector import WindowDetections
from ecg_core.live.engine import Monitor
from ecg_core.live.stream import Stream, StreamChunk
from ecg_core.rhythm.events import DANGERS, find_rhythms
from ecg_core.rhythm.fibrillation import af_episodes
from ecg_core.rules import RhythmRules
from ecg_core.schema import Beats, RhythmEvent

HOP_S, HORIZON_S = 0.2, 2.0
TAIL = 40  # beats that the tracker sees
EASY = RhythmRules(sustained_s=5.0, af_min_s=10.0, rate_min_s=5.0)  # so that short streams have every kind of alarm


def detections(*, found_s=(), lost_s=(), usable=True, off=False, vf=0.0):
    """What is detected at a hop in one lead."""
    found_s = np.asarray(found_s, dtype=float)
    return WindowDetections(
        time_s=found_s, lead_weight=np.ones((len(found_s), 1), dtype=np.float32), lost_s=np.array([-1.0, *lost_s]),
        score=np.array([1.0 if usable else 0.0], dtype=np.float32), off=np.array([off]), vf=vf, position=found_s,
        signal=np.zeros((1, 0), dtype=np.float32), encoded=None,
    )  # fmt: skip


def followed(beats, *, until_s, rules=EASY, at=lambda end_s: {}):
    """Alarms of a stream with these beats; ``at`` gives what else is detected when ``end_s`` was received."""
    tracker, alarms, done = AlarmTracker(Stream("x", 250, ("I",)), rules, (0,)), [], 0
    vitals = None
    for end_s in np.arange(HOP_S, until_s + HOP_S / 2, HOP_S).tolist():
        decided_s = max(0.0, end_s - HORIZON_S + HOP_S)
        n = int(np.searchsorted(beats.time_s, decided_s))
        tail = part(beats, max(0, n - TAIL), n)
        extra = {"lost_s": (), **at(end_s)}
        ahead = beats.time_s[(beats.time_s >= decided_s) & (beats.time_s < end_s - 0.1)]
        new, vitals = tracker.step(
            tail, n - done, episodes=af_episodes(tail, rules), until_s=decided_s, end_s=end_s, dropped_s=-np.inf,
            detections=detections(found_s=ahead, **extra),
        )  # fmt: skip
        alarms, done = [*alarms, *new], n
    return alarms, vitals


def part(beats, first, after):
    return Beats(
        beats.time_s[first:after], beats.label[first:after], beats.probability[first:after], beats.rr_s[first:after],
        beats.usable[first:after],
    )  # fmt: skip


def steady(n, *, rr=80, labels=None):
    return make_beats([rr] * n, labels or "N" * n)


def begun(alarms, kind):
    return [alarm for alarm in alarms if alarm.kind == kind and alarm.end_s is None]


def over(alarms, kind):
    return [alarm for alarm in alarms if alarm.kind == kind and alarm.end_s is not None]


# Each alarm begins once and is over once, whatever comes


@st.composite
def streams(draw):
    """Beats with runs, pauses and noise, and what the waveform shows, each second."""
    phrases = st.sampled_from(["N", "V", "S", "VN", "NV"])
    ticks = st.sampled_from([35, 45, 59, 60, 61, 80, 130, 250, 350, 700, 1300])
    stretches = draw(st.lists(st.tuples(phrases, st.integers(1, 14), ticks), min_size=1, max_size=14))
    labels = "".join(phrase * n for phrase, n, _ in stretches)
    rr = [tick for phrase, n, tick in stretches for _ in phrase * n]
    n = len(labels)
    rare = st.lists(st.integers(0, 9).map(lambda k: k == 0), min_size=n, max_size=n)
    beats = make_beats(rr, labels, usable=[not lost for lost in draw(rare)], broken=draw(rare))
    states = st.sampled_from(["clear"] * 5 + ["noise", "off", "suspected", "vf"])
    spells = draw(st.lists(st.tuples(states, st.integers(1, 16)), max_size=12))
    return beats, [state for state, n_seconds in spells for _ in range(n_seconds)]


@given(stream=streams())
@settings(max_examples=40, deadline=None)
def test_each_alarm_begins_and_ends_at_most_once_and_none_begins_before_one_that_is_over(stream):
    beats, spells = stream
    shown = {
        "noise": {"usable": False}, "off": {"off": True, "usable": False},
        "suspected": {"vf": 0.5, "usable": False}, "vf": {"vf": 0.9, "usable": False},
    }  # fmt: skip

    def at(end_s):
        state = spells[int(end_s)] if end_s < len(spells) else "clear"
        lost = state in ("noise", "off")
        return {**shown.get(state, {}), "lost_s": (end_s - HORIZON_S,) if lost else ()}

    alarms, vitals = followed(beats, until_s=min(float(beats.time_s[-1]) + 15, 90.0), at=at)
    active, over_s = {}, dict.fromkeys(LINES, -np.inf)
    announced = set()
    for alarm in alarms:
        line = LINE_OF[alarm.kind]
        if alarm.end_s is not None:
            assert active.pop(line) == (alarm.kind, alarm.start_s)
            assert alarm.end_s >= alarm.start_s
            over_s[line] = alarm.end_s
            continue
        assert (alarm.kind, alarm.start_s) not in announced
        assert alarm.start_s >= over_s[line]
        assert alarm.start_s <= alarm.announced_s
        if alarm.before:
            assert line in GROWING_LINES
            assert active[line] == (alarm.before, alarm.start_s)
            assert LINES[line].index(alarm.before) < LINES[line].index(alarm.kind)
        else:
            assert line not in active
        active[line] = (alarm.kind, alarm.start_s)
        announced.add((alarm.kind, alarm.start_s))
    assert {(alarm.kind, alarm.start_s) for alarm in vitals.active} == set(active.values())


def test_a_run_that_is_over_stays_over_when_a_slower_one_follows():
    """A tachycardia of .8 s, and minutes later a slower run: what is over is never taken for part of what goes on."""
    rr = [80] * 10 + [40] * 3 + [80] * 30 + [70] * 4 + [80] * 10
    labels = "N" * 10 + "VVV" + "N" * 30 + "VVVV" + "N" * 10
    alarms, _ = followed(make_beats(rr, labels), until_s=45)
    assert [(alarm.kind, alarm.end_s is None) for alarm in alarms if LINE_OF[alarm.kind] == "V"] == [
        ("vt", True), ("vt", False), ("v_run", True), ("v_run", False),
    ]  # fmt: skip
    assert len({alarm.start_s for alarm in alarms if LINE_OF[alarm.kind] == "V"}) == 2


def test_a_tachycardia_that_becomes_sustained_keeps_its_start_and_is_over_once():
    rr = [80] * 10 + [40] * 20 + [80] * 6
    alarms, _ = followed(make_beats(rr, "N" * 10 + "V" * 20 + "N" * 6), until_s=24)
    of_line = [alarm for alarm in alarms if LINE_OF[alarm.kind] == "V"]
    assert [(alarm.kind, alarm.before, alarm.end_s is None) for alarm in of_line] == [
        ("vt", "", True), ("vt_sustained", "vt", True), ("vt_sustained", "", False),
    ]  # fmt: skip
    assert len({alarm.start_s for alarm in of_line}) == 1


def broken_tachycardia(noise_s):
    """Two tachycardias of 3.6 s with noise between them, from when to when, and where it is not analysable live."""
    n_noisy = round(noise_s / 0.4)
    rr, labels = [80] * 10 + [40] * (20 + n_noisy) + [80] * 10, "N" * 10 + "V" * (20 + n_noisy) + "N" * 10
    lost = range(20, 20 + n_noisy)
    beats = make_beats(rr, labels, usable=[i not in lost for i in range(len(rr))])
    noise = float(beats.time_s[19]) + 0.1, float(beats.time_s[19 + n_noisy]) + 0.1

    def at(end_s):
        decided_s = end_s - HORIZON_S + HOP_S
        return {"usable": not noise[0] <= decided_s <= noise[1] + HOP_S}

    return beats, noise, at


@pytest.mark.parametrize(("noise_s", "kind"), [(3.2, "vt_sustained"), (6.0, "vt_sustained"), (14.0, "vt")])
def test_a_tachycardia_across_noise_is_sustained_live_where_it_is_in_the_recording(noise_s, kind):
    beats, noise, at = broken_tachycardia(noise_s)
    lost = RhythmEvent("not_analysable", *noise, 0, float("nan"))
    of_recording = {event.kind for event in find_rhythms(beats, EASY, episodes=[], others=[lost])}
    assert of_recording & {"vt", "vt_sustained"} == {kind}
    alarms, _ = followed(beats, until_s=float(beats.time_s[-1]), rules=EASY, at=at)
    last = [alarm for alarm in alarms if LINE_OF[alarm.kind] == "V"][-1]
    assert (last.kind, last.end_s is None) == (kind, False)
    assert last.end_s == pytest.approx(float(beats.time_s[-11]))


def test_an_alarm_that_is_over_is_not_raised_again_by_another_look_at_the_same_beats():
    """A slow rhythm was over for half a minute when later beats show that it had lasted a little longer."""
    beats = make_beats([80] * 100, "N" * 100)
    tracker = AlarmTracker(Stream("x", 250, ("I",)), EASY, (0,))
    event = RhythmEvent("bradycardia", 8.0, 24.0, 12, 43.0)
    longer, another = replace(event, end_s=31.0), replace(event, start_s=57.0, end_s=66.0)
    raised = []
    for at_s, found in (
        (25.0, [event]),
        (56.0, [event]),
        (58.0, [longer]),
        (60.0, [longer]),
        (67.0, [longer, another]),
    ):
        tail = part(beats, 0, int(np.searchsorted(beats.time_s, at_s)))
        raised += tracker._step_events(found, float(tail.time_s[-1]), at_s + 2)
        raised += tracker._end_rhythms(tail, at_s, at_s + 2)
    assert [(alarm.start_s, alarm.end_s) for alarm in raised] == [(8.0, None), (8.0, 24.0), (57.0, None)]


@pytest.mark.parametrize(("rr", "kind"), [(46, "tachycardia"), (200, "bradycardia")])
def test_a_rate_is_known_and_raised_although_every_fifth_rr_is_lost(rr, kind):
    n = round(70 / rr * 100)
    beats = make_beats([rr] * n, "N" * n, broken=[i % 5 == 0 for i in range(n)])
    alarms, vitals = followed(beats, until_s=60)
    (raised,) = begun(alarms, kind)
    assert raised.announced_s < 30
    assert vitals.rate_bpm == pytest.approx(6000 / rr)
    assert [alarm.kind for alarm in vitals.active] == [kind]


def test_a_rate_is_not_made_of_rr_that_lie_far_apart():
    """Twice nine fast beats, each for less than the rule asks, with twenty seconds between them."""
    rr, broken = [46] * 9 + [80] * 25 + [46] * 9, [False] * 9 + [True] * 25 + [False] * 9
    alarms, _ = followed(make_beats(rr, "N" * 43, broken=broken), until_s=30)
    assert begun(alarms, "tachycardia") == []


# Asystole


def test_asystole_is_raised_within_six_seconds_as_a_pause_that_became_worse_and_ends_with_a_beat():
    beats = make_beats([80] * 20 + [1000] + [80] * 5, "N" * 26)
    alarms, _ = followed(beats, until_s=32)
    assert [alarm.kind for alarm in alarms] == ["pause", ASYSTOLE, ASYSTOLE]
    (raised,), (ended,) = begun(alarms, ASYSTOLE), over(alarms, ASYSTOLE)
    assert raised.start_s == pytest.approx(16.0)
    assert raised.announced_s - raised.start_s <= 6
    assert raised.before == "pause"
    assert ended.end_s == pytest.approx(26.0)


def test_asystole_needs_no_analysable_beat_before_it():
    beats = make_beats([80] * 20 + [1000], "N" * 21, usable=[True] * 15 + [False] * 6)
    alarms, _ = followed(beats, until_s=24)
    assert [alarm.kind for alarm in begun(alarms, ASYSTOLE)] == [ASYSTOLE]


def test_asystole_after_noise_replaces_that_the_signal_is_not_analysable():
    """The score of the last ten seconds is still low, but nothing like a beat is found in what follows the noise."""
    alarms, _ = followed(
        steady(10), until_s=40,
        at=lambda end_s: {"usable": end_s < 9 or end_s > 35, "lost_s": np.arange(8.0, min(end_s, 25.0), 0.1)},
    )  # fmt: skip
    kinds = [(alarm.kind, alarm.end_s is None) for alarm in alarms]
    assert kinds == [("unreadable", True), (ASYSTOLE, True), ("unreadable", False)]
    assert begun(alarms, ASYSTOLE)[0].start_s == pytest.approx(24.9, abs=0.2)


def test_a_lead_off_is_no_asystole():
    alarms, _ = followed(steady(20), until_s=40, at=lambda end_s: {"off": end_s > 18, "usable": end_s < 18})
    assert [alarm.kind for alarm in alarms] == [LEADS_OFF]


def test_noise_that_may_hide_beats_is_no_asystole_and_ends_one_that_goes_on():
    lost = {"usable": False}
    alarms, _ = followed(
        steady(20), until_s=40,
        at=lambda end_s: {**lost, "lost_s": np.arange(16.0, end_s, 0.1)} if end_s > 16.2 else {},
    )  # fmt: skip
    assert [alarm.kind for alarm in alarms] == ["unreadable"]
    alarms, _ = followed(
        steady(20), until_s=50,
        at=lambda end_s: {**lost, "lost_s": np.arange(24.0, end_s, 0.1)} if end_s > 24.2 else {},
    )  # fmt: skip
    assert [(alarm.kind, alarm.end_s is None) for alarm in alarms][-2:] == [(ASYSTOLE, False), ("unreadable", True)]


@pytest.mark.parametrize("every_s", [1.0, 1.9, 3.0])
def test_short_losses_of_signal_do_not_put_an_asystole_off(every_s):
    lost_s = np.concatenate([[at, at + 0.05, at + 0.1] for at in np.arange(1.03, 40, every_s)])
    beats = make_beats([80] * 20 + [1200], "N" * 21)
    alarms, _ = followed(beats, until_s=24, at=lambda end_s: {"lost_s": lost_s[lost_s < end_s]})
    (raised,) = begun(alarms, ASYSTOLE)
    assert raised.start_s == pytest.approx(16.0)
    assert raised.announced_s - raised.start_s <= 6
    alarms, _ = followed(steady(40), until_s=30, at=lambda end_s: {"lost_s": lost_s[lost_s < end_s]})
    assert alarms == []


def test_where_losses_may_hide_beats_it_is_said_that_nothing_can_be_judged():
    """Of every two seconds one is lost: neither a pause nor an asystole can be judged, but no beat is found either."""

    def at(end_s):
        lost_s = np.arange(0.0, end_s, 0.05)
        return {"lost_s": lost_s[(lost_s > 17) & (lost_s % 2 < 1)]}

    alarms, vitals = followed(make_beats([80] * 20 + [2000], "N" * 21), until_s=34, at=at)
    assert [alarm.kind for alarm in alarms] == ["unreadable"]
    assert alarms[0].start_s == pytest.approx(16.0, abs=0.3)
    assert alarms[0].announced_s - alarms[0].start_s < 12.5
    assert vitals.active == (alarms[0],)


def test_a_stream_that_begins_without_any_beat_is_not_analysable():
    alarms, _ = followed(make_beats([2000] + [80] * 20, "N" * 21), until_s=32)
    assert [(alarm.kind, alarm.end_s is None) for alarm in alarms] == [("unreadable", True), ("unreadable", False)]


# Fibrillation


def fibrillating(start_s, end_s, probability):
    """The judgement of the last four seconds rises when half of them fibrillate; the signal is not analysable."""

    def at(now_s):
        seen_s = now_s - 1.0
        inside = start_s + 2 <= seen_s < end_s + 2
        lost_s = np.arange(start_s, min(now_s, end_s), 0.1)
        return {"vf": probability if inside else 0.0, "usable": now_s < start_s, "lost_s": lost_s}

    return at


@pytest.mark.parametrize(("probability", "kind"), [(0.9, "vf"), (0.5, "vf_suspected")])
def test_fibrillation_is_raised_within_ten_seconds_alone_and_is_over_once(probability, kind):
    alarms, _ = followed(steady(20), until_s=45, at=fibrillating(16.4, 36.0, probability))
    assert [alarm.kind for alarm in alarms if alarm.announced_s < 38] == [kind]  # no pause, nothing "not analysable"
    (raised,), (ended,) = begun(alarms, kind), over(alarms, kind)
    assert raised.start_s == pytest.approx(16.4, abs=0.3)
    assert raised.announced_s - 16.4 <= 10
    assert ended.end_s == pytest.approx(36, abs=0.3)


def test_fibrillation_of_less_than_its_definition_raises_nothing():
    alarms, _ = followed(steady(40), until_s=30, at=fibrillating(16.4, 18.2, 0.9))
    assert not begun(alarms, "vf")
    assert not begun(alarms, "vf_suspected")


def test_a_suspicion_that_becomes_certain_is_one_alarm():
    alarms, _ = followed(
        steady(20), until_s=40, at=lambda end_s: {"vf": 0.0 if end_s < 19 else 0.5 if end_s < 25 else 0.9}
    )
    assert [(alarm.kind, alarm.before) for alarm in alarms if LINE_OF[alarm.kind] == "vf"] == [
        ("vf_suspected", ""), ("vf", "vf_suspected"),
    ]  # fmt: skip


def test_a_moment_of_doubt_does_not_end_fibrillation():
    doubt = (30.0, 31.5)
    alarms, _ = followed(
        steady(20), until_s=40, at=lambda end_s: {"vf": 0.0 if end_s < 19 or doubt[0] < end_s < doubt[1] else 0.9}
    )
    assert [alarm.kind for alarm in alarms if LINE_OF[alarm.kind] == "vf"] == ["vf"]


def test_the_most_serious_alarm_is_the_rhythm_that_is_shown():
    alarms, vitals = followed(
        make_beats([80] * 10 + [40] * 30, "N" * 10 + "V" * 30), until_s=20,
        at=lambda end_s: {"vf": 0.9 if end_s > 12 else 0.0},
    )  # fmt: skip
    assert {"vf", "vt_sustained"} <= {alarm.kind for alarm in vitals.active}
    assert (vitals.rhythm, vitals.rate_bpm) == (KINDS["vf"], None)
    assert begun(alarms, "vt_sustained")


def test_every_kind_has_a_name_and_a_rank_and_what_endangers_life_ranks_first():
    assert set(MOST_SERIOUS_FIRST) == LINE_OF.keys() == KINDS.keys()
    assert MOST_SERIOUS_FIRST[: len(DANGERS)] == DANGERS


def test_the_judgement_of_the_waveform_raises_the_alarm(monkeypatch, excerpt, model):
    seen = []

    def judged(self, clean, beat_heatmap, *, origin, first_frame, settled):
        seen.append((clean.signal_mv.shape[0], settled))
        return 0.9

    monkeypatch.setattr(fibrillation.StreamWaveform, "step", judged)
    monitor = Monitor(Stream("x", 257, ("I", "II")), model)
    signal = np.stack([excerpt[: 12 * 257], np.zeros(12 * 257, dtype=np.float32)])
    update = monitor.push(StreamChunk(0, signal))
    assert {alarm.kind for alarm in update.alarms} == {"vf"}
    assert all(n_leads == 2 for n_leads, _ in seen)
    assert np.all(np.diff([settled for _, settled in seen]) > 0)


@pytest.mark.parametrize("frequency_hz", [5.0, 0.0])
def test_a_wave_like_fibrillation_after_beats_raises_the_alarm(excerpt, model, frequency_hz):
    """Twenty seconds of beats, then a wave of 5 Hz; or beats throughout."""
    fs_hz = 257
    signal = excerpt[: 40 * fs_hz].copy()
    if frequency_hz:
        time_s = np.arange(20 * fs_hz) / fs_hz
        wobble = 1 + 0.3 * np.sin(2 * np.pi * 0.4 * time_s)
        signal[20 * fs_hz :] = 0.4 * wobble * np.sin(2 * np.pi * frequency_hz * time_s + np.sin(time_s))
    monitor = Monitor(Stream("x", fs_hz, ("II",)), model)
    updates = [monitor.push(StreamChunk(i, signal[None, i : i + fs_hz])) for i in range(0, len(signal), fs_hz)]
    alarms = [alarm for update in updates for alarm in update.alarms if alarm.kind in ("vf", "vf_suspected")]
    assert bool(alarms) == bool(frequency_hz)
    if alarms:
        assert 18 <= alarms[0].start_s <= 24 and alarms[0].announced_s <= 30
