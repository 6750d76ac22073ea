"""Store and recorder with a real SQLite store, errors of a real server, and redacted URIs."""

import contextlib
import http.server
import json
import math
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import measured, result

from bnsweep.errors import StoreRefused, StoreUnreachable, TrackingError
from bnsweep.records import LOCK_FILE, Attempt, RunFolder, RunSpec, SweepPlan
from bnsweep.records.colors import MODEL_COLORS
from bnsweep.redact import has_secret, without_secrets
from bnsweep.sweep.places import ANY
from bnsweep.sweep.resume import EarlierRuns
from bnsweep.tracking.recorder import Recorder
from bnsweep.tracking.store import Point, Store

CONFIG = {
    "data": {"_target_": "d", "train_size": 10},
    "model": {"_target_": "m", "hidden_sizes": [3, 4]},
    "optimizer": {"_target_": "o", "lr": 0.1},
    "training": {"epochs": 2},
    "weight_std": 0.01,
    "seed": 0,
    "dtype": "float32",
}
SPEC = RunSpec(
    CONFIG,
    {"model": "plain", "optimizer": "sgd", "data": "digits"},
    "mark",
    data={"name": "digits", "digest": "0123456789", "train_samples": 10, "classes": 3},
    swept={"weight_std": 0.01, "model": "plain"},
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(uri=None, experiment="unit", output_dir=str(tmp_path_factory.mktemp("store")))
    store.prepare()
    return store


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "0")


def marked(fingerprint, **fields):
    return replace(SPEC, fingerprint=fingerprint, **fields)


def start(folder, spec=SPEC, losses=()):
    begun = folder.begin(spec)
    for number, loss in enumerate(losses):
        folder.append(begun.id, number, measured(0.5, 0.25) | {"train_loss": loss})
    return begun


def end(folder, spec=SPEC, losses=(2.0, 1.0), status="finished"):
    """Let a run begin and end; return its attempt."""
    begun = start(folder, spec, losses)
    outcome = result([0.5] * len(losses), gap=0.25, status=status)
    times = {"started": begun.started, "ended": begun.started + 60}
    folder.finish(replace(outcome, spec=spec, attempt=begun.id, **times))
    return begun


def recorded(store, folder, **kwargs):
    """Bring a folder to the store; return the run there."""
    recorder = Recorder(store, [folder.path], **kwargs)
    recorder.look()
    assert recorder.missing == 0
    return run_of(store, recorder.run_ids[folder.path])


def run_of(store, run_id):
    return store.client.get_run(run_id)


def history(store, run, name):
    """Return the steps, values and times of a metric."""
    points = store.client.get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value, point.timestamp) for point in points)


def milliseconds(seconds):
    return round(seconds * 1000)


def open_sweep(store, folder, *specs):
    folder.mkdir(exist_ok=True)
    plan = SweepPlan(tuple(specs), ("seed",))
    plan = replace(plan, parent=store.open_sweep(plan, folder))
    plan.write(folder)
    return plan


def fetched(store, run, place, *names):
    """Return the content of those files of a run that the store has, by their names."""
    place = place / "fetched"
    place.mkdir()
    store.fetch(run.info.run_id, place, names)
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_a_run_is_recorded_under_its_published_names(store, folder, tmp_path):
    begun = end(folder, losses=(2.0, math.nan), status="diverged")
    for name in ("config.yaml", "weights.npz", "run.log"):
        (folder.path / name).write_text("{}")
    (folder.path / "figures").mkdir()
    (folder.path / "figures" / "a.png").write_bytes(b"")
    run = recorded(store, folder)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == SPEC.name
    assert run.data.params["model.hidden_sizes"] == "[3,4]"  # as it is typed
    assert run.data.params["model"] == "plain"
    assert not [key for key in run.data.params if "_target_" in key]
    assert run.data.tags["bnsweep.role"] == "run"
    assert run.data.tags["bnsweep.status"] == "diverged"
    assert run.data.tags["bnsweep.attempt"] == begun.id
    assert run.data.tags["bnsweep.folder"] == str(folder.path)
    assert "Diverged in epoch 1" in run.data.tags["mlflow.note.content"]
    assert run.data.tags["mlflow.runColor"] == MODEL_COLORS["plain"]  # as in the figures
    assert run.data.metrics["weight_std"] == 0.01  # swept, and a number
    assert run.data.metrics["diverged"] == 1
    # Epoch 1 is not finite, and a latest loss would be that of the untrained network.
    assert "train_loss" not in run.data.metrics
    names = {item.path for item in store.client.list_artifacts(run.info.run_id)}
    assert names == {"config.yaml", "history.json", "weights.npz", "figures"}
    files = fetched(store, run, tmp_path, "config.yaml", "history.json", "error.txt")
    assert files == {
        name: (folder.path / name).read_bytes() for name in ("config.yaml", "history.json")
    }


