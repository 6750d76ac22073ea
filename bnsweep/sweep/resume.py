"""What is done already: found in the store and on disk, and logged where the store lacks it."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnsweep import records
from bnsweep.records import RunResult
from bnsweep.report.measures import condensed
from bnsweep.sweep.jobs import Job, Outcomes

ENDED = ("finished", "diverged")


def find_done(jobs: Sequence[Job], tracker: Any, output_dir: Path) -> Outcomes:
    """Return the outcomes of the jobs that are done already, here or in the store.

    Runs that a dead driver left open in the store are closed on the way.
    """
    outcomes = Outcomes()
    tracker.close_dead_sweeps()
    stored = tracker.complete_runs()
    on_disk = _histories(output_dir, {job.fingerprint for job in jobs})
    for job in jobs:
        if (run := stored.get(job.fingerprint)) is not None:
            outcomes.run_ids[job.number] = run.run_id
        if job.fingerprint in on_disk:
            outcomes.folders[job.number], outcomes.reused[job.number] = on_disk[job.fingerprint]
        elif run is not None:
            try:
                outcomes.reused[job.number] = condensed(records.decode(tracker.history(run)))
            except (OSError, ValueError):
                # What the store says is done but nobody can read is done again.
                del outcomes.run_ids[job.number]
    return outcomes


def log_from_disk(
    jobs: Sequence[Job], tracker: Any, parent: str | None, outcomes: Outcomes
) -> None:
    """Log runs that only the disk knows of, without training them again."""
    for job in jobs:
        folder = outcomes.folders[job.number]
        result = records.read(folder)
        log = tracker.start_run(
            job.name,
            config=job.config,
            options=job.options,
            fingerprint=job.fingerprint,
            swept=list(job.swept),
            parent=parent,
            dataset=job.dataset,
            folder=folder,
        )
        for record in result.epochs:
            log.epoch(record)
        log.end(result, folder)
        if log.complete and log.run_id is not None:
            outcomes.run_ids[job.number] = log.run_id


def _histories(output_dir: Path, fingerprints: set[str]) -> dict[str, tuple[Path, RunResult]]:
    """Return folder and result of the runs below `output_dir` that ended, by fingerprint."""
    found = {}
    for pattern in ("sweeps/*/*", "runs/*"):
        for path in output_dir.glob(f"{pattern}/{records.HISTORY_FILE}"):
            with contextlib.suppress(OSError, ValueError):
                result = records.read(path.parent)
                if result.fingerprint in fingerprints and result.status in ENDED:
                    found[result.fingerprint] = path.parent, condensed(result)
    return found
