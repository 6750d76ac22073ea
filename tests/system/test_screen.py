"""The screen of a program goes away: what it does goes on, and its exit status is true."""

import os
import subprocess

import pytest
from faults import (
    BNSWEEP,
    ONE_PROCESS,
    PATIENCE,
    SCRIPTED,
    Terminal,
    check_whole,
    prepare,
    wait_until,
)

SWEEP = ("-m", *SCRIPTED, "optimizer.lr=0.1,0.05,0.02")


@pytest.fixture
def shell(shell):
    prepare(shell.folder)
    return shell


def typed(shell, redirection, *arguments):
    """Run a command with its output sent somewhere by a shell; return its exit status."""
    redirection, bar, reader = redirection.partition("|")
    script = f'{{ "$@" {redirection}; echo $? > status; }} {bar} {reader}'
    subprocess.run(
        ["sh", "-c", script, "sh", *BNSWEEP, *arguments],
        cwd=shell.folder,
        env=shell.environment,
        timeout=PATIENCE,
        capture_output=True,
        check=True,
    )
    return int((shell.folder / "status").read_text())


def check_done(shell):
    """Check that a sweep of three runs has its report on disk, and all of it in the store."""
    assert [row["status"] for row in shell.results()] == ["finished"] * 3
    (summary,) = shell.folder.glob("outputs/sweeps/*/summary.md")
    assert "3 finished" in summary.read_text()
    check_whole(shell.runs(), 3)


@pytest.mark.parametrize(
    ("redirection", "options"),
    [("2>&1 | true", ["hydra.launcher.n_jobs=2"]), ("> /dev/full 2>&-", [ONE_PROCESS])],
    ids=["pipe", "disk"],
)
def test_a_sweep_outlives_its_screen(shell, redirection, options):
    """A pipe that nobody reads; a full disk, and no place for messages at all."""
    assert typed(shell, redirection, *SWEEP, *options) == 0
    check_done(shell)


def test_a_sweep_outlives_its_terminal(shell):
    """Started with nohup, as a person does who then closes the window."""
    arguments = ("-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.02", ONE_PROCESS)
    with Terminal(shell, *arguments) as terminal:

        def under_way():
            assert terminal.process.poll() is None, terminal.screen
            return terminal.shows("1/3 runs") and (shell.folder / "waiting-0.2").exists()

        wait_until(under_way, "the sweep is under way and shows it")
        os.close(terminal.end)
        (shell.folder / "go").touch()
        assert terminal.process.wait(PATIENCE) == 0
    check_done(shell)


def test_a_run_that_takes_a_while_shows_on_a_terminal_how_far_it_is(shell):
    with Terminal(shell, *SCRIPTED, "optimizer.lr=0.2", "tracking=none") as terminal:

        def under_way():
            assert terminal.process.poll() is None, terminal.screen
            return terminal.shows("1/3 epochs, ") and terminal.shows(", train loss ")

        wait_until(under_way, "the run is under way and shows it")
        (shell.folder / "go").touch()
        wait_until(lambda: terminal.shows("results: outputs/runs/"), "the run ends")
        assert terminal.shows("3/3 epochs, done in ")
        assert terminal.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("redirection", ["2>&-", ">&-", "> /dev/full 2>&1"])
def test_a_run_that_fails_says_so_by_its_status_without_a_screen(shell, redirection):
    """Nor do its messages go into the file that would be opened in the place of the screen."""
    arguments = (*SCRIPTED, "optimizer.lr=0.5", "tracking=none")
    assert typed(shell, redirection, *arguments) == 1
    (run,) = shell.folder.glob("outputs/runs/*")
    assert '"status":"failed"' in (run / "history.json").read_text()
    files = [path for path in shell.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"bnsweep: the run failed" in path.read_bytes()]


def test_the_help_can_be_cut_short(shell):
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -1; exit ${PIPESTATUS[0]}', "bash", *BNSWEEP, "--help"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
