"""Events against a plain and slow implementation of the definitions."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.analyses import rhythms_of
from support.strategies import all_analysable, beat_columns, make_beats

from ecg_core.labels import CLASSES, UNLABELLED, class_codes
from ecg_core.records import find_records, read_record
from ecg_core.rhythm.burden import measure_burden
from ecg_core.rhythm.events import KIND_NAMES, RUNS, series_of
from ecg_core.rhythm.fibrillation import af_episodes, cosen, suppress_s_in_af
from ecg_core.rules import RhythmRules

RULES = RhythmRules()


def oracle(rr_ticks, labels, usable, broken):
    """(kind, first beat, last beat, number of beats) by the definitions, in whole hundredths of a second."""
    follows = [i > 0 and usable[i] and usable[i - 1] and not broken[i] for i in range(len(labels))]
    return sorted(
        [
            *joined_by_hand(rr_ticks, usable, series_by_hand(rr_ticks, labels, usable, follows, broken)),
            *patterns_by_hand(labels, usable, follows),
            *long_by_hand(rr_ticks, follows),
            *rates_by_hand(rr_ticks, usable, broken),
        ]
    )


def series_by_hand(rr_ticks, labels, usable, follows, broken):
    n = len(labels)
    for name, members in (("V", "VF"), ("S", "S")):
        i = 0
        while i < n:
            if labels[i] not in members or not usable[i]:
                i += 1
                continue
            last = i
            near = [
                (follows[k] or (usable[k] and usable[k - 1] and rr_ticks[k] <= 60)) and rr_ticks[k] < 300
                for k in range(n)
            ]
            while last + 1 < n and labels[last + 1] in members and near[last + 1]:
                last += 1
            n_beats, ticks = last - i + 1, sum(rr_ticks[i + 1 : last + 1])
            if name not in labels[i : last + 1]:
                pass  # fusion beats alone
            elif n_beats == 2:
                yield f"{name.lower()}_couplet", i, last, 2
            elif n_beats >= 3:
                fast, long = 100 * ticks < 6000 * (n_beats - 1), ticks > 3000  # mean cycle below 600 ms; over 30 s
                kind = f"{name.lower()}_run"
                if fast:
                    kind = {"V": ("vt", "vt_sustained"), "S": ("svt", "svt_sustained")}[name][long]
                elif name == "V" and ticks >= 1000 and not is_early(rr_ticks, broken, i):
                    kind = "idioventricular"
                yield kind, i, last, n_beats
            i = last + 1


def joined_by_hand(rr_ticks, usable, series):
    """Tachycardias of one class without a beat between and no more than 3 s apart, which are one."""
    joined = []
    for kind, first, last, n_beats in series:
        name = kind.removesuffix("_sustained")
        before = joined[-1] if joined else ("", 0, 0, 0)
        is_near = sum(rr_ticks[before[2] + 1 : first + 1]) <= 300 and not any(usable[before[2] + 1 : first])
        if name in ("vt", "svt") and before[0].removesuffix("_sustained") == name and is_near:
            long = sum(rr_ticks[before[1] + 1 : last + 1]) > 3000
            joined[-1] = (name + "_sustained" * long, before[1], last, before[3] + n_beats)
        else:
            joined.append((kind, first, last, n_beats))
    return joined


def is_early(rr_ticks, broken, beat):
    """Whether the RR of a beat is shorter by a fifth than the median of the ten before it, of those that are known."""
    before = [rr_ticks[i] for i in range(max(1, beat - 10), beat) if not broken[i]]
    known = beat > 0 and not broken[beat]
    return known and bool(before) and 10 * rr_ticks[beat] <= 8 * np.median(before)


def patterns_by_hand(labels, usable, follows):
    """The record as text, with a bar where two beats do not follow each other; patterns as regular expressions."""
    text, beat_at = "", []
    for i, label in enumerate(labels):
        if not follows[i]:
            text, beat_at = text + "|", [*beat_at, None]
        text, beat_at = text + (label if usable[i] else "x"), [*beat_at, i]
    for name in "VS":
        for kind, cycle in (("bigeminy", f"N{name}"), ("trigeminy", f"NN{name}")):
            for found in re.finditer(f"(?:{cycle}){{3,}}", text):
                yield f"{name.lower()}_{kind}", beat_at[found.start()], beat_at[found.end() - 1], len(found[0])


def long_by_hand(rr_ticks, follows):
    for i, ticks in enumerate(rr_ticks):
        if follows[i] and ticks >= 400:
            yield "asystole", i - 1, i, 2
        if follows[i] and ticks >= 200:
            yield "pause" if ticks >= 300 else "long_rr", i - 1, i, 2


def rates_by_hand(rr_ticks, usable, broken):
    """Rate windows of 8 RR that all count, in rows of too slow or too fast ones that take 30 s.

    A row goes on where nothing but lost signal lies between two windows, and no more than 10 s of it.
    """
    n = len(rr_ticks)
    known = [i > 0 and usable[i] and not broken[i] for i in range(n)]
    around = [[rr_ticks[k] for k in range(max(0, i - 4), min(n, i + 4)) if known[k]] for i in range(n)]
    slow = [len(around[i]) >= 4 and np.median(around[i]) > 200 for i in range(n)]
    counts = [known[i] and rr_ticks[i] >= 20 and (rr_ticks[i] <= 300 or slow[i]) for i in range(n)]
    is_lost = [not known[i] or not usable[i - 1] for i in range(n)]
    ticks = {i: sum(rr_ticks[i - 7 : i + 1]) for i in range(8, n) if all(counts[i - 7 : i + 1])}
    joined = {
        b
        for a, b in pairwise(ticks)
        if all(counts[k] or is_lost[k] for k in range(a + 1, b + 1)) and sum(rr_ticks[a + 1 : b - 7]) <= 1000
    }
    for kind, unusual in (
        ("bradycardia", {i for i, total in ticks.items() if 50 * total > 6000 * 8}),
        ("tachycardia", {i for i, total in ticks.items() if 100 * total < 6000 * 8}),
    ):
        row = []
        for i in [*ticks, None]:
            if row and (i not in unusual or i not in joined):
                first, last = row[0] - 8, row[-1]
                if sum(rr_ticks[first + 1 : last + 1]) >= 3000:
                    yield kind, first, last, sum(usable[first : last + 1])
                row = []
            if i in unusual:
                row.append(i)


def as_found(beats, events):
    place = {round(float(t), 6): i for i, t in enumerate(beats.time_s)}
    return sorted((e.kind, place[round(e.start_s, 6)], place[round(e.end_s, 6)], e.n_beats) for e in events)


@settings(max_examples=400)
@given(beat_columns())
def test_events_are_those_of_the_definitions(columns):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats(rr_ticks, labels, usable=usable, broken=broken)
    assert as_found(beats, rhythms_of(beats, RULES)) == oracle(*columns)


@given(beat_columns())
def test_every_ectopic_beat_is_single_or_in_one_couplet_or_in_one_run(columns):
    rr_ticks, labels, usable, broken = columns
    beats = make_beats(rr_ticks, labels, usable=usable, broken=broken)
    events = rhythms_of(beats, RULES)
    for letter in "VS":
        kinds = {f"{letter.lower()}_couplet", *RUNS[letter], *(["idioventricular"] if letter == "V" else [])}
        spans = [(event.start_s, event.end_s) for event in events if event.kind in kinds]
        single_s = [
            beats.time_s[series.start] for series in series_of(beats, letter) if series.stop - series.start == 1
        ]
        spans += [(time_s, time_s) for time_s in single_s]
        of_class = beats.time_s[(beats.label == letter) & beats.usable]
        assert [sum(a <= time_s <= b for a, b in spans) for time_s in of_class] == [1] * len(of_class)
        assert sum(np.any((of_class >= a) & (of_class <= b)) for a, b in spans) == len(spans)


@given(beat_columns())
def test_events_come_in_the_order_of_time_with_known_names(columns):
    rr_ticks, labels, usable, broken = columns
    events = rhythms_of(make_beats(rr_ticks, labels, usable=usable, broken=broken), RULES)
    assert [event.start_s for event in events] == sorted(event.start_s for event in events)
    assert {event.kind for event in events} <= set(KIND_NAMES)


def kinds(rr_ticks, labels, **more):
    return [event.kind for event in rhythms_of(make_beats(rr_ticks, labels, **more), RULES)]


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
        ("VNV", []),
        ("VNVNN", []),
        ("VVNV", ["v_couplet"]),
        ("VQV", []),
        ("NVFN", ["v_couplet"]),
        ("NFVN", ["v_couplet"]),
        ("VFV", ["v_run"]),  # a fusion beat joins the run of V that it lies in
        ("VFVF", ["v_run"]),
        ("FFV", ["v_run"]),
        ("FF", []),  # without V there is no run
        ("FFFF", []),
        ("VFSFV", ["v_couplet", "v_couplet"]),
        ("SFS", []),
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
    found = rhythms_of(make_beats([50] * n_beats, "V" * n_beats), replace(RULES, rate_min_s=600.0))
    assert [event.kind for event in found] == [expected]


@pytest.mark.parametrize(("n_beats", "expected"), [(61, "svt"), (62, "svt_sustained")])
def test_supraventricular_tachycardia_is_sustained_beyond_30_s(n_beats, expected):
    found = rhythms_of(make_beats([50] * n_beats, "S" * n_beats), replace(RULES, rate_min_s=600.0))
    assert [event.kind for event in found] == [expected]


@pytest.mark.parametrize(("rr", "expected"), [(199, []), (200, ["long_rr"]), (299, ["long_rr"]), (300, ["pause"])])
@pytest.mark.parametrize("start", [10, 110, 1010, 8_639_999])
def test_a_pause_begins_at_exactly_3_s_and_a_long_rr_at_2(rr, expected, start):
    assert kinds([start, rr], "NN") == expected


def test_no_event_spans_an_unusable_stretch():
    assert kinds([80, 400, 80], "NNN", broken=[False, True, False]) == []
    assert kinds([80] * 4, "VVVV", broken=[False, False, True, False]) == ["v_couplet", "v_couplet"]
    assert kinds([80] * 3, "VVV", usable=[True, False, True]) == []
    assert kinds([80, 300, 80], "NNN", usable=[True, False, True]) == []


@pytest.mark.parametrize(("label", "kind"), [("V", "vt_sustained"), ("S", "svt_sustained")])
@pytest.mark.parametrize("lost_ticks", [40, 60, 240])
def test_a_sustained_tachycardia_stays_one_through_short_lost_signal(label, kind, lost_ticks):
    rr = [80] * 20 + [40] * 60 + [lost_ticks] + [40] * 59 + [80] * 20
    labels = "N" * 20 + label * 120 + "N" * 20
    broken = [i == 80 for i in range(160)]
    (event,) = [one for one in rhythms_of(make_beats(rr, labels, broken=broken), RULES) if one.kind in RUNS[label]]
    assert (event.kind, event.n_beats) == (kind, 120)
    assert event.rate_bpm == pytest.approx(150, abs=1)


def test_single_ectopic_beats_are_joined_by_no_lost_signal():
    assert kinds([80, 80, 100, 80], "NVVN", broken=[False, False, True, False]) == []


def test_rate_of_a_run_is_that_of_its_mean_cycle():
    (event,) = rhythms_of(make_beats([80, 40, 50, 60], "VVVV"), RULES)
    assert event.rate_bpm == pytest.approx(120.0)
    assert (event.start_s, event.end_s) == pytest.approx((0.8, 2.3))


def test_rules_decide_what_counts():
    beats = make_beats([80] * 4 + [250], "VVVVN")
    assert [e.kind for e in rhythms_of(beats, replace(RULES, run_min_beats=5))] == ["long_rr"]
    assert [e.kind for e in rhythms_of(beats, replace(RULES, vt_bpm=70.0))] == ["vt", "long_rr"]
    assert [e.kind for e in rhythms_of(beats, replace(RULES, pause_s=2.5))] == ["v_run", "pause"]


def test_series_are_slices_of_the_beats():
    assert series_of(make_beats([80] * 7, "VNVVNVV"), "V") == [slice(0, 1), slice(2, 4), slice(5, 7)]


def test_fusion_beats_count_in_the_length_and_the_rate_of_a_run():
    (event,) = rhythms_of(make_beats([80] + [50] * 3, "VFVF"), RULES)
    assert (event.kind, event.n_beats, event.rate_bpm) == ("vt", 4, pytest.approx(120.0))


def test_two_marks_on_one_sample_break_nothing():
    (event,) = rhythms_of(make_beats([80, 0], "VV"), RULES)
    assert event.kind == "v_couplet"
    assert np.isnan(event.rate_bpm)


# Patterns and rates


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("NVNVNV", ["v_bigeminy"]),
        ("NVNV", []),
        ("VNVNVN", []),  # the first V has no normal beat before it: two cycles
        ("NVNVNVVNVNVNV", ["v_bigeminy", "v_couplet", "v_bigeminy"]),
        ("NNVNNVNNV", ["v_trigeminy"]),
        ("NNVNNV", []),
        ("NSNSNSN", ["s_bigeminy"]),
        ("NNSNNSNNSNN", ["s_trigeminy"]),
        ("NVNSNV", []),
        ("NVNVNVNNVNNVNNV", ["v_bigeminy", "v_trigeminy"]),
    ],
)
def test_three_cycles_make_a_pattern(labels, expected):
    assert kinds([80] * len(labels), labels) == expected


def test_an_episode_of_bigeminy_goes_from_its_first_normal_to_its_last_ectopic_beat():
    (event,) = rhythms_of(make_beats([80] * 10, "NNVNVNVNNN"), RULES)
    assert (event.start_s, event.end_s, event.n_beats) == (1.6, 5.6, 6)


@pytest.mark.parametrize(("rr", "kind"), [(121, "bradycardia"), (120, None), (60, None), (59, "tachycardia")])
def test_a_rate_is_unusual_only_beyond_its_limit(rr, kind):
    assert kinds([rr] * 100, "N" * 100) == ([kind] if kind else [])


def test_an_unusual_rate_has_to_last():
    assert kinds([80] * 20 + [40] * 60 + [80] * 20, "N" * 100) == []
    assert kinds([80] * 20 + [40] * 100 + [80] * 20, "N" * 140) == ["tachycardia"]


@pytest.mark.parametrize(("rr", "kind"), [(130, "bradycardia"), (50, "tachycardia")])
def test_an_unusual_rate_goes_on_through_short_lost_signal_at_the_rate_of_what_is_known(rr, kind):
    lost = np.arange(199) % 20 == 19
    beats = make_beats(np.where(lost, 3 * rr, rr), "N" * 199, broken=lost)
    (event,) = rhythms_of(beats, RULES)
    assert (event.kind, event.n_beats) == (kind, 199)
    assert event.duration_s > 100
    assert event.rate_bpm == pytest.approx(6000 / rr)


@pytest.mark.parametrize(("between", "is_lost", "n_events"), [(1000, True, 1), (1001, True, 2), (301, False, 2)])
def test_much_lost_signal_or_a_pause_ends_an_unusual_rate(between, is_lost, n_events):
    beats = make_beats([50] * 80 + [between] + [50] * 80, "N" * 161, broken=[False] * 80 + [is_lost] + [False] * 80)
    assert [event.kind for event in rhythms_of(beats, RULES)].count("tachycardia") == n_events


# Atrial fibrillation


def cosen_by_hand(rr_s):
    """The paper's definition for m = 1: tolerance from 30 ms up until five pairs match along with those that follow."""
    n = len(rr_s) - 1
    for step in range(1000):
        tolerance = 0.03 + 0.005 * step
        single = [(i, j) for i in range(n) for j in range(i + 1, n) if abs(rr_s[i] - rr_s[j]) <= tolerance + 1e-9]
        double = [(i, j) for i, j in single if abs(rr_s[i + 1] - rr_s[j + 1]) <= tolerance + 1e-9]
        if len(double) >= 5:
            return -np.log(len(double) / len(single)) + np.log(2 * tolerance) - np.log(np.mean(rr_s))
    raise AssertionError


