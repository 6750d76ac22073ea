"""Read results in a notebook or a script: a sweep as a data frame, a trained network."""

import contextlib
import csv
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pandas import DataFrame

from bnsweep.errors import ReadingError, TrackingError
from bnsweep.nn.network import Network
from bnsweep.records import (
    HISTORY_FILE,
    WEIGHTS_FILE,
    RunFolder,
    RunResult,
    SweepPlan,
    SweepRun,
)
from bnsweep.records.keys import Value, hashable
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.tracking import sqlite
from bnsweep.tracking.store import Store

Rows = Literal["runs", "epochs"]
TABLE = "results.csv"
_RUN_ID = re.compile(r"[0-9a-f]{32}")


class SweepFrame(DataFrame):  # type: ignore[misc]
    """A sweep as a data frame that figures can be drawn from, even if it has lost rows."""

    _metadata = ["_runs"]  # noqa: RUF012 (pandas keeps it in what it makes from the frame)
    _runs: Sequence[SweepRun] = ()

    @property
    def _constructor(self) -> type[DataFrame]:
        return SweepFrame

    def sweep_runs(self) -> list[SweepRun]:
        """Return the runs that have rows in the frame.

        Raises:
            ReadingError: it has lost them, or the column `number` by which they are found.
        """
        numbers = set(self.get("number", ()))
        if "number" not in self.columns or numbers - {run.spec.number for run in self._runs}:
            raise ReadingError(
                "the data frame has lost its runs or its column number, which tells them apart; "
                "give the frame of load_sweep, or rows of it"
            )
        return [run for run in self._runs if run.spec.number in numbers]


def load_sweep(
    where: str | Path, *, rows: Rows = "runs", tracking_uri: str | None = None
) -> SweepFrame:
    """Return a sweep as a data frame, with one row for each run or for each epoch of each run.

    The functions of `bnsweep.figures` take it, or rows of it.

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
    with _on_disk(where, tracking_uri, sweep=True) as folder:
        runs = _runs_of(folder, where)
    frame = SweepFrame(list(_run_rows(runs) if rows == "runs" else _epoch_rows(runs)))
    frame._runs = runs
    return frame


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

    with _on_disk(run, tracking_uri, sweep=False) as folder:
        for name in (HISTORY_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise ReadingError(
                    f"{run}: has no {name}; give a run that ended with tracking.weights=true, or "
                    "its folder, if the project has been moved"
                )
        with _damaged(run, HISTORY_FILE):
            config = RunFolder(folder).result().spec.config
            draws = Draws.of(config["seed"])
            _ = config["model"]["_target_"], config["weight_std"], config["dtype"]
        with _damaged(run, WEIGHTS_FILE), np.load(folder / WEIGHTS_FILE) as arrays:
            state = dict(arrays)
            weights = [array for array in state.values() if array.ndim == 2]
            shape = {"inputs": len(weights[0]), "classes": weights[-1].shape[1]}
        network = build_network(config, draws, **shape)
        with _damaged(run, WEIGHTS_FILE):
            network.load_state(state)
    return network


@contextlib.contextmanager
def _damaged(where: str | Path, name: str) -> Iterator[None]:
    """Say which file cannot be read: a damaged one may raise anything.

    Raises:
        ReadingError: what is done in the context fails.
    """
    try:
        yield
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise ReadingError(
            f"{where}: {name} cannot be read, was not written by bnsweep, or is damaged ({why})"
        ) from error


@contextlib.contextmanager
def _on_disk(where: str | Path, tracking_uri: str | None, *, sweep: bool) -> Iterator[Path]:
    """Yield the folder `where`, or one with what the store holds of the run of that id.

    Raises:
        ReadingError: `where` is neither, or cannot be read.
    """
    path = Path(where)
    if tracking_uri is None and path.is_dir():
        yield path
        return
    if not isinstance(where, str) or not _RUN_ID.fullmatch(where):
        problem = "is not a run id" if tracking_uri else "is neither a folder nor a run id"
        raise ReadingError(
            f"{where}: {problem}; give a folder such as outputs/sweeps/<time>, or the run id of 32 "
            "letters and digits from the tracking store"
        )
    store = _store(tracking_uri)
    with tempfile.TemporaryDirectory() as copy:
        try:
            is_sweep = store.tags(where).get("bnsweep.role") == "sweep"
            if is_sweep and not sweep:
                raise ReadingError(f"run {where}: is a sweep; give the id of one of its runs")
            if sweep and not is_sweep:
                raise ReadingError(
                    f"run {where}: is not a sweep; give the id of a sweep's parent run"
                )
            names = (SWEEP_FILE, TABLE) if sweep else (HISTORY_FILE, WEIGHTS_FILE)
            store.fetch(where, Path(copy), names)
            if sweep:
                _fetch_runs(store, where, Path(copy))
        except TrackingError as error:
            raise ReadingError(
                f"run {where}: cannot be read from tracking_uri={store.shown} ({error}); check the "
                "id, or give another tracking_uri, or the folder on disk"
            ) from error
        yield Path(copy)


def _store(uri: str | None) -> Store:
    # No telemetry, and no progress bar for each file.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        store = Store(uri=uri, output_dir=str(Path("outputs").absolute()))
    except TrackingError as error:
        raise ReadingError(str(error)) from error
    try:
        if store.database is not None:
            # MLflow creates a missing database, and tries for minutes to open a damaged one.
            sqlite.check(store.database, writing=False)
    except sqlite3.Error as error:
        raise ReadingError(
            f"tracking_uri={store.shown}: there is no such database ({error}); give an existing "
            "one, or the folder of the run or sweep instead of its id"
        ) from error
    return store


def _fetch_runs(store: Store, parent: str, folder: Path) -> None:
    """Write the histories of a sweep's runs into its folder, as they lie in a sweep's own."""
    plan, ids = _plan(folder, parent), _run_ids(folder, parent)
    known = {run.fingerprint: run.run_id for run in store.runs(parent=parent)}
    for spec in plan.specs:
        if run_id := (ids or {}).get(spec.number) or known.get(spec.fingerprint):
            (folder / str(spec.number)).mkdir()
            store.fetch(run_id, folder / str(spec.number), (HISTORY_FILE,))


def _plan(folder: Path, where: str | Path) -> SweepPlan:
    if not (folder / SWEEP_FILE).is_file():
        raise ReadingError(f"{where}: contains no runs of a sweep; give the folder of one sweep")
    with _damaged(where, SWEEP_FILE):
        return SweepPlan.read(folder)


def _run_ids(folder: Path, where: str | Path) -> dict[int, str] | None:
    """Return the run ids in a sweep's table, by number; None while it has no table."""
    if not (folder / TABLE).is_file():
        return None
    with _damaged(where, TABLE), (folder / TABLE).open() as table:
        return {int(row["number"]): row["run_id"] for row in csv.DictReader(table)}


