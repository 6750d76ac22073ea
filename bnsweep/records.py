"""What a run leaves behind: records of its epochs, its outcome, and `history.json`.

`history.json` is enough to draw every figure of a run and to log the run to a tracking
store later, so it holds everything that cannot be worked out again without training.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

FORMAT = 1
HISTORY_FILE = "history.json"
WEIGHTS_FILE = "weights.npz"
ERROR_FILE = "error.txt"

Status = Literal["finished", "diverged", "failed", "killed"]

_QUANTITIES = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("validation_loss", "validation_accuracy"),
)


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """The state of a network after `epoch` epochs, measured in evaluation mode.

    Losses are mean cross-entropies in nats, without the weight-decay term; accuracies lie
    in [0, 1]. `activation_std[k - 1]` is the standard deviation of hidden layer k's output
    on the training set. Without a validation split its two quantities are None. Quantities of
    a diverged network may be NaN or infinite.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    activation_std: tuple[float, ...] = ()
    validation_loss: float | None = None
    validation_accuracy: float | None = None

    def named(self) -> dict[str, float]:
        """Return all quantities that were measured by the names under which they are published."""
        values = {name: getattr(self, name) for name in _QUANTITIES}
        values |= {f"activations/std_{k}": std for k, std in enumerate(self.activation_std, 1)}
        return {name: value for name, value in values.items() if value is not None}

    def metrics(self) -> dict[str, float]:
        """Return the finite ones among the quantities by their published names."""
        return {name: value for name, value in self.named().items() if math.isfinite(value)}


@dataclass(frozen=True)
class Histogram:
    """Counts of a hidden layer's outputs: `counts[i]` lie in `edges[i]` to `edges[i + 1]`.

    Only finite outputs are counted; both are empty when there was none.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class RunResult:
    """The outcome of one run.

    `config` is the composed configuration as plain nested values, `options` what the parts
    of the run are called (`{"model": "batchnorm", ...}`). `initial_activations` and
    `final_activations` hold a histogram for each hidden layer, on the training set, before
    the first step and at the last recorded epoch.
    """

    status: Status
    fingerprint: str
    config: dict[str, Any]
    options: dict[str, str]
    epochs: tuple[EpochRecord, ...] = ()
    initial_activations: tuple[Histogram, ...] = ()
    final_activations: tuple[Histogram, ...] = ()
    train_seconds: float = 0.0
    error: str | None = field(default=None, repr=False)

    @property
    def seed(self) -> Any:
        """The seed of the run, by which it is paired with others; None if it has none."""
        return self.config.get("seed")

    @property
    def epochs_run(self) -> int:
        """Number of epochs of training that were recorded."""
        return self.epochs[-1].epoch if self.epochs else 0

    def final_metrics(self) -> dict[str, float]:
        """Return what the run ends with, by published name; without epochs, the counts alone."""
        final: dict[str, float] = {}
        if self.epochs:
            last = self.epochs[-1]
            final = {
                "final_train_accuracy": last.train_accuracy,
                "final_test_accuracy": last.test_accuracy,
            }
            if last.validation_accuracy is not None:
                # Chosen on the test samples themselves, a best epoch would flatter the network.
                best = max(self.epochs, key=lambda record: record.validation_accuracy or 0.0)
                final["final_validation_accuracy"] = last.validation_accuracy
                final["best_test_accuracy"] = best.test_accuracy
        return final | {
            "train_seconds": self.train_seconds,
            "diverged": float(self.status == "diverged"),
            "epochs_run": float(self.epochs_run),
        }


def encode(result: RunResult) -> str:
    """Return `result` as the text of a `history.json`: strict JSON, null where not finite."""
    document = {
        "format": FORMAT,
        "fingerprint": result.fingerprint,
        "status": result.status,
        "options": result.options,
        "config": result.config,
        "epochs": [_encode_record(record) for record in result.epochs],
        "initial_activations": [vars(histogram) for histogram in result.initial_activations],
        "final_activations": [vars(histogram) for histogram in result.final_activations],
        **result.final_metrics(),
        "error": result.error,
    }
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


def decode(text: str) -> RunResult:
    """Return the `RunResult` that `encode` wrote as `text`.

    Raises:
        ValueError: `text` is no history, or one of another format.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, this program reads {FORMAT}")
        return RunResult(
            status=cast(Status, document["status"]),
            fingerprint=document["fingerprint"],
            config=document["config"],
            options=document["options"],
            epochs=tuple(_decode_record(record) for record in document["epochs"]),
            initial_activations=_decode_histograms(document["initial_activations"]),
            final_activations=_decode_histograms(document["final_activations"]),
            train_seconds=document["train_seconds"],
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
        ValueError: what lies there is no history of this format.
    """
    path = folder / HISTORY_FILE
    try:
        return decode(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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


def with_status(result: RunResult, status: Status, error: str | None = None) -> RunResult:
    """Return `result` with another outcome."""
    return replace(result, status=status, error=error)


def _encode_record(record: EpochRecord) -> dict[str, float | None]:
    values = record.named()
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return {"epoch": record.epoch, **finite}


def _decode_record(document: Mapping[str, float | None]) -> EpochRecord:
    values = {name: math.nan if value is None else value for name, value in document.items()}
    layers = range(1, sum(name.startswith("activations/std_") for name in values) + 1)
    return EpochRecord(
        epoch=int(values["epoch"]),
        train_loss=values["train_loss"],
        train_accuracy=values["train_accuracy"],
        test_loss=values["test_loss"],
        test_accuracy=values["test_accuracy"],
        activation_std=tuple(values[f"activations/std_{k}"] for k in layers),
        validation_loss=values.get("validation_loss"),
        validation_accuracy=values.get("validation_accuracy"),
    )


def _decode_histograms(documents: Sequence[Mapping[str, Any]]) -> tuple[Histogram, ...]:
    return tuple(
        Histogram(edges=tuple(document["edges"]), counts=tuple(document["counts"]))
        for document in documents
    )
