"""The answer of a sweep in a few sentences: with it, terminal, summary and note open."""

from collections import Counter
from collections.abc import Sequence

from bnsweep.records import SweepRun
from bnsweep.report import claims, gaps, measures
from bnsweep.report.claims import Claim
from bnsweep.report.comparison import compare
from bnsweep.report.markdown import counted, with_interval

MAX_LINES = 4


def answer(runs: Sequence[SweepRun]) -> list[str]:
    """Return what learns where, and what came of each claim; empty if no run ended."""
    if not any(run.comparable for run in runs):
        return []
    by_claim: dict[str, list[Claim]] = {}
    for claim in claims_of(runs):
        by_claim.setdefault(claim.claimed, []).append(claim)
    said = [_of_all_pairs(found) for found in by_claim.values()]
    return [" ".join(_what_learns(runs)), *(said or on_test(runs)[:1])]


def how_runs_ended(runs: Sequence[SweepRun]) -> str:
    """Return how many runs there are, and how many ended in which way or were reused."""
    found = Counter(run.outcome for run in runs)
    order = ("finished", "diverged", "reused", "failed", "killed")
    listed = ", ".join(f"{found[status]} {status}" for status in order if found[status])
    return f"{counted(len(runs), 'run')}: {listed}." if runs else "No runs."


def claims_of(runs: Sequence[SweepRun], *, with_gaps: bool = False) -> list[Claim]:
    """Return the claims that a sweep can be held against, each for each pair of networks.

    Gaps are judged where Dropout was swept, or `with_gaps`.
    """
    said = [*claims.initial_weights(compare(runs)), *claims.learning_rate(runs)]
    if with_gaps or len({run.spec.swept.get(gaps.DROPOUT) for run in runs}) > 1:
        said += [*gaps.overfitting(compare(runs, overlay="all")), *gaps.dropout(runs)]
    return said


def on_test(runs: Sequence[SweepRun]) -> list[str]:
    """Return the test accuracies of each pair of networks, with and without the layer."""
    return claims.on_test(compare(runs, overlay="all"))


def _of_all_pairs(found: Sequence[Claim]) -> str:
    """Return what came of a claim for the first pair that says something, and how often what."""
    first = next((claim for claim in found if claim.outcome != "not judged"), found[0])
    if len(found) == 1:
        return first.text
    outcomes = Counter(claim.outcome for claim in found)
    tally = ", ".join(f"{outcome} for {number}" for outcome, number in outcomes.items())
    return f"{first.text} Of {len(found)} pairs: {tally}."


def _what_learns(runs: Sequence[SweepRun]) -> list[str]:
    comparison = compare(runs)
    if not comparison.across:
        (results,) = comparison.cells.values()
        train, test = (
            with_interval(measures.final(quantity, results))
            for quantity in (measures.TRAIN, measures.TEST)
        )
        seeds = counted(len(results), "seed")
        return [f"Final accuracy: {train} on the training set, {test} on the test set ({seeds})."]
    if len(comparison.lines) <= MAX_LINES:
        return claims.where_it_learns(comparison)
    learn = [all(measures.learns(r) for r in results) for results in comparison.cells.values()]
    return [f"{sum(learn)} of {len(learn)} combinations learn with every seed that ended."]
