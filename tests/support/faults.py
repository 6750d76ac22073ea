"""What the fault tests share: an optimizer that breaks, watched processes, small servers."""

import atexit
import contextlib
import functools
import http.server
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from bnsweep.tracking import sqlite_store

PATIENCE = 400.0

# Small and without figures: the tests are about what happens around the training.
NO_FIGURES = ("tracking.figures=false", "report.figures=[]")
SMALL = ("weight_std=0.1", "model=batchnorm", "training.epochs=3", *NO_FIGURES)
SCRIPTED = (*SMALL, "optimizer._target_=parts.Scripted")
# Saves two seconds in tests that are not about worker processes.
ONE_PROCESS = "hydra/launcher=basic"

# Without the half dozen processes for jobs, which no test needs.
SERVER = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

PARTS = '''
"""An optimizer whose learning rate says what goes wrong in the second epoch."""

import os, signal, sys, time
from pathlib import Path

from bnsweep.nn.optimizers import SGD


class Scripted(SGD):
    def start(self, w):
        self.steps = 0

    def step(self, w, g):
        super().step(w, g)
        self.steps += 1
        if self.steps == 15:
            act(round(self.lr, 6))


def act(lr):
    if lr == 0.5:
        raise RuntimeError("the learning rate is cursed")
    if lr == 0.6:
        sys.exit(3)
    if lr == 0.4:
        os.kill(os.getpid(), signal.SIGKILL)
    if lr == 0.3 and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if 0.2 <= lr < 0.3:
        Path(f"waiting-{lr}").touch()
        while not Path("go").exists():
            time.sleep(0.02)
'''


@functools.cache
def empty_database() -> Path:
    """Return an empty MLflow database; making one takes seconds."""
    path = Path(tempfile.mkdtemp(prefix="bnsweep-database-")) / "mlflow.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    sqlite_store.create(path)
    return path


def put_database(folder: Path) -> None:
    """Put an empty database where a command in `folder` looks for its store."""
    (folder / "outputs").mkdir()
    shutil.copy(empty_database(), folder / "outputs" / "mlflow.db")


def prepare(folder: Path) -> None:
    """Put the breaking optimizer and an empty database into `folder`."""
    (folder / "parts.py").write_text(PARTS)
    put_database(folder)


def wait_until(condition, what: str, seconds: float = PATIENCE):
    """Wait until `condition` returns something true, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:.0f} seconds")


def members(group: int) -> list[int]:
    """Return the ids of the living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = path.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


class Started:
    """A running `python -m bnsweep` in its own process group, like a terminal's job."""

    def __init__(self, shell, *arguments: str, name: str = "sweep", **environment: str) -> None:
        self.output = shell.folder / f"{name}.out"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bnsweep", *arguments],
                cwd=shell.folder,
                env=shell.environment | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def text(self) -> str:
        return self.output.read_text()

    def until(self, condition, what: str):
        """Wait for something that must happen while the program runs."""

        def now():
            value = condition()
            if not value and self.process.poll() is not None:
                raise AssertionError(f"{what}: the program has ended before\n{self.text}")
            return value

        return wait_until(now, what)

    def ends(self, seconds: float = PATIENCE) -> int:
        """Wait for the end, and return the exit status."""
        return self.process.wait(seconds)

    def leaves_nobody(self) -> None:
        wait_until(lambda: not members(self.process.pid), "no process is left", 20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """A real `mlflow server` on loopback that can be killed and started again."""

    def __init__(self, folder: Path, backend: str | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        if backend is None:
            shutil.copy(empty_database(), folder / "server.db")
        self.backend = backend or f"sqlite:///{folder}/server.db"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        options = {
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
            "--backend-store-uri": self.backend,
            "--artifacts-destination": str(self.folder / "artifacts"),
        }
        options = itertools.chain.from_iterable(options.items())
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *options],
                env=environment | SERVER,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, "the server answers")

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def runs(self, experiment: str, condition: str = ""):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        found = client.get_experiment_by_name(experiment)
        return list(client.search_runs([found.experiment_id], condition)) if found else []

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


class Gate:
    """An HTTP server that passes requests on, hangs or answers 500, depending on `mode`."""

    def __init__(self, target: str) -> None:
        self.mode = "open"
        self.stopped = 0  # requests that were not passed on
        self.over = threading.Event()
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if gate.mode == "hang":
                    gate.stopped += 1
                    gate.over.wait()
                    return
                if gate.mode == "500":
                    gate.stopped += 1
                    self.send_error(500)
                    return
                kept = {k: v for k, v in self.headers.items() if k not in ("Host", "Connection")}
                request = urllib.request.Request(
                    target + self.path, data=body or None, headers=kept, method=self.command
                )
                try:
                    answer = urllib.request.urlopen(request, timeout=60)
                except urllib.error.HTTPError as error:
                    answer = error
                content = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.serve)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
