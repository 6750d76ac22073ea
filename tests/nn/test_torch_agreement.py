"""Agreement with PyTorch in float64, up to rounding."""

import contextlib

import needs
import numpy as np
import pytest

from bnsweep.data.datasets import Dataset
from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.layers import Affine, ReLU, Sigmoid, Tanh
from bnsweep.nn.losses import cross_entropy, cross_entropy_gradient
from bnsweep.nn.network import mlp
from bnsweep.nn.optimizers import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSProp
from bnsweep.nn.training import train

with contextlib.suppress(ImportError):
    import torch

pytestmark = needs.torch

M, FEATURES, CLASSES = 10, 6, 4

OPTIMIZERS = {
    "sgd": (SGD(lr=0.1), lambda w: torch.optim.SGD(w, lr=0.1)),
    "momentum": (
        Momentum(lr=0.05, momentum=0.8),
        lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.8),
    ),
    "nesterov": (
        Nesterov(lr=0.05, momentum=0.8),
        lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.8, nesterov=True),
    ),
    "adagrad": (
        AdaGrad(lr=0.05, eps=1e-8),
        lambda w: torch.optim.Adagrad(w, lr=0.05, eps=1e-8),
    ),
    "rmsprop": (
        RMSProp(lr=0.01, decay=0.95, eps=1e-8),
        lambda w: torch.optim.RMSprop(w, lr=0.01, alpha=0.95, eps=1e-8),
    ),
    "adam": (
        Adam(lr=0.01, beta1=0.8, beta2=0.99, eps=1e-8),
        lambda w: torch.optim.Adam(w, lr=0.01, betas=(0.8, 0.99), eps=1e-8),
    ),
}
each_optimizer = pytest.mark.parametrize(
    ("ours", "theirs"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys()
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def tensor(array):
    return torch.tensor(np.array(array), requires_grad=np.asarray(array).dtype.kind == "f")


def array(t):
    return t.detach().numpy()


def assert_close(ours, theirs, *, rtol=1e-10):
    np.testing.assert_allclose(ours, array(theirs), rtol=rtol, atol=1e-12)


def torch_norm(ours):
    """Return PyTorch's layer with the state of ours."""
    norm = torch.nn.BatchNorm1d(
        len(ours.gamma), eps=ours.eps, momentum=1 - ours.momentum, dtype=torch.float64
    )
    with torch.no_grad():
        norm.weight.copy_(tensor(ours.gamma))
        norm.bias.copy_(tensor(ours.beta))
        norm.running_mean.copy_(tensor(ours.running_mean))
        norm.running_var.copy_(tensor(ours.running_var))
    return norm


def batch_norm():
    layer = BatchNorm(FEATURES, eps=1e-3, momentum=0.9, dtype="float64")
    layer.gamma[:], layer.beta[:] = normal(2, FEATURES, seed=1)
    layer.running_mean[:], layer.running_var[:] = np.abs(normal(2, FEATURES, seed=2)) + 0.1
    return layer


@pytest.mark.parametrize("train_mode", [True, False], ids=["train", "evaluation"])
def test_batch_norm_output_and_gradients(train_mode):
    ours = batch_norm()
    theirs = torch_norm(ours).train(train_mode)
    x, dy = normal(M, FEATURES, seed=3) * 2 + 1, normal(M, FEATURES, seed=4)
    y, backward = ours.forward(x, train=train_mode)
    dx, grads = backward(dy)
    their_x = tensor(x)
    their_y = theirs(their_x)
    their_y.backward(torch.from_numpy(dy))
    assert_close(y, their_y)
    assert_close(dx, their_x.grad)
    assert_close(grads["gamma"], theirs.weight.grad)
    assert_close(grads["beta"], theirs.bias.grad)


def test_batch_norm_running_statistics():
    # PyTorch's running variance is unbiased: m / (m - 1) times ours, from the start.
    ours = BatchNorm(FEATURES, eps=1e-7, momentum=0.9, dtype="float64")
    theirs = torch_norm(ours).train()
    for seed in range(20):
        x = normal(M, FEATURES, seed=seed) * (seed + 1) + seed
        ours.forward(x, train=True)
        theirs(torch.from_numpy(x))
        assert_close(ours.running_mean, theirs.running_mean)
        assert_close(ours.running_var, theirs.running_var * (M - 1) / M)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(ReLU(), "relu"), (Sigmoid(), "sigmoid"), (Tanh(), "tanh")]
)
def test_activations(ours, theirs):
    x, dy = normal(M, FEATURES) * 5, normal(M, FEATURES, seed=1)
    y, backward = ours.forward(x, train=True)
    their_x = tensor(x)
    their_y = getattr(torch, theirs)(their_x)
    their_y.backward(torch.from_numpy(dy))
    assert_close(y, their_y)
    assert_close(backward(dy)[0], their_x.grad)


def test_affine():
    x, W, b, dy = normal(M, FEATURES), normal(FEATURES, 3), normal(3), normal(M, 3, seed=1)
    y, backward = Affine(W, b).forward(x, train=True)
    dx, grads = backward(dy)
    their_x, their_W, their_b = tensor(x), tensor(W), tensor(b)
    their_y = their_x @ their_W + their_b
    their_y.backward(torch.from_numpy(dy))
    assert_close(y, their_y)
    assert_close(dx, their_x.grad)
    assert_close(grads["W"], their_W.grad)
    assert_close(grads["b"], their_b.grad)


