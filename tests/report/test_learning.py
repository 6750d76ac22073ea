"""Where networks learn: sentences as a person would say them."""

from dataclasses import replace

import pytest
from made_up import sweep

from bnsweep.report.comparison import compare
from bnsweep.report.findings import Findings
from bnsweep.report.learning import learning_table, where_it_learns

MODELS = ["batchnorm", "plain"]


def told(learns, **grid):
    """Return the sentences on a sweep in which those runs learn."""
    runs = sweep(lambda run: (0.1, 0.9 if learns(run) else 0.1), **grid)
    return " ".join(where_it_learns(compare(runs)))


@pytest.mark.parametrize(
    ("learns", "grid", "text"),
    [
        (lambda run: True, {"optimizer": ["sgd", "adam"]},
         "The network learns with both optimizers."),
        (lambda run: run.optimizer == "sgd", {"optimizer": ["sgd", "adam"], "seed": [0, 1]},
         "The network learns with 1 of 2 optimizers (sgd) and each of 2 seeds."),
        (lambda run: run.model == "batchnorm", {"model": MODELS},
         "batchnorm learns. plain does not learn."),
        (lambda run: run.seed or run.model == "batchnorm", {"model": MODELS, "seed": [0, 1]},
         "batchnorm learns with each of 2 seeds. plain learns with 1 of 2 seeds."),
        (lambda run: True, {"weight_std": [1, 0.1], "model": MODELS},
         "batchnorm and plain learn at both scales."),
        (lambda run: run.model == "batchnorm", {"weight_std": [1, 0.1], "model": MODELS},
         "batchnorm learns at both scales. plain learns at neither of the 2 scales."),
        (lambda run: True, {"weight_std": [1, 0.1, 0.01], "optimizer": ["sgd", "adam", "rmsprop"]},
         "All 3 networks learn at all 3 scales."),
        (lambda run: run.model == "plain",
         {"optimizer__lr": [1, 2, 3], "model": MODELS, "model__activation": ["relu"]},
         "batchnorm learns at none of the 3 learning rates. plain learns at all 3 learning rates."),
        (lambda run: run.seed >= run.optimizer__lr,
         {"optimizer__lr": [0, 1, 2, 3], "seed": range(4)},
         "The network learns with each of 4 seeds at 1 of 4 learning rates (0); with some of them "
         "at 3 more (1 to 3)."),
    ],
)  # fmt: skip
def test_a_sentence_counts_the_values_at_which_a_network_learns(learns, grid, text):
    assert told(learns, **grid) == text


def lost(run, places):
    """Whether a run is at one of the places: values by key, as in `sweep`."""
    return any(
        all(run.spec.swept[key.replace("__", ".")] == value for key, value in place.items())
        for place in places
    )


def without(runs, *places):
    """Return the runs of a sweep in which those at some places were not started."""
    return [replace(run, result=None) if lost(run, places) else run for run in runs]


SCALES = {"weight_std": [1, 0.1, 0.01], "model": MODELS}
PLAIN_AT = [{"model": "plain", "weight_std": scale} for scale in SCALES["weight_std"]]


@pytest.mark.parametrize(
    ("learns", "places", "grid", "texts"),
    [
        (lambda run: True, PLAIN_AT[1:], SCALES,
         ["batchnorm learns at all 3 scales.",
          "Of 3 scales, plain has results at 1 alone, and learns there."]),
        (lambda run: run.model != "plain", PLAIN_AT[1:], SCALES,
         ["batchnorm learns at all 3 scales.",
          "Of 3 scales, plain has results at 1 alone, and does not learn there."]),
        (lambda run: True, PLAIN_AT[1:2], SCALES,
         ["batchnorm learns at all 3 scales.",
          "Of 3 scales, plain has results at 2 (1, 0.01), and learns at both."]),
        # Each has results at two scales, but not at the same two.
        (lambda run: True, [{"model": "batchnorm", "weight_std": 1}, PLAIN_AT[1]], SCALES,
         ["Of 3 scales, batchnorm has results at 2 (0.1, 0.01), and learns at both.",
          "Of 3 scales, plain has results at 2 (1, 0.01), and learns at both."]),
        (lambda run: run.weight_std == 0.01, PLAIN_AT[1:2], {**SCALES, "seed": [0, 1]},
         ["batchnorm learns with each of 2 seeds at 1 of 3 scales (0.01).",
          "Of 3 scales, plain has results at 2 (1, 0.01), and learns with each of 2 seeds at 1 of "
          "2 (0.01)."]),
        (lambda run: run.seed, PLAIN_AT[1:], {**SCALES, "seed": [0, 1]},
         ["batchnorm learns at none of the 3 scales; with some of them at 3 more (1 to 0.01).",
          "Of 3 scales, plain has results at 1 alone, and learns with 1 of 2 seeds there."]),
    ],
)  # fmt: skip
def test_a_network_is_told_only_of_values_at_which_it_has_results(learns, places, grid, texts):
    runs = sweep(lambda run: (0.1, 0.9 if learns(run) else 0.1), **grid)
    assert where_it_learns(compare(without(runs, *places))) == texts


