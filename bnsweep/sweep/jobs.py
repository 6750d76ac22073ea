"""The jobs of a sweep, and what became of them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bnsweep import records
from bnsweep.records import RunResult
from bnsweep.report.comparison import SweepRun
from bnsweep.report.measures import condensed
from bnsweep.run.config import run_name


@dataclass(frozen=True)
class Job:
    """One run of a sweep before it is launched."""

    number: int
    overrides: tuple[str, ...]
    config: dict[str, Any]
    options: dict[str, str]
    swept: dict[str, Any]
    fingerprint: str
    dataset: Any

    @property
    def name(self) -> str:
        """The run's name."""
        return run_name(self.config, self.options, list(self.swept))


@dataclass
class Outcomes:
    """What became of a sweep's jobs, by their numbers.

    Args:
        folders: where a job that was launched, or lies on disk already, has its records.
        failures: why a job has no records, or failed before it could keep any.
        reused: results of earlier runs that stand for a job, condensed.
        broken: folders of runs whose worker died, and which were launched again in new ones.
        run_ids: the runs in the store that hold all of a job's records.
        partial_ids: the runs in the store that hold a part of them.
        interrupted: whether somebody ended the sweep.
    """

    folders: dict[int, Path] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    reused: dict[int, RunResult] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    run_ids: dict[int, str] = field(default_factory=dict)
    partial_ids: dict[int, str] = field(default_factory=dict)
    interrupted: bool = False
    _read: dict[Path, RunResult] = field(default_factory=dict)

    def of(self, job: Job) -> RunResult:
        """Return a job's result, condensed: reused, from its folder, or that it has none."""
        if job.number in self.reused:
            return self.reused[job.number]
        folder = self.folders.get(job.number)
        if folder is not None:
            with contextlib.suppress(OSError, ValueError):
                if folder not in self._read:
                    self._read[folder] = condensed(records.read(folder))
                return self._read[folder]
        failure = self.failures.get(job.number)
        return RunResult(
            status="failed" if failure else "killed",
            fingerprint=job.fingerprint,
            config=job.config,
            options=job.options,
            error=failure,
        )

    def unstored(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs whose records lie on disk and not, or not all of them, in the store."""
        return [
            job
            for job in jobs
            if job.number not in self.run_ids
            and job.number in self.folders
            and recorded(self.folders[job.number])
            and self.of(job).status != "killed"
        ]

    def all_stored(self, jobs: Sequence[Job]) -> bool:
        """Tell whether the store holds all of every job's records."""
        return all(job.number in self.run_ids for job in jobs)

    def give_up(self, job: Job, reason: str) -> None:
        """Note that a job failed where it could not do so itself, and leave a record of it."""
        self.failures[job.number] = reason
        folder = self.folders[job.number]
        with contextlib.suppress(OSError):
            records.write_whole(folder / records.ERROR_FILE, reason.encode())
            records.write(folder, self.of(job))

    def sweep_run(self, job: Job) -> SweepRun:
        """Return a job's row of the report."""
        return SweepRun(
            number=job.number,
            name=job.name,
            swept=job.swept,
            # What is reused may have come about under other names.
            result=replace(self.of(job), options=job.options),
            run_id=self.run_ids.get(job.number, self.partial_ids.get(job.number)),
            reused=job.number in self.reused,
        )


def recorded(folder: Path) -> bool:
    """Tell whether the run in `folder` has come to its end: its history is written last."""
    return (folder / records.HISTORY_FILE).exists()
