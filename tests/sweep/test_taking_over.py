"""What is done already is found on disk or in the store, and taken over; what died is closed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import result, sweep

from bnsweep.errors import StoreRefused, StoreUnreachable
from bnsweep.records import RunFolder, SweepPlan, encode, lock
from bnsweep.sweep.places import ANY
from bnsweep.sweep.resume import EarlierRuns, differences, take_over
from bnsweep.tracking.store import StoredRun


class Store:
    """A store that holds the files of finished runs, by fingerprint; None: nobody can read it."""

    def __init__(self, **histories):
        self.histories = histories

    def runs(self):
        statuses = {mark: "failed" if mark == "failed" else "finished" for mark in self.histories}
        return [StoredRun(f"id {m}", f"try {m}", m, "0", status) for m, status in statuses.items()]

    def fetch(self, run_id, folder, names):
        history = self.histories[run_id.removeprefix("id ")]
        if history is None:
            raise StoreRefused("gone")
        files = {"history.json": history, "weights.npz": "weights"}
        for name in names:
            if name in files:
                (folder / name).write_text(files[name])


def specs_of(marks):
    runs = sweep(seed=range(len(marks)))
    return [replace(run.spec, fingerprint=mark) for run, mark in zip(runs, marks, strict=True)]


def plan_of(marks, **kwargs):
    return SweepPlan(tuple(specs_of(marks)), ("seed",), **kwargs)


def done(folder, spec, status="finished", accuracies=(0.1, 0.5)):
    """Let a run end in a folder."""
    begun = RunFolder(folder).begin(spec)
    RunFolder(folder).finish(
        replace(result(accuracies, status=status), spec=spec, attempt=begun.id)
    )


class Outputs:
    """A folder of sweeps and one of runs by themselves, and the sweep that takes over."""

    def __init__(self, folder):
        self.sweeps, self.runs = folder / "sweeps", folder / "runs"
        self.new = self.sweeps / "new"
        self.new.mkdir(parents=True)

    def sweep(self, name, marks, statuses):
        """Let an earlier sweep have done runs, those without a status not."""
        plan = plan_of(marks)
        folder = self.sweeps / name
        folder.mkdir()
        plan.write(folder)
        for spec, status in zip(plan.specs, statuses, strict=True):
            if status:
                done(folder / str(spec.number), spec, status)
        return folder

    def single(self, name, mark, status="finished"):
        (spec,) = specs_of([mark])
        done(self.runs / name, spec, status)
        return self.runs / name

    def earlier(self, store=None):
        return EarlierRuns(self.sweeps / ANY, self.runs / ANY, store)

    def take_over(self, plan, store=None):
        return take_over(plan, self.new, self.earlier(store))


@pytest.fixture
def outputs(tmp_path):
    return Outputs(tmp_path)


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_run_that_ended_in_another_sweep_is_linked_to(outputs, status):
    earlier = outputs.sweep("earlier", ["x", "mark1"], ["finished", status])
    taken = outputs.take_over(plan_of(["mark0", "mark1"]))
    assert taken == {1: str(earlier / "1")}
    link = outputs.new / "1"
    assert link.is_symlink()
    assert link.resolve() == earlier / "1"
    assert RunFolder(link).result().status == status
    assert not (outputs.new / "0").exists()


def test_a_run_by_itself_is_linked_to(outputs):
    single = outputs.single("single", "mark0")
    assert outputs.take_over(plan_of(["mark0", "mark1"])) == {0: str(single)}
    assert (outputs.new / "0").resolve() == single


def test_links_go_on_to_hold_when_the_outputs_are_moved(outputs, tmp_path):
    outputs.sweep("earlier", ["mark0"], ["finished"])
    outputs.single("single", "mark1")
    outputs.take_over(plan_of(["mark0", "mark1"]))
    for number in "01":
        assert not (outputs.new / number).readlink().is_absolute()
    moved = tmp_path / "moved"
    moved.mkdir()
    for part in ("sweeps", "runs"):
        (tmp_path / part).rename(moved / part)
    for number in "01":
        assert RunFolder(moved / "sweeps" / "new" / number).result().status == "finished"


def test_what_was_linked_to_is_linked_to_at_its_own_place(outputs):
    single = outputs.single("single", "mark0")
    middle = outputs.sweep("middle", ["mark0"], [None])
    (middle / "0").symlink_to(os.path.relpath(single, middle))
    single.rename(outputs.runs / "hidden")  # found through the link alone
    (middle / "0").unlink()
    (middle / "0").symlink_to("../../runs/hidden")
    (outputs.runs / "hidden" / "run.json").unlink()
    taken = outputs.take_over(plan_of(["mark0"]))
    assert taken == {0: str(outputs.runs / "hidden")}
    assert (outputs.new / "0").readlink() == Path("../../runs/hidden")


@pytest.mark.parametrize("status", ["failed", "killed", None])
def test_a_run_that_did_not_end_by_itself_is_done_again(outputs, status):
    outputs.sweep("earlier", ["mark0"], [status])
    if status:
        outputs.single("single", "mark0", status)
    assert outputs.take_over(plan_of(["mark0"])) == {}
    assert list(outputs.new.iterdir()) == []


def test_what_did_not_end_hides_no_run_that_did(outputs):
    outputs.sweep("failed", ["mark0"], ["failed"])
    outputs.sweep("open", ["mark0"], [None])
    single = outputs.single("single", "mark0")
    assert outputs.take_over(plan_of(["mark0"])) == {0: str(single)}


def test_the_sweeps_own_runs_stay_and_what_it_left_undone_makes_room(outputs):
    plan = plan_of(["mark0", "mark1", "mark2"], reused={1: "/gone", 2: "/elsewhere/2"})
    plan.write(outputs.new)
    done(outputs.new / "0", plan.specs[0])
    done(outputs.new / "1", plan.specs[1], status="failed")
    (outputs.new / "1" / "weights.npz").write_text("half")
    elsewhere = outputs.single("single", "mark2")
    (outputs.new / "2").symlink_to(os.path.relpath(elsewhere, outputs.new))
    assert outputs.take_over(plan) == {2: "/elsewhere/2"}
    assert not (outputs.new / "0").is_symlink()
    assert not (outputs.new / "1").exists()
    assert (outputs.new / "2").resolve() == elsewhere


def test_a_link_whose_target_is_gone_makes_room(outputs):
    (outputs.new / "0").symlink_to("../../runs/gone")
    assert outputs.take_over(plan_of(["mark0"], reused={0: "/runs/gone"})) == {}
    assert not (outputs.new / "0").is_symlink()


def test_runs_whose_data_could_not_be_had_stand_for_nobody(outputs):
    outputs.single("single", "")
    store = Store(**{"": encode(result())})
    assert outputs.take_over(plan_of(["", ""]), store) == {}


def test_a_run_that_only_the_store_has_is_fetched_from_there(outputs):
    plan = plan_of(["mark0", "mark1"])
    store = Store(mark0=encode(result((0.1, 0.75))))
    assert outputs.take_over(plan, store) == {0: "run id mark0 of the store"}
    found = RunFolder(outputs.new / "0")
    assert found.result().last("train_accuracy") == 0.75
    assert (found.path / "weights.npz").read_bytes() == b"weights"
    assert not (found.path / "config.yaml").exists()  # it has none


def test_the_disk_comes_before_the_store(outputs):
    single = outputs.single("single", "mark0")
    store = Store(mark0=encode(result()))
    assert outputs.take_over(plan_of(["mark0"]), store) == {0: str(single)}


@pytest.mark.parametrize("history", [None, "{}", "no json"])
def test_what_the_store_has_finished_and_nobody_can_read_is_done_again(outputs, history):
    assert outputs.take_over(plan_of(["mark0"]), Store(mark0=history)) == {}
    assert list(outputs.new.iterdir()) == []


def test_what_failed_in_the_store_is_done_again(outputs):
    store = Store(failed=encode(result()))
    assert outputs.earlier(store).stored_as_done(specs_of(["failed"])[0]) is None
    assert outputs.take_over(plan_of(["failed"]), store) == {}


def test_a_store_that_goes_away_leaves_nothing_half_fetched(outputs):
    store = Store(mark0=encode(result()))
    fetch = store.fetch

    def goes_away(run_id, folder, names):
        fetch(run_id, folder, [name for name in names if name != "history.json"])
        assert (folder / "weights.npz").exists()
        raise StoreUnreachable("gone")

    store.fetch = goes_away
    assert outputs.take_over(plan_of(["mark0"]), store) == {}
    assert list(outputs.new.iterdir()) == []


def test_what_cannot_be_read_is_named_once_and_not_used(outputs, caplog):
    single = outputs.single("good", "mark0")
    for name in ("old", "older"):
        outputs.single(name, "mark1")
        (outputs.runs / name / "run.json").write_text('{"format": 1}')
    earlier = outputs.sweep("earlier", ["mark1"], ["finished"])
    (earlier / "sweep.json").write_text("{}")
    assert outputs.take_over(plan_of(["mark0", "mark1"])) == {0: str(single)}
    sweeps, runs = caplog.messages
    assert sweeps.startswith("1 earlier results are not used, for instance ")
    assert str(earlier / "sweep.json") in sweeps
    assert runs.startswith("2 earlier results are not used, for instance ")
    assert "written in format 1" in runs
    assert str(outputs.runs) in runs


def test_a_damaged_history_is_done_again(outputs):
    earlier = outputs.sweep("earlier", ["mark0"], ["finished"])
    (earlier / "0" / "history.json").write_text("{")
    assert outputs.take_over(plan_of(["mark0"])) == {}


def test_where_nothing_was_done_nothing_is_found(tmp_path):
    earlier = EarlierRuns(tmp_path / "sweeps" / ANY, tmp_path / "runs" / ANY, None)
    assert earlier.find(specs_of(["mark0"])[0]) is None
    assert earlier.sweep_like(plan_of(["mark0"])) is None


def touched(folder, moment):
    os.utime(folder, (moment, moment))
    return folder


def test_the_newest_sweep_of_the_same_runs_is_gone_on_with(outputs):
    touched(outputs.sweep("older", "ab", [None] * 2), 1000)
    newest = touched(outputs.sweep("z", "ba", [None] * 2), 2000)
    touched(outputs.sweep("zz", "ab", [None] * 2), 1500)
    for number, marks in enumerate(["abc", "a", "aab", "ac"]):
        touched(outputs.sweep(f"other{number}", marks, [None] * len(marks)), 3000)
    assert outputs.earlier().sweep_like(plan_of("ab")) == newest
    assert outputs.earlier().sweep_like(plan_of("abb")) is None


def test_a_run_under_way_by_itself_is_seen_by_its_lock(outputs):
    (spec,) = specs_of(["mark0"])
    RunFolder(outputs.runs / "single").begin(spec)
    earlier = outputs.earlier()
    assert earlier.under_way(spec) is None
    with lock(outputs.runs / "single" / ".lock"):
        assert earlier.under_way(spec) == outputs.runs / "single"
    assert earlier.under_way(spec) is None


def test_the_run_of_a_sweep_that_lies_among_runs_by_themselves_is_none_of_them(outputs):
    outputs.runs.mkdir()
    plan = plan_of(["mark0", "mark1"])
    plan.write(outputs.runs)
    done(outputs.runs / "0", plan.specs[0])
    RunFolder(outputs.runs / "1").begin(plan.specs[1])
    earlier = outputs.earlier()
    assert earlier.find(plan.specs[0]) == outputs.runs / "0"
    with lock(outputs.runs / "1" / ".lock"):
        assert earlier.under_way(plan.specs[1]) is None


def test_plans_of_the_same_runs_do_not_differ():
    assert differences(plan_of("abb"), plan_of("bab")) == ""


def test_how_two_plans_differ_is_said_with_an_example():
    asked, held = plan_of("abcd"), plan_of("xab")
    assert differences(asked, held) == (
        f"2 runs more, for instance {asked.specs[2].name}; "
        f"1 runs fewer, for instance {held.specs[0].name}"
    )
    assert differences(plan_of("abb"), plan_of("ab")).startswith("1 runs more")
    assert differences(plan_of("a"), plan_of("ab")).startswith("1 runs fewer")
