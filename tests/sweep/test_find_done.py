"""What is done already is found on disk or in the store, and logged where the store lacks it."""

from dataclasses import replace

import pytest
from bnsweep.sweep.outcomes import Outcomes
from bnsweep.tracking.no_tracker import NoLog, StoredRun
from made_up import result, sweep

from bnsweep import records
from bnsweep.sweep.resume import find_done, log_from_disk
from bnsweep.tracking import NoTracker


class Log(NoLog):
    def __init__(self, run_id):
        super().__init__(run_id, complete=False)
        self.epochs = []

    def epoch(self, epoch, measured):
        self.epochs.append((epoch, measured["train_accuracy"]))

    def end(self, result, folder):
        self.complete = result.status != "failed"
        self.result = result


class Store(NoTracker):
    """A store that holds the texts of histories, by fingerprint, and remembers what is logged."""

    def __init__(self, **histories):
        self.histories = histories
        self.logs = []

    def complete_runs(self):
        return {mark: StoredRun(f"id {mark}", mark) for mark in self.histories}

    def history(self, run):
        if self.histories[run.artifact_uri] is None:
            raise OSError("gone")
        return self.histories[run.artifact_uri]

    def start_run(self, spec, **_):
        self.logs.append(Log(f"new {spec.fingerprint}"))
        return self.logs[-1]


@pytest.fixture
def specs():
    return [replace(run.spec, fingerprint=f"mark{n}") for n, run in enumerate(sweep(seed=[0, 1]))]


def lies(folder, mark, status="finished", accuracies=(0.1, 0.5)):
    folder.mkdir(parents=True)
    found = result(accuracies, status=status)
    records.write(folder, replace(found, spec=replace(found.spec, fingerprint=mark)))


@pytest.mark.parametrize("place", ["sweeps/earlier/3", "runs/single"])
@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_run_that_ended_is_found_on_disk(tmp_path, specs, place, status):
    lies(tmp_path / place, "mark1", status)
    outcomes = find_done(specs, NoTracker(), tmp_path)
    assert outcomes.reused.keys() == {1}
    assert outcomes.folders == {1: tmp_path / place}
    assert outcomes.run_ids == {}


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_a_run_that_did_not_end_by_itself_is_done_again(tmp_path, specs, status):
    lies(tmp_path / "runs/single", "mark1", status)
    assert find_done(specs, NoTracker(), tmp_path).reused == {}


def test_a_run_that_only_the_store_has_is_read_from_there(tmp_path, specs):
    store = Store(mark0=records.encode(result((0.1, 0.75))))
    outcomes = find_done(specs, store, tmp_path)
    assert outcomes.reused[0].last("train_accuracy") == 0.75
    assert outcomes.run_ids == {0: "id mark0"}
    assert outcomes.folders == {}


def test_what_the_store_has_finished_and_nobody_can_read_is_done_again(tmp_path, specs):
    outcomes = find_done(specs, Store(mark0=None, mark1="{}"), tmp_path)
    assert outcomes.reused == outcomes.run_ids == {}


def test_results_of_another_format_are_named_once_and_not_used(tmp_path, specs, caplog):
    lies(tmp_path / "runs/new", "mark0")
    for name in ("old", "older"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "history.json").write_text('{"format": 1}')
    assert find_done(specs, NoTracker(), tmp_path).reused.keys() == {0}
    (message,) = caplog.messages
    assert message.startswith(f"2 of the results below {tmp_path} are not used, for instance ")
    assert "written in format 1" in message


def test_only_what_lies_on_disk_and_not_in_the_store_is_logged(tmp_path, specs):
    for number in (0, 1):
        lies(tmp_path / f"runs/{number}", f"mark{number}", accuracies=(0.1, 0.25, 0.5))
    store = Store(mark0=None)
    outcomes = find_done(specs, store, tmp_path)
    log_from_disk([(spec, None) for spec in specs], store, "parent", outcomes)
    (log,) = store.logs
    assert log.epochs == [(0, 0.1), (1, 0.25), (2, 0.5)]
    assert log.result.epochs_run == 2
    assert outcomes.run_ids == {0: "id mark0", 1: "new mark1"}


def test_a_run_that_could_not_be_logged_is_still_missing_in_the_store(tmp_path, specs):
    lies(tmp_path / "9", "mark0", status="failed")
    outcomes = Outcomes(folders={0: tmp_path / "9"})
    store = Store()
    log_from_disk([(spec, None) for spec in specs], store, None, outcomes)
    assert len(store.logs) == 1
    assert outcomes.unstored(specs) == specs[:1]


def test_a_killed_run_is_not_logged(tmp_path, specs):
    lies(tmp_path / "9", "mark0", status="killed")
    store = Store()
    log_from_disk(
        [(spec, None) for spec in specs], store, None, Outcomes(folders={0: tmp_path / "9"})
    )
    assert store.logs == []
