import math

import numpy as np
import pytest
from made_up import result

from bnsweep.report import measures
from bnsweep.run.execute import histograms


def histogram(outputs):
    return histograms([np.asarray(outputs, float)])[0]


def test_a_run_that_diverged_keeps_its_last_accuracy_in_the_mean():
    stopped = result([0.1, 0.2], status="diverged")
    course = measures.course(measures.TRAIN, [stopped, result([0.1, 0.4, 0.8])])
    np.testing.assert_allclose(course.mean, [0.1, 0.3, 0.5])
    np.testing.assert_allclose(course.low, [0.1, 0.2, 0.2])
    np.testing.assert_allclose(course.high, [0.1, 0.4, 0.8])


def test_speed_is_the_first_epoch_at_the_target():
    assert measures.epochs_needed(result([0.1, 0.9, 0.2, 1.0])) == 1
    assert measures.epochs_needed(result([0.1, 0.8])) == math.inf


def test_the_median_seed_never_gets_there_if_half_of_them_do_not():
    fast, never = result([0.1, 1.0]), result([0.1, 0.1])
    assert measures.median_epochs_needed([fast, fast, never]) == 1
    assert measures.median_epochs_needed([fast, never]) == math.inf


def test_a_course_is_as_long_as_its_longest_run():
    stopped = result(np.arange(40) / 1000, status="diverged")
    course = measures.course(measures.TRAIN, [stopped, result(np.arange(1000) / 1000)])
    np.testing.assert_array_equal(course.epochs, np.arange(1000))
    np.testing.assert_allclose(course.mean, (course.epochs + np.minimum(course.epochs, 39)) / 2000)


def test_the_gap_is_training_less_test_accuracy_at_each_epoch():
    np.testing.assert_allclose(measures.curve(measures.GAP, result([0.1, 0.9], gap=0.25)), 0.25)


NORMAL = np.random.default_rng(0).standard_normal(5000)


@pytest.mark.parametrize(
    ("outputs", "activation", "health"),
    [
        (np.maximum(NORMAL, 0), "relu", "healthy"),
        (np.maximum(NORMAL, 0) * 1e-3, "relu", "collapsed"),
        (np.maximum(NORMAL - 2.5, 0), "relu", "dead"),
        (np.zeros(50), "relu", "dead"),
        (np.maximum(NORMAL, 0) * 100, "relu", "exploded"),
        ([math.nan, math.inf], "relu", "not finite"),
        (np.tanh(NORMAL), "tanh", "healthy"),
        (np.tanh(NORMAL * 20), "tanh", "saturated"),
        (np.tanh(NORMAL * 1e-2), "tanh", "collapsed"),
        (1 / (1 + np.exp(-NORMAL)), "sigmoid", "healthy"),
        (1 / (1 + np.exp(-20 * NORMAL)), "sigmoid", "saturated"),
        (1 / (1 + np.exp(-0.1 * NORMAL)), "sigmoid", "collapsed"),
    ],
)
def test_health_of_a_layer(outputs, activation, health):
    assert measures.health(histogram(outputs), activation) == health


def test_zeros_of_a_relu_are_told_from_small_outputs():
    outputs = np.concatenate([np.zeros(3000), np.linspace(0, 1, 1000)])
    assert measures.share_at_zero(histogram(outputs)) == pytest.approx(0.75, abs=0.001)


def test_rebinning_keeps_every_output():
    own = histogram(np.maximum(NORMAL, 0))
    edges = np.linspace(0, own.edges[-1], 7)
    shares = measures.shares(own, edges)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > 0.5
