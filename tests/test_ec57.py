"""The matching and counting of EC57; most cases are small enough to be worked by hand."""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_core.evaluation.ec57 import (
    CONFUSION_COLUMNS,
    CONFUSION_ROWS,
    Score,
    average,
    gross,
    score_record,
    statistics,
)
from ecg_core.evaluation.matching import match_beats, overlap_s, rhythm_spans
from ecg_core.labels import AAMI_OF_SYMBOL, CLASSES
from ecg_core.schema import Annotations

DS2 = (100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210)
DS2 += (212, 213, 214, 219, 221, 222, 228, 231, 232, 233, 234)
EXTRA = MISSED = 5


def marks(time_s, symbols):
    symbol = np.array(list(symbols), dtype=str)
    return Annotations(np.array(time_s, dtype=float), symbol, np.full(len(symbol), "", dtype=str))


def beats(time_s, labels):
    return np.array(time_s, dtype=float), np.array(list(labels), dtype=str)


def scored(reference, test, **options):
    """Score two lines of beats, one a second, over the whole record; a dot is a second without a beat."""
    there, found = ([i for i, symbol in enumerate(line) if symbol != "."] for line in (reference, test))
    answer = beats(found, test.replace(".", ""))
    return score_record(marks(there, reference.replace(".", "")), *answer, **{"learning_s": 0.0, **options})


def counts(score):
    """The filled fields of a matrix: {(reference, called): count}."""
    filled = zip(*np.nonzero(score.matrix), strict=True)
    return {(CONFUSION_ROWS[row], CONFUSION_COLUMNS[column]): int(score.matrix[row, column]) for row, column in filled}


def pairs(reference_s, test_s, **options):
    i, j = match_beats(np.array(reference_s, dtype=float), np.array(test_s, dtype=float), **options)
    return list(zip(i.tolist(), j.tolist(), strict=True))


# ---------------------------------------------------------------------------------------------------------- matching


def plain_matches(reference, test, window):
    """The rule read aloud, on whole samples: the earliest beat of all is paired or put aside, until a train is empty.

    It looks at all later beats and not only at the next one, and it counts in exact numbers.
    """
    found, left, right = [], list(enumerate(reference)), list(enumerate(test))
    while left and right:
        (i, mark), (j, beat) = left[0], right[0]
        distance = abs(mark - beat)
        rivals = [abs(mark - other) for _, other in right[1:]] if beat < mark else [abs(beat - o) for _, o in left[1:]]
        if distance <= window and all(distance < rival for rival in rivals):
            found.append((i, j))
            del left[0], right[0]
        elif beat < mark:
            del right[0]
        else:
            del left[0]
    return found


def trains(last):
    return st.lists(st.integers(0, last), max_size=40).map(sorted)


rates = st.sampled_from([128, 250, 257, 360, 1000])


@settings(max_examples=400, deadline=None)
@given(fs=rates, start=st.integers(0, 10**7), reference=trains(400), test=trains(400))
def test_matches_are_those_of_the_plain_rule_on_random_and_crowded_trains(fs, start, reference, test):
    in_seconds = [(np.array(train, dtype=float) + start) / fs for train in (reference, test)]
    assert pairs(*in_seconds) == plain_matches(reference, test, Fraction(150, 1000) * fs)


@settings(max_examples=200, deadline=None)
@given(
    reference=st.lists(st.integers(60, 400), min_size=1, max_size=40),
    shift=st.lists(st.integers(-70, 70), min_size=40, max_size=40),
    extras=st.lists(st.integers(0, 8000), max_size=60),
)
def test_matches_are_those_of_the_plain_rule_on_jittered_beats_with_many_extra_detections(reference, shift, extras):
    mark = np.cumsum(reference)
    test = np.sort(np.concatenate([mark + shift[: len(mark)], np.array(extras, dtype=int)]))
    assert pairs(mark / 360, test / 360) == plain_matches(mark.tolist(), test.tolist(), 54)


