import math
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bnsweep
from bnsweep.data.datasets import Dataset
from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.layers import Dropout
from bnsweep.nn.losses import cross_entropy
from bnsweep.nn.network import mlp
from bnsweep.nn.optimizers import SGD, AdaGrad, Adam, Momentum, Nesterov, Optimizer, RMSProp
from bnsweep.nn.training import train
from bnsweep.records import RunSpec
from bnsweep.report.measures import histogram_std
from bnsweep.run.execute import Experiment

FEATURES, CLASSES = 6, 3


def blobs(train_size=50, test_size=20, dtype="float32"):
    """Return samples of three classes, each around its own centre."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=train_size + test_size)
    centres = rng.uniform(0, 1, (CLASSES, FEATURES))
    x = (centres[labels] + 0.1 * rng.standard_normal((len(labels), FEATURES))).astype(dtype)
    return Dataset(
        name="blobs",
        x_train=x[:train_size],
        y_train=labels[:train_size],
        x_test=x[train_size:],
        y_test=labels[train_size:],
        classes=CLASSES,
    )


def network(*, seed=0, weight_std="he", dtype="float32", hidden_sizes=(8, 7), **options):
    return mlp(
        hidden_sizes,
        inputs=FEATURES,
        classes=CLASSES,
        weight_std=weight_std,
        rng=np.random.default_rng(seed),
        dropout_rng=np.random.default_rng(seed + 1),
        dtype=dtype,
        **options,
    )


def training(net, dataset=None, optimizer=None, *, epochs=3, batch_size=10, **options):
    return train(
        net,
        optimizer or SGD(lr=0.1),
        dataset or blobs(),
        epochs=epochs,
        batch_size=batch_size,
        sampling=options.get("sampling", "replacement"),
        rng=np.random.default_rng(options.get("seed", 5)),
    )


class Still(Optimizer):
    """Leaves w as it is and counts the steps."""

    def start(self, w):
        self.steps = 0

    def step(self, w, g):
        self.steps += 1


class Watched:
    """Records the minibatches that a network is trained on."""

    def __init__(self, net, monkeypatch):
        self.batches = []
        gradient = net.gradient

        def watched(x, labels):
            self.batches.append((x.copy(), labels.copy()))
            return gradient(x, labels)

        monkeypatch.setattr(net, "gradient", watched)

    def rows(self):
        return [[int(row[0]) for row in x] for x, _ in self.batches]


def numbered(train_size=50):
    """Return a data set whose sample i has i in its first feature."""
    dataset = blobs(train_size)
    x = np.repeat(np.arange(train_size, dtype="float32")[:, None], FEATURES, axis=1)
    return replace(dataset, x_train=x, y_train=np.arange(train_size) % CLASSES)


def spreads(measured):
    """Return the standard deviation of each hidden layer's outputs."""
    return [value for name, value in measured.items() if name.startswith("activations/std_")]


def test_epoch_0_is_the_untrained_network_and_each_epoch_has_its_record():
    net, untrained, dataset = network(), network(), blobs()
    records = training(net, dataset)
    first = next(records)
    np.testing.assert_array_equal(net.params, untrained.params)
    with untrained.statistics_of(dataset.x_train):
        logits = untrained.logits(dataset.x_train)
    assert first["train_loss"] == pytest.approx(cross_entropy(logits, dataset.y_train))
    assert first["train_accuracy"] == np.mean(logits.argmax(axis=1) == dataset.y_train)
    assert len([first, *records]) == 4


@pytest.mark.parametrize("options", [{}, {"norm_position": "after"}, {"batch_norm": False}])
def test_a_record_is_measured_in_evaluation_mode_on_both_sets(options):
    net, dataset = network(dropout=0.4, **options), blobs()
    *_, last = training(net, dataset, SGD(lr=0.1, weight_decay=0.1))
    for name, x, labels in (
        ("train", dataset.x_train, dataset.y_train),
        ("test", dataset.x_test, dataset.y_test),
    ):
        logits = net.logits(x)
        assert last[f"{name}_loss"] == pytest.approx(cross_entropy(logits, labels))
        accuracy = np.mean(net.predict(x) == labels)
        assert last[f"{name}_accuracy"] == pytest.approx(accuracy)
    stds = [y.std() for y in net.hidden_outputs(dataset.x_train)]
    assert spreads(last) == pytest.approx(stds, rel=1e-5)


def test_activation_std_is_that_of_all_samples_together():
    dataset = blobs(1300)  # measured in several parts, which differ when sorted:
    order = np.argsort(dataset.y_train)
    dataset = replace(dataset, x_train=dataset.x_train[order], y_train=dataset.y_train[order])
    net = network(batch_norm=False)
    stds = [y.std() for y in net.hidden_outputs(dataset.x_train)]
    assert spreads(next(training(net, dataset))) == pytest.approx(stds, rel=1e-5)


