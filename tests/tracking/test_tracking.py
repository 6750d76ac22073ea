"""The tracker against a real SQLite store, and the redaction of URIs."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from bnsweep.tracking.mlflow_tracker import MlflowTracker

from bnsweep.data.datasets import digits
from bnsweep.records import RunResult, RunSpec, curves_of
from bnsweep.redact import has_secret, without_secret, without_secrets
from bnsweep.tracking import processes, run_log

CONFIG = {
    "data": {"_target_": "d", "train_size": 10},
    "model": {"_target_": "m", "hidden_sizes": [3, 4]},
    "optimizer": {"_target_": "o", "lr": 0.1},
    "training": {"epochs": 2},
    "weight_std": 0.01,
    "seed": 0,
    "dtype": "float32",
}
OPTIONS = {"model": "plain", "optimizer": "sgd", "data": "digits"}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    tracker = MlflowTracker(
        uri=None, experiment="unit", output_dir=str(tmp_path_factory.mktemp("store"))
    )
    tracker.prepare()
    return tracker


def wait_until(true, what):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.02)


def start(tracker, folder, *, fingerprint, parent=None, swept=("weight_std", "model")):
    leaves = {"weight_std": 0.01, "model": "plain"}
    spec = RunSpec(CONFIG, OPTIONS, fingerprint, swept={key: leaves[key] for key in swept})
    return tracker.start_run(spec, parent=parent, dataset=None, folder=folder)


def measured(loss):
    return {
        "train_loss": loss,
        "train_accuracy": 0.5,
        "test_loss": loss,
        "test_accuracy": 0.25,
    }


def finish(log, folder, status="finished", losses=(2.0, 1.0)):
    epochs = [measured(loss) for loss in losses]
    for epoch, measurements in enumerate(epochs):
        log.epoch(epoch, measurements)
    spec = RunSpec(CONFIG, OPTIONS, "")
    log.end(RunResult(spec, status, curves_of(epochs), train_seconds=3.0), folder)
    return tracker_run(log)


def die(log):
    """End a run as if its process had been killed."""
    log._over.set()
    log._sender.join()


def tracker_run(log):
    return log._client.get_run(log.run_id)


def test_a_run_is_recorded_under_its_published_names(tracker, tmp_path):
    (tmp_path / "history.json").write_text("{}")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.png").write_bytes(b"")
    log = start(tracker, tmp_path, fingerprint="f0")
    run = finish(log, tmp_path, losses=(2.0, float("nan")), status="diverged")
    assert log.complete
    assert run.info.status == "FINISHED"
    assert run.data.params["model.hidden_sizes"] == "[3, 4]"
    assert run.data.params["model"] == "plain"
    assert not [key for key in run.data.params if "_target_" in key]
    assert run.data.tags["bnsweep.status"] == "diverged"
    assert run.data.metrics["weight_std"] == 0.01  # swept, and a number
    assert run.data.metrics["diverged"] == 1
    steps = [p.step for p in tracker.client.get_metric_history(log.run_id, "train_loss")]
    assert steps == [0]  # what is not finite is left out
    names = {item.path for item in tracker.client.list_artifacts(log.run_id)}
    assert names == {"history.json", "figures"}


def test_a_thousand_finished_runs_cost_a_handful_of_queries(tracker, monkeypatch):
    experiment = int(tracker.experiment_id)
    with sqlite3.connect(tracker.uri.removeprefix("sqlite:///")) as database:
        for n in range(1000):
            database.execute(
                "INSERT INTO runs (run_uuid, name, status, lifecycle_stage, experiment_id,"
                " artifact_uri, start_time, source_type, user_id)"
                " VALUES (?, 'r', 'FINISHED', 'active', ?, 'file:///nowhere', ?, 'LOCAL', '')",
                (f"run{n}", experiment, n),
            )
            tags = {"role": "run", "status": "finished", "fingerprint": f"fingerprint{n}"}
            for key, value in tags.items():
                database.execute(
                    "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                    (f"bnsweep.{key}", value, f"run{n}"),
                )
    calls = []
    search = tracker.client.search_runs
    monkeypatch.setattr(
        tracker.client, "search_runs", lambda *a, **k: calls.append(a) or search(*a, **k)
    )
    runs = tracker.complete_runs()
    assert runs["fingerprint999"].run_id == "run999"
    assert len([key for key in runs if key.startswith("fingerprint")]) == 1000
    assert len(calls) <= 3


@pytest.mark.parametrize("epochs", [2, 150])
def test_a_short_run_costs_few_calls_to_the_store(tracker, tmp_path, monkeypatch, epochs):
    parent = tracker.start_sweep("a sweep", {})
    finish(start(tracker, tmp_path, fingerprint="first", parent=parent), tmp_path)
    store = type(tracker.client._tracking_client.store)
    calls = []
    for name in vars(store):
        if name.startswith(("create_", "log_", "set_", "update_", "get_", "search_")):
            original = getattr(store, name)

            def counted(*args, original=original, name=name, **kwargs):
                calls.append(name)
                return original(*args, **kwargs)

            monkeypatch.setattr(store, name, counted)
    for name in ("config.yaml", "history.json", "weights.npz"):
        (tmp_path / name).write_text("{}")
    log = start(tracker, tmp_path, fingerprint="counted", parent=parent)
    finish(log, tmp_path, losses=[1.0] * epochs)
    log_calls = calls[: calls.index("get_run", calls.index("update_run_info"))]
    assert log_calls.count("create_run") == log_calls.count("update_run_info") == 1
    # One with the parameters, one with all metrics and the outcome.
    assert log_calls.count("log_batch") == 2
    assert len(log_calls) <= 10, log_calls


def test_only_complete_runs_count_as_done(tracker, tmp_path):
    finish(start(tracker, tmp_path, fingerprint="done"), tmp_path)
    finish(start(tracker, tmp_path, fingerprint="broken"), tmp_path, status="failed")
    start(tracker, tmp_path, fingerprint="open")
    assert {"done", "broken", "open"} & set(tracker.complete_runs()) == {"done"}


def test_open_runs_of_a_sweep_are_closed_or_replaced(tracker, tmp_path):
    parent = tracker.start_sweep("a sweep", {})
    folders = {name: tmp_path / name for name in ("whole", "half", "again")}
    logs = {n: start(tracker, f, fingerprint=n, parent=parent) for n, f in folders.items()}
    finish(logs["whole"], tmp_path)
    for name in ("half", "again"):
        die(logs[name])
    whole, partial = tracker.close_children(parent, replaced={str(folders["again"])})
    assert whole == {str(folders["whole"]): logs["whole"].run_id}
    assert partial == {str(folders["half"]): logs["half"].run_id}
    assert tracker_run(logs["half"]).info.status == "KILLED"
    assert tracker_run(logs["again"]).info.lifecycle_stage == "deleted"


def test_sweeps_of_dead_drivers_are_closed_and_no_others(tracker, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    parents = {
        name: tracker.start_sweep(name, tags)
        for name, tags in {
            "mine": {},
            "dead": {"bnsweep.pid": f"{dead.pid} 1"},
            "id was reused": {"bnsweep.pid": f"{os.getpid()} 1"},
            "elsewhere": {"bnsweep.pid": f"{dead.pid} 1", "bnsweep.host": f"not-{host}"},
        }.items()
    }
    child = start(tracker, tmp_path, fingerprint="orphan", parent=parents["dead"])
    busy = start(tracker, tmp_path, fingerprint="busy", parent=parents["mine"])
    tracker.close_dead_sweeps()
    states = {name: tracker.client.get_run(id_).info.status for name, id_ in parents.items()}
    assert states == {
        "mine": "RUNNING",
        "dead": "KILLED",
        "id was reused": "KILLED",
        "elsewhere": "RUNNING",
    }
    assert tracker_run(child).info.status == "KILLED"
    assert tracker_run(busy).info.status == "RUNNING"


def test_runs_that_a_closed_sweep_left_open_are_closed(tracker, tmp_path):
    # The store came back in time for the end of the parent, but not of the run.
    parent = tracker.start_sweep("a sweep", {})
    child = start(tracker, tmp_path, fingerprint="late", parent=parent)
    tracker.end_sweep(parent, status="finished", counts={}, note="", folder=tmp_path)
    tracker.close_dead_sweeps()
    assert tracker_run(child).info.status == "KILLED"


def test_a_run_can_be_watched_while_it_goes_on(tracker, tmp_path):
    log = start(tracker, tmp_path, fingerprint="watched")
    log.epoch(0, measured(2.0))

    def seen():
        metrics = tracker_run(log).data.metrics
        return metrics.get("train_loss") == 2.0 and metrics.get("weight_std") == 0.01

    wait_until(seen, "the first epoch is there")
    assert tracker_run(log).info.status == "RUNNING"
    finish(log, tmp_path)


def test_an_experiment_may_be_named_by_a_number(tracker):
    other = MlflowTracker(uri=tracker.uri, experiment=500, output_dir="unused")
    other.prepare()
    assert tracker.client.get_experiment_by_name("500").experiment_id == other.experiment_id


def test_this_process_is_alive():
    assert not processes.is_dead(processes.here())


def test_a_store_that_failed_is_left_alone_for_a_while(tmp_path, monkeypatch, caplog):
    class Broken:
        calls = 0

        def log_batch(self, *_, **__):
            self.calls += 1
            raise OSError("http://user:password@host/ is away")

    monkeypatch.setattr(run_log, "FLUSH_SECONDS", 0.01)
    client = Broken()
    log = run_log.RunLog(client, "http://user:password@host", "id")
    finish_quietly = RunResult(RunSpec(CONFIG, OPTIONS, ""), "finished")
    for epoch in range(3):
        log.epoch(epoch, measured(1.0))
        wait_until(lambda: client.calls, "the store has failed")
    log.end(finish_quietly, tmp_path)
    assert client.calls == 1
    assert not log.complete
    assert run_log.Outage.lasts("http://user:password@host")
    assert "http://host" in caplog.text
    assert "password" not in caplog.text
    run_log.Outage.end("http://user:password@host")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:pw@host:5000/path", "http://host:5000/path"),
        ("http://token@host", "http://host"),
        ("https://host/api?token=pw", "https://host/api"),
        ("postgresql+psycopg2://user:p@w/pw@host/db", "postgresql+psycopg2://host/db"),
        ("postgresql://host/db?password=pw", "postgresql://host/db"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////a b/mlflow.db", "sqlite:////a b/mlflow.db"),
    ],
)
def test_what_is_shown_of_a_uri_holds_no_secret(uri, shown):
    assert without_secret(uri) == shown
    assert has_secret(uri) == (uri != shown)
    assert without_secrets(f"cannot reach '{uri}' (refused)") == f"cannot reach '{shown}' (refused)"


def test_runs_that_bring_new_data_at_the_same_moment_all_name_them(tracker, tmp_path):
    for turn in range(4):
        data = digits(train_size=100 + turn, test_size=10)
        gate = threading.Barrier(6)

        def begin(number, turn=turn, data=data, gate=gate):
            gate.wait()
            spec = RunSpec(CONFIG, OPTIONS, f"data {turn} {number}")
            return tracker.start_run(spec, parent=None, dataset=data, folder=tmp_path)

        with ThreadPoolExecutor(6) as pool:
            logs = list(pool.map(begin, range(6)))
        for log in logs:
            (named,) = tracker_run(log).inputs.dataset_inputs
            assert named.dataset.name == "digits"