def test_the_times_in_the_store_are_those_of_the_files(store, folder):
    begun = end(folder)
    run = recorded(store, folder)
    assert run.info.start_time == milliseconds(begun.started)
    assert run.info.end_time == milliseconds(begun.started + 60)
    epochs, _ = folder.epochs(begun.id)
    assert history(store, run, "train_loss") == [
        (0, 2.0, milliseconds(epochs[0].time)),
        (1, 1.0, milliseconds(epochs[1].time)),
    ]
    ((step, _, moment),) = history(store, run, "final_train_accuracy")
    assert (step, moment) == (0, milliseconds(begun.started + 60))
    ((step, _, moment),) = history(store, run, "weight_std")
    assert (step, moment) == (0, milliseconds(begun.started))


def test_a_run_can_be_watched_while_it_goes_on(store, folder):
    recorder = Recorder(store, [folder.path])
    start(folder, losses=[2.0, 1.5])
    recorder.look()
    run = run_of(store, recorder.run_ids[folder.path])
    assert run.info.status == "RUNNING"
    assert run.data.metrics["train_loss"] == 1.5
    assert run.data.metrics["weight_std"] == 0.01
    assert run.data.params["optimizer.lr"] == "0.1"
    (found,) = store.runs(attempt=run.data.tags["bnsweep.attempt"])
    assert found[:5] == (run.info.run_id, folder.attempt().id, "mark", "0", "running")


def test_recording_a_run_again_changes_nothing(store, folder):
    begun = end(folder)
    run = recorded(store, folder)
    before = {name: history(store, run, name) for name in run.data.metrics}
    assert {len(points) for points in before.values()} == {1, 2}
    known = [found._replace(status="running") for found in store.runs(attempt=begun.id)]
    again = recorded(store, folder, known=known)  # one that does all of it once more
    assert again.info.run_id == run.info.run_id
    assert {name: history(store, again, name) for name in again.data.metrics} == before
    assert again.data.params == run.data.params
    assert (again.info.start_time, again.info.end_time) == (run.info.start_time, run.info.end_time)
    assert len(again.inputs.dataset_inputs) == 1
    assert len(store.runs(attempt=begun.id)) == 1


def test_a_run_names_its_data_set(store, folder):
    end(folder)
    (named,) = recorded(store, folder).inputs.dataset_inputs
    assert (named.dataset.name, named.dataset.digest) == ("digits", "01234567")
    assert json.loads(named.dataset.profile) == {"train_samples": 10, "classes": 3}
    assert [(tag.key, tag.value) for tag in named.tags] == [
        ("mlflow.data.context", "train and test")
    ]


def test_runs_that_bring_new_data_at_the_same_moment_all_name_them(store, tmp_path):
    for turn in range(4):
        gate = threading.Barrier(6)

        def bring(number, turn=turn, gate=gate):
            place = RunFolder(tmp_path / f"{turn} {number}")
            end(place, replace(SPEC, data={"name": "new", "digest": f"data {turn}"}))
            gate.wait()
            return recorded(store, place)

        with ThreadPoolExecutor(6) as pool:
            runs = list(pool.map(bring, range(6)))
        for run in runs:
            (named,) = run.inputs.dataset_inputs
            assert named.dataset.name == "new"


def test_a_run_without_data_is_recorded_as_failed_with_its_error(store, folder, tmp_path):
    end(folder, marked("", data={}), losses=(), status="failed")
    (folder.path / "error.txt").write_text("no data")
    run = recorded(store, folder)
    assert run.info.status == "FAILED"
    assert run.data.tags["bnsweep.status"] == "failed"
    assert run.inputs.dataset_inputs == []
    assert fetched(store, run, tmp_path, "error.txt") == {"error.txt": b"no data"}


