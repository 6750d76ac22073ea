"""Composed configuration in, objects out: where `_target_`s are instantiated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.errors import InstantiationException
from hydra.plugins.config_source import ConfigSource
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from bnsweep.errors import UserError
from bnsweep.run.config import GROUPS, Config

_trackers: dict[str, Any] = {}


@dataclass(frozen=True)
class OptionFile:
    """The chosen option of a group, and what its own file makes of the group's node."""

    option: str
    content: Config


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Return all of `cfg` but Hydra's own part as plain nested values, resolved."""
    # Each part on its own: a copy of all of it, the shorter way, takes five times as long.
    parts = {str(key): cfg[key] for key in cfg if key != "hydra"}
    return {
        key: OmegaConf.to_container(part, resolve=True) if OmegaConf.is_config(part) else part
        for key, part in parts.items()
    }


def chosen_options(config: Config, files: Mapping[str, OptionFile]) -> dict[str, str]:
    """Return what the parts of a run are called: each by its option, or by what it is instead.

    A name follows what is built. It is the option's as long as nothing, be it an override or an
    experiment's file, makes another kind of thing of the part than the option's own file does.

    Args:
        config: the run's configuration as plain values.
        files: what `option_files` returned for it.

    Returns:
        `{"model": "batchnorm", "optimizer": "SignSGD", "data": "digits"}`, and under
        `optimizer._target_` each `_target_` that is not the one of the option's file.
    """
    names, targets = {}, {}
    for group, file in files.items():
        part, target = config[group], str(config[group].get("_target_"))
        names[group] = file.option
        if target != str(file.content.get("_target_")):
            targets[f"{group}._target_"] = target
            names[group] = target.rpartition(".")[2]
        elif group == "model" and part.get("batch_norm") != file.content.get("batch_norm"):
            how = "with" if part.get("batch_norm") else "without"
            names[group] = f"{file.option} {how} Batch Normalization"
        elif group == "model" and file.content.get("dropout") and not part.get("dropout"):
            names[group] = f"{file.option} without Dropout"
    return names | targets


def option_files(runtime: DictConfig) -> dict[str, OptionFile]:
    """Return the chosen option of each group that a run is named by, and what its file holds.

    The files are read: to compose one alone takes Hydra as long as a whole configuration.

    Args:
        runtime: Hydra's record of what was chosen and where files were found, `hydra.runtime`.
    """
    found: list[Any] = Plugins.instance().discover(ConfigSource)
    kinds = {kind.scheme(): kind for kind in found}
    sources = [
        kinds[source.schema](source.provider, f"{source.schema}://{source.path}")
        for source in runtime.config_sources
    ]
    options = {group: str(runtime.choices.get(group)) for group in GROUPS}
    return {
        group: OptionFile(option, _content(group, option, sources))
        for group, option in options.items()
    }


def _content(group: str, option: str, sources: Sequence[ConfigSource]) -> Config:
    """Return what an option's file puts into its group, with the files of the group below it."""
    path = f"{group}/{option}"
    source = next((source for source in sources if source.is_config(path)), None)
    if source is None:
        return {}
    loaded = source.load_config(path)
    own: Any = OmegaConf.to_container(loaded.config, resolve=False)
    defaults = own.pop("defaults", [])
    if loaded.header["package"] == "_global_":
        own = own.get(group, {})
    content: Config = {}
    for name in defaults if "_self_" in defaults else [*defaults, "_self_"]:
        if name == "_self_":
            content |= own
        elif isinstance(name, str):
            content |= _content(group, name, sources)
        # Any other entry makes a part within the group's.
    return content


def load_dataset(cfg: DictConfig) -> Any:
    """Return the data set that `cfg` names.

    Raises:
        bnsweep.data.datasets.DataError: it cannot be had as asked for.
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
    from bnsweep.run.execute import Draws, Experiment

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
