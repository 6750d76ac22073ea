"""What an attempt at a run leaves in its folder, however it ends."""

import json
import logging
import os

import pytest
import yaml

from bnsweep.records import Kept, RunFolder, RunSpec
from bnsweep.report.figures import single_run
from bnsweep.run.attempt import attempt
from bnsweep.sweep.workers import STOP_FILE, Terms, do

PARTS = '''
"""Optimizers that break, or look around."""
import logging
import os
from pathlib import Path
from bnsweep.nn.optimizers import SGD


class Broken(SGD):
    def start(self, w):
        raise RuntimeError("http://me:password@host is cursed")


class Quits(SGD):
    def start(self, w):
        raise SystemExit(3)


class Ends(SGD):
    def step(self, w, g):
        os._exit(0)


class Interrupted(SGD):
    def start(self, w):
        self.steps = 0

    def step(self, w, g):
        super().step(w, g)
        self.steps += 1
        if self.steps == 3:
            raise KeyboardInterrupt


class Looks(SGD):
    def start(self, w):
        logging.getLogger("mine").info("I am here")
        Path("here").touch()
'''


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch):
    (tmp_path / "breaking.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)


NOTHING = Kept(figures=False, weights=False)
FIGURES = {"figures/learning_curves.png", "figures/activations.png"}


def spec_of(optimizer="bnsweep.nn.optimizers.SGD", *, keep=NOTHING, **fields):
    config = {
        "data": {"_target_": "bnsweep.data.datasets.digits", "train_size": 20, "test_size": 10},
        "model": {"_target_": "bnsweep.nn.network.mlp", "hidden_sizes": [3], "batch_norm": False},
        "optimizer": {"_target_": optimizer, "lr": 0.1},
        "training": {"epochs": 2, "batch_size": 10, "sampling": "replacement"},
        "weight_std": 0.1,
        "seed": 0,
        "dtype": "float32",
    }
    options = {"model": "plain", "optimizer": "sgd", "data": "digits"}
    return RunSpec(config, options, "mark", keep=keep, **fields)


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_run_leaves_its_start_its_epochs_and_its_result(tmp_path):
    place = RunFolder(tmp_path / "0")
    found = attempt(spec_of(), place.path)
    begun = place.attempt()
    assert files(place.path) == {
        *("run.json", f"epochs.{begun.id}.jsonl", "config.yaml", "history.json")
    }
    assert found.status == place.result().status == "finished"
    assert place.result().attempt == begun.id
    epochs, _ = place.epochs(begun.id)
    assert [epoch.measured for epoch in epochs] == [*place.result().epochs()]
    assert len(epochs) == 3
    times = [begun.started, *(epoch.time for epoch in epochs), place.result().ended]
    assert times == sorted(times)
    config = yaml.safe_load((place.path / "config.yaml").read_text())
    assert config == spec_of().config


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (Kept(figures=True, weights=False), FIGURES),
        (Kept(figures=False, weights=True), {"weights.npz"}),
    ],
    ids=["figures", "weights"],
)
def test_large_files_are_kept_as_asked_for(tmp_path, keep, kept):
    attempt(spec_of(), tmp_path / "0")
    attempt(spec_of(keep=keep), tmp_path / "1")
    plain, more = (
        {name for name in files(tmp_path / number) if not name.startswith("epochs.")}
        for number in "01"
    )
    assert more - plain == kept


@pytest.mark.parametrize("optimizer", ["Broken", "Quits", "Ends", "Missing"])
def test_a_run_that_breaks_is_failed_with_its_traceback(tmp_path, optimizer):
    place = RunFolder(tmp_path / "0")
    found = attempt(spec_of(f"breaking.{optimizer}"), place.path)
    assert found.status == place.result().status == "failed"
    told = (place.path / "error.txt").read_text()
    assert told == found.error == place.result().error
    assert told.startswith("Traceback")
    assert "password" not in told
    assert told in (place.path / "run.log").read_text()
    assert place.result().attempt == place.attempt().id


def test_a_run_that_is_interrupted_is_killed_and_keeps_its_epochs(tmp_path):
    place = RunFolder(tmp_path / "0")
    found = attempt(spec_of("breaking.Interrupted"), place.path)
    assert found.status == place.result().status == "killed"
    assert len(place.result().curves["train_loss"]) == 2  # before the first step, and one epoch
    assert (place.path / "error.txt").read_text() == "interrupted"


def test_whoever_follows_a_run_is_told_of_each_epoch_and_of_the_end(tmp_path):
    told = []
    attempt(
        spec_of(),
        tmp_path / "0",
        on_epoch=lambda epoch, measured: told.append((epoch, measured["train_loss"])),
        on_trained=lambda: told.append("trained"),
    )
    losses = RunFolder(tmp_path / "0").result().curves["train_loss"]
    assert told == [*enumerate(losses), "trained"]


def test_from_the_end_of_training_on_an_interruption_can_be_held(tmp_path):
    seen = []
    place = RunFolder(tmp_path / "0")
    attempt(spec_of(), place.path, on_trained=lambda: seen.append(place.has_history()))
    assert seen == [False]


def test_a_result_that_cannot_be_drawn_fails_and_keeps_its_curves(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(single_run, "draw_run", full)
    place = RunFolder(tmp_path / "0")
    attempt(spec_of(keep=Kept(figures=True, weights=False)), place.path)
    assert place.result().status == "failed"
    assert "No space left on device" in place.result().error
    assert place.result().epochs_run == 2


def test_the_log_of_a_run_holds_its_own_messages_alone(tmp_path, caplog):
    for number in "01":
        attempt(spec_of("breaking.Looks"), tmp_path / number)
        logging.getLogger("mine").warning("between runs")
    for number in "01":
        text = (tmp_path / number / "run.log").read_text()
        assert text.count("I am here") == 1
        assert "between runs" not in text


@pytest.mark.parametrize("chdir", [True, False])
def test_a_run_works_where_hydra_is_told_to(tmp_path, monkeypatch, chdir):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sweep").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    terms = Terms(tmp_path / "sweep", chdir=chdir)
    do(spec_of("breaking.Looks", number=3), tmp_path / "sweep" / "3", terms)
    assert os.getcwd() == str(tmp_path / "elsewhere")  # noqa: PTH109
    assert (tmp_path / "sweep" / "3" / "here").exists() == chdir
    assert (tmp_path / "elsewhere" / "here").exists() != chdir


@pytest.mark.parametrize("stop", [True, False])
def test_with_on_failure_stop_a_run_that_fails_stops_those_after_it(tmp_path, stop):
    terms = Terms(tmp_path, stop_at_failure=stop)
    for number, optimizer in enumerate(["breaking.Looks", "breaking.Broken", "breaking.Looks"]):
        do(spec_of(optimizer, number=number), tmp_path / str(number), terms)
    assert (tmp_path / STOP_FILE).exists() == stop
    assert (tmp_path / "2").exists() != stop


def test_an_interrupted_run_of_a_sweep_interrupts_the_sweep(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        do(spec_of("breaking.Interrupted", number=0), tmp_path / "0", Terms(tmp_path))
    assert json.loads((tmp_path / "0" / "history.json").read_text())["status"] == "killed"
