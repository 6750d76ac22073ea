"""Run the real command line in a folder of its own, and read what it left there."""

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import MlflowServer
from forked import Forked

REMOVED = (
    *("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_NAME"),
    *("HYDRA_FULL_ERROR", "BNSWEEP_CACHE", "NO_COLOR", "COLUMNS"),
)


@dataclass
class Shell:
    """Runs `python -m bnsweep` in `folder`, whose `outputs` it writes to."""

    folder: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/outputs/mlflow.db"

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in REMOVED}
        return kept | {"XDG_CACHE_HOME": str(self.folder / "cache")}

    def __call__(self, *arguments: str, timeout: float = 300, **environment: str | None):
        """Run a command with changes to its environment: None takes a variable out of it."""
        changed = {k: v for k, v in (self.environment | environment).items() if v is not None}
        return self.run(arguments, changed, timeout)

    def run(self, arguments, environment, timeout):
        return subprocess.run(
            [sys.executable, "-m", "bnsweep", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def succeed(self, *arguments: str, **environment: str | None):
        done = self(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done

    def results(self, output: str = "outputs") -> list[dict[str, str]]:
        """Return the rows of the newest results.csv below `output`."""
        tables = self.folder.glob(f"{output}/sweeps/*/results.csv")
        with max(tables, key=os.path.getmtime).open() as file:
            return list(csv.DictReader(file))

    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def runs(self, condition: str = ""):
        client = self.client()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, condition, max_results=5000))


@dataclass
class QuickShell(Shell):
    """A shell for many commands: their processes are forked from one that has imported."""

    forked: Forked

    def run(self, arguments, environment, timeout):
        return self.forked.run(arguments, self.folder, environment, timeout)


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def forked():
    forked = Forked()
    yield forked
    forked.close()


@pytest.fixture
def quick_shell(forked, tmp_path):
    return QuickShell(tmp_path, forked)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A real tracking server: it runs at the end of each test, and each has its own experiment."""
    server = MlflowServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def module_shell(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("shell"))


@pytest.fixture(scope="module")
def quick_module_shell(forked, tmp_path_factory):
    return QuickShell(tmp_path_factory.mktemp("shell"), forked)
