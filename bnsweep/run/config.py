"""What a run's configuration means: its checks, its names, its fingerprint.

Here a configuration is plain nested values (dict, list, str, numbers), so that the values
of a thousand runs are checked without composing a thousand configurations.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bnsweep.errors import ConfigError

# Raised when the code changes what a configuration computes.
FINGERPRINT_FORMAT = 2

# What decides a run's numbers; all else says where they go.
RESULT_KEYS = ("data", "model", "optimizer", "training", "weight_std", "seed", "dtype")
GROUPS = ("model", "optimizer", "data")

_OWN_MODEL = "bnsweep.nn.network.mlp"
# Keys of the model that do nothing while another one is off.
DEPENDENT_KEYS = {
    "model.batch_norm": ("model.norm_position", "model.eps", "model.momentum"),
    "model.dropout": ("model.dropout_position",),
}

Config = dict[str, Any]


def result_part(config: Mapping[str, Any]) -> Config:
    """Return the part of `config` that decides a run's numbers."""
    return {key: config[key] for key in RESULT_KEYS}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return `{"model.eps": 1e-7, ...}`: each leaf by its dotted key."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def named_leaves(config: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Return all leaves of a run's configuration, and the names of its parts."""
    return flatten(result_part(config)) | dict(options)


def parameters(config: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that identify a run to a reader: its leaves and its options.

    Of the `_target_`s, those alone that stand among the options: the option's name tells others.
    """
    leaves = flatten(result_part(config))
    told = {key: leaves[key] for key in leaves if key.rpartition(".")[2] != "_target_"}
    return told | dict(options)


def deciding_part(config: Mapping[str, Any]) -> Config:
    """Return what of `config` changes a run's numbers: not the keys that do nothing in it.

    These are the place of the data, and the keys of a part of the model that is off.
    """
    part = {key: value for key, value in config.items() if key in RESULT_KEYS}
    if "data" in part:
        part["data"] = {key: value for key, value in part["data"].items() if key != "root"}
    model = part.get("model", {})
    if model.get("_target_") == _OWN_MODEL:
        leaves = flatten({"model": model})
        off = {k for key, keys in DEPENDENT_KEYS.items() if not leaves.get(key) for k in keys}
        part["model"] = {key: model[key] for key in model if f"model.{key}" not in off}
    return part


def fingerprint(config: Mapping[str, Any], data_digest: str) -> str:
    """Return a hash of what changes a run's result, and of nothing else.

    Option names and the place of the data do not count, the data themselves do; `1`, `1.0`
    and `1e0` are one number; keys of a part of the model that is off do not count.
    """
    document = [FINGERPRINT_FORMAT, data_digest, _canonical(deciding_part(config))]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return each leaf of a run's configuration that changes its numbers, but for the seed."""
    leaves = flatten(deciding_part(config))
    return {key: value for key, value in leaves.items() if key != "seed"}


def run_name(config: Mapping[str, Any], options: Mapping[str, str], swept: Sequence[str]) -> str:
    """Return a name such as `batchnorm weight_std=0.0464 optimizer.lr=0.1 seed=0`."""
    flat = named_leaves(config, options)
    others = [key for key in swept if key not in ("model", "weight_std", "seed")]
    keys = ["weight_std", *others, "seed"]
    return " ".join([options["model"], *(f"{key}={short(flat.get(key))}" for key in keys)])


def short(value: Any) -> str:
    """Return `value` as a reader wants it: numbers with three significant digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return "[" + ",".join(short(item) for item in value) + "]"
    return str(value)


def check(config: Mapping[str, Any]) -> None:
    """Check the values of a run's configuration.

    Raises:
        ConfigError: one of them would not do.
    """
    weight_std, model, training = config["weight_std"], config["model"], config["training"]
    if weight_std not in ("he", "xavier"):
        _check_number("weight_std", weight_std, above=0, also=", or he, or xavier")
    _check_whole("seed", config["seed"], least=0)
    _check_choice("dtype", config["dtype"], ("float32", "float64"))
    _check_whole("training.epochs", training["epochs"], least=1)
    _check_whole("training.batch_size", training["batch_size"], least=1)
    _check_choice("training.sampling", training["sampling"], ("replacement", "shuffle"))
    for key in ("train_size", "test_size"):
        if key in config["data"]:
            _check_whole(f"data.{key}", config["data"][key], least=1)
    _check_choice("resume", config.get("resume", False), (False, True))
    _check_choice("on_failure", config.get("on_failure", "continue"), ("continue", "stop"))
    _check_optimizer(config["optimizer"])
    if model.get("_target_") == _OWN_MODEL:
        _check_model(model)
        if model["batch_norm"] and training["batch_size"] == 1:
            raise ConfigError(
                "training.batch_size=1: Batch Normalization needs at least 2 samples in a "
                "minibatch; a larger batch_size or model=plain would do"
            )
    _check_batch_size(training["batch_size"], config["data"])


def _check_batch_size(batch_size: int, data: Mapping[str, Any]) -> None:
    validation_size = data.get("validation_size", 0)
    _check_whole("data.validation_size", validation_size, least=0)
    samples = data.get("train_size", math.inf) - validation_size
    if samples < 1:
        raise ConfigError(
            f"data.validation_size={validation_size}: must be less than "
            f"data.train_size={data['train_size']}, out of which it is held"
        )
    if batch_size > samples:
        held_out = f" less data.validation_size={validation_size}" if validation_size else ""
        raise ConfigError(
            f"training.batch_size={batch_size}: larger than the training set; it must be at "
            f"most {samples}, data.train_size={data['train_size']}{held_out}"
        )


def _check_model(model: Mapping[str, Any]) -> None:
    sizes = model["hidden_sizes"]
    if not isinstance(sizes, list) or not sizes:
        raise ConfigError(
            f"model.hidden_sizes={sizes}: a list of at least one width is needed, such as [100,100]"
        )
    for size in sizes:
        _check_whole("model.hidden_sizes", size, least=1)
    _check_choice("model.activation", model["activation"], ("relu", "sigmoid", "tanh"))
    _check_choice("model.norm_position", model["norm_position"], ("before", "after"))
    _check_choice("model.dropout_position", model["dropout_position"], ("every", "last"))
    _check_choice("model.batch_norm", model["batch_norm"], (True, False))
    _check_number("model.eps", model["eps"], above=0)
    _check_number("model.momentum", model["momentum"], least=0, below=1)
    _check_number("model.dropout", model["dropout"], least=0, below=1)


def _check_optimizer(optimizer: Mapping[str, Any]) -> None:
    if not str(optimizer.get("_target_")).startswith("bnsweep."):
        return
    for key, value in optimizer.items():
        name = f"optimizer.{key}"
        if key in ("lr", "eps"):
            _check_number(name, value, above=0)
        elif key == "weight_decay":
            _check_number(name, value, least=0)
        elif key in ("momentum", "beta1", "beta2", "decay"):
            _check_number(name, value, least=0, below=1)


def _check_number(
    key: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    also: str = "",
) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and value > above and least <= value < below:
        return
    bounds = [
        f"greater than {above}" if math.isfinite(above) else "",
        f"at least {least}" if math.isfinite(least) else "",
        f"less than {below}" if math.isfinite(below) else "",
    ]
    wanted = " and ".join(bound for bound in bounds if bound)
    raise ConfigError(f"{key}={value}: a finite number {wanted}{also} is needed")


def _check_whole(key: str, value: Any, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{key}={value}: a whole number of at least {least} is needed")


def _check_choice(key: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices or isinstance(value, bool) != isinstance(choices[0], bool):
        options = ", ".join(str(choice) for choice in choices)
        raise ConfigError(f"{key}={value}: one of {options} is needed")


def _canonical(value: Any) -> Any:
    """Return `value` with each number in one form, so that equal settings hash equally."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
