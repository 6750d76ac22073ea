"""Made-up results: runs whose numbers a test knows, because it chose them."""

import itertools
import math
from types import SimpleNamespace

import numpy as np

from bnsweep.comparison import SweepRun
from bnsweep.experiment import histograms
from bnsweep.results import EpochRecord, RunResult


def result(
    accuracies=(0.1, 0.5, 1.0),
    *,
    gap=0.1,
    status="finished",
    model="batchnorm",
    activation="relu",
    seed=0,
    outputs=(),
    error=None,
    **config,
):
    """Return a result with these training accuracies, one an epoch."""
    epochs = [
        EpochRecord(epoch, 1.0, accuracy, 1.5, accuracy - gap, (0.5, 0.5))
        for epoch, accuracy in enumerate(accuracies)
    ]
    if status == "diverged":
        last = epochs[-1]
        epochs[-1] = EpochRecord(
            last.epoch, math.nan, last.train_accuracy, math.inf, last.test_accuracy, (math.nan,) * 2
        )
    layers = histograms([np.asarray(values, float) for values in outputs])
    return RunResult(
        status=status,
        fingerprint="",
        config={
            "model": {"batch_norm": model == "batchnorm", "activation": activation},
            "seed": seed,
            **config,
        },
        options={"model": model, "optimizer": "sgd", "data": "digits"},
        epochs=tuple(epochs),
        initial_activations=layers,
        final_activations=layers,
        error=error,
    )


def sweep(accuracies=lambda _: (0.1, 0.5, 1.0), *, fields=lambda _: {}, **grid):
    """Return a run for each combination in `grid`.

    A dot in a key is written `__`. `accuracies` and `fields` are called with an object that
    has the swept values as attributes.
    """
    runs = []
    for number, values in enumerate(itertools.product(*grid.values())):
        swept = dict(zip(grid, values, strict=True))
        outcome = result(
            accuracies(SimpleNamespace(**swept)),
            model=swept.get("model", "batchnorm"),
            activation=swept.get("model__activation", "relu"),
            seed=swept.get("seed", 0),
            **fields(SimpleNamespace(**swept)),
        )
        keys = {key.replace("__", "."): value for key, value in swept.items()}
        runs.append(SweepRun(number, f"run {number}", keys, outcome, f"id{number}"))
    return runs
