"""The interface of a tracker, implemented as one that records nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bnsweep.records import Measurements, RunResult, RunSpec

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from bnsweep.data.datasets import Dataset


@dataclass(frozen=True)
class StoredRun:
    """Where to find a complete run of the store."""

    run_id: str
    artifact_uri: str


@dataclass(frozen=True)
class ChildRun:
    """A run of a sweep, as the store holds it.

    Attributes:
        run: where to find it.
        folder: the folder of its records on its worker.
        status: `running`, or its final status.
        ended: the time of its end in milliseconds; None while it runs.
    """

    run: StoredRun
    folder: str
    status: str
    ended: int | None


class NoLog:
    """The log of a run in a store; this one writes nothing.

    Attributes:
        run_id: the run in the store; None if there is none.
        complete: whether the store holds all of the run.
    """

    def __init__(self, run_id: str | None = None, *, complete: bool = True) -> None:
        self.run_id = run_id
        self.complete = complete

    def epoch(self, epoch: int, measured: Measurements) -> None:
        """Log the finite measurements of an epoch."""

    def end(self, result: RunResult, folder: Path) -> None:
        """Log the outcome and the artifacts in `folder`, and close the run."""


class NoTracker:
    """`tracking=none`: records on disk only."""

    uri: str | None = None

    def __init__(self, **settings: object) -> None:
        """Accept the settings of a store, and ignore them."""

    @property
    def shown(self) -> str:
        """The store's URI without credentials."""
        return "none"

    @property
    def ui_command(self) -> str | None:
        """The command that opens the MLflow UI on the store; None if there is no store."""
        return None

    def keep_secrets(self, config: "DictConfig") -> None:
        """Move a URI with credentials from `config`, which is saved, to the environment."""

    def prepare(self) -> None:
        """Check that the store answers."""

    def try_again(self) -> None:
        """Try a store again that has just failed."""

    def start_sweep(self, name: str, tags: Mapping[str, str]) -> str | None:
        """Open the parent run of a sweep and return its id; None if there is no store."""
        return None

    def end_sweep(
        self, parent: str, *, status: str, counts: Mapping[str, int], note: str, folder: Path
    ) -> None:
        """Close a parent run with its counts, its note and the report in `folder`."""

    def start_run(
        self,
        spec: RunSpec,
        *,
        parent: str | None,
        dataset: "Dataset | None",
        folder: Path,
    ) -> NoLog:
        """Open a run and return its log; if the store fails, the run goes on without it."""
        return NoLog()

    def complete_runs(self) -> dict[str, StoredRun]:
        """Return the finished and diverged runs of the experiment by their fingerprints."""
        return {}

    def history(self, run: StoredRun) -> str:
        """Return the text of a stored run's `history.json`.

        Raises:
            OSError: it cannot be read.
        """
        raise OSError("there is no store to read from")

    def children(self, parent: str, *, ended_since: int = 0) -> list[ChildRun]:
        """Return the runs of a sweep that ended since a time in milliseconds, by default all."""
        return []

    def close_children(
        self, parent: str, *, replaced: Collection[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Close the runs of a sweep that are still open, although its workers have stopped.

        Open runs in the folders `replaced` are deleted instead: they are logged again from the
        start.

        Returns:
            The ids of the complete runs and of the partial ones, by their folders.
        """
        return {}, {}

    def close_dead_sweeps(self) -> None:
        """Close the runs that drivers of this host left open when they died."""
