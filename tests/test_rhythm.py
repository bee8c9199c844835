"""Events against a plain and slow reading of the definitions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import beat_columns, make_beats

from ecg_core.rhythm import KIND_NAMES, find_rhythms, series_of
from ecg_core.schema import RhythmRules

RULES = RhythmRules()


def oracle(rr_ticks, labels, usable, broken):
    """(kind, first beat, last beat, number of beats) by the definitions, in whole hundredths of a second."""
    found = []
    n = len(labels)
    joined = [i > 0 and usable[i] and usable[i - 1] and not broken[i] for i in range(n)]
    for name in "VS":
        i = 0
        while i < n:
            if labels[i] != name or not usable[i]:
                i += 1
                continue
            last = i
            while last + 1 < n and labels[last + 1] == name and joined[last + 1]:
                last += 1
            n_beats, ticks = last - i + 1, sum(rr_ticks[i + 1 : last + 1])
            if n_beats == 2:
                found.append((f"{name.lower()}_couplet", i, last, 2))
            elif n_beats >= 3:
                fast, long = 100 * ticks < 6000 * (n_beats - 1), ticks > 3000  # mean cycle below 600 ms; over 30 s
                kind = f"{name.lower()}_run"
                if fast:
                    kind = {"V": ("vt", "vt_sustained"), "S": ("s_run", "svt")}[name][long]
                found.append((kind, i, last, n_beats))
            i = last + 1
    for i in range(1, n):
        if joined[i] and rr_ticks[i] >= 200:
            found.append(("pause" if rr_ticks[i] >= 300 else "long_rr", i - 1, i, 2))
    return sorted(found)


def as_found(beats, events):
    place = {round(float(t), 6): i for i, t in enumerate(beats.time_s)}
    return sorted((e.kind, place[round(e.start_s, 6)], place[round(e.end_s, 6)], e.n_beats) for e in events)


@settings(max_examples=400)
@given(beat_columns())
def test_events_are_those_of_the_definitions(columns):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats(rr_ticks, labels, usable=usable, broken=broken)
    assert as_found(beats, find_rhythms(beats, RULES)) == oracle(*columns)


@given(beat_columns())
def test_every_ectopic_beat_is_in_at_most_one_couplet_or_run(columns):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats(rr_ticks, labels, usable=usable, broken=broken)
    for letter in "VS":
        kinds = {kind for kind in KIND_NAMES if kind.startswith((letter.lower(), f"{letter.lower()}_"))}
        in_events = sum(event.n_beats for event in find_rhythms(beats, RULES) if event.kind in kinds)
        assert in_events <= np.sum((beats.label == letter) & beats.usable)


@given(beat_columns())
def test_events_come_in_the_order_of_time_with_known_names(columns):
    rr_ticks, labels, usable, broken = columns
    events = find_rhythms(make_beats(rr_ticks, labels, usable=usable, broken=broken), RULES)
    assert [event.start_s for event in events] == sorted(event.start_s for event in events)
    assert {event.kind for event in events} <= set(KIND_NAMES)


def kinds(rr_ticks, labels, **more):
    return [event.kind for event in find_rhythms(make_beats(rr_ticks, labels, **more), RULES)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("NVN", []),
        ("NVVN", ["v_couplet"]),
        ("NVVVN", ["v_run"]),  # a triplet is a run, and only that
        ("NVVNVVN", ["v_couplet", "v_couplet"]),
        ("NSSN", ["s_couplet"]),
        ("NSSSN", ["s_run"]),
        ("VV", ["v_couplet"]),
        ("VSVS", []),
        ("VVSS", ["v_couplet", "s_couplet"]),
        ("VFV", []),
        ("", []),
        ("V", []),
    ],
)
def test_series_have_their_names_at_75_bpm(labels, expected):
    assert kinds([80] * len(labels), labels) == expected


@pytest.mark.parametrize(("cycle", "expected"), [(59, "vt"), (60, "v_run"), (61, "v_run")])
@pytest.mark.parametrize("start", [1, 7, 1234, 8_000_017])
def test_exactly_100_bpm_is_a_ventricular_run_and_no_tachycardia(cycle, expected, start):
    for n_beats in (3, 4, 7, 12):
        assert kinds([start, *[cycle] * (n_beats - 1)], "V" * n_beats) == [expected]


@pytest.mark.parametrize(("n_beats", "expected"), [(61, "vt"), (62, "vt_sustained")])
def test_tachycardia_is_sustained_beyond_30_s(n_beats, expected):
    assert kinds([50] * n_beats, "V" * n_beats) == [expected]


@pytest.mark.parametrize(("n_beats", "expected"), [(61, "s_run"), (62, "svt")])
def test_supraventricular_tachycardia_lasts_longer_than_30_s(n_beats, expected):
    assert kinds([50] * n_beats, "S" * n_beats) == [expected]


@pytest.mark.parametrize(("rr", "expected"), [(199, []), (200, ["long_rr"]), (299, ["long_rr"]), (300, ["pause"])])
@pytest.mark.parametrize("start", [10, 110, 1010, 8_639_999])
def test_a_pause_begins_at_exactly_3_s_and_a_long_rr_at_2(rr, expected, start):
    assert kinds([start, rr], "NN") == expected


def test_no_event_spans_an_unreadable_stretch():
    assert kinds([80, 400, 80], "NNN", broken=[False, True, False]) == []
    assert kinds([80] * 4, "VVVV", broken=[False, False, True, False]) == ["v_couplet", "v_couplet"]
    assert kinds([80] * 3, "VVV", usable=[True, False, True]) == []
    assert kinds([80, 300, 80], "NNN", usable=[True, False, True]) == []


def test_rate_of_a_run_is_that_of_its_mean_cycle():
    (event,) = find_rhythms(make_beats([80, 40, 50, 60], "VVVV"), RULES)
    assert event.rate_bpm == pytest.approx(120.0)
    assert (event.start_s, event.end_s) == pytest.approx((0.8, 2.3))


def test_rules_decide_what_counts():
    beats = make_beats([80] * 4 + [250], "VVVVN")
    assert [e.kind for e in find_rhythms(beats, replace(RULES, run_min_beats=5))] == ["long_rr"]
    assert [e.kind for e in find_rhythms(beats, replace(RULES, tachycardia_bpm=70.0))] == ["vt", "long_rr"]
    assert [e.kind for e in find_rhythms(beats, replace(RULES, pause_s=2.5))] == ["v_run", "pause"]


def test_series_are_slices_of_the_beats():
    assert series_of(make_beats([80] * 7, "VNVVNVV"), "V") == [slice(0, 1), slice(2, 4), slice(5, 7)]


def test_two_marks_on_one_sample_break_nothing():
    (event,) = find_rhythms(make_beats([80, 0], "VV"), RULES)
    assert event.kind == "v_couplet"
    assert np.isnan(event.rate_bpm)
