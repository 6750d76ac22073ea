"""What becomes of runs whose worker is lost; the workers here only pretend to work."""

from dataclasses import replace

import pytest
from made_up import measured, result, sweep

from bnsweep.records import SweepPlan
from bnsweep.sweep.workers import STOP_FILE, InProcess, OpenSweep, Terms, run_all


class Scripted:
    """Does to each batch what the next step of a script says, and remembers what it was given.

    A step is called with the sweep and the specs of the batch. Without one, all runs end.
    """

    def __init__(self, *script):
        self.script = list(script)
        self.batches = []
        self.ended = []

    def run(self, specs, sweep):
        self.batches.append([spec.number for spec in specs])
        step = self.script.pop(0) if self.script else loses()
        reasons = step(sweep, specs)
        self.ended += [s.number for s in specs if sweep.run(s.number).has_history()]
        return reasons

    def stop(self):
        pass


def loses(*started, before=()):
    """Return a step in which all runs end but those that have started, or have not even that."""

    def step(sweep, specs):
        reasons = {}
        for spec in specs:
            folder = sweep.run(spec.number)
            if spec.number in before:
                reasons[spec.number] = "a worker process was killed"
                continue
            begun = folder.begin(spec)
            folder.append(begun.id, 0, measured(0.1, 0.2))
            if spec.number in started:
                reasons[spec.number] = "a worker process was killed"
            else:
                folder.finish(replace(result(), spec=spec, attempt=begun.id))
        return reasons

    return step


ALL = (0, 1, 2)


@pytest.fixture
def specs():
    return [run.spec for run in sweep(seed=ALL)]


@pytest.fixture
def opened(tmp_path, specs):
    def make(**terms):
        return OpenSweep(SweepPlan(tuple(specs), ("seed",)), Terms(tmp_path, **terms))

    return make


def statuses(opened):
    folders = [opened.run(spec.number) for spec in opened.plan.specs]
    return [folder.result().status if folder.has_history() else None for folder in folders]


def test_what_all_ends_is_launched_once(opened, specs):
    workers = Scripted()
    assert run_all(workers, specs, opened()) == {}
    assert workers.batches == [[0, 1, 2]]


def test_after_a_death_what_never_started_goes_first_and_each_suspect_alone(opened, specs):
    workers = Scripted(loses(0, 1, before=[2]))
    run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2], [2], [0], [1]]
    assert statuses(opened()) == ["finished"] * 3


def test_suspects_wait_until_no_other_run_is_left(opened, specs):
    workers = Scripted(loses(0, before=[1, 2]), loses(before=[1, 2]))
    run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2], [1, 2], [1, 2], [0]]


def test_no_run_that_has_ended_is_done_again(opened, specs):
    workers = Scripted(loses(1, before=[2]), loses(before=[2]), loses(), loses())
    run_all(workers, specs, opened())
    assert sorted(workers.ended) == [0, 1, 2]


def test_a_second_try_does_not_mix_with_what_the_first_one_left(opened, specs):
    first = []

    def step(sweep, specs):
        first.append(sweep.run(1).attempt().id)
        return loses()(sweep, specs)

    run_all(Scripted(loses(1), step), specs, opened())
    folder = opened().run(1)
    second = folder.attempt().id
    assert folder.result().attempt == second != first[0]
    for attempt in (*first, second):
        assert [epoch.number for epoch in folder.epochs(attempt)[0]] == [0]


def test_a_run_that_is_under_way_at_two_deaths_has_failed(opened, specs):
    workers = Scripted(loses(1), loses(1))
    reasons = run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2], [1]]
    assert reasons.keys() == {1}
    assert "its worker died twice" in reasons[1]
    assert "a worker process was killed" in reasons[1]
    assert statuses(opened()) == ["finished", "failed", "finished"]
    failed = opened().run(1).result()
    assert failed.error == reasons[1]
    assert list(failed.curves["train_accuracy"]) == [0.1]  # what it had measured
    assert "died twice" in (opened().folder / "1" / "error.txt").read_text()


def test_several_runs_that_are_lost_at_once_are_tried_each_by_itself(opened, specs):
    workers = Scripted(loses(*ALL), loses(0), loses(1))
    reasons = run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2], [0], [1], [2]]
    assert reasons.keys() >= {0, 1}
    assert statuses(opened()) == ["failed", "failed", "finished"]


def test_a_worker_that_dies_before_the_first_run_has_started_costs_nothing(opened, specs):
    workers = Scripted(loses(before=ALL), loses(before=ALL))
    run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2]] * 3
    assert statuses(opened()) == ["finished"] * 3


def test_where_no_worker_starts_the_third_time_its_reason_stands(opened, specs):
    workers = Scripted(*[loses(before=ALL)] * 5)
    reasons = run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2]] * 3
    assert reasons == dict.fromkeys(ALL, "a worker process was killed")
    assert statuses(opened()) == [None] * 3


def test_false_starts_count_only_in_a_row(opened, specs):
    none = loses(before=ALL)
    workers = Scripted(none, none, loses(before=[1, 2]), none, none)
    run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2]] * 3 + [[1, 2]] * 3
    assert statuses(opened()) == ["finished"] * 3


def test_a_run_that_began_and_whose_second_worker_died_before_it_began_has_failed(opened, specs):
    workers = Scripted(loses(1), loses(before=[1]))
    reasons = run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2], [1]]
    assert statuses(opened()) == ["finished", "failed", "finished"]
    assert "its worker died twice" in reasons[1]
    assert list(opened().run(1).result().curves["train_accuracy"]) == [0.1]


@pytest.mark.parametrize(("stop", "batches"), [(True, 2), (False, 4)])
def test_with_on_failure_stop_nothing_starts_after_a_run_has_failed(opened, specs, stop, batches):
    workers = Scripted(loses(*ALL), loses(0))
    run_all(workers, specs, opened(stop_at_failure=stop))
    assert workers.batches == [[0, 1, 2], [0], [1], [2]][:batches]


def test_a_sweep_that_has_been_stopped_starts_nothing(opened, specs, tmp_path):
    def step(sweep, specs):
        (sweep.folder / STOP_FILE).touch()
        return loses(before=[1, 2])(sweep, specs)

    workers = Scripted(step)
    run_all(workers, specs, opened())
    assert workers.batches == [[0, 1, 2]]


class Turns:
    """A recorder that notes which runs had ended at each of its turns."""

    def __init__(self, folder):
        self.folder = folder
        self.seen = []

    def catch_up(self):
        self.seen.append(sorted(path.parent.name for path in self.folder.glob("*/history.json")))


def test_in_this_process_the_recorder_has_its_turn_after_each_run(
    opened, specs, tmp_path, monkeypatch
):
    monkeypatch.setattr("bnsweep.sweep.workers.do", lambda spec, *_: loses()(opened(), [spec]))
    recorder = Turns(tmp_path)
    run_all(InProcess(), specs, replace(opened(), recorder=recorder))
    assert recorder.seen == [["0"], ["0", "1"], ["0", "1", "2"]]


def test_in_this_process_an_error_costs_the_run_it_belongs_to(opened, specs, monkeypatch):
    def fails_for_one(spec, *_):
        if spec.number == 1:
            raise OSError(28, "No space left on device")
        loses()(opened(), [spec])

    monkeypatch.setattr("bnsweep.sweep.workers.do", fails_for_one)
    reasons = run_all(InProcess(), specs, opened())
    assert reasons == {1: "OSError: [Errno 28] No space left on device"}
    assert statuses(opened()) == ["finished", None, "finished"]
