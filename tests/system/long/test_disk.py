"""One clear message on a full disk, read-only outputs, or a database of another version."""

import contextlib
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import needs
import pytest
from faults import (
    HELD,
    ONE_PROCESS,
    SCRIPTED,
    SMALL,
    Started,
    check_whole,
    empty_database,
    held,
    prepare,
    put_database,
)


@pytest.fixture
def filesystem(tmp_path):
    """Return a function that mounts a file system in memory, or skips the test."""
    mounted = []

    def mount(options):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]
        with contextlib.suppress(OSError):
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                mounted.append(place)
                return place
        return needs.right_to_mount()

    yield mount
    for place in mounted:
        subprocess.run(["umount", place], check=True)


def one_message(done, *named):
    """Assert that the program printed one clear line and started nothing."""
    assert done.returncode == 2, done.stderr
    (message,) = done.stderr.splitlines()
    for name in named:
        assert name in message
    assert "Traceback" not in done.stderr


def test_a_disk_that_fills_up_during_a_sweep_costs_what_does_not_fit(shell, filesystem):
    """Only the runs' folders are on the full disk, not the working directory nor the store."""
    disk = filesystem("size=400k")
    done = shell(
        *("-m", *SMALL, "optimizer.lr=0.1,0.05,0.02,0.01,0.005,0.001", ONE_PROCESS),
        *(f"output_dir={disk}", f"tracking.uri=sqlite:///{shell.folder}/store.db"),
    )
    assert done.returncode == 1
    assert "of 6 runs failed" in done.stderr
    assert "No space left on device" in done.stdout + done.stderr
    runs = store(shell).search_runs(["1"], "tags.`bnsweep.role` = 'run'")
    finished = [run for run in runs if run.info.status == "FINISHED"]
    assert finished
    assert not [run for run in runs if run.info.status == "RUNNING"]
    # Whatever is marked as finished is complete.
    for run in finished:
        names = {item.path for item in store(shell).list_artifacts(run.info.run_id)}
        assert names >= {"config.yaml", "history.json", "weights.npz"}
    assert not list(disk.glob("**/.*.part"))


def store(shell):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{shell.folder}/store.db")


@pytest.mark.parametrize("store", [["tracking=none"], []], ids=["no store", "store"])
def test_outputs_that_are_moved_away_during_a_sweep_cost_no_run(shell, store):
    """What was done lies where it was moved to; what is done from then on lies in a new folder."""
    prepare(shell.folder)
    outputs, away = shell.folder / "outputs", shell.folder / "away"
    arguments = ("-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.21,0.05", "hydra.launcher.n_jobs=2")
    with Started(shell, *arguments, *store) as sweep:
        for rate in ("0.2", "0.21"):
            sweep.until((shell.folder / f"waiting-{rate}").exists, f"run {rate} is under way")
        outputs.rename(away)
        (shell.folder / "go").touch()
        status = sweep.ends()
        sweep.leaves_nobody()
    assert "Traceback" not in sweep.text
    assert [row["status"] for row in shell.results()] == ["finished"] * 4
    assert len(list(outputs.glob("sweeps/*/*/history.json"))) == 4
    assert len(list(away.glob("sweeps/*/0/history.json"))) == 1
    if store:
        assert status == 0, sweep.text
    else:
        assert status == 1, sweep.text
        assert "mlflow.db: that file has been removed" in sweep.text
        assert "4 of 4 runs are not in the store" in sweep.text
    # The new folder is a sweep's, which can be read and gone on with.
    assert len(list(outputs.glob("sweeps/*/sweep.json"))) == 1
    assert (away / "mlflow.db").exists()
    assert not (outputs / "mlflow.db").exists()


def test_a_full_disk_of_the_database_is_told_and_made_good_by_a_resume(shell, filesystem):
    """The disk fills up in the second of three runs; the runs' folders are on another one."""
    prepare(shell.folder)
    disk = filesystem("size=16m")
    database = disk / "store.db"
    shutil.copy(empty_database(), database)
    store = f"tracking.uri=sqlite:///{database}"
    with Started(shell, *HELD, store) as sweep:
        held(sweep, shell, database)
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        (shell.folder / "go").touch()
        assert sweep.ends() == 1, sweep.text
    told_briefly(sweep)
    (disk / "filler").unlink()
    shell.succeed(*HELD, store, "resume=true")
    check_whole(runs_of_copy(shell, database), 3)


