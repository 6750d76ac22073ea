"""The answer of a sweep in a few sentences: with it, terminal, summary and note open."""

from collections.abc import Sequence

from bnsweep import measures
from bnsweep.comparison import SweepRun, compare
from bnsweep.report import claims, gaps
from bnsweep.report.markdown import counted, with_interval

MAX_LINES = 4


def answer(runs: Sequence[SweepRun]) -> list[str]:
    """Return what learns where, and what holds of the chapter's claims; empty if no run ended."""
    if not any(run.ended for run in runs):
        return []
    return [" ".join(_what_learns(runs)), *_what_holds(runs)]


def _what_learns(runs: Sequence[SweepRun]) -> list[str]:
    comparison = compare(runs)
    if not comparison.across:
        results = [run.result for run in runs if run.ended]
        train, test = (
            with_interval(measures.final(quantity, results))
            for quantity in (measures.accuracy_on_train, measures.accuracy_on_test)
        )
        seeds = counted(len(results), "seed")
        return [f"Final accuracy: {train} on the training set, {test} on the test set ({seeds})."]
    if len(comparison.lines) <= MAX_LINES:
        return claims.where_it_learns(comparison)
    learn = [
        all(measures.accuracy_on_train(r.epochs[-1]) >= measures.LEARNS for r in results)
        for results in comparison.cells.values()
    ]
    return [f"With every seed, {sum(learn)} of {len(learn)} combinations learn."]


def _what_holds(runs: Sequence[SweepRun]) -> list[str]:
    """Return the claims that the sweep is made to judge, one pair each."""
    comparison = compare(runs)
    said = claims.initial_weights(comparison)[:1] or claims.learning_rate(runs)
    if len({run.swept.get(gaps.DROPOUT) for run in runs}) > 1:
        overlaid = compare(runs, overlay="all")
        said = [*gaps.overfitting(overlaid)[:1], *gaps.dropout(runs)]
    if not said and not (comparison.across and comparison.across.numeric):
        said = claims.on_test(compare(runs, overlay="all"))
    left = len(said) - MAX_LINES
    return said[:MAX_LINES] + ([f"{left} more are in the summary."] if left > 0 else [])
