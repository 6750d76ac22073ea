"""The store does what it is asked, and its answer does not arrive, or too late.

Whoever asks again then gets a run twice, or leaves one open that nobody knows.
"""

import pytest
from faults import (
    LOSSES,
    ONE_PROCESS,
    SMALL,
    Gate,
    check_whole,
    every,
    put_database,
    the_first,
)

SWEEP = ("-m", *SMALL, "tracking.weights=false", "optimizer.lr=0.1,0.05,0.02")


@pytest.fixture
def gate(server):
    with Gate(server.uri) as gate:
        yield gate


def check(shell, server, gate, experiment, done):
    """Check that nothing is there twice or open, and that the exit status says what is missing."""
    runs = server.runs(experiment)
    parents = [run for run in runs if run.data.tags["bnsweep.role"] == "sweep"]
    assert len(parents) == 1
    fingerprints = [run.data.tags.get("bnsweep.fingerprint") for run in runs]
    if done.returncode == 0 or parents[0].info.status == "FINISHED":
        assert [run.info.status for run in runs] == ["FINISHED"] * 4, done.stderr
        assert len(set(fingerprints)) == 4
    if done.returncode != 0:
        assert done.returncode == 1
        assert "not in the store" in done.stderr
        assert "resume=true" in done.stderr
    trained = {
        path: path.read_bytes() for path in shell.folder.glob("outputs/sweeps/*/*/history.json")
    }
    assert len(trained) == 3

    # Once answers arrive, the store has everything, once.
    gate.mode = "open"
    store = (f"tracking.uri={gate.uri}", f"tracking.experiment={experiment}")
    shell.succeed(*SWEEP, ONE_PROCESS, *store, "resume=true")
    parent = check_whole(server.runs(experiment), 3)
    assert parent.info.run_id == parents[0].info.run_id
    assert {path: path.read_bytes() for path in trained} == trained


@pytest.mark.parametrize("mode", LOSSES)
@pytest.mark.parametrize("nth", [2, 3, 5])
def test_of_every_few_answers_one_is_lost(shell, server, gate, mode, nth):
    put_database(shell.folder)
    experiment = f"{mode} {nth}"
    # The experiment is there: only a store that answers may refuse to begin.
    shell.succeed(*SMALL, f"tracking.uri={server.uri}", f"tracking.experiment={experiment}")
    (single,) = server.runs(experiment)
    delete(server, single)
    gate.picks, gate.mode = every(nth, "POST"), mode
    store = (f"tracking.uri={gate.uri}", f"tracking.experiment={experiment}")
    done = shell(*SWEEP, "hydra.launcher.n_jobs=2", *store)
    print(f"{gate.lost} answers lost, exit status {done.returncode}\n{done.stderr}")
    assert gate.lost, done.stderr
    if done.returncode == 2:
        # Not even the sweep's own run could be made for sure: nothing was trained.
        assert nth == 2
        assert not list(shell.folder.glob("outputs/sweeps/*/*/run.json"))
        return
    check(shell, server, gate, experiment, done)


def delete(server, run):
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=server.uri).delete_run(run.info.run_id)


@pytest.mark.parametrize("mode", LOSSES)
@pytest.mark.parametrize("told", ["/runs/create", "/sweep.json"])
def test_a_sweep_whose_beginning_is_not_confirmed_goes_on_as_one(shell, server, gate, mode, told):
    """The store has made its own run, or has its plan, and has not been heard to say so."""
    put_database(shell.folder)
    experiment = f"{told} {mode}".strip("/").replace("/", "_")
    gate.picks, gate.mode = the_first(told), mode
    store = (f"tracking.uri={gate.uri}", f"tracking.experiment='{experiment}'")
    done = shell(*SWEEP, ONE_PROCESS, *store)
    assert done.returncode == 0, done.stderr
    assert gate.lost == 1
    check(shell, server, gate, experiment, done)


def test_a_store_that_hangs_when_the_sweep_has_its_run_leaves_none_open(shell, server, gate):
    put_database(shell.folder)
    made = []

    def picks(method, path):
        if not path.endswith("runs/create"):
            return bool(made)
        made.append(path)
        return len(made) > 1

    gate.picks, gate.mode = picks, "hang"
    store = (f"tracking.uri={gate.uri}", "tracking.experiment=begun")
    done = shell(*SWEEP, ONE_PROCESS, *store)
    assert done.returncode == 2, done.stderr
    (message,) = done.stderr.splitlines()
    assert "resume=true" in message
    (begun,) = server.runs("begun")
    gate.mode = "open"
    shell.succeed(*SWEEP, ONE_PROCESS, *store, "resume=true")
    assert check_whole(server.runs("begun"), 3).info.run_id == begun.info.run_id
