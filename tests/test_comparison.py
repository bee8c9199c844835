"""Differences between two analyses are those that a plain loop over the pairs finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_core.evaluation.comparison import ABSENT, compare_beats, labels_at
from ecg_core.evaluation.matching import match_beats
from ecg_core.schema import Beats


def beats_of(rows):
    """Beats of (ms, class, usable)."""
    rows = sorted(rows)
    time_s = np.array([ms / 1000 for ms, _, _ in rows], dtype=np.float64)
    label = np.array([name for _, name, _ in rows], dtype="<U1")
    usable = np.array([can for _, _, can in rows], dtype=bool)
    return Beats(time_s, label, np.full((len(rows), 5), 0.2, np.float32), np.diff(time_s, prepend=np.nan), usable)


trains = st.lists(
    st.tuples(st.integers(0, 60).map(lambda step: 400 * step), st.integers(-120, 120), st.sampled_from("NSV")),
    unique_by=lambda row: row[0], max_size=40,
).map(lambda rows: beats_of([(max(0, at + shift), label, True) for at, shift, label in rows]))  # fmt: skip


def by_plain_loop(one, other):
    j, i = match_beats(other.time_s, one.time_s)
    partner = dict(zip(i.tolist(), j.tolist(), strict=True))
    found = []
    for beat in range(len(one)):
        label = str(other.label[partner[beat]]) if beat in partner else ABSENT
        if label != one.label[beat]:
            found.append((float(one.time_s[beat]), str(one.label[beat]), label))
    met = set(partner.values())
    found += [(float(other.time_s[k]), ABSENT, str(other.label[k])) for k in range(len(other)) if k not in met]
    return sorted(found)


@given(trains, trains)
def test_differences_are_those_of_a_plain_loop(one, other):
    differ = compare_beats(one, other)
    rows = list(zip(differ.time_s.tolist(), differ.one.tolist(), differ.other.tolist(), strict=True))
    assert sorted(rows) == by_plain_loop(one, other)
    assert np.all(np.diff(differ.time_s) >= 0)


@given(trains)
def test_an_analysis_does_not_differ_from_itself(beats):
    assert len(compare_beats(beats, beats).time_s) == 0


def test_beats_of_150_ms_are_one_and_of_more_are_two():
    one = beats_of([(1000, "N", True)])
    assert len(compare_beats(one, beats_of([(1150, "N", True)])).time_s) == 0
    assert compare_beats(one, beats_of([(1160, "N", True)])).time_s.tolist() == [1.0, 1.16]


@pytest.mark.parametrize(("first", "second"), [(False, True), (True, False), (False, False)])
def test_beats_that_either_cannot_analyse_are_no_difference(first, second):
    one = beats_of([(1000, "N", True), (2000, "V" if first else "Q", first), (3000, "N", True)])
    other = beats_of([(1000, "N", True), (2010, "N" if second else "Q", second), (3000, "S", True)])
    differ = compare_beats(one, other)
    assert (differ.time_s.tolist(), differ.one.tolist(), differ.other.tolist()) == ([3.0], ["N"], ["S"])


def test_label_at_a_moment_is_that_of_the_nearest_beat_or_none():
    time_s, label = np.array([1.0, 1.2, 3.0]), np.array(["N", "V", "S"])
    assert labels_at(np.array([1.09, 1.11, 2.0, 3.15, 9.0, 0.0]), time_s, label).tolist() == [
        "N",
        "V",
        "-",
        "S",
        "-",
        "-",
    ]
    assert labels_at(np.array([1.0]), np.zeros(0), np.zeros(0, "<U1")).tolist() == ["-"]
