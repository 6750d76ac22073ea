"""What of a run is a metric in the store, beside its curves, and to how many digits."""

import math
from collections.abc import Mapping

from bnsweep.nn.initializers import standard_deviation
from bnsweep.records import RunSpec
from bnsweep.records.keys import Value, is_number

DIGITS = 4
# Keys whose values lie decades apart.
LOGARITHMS = ("weight_std", "optimizer.lr")


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
    widths = spec.config["model"].get("hidden_sizes")
    return standard_deviation(weight_std, widths[0]) if widths else weight_std


def readable(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the finite ones among some metrics, to as many digits as are read: `0.877`.

    Each has all of its digits in the run's `history.json`.
    """
    return {
        name: float(value if float(value).is_integer() else f"{value:.{DIGITS}g}")
        for name, value in metrics.items()
        if math.isfinite(value)
    }
