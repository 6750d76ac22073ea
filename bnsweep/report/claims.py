"""The three claims that the chapter makes of Batch Normalization, held against a sweep.

Each function returns lines of text, and none where the sweep cannot say: where it does not
compare networks that differ in Batch Normalization and in nothing else.
"""

import math
from collections.abc import Iterable

from bnsweep import measures
from bnsweep.comparison import Axis, Comparison, Line
from bnsweep.labels import Value
from bnsweep.measures import LEARNS, TARGET, Spread
from bnsweep.report.markdown import listing

HOLDS, FAILS = "holds", "does not hold here"
UNDECIDED = "is undecided, the difference being within the spread of the seeds"
STEADY = 0.2  # a final accuracy that moves less over all scales depends little on them


def finals(comparison: Comparison, line: Line) -> dict[Value, Spread]:
    """Return the final training accuracy of a line at each value across that has a result."""
    found = {value: comparison.results(value, line) for value in comparison.values}
    return {v: measures.final(measures.accuracy_on_train, r) for v, r in found.items() if r}


def fastest(comparison: Comparison, line: Line) -> tuple[Value, Spread] | None:
    """Return the value at which a line reaches the target first, and the epochs to it.

    The spread holds the median of the seeds as its mean. Of several values as fast, it is the
    one with the least spread, and of those the one with the higher training accuracy.
    """
    speeds = {}
    for value, final in finals(comparison, line).items():
        results = comparison.results(value, line)
        median = measures.median_epochs_to_target(results)
        epochs = [measures.epochs_to_target(result) for result in results]
        if math.isfinite(median):
            speeds[value] = Spread(median, min(epochs), max(epochs)), final.mean

    def slowness(value: Value) -> tuple[float, float, float]:
        spread, end = speeds[value]
        return spread.mean, spread.high - spread.low, -end

    best = min(speeds, key=slowness, default=None)
    return None if best is None else (best, speeds[best][0])


def largest(comparison: Comparison, line: Line, threshold: float) -> Value:
    """Return the largest value at which a line ends with an accuracy of `threshold` or more."""
    ends = finals(comparison, line)
    return max((value for value, spread in ends.items() if spread.mean >= threshold), default=None)


def initial_weights(comparison: Comparison) -> list[str]:
    """Say whether the result depends less on the initial weights with Batch Normalization."""
    axis, said = comparison.across, []
    if not axis or axis.key != "weight_std":
        return []
    for normed, plain in comparison.pairs():
        ends, others = finals(comparison, normed), finals(comparison, plain)
        both = [value for value in axis.values if value in ends and value in others]
        if len(both) < 2:
            continue
        learns, other_learns = (
            sum(found[value].mean >= LEARNS for value in both) for found in (ends, others)
        )
        moves, other_moves = (_extent(found[v].mean for v in both) for found in (ends, others))
        if (learns, -moves) <= (other_learns, -other_moves):
            outcome = FAILS
        elif learns < len(both) or moves >= STEADY:
            outcome = "holds in part"
        else:
            outcome = HOLDS
        low, high = (pick(both, key=lambda v: ends[v].mean) for pick in (min, max))
        text = (
            f"Claim: the result depends little on the initial weights. It **{outcome}**: "
            f"{normed.label} learns at {learns} of {len(both)} scales, {plain.label} at "
            f"{other_learns}. The final training accuracy of {normed.label} goes from "
            f"{ends[low].mean:.2f} ({axis.equation(low)}) to {ends[high].mean:.2f} "
            f"({axis.equation(high)}), over a range of {moves:.2f}; that of {plain.label} over "
            f"{other_moves:.2f}."
        )
        if behind := [value for value in both if others[value].low > ends[value].high]:
            text += f" At {axis.label} = {listing(axis, behind)}, {plain.label} ends higher."
        said += [text, ""]
    return said[:-1]


def learning_rate(comparison: Comparison) -> list[str]:
    """Say whether learning is faster, and possible at larger rates, with Batch Normalization."""
    axis, said = comparison.across, []
    if not axis or axis.key != "optimizer.lr" or not axis.numeric:
        return []
    for normed, plain in comparison.pairs():
        said += [_larger_rate(comparison, axis, normed, plain), ""]
        said += [_faster(comparison, axis, normed, plain), ""]
    return said[:-1]


def _larger_rate(comparison: Comparison, axis: Axis, normed: Line, plain: Line) -> str:
    claim = "Claim: the learning rate can be larger."
    rate, other = (largest(comparison, line, LEARNS) for line in (normed, plain))
    if rate is None and other is None:
        return f"{claim} Neither {normed.label} nor {plain.label} learns at any rate tried."
    outcome = HOLDS if other is None or (rate or 0) > other else FAILS
    said = [
        f"{line.label} learns at none of the rates"
        if found is None
        else f"{line.label} still learns at {axis.text(found)}"
        + (", the largest tried" if found == max(axis.values) else "")
        for line, found in ((normed, rate), (plain, other))
    ]
    factor = f", a factor of {rate / other:.3g}" if rate and other else ""
    return f"{claim} It **{outcome}**: {said[0]}; {said[1]}{factor}."


def _faster(comparison: Comparison, axis: Axis, normed: Line, plain: Line) -> str:
    claim = "Claim: learning is faster."
    best, other = (fastest(comparison, line) for line in (normed, plain))
    if best is None and other is None:
        return f"{claim} Neither {normed.label} nor {plain.label} reaches {TARGET:.0%}."
    said = [
        f"{line.label} reaches {TARGET:.0%} at no rate tried"
        if found is None
        else f"{line.label} at its best rate, {axis.text(found[0])}, needs {_epochs(found[1])} "
        f"to {TARGET:.0%}"
        for line, found in ((normed, best), (plain, other))
    ]
    factor = ""
    if best is None or other is None:
        outcome = HOLDS if other is None else FAILS
    else:
        outcome = verdict(comparison, best[1], other[1])
        factor = f": a speed-up of {other[1].mean / max(best[1].mean, 1):.2g}"
    return f"{claim} It **{outcome}**: {said[0]}; {said[1]}{factor}."


def verdict(comparison: Comparison, normed: Spread, plain: Spread) -> str:
    """Return whether a quantity is smaller with Batch Normalization, beyond the seeds' spread."""
    if comparison.repeats > 1 and normed.overlaps(plain):
        return UNDECIDED
    return HOLDS if normed.mean < plain.mean else FAILS


def _extent(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return max(found) - min(found)


def _epochs(spread: Spread) -> str:
    if spread.low == spread.high:
        return f"{spread.mean:g} epochs"
    ends = [f"{end:g}" if math.isfinite(end) else "never" for end in (spread.low, spread.high)]
    return f"{spread.mean:g} epochs ({ends[0]} to {ends[1]})"
