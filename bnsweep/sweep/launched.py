"""Runs by one of Hydra's other launchers: composed again from overrides, perhaps far away."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.conf import HydraConf
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from bnsweep.errors import TrackingError
from bnsweep.records import ENDED, HISTORY_FILE, RunFolder, RunSpec, absolute, encode, write_whole
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.redact import first_line, has_secret
from bnsweep.run.config import check_keys, option_files, specify, to_plain, where_started
from bnsweep.sweep import cluster
from bnsweep.sweep.resume import fetch
from bnsweep.sweep.watching import every
from bnsweep.sweep.workers import STOP_FILE, OpenSweep, Reasons, Terms, do
from bnsweep.tracking.recorder import recorded
from bnsweep.tracking.store import Store, make_store
from bnsweep.tracking.ui import run_tags

FETCH_SECONDS = 5.0
APPEAR_SECONDS = 60.0  # a network file system may show a file a minute after it was written


class Launched:
    """The jobs of a launcher that may start them on other machines.

    A run's files lie on its worker's disk. Where the driver does not see that disk, the worker
    records its run itself, and the driver takes the history that the job returns. What a launcher
    loses, it finds in the store.
    """

    def __init__(self, launcher: Launcher, config: DictConfig, store: Store | None) -> None:
        self._launcher = launcher
        self._config = config
        self._store = store

    def prepare(self) -> None:
        """Connect to Ray, if the launcher uses it."""
        cluster.connect(self._launcher)

    def run(self, specs: Sequence[RunSpec], sweep: OpenSweep) -> Reasons:
        """Do runs, in batches that the launcher takes."""
        reasons: dict[int, str] = {}
        tags = run_tags(sweep.plan)
        # Fetched while jobs run elsewhere, what has ended is seen in the progress.
        with every(FETCH_SECONDS, lambda: self._fetch(sweep)):
            for batch in cluster.batches(self._launcher, specs):
                texts = [self._overrides(spec, sweep, tags) for spec in batch]
                try:
                    cluster.connect(self._launcher)
                    returns = self._launcher.launch(texts, initial_job_idx=0)
                except Exception as error:
                    self.stop()
                    reason = f"{type(error).__name__}: {first_line(error)}"
                    reasons |= {spec.number: reason for spec in specs}
                    break
                reasons |= self._take(batch, returns, sweep)
        self._fetch(sweep)
        return reasons

    def stop(self) -> None:
        """Stop what the launcher has left to Ray or in Slurm's queue."""
        cluster.stop(Path(self._config.hydra.sweep.dir))

    def _overrides(
        self, spec: RunSpec, sweep: OpenSweep, tags: Mapping[int, Mapping[str, str]]
    ) -> list[str]:
        """Return the overrides of a job: its own, and those that hold in any working directory."""
        values = {
            "output_dir": _quote(str(absolute(self._config.output_dir))),
            "hydra.sweep.dir": _quote(str(sweep.folder)),
            "hydra.sweep.subdir": _quote(str(spec.number)),
            "sweep.parent_run_id": sweep.plan.parent or "null",
            "sweep.keys": f"[{','.join(_quote(key) for key in sweep.plan.swept)}]",
            "sweep.options": _mapping(spec.options),
            "sweep.number": str(spec.number),
        }
        if self._store is not None:
            values["sweep.tags"] = _mapping(tags[spec.number])
            values["tracking.experiment"] = _quote(self._store.experiment)
            # Overrides are saved. One with a password comes from the environment, as in the driver.
            uri = self._store.uri
            values["tracking.uri"] = "null" if has_secret(uri) else _quote(uri)
        if (root := spec.config["data"].get("root")) is not None:
            values["data.root"] = _quote(root)
        own = (text for text in spec.overrides if text.partition("=")[0] not in values)
        return [*own, *(f"{key}={value}" for key, value in values.items())]

    def _take(
        self, specs: Sequence[RunSpec], returns: Sequence[JobReturn], sweep: OpenSweep
    ) -> Reasons:
        """Take what the jobs return, and say why one did not come to its end."""
        reasons = {}
        if sweep.recorder is not None:
            with contextlib.suppress(TrackingError):
                sweep.recorder.learn()  # before it sees a folder that its worker has recorded
        end = time.monotonic() + APPEAR_SECONDS
        for spec, returned in zip(specs, returns, strict=True):
            folder = sweep.run(spec.number)
            if returned.status != JobStatus.COMPLETED:
                try:
                    _ = returned.return_value
                except Exception as failure:
                    reasons[spec.number] = f"{type(failure).__name__}: {failure}"
            elif (text := returned.return_value) is not None:
                _write_history(folder, text)
            elif not (sweep.folder / STOP_FILE).exists():
                while not folder.has_history() and time.monotonic() < end:
                    time.sleep(0.1)
        return reasons

    def _fetch(self, sweep: OpenSweep) -> None:
        """Fetch the histories of runs that their workers have recorded on disks of their own."""
        if self._store is None or sweep.recorder is None:
            return
        if not cluster.may_be_far(self._launcher):
            return
        with contextlib.suppress(TrackingError, OSError):
            for run in sweep.recorder.learn():
                folder = sweep.folder / run.number
                if run.status in ENDED and not folder.exists():
                    fetch(self._store, run.run_id, folder, names=())


def do_job(cfg: DictConfig, hydra_config: HydraConf) -> str | None:
    """Do a run as the job of a launcher; return its history if the driver cannot see it.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    folder = Path(hydra_config.runtime.output_dir)
    # Another sweeper than ours gives its jobs neither number nor names, and prepares no store.
    foreign = OmegaConf.select(cfg, "sweep.options") is None
    files = option_files(hydra_config) if foreign else None
    if foreign:
        check_keys(cfg, hydra_config.overrides.task)
    with where_started(hydra_config):
        sweep = Path(hydra_config.sweep.dir).absolute()
        by_driver = (sweep / SWEEP_FILE).exists()
        store = None if by_driver else make_store(cfg)
        try:
            spec = specify(cfg, files, number=hydra_config.job.num)
        except Exception:
            if foreign:
                raise
            # The attempt fails in the same way, and says so in the run's folder.
            spec = RunSpec.of(to_plain(cfg), data={})
    terms = Terms(sweep, stop_at_failure=cfg.on_failure == "stop")
    if by_driver:
        do(spec, folder, terms)
        return None
    if foreign and store is not None:
        store.prepare()
    with recorded(store, folder, cfg.sweep.parent_run_id, cfg.sweep.tags or {}) as recorder:
        do(spec, folder, terms)
    if foreign and recorder is not None:
        recorder.check()
    run = RunFolder(folder)
    return encode(run.result()) if run.has_history() else None


def _write_history(folder: RunFolder, text: str) -> None:
    if not folder.has_history():
        folder.path.mkdir(exist_ok=True)
        write_whole(folder.path / HISTORY_FILE, text.encode())


def _mapping(texts: Mapping[str, str]) -> str:
    return f"{{{','.join(f'{key}:{_quote(text)}' for key, text in texts.items())}}}"


def _quote(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()
