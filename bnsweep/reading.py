"""Read results in a notebook or a script: a sweep as a data frame, a trained network, its data."""

import contextlib
import csv
import os
import re
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pandas import DataFrame

from bnsweep.data import Dataset
from bnsweep.errors import ReadingError, TrackingError
from bnsweep.nn.network import Network
from bnsweep.records import (
    HISTORY_FILE,
    WEIGHTS_FILE,
    RunFolder,
    RunResult,
    RunSpec,
    SweepPlan,
    SweepRun,
)
from bnsweep.records.folder import START_FILE
from bnsweep.records.keys import Value, hashable
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.tracking import sqlite
from bnsweep.tracking.store import Store

Rows = Literal["runs", "epochs"]
TABLE = "results.csv"
# What a frame has columns for even if no run got so far.
FINAL = ("final_train_accuracy", "final_test_accuracy")
MEASURED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
RUN_FILES = (START_FILE, HISTORY_FILE)
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
    where: str | Path | None = None, *, rows: Rows = "runs", tracking_uri: str | None = None
) -> SweepFrame:
    """Return a sweep as a data frame, with one row for each run or for each epoch of each run.

    A run by itself is a sweep of one. The functions of `bnsweep.figures` take the frame, or rows of
    it.

    Args:
        where: the folder of a sweep or of a run, or its id in the tracking store; by default the
            sweep below `outputs` that was begun, or gone on with, last. One of which no run has
            begun does not count.
        rows: `runs` gives number, fingerprint, run id, name, status, whether the run was reused,
            parameters and final metrics; `epochs` gives the run's number, its id and name, the
            parameters that differ between runs, the epoch and its metrics. Parameters and metrics
            are named as in the store. Missing values and those that were not finite are NaN.
        tracking_uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file
            in `outputs`.

    Raises:
        ReadingError: there is no such sweep or run, or it cannot be read.
        ValueError: `rows` is neither `runs` nor `epochs`.
    """
    if rows not in ("runs", "epochs"):
        raise ValueError(f"rows: got {rows!r}; it must be 'runs' or 'epochs'")
    if where is None:
        where = _latest_sweep(tracking_uri)
    with _on_disk(where, tracking_uri, (HISTORY_FILE,), sweeps=True) as folder:
        if (folder / SWEEP_FILE).is_file():
            specs, runs = _sweep(folder, where)
        else:
            result = _result(folder, where)
            run_id = None if folder == Path(where) else str(where)
            specs, runs = (result.spec,), [SweepRun(result.spec, result, run_id)]
    frame = _run_frame(specs, runs) if rows == "runs" else _epoch_frame(specs, runs)
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
    from bnsweep.run.build import trained_network

    with _on_disk(run, tracking_uri, (HISTORY_FILE, WEIGHTS_FILE)) as folder:
        config = _result(folder, run).spec.config
        if not (folder / WEIGHTS_FILE).is_file():
            raise ReadingError(
                f"{run}: has no {WEIGHTS_FILE}; give a run with tracking.weights=true, or its "
                "folder, if the project has been moved"
            )
        with _damaged(run, HISTORY_FILE):
            _ = config["model"]["_target_"], config["weight_std"], config["dtype"], config["seed"]
        with _damaged(run, WEIGHTS_FILE), np.load(folder / WEIGHTS_FILE) as arrays:
            return trained_network(config, dict(arrays))


