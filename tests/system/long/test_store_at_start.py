"""A store that cannot be used when a command starts: one message within a minute, and no more."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import needs
import pytest
from faults import ONE_PROCESS, SMALL, free_port, put_database

MODES = {"run": [], "sweep": ["-m", ONE_PROCESS]}
A_MINUTE = 60

each_mode = pytest.mark.parametrize("mode", MODES)


def refused(shell, mode, *arguments, program=()):
    """Check that a command ends at once with one line and leaves nothing; return the line."""
    before = {*shell.folder.rglob("*")} - {*shell.folder.glob("outputs/mlflow.db*")}
    done = subprocess.run(
        [*program, sys.executable, "-m", "bnsweep", *MODES[mode], *SMALL, *arguments],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=A_MINUTE,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (message,) = done.stderr.splitlines()
    assert done.stdout == ""
    after = {*shell.folder.rglob("*")} - {*shell.folder.glob("outputs/mlflow.db*")}
    assert after - before <= {shell.folder / "outputs"}
    return message


@each_mode
def test_a_database_that_another_process_has_locked_is_named(shell, mode):
    put_database(shell.folder)
    database = shell.folder / "outputs" / "mlflow.db"
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        message = refused(shell, mode)
    finally:
        holder.close()
    assert str(database) in message
    assert "database is locked" in message


@each_mode
@pytest.mark.parametrize("rights", [0, 0o400])
def test_a_database_that_may_not_be_read_or_written_is_named(shell, mode, rights):
    put_database(shell.folder)
    database = shell.folder / "outputs" / "mlflow.db"
    database.chmod(rights)
    assert str(database) in refused(shell, mode, program=needs.plain_rights())
    assert database.stat().st_mode & 0o777 == rights


@each_mode
def test_a_path_that_is_too_long_for_a_database_is_named(shell, mode):
    deep = shell.folder.joinpath(*["x" * 100] * 6)
    deep.mkdir(parents=True)
    assert "mlflow.db" in refused(replace(shell, folder=deep), mode)


@each_mode
def test_a_folder_in_the_place_of_a_database_is_named(shell, mode):
    (shell.folder / "place").mkdir()
    assert "place" in refused(shell, mode, "tracking.uri=sqlite:///place")
    assert not list((shell.folder / "place").iterdir())
    (shell.folder / "outputs" / "mlflow.db").mkdir(parents=True)
    assert "mlflow.db" in refused(shell, mode)


@each_mode
def test_a_database_server_that_is_absent_is_named(shell, mode):
    needs.extra("psycopg2", "services")
    uri = f"postgresql+psycopg2://127.0.0.1:{free_port()}/x"
    message = refused(shell, mode, f"tracking.uri={uri}")
    assert uri in message
    assert "Connection refused" in message
