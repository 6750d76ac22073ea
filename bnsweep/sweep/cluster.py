"""Workers on other machines: their environment, how to reach them, and how to stop them.

Relies on attributes of other launchers: `ray_cfg` of hydra-ray-launcher, `params` and the folder
`.submitit` of hydra-submitit-launcher. Remove what is here for one of them when that launcher can
be asked.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from bnsweep.errors import UserError
from bnsweep.records import RunSpec
from bnsweep.redact import first_line

# The part of the driver's environment that workers need; the rest may hold secrets.
PREFIXES = ("MLFLOW_", "DO_NOT_TRACK")
POLITE_SECONDS = 10.0
STOP_SECONDS = 60.0
USUAL_ARRAY = 1001


def worker_environment() -> dict[str, str]:
    """Return the variables that a worker takes over from the driver.

    A running cluster has the environment of whoever started it.
    """
    return {key: value for key, value in os.environ.items() if key.startswith(PREFIXES)}


def connect(launcher: Launcher) -> None:
    """Connect to Ray, if the launcher uses it.

    Raises:
        UserError: there is no such cluster, or it refuses the connection.
    """
    settings = getattr(launcher, "ray_cfg", None)
    if settings is None or threading.current_thread() is not threading.main_thread():
        return
    import ray

    if ray.is_initialized():
        return
    options: Any = OmegaConf.to_container(settings.init, resolve=True)
    # Ray replaces the handlers.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        check_reachable(options["address"])
        ray.init(**options)
    except Exception as error:
        raise UserError(
            f"hydra.launcher.ray.init.address={options['address']}: Ray cannot be used "
            f"({first_line(error)}); check that it runs there, set RAY_AUTH_MODE=token if it asks "
            "for a token, or give another address"
        ) from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def check_reachable(address: str) -> None:
    """Open a connection to `host:port`, where Ray itself would try for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def may_be_far(launcher: Launcher) -> bool:
    """Whether a launcher's workers may be on other machines, with disks of their own."""
    return not type(launcher).__module__.startswith("hydra_plugins.hydra_joblib_launcher.")


def batches(launcher: Launcher, specs: Sequence[RunSpec]) -> list[Sequence[RunSpec]]:
    """Return runs in batches that the launcher takes: all at once, or a job array each."""
    most = len(specs)
    if "submitit_folder" in getattr(launcher, "params", {}):
        most = min(most, _array_size())
    return [specs[n : n + most] for n in range(0, len(specs), most or 1)]


def stop(folder: Path) -> None:
    """Stop a sweep's jobs, once the driver no longer waits for them.

    A launcher that raises leaves its other jobs to Ray or in Slurm's queue, where they would go on
    beside the runs that the sweep starts in their place.
    """
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
    # submitit has a folder for each array and for each of its tasks: 17, 17_0, 17_1.
    names = (path.name for path in (folder / ".submitit").glob("[0-9]*"))
    arrays = sorted({name.partition("_")[0] for name in names})
    if arrays:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            _cancel(arrays)


def _array_size() -> int:
    """Return how many jobs this Slurm takes as one array."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        settings = _slurm("scontrol", "show", "config").stdout.decode()
        if size := re.search(r"MaxArraySize\s*=\s*(\d+)", settings):
            return max(int(size[1]), 1)
    return USUAL_ARRAY


def _cancel(arrays: list[str]) -> None:
    """Cancel jobs, and wait until none of them runs."""
    _slurm("scancel", "--state=PENDING", *arrays)
    # After Ctrl-C a run closes its records; submitit ignores SIGTERM.
    _slurm("scancel", "--signal=INT", *arrays)
    if not _gone(arrays, POLITE_SECONDS):
        _slurm("scancel", *arrays)
        _gone(arrays, STOP_SECONDS)


def _gone(arrays: list[str], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # squeue fails for a job that Slurm has forgotten.
        queue = _slurm("squeue", "--noheader", f"--jobs={','.join(arrays)}")
        if queue.returncode or not queue.stdout.strip():
            return True
        time.sleep(0.5)
    return False


def _slurm(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, timeout=STOP_SECONDS, check=False)
