"""What goes from room to room: a run as asked for, its result, its place in a sweep.

A run's result is the file `history.json`, which is enough to draw every figure of the run and to
log it to a tracking store later: it holds everything that only training could give again.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from bnsweep.keys import (
    RESULT_KEYS,
    Config,
    Value,
    effective,
    flatten,
    hashable,
    is_neutral,
    shown,
)

FORMAT = 2
FINGERPRINT_FORMAT = 3  # raise it when the code changes what a configuration computes

HISTORY_FILE = "history.json"
CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "weights.npz"
ERROR_FILE = "error.txt"

Status = Literal["finished", "diverged", "failed", "killed"]
ENDED: tuple[Status, ...] = ("finished", "diverged")  # a diverged run is a result as well

Curve = NDArray[np.float64]
Measurements = Mapping[str, float]  # of one epoch, by published name


class Kept(NamedTuple):
    """Which of the large files a run keeps in its folder."""

    figures: bool = True
    weights: bool = True


KEEP_ALL = Kept()


@dataclass(frozen=True)
class RunSpec:
    """A run as it is asked for: all that is known before it starts.

    Attributes:
        config: the part of the composed configuration that decides the run's numbers, as plain
            nested values.
        options: what its parts are called (`{"model": "batchnorm", ...}`).
        fingerprint: a hash of what changes the run's numbers, and of nothing else; empty where
            the data could not be had.
        number: its number in the sweep; 0 for a single run.
        swept: the value of each swept key; for a group it is the name of its part.
        overrides: from which a launcher composes the run's configuration again.
        keep: which files it keeps.
    """

    config: Config
    options: Mapping[str, str]
    fingerprint: str
    number: int = 0
    swept: Mapping[str, Value] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    keep: Kept = KEEP_ALL

    @classmethod
    def of(
        cls, cfg: Mapping[str, Any], *, data_digest: str | None, overrides: Sequence[str] = ()
    ) -> Self:
        """Return the run that a composed configuration describes.

        Args:
            cfg: the whole configuration as plain nested values, checked. Its part `sweep` holds
                the run's number, what its parts are called, and the swept keys.
            data_digest: of its data set; None where the data could not be had.
            overrides: from which `cfg` was composed.
        """
        config = {key: cfg[key] for key in RESULT_KEYS}
        options = dict(cfg["sweep"]["options"])
        leaves = flatten(cfg) | options
        return cls(
            config=config,
            options=options,
            fingerprint="" if data_digest is None else fingerprint(config, data_digest),
            number=cfg["sweep"]["number"],
            swept={key: leaves.get(key) for key in cfg["sweep"]["keys"]},
            overrides=tuple(overrides),
            keep=Kept(figures=cfg["tracking"]["figures"], weights=cfg["tracking"]["weights"]),
        )

    @property
    def seed(self) -> Value:
        """The seed, by which a run is paired with others; None if it has none."""
        return self.config.get("seed")

    @property
    def name(self) -> str:
        """A name such as `batchnorm weight_std=0.0464 optimizer.lr=0.1 seed=0`."""
        others = [key for key in self.swept if key not in ("model", "weight_std", "seed")]
        values = self.leaves | dict(self.swept)
        parts = [f"{key}={shown(values.get(key), 3)}" for key in ("weight_std", *others, "seed")]
        return " ".join([self.options["model"], *parts])

    @cached_property
    def leaves(self) -> dict[str, Value]:
        """Each leaf of the configuration by its dotted key, and the names of the parts."""
        return flatten(self.config) | dict(self.options)

    def value(self, key: str) -> Value:
        """Return the value of a key, a list as a tuple; what was swept by its swept value."""
        return hashable(self.swept[key] if key in self.swept else self.leaves.get(key))

    @property
    def parameters(self) -> dict[str, Value]:
        """What identifies the run to a reader: its leaves and the names of its parts.

        Without `_target_`s, except those that `options` holds because no name stands for them.
        """
        leaves = flatten(self.config)
        named = {key: leaves[key] for key in leaves if not key.endswith("_target_")}
        return named | dict(self.options)

    @property
    def settings(self) -> dict[str, Value]:
        """Each leaf of the configuration that changes the run's numbers, except the seed."""
        return {key: value for key, value in effective(self.config).items() if key != "seed"}


