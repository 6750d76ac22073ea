"""Pieces of Markdown: tables, numbers with their intervals, lists of swept values."""

import math
from collections.abc import Iterable, Sequence

from bnsweep.records.keys import Value
from bnsweep.report.comparison import Axis
from bnsweep.report.estimates import Estimate


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def with_interval(estimate: Estimate, form: str = "z.3f") -> str:
    """Return a mean and, if it has one, half its interval: `0.411 ± 0.031`."""
    mean = f"{estimate.mean:{form}}"
    if math.isnan(estimate.half_width):
        return mean
    return f"{mean} \N{PLUS-MINUS SIGN} {estimate.half_width:{form.replace('+', '')}}"


def listing(axis: Axis, values: Iterable[Value]) -> str:
    """Return a list of an axis's values; three or more neighbours become `first to last`."""
    groups: list[list[Value]] = []
    previous = -2
    for index in sorted(axis.values.index(value) for value in values):
        if index > previous + 1:
            groups.append([])
        groups[-1].append(axis.values[index])
        previous = index
    texts = [[axis.text(value) for value in group] for group in groups]
    return ", ".join(
        f"{group[0]} to {group[-1]}" if len(group) > 2 else ", ".join(group) for group in texts
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is one."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
