"""A whole multirun from its checks to its report."""

import contextlib
import gc
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf, open_dict

from bnsweep.errors import ConfigError, IncompleteError, InterruptedSweepError, UserError
from bnsweep.records import has_history
from bnsweep.records.keys import check_all
from bnsweep.redact import first_line
from bnsweep.report import output, terminal
from bnsweep.report.findings import Findings
from bnsweep.run.config import to_plain
from bnsweep.sweep import local_workers
from bnsweep.sweep.cluster import Workers, connect
from bnsweep.sweep.composing import Composer
from bnsweep.sweep.interrupts import Interrupts
from bnsweep.sweep.launching import fixed_overrides, launch
from bnsweep.sweep.outcomes import Outcomes
from bnsweep.sweep.plan import SweepPlan, plan
from bnsweep.sweep.resume import find_done, log_from_disk
from bnsweep.tracking import Tracker
from bnsweep.tracking.make import make_tracker

PROGRESS_SECONDS = 0.3


def run_sweep(
    config: DictConfig,
    *,
    overrides: Sequence[str],
    composer: Composer,
    launcher: Launcher,
) -> list[str]:
    """Run the product of all choices in `overrides` under one parent run, and report.

    Returns:
        The status of each run.

    Raises:
        ConfigError, DataError, TrackingError: nothing was started.
        IncompleteError: runs failed, or were interrupted, or are not in the store.
    """
    check_all(to_plain(config))
    output.check_figures(config.report.figures)
    _check_folders(config)
    planned = plan(config, overrides, composer)
    specs, datasets = planned.specs, planned.datasets
    can_choose = all(dataset.x_validation is not None for dataset in datasets)
    output.check_choice(config.report.choose, specs, can_choose=can_choose)
    tracker = make_tracker(config)
    tracker.keep_secrets(config)
    if not config.resume:
        # All runs are to be done: workers import while the driver prepares the store.
        local_workers.prepare(launcher)
    tracker.prepare()
    connect(launcher)
    folder = _make_folder(config)
    outcomes, parent, workers = Outcomes(), None, None
    with Interrupts() as interrupts:
        try:
            if config.resume:
                outcomes = find_done(specs, tracker, Path(config.output_dir).absolute())
            name = f"sweep of {', '.join(planned.swept) or 'one configuration'}"
            parent = tracker.start_sweep(name, {"bnsweep.folder": str(folder)})
            workers = Workers(launcher, tracker, parent, folder)
            # Keep the garbage collector away from what was imported: it finds nothing there.
            gc.freeze()
            with _progress(len(specs), outcomes, workers):
                log_from_disk(planned.runs, tracker, parent, outcomes)
                launch(
                    launcher,
                    [spec for spec in specs if spec.number not in outcomes.reused],
                    fixed_overrides(config, tracker, folder, parent, planned.swept),
                    folder,
                    outcomes,
                    workers,
                    stop_at_failure=config.on_failure == "stop",
                )
            interrupts.hold()
        except KeyboardInterrupt:
            outcomes.interrupted = True
            if workers is not None:
                workers.stop()
        if parent is None and outcomes.interrupted:
            raise KeyboardInterrupt
        return _finish(config, planned, tracker, parent, folder, outcomes)


def _check_folders(config: DictConfig) -> None:
    subdir = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[index,call-overload]
    if subdir != "${hydra.job.num}":
        raise ConfigError(
            f"hydra.sweep.subdir={subdir}: the folder of a run in a sweep is its number; "
            "set hydra.sweep.dir or output_dir instead"
        )


def _make_folder(config: DictConfig) -> Path:
    folder = Path(config.hydra.sweep.dir).absolute()
    try:
        folder.mkdir(parents=True)
        with open_dict(config):
            config.hydra.sweep.dir = str(folder)
        OmegaConf.save(config, folder / "multirun.yaml")
    except OSError as error:
        raise ConfigError(
            f"output_dir={config.output_dir}: a folder cannot be made there ({error}); "
            "give another output_dir"
        ) from error
    return folder


@contextlib.contextmanager
def _progress(total: int, outcomes: Outcomes, workers: Workers) -> Iterator[None]:
    """Show how many runs are done: those that have a history."""
    over = threading.Event()
    done: set[int] = set()

    def count() -> int:
        done.update(outcomes.reused)
        folders = dict(outcomes.folders)
        done.update(n for n, place in folders.items() if n not in done and has_history(place))
        return len(done)

    def watch() -> None:
        while not over.wait(PROGRESS_SECONDS):
            workers.look()
            display.update(count())

    with terminal.Progress(total) as display:
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            display.update(count())


def _settle(planned: SweepPlan, tracker: Tracker, parent: str | None, outcomes: Outcomes) -> None:
    """Bring the store up to what lies on disk: close what is open, log what is missing.

    A worker that died, or a store that was away, leaves half a run in the store, or none. If the
    store is still away, the first failure ends the attempt.
    """
    if parent is None or (not outcomes.broken and outcomes.all_stored(planned.specs)):
        return
    unstored = [] if outcomes.interrupted else outcomes.unstored(planned.specs)
    replaced = {str(outcomes.folders[spec.number]) for spec in unstored} | outcomes.broken
    with contextlib.suppress(UserError):
        whole, partial = tracker.close_children(parent, replaced=replaced)
        for spec in planned.specs:
            folder = str(outcomes.folders.get(spec.number))
            if folder in whole:
                outcomes.run_ids.setdefault(spec.number, whole[folder])
            elif folder in partial:
                outcomes.partial_ids[spec.number] = partial[folder]
        if not outcomes.interrupted:
            tracker.try_again()
            log_from_disk(planned.runs, tracker, parent, outcomes)


def _finish(
    config: DictConfig,
    planned: SweepPlan,
    tracker: Tracker,
    parent: str | None,
    folder: Path,
    outcomes: Outcomes,
) -> list[str]:
    """Write the report, close the parent run, and print what came out."""
    _settle(planned, tracker, parent, outcomes)
    runs = [outcomes.sweep_run(spec) for spec in planned.specs]
    findings = Findings(runs, list(config.report.choose))
    counts = findings.counts
    missing = len(outcomes.unstored(planned.specs)) if parent is not None else 0
    problems = []
    if outcomes.interrupted:
        problems.append("interrupted")
    if counts["runs_failed"]:
        problems.append(f"{counts['runs_failed']} of {len(runs)} runs failed")
    if counts["runs_killed"]:
        problems.append(f"{counts['runs_killed']} of {len(runs)} runs did not end")
    if missing:
        problems.append(f"{missing} of {len(runs)} runs are not in the store {tracker.shown}")
    summary = ", ".join(problems)
    try:
        summary = output.write_report(findings, folder, list(config.report.figures)).summary
    except Exception as error:
        # The runs are done whatever the report fails at, and their parent must be closed.
        problems.append(f"the report cannot be written ({first_line(error)})")
    if parent is not None:
        bad = counts["runs_failed"] + counts["runs_killed"]
        status = "killed" if outcomes.interrupted else "failed" if bad else "finished"
        try:
            tracker.end_sweep(parent, status=status, counts=counts, note=summary, folder=folder)
        except UserError as error:
            problems.append(f"the sweep's own record is not in the store: {error}")
    terminal.print_findings(findings)
    terminal.print_where(folder, tracker.ui_command)
    if problems:
        hint = "the same command with resume=true does what is missing"
        kind = InterruptedSweepError if outcomes.interrupted else IncompleteError
        raise kind(f"{', '.join(problems)}; {hint}")
    return [run.status for run in runs]
