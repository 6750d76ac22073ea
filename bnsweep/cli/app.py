"""The Hydra entry: the only place where configuration becomes a run."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bnsweep.cli import arguments
from bnsweep.data import Dataset
from bnsweep.errors import IncompleteError, UserError
from bnsweep.keys import GROUPS, flatten
from bnsweep.records import RunResult, RunSpec
from bnsweep.redact import without_secrets
from bnsweep.report.output import check_figures
from bnsweep.run.config import option_files, specify, to_plain
from bnsweep.sweep.cluster import worker_environment
from bnsweep.sweep.interrupts import Interrupts
from bnsweep.sweep.job import do_job, train_and_log
from bnsweep.sweep.jobs import JobReport
from bnsweep.sweep.plan import SweepPlan
from bnsweep.sweep.resume import find_done, log_from_disk
from bnsweep.tracking import Tracker
from bnsweep.tracking.make import make_tracker
from bnsweep.tracking.no_tracker import NoLog
from hydra_plugins.bnsweep import BnsweepSweeper


class _Refused(SystemExit):
    """Leaves Hydra at once and unseen: not even a callback holds it, and Hydra says no word."""


def main() -> int:
    """Run what the command line asks for; return the exit status.

    0: every run ended; 1: runs failed or are missing; 2: nothing was started; 130: interrupted.
    """
    tracebacks = arguments.full_error()
    # Hydra then raises its errors instead of printing them, and they are told below.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    arguments.working_environment(os.environ)
    try:
        arguments.check_options(sys.argv[1:])
        given = arguments.expand(arguments.options_first(sys.argv[1:]))
        sys.argv[1:] = arguments.take_out_secrets(given, os.environ)
        prepare_hydra()
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(
            run
        )()
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads our output, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("bnsweep: interrupted", file=sys.stderr)
        return 130
    except _Refused as refusal:
        return _print_error(refusal.__cause__, tracebacks) if refusal.__cause__ else 0
    except Exception as error:
        return _print_error(error, tracebacks)
    return 0


def prepare_hydra() -> None:
    """Register what the configuration refers to: the sweeper and the resolvers."""
    # An editable installation hides the plugin from Hydra's own search.
    Plugins.instance().register(BnsweepSweeper)
    OmegaConf.register_new_resolver("logspace", arguments.logspace, replace=True)
    OmegaConf.register_new_resolver("folder_name", _folder_name, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("worker_environment", worker_environment, replace=True)


def config_folder() -> Path:
    """Return the folder of the configuration: in the package as installed, else beside it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


class CheckBeforeRun(Callback):
    """Checks a single run before Hydra makes a folder for it; a sweep checks its own."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Leave the program where the run cannot be done, or is done already."""
        try:
            files = option_files(config.hydra.runtime)
            spec, dataset = specify(config, files)
            check_figures(config.report.figures)
            config.sweep.options = spec.options
            tracker = make_tracker(config)
            tracker.keep_secrets(config)
            tracker.prepare()
            if config.resume and _is_done(spec, dataset, tracker, Path(config.output_dir)):
                raise _Refused(0)
        except Exception as error:
            raise _Refused(2) from error


def _is_done(spec: RunSpec, dataset: Dataset, tracker: Tracker, output_dir: Path) -> bool:
    """Whether a run is done already; it is logged then, if only the disk knows of it."""
    outcomes = find_done([spec], tracker, output_dir.absolute())
    if spec.number not in outcomes.reused:
        return False
    if tracker.uri is not None:
        log_from_disk(SweepPlan([spec], [dataset], []), tracker, None, outcomes)
        if outcomes.unstored([spec]):
            raise IncompleteError(f"the run could not be logged to the store {tracker.shown}")
    where = outcomes.folders.get(0) or f"run {outcomes.run_ids[0]} of the store {tracker.shown}"
    print(f"done already: {where}")
    return True


def run(cfg: DictConfig) -> JobReport:
    """Do the run that `cfg` describes; Hydra calls it for each one.

    Raises:
        _Refused: a single run failed. In a sweep, a run that fails is a result of the sweep.
    """
    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        return do_job(cfg, hydra_config)
    folder = Path(hydra_config.runtime.output_dir)
    with Interrupts() as interrupts:
        # What is trained is kept and logged, whatever comes.
        result, run_log = train_and_log(cfg, folder, on_trained=interrupts.hold)
        if result.status == "killed":
            raise KeyboardInterrupt
        try:
            _print_outcome(result, folder, run_log, make_tracker(cfg))
        except IncompleteError as error:
            raise _Refused(error.exit_status) from error
    return JobReport(result.status)


def _print_outcome(result: RunResult, folder: Path, run_log: NoLog, tracker: Tracker) -> None:
    if result.status == "failed":
        last = str(result.error).strip().splitlines()[-1]
        raise IncompleteError(f"the run failed: {last}; its traceback is in {folder / 'error.txt'}")
    final = result.final_metrics()
    ended = f"diverged in epoch {result.epochs_run}" if result.status == "diverged" else "finished"
    print(
        f"{ended}: train accuracy {final['final_train_accuracy']:.3f}, "
        f"test accuracy {final['final_test_accuracy']:.3f}"
    )
    print(f"results: {folder}")
    if not run_log.complete:
        raise IncompleteError(
            f"the run is not in the store {tracker.shown}; the same command with resume=true "
            "logs it"
        )
    if tracker.ui_command:
        print(f"to see them: {tracker.ui_command}")


def _folder_name() -> str:
    """Return the time and a few random letters: two that start at once never share a folder."""
    return f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.urandom(3).hex()}"


def _print_error(error: BaseException, tracebacks: bool) -> int:
    """Print `error` as one message, and return the exit status."""
    status = error.exit_status if isinstance(error, UserError) else 2
    if tracebacks:
        text = "".join(traceback.format_exception(error))
        print(without_secrets(text), file=sys.stderr)
        return status
    if isinstance(error, HydraException | OmegaConfBaseException):
        what = arguments.explain(error, _known_keys())
    elif isinstance(error, UserError | OSError | ValueError):
        what = str(error)
    else:
        what = f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)"
    print(f"bnsweep: {without_secrets(what)}", file=sys.stderr)
    return status


def _known_keys() -> Iterable[str]:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        cfg = compose("config")
    keys = flatten(to_plain(cfg))
    prefixes = {key.rpartition(".")[0] for key in keys} - {""}
    return [*keys, *sorted(prefixes), *GROUPS, "tracking", "experiment"]
