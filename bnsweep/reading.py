"""Read results in a notebook or a script: a sweep as a data frame, a trained network."""

import ast
import csv
import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from bnsweep import records
from bnsweep.errors import ReadingError
from bnsweep.nn.network import Network
from bnsweep.records import RunResult
from bnsweep.records.keys import Value, hashable
from bnsweep.redact import first_line
from bnsweep.tracking import sqlite_store
from bnsweep.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from pandas import DataFrame

Rows = Literal["runs", "epochs"]
TABLE = "results.csv"
_RUN_ID = re.compile(r"[0-9a-f]{32}")


def load_sweep(
    where: str | Path, *, rows: Rows = "runs", tracking_uri: str | None = None
) -> "DataFrame":
    """Return a sweep as a data frame, with one row for each run or for each epoch of each run.

    Args:
        where: the sweep's folder, or the id of its parent run in the tracking store.
        rows: `runs` gives number, fingerprint, run id, name, status, whether the run was reused,
            parameters and final metrics; `epochs` gives the run's number, its id and name, the
            parameters that differ between runs, the epoch and its metrics. Parameters and metrics
            are named as in the store. Missing values and those that were not finite are NaN.
        tracking_uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file
            in `outputs`.

    Raises:
        ReadingError: the sweep does not exist or cannot be read.
        ValueError: `rows` is neither `runs` nor `epochs`.
    """
    if rows not in ("runs", "epochs"):
        raise ValueError(f"rows: got {rows!r}; it must be 'runs' or 'epochs'")
    from pandas import DataFrame

    folder = _folder(where, tracking_uri)
    runs = (
        _runs_of_store(_Store(tracking_uri), str(where))
        if folder is None
        else _runs_of_folder(folder)
    )
    if not runs:
        raise ReadingError(f"{where}: contains no runs of a sweep; give the folder of one sweep")
    return DataFrame(list(_run_rows(runs) if rows == "runs" else _epoch_rows(runs)))


def load_network(run: str | Path, *, tracking_uri: str | None = None) -> Network:
    """Return the trained network of a run; its `predict` returns the classes of samples.

    The network is built by calling the `_target_` of the run's model: load only runs you trust.

    Args:
        run: the run's folder, or its id in the tracking store.
        tracking_uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file
            in `outputs`.

    Raises:
        ReadingError: the run does not exist or has no weights.
    """
    from bnsweep.run.build import build_network
    from bnsweep.run.execute import Draws

    folder = _folder(run, tracking_uri)
    store = _Store(tracking_uri) if folder is None else None
    if store is not None and store.tags(str(run)).get("bnsweep.role") == "sweep":
        raise ReadingError(f"run {run}: is a sweep; give the id of one of its runs")

    def content(name: str) -> bytes:
        if store is not None:
            data = store.file(str(run), name)
        else:
            path = Path(run) / name
            data = path.read_bytes() if path.is_file() else None
        if data is None:
            raise ReadingError(
                f"{run}: has no {name}; give a run that ended with tracking.weights=true"
            )
        return data

    try:
        config = records.decode(content(records.HISTORY_FILE).decode()).spec.config
        with np.load(io.BytesIO(content(records.WEIGHTS_FILE)), allow_pickle=False) as arrays:
            state = dict(arrays)
        weights = [array for array in state.values() if array.ndim == 2]
        network = build_network(
            config,
            Draws.of(config["seed"]),
            inputs=len(weights[0]),
            classes=weights[-1].shape[1],
        )
        network.load_state(state)
    except (ValueError, IndexError, EOFError) as error:
        raise ReadingError(f"{run}: was not written by bnsweep, or is damaged ({error})") from error
    return network


def _folder(where: str | Path, tracking_uri: str | None) -> Path | None:
    """Return `where` as a folder; None if it is the id of a run in the store."""
    path = Path(where)
    if tracking_uri is None and path.is_dir():
        return path
    if isinstance(where, str) and _RUN_ID.fullmatch(where):
        return None
    problem = "is not a run id" if tracking_uri else "is neither a folder nor a run id"
    raise ReadingError(
        f"{where}: {problem}; give a folder such as outputs/sweeps/<time>, or the run id of 32 "
        "letters and digits from the tracking store"
    )


@dataclass(frozen=True)
class _PastRun:
    """A run of a sweep, from its row in `results.csv` and its history."""

    number: int
    fingerprint: str
    run_id: str
    name: str
    status: str
    reused: bool
    result: RunResult | None
    swept: Mapping[str, Value] = field(default_factory=dict)

    def parameters(self) -> dict[str, Value]:
        """Return the run's parameters by their published names; none without a result.

        A reused result comes from a run that may differ in keys that do nothing, and in the
        names of its parts: its row says what stands for them in this sweep.
        """
        if self.result is None:
            return {}
        parameters = self.result.spec.parameters | dict(self.swept)
        return {key: hashable(value) for key, value in parameters.items()}


def _run_rows(runs: Sequence[_PastRun]) -> Iterator[dict[str, Value]]:
    for run in runs:
        yield {
            "number": run.number,
            "fingerprint": run.fingerprint,
            "run_id": run.run_id,
            "name": run.name,
            "status": run.status,
            "reused": run.reused,
            **run.parameters(),
            **(run.result.final_metrics() if run.result is not None else {}),
        }


def _epoch_rows(runs: Sequence[_PastRun]) -> Iterator[dict[str, Value]]:
    of_runs = [run.parameters() for run in runs]
    known = [values for values in of_runs if values]
    keys = dict.fromkeys(key for values in known for key in values)
    differing = [key for key in keys if len({values.get(key) for values in known}) > 1]
    for run, values in zip(runs, of_runs, strict=True):
        for epoch, measured in enumerate(run.result.epochs() if run.result is not None else ()):
            yield {
                "number": run.number,
                "run_id": run.run_id,
                "name": run.name,
                **{key: values.get(key) for key in differing},
                "epoch": epoch,
                **measured,
            }


