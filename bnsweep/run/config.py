"""From a composed configuration to a run: plain values, checked, and names for its parts."""

import contextlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigSource
from omegaconf import DictConfig, OmegaConf

from bnsweep.errors import ConfigError, UnknownKeyError
from bnsweep.hydra_inside import config_sources
from bnsweep.records import RunSpec, absolute
from bnsweep.records.keys import (
    GROUPS,
    KEYS,
    PARTS,
    Config,
    Value,
    brief,
    check,
    check_all,
    flatten,
    is_ours,
)
from bnsweep.run.build import load_dataset

# The part `sweep` before the program sets it.
UNSET: Config = {"parent_run_id": None, "keys": [], "options": None, "number": 0, "tags": None}


@dataclass(frozen=True)
class OptionFile:
    """The chosen option of a group, and what its own file sets there."""

    option: str
    content: Config


def specify(
    cfg: DictConfig,
    files: Mapping[str, OptionFile] | None = None,
    *,
    number: int = 0,
    overrides: Sequence[str] = (),
    facts: Callable[[Config], Mapping[str, Value]] | None = None,
) -> RunSpec:
    """Return the run that `cfg` describes, checked.

    It is the one way to a `RunSpec`: single runs, planned runs and jobs take it.

    Args:
        cfg: the composed configuration, its keys checked.
        files: what `option_files` returned for it; None for a job, whose configuration already
            holds its number and the names of its parts.
        number: the run's number in its sweep.
        overrides: from which `cfg` was composed.
        facts: what describes the data set of a configuration; by default it is loaded for that.

    Raises:
        ConfigError: a value is out of bounds, or two of them do not go together.
        DataError: the data cannot be had as asked for.
    """
    config = to_plain(cfg)
    check_run(config)
    if (root := config["data"].get("root")) is not None:
        # The same folder in any working directory.
        config["data"]["root"] = str(absolute(root))
    if files is not None:
        config["sweep"] |= {"options": chosen_options(config, files), "number": number}
    data = facts(config) if facts is not None else load_dataset(config).facts
    return RunSpec.of(config, data=data, overrides=overrides)


