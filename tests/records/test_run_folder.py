"""What a run writes to its folder, and what others read there while it goes on or is gone."""

import contextlib
import errno
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from made_up import measured, result

from bnsweep.records import LOCK_FILE, RunFolder, lock

SPEC = result().spec


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "sweep" / "3")


def test_a_run_that_has_begun_says_which_run_it_is_and_who_does_it(folder):
    before = time.time()
    begun = folder.begin(SPEC)
    found = folder.attempt()
    assert found == begun
    assert found.spec == SPEC
    assert before <= found.started <= time.time()
    told = json.loads((folder.path / "run.json").read_text())
    assert told["attempt"] == begun.id
    assert (told["host"], told["process"]) == (socket.gethostname(), os.getpid())
    assert not folder.has_history()
    with pytest.raises(FileNotFoundError):
        folder.result()


def test_a_folder_that_is_not_there_has_not_started(folder):
    assert folder.attempt() is None
    assert not folder.has_history()
    assert folder.epochs("any") == ([], 0)
    assert folder.give_up("killed", "gone") is None
    assert not folder.path.exists()


def test_epochs_come_back_in_order_with_their_times_and_finite_values(folder):
    begun = folder.begin(SPEC)
    before = time.time()
    folder.append(begun.id, 0, measured(0.1, 0.2))
    folder.append(begun.id, 1, measured(0.3, 0.4) | {"train_loss": math.nan, "new": math.inf})
    epochs, _ = folder.epochs(begun.id)
    assert [epoch.number for epoch in epochs] == [0, 1]
    assert before <= epochs[0].time <= epochs[1].time <= time.time()
    assert epochs[0].measured == measured(0.1, 0.2)
    finite = measured(0.3, 0.4)
    del finite["train_loss"]
    assert epochs[1].measured == finite


def test_each_epoch_is_read_once_by_who_keeps_the_offset(folder):
    begun, offset, seen = folder.begin(SPEC), 0, []
    for number in range(4):
        folder.append(begun.id, number, measured(0.1, 0.2))
        if number != 1:
            epochs, offset = folder.epochs(begun.id, offset)
            seen.append([epoch.number for epoch in epochs])
    assert seen == [[0], [1, 2], [3]]
    assert folder.epochs(begun.id, offset) == ([], offset)


