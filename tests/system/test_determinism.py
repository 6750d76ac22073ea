"""The same seed gives the same numbers to the last bit, whatever the launcher, order and load."""

import json
import os
import subprocess
import sys

import pytest
from faults import NO_FIGURES

from bnsweep.data.datasets import digits
from bnsweep.nn import optimizers
from bnsweep.nn.network import mlp
from bnsweep.nn.training import train
from bnsweep.run.execute import Draws

# At this learning rate the smallest difference soon grows large.
GRID = ("optimizer.lr=0.5", "model.dropout=0.2", "training.epochs=3")
OPTIONS = ("tracking=none", *NO_FIGURES)
BUSY = "import numpy as np; a = np.ones((900, 900))\nwhile True: a @ a"


def histories(folder, *arguments, **environment):
    """Return what the runs of a command line recorded, by fingerprint."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    subprocess.run(
        [sys.executable, "-m", "bnsweep", *arguments, *GRID, *OPTIONS, f"output_dir={folder}"],
        env=kept | environment,
        cwd=folder.parent,
        capture_output=True,
        timeout=300,
        check=True,
    )
    documents = [json.loads(path.read_text()) for path in folder.rglob("history.json")]
    return {
        document["fingerprint"]: [document["epochs"], document["final_activations"]]
        for document in documents
    }


@pytest.fixture
def load():
    """A process that keeps all cores busy with matrix products of many threads."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as busy:
        yield
        busy.kill()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Four runs in parallel processes."""
    found = histories(tmp_path_factory.mktemp("parallel") / "out", "-m", "weight_std=he,0.3")
    assert len(found) == 4
    return found


def test_one_process_in_another_order_and_beside_load(reference, tmp_path, load):
    order = ("model=plain,batchnorm", "weight_std=0.3,he")
    again = histories(tmp_path / "out", "-m", *order, "hydra/launcher=basic")
    assert again == reference


def test_a_run_by_itself_with_other_threads(reference, tmp_path):
    threads = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}
    alone = histories(tmp_path / "out", "weight_std=he", "model=plain", **threads)
    (mark,) = alone
    assert alone[mark] == reference[mark]


def test_another_seed_gives_other_numbers(reference, tmp_path):
    other = histories(tmp_path / "out", "weight_std=he", "model=plain", "seed=1")
    ((epochs, _),) = other.values()
    assert epochs not in [epochs for epochs, _ in reference.values()]


def training(seed, *, batch_norm):
    draws, dataset = Draws.of(seed), digits(train_size=200, test_size=50)
    network = mlp(
        [30, 30],
        batch_norm=batch_norm,
        dropout=0.2,
        inputs=dataset.features,
        classes=dataset.classes,
        weight_std="he",
        rng=draws.weights,
        dropout_rng=draws.dropout,
    )
    optimizer = optimizers.SGD(lr=0.5)
    return train(
        network,
        optimizer,
        dataset,
        epochs=5,
        batch_size=20,
        sampling="shuffle",
        rng=draws.minibatches,
    )


def test_trainings_that_take_turns_do_not_touch_each_other():
    alone = [list(training(seed, batch_norm=norm)) for seed, norm in ((0, True), (1, False))]
    in_turns = zip(training(0, batch_norm=True), training(1, batch_norm=False), strict=True)
    assert [list(records) for records in zip(*in_turns, strict=True)] == alone


def test_models_share_the_minibatches_and_the_initial_draws_of_a_seed():
    draws = [Draws.of(0), Draws.of(0)]
    networks = [
        mlp(
            [20, 20],
            batch_norm=norm,
            inputs=8,
            classes=3,
            weight_std=std,
            rng=own.weights,
            dropout_rng=own.dropout,
            dtype="float64",
        )
        for norm, std, own in zip((True, False), (1.0, 0.5), draws, strict=True)
    ]
    states = [network.state() for network in networks]
    for name in ("affine1.W", "affine2.W", "affine3.W"):
        assert (states[0][name] == 2 * states[1][name]).all()
    first, second = (own.minibatches.integers(100, size=50) for own in draws)
    assert (first == second).all()
