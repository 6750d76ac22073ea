"""Runs are named after what they train: on disk, in the store and in the report."""

import csv
import json

import pytest
from faults import NO_FIGURES, ONE_PROCESS, put_database

from bnsweep import load_sweep

SMALL = ("training.epochs=1", "model.hidden_sizes=[4]", ONE_PROCESS, *NO_FIGURES)
ON_DISK = (*SMALL, "tracking=none", "tracking.weights=false")
MINE = """
from dataclasses import replace
from pathlib import Path

import numpy as np

from bnsweep.data.datasets import digits
from bnsweep.nn.optimizers import Optimizer


class SignSGD(Optimizer):
    def step(self, w, g):
        w -= self.lr * np.sign(g)


def load(*, root, dtype):
    data = digits(dtype=dtype)
    return replace(data, name=root, x_train=data.x_train * float((Path(root) / "f").read_text()))
"""


@pytest.fixture
def mine(shell):
    (shell.folder / "mine.py").write_text(MINE)
    return shell


def swept(shell, *arguments):
    """Run a sweep; return its folder, the rows of its table, and its summary."""
    done = shell("-m", *arguments)
    assert done.returncode == 0, done.stderr
    (folder,) = shell.folder.glob("outputs/sweeps/*")
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return folder, rows, (folder / "summary.md").read_text()


def histories(folder):
    paths = sorted(folder.glob("*/history.json"))
    return [json.loads(path.read_text()) for path in paths]


def test_a_plain_model_that_is_normalised_is_not_called_plain(shell):
    arguments = ("model=plain", "model.batch_norm=true", "weight_std=1,0.01")
    folder, rows, summary = swept(shell, *ON_DISK, *arguments)
    name = "plain with Batch Normalization"
    assert [row["name"] for row in rows] == [f"{name} weight_std={w} seed=0" for w in (1, 0.01)]
    assert f"training samples, {name}, 4, relu" in summary
    assert [history["options"]["model"] for history in histories(folder)] == [name, name]
    assert {*load_sweep(folder)["model"]} == {name}


def test_an_optimizer_of_ones_own_is_not_called_sgd(mine):
    put_database(mine.folder)
    arguments = ("model=plain", "weight_std=0.1", "optimizer.lr=0.001")
    folder, _, summary = swept(mine, *SMALL, *arguments, "optimizer._target_=mine.SignSGD")
    assert "relu, SignSGD, learning rate 0.001" in summary
    (run,) = mine.runs("tags.`bnsweep.role` = 'run'")
    assert run.data.params["optimizer"] == "SignSGD"
    assert run.data.params["optimizer._target_"] == "mine.SignSGD"
    assert "model._target_" not in run.data.params
    for where in (folder, run.data.tags["mlflow.parentRunId"]):
        uri = None if where == folder else mine.uri
        (row,) = load_sweep(where, tracking_uri=uri).to_dict("records")
        assert (row["optimizer"], row["optimizer._target_"]) == ("SignSGD", "mine.SignSGD")


def test_a_single_run_goes_by_the_same_names(mine):
    done = mine(*ON_DISK, "optimizer._target_=mine.SignSGD", "model={batch_norm: false}")
    assert done.returncode == 0, done.stderr
    (history,) = histories(mine.folder / "outputs" / "runs")
    assert history["options"] == {
        "model": "batchnorm without Batch Normalization",
        "optimizer": "SignSGD",
        "data": "digits",
        "optimizer._target_": "mine.SignSGD",
    }


def test_a_run_that_is_reused_goes_by_the_names_of_the_sweep_that_reuses_it(shell):
    common = (*ON_DISK, "weight_std=0.1")
    assert shell(*common, "model=plain", "model.batch_norm=true").returncode == 0
    _, rows, summary = swept(shell, *common, "model=batchnorm", "resume=true")
    assert [(row["name"], row["status"]) for row in rows] == [
        ("batchnorm weight_std=0.1 seed=0", "reused")
    ]
    assert "training samples, batchnorm, 4, relu" in summary


def test_mappings_that_differ_are_no_repetitions(shell):
    arguments = ("model=plain", "weight_std=0.1", "optimizer={lr: 0.1},{lr: 1}")
    folder, rows, summary = swept(shell, *ON_DISK, *arguments)
    names = {lr: f"plain weight_std=0.1 optimizer.lr={lr} seed=0" for lr in ("0.1", "1")}
    assert [(row["optimizer.lr"], row["name"]) for row in rows] == [*names.items()]
    assert summary.startswith("# Sweep of learning rate (0.1, 1)")
    assert "mean of" not in summary
    assert [history["config"]["optimizer"]["lr"] for history in histories(folder)] == [0.1, 1]


@pytest.mark.parametrize(
    "arguments",
    [["data=setA", "data.root=A,B"], ["experiment=both"]],
    ids=["overridden", "experiment"],
)
def test_each_run_learns_the_data_that_it_is_called_by(mine, arguments):
    configs = mine.folder / "configs"
    (configs / "data").mkdir(parents=True)
    (configs / "experiment").mkdir()
    for name, scale in (("A", 1), ("B", 0.5)):
        (mine.folder / name).mkdir()
        (mine.folder / name / "f").write_text(str(scale))
        (configs / "data" / f"set{name}.yaml").write_text(f"_target_: mine.load\nroot: {name}\n")
    (configs / "experiment" / "both.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      data: setA,setB\n"
    )
    common = (*ON_DISK, "model=plain", "weight_std=0.1")
    folder, rows, summary = swept(mine, "--config-dir", "configs", *common, *arguments)
    roots = [str(mine.folder / name) for name in ("A", "B")]
    found = histories(folder)
    assert [history["config"]["data"]["root"] for history in found] == roots
    # The fingerprint depends on the data that the run has read.
    assert found[0]["fingerprint"] != found[1]["fingerprint"]
    key, values = ("data", ["setA", "setB"]) if len(arguments) == 1 else ("data.root", roots)
    assert [row[key] for row in rows] == values
    assert "mean of" not in summary
    assert [*load_sweep(folder)["data.root"]] == roots
    assert load_sweep(folder)["final_test_accuracy"].notna().all()
