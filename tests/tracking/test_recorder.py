"""What the recorder brings to a store, whatever happens to either; the store is made up."""

import contextlib
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from made_up import measured, result

from bnsweep.errors import IncompleteError, StoreRefused, StoreUnreachable
from bnsweep.records import RunFolder
from bnsweep.tracking import recorder as recorder_module
from bnsweep.tracking.recorder import Recorder, recorded
from bnsweep.tracking.store import StoredRun

SPEC = replace(
    result().spec,
    fingerprint="mark",
    swept={"weight_std": 0.5, "seed": 0, "model": "plain"},
    data={"name": "digits", "digest": "0123"},
)
AWAY = StoreUnreachable("tracking.uri=http://host: is away")


@dataclass
class Held:
    """A run in the made-up store."""

    attempt: object
    parent: str | None
    number: str = "0"
    points: set = field(default_factory=set)
    params: bool = False
    status: str = "running"
    told: str | None = None
    tags: dict = field(default_factory=dict)
    sweeps: list = field(default_factory=list)
    deleted: bool = False


class FakeStore:
    """A store in memory that can be away, refuse, or lose its answer.

    `fails` holds an error for each call that is to fail, by the call's name; `loses` the same for
    calls that do their work first.
    """

    shown = "the made-up store"
    is_gone = False

    def __init__(self):
        self.held: dict[str, Held] = {}
        self.calls = []
        self.away = False
        self.fails: dict[str, list[Exception]] = {}
        self.loses: dict[str, list[Exception]] = {}

    @contextlib.contextmanager
    def call(self, name):
        self.calls.append(name)
        if self.away:
            raise AWAY
        if self.fails.get(name):
            raise self.fails[name].pop(0)
        yield
        if self.loses.get(name):
            raise self.loses[name].pop(0)

    def check(self):
        if self.away:
            raise AWAY

    def add(self, attempt, parent=None, status="running", number="0"):
        run_id = f"run {len(self.held)}"
        sweeps = [parent] if parent else []
        self.held[run_id] = Held(attempt, parent, number, status=status, sweeps=sweeps)
        return run_id

    def runs(self, *, parent=None, attempt=None):
        with self.call("runs"):
            return [
                StoredRun(
                    run_id,
                    held.attempt.id,
                    held.attempt.spec.fingerprint,
                    held.number,
                    held.status,
                    " ".join(held.sweeps),
                )
                for run_id, held in self.held.items()
                if parent in (None, held.parent)
                and attempt in (None, held.attempt.id)
                and not held.deleted
            ]

    def create(self, attempt, folder, parent, tags):
        with self.call("create"):
            run_id = self.add(attempt, parent, number=folder.name)
            self.held[run_id].tags = tags
            return run_id

    def add_to_sweep(self, run, parent):
        with self.call("add_to_sweep"):
            self.held[run.run_id].sweeps.append(parent)

    def log(self, run_id, points, attempt=None, status=None):
        with self.call("log"):
            held = self.held[run_id]
            held.points |= set(points)
            held.params |= attempt is not None
            held.told = status or held.told

    def close(self, run_id, folder, outcome, done):
        with self.call("close"):
            self.held[run_id].status = outcome.status
            self.held[run_id].ended = outcome.ended

    def discard(self, run_id):
        with self.call("discard"):
            self.held[run_id].deleted = True

    def kill(self, run_id):
        with self.call("kill"):
            self.held[run_id].status = "killed"

    def living(self):
        return [held for held in self.held.values() if not held.deleted]

    def points(self, name):
        """Return the steps and values of a metric of the only run, by step."""
        (held,) = self.living()
        return sorted((point.step, point.value) for point in held.points if point.name == name)


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "0")


def start(folder, epochs=0, spec=SPEC):
    begun = folder.begin(spec)
    goes_on(folder, begun, range(epochs))
    return begun


def goes_on(folder, begun, epochs):
    for number in epochs:
        folder.append(begun.id, number, measured(0.1 * number, 0.05 * number))


