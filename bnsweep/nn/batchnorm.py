"""Batch Normalization: its equation, its gradient, and its evaluation as one affine layer."""

import numpy as np
from numpy.typing import DTypeLike

from bnsweep.nn.columns import Array, column_mean, column_sum
from bnsweep.nn.layers import Affine, Arrays, Backward, Layer
from bnsweep.records import keys


class BatchNorm(Layer):
    """y = gamma xhat + beta, with xhat = (x - mu) / sqrt(var + eps), column by column.

    In training, mu and var are the batch's mean and biased variance. In evaluation they are
    the running ones: both start at zero, and each training pass updates them by
    running = momentum running + (1 - momentum) batch. gamma starts at 1, beta at 0.
    All are (features,).

    Raises:
        ConfigError: `eps` is not above 0, or `momentum` not in [0, 1).

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    params = ("gamma", "beta")
    buffers = ("running_mean", "running_var")
    cancels_bias = True

    def __init__(
        self, features: int, *, eps: float = 1e-7, momentum: float = 0.9, dtype: DTypeLike
    ) -> None:
        keys.check("model.eps", eps)
        keys.check("model.momentum", momentum)
        self.eps = float(eps)
        self.momentum = float(momentum)
        self.gamma: Array = np.ones(features, dtype)
        self.beta: Array = np.zeros(features, dtype)
        self.running_mean: Array = np.zeros(features, dtype)
        self.running_var: Array = np.zeros(features, dtype)

    def forward(self, x: Array, *, train: bool) -> tuple[Array, Backward]:
        """Normalise, scale and shift x: with its own statistics in training, else the running ones.

        Backward in training: dx = gamma inv_sigma (dy - dbeta / m - xhat dgamma / m),
        in evaluation: dx = gamma inv_sigma dy; dbeta = sum_i dy_i, dgamma = sum_i dy_i xhat_i.
        """
        return self._by_batch(x) if train else self._by_running(x)

    def adopt_statistics(self, x: Array) -> None:
        """Set the running statistics to the mean and the biased variance of x."""
        self.running_mean[:], _, self.running_var[:] = self._statistics(x)

    def scale_and_shift(self) -> tuple[Array, Array]:
        """Return a and c, each (features,), such that y = a x + c in evaluation."""
        scale = self.gamma / np.sqrt(self.running_var + self.eps)
        return scale, self.beta - self.running_mean * scale

    def folded_into(self, affine: Affine) -> Affine:
        """Return the affine layer that evaluates as `affine` followed by this layer.

        (x W + b) a + c = x (W a) + (b a + c) saves two passes over the data.
        """
        scale, shift = self.scale_and_shift()
        return Affine(affine.W * scale, shift if affine.b is None else affine.b * scale + shift)

    @staticmethod
    def _statistics(x: Array) -> tuple[Array, Array, Array]:
        """Return mu, x - mu and var of each column."""
        # Subtract the first row, so that a constant column is exactly 0 despite rounding.
        xc = x - x[0]
        offset = column_mean(xc)
        xc -= offset
        return x[0] + offset, xc, column_mean(xc * xc)

    def _by_batch(self, x: Array) -> tuple[Array, Backward]:
        m = len(x)
        mu, xc, var = self._statistics(x)
        inv_sigma = 1 / np.sqrt(var + self.eps)
        scale = self.gamma * inv_sigma
        y = xc * scale  # gamma xhat, without an array for xhat = xc inv_sigma
        y += self.beta
        self._move(self.running_mean, mu)
        self._move(self.running_var, var)

        def backward(dy: Array) -> tuple[Array, Arrays]:
            dbeta = column_sum(dy, out=self.out.get("beta"))
            dgamma = column_sum(dy * xc, out=self.out.get("gamma"))
            dgamma *= inv_sigma
            # dx = scale (dy - dbeta / m - xhat dgamma / m)
            dx = xc * (inv_sigma * dgamma / -m)
            dx += dy
            dx -= dbeta / m
            dx *= scale
            return dx, {"gamma": dgamma, "beta": dbeta}

        return y, backward

    def _by_running(self, x: Array) -> tuple[Array, Backward]:
        scale, shift = self.scale_and_shift()
        mu, inv_sigma = self.running_mean.copy(), 1 / np.sqrt(self.running_var + self.eps)
        y = x * scale
        y += shift

        def backward(dy: Array) -> tuple[Array, Arrays]:
            xhat = (x - mu) * inv_sigma
            dbeta = column_sum(dy, out=self.out.get("beta"))
            dgamma = column_sum(dy * xhat, out=self.out.get("gamma"))
            return dy * scale, {"gamma": dgamma, "beta": dbeta}

        return y, backward

    def _move(self, running: Array, batch: Array) -> None:
        running *= self.momentum
        running += (1 - self.momentum) * batch