@pytest.mark.parametrize(
    ("places", "grid", "text"),
    [
        ([], SCALES, ""),
        ([{"weight_std": 0.01}], SCALES, "Results exist at 2 of 3 scales (1, 0.1) only."),
        ([{"optimizer": "sgd"}], {**SCALES, "optimizer": ["sgd", "adam"]},
         "Results exist with 1 of 2 optimizers (adam) only."),
        ([{"weight_std": 1}, {"model": "plain"}], SCALES,
         "Results exist at 2 of 3 scales (0.1, 0.01) and with 1 of 2 models (batchnorm) only."),
        ([{"seed": 0}], {**SCALES, "seed": [0, 1]}, ""),
    ],
)  # fmt: skip
def test_the_answer_begins_with_the_values_that_have_results(places, grid, text):
    answer = Findings(without(sweep(**grid), *places)).answer[0]
    assert answer.startswith(text or ("batchnorm", "The network"))


MANY = {
    "weight_std": [1, 0.1, 0.01],
    "model": MODELS,
    "optimizer": ["sgd", "adam"],
    "model__activation": ["relu", "tanh"],
    "seed": [0, 1],
}


def learns_but_for_some(run):
    return run.model == "batchnorm" or (
        run.weight_std == 0.1 and (run.seed or run.optimizer != "sgd")
    )


def test_of_many_networks_the_answer_says_in_how_many_combinations_each_model_learns():
    runs = sweep(lambda run: (0.1, 0.9 if learns_but_for_some(run) else 0.1), **MANY)
    assert Findings(runs).answer[0] == (
        "batchnorm learns with each of 2 seeds in all 12 combinations of weight scale W, optimizer "
        "and activation, plain in 2 of 12."
    )


def test_many_networks_have_a_table():
    runs = sweep(lambda run: (0.1, 0.9 if learns_but_for_some(run) else 0.1), **MANY)
    head, rows = learning_table(compare(runs))
    assert head == ["", "learns with each of 2 seeds at", "with some of them"]
    assert rows[:2] == [
        ["batchnorm (sgd, relu)", "all 3 scales", "-"],
        ["plain (sgd, relu)", "none of the 3 scales", "0.1 with 1 of 2"],
    ]


def test_a_row_counts_the_values_at_which_its_network_has_results():
    grid = {**SCALES, "optimizer": ["sgd", "adam"]}
    runs = sweep(lambda run: (0.1, 0.9), **grid)
    failed = [{**PLAIN_AT[0], "optimizer": "sgd"}, PLAIN_AT[1] | {"optimizer": "adam"}]
    _, rows = learning_table(compare(without(runs, *failed, PLAIN_AT[2] | {"optimizer": "adam"})))
    assert rows == [
        ["batchnorm (sgd)", "all 3 scales"],
        ["plain (sgd)", "both; results at 2 of 3 scales (0.1, 0.01)"],
        ["batchnorm (adam)", "all 3 scales"],
        ["plain (adam)", "1; results at 1 of 3 scales (1)"],
    ]


def test_combinations_without_a_result_are_not_counted():
    runs = sweep(lambda run: (0.1, 0.9), **MANY)
    failed = [{"model": "plain", "optimizer": "sgd"}]
    assert Findings(without(runs, *failed)).answer[0] == (
        "batchnorm learns with each of 2 seeds in all 12 combinations of weight scale W, optimizer "
        "and activation, plain in all 6 that have results."
    )


def test_networks_without_any_result_are_not_counted():
    grid = {**SCALES, "optimizer": ["sgd", "adam"]}
    runs = without(sweep(**grid), {"model": "plain", "optimizer": "sgd"})
    assert where_it_learns(compare(runs)) == [
        "All 3 networks that have results learn at all 3 scales."
    ]
