"""Results read back, in a notebook or a script: a sweep as data frames, a trained network."""

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bnsweep import records
from bnsweep.errors import ReadingError
from bnsweep.nn.network import Network
from bnsweep.reading.past_runs import PastRun, runs_of_folder, runs_of_store
from bnsweep.reading.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

Rows = Literal["runs", "epochs"]
_RUN_ID = re.compile(r"[0-9a-f]{32}")


def load_sweep(
    where: str | Path, *, rows: Rows = "runs", tracking_uri: str | None = None
) -> "DataFrame":
    """Return a sweep as a data frame with a row a run, or a row an epoch of each run.

    Args:
        where: the sweep's folder, or the id of its parent run in the tracking store.
        rows: `runs`: run id, name, status, whether it was reused, parameters and final
            metrics; `epochs`: the number of the run (its row among the runs), run id, name,
            the parameters that differ between runs, epoch and metrics. Names are those of the
            store; what was not finite, or is missing, is NaN.
        tracking_uri: of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file in
            `outputs`.

    Raises:
        ReadingError: there is no such sweep, or it cannot be read.
        ValueError: `rows` is something else.
    """
    if rows not in ("runs", "epochs"):
        raise ValueError(f"rows: got {rows!r}; it must be 'runs' or 'epochs'")
    from pandas import DataFrame

    folder = _folder(where, tracking_uri)
    found = (
        runs_of_store(Store(tracking_uri), str(where)) if folder is None else runs_of_folder(folder)
    )
    if not found:
        raise ReadingError(f"{where}: holds no run of a sweep; the sweep's own folder would do")
    return DataFrame(list(_run_rows(found) if rows == "runs" else _epoch_rows(found)))


def load_network(run: str | Path, *, tracking_uri: str | None = None) -> Network:
    """Return the trained network of a run; `predict` gives the classes of samples.

    It is built as it was for the run, by the model's `_target_`: load only what you trust.

    Args:
        run: the run's folder, or its id in the tracking store.
        tracking_uri: of the store; by default `MLFLOW_TRACKING_URI`, else the SQLite file in
            `outputs`.

    Raises:
        ReadingError: there is no such run, or it has no weights.
    """
    from bnsweep.run.build import build_network
    from bnsweep.run.execute import Draws

    folder = _folder(run, tracking_uri)
    store = Store(tracking_uri) if folder is None else None
    if store is not None and store.find(str(run)).get("bnsweep.role") == "sweep":
        raise ReadingError(f"run {run}: is a sweep; the id of one of its runs would do")

    def content(name: str) -> bytes:
        if store is not None:
            data = store.file(str(run), name)
        else:
            path = Path(run) / name
            data = path.read_bytes() if path.is_file() else None
        if data is None:
            raise ReadingError(
                f"{run}: has no {name}; a run that ended with tracking.weights=true would do"
            )
        return data

    try:
        result = records.decode(content(records.HISTORY_FILE).decode())
        with np.load(io.BytesIO(content(records.WEIGHTS_FILE)), allow_pickle=False) as arrays:
            state = dict(arrays)
        matrices = [array for array in state.values() if array.ndim == 2]
        network: Network = build_network(
            result.config,
            Draws.of(result.config["seed"]),
            inputs=len(matrices[0]),
            classes=matrices[-1].shape[1],
        )
        network.load_state(state)
    except (ValueError, IndexError, EOFError) as error:
        raise ReadingError(f"{run}: is not a run of this program's making ({error})") from error
    return network


def _folder(where: str | Path, tracking_uri: str | None) -> Path | None:
    """Return the folder that is meant; None for a run in the store."""
    path = Path(where)
    if tracking_uri is None and path.is_dir():
        return path
    if isinstance(where, str) and _RUN_ID.fullmatch(where):
        return None
    problem = "is no run id" if tracking_uri else "is no folder, and no run id"
    raise ReadingError(
        f"{where}: {problem}; a folder such as outputs/sweeps/<time>, or the 32 letters and "
        "digits that the tracking store names a run by, would do"
    )


def _run_rows(runs: Sequence[PastRun]) -> Iterator[dict[str, Any]]:
    for run in runs:
        yield {
            "run_id": run.run_id,
            "name": run.name,
            "status": run.status,
            "reused": run.reused,
            **run.parameters(),
            **(run.result.final_metrics() if run.result is not None else {}),
        }


def _epoch_rows(runs: Sequence[PastRun]) -> Iterator[dict[str, Any]]:
    of_runs = [run.parameters() for run in runs]
    known = [values for values in of_runs if values]
    keys = dict.fromkeys(key for values in known for key in values)
    differing = [key for key in keys if len({values.get(key) for values in known}) > 1]
    for number, (run, values) in enumerate(zip(runs, of_runs, strict=True)):
        for record in run.result.epochs if run.result is not None else ():
            yield {
                "run": number,
                "run_id": run.run_id,
                "name": run.name,
                **{key: values.get(key) for key in differing},
                "epoch": record.epoch,
                **record.metrics(),
            }