@settings(max_examples=200, deadline=None)
@given(reference=trains(2000), test=trains(2000))
def test_each_beat_is_matched_once_in_order_and_within_the_window(reference, test):
    i, j = match_beats(np.array(reference) / 360, np.array(test) / 360)
    assert (np.diff(i) > 0).all()
    assert (np.diff(j) > 0).all()
    assert all(abs(reference[a] - test[b]) <= 54 for a, b in zip(i, j, strict=True))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("at_s", [0.5, 300.0, 86_400.3, 1_209_600.7])
def test_a_detection_150_ms_away_is_a_match_and_one_151_ms_away_is_not(at_s, late):
    sign = 1 if late else -1
    assert pairs([at_s], [at_s + sign * 0.150]) == [(0, 0)]
    assert pairs([at_s], [at_s + sign * 0.151]) == []


@pytest.mark.parametrize(
    ("reference_s", "test_s", "expected"),
    [
        pytest.param([1.0], [0.9, 1.05], [(0, 1)], id="the nearer of two candidates, the later"),
        pytest.param([1.0], [0.95, 1.1], [(0, 0)], id="the nearer of two candidates, the earlier"),
        pytest.param([1.0], [0.9, 1.1], [(0, 1)], id="a tie goes to the later detection"),
        pytest.param([0.9, 1.1], [1.0], [(1, 0)], id="a tie goes to the later mark"),
        pytest.param([1.0, 1.1], [1.09], [(1, 0)], id="one detection goes to the nearer of two marks"),
        pytest.param([1.0], [1.0, 1.0], [(0, 0)], id="a detection reported twice matches once"),
        pytest.param([1.0, 1.1], [1.02, 1.12], [(0, 0), (1, 1)], id="two close pairs stay in order"),
        pytest.param([0.1, 0.16], [0.0, 0.15], [(1, 1)], id="a dense chain is settled from its start"),
    ],
)
def test_the_nearer_beat_is_matched(reference_s, test_s, expected):
    assert pairs(reference_s, test_s) == expected


@pytest.mark.parametrize(("reference_s", "test_s"), [([], []), ([1.0], []), ([], [1.0])])
def test_an_empty_train_matches_nothing(reference_s, test_s):
    assert pairs(reference_s, test_s) == []


def test_the_window_can_be_chosen():
    assert pairs([1.0], [1.1], window_s=0.05) == []
    assert pairs([1.0], [1.1], window_s=0.10) == [(0, 0)]


@pytest.mark.parametrize("times", [[2.0, 1.0], [1.0, float("nan")], [float("nan")]])
def test_times_that_do_not_ascend_are_refused(times):
    with pytest.raises(ValueError, match="ascending"):
        pairs(times, [1.0])
    with pytest.raises(ValueError, match="ascending"):
        pairs([1.0], times)


def test_a_day_of_beats_is_matched_in_half_a_second():
    rng = np.random.default_rng(7)
    mark = np.cumsum(rng.uniform(0.6, 1.0, 108_000))
    test = np.sort(mark + rng.normal(0.0, 0.05, len(mark)))
    started = time.process_time()
    match_beats(mark, test)
    assert time.process_time() - started < 0.5


# ----------------------------------------------------------------------------------------------- what counts as what


def test_a_perfect_program_scores_one_in_everything():
    score = scored("NNSVFQNSVF", "NNSVFQNSVF", duration_s=3600.0)
    values = statistics(score)
    assert values.pop("always_n_accuracy") == pytest.approx(3 / 10)
    assert values.pop("false_v_per_hour") == values.pop("false_s_per_hour") == 0.0
    assert set(values.values()) == {1.0}


@pytest.mark.parametrize("called", "NSFQ.")
def test_a_v_called_anything_else_or_missed_is_a_false_negative_of_v(called):
    score = scored("VVN", f"V{called}N")
    assert (score.se("V"), score.ppv("V"), score.false_negatives("V")) == (0.5, 1.0, 1)


@pytest.mark.parametrize("truth", "NS.")
def test_an_n_or_s_called_v_and_an_extra_v_are_false_positives_of_v(truth):
    score = scored(f"V{truth}N", "VVN")
    assert (score.se("V"), score.ppv("V"), score.false_positives("V")) == (1.0, 0.5, 1)


