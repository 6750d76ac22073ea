"""The chapter's claims about Batch Normalization, judged by a sweep.

Each function judges a claim for each pair of networks that differ in Batch Normalization and in
nothing else, except in what was chosen for each on validation samples. There is no claim if the
sweep has no such pair. A verdict takes at least five seeds, and rests on differences between runs
with the same seed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bnsweep.records import RunResult, SweepRun
from bnsweep.records.keys import Value, hashable
from bnsweep.report import measures
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, Line, choose, compare
from bnsweep.report.estimates import Estimate
from bnsweep.report.labels import key_label, phrase, value_label
from bnsweep.report.markdown import capitalised, in_words, listing, with_interval
from bnsweep.report.measures import LEARNS, TARGET
from bnsweep.report.verdicts import Claim, Judgement, Pair, outcome_of, pairs_of

INITIAL_WEIGHTS = "the result depends less on the initial weights"
LARGER_RATE = "the learning rate can be larger"
FASTER = "learning is faster"
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
    judgements = [
        judgement
        for pair in pairs
        if (judgement := _initial_weights(comparison, axis, pair, statements=len(pairs)))
    ]
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
) -> Judgement | None:
    both = [v for v in axis.values if all(comparison.results(v, line) for line in pair.lines)]
    ends = [
        {v: measures.finals_by_seed(measures.TRAIN, comparison.results(v, line)) for v in both}
        for line in pair.lines
    ]
    shortfalls = _shortfalls(ends)
    difference = Estimate.paired(*shortfalls, statements=statements)
    if len(both) < 2 or difference is None:
        return None
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


def learning_rate(runs: Sequence[SweepRun]) -> list[Claim]:
    """Judge whether learning works at larger rates, and is faster, with Batch Normalization."""
    comparison = compare(runs)
    axis = comparison.across
    if not axis or axis.key != "optimizer.lr" or not axis.numeric:
        return []
    pairs = pairs_of(comparison)
    edges = {
        pair: [largest_rates(comparison, axis, line, LEARNS) for line in pair.lines]
        for pair in pairs
    }
    unclear = {pair: _no_edge(comparison, axis, pair, edges[pair]) for pair in pairs}
    clear = sum(not why for why in unclear.values())
    judgements = [
        Judgement(pair, "not judged", unclear[pair])
        if unclear[pair]
        else _larger_rate(axis, pair, edges[pair], statements=clear)
        for pair in pairs
    ]
    larger = Claim(
        LARGER_RATE,
        judgements,
        changes="the largest rate that learns changes by a factor of",
        note=f"The largest learning rate that learns, {WITH_AND_WITHOUT}, as geometric "
        "mean over the seeds; and the factor between the two, whose interval allows for "
        "the distance of the rates tried there.",
        head=(*COLUMNS[:2], "factor", "n", "step of the rates tried"),
    )
    return [larger, *_at_its_best(runs)] if judgements else []


def _no_edge(
    comparison: Comparison, axis: Axis, pair: Pair, edges: Sequence[Mapping[int, float]]
) -> str:
    """Return why a pair's largest rates cannot be compared; empty if they can."""
    for name, line, edge in zip(pair.names, pair.lines, edges, strict=True):
        seeds = {r.spec.seed for v in axis.values for r in comparison.results(v, line)}
        if missing := len(seeds - edge.keys()):
            count = "" if missing == len(seeds) else f" with {missing} of {len(seeds)} seeds"
            return f"{name} learns at no rate tried{count}"
    if any(rate == max(axis.values) for rate in edges[1].values()):
        return f"{pair.names[1]} still learns at the largest rate tried"
    return "" if edges[0].keys() & edges[1].keys() else "the two have no seed in common"


def _larger_rate(
    axis: Axis, pair: Pair, edges: Sequence[Mapping[int, float]], *, statements: int
) -> Judgement:
    logs = [{seed: math.log10(rate) for seed, rate in edge.items()} for edge in edges]
    difference = Estimate.paired(*logs, statements=statements)
    assert difference is not None
    each = [_geometric(Estimate.of([*log.values()])) for log in logs]
    reached = in_words([f"{rate} with {name}" for name, rate in zip(pair.names, each, strict=True)])
    step = max(_step_above(axis, rate) for edge in edges for rate in edge.values())
    # A network that learns at the largest rate tried might learn at larger ones.
    open_end = any(rate == max(axis.values) for rate in edges[0].values())
    # The true edge lies between the largest rate that learns and the next rate tried.
    within = replace(
        difference,
        low=difference.low - math.log10(step),
        high=math.inf if open_end else difference.high + math.log10(step),
    )
    mean = "geometric means over the seeds" if difference.n > 1 else "one seed"
    factor = f"at least {10**within.low:.3g}" if open_end else _geometric(within)
    if difference.n == 1:
        factor = f"{'at least ' if open_end else ''}{10**difference.mean:.3g}"
    detail = (
        f"the largest rate that learns is {reached} ({mean}), a factor of {factor}, "
        f"n = {difference.n}; the rates tried lie a factor of {step:.3g} apart there"
    )
    if difference.n > 1:
        detail += ", which the interval allows for"
    return Judgement(
        pair,
        outcome_of(within, "more"),
        detail,
        difference=within,
        difference_text=factor,
        cells=(*each, factor, str(within.n), f"{step:.3g}"),
    )


