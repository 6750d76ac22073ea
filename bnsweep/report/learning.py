"""Where networks learn, in words and as a table."""

import math
from collections.abc import Collection, Mapping, Sequence

from bnsweep.records.keys import Value
from bnsweep.report import measures
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, Line
from bnsweep.report.labels import counted_values
from bnsweep.report.markdown import listing
from bnsweep.report.words import capitalised, in_words

MAX_NAMED = 2  # values at which only some seeds learn; of more, a sentence names the ends


def name_of(comparison: Comparison, line: Line) -> str:
    """Return a line's name in a sentence: its model, and what else tells it apart in brackets."""
    at = comparison.model_axis
    if at is None or len(comparison.line_axes) < 2:
        return line.label or "the network"
    phrases = [
        axis.phrase(value) for axis, value in zip(comparison.line_axes, line.values, strict=True)
    ]
    model = phrases.pop(at)
    return f"{model} ({', '.join(phrases)})"


def where_it_learns(comparison: Comparison) -> list[str]:
    """Return a sentence for each line: at which values across it learns, and with how many seeds.

    Lines that learn at all values share one. A line without a result at some says at which it has.
    If nothing but the model was swept, there is a sentence for each model.
    """
    axis = comparison.across
    if not axis:
        return []
    if axis.key in MODEL_KEYS and not comparison.line_axes:
        learnt = {v: _learnt(comparison, v, comparison.lines[0]) for v in axis.values}
        return [f"{axis.phrase(value)} {_verb(seeds)}." for value, seeds in learnt.items()]
    shares = [_shares(comparison, axis, line) for line in comparison.lines]
    everywhere = [len(_split(of_line)[0]) == len(axis.values) for of_line in shares]
    if len(shares) > 1 and all(everywhere):
        where = _where(comparison, axis, shares[0])
        names = [name_of(comparison, line) for line in comparison.lines]
        whole = len(names) == _combinations(comparison.line_axes)
        networks = f"All {len(names)} networks" + ("" if whole else " that have results")
        who = in_words(names) if len(names) == 2 else networks
        return [f"{who} learn {where}."]
    return [_sentence(comparison, axis, line) for line in comparison.lines]


def in_how_many(comparison: Comparison) -> str:
    """Return in how many combinations of the other keys each model learns."""
    counts: dict[str, list[bool]] = {}
    at = comparison.model_axis
    for line in comparison.lines:
        who = comparison.line_axes[at].phrase(line.values[at]) if at is not None else "the network"
        for value in comparison.values:
            if seeds := _learnt(comparison, value, line):
                counts.setdefault(who, []).append(all(seeds))
    axes = [axis for axis in (comparison.across, *comparison.line_axes) if axis]
    others = [axis for axis in axes if axis.key not in MODEL_KEYS]
    keys, total = in_words([axis.name for axis in others]), _combinations(others)
    (first, learns), *rest = counts.items()
    every = "" if comparison.repeats == 1 else f" with {_each_seed(comparison)}"
    text = f"{first} learns{every} {_number(learns, total, f' combinations of {keys}')}"
    texts = [f"{who} {_number(learns, total)}" for who, learns in rest]
    return f"{_opening(', '.join([text, *texts]))}."