@pytest.mark.parametrize("truth", "FQ")
def test_a_fusion_or_unclassifiable_beat_called_v_is_no_false_positive_of_v(truth):
    score = scored(f"V{truth}N", "VVN")
    assert (score.ppv("V"), score.f1("V"), score.false_positives("V")) == (1.0, 1.0, 0)
    assert score.accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize("called", "NVFQ.")
def test_an_s_called_anything_else_or_missed_is_a_false_negative_of_s(called):
    score = scored("SSN", f"S{called}N")
    assert (score.se("S"), score.ppv("S"), score.false_negatives("S")) == (0.5, 1.0, 1)


@pytest.mark.parametrize("truth", "NVF.")
def test_an_n_v_or_f_called_s_and_an_extra_s_are_false_positives_of_s(truth):
    score = scored(f"S{truth}N", "SSN")
    assert (score.se("S"), score.ppv("S"), score.false_positives("S")) == (1.0, 0.5, 1)


def test_an_unclassifiable_beat_called_s_is_no_false_positive_of_s():
    score = scored("SQN", "SSN")
    assert (score.ppv("S"), score.f1("S"), score.false_positives("S")) == (1.0, 1.0, 0)


@pytest.mark.parametrize("label", "NF")
def test_every_other_beat_called_n_or_f_is_a_false_positive_of_it(label):
    others = [other for other in CLASSES if other != label] + ["."]
    score = scored("".join([label, *others]), label * 6)
    assert (score.se(label), score.false_positives(label)) == (1.0, 5)
    assert score.ppv(label) == pytest.approx(1 / 6)


def test_detection_is_scored_whatever_the_class():
    score = scored("NSVFQ.NN", "QNSVFV.N")
    assert (score.qrs_se, score.qrs_ppv) == (6 / 7, 6 / 7)
    assert score.accuracy == pytest.approx(1 / 6)


def test_accuracies_are_fractions_of_the_matched_beats_only():
    score = scored("NNNSV.N", "NNVSNN.")
    assert score.accuracy == pytest.approx(3 / 5)
    assert score.always_n_accuracy == pytest.approx(3 / 5)


def test_macro_f1_is_the_mean_of_n_s_and_v():
    score = scored("NNNNSSVVFQ", "NNNSSNVVVN")
    assert score.f1("N") == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    assert score.f1("S") == pytest.approx(0.5)
    assert score.f1("V") == 1.0
    assert score.macro_f1 == pytest.approx((6 / 9 + 0.5 + 1.0) / 3)


def test_every_pair_of_classes_has_its_own_place_in_the_matrix():
    score = scored("NSVFQ" * 5 + "NSVFQ.....", "NNNNNSSSSSVVVVVFFFFFQQQQQ" + ".....NSVFQ")
    expected = np.ones((6, 6), dtype=int)
    expected[EXTRA, MISSED] = 0
    np.testing.assert_array_equal(score.matrix, expected)


lines = st.text("NSVFQ.", max_size=40)


@settings(max_examples=100, deadline=None)
@given(reference=lines, test=lines, order=st.permutations(range(5)))
def test_renaming_the_classes_reorders_the_matrix_and_changes_no_count(reference, test, order):
    renamed = str.maketrans("NSVFQ", "".join(CLASSES[i] for i in order))
    before = scored(reference, test).matrix
    after = scored(reference.translate(renamed), test.translate(renamed)).matrix
    place = [*order, EXTRA]
    np.testing.assert_array_equal(after[np.ix_(place, place)], before)


@settings(max_examples=100, deadline=None)
@given(reference=lines, test=lines)
def test_every_scored_beat_is_counted_once(reference, test):
    matrix = scored(reference, test).matrix
    for axis, line in ((1, reference), (0, test)):
        assert matrix.sum(axis=axis)[:5].tolist() == [line.count(label) for label in CLASSES]


