"""Results read back: two real sweeps, where the second reuses runs of the first."""

import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bnsweep
from bnsweep.data.datasets import digits
from bnsweep.errors import ReadingError

GUIDE = Path(__file__).parent.parent / "docs" / "reading.md"
SMALL = ("model.hidden_sizes=[8,4]", "training.epochs=2", "hydra/launcher=basic")


def sweep(folder, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-m", "bnsweep", "-m", *SMALL, *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300)
    return max((folder / "outputs" / "sweeps").iterdir(), key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("reading")


@pytest.fixture(scope="module")
def first(place):
    return sweep(place, "weight_std=1e20,0.1", "training.batch_size=100")


@pytest.fixture(scope="module")
def second(place, first):
    return sweep(place, "weight_std=0.1,0.3", "training.batch_size=100", "resume=true")


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return place


def parent_of(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.parent.parent}/mlflow.db")
    (run,) = client.search_runs(["1"], f"tags.`bnsweep.folder` = '{folder}'")
    return run.info.run_id


def test_a_sweep_is_a_frame_with_a_row_a_run(first):
    runs = bnsweep.load_sweep(first)
    assert list(runs["model"]) == ["batchnorm", "plain", "batchnorm", "plain"]
    assert list(runs["weight_std"]) == [1e20, 1e20, 0.1, 0.1]
    assert list(runs["status"]) == ["finished", "diverged", "finished", "finished"]
    assert not runs["reused"].any()
    assert runs["model.hidden_sizes"][0] == (8, 4)
    assert runs["final_test_accuracy"].between(0, 1).all()
    table = pd.read_csv(first / "results.csv")
    for column in set(table.dropna(axis=1, how="all").columns) - {"status"}:
        assert (runs[column] == table[column]).all(), column


def test_rows_can_be_epochs(first):
    epochs = bnsweep.load_sweep(first, rows="epochs")
    runs = bnsweep.load_sweep(first)
    finished = epochs[epochs["number"] == 2]
    assert list(finished["epoch"]) == [0, 1, 2]
    assert finished["test_accuracy"].iloc[-1] == runs["final_test_accuracy"][2]
    assert set(epochs["model"]) == {"batchnorm", "plain"}
    assert "seed" not in epochs  # the same in all runs
    diverged = epochs[epochs["number"] == 1]
    assert np.isnan(diverged["train_loss"].iloc[-1])
    assert np.isfinite(diverged["train_accuracy"].iloc[-1])


@pytest.mark.parametrize("rows", ["runs", "epochs"])
def test_the_store_gives_the_same_frame_as_the_folder(here, second, rows):
    from_store = bnsweep.load_sweep(parent_of(second), rows=rows)
    pd.testing.assert_frame_equal(from_store, bnsweep.load_sweep(second, rows=rows))


def test_a_resumed_sweep_has_the_curves_of_the_runs_it_took_over(first, second):
    runs = bnsweep.load_sweep(second)
    assert list(runs["reused"]) == [True, True, False, False]
    assert list(runs["status"]) == ["finished"] * 4
    before = bnsweep.load_sweep(first)
    assert list(runs["run_id"][:2]) == list(before["run_id"][2:])
    epochs = bnsweep.load_sweep(second, rows="epochs")
    assert set(epochs["number"]) == {0, 1, 2, 3}


def test_a_reused_run_has_the_parameters_of_its_place_in_this_sweep(tmp_path):
    """`model.eps` does nothing without Batch Normalization: one run stands for both values."""
    others = ("weight_std=0.1", "model=batchnorm,plain", "training.batch_size=100", "tracking=none")
    sweep(tmp_path, *others, "model.eps=1e-7")
    again = bnsweep.load_sweep(sweep(tmp_path, *others, "model.eps=1e-7,1e-3", "resume=true"))
    assert [*again["reused"]] == [True, False, True, True]
    assert [*again["model.eps"]] == [1e-7, 1e-3] * 2
    assert [*again["model"]] == ["batchnorm"] * 2 + ["plain"] * 2
    assert [*again["number"]] == [0, 1, 2, 3]


def test_a_sweep_that_is_gone_on_with_reuses_nothing(first, here):
    """The same command again finds its own runs: they were done in this sweep."""
    again = sweep(here, "weight_std=1e20,0.1", "training.batch_size=100", "resume=true")
    assert again == first
    assert not bnsweep.load_sweep(again)["reused"].any()


def test_a_sweep_can_be_read_while_it_goes_on(first, tmp_path):
    """From its folder: the runs that have ended."""
    copy = tmp_path / "under way"
    shutil.copytree(first, copy)
    (copy / "results.csv").unlink()
    (copy / "1" / "history.json").unlink()
    assert list(bnsweep.load_sweep(copy)["number"]) == [0, 2, 3]


def test_a_run_that_was_not_started_is_told_from_one_that_was_killed(first, tmp_path):
    copy = tmp_path / "interrupted"
    shutil.copytree(first, copy)
    (copy / "1" / "history.json").unlink()
    shutil.rmtree(copy / "2")
    found = ["finished", "killed", "not started", "finished"]
    assert list(bnsweep.load_sweep(copy)["status"]) == found


def test_a_sweep_without_its_table_gives_the_runs_it_has(first, here, tmp_path):
    copy = tmp_path / "cut short"
    shutil.copytree(first, copy)
    (copy / "results.csv").unlink()
    shutil.rmtree(copy / "3")
    assert list(bnsweep.load_sweep(copy)["model"]) == ["batchnorm", "plain", "batchnorm"]


def drawn(sweep):
    """Return the titles of the panels of the curves, with the last value of each run's line."""
    last = {}
    for axes in bnsweep.figures.curves(sweep).axes:
        of_runs = (line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 3)
        last[axes.get_title(loc="left")] = [round(float(values[-1]), 6) for values in of_runs]
    return last


@pytest.mark.parametrize("rows", ["runs", "epochs"])
def test_figures_draw_a_frame_and_of_filtered_rows_those_runs_alone(here, second, rows):
    runs = bnsweep.load_sweep(second)
    final = runs.pivot_table("final_train_accuracy", index="weight_std", columns="model").round(6)
    frame = bnsweep.load_sweep(second, rows=rows)
    for source in (frame, bnsweep.load_sweep(parent_of(second), rows=rows)):
        found = drawn(source)
        for scale in (0.1, 0.3):
            assert found[f"W = {scale}"] == [*final.loc[scale, ["batchnorm", "plain"]]]
    plain = drawn(frame[frame["model"] == "plain"].sort_values("run_id"))
    assert plain == {f"W = {scale}": [final.loc[scale, "plain"]] for scale in (0.3, 0.1)}
    one = frame[(frame["model"] == "plain") & (frame["weight_std"] == 0.3)]
    assert bnsweep.figures.final_accuracy(one) is None  # nothing is left to compare


def test_a_frame_draws_its_figures_after_it_was_pickled(first):
    frame = bnsweep.load_sweep(first)
    assert drawn(pickle.loads(pickle.dumps(frame))) == drawn(frame)


def test_a_frame_without_the_numbers_of_its_runs_is_refused(first):
    frame = bnsweep.load_sweep(first)
    with pytest.raises(ReadingError, match="lost its runs or its column number"):
        bnsweep.figures.curves(frame.drop(columns="number"))
    with pytest.raises(ReadingError, match="lost its runs or its column number"):
        bnsweep.figures.final_accuracy(frame[["weight_std", "final_train_accuracy"]])


@pytest.mark.parametrize("number", [0, 2, 3])
def test_a_network_predicts_as_it_did_at_the_end_of_its_run(first, here, number):
    row = bnsweep.load_sweep(first).iloc[number]
    data = digits()
    for network in (
        bnsweep.load_network(first / str(number)),
        bnsweep.load_network(row["run_id"]),
    ):
        accuracy = np.mean(network.predict(data.x_test) == data.y_test)
        assert accuracy == pytest.approx(row["final_test_accuracy"], abs=1e-12)


def test_errors_say_what_is_missing_and_what_to_do(first, here, tmp_path):
    parent = parent_of(first)
    run_id = bnsweep.load_sweep(first)["run_id"][0]
    with pytest.raises(ReadingError, match="is neither a folder nor a run id; give a folder"):
        bnsweep.load_sweep("nowhere")
    with pytest.raises(ReadingError, match="contains no runs of a sweep"):
        bnsweep.load_sweep(tmp_path)
    with pytest.raises(ReadingError, match=f"run {run_id}: is not a sweep"):
        bnsweep.load_sweep(run_id)
    with pytest.raises(ReadingError, match=f"run {parent}: is a sweep"):
        bnsweep.load_network(parent)
    with pytest.raises(ReadingError, match=f"run {'0' * 32}: cannot be read"):
        bnsweep.load_sweep("0" * 32)
    with pytest.raises(ValueError, match="rows: got 'run'; it must be 'runs' or 'epochs'"):
        bnsweep.load_sweep(first, rows="run")
    with pytest.raises(ReadingError, match=r"has no history\.json; give a run that ended"):
        bnsweep.load_network(tmp_path)


def test_a_run_without_weights_says_so(first, tmp_path):
    shutil.copy(first / "0" / "history.json", tmp_path)
    with pytest.raises(ReadingError, match=r"has no weights\.npz; .*tracking.weights=true"):
        bnsweep.load_network(tmp_path)
    (tmp_path / "weights.npz").write_bytes(b"no archive")
    with pytest.raises(ReadingError, match="was not written by bnsweep, or is damaged"):
        bnsweep.load_network(tmp_path)


def cut(content):
    return content[: len(content) // 2]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def an_array(content):
    file = io.BytesIO()
    np.save(file, np.zeros((8, 4)))
    return file.getvalue()


def noise(content):
    return np.random.default_rng(0).bytes(len(content))


def empty(content):
    return b""


def without_model(content):
    history = json.loads(content)
    del history["config"]["model"]
    return json.dumps(history).encode()


def other_columns(content):
    return content.replace(b"number", b"count", 1)


def other_numbers(content):
    return content.replace(b"\n0,", b"\nnone,", 1)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("weights.npz", damage) for damage in (cut, flipped, an_array, noise, empty)),
        *(("history.json", damage) for damage in (cut, noise, empty, without_model)),
    ],
)
def test_a_damaged_file_of_a_network_is_named(first, tmp_path, name, damage):
    run = tmp_path / "run"
    shutil.copytree(first / "0", run)
    (run / name).write_bytes(damage((run / name).read_bytes()))
    with pytest.raises(ReadingError, match=re.escape(name)) as damaged:
        bnsweep.load_network(run)
    assert str(damaged.value).startswith(f"{run}: ")


@pytest.mark.parametrize("rows", ["runs", "epochs"])
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("results.csv", damage) for damage in (noise, other_columns, other_numbers)),
        *(("sweep.json", damage) for damage in (cut, noise, empty)),
        *(("2/history.json", damage) for damage in (cut, noise, empty)),
    ],
)
def test_a_damaged_file_of_a_sweep_is_named(first, tmp_path, name, damage, rows):
    copy = tmp_path / "sweep"
    shutil.copytree(first, copy)
    (copy / name).write_bytes(damage((copy / name).read_bytes()))
    with pytest.raises(ReadingError, match=re.escape(name)) as damaged:
        bnsweep.load_sweep(copy, rows=rows)
    assert str(damaged.value).startswith(f"{copy}: ")


def test_a_missing_database_is_named_and_not_made(here, tmp_path):
    with pytest.raises(ReadingError, match="there is no such database"):
        bnsweep.load_sweep("0" * 32, tracking_uri=f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_the_examples_of_the_guide_run(first, here):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert names["network"].predict(digits().x_test).shape == (797,)


def test_the_package_alone_imports_nothing():
    code = "import sys, bnsweep; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
