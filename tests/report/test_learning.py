"""Where networks learn: sentences as a person would say them."""

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
