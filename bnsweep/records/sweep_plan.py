"""The runs of a sweep: as planned, in the file `sweep.json`, and with what came out of each."""

import json
import shlex
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, Self

from bnsweep.records.folder import write_whole
from bnsweep.records.history import ENDED, FORMAT, RunResult, Status, parsing
from bnsweep.records.keys import Value
from bnsweep.records.spec import RunSpec

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True)
class SweepPlan:
    """A sweep as it is asked for, and where it is recorded: its identity, kept on disk.

    Attributes:
        specs: its runs, by their numbers.
        swept: the keys that differ between them.
        name: tells it from other sweeps.
        command: the command line as it was typed, without the credentials of URIs.
        id: names the sweep in a tracking store.
        parent: the id of its parent run there; None if it has none.
        reused: where the result of a run comes from that this sweep did not do, by its number.
        begun: when the sweep began, or when it was last gone on with (seconds since 1970).
    """

    specs: tuple[RunSpec, ...]
    swept: tuple[str, ...]
    name: str = ""
    command: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    parent: str | None = None
    reused: Mapping[int, str] = field(default_factory=dict)
    begun: float = field(default_factory=time.time)

    @property
    def typed(self) -> str:
        """The command as it is typed."""
        program, *arguments = self.command or ("",)
        name = Path(program).name
        words = ("python", "-m", "bnsweep") if name == "__main__.py" else (name,)
        return shlex.join([*words, *arguments])

    @property
    def fingerprints(self) -> Counter[str]:
        """How many of its runs have each fingerprint."""
        return Counter(spec.fingerprint for spec in self.specs)

    def numbered_like(self, other: "SweepPlan") -> Self:
        """Return this plan as a continuation of one with the same fingerprints."""
        numbers: dict[str, list[int]] = {}
        for spec in reversed(other.specs):
            numbers.setdefault(spec.fingerprint, []).append(spec.number)
        specs = [replace(spec, number=numbers[spec.fingerprint].pop()) for spec in self.specs]
        return replace(
            self,
            specs=tuple(sorted(specs, key=lambda spec: spec.number)),
            id=other.id,
            parent=other.parent,
            reused=other.reused,
        )

    def encode(self) -> str:
        """Return the plan as the text of `sweep.json`."""
        specs = [spec.document() for spec in self.specs]
        return json.dumps(vars(self) | {"format": FORMAT, "specs": specs})

    def write(self, folder: Path) -> None:
        """Write the plan to `folder/sweep.json`, whole or not at all."""
        write_whole(folder / SWEEP_FILE, self.encode().encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the plan of the sweep in `folder`.

        Raises:
            FileNotFoundError: there is none.
            ValueError: what lies there is not a plan of this format.
        """
        path = folder / SWEEP_FILE
        with parsing(path.read_text(), "sweep's plan", path) as document:
            return cls(
                specs=tuple(RunSpec.from_document(spec) for spec in document["specs"]),
                swept=tuple(document["swept"]),
                name=document["name"],
                command=tuple(document["command"]),
                id=document["id"],
                parent=document["parent"],
                reused={int(number): place for number, place in document["reused"].items()},
                begun=document["begun"],
            )


@dataclass(frozen=True)
class SweepRun:
    """A run in its sweep.

    Attributes:
        spec: the run as the sweep asks for it.
        result: what came out; None if the run was not started.
        run_id: the run in the tracking store; None if it is not there.
        reused_from: where the earlier run lies that stands for it; None if it was done here.
        chosen: swept keys whose value was chosen on the validation samples, with that value;
            they are no longer in `spec.swept`.
    """

    spec: RunSpec
    result: RunResult | None
    run_id: str | None = None
    reused_from: str | None = None
    chosen: Mapping[str, Value] = field(default_factory=dict)

    @property
    def status(self) -> Status | Literal["not started"]:
        """The run's status; one without a result was not started."""
        return self.result.status if self.result is not None else "not started"

    @property
    def outcome(self) -> str:
        """What became of the run in this sweep: its status, or that it was reused."""
        return "reused" if self.reused_from is not None else self.status

    @property
    def comparable(self) -> bool:
        """Whether the run ended by itself, so that its numbers can be compared."""
        return self.status in ENDED and self.result is not None and bool(self.result.curves)

    def with_swept(self, swept: Mapping[str, Value]) -> "SweepRun":
        """Return the run as one of a sweep over other keys."""
        spec = replace(self.spec, swept=swept)
        result = replace(self.result, spec=spec) if self.result is not None else None
        return replace(self, spec=spec, result=result)

    @property
    def reason(self) -> str:
        """The last line of what went wrong; empty if nothing is known."""
        return self.result.reason if self.result is not None else ""


class SweepTable(Protocol):
    """A table of a sweep, such as the data frame of `load_sweep`."""

    def sweep_runs(self) -> list[SweepRun]:
        """Return the runs that have rows in the table."""


def runs_of(sweep: "Sequence[SweepRun] | SweepTable") -> list[SweepRun]:
    """Return the runs of a sweep, whichever form it has.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(sweep, Sequence):
        return list(sweep)
    if not hasattr(sweep, "sweep_runs"):
        raise TypeError(f"got a {type(sweep).__name__}: give the data frame of load_sweep")
    return sweep.sweep_runs()


def with_results(runs: Sequence[SweepRun]) -> list[RunResult]:
    """Return the results of the comparable ones among `runs`."""
    return [run.result for run in runs if run.comparable and run.result is not None]
