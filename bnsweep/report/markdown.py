"""Pieces of Markdown: tables, numbers with their intervals, lists of swept values."""

import math
from collections.abc import Iterable, Sequence

from bnsweep.records.keys import Value
from bnsweep.report.comparison import Axis
from bnsweep.report.estimates import Estimate
from bnsweep.report.words import counted

MAX_ROWS = 500  # of a table


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [[_cell(text) for text in cells] for cells in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def long_table(head: Sequence[str], rows: Sequence[Sequence[str]], noun: str) -> list[str]:
    """Return a Markdown table; if it is cut, also a sentence that says so.

    `noun` is what a row stands for.
    """
    left = len(rows) - MAX_ROWS
    cut = [f"And {counted(left, f'more {noun}')}: `results.csv` has the runs."] if left > 0 else []
    return [table(head, rows[:MAX_ROWS]), *cut]


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
