"""With `hydra.job.chdir=true` a relative path still means what it means where it was typed."""

import gzip

import numpy as np
import pytest
from faults import SMALL, put_database

CHDIR = ("hydra.job.chdir=true", *SMALL)
DATA = ("data=mnist", "data.root=root", "data.train_size=200", "data.test_size=50")


def put_data(folder):
    """Put a small data set of noise into a folder `root`."""
    random = np.random.default_rng(0)
    (folder / "root").mkdir()
    for part, count in {"train": 200, "t10k": 50}.items():
        images = random.integers(0, 256, (count, 28, 28), np.uint8)
        labels = random.integers(0, 10, count, np.uint8)
        for name, array in {"images-idx3": images, "labels-idx1": labels}.items():
            shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()
            (folder / "root" / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content))


def check_only_database(shell, database, runs):
    """Check that one database is there, and that the store in it is complete."""
    from mlflow import MlflowClient

    assert [*shell.folder.rglob("*.db")] == [shell.folder / database]
    found = MlflowClient(f"sqlite:///{shell.folder}/{database}").search_runs(["1"])
    assert len(found) == runs
    assert {run.info.status for run in found} == {"FINISHED"}
    assert not [*shell.folder.rglob("mlruns")]


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        ([], 1),
        (["-m", "optimizer.lr=0.1,0.05", "hydra/launcher=basic"], 3),
        (["-m", "optimizer.lr=0.1,0.05", "hydra.launcher.n_jobs=2"], 3),
        (["-m", "optimizer.lr=0.1,0.05", "hydra/sweeper=basic"], 2),  # it knows of no parent run
    ],
    ids=["run", "basic", "local", "other sweeper"],
)
def test_the_store_lies_where_the_command_was_typed(shell, arguments, runs):
    put_database(shell.folder)
    done = shell.succeed(*arguments, *CHDIR)
    assert "Traceback" not in done.stderr
    check_only_database(shell, "outputs/mlflow.db", runs)


@pytest.mark.parametrize("door", ["argument", "environment"])
@pytest.mark.parametrize("mode", ["run", "sweep"])
def test_a_relative_uri_means_a_file_where_the_command_was_typed(shell, mode, door):
    arguments = ["tracking.uri=sqlite:///here.db"] if door == "argument" else []
    environment = {"MLFLOW_TRACKING_URI": "sqlite:///here.db"} if door == "environment" else {}
    sweep = ["-m"] if mode == "sweep" else []
    shell.succeed(*sweep, *CHDIR, *arguments, **environment)
    check_only_database(shell, "here.db", 2 if mode == "sweep" else 1)


@pytest.mark.parametrize("mode", [[], ["-m"], ["-m", "hydra/sweeper=basic"]], ids=" ".join)
def test_a_relative_folder_of_data_is_found_where_the_command_was_typed(shell, mode):
    put_data(shell.folder)
    shell.succeed(*mode, *CHDIR, *DATA, "tracking=none")
    (history,) = shell.folder.glob("outputs/**/history.json")
    assert '"status":"finished"' in history.read_text()
