"""Pieces of Markdown text: tables, numbers with their range, lists of swept values."""

from collections.abc import Iterable, Sequence

from bnsweep.comparison import Axis
from bnsweep.labels import Value
from bnsweep.measures import Spread


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def with_range(spread: Spread) -> str:
    """Return a mean, and the range where there is one."""
    if spread.low == spread.high:
        return f"{spread.mean:z.3f}"
    return f"{spread.mean:z.3f} ({spread.low:z.3f} to {spread.high:z.3f})"


def listing(axis: Axis, values: Iterable[Value]) -> str:
    """Return `values` of an axis, three or more neighbours as `first to last`."""
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
