"""Fibrillation, tachycardia and asystole as events, from what the waveform shows second by second."""

from dataclasses import replace

import numpy as np
import pytest
from support.analyses import rhythms_of

from ecg_core.rhythm.danger import (
    find_dangers,
    join_tachycardias,
    mask_fibrillation,
    no_waveform,
    tachyarrhythmias,
    with_open_edges,
    with_separable_beats,
    without,
)
from ecg_core.rhythm.events import series_of
from ecg_core.rules import RhythmRules
from ecg_core.schema import Beats, Quality, RhythmEvent, Waveform

RULES = RhythmRules()
DURATION_S = 120.0


def waveform(vf=(), vt=(), *, level=0.9, no_signal=()):
    """Two minutes in which the probability of fibrillation or tachycardia is ``level`` in some spans of seconds."""
    columns = []
    for spans in (vf, vt):
        column = np.zeros(int(DURATION_S), dtype=np.float32)
        for first, last in spans:
            column[first:last] = level
        columns.append(column)
    return Waveform(1.0, *columns, np.array(no_signal, dtype=float).reshape(-1, 2), np.zeros((0, 2)))


def beats_at(time_s, label="N", *, usable=None):
    """Beats of one class."""
    time_s = np.asarray(time_s, dtype=float)
    n = len(time_s)
    usable = np.ones(n, dtype=bool) if usable is None else usable
    probability = np.tile(np.float32([0.9, 0.03, 0.03, 0.02, 0.02]), (n, 1))
    return Beats(time_s, np.full(n, label), probability, np.diff(time_s, prepend=np.nan), usable)


def quality(unusable=()):
    """Blocks of ten seconds, some of them not analysable."""
    usable = np.ones(int(DURATION_S / 10), dtype=bool)
    usable[list(unusable)] = False
    return Quality(10.0, usable[None].astype(np.float32), usable)


def dangers_of(beats, shown, *, unusable=()):
    found = tachyarrhythmias(shown, RULES)
    return list(find_dangers(beats, found, shown, quality(unusable), duration_s=DURATION_S, rules=RULES))


def of_kind(events, kind):
    return [(event.start_s, event.end_s) for event in events if event.kind == kind]


STEADY = np.arange(0.5, DURATION_S, 0.8)


def test_fibrillation_is_one_event_from_its_first_second_to_its_last():
    (found,) = tachyarrhythmias(waveform(vf=[(30, 50)]), RULES)
    assert found == ("vf", 30.0, 50.0)


def test_fibrillation_shorter_than_the_rule_is_none():
    assert tachyarrhythmias(waveform(vf=[(30, 33)]), RULES) == []


def test_fibrillation_that_is_never_certain_is_suspected():
    (found,) = tachyarrhythmias(waveform(vf=[(30, 50)], level=0.6), RULES)
    assert found.kind == "vf_suspected"


def test_tachycardia_that_becomes_fibrillation_is_cut_where_it_does():
    kinds = [(kind, round(start_s), round(end_s)) for kind, start_s, end_s in tachyarrhythmias(
        waveform(vt=[(20, 50)], vf=[(50, 80)]), RULES
    )]  # fmt: skip
    assert [kind for kind, _, _ in kinds] == ["vt", "vf"]
    assert abs(kinds[0][2] - 50) <= 5 and kinds[0][2] == kinds[1][1]


def test_beats_inside_fibrillation_are_not_counted_and_the_gap_is_no_pause():
    found = tachyarrhythmias(waveform(vf=[(30, 50)]), RULES)
    inside = mask_fibrillation(beats_at(STEADY), found)
    assert not inside.usable[(STEADY >= 30) & (STEADY < 50)].any()
    assert set(inside.label[~inside.usable].tolist()) == {"Q"}
    silent = mask_fibrillation(beats_at(STEADY[(STEADY < 30) | (STEADY >= 50)]), found)
    assert not [event for event in rhythms_of(silent, RULES) if event.kind in ("pause", "asystole", "long_rr")]


def test_beats_inside_suspected_fibrillation_stay():
    found = tachyarrhythmias(waveform(vf=[(30, 50)], level=0.6), RULES)
    assert mask_fibrillation(beats_at(STEADY), found).usable.all()


@pytest.mark.parametrize("rr_s", [0.45, 0.9])
def test_beats_inside_suspected_fibrillation_are_counted_as_they_follow_each_other(rr_s):
    found = tachyarrhythmias(waveform(vf=[(30, 50)], level=0.6), RULES)
    shown_s = [*np.arange(0.5, 30, 0.8), *np.arange(30.2, 48, rr_s), *np.arange(52, DURATION_S, 0.8)]
    beats = beats_at(shown_s)
    inside = (beats.time_s > 30) & (beats.time_s < 50)
    ventricular = mask_fibrillation(replace(beats, label=np.where(inside, "V", "N")), found)
    (series,) = series_of(ventricular, "V")
    assert series.stop - series.start == inside.sum() > 15
    assert not of_kind(rhythms_of(ventricular, RULES), "pause")  # across its end


