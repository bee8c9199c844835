"""Sinus acceleration is no tachycardia; a supraventricular tachycardia is S from its onset to its end."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exercise import FS_HZ, exercise_rr, lead_ii, tachycardia_rr
from support.records import in_memory
from support.strategies import beat_columns, make_beats

from ecg_core.labels import CLASSES, UNLABELLED
from ecg_core.live.engine import Monitor
from ecg_core.live.stream import Stream, StreamChunk
from ecg_core.pipeline import analyse
from ecg_core.records import find_records, read_record
from ecg_core.rhythm.decisions import settle_labels
from ecg_core.rhythm.events import find_rhythms
from ecg_core.rhythm.supraventricular import fastest_sinus_bpm
from ecg_core.rules import RhythmRules
from models.second_stage import without_trees

RULES = RhythmRules()
S_CODE = CLASSES.index("S")


def settled(rr_s, predicted, rules=RULES, **more):
    """The labels that rhythm leaves, as a text."""
    return "".join(settle_labels(make_beats(100 * np.asarray(rr_s), predicted), rules, **more)[0].label)


def tachycardias(rr_s, labels):
    beats, episodes = settle_labels(make_beats(100 * np.asarray(rr_s), labels), RULES)
    return [event for event in find_rhythms(beats, RULES, episodes=episodes) if event.kind.startswith("svt")]


def steady(n, rr_s=0.8):
    return [rr_s * (1 + 0.01 * (-1) ** i) for i in range(n)]


def test_no_beat_is_early_because_a_pause_of_seconds_came_before():
    assert settled([0.9] * 12 + [0.9, 4.0] * 40, "N" * 12 + "SN" * 40) == "N" * 92


# Sinus acceleration


@pytest.mark.parametrize("seed", range(3))
def test_a_rate_that_climbs_over_minutes_is_sinus_rhythm_whatever_the_labels(seed):
    rr_s = exercise_rr(seed=seed)
    fast = np.convolve(rr_s, np.ones(9) / 9, "same") < 0.5
    labels = "".join(np.where(fast, "S", "N"))
    assert labels.count("S") > 300
    assert settled(rr_s, labels).count("S") <= 0.01 * len(rr_s)
    assert tachycardias(rr_s, labels) == []


def test_runs_that_the_labels_break_up_are_sinus_rhythm_too():
    rr_s = np.r_[np.linspace(0.8, 0.4, 240), [0.4] * 200, np.linspace(0.4, 0.8, 240)]
    labels = "N" * 120 + "SNSSSNNSSS" * 44 + "N" * 120
    assert "S" not in settled(rr_s, labels)


@pytest.mark.parametrize(("shortening", "expected"), [(0.15, 0), (0.25, 1)])
def test_a_tachycardia_needs_an_onset_that_shortens_the_rr_by_a_fifth(shortening, expected):
    rr_s = steady(20, 0.7) + [0.7 * (1 - shortening)] * 20 + steady(20, 0.7)
    assert len(tachycardias(rr_s, "N" * 20 + "S" * 20 + "N" * 20)) == expected


def test_an_abrupt_onset_is_what_the_rules_call_so():
    rr_s, labels = steady(20, 0.7) + [0.6] * 20, "N" * 20 + "S" * 20
    assert settled(rr_s, labels).count("S") < 20
    assert settled(rr_s, labels, replace(RULES, svt_onset_share=0.1)).count("S") == 20


def test_another_p_wave_makes_a_run_supraventricular_without_prematurity():
    beats = make_beats([60] * 60, "N" * 20 + "S" * 20 + "N" * 20)
    p = np.full(60, 0.9, dtype=np.float32)
    assert "S" not in settle_labels(replace(beats, p_correlation=p), RULES)[0].label
    p[20] = -0.2
    found = settle_labels(replace(beats, p_correlation=p), RULES)[0].label
    assert "".join(found) == "N" * 20 + "S" * 20 + "N" * 20


def test_a_rate_that_sinus_rhythm_does_not_reach_is_supraventricular_however_it_began():
    rr_s = np.r_[np.linspace(0.8, 0.28, 200), [0.28] * 100]
    labels = "N" * 200 + "S" * 100
    assert settled(rr_s, labels).count("S") == 100
    assert settled(np.maximum(rr_s, 0.32), labels).count("S") == 0
    assert settled(np.maximum(rr_s, 0.32), labels, age_years=80).count("S") == 100


def test_age_lowers_the_highest_rate_of_sinus_rhythm_and_never_raises_it():
    assert fastest_sinus_bpm(RULES, None) == fastest_sinus_bpm(RULES, 5) == 200
    assert fastest_sinus_bpm(RULES, 80) == pytest.approx(172)


# Premature beats


@pytest.mark.parametrize("pattern", ["NNNNNNNS", "NNS", "NS", "NNNNSS"])
def test_premature_beats_stay_supraventricular_in_every_pattern(pattern):
    labels = pattern * 20
    rr_s = [0.65 if label == "S" else 0.95 for label in labels]
    assert settled(rr_s, labels) == labels


@pytest.mark.parametrize(("rr_s", "expected"), [(0.80, "N"), (0.78, "N"), (0.74, "S")])
def test_a_beat_that_is_not_early_is_no_premature_beat(rr_s, expected):
    assert settled([0.8] * 20 + [rr_s] + [0.8] * 20, "N" * 20 + "S" + "N" * 20)[20] == expected


def test_a_readers_label_stays():
    labels = np.full(41, UNLABELLED)
    labels[20] = S_CODE
    assert settled([0.8] * 41, "N" * 41, labels=labels) == "N" * 20 + "S" + "N" * 20
    rr_s = steady(40) + [0.4] * 60 + steady(40)
    at_n = np.full(140, UNLABELLED)
    at_n[60] = CLASSES.index("N")
    assert settled(rr_s, "N" * 40 + "S" * 60 + "N" * 40, labels=at_n)[60] == "N"


def test_the_probability_goes_with_the_label():
    beats = make_beats([80] * 41, "N" * 20 + "S" + "N" * 20)
    found = settle_labels(beats, RULES)[0]
    assert found.probability[20].tolist() == [1, 0, 0, 0, 0]
    assert beats.label[20] == "S"


@settings(max_examples=200)
@given(beat_columns(), st.integers(0, 2**16))
def test_only_n_s_and_v_of_analysable_beats_change_and_no_probability_is_lost(columns, seed):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats(rr_ticks, labels, usable=usable, broken=broken)
    correlation = np.random.default_rng(seed).uniform(-1, 1, size=(2, len(beats))).astype(np.float32)
    beats = replace(beats, p_correlation=correlation[0], qrs_correlation=correlation[1])
    found, episodes = settle_labels(beats, RULES)
    changed = found.label != beats.label
    assert set(found.label[changed]) <= {"N", "S"}
    assert set(beats.label[changed]) <= {"N", "S", "V"}
    assert beats.usable[changed].all()
    np.testing.assert_allclose(found.probability.sum(axis=1), 1)
    assert (found.probability[np.arange(len(found)), [CLASSES.index(a) for a in found.label]] == 1).all()
    assert all(0 <= episode.start < episode.stop <= len(found) for episode in episodes)


# True tachycardia, from end to end


def test_a_tachycardia_whose_later_beats_are_called_normal_is_supraventricular_to_its_end():
    rr_s, inside = tachycardia_rr(100, 900, 100)
    labels = "N" * 100 + "S" * 200 + "N" * 800
    found = np.array(list(settled(rr_s, labels))) == "S"
    np.testing.assert_array_equal(found, inside)
    (event,) = tachycardias(rr_s, labels)
    assert (event.kind, event.n_beats) == ("svt_sustained", 900)


def test_a_tachycardia_whose_first_beats_are_called_normal_is_supraventricular_from_its_onset():
    rr_s, inside = tachycardia_rr(100, 300, 100)
    found = np.array(list(settled(rr_s, "N" * 200 + "S" * 100 + "N" * 200))) == "S"
    assert np.abs(np.flatnonzero(found)[[0, -1]] - np.flatnonzero(inside)[[0, -1]]).max() <= 1
    assert found.sum() >= 299


def test_a_long_tachycardia_that_begins_and_ends_at_once_is_found_without_any_label():
    rr_s, inside = tachycardia_rr(100, 900, 100)
    found = np.array(list(settled(rr_s, "N" * 1100))) == "S"
    np.testing.assert_array_equal(found, inside)
    assert "S" not in settled(rr_s[:1000], "N" * 1000)  # its end was not recorded
    assert "S" not in settled(tachycardia_rr(100, 20, 100)[0], "N" * 220)  # too short to be sure


def test_a_tachycardia_that_a_pause_interrupts_goes_on():
    rr_s = steady(40) + [0.4] * 60 + [0.75] + [0.4] * 60 + [1.0, *steady(40)]
    labels = "N" * 40 + "S" * 60 + "N" + "S" * 60 + "N" * 41
    assert settled(rr_s, labels) == labels


def test_ventricular_beats_in_a_tachycardia_stay_ventricular():
    rr_s, _ = tachycardia_rr(40, 100, 40)
    labels = "N" * 40 + "S" * 50 + "V" + "S" * 49 + "N" * 40
    assert settled(rr_s, labels) == labels


def test_nothing_spans_a_stretch_that_is_not_analysable():
    rr_s, _ = tachycardia_rr(40, 100, 40)
    broken = [i == 90 for i in range(180)]
    beats = make_beats(100 * rr_s, "N" * 40 + "S" * 30 + "N" * 110, broken=broken)
    found = settle_labels(beats, RULES)[0].label
    assert (found[40:90] == "S").all()
    assert (found[91:] == "N").all()


# The network's own labels


@pytest.mark.parametrize("both_stages", [True, False])
def test_an_exercise_test_holds_no_tachycardia_and_hardly_any_supraventricular_beat(model, both_stages):
    exercise = analyse(in_memory(lead_ii(exercise_rr())[0], FS_HZ), model if both_stages else without_trees(model))
    if not both_stages:  # what the network alone says
        assert (exercise.predicted.label == "S").sum() > (exercise.beats.label == "S").sum()
    assert not [event for event in exercise.events if event.kind.startswith(("svt", "vt"))]
    assert exercise.burden.sve_burden_pct < 0.3
    assert exercise.burden.n_beats > 1500


def test_a_tachycardia_that_fills_most_of_a_record_is_supraventricular_from_end_to_end(model):
    rr_s, inside = tachycardia_rr(150, 1100, 100)
    found = analyse(in_memory(lead_ii(rr_s, ectopic_p=inside)[0], FS_HZ), model)
    assert found.burden.sve_burden_pct == pytest.approx(100 * inside.mean(), abs=1)
    (event,) = (event for event in found.events if event.kind.startswith("svt"))
    assert event.duration_s == pytest.approx(rr_s[inside][1:].sum(), abs=2)


def monitored(signal_mv, model):
    """Alarms and S beats of a stream."""
    monitor = Monitor(Stream("test", FS_HZ, ("II",)), model)
    n = 3 * FS_HZ  # samples in a chunk of the stream
    parts = np.array_split(signal_mv[None], range(n, len(signal_mv), n), axis=1)
    updates = [monitor.push(StreamChunk(i * n, part)) for i, part in enumerate(parts)] + [monitor.close()]
    return [a for u in updates for a in u.alarms], np.concatenate([u.beats.label for u in updates])


def test_the_monitor_raises_no_alarm_of_a_tachycardia_in_exercise(model):
    rr_s = exercise_rr(at_s=(0, 40, 160, 200), bpm=(75, 75, 150, 150))
    alarms, label = monitored(lead_ii(rr_s)[0], model)
    assert not [alarm for alarm in alarms if alarm.kind.startswith(("svt", "vt"))]
    assert np.mean(label == "S") < 0.01


def test_the_monitor_keeps_the_alarm_of_a_tachycardia_until_its_end(model):
    rr_s, inside = tachycardia_rr(40, 400, 30)
    signal_mv, time_s = lead_ii(rr_s, ectopic_p=inside)
    alarms = [alarm for alarm in monitored(signal_mv, model)[0] if alarm.kind == "svt_sustained"]
    over = [alarm.end_s for alarm in alarms if alarm.end_s is not None]
    assert over == [pytest.approx(time_s[inside][-1], abs=2)]


# Real records


def score(path, model):
    """S beats in the reference and found, of a record of the QT database, whose marks lie before the QRS."""
    found = analyse(read_record(path), model, lead="first")
    return (found.beats.label == "S").sum(), [e for e in found.events if e.kind.startswith("svt")], found


@pytest.mark.databases
@pytest.mark.parametrize("name", ["sel301", "sel310"])
def test_the_exercise_of_real_records_holds_no_tachycardia(databases, model, name):
    n_s, events, _ = score(databases / "qtdb/1.0.0" / name, model)
    assert events == []
    assert n_s <= 10


@pytest.mark.databases
def test_a_normal_holter_holds_no_tachycardia(databases, model):
    for path in find_records(databases / "icentia11k-continuous-ecg/1.0.0"):
        assert score(path, model)[1] == [], path.name


@pytest.mark.databases
def test_real_tachycardias_are_not_lost(databases, model):
    _, events, found = score(databases / "mitdb/1.0.0/209", model)
    marks = read_record(databases / "mitdb/1.0.0/209").reference
    at = marks.codes_at(found.beats.time_s)
    true, called = at == S_CODE, found.beats.label == "S"
    assert (true & called).sum() >= 0.95 * true.sum()
    assert len(events) >= 9
