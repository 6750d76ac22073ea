import inspect
from pathlib import Path

import numpy as np
import pytest
from gradients import assert_same_gradient, numerical_gradient
from omegaconf import OmegaConf

from bnsweep.nn import network as network_module
from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.layers import Affine, Dropout
from bnsweep.nn.losses import cross_entropy
from bnsweep.nn.network import mlp

INPUTS, CLASSES = 5, 3
CONF = Path(__file__).parents[2] / "conf"


def make(hidden_sizes=(6, 4), *, seed=0, weight_std="he", dtype="float64", **options):
    return mlp(
        hidden_sizes,
        inputs=INPUTS,
        classes=CLASSES,
        weight_std=weight_std,
        rng=np.random.default_rng(seed),
        dropout_rng=np.random.default_rng(seed + 1),
        dtype=dtype,
        **options,
    )


def sample(m=8, dtype="float64"):
    rng = np.random.default_rng(4)
    return rng.standard_normal((m, INPUTS)).astype(dtype), rng.integers(CLASSES, size=m)


def matrices(network):
    return [layer.W for layer in network.layers if isinstance(layer, Affine)]


def training_loss(network, x, labels):
    y = x
    for layer in network.layers:
        y, _ = layer.forward(y, train=True)
    return cross_entropy(y, labels)


MODELS = {
    "plain": {"batch_norm": False},
    "norm before": {},
    "norm after": {"norm_position": "after"},
    "sigmoid": {"activation": "sigmoid"},
    "tanh after": {"activation": "tanh", "norm_position": "after"},
    "dropout": {"dropout": 0.3},
    "plain dropout": {"batch_norm": False, "dropout": 0.3, "activation": "tanh"},
}
each_model = pytest.mark.parametrize("options", MODELS.values(), ids=MODELS.keys())


@each_model
def test_gradient_of_the_whole_network_agrees_with_central_differences(options):
    x, labels = sample()
    network = make(**options)
    network.params[network.n_weights :] += (
        0.1  # away from 0 and 1, where a wrong gradient may not show
    )
    gradient = network.gradient(x, labels).copy()

    def loss():
        same_draws = make(**options)
        same_draws.params[:] = network.params
        return training_loss(same_draws, x, labels)

    assert_same_gradient(gradient, numerical_gradient(loss, network.params))


@each_model
def test_float32_is_kept_throughout(options):
    x, labels = sample(dtype="float32")
    network = make(dtype="float32", **options)
    arrays = [
        network.gradient(x, labels),
        network.logits(x),
        *network.hidden_outputs(x),
        *network.state().values(),
    ]
    assert {array.dtype for array in arrays} == {np.dtype("float32")}


@each_model
@pytest.mark.parametrize("weight_std", [0.01, "xavier"])
def test_one_seed_draws_the_same_weights_whatever_the_model_and_scale(options, weight_std):
    standard = matrices(make(weight_std=1, batch_norm=False))
    for W, z in zip(matrices(make(weight_std=weight_std, **options)), standard, strict=True):
        scale = W.shape[0] ** -0.5 if weight_std == "xavier" else weight_std
        np.testing.assert_allclose(W, scale * z, rtol=1e-15)


def test_params_are_views_into_one_vector_that_starts_with_the_weights():
    network = make()
    network.params[:] = np.arange(network.params.size)
    flat = np.concatenate([W.ravel() for W in matrices(network)])
    np.testing.assert_array_equal(flat, np.arange(network.n_weights))
    assert all(getattr(layer, name).base is not None for layer in network.layers
               for name in layer.params)  # fmt: skip


def test_there_is_no_bias_where_batch_norm_cancels_it():
    def biases(**options):
        return [layer.b is not None for layer in make(**options).layers if type(layer) is Affine]

    assert biases() == [False, False, True]
    assert biases(norm_position="after") == [True, True, True]
    assert biases(batch_norm=False) == [True, True, True]


def test_the_order_of_layers_in_a_block():
    def kinds(**options):
        return [type(layer).__name__ for layer in make(**options).blocks[0]]

    assert kinds(dropout=0.5) == ["Affine", "BatchNorm", "ReLU", "Dropout"]
    assert kinds(norm_position="after", dropout=0.5) == ["Affine", "ReLU", "BatchNorm", "Dropout"]
    assert kinds(batch_norm=False, activation="tanh") == ["Affine", "Tanh"]


def test_no_gradient_is_computed_for_the_input():
    wanted = [layer.input_gradient for layer in make().layers if isinstance(layer, Affine)]
    assert wanted == [False, True, True]


@each_model
def test_evaluation_changes_nothing(options):
    x, labels = sample()
    network, twin = make(**options), make(**options)
    network.gradient(x, labels)
    twin.gradient(x, labels)
    before = network.state()
    network.predict(x)
    network.hidden_outputs(x)
    after = network.state()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])
    # It drew nothing either: the next minibatch drops the same units.
    np.testing.assert_array_equal(network.gradient(x, labels), twin.gradient(x, labels))


def test_hidden_outputs_are_the_blocks_outputs_row_for_row(monkeypatch):
    x, labels = sample(m=11)
    network = make()
    network.gradient(x, labels)
    y, expected = x, []
    for block in network.blocks:
        for layer in block:
            y, _ = layer.forward(y, train=False)
        expected.append(y)
    monkeypatch.setattr(network_module, "EVALUATION_ROWS", 4)  # 4, 4 and 3 rows
    outputs = [*network.hidden_outputs(x), network.logits(x)]
    assert [output.shape for output in outputs] == [(11, 6), (11, 4), (11, CLASSES)]
    for output, block_output in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, block_output, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"norm_position": "after"}])
