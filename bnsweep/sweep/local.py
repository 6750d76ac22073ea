"""The worker processes of this machine, forked from one process that has imported already.

A process that starts from scratch imports for seconds. Here one server process imports once, while
the driver plans and prepares the store, and forks every worker within milliseconds, also one that
replaces a dead one.

Relies on `multiprocessing.forkserver.ensure_running`, which Python does not document; remove when a
context can start its server without a process.
"""

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import Any

import cloudpickle
import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from bnsweep.records import RunSpec
from bnsweep.records.keys import check
from bnsweep.redact import first_line
from bnsweep.screen import outlive_screen
from bnsweep.sweep.interrupts import uninterrupted
from bnsweep.sweep.workers import OpenSweep, Reasons, do

PRELOADED = "bnsweep.sweep.preloaded"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGHUP)  # signals that it sends to each process in it
# What is raised where the pool, or the server that forks for it, has died.
LOST = (BrokenProcessPool, OSError, EOFError)
GONE_SECONDS = 5.0
MOST_SOCKET_PATH = 60


class Processes:
    """A pool of `n_jobs` processes of this machine; -1: one for each processor.

    Raises:
        ConfigError: there cannot be so many.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        check("hydra.launcher.n_jobs", n_jobs)
        self._n = n_jobs if n_jobs > 0 else _processors()
        self._pool: ProcessPoolExecutor | None = None
        self._pids: list[int] = []

    def prepare(self) -> None:
        """Let the server import while the driver goes on."""
        with contextlib.suppress(OSError):  # it is tried again with the first run
            _start_server()

    def submit(self, call: Any, *arguments: Any) -> Future[Any]:
        """Call a function in one of the processes."""
        if self._pool is None:
            _start_server()
            self._pool = ProcessPoolExecutor(self._n, mp_context=_context(), initializer=_start)
        with uninterrupted():
            future = self._pool.submit(call, *arguments)
            if len(self._pids) < self._n:
                self._pids = _children()
        return future

    def run(self, specs: Sequence[RunSpec], sweep: OpenSweep) -> Reasons:
        """Do runs, as many at a time as there are processes."""
        reasons: dict[int, str] = {}
        futures: dict[int, Future[Any]] = {}
        lost = False
        try:
            for spec in specs:
                folder = sweep.run(spec.number).path
                futures[spec.number] = self.submit(do, spec, folder, sweep.terms)
        except LOST as error:
            lost = True
            reasons = {spec.number: _why(error) for spec in specs[len(futures) :]}
        for number, future in futures.items():
            try:
                future.result()
            except Exception as error:
                lost |= isinstance(error, BrokenProcessPool)
                reasons[number] = _why(error)
        if lost:
            self.stop()
        return reasons

    def stop(self) -> None:
        """Kill the processes, and return when they are gone.

        When their server has died, they are no longer known as children, and live on.
        """
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        end = time.monotonic() + GONE_SECONDS
        while any(map(_lives, self._pids)) and time.monotonic() < end:
            time.sleep(0.01)
        self._pool, self._pids = None, []


def _start_server() -> None:
    """Start the server from which processes are forked, if none runs; it imports by itself."""
    if not _can_fork():
        return
    before = {name: os.environ.get(name) for name in THREADS}
    main = threading.current_thread() is threading.main_thread()
    # What the server is started with, its processes take over: a terminal interrupts the driver
    # alone, which is deaf to that for the milliseconds that the start takes.
    handlers = {n: signal.signal(n, signal.SIG_IGN) for n in TERMINAL_SIGNALS} if main else {}
    try:
        for name in THREADS:
            os.environ.setdefault(name, "1")
        forkserver.set_forkserver_preload([PRELOADED])
        forkserver.ensure_running()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]


def launch(
    processes: Processes,
    jobs: Sequence[Sequence[str]],
    first: int,
    *,
    context: HydraContext,
    config: DictConfig,
    task: TaskFunction,
) -> list[JobReturn]:
    """Do the jobs of any of Hydra's sweepers: compose them here, run them in processes."""
    setup_globals()
    futures: list[Future[bytes]] = []
    returns = []
    try:
        for number, overrides in enumerate(jobs, first):
            composed = context.config_loader.load_sweep_config(config, list(overrides))
            with open_dict(composed):
                composed.hydra.job.id = f"{composed.hydra.job.name}_{number}"
                composed.hydra.job.num = number
            # What users register, such as resolvers, is more than the standard library can pickle.
            job = cloudpickle.dumps((Singleton.get_state(), context, composed, task))
            futures.append(processes.submit(_run_job, job))
        for future in futures:
            try:
                returns.append(pickle.loads(future.result()))
            except Exception as error:
                # As for any job that fails, the sweeper asks for its value and gets the error.
                returns.append(JobReturn(status=JobStatus.FAILED))
                returns[-1].return_value = error
    finally:
        processes.stop()
    return returns


def _run_job(job: bytes) -> bytes:
    setup_globals()
    state, context, config, task = pickle.loads(job)
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    returned = run_job(
        hydra_context=context,
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    return bytes(cloudpickle.dumps(returned))


def _can_fork() -> bool:
    """Whether a server can fork the processes; they start from scratch where it cannot.

    On other systems than Linux some libraries break when they are forked; and the path of the
    server's socket, in the folder for temporary files, must be short.
    """
    return sys.platform == "linux" and len(tempfile.gettempdir()) <= MOST_SOCKET_PATH


def _context() -> BaseContext:
    return multiprocessing.get_context("forkserver" if _can_fork() else "spawn")


def _start() -> None:
    """In each process: leave Ctrl-C and hang-up to the driver, end with it, and show warnings."""
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    outlive_screen()
    threading.Thread(target=_end_with_driver, daemon=True).start()
    # A user's own layer may use NumPy's global generator: seed it differently in each process.
    np.random.seed()  # noqa: NPY002
    warnings = logging.StreamHandler()
    warnings.setLevel(logging.WARNING)
    logging.getLogger().addHandler(warnings)


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _why(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return "a worker process was killed"
    return f"{type(error).__name__}: {first_line(error)}"


def _children() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]


def _lives(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, 0)
        return True
    return False
