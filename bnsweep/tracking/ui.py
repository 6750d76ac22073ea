"""How the MLflow UI shows an experiment: its kind, a saved view of its runs, and their URL.

Relies on the tags `mlflow.experimentKind` and `mlflow.sharedViewState.*`, on the JSON of a saved
view and on the UI's query parameters, all undocumented; remove when MLflow has an API for
saved views.
"""

import json
import time

KEY = "bnsweep"
NAME = "bnsweep: accuracies"
KIND_TAG = "mlflow.experimentKind"
VIEW_TAG = f"mlflow.sharedViewState.{KEY}"

# Widths by column. By default the UI shows no metrics and cuts off the names of runs.
_COLUMNS = {
    "attributes.`Run Name`": 330,
    "runDateAndNestInfo": 150,
    "metrics.`final_train_accuracy`": 150,
    "metrics.`final_test_accuracy`": 150,
    "metrics.`weight_std`": 110,
    "params.`model`": 100,
    "params.`optimizer`": 90,
    "duration": 80,
}


def experiment_tags() -> dict[str, str]:
    """Return the tags of an experiment that the UI reads.

    The first tells the UI that the experiment trains models; newer versions ignore it and follow
    the switch in the corner, or the URL. The second adds a view to the menu `Views`.
    """
    return {KIND_TAG: "custom_model_development", VIEW_TAG: _saved_view()}


def page(experiment_id: str, server: str = "http://127.0.0.1:5000") -> str:
    """Return the URL of an experiment's runs, as model training and in the saved view."""
    query = f"workflowType=machine_learning&viewStateShareKey={KEY}"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def _saved_view() -> str:
    now = int(time.time() * 1000)
    state = {
        # The UI shows runs below their parent only when it sorts by start time.
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "searchFilter": "",
        "selectedColumns": [key for key in _COLUMNS if key.startswith(("metrics.", "params."))],
        "columnOrder": list(_COLUMNS),
        "columnWidths": _COLUMNS,
    }
    return json.dumps(
        {"name": NAME, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    )
