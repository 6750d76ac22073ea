"""What became of the runs of a sweep."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from bnsweep import records
from bnsweep.records import RunResult, RunSpec, SweepRun, has_history


class JobReport(NamedTuple):
    """What a job tells the driver of its run.

    Attributes:
        error: what went wrong.
        tracked: whether the store holds all of it.
        run_id: the run in the store.
        history: its `history.json`, if that lies where the driver cannot see it.
    """

    error: str | None = None
    tracked: bool = True
    run_id: str | None = None
    history: str | None = None


@dataclass
class Outcomes:
    """What became of a sweep's runs, by their numbers.

    Attributes:
        folders: where a run that was launched, or lies on disk already, has its files.
        failures: why a run has no history, or failed before it could write one.
        reused: results of earlier runs that stand for a run.
        broken: folders of runs whose worker died, and which were launched again in new ones.
        run_ids: the runs in the store that hold all of a run's records.
        partial_ids: the runs in the store that hold a part of them.
        interrupted: whether the sweep was interrupted.
    """

    folders: dict[int, Path] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    reused: dict[int, RunResult] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    run_ids: dict[int, str] = field(default_factory=dict)
    partial_ids: dict[int, str] = field(default_factory=dict)
    interrupted: bool = False

    def of(self, spec: RunSpec) -> RunResult | None:
        """Return a run's result: reused, from its folder, or a failure; None if it has none."""
        if spec.number in self.reused:
            return self.reused[spec.number]
        folder = self.folders.get(spec.number)
        if folder is not None:
            with contextlib.suppress(OSError, ValueError):
                return records.read(folder)
        failure = self.failures.get(spec.number)
        return RunResult(spec, "failed", error=failure) if failure else None

    def unstored(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """Return the runs that lie on disk and not, or not as a whole, in the store."""
        waiting = [
            spec
            for spec in specs
            if spec.number not in self.run_ids
            and spec.number in self.folders
            and has_history(self.folders[spec.number])
        ]
        return [spec for spec in waiting if (r := self.of(spec)) and r.status != "killed"]

    def all_stored(self, specs: Sequence[RunSpec]) -> bool:
        """Whether the store holds all of every run's records."""
        return all(spec.number in self.run_ids for spec in specs)

    def mark_failed(self, spec: RunSpec, reason: str) -> None:
        """Record a failure that the run itself could not record."""
        self.failures[spec.number] = reason
        folder = self.folders[spec.number]
        with contextlib.suppress(OSError):
            records.write_whole(folder / records.ERROR_FILE, reason.encode())
            records.write(folder, RunResult(spec, "failed", error=reason))

    def sweep_run(self, spec: RunSpec) -> SweepRun:
        """Return a run's row of the report."""
        result = self.of(spec)
        return SweepRun(
            spec=spec,
            # A reused result comes from another sweep, perhaps under other names.
            result=replace(result, spec=spec) if result is not None else None,
            run_id=self.run_ids.get(spec.number, self.partial_ids.get(spec.number)),
            reused=spec.number in self.reused,
        )
