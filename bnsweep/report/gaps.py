"""The generalisation gap, and the chapter's claim that Batch Normalization narrows it."""

from itertools import product

from bnsweep import measures
from bnsweep.comparison import Comparison, Line
from bnsweep.measures import LEARNS, Spread
from bnsweep.report.claims import FAILS, HOLDS, UNDECIDED, verdict
from bnsweep.report.markdown import table, with_range

MAX_VALUES, MAX_CHANGES, MAX_PAIRS = 4, 16, 8


def gap_changes(comparison: Comparison) -> list[str]:
    """Return a table of what a change of one key alone does to gap and test accuracy.

    Of keys with few values, that is: of many, the figure says more.
    """
    rows = []
    for index, axis in enumerate(comparison.line_axes):
        few = axis.values[1:] if len(axis.values) <= MAX_VALUES else ()
        for line, value in product(comparison.lines, few):
            other = comparison.changed(line, index, value)
            if line.values[index] != axis.values[0] or other is None:
                continue
            gaps = [_gap(comparison, which) for which in (line, other)]
            tests = [_test(comparison, which) for which in (line, other)]
            beyond = "no" if gaps[0].overlaps(gaps[1]) else "yes"
            row = [f"{line.label} to {other.label}", f"{gaps[1].mean - gaps[0].mean:+z.3f}"]
            row += [beyond if comparison.repeats > 1 else "one seed only"]
            rows.append([*row, f"{tests[1].mean - tests[0].mean:+z.3f}"])
    if not 0 < len(rows) <= MAX_CHANGES:
        return []
    head = ["change", "of the gap", "beyond the spread of the seeds", "of the test accuracy"]
    return table(head, rows).splitlines()


def overfitting(comparison: Comparison) -> list[str]:
    """Say whether Batch Normalization holds overfitting back, and whether Dropout matters less.

    Networks that have hardly learnt have no gap, and are no witnesses.
    """
    pairs = comparison.pairs()
    if not pairs:
        return []
    learnt = [pair for pair in pairs if all(_has_learnt(comparison, line) for line in pair)]
    verdicts = [verdict(comparison, *(_gap(comparison, line) for line in p)) for p in learnt]
    outcomes = ((HOLDS, "holds"), (FAILS, "does not hold"), (UNDECIDED, "is undecided"))
    counted = ", ".join(f"{said} in {verdicts.count(v)}" for v, said in outcomes)
    claim = "Claim: it holds overfitting back."
    if not learnt:
        return [f"{claim} Nowhere have both networks learnt, so this sweep cannot say."]
    said = [
        f"{claim} Of {len(pairs)} comparisons, {len(learnt)} are between networks that have "
        f"learnt, where it {counted}.",
        "",
    ]
    for (normed, plain), outcome in list(zip(learnt, verdicts, strict=True))[:MAX_PAIRS]:
        gaps = " against ".join(with_range(_gap(comparison, line)) for line in (normed, plain))
        said.append(f"- {normed.label} against {plain.label}: a gap of {gaps}; it **{outcome}**.")
    return said + dropout(comparison)


def dropout(comparison: Comparison) -> list[str]:
    """Compare what the largest drop probability gains, with and without Batch Normalization."""
    keys = [axis.key for axis in comparison.line_axes]
    if "model.dropout" not in keys:
        return []
    index = keys.index("model.dropout")
    low, high = (end(comparison.line_axes[index].values) for end in (min, max))
    said = []
    for pair in comparison.pairs():
        dropped = [comparison.changed(line, index, high) for line in pair]
        if pair[0].values[index] != low or not (dropped[0] and dropped[1]):
            continue
        before = [_test(comparison, line) for line in pair]
        after = [_test(comparison, line) for line in dropped if line]
        gains = [
            Spread(b.mean - a.mean, b.low - a.high, b.high - a.low)
            for a, b in zip(before, after, strict=True)
        ]
        helps = max(gain.mean for gain in gains) > 0
        said_of_it = f"It **{verdict(comparison, *gains)}**" if helps else "This sweep cannot say"
        text = (
            f"Claim: Dropout matters less. {said_of_it}: dropout {high:g} instead of {low:g} "
            f"changes the test accuracy of {pair[0].label} by {gains[0].mean:+z.3f}, "
            f"of {pair[1].label} by {gains[1].mean:+z.3f}."
        )
        if not helps:
            text += " It helps neither of the two."
        hardly = [line.label for line in dropped if line and not _has_learnt(comparison, line)]
        if hardly:
            text += f" But in these epochs, hardly anything was learnt by {'; '.join(hardly)}."
        said += ["", text]
    return said


def _has_learnt(comparison: Comparison, line: Line) -> bool:
    results = comparison.results(None, line)
    return measures.final(measures.accuracy_on_train, results).mean >= LEARNS


def _gap(comparison: Comparison, line: Line) -> Spread:
    return measures.final(measures.gap, comparison.results(None, line))


def _test(comparison: Comparison, line: Line) -> Spread:
    return measures.final(measures.accuracy_on_test, comparison.results(None, line))
