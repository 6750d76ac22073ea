"""What the store is told of runs and sweeps: parameters, metrics, notes; how long, how exactly."""

import math
from collections.abc import Mapping, Sequence

from bnsweep.nn.initializers import standard_deviation
from bnsweep.records import RunResult, RunSpec
from bnsweep.records.keys import Value, hashable, is_number, is_ours, shown

MEASURED_DIGITS = 4
SWEPT_DIGITS = 6
MOST_TAG = 8000  # characters; a database may refuse a longer one
MOST_PARAMETER = 6000
MOST_CHOICES = 500  # in which the choices of a key are told
MOST_REASON = 300
# Keys whose values lie decades apart.
LOGARITHMS = ("weight_std", "optimizer.lr")


def parameters(spec: RunSpec) -> dict[str, str]:
    """Return the parameters of a run, written as they are typed."""
    return {key: cut(shown(v), MOST_PARAMETER) for key, v in spec.parameters.items()}


def parameters_of_sweep(specs: Sequence[RunSpec]) -> dict[str, str]:
    """Return the parameters of a sweep: what its runs share, and the choices of other keys."""
    values: dict[str, dict[Value, None]] = {}
    for spec in specs:
        for key, value in (spec.parameters | dict(spec.swept)).items():
            values.setdefault(key, {})[hashable(value)] = None
    return {key: _choices([shown(value) for value in of_key]) for key, of_key in values.items()}


def _choices(texts: Sequence[str]) -> str:
    """Return values as text, of many the first ones and the last."""
    text = ", ".join(texts)
    if len(text) > MOST_CHOICES and len(texts) > 3:
        text = f"{texts[0]}, {texts[1]}, ..., {texts[-1]} ({len(texts)} values)"
    return cut(text, MOST_PARAMETER)


def swept_metrics(spec: RunSpec) -> dict[str, float]:
    """Return those swept keys of a run that are metrics, too: the UI treats parameters as text.

    They are the numbers, and of `LOGARITHMS` also the logarithms, since the UI's axes are linear.
    He's and Xavier's scale count as what they are in the layers between hidden ones.
    """
    metrics: dict[str, float] = {}
    for key, value in spec.swept.items():
        number = _scale(spec, value) if key == "weight_std" else value
        if is_number(number):
            metrics[key] = number
            if key in LOGARITHMS and number > 0:
                metrics[f"log10_{key}"] = math.log10(number)
    return metrics


def _scale(spec: RunSpec, weight_std: Value) -> Value:
    model = spec.config["model"]
    ours = is_ours(model) and not is_number(weight_std)
    return standard_deviation(weight_std, model["hidden_sizes"][0]) if ours else weight_std


def readable(metrics: Mapping[str, float], digits: int = MEASURED_DIGITS) -> dict[str, float]:
    """Return the finite ones among some metrics, to as many digits as are read: `0.877`.

    Each has all of its digits in the run's `history.json`.
    """
    return {
        name: float(value if float(value).is_integer() else f"{value:.{digits}g}")
        for name, value in metrics.items()
        if math.isfinite(value)
    }


def how_it_ended(result: RunResult) -> str:
    """Return what there is to say of a run that did not end as it should; empty if it did."""
    if result.status == "diverged":
        return f"**Diverged in epoch {result.epochs_run}**: the training loss was no longer finite."
    reason = cut(result.reason.replace("`", "'"), MOST_REASON)
    return f"**{result.status.capitalize()}**: `{reason}`" if reason else ""


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 4]} ..."
