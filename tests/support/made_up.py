"""Made-up results: runs whose numbers a test knows, because it chose them."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from bnsweep.records import RunResult, RunSpec, SweepRun, curves_of
from bnsweep.run.execute import histograms

MODELS = {
    "batchnorm": {"batch_norm": True, "dropout": 0},
    "plain": {"batch_norm": False, "dropout": 0},
    "dropout": {"batch_norm": False, "dropout": 0.5},
}


def measured(train, test, validation=None):
    """Return the measurements of one epoch."""
    found = {
        "train_loss": 1.0,
        "train_accuracy": train,
        "test_loss": 1.5,
        "test_accuracy": test,
    }
    if validation is not None:
        found |= {"validation_loss": 1.5, "validation_accuracy": validation}
    return found | {"activations/std_1": 0.5, "activations/std_2": 0.5}


def result(
    accuracies=(0.1, 0.5, 1.0),
    *,
    gap=0.1,
    validation=None,
    status="finished",
    model="batchnorm",
    activation="relu",
    seed=0,
    outputs=(),
    error=None,
    options=None,
    dataset=None,
    **config,
):
    """Return a result with these training accuracies, one an epoch.

    `validation` is the final accuracy on the validation samples, `dataset` what is known of the
    data; further arguments are leaves or parts of the configuration, a dot in a key written
    `__`.
    """
    epochs = [measured(accuracy, accuracy - gap, validation) for accuracy in accuracies]
    if status == "diverged":
        epochs[-1] |= {"train_loss": math.nan, "test_loss": math.inf}
        epochs[-1] |= {"activations/std_1": math.nan, "activations/std_2": math.nan}
    layers = histograms([np.asarray(values, float) for values in outputs])
    kind = MODELS.get(model, {"_target_": f"mine.{model}"})
    full = {
        "model": {"_target_": "bnsweep.nn.network.mlp", **kind, "activation": activation},
        "seed": seed,
    }
    for key, value in config.items():
        *path, last = key.split("__")
        node = full
        for name in path:
            node = node.setdefault(name, {})
        node[last] = value
    return RunResult(
        spec=RunSpec(
            config=full,
            options={"model": model, "optimizer": "sgd", "data": "digits", **(options or {})},
            fingerprint="",
            data=dataset or {},
        ),
        status=status,
        curves=curves_of(epochs),
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
        config = {key: value for key, value in swept.items() if key not in ("model", "seed")}
        groups = {key: config.pop(key) for key in ("optimizer", "data") if key in config}
        config |= {f"{group}___target_": f"mine.{option}" for group, option in groups.items()}
        outcome = result(
            accuracies(SimpleNamespace(**swept)),
            model=swept.get("model", "batchnorm"),
            seed=swept.get("seed", 0),
            options=groups,
            **config,
            **fields(SimpleNamespace(**swept)),
        )
        keys = {key.replace("__", "."): value for key, value in swept.items()}
        spec = replace(outcome.spec, number=number, swept=keys)
        runs.append(SweepRun(spec, replace(outcome, spec=spec), f"id{number}"))
    return runs


def with_result(run, outcome):
    """Return a run of a sweep with another result, as it would be in that run's place."""
    return replace(run, result=replace(outcome, spec=run.spec))
