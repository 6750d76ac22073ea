"""The worker processes of this machine: forked from one process that has imported already.

A worker that starts from nothing imports for three seconds, each on its own. Here one server
process imports once, while the driver prepares the store, and every worker, also one that takes
a dead one's place, is forked from it within milliseconds.
"""

import multiprocessing
import os
import signal
import threading
from multiprocessing import forkserver
from typing import Any

JOBLIB = "hydra_plugins.hydra_joblib_launcher."
DRIVER_WATCH = "bnsweep-driver-watch"


def prepare(launcher: Any) -> None:
    """Let the server that joblib's workers are forked from start to import.

    Whatever the workers read from the environment must stand there before. Where the system
    has no such server (Windows), workers start from nothing.
    """
    if not type(launcher).__module__.startswith(JOBLIB):
        return
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return
    from joblib.externals.loky.backend.context import set_start_method

    set_start_method("forkserver", force=True)
    forkserver.set_forkserver_preload(["bnsweep.sweep.preloaded"])
    forkserver.ensure_running()


def follow() -> None:
    """In a worker process: leave Ctrl-C to the driver, and end when the driver is gone.

    A worker that outlived a killed driver would go on to train and to write for nobody.
    """
    driver = multiprocessing.parent_process()
    watched = any(thread.name == DRIVER_WATCH for thread in threading.enumerate())
    if driver is None or watched:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        driver.join()
        os._exit(1)

    threading.Thread(target=watch, name=DRIVER_WATCH, daemon=True).start()
