import numpy as np
import pytest
from gradients import assert_same_gradient, numerical_gradient
from watching import watched

from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.columns import constant
from bnsweep.nn.layers import Activation, Affine, Dropout, ReLU, Sigmoid, Tanh
from bnsweep.records import keys
from bnsweep.records.keys import ACTIVATIONS

M, N = 6, 4  # batch, features


def affine(dtype):
    rng = np.random.default_rng(1)
    return Affine(rng.standard_normal((N, 3)).astype(dtype), rng.standard_normal(3).astype(dtype))


def affine_without_bias(dtype):
    return Affine(affine(dtype).W)


def batch_norm(dtype):
    rng = np.random.default_rng(2)
    layer = BatchNorm(N, eps=1e-3, dtype=dtype)
    layer.gamma[:] = rng.standard_normal(N)
    layer.beta[:] = rng.standard_normal(N)
    layer.running_mean[:] = rng.standard_normal(N)
    layer.running_var[:] = rng.uniform(0.5, 2, N)
    return layer


def dropout(dtype):
    del dtype
    return Dropout(0.4, rng=np.random.default_rng(3))


LAYERS = {
    "affine": affine,
    "affine without bias": affine_without_bias,
    "batch norm": batch_norm,
    "dropout": dropout,
    **{name: lambda dtype, make=make: make() for name, make in ACTIVATIONS.items()},
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
each_mode = pytest.mark.parametrize("train", [True, False], ids=["train", "evaluation"])
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def normal(*shape, seed=0, dtype="float64"):
    return (np.random.default_rng(seed).standard_normal(shape) * 2 + 0.5).astype(dtype)


@each_mode
@each_layer
def test_gradients_agree_with_central_differences(make, train):
    x = normal(M, N)
    layer = make("float64")
    y, backward = layer.forward(x, train=train)
    dy = normal(*y.shape, seed=7)
    dx, grads = backward(dy)

    def loss():
        fresh = make("float64")  # the same draws, running statistics and ...
        for name in layer.params:  # ... the parameters as they are perturbed
            setattr(fresh, name, getattr(layer, name))
        return float(np.sum(dy * fresh.forward(x, train=train)[0]))

    assert_same_gradient(dx, numerical_gradient(loss, x))
    assert grads.keys() == set(layer.params)
    for name, gradient in grads.items():
        assert_same_gradient(gradient, numerical_gradient(loss, getattr(layer, name)))


@each_mode
@each_dtype
@each_layer
def test_no_layer_writes_into_what_it_was_given_and_each_keeps_the_dtype(make, dtype, train):
    x, seen = watched(normal(M, N, dtype=dtype))
    x.setflags(write=False)
    layer = make(dtype)
    for name in layer.buffers:
        setattr(layer, name, watched(getattr(layer, name))[0])
    y, backward = layer.forward(x, train=train)
    dy, seen_of_dy = watched(normal(*y.shape, seed=7, dtype=dtype))
    dy.setflags(write=False)
    dx, grads = backward(dy)
    buffers = [getattr(layer, name) for name in layer.buffers]
    results = {array.dtype.name for array in [y, dx, *grads.values(), *buffers]}
    assert seen.union(seen_of_dy, results, *(array.seen for array in buffers)) == {dtype}


@each_layer
def test_other_passes_in_between_do_not_spoil_a_backward_pass(make):
    x, dy = normal(M, N), normal(M, N, seed=7)
    undisturbed, disturbed = make("float64"), make("float64")
    y, expected_backward = undisturbed.forward(x, train=True)
    dy = normal(*y.shape, seed=7)
    expected = expected_backward(dy)
    y, backward = disturbed.forward(x, train=True)
    kept = y.copy()
    for train in (False, True):
        _, other = disturbed.forward(normal(M, N, seed=9), train=train)
        other(normal(*y.shape, seed=10))
    np.testing.assert_array_equal(y, kept)
    dx, grads = backward(dy)
    np.testing.assert_array_equal(dx, expected[0])
    assert grads.keys() == expected[1].keys()
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, expected[1][name])


def test_a_shared_constant_cannot_be_written_to():
    ones = constant(3, 1, np.dtype("float32"))
    assert constant(3, 1, np.dtype("float32")) is ones
    with pytest.raises(ValueError, match="read-only"):
        ones[0] = 2