def learning_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table: at which values across each line learns."""
    axis = comparison.across
    assert axis is not None
    preposition, _ = counted_values(axis.key)
    one_seed = comparison.repeats == 1
    every = "learns" if one_seed else f"learns with {_each_seed(comparison)}"
    head = ["", f"{every} {preposition}"] + ([] if one_seed else ["with some of them"])
    rows = []
    for line in comparison.lines:
        shares = _shares(comparison, axis, line)
        learnt, some = _split(shares)
        share = _share(axis, learnt, shares)
        if len(shares) < len(axis.values):
            share += f"; results {part_of(axis, shares)}"
        row = [name_of(comparison, line), share]
        if not one_seed:
            row.append(", ".join(_partly(axis, value, shares[value]) for value in some) or "-")
        rows.append(row)
    return head, rows


def _sentence(comparison: Comparison, axis: Axis, line: Line) -> str:
    name, shares = name_of(comparison, line), _shares(comparison, axis, line)
    _, some = _split(shares)
    preposition, plural = counted_values(axis.key)
    text = f"{_opening(name)} learns {_where(comparison, axis, shares)}"
    if len(shares) < len(axis.values):
        text = f"Of {len(axis.values)} {plural}, {name} has results {preposition} "
        if len(shares) == 1:
            ((value, seeds),) = shares.items()
            return f"{text}{axis.text(value)} alone, and {_verb(seeds)} there."
        results = f"{len(shares)} ({listing(axis, shares)})"
        text += f"{results}, and learns {_where(comparison, axis, shares)}"
    if len(some) > MAX_NAMED:
        text += f"; with some of them {preposition} {len(some)} more ({listing(axis, some)})"
    elif some:
        text += f"; {preposition} {in_words([_partly(axis, v, shares[v]) for v in some])}"
    return f"{text}."


def _where(comparison: Comparison, axis: Axis, shares: Mapping[Value, Sequence[bool]]) -> str:
    """Return at which values a line learns with each seed."""
    learnt, _ = _split(shares)
    preposition, _ = counted_values(axis.key)
    where = f"{preposition} {_share(axis, learnt, shares)}"
    if not learnt or comparison.repeats == 1:
        return where
    seeds = _each_seed(comparison)
    return f"{where} and {seeds}" if preposition == "with" else f"with {seeds} {where}"


def part_of(axis: Axis, values: Collection[Value]) -> str:
    """Return how many of an axis's values these are, and which: `at 2 of 3 scales (1, 0.1)`."""
    preposition, plural = counted_values(axis.key)
    return f"{preposition} {len(values)} of {len(axis.values)} {plural} ({listing(axis, values)})"


def _share(axis: Axis, learnt: Sequence[Value], shares: Collection[Value]) -> str:
    """Return how many of the values with a result these are, and which.

    As `2 of 16 scales (0.293, 0.158)`; without the noun where some values have no result.
    """
    if len(shares) == 1:
        return axis.text(next(iter(shares))) if learnt else "none"
    _, plural = counted_values(axis.key)
    noun = f" {plural}" if len(shares) == len(axis.values) else ""
    if not learnt:
        return f"{'neither' if len(shares) == 2 else 'none'} of the {len(shares)}{noun}"
    if len(learnt) == len(shares):
        return f"both{noun}" if len(shares) == 2 else f"all {len(shares)}{noun}"
    return f"{len(learnt)} of {len(shares)}{noun} ({listing(axis, learnt)})"


def _partly(axis: Axis, value: Value, seeds: Sequence[bool]) -> str:
    return f"{axis.text(value)} with {sum(seeds)} of {len(seeds)}"


def _learnt(comparison: Comparison, value: Value, line: Line) -> list[bool]:
    return [measures.learns(result) for result in comparison.results(value, line)]


def _shares(comparison: Comparison, axis: Axis, line: Line) -> dict[Value, list[bool]]:
    """Return which seeds learn at each value that the line has."""
    learnt = {value: _learnt(comparison, value, line) for value in axis.values}
    return {value: seeds for value, seeds in learnt.items() if seeds}


def _split(shares: Mapping[Value, Sequence[bool]]) -> tuple[list[Value], list[Value]]:
    """Return the values at which all seeds learn, and those at which only some do."""
    learnt = [value for value, seeds in shares.items() if all(seeds)]
    return learnt, [v for v, seeds in shares.items() if any(seeds) and not all(seeds)]


def _each_seed(comparison: Comparison) -> str:
    counts = {len(results) for results in comparison.cells.values()}
    return f"each of {min(counts)} seeds" if len(counts) == 1 else "every seed that ended"


def _combinations(axes: Collection[Axis]) -> int:
    return math.prod(len(axis.values) for axis in axes)


def _number(learns: Sequence[bool], total: int, noun: str = "") -> str:
    """Return in how many of a total of combinations a network learns: `in 4 of 8`."""
    share = f"{sum(learns)} of" if any(learns) else "none of"
    text = f"in {'all' if all(learns) else share} {len(learns)}{noun}"
    return f"{text} that have results" if len(learns) < total else text


def _verb(seeds: Sequence[bool]) -> str:
    if len(seeds) == 1:
        return "learns" if seeds[0] else "does not learn"
    if not any(seeds):
        return f"learns with none of {len(seeds)} seeds"
    return f"learns with {'each of' if all(seeds) else f'{sum(seeds)} of'} {len(seeds)} seeds"


def _opening(text: str) -> str:
    """Return the text at the beginning of a sentence; a name keeps its small letter there."""
    return capitalised(text) if text.startswith("the ") else text
