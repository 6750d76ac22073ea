"""A network: layers in sequence, inputs -> hidden blocks -> logits."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bnsweep.nn import initializers
from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.columns import Array, Labels
from bnsweep.nn.initializers import WeightStd
from bnsweep.nn.layers import Affine, Dropout, Layer
from bnsweep.nn.losses import cross_entropy_gradient
from bnsweep.records import keys

EVALUATION_ROWS = 500


class Network:
    """Layers in sequence: hidden blocks, then a last block that returns the logits.

    Attributes:
        blocks: the layers of each block.
        layers: all layers, in order.
        params: all that an optimizer moves, as one vector: the weights of the weight matrices
            first, then biases, gamma and beta. Each layer's own arrays, which `Layer.params`
            names, are views into it.
        grads: the gradient with respect to `params`, in the same order.
        n_weights: how many of the params are weights.
    """

    def __init__(self, blocks: Sequence[Sequence[Layer]]) -> None:
        self.blocks = [list(block) for block in blocks]
        self.layers = [layer for block in self.blocks for layer in block]
        self.params, self.grads, self.n_weights = _packed(self.layers)

    def __repr__(self) -> str:
        lines = (f"\n    {', '.join(map(repr, block))}" for block in self.blocks)
        return f"Network of {self.params.size} params, {self.dtype}:{''.join(lines)}"

    def gradient(self, x: Array, labels: Labels) -> Array:
        """Compute the gradient of a minibatch's mean cross-entropy, in training mode.

        x: (batch, features), labels: (batch,). Updates running statistics and drops units.
        Returns `grads`, which the next call overwrites.
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

    def logits(self, x: Array) -> Array:
        """Return the logits of x in evaluation mode, (samples, classes)."""
        return np.concatenate([logits for *_, logits in self.block_outputs(x)])

    def predict(self, x: Array) -> NDArray[np.intp]:
        """Return the class with the largest logit for each row of x, (samples,)."""
        with np.errstate(all="ignore"):
            classes: NDArray[np.intp] = np.argmax(self.logits(x), axis=1)
        return classes

    def hidden_outputs(self, x: Array) -> list[Array]:
        """Return each hidden block's output in evaluation mode, (samples, features) each."""
        by_block = zip(*(hidden for *hidden, _ in self.block_outputs(x)), strict=True)
        return [np.concatenate(parts) for parts in by_block]

    def block_outputs(self, x: Array) -> Iterator[list[Array]]:
        """Yield the outputs of all blocks in evaluation mode, for successive rows of x.

        The last output in each list is the logits. A few hundred rows at a time stay in the
        processor's cache.
        """
        blocks = [_folded(block) for block in self.blocks]
        for start in range(0, len(x), EVALUATION_ROWS):
            y = x[start : start + EVALUATION_ROWS]
            outputs = []
            for block in blocks:
                for layer in block:
                    y, _ = layer.forward(y, train=False)
                outputs.append(y)
            yield outputs

    @contextlib.contextmanager
    def statistics_of(self, x: Array) -> Iterator[None]:
        """Within the context, evaluate with the statistics of x instead of the running ones.

        The running statistics start at zero, so they do not describe an untrained network.
        """
        buffers = [getattr(layer, name) for layer in self.layers for name in layer.buffers]
        saved = [array.copy() for array in buffers]
        # Nothing evaluates with statistics if no layer has any: spare the pass over x.
        layers = self.layers if buffers else []
        try:
            y = x
            for layer in layers:
                layer.adopt_statistics(y)
                y, _ = layer.forward(y, train=False)
            yield
        finally:
            for array, before in zip(buffers, saved, strict=True):
                array[...] = before

    def state(self) -> dict[str, Array]:
        """Return copies of all params and buffers, by names such as `affine1.W`."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Copy in what `state()` of a network of the same shape returned.

        Raises:
            ValueError: a name is missing or unknown, or an array has another shape.
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

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating-point type that the network computes in."""
        return self.params.dtype


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
    norm_layer: Callable[..., Layer] = BatchNorm,
) -> Network:
    """Build a multilayer perceptron, with hidden blocks of affine, norm, activation, dropout.

    `batch_norm` puts a `norm_layer` into each hidden block, before or after the activation.
    Dropout goes into every hidden block or, with `dropout_position="last"`, only into the last:
    then no Batch Normalization sees its output, whose variance in evaluation differs from that
    in training (Li et al. 2018, arXiv:1801.05134).

    Only the weight matrices draw from `rng`, first layer first: one state of it gives the same
    draws whatever else is chosen.

    Raises:
        ConfigError: an argument is out of bounds.
    """
    keys.check("model.hidden_sizes", [*hidden_sizes])
    keys.check("model.activation", activation)
    keys.check("model.batch_norm", batch_norm)
    keys.check("model.norm_position", norm_position)
    keys.check("model.dropout", dropout)
    keys.check("model.dropout_position", dropout_position)
    act = cast("type[Layer]", keys.ACTIVATIONS[activation])
    draw = functools.partial(initializers.normal, weight_std=weight_std, rng=rng, dtype=dtype)

    blocks: list[list[Layer]] = []
    for fan_in, size in pairwise([inputs, *hidden_sizes]):
        norm = [norm_layer(size, eps=eps, momentum=momentum, dtype=dtype)] if batch_norm else []
        block = [*norm, act()] if norm_position == "before" else [act(), *norm]
        b = None if block[0].cancels_bias else np.zeros(size, dtype)
        block.insert(0, Affine(draw(fan_in, size), b, input_gradient=bool(blocks)))
        if dropout and (dropout_position == "every" or len(blocks) == len(hidden_sizes) - 1):
            block.append(Dropout(dropout, rng=dropout_rng))
        blocks.append(block)
    blocks.append([Affine(draw(hidden_sizes[-1], classes), np.zeros(classes, dtype))])
    return Network(blocks)


def _folded(block: Sequence[Layer]) -> list[Layer]:
    """Return layers that evaluate as `block`, with a norm folded into the affine layer before."""
    match block:
        case [Affine() as affine, layer, *others] if folded := layer.folded_into(affine):
            return [folded, *others]
    return [*block]


def _packed(layers: Sequence[Layer]) -> tuple[Array, Array, int]:
    """Move the params of all layers into one vector; return it, its gradient and n_weights.

    In one vector an optimizer is an equation between two vectors, and a step is one update
    instead of one per array. The weight matrices come first, so weight decay is one update, too.
    """
    named = [(layer, name) for layer in layers for name in layer.params]
    named.sort(key=lambda item: getattr(*item).ndim, reverse=True)
    params: Array = np.concatenate([getattr(*item).ravel() for item in named])
    grads: Array = np.zeros_like(params)
    n_weights = stop = 0
    for layer, name in named:
        array: Array = getattr(layer, name)
        start, stop = stop, stop + array.size
        n_weights = stop if array.ndim == 2 else n_weights
        setattr(layer, name, params[start:stop].reshape(array.shape))
        layer.out = {**layer.out, name: grads[start:stop].reshape(array.shape)}
    return params, grads, n_weights
