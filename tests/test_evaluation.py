"""A model is scored on records: which beats count, and the intervals of the figures."""

from dataclasses import replace

import numpy as np
import pytest
from support.adapting import evaluation as made_evaluation
from support.records import in_memory

from ecg_core.errors import RecordError
from ecg_core.evaluation import evaluate as evaluation
from ecg_core.evaluation.ec57 import Score, gross, statistics
from ecg_core.evaluation.evaluate import LabelBudget, evaluate_record, score_beats
from ecg_core.evaluation.summary import intervals, report_text, summarise
from ecg_core.schema import Annotations, Beats


@pytest.fixture(scope="module")
def record():
    """Ten minutes with a beat every second; every tenth is ventricular."""
    time_s = np.arange(0.5, 600)
    symbol = np.where(np.arange(len(time_s)) % 10 == 9, "V", "N")
    marks = Annotations(time_s, symbol, np.full(len(time_s), ""))
    return replace(in_memory(np.zeros(600 * 100), 100.0), reference=marks)


def score_of(n_right, n_wrong):
    matrix = np.zeros((6, 6), dtype=int)
    matrix[2, 2], matrix[2, 0], matrix[0, 0] = n_right, n_wrong, 1000
    return Score("", matrix, 1500.0)


def test_beats_of_the_learning_period_are_not_scored(record):
    marks = record.reference
    assert score_beats(record, marks.time_s, marks.symbol).matched.sum() == 300


def test_excluded_beats_are_not_scored(record):
    marks = record.reference
    score = score_beats(record, marks.time_s, marks.symbol, excluded_s=marks.time_s[[100, 400, 409]])
    assert score.matched.sum() == 298  # the first of them lies in the learning period
    assert score.true_positives("V") == 29
    assert score.scored_s == 300


@pytest.mark.parametrize(
    ("budget", "n_labelled"), [(LabelBudget(n_first=12), 12), (LabelBudget(first_s=300.0), 300), (LabelBudget(), 0)]
)
def test_the_model_gets_the_labels_of_the_first_beats_and_of_no_others(record, model, monkeypatch, budget, n_labelled):
    given = []

    def watch(record, model, *, patient_labels, **options):
        given.append(patient_labels)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "analyse", watch)
    with pytest.raises(KeyboardInterrupt):
        evaluate_record(record, model, budget=budget)
    marks = record.reference
    np.testing.assert_array_equal(given[0].time_s if given[0] else [], marks.time_s[:n_labelled])


@pytest.mark.parametrize("fine_tuned", [True, False])
def test_queried_beats_are_labelled_and_the_others_are_scored(record, model, monkeypatch, make_analysis, fine_tuned):
    marks = record.reference
    time_s = np.insert(marks.time_s, 350, marks.time_s[350] - 0.4)  # one where no mark is
    n = len(time_s)
    probability = np.tile(np.array([0.6, 0.1, 0.3, 0, 0], np.float32), (n, 1))
    beats = Beats(time_s, np.full(n, "N"), probability, np.diff(time_s, prepend=np.nan), np.ones(n, dtype=bool))
    first = replace(make_analysis(beats, duration_s=600.0), queried=np.array([350, 360, 400, 401]))
    given = []

    def read(record, model, *, rules, lead, patient_labels=None, beats_at_s=None):
        given.append(patient_labels)
        return first

    monkeypatch.setattr(evaluation, "analyse", read)
    found = evaluate_record(record, model, budget=LabelBudget(n_queried=3), fine_tuned=fine_tuned)
    assert given[0] is None
    for labels in given[1:]:
        np.testing.assert_array_equal(labels.time_s if labels else [], marks.time_s[[359, 399]] if fine_tuned else [])
    assert found.detected.matched.sum() == 298
    assert found.detected.false_negatives("V") == 28  # of thirty, two were labelled


def test_a_record_without_marks_cannot_be_scored(record):
    with pytest.raises(RecordError, match=r"\.atr"):
        score_beats(replace(record, reference=None), np.zeros(1), np.array(["N"]))


def test_an_interval_holds_the_pooled_figure_and_grows_with_the_differences_between_patients():
    alike = [score_of(90, 10)] * 12
    unlike = [score_of(100, 0), score_of(80, 20)] * 6
    width = {}
    for name, scores in (("alike", alike), ("unlike", unlike)):
        low, high = intervals(scores)["v_se"]
        assert low <= statistics(gross(scores))["v_se"] <= high
        width[name] = high - low
    assert width["alike"] == 0
    assert 0.03 < width["unlike"] < 0.2


def test_a_figure_that_is_never_defined_has_no_interval():
    assert intervals([score_of(0, 0)])["s_se"] == [None, None]


def test_hours_and_beats_that_are_scored_stand_beside_each_record_and_few_are_warned_of():
    whole = made_evaluation({"V": 0.9, "S": 0.9}, n_patients=2)
    text = report_text(whole)
    assert "WARNING" not in text
    (heading, first, *_) = text[text.index("DETECTED BEATS") :].splitlines()[1:]
    assert heading.split()[-2:] == ["hours", "beats"]
    assert first.split()[-2:] == ["0.42", "2200"]
    short = replace(whole.records[0], duration_s=301.0, detected=replace(whole.records[0].detected, scored_s=1.0))
    hardly = replace(whole, records=(short, whole.records[1]))
    warning = next(line for line in report_text(hardly).splitlines() if line.startswith("WARNING"))
    assert "less than half of 1 record is scored" in warning and "r0 0.0 of 5.0 min" in warning
    assert [(row["scored_s"], row["duration_s"], row["scored_beats"]) for row in summarise(hardly)["records"]] == [
        (1.0, 301.0, 2200),
        (1500.0, 1800.0, 2200),
    ]