def end(folder, begun, epochs=3, status="finished"):
    accuracies = [0.1 * number for number in range(epochs)]
    outcome = result(accuracies, gap=0, status=status)
    times = {"started": begun.started, "ended": begun.started + 60}
    folder.finish(replace(outcome, spec=begun.spec, attempt=begun.id, **times))


def ended_run(folder, epochs=3, spec=SPEC, status="finished"):
    begun = start(folder, epochs, spec)
    end(folder, begun, epochs, status)
    return begun


def recorder_of(store, *folders, **kwargs):
    return Recorder(store, [folder.path for folder in folders], **kwargs)


def test_a_run_that_has_not_started_is_no_run_in_the_store(store, folder):
    recorder = recorder_of(store, folder)
    recorder.look()
    assert store.calls == []
    assert (recorder.missing, recorder.run_ids) == (0, {})


def test_a_run_is_seen_while_it_goes_on(store, folder):
    recorder = recorder_of(store, folder, parent="sweep")
    begun = start(folder)
    recorder.look()
    (held,) = store.living()
    assert (held.attempt, held.parent, held.status) == (begun, "sweep", "running")
    assert held.params
    goes_on(folder, begun, [0, 1])
    recorder.look()
    assert store.points("train_accuracy") == [(0, 0.0), (1, 0.1)]
    goes_on(folder, begun, [2])
    recorder.look()
    assert store.points("train_accuracy") == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert store.points("final_train_accuracy") == []
    assert recorder.missing == 0  # nothing has ended yet
    end(folder, begun)
    assert recorder.missing == 1
    recorder.look()
    assert held.status == held.told == "finished"
    assert [step for step, _ in store.points("final_train_accuracy")] == [0]
    assert [step for step, _ in store.points("train_accuracy")] == [0, 1, 2]
    assert recorder.missing == 0
    assert recorder.run_ids == {folder.path: "run 0"}


def test_a_finished_run_costs_a_call_of_each_kind_and_then_none(store, folder):
    ended_run(folder)
    recorder = recorder_of(store, folder)
    recorder.look()
    assert store.calls == ["create", "log", "close"]
    recorder.look()
    assert store.calls == ["create", "log", "close"]


def test_a_run_that_does_nothing_new_costs_no_call(store, folder):
    recorder = recorder_of(store, folder)
    start(folder, epochs=1)
    recorder.look()
    before = list(store.calls)
    recorder.look()
    assert store.calls == before == ["create", "log"]


def test_each_record_has_its_own_time(store, folder):
    begun = start(folder, epochs=2)
    folder.finish(
        replace(result((0.0, 0.1), gap=0), spec=SPEC, attempt=begun.id, started=1.0, ended=60.0)
    )
    recorder_of(store, folder).look()
    (held,) = store.living()
    epochs, _ = folder.epochs(begun.id)
    times = {(point.name, point.step): point.time for point in held.points}
    assert [times["train_loss", number] for number in (0, 1)] == [epoch.time for epoch in epochs]
    assert times["final_train_accuracy", 0] == times["epochs_run", 0] == 60.0
    assert times["weight_std", 0] == 1.0
    assert held.ended == 60.0


def test_swept_numbers_are_metrics_and_what_is_no_finite_number_is_not(store, folder):
    swept = {"weight_std": 0.5, "model": "plain", "optimizer.clip": math.inf}
    start(folder, spec=replace(SPEC, swept=swept))
    recorder_of(store, folder).look()
    assert store.points("weight_std") == [(0, 0.5)]
    assert store.points("model") == store.points("optimizer.clip") == []


def test_a_second_recorder_without_memory_changes_nothing(store, folder):
    begun = ended_run(folder)
    recorder_of(store, folder).look()
    (held,) = store.living()
    before = set(held.points)
    held.status = "running"  # and at worst does all of it again
    again = recorder_of(store, folder, known=store.runs())
    again.look()
    assert store.living() == [held]
    assert held.points == before
    assert Counter((point.name, point.step) for point in held.points).most_common(1)[0][1] == 1
    assert held.attempt.id == begun.id
    assert again.missing == 0