def test_hidden_outputs_with_the_statistics_of_x_are_those_of_training_on_x(options):
    x, _ = sample(m=11)
    network = make(**options)
    y, expected = x, []
    for block in make(**options).blocks:
        for layer in block:
            y, _ = layer.forward(y, train=True)
        expected.append(y)
    with network.statistics_of(x):
        outputs = [*network.hidden_outputs(x), network.logits(x)]
    for output, of_training in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, of_training, rtol=1e-9, atol=1e-9)


def test_dropout_draws_from_a_generator_of_its_own():
    rng, dropout_rng = np.random.default_rng(0), np.random.default_rng(1)
    net = mlp([6], dropout=0.5, inputs=INPUTS, classes=CLASSES, weight_std=1, rng=rng,
              dropout_rng=dropout_rng, dtype="float64")  # fmt: skip
    states = rng.bit_generator.state, dropout_rng.bit_generator.state
    net.gradient(*sample())
    assert rng.bit_generator.state == states[0]
    assert dropout_rng.bit_generator.state != states[1]


def test_predict_gives_the_class_of_the_largest_logit():
    network = make()
    x, _ = sample()
    np.testing.assert_array_equal(network.predict(x), network.logits(x).argmax(axis=1))
    network.params[:] = np.nan
    assert set(network.predict(x)) <= set(range(CLASSES))  # also after divergence


@each_model
def test_a_saved_network_is_restored_whole(options, tmp_path):
    x, labels = sample()
    network, other = make(**options), make(seed=9, **options)
    for _ in range(3):  # so that running statistics have moved
        network.params -= 0.1 * network.gradient(x, labels)
    np.savez(tmp_path / "weights.npz", **network.state())
    with np.load(tmp_path / "weights.npz") as state:
        other.load_state(dict(state))
    np.testing.assert_array_equal(other.logits(x), network.logits(x))
    np.testing.assert_array_equal(other.params, network.params)


def test_state_names_its_arrays_and_holds_copies():
    network = make(hidden_sizes=[6])
    state = network.state()
    assert state.keys() == {
        *("affine1.W", "batchnorm1.gamma", "batchnorm1.beta"),
        *("batchnorm1.running_mean", "batchnorm1.running_var", "affine2.W", "affine2.b"),
    }
    kept = state["affine1.W"].copy()
    network.params[:] = 0
    np.testing.assert_array_equal(state["affine1.W"], kept)


def test_the_state_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"differs in affine1\.b"):
        make().load_state(make(batch_norm=False).state())
    with pytest.raises(ValueError, match=r"affine1\.W has shape \(5, 6\); it must be \(5, 7\)"):
        make(hidden_sizes=(7, 4)).load_state(make().state())


def test_networks_side_by_side_share_nothing():
    x, labels = sample()
    alone = make(seed=1).gradient(x, labels).copy()
    first, second = make(seed=1), make(seed=2)
    gradient = first.gradient(x, labels)
    second.gradient(x[::-1], labels)
    np.testing.assert_array_equal(gradient, alone)
    norms = [layer for net in (first, second) for layer in net.layers if type(layer) is BatchNorm]
    assert len({id(norm.running_mean) for norm in norms}) == len(norms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_sizes": []}, r"model\.hidden_sizes=\[\]"),
        ({"hidden_sizes": [4, 0]}, r"model\.hidden_sizes=\[4, ?0\]"),
        ({"hidden_sizes": [4, 2.5]}, r"model\.hidden_sizes=\[4, ?2.5\]"),
        ({"activation": "swash"}, r"model\.activation=swash: must be one of relu, sigmoid, tanh"),
        ({"batch_norm": "no"}, r"model\.batch_norm=no"),
        ({"norm_position": "between"}, r"model\.norm_position=between"),
        ({"dropout": 1}, r"model\.dropout=1"),
        ({"dropout": -0.5}, r"model\.dropout=-0\.5"),
        ({"dropout": None}, r"model\.dropout=null"),
        ({"dropout_position": "first"}, r"model\.dropout_position=first"),
        ({"eps": -1}, r"model\.eps=-1"),
        ({"momentum": 1}, r"model\.momentum=1"),
        ({"weight_std": -1}, "weight_std=-1"),
    ],
)
def test_an_argument_out_of_bounds_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make(**options)


def test_the_default_arguments_are_those_of_the_configuration():
    config = OmegaConf.load(CONF / "model" / "batchnorm.yaml")
    parameters = inspect.signature(mlp).parameters
    for name in config.keys() - {"_target_", "hidden_sizes"}:
        assert parameters[name].default == config[name], name
    norm = BatchNorm(1, dtype="float32")
    assert (norm.eps, norm.momentum) == (config.eps, config.momentum)


def test_dropout_follows_every_hidden_block_or_only_the_last():
    def places(**options):
        return [any(isinstance(layer, Dropout) for layer in b) for b in make(**options).blocks]

    assert places(dropout=0.5) == [True, True, False]
    assert places(dropout=0.5, dropout_position="last") == [False, True, False]
    assert places(dropout_position="last") == [False, False, False]


def test_a_network_shows_the_layers_of_each_block_with_their_sizes():
    norm = "BatchNorm(gamma: 6, beta: 6)"
    assert repr(make((6,), dropout=0.5)).splitlines() == [
        "Network of 63 params, float64:",
        f"    Affine(W: 5 x 6), {norm}, ReLU(), Dropout(rate: 0.5)",
        "    Affine(W: 6 x 3, b: 3)",
    ]
    after = make((6,), activation="tanh", norm_position="after")
    assert f"    Affine(W: 5 x 6, b: 6), Tanh(), {norm}\n" in repr(after)
    assert "    Affine(W: 5 x 6, b: 6), Sigmoid()\n" in repr(
        make((6,), activation="sigmoid", batch_norm=False)
    )
