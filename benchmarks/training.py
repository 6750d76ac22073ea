"""The training loop against the bare matrix products of the same network.

    python benchmarks/training.py               # and PyTorch and JAX, where installed
    python benchmarks/training.py --products    # the seconds of the products alone

The network is 784-100-100-100-100-100-10 in float32; a run is 20 epochs of 10 steps of 100
samples, and 21 evaluations on 1000 training and 1000 test samples, on one core. All
contenders run in turn, so that each is set against products timed beside it: times wander
on shared machines, ratios hardly do. Prints a table, writes benchmarks/results/training.json.
"""

import argparse
import functools
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bnsweep.data.datasets import Dataset
from bnsweep.nn.network import mlp
from bnsweep.nn.optimizers import SGD
from bnsweep.nn.training import train

RESULTS = Path(__file__).parent / "results"
SIZES = [784, 100, 100, 100, 100, 100, 10]
EPOCHS, STEPS, BATCH, SAMPLES = 20, 10, 100, 1000
WEIGHT_STD, LR = 0.05, 0.01


def main() -> None:
    options = arguments()
    if hasattr(os, "sched_setaffinity"):
        # XLA uses a second core whatever its flags say.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with threadpool_limits(limits=1, user_api="blas"):
        measure(options.rounds, only_products=options.products)


def measure(rounds: int, *, only_products: bool) -> None:
    dataset = samples()
    products = Products(dataset)
    if only_products:
        products()
        print(statistics.median(timed(products) for _ in range(rounds)))
        return
    contenders: dict[str, Callable[[], object]] = {
        "bnsweep, batchnorm": lambda: run(dataset, batch_norm=True),
        "bnsweep, plain": lambda: run(dataset, batch_norm=False),
    }
    contenders |= frameworks(dataset)
    seconds: dict[str, list[float]] = {name: [] for name in ("products", *contenders)}
    for contender in (products, *contenders.values()):
        contender()  # caches filled, compilers done
    for _ in range(rounds):
        for name, contender in {"products": products, **contenders}.items():
            seconds[name].append(timed(contender))
    rows = {name: row(times, seconds["products"]) for name, times in seconds.items()}
    for library in ("bnsweep", "PyTorch", "JAX"):
        times = [seconds[name] for name in seconds if name.startswith(library)]
        if times:
            both = [statistics.mean(pair) for pair in zip(*times, strict=True)]
            rows[f"{library}, both models"] = row(both, seconds["products"])
    show(rows)
    RESULTS.mkdir(exist_ok=True)
    result = {"machine": machine(), "rounds": rounds, "rows": rows}
    (RESULTS / "training.json").write_text(json.dumps(result, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each one runs")
    parser.add_argument("--products", action="store_true", help="only print their seconds")
    return parser.parse_args()


def samples() -> Dataset:
    """Return samples of MNIST's size, four in five pixels dark; what they show costs no time."""
    rng = np.random.default_rng(0)
    x = rng.random((2 * SAMPLES, SIZES[0])) * (rng.random((2 * SAMPLES, SIZES[0])) < 0.2)
    x, labels = x.astype("float32"), rng.integers(SIZES[-1], size=2 * SAMPLES)
    return Dataset(
        name="random",
        x_train=x[:SAMPLES],
        y_train=labels[:SAMPLES],
        x_test=x[SAMPLES:].copy(),
        y_test=labels[SAMPLES:],
        classes=SIZES[-1],
    )


def run(dataset: Dataset, *, batch_norm: bool) -> None:
    """Train a network as a run of a sweep does."""
    rng = np.random.default_rng(0)
    network = mlp(
        SIZES[1:-1],
        batch_norm=batch_norm,
        inputs=SIZES[0],
        classes=SIZES[-1],
        weight_std=WEIGHT_STD,
        rng=rng,
        dropout_rng=rng,
        dtype="float32",
    )
    records = train(
        network,
        SGD(lr=LR),
        dataset,
        epochs=EPOCHS,
        batch_size=BATCH,
        sampling="replacement",
        rng=rng,
    )
    assert len(list(records)) == EPOCHS + 1


class Products:
    """The matrix products of a run and nothing else, each into an array made beforehand."""

    def __init__(self, dataset: Dataset) -> None:
        rng = np.random.default_rng(0)

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape, dtype=np.float32)

        self.sets = (dataset.x_train, dataset.x_test)
        self.W = [normal(*shape) for shape in pairwise(SIZES)]
        self.x = [normal(BATCH, size) for size in SIZES]
        self.hidden = [normal(SAMPLES, size) for size in SIZES]
        self.y = [normal(BATCH, size) for size in SIZES]
        self.dW = [np.empty_like(W) for W in self.W]
        self.dx = [np.empty_like(x) for x in self.x]
        self.out = [np.empty_like(x) for x in self.hidden]

    def __call__(self) -> None:
        """Multiply."""
        layers = range(len(self.W))
        for epoch in range(EPOCHS + 1):
            for _ in range(STEPS if epoch else 0):
                for k in layers:
                    np.matmul(self.x[k], self.W[k], out=self.y[k + 1])
                for k in reversed(layers):
                    np.matmul(self.x[k].T, self.y[k + 1], out=self.dW[k])
                    if k:
                        np.matmul(self.y[k + 1], self.W[k].T, out=self.dx[k])
            for x in self.sets:
                for k in layers:
                    np.matmul(self.hidden[k] if k else x, self.W[k], out=self.out[k + 1])


def frameworks(dataset: Dataset) -> dict[str, Callable[[], object]]:
    """Return the same run in each framework that is installed."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"  # read when JAX is imported
    found: dict[str, Callable[[], object]] = {}
    for library, package in (("PyTorch", "torch"), ("JAX", "jax")):
        if importlib.util.find_spec(package):
            once = functools.partial(
                importlib.import_module(f"{package}_run").run,
                *(dataset, SIZES),
                **{"epochs": EPOCHS, "steps": STEPS, "batch": BATCH, "std": WEIGHT_STD, "lr": LR},
            )
            found[f"{library}, batchnorm"] = functools.partial(once, batch_norm=True)
            found[f"{library}, plain"] = functools.partial(once, batch_norm=False)
    return found


def timed(contender: Callable[[], object]) -> float:
    start = time.perf_counter()
    contender()
    return time.perf_counter() - start


def row(times: list[float], products: list[float]) -> dict[str, float]:
    """Return medians of the seconds and of the ratios to the products of the same round."""
    ratios = [a / b for a, b in zip(times, products, strict=True)]
    return {"seconds": statistics.median(times), "ratio": statistics.median(ratios)}


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}"
    )


def show(rows: dict[str, dict[str, float]]) -> None:
    print(machine())
    print(f"{'':24} {'seconds':>8} {'/ products':>11}")
    for name, values in rows.items():
        print(f"{name:24} {values['seconds']:8.3f} {values['ratio']:11.2f}")


if __name__ == "__main__":
    main()