def test_a_known_run_that_has_ended_costs_no_call(store, folder):
    ended_run(folder)
    recorder_of(store, folder).look()
    known = store.runs()
    store.calls.clear()
    recorder = recorder_of(store, folder, known=known)
    recorder.look()
    assert store.calls == []
    assert recorder.run_ids == {folder.path: "run 0"}
    assert recorder.missing == 0


@pytest.mark.parametrize("status", ["running", "killed", "failed"])
def test_a_known_run_that_has_ended_otherwise_there_is_brought_again(store, folder, status):
    """Somebody took its driver for dead, or its last record was lost."""
    begun = ended_run(folder)
    store.add(begun, status=status)
    recorder = recorder_of(store, folder, known=store.runs())
    assert recorder.look()
    (held,) = store.living()
    assert (held.status, held.told) == ("finished", "finished")
    assert [step for step, _ in store.points("train_loss")] == [0, 1, 2]
    assert recorder.missing == 0


def test_a_new_attempt_takes_the_place_of_the_one_before(store, folder):
    recorder = recorder_of(store, folder)
    start(folder, epochs=2)
    recorder.look()
    second = ended_run(folder, epochs=1)
    recorder.look()
    (held,) = store.living()
    assert held.attempt.id == second.id
    assert store.points("train_accuracy") == [(0, 0.0)]
    assert len(store.held) == 2


def test_a_new_attempt_is_recorded_though_the_end_of_the_old_one_was_not_answered(store, folder):
    recorder = recorder_of(store, folder)
    start(folder)
    recorder.look()
    ended_run(folder)
    store.loses["discard"] = [AWAY]
    recorder.look()
    recorder.look()
    (held,) = store.living()
    assert held.status == "finished"
    assert recorder.missing == 0


def test_what_is_not_finite_is_left_out(store, folder):
    begun = start(folder)
    folder.append(begun.id, 0, measured(0.1, 0.2) | {"train_loss": math.nan})
    end(folder, begun, epochs=1, status="diverged")
    recorder_of(store, folder).look()
    (held,) = store.living()
    assert all(math.isfinite(point.value) for point in held.points)
    assert store.points("train_loss") == []
    assert store.points("train_accuracy") == [(0, 0.1)]
    assert store.points("diverged") == [(0, 1.0)]


@pytest.mark.parametrize("seen", ["after its end", "between its epochs", "before its end"])
def test_a_run_that_diverges_at_once_has_no_loss_of_the_untrained_network(store, folder, seen):
    """It would stand as the latest, and be that of no trained network."""
    recorder = recorder_of(store, folder)
    begun = start(folder, epochs=1)
    if seen == "between its epochs":
        recorder.look()
        assert store.points("train_accuracy") == []
    folder.append(begun.id, 1, measured(0.1, 0.2) | {"train_loss": math.nan})
    if seen == "before its end":
        recorder.look()
        assert store.points("train_accuracy") == []
    end(folder, begun, epochs=2, status="diverged")
    recorder.look()
    assert [step for step, _ in store.points("train_accuracy")] == [0, 1]
    assert store.points("train_loss") == store.points("test_loss") == []


def test_a_run_that_diverges_later_keeps_its_losses(store, folder):
    ended_run(folder, epochs=3, status="diverged")
    recorder_of(store, folder).look()
    assert [step for step, _ in store.points("train_loss")] == [0, 1, 2]


def test_numbers_are_recorded_to_as_many_digits_as_are_read(store, folder):
    begun = start(folder, spec=replace(SPEC, swept={"weight_std": 0.0464158883361, "seed": 12345}))
    for number in range(2):
        folder.append(begun.id, number, measured(0.123456, 0.2) | {"train_loss": 167145.25})
    recorder_of(store, folder).look()
    assert store.points("train_accuracy") == [(0, 0.1235), (1, 0.1235)]
    assert store.points("weight_std") == [(0, 0.0464159)]
    assert store.points("log10_weight_std") == [(0, -1.33333)]
    assert store.points("seed") == [(0, 12345.0)]  # a whole number is itself


