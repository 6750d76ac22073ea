"""The generalisation gap, and the chapter's claim that Batch Normalization narrows it."""

import math
from collections.abc import Sequence

from bnsweep import measures
from bnsweep.comparison import MODEL_KEYS, Axis, Comparison, Line, SweepRun, choose, compare
from bnsweep.estimates import Estimate
from bnsweep.measures import LEARNS
from bnsweep.report.claims import (
    MAX_PAIRS,
    NOTHING_TO_CHOOSE_BY,
    Pair,
    choice_of,
    claim,
    difference_text,
    not_judged,
    who,
    with_each,
)
from bnsweep.report.markdown import table, with_interval

DROPOUT = "model.dropout"
OVERFITTING = "Batch Normalization reduces overfitting"
DROPOUT_LESS = "Dropout matters less"
MAX_VALUES, MAX_CHANGES = 4, 24
COMPARABLE = 0.02  # networks whose training accuracies differ by less have fitted alike


def overfitting(comparison: Comparison) -> list[str]:
    """Say whether Batch Normalization reduces overfitting, pair by pair.

    Gaps are compared between networks that have fitted their training samples alike.
    """
    pairs = comparison.with_and_without()[:MAX_PAIRS]
    alike = [pair for pair in pairs if _fitted_alike(comparison, pair)]
    return [
        _gap_claim(comparison, pair, statements=len(alike))
        if pair in alike
        else _not_comparable(comparison, pair)
        for pair in pairs
    ]


def _fitted_alike(comparison: Comparison, pair: Pair) -> bool:
    train = _finals(comparison, pair, measures.accuracy_on_train)
    difference = Estimate.paired(*train)
    if difference is None or min(Estimate.of([*t.values()]).mean for t in train) < LEARNS:
        return False
    # One seed has no interval: its difference alone has to do.
    ends = (difference.mean,) if math.isnan(difference.low) else (difference.low, difference.high)
    return all(abs(end) <= COMPARABLE for end in ends)


def _gap_claim(comparison: Comparison, pair: Pair, *, statements: int) -> str:
    gaps = _finals(comparison, pair, measures.gap)
    difference = Estimate.paired(*gaps, statements=statements)
    assert difference is not None
    of_each = with_each(pair, gaps)
    return claim(
        OVERFITTING,
        difference,
        "less",
        f"the gap between training and test accuracy is {of_each}; {difference_text(difference)}",
    )


def _not_comparable(comparison: Comparison, pair: Pair) -> str:
    ends = with_each(pair, _finals(comparison, pair, measures.accuracy_on_train))
    return not_judged(
        OVERFITTING,
        f"the training accuracy ends at {ends}; gaps are compared between networks that have "
        "fitted alike",
    )


def changes(comparison: Comparison) -> list[str]:
    """Return a table of what a change of one key alone does to accuracies and gap.

    Of keys with few values, that is: of many, the figure says more.
    """
    pairs = [
        pair
        for index, axis in enumerate(comparison.line_axes)
        if len(axis.values) <= MAX_VALUES
        for pair in _changes_of(comparison, axis, index)
    ]
    if not 0 < len(pairs) <= MAX_CHANGES:
        return []
    quantities = (measures.accuracy_on_train, measures.accuracy_on_test, measures.gap)
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


def _changes_of(comparison: Comparison, axis: Axis, index: int) -> list[tuple[Line, Line]]:
    """Return the changed line and the one it is held against, for each change of a key."""
    if axis.key in MODEL_KEYS:
        return comparison.with_and_without()
    return [
        (changed, reference)
        for reference, changed in comparison.contrast(axis.key)
        if reference.values[index] == axis.values[0]
    ]


def dropout(runs: Sequence[SweepRun]) -> list[str]:
    """Say whether Dropout gains less with Batch Normalization, each at its own best rate."""
    rates = {run.swept.get(DROPOUT) for run in runs}
    if 0 not in rates or len(rates) < 2:
        return []
    try:
        best = choose([run for run in runs if run.swept[DROPOUT] != 0], [DROPOUT])
        without = choose([run for run in runs if run.swept[DROPOUT] == 0], [DROPOUT])
    except ValueError:
        pairs = compare(runs, overlay="all").with_and_without()
        return [not_judged(DROPOUT_LESS, f"the best rate {NOTHING_TO_CHOOSE_BY}")] if pairs else []
    comparison, baseline = compare(best, overlay="all"), compare(without, overlay="all")
    pairs = comparison.with_and_without()[:MAX_PAIRS]
    said = (_dropout_claim(best, comparison, baseline, p, statements=len(pairs)) for p in pairs)
    return [text for text in said if text]


def _dropout_claim(
    best: Sequence[SweepRun],
    comparison: Comparison,
    baseline: Comparison,
    pair: Pair,
    *,
    statements: int,
) -> str:
    after, before = (
        _finals(each, pair, measures.accuracy_on_test) for each in (comparison, baseline)
    )
    gains = [
        {seed: a[seed] - b[seed] for seed in a if seed in b}
        for a, b in zip(after, before, strict=True)
    ]
    difference = Estimate.paired(*gains, statements=statements)
    if difference is None:
        return ""
    estimates = [Estimate.of([*gain.values()], statements=statements) for gain in gains]
    changes = " and by ".join(
        f"{with_interval(estimate, '+z.3f')} with {who(line)} "
        f"({choice_of(best, comparison.results(None, line))})"
        for line, estimate in zip(pair, estimates, strict=True)
    )
    detail = (
        "at the rate that is best on the validation samples, it changes the test accuracy by "
        f"{changes}"
    )
    if difference.verdict != "none" and all(e.verdict != "more" for e in estimates):
        return not_judged(DROPOUT_LESS, f"{detail}, n = {difference.n}: it measurably helps neither")
    return claim(DROPOUT_LESS, difference, "less", f"{detail}; {difference_text(difference)}")


def _finals(
    comparison: Comparison, pair: Pair, quantity: measures.Quantity
) -> list[dict[int, float]]:
    """Return a quantity at the end of the runs of each line of a pair, by seed."""
    return [measures.finals_by_seed(quantity, comparison.results(None, line)) for line in pair]
