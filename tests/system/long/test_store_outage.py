"""The tracking server is away: at the start, in the middle, for a while or forever."""

import json
import time

import pytest
from faults import SCRIPTED, SMALL, Gate, Started, free_port, prepare, wait_until

HELD = [*SCRIPTED, "optimizer.lr=0.1,0.2,0.21", "hydra.launcher.n_jobs=2"]
BOUND = 400  # seconds: about forty on a machine that does nothing else


@pytest.fixture
def shell(shell):
    prepare(shell.folder)
    return shell


def under_way(sweep, shell, server, experiment):
    """Wait until one run is complete in the store and two are held in their second epoch."""
    for rate in ("0.2", "0.21"):
        sweep.until((shell.folder / f"waiting-{rate}").exists, "runs are under way")
    sweep.until(lambda: ended(server, experiment), "one run is over")


def ended(server, experiment):
    runs = server.runs(experiment, "tags.`bnsweep.role` = 'run'")
    return [run for run in runs if run.info.status == "FINISHED"]


def histories(shell):
    """Return the status and the training time of each run on disk."""
    texts = [path.read_text() for path in shell.folder.glob("outputs/sweeps/*/*/history.json")]
    return [(json.loads(text)["status"], json.loads(text)["train_seconds"]) for text in texts]


@pytest.mark.parametrize("mode", ["absent", "hang", "500"])
def test_a_store_that_is_away_at_the_start_is_told_at_once(shell, mode):
    with Gate("http://127.0.0.1:9") as gate:
        gate.mode = mode
        uri = gate.uri if mode != "absent" else f"http://127.0.0.1:{free_port()}"
        for sweep in ([], ["-m"]):
            before = time.monotonic()
            done = shell(*sweep, *SMALL, f"tracking.uri={uri}")
            assert time.monotonic() - before < 120
            assert done.returncode == 2
            (message,) = done.stderr.splitlines()
            assert uri in message
            assert "cannot be used" in message
    assert not list(shell.folder.glob("outputs/*s"))  # no sweeps, no runs


@pytest.mark.parametrize("mode", ["hang", "500"])
def test_a_store_that_hangs_or_fails_in_the_middle_costs_no_run(shell, server, mode):
    with Gate(server.uri) as gate:
        store = [f"tracking.uri={gate.uri}", f"tracking.experiment={mode}"]
        with Started(shell, "-m", *HELD, *store) as sweep:
            under_way(sweep, shell, server, mode)
            gate.mode = mode
            (shell.folder / "go").touch()
            before = time.monotonic()
            assert sweep.ends(BOUND) == 1, sweep.text
            print(f"{mode}: {time.monotonic() - before:.0f} s")
        assert "2 of 3 runs are not in the store" in sweep.text
        assert "resume=true" in sweep.text
        trained = histories(shell)
        assert [status for status, _ in trained] == ["finished"] * 3

        gate.mode = "open"
        done = shell("-m", *HELD, *store, "resume=true")
        assert done.returncode == 0, done.stderr
        assert sorted(histories(shell)) == sorted(trained)  # nothing was trained again
        runs = ended(server, mode)
        assert len(runs) == 3
        assert {run.data.metrics["train_seconds"] for run in runs} == {
            float(f"{seconds:.4g}") for _, seconds in trained
        }
        assert not server.runs(mode, "attributes.status = 'RUNNING'")


def test_a_server_that_is_killed_and_started_again_lacks_nothing_in_the_end(shell, server):
    store = [f"tracking.uri={server.uri}", "tracking.experiment=restart"]
    with Started(shell, "-m", *HELD, *store) as sweep:
        under_way(sweep, shell, server, "restart")
        server.kill()
        (shell.folder / "go").touch()
        wait_until(lambda: len(histories(shell)) == 3, "the training goes on")
        server.start()
        status = sweep.ends(BOUND)
    if status == 1:
        # The sweep ended before the server was back.
        assert "resume=true" in sweep.text
        done = shell("-m", *HELD, *store, "resume=true")
        assert done.returncode == 0, done.stderr
    assert len(ended(server, "restart")) == 3
    client_runs = server.runs("restart", "tags.`bnsweep.role` = 'run'")
    for run in ended(server, "restart"):
        assert run.data.metrics["epochs_run"] == 3
    assert not [run for run in client_runs if run.info.status == "RUNNING"]