@pytest.mark.parametrize(("scale", "number"), [("he", 0.2), ("xavier", 0.141421)])
def test_scales_with_a_name_are_numbers_too(store, folder, scale, number):
    model = {"_target_": "bnsweep.nn.network.mlp", "hidden_sizes": [50, 10]}
    spec = replace(SPEC, config=SPEC.config | {"model": model}, swept={"weight_std": scale})
    start(folder, spec=spec)
    recorder_of(store, folder).look()
    assert store.points("weight_std") == [(0, number)]


def test_a_model_of_ones_own_gives_its_keys_a_meaning_of_its_own(store, folder):
    config = SPEC.config | {"model": {"_target_": "mine.net", "hidden_sizes": 64}}
    start(folder, spec=replace(SPEC, config=config, swept={"weight_std": "mine"}))
    recorder_of(store, folder).look()
    (held,) = store.living()
    assert held.params
    assert store.points("weight_std") == []


def test_a_run_has_the_tags_of_its_folder(store, tmp_path):
    folders = [RunFolder(tmp_path / number) for number in "01"]
    tags = {folder.path: {"mlflow.runColor": f"#{folder.path.name}"} for folder in folders}
    for folder in folders:
        start(folder)
    recorder_of(store, *folders, tags=tags).look()
    assert {held.number: held.tags for held in store.living()} == {
        "0": {"mlflow.runColor": "#0"},
        "1": {"mlflow.runColor": "#1"},
    }


def test_a_run_that_a_sweep_takes_over_is_entered_into_it_once(store, folder):
    """Its view in the UI shows it beside those that it has done itself."""
    begun = ended_run(folder)
    store.add(begun, parent="earlier", status="finished")
    known = store.runs()
    recorder_of(store, folder, parent="later", known=known).look()
    recorder_of(store, folder, parent="later", known=store.runs()).look()
    (held,) = store.living()
    assert held.sweeps == ["earlier", "later"]


@pytest.mark.parametrize("with_start", [True, False])
def test_a_history_that_came_without_its_epochs_brings_them(store, folder, with_start):
    begun = start(folder, epochs=0)
    end(folder, begun)
    if not with_start:
        (folder.path / "run.json").unlink()
    recorder_of(store, folder).look()
    (held,) = store.living()
    assert store.points("train_accuracy") == [(0, 0.0), (1, 0.1), (2, pytest.approx(0.2))]
    assert held.attempt.id == begun.id
    assert held.attempt.started == begun.started
    assert {p.time for p in held.points if p.name == "train_loss"} == {begun.started + 60}


def test_what_a_far_worker_has_recorded_in_part_is_not_there_twice(store, folder, tmp_path):
    """The store went away under it, and the driver has the history alone, from its return."""
    there = RunFolder(tmp_path / "far" / "0")
    begun = start(there, epochs=2)
    recorder_of(store, there, parent="sweep").look()
    folder.path.mkdir()
    folder.finish(replace(result((0.0, 0.1, 0.2), gap=0), spec=SPEC, attempt=begun.id, ended=60.0))
    recorder = recorder_of(store, folder, parent="sweep")
    recorder.learn()
    recorder.look()
    (held,) = store.living()
    assert held.status == "finished"
    assert [step for step, _ in store.points("train_accuracy")] == [0, 1, 2]


def test_a_history_alone_that_is_recorded_already_is_not_made_again(store, folder, tmp_path):
    there = RunFolder(tmp_path / "far" / "0")
    begun = ended_run(there)
    recorder_of(store, there).look()
    folder.path.mkdir()
    folder.finish(replace(result((0.0, 0.1, 0.2), gap=0), spec=SPEC, attempt=begun.id))
    recorder = recorder_of(store, folder)  # which has learnt nothing
    assert recorder.look()
    assert recorder.run_ids == {folder.path: "run 0"}
    assert len(store.held) == 1
    assert recorder.missing == 0


