"""Optimizers, each an equation between a vector of parameters and its gradient."""

import numpy as np

from bnsweep.nn.columns import Array
from bnsweep.records import keys


class Optimizer:
    """A rule that moves a network's parameters along their gradient.

    To add one, write a subclass with `step`, and with `start` if it keeps anything between
    steps, and name it as `_target_` in an optimizer config:

        class Sign(Optimizer):
            def step(self, w, g):
                w -= self.lr * np.sign(g)

    w and g are the parameters and their gradient, flat vectors of the same shape and dtype.
    Change w in place; overwriting g is fine. g already contains the weight decay.

    Args:
        lr: learning rate, above 0.
        weight_decay: lambda of the L2 term, which adds lambda w to the gradient of the weight
            matrices; biases, gamma and beta do not decay.

    Raises:
        ConfigError: an argument is out of bounds.
    """

    def __init__(self, *, lr: float, weight_decay: float = 0.0) -> None:
        keys.check("optimizer.lr", lr)
        keys.check("optimizer.weight_decay", weight_decay)
        self.lr = float(lr)
        self.weight_decay = float(weight_decay)

    def start(self, w: Array) -> None:
        """Forget all earlier steps. Training calls it once, before the first step on w."""

    def step(self, w: Array, g: Array) -> None:
        """Move w in place, given its gradient g."""
        raise NotImplementedError

    def update(self, w: Array, g: Array, *, n_weights: int) -> None:
        """Add the weight decay of the first `n_weights` parameters to g, then step."""
        if self.weight_decay:
            g[:n_weights] += self.weight_decay * w[:n_weights]
        self.step(w, g)


class SGD(Optimizer):
    """w <- w - lr g."""

    def step(self, w: Array, g: Array) -> None:
        """Move w along its gradient g."""
        g *= self.lr
        w -= g


class Momentum(Optimizer):
    """v <- momentum v + g;  w <- w - lr v."""

    def __init__(self, *, lr: float, weight_decay: float = 0.0, momentum: float = 0.9) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay)
        keys.check("optimizer.momentum", momentum)
        self.momentum = float(momentum)

    def start(self, w: Array) -> None:
        """Start from v = 0."""
        self.v = np.zeros_like(w)

    def step(self, w: Array, g: Array) -> None:
        """Move w along its velocity v."""
        self.v *= self.momentum
        self.v += g
        w -= np.multiply(self.v, self.lr, out=g)


class Nesterov(Momentum):
    """v <- momentum v + g;  w <- w - lr (g + momentum v).

    Source: Sutskever et al. 2013, in the form that takes the gradient at w.
    """

    def step(self, w: Array, g: Array) -> None:
        """Move w along g plus its next velocity."""
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
        keys.check("optimizer.eps", eps)
        self.eps = float(eps)

    def start(self, w: Array) -> None:
        """Start from h = 0."""
        self.h = np.zeros_like(w)

    def step(self, w: Array, g: Array) -> None:
        """Move w along g, scaled by the root of the summed squares h."""
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
        keys.check("optimizer.decay", decay)
        self.decay = float(decay)

    def step(self, w: Array, g: Array) -> None:
        """Move w along g, scaled by the root mean square of recent gradients."""
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
        keys.check("optimizer.beta1", beta1)
        keys.check("optimizer.beta2", beta2)
        keys.check("optimizer.eps", eps)
        self.beta1 = float(beta1)
        self.beta2 = float(beta2)
        self.eps = float(eps)

    def start(self, w: Array) -> None:
        """Start from m = v = 0 and t = 0."""
        self.m = np.zeros_like(w)
        self.v = np.zeros_like(w)
        self.t = 0

    def step(self, w: Array, g: Array) -> None:
        """Move w along the mean gradient, scaled by its root mean square."""
        self.t += 1
        self.m += (1 - self.beta1) * (g - self.m)
        self.v += (1 - self.beta2) * (g * g - self.v)
        mhat = self.m / (1 - self.beta1**self.t)
        vhat = self.v / (1 - self.beta2**self.t)
        w -= self.lr * mhat / (np.sqrt(vhat) + self.eps)
