"""A rehearsal of runs: their parts are built, and a step is taken, before any of them exists.

What a user's own data set, model or optimizer fails at is told before the first run, not by it.
"""

import contextlib
import math
import os
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bnsweep.data import Dataset
from bnsweep.errors import ConfigError
from bnsweep.nn.columns import Array, Labels
from bnsweep.nn.network import EVALUATION_ROWS
from bnsweep.nn.optimizers import Optimizer
from bnsweep.nn.training import check_dtypes
from bnsweep.records.keys import Config, Value, flatten, is_ours, shown
from bnsweep.run.build import build_network, build_optimizer, load_dataset
from bnsweep.run.execute import Draws
from bnsweep.run.users_code import refuse, told

# The launchers whose runs have the memory of this machine.
HERE = ("hydra_plugins.bnsweep.", "hydra._internal.", "hydra_plugins.hydra_joblib_launcher.")
SECONDS = 3.0
WARM_UP = 1000  # steps within which an optimizer moves something


@dataclass(frozen=True)
class _Sample:
    """A few samples of a data set, and what describes all of it."""

    facts: Mapping[str, Value]
    classes: int
    x: Array
    y: Labels

    @classmethod
    def of(cls, dataset: Dataset) -> "_Sample":
        x = dataset.x_train[:EVALUATION_ROWS].copy()
        x.setflags(write=False)  # as in a run
        return cls(dataset.facts, dataset.classes, x, dataset.y_train[:EVALUATION_ROWS].copy())


class Rehearsal:
    """What is called with the configuration of each run, and tries what is new in it.

    A user's own part is tried with each choice of its values. Ours is tried once for each set of
    keys, and with as few units as there may be: its values are checked by their bounds. After some
    seconds that holds for a user's own, too, since a sweep may have a choice for each of its runs.

    Args:
        launcher: the configuration of what will start the runs, if it is not this process.
    """

    def __init__(self, launcher: Mapping[str, Any] | None = None) -> None:
        here = launcher is None or str(launcher.get("_target_")).startswith(HERE)
        self._memory = _memory() if here else math.inf
        self._samples: dict[str, _Sample] = {}
        self._tried: set[str] = set()
        self._seconds = 0.0

    def __call__(self, config: Config) -> Mapping[str, Value]:
        """Rehearse a run, and return what describes its data set.

        Raises:
            ConfigError, DataError: it cannot be done.
        """
        place = repr((config["data"], config["dtype"]))
        if place not in self._samples:
            dataset = load_dataset(config)
            with told("data", config["data"]):
                self._samples[place] = _Sample.of(dataset)
        sample = self._samples[place]
        _check_memory(config, sample, self._memory)
        parts, std = [config["model"], config["optimizer"]], config["weight_std"]
        given = (sample.x.shape[1], sample.classes, config["dtype"], isinstance(std, str) and std)
        kind = repr((given, [(part.get("_target_"), sorted(flatten(part))) for part in parts]))
        choice = repr((kind, [part for part in parts if not _is_all_ours(part)]))
        if choice in self._tried or (kind in self._tried and self._seconds > SECONDS):
            return sample.facts
        start = time.monotonic()
        _take_a_step(config, sample)
        self._seconds += time.monotonic() - start
        self._tried |= {kind, choice}
        return sample.facts


def _is_all_ours(part: Mapping[str, Any]) -> bool:
    """Whether a part of a run is of this package, and all that is put into it, too."""
    targets = (value for key, value in flatten(part).items() if f".{key}".endswith("._target_"))
    return is_ours(part) and all(is_ours({"_target_": target}) for target in targets)


def _take_a_step(config: Config, sample: _Sample) -> None:
    """Build the network and the optimizer of a run, evaluate, take a step, and evaluate again."""
    model, optimizer_config = config["model"], config["optimizer"]
    if _is_all_ours(model) and "hidden_sizes" in model:
        config = config | {"model": model | {"hidden_sizes": [1] * len(model["hidden_sizes"][:2])}}
    shape = {"inputs": sample.x.shape[1], "classes": sample.classes}
    network = build_network(config, Draws.of(config["seed"]), **shape)
    optimizer = build_optimizer(config)
    batch = slice(config["training"]["batch_size"])
    x, y = sample.x[batch], sample.y[batch]
    with np.errstate(all="ignore"):
        with told("model", model):
            check_dtypes(network, x)
            with network.statistics_of(x):
                logits = network.logits(x)
                network.hidden_outputs(x)
            if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < sample.classes:
                expected = f"({len(x)}, {sample.classes}), a logit for each class"
                refuse("model", model, f"gives logits of shape {logits.shape}; must be {expected}")
            w, g = network.params, network.gradient(x.copy(), y)
            before = w.copy()
        with told("optimizer", optimizer_config):
            optimizer.start(w)
            optimizer.update(w, g, n_weights=network.n_weights)
            if np.array_equal(w, before) and not is_ours(optimizer_config) and _stands(optimizer):
                problem = "step leaves w as it was; must change it in place (w -= ..., not w = ...)"
                refuse("optimizer", optimizer_config, problem)
        with told("model", model):
            network.logits(x)


def _stands(optimizer: Optimizer) -> bool:
    """Whether an optimizer moves nothing, by however little, and after however slow a start."""
    rng = np.random.default_rng(0)
    w = np.zeros(10)  # no step is too small to be seen from here
    try:
        optimizer.start(w)
        for _ in range(WARM_UP):
            optimizer.update(w, rng.standard_normal(w.size), n_weights=w.size // 2)
            if w.any():
                return False
    except Exception:  # these parameters are not the network's own: it proves nothing
        return False
    return True


def _check_memory(config: Config, sample: _Sample, there: float) -> None:
    """Refuse a network that surely does not fit, by the bytes of its weights and their gradient."""
    if not is_ours(config["model"]):
        return
    hidden = config["model"].get("hidden_sizes", [])
    sizes = [sample.x.shape[1], *hidden, sample.classes]
    weights = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    needed = 2 * weights * sample.x.itemsize
    if needed > there:
        widths = shown(hidden if len(hidden) <= 10 else [*hidden[:10], "..."])
        raise ConfigError(
            f"model.hidden_sizes={widths}: {weights:,} weights and their gradient need "
            f"{_gigabytes(needed)} GB, and there are {_gigabytes(there)} GB of memory; give "
            "smaller or fewer widths"
        )


def _gigabytes(size: float) -> str:
    return f"{Decimal(size) / 10**9:.3g}"


def _memory() -> float:
    """Return the bytes that this process may have: of the machine, or by a limit."""
    limits = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    if (limit := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
        limits.append(limit)
    return min([*limits, *_group_limits()])


def _group_limits() -> Iterator[float]:
    """Yield the limits of the control groups that this process is in, on Linux."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            group = Path(line.rpartition(":")[2].lstrip("/"))
            for folder in (group, *group.parents):
                with contextlib.suppress(OSError, ValueError):
                    yield int((Path("/sys/fs/cgroup") / folder / "memory.max").read_text())
