"""Real worker processes of this machine: killed, replaced, stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest

from bnsweep.errors import ConfigError
from bnsweep.records import Kept, RunSpec, SweepPlan
from bnsweep.sweep import local
from bnsweep.sweep.local import Processes
from bnsweep.sweep.workers import OpenSweep, Terms, run_all

PARTS = '''
"""An optimizer whose learning rate says what happens in its first step."""
import os, signal, sys, time
from pathlib import Path
from bnsweep.nn.optimizers import SGD


class Deadly(SGD):
    def start(self, w):
        folder = Path(__file__).parent
        with (folder / f"tries-{self.lr}").open("a") as file:
            print(os.getpid(), file=file)
        first = len((folder / f"tries-{self.lr}").read_text().split()) == 1
        other = folder / "tries-0.51"
        if self.lr == 0.9:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.lr in (0.5, 0.51) and first:
            # The file is there before the try is in it.
            while self.lr == 0.51 or not (other.exists() and other.read_text()):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.lr == 0.6 and first:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.lr == 0.4 and first:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        if self.lr in (0.3, 0.31):
            time.sleep(600)
        if self.lr == 0.7:
            raise RuntimeError("the learning rate is cursed")
'''
HARMLESS = (0.1, 0.11, 0.12)


def spec_of(number, lr):
    config = {
        "data": {"_target_": "bnsweep.data.datasets.digits", "train_size": 20, "test_size": 10},
        "model": {"_target_": "bnsweep.nn.network.mlp", "hidden_sizes": [3], "batch_norm": False},
        "optimizer": {"_target_": "deadly.Deadly", "lr": lr},
        "training": {"epochs": 1, "batch_size": 10, "sampling": "replacement"},
        "weight_std": 0.1,
        "seed": 0,
        "dtype": "float32",
    }
    options = {"model": "plain", "optimizer": "Deadly", "data": "digits"}
    keep = Kept(figures=False, weights=False)
    return RunSpec(config, options, f"mark {lr}", number=number, swept={"lr": lr}, keep=keep)


class Place:
    """A sweep in a folder, whose optimizer tells which process tried which run."""

    def __init__(self, folder):
        self.folder = folder

    def open(self, *rates, **terms):
        specs = tuple(spec_of(number, lr) for number, lr in enumerate(rates))
        sweep = self.folder / "sweep"
        sweep.mkdir()
        return OpenSweep(SweepPlan(specs, ("lr",)), Terms(sweep, **terms))

    def tries(self, lr):
        """Return the processes that have started a run."""
        path = self.folder / f"tries-{lr}"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    return Place(tmp_path)


@pytest.fixture
def processes():
    made = Processes(2)
    yield made
    made.stop()


def statuses(sweep):
    return [sweep.run(spec.number).result().status for spec in sweep.plan.specs]


def lives(pid):
    """Whether a process is there and no zombie."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


def wait_until(true, what):
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, f"not within two minutes: {what}"
        time.sleep(0.02)


def test_processes_do_all_runs_elsewhere(place, processes):
    sweep = place.open(*HARMLESS, 0.7)
    assert run_all(processes, sweep.plan.specs, sweep) == {}
    assert statuses(sweep) == ["finished"] * 3 + ["failed"]
    assert "the learning rate is cursed" in sweep.run(3).result().error
    workers = {pid for lr in HARMLESS for pid in place.tries(lr)}
    assert 1 <= len(workers) <= 2
    assert os.getpid() not in workers


@pytest.mark.parametrize("lost", [(0.6,), (0.5, 0.51)], ids=["one worker", "both workers"])
def test_runs_whose_worker_is_killed_come_to_their_end(place, processes, lost):
    sweep = place.open(*lost, *HARMLESS)
    run_all(processes, sweep.plan.specs, sweep)
    assert statuses(sweep) == ["finished"] * len(sweep.plan.specs)
    assert [len(place.tries(lr)) for lr in lost] == [2] * len(lost)
    assert all(1 <= len(place.tries(lr)) <= 2 for lr in HARMLESS)


def test_a_run_that_kills_its_worker_twice_is_given_up_and_the_others_end(place, processes):
    sweep = place.open(*HARMLESS, 0.9)
    reasons = run_all(processes, sweep.plan.specs, sweep)
    assert statuses(sweep) == ["finished"] * 3 + ["failed"]
    assert "its worker died twice" in reasons[3]
    assert len(place.tries(0.9)) == 2


def test_runs_come_to_their_end_though_what_forks_the_workers_is_killed(place, processes):
    sweep = place.open(*HARMLESS, 0.4)
    run_all(processes, sweep.plan.specs, sweep)
    assert statuses(sweep) == ["finished"] * 4
    first, second = place.tries(0.4)
    assert not lives(first)
    assert first != second


