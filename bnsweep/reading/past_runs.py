"""The runs of a sweep that is over, found in its folder or in the tracking store."""

import contextlib
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnsweep import records
from bnsweep.errors import ReadingError
from bnsweep.reading.store import Store
from bnsweep.records import RunResult
from bnsweep.report.labels import frozen
from bnsweep.run.config import RESULT_KEYS, named_leaves, parameters, run_name

TABLE = "results.csv"


@dataclass(frozen=True)
class PastRun:
    """A run of a sweep: what its table and its history say of it."""

    run_id: str
    name: str
    status: str
    reused: bool
    result: RunResult | None

    def parameters(self) -> dict[str, Any]:
        """Return the run's parameters by the names under which they are published."""
        if self.result is None:
            return {}
        flat = parameters(self.result.config, self.result.options)
        return {key: frozen(value) for key, value in flat.items()}


def runs_of_folder(folder: Path) -> list[PastRun]:
    """Return the runs of a sweep's folder; reused ones lie in the other folders beside it."""
    paths = sorted(
        (path.parent for path in folder.glob(f"*/{records.HISTORY_FILE}")),
        key=lambda path: (len(path.name), path.name),
    )
    own = [_read(path) for path in paths]
    table = folder / TABLE
    if not table.is_file():
        return [_of_result(result) for result in own]
    rows = _table(table.read_text())
    if not rows:
        return []
    keys = [key for key in rows[0] if key.partition(".")[0] in RESULT_KEYS]
    by_mark = {_mark(keys, result): result for result in own}
    if any(row["status"] == "reused" for row in rows):
        output_dir = folder.resolve().parent.parent
        for pattern in ("sweeps/*/*", "runs/*"):
            for path in output_dir.glob(f"{pattern}/{records.HISTORY_FILE}"):
                with contextlib.suppress(ReadingError):
                    result = _read(path.parent)
                    by_mark.setdefault(_mark(keys, result), result)
    found = []
    for row in rows:
        mark = tuple(row[key] for key in keys), row["train_seconds"]
        found.append(_of_row(row, by_mark.get(mark)))
    return found


def _mark(keys: list[str], result: RunResult) -> tuple[tuple[str, ...], str]:
    """Return what tells a run from the others in the table: swept values, and its seconds.

    The seconds have sixteen digits, so that no two runs of one configuration share them.
    """
    flat = named_leaves(result.config, result.options)
    values = (flat.get(key) for key in keys)
    return tuple("" if v is None else str(v) for v in values), str(result.train_seconds)


def runs_of_store(store: Store, parent: str) -> list[PastRun]:
    """Return the runs of a sweep in the store; before its end, those that it has so far."""
    if store.find(parent).get("bnsweep.role") != "sweep":
        raise ReadingError(f"run {parent}: is no sweep; the id of a parent run would do")
    table = store.file(parent, TABLE)
    if table is not None:
        rows = _table(table.decode())
        return [_of_row(row, _stored_result(store, row["run_id"])) for row in rows]
    found = []
    for run_id, tags in store.children(parent).items():
        status = tags.get("bnsweep.status", "running")
        name = tags.get("mlflow.runName", "")
        found.append(PastRun(run_id, name, status, False, _stored_result(store, run_id)))
    return found


def _table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _stored_result(store: Store, run_id: str) -> RunResult | None:
    text = store.file(run_id, records.HISTORY_FILE) if run_id else None
    return None if text is None else _decode(text.decode(), f"run {run_id}")


def _read(folder: Path) -> RunResult:
    return _decode((folder / records.HISTORY_FILE).read_text(), str(folder))


def _decode(text: str, where: str) -> RunResult:
    try:
        return records.decode(text)
    except ValueError as error:
        raise ReadingError(f"{where}: {error}") from error


def _of_row(row: dict[str, str], result: RunResult | None) -> PastRun:
    reused = row["status"] == "reused"
    status = result.status if result is not None and reused else row["status"]
    return PastRun(row["run_id"], row["name"], status, reused, result)


def _of_result(result: RunResult) -> PastRun:
    name = run_name(result.config, result.options, [])
    return PastRun("", name, result.status, False, result)