def load_data(run: str | Path, *, tracking_uri: str | None = None) -> Dataset:
    """Return the data set of a run, with the very samples that it was trained and tested on.

    The data set is made by calling the `_target_` of the run's data: load only runs you trust.

    Args:
        run: the run's folder, or its id in the tracking store.
        tracking_uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file
            in `outputs`.

    Raises:
        ReadingError: the run does not exist, or its data cannot be had any more, or they have
            changed since.
    """
    from bnsweep.run.build import load_dataset

    with _on_disk(run, tracking_uri, (HISTORY_FILE,)) as folder:
        spec = _result(folder, run).spec
    if not spec.data:
        raise ReadingError(f"{run}: never had its data; give a run that has trained")
    with _damaged(run, HISTORY_FILE):
        name, digest = str(spec.data["name"]), str(spec.data["digest"])
        _ = spec.config["data"]["_target_"], spec.config["dtype"]
    try:
        dataset = load_dataset(spec.config)
    except Exception as error:
        why, *_ = str(error).splitlines() or [type(error).__name__]
        raise ReadingError(
            f"{run}: its data set {name} cannot be had any more ({why}); bring it back to where it "
            "was"
        ) from error
    if dataset.digest != digest:
        raise ReadingError(
            f"{run}: its data set {name} has changed since: its digest is {dataset.digest[:12]}, "
            f"and was {digest[:12]}; bring back the data of then, or do the run again"
        )
    return dataset


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
def _on_disk(
    where: str | Path, tracking_uri: str | None, names: Sequence[str], *, sweeps: bool = False
) -> Iterator[Path]:
    """Yield the folder `where`, or one with what the store holds of the run of that id.

    Args:
        where: the folder or the id.
        tracking_uri: the URI of the store.
        names: the files that are needed of a run.
        sweeps: whether it may be a sweep.

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
            if is_sweep and not sweeps:
                raise ReadingError(f"run {where}: is a sweep; give the id of one of its runs")
            store.fetch(where, Path(copy), (SWEEP_FILE, TABLE) if is_sweep else names)
            if is_sweep:
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
    plan = _plan(folder, parent)
    ids = _run_ids(folder, parent, plan)
    known = {run.fingerprint: run.run_id for run in store.runs(parent=parent)}
    for spec in plan.specs:
        if run_id := (ids or {}).get(spec.number) or known.get(spec.fingerprint):
            (folder / str(spec.number)).mkdir()
            store.fetch(run_id, folder / str(spec.number), (HISTORY_FILE,))


def _latest_sweep(tracking_uri: str | None) -> Path:
    """Return the folder of the sweep below `outputs` that was begun, or gone on with, last."""
    if tracking_uri is not None:
        raise ReadingError("tracking_uri: says where, and not what to read; give a sweep's id, too")
    sweeps = Path("outputs", "sweeps")
    begun = {}
    for path in sweeps.glob(f"*/{SWEEP_FILE}"):
        try:
            plan = SweepPlan.read(path.parent)
        except (OSError, ValueError) as error:
            warnings.warn(f"passed over: {error}", stacklevel=3)
            continue
        files = (path.parent / str(s.number) / f for s in plan.specs for f in RUN_FILES)
        if any(file.exists() for file in files):
            begun[path.parent] = plan.begun
    if not begun:
        raise ReadingError(
            f"{sweeps.absolute()}: holds no sweep of which a run has begun; run "
            "`python -m bnsweep -m` here, or give the folder of a sweep"
        )
    return max(begun, key=lambda folder: begun[folder])


def _plan(folder: Path, where: str | Path) -> SweepPlan:
    with _damaged(where, SWEEP_FILE):
        return SweepPlan.read(folder)


def _result(folder: Path, where: str | Path) -> RunResult:
    """Return the result of the run in a folder."""
    if (folder / SWEEP_FILE).is_file():
        raise ReadingError(f"{where}: is a sweep; give one of its runs, such as {folder / '0'}")
    if not any((folder / name).exists() for name in RUN_FILES):
        raise ReadingError(
            f"{where}: holds neither a sweep nor a run; give a folder such as outputs/sweeps/<time>"
        )
    if not (folder / HISTORY_FILE).is_file():
        raise ReadingError(
            f"{where}: has no {HISTORY_FILE}; give a run that has ended, or its folder, if the "
            "project has been moved"
        )
    with _damaged(where, HISTORY_FILE):
        return RunFolder(folder).result()


def _run_ids(folder: Path, where: str | Path, plan: SweepPlan) -> dict[int, str] | None:
    """Return the run ids in a sweep's table, by number; None while it has no table."""
    if not (folder / TABLE).is_file():
        return None
    with _damaged(where, TABLE), (folder / TABLE).open(newline="") as table:
        reader = csv.DictReader(table)
        if missing := {"number", "run_id"}.difference(reader.fieldnames or ()):
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
        ids = {int(row["number"]): row["run_id"] for row in reader}
        if unknown := [spec.number for spec in plan.specs if spec.number not in ids]:
            raise ValueError(f"it has no row for run {unknown[0]}")
        return ids


def _sweep(folder: Path, where: str | Path) -> tuple[Sequence[RunSpec], list[SweepRun]]:
    """Return the runs of a sweep as planned, and its runs; while it goes on, those that ended."""
    plan = _plan(folder, where)
    ids = _run_ids(folder, where, plan)
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
    return plan.specs, runs


def _parameters(spec: RunSpec) -> dict[str, Value]:
    """Return a run's parameters by their published names."""
    return {k: hashable(v) for k, v in (spec.parameters | dict(spec.swept)).items()}


def _run_frame(specs: Sequence[RunSpec], runs: Sequence[SweepRun]) -> SweepFrame:
    rows = [
        {
            "number": run.spec.number,
            "fingerprint": run.spec.fingerprint,
            "run_id": run.run_id or "",
            "name": run.spec.name,
            "status": run.status,
            "reused": run.reused_from is not None,
            **_parameters(run.spec),
            **(run.result.final_metrics() if run.result is not None else {}),
        }
        for run in runs
    ]
    first = ("number", "fingerprint", "run_id", "name", "status", "reused")
    keys = dict.fromkeys(key for spec in specs for key in _parameters(spec))
    return _frame(rows, [*first, *keys], FINAL)


def _epoch_frame(specs: Sequence[RunSpec], runs: Sequence[SweepRun]) -> SweepFrame:
    planned = [_parameters(spec) for spec in specs]
    keys = dict.fromkeys(key for values in planned for key in values)
    differing = [key for key in keys if len({values.get(key) for values in planned}) > 1]
    rows = []
    for run in runs:
        values = _parameters(run.spec)
        for epoch, measured in enumerate(run.result.epochs() if run.result is not None else ()):
            rows.append(
                {
                    "number": run.spec.number,
                    "run_id": run.run_id or "",
                    "name": run.spec.name,
                    **{key: values.get(key) for key in differing},
                    "epoch": epoch,
                    **measured,
                }
            )
    return _frame(rows, ["number", "run_id", "name", *differing, "epoch"], MEASURED)


def _frame(
    rows: Sequence[dict[str, Value]], columns: Sequence[str], metrics: Sequence[str]
) -> SweepFrame:
    """Return rows as a frame that has these columns and metrics, whatever the rows lack."""
    more = (name for row in rows for name in row)
    frame = SweepFrame(rows, columns=[*dict.fromkeys((*columns, *metrics, *more))])
    frame[[*metrics]] = frame[[*metrics]].astype(float)
    return frame
