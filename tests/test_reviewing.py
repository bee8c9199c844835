"""Findings gone through one by one: what there is, in which order, what is reviewed, and the edit of each verdict."""

from dataclasses import replace

import numpy as np
import pytest
from support.analyses import make_analysis, make_event, with_events

from ecg_core.edits import MARKED_NAMES, AcceptEdit, DeleteEdit, Label, LabelEdit, RhythmEdit, Stretch, StretchEdit
from ecg_core.labels import CLASSES
from ecg_core.rhythm.events import DANGERS, KIND_NAMES
from ecg_core.rhythm.reviewing import (
    ACCEPT,
    ANALYSABLE,
    ARTEFACT,
    ARTEFACT_MARGIN_S,
    BEATS,
    BY_LENGTH,
    BY_PROBABILITY,
    BY_RATE,
    BY_TIME,
    DELETE,
    NothingToChangeError,
    beat_items,
    beats_in,
    changed_beats,
    edit_of_action,
    kind_name,
    kinds_found,
    ordered,
    review_items,
    reviewed,
    verdicts,
)


@pytest.fixture(scope="module")
def analysis():
    """A minute with two couplets, a pause, AF and fibrillation among single V and S."""
    made = make_analysis(60.0)
    label = made.beats.label.copy()
    label[20:22], label[40:42], label[41] = "V", "V", "F"
    made = replace(made, beats=replace(made.beats, label=label))
    time_s = made.beats.time_s
    return with_events(
        made,
        make_event("v_couplet", time_s[20], time_s[21], n_beats=2, rate_bpm=75.0),
        make_event("v_couplet", time_s[40], time_s[41], n_beats=2, rate_bpm=150.0),
        make_event("pause", time_s[50], time_s[51], n_beats=2, rate_bpm=20.0),
        make_event("af", time_s[23], time_s[38], n_beats=16, rate_bpm=80.0),
        make_event("vf", 55.0, 58.0),
    )


def test_the_kinds_found_are_counted_with_the_dangers_first(analysis):
    found = kinds_found(analysis)
    assert next(iter(found)) in DANGERS
    assert found["v_couplet"] == 2
    assert found["V"] == int((analysis.beats.label == "V").sum())
    assert all(kind_name(kind) for kind in found)


def test_beats_that_are_not_counted_are_not_gone_through():
    analysis = make_analysis(60.0, unusable=(1,))
    assert "Q" not in kinds_found(analysis)
    assert len(review_items(analysis, "Q")) == 0


def test_items_are_ordered_by_time_length_rate_and_probability(analysis):
    couplets = review_items(analysis, "v_couplet")
    assert ordered(analysis, couplets, BY_TIME).start_s.tolist() == sorted(couplets.start_s.tolist())
    assert ordered(analysis, couplets, BY_RATE).rate_bpm.tolist() == [150.0, 75.0]
    af = review_items(with_events(analysis, make_event("af", 0.0, 1.0)), "af")
    longest = ordered(analysis, af, BY_LENGTH)
    lengths_s = longest.end_s - longest.start_s
    assert lengths_s.tolist() == sorted(lengths_s.tolist(), reverse=True)
    doubtful = ordered(analysis, review_items(analysis, "V"), BY_PROBABILITY)
    assert (np.diff(analysis.beats.confidence[doubtful.beat]) >= 0).all()


def test_an_item_without_a_rate_comes_last_by_rate(analysis):
    items = ordered(analysis, beat_items(analysis, np.arange(5)), BY_RATE)
    assert items.beat[-1] == 0  # the first beat has no RR before it


def test_accepting_an_event_keeps_it_and_counts_it_as_reviewed(analysis):
    couplets = review_items(analysis, "v_couplet")
    edit = edit_of_action(analysis, couplets.only(np.array([1])), ACCEPT)
    assert isinstance(edit, AcceptEdit)
    assert edit.event == "v_couplet"
    assert reviewed(analysis, couplets, [edit]).tolist() == [False, True]
    assert not reviewed(analysis, review_items(analysis, "af"), [edit]).any()


def test_an_event_whose_extent_changed_is_no_longer_reviewed(analysis):
    couplets = review_items(analysis, "v_couplet")
    edit = edit_of_action(analysis, couplets, ACCEPT)
    longer = replace(couplets, end_s=couplets.end_s + 0.8)
    assert not reviewed(analysis, longer, [edit]).any()


def test_accepting_beats_labels_them_with_their_class_and_counts_them_as_reviewed(analysis):
    beats = beat_items(analysis, np.array([21, 7]))
    edit = edit_of_action(analysis, beats, ACCEPT)
    time_s = analysis.beats.time_s
    assert edit == LabelEdit((Label(time_s[7], "S"), Label(time_s[21], "V")))
    labelled = replace(analysis, labelled=np.array([7, 21]))
    assert reviewed(labelled, beats, []).all()
    assert not reviewed(analysis, beats, []).any()