def test_symbols_are_read_as_aami_classes_and_other_marks_are_ignored():
    symbols = "+NLRejnB~AaJSVEF/fQ?|"
    time_s = np.arange(len(symbols), dtype=float)
    score = score_record(marks(time_s, symbols), *beats([], ""), learning_s=0.0)
    assert counts(score) == {("N", "missed"): 7, ("S", "missed"): 4, ("V", "missed"): 2, ("F", "missed"): 1} | {
        ("Q", "missed"): 4
    }


def test_an_unknown_label_of_the_program_is_refused_by_name():
    with pytest.raises(ValueError, match="labelled A, x, but a label is one of N, S, V, F, Q"):
        scored("NNN", "AxN")


def test_times_and_labels_of_different_number_are_refused():
    with pytest.raises(ValueError, match="there are 2 and 1 of them"):
        score_record(marks([1.0], "N"), *beats([1.0, 2.0], "N"))


# ----------------------------------------------------------------------------------------------------- what is scored


def test_the_learning_period_ends_before_the_beat_at_exactly_five_minutes():
    score = score_record(marks([299.9, 300.0, 301.0], "VVV"), *beats([299.9, 300.0, 301.0], "VVV"))
    assert counts(score) == {("V", "V"): 2}


def test_missed_and_extra_beats_of_the_learning_period_are_not_scored():
    missed = score_record(marks([299.9, 300.0], "VV"), *beats([], ""))
    extra = score_record(marks([], ""), *beats([299.9, 300.0], "VV"))
    assert counts(missed) == {("V", "missed"): 1}
    assert counts(extra) == {("extra", "V"): 1}


def test_a_pair_across_the_end_of_the_learning_period_goes_by_its_mark():
    marked_before = score_record(marks([299.95], "V"), *beats([300.05], "V"))
    marked_after = score_record(marks([300.05], "V"), *beats([299.95], "V"))
    assert counts(marked_before) == {}
    assert counts(marked_after) == {("V", "V"): 1}


def test_the_learning_period_can_be_chosen():
    assert counts(scored("NNVV", "NNVN", learning_s=3.0)) == {("V", "N"): 1}


def test_beats_in_an_episode_of_fibrillation_are_left_out():
    score = scored("NN[V!.V]NN", "NN.VVVV.NN")
    assert counts(score) == {("N", "N"): 4}


def test_detections_on_the_ends_of_an_episode_are_left_out_and_those_beyond_them_are_extra():
    score = scored("N.[..].N", "NVV..VVN")
    assert counts(score) == {("N", "N"): 2, ("extra", "V"): 2}


def test_a_beat_beside_an_episode_can_match_a_detection_within_it():
    score = score_record(marks([1.0, 1.05, 5.0], "V[]"), *beats([1.1], "V"), learning_s=0.0)
    assert counts(score) == {("V", "V"): 1}


def test_an_episode_without_an_end_lasts_until_the_end():
    assert counts(scored("NN[VV", "NNVVVVV")) == {("N", "N"): 2}


def test_an_end_without_an_onset_and_an_onset_within_an_episode_change_nothing():
    assert counts(scored("N[V[V]N", "N.V.V.N")) == {("N", "N"): 2}
    score = scored("N]NV", "N.NV", duration_s=10.0)
    assert counts(score) == {("N", "N"): 2, ("V", "V"): 1}
    assert score.scored_s == 10.0


def test_scored_time_is_the_recording_less_learning_and_fibrillation():
    reference = marks([250.0, 310.0, 400.0, 460.0, 3000.0], "[][]N")
    score = score_record(reference, *beats([3000.0], "N"), duration_s=3970.0)
    assert score.scored_s == 3970.0 - 310.0 - 60.0


@pytest.mark.parametrize("learning_s", [0.0, 300.0])
def test_a_recording_within_its_learning_period_or_all_fibrillation_has_no_scored_time(learning_s):
    score = score_record(marks([0.0], "["), *beats([], ""), duration_s=200.0, learning_s=learning_s)
    assert score.scored_s == 0.0
    assert np.isnan(score.false_per_hour("V"))


