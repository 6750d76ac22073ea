"""The chapter's claims about the generalisation gap: Batch Normalization narrows it."""

from collections.abc import Sequence

from bnsweep.records import SweepRun
from bnsweep.report import measures
from bnsweep.report.claims import (
    COLUMNS,
    NOTE,
    NOTHING_TO_CHOOSE_BY,
    choice_of,
    compared_cells,
    difference_text,
    finals,
    with_each,
)
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, Line, choose, compare
from bnsweep.report.estimates import MIN_SEEDS, Estimate
from bnsweep.report.markdown import long_table, with_interval
from bnsweep.report.measures import LEARNS
from bnsweep.report.verdicts import Claim, Judgement, Pair, outcome_of, pairs_of
from bnsweep.report.words import in_words

DROPOUT = "model.dropout"
BEST = "at its best rate"
OVERFITTING = "Batch Normalization reduces overfitting"
DROPOUT_LESS = "Dropout matters less"
MAX_VALUES = 4  # of a key whose changes are listed
COMPARABLE = 0.02  # training accuracies that differ by no more are alike


def overfitting(comparison: Comparison) -> list[Claim]:
    """Judge whether Batch Normalization reduces overfitting, pair by pair.

    Gaps are compared between networks that fit their training samples equally well.
    """
    pairs = pairs_of(comparison)
    alike = [pair for pair in pairs if _fitted_alike(comparison, pair)]
    claim = Claim(
        OVERFITTING,
        [_gap(comparison, pair, alike=pair in alike, statements=len(alike)) for pair in pairs],
        changes="the gap between training and test accuracy changes by",
        note=f"The gap between training and test accuracy, {NOTE}; and the training accuracies.",
        head=(*COLUMNS, "training with BN", "training without BN"),
    )
    return [claim] if pairs else []


def _fitted_alike(comparison: Comparison, pair: Pair) -> bool:
    train = finals(comparison, pair.lines, measures.TRAIN)
    difference = Estimate.paired(*train)
    if difference is None or min(Estimate.of([*t.values()]).mean for t in train) < LEARNS:
        return False
    # With too few seeds for a verdict, use the mean alone.
    few = difference.n < MIN_SEEDS
    ends = (difference.mean,) if few else (difference.low, difference.high)
    return all(abs(end) <= COMPARABLE for end in ends)


def _gap(comparison: Comparison, pair: Pair, *, alike: bool, statements: int) -> Judgement:
    train = finals(comparison, pair.lines, measures.TRAIN)
    gaps = finals(comparison, pair.lines, measures.GAP)
    fitted = [with_interval(Estimate.of([*of_line.values()])) for of_line in train]
    difference = Estimate.paired(*gaps, statements=statements) if alike else None
    if difference is None:
        ends = with_each(pair, train)
        return Judgement(
            pair,
            "not judged",
            f"the training accuracy ends at {ends}; gaps are compared between networks that have "
            "fitted alike",
            reason="the two have not fitted alike",
            cells=("-",) * len(COLUMNS) + tuple(fitted),
        )
    of_each = with_each(pair, gaps)
    return Judgement(
        pair,
        outcome_of(difference, "less"),
        f"the gap between training and test accuracy is {of_each}; {difference_text(difference)}",
        difference=difference,
        difference_text=with_interval(difference, "+z.3f"),
        cells=(*compared_cells(gaps, difference), *fitted),
    )


def changes(comparison: Comparison) -> list[str]:
    """Return a table of what changing one key does to the accuracies and the gap.

    Keys with many values are left to the figure.
    """
    few = [axis for axis in comparison.line_axes if len(axis.values) <= MAX_VALUES]
    pairs = list(dict.fromkeys(pair for axis in few for pair in _changes_of(comparison, axis)))
    if not pairs:
        return []
    rows = []
    for lines in pairs:
        pair = Pair.of(comparison, lines)
        differences = [
            Estimate.paired(*finals(comparison, lines, quantity))
            for quantity in (measures.TRAIN, measures.TEST, measures.GAP)
        ]
        cells = [with_interval(d, "+z.3f") if d else "-" for d in differences]
        rows.append([" against ".join(pair.names), pair.shared or "-", *cells])
    many = [axis.label for axis in comparison.line_axes if axis not in few]
    note = (
        "Differences between runs of one seed, where one key was changed. Each interval holds by "
        "itself: of twenty, one leaves zero out by chance."
    )
    if many:
        has = "has" if len(many) == 1 else "have"
        note += f" {in_words(many)} {has} more than {MAX_VALUES} values: see the figure."
    return [note, *long_table(["change", "of", "training", "test", "gap"], rows, "change")]


def _changes_of(comparison: Comparison, axis: Axis) -> list[tuple[Line, Line]]:
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
        has_pairs = compare(runs, overlay="all").with_and_without
        why = f"the best rate {NOTHING_TO_CHOOSE_BY}"
        return [Claim(DROPOUT_LESS, why_not=why)] if has_pairs else []
    dropped = [run.with_swept({**run.spec.swept, DROPOUT: BEST}) for run in best]
    comparison = compare(
        [*dropped, *(run for run in runs if run.spec.swept[DROPOUT] == 0)], overlay="all"
    )
    keys = [axis.key for axis in comparison.line_axes]
    if DROPOUT not in keys:
        return []
    index = keys.index(DROPOUT)
    pairs = [
        pair
        for pair in pairs_of(comparison, without=[DROPOUT])
        if pair.lines[0].values[index] == BEST
    ]
    claim = Claim(
        DROPOUT_LESS,
        [_gains(dropped, comparison, pair, index, statements=len(pairs)) for pair in pairs],
        changes="what Dropout adds to the test accuracy changes by",
        note=f"What Dropout adds to the test accuracy, {NOTE}; and what was chosen for each.",
        head=(*COLUMNS, "chosen with BN", "chosen without BN"),
    )
    return [claim] if pairs else []


def _gains(
    runs: Sequence[SweepRun], comparison: Comparison, pair: Pair, index: int, *, statements: int
) -> Judgement:
    gains: list[dict[int, float]] = []
    for name, line in zip(pair.names, pair.lines, strict=True):
        without = comparison.changed(line, index, 0)
        if without is None:
            return Judgement(pair, "not judged", f"{name} has no result without it")
        after, before = finals(comparison, (line, without), measures.TEST)
        gains.append({seed: after[seed] - before[seed] for seed in after if seed in before})
    difference = Estimate.paired(*gains, statements=statements)
    if difference is None:
        return Judgement(pair, "not judged", "the four networks have no seed in common")
    estimates = [Estimate.of([*gain.values()], statements=statements) for gain in gains]
    each = [with_interval(estimate, "+z.3f") for estimate in estimates]
    choices = [choice_of(runs, comparison.results(None, line)) for line in pair.lines]
    gained = " and by ".join(
        f"{gain} with {name} ({choice})"
        for gain, name, choice in zip(each, pair.names, choices, strict=True)
    )
    detail = f"chosen on the validation samples, it changes the test accuracy by {gained}"
    text, n = with_interval(difference, "+z.3f"), difference.n
    cells = (*each, text, str(n), *choices)
    if difference.verdict != "none" and all(e.verdict != "more" for e in estimates):
        why = "it measurably helps neither"
        detail = f"{detail}, n = {n}: {why}"
        return Judgement(pair, "not judged", detail, reason=why, cells=cells)
    return Judgement(
        pair,
        outcome_of(difference, "less"),
        f"{detail}; {difference_text(difference)}",
        difference=difference,
        difference_text=text,
        cells=cells,
    )
