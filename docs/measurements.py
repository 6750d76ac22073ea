"""The measurements that the first half of docs/batchnorm.md quotes; docs/make.py runs them."""

import functools
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bnsweep.cli.arguments import logspace
from bnsweep.data.datasets import Dataset, mnist
from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.layers import Affine
from bnsweep.nn.network import Network, mlp
from bnsweep.nn.optimizers import SGD
from bnsweep.nn.training import train
from bnsweep.report.estimates import Estimate
from bnsweep.report.markdown import table, with_interval
from bnsweep.run.execute import Draws

Array = NDArray[np.floating[Any]]

RESULTS = Path(__file__).resolve().parent / "results"
SEEDS = range(10)
LR, EPOCHS, BATCH = 0.01, 20, 100
# As a sweep has them, to the last digit: at the small ones a run is that sensitive.
FIGURE_SCALES = tuple(float(scale) for scale in logspace(0, -4, 16).split(","))
DECADES = (1, 0.1, 0.01, 0.001, 0.0001)
HELD = 0.1  # the scale of the layers that keep theirs while another layer's varies
HEADER = (
    "Settings: MNIST's first 1000 training samples, 5 x 100 ReLU units with Batch Normalization, "
    "SGD at 0.01, 20 epochs of 10 minibatches of 100 drawn with replacement, float32, epsilon "
    "1e-7, except where the text says otherwise. Seeds 0 to 9: mean ± half the width of the 95 % "
    "t-interval, n = 10."
)


class Trained(NamedTuple):
    """Training accuracies after epochs 1 to 20, and two standard deviations after the last."""

    accuracies: Array
    gamma_std: float  # of all gamma
    weight_std: float  # of all hidden layers' weights


@dataclass(frozen=True)
class Variant:
    """The standard deviations of a network's initial weights, and what else a measurement sets."""

    hidden: float
    output: float
    eps: float = 1e-7
    running_var: float = 0.0  # where it starts
    momentum: float = 0.9
    batch_norm: bool = True


def shared(scale: float, **others: Any) -> Variant:
    """Return the variant with one scale for all layers, as in the experiments."""
    return Variant(scale, scale, **others)


def build(variant: Variant, dataset: Dataset, seed: int) -> tuple[Network, Draws]:
    """Return the network of a variant, and the generators that its seed stands for."""
    draws = Draws.of(seed)
    network = mlp(
        [100] * 5,
        batch_norm=variant.batch_norm,
        eps=variant.eps,
        momentum=variant.momentum,
        inputs=dataset.features,
        classes=dataset.classes,
        weight_std=variant.hidden,
        rng=draws.weights,
        dropout_rng=draws.dropout,
        dtype=dataset.x_train.dtype,
    )
    affines(network)[-1].W *= variant.output / variant.hidden
    for norm in norms(network):
        norm.running_var[:] = variant.running_var
    return network, draws


def affines(network: Network) -> list[Affine]:
    """Return the affine layers, the output layer last."""
    return [layer for layer in network.layers if isinstance(layer, Affine)]


def norms(network: Network) -> list[BatchNorm]:
    """Return the Batch Normalization layers, first one first."""
    return [layer for layer in network.layers if isinstance(layer, BatchNorm)]


def epochs_of(network: Network, draws: Draws, dataset: Dataset) -> Iterator[dict[str, float]]:
    """Train a network with the chapter's settings, and yield the measurements of each epoch."""
    return train(
        network,
        SGD(lr=LR),
        dataset,
        epochs=EPOCHS,
        batch_size=BATCH,
        sampling="replacement",
        rng=draws.minibatches,
    )


@functools.cache
def trained(variant: Variant, dataset: Dataset, seed: int) -> Trained:
    """Train the network of a variant and a seed."""
    network, draws = build(variant, dataset, seed)
    accuracies = np.array([e["train_accuracy"] for e in epochs_of(network, draws, dataset)])
    weights = np.concatenate([affine.W.ravel() for affine in affines(network)[:-1]])
    gammas = np.concatenate([norm.gamma for norm in norms(network)])
    return Trained(accuracies[1:], float(gammas.std()), float(weights.std()))


