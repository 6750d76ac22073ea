"""A sweep as asked for: kept on disk, and found again by another that asks for the same."""

from dataclasses import replace

import pytest
from made_up import sweep

from bnsweep.records import SweepPlan


def plan_of(marks, **kwargs):
    """Return a plan of runs with these fingerprints, a letter each."""
    specs = [run.spec for run in sweep(seed=range(len(marks)))]
    specs = [replace(spec, fingerprint=mark) for spec, mark in zip(specs, marks, strict=True)]
    return SweepPlan(tuple(specs), ("seed",), **kwargs)


def test_a_plan_comes_back_as_it_was(tmp_path):
    plan = plan_of(
        "abc",
        command=("bnsweep", "-m", "seed=0,1,2"),
        parent="id of its run",
        reused={2: "/elsewhere/1", 0: "run 9 of the store"},
    )
    specs = [replace(spec, overrides=(f"seed={spec.seed}",)) for spec in plan.specs]
    plan = replace(plan, specs=tuple(specs))
    plan.write(tmp_path)
    assert SweepPlan.read(tmp_path) == plan
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_the_command_is_shown_as_it_is_typed():
    command = ("/lib/bnsweep/__main__.py", "-m", "seed=range(0,2)", "tracking.note=a b")
    assert plan_of("a", command=command).typed == (
        "python -m bnsweep -m 'seed=range(0,2)' 'tracking.note=a b'"
    )
    assert plan_of("a", command=("/usr/bin/bnsweep", "-m")).typed == "bnsweep -m"


def test_two_plans_of_the_same_runs_are_two_sweeps(tmp_path):
    assert plan_of("ab").id != plan_of("ab").id


def test_a_folder_without_a_plan_holds_no_sweep(tmp_path):
    with pytest.raises(FileNotFoundError):
        SweepPlan.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "sweep.json"),
        ("[]", "not a sweep's plan"),
        ('{"format": 2}', "not a sweep's plan"),
        ('{"format": 99}', "written in format 99, and this version reads format"),
    ],
)
def test_what_is_no_plan_is_said_to_be_none(tmp_path, text, said):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ValueError, match=r"sweep\.json") as refusal:
        SweepPlan.read(tmp_path)
    assert said in str(refusal.value)


def test_a_continuation_has_the_numbers_of_the_sweep_that_it_goes_on_with():
    other = plan_of("abcd", parent="id", reused={1: "/elsewhere"})
    asked = plan_of("dbac", command=("again",))
    again = asked.numbered_like(other)
    assert [spec.number for spec in again.specs] == [0, 1, 2, 3]
    assert [spec.fingerprint for spec in again.specs] == [*"abcd"]
    assert (again.id, again.parent, again.reused) == (other.id, "id", {1: "/elsewhere"})
    # The runs are those of the new command, under the names it gives them.
    assert [spec.seed for spec in again.specs] == [2, 1, 3, 0]
    assert again.command == ("again",)


def test_runs_with_one_fingerprint_have_a_number_each():
    again = plan_of("cabab").numbered_like(plan_of("aabbc"))
    assert [spec.number for spec in again.specs] == [0, 1, 2, 3, 4]
    assert [spec.fingerprint for spec in again.specs] == [*"aabbc"]
    assert sorted(spec.seed for spec in again.specs) == [0, 1, 2, 3, 4]