def check_keys(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Check that each key of a composed configuration is one that something takes.

    What stands below a `_target_` of the user's own is for that to judge, and what the user adds
    by `+key`, outside of a run's parts, is there for other values to refer to.

    Args:
        cfg: the composed configuration, in whose part `sweep` the program has set nothing yet.
        overrides: from which it was composed.

    Raises:
        ConfigError: there is no such key.
    """
    config = to_plain(cfg)
    if (sweep := config.pop("sweep", None)) != UNSET:
        given, unset = flatten({"sweep": sweep}), flatten({"sweep": UNSET})
        key = next((k for k in given if given[k] != unset.get(k, given)), "sweep")
        raise ConfigError(f"{key}={brief(given.get(key))}: is set by the program; leave it out")
    typed = (text.lstrip("+").partition("=")[0] for text in overrides if text.startswith("+"))
    added = {re.split("[./]", key.rpartition("@")[2])[0] for key in typed} - PARTS.keys()
    own = {key: part for key, part in config.items() if key not in added}
    for group in ("experiment", "debug"):
        if isinstance(own.get(group), Mapping):
            key = next(iter(flatten({group: own[group]})), group)
            raise ConfigError(
                f"{key}: there is no such key; a file of {group}= sets keys of the whole "
                "configuration if it begins with the line `# @package _global_`"
            )
    _check_node(own)


def _check_node(node: Mapping[str, Any], prefix: str = "") -> None:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if "." in str(name):
            *parts, last = key.split(".")
            opened = "".join(f"{part}: {{" for part in parts)
            raise ConfigError(
                f"{key}: there is no such key; a dot leads nowhere in a file, write "
                f"{opened}{last}: {brief(value)}{'}' * len(parts)}"
            )
        if key in KEYS:
            if isinstance(value, Mapping):  # of which `check_all` sees the leaves
                check(key, value)
        elif isinstance(value, Mapping):
            if value.get("_target_") is None or is_ours(value):
                _check_node(value, f"{key}.")
        elif not (prefix and name == "_target_") and key not in PARTS:
            raise UnknownKeyError(key)


def where_started(hydra_config: HydraConf) -> contextlib.AbstractContextManager[None]:
    """Read relative paths where the program was started, though `hydra.job.chdir` has left it."""
    started = hydra_config.runtime.cwd
    # A job on another machine may have no such folder; it is given absolute paths.
    moved = hydra_config.job.chdir and Path(started).is_dir()
    return contextlib.chdir(started) if moved else contextlib.nullcontext()


def to_plain(cfg: DictConfig) -> Config:
    """Return `cfg` without Hydra's own part as plain nested values, resolved."""
    # Part by part: a copy of the whole is shorter to write and takes five times as long.
    parts = {str(key): cfg[key] for key in cfg if key != "hydra"}
    return {
        key: OmegaConf.to_container(part, resolve=True) if OmegaConf.is_config(part) else part
        for key, part in parts.items()
    }


def check_run(config: Mapping[str, Any]) -> None:
    """Check a composed configuration: each value by itself, and those that depend on each other.

    Raises:
        ConfigError: a run cannot be done with these values.
    """
    check_all(config)
    if config["tracking"]["model"] and not config["tracking"]["weights"]:
        raise ConfigError("tracking.model=true: a model has weights; set tracking.weights=true")
    model, data = config["model"], config["data"]
    batch_size = config["training"]["batch_size"]
    batch_norm = is_ours(model) and model.get("batch_norm", True) and not model.get("norm_layer")
    if batch_norm and batch_size == 1:
        raise ConfigError(
            "training.batch_size=1: Batch Normalization needs at least 2 samples in a minibatch; "
            "set a larger batch_size, or model=plain"
        )
    validation_size = data.get("validation_size", 0)
    samples = data.get("train_size", math.inf) - validation_size
    if samples < 1:
        raise ConfigError(
            f"data.validation_size={validation_size}: must be less than "
            f"data.train_size={data['train_size']}, from which these samples are taken"
        )
    if batch_size > samples:
        held_out = f" less data.validation_size={validation_size}" if validation_size else ""
        raise ConfigError(
            f"training.batch_size={batch_size}: larger than the training set; it must be at "
            f"most {samples}, data.train_size={data['train_size']}{held_out}"
        )


def chosen_options(config: Config, files: Mapping[str, OptionFile]) -> dict[str, str]:
    """Return the names of a run's parts: each its option's name, or what it is instead.

    A name says what is built. It is the option's unless an override or an experiment's file
    turns the part into another kind of thing than the option's own file describes.

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


def option_files(hydra: Any) -> dict[str, OptionFile]:
    """Return the chosen option of each group that a run is named by, and what its file holds.

    Reads the files: Hydra takes as long to compose one of them as a whole configuration.

    Args:
        hydra: Hydra's record of what was typed, what was chosen and where files were found.
    """
    sources = config_sources(hydra.runtime)
    options = {group: str(hydra.runtime.choices.get(group)) for group in GROUPS}
    # A list of options is merged in its order, and noted nowhere but where it was typed.
    lists = [re.fullmatch(r"(\w+)=\[(?:.*,)?\s*(\w+)\s*\]", text) for text in hydra.overrides.task]
    options |= {m[1]: m[2] for m in lists if m and options.get(m[1]) == "None"}
    return {
        group: OptionFile(option, _content(group, option, sources))
        for group, option in options.items()
    }


def contents(group: str, runtime: Any) -> dict[str, Config]:
    """Return what the file of each option of a group sets there; `runtime` is Hydra's.

    A file that cannot be read is left out: it may be one that nobody has chosen.
    """
    sources = config_sources(runtime)
    found = {}
    for name in sorted({name for source in sources for name in _options(group, source)}):
        with contextlib.suppress(Exception):  # YAML, OmegaConf and Hydra raise what they like
            found[name] = _content(group, name, sources)
    return found


def sweep_of_experiment(runtime: Any) -> list[str]:
    """Return the keys that the chosen experiment's own file sweeps; `runtime` as above."""
    option = runtime.choices.get("experiment")
    if option is None:
        return []
    content = _content("experiment", str(option), config_sources(runtime), part="hydra")
    return list(content.get("sweeper", {}).get("params") or {})


def _options(group: str, source: ConfigSource) -> list[str]:
    return source.list(group, ObjectType.CONFIG) if source.is_group(group) else []


def _content(
    group: str, option: str, sources: Sequence[ConfigSource], part: str | None = None
) -> Config:
    """Return what an option's file sets in its group, defaults of the same group included.

    Args:
        group: the group of the option.
        option: the name of its file.
        sources: where files are looked for.
        part: what of a file for the whole configuration is meant, if not the group.
    """
    path = f"{group}/{option}"
    source = next((source for source in sources if source.is_config(path)), None)
    if source is None:
        return {}
    loaded = source.load_config(path)
    own: Any = OmegaConf.to_container(loaded.config, resolve=False)
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: its file is not a mapping of keys to values; write key: value")
    defaults = own.pop("defaults", [])
    if loaded.header["package"] == "_global_":
        own = own.get(part or group, {})
    content: Config = {}
    for name in defaults if "_self_" in defaults else [*defaults, "_self_"]:
        if name == "_self_":
            content |= own
        elif isinstance(name, str):
            content |= _content(group, name.removeprefix(f"/{group}/"), sources, part)
        # Other entries fill a part within the group.
    return content
