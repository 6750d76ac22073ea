"""The chapter's claims about Batch Normalization, judged by a sweep.

Each function judges a claim for each pair of networks that differ in Batch Normalization and in
nothing else, except in what was chosen for each on validation samples. It returns nothing if the
sweep has no such pair. A verdict takes at least five seeds, and rests on differences between runs
with the same seed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from bnsweep.records import RunResult, SweepRun
from bnsweep.records.keys import Value, hashable
from bnsweep.report import measures
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, Line, choose, compare
from bnsweep.report.estimates import Estimate, Verdict
from bnsweep.report.labels import key_label, phrase, value_label
from bnsweep.report.markdown import counted, listing, with_interval
from bnsweep.report.measures import LEARNS, TARGET

MAX_PAIRS = 32
INITIAL_WEIGHTS = "the result depends less on the initial weights"
LARGER_RATE = "the learning rate can be larger"
FASTER = "learning is faster"
NOTHING_TO_CHOOSE_BY = (
    "is chosen on validation samples, which not all of these runs have (data.validation_size)"
)

Seeds = Mapping[int, float]
Pair = tuple[Line, Line]
Results = Sequence[RunResult]


class Claim(NamedTuple):
    """A claim of the chapter and its outcome for one pair of networks; `text` gives the reasons."""

    claimed: str
    outcome: str
    text: str


def where_it_learns(comparison: Comparison) -> list[str]:
    """Return at which values across each line learns with all seeds, and with some."""
    axis = comparison.across
    return [_learns(comparison, axis, line) for line in comparison.lines] if axis else []


def _learns(comparison: Comparison, axis: Axis, line: Line) -> str:
    shares = {
        value: [measures.learns(r) for r in results]
        for value in axis.values
        if (results := comparison.results(value, line))
    }
    learnt = [value for value, seeds in shares.items() if all(seeds)]
    some = [value for value, seeds in shares.items() if any(seeds) and not all(seeds)]
    counts = {len(seeds) for seeds in shares.values()}
    seeds = f"each of {min(counts)} seeds" if len(counts) == 1 else "every seed that ended"
    every = f" with {seeds}" if learnt and counts != {1} else ""
    where = f" ({listing(axis, learnt)})" if 0 < len(learnt) < len(shares) else ""
    number = len(learnt) or "none"
    text = f"{who(line)} learns{every} at {number} of {len(shares)} values of {axis.label}"
    parts = [f"with {sum(shares[v])} of {len(shares[v])} at {axis.text(v)}" for v in some]
    return "; ".join([text + where, *([", ".join(parts)] if parts else [])]) + "."


def initial_weights(comparison: Comparison) -> list[Claim]:
    """Judge whether the result depends less on the initial weights with Batch Normalization."""
    axis = comparison.across
    if not axis or axis.key != "weight_std":
        return []
    pairs = comparison.with_and_without[:MAX_PAIRS]
    claims = (_initial_weights(comparison, axis, pair, statements=len(pairs)) for pair in pairs)
    return [claim for claim in claims if claim]


def _initial_weights(
    comparison: Comparison, axis: Axis, pair: Pair, *, statements: int
) -> Claim | None:
    both = [v for v in axis.values if all(comparison.results(v, line) for line in pair)]
    ends = {
        line: {
            v: measures.finals_by_seed(measures.TRAIN, comparison.results(v, line)) for v in both
        }
        for line in pair
    }
    shortfalls = _shortfalls([ends[line] for line in pair])
    difference = Estimate.paired(*shortfalls, statements=statements)
    if len(both) < 2 or difference is None:
        return None
    if silent := [who(line) for line in pair if not _learns_somewhere(ends[line].values())]:
        # A network that never learns does not depend on its initial weights at all.
        learns = _subject(silent, "learns", "learn")
        return not_judged(INITIAL_WEIGHTS, f"{learns} at none of the {len(both)} scales")
    claim = judged(
        INITIAL_WEIGHTS,
        difference,
        "less",
        f"over {len(both)} scales, the final training accuracy falls short of the best by up to "
        f"{with_each(pair, shortfalls, joiner=' and by up to ')}; {difference_text(difference)}",
    )
    normed, plain = pair
    differences = {
        v: Estimate.paired(ends[normed][v], ends[plain][v], statements=statements * len(both))
        for v in both
    }
    text = claim.text
    for line, verdict in ((normed, "more"), (plain, "less")):
        if ahead := [v for v, d in differences.items() if d and d.verdict == verdict]:
            where = f"{len(ahead)} of {len(both)} scales ({listing(axis, ahead)})"
            text += f" {who(line)} ends higher at {where}."
    return claim._replace(text=text)


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
    pairs = comparison.with_and_without[:MAX_PAIRS]
    edges = {
        pair: [largest_rates(comparison, axis, line, LEARNS) for line in pair] for pair in pairs
    }
    unclear = {pair: _no_edge(comparison, axis, pair, edges[pair]) for pair in pairs}
    clear = sum(not why for why in unclear.values())
    larger = [
        not_judged(LARGER_RATE, unclear[pair])
        if unclear[pair]
        else _larger_rate(axis, pair, edges[pair], statements=clear)
        for pair in pairs
    ]
    return [*larger, *_at_its_best(runs)] if larger else []


def _no_edge(
    comparison: Comparison, axis: Axis, pair: Pair, edges: Sequence[Mapping[int, float]]
) -> str:
    """Return why a pair's largest rates cannot be compared; empty if they can."""
    for line, edge in zip(pair, edges, strict=True):
        seeds = {r.spec.seed for v in axis.values for r in comparison.results(v, line)}
        if missing := len(seeds - edge.keys()):
            count = "" if missing == len(seeds) else f" with {missing} of {len(seeds)} seeds"
            return f"{who(line)} learns at no rate tried{count}"
    if any(rate == max(axis.values) for rate in edges[1].values()):
        return f"{who(pair[1])} still learns at the largest rate tried"
    return "" if edges[0].keys() & edges[1].keys() else "the two have no seed in common"


