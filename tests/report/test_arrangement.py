import re

import pytest
from made_up import sweep

from bnsweep.report.arrangement import arranged, spread_out
from bnsweep.report.comparison import compare

PAIR = ["batchnorm", "plain"]
SCALES = [1, 0.1, 0.01]


def arrangement(across=16, rows=16, **grid):
    return arranged(compare(sweep(**grid)), across=across, rows=rows)


def test_eight_lines_stay_in_one_row():
    comparison = compare(sweep(weight_std=SCALES, optimizer__lr=[1, 2, 3, 4], model=PAIR))
    fitted = arranged(comparison, across=3)
    assert fitted.parts == (comparison,)
    assert len(fitted.whole.lines) == 8
    assert fitted.row_axis is None
    assert fitted.row_titles == [""]
    assert fitted.notes == ()


def test_nine_lines_have_a_row_for_each_value_of_a_key():
    rates = [1, 2, 3]
    fitted = arrangement(weight_std=SCALES, optimizer__lr=rates, model=["a", "b", "c"])
    assert fitted.row_titles == [f"learning rate {rate}" for rate in rates]
    for rate, (_, part) in zip(rates, fitted.rows(), strict=True):
        assert [line.label for line in part.lines] == ["a", "b", "c"]
        assert part.lines == fitted.whole.lines
        assert {results[0].spec.value("optimizer.lr") for results in part.cells.values()} == {rate}
    assert fitted.notes == ()


@pytest.mark.parametrize(
    ("grid", "key"),
    [
        # The fewest values that leave eight lines.
        ({"optimizer__lr": range(2, 8), "training__epochs": [1, 2]}, "training.epochs"),
        # None leaves eight: the most values.
        ({"optimizer__lr": range(2, 22), "training__epochs": range(2, 12)}, "optimizer.lr"),
        # The model never has rows, however many there are.
        ({"model": [f"m{k}" for k in range(6)], "optimizer__lr": [1, 2]}, "optimizer.lr"),
    ],
)
def test_rows_are_of_the_key_with_the_fewest_values_that_is_not_the_model(grid, key):
    assert arrangement(weight_std=SCALES, **grid).row_axis.key == key


def test_models_that_are_too_many_are_cut_for_want_of_another_key():
    fitted = arrangement(weight_std=SCALES, model=[f"m{k}" for k in range(10)])
    assert len(fitted.whole.lines) == 8
    assert fitted.row_axis is None
    assert fitted.notes[0].startswith("8 of 10 values of model are shown: model=")


def test_values_across_are_cut_evenly_and_the_note_shows_the_others():
    fitted = arrangement(weight_std=[10.0**-k for k in range(9)], across=3)
    assert fitted.whole.values == (1, 1e-4, 1e-8)
    (note,) = fitted.notes
    assert note == "3 of 9 values of W are shown: weight_std=0.1,0.01,0.001,... shows others"


def test_rows_are_cut_in_whole_pairs_and_the_note_shows_the_others():
    fitted = arrangement(weight_std=SCALES, optimizer__lr=range(1, 8), model=PAIR, rows=5)
    assert fitted.row_titles == [f"learning rate {rate}" for rate in (1, 3, 4, 5, 7)]
    assert [line.label for line in fitted.whole.lines] == PAIR
    assert all(len(part.cells) == 6 for part in fitted.parts)
    expected = "5 of 7 values of learning rate are shown: optimizer.lr=2,6 shows others"
    assert fitted.notes == (expected,)


def test_lines_that_rows_do_not_tell_apart_are_cut():
    grid = {"optimizer__lr": range(1, 13), "training__epochs": range(1, 12)}
    fitted = arrangement(weight_std=SCALES, **grid, model=PAIR)
    assert fitted.row_axis.key == "optimizer.lr"
    assert len(fitted.whole.lines) <= 8
    (note,) = fitted.notes
    assert re.match(r"4 of 11 values of epochs are shown: training\.epochs=[\d,]+,\.\.\.", note)


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, (0,)), (2, (0, 9)), (4, (0, 3, 6, 9)), (10, tuple(range(10)))]
)
def test_items_are_spread_from_the_first_to_the_last(count, chosen):
    assert spread_out(range(10), count) == chosen
