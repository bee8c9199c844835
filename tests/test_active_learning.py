"""Which beats a reader is asked about."""

import numpy as np
import pytest

from ecg_core.classifier.active_learning import DOUBTFUL_EACH, select_queries

SHAPES = 4
N_EACH = (16, 12, 8, 4)  # beats of each shape, all of them doubtful: as many as stand behind one of each


@pytest.fixture
def beats():
    """Doubtful beats of four shapes, and twice as many that are surely normal: token, share, rows, probability."""
    rng = np.random.default_rng(0)
    shape = np.repeat(np.arange(SHAPES), N_EACH)
    n = len(shape)
    token = 10 * rng.normal(size=(SHAPES, 1, 8))[shape] + 0.1 * rng.normal(size=(n, 1, 8))
    token = np.concatenate([token, rng.normal(size=(2 * n, 1, 8))]).astype(np.float16)
    probability = np.zeros((3 * n, 5), dtype=np.float32)
    probability[:n, [0, 2]] = 0.5
    probability[n:, 0] = 1
    return token, np.ones((3 * n, 1), dtype=np.float32), np.arange(3 * n), probability


def test_one_beat_of_each_shape_is_asked_about_the_frequent_ones_first(beats):
    asked = select_queries(*beats, np.ones(120, dtype=bool), n=SHAPES)
    edges = np.cumsum((0, *N_EACH))
    assert (np.searchsorted(edges, asked, side="right") - 1).tolist() == [0, 1, 2, 3]


def test_a_few_beats_of_much_doubt_are_asked_about_before_many_of_little(beats):
    probability = beats[3].copy()
    probability[:16, 0], probability[:16, 2] = 0.95, 0.05  # of the most frequent shape: doubt of 16 x .1 against 4
    asked = select_queries(*beats[:3], probability, np.ones(120, dtype=bool), n=SHAPES)
    edges = np.cumsum((0, *N_EACH))
    assert (np.searchsorted(edges, asked, side="right") - 1).tolist() == [1, 2, 3, 0]


def test_the_beat_that_stands_for_its_shape_is_like_the_others_of_it(beats):
    token = beats[0].copy()
    token[5, 0, 0] += 1  # an odd one of the first shape
    asked = select_queries(token, *beats[1:], np.ones(120, dtype=bool), n=SHAPES)
    own = token[:16, 0].astype(np.float64)
    away = ((own - own.mean(axis=0)) ** 2).sum(axis=1)
    assert away[asked[0]] < np.median(away)


def test_beats_that_are_sure_are_asked_about_only_where_there_are_no_others(beats):
    asked = select_queries(*beats, np.ones(120, dtype=bool), n=40 // DOUBTFUL_EACH)
    assert (asked < 40).all()


def test_no_unreadable_beat_is_asked_about(beats):
    usable = np.arange(120) % 2 == 0
    asked = select_queries(*beats, usable, n=50)
    assert len(asked) == len(set(asked.tolist())) > 10
    assert usable[asked].all()
    assert select_queries(*beats, np.zeros(120, dtype=bool)).tolist() == []


def test_what_is_no_beat_is_passed_over(beats):
    token, share, _, probability = beats
    rows = np.arange(0, 40, 2)  # of what was found, every second is a beat
    asked = select_queries(token, share, rows, probability[rows], np.ones(20, dtype=bool), n=SHAPES)
    edges = np.cumsum((0, *N_EACH))
    assert (np.searchsorted(edges, rows[asked], side="right") - 1).tolist() == [0, 1, 2, 3]


def test_beats_that_are_all_the_same_are_asked_about_once(beats):
    token, share, rows, probability = beats
    asked = select_queries(np.ones_like(token), share, rows, probability, np.ones(120, dtype=bool), n=20)
    assert len(asked) == 1


def test_a_lead_that_cannot_be_read_has_no_say(beats):
    token, share, rows, probability = beats
    noise = np.random.default_rng(1).normal(size=token.shape).astype(np.float16) * 50
    both = np.concatenate([token, noise], axis=1)
    of_first = np.concatenate([share, np.zeros_like(share)], axis=1)
    usable = np.ones(120, dtype=bool)
    np.testing.assert_array_equal(
        select_queries(both, of_first, rows, probability, usable, n=SHAPES),
        select_queries(token, share, rows, probability, usable, n=SHAPES),
    )