@pytest.mark.parametrize("epochs", [2, 150])
def test_a_finished_run_costs_few_calls_to_the_store(store, tmp_path, monkeypatch, epochs):
    plan = open_sweep(store, tmp_path / "sweep", SPEC)
    folder = RunFolder(tmp_path / "sweep" / "0")
    recorded(store, end_in(RunFolder(tmp_path / "first")), parent=plan.parent)
    end(folder, losses=[1.0] * epochs)
    for name in ("config.yaml", "weights.npz"):
        (folder.path / name).write_text("{}")
    calls = []
    backend = type(store.client._tracking_client.store)
    for name in vars(backend):
        if name.startswith(("create_", "log_", "set_", "update_", "get_", "search_")):
            monkeypatch.setattr(backend, name, counted(getattr(backend, name), name, calls))
    Recorder(store, [folder.path], plan.parent).look()
    assert calls.count("create_run") == calls.count("update_run_info") == 1
    # 900 metrics each, with the parameters and the outcome.
    assert calls.count("log_batch") == {2: 1, 150: 2}[epochs]
    assert calls.count("log_inputs") == 1
    assert len(calls) <= 10, calls


def end_in(folder):
    end(folder)
    return folder


def counted(original, name, calls):
    def call(*args, **kwargs):
        calls.append(name)
        return original(*args, **kwargs)

    return call


def test_more_metrics_than_one_call_takes_are_all_there(store, folder):
    end(folder, losses=[float(n) for n in range(400)])
    run = recorded(store, folder)
    assert [value for _, value, _ in history(store, run, "train_loss")] == [*map(float, range(400))]


def test_a_thousand_finished_runs_cost_a_handful_of_queries(store, monkeypatch):
    experiment = int(store.experiment_id)
    with sqlite3.connect(store.uri.removeprefix("sqlite:///")) as database:
        for n in range(1000):
            database.execute(
                "INSERT INTO runs (run_uuid, name, status, lifecycle_stage, experiment_id,"
                " artifact_uri, start_time, source_type, user_id)"
                " VALUES (?, 'r', 'FINISHED', 'active', ?, 'file:///nowhere', ?, 'LOCAL', '')",
                (f"run{n}", experiment, n),
            )
            tags = {"status": "finished", "fingerprint": f"fingerprint{n}", "attempt": f"try{n}"}
            tags["folder"] = f"/outputs/multirun/a sweep/{n}"
            for key, value in tags.items():
                database.execute(
                    "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                    (f"bnsweep.{key}", value, f"run{n}"),
                )
    calls = []
    monkeypatch.setattr(
        store.client, "search_runs", counted(store.client.search_runs, "search", calls)
    )
    runs = {run.run_id: run for run in store.runs() if run.run_id.startswith("run")}
    assert len(runs) == 1000
    assert runs["run999"][:5] == ("run999", "try999", "fingerprint999", "999", "finished")
    assert len(calls) <= 3


def test_runs_of_others_in_the_experiment_are_not_ours(store, folder):
    foreign = store.client.create_run(store.experiment_id).info.run_id
    ours = recorded(store, end_in(folder)).info.run_id
    ids = {run.run_id for run in store.runs()}
    assert ours in ids
    assert foreign not in ids


def test_a_new_attempt_takes_the_place_of_the_one_before(store, tmp_path, folder):
    plan = open_sweep(store, tmp_path, SPEC)
    recorder = Recorder(store, [folder.path], plan.parent)
    first = start(folder, losses=[5.0])
    recorder.look()
    (old,) = store.runs(attempt=first.id)
    second = end(folder)
    recorder.look()
    (run,) = store.runs(parent=plan.parent)
    assert (run.attempt, run.status) == (second.id, "finished")
    assert run_of(store, old.run_id).info.lifecycle_stage == "deleted"


def test_what_is_discarded_already_can_be_discarded(store, folder):
    """The answer of the first time may have been lost."""
    run_id = recorded(store, end_in(folder)).info.run_id
    store.discard(run_id)
    store.discard(run_id)
    assert run_of(store, run_id).info.lifecycle_stage == "deleted"


