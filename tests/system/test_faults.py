"""A run that fails or dies takes no other run with it."""

from pathlib import Path

import needs
import pytest
from faults import NOTING, ONE_PROCESS, SCRIPTED, Started, check_whole, kill, on_start, prepare


@pytest.fixture
def shell(shell):
    prepare(shell.folder)
    return shell


def statuses(shell):
    """Return the runs in MLflow by their learning rate, and their parent run."""
    (parent,) = shell.runs("tags.`bnsweep.role` = 'sweep'")
    runs = shell.runs("tags.`bnsweep.role` = 'run'")
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in runs)
    found = {float(run.data.params["optimizer.lr"]): run for run in runs}
    assert len(found) == len(runs), "a run is in the store twice"
    return found, parent


def artifact(shell, run, name):
    path = shell.client().download_artifacts(run.info.run_id, name, str(shell.folder))
    return Path(path).read_text()


@pytest.mark.parametrize("launcher", ["local", "basic", "joblib"])
def test_a_failing_run_takes_no_other_with_it(shell, launcher):
    if launcher == "joblib":
        needs.extra("hydra_plugins.hydra_joblib_launcher", "joblib")
    done = shell("-m", *SCRIPTED, "optimizer.lr=0.5,0.1,0.6,0.05", f"hydra/launcher={launcher}")
    assert done.returncode == 1, done.stderr
    assert "2 of 4 runs failed" in done.stderr
    assert "the learning rate is cursed" in done.stdout
    runs, parent = statuses(shell)
    assert {lr: run.info.status for lr, run in runs.items()} == {
        0.5: "FAILED",
        0.1: "FINISHED",
        0.6: "FAILED",
        0.05: "FINISHED",
    }
    assert runs[0.5].data.tags["bnsweep.status"] == "failed"
    text = artifact(shell, runs[0.5], "error.txt")
    assert "Traceback" in text
    assert "RuntimeError: the learning rate is cursed" in text
    logs = [path.read_text() for path in shell.folder.glob("outputs/sweeps/*/*/run.log")]
    assert sum("RuntimeError: the learning rate is cursed" in log for log in logs) == 1
    assert parent.info.status == "FAILED"
    counts = {key: value for key, value in parent.data.metrics.items() if value}
    assert counts == {"runs_total": 4, "runs_finished": 2, "runs_failed": 2}


def test_a_single_run_that_fails_is_kept_as_failed(shell):
    done = shell(*SCRIPTED, "optimizer.lr=0.5")
    assert done.returncode == 1
    assert "the learning rate is cursed" in done.stderr
    (run,) = shell.runs()
    assert run.info.status == "FAILED"
    assert run.data.metrics["train_loss"] > 0  # what was recorded before is there


def test_on_failure_stop_starts_nothing_after_the_first_failure(shell):
    done = shell(
        "-m", *SCRIPTED, "optimizer.lr=0.1,0.5,0.05", "on_failure=stop", "hydra/launcher=basic"
    )
    assert done.returncode == 1
    runs, parent = statuses(shell)
    assert {lr: run.info.status for lr, run in runs.items()} == {0.1: "FINISHED", 0.5: "FAILED"}
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["runs_not_started"] == 1
    assert parent.data.metrics["runs_killed"] == 0
    assert "1 of 3 runs failed, 1 was not started; " in done.stderr
    assert len(list(shell.folder.glob("outputs/sweeps/*/*/history.json"))) == 2


def test_what_a_killed_worker_left_undone_is_launched_again(shell):
    done = shell("-m", *SCRIPTED, "optimizer.lr=0.1,0.3,0.05,0.02", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    assert (shell.folder / "died").exists()
    runs, parent = statuses(shell)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert len(runs) == 4
    assert parent.data.metrics["runs_finished"] == 4
    client = shell.client()
    for run in runs.values():
        assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 4


@pytest.mark.parametrize("killed", ["all workers at once", "the fork server"])
def test_whatever_dies_beside_the_driver_every_run_is_done_once(shell, killed):
    options = ("optimizer.lr=0.2,0.21,0.05,0.02", "hydra.launcher.n_jobs=2")
    with Started(shell, "-m", *SCRIPTED, *options) as sweep:
        for rate in ("0.2", "0.21"):
            sweep.until((shell.folder / f"waiting-{rate}").exists, "both workers are at work")
        (server,), workers = sweep.fork_servers, sweep.workers
        assert len(workers) == 2
        kill(*(workers if killed == "all workers at once" else [server]))
        (shell.folder / "go").touch()
        assert sweep.ends() == 0, sweep.text
        sweep.leaves_nobody()
    check_whole(shell.runs(), 4)
    assert [row["status"] for row in shell.results()] == ["finished"] * 4


def test_a_run_that_kills_its_worker_twice_is_given_up(shell):
    done = shell("-m", *SCRIPTED, "optimizer.lr=0.4,0.1,0.05,0.02", "hydra.launcher.n_jobs=2")
    assert done.returncode == 1
    assert "1 of 4 runs failed" in done.stderr
    runs, parent = statuses(shell)
    assert {lr: run.info.status for lr, run in runs.items()} == {
        0.4: "FAILED",
        0.1: "FINISHED",
        0.05: "FINISHED",
        0.02: "FINISHED",
    }
    assert "its worker died twice" in artifact(shell, runs[0.4], "error.txt")
    assert parent.data.metrics["runs_failed"] == 1
    assert parent.data.metrics["runs_finished"] == 3


def test_only_the_process_that_records_imports_mlflow(shell):
    """A worker that does would start a second later, and need twice the memory."""
    noting = on_start(shell.folder, NOTING)
    options = ("optimizer.lr=0.1,0.05", "hydra.launcher.n_jobs=2")
    for number, more in enumerate([(), (ONE_PROCESS,)]):
        arguments = ("-m", *SCRIPTED, options[0], *(more or options[1:]), "tracking=none")
        with Started(shell, *arguments, name=f"none{number}", **noting) as sweep:
            assert sweep.ends() == 0, sweep.text
    assert not list(shell.folder.glob("on_start/mlflow-*"))
    with Started(shell, "-m", *SCRIPTED, *options, **noting) as sweep:
        assert sweep.ends() == 0, sweep.text
    assert [path.name for path in shell.folder.glob("on_start/mlflow-*")] == [
        f"mlflow-{sweep.process.pid}"
    ]
