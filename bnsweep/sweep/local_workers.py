"""The worker processes of this machine: forked from one process that has imported already.

A worker that starts from nothing imports for three seconds, each on its own. Here one server
process imports once, while the driver prepares the store, and every worker, also one that takes
a dead one's place, is forked from it within milliseconds.
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
    """Let the server that joblib's workers are forked from start to import, if none runs yet.

    Whatever the workers read from the environment must stand there before. Elsewhere than on
    Linux, where a library may not bear to be forked, workers start from nothing, as they do where
    the server has no place for its socket.
    """
    if sys.platform != "linux" or not type(launcher).__module__.startswith(JOBLIB):
        return
    if vars(launcher)["joblib"].get("n_jobs") == 1 or os.cpu_count() == 1:
        return  # joblib then takes no process but this one
    from joblib.externals.loky.backend.context import set_start_method

    forkserver.set_forkserver_preload(["bnsweep.sweep.preloaded"])
    with _for_workers(), contextlib.suppress(OSError):
        forkserver.ensure_running()
        set_start_method("forkserver", force=True)


@contextlib.contextmanager
def _for_workers() -> Iterator[None]:
    """Set what a process that starts now hands on to the workers."""
    before = {name: os.environ.get(name) for name in THREADS}
    for name in THREADS:
        os.environ.setdefault(name, "1")
    main = threading.current_thread() is threading.main_thread()
    # Ctrl-C is the driver's to answer.
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

    A worker that outlived a killed driver would go on to train and to write for nobody.
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
    """In a process that was just forked: follow its driver as soon as it knows who that is.

    A worker may be given no run, and so would never ask.
    """

    def wait() -> None:
        while multiprocessing.parent_process() is None:
            time.sleep(WATCH_SECONDS)
        follow()

    threading.Thread(target=wait, daemon=True).start()
