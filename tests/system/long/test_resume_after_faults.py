"""`resume=true` after runs that failed, and after the driver was killed."""

import json
import signal

from faults import ONE_PROCESS, SCRIPTED, Started, prepare

RUNNING = "attributes.status = 'RUNNING'"


def test_failed_runs_are_trained_again(shell):
    prepare(shell.folder)
    command = ["-m", *SCRIPTED, "optimizer.lr=0.1,0.5", ONE_PROCESS]
    assert shell(*command).returncode == 1
    (history,) = shell.folder.glob("outputs/sweeps/*/0/history.json")
    before = history.read_bytes()
    parts = shell.folder / "parts.py"
    parts.write_text(parts.read_text().replace("raise RuntimeError", "print"))
    shell.succeed(*command, "resume=true")
    assert [row["status"] for row in shell.results()] == ["finished", "finished"]
    assert history.read_bytes() == before
    # The failed attempt is no longer there: neither its run in the store, nor its files.
    assert {run.info.status for run in shell.runs()} == {"FINISHED"}
    assert len(shell.runs()) == 3
    assert not list(shell.folder.glob("outputs/sweeps/*/1/error.txt"))


def test_what_a_killed_driver_left_open_is_closed_and_a_living_one_left_alone(shell):
    prepare(shell.folder)
    living = ["-m", *SCRIPTED, "optimizer.lr=0.23,0.231", ONE_PROCESS]
    command = ["-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.21"]

    with (
        Started(shell, *living, name="living") as alive,
        Started(shell, *command, "hydra.launcher.n_jobs=2") as sweep,
    ):
        sweep.until(lambda: len(shell.runs(RUNNING)) == 2 + 3, "the store shows what is under way")
        for started, rate in ((alive, "0.23"), (sweep, "0.2"), (sweep, "0.21")):
            started.until((shell.folder / f"waiting-{rate}").exists, f"run {rate} is under way")
        sweep.process.send_signal(signal.SIGKILL)
        sweep.ends()
        # The workers notice; otherwise they would train for nobody.
        sweep.leaves_nobody()
        for path in shell.folder.glob("outputs/sweeps/*/*/history.json"):
            json.loads(path.read_text())
        assert len(shell.runs(RUNNING)) == 2 + 3  # each with its parent run

        # Another sweep closes them.
        shell.succeed("-m", *SCRIPTED, "optimizer.lr=0.01", "resume=true", ONE_PROCESS)
        still = {run.info.run_name for run in shell.runs(RUNNING)}
        assert still == {
            "digits, 2 learning rates",
            "batchnorm optimizer=Scripted weight_std=0.1 optimizer.lr=0.23 seed=0",
        }
        killed = shell.runs("attributes.status = 'KILLED'")
        assert len(killed) == 3
        assert {run.data.tags["bnsweep.status"] for run in killed} == {"killed"}
        (parent,) = (run for run in killed if run.data.tags["bnsweep.role"] == "sweep")
        (histories,) = (
            [json.loads((folder / str(n) / "history.json").read_text()) for n in range(3)]
            for folder in shell.folder.glob("outputs/sweeps/*")
            if str(folder) == parent.data.tags["bnsweep.folder"]
        )
        assert [history["status"] for history in histories] == ["finished", "killed", "killed"]
        # As far as they got.
        assert [len(history["epochs"]) for history in histories] == [4, 2, 2]

        # Runs that start from now on do not wait; those of the living sweep still do.
        parts = shell.folder / "parts.py"
        parts.write_text(parts.read_text().replace("if 0.2 <= lr < 0.3", "if False"))
        shell.succeed(*command, "resume=true", ONE_PROCESS)
        assert [row["status"] for row in shell.results()] == ["finished"] * 3
        assert not shell.runs("attributes.status = 'KILLED'")
        own = shell.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        assert [run.info.status for run in own] == ["FINISHED"] * 3
        assert {run.info.run_name for run in shell.runs(RUNNING)} == still

        (shell.folder / "go").touch()
        assert alive.ends() == 0, alive.text
    assert not shell.runs(RUNNING)


def test_a_run_by_itself_whose_process_was_killed_is_closed_and_done_again(shell):
    prepare(shell.folder)
    with Started(shell, *SCRIPTED, "optimizer.lr=0.2") as single:
        single.until((shell.folder / "waiting-0.2").exists, "the run is under way")
        single.until(lambda: shell.runs(RUNNING), "the store shows it")
        single.process.send_signal(signal.SIGKILL)
        single.ends()
    (shell.folder / "go").touch()
    shell.succeed(*SCRIPTED, "optimizer.lr=0.2", "resume=true")
    assert sorted(run.info.status for run in shell.runs()) == ["FINISHED", "KILLED"]
