import math

import numpy as np
import pytest
from gradients import assert_same_gradient, numerical_gradient
from watching import watched

from bnsweep.nn.losses import cross_entropy, cross_entropy_gradient


def sample(dtype="float64"):
    rng = np.random.default_rng(0)
    return rng.standard_normal((7, 4)).astype(dtype) * 3, rng.integers(4, size=7)


def test_equal_logits_cost_log_of_the_number_of_classes():
    assert cross_entropy(np.full((5, 10), 3.0), np.arange(5)) == pytest.approx(math.log(10))


def test_it_is_the_mean_of_minus_log_probability():
    logits, labels = sample()
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.mean([math.log(p[i, label]) for i, label in enumerate(labels)])
    assert cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-12)


def test_gradient_agrees_with_central_differences():
    logits, labels = sample()
    expected = numerical_gradient(lambda: cross_entropy(logits, labels), logits)
    assert_same_gradient(cross_entropy_gradient(logits, labels), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits_neither_overflow_nor_lose_the_loss(dtype):
    logits = np.array([[1e4, 0.0], [-1e4, 1e4]], dtype)
    labels = np.array([0, 0])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert cross_entropy(logits, labels) == pytest.approx(1e4)
        gradient = cross_entropy_gradient(logits, labels)
    np.testing.assert_allclose(gradient, [[0, 0], [-0.5, 0.5]], atol=1e-7)


def test_logits_are_not_written_to_and_their_dtype_is_kept():
    logits, labels = sample("float32")
    logits, seen = watched(logits)
    logits.setflags(write=False)
    cross_entropy(logits, labels)
    gradient = cross_entropy_gradient(logits, labels)
    assert seen | {gradient.dtype.name} == {"float32"}
    assert gradient.shape == logits.shape


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_loss_of_a_diverged_network_is_not_finite(value):
    logits, labels = sample()
    logits[3, 1] = value
    with np.errstate(all="ignore"):
        assert not math.isfinite(cross_entropy(logits, labels))
