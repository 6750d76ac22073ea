"""Results read back: two real sweeps, where the second reuses runs of the first."""

import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

import bnsweep
from bnsweep.errors import ReadingError
from bnsweep.records import RunFolder

GUIDE = Path(__file__).parent.parent / "docs" / "reading.md"
SMALL = ("model.hidden_sizes=[8,4]", "training.epochs=2", "hydra/launcher=basic")


def run(folder, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-m", "bnsweep", *SMALL, *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300)


def sweep(folder, *arguments):
    run(folder, "-m", *arguments)
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


@pytest.fixture(scope="module")
def single(place, first):
    """The folder of a run by itself, with data of its own."""
    sizes = {"train_size": 1500, "validation_size": 100, "test_size": 200}
    given = [f"data.{key}={size}" for key, size in sizes.items()]
    run(place, "weight_std=he", "dtype=float64", *given)
    (folder,) = (place / "outputs" / "runs").iterdir()
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return place


def id_of(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.parent.parent}/mlflow.db")
    (run,) = client.search_runs(["1"], f"tags.`bnsweep.folder` = '{folder}'")
    return run.info.run_id


def changed(path, **changes):
    """Change parts of a JSON document."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def copied(folder, to, **changes):
    """Copy a sweep to `to`, with changes in its plan."""
    shutil.copytree(folder, to)
    changed(to / "sweep.json", **changes)
    return to


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
    from_store = bnsweep.load_sweep(id_of(second), rows=rows)
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


def test_a_sweep_that_is_gone_on_with_reuses_nothing_and_is_the_latest(first, second, here):
    """The same command again finds its own runs: they were done in this sweep."""
    pd.testing.assert_frame_equal(bnsweep.load_sweep(), bnsweep.load_sweep(second))
    again = sweep(here, "weight_std=1e20,0.1", "training.batch_size=100", "resume=true")
    assert again == first
    assert not bnsweep.load_sweep(again)["reused"].any()
    pd.testing.assert_frame_equal(bnsweep.load_sweep(), bnsweep.load_sweep(first))


def test_the_latest_sweep_is_that_which_began_last_whatever_lies_beside_it(
    first, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sweeps = tmp_path / "outputs" / "sweeps"
    with pytest.raises(ReadingError, match=f"^{sweeps}: holds no sweep of which a run has begun"):
        bnsweep.load_sweep()
    copied(first, sweeps / "named by hand", begun=1.0)
    latest = copied(first, sweeps / "2026-01-01_00-00-00_000000", begun=3.0)
    copied(first, sweeps / "2026-12-31_00-00-00_000000", begun=2.0)
    (latest / "results.csv").unlink()
    shutil.rmtree(latest / "3")
    (sweeps / "notes.txt").write_text("")
    (sweeps / "2027-01-01_00-00-00_000000").mkdir()
    never_began = sweeps / "2027-01-01_00-00-01_000000"
    never_began.mkdir()
    shutil.copy(first / "sweep.json", never_began)
    changed(never_began / "sweep.json", begun=4.0)
    assert [*bnsweep.load_sweep()["number"]] == [0, 1, 2]
    (sweeps / "2027-01-01_00-00-00_000000" / "sweep.json").write_text("{}")
    with pytest.warns(UserWarning, match="passed over: .*2027-01-01_00-00-00_000000/sweep.json"):
        assert [*bnsweep.load_sweep()["number"]] == [0, 1, 2]
    with pytest.raises(ReadingError, match="tracking_uri: says where, and not what"):
        bnsweep.load_sweep(tracking_uri="sqlite:///outputs/mlflow.db")


def test_a_run_by_itself_is_a_sweep_of_one(single, here):
    history = json.loads((single / "history.json").read_text())
    for where, run_id in ((single, ""), (id_of(single), id_of(single))):
        (row,) = bnsweep.load_sweep(where).to_dict("records")
        assert (row["run_id"], row["status"], row["reused"]) == (run_id, "finished", False)
        assert row["weight_std"] == "he"
        assert row["final_test_accuracy"] == history["final_test_accuracy"]
        epochs = bnsweep.load_sweep(where, rows="epochs")
        assert [*epochs["epoch"]] == [0, 1, 2]
        assert epochs["validation_accuracy"].notna().all()
        assert bnsweep.figures.curves(epochs) is not None


def test_a_run_of_a_sweep_is_read_by_itself_too(first, here):
    whole = bnsweep.load_sweep(first)
    from_store = bnsweep.load_sweep(whole["run_id"][2])
    pd.testing.assert_frame_equal(from_store, whole[2:3].reset_index(drop=True))


@pytest.mark.parametrize("left", [4, 0])
def test_a_sweep_in_which_no_run_measured_anything_has_its_columns(first, tmp_path, left):
    """All runs failed before the first epoch, or none has ended yet."""
    copy = copied(first, tmp_path / "copy")
    for number in range(4):
        folder = RunFolder(copy / str(number))
        folder.finish(replace(folder.result(), status="failed", curves={}))
        if not left:
            (copy / str(number) / "history.json").unlink()
            (copy / "results.csv").unlink(missing_ok=True)
    epochs = bnsweep.load_sweep(copy, rows="epochs")
    whole = bnsweep.load_sweep(first, rows="epochs")
    assert [*epochs.columns] == [c for c in whole.columns if "activations" not in c]
    assert epochs.empty
    assert epochs.pivot_table("train_accuracy", index="epoch", columns="weight_std").empty
    assert bnsweep.figures.curves(epochs) is None
    runs = bnsweep.load_sweep(copy)
    assert [*runs["status"]] == ["failed"] * left
    assert runs["final_train_accuracy"].isna().all()
    assert runs["final_test_accuracy"].dtype == float
    assert {"model", "weight_std", "seed"} < {*runs.columns}


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
    for source in (frame, bnsweep.load_sweep(id_of(second), rows=rows)):
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
    for run in (first / str(number), row["run_id"]):
        network, data = bnsweep.load_network(run), bnsweep.load_data(run)
        assert (network.predict(data.x_test) == data.y_test).mean() == row["final_test_accuracy"]


def test_the_data_of_a_run_are_those_that_it_had(single, here):
    final = bnsweep.load_sweep(single).iloc[0]
    for run in (single, id_of(single)):
        network, data = bnsweep.load_network(run), bnsweep.load_data(run)
        parts = {
            "train": (data.x_train, data.y_train),
            "validation": (data.x_validation, data.y_validation),
            "test": (data.x_test, data.y_test),
        }
        assert [len(y) for _, y in parts.values()] == [1400, 100, 200]
        assert data.x_train.dtype == np.float64
        for part, (x, y) in parts.items():
            assert (network.predict(x) == y).mean() == final[f"final_{part}_accuracy"]


def test_data_that_are_gone_or_have_changed_are_told(single, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(single, run)
    config = json.loads((run / "history.json").read_text())["config"]
    data = config["data"]
    others = {
        "has changed since: its digest is": {"train_size": 1499},
        "cannot be had any more .data.root=/gone: there is no such folder": {
            "_target_": "bnsweep.data.datasets.mnist",
            "root": "/gone",
        },
        "cannot be had any more .data._target_=gone.rings: there is no module gone": {
            "_target_": "gone.rings"
        },
    }
    for message, other in others.items():
        changed(run / "history.json", config=config | {"data": data | other})
        with pytest.raises(ReadingError, match=f"^{run}: its data set digits {message}") as told:
            bnsweep.load_data(run)
        assert "\n" not in str(told.value)
    changed(run / "history.json", data={})
    with pytest.raises(ReadingError, match="never had its data"):
        bnsweep.load_data(run)


def test_errors_say_what_is_missing_and_what_to_do(first, here, tmp_path):
    parent = id_of(first)
    with pytest.raises(ReadingError, match="is neither a folder nor a run id; give a folder"):
        bnsweep.load_sweep("nowhere")
    for load in (bnsweep.load_sweep, bnsweep.load_network, bnsweep.load_data):
        with pytest.raises(ReadingError, match=f"^{tmp_path}: holds neither a sweep nor a run"):
            load(tmp_path)
    for load in (bnsweep.load_network, bnsweep.load_data):
        with pytest.raises(ReadingError, match=f"run {parent}: is a sweep"):
            load(parent)
        with pytest.raises(ReadingError, match=f"{first}: is a sweep; .* such as {first}/0"):
            load(first)
    with pytest.raises(ReadingError, match=f"run {'0' * 32}: cannot be read"):
        bnsweep.load_sweep("0" * 32)
    with pytest.raises(ValueError, match="rows: got 'run'; it must be 'runs' or 'epochs'"):
        bnsweep.load_sweep(first, rows="run")
    shutil.copy(first / "0" / "run.json", tmp_path)
    with pytest.raises(ReadingError, match=r"has no history\.json; give a run that has ended"):
        bnsweep.load_sweep(tmp_path)


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


def fewer_rows(content):
    return content.rpartition(b"\n2,")[0]


def prose(content):
    return b"no table\n"


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
        *(
            ("results.csv", damage)
            for damage in (noise, empty, prose, other_columns, other_numbers, fewer_rows)
        ),
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


def test_the_examples_of_the_guide_run_one_after_the_other(first, here, capsys):
    matplotlib.use("Agg")
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    accuracy, of_the_run = capsys.readouterr().out.splitlines()[-1].split()
    assert accuracy == of_the_run
    for picture in ("curves.png", "final_accuracy.pdf"):
        assert (here / picture).stat().st_size > 5000


def test_the_package_alone_imports_nothing():
    code = "import sys, bnsweep; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