def fingerprint(config: Mapping[str, Any], data_digest: str) -> str:
    """Return a hash of what changes a run's numbers, and of nothing else.

    It covers `_target_`s and values, not the names of options; the data, not their place; `1`,
    `1.0` and `1e0` are one number. Keys that do nothing are left out: those whose value is
    neutral, and those that need another key which is off.
    """
    leaves = effective(config)
    telling = {k: _canonical(v) for k, v in leaves.items() if not is_neutral(k, v, config)}
    text = json.dumps([FINGERPRINT_FORMAT, data_digest, telling], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


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

    @property
    def epochs_run(self) -> int:
        """Number of epochs of training that were recorded."""
        return max(0, len(self.curves.get("train_accuracy", ())) - 1)

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


@dataclass(frozen=True)
class SweepRun:
    """A run in its sweep.

    Attributes:
        spec: the run as the sweep asks for it.
        result: what came out; None if it did not get so far.
        run_id: the run in the tracking store; None if it is not there.
        reused: whether an earlier run with the same fingerprint stands for it.
        chosen: swept keys whose value was chosen on the validation samples, with that value;
            they are no longer in `spec.swept`.
    """

    spec: RunSpec
    result: RunResult | None
    run_id: str | None = None
    reused: bool = False
    chosen: Mapping[str, Value] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The run's status; one without a result was killed."""
        return self.result.status if self.result is not None else "killed"

    @property
    def outcome(self) -> str:
        """What became of the run in this sweep: its status, or that it was reused."""
        return "reused" if self.reused else self.status

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
        error = (self.result.error if self.result is not None else None) or ""
        return error.strip().rpartition("\n")[2]


def with_results(runs: Sequence[SweepRun]) -> list[RunResult]:
    """Return the results of the comparable ones among `runs`."""
    return [run.result for run in runs if run.comparable and run.result is not None]


def curves_of(epochs: Sequence[Measurements]) -> dict[str, Curve]:
    """Return the measurements of successive epochs as a curve each, NaN where not finite."""
    curves = {}
    for name in epochs[0] if epochs else ():
        curve = np.array([measured.get(name, math.nan) for measured in epochs])
        curve[~np.isfinite(curve)] = math.nan
        curve.setflags(write=False)
        curves[name] = curve
    return curves


def encode(result: RunResult) -> str:
    """Return `result` as the text of a `history.json`: strict JSON, null where not finite."""
    spec = result.spec
    epochs = [
        {"epoch": epoch} | {name: measured.get(name) for name in result.curves}
        for epoch, measured in enumerate(result.epochs())
    ]
    document = {
        "format": FORMAT,
        "fingerprint": spec.fingerprint,
        "status": result.status,
        "number": spec.number,
        "options": spec.options,
        "swept": spec.swept,
        "config": spec.config,
        "started": result.started,
        "ended": result.ended,
        "epochs": epochs,
        "initial_activations": [vars(histogram) for histogram in result.initial_activations],
        "final_activations": [vars(histogram) for histogram in result.final_activations],
        **result.final_metrics(),
        "error": result.error,
    }
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


def decode(text: str) -> RunResult:
    """Return the result that `encode` wrote as `text`.

    Raises:
        ValueError: `text` is not a history, or one of another format.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(
                f"written in format {document['format']!r}, and this version reads format "
                f"{FORMAT} alone; do the run again"
            )
        measured = [
            {k: math.nan if v is None else v for k, v in epoch.items() if k != "epoch"}
            for epoch in document["epochs"]
        ]
        return RunResult(
            spec=RunSpec(
                config=document["config"],
                options=document["options"],
                fingerprint=document["fingerprint"],
                number=document["number"],
                swept=document["swept"],
            ),
            status=cast("Status", document["status"]),
            curves=curves_of(measured),
            initial_activations=_histograms(document["initial_activations"]),
            final_activations=_histograms(document["final_activations"]),
            train_seconds=document["train_seconds"],
            started=document["started"],
            ended=document["ended"],
            error=document["error"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a run's history: {error!r}") from error


def write(folder: Path, result: RunResult) -> None:
    """Write `result` to `folder/history.json`, whole or not at all."""
    write_whole(folder / HISTORY_FILE, encode(result).encode())


def read(folder: Path) -> RunResult:
    """Return the result that lies in `folder`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: what lies there is not a history of this format.
    """
    path = folder / HISTORY_FILE
    try:
        return decode(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def has_history(folder: Path) -> bool:
    """Whether the run in `folder` has come to its end: its history is written last."""
    return (folder / HISTORY_FILE).exists()


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


def _histograms(documents: Sequence[Mapping[str, Any]]) -> tuple[Histogram, ...]:
    return tuple(
        Histogram(edges=tuple(document["edges"]), counts=tuple(document["counts"]))
        for document in documents
    )


def _canonical(value: Value) -> Value:
    """Return `value` with each number in one form, so that equal settings hash equally."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
