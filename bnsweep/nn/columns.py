"""Sums over the columns of (batch, features) arrays, and the constant arrays they use.

A sum over the batch is the product of a row of ones and the array: BLAS computes it in a third
of the time of NumPy's sum.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def column_sum(x: Array, out: Array | None = None) -> Array:
    """Return sum_i x_i, of shape (features,)."""
    total: Array = constant(len(x), 1, x.dtype).dot(x, out=out)
    return total


def column_mean(x: Array) -> Array:
    """Return (1/m) sum_i x_i over m rows, of shape (features,)."""
    # Dividing the sum by m rounds once; multiplying by 1/m would round twice.
    mean = column_sum(x)
    mean /= len(x)
    return mean


@lru_cache(maxsize=64)
def constant(shape: int | tuple[int, ...], value: float, dtype: np.dtype[Any]) -> Array:
    """Return a read-only array filled with `value`; equal arguments share one array."""
    array: Array = np.full(shape, value, dtype)
    array.setflags(write=False)
    return array
