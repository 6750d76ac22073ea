"""A sweep that is resumed is the same sweep: its folder, its parent run, its numbers."""

import json
import signal
from pathlib import Path

import pytest
from faults import ONE_PROCESS, SCRIPTED, SMALL, Started, check_whole, prepare

from bnsweep import load_network, load_sweep

RATES = ("0.1", "0.2", "0.05", "0.02")
SWEEP = ("-m", *SCRIPTED, f"optimizer.lr={','.join(RATES)}")


@pytest.fixture
def shell(shell):
    prepare(shell.folder)
    return shell


def sweeps(shell):
    return sorted((shell.folder / "outputs" / "sweeps").iterdir())


def attempts(folder):
    """Return which attempt each run of a sweep is the result of, by its number."""
    return {
        path.parent.name: json.loads(path.read_text())["attempt"]
        for path in folder.glob("*/history.json")
    }


def predicts(run, uri=None):
    network = load_network(run, tracking_uri=uri)
    return network.predict([[0.5] * 64]).shape == (1,)


@pytest.mark.parametrize("end", ["ctrl c", "kill -9"])
def test_an_interrupted_sweep_goes_on_in_its_folder_under_its_parent(shell, end):
    with Started(shell, *SWEEP, ONE_PROCESS) as sweep:
        sweep.until((shell.folder / "waiting-0.2").exists, "the second run is under way")
        sweep.process.send_signal(signal.SIGINT if end == "ctrl c" else signal.SIGKILL)
        sweep.ends()
    (folder,) = sweeps(shell)
    (parent,) = shell.runs("tags.`bnsweep.role` = 'sweep'")
    before = attempts(folder)
    (shell.folder / "go").touch()
    shell.succeed(*SWEEP, "resume=true", "hydra.launcher.n_jobs=2")
    assert sweeps(shell) == [folder]
    assert check_whole(shell.runs(), 4).info.run_id == parent.info.run_id
    after = attempts(folder)
    assert sorted(after) == ["0", "1", "2", "3"]
    assert after["0"] == before["0"]  # what had ended was not done again
    rows = shell.results()
    assert [(row["number"], row["optimizer.lr"]) for row in rows] == [
        (str(number), rate) for number, rate in enumerate(RATES)
    ]
    assert [row["status"] for row in rows] == ["finished"] * 4
    children = {run.info.run_id: run for run in shell.runs("tags.`bnsweep.role` = 'run'")}
    for row in rows:
        run = children[row["run_id"]]
        assert run.data.tags["bnsweep.attempt"] == after[row["number"]]
        assert run.data.tags["bnsweep.folder"] == str(folder / row["number"])
        assert predicts(folder / row["number"])
    assert load_sweep(folder)["optimizer.lr"].tolist() == [float(rate) for rate in RATES]


def test_a_larger_sweep_links_to_what_it_takes_over(shell):
    shell.succeed("-m", *SMALL, "optimizer.lr=0.1,0.05", ONE_PROCESS)
    (first,) = sweeps(shell)
    shell.succeed("-m", *SMALL, "optimizer.lr=0.02,0.05,0.1", ONE_PROCESS, "resume=true")
    (larger,) = (path for path in sweeps(shell) if path != first)
    assert [(larger / str(number)).resolve() for number in range(3)] == [
        *(larger / "0", first / "1", first / "0"),
    ]
    plan = json.loads((larger / "sweep.json").read_text())
    assert plan["reused"] == {"1": str(first / "1"), "2": str(first / "0")}
    rows = shell.results()
    assert [row["status"] for row in rows] == ["finished", "reused", "reused"]
    for row in rows:
        assert predicts(larger / row["number"])
        assert predicts(row["run_id"], shell.uri)
    assert len(shell.runs("tags.`bnsweep.role` = 'run'")) == 3
    assert load_sweep(larger)["reused"].tolist() == [False, True, True]
    # Resumed itself, it still knows whose they are.
    shell.succeed("-m", *SMALL, "optimizer.lr=0.02,0.05,0.1", ONE_PROCESS, "resume=true")
    assert len(sweeps(shell)) == 2
    assert [row["status"] for row in shell.results()] == ["finished", "reused", "reused"]