@given(st.lists(st.integers(20, 300), min_size=12, max_size=30))
def test_entropy_is_that_of_the_definition(rr_ticks):
    series_s = np.stack((np.array(rr_ticks) / 100, np.full(len(rr_ticks), 0.8)))  # one needs no wider tolerance
    np.testing.assert_allclose(cosen(series_s), [cosen_by_hand(rr_s) for rr_s in series_s])


def sinus(n, rng, *, spread=0.02):
    return np.rint(80 * (1 + 0.05 * np.sin(np.arange(n) / 4) + spread * rng.normal(size=n))).astype(int)


def fibrillating(n, rng):
    return np.rint(36 + rng.gamma(3, 12, size=n)).astype(int)


def with_p(beats, fraction):
    return replace(beats, p_repeats=np.broadcast_to(np.float32(fraction), len(beats)))


def test_fibrillation_is_found_where_it_is():
    rng = np.random.default_rng(1)
    rr = np.concatenate([sinus(200, rng), fibrillating(200, rng), sinus(200, rng)])
    beats = make_beats(rr, "N" * 600)
    p_repeats = np.repeat([0.8, 0.01, 0.8], 200).astype(np.float32)
    (af,) = [event for event in rhythms_of(replace(beats, p_repeats=p_repeats), RULES) if event.kind == "af"]
    assert af.start_s == pytest.approx(beats.time_s[200], abs=10)
    assert af.end_s == pytest.approx(beats.time_s[399], abs=10)


