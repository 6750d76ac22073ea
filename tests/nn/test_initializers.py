import math

import numpy as np
import pytest

from bnsweep.nn.initializers import normal, standard_deviation


@pytest.mark.parametrize(
    ("weight_std", "std"),
    [(0.3, 0.3), (2, 2.0), ("he", math.sqrt(2 / 50)), ("xavier", math.sqrt(1 / 50))],
)
def test_standard_deviation(weight_std, std):
    assert standard_deviation(weight_std, 50) == pytest.approx(std, rel=1e-15)


@pytest.mark.parametrize("weight_std", [0.01, 3, "he", "xavier"])
def test_drawn_weights_have_that_standard_deviation_and_mean_zero(weight_std):
    W = normal(300, 400, weight_std=weight_std, rng=np.random.default_rng(0), dtype="float64")
    std = standard_deviation(weight_std, 300)
    assert W.shape == (300, 400)
    assert W.std() == pytest.approx(std, rel=0.01)
    assert abs(W.mean()) < 0.02 * std


def test_one_generator_state_gives_the_same_draws_at_every_scale_and_dtype():
    def draw(weight_std, dtype):
        return normal(7, 5, weight_std=weight_std, rng=np.random.default_rng(3), dtype=dtype)

    z = draw(1, "float64")
    np.testing.assert_array_equal(draw(0.25, "float64"), 0.25 * z)
    np.testing.assert_array_equal(draw(0.25, "float32"), (0.25 * z).astype("float32"))
    np.testing.assert_array_equal(draw("he", "float64"), math.sqrt(2 / 7) * z)


@pytest.mark.parametrize("bad", [0, -1, 0.0, math.nan, math.inf, "hee", True, None, [1]])
def test_an_invalid_scale_is_refused_with_the_valid_ones(bad):
    message = r"weight_std=.*: must be a finite number greater than 0, or he, or xavier"
    with pytest.raises(ValueError, match=message):
        standard_deviation(bad, 50)