def test_a_run_in_another_sweeps_folder_that_is_recorded_already_is_not_made_again(
    store, folder, tmp_path
):
    ended_run(folder)
    recorder_of(store, folder, parent="the other sweep").look()
    (tmp_path / "5").symlink_to(folder.path)
    recorder = recorder_of(store, RunFolder(tmp_path / "5"), parent="sweep")
    assert recorder.look()
    assert len(store.held) == 1
    assert recorder.missing == 0


def test_a_failed_run_without_epochs_is_recorded_as_failed(store, folder):
    ended_run(folder, epochs=0, status="failed")
    recorder_of(store, folder).look()
    (held,) = store.living()
    assert held.status == held.told == "failed"
    assert store.points("epochs_run") == [(0, 0.0)]


def test_a_store_that_is_away_is_waited_for_with_one_warning(store, folder, tmp_path, caplog):
    others = [RunFolder(tmp_path / number) for number in "123"]
    recorder = recorder_of(store, folder, *others)
    begun = start(folder, epochs=1)
    assert recorder.look()
    store.away = True
    goes_on(folder, begun, [1, 2])
    end(folder, begun)
    for other in others:
        ended_run(other)
    before = len(store.calls)
    for _ in range(5):
        assert not recorder.look()
    assert len(store.calls) == before  # it is asked whether it answers, and nothing else
    assert recorder.missing == 4
    assert len(caplog.messages) == 1
    assert "http://host: is away" in caplog.text
    store.away = False
    assert recorder.look()
    assert recorder.missing == 0
    assert [held.status for held in store.living()] == ["finished"] * 4
    assert all(
        sorted(p.step for p in held.points if p.name == "train_loss") == [0, 1, 2]
        for held in store.living()
    )
    assert caplog.messages[1:] == ["the tracking store the made-up store answers again"]


@pytest.mark.parametrize("call", ["create", "log", "close"])
def test_one_run_that_fails_does_not_hold_up_the_others(store, tmp_path, call):
    folders = [RunFolder(tmp_path / number) for number in "012"]
    for place in folders:
        ended_run(place)
    store.fails[call] = [AWAY]
    recorder = recorder_of(store, *folders)
    assert not recorder.look()
    assert recorder.missing == 1
    assert recorder.look()
    assert recorder.missing == 0
    assert [held.status for held in store.living()] == ["finished"] * 3


@pytest.mark.parametrize("call", ["create", "log", "close"])
@pytest.mark.parametrize("how", ["fails", "loses"])
def test_a_call_that_fails_or_whose_answer_is_lost_is_made_up_for(store, folder, call, how):
    ended_run(folder)
    getattr(store, how)[call] = [AWAY, AWAY]
    recorder = recorder_of(store, folder)
    for _ in range(3):
        recorder.look()
    (held,) = store.living()
    assert held.status == "finished"
    assert held.params
    assert [step for step, _ in store.points("train_loss")] == [0, 1, 2]
    assert recorder.missing == 0


