"""Initial weights: normal draws at a given standard deviation, He's or Xavier's."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

WeightStd = float | str


def parse_weight_std(weight_std: object) -> WeightStd:
    """Return `weight_std` as a positive float, `"he"` or `"xavier"`.

    Raises:
        ValueError: it is none of them.
    """
    match weight_std:
        case "he" | "xavier":
            return str(weight_std)
        case bool():
            pass  # an int to Python, no scale to anybody
        case int() | float() if 0 < weight_std < math.inf:
            return float(weight_std)
    raise ValueError(
        f"weight_std: got {weight_std!r}; it must be a finite number above 0, 'he' or 'xavier'"
    )


def standard_deviation(weight_std: WeightStd, inputs: int) -> float:
    """Return the standard deviation of the initial weights of a layer with `inputs` inputs.

    he: sqrt(2 / inputs), xavier: sqrt(1 / inputs), else the number itself.

    Raises:
        ValueError: `weight_std` is no number above 0, `"he"` or `"xavier"`.

    Source: He et al. 2015, arXiv:1502.01852; Glorot and Bengio 2010, in the form that looks
    at a layer's inputs alone.
    """
    match parse_weight_std(weight_std):
        case "he":
            return math.sqrt(2 / inputs)
        case "xavier":
            return math.sqrt(1 / inputs)
        case std:
            return float(std)


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
    the same z for all of them, and networks that differ in scale differ in nothing else.

    Raises:
        ValueError: `weight_std` is no number above 0, `"he"` or `"xavier"`.
    """
    std = standard_deviation(weight_std, inputs)
    with np.errstate(over="ignore", under="ignore"):  # scales beyond the range of dtype
        W: NDArray[np.floating[Any]] = (std * rng.standard_normal((inputs, outputs))).astype(dtype)
    return W
