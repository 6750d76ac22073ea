"""Optimizers, each the bare equation on one vector of parameters."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


class Optimizer:
    """A rule that moves a network's parameters along their gradient.

    An optimizer of your own is a subclass with a `step`, and a `start` if it remembers
    anything from step to step; name it as `_target_` of an optimizer config:

        class Sign(Optimizer):
            def step(self, w, g):
                w -= self.lr * np.sign(g)

    w and g are the parameters and their gradient, flat vectors of one shape and dtype. Change
    w in place; g is yours to overwrite. `weight_decay` has been added to g by then.

    Args:
        lr: learning rate, above 0.
        weight_decay: lambda of the L2 term: g + lambda w is the gradient of a weight matrix;
            biases, gamma and beta are left alone.
    """

    def __init__(self, *, lr: float, weight_decay: float = 0.0) -> None:
        self.lr = _positive("lr", lr)
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise ValueError(f"weight_decay: got {weight_decay!r}; it must be at least 0")
        self.weight_decay = float(weight_decay)

    def start(self, w: Array) -> None:
        """Forget all earlier steps; called once, before the first step on w."""

    def step(self, w: Array, g: Array) -> None:
        """Move w, in place, by its gradient g."""
        raise NotImplementedError

    def update(self, w: Array, g: Array, *, n_weights: int) -> None:
        """Add the weight decay of the first `n_weights` parameters to g, then take a step."""
        if self.weight_decay:
            g[:n_weights] += self.weight_decay * w[:n_weights]
        self.step(w, g)


class SGD(Optimizer):
    """w <- w - lr g."""

    def step(self, w: Array, g: Array) -> None:
        """Move w by the gradient alone."""
        g *= self.lr
        w -= g


class Momentum(Optimizer):
    """v <- momentum v + g;  w <- w - lr v."""

    def __init__(self, *, lr: float, weight_decay: float = 0.0, momentum: float = 0.9) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay)
        self.momentum = _fraction("momentum", momentum)

    def start(self, w: Array) -> None:
        """Start at rest."""
        self.v = np.zeros_like(w)

    def step(self, w: Array, g: Array) -> None:
        """Move w by its velocity v."""
        self.v *= self.momentum
        self.v += g
        w -= np.multiply(self.v, self.lr, out=g)


class Nesterov(Momentum):
    """v <- momentum v + g;  w <- w - lr (g + momentum v).

    Source: Sutskever et al. 2013, in the form that takes the gradient where w is.
    """

    def step(self, w: Array, g: Array) -> None:
        """Move w by where its velocity v will carry it."""
        self.v *= self.momentum
        self.v += g
        g += self.momentum * self.v
        g *= self.lr
        w -= g


class AdaGrad(Optimizer):
    """h <- h + g^2;  w <- w - lr g / (sqrt(h) + eps).

    Source: Duchi, Hazan and Singer 2011, JMLR 12.
    """

    def __init__(self, *, lr: float, weight_decay: float = 0.0, eps: float = 1e-8) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay)
        self.eps = _positive("eps", eps)

    def start(self, w: Array) -> None:
        """Start from h = 0."""
        self.h = np.zeros_like(w)

    def step(self, w: Array, g: Array) -> None:
        """Move w by g, relative to all gradients so far."""
        self.h += g * g
        w -= self.lr * g / (np.sqrt(self.h) + self.eps)


class RMSProp(AdaGrad):
    """h <- decay h + (1 - decay) g^2;  w <- w - lr g / (sqrt(h) + eps).

    Source: Tieleman and Hinton 2012, lecture 6.5.
    """

    def __init__(
        self, *, lr: float, weight_decay: float = 0.0, decay: float = 0.99, eps: float = 1e-8
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, eps=eps)
        self.decay = _fraction("decay", decay)

    def step(self, w: Array, g: Array) -> None:
        """Move w by g, relative to the gradients of late."""
        self.h *= self.decay
        self.h += (1 - self.decay) * g * g
        w -= self.lr * g / (np.sqrt(self.h) + self.eps)


class Adam(Optimizer):
    """w <- w - lr mhat / (sqrt(vhat) + eps), at step t:

    m <- beta1 m + (1 - beta1) g,    mhat = m / (1 - beta1^t),
    v <- beta2 v + (1 - beta2) g^2,  vhat = v / (1 - beta2^t).

    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """  # noqa: D415

    def __init__(
        self,
        *,
        lr: float,
        weight_decay: float = 0.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay)
        self.beta1 = _fraction("beta1", beta1)
        self.beta2 = _fraction("beta2", beta2)
        self.eps = _positive("eps", eps)

    def start(self, w: Array) -> None:
        """Start from m = v = 0 and t = 0."""
        self.m = np.zeros_like(w)
        self.v = np.zeros_like(w)
        self.t = 0

    def step(self, w: Array, g: Array) -> None:
        """Move w by the mean gradient, relative to its root mean square."""
        self.t += 1
        self.m += (1 - self.beta1) * (g - self.m)
        self.v += (1 - self.beta2) * (g * g - self.v)
        mhat = self.m / (1 - self.beta1**self.t)
        vhat = self.v / (1 - self.beta2**self.t)
        w -= self.lr * mhat / (np.sqrt(vhat) + self.eps)


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: got {value!r}; it must be a finite number above 0")
    return float(value)


def _fraction(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{name}: got {value!r}; it must be at least 0 and below 1")
    return float(value)
