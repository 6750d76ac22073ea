"""Layers in sequence, and all that they learn in one vector."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bnsweep.nn import initializers
from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.initializers import WeightStd
from bnsweep.nn.layers import Affine, Dropout, Layer, ReLU, Sigmoid, Tanh
from bnsweep.nn.losses import cross_entropy_gradient

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}
EVALUATION_ROWS = 500


class Network:
    """Blocks of layers in sequence: hidden ones, and a last one that gives the logits.

    `params` holds every learned number, the weight matrices first (`n_weights` numbers), then
    all the rest; `grads` holds the gradient in the same order. Each layer's own arrays are
    views into the two, so an optimizer is an equation between two vectors.
    """

    def __init__(self, blocks: Sequence[Sequence[Layer]]) -> None:
        self.blocks = [list(block) for block in blocks]
        self.layers = [layer for block in self.blocks for layer in block]
        named = [(layer, name) for layer in self.layers for name in layer.params]
        named.sort(key=lambda item: getattr(*item).ndim, reverse=True)
        arrays: list[Array] = [getattr(*item) for item in named]
        self.params: Array = np.concatenate([array.ravel() for array in arrays])
        self.grads: Array = np.zeros_like(self.params)
        self.n_weights = sum(array.size for array in arrays if array.ndim == 2)
        out: dict[Layer, dict[str, Array]] = {layer: {} for layer in self.layers}
        stop = 0
        for (layer, name), array in zip(named, arrays, strict=True):
            start, stop = stop, stop + array.size
            setattr(layer, name, self.params[start:stop].reshape(array.shape))
            out[layer][name] = self.grads[start:stop].reshape(array.shape)
        for layer in self.layers:
            layer.out = out[layer]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating-point type that the network computes in."""
        return self.params.dtype

    def gradient(self, x: Array, labels: Labels) -> Array:
        """Return `grads`, filled with the gradient of the mean cross-entropy of a minibatch.

        x: (batch, features), labels: (batch,). A pass in training mode: running statistics
        move, units are dropped. The next call writes over what this one returned.
        """
        backwards = []
        y = x
        for layer in self.layers:
            y, backward = layer.forward(y, train=True)
            backwards.append(backward)
        dy = cross_entropy_gradient(y, labels)
        for backward in reversed(backwards):
            dy, _ = backward(dy)
        return self.grads

    def block_outputs(self, x: Array) -> Iterator[list[Array]]:
        """Yield the outputs of all blocks in evaluation mode, some rows of x after others.

        The last output of each list is the logits of those rows, the others are the hidden
        layers'. A few hundred rows at a time stay in the processor's cache.
        """
        blocks = [_in_evaluation(block) for block in self.blocks]
        for start in range(0, len(x), EVALUATION_ROWS):
            y = x[start : start + EVALUATION_ROWS]
            outputs = []
            for block in blocks:
                for layer in block:
                    y, _ = layer.forward(y, train=False)
                outputs.append(y)
            yield outputs

    def logits(self, x: Array) -> Array:
        """Return the logits of x in evaluation mode, (samples, classes)."""
        return np.concatenate([logits for *_, logits in self.block_outputs(x)])

    def hidden_outputs(self, x: Array) -> list[Array]:
        """Return each hidden layer's output in evaluation mode, (samples, features) each."""
        by_layer = zip(*(hidden for *hidden, _ in self.block_outputs(x)), strict=True)
        return [np.concatenate(parts) for parts in by_layer]

    @contextlib.contextmanager
    def statistics_of(self, x: Array) -> Iterator[None]:
        """While it lasts, evaluate with the statistics of x in place of the running ones.

        The running statistics start at zero and say nothing before the first steps: an untrained
        network is evaluated with those of its training set.
        """
        buffers = [getattr(layer, name) for layer in self.layers for name in layer.buffers]
        saved = [array.copy() for array in buffers]
        try:
            y = x
            for layer in self.layers:
                layer.adopt_statistics(y)
                y, _ = layer.forward(y, train=False)
            yield
        finally:
            for array, before in zip(buffers, saved, strict=True):
                array[...] = before

    def predict(self, x: Array) -> NDArray[np.intp]:
        """Return the class of largest logit for each row of x, (samples,)."""
        with np.errstate(all="ignore"):
            classes: NDArray[np.intp] = np.argmax(self.logits(x), axis=1)
        return classes

    def state(self) -> dict[str, Array]:
        """Return copies of all that makes up the network, by names such as `affine1.W`."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take over what `state()` of a network of the same shape returned.

        Raises:
            ValueError: a name is missing, unknown, or of another shape.
        """
        own = self._arrays()
        if own.keys() != state.keys():
            differing = ", ".join(sorted(own.keys() ^ state.keys()))
            raise ValueError(f"state: is of another network, which differs in {differing}")
        for name, array in own.items():
            if array.shape != state[name].shape:
                raise ValueError(
                    f"state: {name} has shape {state[name].shape}; it must be {array.shape}"
                )
        for name, array in own.items():
            array[...] = state[name]

    def _arrays(self) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        counts: dict[str, int] = {}
        for layer in self.layers:
            kind = type(layer).__name__.lower()
            counts[kind] = counts.get(kind, 0) + 1
            for name in (*layer.params, *layer.buffers):
                arrays[f"{kind}{counts[kind]}.{name}"] = getattr(layer, name)
        return arrays