def test_a_line_that_is_being_written_is_left_for_later(folder):
    begun = folder.begin(SPEC)
    folder.append(begun.id, 0, measured(0.1, 0.2))
    (file,) = folder.path.glob("epochs.*")
    whole = file.read_bytes()
    second = whole.replace(b'"epoch": 0', b'"epoch": 1')
    for cut in (1, len(second) // 2, len(second) - 1):
        file.write_bytes(whole + second[:cut])
        epochs, offset = folder.epochs(begun.id)
        assert [epoch.number for epoch in epochs] == [0]
        assert offset == len(whole)
        assert folder.epochs(begun.id, offset) == ([], offset)
    file.write_bytes(whole + second)
    epochs, offset = folder.epochs(begun.id, len(whole))
    assert [epoch.number for epoch in epochs] == [1]
    assert offset == len(whole + second)


def test_a_first_line_that_is_being_written_is_no_epoch_yet(folder):
    begun = folder.begin(SPEC)
    (folder.path / f"epochs.{begun.id}.jsonl").write_bytes(b'{"epoch": 0, "time": 12')
    assert folder.epochs(begun.id) == ([], 0)


def test_two_attempts_in_one_folder_do_not_mix(folder):
    first = folder.begin(SPEC)
    for number in range(3):
        folder.append(first.id, number, measured(0.1, 0.2))
    second = folder.begin(SPEC)
    folder.append(second.id, 0, measured(0.5, 0.6))
    assert first.id != second.id
    assert folder.attempt() == second
    folder.append(first.id, 3, measured(0.1, 0.2))  # the first one is not quite dead
    assert len(folder.epochs(first.id)[0]) == 4
    (epoch,), _ = folder.epochs(second.id)
    assert epoch.measured == measured(0.5, 0.6)
    given_up = folder.give_up("failed", "gone")
    assert given_up.attempt == second.id
    assert len(given_up.curves["train_loss"]) == 1


def test_a_run_whose_process_is_gone_keeps_the_epochs_it_had(folder):
    begun = folder.begin(SPEC)
    folder.append(begun.id, 0, measured(0.1, 0.2))
    folder.append(begun.id, 1, measured(0.3, 0.4) | {"train_loss": math.inf})
    with (folder.path / f"epochs.{begun.id}.jsonl").open("ab") as file:
        file.write(b'{"epoch": 2, "ti')
    given_up = folder.give_up("killed", "its driver died")
    found = folder.result()
    assert folder.has_history()
    assert (found.status, found.error) == ("killed", "its driver died")
    assert (folder.path / "error.txt").read_text() == "its driver died"
    assert found.spec == SPEC
    assert found.attempt == begun.id == given_up.attempt
    assert found.started == begun.started <= found.ended <= time.time()
    np.testing.assert_array_equal(found.curves["train_accuracy"], [0.1, 0.3])
    np.testing.assert_array_equal(found.curves["train_loss"], [1.0, math.nan])


DAMAGED = [
    b"\0" * 40 + b"\n",  # a block that never reached the disk
    b'{"epoch": 1, "ti{"epoch": 2, "time": 3.0}\n',
    b"\xff\xfe\n",
    b"\n",
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_line_costs_what_follows_it_and_not_what_came_before(folder, damaged):
    begun = folder.begin(SPEC)
    folder.append(begun.id, 0, measured(0.1, 0.2))
    (file,) = folder.path.glob("epochs.*")
    whole = file.stat().st_size
    with file.open("ab") as opened:
        opened.write(damaged)
    folder.append(begun.id, 2, measured(0.5, 0.6))
    epochs, offset = folder.epochs(begun.id)
    assert [epoch.number for epoch in epochs] == [0]
    assert offset == whole
    folder.give_up("killed", "its driver died")
    found = folder.result()
    assert (found.status, found.error) == ("killed", "its driver died")
    np.testing.assert_array_equal(found.curves["train_accuracy"], [0.1])


def test_a_curve_that_starts_with_what_is_not_finite_is_kept_as_well(folder):
    begun = folder.begin(SPEC)
    folder.append(begun.id, 0, measured(0.1, 0.2) | {"train_loss": math.inf})
    folder.append(begun.id, 1, measured(0.3, 0.4))
    folder.give_up("killed", "its driver died")
    np.testing.assert_array_equal(folder.result().curves["train_loss"], [math.nan, 1.0])


def test_a_run_that_died_before_its_first_epoch_is_given_up_without_any(folder):
    folder.begin(SPEC)
    assert folder.give_up("failed", "died twice").epochs_run == 0
    assert folder.result().status == "failed"


def test_a_run_that_came_to_its_end_is_not_given_up(folder):
    folder.begin(SPEC)
    folder.finish(result())
    assert folder.give_up("killed", "its driver died") is None
    assert folder.result().status == "finished"
    assert not (folder.path / "error.txt").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": 2, "id": "a"}'])
def test_what_is_no_start_is_said_to_be_none(folder, text):
    folder.path.mkdir(parents=True)
    (folder.path / "run.json").write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011
        folder.attempt()


@pytest.mark.parametrize("name", ["run.json", "history.json"])
def test_a_damaged_file_is_named(folder, name):
    folder.path.mkdir(parents=True)
    (folder.path / name).write_text("{}")
    with pytest.raises(ValueError, match=str(folder.path / name)):
        folder.attempt() if name == "run.json" else folder.result()


@pytest.mark.parametrize("name", ["run.json", "history.json"])
def test_a_file_of_another_format_is_met_with_one_clear_message(folder, name):
    folder.begin(SPEC)
    folder.finish(result())
    path = folder.path / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    message = r"written in format 99, and this version reads format \d alone; do the run again"
    with pytest.raises(ValueError, match=message):
        folder.attempt() if name == "run.json" else folder.result()


HOLD = """
import sys, time
from pathlib import Path
from bnsweep.records import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def holder(place):
    """Run a process that holds a lock; yield it once it does."""
    command = [sys.executable, "-c", HOLD, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def is_free(place):
    try:
        with lock(place):
            return True
    except BlockingIOError:
        return False


@pytest.mark.parametrize("place", [LOCK_FILE, "."], ids=["file", "folder"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_a_lock_is_its_holders_until_that_ends_however_it_ends(tmp_path, place, number):
    place = tmp_path / place
    assert is_free(place)
    with holder(place) as process:
        assert not is_free(place)
        process.send_signal(number)
        process.wait()
        assert is_free(place)


def test_a_lock_can_be_waited_for(tmp_path):
    order = []

    def wait():
        with lock(tmp_path / LOCK_FILE, wait=True):
            order.append("ours")

    with holder(tmp_path / LOCK_FILE) as process:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.2)
        order.append("theirs ends")
        process.kill()
        thread.join(60)
    assert order == ["theirs ends", "ours"]


def test_a_lock_is_let_go_of_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), lock(tmp_path):
        raise RuntimeError
    assert is_free(tmp_path)


def test_two_locks_of_one_place_exclude_each_other_within_a_process(tmp_path):
    with lock(tmp_path / LOCK_FILE):
        assert not is_free(tmp_path / LOCK_FILE)
    assert is_free(tmp_path / LOCK_FILE)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK], ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, wait, number):
    def has_none(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", has_none)
    place = tmp_path / LOCK_FILE
    with (
        pytest.raises(OSError, match="the file system has no locks") as refusal,
        lock(place, wait=wait),
    ):
        pytest.fail("nobody holds it")
    assert os.strerror(number) in str(refusal.value)
    assert str(place) in str(refusal.value)
    assert refusal.value.errno == number
    assert not isinstance(refusal.value, BlockingIOError)
