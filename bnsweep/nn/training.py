"""The training loop: a generator of each epoch's measurements, which prints and logs nothing."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bnsweep.errors import ConfigError
from bnsweep.nn.columns import Array, Labels, constant
from bnsweep.nn.losses import cross_entropy
from bnsweep.nn.network import Network
from bnsweep.nn.optimizers import Optimizer
from bnsweep.records import keys


class Samples(Protocol):
    """What training needs of a data set; see `bnsweep.data.Dataset`."""

    @property
    def x_train(self) -> Array:
        """Training samples, (samples, features)."""

    @property
    def y_train(self) -> Labels:
        """Their labels, (samples,)."""

    @property
    def x_test(self) -> Array:
        """Test samples."""

    @property
    def y_test(self) -> Labels:
        """Their labels."""

    @property
    def x_validation(self) -> Array | None:
        """Validation samples, if there are any."""

    @property
    def y_validation(self) -> Labels | None:
        """Their labels."""


def train(
    network: Network,
    optimizer: Optimizer,
    dataset: Samples,
    *,
    epochs: int,
    batch_size: int,
    sampling: str,
    rng: np.random.Generator,
) -> Iterator[dict[str, float]]:
    """Train `network` and yield its record before the first step and after each epoch.

    An epoch is max(1, train_size // batch_size) steps. `sampling` is how `rng` draws the
    minibatches: `"replacement"` draws each from all samples, `"shuffle"` deals out all samples
    in a new order each epoch and drops a last partial minibatch. Training ends with the first
    record after epoch 0 whose training loss is not finite.

    Raises:
        ValueError: on the call, not on first iteration, if an argument is out of bounds or
            network and data differ in dtype.
    """
    train_size = len(dataset.x_train)
    keys.check("training.epochs", epochs)
    keys.check("training.sampling", sampling)
    if not 1 <= batch_size <= train_size:
        raise ConfigError(
            f"training.batch_size={batch_size}: must be from 1 to {train_size}, "
            "the number of training samples"
        )
    check_dtypes(network, dataset.x_train)
    return _epochs(network, optimizer, dataset, epochs, batch_size, sampling, rng)


def check_dtypes(network: Network, x: Array) -> None:
    """Check that a network computes in the dtype of its samples.

    Raises:
        ConfigError: it does not.
    """
    if network.dtype != x.dtype:
        raise ConfigError(
            f"dtype: the network is {network.dtype}, the data are {x.dtype}; use one dtype for both"
        )


def _epochs(
    network: Network,
    optimizer: Optimizer,
    dataset: Samples,
    epochs: int,
    batch_size: int,
    sampling: str,
    rng: np.random.Generator,
) -> Iterator[dict[str, float]]:
    x, labels = dataset.x_train, dataset.y_train
    x_batch = np.empty((batch_size, x.shape[1]), x.dtype)
    optimizer.start(network.params)
    for epoch in range(epochs + 1):
        # A diverging network overflows, and its record says so.
        # Leave errstate before yielding, or it leaks into the caller.
        with np.errstate(all="ignore"):
            if epoch > 0:
                for batch in _minibatches(len(x), batch_size, sampling, rng):
                    # No index is out of range; mode="clip" saves NumPy an internal copy.
                    np.take(x, batch, axis=0, out=x_batch, mode="clip")
                    g = network.gradient(x_batch, labels[batch])
                    optimizer.update(network.params, g, n_weights=network.n_weights)
            measured = _measure(network, dataset, epoch)
        yield measured
        if epoch > 0 and not math.isfinite(measured["train_loss"]):
            return


def _minibatches(
    train_size: int, batch_size: int, sampling: str, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw an epoch's minibatches: (steps, batch_size) indices of training samples."""
    steps = max(1, train_size // batch_size)
    if sampling == "replacement":
        return rng.integers(train_size, size=(steps, batch_size))
    return rng.permutation(train_size)[: steps * batch_size].reshape(steps, batch_size)


@contextlib.contextmanager
def evaluation(network: Network, dataset: Samples, epoch: int) -> Iterator[None]:
    """Within the context, evaluate `network` as the record of `epoch` does.

    At epoch 0 this is with the statistics of the training set: the running ones are still zero,
    and with them a deep network overflows float32 (its first loss is 1e22).
    """
    with network.statistics_of(dataset.x_train) if epoch == 0 else contextlib.nullcontext():
        yield


def _measure(network: Network, dataset: Samples, epoch: int) -> dict[str, float]:
    """Return losses, accuracies and the spread of each hidden layer, by published name."""
    with evaluation(network, dataset, epoch):
        logits, spreads = _outputs(network, dataset.x_train)
        measured = _loss_and_accuracy("train", logits, dataset.y_train)
        logits = network.logits(dataset.x_test)
        measured |= _loss_and_accuracy("test", logits, dataset.y_test)
        if dataset.x_validation is not None and dataset.y_validation is not None:
            logits = network.logits(dataset.x_validation)
            measured |= _loss_and_accuracy("validation", logits, dataset.y_validation)
    return measured | {f"activations/std_{k}": std for k, std in enumerate(spreads, 1)}


def _outputs(network: Network, x: Array) -> tuple[Array, tuple[float, ...]]:
    """Return the logits of x, and the standard deviation of each hidden layer's output."""
    spreads = [_Spread() for _ in network.blocks[:-1]]
    parts = []
    for *hidden, logits in network.block_outputs(x):
        parts.append(logits)
        for spread, y in zip(spreads, hidden, strict=True):
            spread.add(y)
    return np.concatenate(parts), tuple(spread.std for spread in spreads)


class _Spread:
    """The standard deviation of numbers that arrive in parts.

    Source: Chan, Golub and LeVeque 1983, for combining the squares of two parts.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = 0.0  # squares: sum of (y - mean)^2

    def add(self, y: Array) -> None:
        flat = y.ravel()
        n = flat.size
        mean = float(constant(n, 1, flat.dtype).dot(flat)) / n
        d = flat - mean
        delta = mean - self.mean
        total = self.count + n
        self.squares += float(d.dot(d)) + delta * (delta * self.count * n / total)
        self.mean += delta * n / total
        self.count = total

    @property
    def std(self) -> float:
        return math.sqrt(self.squares / self.count)


def _loss_and_accuracy(
    part: str, logits: Array, labels: NDArray[np.integer[Any]]
) -> dict[str, float]:
    accuracy = float(np.mean(np.argmax(logits, axis=1) == labels))
    return {f"{part}_loss": cross_entropy(logits, labels), f"{part}_accuracy": accuracy}
