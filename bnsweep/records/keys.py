"""The keys of a configuration: what each may be, and where it changes nothing.

A bound stands in one row of `KEYS` and nowhere else: the command line, a plan of a thousand
runs and the constructors in `nn` all ask `check`.
"""

import contextlib
import math
import numbers
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from bnsweep.errors import ConfigError

Config = dict[str, Any]  # plain nested values: dict, list, str, numbers, truth values, None
Value = Any  # of a key: one of those, or a tuple of them

# What decides a run's numbers; all else says where they go.
RESULT_KEYS = ("data", "model", "optimizer", "training", "weight_std", "seed", "dtype")
GROUPS = ("model", "optimizer", "data")


class Bounded(Protocol):
    """What an activation tells the rooms above `nn`: the range of its outputs."""

    bounds: ClassVar[tuple[float, float]]


# By name. `nn.layers.Activation` enters its subclasses here, so import that module before `check`.
ACTIVATIONS: dict[str, type[Bounded]] = {}

MOST_SHOWN = 60  # characters of a value in a message

_NO_VALUE = object()


@dataclass(frozen=True)
class Key:
    """One key of a configuration.

    Attributes:
        accepts: whether it may have a value.
        must_be: what its value must be, in words; called when an error is reported.
        neutral: the value at which it does nothing. Fingerprints leave the key out there, so
            that one which is added later, with this default, retrains nothing.
        needs: the key that has to be on for this one to do anything.
        required: whether no run can do without it; the command line can delete a key.
    """

    accepts: Callable[[Value], bool]
    must_be: Callable[[], str]
    neutral: Value = _NO_VALUE
    needs: str | None = None
    required: bool = False

    @property
    def has_neutral(self) -> bool:
        """Whether there is a value at which the key does nothing."""
        return self.neutral is not _NO_VALUE


def check(key: str, value: Value) -> None:
    """Check the value of a key.

    Raises:
        ConfigError: it is out of bounds; the message says what it must be.
    """
    row = KEYS[key]
    if row.accepts(value):
        return
    if isinstance(value, str) and any(map(row.accepts, _as_number(value))):
        raise ConfigError(
            f'{key}="{brief(value)}": is text; write the number without quotes, and that of a '
            "variable as $NAME in the shell, as ${oc.decode:${oc.env:NAME}} in a file"
        )
    raise ConfigError(f"{key}={brief(value)}: must be {row.must_be()}")


def check_all(config: Mapping[str, Any]) -> None:
    """Check each value of a composed configuration whose key is in `KEYS`.

    A model or an optimizer of the user's own gives its keys a meaning of its own.

    Raises:
        ConfigError: a value is out of bounds, or a part or a required key is missing.
    """
    for part in PARTS:
        if isinstance(option := config.get(part), str):
            raise ConfigError(
                f"{part}={brief(option)}: must be a mapping of keys; an option is chosen in the "
                f"defaults list of a file, as `override /{part}: {brief(option)}`"
            )
        if not isinstance(option, Mapping):
            raise ConfigError(f"{part}: is missing; leave out what removes it, ~{part} or null")
    leaves = flatten(config)
    if missing := [key for key, row in KEYS.items() if row.required and key not in leaves]:
        raise ConfigError(f"{missing[0]}: is missing; set it")
    foreign = tuple(f"{group}." for group in ("model", "optimizer") if not is_ours(config[group]))
    for key, value in leaves.items():
        if key in KEYS and not key.startswith(foreign):
            check(key, value)


