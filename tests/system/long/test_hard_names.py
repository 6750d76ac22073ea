"""Projects in folders with hard names: a launcher that is given their paths, and the real UI."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import needs
from faults import (
    ONE_PROCESS,
    SERVER,
    SMALL,
    check_whole,
    free_port,
    put_database,
    wait_until,
)

HARD = r"a?b #x%20y u@h it's back\slash"


def project(shell):
    """Return a shell in a folder with a hard name."""
    folder = shell.folder / HARD
    folder.mkdir()
    put_database(folder)
    (shell.folder / "link").symlink_to(folder)
    return replace(shell, folder=folder)


def stored(shell):
    """Return the runs in the store, to which a link without a hard name leads."""
    return replace(shell, folder=shell.folder / "link").runs()


def found(uri):
    """Return the runs that a server at `uri` shows, or none while it does not answer."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments))
    except Exception:
        return []


def test_the_command_that_is_printed_opens_the_store(shell, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = project(shell).succeed("-m", *SMALL, "optimizer.lr=0.1,0.05", ONE_PROCESS)
    command = re.search(r"^to see them in MLflow: (.*)$", done.stdout, re.MULTILINE)[1]
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    programs = Path(sys.executable).parent
    with (shell.folder / "ui.log").open("w") as log:
        server = subprocess.Popen(
            ["sh", "-c", f"{command} --port {port} --workers 1"],
            cwd=shell.folder,
            env=shell.environment | SERVER | {"PATH": f"{programs}:{os.environ['PATH']}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: server.poll() is not None or found(uri), "the UI shows the runs", 120)
        assert server.poll() is None, (shell.folder / "ui.log").read_text()
        runs = found(uri)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert len(runs) == 3
    assert {run.info.run_id for run in runs} == {run.info.run_id for run in stored(shell)}


def test_the_jobs_of_another_launcher_find_their_folders(shell):
    needs.extra("hydra_plugins.hydra_joblib_launcher", "joblib")
    done = project(shell).succeed("-m", *SMALL, "optimizer.lr=0.1,0.05", "hydra/launcher=joblib")
    assert "2 finished" in done.stdout
    check_whole(stored(shell), 2)
    assert {path.name for path in shell.folder.iterdir()} == {HARD, "link"}
