"""Files and children of runs in a tracking store, for those who read results back."""

import os
import tempfile
from pathlib import Path

from bnsweep.errors import ReadingError
from bnsweep.redact import first_line
from bnsweep.tracking import sqlite_store
from bnsweep.tracking.mlflow_tracker import MlflowTracker


class Store:
    """A tracking store to read from.

    Args:
        uri: of the store; None for `MLFLOW_TRACKING_URI`, and where that is not set the
            SQLite file in `outputs` of the working directory.
    """

    def __init__(self, uri: str | None) -> None:
        # Reading sends nothing unasked either, and a bar for each file would be a wall of bars.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self._tracker = MlflowTracker(
            uri=uri, experiment="", output_dir=str(Path("outputs").absolute())
        )
        database = sqlite_store.path_of(self._tracker.uri)
        if database is not None and not database.exists():
            # MLflow would make a new one there.
            raise ReadingError(
                f"tracking_uri={self._tracker.shown}: there is no such database; the path of "
                "one, or the folder of the run or sweep instead of its id, would do"
            )

    def find(self, run_id: str) -> dict[str, str]:
        """Return the tags of a run.

        Raises:
            ReadingError: the store holds no such run, or does not answer.
        """
        try:
            return dict(self._tracker.client.get_run(run_id).data.tags)
        except Exception as error:
            raise ReadingError(
                f"run {run_id}: cannot be read from tracking_uri={self._tracker.shown} "
                f"({first_line(error)})"
            ) from error

    def children(self, parent: str) -> dict[str, dict[str, str]]:
        """Return the tags of a sweep's runs by their ids, the first one first."""
        from bnsweep.tracking import stored_runs

        client = self._tracker.client
        experiment = client.get_run(parent).info.experiment_id
        runs = stored_runs.of_sweep(client, experiment, parent)
        return {run.info.run_id: dict(run.data.tags) for run in runs}

    def file(self, run_id: str, name: str) -> bytes | None:
        """Return the content of a run's artifact; None if the run has none of that name.

        Raises:
            ReadingError: it is there, and cannot be had.
        """
        client = self._tracker.client
        try:
            if name not in {artifact.path for artifact in client.list_artifacts(run_id)}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return Path(client.download_artifacts(run_id, name, folder)).read_bytes()
        except Exception as error:
            raise ReadingError(
                f"run {run_id}: its {name} cannot be had ({first_line(error)}); "
                "the folder of the run or sweep on disk would do"
            ) from error
