"""A run's network as an MLflow model: logged by the store, and loaded by MLflow alone."""

import functools
import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnsweep.nn.network import Network
from bnsweep.records import HISTORY_FILE, WEIGHTS_FILE, RunFolder, from_here
from bnsweep.run.build import load_dataset, trained_network

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

_log = logging.getLogger(__name__)

MODEL = "model"  # its name
EXAMPLES = 3


class Classifier:
    """What MLflow serves: the class of each sample."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def predict(self, samples: ArrayLike, params: object = None) -> NDArray[np.intp]:  # noqa: ARG002
        """Return the class of each of `samples`, (samples, features)."""
        return self._network.predict(np.asarray(samples, self._network.dtype))


def _load_pyfunc(folder: str) -> Classifier:
    """Return the model in a folder; MLflow calls the function of this name."""
    with np.load(Path(folder, WEIGHTS_FILE)) as state:
        return Classifier(trained_network(RunFolder(Path(folder)).result().spec.config, state))


def log_model(client: "MlflowClient", run_id: str, run: RunFolder) -> None:
    """Log the network of a finished run as its MLflow model, unless it has one already.

    The model has a signature and an input example, which are samples of the run's test set.
    """
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in (HISTORY_FILE, WEIGHTS_FILE):
                shutil.copy(run.path / name, folder)
            spec = run.result().spec
            examples = _examples(json.dumps(spec.config["data"]), spec.config["dtype"])
        except Exception as error:  # a data set of the user's own may raise any
            _log.warning("%s: has no model in the store (%s)", from_here(run.path), error)
            return
        of_samples = Schema([TensorSpec(examples.dtype, (-1, *examples.shape[1:]))])
        of_classes = Schema([TensorSpec(np.dtype(np.intp), (-1,))])
        made = _model(client, run_id)
        if made.status == "READY":
            return
        mlflow.set_tracking_uri(client.tracking_uri)  # MLflow logs a model to no other store
        Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            model_id=made.model_id,
            run_id=run_id,
            loader_module=__name__,
            data_path=folder,
            signature=ModelSignature(of_samples, of_classes),
            input_example=examples,
            pip_requirements=["bnsweep"],
        )


def _model(client: "MlflowClient", run_id: str) -> "LoggedModel":
    """Return the model that a run has, ready or not, or else a new one in the run's experiment.

    Left to itself, MLflow would put it into an experiment of its own.
    """
    logged = client.get_run(run_id)
    experiment = logged.info.experiment_id
    found = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    return next(iter(found), None) or client.create_logged_model(
        experiment, MODEL, source_run_id=run_id, params=logged.data.params
    )


@functools.lru_cache(maxsize=1)  # the runs of a sweep mostly share their data
def _examples(data: str, dtype: str) -> NDArray[np.floating[Any]]:
    return load_dataset({"data": json.loads(data), "dtype": dtype}).x_test[:EXAMPLES]
