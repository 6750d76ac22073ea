"""Changes of the input that Batch Normalization must cancel, for random inputs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.network import mlp

FEATURES = 3

# Fixed examples and no deadline: the result does not depend on the machine.
steady = settings(deadline=None, derandomize=True)
few = settings(steady, max_examples=30)


@st.composite
def batches(draw, least=2):
    """Draw a (batch, features) array, each column with any mean and a spread well above epsilon."""
    m = draw(st.integers(least, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = np.tile(np.linspace(-1, 1, m)[:, None], FEATURES)  # no column is near constant
    x = rng.permuted(spread, axis=0) + 0.1 * rng.standard_normal(spread.shape)
    return x * draw(st.floats(0.5, 20)) + draw(st.floats(-50, 50))


factors = st.lists(st.floats(0.5, 100), min_size=FEATURES, max_size=FEATURES).map(np.array)
shifts = st.lists(st.floats(-100, 100), min_size=FEATURES, max_size=FEATURES).map(np.array)
seeds = st.integers(0, 2**32)


def layer(seed):
    rng = np.random.default_rng(seed)
    norm = BatchNorm(FEATURES, eps=1e-12, dtype="float64")
    norm.gamma[:] = rng.uniform(0.5, 2, FEATURES)
    norm.beta[:] = rng.standard_normal(FEATURES)
    norm.running_mean[:] = rng.standard_normal(FEATURES)
    norm.running_var[:] = rng.uniform(0.5, 2, FEATURES)
    return norm


def forward_backward(norm, x, dy, *, train=True):
    y, backward = norm.forward(x, train=train)
    dx, grads = backward(dy)
    return y, dx, grads["gamma"], grads["beta"]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


@steady
@given(batches(), shifts, seeds)
def test_shifting_a_column_changes_neither_output_nor_gradients(x, shift, seed):
    dy = np.random.default_rng(seed).standard_normal(x.shape)
    plain = forward_backward(layer(seed), x, dy)
    for a, b in zip(forward_backward(layer(seed), x + shift, dy), plain, strict=True):
        assert_close(a, b)


@steady
@given(batches(), factors, seeds)
def test_scaling_a_column_changes_no_output_and_divides_its_gradient(x, factor, seed):
    dy = np.random.default_rng(seed).standard_normal(x.shape)
    y, dx, dgamma, dbeta = forward_backward(layer(seed), x, dy)
    scaled_y, scaled_dx, scaled_dgamma, scaled_dbeta = forward_backward(layer(seed), x * factor, dy)
    assert_close(scaled_y, y)
    assert_close(scaled_dx * factor, dx)
    assert_close([scaled_dgamma, scaled_dbeta], [dgamma, dbeta])


@steady
@given(batches(), seeds)
def test_negating_a_batch_negates_its_normalised_output(x, seed):
    norm = layer(seed)
    y, _ = norm.forward(x, train=True)
    negated, _ = norm.forward(-x, train=True)
    assert_close(negated - norm.beta, -(y - norm.beta))


@steady
@given(batches(), seeds)
def test_permuting_a_batch_permutes_output_and_gradient_alike(x, seed):
    rng = np.random.default_rng(seed)
    dy, order = rng.standard_normal(x.shape), rng.permutation(len(x))
    y, dx, dgamma, dbeta = forward_backward(layer(seed), x, dy)
    permuted = forward_backward(layer(seed), x[order], dy[order])
    assert_close(permuted[0], y[order])
    assert_close(permuted[1], dx[order])
    assert_close(permuted[2:], [dgamma, dbeta])


@steady
@given(batches(), seeds)
def test_the_output_of_a_batch_has_mean_beta_and_standard_deviation_gamma(x, seed):
    norm = layer(seed)
    y, _ = norm.forward(x, train=True)
    assert_close(y.mean(axis=0), norm.beta)
    assert_close(y.std(axis=0), norm.gamma)


@steady
@given(batches(), seeds)
def test_the_gradient_sums_to_zero_and_is_orthogonal_to_the_input(x, seed):
    # Shifting or scaling a column does not change the loss.
    dy = np.random.default_rng(seed).standard_normal(x.shape)
    _, dx, _, _ = forward_backward(layer(seed), x, dy)
    assert_close(dx.sum(axis=0), 0)
    assert_close((dx * x).sum(axis=0), 0)


@steady
@given(batches(), seeds)
def test_evaluation_of_a_sample_depends_on_no_other_sample_of_the_batch(x, seed):
    norm = layer(seed)
    rng = np.random.default_rng(seed)
    dy = rng.standard_normal(x.shape)
    others = rng.standard_normal(x.shape) * 1e3
    others[0], dy[0] = x[0], 1
    y, dx, _, _ = forward_backward(norm, x, dy, train=False)
    other_y, other_dx, _, _ = forward_backward(norm, others, np.ones_like(dy), train=False)
    alone, _ = norm.forward(x[:1], train=False)
    np.testing.assert_array_equal(y[0], other_y[0])
    np.testing.assert_array_equal(y[0], alone[0])
    np.testing.assert_array_equal(dx[0], other_dx[0])


@few
@given(
    st.sampled_from(["before", "after"]),
    st.sampled_from(["relu", "sigmoid", "tanh"]),
    st.sampled_from([0.0, 0.5]),
    seeds,
)
def test_evaluation_of_a_whole_network_looks_at_one_sample_at_a_time(
    norm_position, activation, dropout, seed
):
    rng = np.random.default_rng(seed)
    net = mlp(
        [6, 5],
        activation,
        norm_position=norm_position,
        dropout=dropout,
        inputs=FEATURES,
        classes=4,
        weight_std="he",
        rng=rng,
        dropout_rng=rng,
        dtype="float64",
    )
    x = rng.standard_normal((9, FEATURES))
    net.gradient(x, rng.integers(4, size=9))
    alone = np.concatenate([net.logits(x[i : i + 1]) for i in range(9)])
    order = rng.permutation(9)
    np.testing.assert_allclose(net.logits(x), alone, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(net.logits(x[order]), alone[order], rtol=1e-9, atol=1e-9)


@few
@given(st.floats(0.01, 100), seeds)
def test_the_scale_of_the_weights_before_batch_norm_does_not_matter(scale, seed):
    def build(weight_std):
        rng = np.random.default_rng(seed)
        return mlp(
            [6],
            "tanh",
            eps=1e-15,
            inputs=FEATURES,
            classes=4,
            weight_std=weight_std,
            rng=rng,
            dropout_rng=rng,
            dtype="float64",
        )

    x = np.random.default_rng(seed).standard_normal((9, FEATURES))
    one, scaled = build(1.0), build(scale)
    y, _ = one.blocks[0][1].forward(one.blocks[0][0].forward(x, train=True)[0], train=True)
    first, norm = scaled.blocks[0][:2]
    scaled_y, _ = norm.forward(first.forward(x, train=True)[0], train=True)
    np.testing.assert_allclose(scaled_y, y, rtol=1e-5, atol=1e-5)


def relative_step(scale, output_scale, rng):
    """Return |dW| / |W| of the hidden layers, for a gradient on one batch."""
    net = mlp(
        [20] * 3,
        inputs=8,
        classes=4,
        weight_std=scale,
        eps=1e-12,
        rng=np.random.default_rng(1),
        dropout_rng=rng,
        dtype="float64",
    )
    affines = [layer for layer in net.layers if hasattr(layer, "W")]
    affines[-1].W *= output_scale / scale
    net.gradient(rng.standard_normal((50, 8)), rng.integers(4, size=50))
    hidden = affines[:-1]
    norms = [np.sqrt(sum(np.sum(a**2) for a in arrays)) for arrays in (
        [layer.out["W"] for layer in hidden], [layer.W for layer in hidden]
    )]  # fmt: skip
    return norms[0] / norms[1]


def test_the_relative_step_goes_as_1_over_a_shared_scale_and_1_over_a_hidden_scale_squared():
    def slope(output_scale_of):
        steps = [
            relative_step(scale, output_scale_of(scale), np.random.default_rng(0))
            for scale in (1e-2, 1e-3)
        ]
        return np.log10(steps[0] / steps[1])

    np.testing.assert_allclose(slope(lambda scale: scale), -1, atol=0.02)
    np.testing.assert_allclose(slope(lambda scale: 0.1), -2, atol=1e-6)