def test_false_v_per_hour_counts_false_positives_over_the_scored_time():
    score = scored("NNNSF.N", "NVVVVVN", duration_s=7200.0)
    assert score.false_per_hour("V") == pytest.approx(4 / 2)
    assert np.isnan(scored("NN", "NV").false_per_hour("V"))


# -------------------------------------------------------------------------------------------- undefined, pooled, mean


def test_without_beats_every_statistic_is_undefined_and_none_warns():
    score = scored("", "")
    assert counts(score) == {}
    assert np.isnan(list(statistics(score).values())).all()


def test_without_detections_sensitivity_is_zero_and_predictivity_undefined():
    score = scored("NSV", "")
    assert (score.qrs_se, score.se("V"), score.f1("V")) == (0.0, 0.0, 0.0)
    assert np.isnan([score.qrs_ppv, score.ppv("V"), score.accuracy]).all()


def test_without_a_reference_predictivity_is_zero_and_sensitivity_undefined():
    score = scored("", "NSV")
    assert (score.qrs_ppv, score.ppv("V"), score.f1("V")) == (0.0, 0.0, 0.0)
    assert np.isnan([score.qrs_se, score.se("V"), score.accuracy]).all()


def test_macro_f1_leaves_out_a_class_that_occurs_nowhere():
    assert scored("NNVV", "NNVN").macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_gross_is_the_sum_of_counts_and_time():
    one, two = scored("NNV.", "NVVV", duration_s=60.0), scored("NSV", "NS.", duration_s=30.0)
    pooled = gross([one, two])
    np.testing.assert_array_equal(pooled.matrix, one.matrix + two.matrix)
    assert (pooled.record_id, pooled.scored_s) == ("gross", 90.0)
    assert pooled.se("V") == 0.5
    assert gross([]).matrix.sum() == 0


def test_gross_time_is_unknown_if_one_length_is_unknown():
    assert np.isnan(gross([scored("N", "N", duration_s=60.0), scored("N", "N")]).scored_s)


def test_average_weighs_records_alike_and_leaves_out_those_without_the_class():
    mean = average([scored("VVVV", "VVVV"), scored("VN", "NN"), scored("NN", "NN")])
    assert mean["v_se"] == (0.5, 2)
    assert mean["n_se"] == (1.0, 2)
    assert mean["qrs_se"] == (1.0, 3)
    assert np.isnan(mean["s_se"].value)
    assert mean["s_se"].n_records == 0


def test_average_of_nothing_names_every_statistic():
    assert {mean.n_records for mean in average([]).values()} == {0}
    assert list(average([])) == list(statistics(gross([])))


def test_statistics_keep_their_names():
    by_class = [f"{label}_{name}" for label in "nsvf" for name in ("se", "ppv", "f1")]
    others = ["accuracy", "always_n_accuracy", "macro_f1", "false_v_per_hour", "false_s_per_hour"]
    assert list(statistics(gross([]))) == ["qrs_se", "qrs_ppv", *by_class, *others]