def _runs_of_folder(folder: Path) -> list[_PastRun]:
    """Return the runs of a sweep's folder, and its reused runs from the folders beside it."""
    results = [_read(path) for path in folder.glob(f"*/{records.HISTORY_FILE}")]
    own = {result.spec.number: result for result in results}
    if not (folder / TABLE).is_file():
        return [
            _PastRun(n, r.spec.fingerprint, "", r.spec.name, r.status, reused=False, result=r)
            for n, r in sorted(own.items())
        ]
    rows = _table((folder / TABLE).read_text())
    earlier: dict[str, RunResult] = {}
    if any(row["status"] == "reused" for row in rows):
        for place in records.folders_below(folder.resolve().parents[1]):
            try:
                result = records.read(place)
            except (OSError, ValueError):
                continue  # probably not a run that this sweep has reused
            if result.status in records.ENDED:
                earlier[result.spec.fingerprint] = result
    return [
        _of_row(
            row,
            earlier.get(row["fingerprint"])
            if row["status"] == "reused"
            else own.get(int(row["number"])),
        )
        for row in rows
    ]


def _runs_of_store(store: "_Store", parent: str) -> list[_PastRun]:
    """Return the runs of a sweep in the store; while it runs, those that it has so far."""
    if store.tags(parent).get("bnsweep.role") != "sweep":
        raise ReadingError(f"run {parent}: is not a sweep; give the id of a sweep's parent run")
    table = store.file(parent, TABLE)
    if table is not None:
        return [_of_row(row, store.result(row["run_id"])) for row in _table(table.decode())]
    runs = []
    for place, (run_id, tags) in enumerate(store.children(parent).items()):
        result = store.result(run_id)
        runs.append(
            _PastRun(
                # A run that has not ended does not say its number: it has its place instead.
                number=place if result is None else result.spec.number,
                fingerprint=tags.get("bnsweep.fingerprint", ""),
                run_id=run_id,
                name=tags.get("mlflow.runName", ""),
                status=tags.get("bnsweep.status", "running"),
                reused=False,
                result=result,
            )
        )
    return runs


def _table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _of_row(row: dict[str, str], result: RunResult | None) -> _PastRun:
    reused = row["status"] == "reused"
    status = result.status if result is not None and reused else row["status"]
    return _PastRun(
        number=int(row["number"]),
        fingerprint=row["fingerprint"],
        run_id=row["run_id"],
        name=row["name"],
        status=status,
        reused=reused,
        result=result,
        swept=_swept(row) if reused else {},
    )


def _swept(row: dict[str, str]) -> dict[str, Value]:
    """Return the swept values of a row: they stand between its status and its metrics."""
    columns = list(row)
    keys = columns[columns.index("status") + 1 : columns.index("final_train_accuracy")]
    return {key: _value(row[key]) for key in keys}


def _value(text: str) -> Value:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text or None


def _read(path: Path) -> RunResult:
    try:
        return records.read(path.parent)
    except ValueError as error:
        raise ReadingError(str(error)) from error


class _Store:
    """A tracking store to read from.

    Args:
        uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file in
            `outputs` of the working directory.
    """

    def __init__(self, uri: str | None) -> None:
        # No telemetry, and no progress bar for each file.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self._tracker = MlflowTracker(
            uri=uri, experiment="", output_dir=str(Path("outputs").absolute())
        )
        database = sqlite_store.path_of(self._tracker.uri)
        if database is not None and not database.exists():
            # MLflow creates a missing database.
            raise ReadingError(
                f"tracking_uri={self._tracker.shown}: there is no such database; give an existing "
                "one, or the folder of the run or sweep instead of its id"
            )

    def tags(self, run_id: str) -> dict[str, str]:
        """Return the tags of a run.

        Raises:
            ReadingError: the store does not have the run, or does not answer.
        """
        try:
            return dict(self._tracker.client.get_run(run_id).data.tags)
        except Exception as error:
            raise ReadingError(
                f"run {run_id}: cannot be read from tracking_uri={self._tracker.shown} "
                f"({first_line(error)}); check the id, or give another tracking_uri"
            ) from error

    def children(self, parent: str) -> dict[str, dict[str, str]]:
        """Return the tags of a sweep's runs by their ids, in order of their start."""
        from bnsweep.tracking import stored_runs

        client = self._tracker.client
        experiment = client.get_run(parent).info.experiment_id
        runs = stored_runs.of_sweep(client, experiment, parent)
        return {run.info.run_id: dict(run.data.tags) for run in runs}

    def result(self, run_id: str) -> RunResult | None:
        """Return the result of a run; None if it has none.

        Raises:
            ReadingError: its result cannot be read.
        """
        text = self.file(run_id, records.HISTORY_FILE) if run_id else None
        if text is None:
            return None
        try:
            return records.decode(text.decode())
        except ValueError as error:
            raise ReadingError(f"run {run_id}: {error}") from error

    def file(self, run_id: str, name: str) -> bytes | None:
        """Return the content of an artifact; None if the run has none of that name.

        Raises:
            ReadingError: the artifact exists, but cannot be read.
        """
        client = self._tracker.client
        try:
            if name not in {artifact.path for artifact in client.list_artifacts(run_id)}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return Path(client.download_artifacts(run_id, name, folder)).read_bytes()
        except Exception as error:
            raise ReadingError(
                f"run {run_id}: its {name} cannot be read ({first_line(error)}); "
                "give the folder of the run or sweep on disk"
            ) from error
