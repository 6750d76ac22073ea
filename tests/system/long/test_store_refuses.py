"""The store answers, and refuses: some requests, all of them, or what belongs to a deleted run."""

import json

import pytest
from faults import (
    ONE_PROCESS,
    SCRIPTED,
    SMALL,
    Gate,
    Started,
    check_whole,
    every,
    prepare,
    put_database,
)
from mlflow import MlflowClient

RATES = ("0.1", "0.2", *(f"0.0{n}" for n in range(1, 9)))
HELD = ("-m", *SCRIPTED, "tracking.weights=false", f"optimizer.lr={','.join(RATES)}")
MOST_LINES = 6  # about the store, however many runs a sweep has


@pytest.fixture
def gate(server):
    with Gate(server.uri) as gate:
        yield gate


def store(uri, experiment):
    return (f"tracking.uri={uri}", f"tracking.experiment={experiment}")


def histories(shell):
    return {
        path: path.read_bytes() for path in shell.folder.glob("outputs/sweeps/*/*/history.json")
    }


def check_told(text):
    """Check that the program says what is the matter in a few lines, without a traceback."""
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if "WARNING" in line or "bnsweep: " in line]
    assert len(lines) <= MOST_LINES, text


def goes_on_without(shell, arguments, change):
    """Start a sweep, let `change` happen to its store, and return its folder and what it prints.

    One run is over by then, one is under way, and the others have not started.
    """
    with Started(shell, *arguments, ONE_PROCESS) as sweep:
        sweep.until((shell.folder / "waiting-0.2").exists, "the second run is under way")
        change()
        (shell.folder / "go").touch()
        assert sweep.ends() == 1, sweep.text
        sweep.leaves_nobody()
    check_told(sweep.text)
    assert "resume=true" in sweep.text
    trained = histories(shell)
    assert [json.loads(content)["status"] for content in trained.values()] == ["finished"] * len(
        RATES
    )
    assert [row["status"] for row in shell.results()] == ["finished"] * len(RATES)
    (folder,) = shell.folder.glob("outputs/sweeps/*")
    assert (folder / "summary.md").exists()
    return sweep.text


@pytest.mark.parametrize("mode", ["401", "403", "429"])
def test_a_store_that_refuses_from_the_start_is_told_at_once(shell, mode):
    with Gate("http://127.0.0.1:9") as gate:
        gate.mode = mode
        for sweep in ([], ["-m"]):
            done = shell(*sweep, *SMALL, f"tracking.uri={gate.uri}")
            assert done.returncode == 2
            (message,) = done.stderr.splitlines()
            assert gate.uri in message
            assert mode in message
    assert not list(shell.folder.glob("outputs/*s"))  # no sweeps, no runs


@pytest.mark.parametrize("method", ["POST", "any"])
def test_a_store_that_refuses_every_fourth_request_gets_everything_once(
    shell, server, gate, method
):
    put_database(shell.folder)
    gate.picks, gate.mode = every(4, method.replace("any", "")), "429"
    done = shell("-m", *SMALL, "optimizer.lr=0.1,0.05,0.02", *store(gate.uri, f"busy-{method}"))
    assert gate.stopped > 2
    assert done.returncode == 0, done.stderr
    check_told(done.stderr)
    runs = server.runs(f"busy-{method}")
    check_whole(runs, 3)
    for run in runs:
        if run.data.tags["bnsweep.role"] == "run":
            assert run.data.metrics["epochs_run"] == 3


@pytest.mark.parametrize("mode", ["403", "html"])
def test_a_store_that_begins_to_refuse_costs_no_run(shell, server, gate, mode):
    """As when a login expires: 403, or the page to log in where an answer should be."""
    prepare(shell.folder)
    arguments = (*HELD, *store(gate.uri, f"refuses-{mode}"))
    text = goes_on_without(shell, arguments, lambda: setattr(gate, "mode", mode))
    assert f"{len(RATES) - 1} of {len(RATES)} runs are not in the store" in text
    trained = histories(shell)
    gate.mode = "open"
    shell.succeed(*arguments, ONE_PROCESS, "resume=true")
    assert histories(shell) == trained
    check_whole(server.runs(f"refuses-{mode}"), len(RATES))


def test_a_sweep_whose_own_run_is_deleted_costs_no_run(shell, server):
    prepare(shell.folder)
    arguments = (*HELD, *store(server.uri, "parent-deleted"))
    client = MlflowClient(tracking_uri=server.uri)

    def delete():
        (parent,) = server.runs("parent-deleted", "tags.`bnsweep.role` = 'sweep'")
        client.delete_run(parent.info.run_id)

    goes_on_without(shell, arguments, delete)
    trained = histories(shell)
    shell.succeed(*arguments, ONE_PROCESS, "resume=true")
    assert histories(shell) == trained
    check_whole(server.runs("parent-deleted"), len(RATES))


def test_an_experiment_that_is_deleted_costs_no_run(shell, server):
    prepare(shell.folder)
    arguments = (*HELD, *store(server.uri, "experiment-deleted"))
    client = MlflowClient(tracking_uri=server.uri)
    found = []

    def delete():
        found.append(client.get_experiment_by_name("experiment-deleted").experiment_id)
        client.delete_experiment(found[0])

    goes_on_without(shell, arguments, delete)
    trained = histories(shell)
    done = shell(*arguments, ONE_PROCESS, "resume=true")
    assert done.returncode == 2
    (message,) = done.stderr.splitlines()
    assert "tracking.experiment=experiment-deleted: was deleted" in message
    # Restored, as the message says, it gets what it lacks.
    client.restore_experiment(found[0])
    shell.succeed(*arguments, ONE_PROCESS, "resume=true")
    assert histories(shell) == trained
    check_whole(server.runs("experiment-deleted"), len(RATES))