def test_cross_entropy():
    logits, labels = normal(M, CLASSES) * 10, np.arange(M) % CLASSES
    their_logits = tensor(logits)
    loss = torch.nn.functional.cross_entropy(their_logits, torch.from_numpy(labels))
    loss.backward()
    assert_close(cross_entropy(logits, labels), loss)
    assert_close(cross_entropy_gradient(logits, labels), their_logits.grad)


@each_optimizer
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_an_optimizers_path_over_50_steps(ours, theirs, weight_decay, monkeypatch):
    monkeypatch.setattr(ours, "weight_decay", weight_decay)
    A, target = normal(FEATURES, FEATURES) + 3 * np.eye(FEATURES), normal(FEATURES, seed=1)
    w = normal(FEATURES, seed=2)
    decayed, free = tensor(w[:4]), tensor(w[4:])
    their_optimizer = theirs(
        [{"params": [decayed], "weight_decay": weight_decay}, {"params": [free]}]
    )
    ours.start(w)
    for _ in range(50):
        ours.update(w, A.T @ (A @ w - target) / 10, n_weights=4)
        their_optimizer.zero_grad()
        residual = torch.from_numpy(A) @ torch.cat([decayed, free]) - torch.from_numpy(target)
        (residual @ residual / 20).backward()
        their_optimizer.step()
        assert_close(w, torch.cat([decayed, free]), rtol=1e-9)


def torch_network(ours):
    """Return a PyTorch network with the weights of ours, and its arrays under our names."""
    modules, theirs, affines, norms = [], {}, 0, 0
    for layer in ours.layers:
        if isinstance(layer, Affine):
            affines += 1
            linear = torch.nn.Linear(*layer.W.shape, bias=layer.b is not None, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(tensor(layer.W.T))
                if layer.b is not None:
                    linear.bias.copy_(tensor(layer.b))
                    theirs[f"affine{affines}.b"] = linear.bias
            theirs[f"affine{affines}.W"] = linear.weight
            modules.append(linear)
        elif isinstance(layer, BatchNorm):
            norms += 1
            modules.append(torch_norm(layer))
            theirs[f"batchnorm{norms}.gamma"] = modules[-1].weight
            theirs[f"batchnorm{norms}.beta"] = modules[-1].bias
            theirs[f"batchnorm{norms}.running_mean"] = modules[-1].running_mean
            theirs[f"batchnorm{norms}.running_var"] = modules[-1].running_var
        else:
            modules.append(getattr(torch.nn, type(layer).__name__)())
    return torch.nn.Sequential(*modules), theirs


class Recorder:
    """An optimizer that records each gradient and the network's state after the step."""

    def __init__(self, inner, network):
        self.inner, self.network, self.gradients, self.states = inner, network, [], []

    def start(self, w):
        self.inner.start(w)

    def update(self, w, g, *, n_weights):
        self.gradients.append(g.copy())
        self.inner.update(w, g, n_weights=n_weights)
        self.states.append(self.network.state())


@each_optimizer
@pytest.mark.parametrize(
    "options",
    [{}, {"norm_position": "after", "activation": "tanh"}, {"batch_norm": False}],
    ids=["norm before", "norm after", "plain"],
)
def test_a_whole_training_run_batch_by_batch(ours, theirs, options, monkeypatch):
    monkeypatch.setattr(ours, "weight_decay", 0.01)
    rng = np.random.default_rng(0)
    x, labels = rng.random((60, FEATURES)), rng.integers(CLASSES, size=60)
    network = mlp(
        [7, 5, 6],
        inputs=FEATURES,
        classes=CLASSES,
        weight_std="he",
        rng=rng,
        dropout_rng=rng,
        dtype="float64",
        eps=1e-5,
        **options,
    )
    model, their_state = torch_network(network)
    dataset = Dataset("random", x.copy(), labels.copy(), x[:20].copy(), labels[:20].copy(), CLASSES)
    recorder = Recorder(ours, network)
    *_, last = train(
        network,
        recorder,
        dataset,
        epochs=5,
        batch_size=M,
        sampling="shuffle",
        rng=np.random.default_rng(1),
    )

    decayed = [w for name, w in their_state.items() if name.endswith("W")]
    free = [w for name, w in their_state.items() if name.endswith(("b", "gamma", "beta"))]
    their_optimizer = theirs([{"params": decayed, "weight_decay": 0.01}, {"params": free}])
    their_rng, steps = np.random.default_rng(1), iter(recorder.states)
    for _ in range(5):
        for batch in their_rng.permutation(60).reshape(6, M):
            their_optimizer.zero_grad()
            logits = model.train()(torch.from_numpy(x[batch]))
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[batch])).backward()
            their_optimizer.step()
            for name, array_of_ours in next(steps).items():
                w = their_state[name]
                # PyTorch's running variance is the unbiased one; training does not use it.
                w = w * (M - 1) / M if name.endswith("running_var") else w
                assert_close(array_of_ours, w.T if name.endswith("W") else w, rtol=1e-6)
    with torch.no_grad():
        for name, w in their_state.items():
            if name.endswith("running_var"):
                w *= (M - 1) / M
        logits = model.eval()(torch.from_numpy(x))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
    assert last["train_loss"] == pytest.approx(float(loss), rel=1e-6)
    assert last["train_accuracy"] == pytest.approx(
        float((logits.argmax(1).numpy() == labels).mean())
    )