def test_what_is_gone_for_good_can_be_discarded(store):
    store.discard("0" * 32)


def test_open_runs_of_a_sweep_are_killed_or_replaced(store, tmp_path):
    plan = open_sweep(store, tmp_path, *(marked(mark) for mark in ("half", "again", "whole")))
    folders = {mark: RunFolder(tmp_path / mark) for mark in ("half", "again", "whole")}
    for mark, place in folders.items():
        start(place, marked(mark), losses=[1.0])
    before = Recorder(store, [place.path for place in folders.values()], plan.parent)
    before.look()
    for mark in ("again", "whole"):
        end(folders[mark], marked(mark))
    recorder = Recorder(store, [folders[m].path for m in ("again", "whole")], plan.parent)
    recorder.look()
    recorder.settle()
    found = sorted((run.fingerprint, run.status) for run in store.runs(parent=plan.parent))
    assert found == [("again", "finished"), ("half", "killed"), ("whole", "finished")]
    half = run_of(store, before.run_ids[folders["half"].path])
    assert (half.info.status, half.data.tags["bnsweep.status"]) == ("KILLED", "killed")


HOLD = """
import sys, time
from pathlib import Path
from bnsweep.records import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def living_driver(folder):
    """Run a process that holds the lock of a folder."""
    command = [sys.executable, "-c", HOLD, str(folder / LOCK_FILE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield
        finally:
            process.kill()


def test_sweeps_of_dead_drivers_are_closed_and_no_others(store, tmp_path):
    """The lock tells a living driver from a dead one; no process ids are compared."""
    sweeps, runs = tmp_path / "sweeps", tmp_path / "runs"
    sweeps.mkdir()
    parents = {}
    for name in ("dead", "living"):
        plan = open_sweep(store, sweeps / name, marked(f"{name} 0"), marked(f"{name} 1", number=1))
        parents[name] = plan.parent
        done, half = (RunFolder(sweeps / name / str(number)) for number in (0, 1))
        end(done, plan.specs[0])
        start(half, plan.specs[1], losses=[3.0])
        Recorder(store, [half.path], plan.parent).look()
    singles = {name: RunFolder(runs / name) for name in ("dead single", "living single")}
    for name, place in singles.items():
        start(place, marked(name), losses=[4.0])
        Recorder(store, [place.path]).look()
    with living_driver(sweeps / "living"), living_driver(runs / "living single"):
        EarlierRuns(sweeps / ANY, runs / ANY, store).close_dead()
    statuses = {name: run_of(store, parent).info.status for name, parent in parents.items()}
    assert statuses == {"dead": "KILLED", "living": "RUNNING"}
    marks = {run.fingerprint: run for run in store.runs()}
    assert marks["dead 0"].status == "finished"  # the store had lacked it
    assert marks["dead 1"].status == marks["dead single"].status == "killed"
    assert marks["living 1"].status == marks["living single"].status == "running"
    assert "living 0" not in marks
    for place in (sweeps / "dead" / "1", runs / "dead single"):
        found = RunFolder(place).result()
        assert (found.status, found.error) == ("killed", "its driver died")
    assert not RunFolder(sweeps / "living" / "1").has_history()
    assert not singles["living single"].has_history()


def closed(store, folder):
    EarlierRuns(folder / ANY, folder / "no runs" / ANY, store).close_dead()


def test_a_tilde_in_a_uri_is_the_users_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/my/home")
    assert Store(uri="sqlite:///~/x.db").uri == "sqlite:////my/home/x.db"


def test_what_a_removed_database_left_is_no_part_of_the_new_one(tmp_path):
    removed, place = tmp_path / "removed.db", tmp_path / "mlflow.db"
    Store(uri=f"sqlite:///{removed}", experiment="first").prepare()
    for end in ("-wal", "-shm"):
        shutil.copy(f"{removed}{end}", f"{place}{end}")
    assert Path(f"{place}-wal").stat().st_size
    store = Store(uri=f"sqlite:///{place}", experiment="second")
    store.prepare()
    assert {found.name for found in store.client.search_experiments()} == {"Default", "second"}
    with contextlib.closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("left_over", [False, True])
def test_artifacts_on_a_disk_that_is_not_mounted_have_not_moved(store, tmp_path, left_over):
    """Their place is kept, though it does not exist now, or a folder of its name lies here."""
    elsewhere = (tmp_path / "disk" / "artifacts" / f"disk {left_over}").as_uri()
    mine = Store(uri=store.uri, experiment=f"disk {left_over}")
    made = store.client.create_experiment(mine.experiment, artifact_location=elsewhere)
    mine.experiment_id = made
    mine.create(Attempt(SPEC, "some attempt", 0.0), tmp_path, None, {})
    if left_over:
        (mine.database.parent / "artifacts" / mine.experiment).mkdir(parents=True)
    mine.prepare()
    assert store.client.get_experiment(made).artifact_location == elsewhere


@pytest.mark.parametrize("call", ["log", "close"])
@pytest.mark.parametrize("failures", [1, 2, 1000])
def test_a_store_that_fails_marks_no_finished_run_killed(
    store, tmp_path, monkeypatch, call, failures
):
    """Nothing is settled before all runs are brought: if need be, by the next resume."""
    monkeypatch.setattr("bnsweep.tracking.recorder.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("bnsweep.tracking.recorder.FINISH_SECONDS", 0.1)
    specs = [marked(f"{call} {failures} {number}", number=number) for number in range(4)]
    plan = open_sweep(store, tmp_path / "dead", *specs)
    folders = [RunFolder(tmp_path / "dead" / str(spec.number)) for spec in specs]
    begun = [start(place, spec, [1.0]) for place, spec in zip(folders, specs, strict=True)]
    Recorder(store, [place.path for place in folders], plan.parent).look()
    for place, attempt in zip(folders, begun, strict=True):
        times = {"started": attempt.started, "ended": attempt.started + 60}
        place.finish(replace(result((0.5,)), spec=attempt.spec, attempt=attempt.id, **times))
    errors = [StoreUnreachable("busy")] * failures
    original = getattr(store, call)

    def fails(*args, **kwargs):
        if errors:
            raise errors.pop()
        return original(*args, **kwargs)

    monkeypatch.setattr(store, call, fails)
    closed(store, tmp_path)
    if failures == 1000:
        # Half of a sweep that nobody brings to its end is left open.
        assert not {"killed"} & {run.status for run in store.runs(parent=plan.parent)}
        assert run_of(store, plan.parent).info.status == "RUNNING"
        errors.clear()
        closed(store, tmp_path)
    assert [run.status for run in store.runs(parent=plan.parent)] == ["finished"] * 4
    assert run_of(store, plan.parent).info.status == "KILLED"


@pytest.mark.parametrize("damaged", [b"\0" * 40 + b"\n", b'{"epoch": 1, "ti{"epoch": 2}\n'])
def test_a_damaged_line_does_not_keep_a_dead_sweep_open(store, tmp_path, damaged):
    specs = [marked(f"damaged {number}", number=number) for number in range(2)]
    plan = open_sweep(store, tmp_path / "dead", *specs)
    half, done = (RunFolder(tmp_path / "dead" / number) for number in "01")
    begun = start(half, specs[0], losses=[3.0])
    with (half.path / f"epochs.{begun.id}.jsonl").open("ab") as file:
        file.write(damaged)
    half.append(begun.id, 2, measured(0.5, 0.25))
    end(done, specs[1])
    closed(store, tmp_path)
    runs = {run.number: run for run in store.runs(parent=plan.parent)}
    assert {number: run.status for number, run in runs.items()} == {"0": "killed", "1": "finished"}
    assert run_of(store, plan.parent).info.status == "KILLED"
    killed = run_of(store, runs["0"].run_id)
    assert [point[:2] for point in history(store, killed, "train_loss")] == [(0, 3.0)]


def test_a_sweep_has_one_run_of_its_own_however_often_it_is_opened(store, tmp_path):
    plan = open_sweep(store, tmp_path, SPEC)
    store.log_plan(plan)
    store.close_sweep(
        plan.parent, status="killed", metrics={"runs_total": 1}, note="A note.", folder=tmp_path
    )
    closed = run_of(store, plan.parent)
    assert (closed.info.status, closed.data.metrics["runs_total"]) == ("KILLED", 1)
    assert closed.data.tags["mlflow.note.content"] == "A note."
    assert store.open_sweep(plan, tmp_path) == plan.parent  # resumed
    assert run_of(store, plan.parent).info.status == "RUNNING"
    (tmp_path / "fetched").mkdir()
    store.fetch(plan.parent, tmp_path / "fetched", ["sweep.json"])
    assert SweepPlan.read(tmp_path / "fetched") == plan


def test_a_sweeps_own_run_tells_the_sweep(store, tmp_path):
    specs = [
        replace(SPEC, config=CONFIG | {"weight_std": scale}, swept={"weight_std": scale})
        for scale in (0.1, 0.01, "he")
    ]
    plan = SweepPlan(tuple(specs), ("weight_std",), "3 scales", ("/x/bnsweep/__main__.py", "-m"))
    plan = replace(plan, parent=store.open_sweep(plan, tmp_path))
    store.log_plan(plan)
    run = run_of(store, plan.parent)
    assert run.info.run_name == "3 scales"
    assert run.data.params["weight_std"] == "0.1, 0.01, he"
    assert run.data.params["optimizer.lr"] == "0.1"
    assert run.data.tags["bnsweep.command"] == "python -m bnsweep -m"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "digits"


def test_many_choices_are_told_by_their_ends(store, tmp_path):
    specs = [replace(SPEC, swept={"seed": 1000 + seed}) for seed in range(1000)]
    plan = SweepPlan(tuple(specs), ("seed",))
    plan = replace(plan, parent=store.open_sweep(plan, tmp_path))
    store.log_plan(plan)
    params = run_of(store, plan.parent).data.params
    assert params["seed"] == "1000, 1001, ..., 1999 (1000 values)"


def test_a_sweep_that_is_gone_on_with_in_another_spelling_keeps_its_parameters(store, tmp_path):
    spec = replace(SPEC, swept={"weight_std": 1})
    plan = SweepPlan((spec,), ("weight_std",), "first")
    plan = replace(plan, parent=store.open_sweep(plan, tmp_path))
    store.log_plan(plan)
    again = replace(plan, specs=(replace(SPEC, swept={"weight_std": 1.0}),), command=("more",))
    mine = Store(uri=store.uri, experiment="unit", tags={"week": 2}, note="Gone on with.")
    assert mine.open_sweep(again, tmp_path) == plan.parent
    mine.log_plan(again)
    run = run_of(store, plan.parent)
    assert run.data.params["weight_std"] == "1"
    assert run.data.tags["week"] == "2"
    assert run.data.tags["bnsweep.command"] == "more"
    assert run.data.tags["mlflow.note.content"] == "Gone on with."


@pytest.mark.parametrize("count", [1, 2, 10])
def test_what_is_long_is_cut(store, folder, tmp_path, count):
    specs = [replace(SPEC, swept={"model.hidden_sizes": [n] * 4000}) for n in range(count)]
    plan = SweepPlan(tuple(specs), ("model.hidden_sizes",), command=("x" * 9000,))
    plan = replace(plan, parent=store.open_sweep(plan, tmp_path))
    store.log_plan(plan)
    run = run_of(store, plan.parent)
    assert len(run.data.params["model.hidden_sizes"]) <= 6000
    assert len(run.data.tags["bnsweep.command"]) == 8000
    mine = Store(uri=store.uri, experiment="unit", note="y" * 9000)
    end(folder)
    assert len(recorded(mine, folder).data.tags["mlflow.note.content"]) == 8000


def test_why_a_run_failed_stands_before_ones_own_note(store, folder):
    mine = Store(uri=store.uri, experiment="unit", note="My note.")
    begun = start(folder)
    error = f"Traceback\nValueError: `x` {'long ' * 2000}"
    folder.finish(replace(result([]), spec=SPEC, status="failed", error=error, attempt=begun.id))
    note = recorded(mine, folder).data.tags["mlflow.note.content"]
    assert note.startswith("**Failed**: `ValueError: 'x' long")
    assert note.endswith("...`\n\nMy note.")


def test_what_is_ones_own_stands_at_the_run(store, folder):
    mine = Store(
        uri=store.uri,
        experiment="unit",
        tags={"course": {"name": "ml"}, "exercise": 3},
        note="For https://me:secret@host",
    )
    end(folder)
    run = recorded(mine, folder)
    assert run.data.tags["course.name"] == "ml"
    assert run.data.tags["exercise"] == "3"
    assert run.data.tags["mlflow.note.content"].startswith("For https://")
    assert "secret" not in run.data.tags["mlflow.note.content"]


@pytest.mark.parametrize("tag", ["mlflow.user", "bnsweep.role"])
def test_a_tag_that_is_not_ones_own_is_refused(store, tag):
    with pytest.raises(StoreRefused, match=rf"tracking.tags: {tag} is reserved; give"):
        Store(uri=store.uri, tags={tag: "x"})


def test_an_experiment_of_the_environment_that_cannot_be_is_refused(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "..")
    with pytest.raises(StoreRefused, match=r"^MLFLOW_EXPERIMENT_NAME=\.\.: .* not of dots alone$"):
        Store(uri=store.uri)
    assert Store(uri=store.uri, experiment="given").experiment == "given"


def test_names_left_open_are_those_of_mlflows_variables(store, folder, tmp_path, monkeypatch):
    assert Store(uri=store.uri).experiment == "bnsweep"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the environment")
    monkeypatch.setenv("MLFLOW_RUN_NAME", "mine")
    mine = Store(uri=store.uri)
    assert mine.experiment == "from the environment"
    assert Store(uri=store.uri, experiment="given").experiment == "given"
    mine.prepare()
    end(folder)
    assert recorded(mine, folder).info.run_name == "mine"
    plan = open_sweep(mine, tmp_path / "sweep", SPEC)
    assert run_of(mine, plan.parent).info.run_name == "mine"
    run = RunFolder(tmp_path / "sweep" / "0")
    end(run, marked("of the sweep"))
    assert recorded(mine, run, parent=plan.parent).info.run_name == SPEC.name


def test_opening_a_sweep_whose_answer_was_lost_finds_it(store, tmp_path, monkeypatch):
    monkeypatch.setattr("bnsweep.tracking.store.time.sleep", lambda _: None)
    create = store.client.create_run
    answers = [OSError("connection reset"), None]

    def loses_its_answer(*args, **kwargs):
        run = create(*args, **kwargs)
        if error := answers.pop(0):
            raise error
        return run

    monkeypatch.setattr(store.client, "create_run", loses_its_answer)
    plan = SweepPlan((SPEC,), ())
    parent = store.open_sweep(plan, tmp_path)
    assert [run.run_id for run in store.runs(attempt=plan.id)] == [parent]


def test_an_experiment_may_be_named_by_a_number(store):
    other = Store(uri=store.uri, experiment=500, output_dir="unused")
    other.prepare()
    assert store.client.get_experiment_by_name("500").experiment_id == other.experiment_id


def test_an_experiment_that_is_not_there_is_named(store):
    other = Store(uri=store.uri, experiment="none such")
    with pytest.raises(StoreRefused, match=r"tracking\.experiment=none such: does not exist"):
        other.runs()


def test_a_deleted_experiment_is_refused_at_the_start(store):
    other = Store(uri=store.uri, experiment="thrown away")
    other.prepare()
    store.client.delete_experiment(other.experiment_id)
    with pytest.raises(TrackingError, match="was deleted"):
        Store(uri=store.uri, experiment="thrown away").prepare()


@pytest.mark.parametrize(
    "call",
    [
        lambda store, folder: store.log("0" * 32, [Point("a", 1.0, 1.0, 0)]),
        lambda store, folder: store.kill("0" * 32),
        lambda store, folder: store.tags("0" * 32),
        lambda store, folder: store.close("0" * 32, folder, result(), set()),
        lambda store, folder: store.fetch("0" * 32, folder, ["history.json"]),
    ],
    ids=["log", "kill", "tags", "close", "fetch"],
)
def test_what_the_store_does_not_know_is_refused(store, tmp_path, call):
    with pytest.raises(StoreRefused, match="the tracking store cannot be used"):
        call(store, tmp_path)


def test_a_run_that_the_store_refuses_does_not_block_the_others(store, tmp_path, caplog):
    config = CONFIG | {"optimizer": {"_target_": "o", "lr(t)": 0.1}}  # no name for a parameter
    places = [RunFolder(tmp_path / name) for name in "01"]
    end(places[0], replace(SPEC, config=config))
    end(places[1])
    recorder = Recorder(store, [place.path for place in places])
    for _ in range(2):
        recorder.look()
    assert recorder.missing == 1
    assert run_of(store, recorder.run_ids[places[1].path]).info.status == "FINISHED"
    (message,) = caplog.messages
    assert message.startswith(f"{places[0].path}: cannot be recorded (")


@pytest.fixture
def impatient(monkeypatch):
    """Let MLflow's client try once, and not three minutes."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setattr("bnsweep.tracking.store.time.sleep", lambda _: None)


