"""What is done already: found in the store and on disk, and logged where the store lacks it."""

import logging
from collections.abc import Sequence
from pathlib import Path

from bnsweep import records
from bnsweep.data import Dataset
from bnsweep.records import ENDED, RunResult, RunSpec
from bnsweep.sweep.outcomes import Outcomes
from bnsweep.tracking import Tracker

_log = logging.getLogger(__name__)


def find_done(specs: Sequence[RunSpec], tracker: Tracker, output_dir: Path) -> Outcomes:
    """Return the outcomes of the runs that are done already, here or in the store.

    Runs that a dead driver left open in the store are closed on the way.
    """
    outcomes = Outcomes()
    tracker.close_dead_sweeps()
    stored = tracker.complete_runs()
    on_disk = _results_below(output_dir, {spec.fingerprint for spec in specs})
    for spec in specs:
        if (run := stored.get(spec.fingerprint)) is not None:
            outcomes.run_ids[spec.number] = run.run_id
        if spec.fingerprint in on_disk:
            outcomes.folders[spec.number], outcomes.reused[spec.number] = on_disk[spec.fingerprint]
        elif run is not None:
            try:
                outcomes.reused[spec.number] = records.decode(tracker.history(run))
            except (OSError, ValueError):
                # A run that the store has finished and nobody can read is done again.
                del outcomes.run_ids[spec.number]
    return outcomes


def log_from_disk(
    runs: Sequence[tuple[RunSpec, Dataset]],
    tracker: Tracker,
    parent: str | None,
    outcomes: Outcomes,
) -> None:
    """Log those of the runs that only the disk knows of, without training them again."""
    unstored = {spec.number for spec in outcomes.unstored([spec for spec, _ in runs])}
    for spec, dataset in runs:
        if spec.number not in unstored:
            continue
        folder = outcomes.folders[spec.number]
        result = records.read(folder)
        run_log = tracker.start_run(spec, parent=parent, dataset=dataset, folder=folder)
        for epoch, measured in enumerate(result.epochs()):
            run_log.epoch(epoch, measured)
        run_log.end(result, folder)
        if run_log.complete and run_log.run_id is not None:
            outcomes.run_ids[spec.number] = run_log.run_id


def _results_below(output_dir: Path, fingerprints: set[str]) -> dict[str, tuple[Path, RunResult]]:
    """Return folder and result of the runs below `output_dir` that ended, by fingerprint."""
    found, unreadable = {}, []
    for folder in records.folders_below(output_dir):
        try:
            result = records.read(folder)
        except ValueError as error:
            unreadable.append(error)
        except OSError:
            continue
        else:
            if result.spec.fingerprint in fingerprints and result.status in ENDED:
                found[result.spec.fingerprint] = folder, result
    if unreadable:
        _log.warning(
            "%s of the results below %s are not used, for instance %s",
            len(unreadable),
            output_dir,
            unreadable[0],
        )
    return found
