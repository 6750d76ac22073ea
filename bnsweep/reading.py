"""Read results in a notebook or a script: a sweep as a data frame, a trained network."""

import contextlib
import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

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
    decode,
)
from bnsweep.records.keys import Value, hashable
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.tracking import sqlite
from bnsweep.tracking.store import Store

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

    try:
        runs = _source(where, tracking_uri).sweep()
    except (ValueError, TrackingError) as error:
        raise ReadingError(f"{where}: cannot be read ({error})") from error
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

    source = _source(run, tracking_uri)
    try:
        config = decode(source.content(HISTORY_FILE).decode()).spec.config
        content = io.BytesIO(source.content(WEIGHTS_FILE))
        with np.load(content, allow_pickle=False) as arrays:
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


def _source(where: str | Path, tracking_uri: str | None) -> "_Folder | _Stored":
    """Return where to read from: a folder, or what the store holds of a run.

    Raises:
        ReadingError: `where` is neither.
    """
    path = Path(where)
    if tracking_uri is None and path.is_dir():
        return _Folder(path)
    if isinstance(where, str) and _RUN_ID.fullmatch(where):
        return _Stored(where, tracking_uri)
    problem = "is not a run id" if tracking_uri else "is neither a folder nor a run id"
    raise ReadingError(
        f"{where}: {problem}; give a folder such as outputs/sweeps/<time>, or the run id of 32 "
        "letters and digits from the tracking store"
    )


@dataclass(frozen=True)
class _Folder:
    """A run or a sweep on disk."""

    path: Path

    def content(self, name: str) -> bytes:
        """Return the content of a run's file."""
        if not (self.path / name).is_file():
            raise _lacks(self.path, name)
        return (self.path / name).read_bytes()

    def sweep(self) -> list[SweepRun]:
        """Return the runs of the sweep; while it goes on, those that have ended."""
        if not (self.path / SWEEP_FILE).is_file():
            raise ReadingError(
                f"{self.path}: contains no runs of a sweep; give the folder of one sweep"
            )
        plan = SweepPlan.read(self.path)
        table = self.path / TABLE
        ids = _run_ids(table.read_text()) if table.is_file() else None
        return list(_runs(plan, ids, lambda spec, _: self._result(spec.number)))

    def _result(self, number: int) -> RunResult | None:
        with contextlib.suppress(FileNotFoundError):
            return RunFolder(self.path / str(number)).result()
        return None


class _Stored:
    """A run or a sweep in a tracking store.

    Args:
        run_id: the run, or the sweep's parent run.
        uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file in
            `outputs` of the working directory.
    """

    def __init__(self, run_id: str, uri: str | None) -> None:
        # No telemetry, and no progress bar for each file.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self._run_id = run_id
        self._store = Store(uri=uri, output_dir=str(Path("outputs").absolute()))
        database = sqlite.path_of(self._store.uri)
        if database is not None and not database.exists():
            # MLflow creates a missing database.
            raise ReadingError(
                f"tracking_uri={self._store.shown}: there is no such database; give an existing "
                "one, or the folder of the run or sweep instead of its id"
            )
        try:
            self._is_sweep = self._store.tags(run_id).get("bnsweep.role") == "sweep"
        except TrackingError as error:
            raise ReadingError(
                f"run {run_id}: cannot be read from tracking_uri={self._store.shown} ({error}); "
                "check the id, or give another tracking_uri"
            ) from error

    def content(self, name: str) -> bytes:
        """Return the content of a run's file."""
        if self._is_sweep:
            raise ReadingError(f"run {self._run_id}: is a sweep; give the id of one of its runs")
        if (content := self._file(self._run_id, name)) is None:
            raise _lacks(self._run_id, name)
        return content

    def sweep(self) -> list[SweepRun]:
        """Return the runs of the sweep; while it goes on, those that have ended."""
        plan = self._file(self._run_id, SWEEP_FILE) if self._is_sweep else None
        if plan is None:
            raise ReadingError(
                f"run {self._run_id}: is not a sweep; give the id of a sweep's parent run"
            )
        table = self._file(self._run_id, TABLE)
        ids = None if table is None else _run_ids(table.decode())
        known = {run.fingerprint: run.run_id for run in self._store.runs(parent=self._run_id)}
        return list(
            _runs(
                *(SweepPlan.decode(plan.decode()), ids),
                lambda spec, run_id: self._result(run_id or known.get(spec.fingerprint)),
            )
        )

    def _result(self, run_id: str | None) -> RunResult | None:
        text = self._file(run_id, HISTORY_FILE) if run_id else None
        return decode(text.decode()) if text is not None else None

    def _file(self, run_id: str, name: str) -> bytes | None:
        try:
            return self._store.file(run_id, name)
        except TrackingError as error:
            raise ReadingError(
                f"run {run_id}: its {name} cannot be read ({error}); "
                "give the folder of the run or sweep on disk"
            ) from error


def _lacks(where: str | Path, name: str) -> ReadingError:
    return ReadingError(f"{where}: has no {name}; give a run that ended with tracking.weights=true")


def _run_ids(table: str) -> dict[int, str]:
    return {int(row["number"]): row["run_id"] for row in csv.DictReader(io.StringIO(table))}


def _runs(
    plan: SweepPlan,
    ids: Mapping[int, str] | None,
    result_of: Callable[[RunSpec, str | None], RunResult | None],
) -> Iterator[SweepRun]:
    """Yield the runs of a sweep: all of one that has its table, else those that have ended."""
    for spec in plan.specs:
        run_id = (ids or {}).get(spec.number)
        if (result := result_of(spec, run_id)) is not None or ids is not None:
            # A reused result comes from another sweep, perhaps under other names.
            own = replace(result, spec=spec) if result is not None else None
            yield SweepRun(spec, own, run_id, plan.reused.get(spec.number))


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
