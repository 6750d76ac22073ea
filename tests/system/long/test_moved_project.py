"""A project is moved or copied: its store is that of its new place, and so are its artifacts."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from faults import ONE_PROCESS, SMALL, check_whole, put_database

SWEEP = ("-m", *SMALL, "optimizer.lr=0.1,0.05", ONE_PROCESS)
OTHER = ("-m", *SMALL, "optimizer.lr=0.02", ONE_PROCESS)
FILES = {"config.yaml", "history.json", "weights.npz"}


@pytest.fixture
def first(shell):
    """A project `p` with one sweep."""
    project = replace(shell, folder=shell.folder / "p")
    project.folder.mkdir()
    put_database(project.folder)
    project.succeed(*SWEEP)
    return project


def warnings(done):
    return [line for line in done.stderr.splitlines() if "has been moved" in line]


def check_artifacts(project, total, place):
    """Check that the files of each run are where the store says, below the project's folder."""
    client = project.client()
    runs = project.runs("tags.`bnsweep.role` = 'run'")
    assert len(runs) == total
    for run in runs:
        assert {item.path for item in client.list_artifacts(run.info.run_id)} >= FILES
        assert run.info.artifact_uri.startswith(f"{project.folder.as_uri()}/")
        for name in FILES:
            assert Path(client.download_artifacts(run.info.run_id, name, place)).stat().st_size > 0
    for parent in project.runs("tags.`bnsweep.role` = 'sweep'"):
        assert parent.info.artifact_uri.startswith(f"{project.folder.as_uri()}/")
        assert (
            Path(client.download_artifacts(parent.info.run_id, "results.csv", place)).stat().st_size
            > 0
        )


def tree(folder):
    """Return what lies in a folder, but for what a reader of its database leaves there."""
    paths = {path for path in folder.rglob("*") if not path.name.endswith(("-shm", "-wal"))}
    return {path: path.read_bytes() for path in paths if path.is_file()}


@pytest.mark.parametrize("what", ["nothing", "a file"])
def test_a_moved_project_goes_on_in_its_new_place(shell, first, what, tmp_path_factory):
    """What is left in the old place is nothing, or a file, so that no folder can be made there."""
    project = replace(first, folder=shell.folder / "q")
    first.folder.rename(project.folder)
    if what == "a file":
        first.folder.write_text("")
    (sweep,) = project.folder.glob("outputs/sweeps/*")

    done = project.succeed(*SWEEP, "resume=true")
    (warning,) = warnings(done)
    assert str(first.folder) in warning
    assert [*project.folder.glob("outputs/sweeps/*")] == [sweep]  # it was the same sweep
    check_whole(project.runs(), 2)
    assert not warnings(project.succeed(*OTHER))

    check_artifacts(project, 3, tmp_path_factory.mktemp("files"))
    assert {path.name for path in shell.folder.iterdir()} == (
        {"q"} if what == "nothing" else {"p", "q"}
    )


def test_a_copied_project_leaves_the_first_one_alone(shell, first, tmp_path_factory):
    first.runs()  # the reader leaves its files before they are looked at
    project = replace(first, folder=shell.folder / "q")
    shutil.copytree(first.folder, project.folder)
    before = tree(first.folder)

    assert len(warnings(project.succeed(*OTHER))) == 1
    done = project.succeed(*SWEEP, "resume=true")
    assert not warnings(done)

    check_artifacts(project, 3, tmp_path_factory.mktemp("files"))
    assert tree(first.folder) == before
    check_artifacts(first, 2, tmp_path_factory.mktemp("files"))