def _larger_rate(
    axis: Axis, pair: Pair, edges: Sequence[Mapping[int, float]], *, statements: int
) -> Claim:
    logs = [{seed: math.log10(rate) for seed, rate in edge.items()} for edge in edges]
    difference = Estimate.paired(*logs, statements=statements)
    assert difference is not None
    reached = " and ".join(
        f"{_geometric(Estimate.of([*log.values()]))} with {who(line)}"
        for line, log in zip(pair, logs, strict=True)
    )
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
    return judged(LARGER_RATE, within, "more", detail)


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
        return [not_judged(FASTER, f"what is best for each {NOTHING_TO_CHOOSE_BY}")]
    claims = []
    pairs = best.with_and_without[:MAX_PAIRS]
    for pair in pairs:
        results = [best.results(None, line) for line in pair]
        choices = "; ".join(
            f"{who(line)}: {choice_of(chosen, of_line)}"
            for line, of_line in zip(pair, results, strict=True)
        )
        where = f"each at its best on the validation samples ({choices})"
        faster = _faster(where, pair, results, statements=len(pairs))
        on_test = _on_test(pair, results, statements=len(pairs))
        claims.append(faster._replace(text=f"{faster.text} {on_test}"))
    return claims


def _is_tuned(key: str) -> bool:
    """Whether a key belongs to the training method and not to the problem."""
    parts_of_method = ("weight_std", "optimizer", "model")
    return key not in MODEL_KEYS and key.partition(".")[0] in parts_of_method


