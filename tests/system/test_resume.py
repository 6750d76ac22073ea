"""`resume=true` does what is not yet done, and nothing twice."""

import csv
import json
import os
import shutil
import signal

import pytest
from faults import SCRIPTED, SMALL, Started, prepare

RUNS = "tags.`bnsweep.role` = 'run'"
SWEEPS = "tags.`bnsweep.role` = 'sweep'"


def rows(shell, output="outputs"):
    """Return the newest results.csv below `output`."""
    tables = sorted(shell.folder.glob(f"{output}/sweeps/*/results.csv"), key=os.path.getmtime)
    with tables[-1].open() as file:
        return list(csv.DictReader(file))


def succeed(shell, *arguments, **environment):
    done = shell(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def finished(module_shell):
    """A sweep of two learning rates that is over, in the default store."""
    succeed(module_shell, "-m", *SMALL, "optimizer.lr=0.1,0.05")
    module_shell.ids = {row["run_id"] for row in rows(module_shell)}
    assert len(module_shell.ids) == 2
    return module_shell


@pytest.mark.parametrize(
    "arguments",
    [
        [*SMALL, "optimizer.lr=0.1,0.05"],
        [*SMALL, "optimizer.lr=0.1,0.05", "hydra/launcher=basic"],
        ["optimizer.lr=5e-2,1e-1", *reversed(SMALL[1:]), "weight_std=1e-1", "optimizer=sgd"],
        [*SMALL, "optimizer.lr=0.1,0.05", "output_dir=elsewhere", "tracking.uri=STORE"],
    ],
    ids=["same", "launcher", "spelling", "folder"],
)
def test_what_is_done_is_not_done_again(finished, arguments):
    before = {run.info.run_id for run in finished.runs(RUNS)}
    arguments = [argument.replace("STORE", finished.uri) for argument in arguments]
    succeed(finished, "-m", *arguments, "resume=true")
    assert {run.info.run_id for run in finished.runs(RUNS)} == before
    output = "elsewhere" if "output_dir=elsewhere" in arguments else "outputs"
    table = rows(finished, output)
    assert {row["run_id"] for row in table} == finished.ids
    assert {row["status"] for row in table} == {"reused"}
    assert all(float(row["final_test_accuracy"]) > 0 for row in table)
    newest = max(finished.runs(SWEEPS), key=lambda run: run.info.start_time)
    assert newest.data.metrics["runs_reused"] == 2
    assert newest.info.status == "FINISHED"
    first = min(finished.runs(SWEEPS), key=lambda run: run.info.start_time)
    parents = {run.data.tags["mlflow.parentRunId"] for run in finished.runs(RUNS)}
    assert parents == {first.info.run_id}


def test_a_single_run_that_is_done_is_not_done_again(finished):
    before = len(finished.runs())
    done = succeed(finished, *SMALL, "optimizer.lr=0.1", "resume=true")
    assert "done already" in done.stdout
    assert len(finished.runs()) == before
    assert not list(finished.folder.glob("outputs/runs/*"))


def test_without_resume_all_is_done_again_and_a_changed_setting_too(finished, tmp_path):
    shutil.copytree(finished.folder / "outputs", tmp_path / "outputs")
    shell = type(finished)(tmp_path)
    succeed(shell, "-m", *SMALL, "optimizer.lr=0.1,0.05", "seed=1", "resume=true")
    assert {row["status"] for row in rows(shell)} == {"finished"}
    assert not {row["run_id"] for row in rows(shell)} & finished.ids
    succeed(shell, *SMALL, "optimizer.lr=0.1")
    assert list(shell.folder.glob("outputs/runs/*/history.json"))


def test_what_lies_on_disk_alone_is_logged_and_not_trained(shell):
    succeed(shell, "-m", *SMALL, "optimizer.lr=0.1,0.05", "tracking=none")
    succeed(shell, *SMALL, "optimizer.lr=0.02", "tracking=none")
    histories = {path: path.read_text() for path in shell.folder.glob("outputs/**/history.json")}
    assert len(histories) == 3
    succeed(shell, "-m", *SMALL, "optimizer.lr=0.1,0.05,0.02", "resume=true")
    # Nothing was trained: no folder beside those of before holds a history.
    assert len(list(shell.folder.glob("outputs/[rs]*/**/history.json"))) == len(histories)
    runs = shell.runs(RUNS)
    assert {run.info.status for run in runs} == {"FINISHED"}
    seconds = {json.loads(text)["train_seconds"] for text in histories.values()}
    assert {run.data.metrics["train_seconds"] for run in runs} == seconds
    assert {row["status"] for row in rows(shell)} == {"reused"}
    assert {row["run_id"] for row in rows(shell)} == {run.info.run_id for run in runs}
    points = shell.client().get_metric_history(runs[0].info.run_id, "train_loss")
    assert [point.step for point in points] == [0, 1, 2, 3]
    # The store is told of a single run, too, and only once.
    succeed(shell, *SMALL, "optimizer.lr=0.02", "resume=true")
    assert len(shell.runs(RUNS)) == 3


def test_failed_runs_are_done_again(shell):
    prepare(shell.folder)
    assert shell("-m", *SCRIPTED, "optimizer.lr=0.1,0.5").returncode == 1
    parts = shell.folder / "parts.py"
    parts.write_text(parts.read_text().replace("raise RuntimeError", "print"))
    succeed(shell, "-m", *SCRIPTED, "optimizer.lr=0.1,0.5", "resume=true")
    assert [row["status"] for row in rows(shell)] == ["reused", "finished"]


def test_what_a_killed_driver_left_open_is_closed_and_a_living_one_left_alone(shell):
    prepare(shell.folder)
    living = ["-m", *SCRIPTED, "optimizer.lr=0.23,0.231", "hydra.launcher.n_jobs=2"]
    command = ["-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.21", "hydra.launcher.n_jobs=2"]
    with Started(shell, *living, name="living") as alive:
        alive.until((shell.folder / "waiting-0.231").exists, "the living sweep is under way")
        with Started(shell, *command) as sweep:
            for rate in ("0.2", "0.21"):
                sweep.until((shell.folder / f"waiting-{rate}").exists, "the runs are under way")
            sweep.process.send_signal(signal.SIGKILL)
            sweep.ends()
            # The workers notice, or they would train for nobody.
            sweep.leaves_nobody()
        for path in shell.folder.glob("outputs/sweeps/*/*/history.json"):
            json.loads(path.read_text())
        running = "attributes.status = 'RUNNING'"
        assert len(shell.runs(running)) == 3 + 3

        # The waiting runs of the living sweep go on only when this one is over.
        parts = shell.folder / "parts.py"
        parts.write_text(parts.read_text().replace("if 0.2 <= lr < 0.3", "if False"))
        succeed(shell, *command, "resume=true")
        assert [row["status"] for row in rows(shell)] == ["reused", "finished", "finished"]
        still = {run.info.run_name for run in shell.runs(running)}
        assert len(still) == 3
        assert "batchnorm weight_std=0.1 optimizer.lr=0.231 seed=0" in still
        killed = shell.runs("attributes.status = 'KILLED'")
        assert len(killed) == 3
        assert {run.data.tags["bnsweep.status"] for run in killed} == {"killed"}

        (shell.folder / "go").touch()
        assert alive.ends() == 0, alive.text
    assert not shell.runs(running)
