"""Objects from a run's configuration: where `_target_`s are instantiated."""

import re
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from hydra.errors import InstantiationException
from numpy.typing import NDArray

from bnsweep.data import Dataset
from bnsweep.errors import DataError, unwrapped
from bnsweep.hydra_inside import instantiate
from bnsweep.nn.network import Network
from bnsweep.records import RunSpec
from bnsweep.records.keys import shown
from bnsweep.run.execute import Draws, Experiment


def load_dataset(config: Mapping[str, Any]) -> Dataset:
    """Return the data set of a run's configuration.

    Raises:
        DataError: it cannot be had as asked for.
    """
    data = config["data"]
    try:
        with unwrapped():
            return cast("Dataset", instantiate(data, dtype=config["dtype"]))
    except InstantiationException as error:
        unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error.__cause__))
        if unexpected is None or unexpected[1] not in data:
            raise
        key = unexpected[1]
        raise DataError(
            f"data.{key}={shown(data[key])}: {data['_target_']} has no parameter {key}; give it "
            f"one, or leave the key out (~data.{key}, if debug=fast sets it)"
        ) from error


def build_experiment(spec: RunSpec, dataset: Dataset) -> Experiment:
    """Return the experiment of a run, its initial weights drawn."""
    draws = Draws.of(spec.seed)
    training = spec.config["training"]
    return Experiment(
        spec=spec,
        dataset=dataset,
        network=build_network(spec.config, draws, inputs=dataset.features, classes=dataset.classes),
        optimizer=instantiate(spec.config["optimizer"], _convert_="all"),
        minibatches=draws.minibatches,
        epochs=training["epochs"],
        batch_size=training["batch_size"],
        sampling=training["sampling"],
    )


def build_network(config: Mapping[str, Any], draws: Draws, *, inputs: int, classes: int) -> Network:
    """Return the network of a run's configuration, its initial weights drawn."""
    network: Network = instantiate(
        config["model"],
        inputs=inputs,
        classes=classes,
        weight_std=config["weight_std"],
        rng=draws.weights,
        dropout_rng=draws.dropout,
        dtype=config["dtype"],
        _convert_="all",
    )
    return network


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
