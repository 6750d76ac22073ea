"""The Hydra entry: the only place where configuration becomes a run."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
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
from bnsweep.errors import IncompleteError, UserError
from bnsweep.redact import without_secrets
from bnsweep.run.build import build_experiment, load_dataset, make_tracker, plain
from bnsweep.run.config import GROUPS, fingerprint, flatten, result_part, run_name
from bnsweep.sweep.cluster import worker_environment
from bnsweep.sweep.interrupts import Interrupts
from bnsweep.sweep.local_workers import follow
from hydra_plugins.bnsweep import BnsweepSweeper

STOP_FILE = "stop"


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
        return _tell(refusal.__cause__, tracebacks) if refusal.__cause__ else 0
    except Exception as error:
        return _tell(error, tracebacks)
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
            from bnsweep.sweep.plan import single

            job = single(config)
            config.sweep.options = job.options
            tracker = make_tracker(config)
            tracker.keep_secrets(config)
            tracker.prepare()
            if config.resume and _is_done(job, tracker, Path(config.output_dir).absolute()):
                raise _Refused(0)
        except Exception as error:
            raise _Refused(2) from error


def _is_done(job: Any, tracker: Any, output_dir: Path) -> bool:
    """Tell whether a run is done already, and log it if only the disk knows of it."""
    from bnsweep.sweep.resume import find_done, log_from_disk

    outcomes = find_done([job], tracker, output_dir)
    if job.number not in outcomes.reused:
        return False
    if tracker.uri is not None:
        log_from_disk(outcomes.unstored([job]), tracker, None, outcomes)
        if outcomes.unstored([job]):
            raise IncompleteError(f"the run could not be logged to the store {tracker.shown}")
    where = outcomes.folders.get(0) or f"run {outcomes.run_ids[0]} of the store {tracker.shown}"
    print(f"done already: {where}")
    return True


def run(cfg: DictConfig) -> dict[str, Any]:
    """Train the network that `cfg` describes and keep its result; Hydra calls it for each run.

    Returns:
        `status`; `error`, what went wrong; `tracked`, whether the store holds all of the run;
        its `run_id` there; and its `history`, if it lies where the driver cannot see it.

    Raises:
        _Refused: a single run failed. In a sweep, a run that fails is a result of the sweep.
    """
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    if hydra_config.mode == RunMode.MULTIRUN:
        follow()
        stop = Path(hydra_config.sweep.dir) / STOP_FILE
        if stop.exists():
            return _report("killed")
        result, log = _train(cfg, folder)
        if result.status == "failed" and cfg.on_failure == "stop":
            stop.touch()
    else:
        with Interrupts() as interrupts:
            # What is trained is kept and logged, whatever comes.
            result, log = _train(cfg, folder, on_trained=interrupts.hold)
            if result.status != "killed":
                try:
                    _tell_outcome(result, folder, log, make_tracker(cfg))
                except IncompleteError as error:
                    raise _Refused(error.exit_status) from error
    if result.status == "killed":
        raise KeyboardInterrupt
    from bnsweep import records

    at_home = (Path(hydra_config.sweep.dir) / "multirun.yaml").exists()
    stored = log.complete and log.run_id is not None
    return _report(
        result.status,
        error=result.error,
        tracked=log.complete,
        run_id=log.run_id,
        history=None if at_home or stored else records.encode(result),
    )


def _report(
    status: str,
    *,
    error: str | None = None,
    tracked: bool = True,
    run_id: str | None = None,
    history: str | None = None,
) -> dict[str, Any]:
    """Return what the driver is told of a run."""
    return {
        "status": status,
        "error": error,
        "tracked": tracked,
        "run_id": run_id,
        "history": history,
    }


def _train(
    cfg: DictConfig, folder: Path, on_trained: Callable[[], None] = lambda: None
) -> tuple[Any, Any]:
    """Return a run's result, written to `folder` and logged, and its log."""
    from bnsweep.records import RunResult
    from bnsweep.run.folder import keep

    config, options = result_part(plain(cfg)), dict(cfg.sweep.options)
    swept = list(cfg.sweep["keys"])
    dataset = experiment = None
    mark = ""
    try:
        dataset = load_dataset(cfg)
        mark = fingerprint(config, dataset.digest)
        experiment = build_experiment(cfg, dataset, mark, config, options)
    except (Exception, SystemExit):
        failure = without_secrets(traceback.format_exc())
    log = make_tracker(cfg).start_run(
        run_name(config, options, swept),
        config=config,
        options=options,
        fingerprint=mark,
        swept=swept,
        parent=cfg.sweep.parent_run_id,
        dataset=dataset,
        folder=folder,
    )
    if experiment is None:
        result = RunResult("failed", mark, config, options, error=failure)
    else:
        result = experiment.run(log.epoch, time.perf_counter)
    on_trained()
    network = experiment.network if experiment is not None else None
    wanted = {"weights": cfg.tracking.weights, "figures": cfg.tracking.figures}
    settings = OmegaConf.to_yaml(OmegaConf.create(config))
    result = keep(result, folder, settings, network, **wanted)
    log.end(result, folder)
    return result, log


def _tell_outcome(result: Any, folder: Path, log: Any, tracker: Any) -> None:
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
    if not log.complete:
        raise IncompleteError(
            f"the run is not in the store {tracker.shown}; the same command with resume=true "
            "logs it"
        )
    if tracker.ui_command:
        print(f"to see them: {tracker.ui_command}")


def _folder_name() -> str:
    """Return the time and a few random letters: two that start at once never share a folder."""
    return f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.urandom(3).hex()}"


def _tell(error: BaseException, tracebacks: bool) -> int:
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
    keys = flatten(plain(cfg))
    prefixes = {key.rpartition(".")[0] for key in keys} - {""}
    return [*keys, *sorted(prefixes), *GROUPS, "tracking", "experiment"]
