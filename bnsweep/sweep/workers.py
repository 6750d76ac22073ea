"""Who does the runs of a sweep, and what becomes of those whose worker is lost."""

import contextlib
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from bnsweep.records import RunFolder, RunSpec, SweepPlan
from bnsweep.run.attempt import attempt
from bnsweep.tracking.recorder import Recorder

STOP_FILE = "stop"
MAX_DEATHS = 2  # as the message says
MAX_FALSE_STARTS = 3  # of workers that die before any run has started

Reasons = Mapping[int, str]  # of runs, by their numbers


class Terms(NamedTuple):
    """What holds for every run of a sweep: its folder, `on_failure=stop`, `hydra.job.chdir`."""

    folder: Path
    stop_at_failure: bool = False
    chdir: bool = False


@dataclass(frozen=True)
class OpenSweep:
    """A sweep under way: its plan, its terms, and who brings its runs to the store."""

    plan: SweepPlan
    terms: Terms
    recorder: Recorder | None = None

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.terms.folder

    def run(self, number: int) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(self.folder / str(number))


class Workers(Protocol):
    """Who does the runs of a sweep."""

    def prepare(self) -> None:
        """Start what takes a while, and need not be waited for."""

    def run(self, specs: Sequence[RunSpec], sweep: OpenSweep) -> Reasons:
        """Do runs, each in its folder; return what went wrong with those that have no history.

        When it returns, none of them is under way.
        """

    def stop(self) -> None:
        """End what is under way, and return when nobody writes any more."""


class InProcess:
    """The runs one after another in this process."""

    def prepare(self) -> None:
        """There is nothing to start."""

    def run(self, specs: Sequence[RunSpec], sweep: OpenSweep) -> Reasons:
        """Do runs, and give the recorder its turn after each, so as not to disturb the next."""
        failures = {}
        for spec in specs:
            try:
                do(spec, sweep.run(spec.number).path, sweep.terms)
            except Exception as error:
                failures[spec.number] = f"{type(error).__name__}: {error}"
            if sweep.recorder is not None:
                sweep.recorder.catch_up()
        return failures

    def stop(self) -> None:
        """Nothing is under way."""


def do(spec: RunSpec, folder: Path, terms: Terms) -> None:
    """Do a run of a sweep in a folder, unless it is done or the sweep has been stopped.

    Raises:
        KeyboardInterrupt: the run was interrupted.
        OSError: its folder cannot be written.
    """
    stop = terms.folder / STOP_FILE
    if stop.exists() or RunFolder(folder).has_history():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder) if terms.chdir else contextlib.nullcontext():
        result = attempt(spec, folder)
    if result.status == "failed" and terms.stop_at_failure:
        stop.touch()
    if result.status == "killed":
        raise KeyboardInterrupt


def run_all(workers: Workers, specs: Sequence[RunSpec], sweep: OpenSweep) -> Reasons:
    """Do each run, whatever becomes of its workers; return why runs have no history.

    A run that has started and has no history has lost its worker. It is tried once more, alone,
    so that the one to blame takes no other with it; then it has failed. Those that have not
    started are launched again.
    """
    deaths: Counter[int] = Counter()
    false_starts = 0
    reasons: dict[int, str] = {}
    batches = deque([list(specs)] if specs else [])
    while batches and not (sweep.folder / STOP_FILE).exists():
        batch = batches.popleft()
        reasons |= workers.run(batch, sweep)
        fresh: list[RunSpec] = []
        lost: list[RunSpec] = []
        for spec in batch:
            folder = sweep.run(spec.number)
            if not folder.has_history():
                (fresh if folder.attempt() is None else lost).append(spec)
        false_starts = false_starts + 1 if len(fresh) == len(batch) else 0
        if fresh and false_starts < MAX_FALSE_STARTS:
            batches.appendleft(fresh)
        for spec in lost:
            deaths[spec.number] += 1
            why = reasons.get(spec.number, "its worker ended")
            if deaths[spec.number] < MAX_DEATHS:
                batches.append([spec])
            else:
                reasons[spec.number] = f"its worker died twice (out of memory?): {why}"
                _give_up(sweep, spec, reasons[spec.number])
    return reasons


def _give_up(sweep: OpenSweep, spec: RunSpec, reason: str) -> None:
    try:
        sweep.run(spec.number).give_up("failed", reason)
    except OSError:
        return  # the disk is full: the report says it
    finally:
        if sweep.terms.stop_at_failure:
            (sweep.folder / STOP_FILE).touch()
