"""The quantities that figures and summaries compare: spreads over seeds, speed, gaps, health."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bnsweep.nn.layers  # noqa: F401 (each activation enters itself in ACTIVATIONS)
from bnsweep.records import Histogram, RunResult
from bnsweep.records.keys import ACTIVATIONS, rounded
from bnsweep.report.estimates import Estimate

Floats = NDArray[np.floating[Any]]
Ends = tuple[float, float]
Quantity = str  # the name of a curve, or GAP
Health = Literal["healthy", "collapsed", "dead", "saturated", "exploded", "not finite"]

ARROW = " \N{RIGHTWARDS ARROW} "  # from before training to after

TRAIN = "train_accuracy"
TEST = "test_accuracy"
GAP = "gap"  # the generalisation gap: training accuracy minus test accuracy

QUANTITY_NAMES = {
    TRAIN: "training accuracy",
    TEST: "test accuracy",
    "validation_accuracy": "validation accuracy",
    GAP: "generalisation gap",
}

TARGET = 0.9  # speed is the number of epochs until this training accuracy
LEARNS = 0.4  # a final training accuracy a third of the way from chance (0.1) to 1

COLLAPSED_STD = 0.05
EXPLODED_STD = 10.0
DEAD_SHARE = 0.95
SATURATED_SHARE = 0.5


@dataclass(frozen=True)
class Course:
    """Mean and range of one quantity over the seeds, epoch by epoch."""

    epochs: NDArray[np.integer[Any]]
    mean: Floats
    low: Floats
    high: Floats


def curve(quantity: Quantity, result: RunResult) -> Floats:
    """Return a quantity at each epoch of a result.

    Raises:
        ValueError: it was not measured.
    """
    if quantity == GAP:
        return result.curves[TRAIN] - result.curves[TEST]
    if quantity not in QUANTITY_NAMES or quantity not in result.curves:
        known = ", ".join(name for name in QUANTITY_NAMES if name in (*result.curves, GAP))
        raise ValueError(f"quantity {quantity}: was not measured in all runs; give one of {known}")
    return result.curves[quantity]


def last(quantity: Quantity, result: RunResult) -> float:
    """Return a quantity at the last epoch of a result."""
    return float(curve(quantity, result)[-1])


def learns(result: RunResult) -> bool:
    """Whether the run has learnt something: its training accuracy ends at `LEARNS` or more."""
    return last(TRAIN, result) >= LEARNS


def final(quantity: Quantity, results: Sequence[RunResult]) -> Estimate:
    """Return the estimate of a quantity at the last epoch of each result."""
    values = [last(quantity, result) for result in results]
    return Estimate.of(values, diverged=sum(result.status == "diverged" for result in results))


def by_seed(
    measure: Callable[[RunResult], float], results: Sequence[RunResult]
) -> dict[int, float]:
    """Return `measure` of each result, by seed."""
    return {result.spec.seed: measure(result) for result in results}


def finals_by_seed(quantity: Quantity, results: Sequence[RunResult]) -> dict[int, float]:
    """Return a quantity at the last epoch of each result, by seed."""
    return by_seed(lambda result: last(quantity, result), results)


def course(quantity: Quantity, results: Sequence[RunResult]) -> Course:
    """Return a quantity's spread over `results` at each epoch.

    A run that ended early keeps its last value until the longest run ends, as in its final
    metrics: dropping it would raise the mean.
    """
    longest = max(result.epochs_run for result in results)
    rows = [curve(quantity, result) for result in results]
    missing = (longest + 1 - len(row) for row in rows)
    table = np.array(
        [np.append(row, [row[-1]] * n) if n else row for row, n in zip(rows, missing, strict=True)]
    )
    epochs = np.arange(longest + 1)
    return Course(epochs, table.mean(axis=0), table.min(axis=0), table.max(axis=0))


def epochs_needed(result: RunResult) -> float:
    """Return the first epoch with a training accuracy of `TARGET`; infinity if there is none."""
    reached = np.flatnonzero(result.curves[TRAIN] >= TARGET)
    return float(reached[0]) if reached.size else math.inf


def median_epochs_needed(results: Sequence[RunResult]) -> float:
    """Return the median over the seeds; infinity if half the seeds never reach `TARGET`."""
    ordered = sorted(epochs_needed(result) for result in results)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


class Spread(NamedTuple):
    """A quantity over the seeds of one place: its middle, ends, and how many of n runs diverged."""

    middle: float
    low: float
    high: float
    diverged: int
    n: int

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends as drawn: the middle where one seed has no interval."""
        return (self.low, self.high) if math.isfinite(self.high) else (self.middle, self.middle)


def mean_and_interval(quantity: Quantity, results: Sequence[RunResult]) -> Spread:
    """Return the mean of a quantity at the last epoch and its interval: NaN for one seed."""
    estimate = final(quantity, results)
    return Spread(estimate.mean, estimate.low, estimate.high, estimate.diverged, estimate.n)


