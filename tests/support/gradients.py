"""Gradients by central differences, to compare the analytic ones with."""

import numpy as np

STEP = 1e-6


def numerical_gradient(f, array):
    """Return the gradient of the scalar f() with respect to `array`, which f reads, in float64."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + STEP
        above = f()
        array[index] = value - STEP
        below = f()
        array[index] = value
        gradient[index] = (above - below) / (2 * STEP)
    return gradient


def assert_same_gradient(analytic, numerical):
    np.testing.assert_allclose(analytic, numerical, rtol=1e-5, atol=1e-7)
