"""The worker processes of this machine: forked from one process that has imported already.

A worker that starts from scratch imports for three seconds. Here one server process imports once,
while the driver prepares the store, and forks every worker within milliseconds, also one that
replaces a dead one.

Relies on loky's `set_start_method` and on `multiprocessing.forkserver`; remove when joblib is no
longer the default launcher.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import forkserver

from hydra.plugins.launcher import Launcher

JOBLIB = "hydra_plugins.hydra_joblib_launcher."
DRIVER_WATCH = "bnsweep-driver-watch"
WATCH_SECONDS = 0.5
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def prepare(launcher: Launcher) -> None:
    """Start the server from which joblib's workers are forked, if none runs yet.

    Set what the workers read from the environment before. On other systems than Linux, where
    some libraries break when they are forked, workers start from scratch; so they do where the
    server has no place for its socket.
    """
    if sys.platform != "linux" or not type(launcher).__module__.startswith(JOBLIB):
        return
    if vars(launcher)["joblib"].get("n_jobs") == 1 or os.cpu_count() == 1:
        return  # joblib then works in this process
    from joblib.externals.loky.backend.context import set_start_method

    # What defines the task is imported with the rest, before the heap is frozen.
    task = vars(launcher)["task_function"].__module__
    forkserver.set_forkserver_preload([task, "bnsweep.sweep.preloaded"])
    with _for_workers(), contextlib.suppress(OSError):
        forkserver.ensure_running()
        set_start_method("forkserver", force=True)


@contextlib.contextmanager
def _for_workers() -> Iterator[None]:
    """Set what a process that starts now passes on to the workers."""
    before = {name: os.environ.get(name) for name in THREADS}
    for name in THREADS:
        os.environ.setdefault(name, "1")
    main = threading.current_thread() is threading.main_thread()
    # The driver alone handles Ctrl-C.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]


def follow() -> None:
    """In a worker process: leave Ctrl-C to the driver, and end when the driver is gone.

    A worker that outlived its driver would go on training with no one to report to.
    """
    driver = multiprocessing.parent_process()
    watched = any(thread.name == DRIVER_WATCH for thread in threading.enumerate())
    if driver is None:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if watched:
        return

    def watch() -> None:
        if os.getppid() == driver.pid:
            while os.getppid() == driver.pid:
                time.sleep(WATCH_SECONDS)
        else:
            driver.join()
        os._exit(1)

    threading.Thread(target=watch, name=DRIVER_WATCH, daemon=True).start()


def watch_from_the_start() -> None:
    """In a process that was just forked: follow the driver as soon as it is known.

    A worker that gets no run would otherwise never do so.
    """

    def wait() -> None:
        while multiprocessing.parent_process() is None:
            time.sleep(WATCH_SECONDS)
        follow()

    threading.Thread(target=wait, daemon=True).start()