def curves(variant: Variant, dataset: Dataset) -> Array:
    """Return the training accuracies, (seeds, epochs 1 to 20)."""
    return np.stack([trained(variant, dataset, seed).accuracies for seed in SEEDS])


def estimate(samples: Iterable[float], form: str = ".3f") -> str:
    """Return the mean of independent samples and half the width of its 95 % interval."""
    return with_interval(Estimate.of([float(x) for x in samples]), f"z{form}").replace("e-0", "e-")


def final(variant: Variant, dataset: Dataset) -> str:
    """Return the training accuracy after the last epoch."""
    return estimate(curves(variant, dataset)[:, -1])


def page(*parts: str) -> str:
    """Return paragraphs and tables as one text, the paragraphs wrapped."""
    return "\n\n".join(p if p.startswith("|") else textwrap.fill(p, 100) for p in parts)


def short(number: float) -> str:
    """Return three significant digits of a scale: 0.0858, 0.0001."""
    return f"{float(f'{number:.3g}'):f}".rstrip("0").rstrip(".")


def step_size(dataset: Dataset) -> str:
    """The first step relative to what it moves, against the scale of the weights."""
    scales = (30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
    steps = np.array(
        [
            [
                [first_step(variant, dataset, seed) for variant in (shared(a), Variant(a, HELD))]
                for seed in SEEDS
            ]
            for a in scales
        ]
    )
    steps = np.moveaxis(steps.reshape(len(scales), len(SEEDS), 4), 2, 0)
    columns = ["W, all layers at a", "gamma, all layers at a"]
    columns += ["W, output layer at 0.1", "gamma, output layer at 0.1"]
    sizes = [
        [short(a), *(estimate(values[k], ".3g") for values in steps)] for k, a in enumerate(scales)
    ]
    slopes = []
    for high, low in ((30, 0.1), (0.1, 0.001), (0.001, 0.0001)):
        part = slice(scales.index(high), scales.index(low) + 1)
        fits = (np.polyfit(np.log(scales[part]), np.log(values[part]), 1)[0] for values in steps)
        slopes.append([f"{short(low)} to {short(high)}", *(estimate(fit) for fit in fits)])
    return page(
        HEADER,
        "The first step of SGD, on the first minibatch: lr |gradient| / |value| (Euclidean norms) "
        "of the five hidden weight matrices W together, and of the five gamma together.",
        table(["scale a", *columns], sizes),
        "The slope of its logarithm against log a (least squares, one fit a seed):",
        table(["range of a", *columns], slopes),
    )


def first_step(variant: Variant, dataset: Dataset, seed: int) -> list[float]:
    """Return lr |gradient| / |value| of the hidden weight matrices and of gamma."""
    network, draws = build(variant, dataset, seed)
    batch = draws.minibatches.integers(len(dataset.x_train), size=BATCH)
    network.gradient(dataset.x_train[batch], dataset.y_train[batch])
    sizes = []
    for layers, name in ((affines(network)[:-1], "W"), (norms(network), "gamma")):
        gradient = np.concatenate([layer.out[name].ravel() for layer in layers])
        value = np.concatenate([getattr(layer, name).ravel() for layer in layers])
        sizes.append(LR * float(np.linalg.norm(gradient) / np.linalg.norm(value)))
    return sizes


def output_scale(dataset: Dataset) -> str:
    """The scale of the hidden layers' weights and that of the output layer's, apart."""
    accuracies, spreads = [], []
    for a in DECADES:
        variants = (shared(a), Variant(a, HELD), Variant(HELD, a))
        accuracies.append([short(a), *(final(variant, dataset) for variant in variants)])
        runs = ([trained(variant, dataset, seed) for seed in SEEDS] for variant in variants)
        stds = (estimate((run.weight_std for run in of_seeds), ".3g") for of_seeds in runs)
        spreads.append([short(a), *stds])
    header = ["scale a", "all layers at a", "output layer at 0.1", "hidden layers at 0.1"]
    return page(
        HEADER,
        "Training accuracy after 20 epochs:",
        table(header, accuracies),
        "Standard deviation of the hidden layers' weights after 20 epochs (before: a, a, 0.1):",
        table(header, spreads),
    )


def large_scales(dataset: Dataset) -> str:
    """Scales of 1 and above: the accuracy, and how far training spreads gamma."""
    rows = []
    for a in (1, 3, 10, 30):
        row = [short(a)]
        for variant in (shared(a), Variant(a, HELD)):
            spreads = (trained(variant, dataset, seed).gamma_std for seed in SEEDS)
            row += [final(variant, dataset), estimate(spreads)]
        rows.append(row)
    header = ["scale a", "accuracy, all layers at a", "spread of gamma, all layers at a"]
    header += ["accuracy, output layer at 0.1", "spread of gamma, output layer at 0.1"]
    return page(
        HEADER,
        "After 20 epochs: training accuracy, and the standard deviation of all 500 gamma, which "
        "start at 1.",
        table(header, rows),
    )


def epsilon(dataset: Dataset) -> str:
    """Where epsilon matters: to the layers' outputs, and to training at a scale of 0.0001."""
    rows = []
    for eps in (1e-9, 1e-7, 1e-6, 1e-5):
        row = [f"1e-{-math.log10(eps):.0f}"]
        for output in (0.0001, HELD):
            variant = Variant(0.0001, output, eps)
            row += [final(variant, dataset), f"{curves(variant, dataset).max():.3f}"]
        rows.append(row)
    header = ["epsilon", "all layers at 0.0001", "highest", "output layer at 0.1", "highest"]
    before = ["scale", "variance, layer 1", "variance, layer 5", "change, layer 1"]
    found = epsilon_before_training(dataset)
    return page(
        HEADER,
        "Before training, the 1000 samples as one minibatch, float64: the median variance of the "
        "columns to be normalised, and by how much epsilon changes a hidden layer's output, as "
        "|change| / |output without epsilon|.",
        table(
            [*before, "change, layer 5"],
            ([short(a), *(estimate(v, ".2g") for v in found[k])] for k, a in enumerate(DECADES)),
        ),
        "Scale 0.0001: training accuracy after 20 epochs, and the highest of any seed after any "
        "epoch.",
        table(header, rows),
    )


@functools.cache
def epsilon_before_training(dataset: Dataset) -> Array:
    """Return variances and changes by epsilon of the first and last layer, (scales, 4, seeds)."""
    dataset = in_dtype(dataset, "float64")
    found = np.empty((len(DECADES), 4, len(SEEDS)))
    for k, a in enumerate(DECADES):
        for seed in SEEDS:
            # With momentum 0 the running variance is that of the last minibatch.
            network, _ = build(shared(a, momentum=0.0), dataset, seed)
            exact, _ = build(shared(a, eps=1e-300), dataset, seed)
            outputs, expected = (
                outputs_before_training(each, dataset.x_train) for each in (network, exact)
            )
            network.gradient(dataset.x_train, dataset.y_train)
            for i, layer in enumerate((0, -1)):
                found[k, i, seed] = np.median(norms(network)[layer].running_var)
                change = outputs[layer] - expected[layer]
                found[k, 2 + i, seed] = np.linalg.norm(change) / np.linalg.norm(expected[layer])
    return found


def outputs_before_training(network: Network, x: Array) -> list[Array]:
    """Return each hidden layer's output, normalised with the statistics of x."""
    with network.statistics_of(x):
        return network.hidden_outputs(x)


def chapter_epsilon(dataset: Dataset) -> str:
    """An epsilon of 1e-6, the chapter's (10e-7), against 1e-7, at the figure's 16 scales."""
    rows, finals = [], []
    for a in FIGURE_SCALES:
        ours, theirs = curves(shared(a), dataset), curves(shared(a, eps=1e-6), dataset)
        changes = (theirs - ours)[:, -1], (theirs - ours).mean(axis=1)
        finals.append(changes[0])
        means = [estimate(ours[:, -1]), estimate(theirs[:, -1])]
        rows.append([short(a), *means, *(estimate(change, ".4f") for change in changes)])
    means = np.mean(finals, axis=1)
    halves = np.array([Estimate.of(change).half_width for change in finals])
    upper = np.array(FIGURE_SCALES) > 0.007
    header = ["scale", "1e-7, final", "1e-6, final", "change, final", "change, all epochs"]
    return page(
        HEADER,
        "Training accuracy with epsilon 1e-7 and with 1e-6, after 20 epochs, and the change from "
        "the one to the other with the same seed, after 20 epochs and on average over the epochs.",
        table(header, rows),
        f"The largest mean change of the final accuracy, up or down: {abs(means[upper]).max():.4f} "
        f"at scales of 0.00736 and above, {abs(means[~upper]).max():.4f} below. The intervals are "
        f"at most ± {halves.max():.4f}; {sum(abs(means) > halves)} of 16 exclude zero.",
    )


def running_start(dataset: Dataset) -> str:
    """A running variance that starts at one, against one that starts at zero."""
    rows, distances, last = [], [], 0.0
    for a in FIGURE_SCALES:
        change = curves(shared(a, running_var=1.0), dataset) - curves(shared(a), dataset)
        distances.append(np.abs(change).mean(axis=1))
        last = max(last, float(np.abs(change[:, -1]).max()))
        of_means = np.abs(change.mean(axis=0)).mean()
        rows.append([short(a), estimate(distances[-1], ".4f"), f"{of_means:.4f}"])
    average = np.mean(distances, axis=0)
    rows.append(["all 16", estimate(average, ".4f"), ""])
    smallest = [
        curves(shared(0.0001, running_var=start), dataset).mean(axis=0) for start in (1.0, 0.0)
    ]
    by_epoch = [
        [str(epoch), *(f"{curve[epoch - 1]:.3f}" for curve in smallest)]
        for epoch in (1, 3, 5, 6, 7, 8, 10, 12, 20)
    ]
    return page(
        HEADER,
        "The absolute difference of training accuracy between the two starts, averaged over epochs "
        "1 to 20: of single runs, and of the two curves of means over the seeds.",
        table(["scale", "single runs", "curves of means"], rows),
        f"After epoch 20, the largest difference of any run: {last:.4f}.",
        "Training accuracy at a scale of 0.0001, mean over the seeds:",
        table(["epoch", "start at one", "start at zero"], by_epoch),
        f"Running statistics move by r <- 0.9 r + 0.1 b. 1 - 0.9^10 = {1 - 0.9**10:.1%}, 1 - "
        f"0.9^50 = {1 - 0.9**50:.1%}.",
    )


def divergence(dataset: Dataset) -> str:
    """Large scales without Batch Normalization: in how many of 10 seeds the loss overflows."""
    rows = []
    for a in FIGURE_SCALES[:2]:
        row = [short(a)]
        for dtype in ("float32", "float64"):
            ends = [plain_run(a, in_dtype(dataset, dtype), seed) for seed in SEEDS]
            diverged = sum(not math.isfinite(loss) for loss, _ in ends)
            row += [str(diverged), estimate(accuracy for _, accuracy in ends)]
        rows.append(row)
    header = ["scale", "diverged, float32", "accuracy", "diverged, float64", "accuracy"]
    return page(
        HEADER,
        "Here without Batch Normalization: how many of 10 runs diverge within 20 epochs, and the "
        "last training accuracy that was recorded.",
        table(header, rows),
    )


def plain_run(scale: float, dataset: Dataset, seed: int) -> tuple[float, float]:
    """Return the last loss and accuracy of a network without Batch Normalization."""
    *_, last = epochs_of(*build(shared(scale, batch_norm=False), dataset, seed), dataset)
    return last["train_loss"], last["train_accuracy"]


@functools.cache
def in_dtype(dataset: Dataset, dtype: str) -> Dataset:
    """Return the data set in another floating-point type."""
    return replace(
        dataset, x_train=dataset.x_train.astype(dtype), x_test=dataset.x_test.astype(dtype)
    )


MEASUREMENTS: dict[str, Callable[[Dataset], str]] = {
    measure.__name__: measure
    for measure in (
        step_size,
        output_scale,
        large_scales,
        epsilon,
        chapter_epsilon,
        running_start,
        divergence,
    )
}


def write(name: str, mnist_folder: Path) -> None:
    """Measure what is called `name`, and write it to docs/results/."""
    title = f"# {(MEASUREMENTS[name].__doc__ or name).rstrip('.')}"
    with threadpool_limits(limits=1, user_api="blas"):  # as in an experiment's run
        text = f"{title}\n\n{MEASUREMENTS[name](mnist(root=str(mnist_folder)))}\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
