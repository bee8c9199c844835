"""Logits and probabilities agree with scipy's, in the type that they are given, and never overflow."""

import numpy as np
import pytest
from scipy import special

from ecg_core.probabilities import expit, log_softmax, logit, softmax

TYPES = (np.float32, np.float64)
EXTREME = (-1e4, -745.0, -100.0, -88.0, -20.0, -1.0, 0.0, 1.0, 20.0, 88.0, 1e4)


def logits(dtype):
    rng = np.random.default_rng(1)
    return np.concatenate([EXTREME, rng.normal(0, 10, 1000 - len(EXTREME))]).astype(dtype)


def assert_equal(found, expected, dtype):
    assert found.dtype == expected.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=20 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", TYPES)
def test_expit_is_scipys(dtype):
    assert_equal(expit(logits(dtype)), special.expit(logits(dtype)), dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_logit_is_scipys(dtype):
    probability = np.concatenate([[0, 1e-30, 1e-6, 0.5, 1], np.random.default_rng(2).random(1000)]).astype(dtype)
    found, expected = logit(probability), special.logit(probability)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=20 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_and_its_logarithm_are_scipys(dtype, axis):
    table = logits(dtype).reshape(40, 25)
    assert_equal(softmax(table, axis), special.softmax(table, axis), dtype)
    assert_equal(log_softmax(table, axis), special.log_softmax(table, axis), dtype)


def test_a_missing_value_stays_missing():
    missing = np.array([np.nan, 0.5])
    assert np.isnan(expit(missing)[0])
    assert np.isnan(logit(missing)[0])
