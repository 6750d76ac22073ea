"""`resume=true` after runs that failed, and after the driver was killed."""

import json
import signal

from faults import ONE_PROCESS, SCRIPTED, Started, prepare


def test_failed_runs_are_trained_again(shell):
    prepare(shell.folder)
    command = ["-m", *SCRIPTED, "optimizer.lr=0.1,0.5", ONE_PROCESS]
    assert shell(*command).returncode == 1
    parts = shell.folder / "parts.py"
    parts.write_text(parts.read_text().replace("raise RuntimeError", "print"))
    shell.succeed(*command, "resume=true")
    assert [row["status"] for row in shell.results()] == ["reused", "finished"]


def test_what_a_killed_driver_left_open_is_closed_and_a_living_one_left_alone(shell):
    prepare(shell.folder)
    living = ["-m", *SCRIPTED, "optimizer.lr=0.23,0.231", ONE_PROCESS]
    command = ["-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.21"]

    def waiting(started, *rates):
        for rate in rates:
            started.until((shell.folder / f"waiting-{rate}").exists, f"run {rate} is under way")

    with (
        Started(shell, *living, name="living") as alive,
        Started(shell, *command, "hydra.launcher.n_jobs=2") as sweep,
    ):
        waiting(alive, "0.23")
        waiting(sweep, "0.2", "0.21")
        sweep.process.send_signal(signal.SIGKILL)
        sweep.ends()
        # The workers notice; otherwise they would train for nobody.
        sweep.leaves_nobody()
        for path in shell.folder.glob("outputs/sweeps/*/*/history.json"):
            json.loads(path.read_text())
        running = "attributes.status = 'RUNNING'"
        assert len(shell.runs(running)) == 2 + 3  # each with its parent run

        # Runs that start from now on do not wait; those of the living sweep still do.
        parts = shell.folder / "parts.py"
        parts.write_text(parts.read_text().replace("if 0.2 <= lr < 0.3", "if False"))
        shell.succeed(*command, "resume=true", ONE_PROCESS)
        assert [row["status"] for row in shell.results()] == ["reused", "finished", "finished"]
        still = {run.info.run_name for run in shell.runs(running)}
        assert len(still) == 2
        assert "batchnorm weight_std=0.1 optimizer.lr=0.23 seed=0" in still
        killed = shell.runs("attributes.status = 'KILLED'")
        assert len(killed) == 3
        assert {run.data.tags["bnsweep.status"] for run in killed} == {"killed"}

        (shell.folder / "go").touch()
        assert alive.ends() == 0, alive.text
    assert not shell.runs(running)
