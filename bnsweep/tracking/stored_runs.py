"""Find, read and close runs of the store.

Relies on the tag `mlflow.parentRunId`; remove when the client has a parameter for it.
"""

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from bnsweep.records import ENDED
from bnsweep.redact import first_line
from bnsweep.tracking import processes
from bnsweep.tracking.no_tracker import ChildRun, StoredRun

PAGE = 1000
PARENT = "mlflow.parentRunId"


def complete(client: MlflowClient, experiment: str) -> dict[str, StoredRun]:
    """Return the finished and diverged runs of an experiment by their fingerprints."""
    condition = "tags.`bnsweep.role` = 'run' and attributes.status = 'FINISHED'"
    return {
        run.data.tags["bnsweep.fingerprint"]: StoredRun(run.info.run_id, run.info.artifact_uri)
        for run in _search(client, experiment, condition)
        if run.data.tags.get("bnsweep.status") in ENDED and "bnsweep.fingerprint" in run.data.tags
    }


def history(uri: str, run: StoredRun) -> str:
    """Return the text of the `history.json` of a run in the store `uri`.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{run.artifact_uri}/history.json",
                dst_path=folder,
                tracking_uri=uri,
            )
            return Path(path).read_text()
    except Exception as error:
        raise OSError(first_line(error)) from error


def children(
    client: MlflowClient, experiment: str, parent: str, *, ended_since: int = 0
) -> list[ChildRun]:
    """Return the runs of a sweep that ended since a time in milliseconds, by default all."""
    condition = f"attributes.end_time >= {ended_since}" if ended_since else ""
    return [
        ChildRun(
            StoredRun(run.info.run_id, run.info.artifact_uri),
            folder=run.data.tags.get("bnsweep.folder", ""),
            status=run.data.tags.get("bnsweep.status", "running"),
            ended=run.info.end_time,
        )
        for run in of_sweep(client, experiment, parent, condition)
    ]


def of_sweep(
    client: MlflowClient, experiment: str, parent: str, condition: str = ""
) -> Iterator[Run]:
    """Yield the runs of a sweep that meet a condition, in order of their start."""
    conditions = [f"tags.`{PARENT}` = '{parent}'", *filter(None, [condition])]
    return _search(client, experiment, " and ".join(conditions))


def close_children(
    client: MlflowClient, experiment: str, parent: str, *, replaced: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Close the runs of the sweep `parent` that are still open, although its workers have stopped.

    Open runs in the folders `replaced` are deleted instead.

    Returns:
        The ids of the complete runs and of the partial ones, by their folders.
    """
    whole: dict[str, str] = {}
    partial: dict[str, str] = {}
    for run in list(of_sweep(client, experiment, parent)):
        run_id, folder = run.info.run_id, run.data.tags.get("bnsweep.folder", "")
        if run.info.status != "RUNNING":
            killed = run.data.tags.get("bnsweep.status") == "killed"
            (partial if killed else whole)[folder] = run_id
        elif folder in replaced:
            client.delete_run(run_id)
        else:
            _close_killed(client, run_id)
            partial[folder] = run_id
    return whole, partial


def close_dead_sweeps(client: MlflowClient, experiment: str) -> None:
    """Close the runs that drivers of this host left open when they or the store died."""
    open_runs = [
        run
        for run in _search(client, experiment, "attributes.status = 'RUNNING'")
        if "bnsweep.role" in run.data.tags
    ]
    # A run of a sweep lives as long as its parent, any other run by itself.
    owners: dict[str, Run | None] = {
        run.info.run_id: run for run in open_runs if PARENT not in run.data.tags
    }
    for run in open_runs:
        owner_id = run.data.tags.get(PARENT, run.info.run_id)
        if owner_id not in owners:
            owners[owner_id] = _find(client, owner_id)
        if _is_gone(owners[owner_id]):
            _close_killed(client, run.info.run_id)


def _find(client: MlflowClient, run_id: str) -> Run | None:
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _is_gone(owner: Run | None) -> bool:
    return owner is None or owner.info.status != "RUNNING" or processes.is_dead(owner.data.tags)


def _close_killed(client: MlflowClient, run_id: str) -> None:
    if client.get_run(run_id).info.status != "RUNNING":
        return  # it has ended since the query
    client.set_tag(run_id, "bnsweep.status", "killed")
    client.set_terminated(run_id, "KILLED")


def _search(client: MlflowClient, experiment: str, condition: str) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment],
            condition,
            order_by=["attributes.start_time"],
            max_results=PAGE,
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return
