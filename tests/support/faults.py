"""What the fault tests share: an optimizer that breaks, watched processes, small servers."""

import atexit
import contextlib
import fcntl
import functools
import http.server
import itertools
import os
import pty
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from bnsweep.tracking import sqlite

BNSWEEP = (sys.executable, "-m", "bnsweep")
PATIENCE = 400.0
LOSSES = ("cut", "502", "late")
LATE_SECONDS = 7  # the client waits for 5
PAGE = b"<html><body>Please log in.</body></html>"

# Small and without figures: the tests are about what happens around the training.
NO_FIGURES = ("tracking.figures=false", "report.figures=[]")
SMALL = ("weight_std=0.1", "model=batchnorm", "training.epochs=3", *NO_FIGURES)
SCRIPTED = (*SMALL, "optimizer._target_=parts.Scripted")
# Saves two seconds in tests that are not about worker processes.
ONE_PROCESS = "hydra/launcher=basic"
# Three runs, of which the second waits for the test.
HELD = ("-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.02", ONE_PROCESS)

# Without the half dozen processes for jobs, which no test needs.
SERVER = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

PARTS = '''
"""An optimizer whose learning rate says what goes wrong in the second epoch."""

import os, signal, sys, time
from pathlib import Path

STEPS = 15

from bnsweep.nn.optimizers import SGD


class Scripted(SGD):
    def start(self, w):
        self.steps = 0

    def step(self, w, g):
        super().step(w, g)
        self.steps += 1
        if self.steps == STEPS:
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
    if lr == 0.35:
        sys.addaudithook(die_at_the_next_folder)
    if 0.2 <= lr < 0.3:
        Path(f"waiting-{lr}").touch()
        while not Path("go").exists():
            time.sleep(0.02)


def die_at_the_next_folder(event, arguments):
    # The run has its folder: the next one that is made is that of this worker's next run.
    if event == "os.mkdir" and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
'''

# Notes each process that imports MLflow.
NOTING = """
import os, sys
from pathlib import Path


class Noting:
    def find_spec(self, name, path=None, target=None):
        if name == "mlflow":
            Path(__file__).with_name(f"mlflow-{os.getpid()}").touch()


sys.meta_path.insert(0, Noting())
"""

# Kills the first process that a fork server forks, before it does anything.
STILLBORN = """
import os, signal
from pathlib import Path


def die_once():
    if "multiprocessing.forkserver" in Path("/proc/self/cmdline").read_text():
        if not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)


os.register_at_fork(after_in_child=die_once)
"""


@functools.cache
def empty_database() -> Path:
    """Return an empty MLflow database; making one takes seconds."""
    path = Path(tempfile.mkdtemp(prefix="bnsweep-database-")) / "mlflow.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    sqlite.create(path)
    return path


def put_database(folder: Path) -> None:
    """Put an empty database where a command in `folder` looks for its store."""
    (folder / "outputs").mkdir()
    shutil.copy(empty_database(), folder / "outputs" / "mlflow.db")


def prepare(folder: Path) -> None:
    """Put the breaking optimizer and an empty database into `folder`."""
    (folder / "parts.py").write_text(PARTS)
    put_database(folder)


