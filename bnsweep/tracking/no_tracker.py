"""No tracking store: the face of every tracker, and nothing behind it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnsweep.records import Measurements, RunResult, RunSpec

if TYPE_CHECKING:
    from bnsweep.data.datasets import Dataset


@dataclass(frozen=True)
class StoredRun:
    """A complete run that the store holds: where to find it again."""

    run_id: str
    artifact_uri: str


@dataclass(frozen=True)
class ChildRun:
    """A run of a sweep, as the store has it.

    Attributes:
        run: where to find it.
        folder: where its worker keeps its records.
        status: `running`, or what became of it.
        ended: when, in milliseconds; None if it has not.
    """

    run: StoredRun
    folder: str
    status: str
    ended: int | None


class NoLog:
    """What a run writes to no store: nothing, and nothing is missing there.

    Attributes:
        run_id: the run in the store; None if there is none.
        complete: whether the store lacks nothing of the run.
    """

    def __init__(self, run_id: str | None = None, *, complete: bool = True) -> None:
        self.run_id = run_id
        self.complete = complete

    def epoch(self, epoch: int, measured: Measurements) -> None:
        """Log the finite measurements of an epoch."""

    def end(self, result: RunResult, folder: Path) -> None:
        """Log the outcome and the artifacts in `folder`, and close the run."""


class NoTracker:
    """`tracking=none`: a run's records lie on disk alone."""

    uri: str | None = None

    def __init__(self, **settings: Any) -> None:
        """Take the same settings as a store, and use none."""

    @property
    def shown(self) -> str:
        """The store's URI without secrets."""
        return "none"

    @property
    def ui_command(self) -> str | None:
        """What opens the MLflow UI on the store."""
        return None

    def keep_secrets(self, config: Any) -> None:
        """Move a URI with a password from `config`, which is saved, to the environment."""

    def prepare(self) -> None:
        """Make sure that the store answers."""

    def try_again(self) -> None:
        """Ask a store again that failed a moment ago."""

    def start_sweep(self, name: str, tags: Mapping[str, str]) -> str | None:
        """Open the parent run of a sweep and return its id."""
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
        """Open a run. A store that fails costs the records in it, never the run."""
        return NoLog()

    def complete_runs(self) -> dict[str, StoredRun]:
        """Return the finished and diverged runs of the experiment by their fingerprints."""
        return {}

    def history(self, run: StoredRun) -> str:
        """Return the text of a stored run's `history.json`.

        Raises:
            OSError: it cannot be had.
        """
        raise OSError("there is no store to read from")

    def children(self, parent: str, *, ended_since: int = 0) -> list[ChildRun]:
        """Return the runs of a sweep; given a time in milliseconds, those that ended since."""
        return []

    def close_children(
        self, parent: str, *, replaced: Collection[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """End the runs of a sweep that nobody works on any more.

        Those in the folders `replaced` are deleted: they will be logged anew from the start,
        and half a run would only stand in the way of the whole one.

        Returns:
            The ids of the runs that the store holds as a whole, and those of the other ones,
            by their folders.
        """
        return {}, {}

    def close_dead_sweeps(self) -> None:
        """End what drivers of this host left open when they died."""
