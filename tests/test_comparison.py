from dataclasses import replace

import pytest
from made_up import result, sweep

from bnsweep.comparison import compare
from bnsweep.figures.thinning import spread_lines, thinned


def texts(comparison):
    return [comparison.across.text(value) for value in comparison.values]


def test_weight_scales_span_the_panels_from_the_largest_and_names_come_last():
    comparison = compare(sweep(weight_std=["he", 0.01, 1, "xavier"], model=["batchnorm", "plain"]))
    assert texts(comparison) == ["1", "0.01", "he", "xavier"]
    assert comparison.across.equation(10**-1.3333) == "W = 0.0464"


def test_numbers_are_shown_with_as_many_digits_as_tell_them_apart():
    assert texts(compare(sweep(optimizer__lr=[0.10001, 0.10002]))) == ["0.10001", "0.10002"]


def test_one_and_one_point_zero_are_one_value():
    assert compare(sweep(weight_std=[1, 1.0, 0.1])).values == (1, 0.1)


def test_without_weight_scales_the_longest_numeric_key_spans_the_panels():
    runs = sweep(optimizer=["sgd", "adam", "momentum"], optimizer__lr=[1, 0.1], seed=[0, 1, 2])
    comparison = compare(runs)
    assert comparison.across.key == "optimizer.lr"
    assert comparison.values == (0.1, 1)
    assert [line.label for line in comparison.lines] == ["sgd", "adam", "momentum"]


def test_a_key_with_one_value_is_not_swept():
    comparison = compare(sweep(weight_std=["he"], optimizer__lr=[0.1, 1], model=["plain"]))
    assert comparison.across.key == "optimizer.lr"
    assert [line.label for line in comparison.lines] == [""]


def test_seeds_share_a_place():
    runs = sweep(weight_std=[1, 0.1], seed=[0, 1, 2])
    comparison = compare(runs)
    (line,) = comparison.lines
    assert [r.config["seed"] for r in comparison.results(0.1, line)] == [0, 1, 2]


def test_a_few_names_are_lines_of_one_panel_but_numbers_are_panels():
    assert compare(sweep(optimizer=["sgd", "adam"]), overlay="names").values == (None,)
    assert len(compare(sweep(optimizer__lr=[0.1, 1]), overlay="names").values) == 2


def test_lists_can_be_swept():
    runs = sweep(model__hidden_sizes=[[100, 100, 100], [50, 20]], model=["batchnorm", "plain"])
    assert texts(compare(runs)) == ["3 x 100", "50-20"]


def test_dashes_tell_normalisation_and_hues_all_else():
    runs = sweep(weight_std=[1, 0.1], model=["plain", "batchnorm"], optimizer=["sgd", "adam"])
    lines = {line.label: line for line in compare(runs).lines}
    assert lines["batchnorm, sgd"].dash == lines["batchnorm, adam"].dash == 0
    assert lines["plain, sgd"].dash == lines["plain, adam"].dash == 1
    assert lines["plain, sgd"].hue == lines["batchnorm, sgd"].hue != lines["plain, adam"].hue


def test_pairs_differ_in_normalisation_and_in_nothing_else():
    runs = sweep(model=["plain", "batchnorm", "dropout"], optimizer=["sgd", "adam"])
    pairs = compare(runs, overlay="all").pairs()
    assert {(one.label, other.label) for one, other in pairs} == {
        ("batchnorm, sgd", "plain, sgd"),
        ("batchnorm, sgd", "dropout, sgd"),
        ("batchnorm, adam", "plain, adam"),
        ("batchnorm, adam", "dropout, adam"),
    }


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_runs_that_did_not_end_are_not_compared(status):
    runs = sweep(weight_std=[1, 0.1], seed=[0, 1])
    runs[0] = replace(runs[0], result=result(status=status))
    comparison = compare(runs)
    assert len(comparison.results(1, comparison.lines[0])) == 1


def test_too_many_panels_are_thinned_and_it_is_said():
    comparison = compare(sweep(weight_std=[10.0**-k for k in range(9)]))
    few, notes = thinned(comparison, panels=3)
    assert few.values == (1, 1e-4, 1e-8)
    assert notes == ["3 of 9 values of W are shown"]


def test_too_many_lines_are_thinned_but_never_parted_from_their_pair():
    runs = sweep(weight_std=[1, 0.1], optimizer__lr=list(range(20)), model=["batchnorm", "plain"])
    comparison = compare(runs)
    few, notes = thinned(comparison, panels=64)
    assert notes == ["16 of 40 lines are shown"]
    assert {line.hue for line in few.lines} == {*range(8)}
    four = spread_lines(comparison.lines, 4)
    assert [line.label for line in four] == [
        "learning rate 0, batchnorm",
        "learning rate 0, plain",
        "learning rate 19, batchnorm",
        "learning rate 19, plain",
    ]
