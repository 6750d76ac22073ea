"""Softmax cross-entropy: its value and its gradient."""

import numpy as np

from bnsweep.nn.columns import Array, Labels, column_sum


def cross_entropy(logits: Array, labels: Labels) -> float:
    """Return the mean cross-entropy L = -(1/m) sum_i log p_i,labels[i], in nats.

    p_ij = exp(s_ij) / sum_k exp(s_ik) are the probabilities of the classes, for logits s.
    `logits`: (batch, classes); `labels`: (batch,) integers from 0 to classes - 1. L is not
    finite if a logit is NaN or inf.
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
    """Return the logits minus each sample's largest one, as a C-ordered (classes, batch) array.

    This leaves p unchanged and keeps exp from overflowing. NumPy is faster with classes as
    rows: a few long rows instead of many short ones.
    """
    s: Array = logits.T.copy()
    s -= s.max(axis=0)
    return s
