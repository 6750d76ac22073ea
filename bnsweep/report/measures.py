"""The quantities that figures and summaries compare: spreads over seeds, speed, gaps, health."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bnsweep.records import EpochRecord, Histogram, RunResult
from bnsweep.report.estimates import Estimate

Floats = NDArray[np.floating[Any]]
Quantity = Callable[[EpochRecord], float]
Health = Literal["healthy", "collapsed", "dead", "saturated", "exploded", "not finite"]

TARGET = 0.9  # the training accuracy whose first epoch is the measure of speed
LEARNS = 0.4  # a final training accuracy a third of the way from chance, 0.1, to perfect
IN_PART = 0.15

MAX_EPOCHS = 400

COLLAPSED_STD = 0.05
EXPLODED_STD = 10.0
DEAD_SHARE = 0.95
SATURATED_SHARE = 0.5
BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


@dataclass(frozen=True)
class Course:
    """Mean and range of one quantity over the seeds, epoch by epoch."""

    epochs: Floats
    mean: Floats
    low: Floats
    high: Floats


def final(quantity: Quantity, results: Sequence[RunResult]) -> Estimate:
    """Return the estimate of a quantity at the last record of each result."""
    values = [quantity(result.epochs[-1]) for result in results]
    return Estimate.of(values, diverged=sum(result.status == "diverged" for result in results))


def by_seed(
    measure: Callable[[RunResult], float], results: Sequence[RunResult]
) -> dict[int, float]:
    """Return what `measure` gives for each result, by the result's seed."""
    return {result.seed: measure(result) for result in results}


def finals_by_seed(quantity: Quantity, results: Sequence[RunResult]) -> dict[int, float]:
    """Return a quantity at the last record of each result, by the result's seed."""
    return by_seed(lambda result: quantity(result.epochs[-1]), results)


def course(quantity: Quantity, results: Sequence[RunResult]) -> Course:
    """Return a quantity's spread over `results` at each epoch.

    A run that ended early keeps its last value as long as another one goes on, as it does in
    its final metrics: dropping it would raise the mean.
    """
    longest = max(results, key=lambda result: result.epochs_run)
    epochs = np.array([record.epoch for record in longest.epochs], float)
    table = np.empty((len(results), len(epochs)))
    for row, result in zip(table, results, strict=True):
        own = np.array([record.epoch for record in result.epochs])
        values = np.array([quantity(record) for record in result.epochs])
        row[:] = values[np.searchsorted(own, epochs, side="right") - 1]
    return Course(epochs, table.mean(axis=0), table.min(axis=0), table.max(axis=0))


def condensed(result: RunResult) -> RunResult:
    """Return `result` with no more epochs than a figure can show, and the same measures.

    A sweep's report holds all of its runs at once: what it takes must not grow with their epochs.
    """
    if len(result.epochs) <= MAX_EPOCHS:
        return result
    step = math.ceil(len(result.epochs) / MAX_EPOCHS)
    kept = {record.epoch: record for record in result.epochs[::step]}
    best = max(result.epochs, key=lambda record: record.validation_accuracy or 0.0)
    target = epochs_to_target(result)
    reached = [record for record in result.epochs if record.epoch == target]
    kept |= {record.epoch: record for record in (*reached, best, result.epochs[-1])}
    return replace(result, epochs=tuple(kept[epoch] for epoch in sorted(kept)))


def accuracy_on_train(record: EpochRecord) -> float:
    """Return the accuracy on the training set."""
    return record.train_accuracy


def accuracy_on_test(record: EpochRecord) -> float:
    """Return the accuracy on the test set."""
    return record.test_accuracy


def gap(record: EpochRecord) -> float:
    """Return the generalisation gap: training accuracy minus test accuracy."""
    return record.train_accuracy - record.test_accuracy


def epochs_to_target(result: RunResult) -> float:
    """Return the first epoch with a training accuracy of `TARGET`; infinity if there is none."""
    reached = (r.epoch for r in result.epochs if r.train_accuracy >= TARGET)
    return float(next(reached, math.inf))


def median_epochs_to_target(results: Sequence[RunResult]) -> float:
    """Return the median over the seeds; infinity if half of them never get there."""
    ordered = sorted(epochs_to_target(result) for result in results)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def share_at_zero(histogram: Histogram) -> float:
    """Return the share of the outputs that a ReLU holds at zero.

    It is what the first bin, if that starts at zero, has more than its neighbour.
    """
    counts = histogram.counts
    if not sum(counts) or histogram.edges[0] != 0:
        return 0.0
    neighbour = counts[1] if len(counts) > 1 else 0
    return max(0, counts[0] - neighbour) / sum(counts)


def histogram_std(histogram: Histogram) -> float:
    """Return the standard deviation of the outputs, as if each lay in the middle of its bin."""
    if not sum(histogram.counts):
        return math.nan
    edges, counts = np.array(histogram.edges), np.array(histogram.counts, float)
    with np.errstate(over="ignore", invalid="ignore"):
        shares, middles = counts / counts.sum(), edges[:-1] / 2 + edges[1:] / 2
        centred = middles - shares @ middles
        return float(np.sqrt(shares @ centred**2))


def shares(histogram: Histogram, edges: Floats) -> Floats:
    """Return the share of all outputs in each bin of `edges`, which need not hold them all."""
    if not (total := sum(histogram.counts)):
        return np.zeros(len(edges) - 1)
    at_zero = share_at_zero(histogram)
    counts = np.array(histogram.counts, float) / total
    counts[0] -= at_zero  # a spike, not something spread over the bin
    below = np.concatenate([[0.0], np.cumsum(counts)])
    rebinned: Floats = np.diff(np.interp(edges, np.array(histogram.edges), below))
    if at_zero:
        rebinned[(edges[:-1] <= 0) & (edges[1:] > 0)] += at_zero
    return rebinned


def health(histogram: Histogram, activation: str) -> Health:
    """Return what a look at a layer's outputs would call them.

    saturated: half or more lie within 5 % of the ends of a bounded activation; dead: 95 % of a
    ReLU's are zero; collapsed: their standard deviation is below 0.05; exploded: above 10.
    """
    if not sum(histogram.counts):
        return "not finite"
    std = histogram_std(histogram)
    if activation in BOUNDS:
        low, high = BOUNDS[activation]
        margin = 0.05 * (high - low)
        inner = np.array([low + margin, high - margin])
        if 1 - shares(histogram, inner)[0] >= SATURATED_SHARE:
            return "saturated"
    if not std <= EXPLODED_STD:
        return "exploded"
    if activation == "relu" and share_at_zero(histogram) >= DEAD_SHARE:
        return "dead"
    return "collapsed" if std < COLLAPSED_STD else "healthy"