def is_ours(part: Mapping[str, Any]) -> bool:
    """Whether a part of a run is one of this package, by its `_target_`."""
    return str(part.get("_target_")).startswith("bnsweep.")


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Return `{"model.eps": 1e-7, ...}`: each leaf by its dotted key."""
    flat: dict[str, Value] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def effective(config: Mapping[str, Any]) -> dict[str, Value]:
    """Return the leaves of a run's configuration that change its numbers, by dotted key.

    Left out are the place of the data, and the keys of the model that do nothing because the one
    they need is off.
    """
    leaves = flatten({key: config[key] for key in RESULT_KEYS if key in config})
    leaves.pop("data.root", None)
    if is_ours(config.get("model", {})):
        for key in dependents(lambda needed: not leaves.get(needed)):
            leaves.pop(key, None)
    return leaves


def dependents(predicate: Callable[[str], bool]) -> Iterator[str]:
    """Yield the keys whose `needs` satisfies the predicate."""
    return (key for key, row in KEYS.items() if row.needs is not None and predicate(row.needs))


def is_neutral(key: str, value: Value, config: Mapping[str, Any]) -> bool:
    """Whether a leaf of a run's configuration has the value at which its key does nothing."""
    group = config.get(key.partition(".")[0])
    foreign = isinstance(group, Mapping) and not is_ours(group)
    return not foreign and key in KEYS and bool(value == KEYS[key].neutral)


def is_number(value: Value) -> bool:
    """Whether `value` is a finite number, and not a truth value."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        return False


def _as_number(text: str) -> Iterator[float]:
    """Yield the number that a text spells, if it does."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            yield kind(text)


def hashable(value: Value) -> Value:
    """Return a value of a configuration in a form that can be compared and hashed."""
    if isinstance(value, str | float | int):  # most are
        return value
    if isinstance(value, list | tuple):
        return tuple(hashable(item) for item in value)
    return str(value) if isinstance(value, Mapping) else value