def _in_evaluation(block: Sequence[Layer]) -> list[Layer]:
    """Return layers that compute in evaluation mode what those of `block` do."""
    match block:
        case [Affine() as affine, BatchNorm() as norm, *others]:
            return [norm.folded_into(affine), *others]
    return [*block]


def mlp(
    hidden_sizes: Sequence[int],
    activation: str = "relu",
    batch_norm: bool = True,
    norm_position: str = "before",
    eps: float = 1e-7,
    momentum: float = 0.9,
    dropout: float = 0.0,
    dropout_position: str = "every",
    *,
    inputs: int,
    classes: int,
    weight_std: WeightStd,
    rng: np.random.Generator,
    dropout_rng: np.random.Generator,
    dtype: DTypeLike = "float32",
) -> Network:
    """Build a multilayer perceptron: hidden blocks of affine, norm, activation, dropout.

    `norm_position` puts Batch Normalization before or after the activation, `dropout_position`
    Dropout behind every hidden block or behind the last alone: there no Batch Normalization
    follows whose input would have another variance in evaluation than in training (Li et al.
    2018, arXiv:1801.05134). Only the weight matrices draw from `rng`, first layer first: one
    state of it gives the same draws whatever else is chosen.

    Raises:
        ValueError: an argument that no network can be built from.
    """
    sizes = [*hidden_sizes]
    if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"hidden_sizes: got {sizes}; it must hold one or more widths above 0")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation: got {activation!r}; it must be one of {[*ACTIVATIONS]}")
    if norm_position not in ("before", "after"):
        raise ValueError(f"norm_position: got {norm_position!r}; it must be 'before' or 'after'")
    if dropout_position not in ("every", "last"):
        raise ValueError(
            f"dropout_position: got {dropout_position!r}; it must be 'every' or 'last'"
        )

    blocks: list[list[Layer]] = []
    for fan_in, size in zip([inputs, *sizes], sizes, strict=False):
        W = initializers.normal(fan_in, size, weight_std=weight_std, rng=rng, dtype=dtype)
        centred = batch_norm and norm_position == "before"  # which would cancel a bias
        b = None if centred else np.zeros(size, dtype)
        block: list[Layer] = [ACTIVATIONS[activation]()]
        if batch_norm:
            norm = BatchNorm(size, eps=eps, momentum=momentum, dtype=dtype)
            block.insert(0 if norm_position == "before" else 1, norm)
        block.insert(0, Affine(W, b, input_gradient=bool(blocks)))
        if dropout and (dropout_position == "every" or len(blocks) == len(sizes) - 1):
            block.append(Dropout(dropout, rng=dropout_rng))
        blocks.append(block)
    W = initializers.normal(sizes[-1], classes, weight_std=weight_std, rng=rng, dtype=dtype)
    blocks.append([Affine(W, np.zeros(classes, dtype))])
    return Network(blocks)
