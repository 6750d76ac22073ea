"""What is done already, on disk or in the store, and what a dead driver left open."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from bnsweep.errors import TrackingError
from bnsweep.records import (
    CONFIG_FILE,
    ENDED,
    HISTORY_FILE,
    LOCK_FILE,
    WEIGHTS_FILE,
    RunFolder,
    RunSpec,
    SweepPlan,
    lock,
)
from bnsweep.records.folder import START_FILE
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.sweep.places import files_in
from bnsweep.tracking.recorder import Recorder
from bnsweep.tracking.store import Store, StoredRun
from bnsweep.tracking.ui import run_tags

T = TypeVar("T")

DIED = "its driver died"

_log = logging.getLogger(__name__)


class EarlierRuns:
    """The runs that earlier commands did in some folders, or that the store holds.

    Args:
        sweeps: the folders of all sweeps, as `folders_of` returns them.
        runs: those of all runs by themselves.
        store: the tracking store, if there is one.
    """

    def __init__(self, sweeps: Path, runs: Path, store: Store | None) -> None:
        self._store = store
        self.stored: Sequence[StoredRun] = store.runs() if store is not None else ()
        self.plans = dict(_readable(files_in(sweeps, SWEEP_FILE), SweepPlan.read))
        self._runs = dict(
            _readable(files_in(runs, START_FILE), lambda path: RunFolder(path).attempt())
        )
        # The run of a sweep has no lock of its own, wherever that sweep lies.
        self._singles = {
            path: begun
            for path, begun in self._runs.items()
            if not (path.parent / SWEEP_FILE).exists()
        }

    def sweep_like(self, plan: SweepPlan) -> Path | None:
        """Return the folder of the newest sweep with the same runs."""
        same = [path for path, p in self.plans.items() if p.fingerprints == plan.fingerprints]
        return max(same, key=lambda path: path.stat().st_mtime, default=None)

    def find(self, spec: RunSpec) -> Path | None:
        """Return a folder in which the run that `spec` asks for has come to its end."""
        places = self._places.get(spec.fingerprint, ())
        return next((path for path in places if _is_done(RunFolder(path))), None)

    def under_way(self, spec: RunSpec) -> Path | None:
        """Return the folder in which a living process does this run by itself."""
        places = self._places.get(spec.fingerprint, ())
        return next((path for path in places if path in self._singles and _is_held(path)), None)

    def stored_as_done(self, spec: RunSpec) -> StoredRun | None:
        """Return the run of the store that has come to its end and is what `spec` asks for."""
        same = (run for run in self.stored if run.fingerprint == spec.fingerprint != "")
        return next((run for run in same if run.status in ENDED), None)

    def fetch(self, spec: RunSpec, folder: Path) -> StoredRun | None:
        """Write into `folder` what the store has of a run that is done; return that run."""
        run = self.stored_as_done(spec)
        if run is not None and self._store is not None and fetch(self._store, run.run_id, folder):
            return run
        return None

    def close_dead(self) -> None:
        """Bring to their end in the store what dead drivers left open there."""
        running = {run.attempt: run.run_id for run in self.stored if run.status == "running"}
        for folder, plan in self.plans.items():
            if plan.id in running:
                runs = {folder / str(number): tags for number, tags in run_tags(plan).items()}
                self._close(folder, runs, running[plan.id])
        for folder, begun in self._singles.items():
            if begun.id in running:
                self._close(folder, {folder: {}}, None)

    def _close(
        self, folder: Path, runs: Mapping[Path, Mapping[str, str]], parent: str | None
    ) -> None:
        """Bring runs, given with their tags, to their end, unless the driver of `folder` lives."""
        assert self._store is not None
        # What fails here is tried again by the next resume.
        with contextlib.suppress(OSError, ValueError, TrackingError), lock(folder / LOCK_FILE):
            for path in runs:
                RunFolder(path).give_up("killed", DIED)
            recorder = Recorder(self._store, [*runs], parent, self.stored, runs)
            if recorder.finish(settle=parent is not None) and parent is not None:
                self._store.kill(parent)

    @cached_property
    def _places(self) -> dict[str, list[Path]]:
        """The folders of all runs, by fingerprint."""
        places = defaultdict(list)
        for path, plan in self.plans.items():
            for spec in plan.specs:
                places[spec.fingerprint].append(path / str(spec.number))
        for path, begun in self._runs.items():
            places[begun.spec.fingerprint].append(path)
        places.pop("", None)
        return places


def fetch(
    store: Store, run_id: str, folder: Path, names: Sequence[str] = (CONFIG_FILE, WEIGHTS_FILE)
) -> bool:
    """Write into `folder` the files `names` of a run, and its history; return whether it has one.

    A run that the store has finished and nobody can read counts as one without.
    """
    with contextlib.suppress(TrackingError), tempfile.TemporaryDirectory(dir=folder.parent) as part:
        copy = RunFolder(Path(part) / folder.name)
        copy.path.mkdir()
        store.fetch(run_id, copy.path, (*names, HISTORY_FILE))
        if _is_done(copy):
            copy.path.rename(folder)
            return True
    return False


def take_over(plan: SweepPlan, folder: Path, earlier: EarlierRuns) -> dict[int, str]:
    """Put into a sweep's folder the runs that others have done; return where each came from."""
    taken = dict(plan.reused)
    for spec in plan.specs:
        place = folder / str(spec.number)
        if _is_done(RunFolder(place)):
            continue
        _clear(place)
        taken.pop(spec.number, None)
        if (found := earlier.find(spec)) is not None:
            source = found.resolve()
            place.symlink_to(os.path.relpath(source, folder.resolve()))
            taken[spec.number] = str(source)
        elif (run := earlier.fetch(spec, place)) is not None:
            taken[spec.number] = f"run {run.run_id} of the store"
    return taken


def differences(plan: SweepPlan, other: SweepPlan) -> str:
    """Say how a plan differs from the one that a folder holds; empty if it does not."""
    more, fewer = plan.fingerprints - other.fingerprints, other.fingerprints - plan.fingerprints
    said = []
    for what, marks, runs in (("more", more, plan), ("fewer", fewer, other)):
        if marks:
            first = next(spec.name for spec in runs.specs if spec.fingerprint in marks)
            said.append(f"{marks.total()} runs {what}, for instance {first}")
    return "; ".join(said)


def _is_done(folder: RunFolder) -> bool:
    """Whether a run has come to its end; a history that is damaged is none."""
    # Any other error in reading it must not make a finished run look like one to be done again.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return folder.result().status in ENDED
    return False


def _is_held(folder: Path) -> bool:
    try:
        with lock(folder / LOCK_FILE):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _clear(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)


def _readable(paths: Iterable[Path], read: Callable[[Path], T | None]) -> Iterator[tuple[Path, T]]:
    """Yield the folders of files, and what is read there; warn of those that cannot be read."""
    unreadable = []
    for path in paths:
        try:
            if (found := read(path.parent)) is not None:
                yield path.parent, found
        except ValueError as error:
            unreadable.append(error)
        except OSError:
            continue
    if unreadable:
        _log.warning(
            "%s earlier results are not used, for instance %s", len(unreadable), unreadable[0]
        )
