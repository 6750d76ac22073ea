"""One run: data, network and optimizer in, a result out."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bnsweep.data.datasets import Dataset
from bnsweep.nn.network import Network
from bnsweep.nn.optimizers import Optimizer
from bnsweep.nn.training import evaluation, train
from bnsweep.records import Histogram, Measurements, RunResult, RunSpec, Status, curves_of
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
    """A network to be trained, with all that its training needs."""

    spec: RunSpec
    dataset: Dataset
    network: Network
    optimizer: Optimizer
    minibatches: np.random.Generator
    epochs: int
    batch_size: int
    sampling: str

    def run(
        self, on_epoch: Callable[[int, Measurements], None], clock: Callable[[], float]
    ) -> RunResult:
        """Train, call `on_epoch` with each epoch and its measurements, and return the result.

        An exception ends the run as `failed` and an interruption as `killed`, each with its
        traceback: what was measured until then is not lost. `clock` returns seconds;
        `train_seconds` is the time inside the training loop alone.
        """
        epochs: list[Measurements] = []
        seconds = 0.0
        initial: tuple[Histogram, ...] = ()
        final: tuple[Histogram, ...] = ()
        error: str | None = None
        status: Status = "finished"
        try:
            # Threads do not speed up matrices this small, and they change the rounding.
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
                for epoch, measured in enumerate(training):
                    seconds += clock() - start
                    epochs.append(measured)
                    on_epoch(epoch, measured)
                    start = clock()
                final = self._activations(len(epochs) - 1)
            if not np.isfinite(epochs[-1]["train_loss"]):
                status = "diverged"
        except KeyboardInterrupt:
            status, error = "killed", "interrupted"
        except BaseException:
            # A part that calls sys.exit fails its own run, not the others.
            status, error = "failed", without_secrets(traceback.format_exc())
        return RunResult(
            spec=self.spec,
            status=status,
            curves=curves_of(epochs),
            initial_activations=initial,
            final_activations=final,
            train_seconds=seconds,
            error=error,
        )

    def _activations(self, epoch: int) -> tuple[Histogram, ...]:
        """Return a histogram of each hidden layer's outputs, measured like the epoch's curves."""
        with np.errstate(all="ignore"), evaluation(self.network, self.dataset, epoch):
            return histograms(self.network.hidden_outputs(self.dataset.x_train))


def histograms(outputs: Sequence[NDArray[np.floating[Any]]]) -> tuple[Histogram, ...]:
    """Return the histogram of the finite values of each of `outputs`."""
    return tuple(_histogram(output.ravel()) for output in outputs)


def _histogram(values: NDArray[np.floating[Any]]) -> Histogram:
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return Histogram(edges=(), counts=())
    low, high = float(finite.min()), float(finite.max())
    if not low < high or not np.isfinite(high - low):
        high = low + max(abs(low), 1.0) * 1e-6 if low == high else high
    # Equal bins over the values' own range: one product finds a bin, without a search.
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