def test_activation_std_keeps_its_digits_where_the_mean_is_large():
    net = network(activation="sigmoid", batch_norm=False, weight_std=1e-4)
    dataset = blobs(1300)  # in several parts
    record = next(training(net, dataset))
    stds = [y.astype("float64").std() for y in net.hidden_outputs(dataset.x_train)]
    assert stds[0] < 1e-4  # around a mean of 0.5
    assert spreads(record) == pytest.approx(stds, rel=1e-2)


@pytest.mark.parametrize("optimizer", [SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam])
@pytest.mark.parametrize("sampling", ["replacement", "shuffle"])
def test_it_learns(optimizer, sampling):
    first, *_, last = training(network(), optimizer=optimizer(lr=0.02), epochs=30,
                               sampling=sampling)  # fmt: skip
    assert last["train_loss"] < 0.3 * first["train_loss"]
    assert last["test_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("train_size", "batch_size", "steps"), [(50, 10, 5), (50, 15, 3), (7, 7, 1)]
)
@pytest.mark.parametrize("sampling", ["replacement", "shuffle"])
def test_an_epoch_is_train_size_by_batch_size_steps(train_size, batch_size, steps, sampling):
    still = Still(lr=1)
    list(training(network(), blobs(train_size), still, batch_size=batch_size, sampling=sampling))
    assert still.steps == 3 * steps


def test_shuffle_takes_each_sample_at_most_once_an_epoch_in_a_new_order(monkeypatch):
    net = network()
    watched = Watched(net, monkeypatch)
    list(training(net, numbered(50), Still(lr=1), epochs=2, batch_size=15, sampling="shuffle"))
    rows = watched.rows()
    epochs = [sum(rows[:3], []), sum(rows[3:], [])]
    assert all(len(epoch) == len(set(epoch)) == 45 for epoch in epochs)  # 5 were dropped
    assert epochs[0] != epochs[1]


def test_replacement_draws_from_all_samples_again_and_again(monkeypatch):
    net = network()
    watched = Watched(net, monkeypatch)
    list(training(net, numbered(50), Still(lr=1), epochs=8))
    rows = sum(watched.rows(), [])
    assert set(rows) == set(range(50))
    assert any(len(set(batch)) < len(batch) for batch in watched.rows())


def test_labels_stay_with_their_samples(monkeypatch):
    net = network()
    watched = Watched(net, monkeypatch)
    list(training(net, numbered(50), Still(lr=1)))
    for x, labels in watched.batches:
        np.testing.assert_array_equal(labels, x[:, 0].astype(int) % CLASSES)


@pytest.mark.parametrize("sampling", ["replacement", "shuffle"])
def test_one_seed_gives_one_order_of_minibatches_whatever_the_network(monkeypatch, sampling):
    orders = []
    for net in (
        network(),
        network(seed=9, batch_norm=False, dropout=0.5, activation="tanh", hidden_sizes=[3]),
    ):
        watched = Watched(net, monkeypatch)
        list(training(net, numbered(), sampling=sampling))
        orders.append(watched.rows())
    assert orders[0] == orders[1]


@pytest.mark.parametrize(("dtype", "lr"), [("float32", 1e30), ("float64", 1e200)])
@pytest.mark.parametrize("options", [{"batch_norm": False}, {}])
def test_a_network_that_diverges_ends_with_the_record_that_says_so(options, dtype, lr):
    net, dataset = network(dtype=dtype, **options), blobs(dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records = list(training(net, dataset, SGD(lr=lr), epochs=50, batch_size=50))
    *before, last = records
    assert 0 < len(before) < 50
    assert all(math.isfinite(record["train_loss"]) for record in before)
    assert not math.isfinite(last["train_loss"])
    assert 0 <= last["train_accuracy"] <= 1
    assert 0 <= last["test_accuracy"] <= 1


def test_weights_beyond_the_range_of_the_dtype_diverge_at_the_first_epoch_and_not_before():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records = list(training(network(weight_std=1e300, batch_norm=False)))
    assert len(records) == 2


@pytest.mark.parametrize("depth", [5, 11, 30])
@pytest.mark.parametrize("weight_std", ["he", 1, 0.1, 0.01])
@pytest.mark.parametrize("options", [{}, {"norm_position": "after"}], ids=["before", "after"])
def test_a_deep_untrained_network_is_measured_and_then_trained(depth, weight_std, options):
    net = network(hidden_sizes=[100] * depth, weight_std=weight_std, **options)
    first, *others = training(net, epochs=2, optimizer=SGD(lr=0.01))
    assert len(others) == 2
    assert all(abs(value) < 1e4 for value in first.values())
    assert first.keys() == others[-1].keys()
    assert all(map(math.isfinite, others[-1].values()))


def test_the_untrained_network_is_measured_as_a_batch_of_all_training_samples_would_be():
    net, dataset = network(dropout=0.4), blobs()
    first = next(training(net, dataset))
    y, stds = dataset.x_train, []
    for block in net.blocks:
        for layer in block:
            if not isinstance(layer, Dropout):
                y, _ = layer.forward(y, train=True)
        stds.append(float(y.std()))
    assert first["train_loss"] == pytest.approx(cross_entropy(y, dataset.y_train), rel=1e-4)
    assert spreads(first) == pytest.approx(stds[:-1], rel=1e-4)


def test_measuring_the_untrained_network_leaves_its_running_statistics_at_zero():
    net = network()
    next(training(net))
    norms = [layer for layer in net.layers if isinstance(layer, BatchNorm)]
    assert norms
    assert all(not norm.running_mean.any() and not norm.running_var.any() for norm in norms)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.4}, {"batch_norm": False}])