class Broken(http.server.BaseHTTPRequestHandler):
    """A server that answers each request with status 500, and counts them."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_error(500)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def broken_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://user:password@127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def absent_server():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://user:password@127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(params=["answers 500", "refuses connections"])
def away(request, impatient):
    if request.param == "answers 500":
        return request.getfixturevalue("broken_server")
    return absent_server()


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.prepare(),
        lambda store: store.runs(),
        lambda store: store.log("0" * 32, [Point("a", 1.0, 1.0, 0)]),
        lambda store: store.kill("0" * 32),
    ],
    ids=["prepare", "runs", "log", "kill"],
)
def test_a_server_that_is_away_is_unreachable(away, call):
    with pytest.raises(StoreUnreachable) as refusal:
        call(Store(uri=away, experiment="unit"))
    assert "check that it runs" in str(refusal.value)
    assert "password" not in str(refusal.value)
    assert "127.0.0.1" in str(refusal.value)


def test_a_store_that_failed_is_left_alone_for_a_while(broken_server, impatient, folder, caplog):
    """One call shows that it fails: the runs are not tried, and training goes on."""
    for number in range(5):
        end(RunFolder(folder.path.parent / str(number)))
    places = [folder.path.parent / str(number) for number in range(5)]
    store = Store(uri=broken_server, experiment="unit")
    store.experiment_id = "1"
    recorder = Recorder(store, places)
    Broken.asked = 0
    recorder.look()
    assert Broken.asked == 1
    assert recorder.missing == 5
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("bnsweep")]
    assert len(ours) == 1
    assert "stay on disk until it answers" in ours[0]
    assert "password" not in caplog.text


def test_a_database_that_becomes_read_only_is_told_in_a_line(store, folder, caplog, capfd):
    from sqlalchemy import Engine, event

    def protect(connection, *_):
        connection.execute("PRAGMA query_only = ON")

    end(folder)
    recorder = Recorder(store, [folder.path])
    event.listen(Engine, "checkout", protect)
    try:
        assert not any(recorder.look() for _ in range(3))
    finally:
        event.remove(Engine, "checkout", protect)
    (line,) = [r.getMessage() for r in caplog.records if r.name.startswith("bnsweep")]
    assert "attempt to write a readonly database" in line
    assert "stay on disk until it answers" in line
    assert "Traceback" not in capfd.readouterr().err


def test_a_database_of_another_version_is_named(store, tmp_path):
    path = tmp_path / "mlflow.db"
    shutil.copy(store.uri.removeprefix("sqlite:///"), path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffff'")
        database.commit()
    with pytest.raises(TrackingError, match="belongs to another version of MLflow"):
        Store(uri=f"sqlite:///{path}", experiment="unit").prepare()


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
        ("sqlite+pysqlite:////me%40host/mlflow.db", "sqlite+pysqlite:////me%40host/mlflow.db"),
        ("postgresql:///db?host=/tmp&user=u&password=pw", "postgresql:///db"),
        ("http://u:p'w\"@host", "http://host"),
        ("https://host/team@2", "https://host/team@2"),
    ],
)
def test_what_is_shown_of_a_uri_holds_no_secret(uri, shown):
    assert without_secrets(uri) == shown
    assert has_secret(uri) == (uri != shown)
    assert without_secrets(f"cannot reach '{uri}' (refused)") == f"cannot reach '{shown}' (refused)"
    assert Store(uri=uri, experiment="unit").shown == shown
