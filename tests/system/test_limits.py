"""Where a process may have little, or its folder is taken, it says so before it starts anything."""

import resource
import subprocess
import sys

import pytest
from faults import SMALL, put_database

LITTLE = {
    "files": (resource.RLIMIT_NOFILE, 24, "ulimit -n 24"),
    "memory": (resource.RLIMIT_AS, 300_000 * 1024, "ulimit -v 300000"),
}


def one_line(done):
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("limit", LITTLE)
@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["run", "sweep"])
def test_a_limit_that_is_too_low_is_named(shell, limit, sweep):
    number, value, named = LITTLE[limit]
    done = subprocess.run(
        [sys.executable, "-m", "bnsweep", *sweep],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(number, (value, value)),
    )
    assert named in one_line(done)
    assert not list(shell.folder.iterdir())


def test_a_sweep_needs_no_more_than_the_lowest_limit(shell):
    put_database(shell.folder)
    done = subprocess.run(
        [sys.executable, "-m", "bnsweep", "-m", *SMALL, "seed=0,1", "hydra.launcher.n_jobs=2"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("taken", "arguments", "named"),
    [
        ("outputs/runs", [], "outputs/runs"),
        ("outputs", [], "outputs"),
        ("file", ["hydra.run.dir=file/run"], "hydra.run.dir=file/run: file is no folder"),
        ("file", ["hydra.run.dir=file"], "hydra.run.dir=file: file is no folder"),
        (None, ["hydra.run.dir="], "hydra.run.dir=: must be the path of a folder"),
        (None, [f"output_dir={'/'.join(['x' * 200] * 3)}"], "unable to open database file"),
        (None, ["tracking.uri=sqlite:///:memory:"], "sqlite:///:memory:"),
    ],
    ids=[
        *("a file for runs", "a file for outputs", "a file on the way", "a file", "empty"),
        *("long path", "in memory"),
    ],
)
def test_a_single_run_that_is_refused_leaves_no_folder(shell, taken, arguments, named):
    if taken:
        (shell.folder / taken).parent.mkdir(exist_ok=True)
        (shell.folder / taken).touch()
    before = sorted(shell.folder.rglob("*"))
    assert named in one_line(shell(*SMALL, *arguments))
    assert sorted(shell.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("made", "place", "said"),
    [
        ("file", "hydra.sweep.dir=file/x", "hydra.sweep.dir=file/x: file is no folder"),
        ("file", "hydra.sweep.dir=file", "hydra.sweep.dir=file: file is no folder"),
        ("file", "output_dir=file", "output_dir=file: file is no folder"),
        ("folder/x", "hydra.sweep.dir=folder", "hydra.sweep.dir=folder: exists"),
        ("folder/x", "hydra.sweep.dir=folder resume=true", "hydra.sweep.dir=folder: holds no"),
        ("outputs/sweeps", "hydra.sweep.dir=outputs/sweeps/x", "hydra.sweep.dir=outputs/sweeps/x:"),
        ("outputs/sweeps", "seed=0", "output_dir=outputs: outputs/sweeps is no folder"),
        ("file", f"hydra.sweep.dir={'x' * 300}", f"hydra.sweep.dir={'x' * 300}: File name too"),
        ("file", "hydra.sweep.dir=", "hydra.sweep.dir=: must be the path of a folder"),
    ],
    ids=[
        *("a file on the way", "a file", "a file for outputs", "exists", "no sweep"),
        *("below a file", "a file for sweeps", "long name", "empty"),
    ],
)
def test_a_sweep_that_is_refused_names_the_key_and_leaves_no_database(shell, made, place, said):
    (shell.folder / made).parent.mkdir(exist_ok=True)
    (shell.folder / made).touch()
    before = sorted(shell.folder.rglob("*"))
    assert one_line(shell("-m", *SMALL, *place.split())).startswith(f"bnsweep: {said}")
    assert sorted(shell.folder.rglob("*")) == before


def test_a_run_takes_no_other_runs_folder(shell):
    place = ["hydra.run.dir=here", "tracking=none"]
    shell.succeed(*SMALL, *place)
    history = shell.folder / "here" / "history.json"
    first = history.read_bytes()
    assert "resume=true" in one_line(shell(*SMALL, *place))
    assert "holds another run" in one_line(shell(*SMALL, *place, "seed=1", "resume=true"))
    assert "done already" in shell.succeed(*SMALL, *place, "resume=true").stdout
    assert history.read_bytes() == first
    # One that was interrupted is done again there, and its new result takes the old one's place.
    history.write_bytes(first.replace(b'"status":"finished"', b'"status":"killed"'))
    shell.succeed(*SMALL, *place, "resume=true")
    assert b'"status":"finished"' in history.read_bytes()
