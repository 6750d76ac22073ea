"""How swept keys, their values and a sweep's settings read on a figure or in a table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bnsweep.records import RunResult

Value = Any  # of a key: a number, a string, a truth value, None, or a tuple of them

LABELS = {
    "weight_std": "W",
    "model.activation": "activation",
    "model.dropout": "dropout",
    "model.dropout_position": "dropout position",
    "model.eps": "eps",
    "model.hidden_sizes": "hidden sizes",
    "model.norm_position": "norm position",
    "optimizer.lr": "learning rate",
    "optimizer.weight_decay": "weight decay",
    "training.batch_size": "batch size",
    "training.epochs": "epochs",
    "data.train_size": "training samples",
}


def key_label(key: str) -> str:
    """Return a configuration key as a reader would call it."""
    return LABELS.get(key, key)


def key_name(key: str) -> str:
    """Return a configuration key as a title names it."""
    return "weight scale W" if key == "weight_std" else key_label(key)


def phrase(label: str, text: str) -> str:
    """Return a value with the label of its key, as a sentence says it: `W = 0.01`, `dropout 0`."""
    return f"{label} = {text}" if len(label) == 1 else f"{label} {text}"


def value_label(value: Value, digits: int = 3) -> str:
    """Return `value` as text, floats to `digits` significant digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, tuple):
        repeated = len(value) > 1 and len(set(value)) == 1
        return f"{len(value)} x {value[0]}" if repeated else "-".join(map(str, value))
    return "none" if value is None else str(value)


def is_number(value: Value) -> bool:
    """Whether `value` is a finite number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def frozen(value: Value) -> Value:
    """Return a value of a configuration in a form that can be compared and hashed."""
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return str(value) if isinstance(value, Mapping) else value


def look_up(config: Mapping[str, Any], key: str) -> Value:
    """Return the value of a dotted key of a nested configuration, None if it has none."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return frozen(node)


def setting(results: Sequence[RunResult]) -> str:
    """Return what all `results` have in common, as far as a reader of a figure would ask."""

    def common(values: set[Value]) -> Value:
        return values.pop() if len(values) == 1 else None

    def option(group: str) -> Value:
        return common({result.options.get(group) for result in results})

    def leaf(key: str, form: str = "{}", *, unless: Value = None) -> str | None:
        value = common({look_up(result.config, key) for result in results})
        return None if value is None or value == unless else form.format(value_label(value))

    def training_samples() -> str | None:
        sizes = {look_up(result.config, "data.train_size") for result in results}
        held_out = {look_up(result.config, "data.validation_size") or 0 for result in results}
        if (size := common(sizes)) is None or len(held_out) > 1:
            return None
        return f"{size - held_out.pop()} training samples"

    parts = (
        option("data"),
        training_samples(),
        option("model"),
        leaf("model.hidden_sizes"),
        leaf("model.activation"),
        leaf("model.dropout", "dropout {}", unless=0),
        option("optimizer"),
        leaf("optimizer.lr", "learning rate {}"),
        leaf("optimizer.weight_decay", "weight decay {}", unless=0),
        leaf("weight_std", "W = {}"),
        leaf("training.epochs", "{} epochs"),
        leaf("dtype"),
    )
    return ", ".join(str(part) for part in parts if part is not None)
