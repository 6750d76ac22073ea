"""Where networks learn, in words and as a table."""

from collections.abc import Collection, Mapping, Sequence

from bnsweep.records.keys import Value
from bnsweep.report import measures
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, Line
from bnsweep.report.labels import counted_values
from bnsweep.report.markdown import capitalised, in_words, listing

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

    If nothing but the model was swept, there is a sentence for each model.
    """
    axis = comparison.across
    if not axis:
        return []
    if axis.key in MODEL_KEYS and not comparison.line_axes:
        learnt = {v: _learnt(comparison, v, comparison.lines[0]) for v in axis.values}
        return [f"{axis.phrase(value)} {_verb(seeds)}." for value, seeds in learnt.items()]
    learns_everywhere = [
        all(map(all, _shares(comparison, axis, line).values())) for line in comparison.lines
    ]
    if len(comparison.lines) > 1 and all(learns_everywhere):
        where = _where(comparison, axis, _shares(comparison, axis, comparison.lines[0]))
        names = [name_of(comparison, line) for line in comparison.lines]
        who = in_words(names) if len(names) == 2 else f"All {len(names)} networks"
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
    keys = in_words([axis.name for axis in axes if axis.key not in MODEL_KEYS])
    (first, learns), *others = counts.items()
    every = "" if comparison.repeats == 1 else f" with {_each_seed(comparison)}"
    text = f"{first} learns{every} {_number(learns)} combinations of {keys}"
    rest = [f"{who} {_number(learns)}" for who, learns in others]
    return f"{_capitalised(', '.join([text, *rest]))}."


def learning_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table: at which values across each line learns."""
    axis = comparison.across
    assert axis is not None
    preposition, plural = counted_values(axis.key)
    one_seed = comparison.repeats == 1
    every = "learns" if one_seed else f"learns with {_each_seed(comparison)}"
    head = ["", f"{every} {preposition}"] + ([] if one_seed else ["with some of them"])
    rows = []
    for line in comparison.lines:
        shares = _shares(comparison, axis, line)
        learnt, some = _split(shares)
        row = [name_of(comparison, line), _share(axis, learnt, shares, plural)]
        if not one_seed:
            row.append(", ".join(_partly(axis, value, shares[value]) for value in some) or "-")
        rows.append(row)
    return head, rows


def _sentence(comparison: Comparison, axis: Axis, line: Line) -> str:
    shares = _shares(comparison, axis, line)
    _, some = _split(shares)
    preposition, _ = counted_values(axis.key)
    text = f"{_capitalised(name_of(comparison, line))} learns {_where(comparison, axis, shares)}"
    if len(some) > MAX_NAMED:
        text += f"; with some of them {preposition} {len(some)} more ({listing(axis, some)})"
    elif some:
        text += f"; {preposition} {in_words([_partly(axis, v, shares[v]) for v in some])}"
    return f"{text}."


def _where(comparison: Comparison, axis: Axis, shares: Mapping[Value, Sequence[bool]]) -> str:
    """Return at which values a line learns with each seed."""
    learnt, _ = _split(shares)
    preposition, plural = counted_values(axis.key)
    where = f"{preposition} {_share(axis, learnt, shares, plural)}"
    if not learnt or comparison.repeats == 1:
        return where
    seeds = _each_seed(comparison)
    return f"{where} and {seeds}" if preposition == "with" else f"with {seeds} {where}"


def _share(axis: Axis, learnt: Sequence[Value], shares: Collection[Value], plural: str) -> str:
    """Return how many of the values these are, and which: `2 of 16 scales (0.293, 0.158)`."""
    if len(shares) == 1:
        return f"{axis.text(next(iter(shares)))}" if learnt else "none"
    if not learnt:
        return f"{'neither' if len(shares) == 2 else 'none'} of the {len(shares)} {plural}"
    if len(learnt) == len(shares):
        return f"both {plural}" if len(shares) == 2 else f"all {len(shares)} {plural}"
    return f"{len(learnt)} of {len(shares)} {plural} ({listing(axis, learnt)})"


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


def _number(learns: Sequence[bool]) -> str:
    """Return in how many combinations a network learns: `in 4 of 8`."""
    share = f"{sum(learns)} of" if any(learns) else "none of"
    return f"in {'all' if all(learns) else share} {len(learns)}"


def _verb(seeds: Sequence[bool]) -> str:
    if len(seeds) == 1:
        return "learns" if seeds[0] else "does not learn"
    if not any(seeds):
        return f"learns with none of {len(seeds)} seeds"
    return f"learns with {'each of' if all(seeds) else f'{sum(seeds)} of'} {len(seeds)} seeds"


def _capitalised(text: str) -> str:
    """Return a sentence with a capital letter, unless it begins with a name."""
    return capitalised(text) if text.startswith("the ") else text
