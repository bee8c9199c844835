"""A reader's edits: what each changes, that their order counts, and that nothing else changes by a bit."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.analyses import make_analysis
from support.records import in_memory

from ecg_core.classifier.classification import take_rows
from ecg_core.edits import (
    MARKED_NAMES,
    AcceptEdit,
    DeleteEdit,
    InsertEdit,
    Label,
    LabelEdit,
    RhythmEdit,
    Stretch,
    StretchEdit,
    TemplateEdit,
    content_of,
    digest_of,
    edit_of,
    text_of,
)
from ecg_core.labels import CLASSES, NO_BEAT
from ecg_core.measuring import with_edits, with_labels, with_rules
from ecg_core.pipeline import analyse
from ecg_core.rhythm.danger import no_waveform
from ecg_core.rules import RhythmRules
from ecg_core.schema import Annotations, Beats, Waveform

DURATION_S = 600.0


@pytest.fixture(scope="module")
def base():
    """Ten minutes of a beat each 0.8 s, every tenth a premature S; the block from 100 to 110 s is not analysable."""
    return with_premature_beats()


def with_premature_beats():
    made = make_analysis(DURATION_S, unusable=[10])
    time_s = made.predicted.time_s.copy()
    time_s[7::10] -= 0.3
    rr_s = np.where(np.isfinite(made.predicted.rr_s), np.diff(time_s, prepend=np.nan), np.nan)
    return with_rules(replace(made, predicted=replace(made.predicted, time_s=time_s, rr_s=rr_s)), RhythmRules())


def with_gaps():
    """The same without beats or signal from 200 to 320 s, and with ventricular fibrillation from 450 to 470 s."""
    vf, lost = np.zeros(600, dtype=np.float32), (200.0, 320.0)
    vf[450:470] = 0.95
    waveform = Waveform(1.0, vf, np.zeros(600, np.float32), np.array([lost]), np.zeros((0, 2)))
    made = make_analysis(DURATION_S, unusable=range(20, 32), waveform=waveform)
    kept = (made.predicted.time_s < lost[0]) | (made.predicted.time_s >= lost[1])
    predicted = take_rows(made.predicted, kept)
    rr_s = np.where(np.diff(predicted.time_s, prepend=np.nan) < 1, predicted.rr_s, np.nan)
    attention = replace(made.attention, weight=made.attention.weight[kept])
    made = replace(made, predicted=replace(predicted, rr_s=rr_s), attention=attention)
    return with_rules(made, RhythmRules())


def stretch(start_s, end_s, *, analysable=False):
    return StretchEdit((Stretch(start_s, end_s),), analysable=analysable)


def mark(start_s, end_s, rhythm):
    return RhythmEdit((Stretch(start_s, end_s),), rhythm)


def kinds(analysis):
    return [event.kind for event in analysis.events]


def columns(beats):
    return {item.name: getattr(beats, item.name) for item in fields(Beats) if getattr(beats, item.name) is not None}


def assert_same(beats, other, rows=slice(None), of=slice(None)):
    for name, values in columns(beats).items():
        np.testing.assert_array_equal(values[rows], getattr(other, name)[of], err_msg=name)


def test_labels_alone_count_as_labels_of_annotations_do(base):
    time_s = base.beats.time_s[[3, 130, 400]]
    edited = with_edits(base, [LabelEdit(tuple(Label(at, "V") for at in time_s.tolist()))])
    labelled = with_labels(base, Annotations(time_s, np.array(["V"] * 3), np.array([""] * 3)))
    assert_same(edited.beats, labelled.beats)
    assert edited.events == labelled.events
    assert edited.labelled.tolist() == [3, 130, 400]
    assert edited.predicted is base.predicted


def test_a_deleted_beat_is_gone_and_its_neighbours_follow_each_other(base):
    at = 300
    edited = with_edits(base, [DeleteEdit((float(base.beats.time_s[at]),))])
    assert len(edited.beats) == len(base.beats) - 1 == len(edited.attention.weight)
    assert edited.predicted.rr_s[at] == pytest.approx(1.6)
    assert edited.burden.n_beats == base.burden.n_beats - 1
    assert edited.changes.deleted_s == (base.beats.time_s[at],)
    assert_same(edited.predicted, base.predicted, slice(0, at), slice(0, at))
    assert_same(edited.predicted, base.predicted, slice(at + 1, None), slice(at + 2, None))


def test_an_inserted_beat_counts_with_its_class_and_parts_the_rr(base):
    at = 300
    time_s = float(base.beats.time_s[at]) - 0.3
    edited = with_edits(base, [InsertEdit((Label(time_s, "S"),))])
    assert len(edited.beats) == len(base.beats) + 1 == len(edited.attention.weight)
    assert edited.beats.label[at] == "S"
    assert edited.predicted.rr_s[at : at + 2].tolist() == pytest.approx([0.5, 0.3])
    assert edited.labelled.tolist() == [at]
    assert edited.changes.inserted_s == (time_s,)
    assert_same(edited.predicted, base.predicted, slice(0, at), slice(0, at))
    assert_same(edited.predicted, base.predicted, slice(at + 2, None), slice(at + 1, None))


def test_a_beat_that_is_inserted_where_one_was_deleted_is_that_beat(base):
    time_s = float(base.beats.time_s[300])
    edited = with_edits(base, [DeleteEdit((time_s,)), InsertEdit((Label(time_s + 0.02, "V"),))])
    assert_same(edited.predicted, base.predicted)
    assert edited.beats.label[300] == "V"
    assert edited.changes.deleted_s == edited.changes.inserted_s == ()


def test_a_beat_can_be_inserted_before_the_first_and_after_the_last(base):
    edited = with_edits(base, [InsertEdit((Label(0.05, "N"), Label(599.9, "N")))])
    assert edited.beats.time_s[[0, -1]].tolist() == [0.05, 599.9]
    assert np.isnan(edited.beats.rr_s[0])
    assert edited.beats.rr_s[[1, -1]].tolist() == pytest.approx([0.35, 599.9 - base.beats.time_s[-1]])


def test_artefact_takes_its_beats_and_its_time_out_of_all_counts(base):
    edited = with_edits(base, [stretch(200.0, 212.4)])
    inside = (base.beats.time_s >= 200) & (base.beats.time_s < 212.4)
    np.testing.assert_array_equal(edited.beats.usable, base.beats.usable & ~inside)
    assert edited.burden.analysable_s == pytest.approx(base.burden.analysable_s - 12.4)
    assert edited.burden.n_beats == base.burden.n_beats - inside.sum()
    assert next(event for event in edited.events if event.kind == "artefact").start_s == 200.0
    first_after = int(np.flatnonzero(inside)[-1]) + 1
    assert np.isnan(edited.beats.rr_s[first_after])  # a beat may be hidden in the artefact
    assert_same(edited.predicted, base.predicted, slice(first_after + 1, None), slice(first_after + 1, None))


@pytest.mark.parametrize("beyond_s", [0.0, 0.05, 0.15])
def test_artefact_over_a_whole_recording_leaves_nothing_analysable_whatever_its_length(beyond_s):
    made = make_analysis(300.0 + beyond_s)
    edited = with_edits(made, [stretch(0.0, made.record.duration_s)])
    assert edited.quality.unusable_stretches(made.record.duration_s) == [(0.0, made.record.duration_s)]
    assert edited.burden.analysable_s == 0


def test_artefact_that_is_marked_as_analysable_again_leaves_all_as_it_was(base):
    edited = with_edits(base, [stretch(200.0, 212.4), stretch(199.0, 213.0, analysable=True)])
    np.testing.assert_array_equal(edited.beats.label, base.beats.label)
    np.testing.assert_allclose(edited.beats.rr_s, base.beats.rr_s)
    assert edited.burden.analysable_s == pytest.approx(base.burden.analysable_s)
    assert edited.events == base.events


def test_signal_that_a_reader_can_read_counts_with_the_classes_that_were_predicted(base):
    edited = with_edits(base, [stretch(100.0, 110.0, analysable=True)])
    assert edited.beats.usable.all()
    inside = (base.beats.time_s >= 100) & (base.beats.time_s < 110)
    wanted = np.array(CLASSES)[base.predicted.probability[inside].argmax(axis=1)]
    np.testing.assert_array_equal(edited.predicted.label[inside], wanted)
    assert np.isfinite(edited.predicted.rr_s[1:]).all()
    assert "not_analysable" not in kinds(edited)


def test_beats_in_signal_that_is_not_analysable_can_be_labelled(base):
    at = int(np.flatnonzero(~base.beats.usable)[2])
    edited = with_edits(base, [LabelEdit((Label(float(base.beats.time_s[at]), "V"),))])
    assert edited.beats.label[at] == "V"
    assert edited.beats.usable[at]


def test_fibrillation_in_artefact_is_none():
    vf = np.zeros(600, dtype=np.float32)
    vf[300:320] = 0.95
    waveform = Waveform(1.0, vf, np.zeros(600, np.float32), np.zeros((0, 2)), np.zeros((0, 2)))
    base = with_rules(make_analysis(DURATION_S, waveform=waveform), RhythmRules())
    assert "vf" in kinds(base)
    edited = with_edits(base, [stretch(299.0, 321.0)])
    assert "vf" not in kinds(edited)
    assert base.waveform.vf.max() > 0.9  # what was found stays


def test_a_marked_fibrillation_of_the_atria_is_an_episode_without_s(base):
    edited = with_edits(base, [mark(300.0, 360.0, "af")])
    (episode,) = [event for event in edited.events if event.kind == "af"]
    assert (episode.start_s, episode.end_s) == pytest.approx((300.4, 359.6), abs=0.8)
    inside = (edited.beats.time_s >= 300) & (edited.beats.time_s < 360)
    assert "S" not in edited.beats.label[inside]
    assert "S" in edited.beats.label[~inside]
    assert edited.burden.af.total_s == pytest.approx(59.2, abs=0.9)


def test_a_stretch_that_is_marked_otherwise_is_no_fibrillation_of_the_atria(base):
    edited = with_edits(base, [mark(300.0, 400.0, "af"), mark(340.0, 350.0, "sinus")])
    assert len([event for event in edited.events if event.kind == "af"]) == 2
    inside = (edited.beats.time_s >= 340) & (edited.beats.time_s < 350)
    assert set(edited.beats.label[inside]) == {"N"}


def test_a_marked_ventricular_fibrillation_heads_the_events_and_has_no_beats(base):
    edited = with_edits(base, [LabelEdit((Label(float(base.beats.time_s[380]), "V"),)), mark(300.0, 312.0, "vf")])
    (event,) = [event for event in edited.events if event.kind == "vf"]
    assert (event.start_s, event.end_s) == (300.0, 312.0)
    inside = (edited.beats.time_s >= 300) & (edited.beats.time_s < 312)
    assert not edited.beats.usable[inside].any()
    assert edited.burden.vf.total_s == 12.0


@pytest.mark.parametrize("before_s", [0.0, 60.0])
def test_a_marked_slow_tachycardia_is_one_event_whose_beats_are_in_the_burden(base, before_s):
    labels = [Label(float(at), "V") for at in base.beats.time_s if 300 - before_s <= at < 300]
    edited = with_edits(base, [*([LabelEdit(tuple(labels))] if labels else []), mark(300.0, 360.0, "vt")])
    (event,) = [event for event in edited.events if event.kind.startswith("vt")]
    assert (event.kind, event.rate_bpm) == ("vt_sustained", pytest.approx(75))
    assert event.n_beats == pytest.approx(75, abs=1)  # with a single V beside it
    beside = [one for one in edited.events if one.kind in ("idioventricular", "v_run") and one.end_s > 240]
    assert [one.end_s < 300 for one in beside] == [True] * bool(labels)
    inside = (edited.beats.time_s >= 300) & (edited.beats.time_s < 360)
    assert edited.burden.v.n_beats >= np.sum(edited.beats.label[inside] == "V") == 75


def test_a_marked_tachycardia_has_ventricular_beats_and_is_one_event(base):
    edited = with_edits(base, [mark(300.0, 340.0, "vt")])
    (event,) = [event for event in edited.events if event.kind.startswith("vt")]
    assert event.kind == "vt_sustained"
    inside = (edited.beats.time_s >= 300) & (edited.beats.time_s < 340)
    assert set(edited.beats.label[inside]) == {"V"}


def test_a_paced_rhythm_is_an_event_of_unclassifiable_beats(base):
    edited = with_edits(base, [mark(300.0, 340.0, "paced")])
    (event,) = [event for event in edited.events if event.kind == "paced"]
    inside = (edited.beats.time_s >= 300) & (edited.beats.time_s < 340)
    assert set(edited.beats.label[inside]) == {"Q"}
    assert event.n_beats == inside.sum()
    assert event.rate_bpm == pytest.approx(75, abs=0.1)


def test_the_last_edit_counts(base):
    at = int(np.searchsorted(base.beats.time_s, 305.0))
    label = LabelEdit((Label(float(base.beats.time_s[at]), "F"),))
    assert with_edits(base, [mark(300, 310, "vt"), label]).beats.label[at] == "F"
    assert with_edits(base, [label, mark(300, 310, "vt")]).beats.label[at] == "V"
    assert not with_edits(base, [label, stretch(300, 310)]).beats.usable[at]
    assert with_edits(base, [stretch(300, 310), label]).beats.label[at] == "F"
    gone = DeleteEdit((float(base.beats.time_s[at]),))
    assert len(with_edits(base, [gone, label]).beats) == len(base.beats) - 1
    again = with_edits(base, [mark(300, 310, "vt"), mark(300, 310, "af")])
    assert base.beats.label[at] == again.beats.label[at]  # what the first mark made of it is taken back


def test_a_beat_that_was_inserted_and_deleted_leaves_nothing(base):
    time_s = float(base.beats.time_s[300]) - 0.3
    put, gone = InsertEdit((Label(time_s, "V"),)), DeleteEdit((time_s,))
    assert_same(with_edits(base, [put, gone]).beats, base.beats)
    again = with_edits(base, [put, gone, put])
    assert again.changes.inserted_s == (time_s,)
    assert len(again.beats) == len(base.beats) + 1


def test_an_inserted_beat_keeps_its_class_through_marks_that_are_corrected(base):
    time_s = float(base.beats.time_s[300]) - 0.3
    put = InsertEdit((Label(time_s, "V"),))
    for between in (
        [mark(230, 250, "svt"), mark(230, 250, "af")],
        [mark(230, 250, "vf"), mark(230, 250, "af")],
        [stretch(230, 250), stretch(230, 250, analysable=True)],
    ):
        edited = with_edits(base, [put, *between])
        assert edited.beats.label[edited.beats.time_s == time_s].tolist() == ["V"]
    assert time_s not in with_edits(base, [put, stretch(230, 250)]).beats.time_s


def test_a_short_artefact_hides_no_fibrillation_around_it():
    vf = np.zeros(600, dtype=np.float32)
    vf[300:304] = 0.95
    waveform = Waveform(1.0, vf, np.zeros(600, np.float32), np.zeros((0, 2)), np.zeros((0, 2)))
    base = with_rules(make_analysis(DURATION_S, waveform=waveform), RhythmRules())
    (whole,) = [event for event in base.events if event.kind == "vf"]
    for start_s in (300.0, 301.6, 303.6):
        left = [event for event in with_edits(base, [stretch(start_s, start_s + 0.2)]).events if event.kind == "vf"]
        assert sum(event.duration_s for event in left) >= whole.duration_s - 1.3


def test_artefact_takes_back_the_rhythm_that_was_marked_there(base):
    for rhythm in ("vf", "vt", "af", "paced"):
        edited = with_edits(base, [mark(300, 360, rhythm), stretch(290, 370)])
        assert not {"vf", "vt", "vt_sustained", "af", "paced"} & set(kinds(edited))


def test_the_burden_of_marked_fibrillation_is_at_most_all_of_the_analysable_time(base):
    for edits in ([mark(0, 600, "af"), stretch(0, 300)], [stretch(0, 300), mark(0, 600, "af")]):
        edited = with_edits(base, edits)
        assert edited.burden.af.total_s <= edited.burden.analysable_s
        assert edited.burden.af_burden_pct <= 100


def test_marked_fibrillation_of_the_atria_ends_where_the_signal_does():
    edited = with_edits(with_gaps(), [mark(0, 600, "af")])
    episodes = [event for event in edited.events if event.kind == "af"]
    assert not any(event.start_s < 320 and event.end_s > 200 for event in episodes)
    beats_s = edited.beats.time_s
    for event in episodes:
        n_inside = int(((beats_s >= event.start_s) & (beats_s <= event.end_s)).sum())
        assert event.n_beats == n_inside
        assert event.rate_bpm == pytest.approx(75.0)
    assert edited.burden.af_burden_pct <= 100


def test_edited_analyses_are_measured_again_by_other_rules_with_all_edits(base):
    edits = [mark(300.0, 360.0, "af"), DeleteEdit((float(base.beats.time_s[50]),)), stretch(200, 210)]
    rules = RhythmRules(pause_s=1.5)
    first = with_rules(with_edits(base, edits), rules)
    second = with_edits(replace(base, rules=rules), edits)
    assert first.events == second.events
    assert first.burden.pauses.n == base.burden.pauses.n + 1


def test_no_beat_in_marked_artefact_is_queried(base):
    asked = replace(base, queried=np.array([400, 20, 300]))
    edited = with_edits(asked, [stretch(239.0, 242.0)])
    assert edited.beats.time_s[edited.queried].tolist() == base.beats.time_s[[400, 20]].tolist()


def test_queried_beats_stay_the_same_beats(base):
    asked = replace(base, queried=np.array([400, 20, 300]))
    edits = [DeleteEdit((float(base.beats.time_s[20]),)), InsertEdit((Label(100.2, "N"),))]
    edited = with_edits(asked, edits)
    assert edited.beats.time_s[edited.queried].tolist() == base.beats.time_s[[400, 300]].tolist()


def test_an_analysis_without_beats_takes_an_inserted_one():
    whole = make_analysis(60.0)
    none = slice(0, 0)
    empty = Beats(**{name: values[none] for name, values in columns(whole.predicted).items()})
    base = replace(
        whole, predicted=empty, beats=empty, waveform=no_waveform(60.0),
        attention=replace(whole.attention, weight=whole.attention.weight[none]),
    )  # fmt: skip
    assert with_edits(base, [InsertEdit((Label(30.0, "V"),))]).beats.label.tolist() == ["V"]
    assert len(with_edits(base, [DeleteEdit((30.0,)), LabelEdit((Label(30.0, "V"),))]).beats) == 0


TIMES = st.floats(0, DURATION_S, allow_nan=False).map(lambda value: round(value, 2))
LABELS = st.builds(Label, TIMES, st.sampled_from(CLASSES))
STRETCHES = st.tuples(TIMES, st.floats(0.1, 40)).map(lambda one: Stretch(one[0], min(one[0] + one[1], DURATION_S)))
EDITS = st.lists(
    st.one_of(
        st.lists(LABELS, min_size=1, max_size=5).map(lambda labels: LabelEdit(tuple(labels))),
        st.lists(LABELS, min_size=1, max_size=5).map(lambda labels: InsertEdit(tuple(labels))),
        st.lists(TIMES, min_size=1, max_size=5).map(lambda times: DeleteEdit(tuple(times))),
        st.builds(lambda one, value: StretchEdit((one,), analysable=value), STRETCHES, st.booleans()),
        st.builds(lambda one, rhythm: RhythmEdit((one,), rhythm), STRETCHES, st.sampled_from(sorted(MARKED_NAMES))),
    ),
    max_size=8,
)  # fmt: skip


@given(EDITS)
def test_whatever_the_edits_beats_ascend_and_an_rr_is_the_time_between_two_beats(edits):
    edited = with_edits(with_premature_beats(), edits)
    beats, n = edited.beats, len(edited.beats)
    assert (np.diff(beats.time_s) > 0).all()
    assert {len(values) for values in columns(beats).values()} == {n} == {len(edited.attention.weight)}
    known = np.isfinite(beats.rr_s)
    np.testing.assert_allclose(beats.rr_s[known], np.diff(beats.time_s, prepend=np.nan)[known], atol=1e-9)
    assert (beats.label[~beats.usable] == "Q").all()
    artefact = np.zeros(n, dtype=bool)
    for start_s, end_s in edited.changes.artefact:
        artefact |= (beats.time_s >= start_s) & (beats.time_s < end_s)
    late = [edit for edit in edits if isinstance(edit, (LabelEdit, InsertEdit, RhythmEdit))]
    assert not (beats.usable & artefact).any() or late
    assert edited.burden.n_beats == beats.usable.sum()
    assert 0 <= edited.burden.analysable_s <= DURATION_S + 1e-6


LONG = st.tuples(TIMES, st.floats(10, DURATION_S)).map(lambda one: Stretch(one[0], min(one[0] + one[1], DURATION_S)))
LONG_MARKS = st.lists(
    st.one_of(
        st.builds(lambda one, rhythm: RhythmEdit((one,), rhythm), LONG, st.sampled_from(sorted(MARKED_NAMES))),
        st.builds(lambda one, value: StretchEdit((one,), analysable=value), LONG, st.booleans()),
        st.lists(LABELS, min_size=1, max_size=5).map(lambda labels: LabelEdit(tuple(labels))),
    ),
    min_size=1,
    max_size=6,
)


@given(LONG_MARKS)
def test_whatever_is_marked_over_gaps_artefact_and_other_marks_no_burden_is_more_than_all(edits):
    burden = with_edits(with_gaps(), [mark(0, DURATION_S, "af"), *edits]).burden
    assert burden.af.total_s <= burden.analysable_s + 1e-6
    assert (burden.hourly.af_s <= burden.hourly.analysable_s + 1e-6).all()
    assert 0 <= burden.analysable_s <= DURATION_S
    percentages = [
        burden.af_burden_pct, burden.pvc_burden_pct, burden.sve_burden_pct, burden.v_and_f_pct, burden.analysable_pct,
        burden.variability.coverage_pct,
    ]  # fmt: skip
    assert all(0 <= percent <= 100 + 1e-6 for percent in percentages if np.isfinite(percent))


@given(EDITS)
def test_every_edit_is_stored_and_found_again_and_has_words(edits):
    every = [*edits, AcceptEdit((Stretch(1.0, 2.0),), "vt"), TemplateEdit("split", ("V1",), 2, (1.0, 2.5))]
    found = [edit_of(edit.kind, content_of(edit)) for edit in every]
    assert found == every
    assert digest_of(found) == digest_of(every) != digest_of(every[:-1])
    assert all(text_of(edit) for edit in every)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("labels", [[1.0, "X"]]), ("labels", [[-1.0, "V"]]), ("labels", [["1", "V"]]), ("labels", [[1.0]]),
        ("delete", [None]), ("delete", [float("nan")]), ("insert", [[True, "V"]]), ("stretch", [1, [1.0, 2.0]]),
        ("stretch", [True, [2.0, 1.0]]), ("stretch", []), ("rhythm", ["samba", [1.0, 2.0]]), ("accept", [3]),
        ("templates", ["burn", ["V1"], 0, []]), ("templates", ["split", ["V1"], -1, []]), ("other", []),
        ("labels", []), ("delete", []), ("rhythm", ["vt"]), ("templates", ["merge", "V1", 0, []]),
    ],
)  # fmt: skip
def test_what_is_no_edit_is_refused(kind, content):
    with pytest.raises(ValueError, match=r"edit|label|time|stretch|rhythm|event|template"):
        edit_of(kind, content)


def test_the_model_learns_from_deleted_and_inserted_beats(model, excerpt, monkeypatch):
    from ecg_core.classifier import cross_validation

    record = in_memory(excerpt[: 250 * 120], 250)
    before = analyse(record, model)
    gone, added = float(before.beats.time_s[20]), float(before.beats.time_s[40]) + 0.3
    learned = []
    learn = cross_validation.learn

    def noted(model, tokens, rr_s, lead_weight, code, **options):
        learned.append((len(rr_s), code.copy()))
        return learn(model, tokens, rr_s, lead_weight, code, **options)

    monkeypatch.setattr(cross_validation, "learn", noted)
    edits = (DeleteEdit((gone,)), InsertEdit((Label(added, "V"),)))
    fitted = analyse(record, model, edits=edits)
    assert added in fitted.beats.time_s  # one that can be learned from
    ((n, code),) = learned
    assert n == len(before.beats) + 1
    assert code[20] == NO_BEAT
    assert code[fitted.beats.time_s == added].tolist() == [CLASSES.index("V")]
    assert fitted.n_fitted == 2
    shown = with_edits(fitted, edits)
    assert gone not in shown.beats.time_s
    assert shown.changes.inserted_s == (added,)
    assert shown.edits_sha256 == fitted.fitted_sha256 == digest_of(edits)