def test_where_ventricular_beats_are_separable_it_is_tachycardia():
    found = tachyarrhythmias(waveform(vf=[(30, 50)]), RULES)
    fast = beats_at([*np.arange(0.5, 30, 0.8), *np.arange(30.1, 50, 0.31), *np.arange(50.5, DURATION_S, 0.8)], "V")
    probability = np.tile(np.float32([0.05, 0.05, 0.85, 0.03, 0.02]), (len(fast), 1))
    (checked,) = with_separable_beats(found, replace(fast, probability=probability))
    assert checked == ("vt", 30.0, 50.0)
    assert with_separable_beats(found, beats_at(STEADY)) == found
    assert with_separable_beats(found, fast) == found  # the network is not sure of V


def test_an_asystole_is_a_pause_as_well():
    events = rhythms_of(beats_at([*np.arange(0.5, 30, 0.8), *np.arange(36, 60, 0.8)]), RULES)
    assert of_kind(events, "asystole") == of_kind(events, "pause") != []


def test_a_pause_of_three_and_a_half_seconds_is_no_asystole():
    events = rhythms_of(beats_at([*np.arange(0.5, 30, 0.8), *np.arange(32.9, 60, 0.8)]), RULES)
    assert of_kind(events, "pause") and not of_kind(events, "asystole")


def test_the_length_of_a_pause_with_an_edge_in_unusable_signal_is_a_lower_limit():
    shown = STEADY[(STEADY < 30) | (STEADY >= 50)]
    beats = beats_at(shown)
    rr_s = np.where(beats.rr_s > 5, np.nan, beats.rr_s)  # as the signal in between is not analysable
    events = dangers_of(replace(beats, rr_s=rr_s), no_waveform(DURATION_S), unusable=[4])
    (pause,) = [event for event in events if event.kind == "pause"]
    assert pause.at_least
    assert (pause.start_s, pause.end_s) == (pytest.approx(shown[shown < 30][-1]), 40.0)
    assert of_kind(events, "asystole") == [(pause.start_s, pause.end_s)]
    assert of_kind(events, "not_analysable") == [(40.0, 50.0)]


def test_a_gap_in_analysable_signal_without_an_rr_is_no_pause():
    beats = beats_at(STEADY[(STEADY < 30) | (STEADY >= 36)])
    rr_s = np.where(beats.rr_s > 5, np.nan, beats.rr_s)  # as what lies in between may have been a beat
    assert dangers_of(replace(beats, rr_s=rr_s), no_waveform(DURATION_S)) == []


@pytest.mark.parametrize(
    ("dropout_s", "found"),
    [
        ((36.0, 36.5), [(False, 13.6)]),  # too short for a beat between the T wave and the P wave beside it
        ((36.0, 37.7), [(True, 6.7), (True, 5.2)]),
        ((41.0, 42.7), [(True, 11.7)]),
    ],
)
def test_no_length_of_a_dropout_hides_a_standstill(dropout_s, found):
    start_s, end_s = dropout_s
    beats = beats_at(STEADY[(STEADY < 30) | (STEADY >= 42.5)])
    rr_s = np.where(beats.rr_s > 5, np.nan, beats.rr_s)
    still = replace(no_waveform(DURATION_S), still_s=np.array([[29.7, start_s], [end_s, 42.5]]))
    events = list(
        find_dangers(
            replace(beats, rr_s=rr_s), [], still, replace(quality(), lost_s=np.array([dropout_s])),
            duration_s=DURATION_S, rules=RULES,
        )
    )  # fmt: skip
    asystoles = [(event.at_least, round(event.duration_s, 1)) for event in events if event.kind == "asystole"]
    assert asystoles == found


def test_a_recording_that_ends_without_beats_ends_in_asystole():
    events = dangers_of(beats_at(STEADY[STEADY < 60]), no_waveform(DURATION_S))
    (asystole,) = of_kind(events, "asystole")
    assert asystole == (pytest.approx(STEADY[STEADY < 60][-1]), DURATION_S)


def test_a_recording_without_any_beat_is_asystole_throughout():
    events = dangers_of(beats_at([]), no_waveform(DURATION_S))
    assert of_kind(events, "asystole") == [(0.0, DURATION_S)]