def test_the_histograms_of_a_run_are_those_of_its_first_and_last_record(options):
    seen = []
    result = Experiment(
        dataset=blobs(),
        network=network(**options),
        optimizer=SGD(lr=0.1),
        minibatches=np.random.default_rng(0),
        epochs=3,
        batch_size=10,
        sampling="replacement",
        spec=RunSpec({}, {}, ""),
    ).run(lambda epoch, measured: seen.append(epoch), lambda: 0.0)
    assert seen == [0, 1, 2, 3]
    epochs = [*result.epochs()]
    for histograms, record in (
        (result.initial_activations, epochs[0]),
        (result.final_activations, epochs[-1]),
    ):
        stds = [histogram_std(histogram) for histogram in histograms]
        assert stds == pytest.approx(spreads(record), rel=0.02)


def test_validation_samples_are_measured_and_not_trained_on():
    whole = blobs(50)
    dataset = replace(
        whole,
        x_train=whole.x_train[:40],
        y_train=whole.y_train[:40],
        x_validation=whole.x_train[40:],
        y_validation=whole.y_train[40:],
    )
    net = network()
    with_them = list(training(net, dataset))
    logits = net.logits(dataset.x_validation)
    assert with_them[-1]["validation_loss"] == pytest.approx(
        cross_entropy(logits, dataset.y_validation)
    )
    assert with_them[-1]["validation_accuracy"] == pytest.approx(
        np.mean(logits.argmax(axis=1) == dataset.y_validation)
    )
    without = list(training(network(), replace(dataset, x_validation=None, y_validation=None)))
    assert [r["train_loss"] for r in without] == [r["train_loss"] for r in with_them]
    assert "validation_loss" not in without[-1]


def test_numpys_error_handling_is_the_callers_while_it_holds_a_record():
    with np.errstate(over="raise", under="warn", invalid="raise", divide="print"):
        before = np.geterr()
        for _ in training(network()):
            assert np.geterr() == before


def test_the_same_seed_gives_the_same_numbers_whatever_else_runs_in_the_process():
    alone = list(training(network()))
    together, other = training(network()), training(network(seed=3, hidden_sizes=(8, 7)), seed=1)
    records = []
    for record, _ in zip(together, other, strict=True):
        np.random.seed(0)  # noqa: NPY002
        records.append(record)
    assert records == alone
    assert list(training(network(), seed=6)) != alone


def test_an_optimizer_used_before_starts_afresh():
    optimizer = Adam(lr=0.01)
    first = list(training(network(), optimizer=optimizer))
    assert list(training(network(), optimizer=optimizer)) == first


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam])
@pytest.mark.parametrize("options", [{"dropout": 0.2}, {"norm_position": "after"}])
def test_no_array_of_another_dtype_turns_up_anywhere(dtype, optimizer, options):
    """Check each array that a function of the package holds when it returns."""
    package = str(Path(bnsweep.__file__).parent)
    seen = {}

    def watch(frame, event, returned):
        if event == "return" and frame.f_code.co_filename.startswith(package):
            held = [*frame.f_locals.items(), ("the returned value", returned)]
            for name, value in held:
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    seen.setdefault(value.dtype.name, f"{name} in {frame.f_code.co_qualname}")

    records = training(
        network(dtype=dtype, **options), blobs(dtype=dtype), optimizer(lr=0.1, weight_decay=0.1)
    )
    sys.setprofile(watch)
    try:
        list(records)
    finally:
        sys.setprofile(None)
    assert seen.keys() == {dtype}, seen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"training\.epochs=0: must be a whole number of at least 1"),
        ({"batch_size": 0}, r"training\.batch_size=0: must be from 1 to 50"),
        ({"batch_size": 51}, r"training\.batch_size=51: must be from 1 to 50"),
        ({"sampling": "all"}, r"training\.sampling=all: must be one of replacement, shuffle"),
    ],
)
def test_an_argument_out_of_bounds_is_refused_on_the_call(options, message):
    with pytest.raises(ValueError, match=message):
        training(network(), **options)


@pytest.mark.parametrize("options", [{"epochs": 1}, {"batch_size": 1}, {"batch_size": 50}])
def test_the_smallest_and_largest_arguments_are_accepted(options):
    net, before = network(batch_norm=False), network(batch_norm=False).params
    assert len(list(training(net, **{"epochs": 2, **options}))) == options.get("epochs", 2) + 1
    assert not np.array_equal(net.params, before)


def test_a_network_of_another_dtype_than_the_data_is_refused():
    with pytest.raises(ValueError, match="dtype: the network is float64, the data are float32"):
        training(network(dtype="float64"))
