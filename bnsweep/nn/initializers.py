"""Initial weights: normal draws with a given standard deviation, or with He's or Xavier's."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bnsweep.records import keys

WeightStd = float | str


def standard_deviation(weight_std: WeightStd, inputs: int) -> float:
    """Return the standard deviation of the initial weights of a layer with `inputs` inputs.

    "he": sqrt(2 / inputs), "xavier": sqrt(1 / inputs), a number: that number.

    Raises:
        ConfigError: `weight_std` is not a finite number above 0, `"he"` or `"xavier"`.

    Source: He et al. 2015, arXiv:1502.01852; Glorot and Bengio 2010, in the form that uses
    only a layer's number of inputs.
    """
    keys.check("weight_std", weight_std)
    match weight_std:
        case "he":
            return math.sqrt(2 / inputs)
        case "xavier":
            return math.sqrt(1 / inputs)
        case number:
            return float(number)


def normal(
    inputs: int,
    outputs: int,
    *,
    weight_std: WeightStd,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> NDArray[np.floating[Any]]:
    """Draw a weight matrix W = std * z, z ~ N(0, 1), of shape (inputs, outputs).

    z is drawn in float64 whatever `dtype` and `weight_std` are, so one generator state gives
    the same z for all of them, and networks of different scale differ in nothing else.

    Raises:
        ConfigError: `weight_std` is not a finite number above 0, `"he"` or `"xavier"`.
    """
    std = standard_deviation(weight_std, inputs)
    with np.errstate(over="ignore", under="ignore"):  # a scale may exceed the range of dtype
        W: NDArray[np.floating[Any]] = (std * rng.standard_normal((inputs, outputs))).astype(dtype)
    return W
