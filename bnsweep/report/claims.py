"""The chapter's claims about Batch Normalization, judged by a sweep.

Each function judges a claim for each pair of networks that differ in Batch Normalization and in
nothing else, except in what was chosen for each on validation samples. There is no claim if the
sweep has no such pair. A verdict takes at least five seeds, and rests on differences between runs
with the same seed.
"""

from collections.abc import Iterable, Mapping, Sequence

from bnsweep.records import RunResult, SweepRun
from bnsweep.records.keys import Value, hashable
from bnsweep.report import measures
from bnsweep.report.comparison import Axis, Comparison, Line
from bnsweep.report.estimates import Estimate
from bnsweep.report.labels import key_label, phrase, value_label
from bnsweep.report.markdown import listing, with_interval
from bnsweep.report.measures import LEARNS
from bnsweep.report.verdicts import Claim, Judgement, Pair, outcome_of, pairs_of
from bnsweep.report.words import in_words

INITIAL_WEIGHTS = "the result depends less on the initial weights"
NOTHING_TO_CHOOSE_BY = (
    "is chosen on validation samples, which not all of these runs have (data.validation_size)"
)
COLUMNS = ("with BN", "without BN", "difference", "n")  # of most tables
WITH_AND_WITHOUT = "with Batch Normalization (BN) and without it"
NOTE = f"{WITH_AND_WITHOUT}, and their difference"

Seeds = Mapping[int, float]
Results = Sequence[RunResult]


def initial_weights(comparison: Comparison) -> list[Claim]:
    """Judge whether the result depends less on the initial weights with Batch Normalization."""
    axis = comparison.across
    if not axis or axis.key != "weight_std":
        return []
    pairs = pairs_of(comparison)
    judgements = [_initial_weights(comparison, axis, pair, statements=len(pairs)) for pair in pairs]
    ahead = "; then the scales at which one of the two ends higher"
    note = (
        "How far the final training accuracy at the worst scale falls short of the best of the "
        f"pair, {NOTE}{ahead if any(each.more for each in judgements) else ''}."
    )
    claim = Claim(
        INITIAL_WEIGHTS,
        judgements,
        changes="the worst scale's shortfall from the best training accuracy changes by",
        note=note,
        head=(*COLUMNS, "higher with BN at", "higher without BN at"),
    )
    return [claim] if judgements else []


def _initial_weights(
    comparison: Comparison, axis: Axis, pair: Pair, *, statements: int
) -> Judgement:
    both = [v for v in axis.values if all(comparison.results(v, line) for line in pair.lines)]
    ends = [
        {v: measures.finals_by_seed(measures.TRAIN, comparison.results(v, line)) for v in both}
        for line in pair.lines
    ]
    shortfalls = _shortfalls(ends)
    difference = Estimate.paired(*shortfalls, statements=statements)
    if len(both) < 2:
        why = f"both have results at {len(both)} of {len(axis.values)} scales only"
        return Judgement(pair, "not judged", why)
    if difference is None:
        return Judgement(pair, "not judged", "the two have no seed in common")
    silent = [
        name
        for name, of_line in zip(pair.names, ends, strict=True)
        if not _learns_somewhere(of_line.values())
    ]
    if silent:
        # A network that never learns does not depend on its initial weights at all.
        verb = "learns" if len(silent) == 1 else "learn"
        why = f"{in_words(silent)} {verb} at none of the {len(both)} scales"
        return Judgement(pair, "not judged", why)
    normed, plain = ends
    differences = {
        v: Estimate.paired(normed[v], plain[v], statements=statements * len(both)) for v in both
    }
    more, ahead_at = [], []
    for name, verdict in zip(pair.names, ("more", "less"), strict=True):
        ahead = [v for v, d in differences.items() if d and d.verdict == verdict]
        where = f"{len(ahead)} of {len(both)} scales ({listing(axis, ahead)})"
        more += [f"{name} ends higher at {where}."] if ahead else []
        ahead_at.append(listing(axis, ahead) or "-")
    detail = (
        f"over {len(both)} scales, the final training accuracy falls short of the best by up to "
        f"{with_each(pair, shortfalls, joiner=' and by up to ')}; {difference_text(difference)}"
    )
    return Judgement(
        pair,
        outcome_of(difference, "less"),
        detail,
        more=" ".join(more),
        difference=difference,
        difference_text=with_interval(difference, "+z.3f"),
        cells=(*compared_cells(shortfalls, difference), *ahead_at),
    )


