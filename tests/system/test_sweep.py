"""A real multirun in a folder of its own, read back from a real SQLite store."""

import csv
import json
import math

import numpy as np
import pytest
from faults import NO_FIGURES, ONE_PROCESS, put_database

TAG_OF_PARENT = "mlflow.parentRunId"


@pytest.fixture(scope="module")
def swept(module_shell):
    """A sweep of two scales; without Batch Normalization the larger one diverges."""
    done = module_shell("-m", "weight_std=1,0.1", "training.epochs=5")
    assert done.returncode == 0, done.stderr
    module_shell.output = done
    return module_shell


@pytest.fixture(scope="module")
def parent(swept):
    (run,) = swept.runs("tags.`bnsweep.role` = 'sweep'")
    return run


@pytest.fixture(scope="module")
def children(swept, parent):
    return swept.runs(f"tags.`{TAG_OF_PARENT}` = '{parent.info.run_id}'")


def by_name(children, name):
    (run,) = [run for run in children if run.info.run_name == name]
    return run


def test_a_scale_is_run_with_and_without_batch_norm(children):
    names = {run.info.run_name for run in children}
    assert names == {
        "batchnorm weight_std=1 seed=0",
        "plain weight_std=1 seed=0",
        "batchnorm weight_std=0.1 seed=0",
        "plain weight_std=0.1 seed=0",
    }
    assert all(run.info.status == "FINISHED" for run in children)


def test_the_experiment_opens_as_model_training(swept, parent):
    experiment = swept.client().get_experiment(parent.info.experiment_id)
    assert experiment.name == "bnsweep"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_run_holds_its_parameters(children):
    run = by_name(children, "batchnorm weight_std=0.1 seed=0")
    parameters = run.data.params
    assert parameters["model"] == "batchnorm"
    assert parameters["optimizer"] == "sgd"
    assert parameters["data"] == "digits"
    assert parameters["model.hidden_sizes"] == "[100,100,100,100,100]"
    assert float(parameters["optimizer.lr"]) == 0.01
    assert parameters["weight_std"] == "0.1"
    assert {"seed", "dtype", "training.epochs", "model.eps"} <= parameters.keys()
    assert not any("tracking" in key for key in parameters)


def test_a_run_holds_its_metrics_at_each_epoch(swept, children):
    run = by_name(children, "batchnorm weight_std=0.1 seed=0")
    names = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    names += [f"activations/std_{layer}" for layer in range(1, 6)]
    for name in names:
        points = swept.client().get_metric_history(run.info.run_id, name)
        assert sorted(point.step for point in points) == [0, 1, 2, 3, 4, 5], name
    metrics = run.data.metrics
    assert metrics["weight_std"] == 0.1
    assert metrics["epochs_run"] == 5
    assert metrics["diverged"] == 0
    assert metrics["final_train_accuracy"] == metrics["train_accuracy"]
    assert "best_test_accuracy" not in metrics  # there are no validation samples to choose by
    assert metrics["train_seconds"] > 0


def test_a_run_holds_its_tags_and_data(children):
    run = by_name(children, "batchnorm weight_std=0.1 seed=0")
    assert run.data.tags["bnsweep.role"] == "run"
    assert run.data.tags["bnsweep.status"] == "finished"
    assert run.data.tags["bnsweep.fingerprint"]
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "digits"


def test_a_run_holds_its_artifacts(swept, children):
    run = by_name(children, "batchnorm weight_std=0.1 seed=0")
    client = swept.client()
    top = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert top == {"config.yaml", "history.json", "weights.npz", "figures"}
    figures = {file.path for file in client.list_artifacts(run.info.run_id, "figures")}
    assert figures == {"figures/activations.png", "figures/learning_curves.png"}


def test_a_diverged_run_is_a_result(swept, children):
    run = by_name(children, "plain weight_std=1 seed=0")
    assert run.info.status == "FINISHED"
    assert run.data.tags["bnsweep.status"] == "diverged"
    assert run.data.metrics["diverged"] == 1
    assert run.data.metrics["epochs_run"] < 5
    for key in run.data.metrics:
        for point in swept.client().get_metric_history(run.info.run_id, key):
            assert math.isfinite(point.value), key
            assert abs(point.value) < 1e300, key


def test_no_numpy_warning_reaches_the_screen(swept):
    assert "Warning" not in swept.output.stderr
    assert "Warning" not in swept.output.stdout


def test_the_parent_holds_counts_report_and_note(swept, parent):
    metrics = parent.data.metrics
    assert metrics["runs_total"] == 4
    assert metrics["runs_diverged"] == 1
    assert metrics["runs_finished"] == 3
    assert metrics["runs_failed"] == metrics["runs_killed"] == metrics["runs_reused"] == 0
    assert metrics["runs_not_started"] == 0
    assert parent.info.status == "FINISHED"
    assert "weight" in parent.data.tags["mlflow.note.content"]
    client = swept.client()
    top = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"results.csv", "figures"} <= top
    figures = {file.path for file in client.list_artifacts(parent.info.run_id, "figures")}
    assert {"figures/curves.png", "figures/final_accuracy.png"} <= figures