def _faster(where: str, pair: Pair, results: Sequence[Results], *, statements: int) -> Claim:
    epochs = [measures.by_seed(measures.epochs_needed, of_line) for of_line in results]
    never = [sum(math.isinf(e) for e in by_seed.values()) for by_seed in epochs]
    if any(never):
        missing = " and ".join(
            f"{who(line)} with {count} of {len(by_seed)} seeds"
            for line, count, by_seed in zip(pair, never, epochs, strict=True)
            if count
        )
        return not_judged(FASTER, f"{where}, {TARGET:.0%} is not reached by {missing}")
    difference = Estimate.paired(*epochs, statements=statements)
    if difference is None:
        return not_judged(FASTER, "the two have no seed in common")
    needed = with_each(pair, epochs, "z.1f")
    detail = f"{where}, epochs to {TARGET:.0%} training accuracy are {needed}"
    return judged(FASTER, difference, "less", f"{detail}; {difference_text(difference, '+z.1f')}")


def _on_test(pair: Pair, results: Sequence[Results], *, statements: int) -> str:
    tests = [measures.finals_by_seed(measures.TEST, of_line) for of_line in results]
    difference = Estimate.paired(*tests, statements=statements)
    text = f"The test accuracy is {with_each(pair, tests)}"
    return f"{text}; {difference_text(difference)}." if difference else f"{text}."


def accuracies_on_test(comparison: Comparison) -> list[str]:
    """Compare test accuracies with and without Batch Normalization, pair by pair."""
    pairs = comparison.with_and_without[:MAX_PAIRS]
    return [
        _on_test(pair, [comparison.results(None, line) for line in pair], statements=len(pairs))
        for pair in pairs
    ]


def choice_of(runs: Sequence[SweepRun], results: Results) -> str:
    """Return the chosen settings of one place."""
    run = next(run for run in runs if run.result is results[0])
    return choice_text(run.chosen)


def choice_text(chosen: Mapping[str, Value]) -> str:
    """Return chosen settings as text."""
    return ", ".join(
        phrase(key_label(key), value_label(hashable(value))) for key, value in chosen.items()
    )


def judged(claimed: str, difference: Estimate, holds: Verdict, detail: str) -> Claim:
    """Return a claim with the verdict on a paired difference; the verdict `holds` supports it."""
    outcome = {holds: "holds", "undecided": "undecided", "none": "no verdict"}.get(
        difference.verdict, "does not hold here"
    )
    few = f"{counted(difference.n, 'seed')}: " if outcome == "no verdict" else ""
    verdict = f"{few}{outcome}"
    text = (
        f"Claim: {claimed}. **{verdict[0].upper()}{verdict[1:]}.** {detail[0].upper()}{detail[1:]}."
    )
    return Claim(claimed, outcome, text)


def not_judged(claimed: str, why: str) -> Claim:
    """Return a claim that the sweep cannot judge, and why."""
    return Claim(claimed, "not judged", f"Claim: {claimed}. Not judged: {why}.")


def with_each(
    pair: Pair, values: Sequence[Seeds], form: str = "z.3f", *, joiner: str = " and "
) -> str:
    """Return the estimate of a quantity for each line of a pair, over the seeds that both have."""
    both = set.intersection(*(set(of_line) for of_line in values))
    estimates = [Estimate.of([of_line[s] for s in both or of_line]) for of_line in values]
    return joiner.join(
        f"{with_interval(estimate, form)} with {who(line)}"
        for line, estimate in zip(pair, estimates, strict=True)
    )


def difference_text(difference: Estimate, form: str = "+z.3f") -> str:
    """Return a paired difference with its interval and its number of seeds."""
    return f"difference {with_interval(difference, form)}, n = {difference.n}"


def _geometric(log10: Estimate) -> str:
    """Return ten to the power of an estimate, with its interval."""
    mean, low, high = (f"{10**end:.3g}" for end in (log10.mean, log10.low, log10.high))
    return mean if math.isnan(log10.low) else f"{mean} ({low} to {high})"


def _subject(names: Sequence[str], singular: str, plural: str) -> str:
    """Return names with their verb."""
    return f"{' and '.join(names)} {singular if len(names) == 1 else plural}"


def who(line: Line) -> str:
    """Return a line's name in a sentence."""
    return line.label or "the network"
