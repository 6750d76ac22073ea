"""How the MLflow UI shows runs: their colours, a view of each sweep, and the URLs of both.

Relies on the tags `mlflow.runColor`, `mlflow.experimentKind` and `mlflow.sharedViewState.*`, on the
JSON of a saved view, and on the UI's query parameters. All of it is documented nowhere, and nothing
else depends on it: tests/system/long/test_mlflow_ui.py watches it in a browser. Remove when MLflow
has an API for saved views.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bnsweep.records import SweepPlan
from bnsweep.records.colors import model_color, shaded
from bnsweep.report.comparison import Axis, swept_axes
from bnsweep.tracking.told import LOGARITHMS, swept_metrics

SERVER = "http://127.0.0.1:5000"
COLOR_TAG = "mlflow.runColor"
VIEW_TAG = "mlflow.sharedViewState."
# Newer versions of the UI ignore this, and follow the switch in the corner, or the URL.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# Without it, a browser that comes for the first time opens the page as one of generative AI.
WORKFLOW = "workflowType=machine_learning"
LOADED = 100  # runs that the UI loads at a time
TRAIN, TEST = "final_train_accuracy", "final_test_accuracy"

State = dict[str, Any]


def run_tags(plan: SweepPlan) -> dict[int, dict[str, str]]:
    """Return the tags of a sweep's runs, by number: their colours, and the sweep's name.

    A run has the colour of its model in the figures, the darker the larger its value of the key
    that orders the sweep.
    """
    axis = _ordered(swept_axes(plan.specs))
    models = {spec.model for spec in plan.specs}
    values = [swept_metrics(spec).get(axis.key) if axis else None for spec in plan.specs]
    ordered = sorted({value for value in values if value is not None})
    places = {value: i / max(1, len(ordered) - 1) for i, value in enumerate(ordered)}
    tags = {}
    for spec, value in zip(plan.specs, values, strict=True):
        place = 0.5 if value is None else places[value]
        color = shaded(model_color(spec.model, models), place)
        tags[spec.number] = {COLOR_TAG: color, "bnsweep.sweep": plan.name}
    return tags


def _ordered(axes: Mapping[str, Axis]) -> Axis | None:
    """Return the swept key whose values have an order: the weight scale, or the longest one."""
    if "weight_std" in axes:
        return axes["weight_std"]
    numeric = (axis for key, axis in axes.items() if key != "seed" and axis.numeric)
    return max(numeric, key=lambda axis: len(axis.values), default=None)


def run_page(experiment_id: str, run_id: str, server: str = SERVER) -> str:
    """Return the URL of a run."""
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}?{WORKFLOW}"


def sweep_page(experiment_id: str, parent: str, server: str = SERVER) -> str:
    """Return the URL of a sweep's runs, in the view that `view_tag` saves."""
    query = f"{WORKFLOW}&viewStateShareKey={parent}&compareRunsMode=CHART"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def view_tag(plan: SweepPlan) -> tuple[str, str]:
    """Return the tag of the experiment that holds the view of a sweep: its key and its value."""
    now = int(time.time() * 1000)
    view = {
        "name": plan.name,
        "createdAt": now,
        "updatedAt": now,
        "state": json.dumps(_state(plan)),
    }
    return f"{VIEW_TAG}{plan.parent}", json.dumps(view)


def _state(plan: SweepPlan) -> State:
    axes = swept_axes(plan.specs)
    widths = {
        "attributes.`Run Name`": 300,
        "tags.`bnsweep.status`": 125,
        **{_column(axis): 120 for axis in axes.values()},
        f"metrics.`{TRAIN}`": 150,
        f"metrics.`{TEST}`": 150,
        "params.`data`": 90,
        "tags.`bnsweep.sweep`": 250,
    }
    order, ascending = _order(axes, len(plan.specs))
    return {
        # A filter in the URL would drop the columns. One by parent would leave out the runs that
        # this sweep took over from another one.
        "searchFilter": f"tags.bnsweep.sweeps LIKE '%{plan.parent}%'",
        # Sorted by creation, as they are otherwise, runs stay folded away in their parent.
        "orderByKey": order,
        "orderByAsc": ascending,
        # The charts show the first ten runs otherwise.
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": [key for key in widths if not key.startswith("attributes.")],
        "columnOrder": list(widths),
        "columnWidths": widths,
        "compareRunCharts": _charts(axes),
        "compareRunSections": _sections(),
        "isAccordionReordered": True,
        "viewMaximized": False,
        "runListHidden": False,
    }