def test_results_csv_has_a_row_a_run(swept, children):
    (path,) = swept.folder.glob("outputs/sweeps/*/results.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["run_id"] for row in rows} == {run.info.run_id for run in children}
    assert {(row["weight_std"], row["model"]) for row in rows} == {
        (scale, model) for scale in ("1", "0.1") for model in ("batchnorm", "plain")
    }
    assert sorted(row["status"] for row in rows) == ["diverged", "finished", "finished", "finished"]


def test_the_disk_holds_what_the_store_holds(swept, children):
    for path in swept.folder.glob("outputs/sweeps/*/*/history.json"):
        history = json.loads(path.read_text())
        (run,) = [
            run
            for run in children
            if run.data.tags["bnsweep.fingerprint"] == history["fingerprint"]
        ]
        assert history["status"] == run.data.tags["bnsweep.status"]
        assert history["epochs"][-1]["train_accuracy"] == run.data.metrics["train_accuracy"]


def test_a_pair_starts_from_the_same_draws(swept):
    """The untrained networks show it: their accuracy is recorded as epoch 0."""
    histories = [
        json.loads(path.read_text())
        for path in swept.folder.glob("outputs/sweeps/*/*/history.json")
    ]
    plain = [h for h in histories if h["options"]["model"] == "plain"]
    # Without Batch Normalization, scaling the weights of a ReLU network changes no prediction.
    assert plain[0]["epochs"][0]["train_accuracy"] == plain[1]["epochs"][0]["train_accuracy"]


def test_the_terminal_shows_the_results(swept):
    out = swept.output.stdout
    assert "diverged" in out
    assert "batchnorm" in out
    assert f"mlflow ui --backend-store-uri {swept.uri}\n" in out
    assert "4/4" in swept.output.stderr
    assert "\x1b" not in out + swept.output.stderr


def test_a_single_run_stands_alone(shell):
    put_database(shell.folder)
    done = shell("training.epochs=2", "tracking.figures=false", "tracking.weights=false")
    assert done.returncode == 0, done.stderr
    (run,) = shell.runs()
    assert run.data.tags["bnsweep.role"] == "run"
    assert TAG_OF_PARENT not in run.data.tags
    (folder,) = (shell.folder / "outputs" / "runs").iterdir()
    assert (folder / "history.json").exists()
    assert not (folder / "weights.npz").exists()


def test_without_tracking_the_same_report_lies_on_disk(shell):
    options = ("tracking=none", "training.epochs=1", ONE_PROCESS)
    done = shell("-m", "weight_std=0.1", "model=plain", *options)
    assert done.returncode == 0, done.stderr
    assert not (shell.folder / "outputs" / "mlflow.db").exists()
    (folder,) = (shell.folder / "outputs" / "sweeps").iterdir()
    assert {"results.csv", "figures", "0"} <= {path.name for path in folder.iterdir()}
    with np.load(folder / "0" / "weights.npz", allow_pickle=False) as weights:
        assert "affine1.W" in weights


def test_one_process_gives_the_same_numbers_as_many(swept, shell):
    options = ("tracking=none", *NO_FIGURES, ONE_PROCESS)
    done = shell("-m", "weight_std=1,0.1", "training.epochs=5", *options)
    assert done.returncode == 0, done.stderr

    def epochs(folder):
        histories = [
            json.loads(path.read_text()) for path in folder.glob("outputs/sweeps/*/*/history.json")
        ]
        return {history["fingerprint"]: history["epochs"] for history in histories}

    assert epochs(shell.folder) == epochs(swept.folder)


def test_a_users_own_optimizer_needs_no_code_of_ours(shell):
    (shell.folder / "mine.py").write_text(
        "from bnsweep.nn.optimizers import SGD\nclass Halved(SGD):\n"
        "    def __init__(self, *, lr, weight_decay=0.0):\n"
        "        super().__init__(lr=lr / 2, weight_decay=weight_decay)\n"
    )
    common = ("training.epochs=2", "tracking=none", "tracking.figures=false")
    own = shell(*common, "optimizer._target_=mine.Halved", "optimizer.lr=0.02")
    assert own.returncode == 0, own.stderr
    ours = shell(*common, "optimizer.lr=0.01")
    assert ours.returncode == 0, ours.stderr
    first, second = [
        json.loads(path.read_text())["epochs"]
        for path in shell.folder.glob("outputs/runs/*/history.json")
    ]
    assert first == second


def test_a_logspace_and_a_folder_of_ones_own_configs(shell):
    configs = shell.folder / "mine"
    (configs / "experiment").mkdir(parents=True)
    (configs / "experiment" / "tiny.yaml").write_text(
        "# @package _global_\ntraining:\n  epochs: 1\ntracking:\n  figures: false\n"
        "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      weight_std: ${logspace:0,-2,3}\n      model: plain\n"
    )
    put_database(shell.folder)
    done = shell("--config-dir", "mine", "experiment=tiny", ONE_PROCESS)
    assert done.returncode == 0, done.stderr
    assert len(shell.runs("tags.`bnsweep.role` = 'run'")) == 3
    done = shell(
        *("-m", "weight_std=logspace(0,-1,2)", "model=plain", "training.epochs=1"),
        *("tracking=none", *NO_FIGURES, ONE_PROCESS, "output_dir=other"),
    )
    assert done.returncode == 0, done.stderr
    (path,) = shell.folder.glob("other/sweeps/*/results.csv")
    assert len(path.read_text().splitlines()) == 3
