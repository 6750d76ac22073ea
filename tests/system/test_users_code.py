"""A part of the user's own that fails is told before anything exists, or fails its own run."""

import json

import pytest
from faults import NO_FIGURES, ONE_PROCESS

SMALL = (
    *("training.epochs=2", "data.train_size=100", "data.test_size=50", "model=plain"),
    *("tracking=none", "tracking.weights=false", *NO_FIGURES),
)
MINE = """
import os, sys
from bnsweep.nn.optimizers import SGD

class Steps(SGD):
    def start(self, w): self.t = 0
    def step(self, w, g):
        super().step(w, g)
        self.t += 1
        if self.t == 2:
            self.end()
class Ends(Steps):
    def end(self): os._exit(0)
class Exits(Steps):
    def end(self): sys.exit(0)
def exits(**_): sys.exit(3)
"""


@pytest.fixture
def mine(shell):
    (shell.folder / "mine.py").write_text(MINE)
    return shell


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["optimizer._target_=nowhere.Opt"], "optimizer._target_=nowhere.Opt: there is no module"),
        (["-m", "weight_std=1,0.1", "model._target_=mine.net"], "there is no net in mine"),
        (["-m", "model._target_=mine.net", "--cfg", "job"], "there is no net in mine"),
        (["data._target_=mine.exits"], "SystemExit: 3 (mine.py, line 16)"),
        (["-m", "seed=1,2", "optimizer._target_=mine.exits"], "SystemExit: 3 (mine.py, line 16)"),
        (["model.hidden_sizes=[1000000,1000000]"], "GB of memory; give smaller or fewer widths"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_part_that_fails_is_told_and_nothing_is_created(mine, typed, told):
    done = mine(*SMALL, *typed, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert told in line
    assert [path.name for path in mine.folder.iterdir()] == ["mine.py"]


def test_data_that_are_not_there_keep_no_sweep_from_being_shown(mine):
    typed = ("-m", "data=mnist", "optimizer._target_=mine.Exits", "--cfg", "job")
    done = mine.succeed(*SMALL, *typed)
    assert "optimizer=Exits" in done.stdout


@pytest.mark.parametrize("kind", ["Ends", "Exits"])
@pytest.mark.parametrize(
    "started",
    [(), ("-m", "seed=0,1", "hydra/launcher=basic"), ("-m", "seed=0,1", ONE_PROCESS)],
    ids=["single", "basic", "local"],
)
def test_a_run_that_ends_the_program_has_failed(mine, started, kind):
    done = mine(*SMALL, "weight_std=0.1", f"optimizer._target_=mine.{kind}", *started)
    assert done.returncode == 1
    said = {"Ends": "SystemExit: os._exit(0)", "Exits": "SystemExit: 0"}[kind]
    places = sorted(mine.folder.glob("outputs/*/**/history.json"))
    assert len(places) == max(1, len(started) - 1)
    for place in places:
        history = json.loads(place.read_text())
        assert history["status"] == "failed"
        assert history["error"].strip().endswith(said)
        assert "mine.py" in history["error"]
