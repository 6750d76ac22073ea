"""How keys, values and settings are written in figures and tables."""

from collections.abc import Collection, Iterable, Sequence

from bnsweep.records import RunResult, RunSpec
from bnsweep.records.keys import GROUPS, Value, is_number, shown
from bnsweep.report.words import counted

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

# How the values of a key are counted: "at 2 of 16 scales".
COUNTED = {
    "weight_std": ("at", "scales"),
    "data": ("on", "data sets"),
    "model": ("with", "models"),
    "model.activation": ("with", "activations"),
    "model.dropout": ("at", "rates of Dropout"),
    "model.hidden_sizes": ("with", "network sizes"),
    "optimizer": ("with", "optimizers"),
    "optimizer.lr": ("at", "learning rates"),
    "training.batch_size": ("at", "batch sizes"),
    "training.epochs": ("with", "numbers of epochs"),
    "data.train_size": ("with", "sizes of the training set"),
    "seed": ("with", "seeds"),
}

# What the name of the model says, and the place of the data.
UNREMARKABLE_KEYS = ("model.batch_norm", "data.root")


def key_label(key: str) -> str:
    """Return a key's short name."""
    return LABELS.get(key, key)


def counted_values(key: str) -> tuple[str, str]:
    """Return a preposition and a plural, to count the values of a key."""
    return COUNTED.get(key, ("with", f"values of {key_label(key)}"))


def key_heading(key: str) -> str:
    """Return a key's short name at the beginning of a sentence."""
    return key_label(key).capitalize() if key in LABELS else key


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


def setting(results: Sequence[RunResult], *, without: Collection[str] = ()) -> str:
    """Return the settings that all `results` share, such as the data set and learning rate.

    The keys in `without` are left out.
    """

    def common(values: Iterable[Value]) -> Value:
        distinct = set(values)
        return distinct.pop() if len(distinct) == 1 else None

    def leaf(key: str, form: str = "{}", *, unless: Value = None) -> str | None:
        value = common(_named(result.spec, key) for result in results)
        if key in without or value is None or value == unless:
            return None
        return form.format(value_label(value))

    def amount(key: str, noun: str) -> str | None:
        number = common(result.spec.value(key) for result in results)
        return None if key in without or not is_number(number) else counted(number, noun)

    def training_samples() -> str | None:
        if "data.train_size" in without:
            return None
        held_out = common(result.spec.value("data.validation_size") or 0 for result in results)
        size = common(result.spec.value("data.train_size") for result in results)
        if size is None or held_out is None:
            return None
        return counted(size - held_out, "training sample")

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
        leaf("training.batch_size", "batch size {}", unless=100),
        amount("training.epochs", "epoch"),
        leaf("dtype"),
    )
    return ", ".join(part for part in parts if part is not None)


def own(spec: RunSpec) -> dict[str, str]:
    """Return what tells a run from others, by key: its model, its scale, what was swept, its seed.

    The texts are phrases such as `W = 0.01`.
    """
    keys = dict.fromkeys(("model", "weight_std", *spec.swept))
    keys.pop("seed", None)
    values = {key: _named(spec, key) for key in (*keys, "seed")}
    return {
        key: value_label(value) if key in GROUPS else phrase(key_label(key), value_label(value))
        for key, value in values.items()
        if value is not None
    }


def _named(spec: RunSpec, key: str) -> Value:
    """Return the value of a key; a model by what was made of it."""
    return spec.model if key == "model" else spec.value(key)


def differences(results: Sequence[RunResult]) -> list[str]:
    """Return what a swept option changes besides its name: `learning rate: sgd 0.01, adam 0.001`.

    An option of a group is a bundle of values. Those that differ from option to option and were
    not swept themselves are named where all of the options have them.
    """
    swept = dict.fromkeys(key for result in results for key in result.spec.swept)
    found = []
    for group in (key for key in swept if key in GROUPS):
        inside = dict.fromkeys(
            key for result in results for key in result.spec.parameters
            if key.startswith(f"{group}.") and key not in (*swept, *UNREMARKABLE_KEYS)
        )  # fmt: skip
        for key in inside:
            by_option: dict[Value, set[Value]] = {}
            for result in results:
                by_option.setdefault(result.spec.value(group), set()).add(result.spec.value(key))
            one_each = all(len(values) == 1 for values in by_option.values())
            values = {option: next(iter(of)) for option, of in by_option.items()}
            if one_each and len(set(values.values())) > 1 and None not in values.values():
                each = ", ".join(f"{option} {value_label(v)}" for option, v in values.items())
                found.append(f"{key_heading(key)}: {each}")
    return found
