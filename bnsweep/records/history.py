"""The result of a run, and its text in `history.json`.

The text is enough to draw every figure of the run and to log it to a tracking store later: it
holds everything that only training could give again.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from bnsweep.records.paths import from_here
from bnsweep.records.spec import RunSpec

FORMAT = 2

Status = Literal["finished", "diverged", "failed", "killed"]
ENDED: tuple[Status, ...] = ("finished", "diverged")  # a diverged run is a result as well

Curve = NDArray[np.float64]
Measurements = Mapping[str, float]  # of one epoch, by published name


@dataclass(frozen=True)
class Histogram:
    """Counts of a hidden layer's outputs: `counts[i]` lie in `edges[i]` to `edges[i + 1]`.

    Only finite outputs are counted; both are empty when there was none.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RunResult:
    """The outcome of one run.

    Attributes:
        spec: the run as it was asked for.
        status: `finished`, `diverged`, `failed` or `killed`.
        curves: each measured quantity by its published name, an array with a value for each
            epoch from 0 on, NaN where it was not finite. Losses are mean cross-entropies in
            nats, without the weight-decay term; accuracies lie in [0, 1]; `activations/std_<k>`
            is the standard deviation of hidden layer k's output on the training set.
        initial_activations: a histogram of each hidden layer's outputs on the training set,
            before the first step.
        final_activations: the same at the last epoch.
        train_seconds: time inside the training loop, evaluation included.
        started: when the run started, in seconds since 1970 (UTC).
        ended: when it ended.
        error: what went wrong.
        attempt: the id of the attempt at the run that this is the result of.
    """

    spec: RunSpec
    status: Status
    curves: Mapping[str, Curve] = field(default_factory=dict, repr=False)
    initial_activations: tuple[Histogram, ...] = field(default=(), repr=False)
    final_activations: tuple[Histogram, ...] = field(default=(), repr=False)
    train_seconds: float = 0.0
    started: float | None = None
    ended: float | None = None
    error: str | None = field(default=None, repr=False)
    attempt: str = ""

    @property
    def epochs_run(self) -> int:
        """Number of epochs of training that were recorded."""
        return max(0, len(self.curves.get("train_accuracy", ())) - 1)

    @property
    def reason(self) -> str:
        """The last line of what went wrong; empty if nothing is known."""
        return (self.error or "").strip().rpartition("\n")[2]

    def last(self, name: str) -> float:
        """Return the last value of a curve."""
        return float(self.curves[name][-1])

    def epochs(self) -> Iterator[dict[str, float]]:
        """Yield the measurements of each epoch, without those that were not finite."""
        for values in zip(*self.curves.values(), strict=True):
            named = zip(self.curves, values, strict=True)
            yield {name: float(value) for name, value in named if math.isfinite(value)}

    def final_metrics(self) -> dict[str, float]:
        """Return what the run ends with, by published name; without epochs, the counts alone."""
        final: dict[str, float] = {}
        if self.curves:
            final = {
                f"final_{name}": self.last(name) for name in ("train_accuracy", "test_accuracy")
            }
        if "validation_accuracy" in self.curves:
            # Chosen on the test samples themselves, a best epoch would flatter the network.
            best = int(np.argmax(self.curves["validation_accuracy"]))
            final["final_validation_accuracy"] = self.last("validation_accuracy")
            final["best_test_accuracy"] = float(self.curves["test_accuracy"][best])
        return final | {
            "train_seconds": self.train_seconds,
            "diverged": float(self.status == "diverged"),
            "epochs_run": float(self.epochs_run),
        }


def curves_of(epochs: Sequence[Measurements]) -> dict[str, Curve]:
    """Return the measurements of successive epochs as a curve each, NaN where not finite."""
    curves = {}
    for name in dict.fromkeys(name for measured in epochs for name in measured):
        curve = np.array([measured.get(name, math.nan) for measured in epochs], float)
        curve[~np.isfinite(curve)] = math.nan
        curve.setflags(write=False)
        curves[name] = curve
    return curves


def encode(result: RunResult) -> str:
    """Return `result` as the text of a `history.json`: strict JSON, null where not finite."""
    epochs = [
        {"epoch": epoch} | {name: measured.get(name) for name in result.curves}
        for epoch, measured in enumerate(result.epochs())
    ]
    document = {
        "format": FORMAT,
        "attempt": result.attempt,
        "status": result.status,
        **result.spec.document(),
        "started": result.started,
        "ended": result.ended,
        "epochs": epochs,
        "initial_activations": [vars(histogram) for histogram in result.initial_activations],
        "final_activations": [vars(histogram) for histogram in result.final_activations],
        **result.final_metrics(),
        "error": result.error,
    }
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


def decode(text: str, where: str | Path = "it") -> RunResult:
    """Return the result that `encode` wrote as `text`.

    Raises:
        ValueError: `text` is not a history, or one of another format; the message says `where`.
    """
    with parsing(text, "run's history", where) as document:
        measured = [
            {k: math.nan if v is None else v for k, v in epoch.items() if k != "epoch"}
            for epoch in document["epochs"]
        ]
        return RunResult(
            spec=RunSpec.from_document(document),
            status=cast("Status", document["status"]),
            curves=curves_of(measured),
            initial_activations=_histograms(document["initial_activations"]),
            final_activations=_histograms(document["final_activations"]),
            train_seconds=document["train_seconds"],
            started=document["started"],
            ended=document["ended"],
            error=document["error"],
            attempt=document["attempt"],
        )


@contextlib.contextmanager
def parsing(text: str, what: str, where: str | Path) -> Iterator[Any]:
    """Yield a JSON document of this format; within the context, a missing part is a ValueError.

    Raises:
        ValueError: `text` is not `what`, or of another format; the message says `where`.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(
                f"{from_here(Path(where))}: written in format {document['format']!r}, and this "
                f"version reads format {FORMAT} alone; do the run again"
            )
        yield document
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{from_here(Path(where))}: not a {what} ({error!r})") from error


def _histograms(documents: Sequence[Mapping[str, Any]]) -> tuple[Histogram, ...]:
    return tuple(
        Histogram(edges=tuple(document["edges"]), counts=tuple(document["counts"]))
        for document in documents
    )
