"""Which beats are queried."""

import numpy as np
import pytest

from ecg_core.classifier.active_learning import DOUBTFUL_EACH, select_queries

MORPHOLOGIES = 4
N_EACH = (16, 12, 8, 4)  # beats of each morphology, all of them doubtful: as many as stand behind one of each


@pytest.fixture
def beats():
    """Doubtful beats of four morphologies, and twice as many certain normal ones: token, weight, rows, probability."""
    rng = np.random.default_rng(0)
    morphology = np.repeat(np.arange(MORPHOLOGIES), N_EACH)
    n = len(morphology)
    token = 10 * rng.normal(size=(MORPHOLOGIES, 1, 8))[morphology] + 0.1 * rng.normal(size=(n, 1, 8))
    token = np.concatenate([token, rng.normal(size=(2 * n, 1, 8))]).astype(np.float16)
    probability = np.zeros((3 * n, 5), dtype=np.float32)
    probability[:n, [0, 2]] = 0.5
    probability[n:, 0] = 1
    return token, np.ones((3 * n, 1), dtype=np.float32), np.arange(3 * n), probability


def test_one_beat_of_each_morphology_is_queried_the_frequent_ones_first(beats):
    queried = select_queries(*beats, np.ones(120, dtype=bool), n=MORPHOLOGIES)
    edges = np.cumsum((0, *N_EACH))
    assert (np.searchsorted(edges, queried, side="right") - 1).tolist() == [0, 1, 2, 3]


def test_a_few_beats_of_much_doubt_are_queried_before_many_of_little(beats):
    probability = beats[3].copy()
    probability[:16, 0], probability[:16, 2] = 0.95, 0.05  # of the most frequent morphology: doubt of 16 x .1 against 4
    queried = select_queries(*beats[:3], probability, np.ones(120, dtype=bool), n=MORPHOLOGIES)
    edges = np.cumsum((0, *N_EACH))
    assert (np.searchsorted(edges, queried, side="right") - 1).tolist() == [1, 2, 3, 0]


def test_the_queried_beat_is_typical_of_its_morphology(beats):
    token = beats[0].copy()
    token[5, 0, 0] += 1  # an odd one of the first morphology
    queried = select_queries(token, *beats[1:], np.ones(120, dtype=bool), n=MORPHOLOGIES)
    others = token[:16, 0].astype(np.float64)
    away = ((others - others.mean(axis=0)) ** 2).sum(axis=1)
    assert away[queried[0]] < np.median(away)


def test_certain_beats_are_queried_only_where_there_are_no_others(beats):
    queried = select_queries(*beats, np.ones(120, dtype=bool), n=40 // DOUBTFUL_EACH)
    assert (queried < 40).all()


def test_no_unusable_beat_is_queried(beats):
    usable = np.arange(120) % 2 == 0
    queried = select_queries(*beats, usable, n=50)
    assert len(queried) == len(set(queried.tolist())) > 10
    assert usable[queried].all()
    assert select_queries(*beats, np.zeros(120, dtype=bool)).tolist() == []


def test_candidates_that_are_no_beats_are_passed_over(beats):
    token, weight, _, probability = beats
    rows = np.arange(0, 40, 2)  # every second candidate is a beat
    queried = select_queries(token, weight, rows, probability[rows], np.ones(20, dtype=bool), n=MORPHOLOGIES)
    edges = np.cumsum((0, *N_EACH))
    assert (np.searchsorted(edges, rows[queried], side="right") - 1).tolist() == [0, 1, 2, 3]


def test_beats_that_are_all_the_same_are_queried_once(beats):
    token, weight, rows, probability = beats
    queried = select_queries(np.ones_like(token), weight, rows, probability, np.ones(120, dtype=bool), n=20)
    assert len(queried) == 1


def test_a_lead_without_weight_does_not_count(beats):
    token, weight, rows, probability = beats
    noise = np.random.default_rng(1).normal(size=token.shape).astype(np.float16) * 50
    both = np.concatenate([token, noise], axis=1)
    of_first = np.concatenate([weight, np.zeros_like(weight)], axis=1)
    usable = np.ones(120, dtype=bool)
    np.testing.assert_array_equal(
        select_queries(both, of_first, rows, probability, usable, n=MORPHOLOGIES),
        select_queries(token, weight, rows, probability, usable, n=MORPHOLOGIES),
    )
