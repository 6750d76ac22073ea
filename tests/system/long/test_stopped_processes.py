"""Processes are stopped (SIGSTOP), as by Ctrl-Z or when a laptop sleeps, and perhaps go on."""

import os
import signal
import time

import pytest
from faults import SCRIPTED, Started, check_whole, members, prepare, wait_until

SWEEP = ("-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.21,0.05", "hydra.launcher.n_jobs=2")
PATIENCE = 100  # seconds: it takes one or two on a machine that does nothing else
ASLEEP_SECONDS = 8  # the server closes its connections after five


@pytest.fixture
def shell(shell):
    prepare(shell.folder)
    return shell


def under_way(sweep, shell):
    """Wait until both workers are at work, and return them."""
    for rate in ("0.2", "0.21"):
        sweep.until((shell.folder / f"waiting-{rate}").exists, f"run {rate} is under way")
    first, second = sweep.workers
    return first, second


def files(shell):
    return {
        path: path.read_bytes()
        for path in shell.folder.glob("outputs/sweeps/**/*")
        if path.is_file()
    }


def test_a_worker_that_is_stopped_holds_up_no_ctrl_c(shell):
    with Started(shell, *SWEEP) as sweep:
        stopped, _ = under_way(sweep, shell)
        os.kill(stopped, signal.SIGSTOP)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.ends(PATIENCE) == 130, sweep.text
        sweep.leaves_nobody()
    statuses = [row["status"] for row in shell.results()]
    assert statuses == ["finished", "killed", "killed", "not started"]
    assert not shell.runs("attributes.status = 'RUNNING'")


def test_a_worker_that_is_stopped_while_its_driver_dies_ends_when_it_is_continued(shell):
    with Started(shell, *SWEEP) as sweep:
        stopped, other = under_way(sweep, shell)
        os.kill(stopped, signal.SIGSTOP)
        sweep.process.kill()
        sweep.ends()
        wait_until(lambda: other not in members(sweep.process.pid), "the other worker ends", 20)

        # It does not hold up the sweep. Runs that start from now on do not wait.
        parts = shell.folder / "parts.py"
        parts.write_text(parts.read_text().replace("if 0.2 <= lr < 0.3", "if False"))
        shell.succeed(*SWEEP, "resume=true")
        assert [row["status"] for row in shell.results()] == ["finished"] * 4
        before = files(shell)

        os.kill(stopped, signal.SIGCONT)
        sweep.leaves_nobody()
    assert files(shell) == before
    check_whole(shell.runs(), 4)


def test_a_sweep_that_is_stopped_for_a_while_and_continued_is_whole(shell, server):
    store = (f"tracking.uri={server.uri}", "tracking.experiment=stopped")
    with Started(shell, *SWEEP, *store) as sweep:
        under_way(sweep, shell)
        os.killpg(sweep.process.pid, signal.SIGSTOP)
        (shell.folder / "go").touch()
        time.sleep(ASLEEP_SECONDS)
        os.killpg(sweep.process.pid, signal.SIGCONT)
        assert sweep.ends() == 0, sweep.text
        sweep.leaves_nobody()
    assert "Traceback" not in sweep.text
    check_whole(server.runs("stopped"), 4)
    assert [row["status"] for row in shell.results()] == ["finished"] * 4
