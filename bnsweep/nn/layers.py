"""The layers of a network, each an equation and its gradient.

A layer's forward pass returns its output and the function that carries a gradient back:

    y, backward = layer.forward(x, train=True)      # x: (batch, features)
    dx, grads = backward(dy)                        # grads: {"W": ..., "b": ...}

What backward needs lives in that function, not on the layer, so other passes in between
change nothing. No layer writes into an array it was given; each keeps the dtype of x.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnsweep.nn.columns import column_sum, constant

Array = NDArray[np.floating[Any]]
Arrays = dict[str, Array]
Backward = Callable[[Array], tuple[Array, Arrays]]


class Layer:
    """A differentiable function of (batch, features) arrays.

    `params` names the attributes that an optimizer moves, `buffers` those that training moves
    otherwise; both together are what a saved layer consists of. `out` says, by name, where
    backward is to write the gradient of a learned attribute; by default into a new array.
    """

    params: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    out: Mapping[str, Array] = {}

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:
        """Compute y from x; `train` tells training mode from evaluation mode."""
        raise NotImplementedError

    def adopt_statistics(self, x: Array) -> None:
        """Set what evaluation uses in place of a batch's statistics to those of x, if anything."""


class Affine(Layer):
    """y = x W + b, with W: (inputs, outputs), b: (outputs,) or None for y = x W."""

    def __init__(self, W: Array, b: Array | None = None, *, input_gradient: bool = True) -> None:
        self.W = W
        self.b = b
        self.params = ("W",) if b is None else ("W", "b")
        self.input_gradient = input_gradient

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y = x W + b.

        Backward: dW = x^T dy, db = sum_i dy_i, dx = dy W^T; with `input_gradient=False` dx,
        which nobody asks a first layer for, is left out (0 rows).
        """
        W = self.W
        y: Array = x @ W
        if self.b is not None:
            y += self.b

        def backward(dy: Array) -> tuple[Array, Arrays]:
            grads = {"W": np.matmul(x.T, dy, out=self.out.get("W"))}
            if self.b is not None:
                grads["b"] = column_sum(dy, out=self.out.get("b"))
            # A copy of W^T costs less than BLAS loses on one that lies the other way round.
            return dy @ W.T.copy() if self.input_gradient else x[:0], grads

        return y, backward


class ReLU(Layer):
    """y = max(x, 0)."""

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y. Backward: dx = dy where x > 0, else 0."""
        y = np.maximum(x, constant(x.shape, 0, x.dtype))
        return y, lambda dy: (dy * (y > 0), {})


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x))."""

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y. Backward: dx = dy y (1 - y)."""
        e = np.exp(-np.abs(x))  # of -|x|, which cannot overflow
        y = np.where(x < 0, e, 1) / (1 + e)
        return y, lambda dy: (dy * y * (1 - y), {})


class Tanh(Layer):
    """y = tanh(x)."""

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y. Backward: dx = dy (1 - y^2)."""
        y = np.tanh(x)
        return y, lambda dy: (dy * (1 - y * y), {})


class Dropout(Layer):
    """In training y = x mask / (1 - rate), mask 0 with probability `rate`; else y = x.

    Kept units are scaled up in training, so that evaluation has nothing to do.

    Source: Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, rate: float, *, rng: np.random.Generator) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"dropout: got {rate!r}; it must be at least 0 and below 1")
        self.rate = float(rate)
        self.rng = rng

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:
        """Drop units in training, pass x through in evaluation; backward does the same to dy."""
        if not train:
            return x, lambda dy: (dy, {})
        # Drawn in float32 for every dtype, so that one seed drops the same units in each.
        kept = self.rng.random(x.shape, dtype=np.float32) >= self.rate
        mask = kept * x.dtype.type(1 / (1 - self.rate))
        return x * mask, lambda dy: (dy * mask, {})
