"""Runs go to a launcher, and again when a worker dies; the launchers here only pretend to work."""

from dataclasses import replace
from pathlib import Path

import pytest
from bnsweep.sweep.launching import _overrides_of, launch
from bnsweep.sweep.outcomes import JobReport, Outcomes
from hydra.core.utils import JobReturn, JobStatus
from made_up import result, sweep

from bnsweep import records
from bnsweep.records import has_history
from bnsweep.sweep.cluster import Workers
from bnsweep.tracking import NoTracker


class Launcher:
    """Does to each batch what the next step of a script says, and remembers what it was given."""

    def __init__(self, folder, *script):
        self.folder = folder
        self.script = list(script)
        self.batches = []

    def launch(self, job_overrides, initial_job_idx):
        numbers = [_number(overrides) for overrides in job_overrides]
        self.batches.append(numbers)
        places = [self.folder / str(initial_job_idx + n) for n in range(len(numbers))]
        step = self.script.pop(0) if self.script else ends
        return step(dict(zip(numbers, places, strict=True)))


def _number(overrides):
    (number,) = (o for o in overrides if o.startswith("sweep.number="))
    return int(number.partition("=")[2])


def ends(places):
    """Let all runs of a batch end."""
    for number, place in places.items():
        write(place, number)
    return [completed(JobReport(run_id=f"id{number}")) for number in places]


def dies(*under_way, ended=(), error=None):
    """Return a step in which the worker dies with runs under way and runs that ended."""

    def step(places):
        for number in under_way:
            if number in places:
                places[number].mkdir()
        for number in ended:
            write(places[number], number)
        raise error or RuntimeError("a worker was killed")

    return step


def write(place, number):
    place.mkdir(exist_ok=True)
    records.write(place, result(seed=number))


def completed(report):
    returned = JobReturn(status=JobStatus.COMPLETED)
    returned.return_value = report
    return returned


@pytest.fixture
def specs():
    return [run.spec for run in sweep(seed=[0, 1, 2], data__root=["/data"])]


def go(launcher, specs, *, stop_at_failure=False):
    outcomes = Outcomes()
    workers = Workers(launcher, NoTracker(), None, launcher.folder)
    launch(launcher, specs, [], launcher.folder, outcomes, workers, stop_at_failure=stop_at_failure)
    return outcomes


def folders(outcomes):
    return {number: int(place.name) for number, place in outcomes.folders.items()}


def test_what_the_jobs_report_is_noted(tmp_path, specs):
    launcher = Launcher(tmp_path)
    outcomes = go(launcher, specs)
    assert launcher.batches == [[0, 1, 2]]
    assert outcomes.run_ids == {0: "id0", 1: "id1", 2: "id2"}
    assert folders(outcomes) == {0: 0, 1: 1, 2: 2}
    assert not outcomes.failures


def test_a_run_that_is_not_wholly_in_the_store_has_no_run_id(tmp_path, specs):
    def step(places):
        ends(places)
        return [completed(JobReport(tracked=False, run_id="half")) for _ in places]

    assert go(Launcher(tmp_path, step), specs).run_ids == {}


def test_a_history_that_comes_with_the_report_is_written_where_it_is_missing(tmp_path, specs):
    text = records.encode(result(seed=7))

    def step(places):
        write(places[0], 0)
        return [completed(JobReport(history=text)) for _ in places]

    go(Launcher(tmp_path, step), specs)
    assert [records.read(tmp_path / name).spec.seed for name in "012"] == [0, 7, 7]


def test_a_failed_job_says_why(tmp_path, specs):
    def step(places):
        broken = JobReturn(status=JobStatus.FAILED)
        broken.return_value = ValueError("no such thing")
        fails = completed(JobReport(error="Traceback"))
        return [broken, fails, completed(JobReport())]

    failures = go(Launcher(tmp_path, step), specs).failures
    assert failures == {0: "ValueError: no such thing", 1: "Traceback"}


def test_after_a_death_what_never_started_goes_first_and_each_suspect_alone(tmp_path, specs):
    launcher = Launcher(tmp_path, dies(1, ended=[0]))
    outcomes = go(launcher, specs)
    assert launcher.batches == [[0, 1, 2], [2], [1]]
    assert folders(outcomes) == {0: 0, 1: 4, 2: 3}  # a try has a folder of its own
    assert outcomes.broken == {str(tmp_path / "1"), str(tmp_path / "2")}
    assert not outcomes.failures


def test_a_run_that_is_under_way_at_two_deaths_has_failed(tmp_path, specs):
    launcher = Launcher(tmp_path, dies(1), ends, dies(1))
    outcomes = go(launcher, specs)
    assert launcher.batches == [[0, 1, 2], [0, 2], [1]]
    assert outcomes.failures.keys() == {1}
    assert "its worker died twice" in outcomes.failures[1]
    failed = records.read(outcomes.folders[1])
    assert (failed.status, failed.error) == ("failed", outcomes.failures[1])
    assert "died twice" in (outcomes.folders[1] / "error.txt").read_text()


@pytest.mark.parametrize(("stop", "batches"), [(True, 2), (False, 4)])
def test_with_on_failure_stop_nothing_starts_after_a_run_has_failed(tmp_path, specs, stop, batches):
    launcher = Launcher(tmp_path, dies(0, 1, 2), dies(0))
    go(launcher, specs, stop_at_failure=stop)
    assert launcher.batches == [[0, 1, 2], [0], [1], [2]][:batches]


@pytest.mark.parametrize(
    "step", [dies(), dies(0, error=OSError(28, "No space left on device"))], ids=["start", "disk"]
)
def test_where_no_worker_died_nothing_is_tried_again(tmp_path, specs, step):
    launcher = Launcher(tmp_path, step)
    outcomes = go(launcher, specs)
    assert launcher.batches == [[0, 1, 2]]
    assert outcomes.failures.keys() == {0, 1, 2}
    assert not any(has_history(Path(place)) for place in outcomes.folders.values())


def test_a_fixed_override_stands_in_the_place_of_the_runs_own():
    (spec,) = (run.spec for run in sweep(seed=[4], data__root=["A B"]))
    spec = replace(spec, overrides=("seed=4", "output_dir=there"), number=9)
    overrides = _overrides_of(spec, ["output_dir='/out'"])
    assert overrides[:2] == ["seed=4", "output_dir='/out'"]
    assert {"sweep.number=9", "data.root='A B'"} < set(overrides)
    (options,) = (o for o in overrides if o.startswith("sweep.options="))
    assert options == "sweep.options={model:'batchnorm',optimizer:'sgd',data:'digits'}"
