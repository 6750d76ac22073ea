"""`resume=true` trains only what is not finished, in the store or on disk."""

import json
import shutil
from random import Random

import pytest
from faults import ONE_PROCESS, SMALL, put_database

RUNS = "tags.`bnsweep.role` = 'run'"
SWEEPS = "tags.`bnsweep.role` = 'sweep'"


@pytest.fixture(scope="module")
def finished(module_shell):
    """A finished sweep of two learning rates in the default store."""
    put_database(module_shell.folder)
    module_shell.succeed("-m", *SMALL, "optimizer.lr=0.1,0.05", ONE_PROCESS)
    module_shell.ids = {row["run_id"] for row in module_shell.results()}
    assert len(module_shell.ids) == 2
    return module_shell


@pytest.mark.parametrize(
    "arguments",
    [
        [*SMALL, "optimizer.lr=0.1,0.05", ONE_PROCESS],
        [
            *("optimizer.lr=5e-2,1e-1", *reversed(SMALL[1:]), "weight_std=1e-1", "optimizer=sgd"),
            *("output_dir=elsewhere", "tracking.uri=STORE"),
        ],
    ],
    ids=["same", "other spelling, launcher and folder"],
)
def test_a_finished_sweep_is_not_trained_again(finished, arguments):
    before = {run.info.run_id for run in finished.runs(RUNS)}
    arguments = [argument.replace("STORE", finished.uri) for argument in arguments]
    finished.succeed("-m", *arguments, "resume=true")
    assert {run.info.run_id for run in finished.runs(RUNS)} == before
    elsewhere = "output_dir=elsewhere" in arguments
    table = finished.results("elsewhere" if elsewhere else "outputs")
    assert {row["run_id"] for row in table} == finished.ids
    # Only for another sweep are they somebody else's.
    assert {row["status"] for row in table} == {"reused" if elsewhere else "finished"}
    assert all(float(row["final_test_accuracy"]) > 0 for row in table)
    first, *more = sorted(finished.runs(SWEEPS), key=lambda run: run.info.start_time)
    assert len(more) == elsewhere
    newest = more[-1] if more else first
    assert newest.data.metrics["runs_reused" if elsewhere else "runs_finished"] == 2
    assert newest.info.status == "FINISHED"
    parents = {run.data.tags["mlflow.parentRunId"] for run in finished.runs(RUNS)}
    assert parents == {first.info.run_id}


def test_a_finished_single_run_is_not_trained_again(finished):
    before = len(finished.runs())
    done = finished.succeed(*SMALL, "optimizer.lr=0.1", "resume=true")
    assert "done already" in done.stdout
    assert len(finished.runs()) == before
    assert not list(finished.folder.glob("outputs/runs/*"))


def test_another_seed_trains_anew_and_so_does_a_run_without_resume(finished, tmp_path):
    shutil.copytree(finished.folder / "outputs", tmp_path / "outputs")
    shell = type(finished)(tmp_path)
    changed = ("optimizer.lr=0.1,0.05", "seed=1", "resume=true")
    shell.succeed("-m", *SMALL, *changed, ONE_PROCESS)
    assert {row["status"] for row in shell.results()} == {"finished"}
    assert not {row["run_id"] for row in shell.results()} & finished.ids
    shell.succeed(*SMALL, "optimizer.lr=0.1")
    assert list(shell.folder.glob("outputs/runs/*/history.json"))


def test_a_run_that_only_the_disk_has_is_logged_and_not_trained(shell):
    put_database(shell.folder)
    shell.succeed("-m", *SMALL, "optimizer.lr=0.1,0.05", "tracking=none", ONE_PROCESS)
    shell.succeed(*SMALL, "optimizer.lr=0.02", "tracking=none")
    histories = {path: path.read_text() for path in shell.folder.glob("outputs/**/history.json")}
    assert len(histories) == 3
    shell.succeed("-m", *SMALL, "optimizer.lr=0.1,0.05,0.02", "resume=true")
    # Nothing was trained: no new folder holds a history of its own.
    found = {path.resolve() for path in shell.folder.glob("outputs/[rs]*/*/history.json")}
    found |= {path.resolve() for path in shell.folder.glob("outputs/[rs]*/*/*/history.json")}
    assert found == set(histories)
    runs = shell.runs(RUNS)
    assert {run.info.status for run in runs} == {"FINISHED"}
    seconds = {json.loads(text)["train_seconds"] for text in histories.values()}
    assert {run.data.metrics["train_seconds"] for run in runs} == {
        float(f"{number:.4g}") for number in seconds
    }
    assert {row["status"] for row in shell.results()} == {"reused"}
    assert {row["run_id"] for row in shell.results()} == {run.info.run_id for run in runs}
    points = shell.client().get_metric_history(runs[0].info.run_id, "train_loss")
    assert [point.step for point in points] == [0, 1, 2, 3]
    # A single run that is in the store by now is not logged twice.
    shell.succeed(*SMALL, "optimizer.lr=0.02", "resume=true")
    assert len(shell.runs(RUNS)) == 3


