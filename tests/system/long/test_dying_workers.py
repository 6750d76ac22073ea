"""Workers, and what they are forked from, are killed at moments that were drawn by lot.

Whatever is killed beside the driver, all runs end, each is in the store once, and nobody writes
beside the runs that are done again.
"""

import random
import time

import pytest
from faults import (
    NO_FIGURES,
    SCRIPTED,
    STILLBORN,
    Started,
    check_whole,
    kill,
    on_start,
    prepare,
)

RATES = [round(0.01 + 0.001 * n, 3) for n in range(12)]
# Runs of a third of a second.
LONGER = ("training.epochs=40", "tracking.weights=false")
SWEEP = ("-m", *SCRIPTED, *LONGER, f"optimizer.lr={','.join(map(str, RATES))}", *NO_FIGURES)


def check(shell, sweep, total):
    assert sweep.ends() == 0, sweep.text
    sweep.leaves_nobody()
    check_whole(shell.runs(), total)
    assert [row["status"] for row in shell.results()] == ["finished"] * total
    assert "Traceback" not in sweep.text


def started(shell):
    return list(shell.folder.glob("outputs/sweeps/*/*/run.json"))


def ended(shell):
    return list(shell.folder.glob("outputs/sweeps/*/*/history.json"))


def test_a_worker_that_dies_before_its_first_run_is_replaced(shell):
    prepare(shell.folder)
    with Started(shell, *SWEEP, **on_start(shell.folder, STILLBORN)) as sweep:
        check(shell, sweep, len(RATES))
    assert (shell.folder / "died").exists()


def test_a_fork_server_that_dies_before_the_first_run_is_replaced(shell):
    prepare(shell.folder)
    with Started(shell, *SWEEP) as sweep:
        # The driver starts it before it plans the sweep.
        kill(*sweep.until(lambda: sweep.fork_servers, "there is a fork server"))
        assert not started(shell)
        check(shell, sweep, len(RATES))


def test_a_worker_that_dies_between_two_runs_is_replaced(shell):
    prepare(shell.folder)
    rates = "0.35,0.1,0.05,0.02,0.01"
    options = (f"optimizer.lr={rates}", "hydra.launcher.n_jobs=1")
    with Started(shell, "-m", *SCRIPTED, *options) as sweep:
        check(shell, sweep, 5)
    assert (shell.folder / "died").exists()


@pytest.mark.parametrize("seed", range(12))
def test_whoever_is_killed_at_any_moment_every_run_is_done_once(shell, seed):
    draws = random.Random(seed)
    killed = ("one worker", "all workers", "the fork server")[seed % 3]
    jobs = draws.choice([1, 2, 4])
    # Half of them while the first runs are given out, the others later.
    done = draws.choice([0, draws.randrange(1, len(RATES) - 1)])
    delay = draws.uniform(0, 0.3)
    prepare(shell.folder)
    with Started(shell, *SWEEP, f"hydra.launcher.n_jobs={jobs}") as sweep:
        sweep.until(lambda: started(shell) and len(ended(shell)) >= done, f"{done} runs have ended")
        time.sleep(delay)
        workers, servers = sweep.workers, sweep.fork_servers
        print(f"{killed} of {len(workers)} with {len(started(shell))} runs started")
        if killed == "one worker":
            kill(*draws.sample(workers, min(1, len(workers))))
        else:
            kill(*(workers if killed == "all workers" else servers))
        check(shell, sweep, len(RATES))