def test_after_a_stop_no_process_is_left(place, processes):
    sweep = place.open(0.3, 0.31, 0.1)
    workers = []

    def interrupt():
        wait_until(lambda: place.tries(0.3) and place.tries(0.31), "both runs have started")
        workers.extend([*place.tries(0.3), *place.tries(0.31)])
        workers.append(all(map(lives, workers)))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        processes.run(sweep.plan.specs, sweep)
    thread.join()
    processes.stop()
    first, second, lived = workers
    assert lived
    assert first != second
    assert not lives(first)
    assert not lives(second)
    assert not any(sweep.run(number).has_history() for number in range(3))


def test_after_a_stop_runs_can_be_done_again(place, processes):
    sweep = place.open(*HARMLESS)
    processes.submit(os.getpid).result()
    processes.stop()
    run_all(processes, sweep.plan.specs, sweep)
    assert statuses(sweep) == ["finished"] * 3


def test_the_processes_are_forked_by_what_was_started_early(processes):
    processes.prepare()
    server = forkserver._forkserver._forkserver_pid
    assert lives(server)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    processes.prepare()  # it runs already
    assert processes.submit(os.getppid).result() == server


def test_ctrl_c_is_the_drivers_and_blas_has_one_thread(processes, monkeypatch):
    for name in local.THREADS:
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGINT)
    handler = processes.submit(signal.getsignal, signal.SIGINT).result()
    threads = [processes.submit(os.getenv, name).result() for name in local.THREADS]
    assert handler == signal.SIG_IGN
    assert threads == ["1"] * 3
    assert signal.getsignal(signal.SIGINT) == before
    assert not set(local.THREADS) & os.environ.keys()


DRIVER = """
import os, sys, time
from bnsweep.sweep.local import Processes
if __name__ == "__main__":
    processes = Processes(1)
    print(processes.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


def test_workers_end_with_their_driver(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        worker = int(driver.stdout.readline())
        assert lives(worker)
        driver.kill()
    wait_until(lambda: not lives(worker), "the worker has ended")


BASIC = """
import os, sys, time
from pathlib import Path
from hydra.core.hydra_config import HydraConfig
from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.hydra_inside import parse, run_hydra
prepare_hydra()

def job(cfg):
    if cfg.seed == 3:
        raise RuntimeError("the seed is cursed")
    Path(HydraConfig.get().runtime.output_dir, "ran").write_text(f"{cfg.seed} {os.getpid()}")
    if cfg.seed > 3:
        time.sleep(600)

if __name__ == "__main__":
    print(os.getpid(), flush=True)
    run_hydra(parse(sys.argv[1:], ""), job, config_folder())
"""


@pytest.mark.parametrize(("seeds", "status"), [("1,2", 0), ("1,3,2", 1)])
def test_jobs_of_another_sweeper_than_ours_run_in_processes(tmp_path, seeds, status):
    (tmp_path / "app.py").write_text(BASIC)
    arguments = ["-m", "hydra/sweeper=basic", f"seed={seeds}", "hydra.sweep.dir=sweep"]
    arguments += ["weight_std=0.1", "model=plain"]  # not the default sweep
    done = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert ("the seed is cursed" in done.stderr) == bool(status)
    ran = {path.parent.name: path.read_text() for path in tmp_path.glob("sweep/*/ran")}
    numbered = dict(zip("012", seeds.split(","), strict=False))
    assert {number: text.split()[0] for number, text in ran.items()} == {
        number: seed for number, seed in numbered.items() if seed != "3"
    }
    assert done.stdout.split()[0] not in {text.split()[1] for text in ran.values()}


def test_jobs_of_another_sweeper_end_when_it_is_interrupted(tmp_path):
    (tmp_path / "app.py").write_text(BASIC)
    arguments = ["-m", "hydra/sweeper=basic", "seed=4,5,6", "hydra.sweep.dir=sweep"]
    arguments += ["weight_std=0.1", "model=plain", "hydra.launcher.n_jobs=2"]
    with subprocess.Popen(
        [sys.executable, "app.py", *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as driver:
        try:
            wait_until(lambda: len(ran_in(tmp_path)) == 2, "two jobs are under way")
            workers = ran_in(tmp_path)
            assert all(map(lives, workers))
            driver.send_signal(signal.SIGINT)
            assert driver.wait(120) != 0
        finally:
            driver.kill()
    assert not any(map(lives, workers))
    assert ran_in(tmp_path) == workers  # the third has not started


def ran_in(folder):
    """Return the processes of the jobs that have started."""
    texts = [path.read_text().split() for path in sorted(folder.glob("sweep/*/ran"))]
    return [int(words[1]) for words in texts if len(words) == 2]


@pytest.mark.parametrize("n_jobs", [0, -5, 1.5, "abc", None, True])
def test_a_number_of_processes_that_there_cannot_be_is_refused(n_jobs):
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs=.*: must be -1, or a whole"):
        Processes(n_jobs)
    Processes(-1)
    Processes(1)
