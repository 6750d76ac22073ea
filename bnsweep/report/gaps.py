"""The chapter's claims about the generalisation gap: Batch Normalization narrows it."""

from collections.abc import Sequence

from bnsweep.records import SweepRun
from bnsweep.report import measures
from bnsweep.report.claims import (
    MAX_PAIRS,
    NOTHING_TO_CHOOSE_BY,
    Claim,
    Pair,
    choice_of,
    difference_text,
    judged,
    not_judged,
    who,
    with_each,
)
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, choose, compare
from bnsweep.report.estimates import MIN_SEEDS, Estimate
from bnsweep.report.markdown import table, with_interval
from bnsweep.report.measures import LEARNS

DROPOUT = "model.dropout"
BEST = "at its best rate"
OVERFITTING = "Batch Normalization reduces overfitting"
DROPOUT_LESS = "Dropout matters less"
MAX_VALUES, MAX_CHANGES = 4, 24
COMPARABLE = 0.02  # training accuracies that differ by no more are alike


def overfitting(comparison: Comparison) -> list[Claim]:
    """Judge whether Batch Normalization reduces overfitting, pair by pair.

    Gaps are compared between networks that fit their training samples equally well.
    """
    pairs = comparison.with_and_without[:MAX_PAIRS]
    alike = [pair for pair in pairs if _fitted_alike(comparison, pair)]
    return [
        _gap_claim(comparison, pair, statements=len(alike))
        if pair in alike
        else _not_comparable(comparison, pair)
        for pair in pairs
    ]


def _fitted_alike(comparison: Comparison, pair: Pair) -> bool:
    train = _finals(comparison, pair, measures.TRAIN)
    difference = Estimate.paired(*train)
    if difference is None or min(Estimate.of([*t.values()]).mean for t in train) < LEARNS:
        return False
    # With too few seeds for a verdict, use the mean alone.
    few = difference.n < MIN_SEEDS
    ends = (difference.mean,) if few else (difference.low, difference.high)
    return all(abs(end) <= COMPARABLE for end in ends)


def _gap_claim(comparison: Comparison, pair: Pair, *, statements: int) -> Claim:
    gaps = _finals(comparison, pair, measures.GAP)
    difference = Estimate.paired(*gaps, statements=statements)
    assert difference is not None
    of_each = with_each(pair, gaps)
    return judged(
        OVERFITTING,
        difference,
        "less",
        f"the gap between training and test accuracy is {of_each}; {difference_text(difference)}",
    )


def _not_comparable(comparison: Comparison, pair: Pair) -> Claim:
    ends = with_each(pair, _finals(comparison, pair, measures.TRAIN))
    return not_judged(
        OVERFITTING,
        f"the training accuracy ends at {ends}; gaps are compared between networks that have "
        "fitted alike",
    )


def changes(comparison: Comparison) -> list[str]:
    """Return a table of what changing one key does to the accuracies and the gap.

    Keys with many values are left to the figure.
    """
    few = [axis for axis in comparison.line_axes if len(axis.values) <= MAX_VALUES]
    pairs = list(dict.fromkeys(pair for axis in few for pair in _changes_of(comparison, axis)))
    if not 0 < len(pairs) <= MAX_CHANGES:
        return []
    quantities = (measures.TRAIN, measures.TEST, measures.GAP)
    rows = []
    for changed, reference in pairs:
        differences = [
            Estimate.paired(*_finals(comparison, (changed, reference), quantity))
            for quantity in quantities
        ]
        cells = [with_interval(d, "+z.3f") if d else "-" for d in differences]
        rows.append([f"{changed.label} against {reference.label}", *cells])
    return [
        "Differences between runs of one seed, where one key was changed. Each interval holds by "
        "itself: of twenty, one leaves zero out by chance.",
        table(["", "training", "test", "gap"], rows),
    ]


def _changes_of(comparison: Comparison, axis: Axis) -> list[Pair]:
    """Return each changed line with its reference line, for one key."""
    if axis.key in MODEL_KEYS:
        return comparison.with_and_without
    index, first = comparison.line_axes.index(axis), axis.values[0]
    both_ways = [pair for a, b in comparison.contrast(axis.key) for pair in ((a, b), (b, a))]
    return [pair for pair in both_ways if pair[1].values[index] == first]


def dropout(runs: Sequence[SweepRun]) -> list[Claim]:
    """Judge whether Dropout gains less with Batch Normalization, each at its own best rate."""
    rates = {run.spec.swept.get(DROPOUT) for run in runs}
    if 0 not in rates or len(rates) < 2:
        return []
    try:
        best = choose([run for run in runs if run.spec.swept[DROPOUT] != 0], [DROPOUT])
    except ValueError:
        pairs = compare(runs, overlay="all").with_and_without
        why = f"the best rate {NOTHING_TO_CHOOSE_BY}"
        return [not_judged(DROPOUT_LESS, why)] if pairs else []
    dropped = [run.with_swept({**run.spec.swept, DROPOUT: BEST}) for run in best]
    comparison = compare(
        [*dropped, *(run for run in runs if run.spec.swept[DROPOUT] == 0)], overlay="all"
    )
    keys = [axis.key for axis in comparison.line_axes]
    if DROPOUT not in keys:
        return []
    index = keys.index(DROPOUT)
    pairs = [pair for pair in comparison.with_and_without if pair[0].values[index] == BEST][
        :MAX_PAIRS
    ]
    return [
        _dropout_claim(dropped, comparison, pair, index, statements=len(pairs)) for pair in pairs
    ]


def _dropout_claim(
    runs: Sequence[SweepRun], comparison: Comparison, pair: Pair, index: int, *, statements: int
) -> Claim:
    gains: list[dict[int, float]] = []
    for line in pair:
        without = comparison.changed(line, index, 0)
        if without is None:
            return not_judged(DROPOUT_LESS, f"{who(line)} has no result without it")
        after, before = _finals(comparison, (line, without), measures.TEST)
        gains.append({seed: after[seed] - before[seed] for seed in after if seed in before})
    difference = Estimate.paired(*gains, statements=statements)
    if difference is None:
        return not_judged(DROPOUT_LESS, "the four networks have no seed in common")
    estimates = [Estimate.of([*gain.values()], statements=statements) for gain in gains]
    gained = " and by ".join(
        f"{with_interval(estimate, '+z.3f')} with {who(line)} "
        f"({choice_of(runs, comparison.results(None, line))})"
        for line, estimate in zip(pair, estimates, strict=True)
    )
    detail = f"chosen on the validation samples, it changes the test accuracy by {gained}"
    if difference.verdict != "none" and all(e.verdict != "more" for e in estimates):
        return not_judged(
            DROPOUT_LESS, f"{detail}, n = {difference.n}: it measurably helps neither"
        )
    return judged(DROPOUT_LESS, difference, "less", f"{detail}; {difference_text(difference)}")


def _finals(
    comparison: Comparison, pair: Pair, quantity: measures.Quantity
) -> list[dict[int, float]]:
    """Return the final values of a quantity for each line of a pair, by seed."""
    return [measures.finals_by_seed(quantity, comparison.results(None, line)) for line in pair]
