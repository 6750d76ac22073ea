import math

import pytest

from bnsweep.report.estimates import Estimate


def test_the_interval_is_students():
    # n = 4, mean 2.5, standard deviation sqrt(5/3); t(0.975, 3) = 3.182446.
    estimate = Estimate.of([1, 2, 3, 4])
    assert (estimate.mean, estimate.n) == (2.5, 4)
    assert estimate.half_width == pytest.approx(3.182446 * math.sqrt(5 / 3) / 2, rel=1e-6)
    assert estimate.low == pytest.approx(2.5 - estimate.half_width)


def test_intervals_of_several_statements_are_wider():
    # t(1 - 0.05 / 5 / 2, 3) = t(0.995, 3) = 5.840909
    estimate = Estimate.of([1, 2, 3, 4], statements=5)
    assert estimate.half_width == pytest.approx(5.840909 * math.sqrt(5 / 3) / 2, rel=1e-6)


def test_one_seed_has_no_interval():
    estimate = Estimate.of([0.5])
    assert (estimate.mean, estimate.n) == (0.5, 1)
    assert math.isnan(estimate.half_width)


def test_a_paired_difference_uses_the_seeds_that_both_have():
    estimate = Estimate.paired({0: 1.0, 1: 5.0, 2: 9.0}, {1: 4.0, 2: 7.5, 3: 0.0})
    assert estimate == Estimate.of([1.0, 1.5])
    assert Estimate.paired({0: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.1] * 4, "none"),
        ([0.1, 0.2, 0.1, 0.2, 0.1], "more"),
        ([-0.1, -0.2, -0.1, -0.2, -0.1], "less"),
        ([0.1, -0.1, 0.2, -0.2, 0.1], "undecided"),
        ([0.0] * 5, "undecided"),
        ([1e-17] * 5, "undecided"),
        ([0.1] * 5, "more"),
    ],
)
def test_a_verdict_takes_five_seeds_and_an_interval_without_zero(values, verdict):
    assert Estimate.of(values).verdict == verdict