def test_no_signal_is_neither_asystole_nor_merely_not_analysable():
    shown = STEADY[(STEADY < 30) | (STEADY >= 60)]
    beats = beats_at(shown)
    rr_s = np.where(beats.rr_s > 5, np.nan, beats.rr_s)
    events = dangers_of(replace(beats, rr_s=rr_s), waveform(no_signal=[(29.9, 60.0)]), unusable=[3, 4, 5])
    assert of_kind(events, "no_signal") == [(29.9, 60.0)]
    assert not of_kind(events, "asystole") and not of_kind(events, "not_analysable")


def test_what_is_fibrillation_is_not_listed_as_not_analysable():
    events = dangers_of(beats_at(STEADY), waveform(vf=[(42, 58)]), unusable=[4, 5])
    assert of_kind(events, "vf") == [(42.0, 58.0)]
    assert of_kind(events, "not_analysable") == [(40.0, 42.0), (58.0, 60.0)]


NO_BEATS = beats_at([])


def tachycardia(start_s, end_s, n_beats=20):
    return RhythmEvent("vt", start_s, end_s, n_beats, 60.0 * (n_beats - 1) / (end_s - start_s))


@pytest.mark.parametrize("kind", ["not_analysable", "artefact", "no_signal"])
def test_tachycardia_stays_one_across_signal_that_is_not_analysable(kind):
    lost = RhythmEvent(kind, 30.0, 39.0, 0, float("nan"))
    events = join_tachycardias([tachycardia(20, 30), lost, tachycardia(39, 55)], NO_BEATS, RULES)
    (joined,) = [event for event in events if event.kind.startswith("vt")]
    assert (joined.kind, joined.start_s, joined.end_s, joined.n_beats) == ("vt_sustained", 20, 55, 40)


def test_tachycardias_far_from_each_other_stay_two():
    events = join_tachycardias([tachycardia(20, 30), tachycardia(39, 55)], NO_BEATS, RULES)
    assert sum(event.kind == "vt" for event in events) == 2


def test_tachycardias_with_a_beat_between_them_stay_two():
    both = [tachycardia(20, 30), RhythmEvent("vt", 31.5, 55, 0, float("nan"))]
    assert len(join_tachycardias(both, beats_at([30.7]), RULES)) == 2
    assert len(join_tachycardias(both, NO_BEATS, RULES)) == 1


def test_a_tachycardia_without_separable_beats_counts_to_that_of_its_neighbours():
    shown = RhythmEvent("vt", 30.0, 60.0, 0, float("nan"))
    (joined,) = join_tachycardias([tachycardia(20, 30), shown], NO_BEATS, RULES)
    assert (joined.kind, joined.duration_s, joined.n_beats) == ("vt_sustained", 40.0, 20)
    assert joined.rate_bpm == pytest.approx(114.0)


@pytest.mark.parametrize(
    ("holes", "left"),
    [
        ([], [(0, 10)]),
        ([(2, 3), (2.5, 4)], [(0, 2), (4, 10)]),
        ([(-5, 1), (9, 12)], [(1, 9)]),
        ([(-1, 11)], []),
        ([(20, 30)], [(0, 10)]),
    ],
)
def test_a_span_without_its_holes(holes, left):
    assert without((0, 10), holes) == left


def test_an_event_beside_lost_signal_is_at_least_as_long_as_it_is():
    """No beat lies between its edge and the lost signal, which may hide more of it."""
    lost = RhythmEvent("no_signal", 50.0, 60.0, 0, np.nan)
    beats = beats_at(np.concatenate((np.arange(10.0, 49.9, 0.8), np.arange(60.4, 100.0, 0.8))))
    before, after = float(beats.time_s[49]), float(beats.time_s[50])
    at_edges = [
        RhythmEvent("vf", 30.0, 49.5, 0, np.nan),
        RhythmEvent("af", 10.0, before, 50, 75.0),
        RhythmEvent("vt_sustained", after, 95.0, 40, 110.0),
        RhythmEvent("v_couplet", before - 0.8, before, 2, 75.0),
    ]
    elsewhere = [
        RhythmEvent("vf", 30.0, 47.0, 0, np.nan),
        RhythmEvent("af", 10.0, before - 0.8, 49, 75.0),
        RhythmEvent("vt", after + 0.8, 95.0, 39, 110.0),
        RhythmEvent("pause", before - 3.2, before, 2, 18.0),
        RhythmEvent("not_analysable", 55.0, 60.0, 0, np.nan),
    ]
    found = with_open_edges([*at_edges, *elsewhere, lost], beats)
    assert [event.at_least for event in found] == [True] * 4 + [False] * 6
    assert not any(event.at_least for event in with_open_edges([*at_edges, *elsewhere[:-1]], beats))
