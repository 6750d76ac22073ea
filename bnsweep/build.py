"""Composed configuration in, objects out: where `_target_`s are instantiated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from bnsweep.config import GROUPS
from bnsweep.errors import UserError

_trackers: dict[str, Any] = {}


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Return all of `cfg` but Hydra's own part as plain nested values, resolved."""
    # Each part on its own: a copy of all of it, the shorter way, takes five times as long.
    parts = {str(key): cfg[key] for key in cfg if key != "hydra"}
    return {
        key: OmegaConf.to_container(part, resolve=True) if OmegaConf.is_config(part) else part
        for key, part in parts.items()
    }


def chosen_options(choices: Any) -> dict[str, str]:
    """Return the option that was chosen of each group that a run is named by."""
    return {group: str(choices[group]) for group in GROUPS if group in choices}


def load_dataset(cfg: DictConfig) -> Any:
    """Return the data set that `cfg` names.

    Raises:
        bnsweep.data.DataError: it cannot be had as asked for.
    """
    try:
        return instantiate(cfg.data, dtype=cfg.dtype)
    except InstantiationException as error:
        # Hydra tells of the call; the person wants to know about the data.
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise


def make_tracker(cfg: DictConfig) -> Any:
    """Return the tracker that `cfg` names: one a process, for its connection costs a run's time."""
    output_dir = str(Path(cfg.output_dir).absolute())
    key = f"{OmegaConf.to_container(cfg.tracking)} {output_dir}"
    if key not in _trackers:
        _trackers[key] = instantiate(cfg.tracking, output_dir=output_dir)
    return _trackers[key]


def build_experiment(cfg: DictConfig, dataset: Any, mark: str, config: Any, options: Any) -> Any:
    """Return the `Experiment` that `cfg` describes, its weights drawn."""
    from bnsweep.experiment import Draws, Experiment

    draws = Draws.of(cfg.seed)
    return Experiment(
        dataset=dataset,
        network=build_network(cfg, draws, inputs=dataset.features, classes=dataset.classes),
        optimizer=instantiate(cfg.optimizer, _convert_="all"),
        minibatches=draws.minibatches,
        epochs=cfg.training.epochs,
        batch_size=cfg.training.batch_size,
        sampling=cfg.training.sampling,
        fingerprint=mark,
        config=config,
        options=options,
    )


def build_network(cfg: Mapping[Any, Any], draws: Any, *, inputs: int, classes: int) -> Any:
    """Return the network that `cfg` describes, a run's configuration or all of it."""
    return instantiate(
        cfg["model"],
        inputs=inputs,
        classes=classes,
        weight_std=cfg["weight_std"],
        rng=draws.weights,
        dropout_rng=draws.dropout,
        dtype=cfg["dtype"],
        _convert_="all",
    )
