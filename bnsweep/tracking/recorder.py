"""The only writer to the tracking store: it brings to it what lies in run folders.

Runs write to disk and know of no store. Whatever happened to the recorder or to the store, what is
missing there is brought the next time: a record carries its own time, and bringing it again changes
nothing.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bnsweep.errors import IncompleteError, StoreRefused, StoreUnreachable, TrackingError
from bnsweep.records import Attempt, RunFolder, RunResult, from_here
from bnsweep.records.folder import Epoch
from bnsweep.tracking.store import Point, Store, StoredRun
from bnsweep.tracking.told import SWEPT_DIGITS, readable, swept_metrics

LOOK_SECONDS = 1.0
MOST_SECONDS = 60.0  # between two looks while the store is away
FINISH_SECONDS = 4.0  # without a step, after which the end does not wait for the store

_log = logging.getLogger(__name__)


@dataclass
class _Followed:
    """How far a run has been brought."""

    attempt: Attempt | None = None
    run_id: str | None = None
    asked: bool = False  # the store to make it, and its answer may have been lost
    offset: int | None = None  # of the bytes of its epochs; None: nothing has been logged
    epochs: int = 0
    summed_up: bool = False  # its final values have been logged
    files: set[str] = field(default_factory=set)  # that have been added
    over: bool = False  # nothing is left to bring
    refused: bool = False


class Recorder:
    """Brings the runs in some folders to the store, each second while its context lasts.

    Args:
        store: where to.
        folders: of the runs, whether they have started or not.
        parent: the id of the sweep's own run in the store.
        known: runs that the store may hold already, so that they are not made again.
        tags: further tags of the runs, by folder.
    """

    def __init__(
        self,
        store: Store,
        folders: Sequence[Path],
        parent: str | None = None,
        known: Iterable[StoredRun] = (),
        tags: Mapping[Path, Mapping[str, str]] | None = None,
    ) -> None:
        self._store = store
        self._parent = parent
        self._tags = tags or {}
        self._known = {run.attempt: run for run in known}
        self._runs = {path: _Followed() for path in folders}
        self._lock = threading.Lock()
        self._wake, self._looked = threading.Event(), threading.Event()
        self._over = False
        self._away = 0  # looks in a row that found the store away
        self.answers = True  # the store did so at the last look
        self.elsewhere: set[str] = set()  # runs, by their numbers, that others have brought

    @contextmanager
    def following(self) -> Iterator[None]:
        """Look each second, in a thread: a call to the store that hangs holds up no run."""
        threading.Thread(target=self._follow, daemon=True).start()
        try:
            yield
        finally:
            self._over = True
            self._wake.set()

    def catch_up(self) -> None:
        """Let the thread look now, and wait for it for a while, unless the store is away."""
        if not self._away:
            self._looked.clear()
            self._wake.set()
            self._looked.wait(LOOK_SECONDS)

    def look(self) -> bool:
        """Bring what has come since the last look; return whether the store took all of it."""
        with self._lock:
            failures: list[StoreUnreachable] = []
            in_a_row = 0
            left = [(p, run) for p, run in self._runs.items() if not (run.over or run.refused)]
            try:
                self._store.check()
                self.answers = True
            except StoreUnreachable as error:
                self.answers = False
                failures.append(error)
                left = []
            for path, run in left:
                try:
                    self._bring(RunFolder(path), run)
                    in_a_row = 0
                except StoreUnreachable as error:
                    failures.append(error)
                    in_a_row += 1
                    # It may be this run alone that fails: a store that is away fails twice.
                    if in_a_row > 1:
                        break
                except (StoreRefused, ValueError) as error:
                    # One stands for all; in the end they are counted.
                    if not any(other.refused for other in self._runs.values()):
                        _log.warning("%s: cannot be recorded (%s)", from_here(path), error)
                    self._runs[path].refused = True  # `run` is another if its attempt is new
                except OSError:
                    continue  # the folder cannot be read now, perhaps at the next look
            if failures and not self._away:
                _log.warning("%s; the records stay on disk until it answers", failures[0])
            elif self._away and not failures:
                _log.warning("the tracking store %s answers again", self._store.shown)
            self._away = self._away + 1 if failures else 0
            return not failures

    def finish(self, *, settle: bool = False) -> bool:
        """Look until the store has all of it, and perhaps settle; return whether it has.

        A store that loses answers is asked again, one that takes nothing for a while is given up.
        """
        end = time.monotonic() + FINISH_SECONDS
        while True:
            before = self._steps()
            try:
                if self.look():
                    if settle:
                        self.settle()
                    return not self.missing
            except StoreRefused:
                return False
            except StoreUnreachable:
                pass
            if self._steps() != before:
                end = time.monotonic() + FINISH_SECONDS
            elif time.monotonic() + LOOK_SECONDS > end:
                if self._store.is_gone:
                    self._forget_all_but(())
                return False
            time.sleep(LOOK_SECONDS)

    def _forget_all_but(self, run_ids: Container[str]) -> None:
        """Forget the runs that are not among these, which the store has."""
        for path, run in self._runs.items():
            if run.attempt is not None and run.run_id is not None and run.run_id not in run_ids:
                self._known.pop(run.attempt.id, None)
                self._runs[path] = _Followed(run.attempt)

    def _steps(self) -> list[tuple[str | None, int | None, int, bool]]:
        return [(run.run_id, run.offset, len(run.files), run.over) for run in self._runs.values()]

    def learn(self) -> list[StoredRun]:
        """Ask the store for the runs of the sweep, and return them."""
        runs = self._store.runs(parent=self._parent)
        with self._lock:
            self.elsewhere |= {run.number for run in runs if run.attempt not in self._known}
            self._known |= {run.attempt: run for run in runs}
        return runs

    def settle(self) -> None:
        """Leave none of the sweep's runs open in the store, and none there twice or not at all.

        A request whose answer was lost, or a worker that died, leaves a run which is not, or no
        longer, that of any folder; a full disk leaves one that has no result; a server may have
        come back with an empty store. For a time when no run is under way.
        """
        stored = self.learn()
        own = set(self.run_ids.values())
        there = {run.run_id for run in stored}
        if not own <= there:
            there |= {run.run_id for run in self._store.runs()}  # a reused run is of another sweep
        self._forget_all_but(there)
        over = {run.run_id for run in self._runs.values() if run.over}
        taken = {path.name for path, run in self._runs.items() if run.attempt is not None}
        for known in stored:
            if known.run_id not in own and known.number in taken:
                self._store.discard(known.run_id)
            elif known.status == "running" and known.run_id not in over:
                self._store.kill(known.run_id)

    def abandon(self) -> None:
        """End in the store what it has not taken as a whole; a resume mends it."""
        for run in self._runs.values():
            if run.run_id is not None and not run.over and self.answers:
                with contextlib.suppress(TrackingError):
                    self._store.kill(run.run_id)

    @property
    def run_ids(self) -> dict[Path, str]:
        """The run in the store of each folder that has one."""
        return {path: run.run_id for path, run in self._runs.items() if run.run_id is not None}

    @property
    def missing(self) -> int:
        """How many folders have a result that is not, or not as a whole, in the store."""
        left = (path for path, run in self._runs.items() if not run.over)
        return sum(RunFolder(path).has_history() for path in left)

    def check(self) -> None:
        """Check that a run is in the store.

        Raises:
            IncompleteError: it is not, or not as a whole.
        """
        if self.missing:
            raise IncompleteError(
                f"the run is not in the store {self._store.shown}; the same command with "
                "resume=true records it"
            )

    def _follow(self) -> None:
        while not self._over:
            self._wake.wait(min(LOOK_SECONDS * 2 ** min(self._away, 9), MOST_SECONDS))
            self._wake.clear()
            if not self._over:
                self.look()
            self._looked.set()

    def _bring(self, folder: RunFolder, run: _Followed) -> None:
        # Whether it has ended is asked first: what is read after that is then whole.
        result = folder.result() if folder.has_history() else None
        begun = attempt = folder.attempt()
        if result is not None:
            attempt = Attempt(result.spec, result.attempt, result.started or 0.0)
        if attempt is None:
            return
        if run.attempt is not None and run.attempt.id != attempt.id:
            if run.run_id is not None:
                self._store.discard(run.run_id)
            self._runs[folder.path] = run = _Followed()
        run.attempt = attempt
        if run.run_id is None:
            # A history alone comes from another disk.
            stored = self._find_or_create(folder, run, attempt, from_afar=begun is None)
            run.run_id = stored.run_id
            run.over = result is not None and stored.status == result.status
        if run.over:
            return
        epochs, offset = folder.epochs(attempt.id, run.offset or 0)
        if result is None and epochs and (run.epochs + len(epochs) == 1 or _ends_in_nan(epochs)):
            # The untrained network waits for the first epoch: if training diverges in it, the loss
            # of the untrained one would stand as the latest.
            epochs, offset = [], run.offset or 0
        left_out = _losses(result) if result is not None else ()
        points = [p for e in epochs for p in _points(e.measured, e.time, e.number, left_out)]
        if run.offset is None:
            swept = readable(swept_metrics(attempt.spec), SWEPT_DIGITS)
            points += [Point(key, value, attempt.started, 0) for key, value in swept.items()]
        if result is not None and not run.summed_up:
            ended = result.ended or attempt.started
            # A history from afar comes without its epochs' own times; a damaged file lacks some.
            left = enumerate(result.epochs())
            read = run.epochs + len(epochs)
            points += [
                p for n, values in left if n >= read for p in _points(values, ended, n, left_out)
            ]
            points += _points(result.final_metrics(), ended, 0)
        if points or run.offset is None:
            first = attempt if run.offset is None else None
            status = result.status if result is not None else None
            self._store.log(run.run_id, points, first, status)
            run.offset, run.epochs = offset, run.epochs + len(epochs)
            run.summed_up = result is not None
        if result is not None:
            self._store.close(run.run_id, folder.path, result, run.files)
            run.over = True
            self._known[attempt.id] = self._known[attempt.id]._replace(status=result.status)

    def _find_or_create(
        self, folder: RunFolder, run: _Followed, attempt: Attempt, *, from_afar: bool
    ) -> StoredRun:
        known = self._known.get(attempt.id)
        # What comes from afar, or lies in another sweep's folder, may be recorded already.
        if known is None and (run.asked or from_afar or folder.path.is_symlink()):
            known = next(iter(self._store.runs(attempt=attempt.id)), None)
        if known is not None and known.status == "running" and from_afar:
            # Its worker has brought a part of it, at times that are not known here.
            self._store.discard(known.run_id)
            known = None
        if known is None:
            run.asked = True
            tags = self._tags.get(folder.path, {})
            run_id = self._store.create(attempt, folder.path, self._parent, tags)
            known = StoredRun(
                run_id,
                attempt.id,
                attempt.spec.fingerprint,
                folder.path.name,
                sweeps=self._parent or "",
            )
        elif self._parent is not None and self._parent not in known.sweeps:
            self._store.add_to_sweep(known, self._parent)
        self._known[attempt.id] = known
        return known


@contextmanager
def recorded(
    store: Store | None,
    folder: Path,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Recorder | None]:
    """Record the run that is done in a folder while the context lasts, if there is a store."""
    if store is None:
        yield None
        return
    recorder = Recorder(store, [folder], parent, tags={folder: tags or {}})
    try:
        with recorder.following():
            yield recorder
    finally:
        recorder.finish()
        recorder.abandon()


def _ends_in_nan(epochs: Sequence[Epoch]) -> bool:
    """Whether the last one of some epochs has no finite loss: the result is about to come."""
    return "train_loss" not in epochs[-1].measured


def _losses(result: RunResult) -> Collection[str]:
    """Return the losses of a run that diverged in its first epoch, all of the untrained network."""
    gone = result.status == "diverged" and result.epochs_run == 1
    return [name for name in result.curves if name.endswith("_loss")] if gone else ()


def _points(
    values: Mapping[str, float], moment: float, step: int, left_out: Collection[str] = ()
) -> list[Point]:
    named = readable(values).items()
    return [Point(key, value, moment, step) for key, value in named if key not in left_out]
