"""What describes a run in the store: data set, source, swept numbers, note.

Relies on `mlflow.tracking.context.registry`, which MLflow does not document, and on the tags
`mlflow.note.content` and `mlflow.data.context`; remove when the client fills in source tags itself.
"""

import json
import time
from typing import TYPE_CHECKING

from bnsweep.records import RunSpec
from bnsweep.records.keys import is_number, shown
from bnsweep.redact import without_secrets

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

    from bnsweep.data.datasets import Dataset


def dataset_input(dataset: "Dataset") -> "DatasetInput":
    """Return the data set's name and digest as an MLflow dataset input."""
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag

    profile = {
        "train_samples": len(dataset.x_train),
        "validation_samples": 0 if dataset.x_validation is None else len(dataset.x_validation),
        "test_samples": len(dataset.x_test),
        "features": dataset.features,
        "classes": dataset.classes,
    }
    entity = MlflowDataset(
        name=dataset.name,
        digest=dataset.digest[:8],
        source_type="bnsweep",
        source=json.dumps({"name": dataset.name}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset=entity, tags=[InputTag("mlflow.data.context", "train and test")])


def note_of(spec: RunSpec) -> str:
    """Return a run's note: its swept keys and their values."""
    return ", ".join(f"{key} = {shown(value, 3)}" for key, value in spec.swept.items())


def source_tags() -> dict[str, str]:
    """Return MLflow's tags for the user, the command and the commit."""
    from mlflow.tracking.context.registry import resolve_tags

    # The URL of a repository may contain a token.
    return {str(key): without_secrets(str(value)) for key, value in resolve_tags().items()}


def swept_metrics(spec: RunSpec) -> "list[Metric]":
    """Return the swept numbers as metrics, because the UI compares parameters as text."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    numbers = {key: value for key, value in spec.swept.items() if is_number(value)}
    return [Metric(key, float(value), now, 0) for key, value in numbers.items()]
