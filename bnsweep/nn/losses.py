"""Softmax cross-entropy: its value and its gradient."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnsweep.nn.columns import column_sum

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def cross_entropy(logits: Array, labels: Labels) -> float:
    """Measure L = -(1/m) sum_i log p_i,labels[i], the mean cross-entropy, in nats.

    p_ij = exp(s_ij) / sum_k exp(s_ik) are the probabilities that the logits s stand for.
    `logits`: (batch, classes); `labels`: (batch,) integers in 0 to classes - 1. Not finite
    where a logit is NaN or inf.
    """
    s = _shifted(logits)
    log_p = s[labels, np.arange(len(labels))] - np.log(column_sum(np.exp(s)))
    return -float(log_p.sum()) / len(labels)


def cross_entropy_gradient(logits: Array, labels: Labels) -> Array:
    """Return dL/dlogits = (p - onehot(labels)) / m, of shape (batch, classes)."""
    m = len(labels)
    p = _shifted(logits)
    np.exp(p, out=p)
    p /= column_sum(p)
    p[labels, np.arange(m)] -= 1
    p /= m
    return p.T


def _shifted(logits: Array) -> Array:
    """Return logits less the largest of each sample, (classes, batch), C-ordered.

    p stays the same, exp cannot overflow. Classes come first because NumPy is faster at
    working down a few long rows than along many short ones.
    """
    s: Array = logits.T.copy()
    s -= s.max(axis=0)
    return s
