"""What a sweep is called."""

from collections.abc import Sequence

from bnsweep.records import RunSpec
from bnsweep.report.comparison import Axis, swept_axes
from bnsweep.report.markdown import counted

# Of the values of a key.
NOUNS = {
    "weight_std": "scales",
    "model": "models",
    "optimizer": "optimizers",
    "data": "data sets",
    "seed": "seeds",
    "model.dropout": "dropout rates",
    "model.hidden_sizes": "networks",
    "training.epochs": "numbers of epochs",
    "data.train_size": "sizes of the training set",
}


def sweep_name(specs: Sequence[RunSpec], experiment: str | None = None) -> str:
    """Return a name that tells a sweep from others: `mnist, 16 scales x 2 models x 10 seeds`.

    Args:
        specs: its runs.
        experiment: the name of the experiment that describes it, if one does.
    """
    data = {spec.options["data"] for spec in specs}
    swept = " x ".join(_counted(axis) for axis in swept_axes(specs).values())
    parts = (
        experiment,
        data.pop() if len(data) == 1 else None,
        swept or counted(len(specs), "run"),
    )
    return ", ".join(part for part in parts if part)


def _counted(axis: Axis) -> str:
    values = f"values of {axis.label}" if "." in axis.label else f"{axis.label.removesuffix('s')}s"
    return f"{len(axis.values)} {NOUNS.get(axis.key, values)}"
