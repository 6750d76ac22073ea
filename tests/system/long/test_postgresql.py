"""Four workers write at once to a real MLflow server on PostgreSQL, artifacts included."""

import json
import math
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import needs
import pytest
from faults import MlflowServer, free_port


def programs():
    """Return the folder of PostgreSQL's programs; Debian keeps them out of the path."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places else None


@pytest.fixture(scope="module")
def database():
    """A database on loopback that is deleted at the end."""
    needs.extra("psycopg2", "services")
    if (place := programs()) is None:
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="bnsweep-postgresql-"))
    # PostgreSQL refuses to run as root.
    user = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def call(program, *arguments):
        command = [*user, place / program, "-D", folder / "data", *arguments]
        with (folder / "log").open("a") as log:
            subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log)

    try:
        call("initdb", "-A", "trust", "-U", "bnsweep", "--no-sync")
        port = free_port()
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        call("pg_ctl", "-w", "-o", options, "start")
        yield f"postgresql+psycopg2://bnsweep@127.0.0.1:{port}/postgres"
        call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def points(client, run, key):
    return {p.step: p.value for p in client.get_metric_history(run.info.run_id, key)}


def test_the_default_sweep_is_all_there(shell, database):
    from mlflow import MlflowClient

    server = MlflowServer(shell.folder / "server", backend=database)
    server.start()
    try:
        done = shell("-m", "hydra.launcher.n_jobs=4", f"tracking.uri={server.uri}", timeout=900)
        assert done.returncode == 0, done.stderr
        assert not done.stderr.count("WARNING")
        client = MlflowClient(tracking_uri=server.uri)
        (parent,) = server.runs("bnsweep", "tags.`bnsweep.role` = 'sweep'")
        runs = server.runs("bnsweep", f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        assert len(runs) == 32
        assert {run.info.status for run in runs} == {"FINISHED"}
        # The store must agree with the files on disk, which were written independently.
        folders = {run.data.tags["bnsweep.folder"]: run for run in runs}
        histories = list(shell.folder.glob("outputs/sweeps/*/*/history.json"))
        assert {str(path.parent) for path in histories} == set(folders)
        for path in histories:
            run, history = folders[str(path.parent)], json.loads(path.read_text())
            names = [name for name in history["epochs"][0] if name != "epoch"]
            for name in names:
                told = {r["epoch"]: r[name] for r in history["epochs"] if r[name] is not None}
                stored = points(client, run, name)
                if history["status"] == "diverged" and name.endswith("_loss") and len(told) == 1:
                    told = {}  # of the untrained network alone
                assert set(stored) == set(told)
                assert all(math.isclose(stored[k], told[k], rel_tol=1e-3) for k in told)
            assert run.data.params["weight_std"] == str(history["config"]["weight_std"])
            assert run.data.params["model"] == history["options"]["model"]
            final = run.data.metrics["final_test_accuracy"]
            assert math.isclose(final, history["final_test_accuracy"], rel_tol=1e-3)
            assert run.inputs.dataset_inputs[0].dataset.name == "digits"
            listed = {item.path for item in client.list_artifacts(run.info.run_id)}
            assert listed >= {"config.yaml", "history.json", "weights.npz", "figures"}
        copy = client.download_artifacts(run.info.run_id, "weights.npz", str(shell.folder))
        assert Path(copy).read_bytes() == (path.parent / "weights.npz").read_bytes()
        listed = {item.path for item in client.list_artifacts(parent.info.run_id)}
        assert listed >= {"results.csv", "figures"}
        assert parent.data.metrics["runs_total"] == 32
    finally:
        server.kill()
