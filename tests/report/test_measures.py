import math
import subprocess
import sys

import numpy as np
import pytest
from made_up import result

from bnsweep.records import Histogram
from bnsweep.report import measures
from bnsweep.run.execute import histograms


def histogram(outputs):
    return histograms([np.asarray(outputs, float)])[0]


def test_a_diverged_run_keeps_its_last_accuracy_in_the_mean():
    stopped = result([0.1, 0.2], status="diverged")
    course = measures.course(measures.TRAIN, [stopped, result([0.1, 0.4, 0.8])])
    np.testing.assert_allclose(course.mean, [0.1, 0.3, 0.5])
    np.testing.assert_allclose(course.low, [0.1, 0.2, 0.2])
    np.testing.assert_allclose(course.high, [0.1, 0.4, 0.8])


@pytest.mark.parametrize(("accuracy", "learns"), [(0.4, True), (0.399, False)])
def test_a_run_learns_if_its_training_accuracy_ends_at_forty_percent(accuracy, learns):
    assert measures.learns(result([0.1, 0.9, accuracy])) is learns


def test_speed_is_the_first_epoch_at_the_target():
    assert measures.epochs_needed(result([0.1, 0.9, 0.2, 1.0])) == 1
    assert measures.epochs_needed(result([0.1, 0.8])) == math.inf


def test_the_median_is_infinite_if_half_the_seeds_miss_the_target():
    fast, never = result([0.1, 1.0]), result([0.1, 0.1])
    assert measures.median_epochs_needed([fast, never, fast]) == 1
    assert measures.median_epochs_needed([fast, never]) == math.inf
    assert measures.median_epochs_needed([fast, result([0.1, 0.1, 1.0])]) == 1.5


def test_a_course_is_as_long_as_its_longest_run():
    stopped = result(np.arange(40) / 1000, status="diverged")
    course = measures.course(measures.TRAIN, [stopped, result(np.arange(1000) / 1000)])
    np.testing.assert_array_equal(course.epochs, np.arange(1000))
    np.testing.assert_allclose(course.mean, (course.epochs + np.minimum(course.epochs, 39)) / 2000)


def test_the_gap_is_training_minus_test_accuracy():
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


def test_zeros_of_a_relu_are_not_small_outputs():
    outputs = np.concatenate([np.zeros(3000), np.linspace(0, 1, 1000)])
    assert measures.share_at_zero(histogram(outputs)) == pytest.approx(0.75, abs=0.001)


def test_rebinning_keeps_every_output():
    own = histogram(np.maximum(NORMAL, 0))
    edges = np.linspace(0, own.edges[-1], 7)
    shares = measures.shares(own, edges)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > 0.5


@pytest.mark.parametrize(
    ("edges", "counts", "activation", "health"),
    [
        ((-20, 0, 20), (1, 1), "none of ours", "healthy"),  # standard deviation 10
        ((-20.1, 0, 20.1), (1, 1), "none of ours", "exploded"),
        ((-0.1, 0, 0.1), (1, 1), "none of ours", "healthy"),  # standard deviation 0.05
        ((-0.0995, 0, 0.0995), (1, 1), "none of ours", "collapsed"),
        ((0, 1, 2, 3), (95, 0, 5), "relu", "dead"),
        ((0, 1, 2, 3), (949, 0, 51), "relu", "healthy"),
        ((0, 1, 2, 3), (95, 0, 5), "none of ours", "healthy"),
        ((0, 100, 200, 300), (95, 0, 5), "relu", "exploded"),
        ((-1, -0.9, 0.9, 1), (25, 50, 25), "tanh", "saturated"),
        ((-1, -0.9, 0.9, 1), (4999, 10002, 4999), "tanh", "healthy"),
        ((0, 0.05, 0.95, 1), (50, 50, 0), "sigmoid", "saturated"),
        ((0, 0.1, 0.9, 1), (50, 50, 0), "sigmoid", "healthy"),
        ((0, 1), (0,), "relu", "not finite"),
    ],
)
def test_health_at_its_thresholds(edges, counts, activation, health):
    assert measures.health(Histogram(edges, counts), activation) == health


@pytest.mark.parametrize(
    ("edges", "counts", "share"),
    [
        ((0, 1, 2), (6, 2), 0.5),
        ((0, 1, 2), (2, 6), 0),
        ((0, 1), (4,), 1),
        ((-1, 0, 1), (6, 2), 0),
        ((), (), 0),
    ],
)
def test_the_share_at_zero_is_the_excess_of_the_first_bin(edges, counts, share):
    assert measures.share_at_zero(Histogram(edges, counts)) == share


def test_the_standard_deviation_takes_outputs_at_the_middle_of_their_bins():
    assert measures.histogram_std(Histogram((0, 1, 3), (3, 1))) == pytest.approx(0.649519)
    assert math.isnan(measures.histogram_std(Histogram((), ())))


def test_zeros_stay_in_the_bin_that_holds_zero():
    own = Histogram((0, 1, 2), (6, 2))
    shares = measures.shares(own, np.array([-1.0, 0.0, 0.5, 1.0, 2.0]))
    np.testing.assert_allclose(shares, [0, 0.5 + 0.125, 0.125, 0.25])
    np.testing.assert_array_equal(measures.shares(Histogram((), ()), np.arange(4.0)), np.zeros(3))


def test_quantiles_lie_between_the_edges():
    own = Histogram((0, 1, 3), (1, 3))
    np.testing.assert_allclose(measures.quantiles(own, [0, 0.25, 0.625, 1]), [0, 1, 2, 3])


def test_bounds_are_the_activations_own_or_those_of_the_panel():
    assert measures.bounds("tanh") == measures.bounds("tanh", within=(-3, 3)) == (-1, 1)
    assert measures.bounds("relu", within=(-3, 3)) == (0, 3)
    assert measures.bounds("none of ours", within=(-3, 3)) == (-3, 3)


def test_activations_are_known_without_a_network():
    code = "from bnsweep.report import measures; assert measures.bounds('tanh') == (-1, 1)"
    subprocess.run([sys.executable, "-c", code], check=True)
