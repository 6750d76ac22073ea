"""Ctrl-C, SIGTERM and SIGHUP close the runs under way within seconds and leave no process."""

import csv
import os
import signal

import pytest
from faults import (
    ONE_PROCESS,
    SCRIPTED,
    Gate,
    Started,
    check_whole,
    prepare,
    wait_until,
)

PATIENCE = 100  # seconds: it takes one or two on a machine that does nothing else


@pytest.fixture
def shell(shell):
    prepare(shell.folder)
    return shell


def ctrl_c(process):
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group


def sigint(process):
    process.send_signal(signal.SIGINT)


def sigterm(process):
    process.send_signal(signal.SIGTERM)


def sigterm_to_all(process):
    os.killpg(process.pid, signal.SIGTERM)  # as a scheduler or a container does


def sighup(process):
    process.send_signal(signal.SIGHUP)


def hang_up(process):
    os.killpg(process.pid, signal.SIGHUP)  # as a terminal that is closed


def waiting(started, shell, *rates):
    def all_wait():
        return all((shell.folder / f"waiting-{rate}").exists() for rate in rates)

    started.until(all_wait, f"runs {rates} are under way")


@pytest.mark.parametrize(
    ("end", "launcher"),
    [
        (ctrl_c, "local"),
        (sigterm, "local"),
        (sigterm_to_all, "local"),
        (sigint, "basic"),
        (hang_up, "local"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_an_interrupted_sweep_is_closed_with_its_report(shell, end, launcher):
    rates = ["0.2", "0.21"] if launcher == "local" else ["0.2"]
    options = ["hydra.launcher.n_jobs=2"] if launcher == "local" else [ONE_PROCESS]
    with Started(shell, "-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.21,0.22", *options) as sweep:
        waiting(sweep, shell, *rates)
        end(sweep.process)
        assert sweep.ends(PATIENCE) == 130, sweep.text
        sweep.leaves_nobody()
    under_way = {1: "1 of 4 runs was interrupted, 2 were", 2: "2 of 4 runs were interrupted, 1 was"}
    assert f"bnsweep: {under_way[len(rates)]} not started; " in sweep.text
    assert "resume=true" in sweep.text
    assert "Traceback" not in sweep.text
    (parent,) = shell.runs("tags.`bnsweep.role` = 'sweep'")
    runs = {
        run.data.params["optimizer.lr"]: run
        for run in shell.runs()
        if run.data.tags["bnsweep.role"] == "run"
    }
    assert {rate: run.info.status for rate, run in runs.items()} == {
        "0.1": "FINISHED",
        **dict.fromkeys(rates, "KILLED"),
    }
    assert runs["0.2"].data.tags["bnsweep.status"] == "killed"
    assert parent.info.status == "KILLED"
    counts = {key: value for key, value in parent.data.metrics.items() if value}
    assert counts == {
        "runs_total": 4,
        "runs_finished": 1,
        "runs_killed": len(rates),
        "runs_not_started": 3 - len(rates),
    }
    (table,) = shell.folder.glob("outputs/sweeps/*/results.csv")
    rows = list(csv.DictReader(table.open()))
    left = [*["killed"] * len(rates), "not started", "not started"]
    assert [row["status"] for row in rows] == ["finished", *left[:3]]


def test_a_sweep_with_nohup_outlives_a_hang_up(shell):
    options = ["optimizer.lr=0.1,0.2,0.21", "hydra.launcher.n_jobs=2"]
    with Started(shell, "-m", *SCRIPTED, *options, before=["nohup"]) as sweep:
        waiting(sweep, shell, "0.2", "0.21")
        hang_up(sweep.process)
        (shell.folder / "go").touch()
        assert sweep.ends(PATIENCE) == 0, sweep.text
    check_whole(shell.runs(), 3)


@pytest.mark.parametrize("end", [sigterm, sighup])
def test_an_interrupted_single_run_ends_as_killed(shell, end):
    with Started(shell, *SCRIPTED, "optimizer.lr=0.2") as single:
        waiting(single, shell, "0.2")
        end(single.process)
        assert single.ends() == 130, single.text
    (run,) = shell.runs()
    assert run.info.status == "KILLED"
    assert run.data.tags["bnsweep.status"] == "killed"


def test_a_second_ctrl_c_ends_at_once(shell, server):
    with Gate(server.uri) as gate:
        arguments = ["-m", *SCRIPTED, "optimizer.lr=0.2,0.21", f"tracking.uri={gate.uri}"]
        with Started(shell, *arguments, MLFLOW_HTTP_REQUEST_TIMEOUT="1000") as sweep:
            waiting(sweep, shell, "0.2", "0.21")
            gate.mode = "hang"
            ctrl_c(sweep.process)
            # The sweep cannot be closed while the store hangs.
            wait_until(lambda: gate.stopped, "the driver asks the store")
            ctrl_c(sweep.process)
            assert sweep.ends(60) == 130
            sweep.leaves_nobody()
