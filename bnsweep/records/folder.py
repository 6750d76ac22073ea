"""The folder of a run: what the run writes there, and what anyone may read while it runs.

    run.json                 first: the attempt at the run
    epochs.<attempt>.jsonl   a line an epoch, as they come
    ...                      configuration, weights, figures, log
    history.json             last: the result; where it is, nothing more will come

Every file but those of epochs and the log is there whole or not at all. The folder of a run by
itself, and that of a sweep, also have a file `.lock`, which the process that drives them holds.
"""

import fcntl
import json
import math
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bnsweep.records.history import (
    FORMAT,
    Measurements,
    RunResult,
    Status,
    curves_of,
    decode,
    encode,
    parsing,
)
from bnsweep.records.spec import RunSpec

START_FILE = "run.json"
HISTORY_FILE = "history.json"
CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "weights.npz"
ERROR_FILE = "error.txt"
LOCK_FILE = ".lock"


class Attempt(NamedTuple):
    """A try at a run: the run, the try's own id, and when it began (seconds since 1970)."""

    spec: RunSpec
    id: str
    started: float


class Epoch(NamedTuple):
    """The finite measurements of an epoch, and when they were made (seconds since 1970)."""

    number: int
    time: float
    measured: Measurements


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run at `path`; `begin`, `append` and `finish` are for the run itself."""

    path: Path

    def begin(self, spec: RunSpec) -> Attempt:
        """Make the folder, and say that the run has started; an earlier result of it goes."""
        attempt = Attempt(spec, uuid.uuid4().hex, time.time())
        document = spec.document() | {
            "format": FORMAT,
            "attempt": attempt.id,
            "started": attempt.started,
            "host": socket.gethostname(),
            "process": os.getpid(),
        }
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / HISTORY_FILE).unlink(missing_ok=True)
        write_whole(self.path / START_FILE, json.dumps(document).encode())
        return attempt

    def append(self, attempt: str, number: int, measured: Measurements) -> None:
        """Add an epoch to those of an attempt."""
        finite = {k: v if math.isfinite(v) else None for k, v in measured.items()}
        line = json.dumps({"epoch": number, "time": time.time(), **finite})
        # Opened each time: a network file system shows what was closed.
        with self._epochs(attempt).open("a") as file:
            file.write(f"{line}\n")

    def finish(self, result: RunResult) -> None:
        """Write the result: nothing more will come."""
        write_whole(self.path / HISTORY_FILE, encode(result).encode())

    def give_up(self, status: Status, error: str) -> RunResult | None:
        """Write the result in the place of a process that is gone; return it if it had begun."""
        attempt = self.attempt()
        if attempt is None or self.has_history():
            return None
        epochs, _ = self.epochs(attempt.id)
        result = RunResult(
            attempt.spec,
            status,
            curves_of([epoch.measured for epoch in epochs]),
            started=attempt.started,
            ended=time.time(),
            error=error,
            attempt=attempt.id,
        )
        write_whole(self.path / ERROR_FILE, error.encode())
        self.finish(result)
        return result

    def has_begun(self) -> bool:
        """Whether there was an attempt at the run."""
        return (self.path / START_FILE).exists()

    def attempt(self) -> Attempt | None:
        """Return the newest attempt at the run; None if it has not started."""
        path = self.path / START_FILE
        try:
            with parsing(path.read_text(), "run's start", path) as document:
                spec = RunSpec.from_document(document)
                return Attempt(spec, document["attempt"], document["started"])
        except FileNotFoundError:
            return None

    def epochs(self, attempt: str, offset: int = 0) -> tuple[list[Epoch], int]:
        """Return the epochs of an attempt from a byte on, and the byte behind the last of them.

        A line that is being written has no end yet, and is left for later.
        """
        try:
            with self._epochs(attempt).open("rb") as file:
                file.seek(offset)
                whole = file.read()
        except FileNotFoundError:
            return [], offset
        epochs = []
        for line in whole[: whole.rfind(b"\n") + 1].splitlines(keepends=True):
            try:
                epochs.append(_epoch(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                break  # damaged, as after a power failure
            offset += len(line)
        return epochs, offset

    def has_history(self) -> bool:
        """Whether the run has come to its end."""
        return (self.path / HISTORY_FILE).exists()

    def result(self) -> RunResult:
        """Return the result of the run.

        Raises:
            FileNotFoundError: it has none yet.
            ValueError: what lies there is not a history of this format.
        """
        path = self.path / HISTORY_FILE
        return decode(path.read_text(), path)

    def _epochs(self, attempt: str) -> Path:
        return self.path / f"epochs.{attempt}.jsonl"


def _epoch(line: bytes) -> Epoch:
    measured = json.loads(line)
    number, moment = measured.pop("epoch"), measured.pop("time")
    return Epoch(number, moment, {k: v for k, v in measured.items() if v is not None})


@contextmanager
def lock(place: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file, or of a folder; the kernel lets go of it when this process ends.

    Raises:
        BlockingIOError: another process holds it, and we do not wait.
    """
    how = os.O_RDONLY if place.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(place, how, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError as error:
            why = f"the file system has no locks ({error.strerror})"
            raise OSError(error.errno, why, str(place)) from error
        yield
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that at any moment all of it is there or none of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