def _learns_somewhere(ends: Iterable[Seeds]) -> bool:
    return any(Estimate.of([*by_seed.values()]).mean >= LEARNS for by_seed in ends)


def _shortfalls(ends: Sequence[Mapping[Value, Seeds]]) -> list[dict[int, float]]:
    """Return how far each network's worst value falls short of the best of all, by seed.

    Compared with its own best, a network that is never good would seem to depend on nothing.
    """
    every = [by_seed for of_line in ends for by_seed in of_line.values()]
    seeds = set.intersection(*(set(by_seed) for by_seed in every)) if every else set()
    best = {seed: max(by_seed[seed] for by_seed in every) for seed in seeds}
    return [
        {seed: best[seed] - min(by_seed[seed] for by_seed in of_line.values()) for seed in seeds}
        for of_line in ends
    ]


def accuracies_on_test(comparison: Comparison) -> list[Claim]:
    """Compare test accuracies with and without Batch Normalization: no claim is judged."""
    pairs, judgements = pairs_of(comparison), []
    for pair in pairs:
        tests = finals(comparison, pair.lines, measures.TEST)
        difference = Estimate.paired(*tests, statements=len(pairs))
        if difference is None:
            judgements.append(Judgement(pair, "not judged", "the two have no seed in common"))
            continue
        judgements.append(
            Judgement(
                pair,
                "compared",
                words_on_test(pair, tests, difference),
                difference=difference,
                difference_text=with_interval(difference, "+z.3f"),
                cells=compared_cells(tests, difference),
            )
        )
    claim = Claim(
        "",
        judgements,
        changes="the test accuracy changes by",
        note=f"Final test accuracy, {NOTE}.",
        head=COLUMNS,
    )
    return [claim] if judgements else []


def words_on_test(pair: Pair, tests: Sequence[Seeds], difference: Estimate) -> str:
    """Return the test accuracies of a pair, and their difference, as the end of a sentence."""
    return f"the test accuracy is {with_each(pair, tests)}; {difference_text(difference)}"


def choice_of(runs: Sequence[SweepRun], results: Results) -> str:
    """Return the chosen settings of one place."""
    run = next(run for run in runs if run.result is results[0])
    return choice_text(run.chosen)


def choice_text(chosen: Mapping[str, Value]) -> str:
    """Return chosen settings as text."""
    return ", ".join(
        phrase(key_label(key), value_label(hashable(value))) for key, value in chosen.items()
    )


def finals(
    comparison: Comparison, lines: Sequence[Line], quantity: measures.Quantity
) -> list[dict[int, float]]:
    """Return the final values of a quantity for each line, by seed; no key goes across."""
    return [measures.finals_by_seed(quantity, comparison.results(None, line)) for line in lines]


def with_each(
    pair: Pair, values: Sequence[Seeds], form: str = "z.3f", *, joiner: str = " and "
) -> str:
    """Return the estimate of a quantity for each line of a pair, over the seeds that both have."""
    return joiner.join(
        f"{with_interval(estimate, form)} with {name}"
        for name, estimate in zip(pair.names, _of_each(values), strict=True)
    )


def _of_each(values: Sequence[Seeds]) -> list[Estimate]:
    both = set.intersection(*(set(of_line) for of_line in values))
    return [Estimate.of([of_line[s] for s in both or of_line]) for of_line in values]


def compared_cells(
    values: Sequence[Seeds], difference: Estimate, form: str = "z.3f"
) -> tuple[str, ...]:
    """Return the cells of `COLUMNS`."""
    each = (with_interval(estimate, form) for estimate in _of_each(values))
    return (*each, with_interval(difference, f"+{form}"), str(difference.n))


def difference_text(difference: Estimate, form: str = "+z.3f") -> str:
    """Return a paired difference with its interval and its number of seeds."""
    return f"difference {with_interval(difference, form)}, n = {difference.n}"
