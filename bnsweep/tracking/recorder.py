"""The only writer to the tracking store: it brings to it what lies in run folders.

Runs write to disk and know of no store. Whatever happened to the recorder or to the store, what is
missing there is brought the next time: a record carries its own time, and bringing it again changes
nothing.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from bnsweep.errors import StoreRefused, StoreUnreachable
from bnsweep.records import Attempt, Measurements, RunFolder, RunResult
from bnsweep.records.keys import is_number

LOOK_SECONDS = 1.0
MOST_SECONDS = 60.0  # between two looks while the store is away

_log = logging.getLogger(__name__)


class Point(NamedTuple):
    """A value of a metric at a step, and when it was measured (seconds since 1970)."""

    name: str
    value: float
    time: float
    step: int


class StoredRun(NamedTuple):
    """A run that the store holds: `status` is what bnsweep calls it, `running` until it ends."""

    run_id: str
    attempt: str
    fingerprint: str
    status: str
    parent: str | None


class Store(Protocol):
    """What a recorder asks of a store; each method raises StoreUnreachable or StoreRefused."""

    @property
    def shown(self) -> str:
        """The name of the store in messages."""

    def runs(self, *, parent: str | None = None, attempt: str | None = None) -> list[StoredRun]:
        """Return the runs of a sweep, or of an attempt."""

    def create(self, attempt: Attempt, folder: Path, parent: str | None) -> str:
        """Make a run and return its id."""

    def log(self, run_id: str, attempt: Attempt, points: list[Point]) -> None:
        """Add an attempt's parameters, its data set, and points."""

    def close(self, run_id: str, folder: Path, result: RunResult) -> None:
        """Add the files of a run, and end it."""

    def discard(self, run_id: str) -> None:
        """Delete a run whose place another one has taken."""

    def kill(self, run_id: str) -> None:
        """End a run that nobody will bring to its end."""


@dataclass
class _Followed:
    """How far a run has been brought."""

    attempt: Attempt | None = None
    run_id: str | None = None
    described: bool = False
    offset: int = 0  # of the bytes of its epochs
    asked: bool = False  # the store, for a run that an answer which was lost may have made
    over: bool = False  # nothing is left to bring
    refused: bool = False


