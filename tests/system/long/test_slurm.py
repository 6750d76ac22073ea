"""A sweep in the queue of a real Slurm, and the message if the extra is not installed."""

import signal
import subprocess
import sys

import pytest
from clusters import histories, slurm_cluster
from faults import SCRIPTED, Started, prepare, wait_until

SLURM = ("hydra/launcher=slurm", "hydra.launcher.mem_gb=1")
# The learning rate 0.5 raises in the second epoch.
SWEEP = (*SCRIPTED, "optimizer.lr=0.01,0.5,0.02")

WITHOUT = """
import pkgutil, sys
found = pkgutil.walk_packages
pkgutil.walk_packages = lambda *args, **more: (
    module for module in found(*args, **more)
    if not module.name.startswith(("hydra_plugins.hydra_ray", "hydra_plugins.hydra_submitit"))
)
from bnsweep.cli.app import run_command_line
sys.exit(run_command_line())
"""


@pytest.fixture(scope="module")
def slurm():
    # Too small for the sweep: it takes two arrays.
    with slurm_cluster(array_size=2) as environment:
        yield environment


@pytest.fixture(scope="module")
def swept(module_shell, slurm):
    prepare(module_shell.folder)
    module_shell.output = module_shell("-m", *SWEEP, *SLURM, **slurm)
    assert module_shell.output.returncode == 1, module_shell.output.stderr
    return module_shell


def test_the_numbers_are_those_of_one_process(swept):
    store = ("tracking=none", "output_dir=alone", "hydra/launcher=basic")
    assert swept("-m", *SWEEP, *store).returncode == 1
    queued = histories(swept.folder / "outputs")
    assert sorted(queued) == [0.01, 0.02, 0.5]
    assert queued == histories(swept.folder / "alone")


def test_the_store_holds_parent_and_children(swept):
    (parent,) = swept.runs("tags.`bnsweep.role` = 'sweep'")
    children = swept.runs("tags.`bnsweep.role` = 'run'")
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    status = {run.data.params["optimizer.lr"]: run.info.status for run in children}
    assert status == {"0.01": "FINISHED", "0.5": "FAILED", "0.02": "FINISHED"}
    name = "mlflow.source.git.commit"
    assert {run.data.tags.get(name) for run in children} == {parent.data.tags.get(name)}


def test_what_is_done_is_not_done_again(swept, slurm):
    def attempts():
        runs = swept.runs("tags.`bnsweep.role` = 'run'")
        return {run.data.params["optimizer.lr"]: run.data.tags["bnsweep.attempt"] for run in runs}

    before = attempts()
    done = swept("-m", *SWEEP, *SLURM, "resume=true", **slurm)
    assert done.returncode == 1, done.stderr
    assert [row["status"] for row in swept.results()] == ["finished", "failed", "finished"]
    after = attempts()
    assert {rate for rate in before if after[rate] != before[rate]} == {"0.5"}
    (parent,) = swept.runs("tags.`bnsweep.role` = 'sweep'")
    runs = swept.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED", "FINISHED"]


def test_ctrl_c_empties_the_queue_and_closes_the_runs(shell, slurm):
    prepare(shell.folder)
    waiting = (*SCRIPTED, "optimizer.lr=0.20,0.21,0.22,0.23")
    with Started(shell, "-m", *waiting, *SLURM, **slurm) as sweep:
        wait_until(lambda: list(shell.folder.glob("waiting-*")), "a run is under way")
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.ends() == 130, sweep.text
    listing = subprocess.run(
        ["squeue", "--noheader", "--states=PENDING,RUNNING"],
        env=shell.environment | slurm,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listing.stdout == ""
    assert {run.info.status for run in shell.runs()} == {"KILLED"}


@pytest.mark.parametrize(
    ("launcher", "extra"), [("slurm", "bnsweep[slurm]"), ("ray_cluster", "bnsweep[ray]")]
)
def test_without_the_extra_its_name_is_told(shell, launcher, extra):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "-m", f"hydra/launcher={launcher}"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"pip install '{extra}'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