def test_a_run_whose_history_is_damaged_is_fetched_or_trained_again_and_no_other(shell):
    put_database(shell.folder)
    arguments = ("-m", *SMALL, "optimizer.lr=0.1,0.05,0.02,0.01,0.005", ONE_PROCESS)
    shell.succeed(*arguments)
    (folder,) = shell.folder.glob("outputs/sweeps/*")
    histories = [folder / str(number) / "history.json" for number in range(5)]
    untouched = histories[4].read_bytes()

    def attempts():
        return [json.loads(path.read_text())["attempt"] for path in histories]

    def damage():
        histories[0].write_bytes(b"")
        histories[1].write_bytes(histories[1].read_bytes()[:500])
        histories[2].write_bytes(random.randbytes(500))
        histories[3].unlink()
        histories[3].mkdir()

    trained = attempts()
    random = Random(0)
    damage()
    done = shell.succeed(*arguments, "resume=true")
    assert "Traceback" not in done.stdout + done.stderr
    assert [row["status"] for row in shell.results()] == ["reused"] * 4 + ["finished"]
    assert attempts() == trained
    assert len(shell.runs(RUNS)) == 5

    damage()
    done = shell.succeed(*arguments, "tracking=none", "resume=true")
    assert "Traceback" not in done.stdout + done.stderr
    assert [row["status"] for row in shell.results()] == ["finished"] * 5
    assert not set(attempts()[:4]) & set(trained)
    assert histories[4].read_bytes() == untouched


@pytest.mark.parametrize(
    "place",
    [
        "${hydra:runtime.cwd}/outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}-${now:%f}",
        "runs/${hydra.job.override_dirname}",
        "here/${folder_name:}/run",
        "~/fixed",
    ],
)
def test_a_run_by_itself_is_found_where_hydra_puts_it(shell, place):
    where, none = f"hydra.run.dir='{place}'", "tracking=none"
    home = {"HOME": str(shell.folder / "home")}
    shell.succeed(*SMALL, none, where, **home)
    assert len([*shell.folder.rglob("history.json")]) == 1
    again = shell.succeed(*SMALL, none, where, "resume=true", **home)
    assert "done already" in again.stdout
    shell.succeed("-m", *SMALL, none, "seed=0,1", where, "resume=true", ONE_PROCESS, **home)
    assert sorted(row["status"] for row in shell.results()) == ["finished", "reused"]
    assert {path.name for path in shell.folder.iterdir()} <= {
        *("cache", "home", "here", "outputs", "runs"),
    }


def test_a_sweep_is_gone_on_with_where_hydra_puts_it(shell):
    where = "hydra.sweep.dir='multi/${now:%Y-%m-%d}/${now:%H-%M-%S}-${now:%f}'"
    arguments = ("-m", *SMALL, "tracking=none", where, "seed=0,1", ONE_PROCESS)
    shell.succeed(*arguments)
    (folder,) = shell.folder.glob("multi/*/*")
    (folder / "1" / "history.json").unlink()
    first = (folder / "0" / "history.json").read_bytes()
    shell.succeed(*arguments, "resume=true")
    assert list(shell.folder.glob("multi/*/*")) == [folder]
    assert (folder / "1" / "history.json").exists()
    assert (folder / "0" / "history.json").read_bytes() == first
    single = shell.succeed(*SMALL, "tracking=none", where, "seed=1", "resume=true")
    assert "done already" in single.stdout