def shown(value: Value, digits: int | None = None) -> str:
    """Return `value` as it is written in a configuration; given `digits`, floats rounded."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(shown(item, digits) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{shown(item, digits)}" for key, item in value.items()) + "}"
    if isinstance(value, float) and digits is not None:
        return rounded(value, digits)
    return "null" if value is None else str(value)


def brief(value: Value) -> str:
    """Return `value` as it is written in a configuration, cut to what a message may hold."""
    text = shown(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def rounded(value: float, digits: int) -> str:
    """Return a number to some significant digits: 0.0464, 10000, but 1e-5 and 2e5."""
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return f"{float(f'{value:.{digits}g}'):.15g}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _number(
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    or_else: tuple[str, ...] = (),
    **row: Any,
) -> Key:
    ends = {"greater than": above, "at least": least, "less than": below}
    words = " and ".join(f"{name} {end}" for name, end in ends.items() if math.isfinite(end))
    others = "".join(f", or {name}" for name in or_else)
    return Key(
        lambda value: (
            (is_number(value) and above < value < below and value >= least)
            or (isinstance(value, str) and value in or_else)
        ),
        lambda: f"a finite number {words}{others}",
        **row,
    )


def _whole(
    least: int, *, below: float = math.inf, or_else: tuple[int, ...] = (), **row: Any
) -> Key:
    others = "".join(f"{other}, or " for other in or_else)
    end = f" and below 2^{math.log2(below):g}" if math.isfinite(below) else ""
    return Key(
        lambda value: (
            is_number(value)
            and isinstance(value, numbers.Integral)
            and (least <= int(value) < below or value in or_else)
        ),
        lambda: f"{others}a whole number of at least {least}{end}",
        **row,
    )


def _one_of(choices: Collection[Value], **row: Any) -> Key:
    return Key(
        # 1 and 0 equal true and false, but are not choices of the same kind.
        lambda value: any(type(value) is type(choice) and value == choice for choice in choices),
        lambda: f"one of {', '.join(shown(choice) for choice in choices)}",
        **row,
    )


def _flag(**row: Any) -> Key:
    return _one_of((True, False), **row)


def _list(of: Callable[[Value], bool], words: str, *, least: int = 0) -> Key:
    return Key(
        lambda value: isinstance(value, list) and len(value) >= least and all(map(of, value)),
        lambda: words,
    )


def _text(words: str, *, or_null: bool = False) -> Key:
    return Key(
        lambda value: (or_null and value is None) or (isinstance(value, str) and value != ""),
        lambda: words + (" or null" if or_null else ""),
    )


_WIDTH = _whole(1)
_FORMAT = _one_of(("png", "svg", "pdf"))

KEYS: dict[str, Key] = {
    "weight_std": _number(above=0, or_else=("he", "xavier"), required=True),
    # Every one below 2^53 is a floating-point number, too, as which metrics are stored.
    "seed": _whole(0, below=2**53, required=True),
    "dtype": _one_of(("float32", "float64"), required=True),
    "data.root": _text("the path of a folder, such as mnist or ./5,", or_null=True),
    "data.train_size": _whole(1),
    "data.test_size": _whole(1),
    "data.validation_size": _whole(0, neutral=0),
    "model.hidden_sizes": _list(
        _WIDTH.accepts,
        "a list of one or more widths of at least 1, such as [100,100]",
        least=1,
    ),
    "model.activation": _one_of(ACTIVATIONS),
    "model.batch_norm": _flag(),
    "model.norm_position": _one_of(("before", "after"), needs="model.batch_norm"),
    "model.eps": _number(above=0, needs="model.batch_norm"),
    "model.momentum": _number(least=0, below=1, needs="model.batch_norm"),
    "model.dropout": _number(least=0, below=1, neutral=0),
    "model.dropout_position": _one_of(("every", "last"), needs="model.dropout"),
    "model.norm_layer": Key(
        lambda value: isinstance(value, Mapping),
        lambda: "a layer, as in {_target_: mine.LayerNorm, _partial_: true}",
    ),
    "optimizer.lr": _number(above=0),
    "optimizer.weight_decay": _number(least=0, neutral=0),
    "optimizer.momentum": _number(least=0, below=1),
    "optimizer.beta1": _number(least=0, below=1),
    "optimizer.beta2": _number(least=0, below=1),
    "optimizer.decay": _number(least=0, below=1),
    "optimizer.eps": _number(above=0),
    "training.epochs": _whole(1, below=2**53, required=True),
    "training.batch_size": _whole(1, required=True),
    "training.sampling": _one_of(("replacement", "shuffle"), required=True),
    "output_dir": _text("the path of a folder, such as outputs or ./5"),
    "resume": _flag(),
    "on_failure": _one_of(("continue", "stop")),
    "tracking.uri": _text("the URI of a tracking store", or_null=True),
    "tracking.experiment": Key(
        # A name such as 500 arrives as a number. Artifacts lie in a folder of that name.
        lambda value: (
            value is None
            or is_number(value)
            or (isinstance(value, str) and value.strip(". ") != "" and len(value) <= 200)
        ),
        lambda: "a name of at most 200 characters, not of dots alone, or null",
    ),
    "tracking.tags": Key(
        lambda value: value is None or isinstance(value, Mapping),
        lambda: "tags, as in {course: ml}",
    ),
    "tracking.note": Key(
        lambda value: value is None or isinstance(value, str) or is_number(value),
        lambda: "a text, or null",
    ),
    "tracking.figures": _flag(required=True),
    "tracking.weights": _flag(required=True),
    "tracking.model": _flag(required=True),
    "report.figures": _list(
        lambda name: isinstance(name, str | Mapping),
        "a list of figures, such as [curves,final_accuracy]",
    ),
    "report.formats": _list(
        _FORMAT.accepts, "a list of one or more out of png, svg and pdf, such as [png,pdf]", least=1
    ),
    "report.style": _one_of(("screen", "paper", "slides"), required=True),
    "report.choose": _list(
        lambda key: isinstance(key, str), "a list of keys, such as [optimizer.lr]"
    ),
    # Of this package's own launcher, which asks for it itself.
    "hydra.launcher.n_jobs": _whole(1, below=2**15, or_else=(-1,)),
}
# The parts that every configuration has: each is a mapping of keys.
PARTS = dict.fromkeys(
    part for part, dot, _ in (key.partition(".") for key in KEYS) if dot and part != "hydra"
)
