"""How keys, values and settings are written in figures and tables."""

from collections.abc import Iterable, Sequence

from bnsweep.records import RunResult
from bnsweep.records.keys import Value, shown

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
    """Return a key's short name."""
    return LABELS.get(key, key)


def key_name(key: str) -> str:
    """Return a key's name in a title."""
    return "weight scale W" if key == "weight_std" else key_label(key)


def phrase(label: str, text: str) -> str:
    """Return a value after the label of its key: `W = 0.01`, `dropout 0`."""
    return f"{label} = {text}" if len(label) == 1 else f"{label} {text}"


def value_label(value: Value, digits: int = 3) -> str:
    """Return `value` for a reader, floats to `digits` significant digits."""
    if isinstance(value, tuple):
        repeated = len(value) > 1 and len(set(value)) == 1
        return f"{len(value)} x {value[0]}" if repeated else "-".join(map(str, value))
    return "none" if value is None else shown(value, digits)


def setting(results: Sequence[RunResult]) -> str:
    """Return the settings that all `results` share, such as the data set and learning rate."""

    def common(values: Iterable[Value]) -> Value:
        distinct = set(values)
        return distinct.pop() if len(distinct) == 1 else None

    def leaf(key: str, form: str = "{}", *, unless: Value = None) -> str | None:
        value = common(result.spec.value(key) for result in results)
        return None if value is None or value == unless else form.format(value_label(value))

    def training_samples() -> str | None:
        held_out = common(result.spec.value("data.validation_size") or 0 for result in results)
        size = common(result.spec.value("data.train_size") for result in results)
        return None if size is None or held_out is None else f"{size - held_out} training samples"

    parts = (
        leaf("data"),
        training_samples(),
        leaf("model"),
        leaf("model.hidden_sizes"),
        leaf("model.activation"),
        leaf("model.dropout", "dropout {}", unless=0),
        leaf("optimizer"),
        leaf("optimizer.lr", "learning rate {}"),
        leaf("optimizer.weight_decay", "weight decay {}", unless=0),
        leaf("weight_std", "W = {}"),
        leaf("training.epochs", "{} epochs"),
        leaf("dtype"),
    )
    return ", ".join(part for part in parts if part is not None)