def test_a_score_cannot_be_changed_and_does_not_follow_its_source():
    source = np.eye(6, dtype=int)
    score = Score("100", source)
    source[0, 0] = 99
    assert score.matrix[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        score.matrix[0, 0] = 2


def test_a_matrix_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(5, 5\)"):
        Score("100", np.eye(5, dtype=int))


# ---------------------------------------------------------------------------------------------------- real recordings


def mitdb(record_id):
    """Reference marks, the beats among them as an answer, and the length of a record, as they lie on disk."""
    wfdb = pytest.importorskip("wfdb")
    path = str(Path(os.environ["ECG_DATABASES"]) / "mitdb" / "1.0.0" / str(record_id))
    header, mark = wfdb.rdheader(path), wfdb.rdann(path, "atr")
    reference = marks(mark.sample / header.fs, mark.symbol)
    label = np.array([AAMI_OF_SYMBOL.get(symbol, "") for symbol in mark.symbol])
    return reference, reference.time_s[label != ""], label[label != ""], header.sig_len / header.fs


needs_databases = pytest.mark.skipif(
    "ECG_DATABASES" not in os.environ, reason="ECG_DATABASES does not name the folder of the databases"
)
# wfdb 4.3 reads annotations through a pandas keyword that pandas 3.1 deprecates
old_pandas_keyword = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")


@pytest.mark.databases
@needs_databases
@old_pandas_keyword
def test_ds2_has_its_known_counts_and_scores_one_against_itself():
    """Calling every beat N is right in 89.0 % of DS2 over the whole records, in 88.9 % without the learning periods."""
    whole, late = {}, {}
    for record_id in DS2:
        *answer, duration_s = mitdb(record_id)
        whole[record_id] = score_record(*answer, learning_s=0.0, duration_s=duration_s)
        late[record_id] = score_record(*answer, duration_s=duration_s)

    pooled, pooled_late = gross(whole.values()), gross(late.values())
    assert np.diag(pooled.matrix).tolist() == [44259, 1837, 3221, 388, 7, 0]
    assert np.diag(pooled_late.matrix).tolist() == [36926, 1608, 2686, 288, 7, 0]
    assert whole[232].true_positives("S") == 1382
    assert round(100 * pooled.always_n_accuracy, 1) == 89.0
    assert round(100 * pooled_late.always_n_accuracy, 1) == 88.9
    assert {
        statistics(pooled_late)[name] for name in ("qrs_se", "qrs_ppv", "accuracy", "macro_f1", "v_f1", "s_f1")
    } == {1.0}


@pytest.mark.databases
@needs_databases
@old_pandas_keyword
def test_a_v_called_on_each_flutter_wave_of_record_207_changes_no_count():
    reference, beat_s, label, duration_s = mitdb(207)
    wave_s = reference.time_s[reference.symbol == "!"]
    order = np.argsort(np.concatenate([beat_s, wave_s]), kind="stable")
    crowded_s = np.concatenate([beat_s, wave_s])[order]
    crowded_label = np.concatenate([label, np.full(len(wave_s), "V")])[order]
    options = {"duration_s": duration_s, "learning_s": 0.0}
    calm = score_record(reference, beat_s, label, **options)
    crowded = score_record(reference, crowded_s, crowded_label, **options)
    assert len(wave_s) == 472
    np.testing.assert_array_equal(crowded.matrix, calm.matrix)
    onset_s, end_s = (reference.time_s[reference.symbol == bracket] for bracket in "[]")
    assert calm.scored_s == pytest.approx(duration_s - (end_s - onset_s).sum())


# ---------------------------------------------------------------------------------------------------- rhythms by time


def with_notes(*notes):
    time_s, aux = zip(*notes, strict=True)
    return Annotations(np.array(time_s, dtype=float), np.array(["+"] * len(notes)), np.array(aux))


def test_a_rhythm_lasts_until_the_next_one_or_the_end():
    reference = with_notes((0.2, "(N"), (10, "(AFIB"), (20, "(AFL"), (25, "(N"), (90, "(AFIB"))
    assert rhythm_spans(reference, ("(AFIB", "(AFL"), 100.0) == [(10, 20), (20, 25), (90, 100)]
    assert rhythm_spans(reference, ("(VT",), 100.0) == []


def test_a_reference_without_rhythms_is_not_one_without_fibrillation():
    assert rhythm_spans(with_notes((1.0, ""), (2.0, "TS")), ("(AFIB",), 100.0) is None
    assert rhythm_spans(with_notes((1.0, "(N")), ("(AFIB",), 100.0) == []


@given(st.lists(st.integers(0, 200), unique=True, max_size=12), st.lists(st.integers(0, 200), unique=True, max_size=12))
def test_overlap_is_that_of_counting_seconds(one, other):
    def spans(edges):
        edges = sorted(edges)
        return list(zip(edges[::2], edges[1::2], strict=False))

    def seconds(edges):
        return {second for start, end in spans(edges) for second in range(start, end)}

    assert overlap_s(spans(one), spans(other)) == len(seconds(one) & seconds(other))