def median_and_range(results: Sequence[RunResult], *, most: float) -> Spread:
    """Return the epochs needed to reach `TARGET`: median and range, none of them above `most`."""
    needed = [min(epochs_needed(result), most) for result in results]
    median = min(median_epochs_needed(results), most)
    return Spread(median, min(needed), max(needed), sum(map(diverged, results)), len(needed))


def diverged(result: RunResult) -> bool:
    """Whether a run diverged."""
    return result.status == "diverged"


def last_epoch(results: Sequence[RunResult]) -> int:
    """Return the last epoch of the longest run, at least 1."""
    return max([1, *(result.epochs_run for result in results)])


def chance(results: Sequence[RunResult]) -> float | None:
    """Return the accuracy of guessing: one over the number of classes; None unless it is one."""
    classes = {result.spec.data.get("classes") for result in results}
    (number,) = classes if len(classes) == 1 else (None,)
    return 1 / number if number else None


def share_at_zero(histogram: Histogram) -> float:
    """Return the share of the outputs that a ReLU holds at zero.

    It is the first bin's excess over the second, if the first bin starts at zero.
    """
    counts = histogram.counts
    if not sum(counts) or histogram.edges[0] != 0:
        return 0.0
    neighbour = counts[1] if len(counts) > 1 else 0
    return max(0, counts[0] - neighbour) / sum(counts)


def histogram_std(histogram: Histogram) -> float:
    """Return the standard deviation of the outputs, with each at the middle of its bin."""
    if not sum(histogram.counts):
        return math.nan
    edges, counts = np.array(histogram.edges), np.array(histogram.counts, float)
    with np.errstate(over="ignore", invalid="ignore"):
        shares, middles = counts / counts.sum(), edges[:-1] / 2 + edges[1:] / 2
        centred = middles - shares @ middles
        return float(np.sqrt(shares @ centred**2))


def shares(histogram: Histogram, edges: Floats) -> Floats:
    """Return the share of all outputs in each bin of `edges`; some may lie in none."""
    if not (total := sum(histogram.counts)):
        return np.zeros(len(edges) - 1)
    at_zero = share_at_zero(histogram)
    counts = np.array(histogram.counts, float) / total
    counts[0] -= at_zero  # a spike at zero, not spread over the bin
    below = np.concatenate([[0.0], np.cumsum(counts)])
    rebinned: Floats = np.diff(np.interp(edges, np.array(histogram.edges), below))
    rebinned[(edges[:-1] <= 0) & (edges[1:] > 0)] += at_zero
    return rebinned


def quantiles(histogram: Histogram, shares: Sequence[float]) -> Floats:
    """Return the values below which these shares of the outputs lie."""
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)]) / sum(histogram.counts)
    values: Floats = np.interp(shares, below, np.array(histogram.edges))
    return values


def bounds(activation: str, *, within: tuple[float, float] = (-math.inf, math.inf)) -> Ends:
    """Return the bounds of an activation's outputs, cut to those of `within`.

    An unknown activation, such as one of the user's own model, is unbounded.
    """
    low, high = ACTIVATIONS[activation].bounds if activation in ACTIVATIONS else within
    return max(low, within[0]), min(high, within[1])


def is_rectifier(activation: str) -> bool:
    """Whether an activation's outputs start at zero and are unbounded above."""
    return bounds(activation) == (0.0, math.inf)


def health(histogram: Histogram, activation: str) -> Health:
    """Classify a layer by its outputs.

    saturated: half or more lie within 5 % of the bounds of a bounded activation; dead: 95 % or
    more of a ReLU's are zero; collapsed: the standard deviation is below 0.05; exploded: it is
    above 10.
    """
    if not sum(histogram.counts):
        return "not finite"
    std = histogram_std(histogram)
    low, high = bounds(activation)
    if math.isfinite(high - low):
        margin = 0.05 * (high - low)
        inner = np.array([low + margin, high - margin])
        if 1 - shares(histogram, inner)[0] >= SATURATED_SHARE:
            return "saturated"
    if not std <= EXPLODED_STD:
        return "exploded"
    if is_rectifier(activation) and share_at_zero(histogram) >= DEAD_SHARE:
        return "dead"
    return "collapsed" if std < COLLAPSED_STD else "healthy"


def reach(results: Iterable[RunResult]) -> float:
    """Return where the outputs of unbounded activations end, in layers that are healthy."""
    ends = [
        quantiles(histogram, [0.99])[0]
        for result in results
        if math.isinf(bounds(str(result.spec.value("model.activation")))[1])
        for histogram in (*result.initial_activations, *result.final_activations)
        if health(histogram, "") == "healthy"
    ]
    return math.ceil(float(np.median(ends))) if ends else 3.0


def layer_facts(pair: Sequence[Histogram], activation: str) -> tuple[str, str]:
    """Return the spread of a layer before and after training, and the share that is at zero.

    The share is empty unless the activation is a ReLU.
    """
    stds = ARROW.join(rounded(histogram_std(histogram), 2) for histogram in pair)
    zeros = (f"{share_at_zero(h):.0%}" if sum(h.counts) else "-" for h in pair)
    return stds, ARROW.join(zeros) if is_rectifier(activation) else ""
