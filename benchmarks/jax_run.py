"""A run of benchmarks/training.py in JAX: a step and an evaluation, each compiled."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

EPS, MOMENTUM = 1e-7, 0.9


def run(
    dataset: Any,
    sizes: list[int],
    *,
    batch_norm: bool,
    epochs: int,
    steps: int,
    batch: int,
    std: float,
    lr: float,
) -> None:
    rng = np.random.default_rng(0)
    params = [
        {
            "W": jnp.asarray(std * rng.standard_normal(shape), jnp.float32),
            "b": jnp.zeros(shape[1]),
            "gamma": jnp.ones(shape[1]),
        }
        for shape in pairwise(sizes)
    ]
    running = [{"mean": jnp.zeros(size), "var": jnp.zeros(size)} for size in sizes[1:-1]]
    train = jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train)
    test = jnp.asarray(dataset.x_test), jnp.asarray(dataset.y_test)
    for epoch in range(epochs + 1):
        for _ in range(steps if epoch else 0):
            drawn = rng.integers(len(train[0]), size=batch)
            params, running = step(params, running, *train, drawn, lr, batch_norm=batch_norm)
        for x, labels in (train, test):
            jax.block_until_ready(evaluate(params, running, x, labels, batch_norm=batch_norm))


def forward(params: Any, running: Any, x: Any, *, batch_norm: bool, train: bool) -> Any:
    """Return the logits and the running statistics after this pass."""
    moved = []
    *hidden, last = params
    for layer, stats in zip(hidden, running, strict=True):
        x = x @ layer["W"]
        if batch_norm:
            if train:
                mean, var = x.mean(axis=0), x.var(axis=0)
                batch = {"mean": mean, "var": var}
                moved.append({k: MOMENTUM * stats[k] + (1 - MOMENTUM) * batch[k] for k in stats})
            else:
                mean, var = stats["mean"], stats["var"]
            x = layer["gamma"] * (x - mean) / jnp.sqrt(var + EPS)
        x = jax.nn.relu(x + layer["b"])
    return x @ last["W"] + last["b"], moved if moved else running


def cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


@partial(jax.jit, static_argnames="batch_norm", donate_argnums=(0, 1))
def step(
    params: Any, running: Any, x: Any, labels: Any, drawn: Any, lr: float, *, batch_norm: bool
) -> Any:
    def loss(params: Any) -> Any:
        logits, moved = forward(params, running, x[drawn], batch_norm=batch_norm, train=True)
        return cross_entropy(logits, labels[drawn]), moved

    grads, moved = jax.grad(loss, has_aux=True)(params)
    return jax.tree.map(lambda w, g: w - lr * g, params, grads), moved


@partial(jax.jit, static_argnames="batch_norm")
def evaluate(params: Any, running: Any, x: Any, labels: Any, *, batch_norm: bool) -> Any:
    logits, _ = forward(params, running, x, batch_norm=batch_norm, train=False)
    return cross_entropy(logits, labels), jnp.mean(logits.argmax(axis=1) == labels)
