"""Judging a model on records: what is scored, and how sure the figures are."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import in_memory

from ecg_core import evaluation
from ecg_core.errors import RecordError
from ecg_core.evaluation import evaluate_record, intervals, score_beats
from ecg_core.schema import Annotations
from ecg_core.scoring import MATCH_WINDOW_S, Score, gross, measures


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


def test_beats_that_the_model_was_told_are_not_scored(record):
    marks = record.reference
    told = score_beats(record, marks.time_s, marks.symbol, told_until_s=400.5 + MATCH_WINDOW_S)
    assert told.matched.sum() == 199  # from 401.5 s on
    assert told.scored_s == pytest.approx(199.35)


def test_what_was_told_within_the_learning_period_changes_nothing_of_the_score(record):
    marks = record.reference
    plain = score_beats(record, marks.time_s, marks.symbol)
    told = score_beats(record, marks.time_s, marks.symbol, told_until_s=50.0)
    np.testing.assert_array_equal(told.matrix, plain.matrix)


@pytest.mark.parametrize(("asked", "n_told"), [({"n_own_beats": 12}, 12), ({"own_s": 300.0}, 300), ({}, 0)])
def test_the_model_is_told_the_first_beats_and_no_others(record, model, monkeypatch, asked, n_told):
    told = []

    def watch(record, model, *, own, **options):
        told.append(own)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "analyse", watch)
    with pytest.raises(KeyboardInterrupt):
        evaluate_record(record, model, **asked)
    marks = record.reference
    np.testing.assert_array_equal(told[0].time_s if told[0] else [], marks.time_s[:n_told])


def test_a_record_without_marks_cannot_be_judged(record):
    with pytest.raises(RecordError, match=r"\.atr"):
        score_beats(replace(record, reference=None), np.zeros(1), np.array(["N"]))


def test_an_interval_holds_the_pooled_figure_and_grows_with_the_differences_between_patients():
    alike = [score_of(90, 10)] * 12
    unlike = [score_of(100, 0), score_of(80, 20)] * 6
    width = {}
    for name, scores in (("alike", alike), ("unlike", unlike)):
        low, high = intervals(scores)["v_se"]
        assert low <= measures(gross(scores))["v_se"] <= high
        width[name] = high - low
    assert width["alike"] == 0
    assert 0.03 < width["unlike"] < 0.2


def test_a_figure_that_is_never_defined_has_no_interval():
    assert intervals([score_of(0, 0)])["s_se"] == [None, None]