@pytest.mark.parametrize("pattern", ["NNNNNNNN", "NV", "NNV", "NS", "NNS", "NNNNNNNV"])
def test_sinus_rhythm_with_ectopic_beats_in_any_pattern_is_no_fibrillation(pattern):
    rng = np.random.default_rng(2)
    labels = pattern * (480 // len(pattern))
    rr = sinus(len(labels), rng)
    early = np.array(list(labels)) != "N"
    rr[early] = rr[early] * 6 // 10
    rr[np.roll(early, 1)] = rr[np.roll(early, 1)] * 14 // 10
    assert "af" not in [event.kind for event in rhythms_of(with_p(make_beats(rr, labels), 0.5), RULES)]


def test_irregular_beats_that_all_have_their_p_wave_are_no_fibrillation():
    rng = np.random.default_rng(3)
    beats = make_beats(np.rint(80 * np.exp(0.09 * rng.normal(size=300))).astype(int), "N" * 300)
    assert "af" in [event.kind for event in rhythms_of(with_p(beats, 0.0), RULES)]
    assert "af" not in [event.kind for event in rhythms_of(with_p(beats, 0.8), RULES)]


def test_an_episode_ends_where_the_signal_is_not_analysable_for_long():
    rng = np.random.default_rng(4)
    usable = [not 150 <= i < 170 for i in range(400)]
    beats = with_p(make_beats(fibrillating(400, rng), "N" * 400, usable=usable), 0.0)
    episodes = [event for event in rhythms_of(beats, RULES) if event.kind == "af"]
    assert len(episodes) == 2
    assert episodes[0].end_s <= beats.time_s[149] < beats.time_s[170] <= episodes[1].start_s


def test_a_pause_in_fibrillation_is_counted_apart_from_5_s():
    rng = np.random.default_rng(5)
    rr = fibrillating(300, rng)
    rr[100], rr[200] = 400, 520
    found = rhythms_of(with_p(make_beats(rr, "N" * 300), 0.0), replace(RULES, long_rr_s=3.0))
    assert [event.kind for event in found if "pause" in event.kind] == ["pause", "af_pause"]


def test_few_beats_are_no_fibrillation():
    assert kinds(fibrillating(25, np.random.default_rng(6)), "N" * 25) == []


# Reference annotations of real records


@pytest.mark.databases
@pytest.mark.parametrize("database", ["mitdb/1.0.0", "svdb/1.0.0"])
def test_events_of_real_records_are_those_of_the_definitions(databases, database):
    paths = find_records(databases / database)
    assert len(paths) >= 48
    for path in paths:
        marks = read_record(path).reference
        code = class_codes(marks.symbol)
        time_s = marks.time_s[code != UNLABELLED]
        labels = np.array(CLASSES)[code[code != UNLABELLED]]
        ticks = np.rint(np.diff(time_s, prepend=0) * 100).astype(int)
        beats = make_beats(ticks, "".join(labels))
        n = len(labels)
        expected = oracle(ticks.tolist(), labels.tolist(), [True] * n, [False] * n)
        found = [event for event in as_found(beats, rhythms_of(beats, RULES)) if event[0] != "af"]
        assert found == expected, path.name
        events = rhythms_of(beats, RULES)
        quality = all_analysable(2000.0)
        burden = measure_burden(beats, events, quality=quality, duration_s=2000.0, rules=RULES)
        slow = [event for event in events if event.kind == "idioventricular"]
        inside = np.any([(beats.time_s >= e.start_s) & (beats.time_s <= e.end_s) for e in slow], axis=0)
        assert burden.pvc_burden_pct == 100 * np.sum((labels == "V") & ~inside) / n
        series = [text for text in re.findall("[VF]+", "".join(labels)) if "V" in text]
        n_couplets, n_runs = sum(len(text) == 2 for text in series), sum(len(text) >= 3 for text in series)
        assert (burden.v.couplets, burden.v.runs.n + len(slow), burden.v.singles) == (
            n_couplets,
            n_runs,
            series.count("V"),
        )
        assert burden.v.triplets == sum(len(text) == 3 for text in series)
        assert burden.v_and_f_pct == 100 * (np.sum((labels == "V") & ~inside) + np.sum(labels == "F")) / n


def test_s_inside_fibrillation_becomes_n_and_s_outside_stays():
    rng = np.random.default_rng(7)
    rr = np.concatenate([sinus(200, rng), fibrillating(200, rng), sinus(200, rng)])
    labels = list("N" * 600)
    for i in (50, 250, 300, 301, 350, 550):
        labels[i] = "S"
    labels[320] = "V"
    beats = make_beats(rr, labels)
    p_repeats = np.repeat([0.8, 0.01, 0.8], 200).astype(np.float32)
    beats = replace(beats, p_repeats=p_repeats)
    found = suppress_s_in_af(beats, af_episodes(beats, RULES))
    assert np.flatnonzero(found.label == "S").tolist() == [50, 550]
    assert np.flatnonzero(found.label == "V").tolist() == [320]
    assert beats.label[250] == "S"
    assert found.probability[250].tolist() == [1, 0, 0, 0, 0]
    np.testing.assert_array_equal(found.probability[[50, 320]], beats.probability[[50, 320]])


def test_s_inside_fibrillation_follows_the_rules_in_force():
    rng = np.random.default_rng(8)
    beats = make_beats(fibrillating(200, rng), "N" * 100 + "S" + "N" * 99)
    assert "S" not in suppress_s_in_af(beats, af_episodes(beats, RULES)).label
    episodes = af_episodes(beats, replace(RULES, af_entropy=1.0))
    assert suppress_s_in_af(beats, episodes).label[100] == "S"


@pytest.mark.parametrize(("ticks", "kinds"), [(299, ["long_rr", "v_run"]), (300, ["pause", "v_couplet", "v_couplet"])])
def test_ectopic_beats_with_a_pause_between_them_are_no_series(ticks, kinds):
    rr = [80, 80, 50, 80, ticks, 80, 80, 80]
    found = rhythms_of(make_beats(rr, "NNVVVVNN"), RULES)
    assert sorted(event.kind for event in found) == kinds