@pytest.mark.parametrize("label", CLASSES)
def test_a_class_key_labels_the_beats_of_all_chosen_events_in_one_edit(analysis, label):
    edit = edit_of_action(analysis, review_items(analysis, "v_couplet"), label)
    assert edit == LabelEdit(tuple(Label(at_s, label) for at_s in analysis.beats.time_s[[20, 21, 40, 41]].tolist()))


def test_normal_beats_in_bigeminy_stay_as_they_are(analysis):
    time_s = analysis.beats.time_s
    bigeminy = make_event("v_bigeminy", time_s[19], time_s[24], n_beats=6)
    items = review_items(with_events(analysis, bigeminy), "v_bigeminy")
    assert analysis.beats.label[beats_in(analysis, items)].tolist() == ["V", "V", "V"]


def test_deleting_takes_out_the_beats_of_an_event(analysis):
    edit = edit_of_action(analysis, review_items(analysis, "v_couplet").only(np.array([0])), DELETE)
    assert edit == DeleteEdit(tuple(analysis.beats.time_s[20:22].tolist()))


def test_artefact_covers_the_first_and_the_last_qrs_and_stays_in_the_record(analysis):
    couplet = review_items(analysis, "v_couplet").only(np.array([0]))
    edit = edit_of_action(analysis, couplet, ARTEFACT)
    assert isinstance(edit, StretchEdit)
    assert not edit.analysable
    assert edit.stretches[0].start_s == pytest.approx(couplet.start_s[0] - ARTEFACT_MARGIN_S)
    assert edit.stretches[0].end_s == pytest.approx(couplet.end_s[0] + ARTEFACT_MARGIN_S)
    edge = beat_items(
        replace(analysis, beats=replace(analysis.beats, time_s=analysis.beats.time_s - 0.4)), np.array([0])
    )
    assert edit_of_action(analysis, edge, ARTEFACT).stretches[0].start_s == 0.0


def test_a_stretch_that_is_not_analysable_can_be_called_analysable_but_not_artefact(analysis):
    items = review_items(with_events(analysis, make_event("not_analysable", 10.0, 20.0)), "not_analysable")
    assert edit_of_action(analysis, items, ANALYSABLE) == StretchEdit((Stretch(10.0, 20.0),), analysable=True)
    assert ARTEFACT not in verdicts("not_analysable")


@pytest.mark.parametrize("rhythm", [name for name in MARKED_NAMES if name != "af"])
def test_a_rhythm_key_marks_the_extent_of_the_event(analysis, rhythm):
    items = review_items(analysis, "af")
    edit = edit_of_action(analysis, items, rhythm)
    assert isinstance(edit, RhythmEdit)
    assert edit.rhythm == rhythm
    assert edit.stretches[0].start_s == items.start_s[0]
    assert edit.stretches[0].end_s - items.end_s[0] == pytest.approx(0.01)  # the last beat lies in the stretch


def test_af_is_not_made_of_ectopic_beats_so_none_of_them_is_relabelled(analysis):
    assert not set(CLASSES) & set(verdicts("af"))
    with pytest.raises(ValueError, match="af: N is no verdict"):
        edit_of_action(analysis, review_items(analysis, "af"), "N")


def test_a_verdict_on_beats_that_are_not_there_says_so(analysis):
    empty = with_events(analysis, make_event("not_analysable", 1.0, 1.1))
    with pytest.raises(NothingToChangeError, match="there is no beat"):
        edit_of_action(empty, review_items(empty, "not_analysable"), "N")


@pytest.mark.parametrize("kind", ["vf", "vf_suspected"])
def test_no_label_and_no_deletion_of_beats_looks_like_a_verdict_on_fibrillation(kind):
    """It would stay what it is: another rhythm or artefact is marked over it instead."""
    assert not {DELETE, *CLASSES} & set(verdicts(kind))
    assert {ARTEFACT, "sinus"} <= set(verdicts(kind))


@pytest.mark.parametrize("kind", [*KIND_NAMES, BEATS])
def test_every_kind_can_be_accepted_and_no_kind_is_marked_as_what_it_is(kind):
    assert verdicts(kind)[0] == ACCEPT
    assert kind not in verdicts(kind)


def test_the_beats_that_a_change_touched_are_found_by_their_times(analysis):
    before = analysis.beats
    label = before.label.copy()
    label[[3, 9]] = "S"
    after = replace(before, label=label)
    later = replace(
        after, **{name: getattr(after, name)[1:] for name in ("time_s", "label", "probability", "rr_s", "usable")}
    )
    changed, labels = changed_beats(before, later)
    assert changed.tolist() == [2, 8]
    assert labels[[2, 8]].tolist() == before.label[[3, 9]].tolist()
    new, labels = changed_beats(later, before)
    assert new.tolist() == [0, 3, 9]
    assert labels[0] == ""
