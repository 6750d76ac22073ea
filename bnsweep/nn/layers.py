"""The layers of a network, each an equation and its gradient.

A layer's forward pass returns its output and a function that takes a gradient back:

    y, backward = layer.forward(x, train=True)      # x: (batch, features)
    dx, grads = backward(dy)                        # grads: {"W": ..., "b": ...}

`backward` holds what it needs itself, so other passes in between do not affect it. No layer
writes into an array it was given, and each keeps the dtype of x.
"""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from bnsweep.nn.columns import Array, column_sum, constant
from bnsweep.records import keys

Arrays = dict[str, Array]
Backward = Callable[[Array], tuple[Array, Arrays]]


class Layer:
    """A differentiable function of (batch, features) arrays.

    Attributes:
        params: names of the attributes that an optimizer moves. (`Network.params` is the vector
            of their values.)
        buffers: names of the attributes that forward moves in training, such as running
            statistics. Params and buffers together are what a saved layer consists of.
        cancels_bias: whether adding a constant to a column of x leaves y as it is in training.
        out: where backward writes the gradient of each param; a new array if it is not listed.
    """

    params: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    cancels_bias: bool = False
    out: Mapping[str, Array] = {}

    def __repr__(self) -> str:
        shapes = {name: getattr(self, name).shape for name in self.params}
        sizes = (f"{name}: {' x '.join(map(str, shape))}" for name, shape in shapes.items())
        return f"{type(self).__name__}({', '.join(sizes)})"

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:
        """Compute y from x, in training mode or in evaluation mode."""
        raise NotImplementedError

    def adopt_statistics(self, x: Array) -> None:
        """Set the statistics that evaluation uses, if there are any, to those of x."""

    def folded_into(self, affine: "Affine") -> "Affine | None":  # noqa: ARG002
        """Return one affine layer that evaluates as `affine` followed by this layer, or None."""
        return None


class Affine(Layer):
    """y = x W + b, with W: (inputs, outputs), b: (outputs,) or None for y = x W."""

    def __init__(self, W: Array, b: Array | None = None, *, input_gradient: bool = True) -> None:
        self.W = W
        self.b = b
        self.params = ("W",) if b is None else ("W", "b")
        self.input_gradient = input_gradient

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y = x W + b.

        Backward: dW = x^T dy, db = sum_i dy_i, dx = dy W^T. With `input_gradient=False`, for a
        network's first layer, dx is not computed and has 0 rows.
        """
        W = self.W
        y: Array = x @ W
        if self.b is not None:
            y += self.b

        def backward(dy: Array) -> tuple[Array, Arrays]:
            grads = {"W": np.matmul(x.T, dy, out=self.out.get("W"))}
            if self.b is not None:
                grads["b"] = column_sum(dy, out=self.out.get("b"))
            # BLAS is slower on a transposed view, by more than the copy costs.
            return dy @ W.T.copy() if self.input_gradient else x[:0], grads

        return y, backward


class Activation(Layer):
    """A layer that applies one function to each element.

    A subclass registers itself in `keys.ACTIVATIONS` under its name in lower case, and can be
    chosen by that name.

    Attributes:
        bounds: the ends of the range of y.
    """

    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        keys.ACTIVATIONS[cls.__name__.lower()] = cls


class ReLU(Activation):
    """y = max(x, 0)."""

    bounds = (0.0, math.inf)

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y. Backward: dx = dy where x > 0, else 0."""
        y = np.maximum(x, constant(x.shape, 0, x.dtype))
        return y, lambda dy: (dy * (y > 0), {})


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x))."""

    bounds = (0.0, 1.0)

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y. Backward: dx = dy y (1 - y)."""
        e = np.exp(-np.abs(x))  # exp(-|x|) cannot overflow
        y = np.where(x < 0, e, 1) / (1 + e)
        return y, lambda dy: (dy * y * (1 - y), {})


class Tanh(Activation):
    """y = tanh(x)."""

    bounds = (-1.0, 1.0)

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:  # noqa: ARG002
        """Compute y. Backward: dx = dy (1 - y^2)."""
        y = np.tanh(x)
        return y, lambda dy: (dy * (1 - y * y), {})


class Dropout(Layer):
    """y = x mask / (1 - rate) in training, mask 0 with probability `rate`, else 1; y = x otherwise.

    Scaling in training leaves evaluation nothing to do.

    Raises:
        ConfigError: `rate` is not in [0, 1).

    Source: Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, rate: float, *, rng: np.random.Generator) -> None:
        keys.check("model.dropout", rate)
        self.rate = float(rate)
        self.rng = rng

    def __repr__(self) -> str:
        return f"Dropout(rate: {self.rate})"

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:
        """Drop units in training, return x in evaluation. Backward: dx = dy mask / (1 - rate)."""
        if not train:
            return x, lambda dy: (dy, {})
        # Draw in float32 whatever the dtype, so that one seed drops the same units.
        kept = self.rng.random(x.shape, dtype=np.float32) >= self.rate
        mask = kept * x.dtype.type(1 / (1 - self.rate))
        return x * mask, lambda dy: (dy * mask, {})
