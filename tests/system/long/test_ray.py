"""A sweep on Ray: on this machine, and on a cluster that shares only the tracking server."""

import math

import needs
import pytest
from clusters import histories, ray_cluster
from faults import SCRIPTED, MlflowServer, free_port, prepare

needs.extra("ray", "ray")
RAY = "hydra/launcher=ray_cluster"
# The learning rate 0.5 raises in the second epoch.
SWEEP = (*SCRIPTED, "optimizer.lr=0.01,0.5,0.02,0.04")


@pytest.fixture(scope="module")
def alone(module_shell):
    """What the same sweep gives without a cluster."""
    prepare(module_shell.folder)
    store = ("tracking=none", "output_dir=alone")
    done = module_shell("-m", *SWEEP, *store, "hydra/launcher=basic")
    assert done.returncode == 1, done.stderr
    return histories(module_shell.folder / "alone")


@pytest.fixture(scope="module")
def swept(module_shell, alone):
    """The sweep on two nodes that have neither the driver's folder nor its working directory."""
    server = MlflowServer(module_shell.folder / "server")
    outputs = module_shell.folder / "outputs"
    outputs.mkdir(exist_ok=True)
    try:
        server.start()
        with ray_cluster(hidden=outputs) as (address, environment):
            module_shell.output = module_shell(
                *("-m", *SWEEP, RAY, f"hydra.launcher.ray.init.address={address}"),
                MLFLOW_TRACKING_URI=server.uri,
                **environment,
            )
            assert module_shell.output.returncode == 1, module_shell.output.stderr
            module_shell.resumed = module_shell(
                *("-m", *SWEEP, RAY, f"hydra.launcher.ray.init.address={address}"),
                *("resume=true", "output_dir=elsewhere"),
                MLFLOW_TRACKING_URI=server.uri,
                **environment,
            )
        yield server
    finally:
        server.kill()


def sweeps(server):
    """Return the parent runs: of the sweep, and of the resumed one."""
    return sorted(
        server.runs("bnsweep", "tags.`bnsweep.role` = 'sweep'"), key=lambda r: r.info.start_time
    )


def runs_of(server, parent):
    return server.runs("bnsweep", f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")


def test_the_numbers_are_those_of_one_process(module_shell, swept, alone):
    far = histories(module_shell.folder / "outputs")
    assert sorted(far) == [0.01, 0.02, 0.04, 0.5]
    assert far == alone


def test_a_worker_kept_its_files_to_itself(module_shell, swept):
    left = list(module_shell.folder.glob("outputs/sweeps/*/*/weights.npz"))
    assert left == []


def test_the_store_holds_parent_and_children(swept):
    parent, _ = sweeps(swept)
    children = runs_of(swept, parent)
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["runs_finished"] == 3
    assert parent.data.metrics["runs_failed"] == 1
    status = {run.data.params["optimizer.lr"]: run.info.status for run in children}
    assert status == {"0.01": "FINISHED", "0.5": "FAILED", "0.02": "FINISHED", "0.04": "FINISHED"}
    for run in children:
        assert math.isclose(
            run.data.metrics["optimizer.lr"], float(run.data.params["optimizer.lr"])
        )


def test_the_commit_is_the_drivers(swept):
    parent, _ = sweeps(swept)
    names = ("mlflow.source.name", "mlflow.source.git.commit", "mlflow.user")
    expected = [parent.data.tags.get(name) for name in names]
    assert expected[0].endswith("__main__.py")
    for run in runs_of(swept, parent):
        assert [run.data.tags.get(name) for name in names] == expected


def test_the_failed_run_says_why(swept):
    from mlflow import MlflowClient

    (run,) = (run for run in runs_of(swept, sweeps(swept)[0]) if run.info.status == "FAILED")
    client = MlflowClient(tracking_uri=swept.uri)
    assert "error.txt" in [file.path for file in client.list_artifacts(run.info.run_id)]


def test_what_is_done_is_not_done_again(module_shell, swept):
    assert module_shell.resumed.returncode == 1, module_shell.resumed.stderr
    _, again = sweeps(swept)
    assert again.data.metrics["runs_reused"] == 3
    assert again.data.metrics["runs_failed"] == 1
    assert [run.data.params["optimizer.lr"] for run in runs_of(swept, again)] == ["0.5"]


def test_a_cluster_that_is_not_there_is_told_at_once(shell):
    address = f"127.0.0.1:{free_port()}"
    done = shell("-m", RAY, f"hydra.launcher.ray.init.address={address}")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert address in line
    assert shell.runs() == []


def test_ray_on_this_machine_with_a_database_file(module_shell, alone):
    done = module_shell("-m", *SCRIPTED, "optimizer.lr=0.01,0.02", RAY, "output_dir=local")
    assert done.returncode == 0, done.stderr
    near = histories(module_shell.folder / "local")
    assert near == {lr: alone[lr] for lr in (0.01, 0.02)}
    assert "2/2 runs" in done.stderr
