"""Command lines as processes that need not import the program: forked from one that has.

A refused command line takes a quarter of the time so. The process behaves as `python -m bnsweep`
would: in its own session, with its own environment, folder, output and `__main__`.
"""

import contextlib
import gc
import importlib
import json
import multiprocessing.process
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What a command line imports on its way; not MLflow, nor matplotlib, which most need not.
IMPORTED = (
    *("bnsweep.cli.app", "bnsweep.sweep.single", "bnsweep.sweep.drive", "bnsweep.sweep.preview"),
    *("bnsweep.run.attempt", "bnsweep.nn.network", "bnsweep.nn.optimizers", "bnsweep.data"),
)


class Forked:
    """A server process that forks one process for each command line, one at a time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # More threads than one do not survive a fork.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C ends the tests, and they end it
            text=True,
        )

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end, as `subprocess.run` does.

        Raises:
            subprocess.TimeoutExpired: it took longer, and was killed with all that it started.
        """
        files = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        request = {
            "arguments": [*arguments],
            "folder": str(folder),
            "environment": dict(environment),
            "files": [*map(str, files)],
        }
        print(json.dumps(request), file=self._server.stdin, flush=True)
        pid = self._answer()
        expired = threading.Event()

        def kill() -> None:
            expired.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

        timer = threading.Timer(timeout, kill)
        timer.start()
        try:
            status = self._answer()
        except BaseException:
            kill()
            raise
        finally:
            timer.cancel()
        out, err = (path.read_text(errors="replace") for path in files)
        if expired.is_set():
            raise subprocess.TimeoutExpired([*arguments], timeout, out, err)
        return subprocess.CompletedProcess([*arguments], status, out, err)

    def close(self) -> None:
        """End the server."""
        self._server.communicate()  # the end of its input
        self._folder.cleanup()

    def _answer(self) -> int:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the server of command lines has ended"
        return int(line)


def serve() -> dict[str, Any] | None:
    """Fork a process for each request on standard input; return the request, in that process.

    Each is answered with its process id, and with its exit status when it has ended; a signal
    counts as a negative one. Return None at the end of the input.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        assert threading.active_count() == 1
        pid = os.fork()
        if pid == 0:
            answers.close()
            request: dict[str, Any] = json.loads(line)
            return request
        print(pid, file=answers)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answers)
    return None


def become(
    arguments: Sequence[str], folder: str, environment: Mapping[str, str], files: Sequence[str]
) -> None:
    """Make this process what `python -m bnsweep` would start as."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate((os.devnull, *files)):
        opened = os.open(path, os.O_RDWR if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv[1:] = arguments
    sys.path[0] = folder
    # Where processes of `multiprocessing` look for what has no absolute path.
    multiprocessing.process.ORIGINAL_DIR = folder


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if (asked := serve()) is not None:
        become(**asked)
        runpy.run_module("bnsweep", run_name="__main__", alter_sys=True)