def test_a_run_that_is_refused_does_not_block_the_others(
    store, folder, tmp_path, caplog, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    other = RunFolder(tmp_path / "1")
    ended_run(folder)
    ended_run(other)
    store.fails["create"] = [StoreRefused("a parameter is too long")]
    recorder = recorder_of(store, folder, other)
    for _ in range(3):
        recorder.look()
    (held,) = store.living()
    assert held.status == "finished"
    assert recorder.run_ids.keys() == {other.path}
    assert recorder.missing == 1
    (message,) = caplog.messages
    assert message == "0: cannot be recorded (a parameter is too long)"


def test_a_new_attempt_that_is_refused_is_warned_of_once(store, folder, caplog):
    recorder = recorder_of(store, folder)
    start(folder)
    recorder.look()
    ended_run(folder)
    store.fails["create"] = [StoreRefused("a parameter is too long")] * 3
    for _ in range(3):
        recorder.look()
    assert len(caplog.messages) == 1
    assert recorder.missing == 1


@pytest.mark.parametrize("text", ["{}", '{"format": 99}', "no json"])
def test_a_folder_that_cannot_be_read_does_not_block_the_others(store, folder, tmp_path, text):
    other = RunFolder(tmp_path / "1")
    ended_run(folder)
    (folder.path / "history.json").write_text(text)
    ended_run(other)
    recorder = recorder_of(store, folder, other)
    recorder.look()
    assert recorder.run_ids.keys() == {other.path}
    assert recorder.missing == 1


def test_one_result_in_the_places_of_two_runs_is_one_run_in_the_store(store, folder, tmp_path):
    """A run that another sweep has done may stand for two: its folder is linked to twice."""
    ended_run(folder)
    (tmp_path / "1").symlink_to(folder.path)
    recorder = recorder_of(store, folder, RunFolder(tmp_path / "1"))
    recorder.look()
    assert len(store.living()) == 1
    assert set(recorder.run_ids.values()) == {"run 0"}
    assert recorder.missing == 0


def test_settling_leaves_none_of_the_sweeps_runs_open_or_twice(store, folder, tmp_path):
    def stray(number, parent="sweep", status="running"):
        begun = RunFolder(tmp_path / "gone").begin(SPEC)
        return store.held[store.add(begun, parent, status, number)]

    twice, twice_ended = stray("0"), stray("0", status="finished")
    nobodys, ended = stray("7"), stray("7", status="failed")
    elsewhere = stray("0", parent="another sweep")
    recorder = recorder_of(store, folder, parent="sweep")
    ended_run(folder)
    recorder.look()
    own = store.held[recorder.run_ids[folder.path]]
    recorder.settle()
    assert (twice.deleted, twice_ended.deleted) == (True, True)
    assert (nobodys.status, nobodys.deleted) == ("killed", False)
    assert (ended.status, ended.deleted) == ("failed", False)
    assert (elsewhere.status, elsewhere.deleted) == ("running", False)
    assert (own.status, own.deleted) == ("finished", False)


def test_settling_takes_no_run_for_another_that_is_the_same_in_other_places(store, tmp_path):
    """A sweep may ask twice for a run: both have the same fingerprint, and a number each."""
    folders = [RunFolder(tmp_path / number) for number in "01"]
    for place in folders:
        ended_run(place)
    recorder = recorder_of(store, *folders, parent="sweep")
    recorder.look()
    recorder.settle()
    assert [(held.number, held.status) for held in store.living()] == [
        ("0", "finished"),
        ("1", "finished"),
    ]
    half = recorder_of(store, folders[0], parent="sweep", known=store.runs())
    half.look()
    half.settle()
    assert len(store.living()) == 2


def test_what_is_learnt_is_not_made_again(store, folder):
    begun = ended_run(folder)
    store.add(begun, "sweep", "finished")  # by its worker, on another machine
    recorder = recorder_of(store, folder, parent="sweep")
    recorder.learn()
    recorder.look()
    assert len(store.held) == 1
    assert recorder.missing == 0
    assert recorder.elsewhere == {"0"}


def test_a_run_of_its_own_or_of_earlier_is_not_one_that_others_brought(store, folder, tmp_path):
    store.add(RunFolder(tmp_path / "earlier").begin(SPEC), "sweep", "killed", number="1")
    recorder = Recorder(store, [folder.path], "sweep", store.runs())
    start(folder)
    recorder.look()
    recorder.learn()
    assert recorder.elsewhere == set()


def wait_until(true, what):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.005)


def test_a_thread_brings_what_comes_while_the_context_lasts(store, folder, monkeypatch):
    monkeypatch.setattr(recorder_module, "LOOK_SECONDS", 0.01)
    recorder = recorder_of(store, folder)
    with recorder.following():
        begun = start(folder, epochs=1)
        wait_until(lambda: "log" in store.calls, "the first epoch is there")
        end(folder, begun, epochs=1)
        wait_until(lambda: not recorder.missing, "the run is there")