class Recorder:
    """Brings the runs in some folders to the store, each second while its context lasts.

    Args:
        store: where to.
        folders: returns the folders of runs that are there so far.
        parent: the id of the sweep's own run in the store.
        known: runs that the store may hold already, so that they are not made again.
    """

    def __init__(
        self,
        store: Store,
        folders: Callable[[], Iterable[Path]],
        parent: str | None = None,
        known: Iterable[StoredRun] = (),
    ) -> None:
        self._store = store
        self._folders = folders
        self._parent = parent
        self._known = {run.attempt: run for run in known}
        self._runs: dict[Path, _Followed] = {}
        self._lock = threading.Lock()
        self._wake, self._looked = threading.Event(), threading.Event()
        self._over = False
        self._away = 0  # looks in a row that found the store away

    @contextmanager
    def following(self) -> Iterator[None]:
        """Look each second, in a thread; a call to the store that hangs holds nobody up."""
        thread = threading.Thread(target=self._follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over = True
            self._wake.set()

    def catch_up(self, seconds: float = LOOK_SECONDS) -> None:
        """Let the thread look now, and wait for it for a while, unless the store is away."""
        if not self._away:
            self._looked.clear()
            self._wake.set()
            self._looked.wait(seconds)

    def look(self) -> None:
        """Bring what has come since the last look."""
        with self._lock:
            for path in self._folders():
                run = self._runs.setdefault(path, _Followed())
                if run.over or run.refused:
                    continue
                try:
                    self._bring(RunFolder(path), run)
                except StoreUnreachable as error:
                    if not self._away:
                        _log.warning("%s; the records stay on disk until it answers", error)
                    self._away += 1
                    return
                except (StoreRefused, ValueError) as error:
                    run.refused = True
                    _log.warning("%s: cannot be recorded (%s)", path, error)
            if self._away:
                _log.warning("the tracking store %s answers again", self._store.shown)
            self._away = 0

    def learn(self) -> list[StoredRun]:
        """Ask the store for the runs of the sweep, and return them."""
        runs = self._store.runs(parent=self._parent)
        with self._lock:
            self._known |= {run.attempt: run for run in runs}
        return runs

    def settle(self) -> None:
        """Leave none of the sweep's runs open in the store, and none there twice.

        A request whose answer was lost, or a worker that died, leaves a run which is not, or no
        longer, that of any folder.
        """
        own = set(self.run_ids.values())
        taken = {run.attempt.spec.fingerprint for run in self._runs.values() if run.attempt}
        for run in self._store.runs(parent=self._parent):
            if run.run_id in own:
                continue
            if run.fingerprint in taken:
                self._store.discard(run.run_id)
            elif run.status == "running":
                self._store.kill(run.run_id)

    @property
    def run_ids(self) -> dict[Path, str]:
        """The run in the store of each folder that has one."""
        return {path: run.run_id for path, run in self._runs.items() if run.run_id is not None}

    @property
    def missing(self) -> list[Path]:
        """The folders with a result that is not, or not as a whole, in the store."""
        return [path for path in self._folders() if self._is_missing(path)]

    def _is_missing(self, path: Path) -> bool:
        run = self._runs.get(path)
        return (run is None or not run.over) and RunFolder(path).has_history()

    def _follow(self) -> None:
        while not self._over:
            self._wake.wait(min(LOOK_SECONDS * 2**self._away, MOST_SECONDS))
            self._wake.clear()
            if not self._over:
                self.look()
            self._looked.set()

    def _bring(self, folder: RunFolder, run: _Followed) -> None:
        ended = folder.has_history()  # asked first: what is read after it is then whole
        result = folder.result() if ended else None
        attempt = _attempt_of(result) if result is not None else folder.attempt()
        if attempt is None:
            return
        if run.attempt is not None and run.attempt.id != attempt.id:
            if run.run_id is not None:
                self._store.discard(run.run_id)
            self._runs[folder.path] = run = _Followed()
        run.attempt = attempt
        if run.run_id is None:
            if attempt.id in self._known:
                stored = self._known[attempt.id]
                run.run_id, run.over = stored.run_id, stored.status != "running"
                if run.over:
                    return
            else:
                run.run_id = self._make(folder, run, attempt)
        epochs, offset = folder.epochs(attempt.id, run.offset)
        if result is not None and not run.offset and not epochs:
            points = _points_of(result)
        else:
            points = [p for e in epochs for p in _points(e.measured, e.time, e.number)]
        if not run.described:
            points += _points(_swept_numbers(attempt), attempt.started, 0)
        if result is not None:
            points += _points(result.final_metrics(), result.ended or attempt.started, 0)
        if points or not run.described:
            self._store.log(run.run_id, attempt, points)
            run.offset, run.described = offset, True
        if result is not None:
            self._store.close(run.run_id, folder.path, result)
            run.over = True

    def _make(self, folder: RunFolder, run: _Followed, attempt: Attempt) -> str:
        """Return the id of a new run, or of the one that an earlier try has made unheard."""
        if run.asked and (found := self._store.runs(attempt=attempt.id)):
            return found[0].run_id
        run.asked = True
        return self._store.create(attempt, folder.path, self._parent)


def _attempt_of(result: RunResult) -> Attempt:
    started = result.started or result.ended or 0.0
    return Attempt(result.spec, result.attempt, started, host="", process=0)


def _swept_numbers(attempt: Attempt) -> dict[str, float]:
    """Return the swept numbers, as metrics too: the UI compares parameters as text."""
    return {key: float(v) for key, v in attempt.spec.swept.items() if is_number(v)}


def _points_of(result: RunResult) -> list[Point]:
    """Return the points of a result whose epochs, with their times, are not at hand."""
    moment = result.ended or 0.0
    return [p for n, measured in enumerate(result.epochs()) for p in _points(measured, moment, n)]


def _points(values: Measurements, moment: float, step: int) -> list[Point]:
    return [Point(k, value, moment, step) for k, value in values.items() if math.isfinite(value)]
