"""The chapter's claims about training: larger learning rates, and faster learning."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bnsweep.records import SweepRun
from bnsweep.report import measures
from bnsweep.report.claims import (
    COLUMNS,
    NOTE,
    NOTHING_TO_CHOOSE_BY,
    WITH_AND_WITHOUT,
    Results,
    choice_of,
    compared_cells,
    difference_text,
    with_each,
    words_on_test,
)
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, Line, choose, compare
from bnsweep.report.estimates import Estimate
from bnsweep.report.markdown import with_interval
from bnsweep.report.measures import LEARNS, TARGET
from bnsweep.report.verdicts import Claim, Judgement, Pair, outcome_of, pairs_of
from bnsweep.report.words import capitalised, in_words

LARGER_RATE = "the learning rate can be larger"
FASTER = "learning is faster"


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
        low=difference.low - step,
        high=math.inf if open_end else difference.high + step,
    )
    mean = "geometric means over the seeds" if difference.n > 1 else "one seed"
    factor = f"at least {_power(within.low)}" if open_end else _geometric(within)
    if difference.n == 1:
        factor = f"{'at least ' if open_end else ''}{_power(difference.mean)}"
    detail = (
        f"the largest rate that learns is {reached} ({mean}), a factor of {factor}, "
        f"n = {difference.n}; the rates tried lie a factor of {_power(step)} apart there"
    )
    if difference.n > 1:
        detail += ", which the interval allows for"
    return Judgement(
        pair,
        outcome_of(within, "more"),
        detail,
        difference=within,
        difference_text=factor,
        cells=(*each, factor, str(within.n), _power(step)),
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
    """Return how far the next larger rate, or of the last one the next smaller, is in decades."""
    above = [value for value in axis.values if value > rate]
    below = [value for value in axis.values if value < rate]
    return abs(math.log10(min(above) if above else max(below)) - math.log10(rate))


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
    more = f"{capitalised(words_on_test(pair, tests, on_test))}."
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


def _geometric(log10: Estimate) -> str:
    """Return ten to the power of an estimate, with its interval."""
    mean, low, high = map(_power, (log10.mean, log10.low, log10.high))
    return mean if math.isnan(log10.low) else f"{mean} ({low} to {high})"


def _power(exponent: float) -> str:
    """Return ten to a power, which may be larger than any number."""
    if not 300 < abs(exponent) < math.inf:
        return f"{10**exponent:.3g}"
    whole = math.floor(exponent)
    return f"{10 ** (exponent - whole):.3g}e{whole:+}"
