"""The driver of a sweep is killed over and over, and the same command always goes on with it."""

import json
import random
import signal
import time

import pytest
from faults import ONE_PROCESS, SMALL, Gate, Started, check_whole, prepare, the_first

TOTAL, KILLS = 24, 10
RATES = ",".join(str(round(0.01 + 0.001 * n, 3)) for n in range(TOTAL))
# Long enough to be killed in the middle.
SWEEP = ("-m", *SMALL, "training.epochs=20", "tracking.weights=false", f"optimizer.lr={RATES}")
LAUNCHERS = ((ONE_PROCESS,), ("hydra.launcher.n_jobs=2",))


def histories(shell):
    return {
        path: path.read_bytes() for path in shell.folder.glob("outputs/sweeps/*/*/history.json")
    }


def go_on(draws, shell, sweep, done):
    """Let the sweep get so far as the lot says, and kill its driver."""
    where = draws.choice(["at the start", "after some runs", "after some runs"])
    more, seconds = draws.randrange(5), draws.uniform(0, 0.4)
    if where == "at the start":
        time.sleep(6 * seconds)  # while it imports, plans, and asks the store
    else:
        while sweep.process.poll() is None and len(histories(shell)) < done + more:
            time.sleep(0.02)
        time.sleep(seconds)
    sweep.process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("seed", range(4))
def test_a_sweep_whose_driver_is_killed_ten_times_is_whole_in_the_end(shell, seed):
    prepare(shell.folder)
    draws = random.Random(seed)
    done: dict = {}
    for number in range(KILLS):
        launcher = LAUNCHERS[(seed + number) % 2]
        arguments = (*SWEEP, *launcher, "resume=true")
        with Started(shell, *arguments, name=f"sweep{number}") as sweep:
            go_on(draws, shell, sweep, len(done))
            assert sweep.ends() in (-signal.SIGKILL, 0), sweep.text
            sweep.leaves_nobody()
        after = histories(shell)
        # Each is whole, and none that had ended was done again.
        assert all(json.loads(content)["status"] == "finished" for content in after.values())
        assert {path: after.get(path) for path in done} == done
        print(f"{number}: {len(after)} done")
        done = after
    shell.succeed(*SWEEP, *LAUNCHERS[seed % 2], "resume=true")
    check_whole(shell.runs(), TOTAL)
    rows = shell.results()
    assert [row["status"] for row in rows] == ["finished"] * TOTAL
    assert {row["number"] for row in rows} == {str(n) for n in range(TOTAL)}
    assert len({row["run_id"] for row in rows} - {""}) == TOTAL
    after = histories(shell)
    assert len(after) == TOTAL
    assert {path: after.get(path) for path in done} == done
    # Killed before it had a plan, a driver leaves an empty folder; nothing is in two of them.
    assert len({path.parent.parent for path in after}) == 1


def test_a_driver_killed_before_it_knows_its_parent_run_finds_it_again(shell, server):
    """The store has made the sweep's own run, and the answer has not arrived."""
    prepare(shell.folder)
    with Gate(server.uri) as gate:
        arguments = ("-m", *SMALL, "optimizer.lr=0.1,0.05", ONE_PROCESS)
        store = (f"tracking.uri={gate.uri}", "tracking.experiment=killed")
        gate.picks = the_first("/runs/create")
        gate.mode = "late"
        with Started(shell, *arguments, *store) as sweep:
            sweep.until(lambda: gate.lost, "the store has made the sweep's own run")
            sweep.process.send_signal(signal.SIGKILL)
            sweep.ends()
        gate.mode = "open"
        (before,) = server.runs("killed")
        shell.succeed(*arguments, *store, "resume=true")
    parent = check_whole(server.runs("killed"), 2)
    assert parent.info.run_id == before.info.run_id