def _column(axis: Axis) -> str:
    """Return the column of a key: numbers are metrics, too, and sort as numbers there."""
    return f"metrics.`{axis.key}`" if _is_metric(axis) else f"params.`{axis.key}`"


def _is_metric(axis: Axis) -> bool:
    return axis.key == "weight_std" or axis.numeric


def _order(axes: Mapping[str, Axis], runs: int) -> tuple[str, bool]:
    """Return the column to sort a sweep's runs by, and whether its values ascend.

    Of a sweep with more runs than the UI loads at once, those come first that show it as a whole:
    the runs of the first seeds.
    """
    axis = _ordered(axes)
    if "seed" in axes and (axis is None or runs > LOADED):
        return "metrics.`seed`", True
    if axis is None:
        return f"metrics.`{TRAIN}`", False
    return f"metrics.`{axis.key}`", axis.key != "weight_std"


def _sections() -> list[State]:
    names = {"epochs": "Accuracy over the epochs", "ends": "Final accuracy"}
    shown = [_section(uuid, name, display=True) for uuid, name in names.items()]
    # The UI makes these two for all other metrics.
    return [*shown, _section("others", "Model metrics"), _section("activations", "activations")]


def _section(uuid: str, name: str, *, display: bool = False) -> State:
    return {
        **{"uuid": uuid, "name": name, "display": display},
        **{"isReordered": False, "deleted": False, "isGenerated": False},
        **{"columns": 2, "cardHeight": 430},
    }


def _charts(axes: Mapping[str, Axis]) -> list[State]:
    """Return the charts: accuracies over the epochs, final ones against what was swept."""
    charts = [_line("train_accuracy"), _line("test_accuracy")]
    keys = [axis for axis in axes.values() if axis.key != "seed"]
    if numeric := [axis for axis in keys if _is_metric(axis)]:
        charts += [_scatter(_along(numeric[0]), quantity) for quantity in (TRAIN, TEST)]
    if len(keys) > 1:
        charts.append(_parallel(keys))
    return charts


def _along(axis: Axis) -> str:
    """Return the metric with the values of a key evenly spaced: their logarithms, if it has one."""
    return f"log10_{axis.key}" if axis.key in LOGARITHMS else axis.key


def _chart(kind: str, uuid: str, section: str, **fields: Any) -> State:
    return {
        **{"type": kind, "uuid": uuid, "metricSectionId": section, "runsCountToCompare": 1000},
        **{"isGenerated": False, "deleted": False},
        **fields,
    }


def _line(metric: str) -> State:
    return _chart(
        "LINE",
        metric,
        "epochs",
        metricKey=metric,
        selectedMetricKeys=[metric],
        range={"xMin": None, "xMax": None, "yMin": 0, "yMax": 1},
        xAxisKey="step",
        xAxisScaleType="linear",
        selectedXAxisMetricKey="",
        yAxisKey="metric",
        yAxisExpressions=[],
        scaleType="linear",
        lineSmoothness=0,
        displayPoints=False,
        ignoreOutliers=False,
        useGlobalXaxisKey=False,
    )


def _scatter(across: str, quantity: str) -> State:
    axes = {"xaxis": across, "yaxis": quantity}
    ends = {name: {"key": key, "type": "METRIC"} for name, key in axes.items()}
    return _chart("SCATTER", f"{quantity} against {across}", "ends", **ends)


def _parallel(axes: Sequence[Axis]) -> State:
    numbers = [_along(axis) for axis in axes if _is_metric(axis)]
    names = [axis.key for axis in axes if not _is_metric(axis)]
    return _chart(
        "PARALLEL",
        "all swept keys",
        "ends",
        selectedParams=names,
        selectedMetrics=[*numbers, TRAIN],
        showAllRuns=True,
    )
