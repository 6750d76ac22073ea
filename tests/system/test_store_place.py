"""The store lies where it is said to be, whatever the folder of a project is called."""

import contextlib
import re
import shutil
import sqlite3
import subprocess
from dataclasses import replace

import pytest
from faults import ONE_PROCESS, SMALL, put_database

from bnsweep.tracking.store import Store

NAMES = ("x%20y", "a?b", "u@h", "it's", r"back\slash", "per%cent", "umläut#x", "100%", "$HOME")
# Projects, and those beside them that a wrongly written URI would lead to.
PROJECTS = {"x%20y": "x y", r"a?b u@h it's back\slash per%cent umläut#x": "a"}


def command_of(output):
    """Return the command that a sweep prints for looking at its runs."""
    return re.search(r"^to see them in MLflow: (mlflow ui .*)$", output, re.MULTILINE)[1]


def words(command, folder):
    """Return what `mlflow` is given where a shell runs a command."""
    program = folder / "mlflow"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o700)
    sh = shutil.which("sh")
    done = subprocess.run([sh, "-c", command], env={"PATH": folder}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def runs_in(database):
    """Return the ids of the runs in a database file, read without any URI."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return {run_id for (run_id,) in connection.execute("SELECT run_uuid FROM runs")}


def runs_at(uri):
    """Return the ids of the runs that MLflow finds at a URI."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_id for run in client.search_runs(experiments)}


@pytest.mark.parametrize("name", PROJECTS)
def test_the_store_of_a_project_is_in_its_own_folder(shell, tmp_path, name):
    """The second sweep has worker processes, which find it as well."""
    (tmp_path / "bin").mkdir()
    own, other = (tmp_path / "projects" / name for name in (name, PROJECTS[name]))
    for folder in (own, other):
        folder.mkdir(parents=True)
        put_database(folder)
    before = (other / "outputs" / "mlflow.db").read_bytes()
    options = [ONE_PROCESS] if name == "x%20y" else []
    done = replace(shell, folder=own).succeed("-m", *SMALL, "optimizer.lr=0.1,0.05", *options)
    stored = runs_in(own / "outputs" / "mlflow.db")
    assert len(stored) == 3

    *command, uri = words(command_of(done.stdout), tmp_path / "bin")
    assert command == ["ui", "--backend-store-uri"]
    assert runs_at(uri) == stored

    assert set(own.parent.iterdir()) == {own, other}
    assert [path.name for path in (other / "outputs").iterdir()] == ["mlflow.db"]
    assert (other / "outputs" / "mlflow.db").read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_the_command_that_is_printed_names_the_store(tmp_path, name):
    """The same for each hard name by itself, without a sweep."""
    (tmp_path / "bin").mkdir()
    folder = tmp_path / "projects" / name
    folder.mkdir(parents=True)
    put_database(folder)
    store = Store(uri=None, experiment="a", output_dir=str(folder / "outputs"))
    store.prepare()
    run = store.client.create_run(store.experiment_id)
    assert runs_in(folder / "outputs" / "mlflow.db") == {run.info.run_id}
    command = store.ui_command(run.info.run_id).splitlines()[0]
    uri = words(command, tmp_path / "bin")[-1]
    assert runs_at(uri) == {run.info.run_id}
    assert Store(uri=uri, experiment="a").uri == store.uri  # it can be given back
    assert [path.name for path in folder.parent.iterdir()] == [name]
