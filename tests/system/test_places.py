"""Odd names of folders, links in the place of folders, and surroundings that lack what is usual."""

import os
import shlex
from pathlib import Path

import pytest
from faults import NO_FIGURES, put_database
from mlflow import MlflowClient
from test_download import FILES

TINY = ("model=batchnorm", "training.epochs=1", "model.hidden_sizes=[4]", *NO_FIGURES)
SWEEP = ("-m", *TINY, "weight_std=0.1,0.05", "hydra/launcher=basic")
ODD = ["two words, a=b [x] #1", 'quo"ted $y {z} Müßig-日本']


def check(shell):
    """Check that a sweep of two runs is whole, on disk and in the store."""
    assert [row["status"] for row in shell.results()] == ["finished"] * 2
    assert [run.info.status for run in shell.runs()] == ["FINISHED"] * 3


@pytest.mark.parametrize("name", ODD)
def test_a_folder_may_have_any_name(shell, name):
    folder = shell.folder / name
    folder.mkdir()
    put_database(folder)
    shell = type(shell)(folder)
    done = shell.succeed(*SWEEP)
    check(shell)
    # Its store is where it is said to be, and so are the artifacts.
    (command,) = (line for line in done.stdout.splitlines() if "--backend-store-uri" in line)
    uri = shlex.split(command)[-1]
    assert len(MlflowClient(tracking_uri=uri).search_runs(["1"])) == 3
    assert {path.name for path in folder.iterdir()} <= {"cache", "outputs"}
    assert len([*folder.glob("outputs/artifacts/**/history.json")]) == 2
    for run in shell.runs("tags.`bnsweep.role` = 'run'"):
        path = shell.client().download_artifacts(run.info.run_id, "history.json")
        assert '"finished"' in Path(path).read_text()


def test_links_may_stand_for_the_folders_of_the_output_and_the_data(shell):
    put_database(shell.folder)
    disk = shell.folder / "disk"
    (disk / "data").mkdir(parents=True)
    for name, content in FILES.items():
        (disk / "data" / name).write_bytes(content)
    (shell.folder / "outputs").rename(disk / "outputs")
    for name in ("outputs", "data"):
        (shell.folder / name).symlink_to(disk / name)
    data = ("data=mnist", "data.root=data", "data.train_size=100", "data.test_size=20")
    shell.succeed(*SWEEP, *data)
    check(shell)
    assert (shell.folder / "outputs").is_symlink()
    assert len([*disk.glob("outputs/sweeps/*/*/history.json")]) == 2
    # The same command finds what it did.
    before = {path: path.read_bytes() for path in disk.glob("outputs/sweeps/*/*/history.json")}
    shell.succeed(*SWEEP, *data, "resume=true")
    assert {path: path.read_bytes() for path in before} == before
    check(shell)


def test_a_sweep_needs_no_home_no_folder_for_temporary_files_and_no_rights_of_others(shell):
    before = os.umask(0o077)
    try:
        put_database(shell.folder)
        homeless = {"HOME": None, "XDG_CACHE_HOME": None, "TMPDIR": str(shell.folder / "missing")}
        shell.succeed("-m", *TINY, "weight_std=0.1,0.05", "hydra.launcher.n_jobs=2", **homeless)
    finally:
        os.umask(before)
    check(shell)
    written = [*shell.folder.glob("outputs/sweeps/**/*")]
    assert written
    assert not [path for path in written if path.stat().st_mode & 0o077]