def test_affine_known_values():
    layer = Affine(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0]))
    y, backward = layer.forward(np.array([[1.0, 1.0], [2.0, 0.0]]), train=True)
    np.testing.assert_array_equal(y, [[14, 26], [12, 24]])
    dx, grads = backward(np.array([[1.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_array_equal(dx, [[1, 3], [2, 4]])
    np.testing.assert_array_equal(grads["W"], [[1, 2], [1, 0]])
    np.testing.assert_array_equal(grads["b"], [1, 1])


def test_affine_can_leave_out_the_input_gradient():
    layer = Affine(np.ones((N, 3)), input_gradient=False)
    y, backward = layer.forward(normal(M, N), train=True)
    dx, _ = backward(np.ones_like(y))
    assert dx.shape == (0, N)


def test_batch_norm_normalises_by_the_biased_variance():
    layer = BatchNorm(1, eps=1e-7, dtype="float64")
    x = np.array([[1.0], [2.0], [3.0], [6.0]])  # mean 3, biased variance 3.5
    layer.gamma[:], layer.beta[:] = 2, 5
    y, _ = layer.forward(x, train=True)
    np.testing.assert_allclose(y, 5 + 2 * (x - 3) / np.sqrt(3.5), rtol=1e-7)


@pytest.mark.parametrize("c", [3, 0.1, 1 / 3, 255, 12345.678, 1e6, 1e30])
def test_a_column_of_one_value_is_normalised_to_zero(c):
    layer = BatchNorm(1, dtype="float32")
    layer.beta[:] = 7
    y, _ = layer.forward(np.full((100, 1), c, "float32"), train=True)
    np.testing.assert_array_equal(y, 7)


@each_dtype
@pytest.mark.parametrize("make", [make for name, make in LAYERS.items() if name != "dropout"])
def test_with_a_batchs_statistics_evaluation_gives_what_training_does(make, dtype):
    x, layer = normal(M, N, dtype=dtype), make(dtype)
    expected, _ = make(dtype).forward(x, train=True)
    layer.adopt_statistics(x)
    y, _ = layer.forward(x, train=False)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    assert y.dtype == dtype


def test_the_jacobian_of_batch_norm_is_that_of_the_documentation():
    layer, x = batch_norm("float64"), normal(M, N)
    s = np.sqrt(x.var(axis=0) + layer.eps)
    xhat = (x - x.mean(axis=0)) / s
    for j in range(M):
        for column in range(N):
            # The gradient of y_i alone is row i of the Jacobian of its column.
            dy = np.zeros((M, N))
            dy[j, column] = 1
            row, _ = layer.forward(x, train=True)[1](dy)
            delta = np.eye(M)[j]
            expected = delta - 1 / M - xhat[j, column] * xhat[:, column] / M
            expected *= layer.gamma[column] / s[column]
            np.testing.assert_allclose(row[:, column], expected, atol=1e-12)
            np.testing.assert_array_equal(np.delete(row, column, axis=1), 0)


def test_running_statistics_start_at_zero_and_follow_the_batches():
    layer = BatchNorm(1, eps=1e-7, momentum=0.9, dtype="float64")
    assert (layer.running_mean, layer.running_var) == ([0.0], [0.0])
    layer.forward(np.array([[1.0], [3.0]]), train=True)  # mean 2, biased variance 1
    np.testing.assert_allclose([layer.running_mean, layer.running_var], [[0.2], [0.1]])
    layer.forward(np.array([[0.0], [8.0]]), train=True)  # mean 4, biased variance 16
    np.testing.assert_allclose(layer.running_mean, 0.9 * 0.2 + 0.1 * 4)
    np.testing.assert_allclose(layer.running_var, 0.9 * 0.1 + 0.1 * 16)


def test_evaluation_uses_the_running_statistics_and_leaves_them_alone():
    layer = batch_norm("float64")
    x = normal(M, N)
    mean, var = layer.running_mean.copy(), layer.running_var.copy()
    y, _ = layer.forward(x, train=False)
    expected = layer.gamma * (x - mean) / np.sqrt(var + layer.eps) + layer.beta
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal([layer.running_mean, layer.running_var], [mean, var])


@each_dtype
@pytest.mark.parametrize("make_affine", [affine, affine_without_bias])
def test_an_affine_layer_and_batch_norm_fold_into_one_affine_layer(make_affine, dtype):
    rng = np.random.default_rng(6)
    first, norm = make_affine(dtype), BatchNorm(3, eps=1e-3, dtype=dtype)
    norm.gamma[:], norm.beta[:], norm.running_mean[:] = rng.standard_normal((3, 3))
    norm.running_var[:] = rng.uniform(0.5, 2, 3)
    x = normal(M, N, dtype=dtype)
    expected, _ = norm.forward(first.forward(x, train=False)[0], train=False)
    y, _ = norm.folded_into(first).forward(x, train=False)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    assert y.dtype == dtype


def test_a_uniform_upstream_gradient_does_not_pass_batch_norm():
    # Only beta can raise all outputs alike; no change of the input can.
    dx, grads = batch_norm("float64").forward(normal(M, N), train=True)[1](np.ones((M, N)))
    np.testing.assert_allclose(dx, 0, atol=1e-12)
    np.testing.assert_allclose(grads["beta"], M)


def test_batch_norm_keeps_its_digits_far_from_zero():
    x = normal(100, N)
    near, _ = BatchNorm(N, dtype="float32").forward(x.astype("float32"), train=True)
    far, _ = BatchNorm(N, dtype="float32").forward((x + 1000).astype("float32"), train=True)
    np.testing.assert_allclose(far, near, atol=1e-3)


def test_activations_known_values():
    x = np.array([[-2.0, 0.0, 3.0]])
    np.testing.assert_array_equal(ReLU().forward(x, train=True)[0], [[0, 0, 3]])
    np.testing.assert_allclose(Sigmoid().forward(x, train=True)[0], 1 / (1 + np.exp(-x)))
    np.testing.assert_allclose(Tanh().forward(x, train=True)[0], np.tanh(x))
    np.testing.assert_array_equal(ReLU().forward(x, train=True)[1](x + 9)[0], [[0, 0, 12]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_reaches_its_bounds_and_stays_within_them(name):
    layer = ACTIVATIONS[name]()
    y, _ = layer.forward(np.array([[-1e6, -1.0, 0.0, 1.0, 1e6]]), train=True)
    low, high = layer.bounds
    assert (y.min(), y.max()) == (max(low, -1e6), min(high, 1e6))


def test_a_subclass_of_activation_is_chosen_by_its_name(monkeypatch):
    monkeypatch.setattr("bnsweep.records.keys.ACTIVATIONS", {})

    class Square(Activation):
        pass

    assert dict(keys.ACTIVATIONS) == {"square": Square}
    assert Square.bounds == (-np.inf, np.inf)


def test_relu_shows_that_a_network_has_diverged():
    y, _ = ReLU().forward(np.array([[np.nan, np.inf, -np.inf]]), train=True)
    np.testing.assert_array_equal(y, [[np.nan, np.inf, 0]])


@each_dtype
def test_sigmoid_neither_overflows_nor_loses_small_values(dtype):
    x = np.array([[-80.0, -20.0, 20.0, 1e4, -1e4]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y, backward = Sigmoid().forward(x, train=True)
        dx, _ = backward(np.ones_like(x))
    np.testing.assert_allclose(y, [[np.exp(-80.0), np.exp(-20.0), 1, 1, 0]], rtol=1e-6)
    assert np.isfinite(dx).all()


def test_dropout_drops_its_share_and_scales_up_the_rest():
    x = np.ones((200, 300), "float32")
    y, backward = Dropout(0.3, rng=np.random.default_rng(0)).forward(x, train=True)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(backward(x)[0], y)  # the same units are dropped


def test_dropout_drops_the_same_units_in_each_dtype():
    single, double = (
        Dropout(0.5, rng=np.random.default_rng(5)).forward(np.ones((9, 8), dtype), train=True)[0]
        for dtype in ("float32", "float64")
    )
    np.testing.assert_array_equal(single, double)


def test_dropout_at_rate_0_keeps_a_unit_that_draws_0():
    class Zeros:
        def random(self, shape, dtype):
            return np.zeros(shape, dtype)

    x = normal(M, N)
    np.testing.assert_array_equal(Dropout(0, rng=Zeros()).forward(x, train=True)[0], x)


def test_dropout_does_nothing_in_evaluation_and_draws_nothing():
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    x = normal(M, N)
    np.testing.assert_array_equal(Dropout(0.9, rng=rng).forward(x, train=False)[0], x)
    assert rng.bit_generator.state == state


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropout(1.0, rng=np.random.default_rng()), "model.dropout=1.0"),
        (lambda: Dropout(-1e-9, rng=np.random.default_rng()), "model.dropout=-1e-09"),
        (lambda: BatchNorm(3, eps=0, dtype="float32"), "model.eps=0"),
        (lambda: BatchNorm(3, momentum=1, dtype="float32"), "model.momentum=1"),
        (lambda: BatchNorm(3, momentum=-1e-9, dtype="float32"), "model.momentum=-1e-09"),
        (lambda: BatchNorm(3, momentum=float("nan"), dtype="float32"), "model.momentum=nan"),
    ],
)
def test_an_argument_out_of_bounds_is_refused(make, message):
    with pytest.raises(ValueError, match=f"{message}: must be a finite number"):
        make()


@pytest.mark.parametrize("share", [0, np.nextafter(1, 0)])
def test_momentum_and_dropout_go_from_0_to_just_below_1(share):
    assert BatchNorm(3, momentum=share, dtype="float32").momentum == share
    assert Dropout(share, rng=np.random.default_rng()).rate == share