def _runs_of(folder: Path, where: str | Path) -> list[SweepRun]:
    """Return the runs of a sweep; while it goes on, those that have ended."""
    plan, ids = _plan(folder, where), _run_ids(folder, where)
    runs = []
    for spec in plan.specs:
        run = RunFolder(folder / str(spec.number))
        with _damaged(where, f"{spec.number}/{HISTORY_FILE}"):
            # A reused result comes from another sweep, perhaps under other names.
            result = replace(run.result(), spec=spec) if run.has_history() else None
            if result is None and ids is not None and run.has_begun():
                result = RunResult(spec, "killed")
        if result is not None or ids is not None:
            run_id = (ids or {}).get(spec.number)
            runs.append(SweepRun(spec, result, run_id, plan.reused.get(spec.number)))
    return runs


def _parameters(run: SweepRun) -> dict[str, Value]:
    """Return a run's parameters by their published names."""
    return {k: hashable(v) for k, v in (run.spec.parameters | dict(run.spec.swept)).items()}


def _run_rows(runs: Sequence[SweepRun]) -> Iterator[dict[str, Value]]:
    for run in runs:
        yield {
            "number": run.spec.number,
            "fingerprint": run.spec.fingerprint,
            "run_id": run.run_id or "",
            "name": run.spec.name,
            "status": run.status,
            "reused": run.reused_from is not None,
            **_parameters(run),
            **(run.result.final_metrics() if run.result is not None else {}),
        }


def _epoch_rows(runs: Sequence[SweepRun]) -> Iterator[dict[str, Value]]:
    of_runs = [_parameters(run) for run in runs]
    keys = dict.fromkeys(key for values in of_runs for key in values)
    differing = [key for key in keys if len({values.get(key) for values in of_runs}) > 1]
    for run, values in zip(runs, of_runs, strict=True):
        for epoch, measured in enumerate(run.result.epochs() if run.result is not None else ()):
            yield {
                "number": run.spec.number,
                "run_id": run.run_id or "",
                "name": run.spec.name,
                **{key: values.get(key) for key in differing},
                "epoch": epoch,
                **measured,
            }
