"""A job of a sweep, as its worker does it: train, write, log, report."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hydra.conf import HydraConf
from omegaconf import DictConfig

from bnsweep import records
from bnsweep.records import RunResult, RunSpec
from bnsweep.redact import without_secrets
from bnsweep.run.build import build_experiment
from bnsweep.run.config import specify, to_plain
from bnsweep.run.folder import save_run
from bnsweep.sweep.local_workers import follow
from bnsweep.sweep.outcomes import JobReport
from bnsweep.tracking.make import make_tracker
from bnsweep.tracking.no_tracker import NoLog

STOP_FILE = "stop"


def do_job(cfg: DictConfig, hydra_config: HydraConf) -> JobReport:
    """Do a run of a sweep, and return what the driver needs to know.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    follow()
    sweep_folder = Path(hydra_config.sweep.dir)
    stop = sweep_folder / STOP_FILE
    if stop.exists():
        return JobReport()
    result, run_log = train_and_log(cfg, Path(hydra_config.runtime.output_dir))
    if result.status == "failed" and cfg.on_failure == "stop":
        stop.touch()
    if result.status == "killed":
        raise KeyboardInterrupt
    at_home = (sweep_folder / "multirun.yaml").exists()
    stored = run_log.complete and run_log.run_id is not None
    return JobReport(
        error=result.error,
        tracked=run_log.complete,
        run_id=run_log.run_id,
        history=None if at_home or stored else records.encode(result),
    )


def train_and_log(
    cfg: DictConfig, folder: Path, on_trained: Callable[[], None] = lambda: None
) -> tuple[RunResult, NoLog]:
    """Return a run's result, written to `folder` and logged, and its log."""
    dataset = experiment = None
    try:
        spec, dataset = specify(cfg)
        experiment = build_experiment(spec, dataset)
    except (Exception, SystemExit):
        failure = without_secrets(traceback.format_exc())
        digest = dataset.digest if dataset is not None else None
        spec = RunSpec.of(to_plain(cfg), data_digest=digest)
    run_log = make_tracker(cfg).start_run(
        spec, parent=cfg.sweep.parent_run_id, dataset=dataset, folder=folder
    )
    if experiment is None:
        result = RunResult(spec, "failed", error=failure)
    else:
        result = experiment.run(run_log.epoch, time.perf_counter)
    on_trained()
    network = experiment.network if experiment is not None else None
    result = save_run(result, folder, network)
    run_log.end(result, folder)
    return result, run_log
