"""Each beat belongs to one template, whose name stays over edits; templates are merged, split, hidden and described."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from support.records import in_memory

from ecg_core.edits import TemplateEdit, content_of, edit_of
from ecg_core.labels import CLASSES, UNLABELLED
from ecg_core.morphology.clustering import group_beats, split_beats
from ecg_core.morphology.linkage import cut_at, cut_into
from ecg_core.morphology.templates import (
    INSERTED,
    UNUSABLE,
    BeatTemplates,
    apply_template_edits,
    beats_through_box,
    describe_templates,
    edited_templates,
    make_templates,
    marks_of,
    morphologies,
)
from ecg_core.morphology.waveforms import OFFSET_S, cut_waveforms, sample_evenly
from ecg_core.rhythm.labelling import set_labels
from ecg_core.schema import Beats

FS_HZ = 250.0
STEPS = np.arange(-100, 150) / FS_HZ


def bump(centre_s, width_s=0.03, at=STEPS):
    return np.exp(-0.5 * ((at - centre_s) / width_s) ** 2)


FOCI = (bump(0), -bump(0), bump(0) - 1.2 * bump(0.08), bump(0) - bump(0.06) - bump(-0.06))


def recording(focus, *, label=None, rr_s=0.8, confidence=0.9, usable=None, seed=0, noise_mv=0.02):
    """A record with a beat each ``rr_s`` that comes from one of the foci, and its beats."""
    rng = np.random.default_rng(seed)
    focus = np.asarray(focus)
    time_s = 1.0 + np.cumsum(np.broadcast_to(rr_s, len(focus)))
    signal = rng.normal(0, noise_mv, (2, round((time_s[-1] + 2) * FS_HZ)))
    for at, one in zip(np.rint(time_s * FS_HZ).astype(int), focus, strict=True):
        signal[:, at - 100 : at + 150] += rng.uniform(0.7, 1.4) * np.array([[1.0], [-0.6]]) * FOCI[one]
    label = np.array(["V"] * len(focus)) if label is None else np.asarray(label)
    probability = np.full((len(focus), len(CLASSES)), 0.0, np.float32)
    probability[np.arange(len(focus)), [CLASSES.index(one) for one in label]] = confidence
    usable = np.ones(len(focus), bool) if usable is None else usable
    beats = Beats(time_s, label, probability, np.diff(time_s, prepend=np.nan), usable)
    return in_memory(signal, FS_HZ, lead_names=("II", "V1")), beats


def made_of(focus, **options):
    record, beats = recording(focus, **options)
    return record, beats, make_templates(record, record.lead_names, beats)


@pytest.fixture(scope="module")
def mixed():
    """Normal beats of one shape, and V of two: 60, 40 and 20 of them in turns."""
    focus = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [60, 40, 20]))
    return (focus, *made_of(focus, label=np.where(focus == 0, "N", "V")))


def sizes(made):
    return {name: len(index) for name, index in made.members.items()}


def test_two_planted_shapes_are_told_apart_whatever_their_size(mixed):
    focus, _, _, made = mixed
    assert sizes(made) == {"N1": 60, "V1": 40, "V2": 20}
    assert set(focus[made.members["V1"]]) == {1}
    assert set(focus[made.members["V2"]]) == {2}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.sampled_from([0.02, 0.6]), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_every_beat_belongs_to_exactly_one_template(focus, noise_mv, seed):
    rng = np.random.default_rng(seed)
    label, usable = rng.choice(list(CLASSES), len(focus)), rng.random(len(focus)) > 0.1
    _, beats, made = made_of(focus, label=label, usable=usable, noise_mv=noise_mv, confidence=rng.uniform(0.4, 1))
    described = describe_templates(made, beats)
    assert sorted(np.concatenate([one.index for one in described]).tolist()) == list(range(len(focus)))
    assert sum(one.share_of_all for one in described) == pytest.approx(1)
    for one in described:
        assert len(set(beats.label[one.index[beats.usable[one.index]]])) <= 1


def test_the_same_beats_give_the_same_templates(mixed):
    _, record, beats, made = mixed
    again = make_templates(record, record.lead_names, beats)
    assert again.names == made.names
    assert np.array_equal(again.number, made.number)


def test_no_beat_is_left_out_where_beats_are_few_odd_or_none():
    assert sizes(made_of([0, 1])[2]) == {"V rest": 2}
    record, _, made = made_of([0, 0, 1, 2], usable=np.array([True, True, True, False]))
    assert sum(sizes(made).values()) == 4
    assert sizes(made)[UNUSABLE] == 1
    none = Beats(np.zeros(0), np.zeros(0, "<U1"), np.zeros((0, 5), np.float32), np.zeros(0), np.zeros(0, bool))
    assert describe_templates(make_templates(record, record.lead_names, none), none) == ()


def test_premature_and_uncertain_beats_of_one_shape_are_templates_of_their_own():
    rr_s = np.tile([0.8] * 9 + [0.5], 12)
    confidence = np.where(np.arange(120) < 90, 0.95, 0.5)
    _, _, made = made_of([0] * 120, label=["N"] * 120, rr_s=rr_s, confidence=confidence)
    assert sizes(made) == {"N1": 84, "N2": 27, "N3": 9}  # three that are both are too few and stay with the most
    assert set(made.members["N3"] % 10) == {9}
    assert made.members["N2"].min() == 90


def test_a_template_is_merged_split_hidden_and_shown_and_undone_by_leaving_the_edit_out(mixed):
    _, _, _, made = mixed
    merge = TemplateEdit("merge", ("V2", "V1"))
    split = TemplateEdit("split", ("V2",), n_parts=2)
    hide, show = TemplateEdit("hide", ("N1",)), TemplateEdit("show", ("N1",))
    merged = apply_template_edits(made, [merge])
    assert sizes(merged) == {"N1": 60, "V2": 60}
    both = apply_template_edits(made, [merge, split])
    assert sizes(both) == {"N1": 60, "V2": 40, "V3": 20}  # V1 is not given to other beats
    assert np.array_equal(both.members["V2"], made.members["V1"])
    assert apply_template_edits(made, [merge, hide]).hidden == ("N1",)
    assert apply_template_edits(made, [hide, show]).hidden == ()
    assert sizes(apply_template_edits(made, [])) == sizes(made)
    assert apply_template_edits(made, [TemplateEdit("merge", ("V7", "V8"))]).names == made.names


def test_an_edit_is_about_the_templates_that_its_reader_saw_and_no_others_of_their_names(mixed):
    """In another lead other beats may be V2: they are not hidden, and not merged into V1."""
    _, _, _, made = mixed
    hide = TemplateEdit("hide", ("V2",), times_s=marks_of(made, ["V2"]))
    merge = TemplateEdit("merge", ("V1", "V2"), times_s=marks_of(made, ["V1", "V2"]))
    assert apply_template_edits(made, [hide]).hidden == ("V2",)
    assert sizes(apply_template_edits(made, [merge]))["V1"] == 60
    swapped = replace(made, names=("N1", "V2", "V1"))
    later = replace(made, time_s=made.time_s + 0.02)  # as another lead has the same beats
    assert apply_template_edits(swapped, [hide]).hidden == ()
    assert sizes(apply_template_edits(swapped, [merge])) == sizes(swapped)
    assert apply_template_edits(later, [hide]).hidden == ("V2",)


def test_an_edit_of_templates_stays_where_a_beat_that_marks_them_is_deleted(mixed):
    _, record, _, made = mixed
    marks = made.members["V1"][[0, -1]]
    hide = TemplateEdit("hide", ("V1",), times_s=marks_of(made, ["V1"]))
    assert edit_of(hide.kind, content_of(hide)) == hide
    left_s = np.delete(made.time_s, marks)
    assert edited_templates(made, record, left_s, [hide]).hidden == ("V1",)
    inserted_s = np.sort(np.append(made.time_s, made.time_s[5] + 0.4))
    whole = edited_templates(made, record, inserted_s, [])
    merge = TemplateEdit("merge", ("V1", INSERTED), times_s=marks_of(whole, ["V1", INSERTED]))
    assert sizes(edited_templates(made, record, inserted_s, [merge]))["V1"] == 41
    assert sizes(edited_templates(made, record, made.time_s, [merge])) == sizes(made)


def test_chosen_beats_are_split_off_under_the_next_number(mixed):
    _, _, _, made = mixed
    chosen = made.members["V1"][[3, 5, 8]]
    split = TemplateEdit("split", ("V1",), times_s=tuple(made.time_s[chosen].tolist()))
    edited = apply_template_edits(made, [split])
    assert edited.members["V3"].tolist() == chosen.tolist()
    assert sizes(edited)["V1"] == 37
    every = replace(split, times_s=tuple(made.time_s[made.members["V1"]].tolist()))
    assert sizes(apply_template_edits(made, [every])) == sizes(made)


def test_a_part_of_what_is_not_analysable_gets_a_number():
    _, _, made = made_of([0] * 30 + [1] * 10, usable=np.arange(40) > 9)
    times = tuple(made.time_s[:4].tolist())
    assert sizes(apply_template_edits(made, [TemplateEdit("split", (UNUSABLE,), times_s=times)]))["Q1"] == 4


def test_a_box_on_the_overlay_chooses_the_beats_that_pass_through_it(mixed):
    focus, _, _, made = mixed
    v = np.flatnonzero(focus > 0)
    found = beats_through_box(made, v, "II", offset_s=(-0.01, 0.01), mv=(-2, -0.4))
    assert found.tolist() == made.members["V1"].tolist()
    assert not len(beats_through_box(made, v, "II", offset_s=(0, 0), mv=(50, 60)))


def test_relabelling_keeps_the_names_and_all_counts_follow(mixed):
    _, _, beats, made = mixed
    codes = np.full(len(beats), UNLABELLED)
    codes[made.members["V2"]] = CLASSES.index("N")
    before = {one.name: one for one in describe_templates(made, beats)}
    after = {one.name: one for one in describe_templates(made, set_labels(beats, codes))}
    assert after.keys() == before.keys()
    assert (after["V2"].label, after["V2"].made_label) == ("N", "V")
    assert after["V2"].doubt == 0 < before["V2"].doubt
    assert after["V2"].share_of_class == pytest.approx(20 / 80)
    assert (before["V1"].share_of_class, after["V1"].share_of_class) == (pytest.approx(40 / 60), 1)
    assert after["V2"].count.tolist() == [20, 0, 0, 0, 0]


def test_templates_come_in_the_order_of_their_doubt(mixed):
    focus, _, beats, made = mixed
    probability = beats.probability * np.where(focus == 2, 0.5, 1)[:, None].astype(np.float32)
    described = describe_templates(made, replace(beats, probability=probability))
    assert [one.name for one in described] == ["V2", "N1", "V1"]
    assert described[0].doubt == pytest.approx(20 * 0.55, abs=0.01)


def test_deleted_beats_drop_out_and_inserted_ones_have_a_template(mixed):
    _, record, beats, made = mixed
    time_s = np.sort(np.append(np.delete(beats.time_s, made.members["V2"][:5]), 50.123))
    edited = edited_templates(made, record, time_s, ())
    assert sizes(edited) == {"N1": 60, "V1": 40, "V2": 15, INSERTED: 1}
    assert time_s[edited.members[INSERTED]] == 50.123
    assert np.array_equal(edited.time_s, time_s)
    assert np.allclose(edited.waveform, cut_waveforms(record, record.lead_names, time_s), atol=1e-3)
    assert edited_templates(made, record, beats.time_s, ()) is made


def test_inserted_beats_are_merged_and_deletions_do_not_change_a_split(mixed):
    _, record, beats, made = mixed
    merge, split = TemplateEdit("merge", ("V1", "V2", INSERTED)), TemplateEdit("split", ("V1",), n_parts=2)
    time_s = np.sort(np.append(beats.time_s, 50.123))
    assert sizes(edited_templates(made, record, time_s, [merge])) == {"N1": 60, "V1": 61}
    without = np.delete(beats.time_s, made.members["V1"][:39])
    assert sizes(edited_templates(made, record, without, [merge, split])) == {"N1": 60, "V1": 1, "V3": 20}


def test_the_bars_count_the_rr_before_each_beat():
    _, beats, made = made_of([0] * 40, rr_s=0.81)
    (one,) = describe_templates(made, beats)
    assert one.rr_count.sum() == 39  # the first has none
    assert one.rr_count.argmax() == 12  # 0.80 to 0.85


def test_25000_beats_are_relabelled_and_described_in_far_less_than_a_second():
    n = 117_000
    rng = np.random.default_rng(0)
    number = rng.integers(0, 4, n)
    waveform = rng.normal(0, 1, (n, 1, len(OFFSET_S))).astype(np.float16)
    names, label = ("N1", "N2", "S1", "V1"), np.array(["N", "N", "S", "V"])[number]
    beats = Beats(np.arange(n) * 0.74, label, np.full((n, 5), 0.2, np.float32), np.full(n, 0.74), np.ones(n, bool))
    made = BeatTemplates(("II",), beats.time_s, waveform, names, number)
    codes = np.full(n, UNLABELLED)
    codes[made.members["V1"][:25_000]] = 0
    described = {one.name: one for one in describe_templates(made, set_labels(beats, codes))}
    assert described["V1"].label == "N"
    assert sum(int(one.count[0]) for one in described.values()) == int((label == "N").sum()) + 25_000


def test_what_fits_no_group_at_first_is_grouped_in_a_further_round():
    rng = np.random.default_rng(0)
    focus = np.zeros(6000, int)
    focus[rng.choice(6000, 24, replace=False)] = 1  # too few to be three in a sample
    shape = np.stack([np.interp(OFFSET_S, STEPS, one) for one in FOCI[:2]])
    waveform = (shape[focus] + rng.normal(0, 0.02, (6000, len(OFFSET_S)))).astype(np.float16)[:, None]
    assert np.array_equal(group_beats(waveform, max_groups=4), focus)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), n_clusters=st.integers(1, 5), most=st.floats(0.1, 2), seed=st.integers(0, 999))
def test_clusters_are_those_of_scipy(n, n_clusters, most, seed):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    distance = np.linalg.norm(points[:, None] - points, axis=2).astype(np.float32)
    of_scipy = np.ones((2, n)) if n == 1 else [
        fcluster(linkage(squareform(distance, checks=False), "average"), *cut)
        for cut in ((most, "distance"), (n_clusters, "maxclust"))
    ]  # fmt: skip
    for ours, theirs in zip((cut_at(distance, most), cut_into(distance, n_clusters)), of_scipy, strict=True):
        assert len({*zip(ours, theirs, strict=True)}) == len({*ours}) == len({*theirs})


def test_parts_of_a_split_are_numbered_by_their_size_and_no_beat_is_lost():
    _, _, made = made_of([0] * 30 + [1] * 20 + [2] * 10)
    part = split_beats(made.waveform, 3)
    assert part.tolist() == [0] * 30 + [1] * 20 + [2] * 10
    assert split_beats(made.waveform[:2], 3).tolist() == [0, 0]


def test_morphologies_hold_all_beats():
    record, beats = recording([0] * 30 + [1] * 20 + [2])
    shapes, (_, n_rest) = morphologies(record, record.lead_names, beats.time_s, max_groups=4)
    assert [n for _, n in shapes] == [30, 20]
    assert n_rest == 1


@pytest.mark.parametrize("fs_hz", [100.0, 128.0, 360.0, 1000.0])
def test_a_beat_is_cut_at_its_time_whatever_the_rate(fs_hz):
    time_s = np.arange(1.0, 100.0, 0.9037)
    grid_s = np.arange(round(101 * fs_hz)) / fs_hz
    signal = 0.5 + np.exp(-0.5 * ((grid_s[:, None] - time_s) / 0.03) ** 2).sum(axis=1)
    cut = cut_waveforms(in_memory(signal, fs_hz), ("II",), time_s)[:, 0].astype(float)
    near = np.abs(OFFSET_S) < 0.2
    cut -= cut.min(axis=1, keepdims=True)
    assert np.allclose(cut[:, near], bump(0, at=OFFSET_S[near]), atol=0.06)
    assert np.allclose(OFFSET_S[cut.argmax(axis=1)], 0, atol=0.009)


def test_a_voltage_that_no_ecg_has_stays_a_number():
    signal = np.zeros(round(10 * FS_HZ))
    signal[round(5 * FS_HZ)] = 1e9  # mV
    cut = cut_waveforms(in_memory(signal, FS_HZ), ("II",), np.array([5.0, 8.0]))
    assert np.isfinite(cut).all()
    assert cut[0].max() == np.finfo(np.float16).max


def test_only_chunks_with_beats_are_read():
    class Counting:
        n = 0

        def read(self, start, stop, leads):
            self.n += stop - start
            return np.zeros((len(leads), stop - start), np.float32)

    source = Counting()
    record = replace(in_memory(np.zeros(1), FS_HZ), source=source, n_samples=round(86_400 * FS_HZ))
    cut_waveforms(record, ("II",), np.array([100.0, 100.8, 50_000.0]))
    assert source.n < 10 * FS_HZ


def test_beats_at_the_edge_and_in_gaps_have_no_complete_waveform_but_a_template():
    signal = np.tile(np.sin(np.arange(2500) / 20), 4)
    signal[5000:5100] = np.nan
    time_s = np.array([0.1, 5.0, 20.2, 30.0, 39.9])
    cut = cut_waveforms(in_memory(signal, FS_HZ), ("II",), time_s)
    assert np.isfinite(cut).all(axis=(1, 2)).tolist() == [False, True, False, True, False]
    beats = Beats(time_s, np.array(["N"] * 5), np.full((5, 5), 0.2, np.float32), np.full(5, 1.0), np.ones(5, bool))
    described = describe_templates(make_templates(in_memory(signal, FS_HZ), ("II",), beats), beats)
    assert sum(len(one.index) for one in described) == 5


@given(st.integers(0, 3000), st.integers(0, 5))
def test_sample_is_ascending_without_doubles_and_reaches_both_ends(n, first):
    beat = first + 3 * np.arange(n)
    sample = sample_evenly(beat, 200)
    assert len(sample) == min(n, 200)
    assert np.all(np.diff(sample) > 0)
    assert set(sample.tolist()) <= set(beat.tolist())
    if n:
        assert (sample[0], sample[-1]) == (beat[0], beat[-1])
