"""Fewer panels and lines, for sweeps with more than a page holds or the eye distinguishes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from bnsweep.report.comparison import Axis, Comparison, Line
from bnsweep.report.figures.sheet import COLORS, DASHES

Item = TypeVar("Item")


def thinned(comparison: Comparison, *, panels: int) -> tuple[Comparison, list[str]]:
    """Return at most `panels` panels and as many lines as there are colours and dashes.

    With the comparison come sentences about what was left out.
    """
    across, lines, notes = comparison.across, comparison.lines, []
    if across and len(across.values) > panels:
        notes.append(f"{panels} of {len(across.values)} values of {across.label} are shown")
        across = Axis(across.key, spread_out(across.values, panels))
    kins = spread_out(sorted({line.kin for line in lines}), len(COLORS))
    kept = [line for line in lines if line.kin in kins and line.variant < len(DASHES)]
    if len(kept) < len(lines):
        notes.append(f"{len(kept)} of {len(lines)} lines are shown")
        kept = [replace(line, kin=kins.index(line.kin)) for line in kept]
    return replace(comparison, across=across, lines=tuple(kept)), notes


def spread_lines(lines: Sequence[Line], count: int) -> tuple[Line, ...]:
    """Return at most `count` of `lines`, evenly spaced; lines of one kin stay together."""
    together = max((sum(line.kin == other.kin for other in lines) for line in lines), default=1)
    kins = spread_out(sorted({line.kin for line in lines}), max(1, count // together))
    return tuple(line for line in lines if line.kin in kins)[:count]


def spread_out(items: Sequence[Item], count: int) -> tuple[Item, ...]:
    """Return at most `count` of `items`, evenly spaced from the first to the last."""
    if len(items) <= count:
        return tuple(items)
    last = len(items) - 1
    return tuple(items[round(i * last / max(1, count - 1))] for i in range(count))
