"""One run: data, network and optimizer in, a result out."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bnsweep.data.datasets import Dataset
from bnsweep.nn.network import Network
from bnsweep.nn.optimizers import Optimizer
from bnsweep.nn.training import evaluation, train
from bnsweep.records import EpochRecord, Histogram, RunResult, Status
from bnsweep.redact import without_secrets

HISTOGRAM_BINS = 50


@dataclass(frozen=True)
class Draws:
    """The generators of a run. Independent streams: drawing from one does not shift another.

    One seed gives one set of initial draws and one order of minibatches, whatever the
    model, scale or launcher.
    """

    weights: np.random.Generator
    minibatches: np.random.Generator
    dropout: np.random.Generator

    @classmethod
    def of(cls, seed: int) -> "Draws":
        """Return the generators that `seed` stands for."""
        return cls(*(np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)))


@dataclass(frozen=True)
class Experiment:
    """What a run trains, and with what; `fingerprint` to `options` go to its result as they are."""

    dataset: Dataset
    network: Network
    optimizer: Optimizer
    minibatches: np.random.Generator
    epochs: int
    batch_size: int
    sampling: str
    fingerprint: str
    config: dict[str, Any]
    options: dict[str, str]

    def run(self, on_epoch: Callable[[EpochRecord], None], clock: Callable[[], float]) -> RunResult:
        """Train, call `on_epoch` with each record, and return the result.

        An exception ends the run as `failed` and an interruption as `killed`, each with its
        traceback: what was recorded until then is never lost. `clock` returns seconds;
        `train_seconds` is the time inside the training loop alone.
        """
        records: list[EpochRecord] = []
        seconds = 0.0
        initial: tuple[Histogram, ...] = ()
        final: tuple[Histogram, ...] = ()
        error: str | None = None
        status: Status = "finished"
        try:
            # Threads do not help matrices this small, and would change the rounding.
            with threadpool_limits(limits=1, user_api="blas"):
                initial = self._activations(0)
                training = train(
                    self.network,
                    self.optimizer,
                    self.dataset,
                    epochs=self.epochs,
                    batch_size=self.batch_size,
                    sampling=self.sampling,
                    rng=self.minibatches,
                )
                start = clock()
                for record in training:
                    seconds += clock() - start
                    records.append(record)
                    on_epoch(record)
                    start = clock()
                final = self._activations(records[-1].epoch)
            if not np.isfinite(records[-1].train_loss):
                status = "diverged"
        except (Exception, SystemExit):
            # A part that calls sys.exit has failed; it does not end the other runs.
            status, error = "failed", without_secrets(traceback.format_exc())
        except KeyboardInterrupt:
            status, error = "killed", "interrupted"
        return RunResult(
            status=status,
            fingerprint=self.fingerprint,
            config=self.config,
            options=self.options,
            epochs=tuple(records),
            initial_activations=initial,
            final_activations=final,
            train_seconds=seconds,
            error=error,
        )

    def _activations(self, epoch: int) -> tuple[Histogram, ...]:
        """Return a histogram of each hidden layer's outputs, measured as the epoch's record is."""
        with np.errstate(all="ignore"), evaluation(self.network, self.dataset, epoch):
            return histograms(self.network.hidden_outputs(self.dataset.x_train))


def histograms(outputs: Sequence[np.ndarray[Any, Any]]) -> tuple[Histogram, ...]:
    """Return the histogram of the finite values of each of `outputs`."""
    return tuple(_histogram(output.ravel()) for output in outputs)


def _histogram(values: np.ndarray[Any, Any]) -> Histogram:
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return Histogram(edges=(), counts=())
    low, high = float(finite.min()), float(finite.max())
    if not low < high or not np.isfinite(high - low):
        high = low + max(abs(low), 1.0) * 1e-6 if low == high else high
    # Equal bins over the values' own range: a bin is found by one product, not by a search.
    width = (high / HISTOGRAM_BINS) - (low / HISTOGRAM_BINS)
    if width == 0.0:
        return Histogram(edges=(low, high), counts=(int(finite.size),))
    index = np.minimum(((finite - low) / width).astype(np.intp), HISTOGRAM_BINS - 1)
    counts = np.bincount(index, minlength=HISTOGRAM_BINS)
    edges = low + width * np.arange(HISTOGRAM_BINS + 1)
    return Histogram(
        edges=tuple(float(f"{edge:.6g}") for edge in edges),
        counts=tuple(int(count) for count in counts),
    )