def runs_of_copy(shell, database):
    """Return the runs in a copy of a database: MLflow keeps what it reads, and its disk, busy."""
    from mlflow import MlflowClient

    copy = shell.folder / "copy"
    copy.mkdir()
    for path in database.parent.glob(f"{database.name}*"):
        shutil.copy(path, copy)
    return MlflowClient(f"sqlite:///{copy}/{database.name}").search_runs(["1"])


def told_briefly(sweep):
    """Check that one line told of it when it began, and few in the end."""
    assert "Traceback" not in sweep.text
    assert sweep.text.count("the records stay on disk until it answers") == 1, sweep.text
    assert re.search(r"[23] of 3 runs are not in the store", sweep.text)
    assert "resume=true" in sweep.text
    messages = [line for line in sweep.text.splitlines() if re.match(r"\[|bnsweep: ", line)]
    assert len(messages) <= 4, sweep.text


def test_a_file_that_must_not_grow_gives_one_message(shell):
    """The same with a limit that needs no privileges: no file may grow beyond 100 kB."""
    limit = 100_000
    done = subprocess.run(
        [sys.executable, "-m", "bnsweep", *SMALL, "tracking=none"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    (message,) = done.stderr.splitlines()
    assert "File too large" in message
    (folder,) = shell.folder.glob("outputs/runs/*")
    assert not (folder / "weights.npz").exists()
    assert '"status":"failed"' in (folder / "history.json").read_text()


def test_outputs_that_are_read_only_are_named(shell, filesystem):
    place = filesystem("ro,size=1m") if os.geteuid() == 0 else shell.folder / "locked"
    if os.geteuid() != 0:
        place.mkdir(mode=0o500)
    for sweep in ([], ["-m"]):
        one_message(shell(*sweep, *SMALL, f"output_dir={place}/out"), place.name)
        one_message(shell(*sweep, *SMALL, f"output_dir={place}/out", "tracking=none"), place.name)
    assert not list(place.iterdir())


def test_a_working_directory_that_is_read_only_will_do(shell, filesystem):
    place = filesystem("ro,size=1m") if os.geteuid() == 0 else shell.folder / "locked"
    if os.geteuid() != 0:
        place.mkdir(mode=0o500)
    output = shell.folder / "out"
    arguments = ("-m", *SMALL, "optimizer.lr=0.1,0.05", f"output_dir={output}", "resume=true")
    for _ in range(2):
        type(shell)(place).succeed(*arguments)
        assert [row["status"] for row in shell.results("out")] == ["finished"] * 2
    assert len(list(output.glob("sweeps/*"))) == 1
    assert (output / "mlflow.db").exists()
    assert not list(place.iterdir())


def test_a_database_on_a_read_only_disk_is_named(shell, filesystem):
    disk = filesystem("size=4m")
    shutil.copy(empty_database(), disk / "store.db")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for sweep in ([], ["-m"]):
        one_message(shell(*sweep, *SMALL, f"tracking.uri=sqlite:///{disk}/store.db"), "store.db")
    assert not list(shell.folder.glob("outputs/*"))


def test_a_file_where_the_folder_should_be_is_named(shell):
    (shell.folder / "outputs").write_text("a file")
    for sweep in ([], ["-m"]):
        one_message(shell(*sweep, *SMALL), "outputs")
        one_message(shell(*sweep, *SMALL, "tracking=none"), "outputs")


def test_a_database_that_cannot_be_read_is_named(shell):
    put_database(shell.folder)
    assert shell(*SMALL, "tracking=none").returncode == 0
    database = shell.folder / "outputs" / "mlflow.db"
    before = sorted(path.name for path in shell.folder.glob("outputs/*/*"))
    assert before
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
        connection.commit()
    for sweep in ([], ["-m"]):
        one_message(shell(*sweep, *SMALL), "mlflow.db", "another version of MLflow")
    for path in database.parent.glob("mlflow.db*"):
        path.unlink()
    database.write_bytes(b"this is no database" * 1000)
    one_message(shell("-m", *SMALL), "mlflow.db", "cannot be used")
    assert sorted(path.name for path in shell.folder.glob("outputs/*/*")) == before
    assert Path(database).read_bytes().startswith(b"this is no database")