def largest_rates(
    comparison: Comparison, axis: Axis, line: Line, threshold: float
) -> dict[int, float]:
    """Return the largest value at which each seed ends at a training accuracy of `threshold`."""
    largest: dict[int, float] = {}
    for value in axis.values:
        results = comparison.results(value, line)
        ends = measures.finals_by_seed(measures.TRAIN, results)
        reached = {seed: value for seed, accuracy in ends.items() if accuracy >= threshold}
        largest |= {seed: max(value, largest.get(seed, value)) for seed in reached}
    return largest


def _step_above(axis: Axis, rate: float) -> float:
    """Return the ratio of the next larger rate to `rate`, or of the last rate to the one before."""
    above = [value for value in axis.values if value > rate]
    below = [value for value in axis.values if value < rate]
    return float(min(above) / rate if above else rate / max(below))


def _at_its_best(runs: Sequence[SweepRun]) -> list[Claim]:
    """Compare speed and test accuracy, each model at its best settings of the training method."""
    keys = {key for run in runs for key in run.spec.swept if _is_tuned(key)}
    try:
        best = compare(chosen := choose(runs, keys), overlay="all")
    except ValueError:
        return [Claim(FASTER, why_not=f"what is best for each {NOTHING_TO_CHOOSE_BY}")]
    pairs = pairs_of(best)
    judgements = []
    for pair in pairs:
        results = [best.results(None, line) for line in pair.lines]
        choices = [choice_of(chosen, of_line) for of_line in results]
        judgements.append(_faster(pair, choices, results, statements=len(pairs)))
    faster = Claim(
        FASTER,
        judgements,
        changes=f"the number of epochs to {TARGET:.0%} training accuracy changes by",
        note=f"Epochs to {TARGET:.0%} training accuracy, {NOTE}; then the same of the test "
        "accuracy. Each network is at its best on the validation samples.",
        head=(
            *COLUMNS,
            *(f"test {name}" for name in COLUMNS[:3]),
            "chosen with BN",
            "chosen without BN",
        ),
    )
    return [faster] if judgements else []


def _is_tuned(key: str) -> bool:
    """Whether a key belongs to the training method and not to the problem."""
    parts_of_method = ("weight_std", "optimizer", "model")
    return key not in MODEL_KEYS and key.partition(".")[0] in parts_of_method


def _faster(
    pair: Pair, choices: Sequence[str], results: Sequence[Results], *, statements: int
) -> Judgement:
    tests = [measures.finals_by_seed(measures.TEST, of_line) for of_line in results]
    on_test = Estimate.paired(*tests, statements=statements)
    epochs = [measures.by_seed(measures.epochs_needed, of_line) for of_line in results]
    difference = Estimate.paired(*epochs, statements=statements)
    if difference is None or on_test is None:
        return Judgement(pair, "not judged", "the two have no seed in common")
    test_cells = compared_cells(tests, on_test)[:3]
    more = f"{capitalised(_test_text(pair, tests, on_test))}."
    chosen = "; ".join(
        f"{name}: {choice}" for name, choice in zip(pair.names, choices, strict=True)
    )
    where = f"each at its best on the validation samples ({chosen})"
    missing = [
        f"{name} with {count} of {len(by_seed)} seeds"
        for name, by_seed in zip(pair.names, epochs, strict=True)
        if (count := sum(math.isinf(e) for e in by_seed.values()))
    ]
    if missing:
        why = f"{TARGET:.0%} is not reached by {in_words(missing)}"
        cells = ("-", "-", "-", str(difference.n), *test_cells, *choices)
        return Judgement(pair, "not judged", f"{where}, {why}", more, reason=why, cells=cells)
    detail = (
        f"{where}, epochs to {TARGET:.0%} training accuracy are "
        f"{with_each(pair, epochs, 'z.1f')}; {difference_text(difference, '+z.1f')}"
    )
    return Judgement(
        pair,
        outcome_of(difference, "less"),
        detail,
        more,
        difference=difference,
        difference_text=with_interval(difference, "+z.1f"),
        cells=(*compared_cells(epochs, difference, "z.1f"), *test_cells, *choices),
    )


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
                _test_text(pair, tests, difference),
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


def _test_text(pair: Pair, tests: Sequence[Seeds], difference: Estimate) -> str:
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


def _geometric(log10: Estimate) -> str:
    """Return ten to the power of an estimate, with its interval."""
    mean, low, high = (f"{10**end:.3g}" for end in (log10.mean, log10.low, log10.high))
    return mean if math.isnan(log10.low) else f"{mean} ({low} to {high})"