def test_catching_up_does_not_wait_for_the_next_second(store, folder, monkeypatch):
    monkeypatch.setattr(recorder_module, "LOOK_SECONDS", 3600)
    recorder = recorder_of(store, folder)
    with recorder.following():
        ended_run(folder)
        thread = threading.Thread(target=recorder.catch_up, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert recorder.missing == 0


class Waits:
    """Stands for the event on which the thread waits: it notes how long, and never sleeps."""

    def __init__(self, turns):
        self.asked = []
        self.turns = turns

    def wait(self, seconds):
        self.asked.append(seconds)
        self.turns(len(self.asked))

    def set(self):
        pass

    def clear(self):
        pass


def test_a_store_that_is_away_is_asked_less_and_less_often(store, folder):
    store.away = True
    ended_run(folder)
    recorder = recorder_of(store, folder)

    def turns(count):
        store.away = count <= 8
        recorder._over = count == 12

    recorder._wake = Waits(turns)
    recorder._follow()
    assert recorder._wake.asked == [1, 2, 4, 8, 16, 32, 60, 60, 60, 1, 1, 1]
    assert recorder.missing == 0


def test_a_run_that_is_in_the_store_is_checked_without_a_word(store, folder):
    ended_run(folder)
    recorder = recorder_of(store, folder)
    recorder.look()
    recorder.check()


def test_a_run_that_is_not_in_the_store_is_told_with_what_to_do(store, folder):
    ended_run(folder)
    store.away = True
    recorder = recorder_of(store, folder)
    recorder.look()
    with pytest.raises(IncompleteError, match="is not in the store the made-up store") as refusal:
        recorder.check()
    assert "resume=true" in str(refusal.value)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_run_that_is_done_in_the_context_is_recorded_however_it_ends(store, folder, error):
    with (
        contextlib.suppress(KeyboardInterrupt),
        recorded(store, folder.path, "sweep") as recorder,
    ):
        ended_run(folder)
        if error is not None:
            raise error
    (held,) = store.living()
    assert (held.parent, held.status) == ("sweep", "finished")
    recorder.check()


def test_a_run_is_seen_while_its_context_lasts(store, folder, monkeypatch):
    monkeypatch.setattr(recorder_module, "LOOK_SECONDS", 0.01)
    with recorded(store, folder.path):
        start(folder, epochs=1)
        wait_until(lambda: "log" in store.calls, "the first epoch is there")


def test_without_a_store_nothing_is_recorded(folder):
    with recorded(None, folder.path) as recorder:
        assert recorder is None


def test_what_the_store_has_lost_is_missed_in_the_end_and_brought_again(store, tmp_path):
    folders = [RunFolder(tmp_path / number) for number in "01"]
    for folder in folders:
        ended_run(folder)
    recorder = recorder_of(store, *folders)
    assert recorder.finish(settle=True)
    store.held.clear()
    assert not recorder.finish(settle=True)
    assert (recorder.missing, recorder.run_ids) == (2, {})
    assert recorder.finish(settle=True)
    assert [held.status for held in store.living()] == ["finished"] * 2


def test_a_store_whose_file_is_gone_has_nothing(store, folder, monkeypatch):
    monkeypatch.setattr("bnsweep.tracking.recorder.FINISH_SECONDS", 0)
    ended_run(folder)
    recorder = recorder_of(store, folder)
    assert recorder.look()
    store.away = store.is_gone = True
    assert not recorder.finish()
    assert (recorder.missing, recorder.run_ids) == (1, {})


def test_what_is_abandoned_stays_open_no_longer_and_is_mended_later(store, folder):
    ended_run(folder)
    store.fails["close"] = [StoreUnreachable("away")]
    recorder = recorder_of(store, folder)
    assert not recorder.look()
    recorder.abandon()
    assert [held.status for held in store.living()] == ["killed"]
    assert recorder.look()
    assert [held.status for held in store.living()] == ["finished"]
