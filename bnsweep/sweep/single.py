"""A run by itself: checked before it starts, trained, logged, and its outcome printed."""

from pathlib import Path

from omegaconf import DictConfig

from bnsweep.errors import IncompleteError
from bnsweep.records import ERROR_FILE, RunResult
from bnsweep.report.output import check_figures
from bnsweep.run.config import option_files, specify
from bnsweep.sweep.interrupts import Interrupts
from bnsweep.sweep.job import train_and_log
from bnsweep.sweep.resume import find_done, log_from_disk
from bnsweep.tracking import Tracker
from bnsweep.tracking.make import make_tracker
from bnsweep.tracking.no_tracker import NoLog


def prepare_run(config: DictConfig) -> bool:
    """Check a run and prepare its store; return whether the run is still to be done.

    `config` is the configuration that Hydra is about to run. With `resume`, a run that is done
    and that the store lacks is logged.

    Raises:
        UserError: the run cannot be done.
    """
    spec, dataset = specify(config, option_files(config.hydra.runtime))
    check_figures(config.report.figures)
    config.sweep.options = spec.options
    tracker = make_tracker(config)
    tracker.keep_secrets(config)
    tracker.prepare()
    if not config.resume:
        return True
    outcomes = find_done([spec], tracker, Path(config.output_dir).absolute())
    if spec.number not in outcomes.reused:
        return True
    if tracker.uri is not None:
        log_from_disk([(spec, dataset)], tracker, None, outcomes)
        if outcomes.unstored([spec]):
            raise IncompleteError(
                f"the run could not be logged to the store {tracker.shown}; run the same command "
                "again"
            )
    where = outcomes.folders.get(spec.number) or (
        f"run {outcomes.run_ids[spec.number]} of the store {tracker.shown}"
    )
    print(f"done already: {where}")
    return False


def do_run(cfg: DictConfig, folder: Path) -> None:
    """Do the run that `cfg` describes in its folder, and print its outcome.

    Raises:
        IncompleteError: the run failed, or is not in the store.
        KeyboardInterrupt: it was interrupted.
    """
    with Interrupts() as interrupts:
        # Once training is over, Ctrl-C waits until the result is written and logged.
        result, run_log = train_and_log(cfg, folder, on_trained=interrupts.hold)
        if result.status == "killed":
            raise KeyboardInterrupt
        _print_outcome(result, folder, run_log, make_tracker(cfg))


def _print_outcome(result: RunResult, folder: Path, run_log: NoLog, tracker: Tracker) -> None:
    if result.status == "failed":
        last = str(result.error).strip().splitlines()[-1]
        raise IncompleteError(f"the run failed: {last}; its traceback is in {folder / ERROR_FILE}")
    ended = f"diverged in epoch {result.epochs_run}" if result.status == "diverged" else "finished"
    print(
        f"{ended}: train accuracy {result.last('train_accuracy'):.3f}, "
        f"test accuracy {result.last('test_accuracy'):.3f}"
    )
    print(f"results: {folder}")
    if not run_log.complete:
        raise IncompleteError(
            f"the run is not in the store {tracker.shown}; run the same command with resume=true "
            "to log it"
        )
    if tracker.ui_command:
        print(f"to see them: {tracker.ui_command}")
