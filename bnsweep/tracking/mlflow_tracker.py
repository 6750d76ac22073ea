"""Runs and sweeps in an MLflow tracking store.

Relies on the tags `mlflow.user`, `mlflow.source.*`, `mlflow.parentRunId` and `mlflow.note.content`,
on a server's page `/health`, and on the wording of MLflow's errors; remove when the client has
parameters for the tags and error codes for a database of another version or of unique inputs.
"""

import contextlib
import os
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bnsweep.errors import TrackingError
from bnsweep.records import RunSpec
from bnsweep.redact import first_line, has_secret, without_secret
from bnsweep.tracking import processes, run_facts, sqlite_store, ui_view
from bnsweep.tracking.no_tracker import ChildRun, NoLog, NoTracker, StoredRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from omegaconf import DictConfig

    from bnsweep.data.datasets import Dataset

URI_VARIABLE = "MLFLOW_TRACKING_URI"

# MLflow and the modules that import it are imported on first use: that takes a second or two.


class MlflowTracker(NoTracker):
    """Runs and sweeps in an MLflow tracking store.

    Args:
        uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, or if that is not set a SQLite
            file in `output_dir`.
        experiment: the name of the MLflow experiment.
        output_dir: the absolute path of the default store's folder.
    """

    def __init__(
        self, *, uri: str | None, experiment: str | int, output_dir: str, **_: object
    ) -> None:
        default = f"{sqlite_store.PREFIX}{output_dir}/mlflow.db"
        self.uri: str = uri or os.environ.get(URI_VARIABLE) or default
        self.experiment = str(experiment)  # a name such as 500 arrives as a number
        self._client: MlflowClient | None = None
        self._experiment_id: str | None = None

    @property
    def client(self) -> "MlflowClient":
        """The client of the store, created on first use."""
        if self._client is None:
            self._client = sqlite_store.quiet_client(self.uri)
        return self._client

    @property
    def experiment_id(self) -> str:
        """The id of the experiment that `prepare` found or created."""
        if self._experiment_id is None:
            experiment = self.client.get_experiment_by_name(self.experiment)
            if experiment is None:
                raise TrackingError(
                    f"tracking.experiment={self.experiment}: does not exist in {self.shown}"
                )
            self._experiment_id = experiment.experiment_id
        return self._experiment_id

    @property
    def shown(self) -> str:
        """The store's URI without credentials."""
        return without_secret(self.uri)

    @property
    def ui_command(self) -> str:
        """The command that opens the MLflow UI at the runs of the experiment."""
        if self.shown.startswith(("http://", "https://")):
            return f"open {ui_view.page(self.experiment_id, self.shown)}"
        command = f"mlflow ui --backend-store-uri '{self.shown}'"
        return f"{command}\nand open {ui_view.page(self.experiment_id)}"

    def keep_secrets(self, config: "DictConfig") -> None:
        """Move a URI with credentials from `config`, which is saved, to the environment."""
        if has_secret(self.uri):
            os.environ[URI_VARIABLE] = self.uri
            config.tracking.uri = None

    def prepare(self) -> None:
        """Check that the store answers, and create what is missing of database and experiment.

        Raises:
            TrackingError: the store cannot be reached, created or read.
        """
        with self._explained():
            if database := sqlite_store.path_of(self.uri):
                sqlite_store.create(database)
            else:
                _check_health(self.uri)
            experiment = self.client.get_experiment_by_name(self.experiment)
            if experiment is None:
                self._experiment_id = self._create_experiment()
            elif experiment.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"tracking.experiment={self.experiment}: was deleted from {self.shown}; "
                    "restore it there, or set another name"
                )
            else:
                self._experiment_id = experiment.experiment_id
                for key, value in ui_view.experiment_tags().items():
                    # Keep what somebody has changed in the UI.
                    if key not in experiment.tags:
                        self.client.set_experiment_tag(experiment.experiment_id, key, value)

    def try_again(self) -> None:
        """Try a store again that has just failed."""
        from bnsweep.tracking.run_log import Outage

        Outage.end(self.uri)

    def start_sweep(self, name: str, tags: Mapping[str, str]) -> str:
        """Open the parent run of a sweep and return its id."""
        with self._explained():
            own = {"bnsweep.role": "sweep", **processes.here(), **tags}
            run = self.client.create_run(
                self.experiment_id, run_name=name, tags=run_facts.source_tags() | own
            )
            return str(run.info.run_id)

    def end_sweep(
        self,
        parent: str,
        *,
        status: str,
        counts: Mapping[str, int],
        note: str,
        folder: Path,
    ) -> None:
        """Close a parent run with its counts, its note and the report in `folder`."""
        from mlflow.entities import Metric, RunTag

        from bnsweep.tracking.run_log import MLFLOW_STATUS

        now = int(time.time() * 1000)
        with self._explained():
            self.client.log_batch(
                parent,
                metrics=[Metric(key, value, now, 0) for key, value in counts.items()],
                tags=[RunTag("mlflow.note.content", note), RunTag("bnsweep.status", status)],
            )
            if (folder / "results.csv").exists():
                self.client.log_artifact(parent, str(folder / "results.csv"))
            if (folder / "figures").is_dir():
                self.client.log_artifacts(parent, str(folder / "figures"), "figures")
            self.client.set_terminated(parent, MLFLOW_STATUS[status])

    def start_run(
        self,
        spec: RunSpec,
        *,
        parent: str | None,
        dataset: "Dataset | None",
        folder: Path,
    ) -> NoLog:
        """Open a run and return its log; if the store fails, the run goes on without it."""
        from mlflow.entities import Param

        from bnsweep.tracking.run_log import Outage, RunLog

        if Outage.lasts(self.uri):
            return NoLog(complete=False)
        try:
            tags = {
                "bnsweep.role": "run",
                "bnsweep.fingerprint": spec.fingerprint,
                "bnsweep.folder": str(folder),
            }
            if parent is not None:
                tags |= self._inherited_tags(parent) | {"mlflow.parentRunId": parent}
            else:
                tags |= run_facts.source_tags() | processes.here()
            if spec.swept:
                tags["mlflow.note.content"] = run_facts.note_of(spec)
            run = self.client.create_run(self.experiment_id, run_name=spec.name, tags=tags)
            params = [Param(key, str(value)) for key, value in spec.parameters.items()]
            self.client.log_batch(run.info.run_id, params=params)
            if dataset is not None:
                self._log_data(run.info.run_id, dataset)
            metrics = run_facts.swept_metrics(spec)
            return RunLog(self.client, self.uri, run.info.run_id, metrics=metrics)
        except Exception as error:
            Outage.begin(self.uri, error)
            return NoLog(complete=False)

    def _log_data(self, run_id: str, dataset: "Dataset") -> None:
        inputs = [run_facts.dataset_input(dataset)]
        try:
            self.client.log_inputs(run_id, datasets=inputs)
        except Exception as error:
            if "unique" not in str(error).lower():
                raise
            # When two runs log a new data set at once, MLflow fails for one of them. On a second
            # try, it finds the data set.
            self.client.log_inputs(run_id, datasets=inputs)

    def complete_runs(self) -> dict[str, StoredRun]:
        """Return the finished and diverged runs of the experiment by their fingerprints."""
        from bnsweep.tracking import stored_runs

        with self._explained():
            return stored_runs.complete(self.client, self.experiment_id)

    def history(self, run: StoredRun) -> str:
        """Return the text of a stored run's `history.json`.

        Raises:
            OSError: it cannot be read.
        """
        from bnsweep.tracking import stored_runs

        return stored_runs.history(self.uri, run)

    def children(self, parent: str, *, ended_since: int = 0) -> list[ChildRun]:
        """Return the runs of a sweep that ended since a time in milliseconds, by default all."""
        from bnsweep.tracking import stored_runs

        with self._explained():
            return stored_runs.children(
                self.client, self.experiment_id, parent, ended_since=ended_since
            )

    def close_children(
        self, parent: str, *, replaced: Collection[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Close the open runs of a sweep; see `NoTracker`."""
        from bnsweep.tracking import stored_runs

        with self._explained():
            return stored_runs.close_children(
                self.client, self.experiment_id, parent, replaced=replaced
            )

    def close_dead_sweeps(self) -> None:
        """Close the runs that drivers of this host left open when they died."""
        from bnsweep.tracking import stored_runs

        with self._explained():
            stored_runs.close_dead_sweeps(self.client, self.experiment_id)

    def _create_experiment(self) -> str:
        location = None
        if database := sqlite_store.path_of(self.uri):
            # MLflow's default depends on the working directory.
            folder = database.absolute().parent / "artifacts"
            location = (folder / self.experiment.replace("/", "_")).as_uri()
        try:
            return str(
                self.client.create_experiment(
                    self.experiment, artifact_location=location, tags=ui_view.experiment_tags()
                )
            )
        except Exception:
            # Another sweep may have created it at the same moment.
            experiment = self.client.get_experiment_by_name(self.experiment)
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def _inherited_tags(self, parent: str) -> dict[str, str]:
        """Return the driver's tags for user, source and commit: a worker may run elsewhere."""
        if parent not in _parent_tags:
            tags = self.client.get_run(parent).data.tags
            inherited = ("mlflow.user", "mlflow.source.")
            _parent_tags[parent] = {k: v for k, v in tags.items() if k.startswith(inherited)}
        return _parent_tags[parent]

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TrackingError:
            raise
        except Exception as error:
            text = str(error)
            if "database schema" in text or "Can't locate revision" in text:
                raise TrackingError(
                    f"tracking.uri={self.shown}: the database belongs to another version of "
                    "MLflow; upgrade it with `mlflow db upgrade`, upgrade MLflow, or set another "
                    "tracking.uri"
                ) from error
            raise TrackingError(
                f"tracking.uri={self.shown}: the tracking store cannot be used "
                f"({first_line(error)}); check that it runs, or set another tracking.uri "
                "or tracking=none"
            ) from error


_parent_tags: dict[str, dict[str, str]] = {}


def _check_health(uri: str) -> None:
    """Ask a server for its health once, to notice within seconds that it is absent."""
    if not uri.startswith(("http://", "https://")):
        return
    import requests

    requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