def test_a_folder_with_another_sweep_is_refused(shell):
    common = ("-m", *SMALL, ONE_PROCESS, "tracking=none")
    shell.succeed(*common, "optimizer.lr=0.1,0.05")
    (folder,) = sweeps(shell)
    given = f"hydra.sweep.dir={folder}"
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refused(*arguments):
        done = shell(*common, given, *arguments)
        assert done.returncode == 2, done.stderr
        (message,) = done.stderr.splitlines()
        assert {path: path.read_bytes() for path in files} == files
        assert sweeps(shell) == [folder]
        return message

    assert "resume=true" in refused("optimizer.lr=0.1,0.05")
    message = refused("optimizer.lr=0.1,0.02,0.01", "resume=true")
    assert "2 runs more" in message
    assert "optimizer.lr=0.02" in message
    assert "1 runs fewer" in message
    assert "optimizer.lr=0.05" in message
    (folder / "elsewhere").mkdir()
    done = shell(*common, f"hydra.sweep.dir={folder}/elsewhere", "resume=true", "optimizer.lr=0.1")
    assert done.returncode == 2
    assert "holds no sweep" in done.stderr
    # The same sweep may be named by its folder.
    shell.succeed(*common, given, "optimizer.lr=0.1,0.05", "resume=true")


def test_a_second_process_does_not_join_in(shell):
    arguments = [*SWEEP, ONE_PROCESS, "resume=true"]
    with Started(shell, *arguments) as first:
        first.until((shell.folder / "waiting-0.2").exists, "the second run is under way")
        second = shell(*arguments)
        assert second.returncode == 2, second.stderr
        (message,) = second.stderr.splitlines()
        assert "another process is at work on this sweep" in message
        assert f", in {sweeps(shell)[0].relative_to(shell.folder)};" in message
        (shell.folder / "go").touch()
        assert first.ends() == 0, first.text
    check_whole(shell.runs(), 4)
    # Each run was begun once: a second attempt leaves a second file.
    (folder,) = sweeps(shell)
    assert [len(list((folder / str(n)).glob("epochs.*"))) for n in range(4)] == [1] * 4


def test_a_second_process_does_not_join_in_on_a_run_by_itself(shell):
    arguments = [*SCRIPTED, "optimizer.lr=0.2", "resume=true"]
    with Started(shell, *arguments) as first:
        first.until((shell.folder / "waiting-0.2").exists, "the run is under way")
        second = shell(*arguments)
        assert second.returncode == 2, second.stderr
        assert "another process is at work on this run" in second.stderr
        (shell.folder / "go").touch()
        assert first.ends() == 0, first.text
    assert len(list(shell.folder.glob("outputs/runs/*/history.json"))) == 1
    assert [run.info.status for run in shell.runs()] == ["FINISHED"]


def test_what_became_of_each_run_stands_in_the_table(shell):
    rates = "0.1,0.5,0.2,0.05"
    with Started(shell, "-m", *SCRIPTED, f"optimizer.lr={rates}", ONE_PROCESS) as sweep:
        sweep.until((shell.folder / "waiting-0.2").exists, "the third run is under way")
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.ends() == 130, sweep.text
    rows = shell.results()
    assert [(row["status"], row["epochs_run"]) for row in rows] == [
        ("finished", "3.0"),
        ("failed", "1.0"),  # in its second epoch
        ("killed", "1.0"),  # it was interrupted there
        ("not started", ""),
    ]
    (folder,) = sweeps(shell)
    assert not (folder / "3").exists()
    histories = [json.loads((folder / str(n) / "history.json").read_text()) for n in range(3)]
    assert [history["error"] or "" for history in histories][::2] == ["", "interrupted"]
    assert "the learning rate is cursed" in (folder / "1" / "error.txt").read_text()
    assert len(histories[2]["epochs"]) == 2
    assert [bool(row["run_id"]) for row in rows] == [True, True, True, False]


def test_with_another_folder_the_runs_are_fetched_from_the_store(shell):
    put = ("-m", *SMALL, "optimizer.lr=0.1,0.05", ONE_PROCESS)
    shell.succeed(*put)
    shell.succeed(*put, "resume=true", "output_dir=other", f"tracking.uri={shell.uri}")
    (folder,) = (shell.folder / "other" / "sweeps").iterdir()
    assert [row["status"] for row in shell.results("other")] == ["reused", "reused"]
    assert predicts(folder / "0")
    assert len(shell.runs("tags.`bnsweep.role` = 'run'")) == 2
    assert Path(folder / "0" / "config.yaml").exists()
