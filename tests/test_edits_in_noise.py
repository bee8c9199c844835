"""Marks over beats that a reader labelled or inserted where the program could not read the signal."""

import numpy as np
import pytest
from support.analyses import make_analysis

from ecg_core.edits import InsertEdit, Label, LabelEdit, RhythmEdit, Stretch, StretchEdit
from ecg_core.measuring import with_edits

INSERTED_S = 104.0  # between two of the beats of make_analysis


@pytest.fixture(scope="module")
def base():
    """Five minutes of a beat each 0.8 s; the block from 100 to 110 s is not analysable."""
    return make_analysis(300.0, unusable=[10])


@pytest.fixture
def beats_of_reader(base):
    """A beat that was found in the noise and labelled, and one that was inserted there."""
    found_s = float(base.beats.time_s[np.searchsorted(base.beats.time_s, 105.0)])
    return [LabelEdit((Label(found_s, "F"),)), InsertEdit((Label(INSERTED_S, "N"),))]


def mark(start_s, end_s, rhythm):
    return RhythmEdit((Stretch(start_s, end_s),), rhythm)


def counted_in_noise(analysis):
    beats = analysis.beats
    return beats.label[(beats.time_s >= 100) & (beats.time_s < 110) & beats.usable].tolist()


@pytest.mark.parametrize(("rhythm", "label"), [("vt", "V"), ("svt", "S"), ("sinus", "N"), ("paced", "Q")])
def test_a_mark_is_about_every_beat_that_is_counted_in_it(base, beats_of_reader, rhythm, label):
    assert sorted(counted_in_noise(with_edits(base, beats_of_reader))) == ["F", "N"]
    assert counted_in_noise(with_edits(base, [*beats_of_reader, mark(90, 120, rhythm)])) == [label] * 2


def test_no_beat_is_counted_in_marked_ventricular_fibrillation(base, beats_of_reader):
    edited = with_edits(base, [*beats_of_reader, mark(95, 115, "vf")])
    inside = (edited.beats.time_s >= 95) & (edited.beats.time_s < 115)
    assert not edited.beats.usable[inside].any()
    assert INSERTED_S not in edited.beats.time_s


@pytest.mark.parametrize("hidden_by", [StretchEdit((Stretch(95, 115),), analysable=False), mark(95, 115, "vf")])
def test_an_inserted_beat_stays_hidden_while_what_hid_it_holds(base, hidden_by):
    put = InsertEdit((Label(INSERTED_S, "V"),))
    other = mark(90, 120, "sinus") if isinstance(hidden_by, StretchEdit) else StretchEdit((Stretch(90, 120),), True)
    assert INSERTED_S in with_edits(base, [put]).beats.time_s
    assert INSERTED_S not in with_edits(base, [put, hidden_by]).beats.time_s
    assert INSERTED_S not in with_edits(base, [put, hidden_by, other]).beats.time_s
