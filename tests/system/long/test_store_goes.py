"""The store goes while a sweep runs: its file is removed, replaced or locked, its server emptied.

Each sweep is held in its second run when that happens; its first run is in the store by then.
"""

import contextlib
import json
import shutil
import subprocess
import sys

import pytest
from faults import (
    HELD,
    MlflowServer,
    Started,
    check_whole,
    empty_database,
    held,
    prepare,
)

AWAY, BACK = "the records stay on disk until it answers", "answers again"
FEW = 6  # lines

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shell(shell):
    prepare(shell.folder)
    return shell


def goes_on(sweep, shell):
    """Let the sweep go on to its end; return its exit status."""
    (shell.folder / "go").touch()
    return sweep.ends()


def trained(shell):
    """Return the status and the training time of each run on disk."""
    texts = [path.read_text() for path in shell.folder.glob("outputs/sweeps/*/*/history.json")]
    found = sorted((json.loads(t)["status"], json.loads(t)["train_seconds"]) for t in texts)
    assert [status for status, _ in found] == ["finished"] * 3
    return found


def messages(sweep):
    """Return the lines that tell of something wrong: all but the report."""
    assert "Traceback" not in sweep.text
    lines = [line for line in sweep.text.splitlines() if "store" in line or "tracking" in line]
    assert len(lines) <= FEW, sweep.text
    assert len(sweep.text.splitlines()) <= FEW + 20
    return lines


def check_missing(sweep, number):
    """Check that the end tells how many runs the store lacks, and does not lead there."""
    assert [line for line in messages(sweep) if f"{number} of 3 runs are not in the store" in line]
    assert "resume=true" in sweep.text


def check_resumed(shell, runs, *options):
    """Check that a resume brings all to the store, and trains nothing again."""
    before = trained(shell)
    done = shell.succeed(*HELD, *options, "resume=true")
    assert "Traceback" not in done.stderr
    assert trained(shell) == before
    check_whole(runs(), 3)


@contextlib.contextmanager
def locked(database):
    """Hold the lock of a database in another process."""
    command = [sys.executable, "-c", HOLDER, database]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            yield
        finally:
            holder.kill()


@pytest.mark.parametrize("successor", ["none", "another"])
def test_a_database_that_is_removed_is_made_anew_by_a_resume(shell, successor):
    """It is told of all runs that they are not there, also of the one that had been recorded."""
    place = shell.folder / "outputs"
    with Started(shell, *HELD) as sweep:
        held(sweep, shell, place / "mlflow.db")
        for path in place.glob("mlflow.db*"):
            path.unlink()
        if successor == "another":
            shutil.copy(empty_database(), place / "mlflow.db")
        assert goes_on(sweep, shell) == 1, sweep.text
    check_missing(sweep, 3)
    assert "mlflow ui" not in sweep.text
    found = {path.name: path.read_bytes() for path in place.glob("mlflow.db*")}
    own = {"mlflow.db": empty_database().read_bytes()}
    assert found == (own if successor == "another" else {})
    check_resumed(shell, shell.runs)


def test_a_server_that_comes_back_empty_is_filled_by_a_resume(shell):
    server = MlflowServer(shell.folder / "server")
    store = (f"tracking.uri={server.uri}", "tracking.experiment=emptied")
    server.start()
    try:
        with Started(shell, *HELD, *store) as sweep:
            held(sweep, shell, server.folder / "server.db")
            server.kill()
            for path in server.folder.glob("server.db*"):
                path.unlink()
            shutil.copy(empty_database(), server.folder / "server.db")
            server.start()
            assert goes_on(sweep, shell) == 1, sweep.text
        check_missing(sweep, 3)
        check_resumed(shell, lambda: server.runs("emptied"), *store)
    finally:
        server.kill()


def test_a_database_that_was_locked_for_a_while_lacks_nothing(shell):
    database = shell.folder / "outputs" / "mlflow.db"
    with Started(shell, *HELD) as sweep:
        held(sweep, shell, database)
        with locked(database):
            sweep.until(lambda: AWAY in sweep.text, "the lock is noticed")
        sweep.until(lambda: BACK in sweep.text, "it is noticed that the lock has gone")
        assert goes_on(sweep, shell) == 0, sweep.text
    told = [line for line in messages(sweep) if "to see them" not in line]
    assert len(told) == 2, told
    check_whole(shell.runs(), 3)


def test_a_database_that_stays_locked_is_completed_by_a_resume(shell):
    database = shell.folder / "outputs" / "mlflow.db"
    with Started(shell, *HELD) as sweep:
        held(sweep, shell, database)
        with locked(database):
            sweep.until(lambda: AWAY in sweep.text, "the lock is noticed")
            assert goes_on(sweep, shell) == 1, sweep.text
    check_missing(sweep, 2)
    assert len([line for line in messages(sweep) if AWAY in line]) == 1
    check_resumed(shell, shell.runs)