def on_start(folder: Path, code: str) -> dict[str, str]:
    """Return the environment in which every Python process first does what `code` says."""
    place = folder / "on_start"
    place.mkdir()
    (place / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": ":".join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))}


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


def children(pid: int, word: str = "") -> list[int]:
    """Return the ids of the living children of a process with a word in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z" and word in (path / "cmdline").read_text():
                found.append(int(path.name))
    return sorted(found)


def kill(*pids: int) -> None:
    """Kill processes, as the kernel does when there is no memory left."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Started:
    """A running `python -m bnsweep` in its own process group, like a terminal's job.

    `before` is what stands before the command, such as `nohup`.
    """

    def __init__(
        self,
        shell,
        *arguments: str,
        name: str = "sweep",
        before: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.output = shell.folder / f"{name}.out"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [*before, *BNSWEEP, *arguments],
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

    @property
    def fork_servers(self) -> list[int]:
        """The processes from which the local launcher forks its workers: none, or one."""
        return children(self.process.pid, "multiprocessing.forkserver")

    @property
    def workers(self) -> list[int]:
        """The worker processes of the local launcher."""
        return [pid for server in self.fork_servers for pid in children(server)]

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


class Terminal:
    """A `python -m bnsweep` at a terminal of its own, started with nohup; it ends with the context.

    What has come to the screen is in `screen`.
    """

    def __init__(self, shell, *arguments: str, **environment: str) -> None:
        self.screen = b""
        self.end, its_end = pty.openpty()
        self.process = subprocess.Popen(
            [*BNSWEEP, *arguments],
            cwd=shell.folder,
            env=shell.environment | {"TERM": "xterm", "COLUMNS": "100"} | environment,
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            start_new_session=True,
            preexec_fn=self.sit_at_it,
        )
        os.close(its_end)
        os.set_blocking(self.end, False)

    @staticmethod
    def sit_at_it():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.end)

    def shows(self, text: str) -> bool:
        """Return whether the terminal has shown `text`."""
        with contextlib.suppress(OSError):  # nothing has come, or nothing more will
            while more := os.read(self.end, 4096):
                self.screen += more
        return text.encode() in self.screen

    def ends(self) -> int:
        """Wait for the end, reading what comes to the screen, and return the exit status."""

        def over():
            ended = self.process.poll() is not None
            self.shows("")
            return ended

        wait_until(over, "the command ends")
        return self.process.returncode


def held(sweep: Started, shell, database: Path) -> None:
    """Wait until the second run of `HELD` waits, and a database has all of the first one.

    It is read without MLflow, which would keep it open.
    """
    sweep.until((shell.folder / "waiting-0.2").exists, "the second run is under way")

    def one_has_ended():
        with contextlib.closing(sqlite3.connect(database)) as connection:
            query = "SELECT count(*) FROM runs WHERE status = 'FINISHED'"
            return connection.execute(query).fetchone() == (1,)

    sweep.until(one_has_ended, "the first run is in the store")


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
    """An HTTP server that passes requests on, or does something else to those that it picks.

    Attributes:
        mode: `open` passes all of them on. `hang`, `html` and a status such as `500` pass nothing
            on: they never answer, or with a page, or with that status. `cut`, `502` and `late` do,
            and then close the connection, answer 502, or answer when the client waits no more.
        picks: whether the mode is meant for a request, by its method and path.
    """

    def __init__(self, target: str) -> None:
        self.mode = "open"
        self.picks: Callable[[str, str], bool] = lambda method, path: True
        self.stopped = 0  # requests that were not passed on
        self.lost = 0  # answers
        self.over = threading.Event()
        lock = threading.Lock()
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                mode = gate.mode
                with lock:
                    if mode != "open" and not gate.picks(self.command, self.path):
                        mode = "open"
                    gate.stopped += mode not in ("open", *LOSSES)
                if mode == "hang":
                    gate.over.wait()
                    return
                if mode == "html":
                    self.answer(200, "text/html", PAGE)
                    return
                if mode.isdigit() and mode not in LOSSES:
                    self.send_error(int(mode))
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
                with lock:
                    gate.lost += mode in LOSSES
                if mode == "cut":
                    return
                if mode == "502":
                    self.send_error(502)
                    return
                if mode == "late":
                    gate.over.wait(LATE_SECONDS)
                kind = answer.headers.get("Content-Type", "text/plain")
                self.answer(answer.status, kind, content)

            def answer(self, status, kind, content):
                # The client of a late answer has gone.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
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


def every(nth: int, method: str = "") -> Callable[[str, str], bool]:
    """Return what is true of every nth request, or of every nth with this method."""
    count = itertools.count(1)
    return lambda asked, path: method in ("", asked) and next(count) % nth == 0


def the_first(end: str) -> Callable[[str, str], bool]:
    """Return what is true of the first request to a path with this end."""
    left = [True]
    return lambda method, path: path.endswith(end) and bool(left and left.pop())


def check_whole(runs, total: int):
    """Check that the runs of a store are one sweep in which each run was done; return its parent.

    Deleted runs are not among `runs`, as they are not in the UI.
    """
    assert not [run for run in runs if run.info.status == "RUNNING"]
    (parent,) = (run for run in runs if run.data.tags["bnsweep.role"] == "sweep")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["runs_total"] == total
    of_parent = [
        run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    assert len(of_parent) == len(runs) - 1, "a run is there without its sweep"
    assert [run.info.status for run in of_parent] == ["FINISHED"] * len(of_parent)
    assert len({run.data.tags["bnsweep.fingerprint"] for run in of_parent}) == len(of_parent)
    assert len(of_parent) == total
    return parent
