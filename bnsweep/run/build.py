"""Objects from a run's configuration: where `_target_`s are instantiated."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bnsweep.data import Dataset
from bnsweep.errors import ConfigError
from bnsweep.hydra_inside import instantiate
from bnsweep.nn.network import Network
from bnsweep.nn.optimizers import Optimizer
from bnsweep.records import RunSpec
from bnsweep.run.execute import Draws, Experiment
from bnsweep.run.users_code import refuse, told

# What a part has to be, whatever its class: what its run asks of it.
NEEDED = {
    "data": (
        "a Dataset",
        "x_train y_train x_test y_test x_validation y_validation features classes facts",
    ),
    "model": (
        "a Network",
        "params n_weights dtype blocks gradient logits hidden_outputs block_outputs statistics_of "
        "state",
    ),
    "optimizer": ("an Optimizer", "start update"),
}


def load_dataset(config: Mapping[str, Any]) -> Dataset:
    """Return the data set of a run's configuration.

    Raises:
        DataError: it cannot be had as asked for.
    """
    return cast("Dataset", _built("data", config, dtype=config["dtype"]))


def build_experiment(spec: RunSpec, dataset: Dataset) -> Experiment:
    """Return the experiment of a run, its initial weights drawn."""
    draws = Draws.of(spec.seed)
    training = spec.config["training"]
    return Experiment(
        spec=spec,
        dataset=dataset,
        network=build_network(spec.config, draws, inputs=dataset.features, classes=dataset.classes),
        optimizer=build_optimizer(spec.config),
        minibatches=draws.minibatches,
        epochs=training["epochs"],
        batch_size=training["batch_size"],
        sampling=training["sampling"],
    )


def build_network(config: Mapping[str, Any], draws: Draws, *, inputs: int, classes: int) -> Network:
    """Return the network of a run's configuration, its initial weights drawn."""
    network = _built(
        "model",
        config,
        inputs=inputs,
        classes=classes,
        weight_std=config["weight_std"],
        rng=draws.weights,
        dropout_rng=draws.dropout,
        dtype=config["dtype"],
    )
    return cast("Network", network)


def build_optimizer(config: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer of a run's configuration."""
    return cast("Optimizer", _built("optimizer", config))


def _built(group: str, config: Mapping[str, Any], **given: Any) -> object:
    """Return what the target of a part of a run makes, if training can use it."""
    part = config[group]
    if part.get("_target_") is None:
        raise ConfigError(f"{group}._target_: is missing; name the function that makes {group}")
    with told(group, part, given):
        built: object = instantiate(part, **given, _convert_="all")
        kind, needed = NEEDED[group]
        if missing := [name for name in needed.split() if not hasattr(built, name)]:
            returned = f"{type(built).__name__}, which has no {missing[0]}"
            refuse(group, part, f"returned {returned}; must return {kind}")
    return built


def trained_network(
    config: Mapping[str, Any], state: Mapping[str, NDArray[np.floating[Any]]]
) -> Network:
    """Return the network of a run's configuration with the arrays of its `weights.npz`.

    Raises:
        ValueError: they are those of another network.
    """
    weights = [array for array in state.values() if array.ndim == 2]
    shape = {"inputs": len(weights[0]), "classes": weights[-1].shape[1]}
    network = build_network(config, Draws.of(config["seed"]), **shape)
    network.load_state(state)
    return network
