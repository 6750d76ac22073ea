"""The table of final accuracies: a row for each value across, columns for each model."""

from collections.abc import Sequence
from dataclasses import dataclass

from bnsweep.records import RunResult
from bnsweep.records.keys import Value
from bnsweep.report import measures
from bnsweep.report.comparison import Axis, Comparison
from bnsweep.report.markdown import with_interval
from bnsweep.report.words import counted

MAX_COLUMNS = 4


@dataclass(frozen=True)
class FinalTable:
    """The table's head and rows, and a note on what its numbers are."""

    note: str
    head: list[str]
    rows: list[list[str]]


def final_table(comparison: Comparison) -> FinalTable:
    """Return final training and test accuracies: mean and interval over the seeds.

    The models are columns, or else the key with the fewest values if these are at most four;
    the value across and the other keys are rows.
    """
    columns = _column_axis(comparison)
    axes = [axis for axis in (comparison.across, *comparison.line_axes) if axis]
    rest = [axis for axis in axes if axis is not columns]
    groups: dict[tuple[Value, ...], dict[Value, Sequence[RunResult]]] = {}
    for value in comparison.values:
        for line in comparison.lines:
            values = dict(zip(comparison.line_axes, line.values, strict=True))
            if comparison.across:
                values[comparison.across] = value
            place = tuple(values[axis] for axis in rest)
            if results := comparison.results(value, line):
                groups.setdefault(place, {})[values[columns] if columns else None] = results
    choices = columns.values if columns else (None,)
    names = [f"{columns.phrase(choice)} " if columns else "" for choice in choices]
    return FinalTable(
        note=_note(comparison),
        head=[axis.label for axis in rest] + [f"{n}{s}" for n in names for s in ("train", "test")],
        rows=[
            [axis.text(value) for axis, value in zip(rest, place, strict=True)]
            + [cell for choice in choices for cell in _cells(by_choice.get(choice, ()))]
            for place, by_choice in sorted(groups.items(), key=lambda item: _order(rest, item[0]))
        ],
    )


def _column_axis(comparison: Comparison) -> Axis | None:
    if (model := comparison.model_axis) is not None:
        return comparison.line_axes[model]
    few = [axis for axis in comparison.line_axes if len(axis.values) <= MAX_COLUMNS]
    return min(few, key=lambda axis: len(axis.values), default=None)


def _order(axes: Sequence[Axis], place: Sequence[Value]) -> list[int]:
    return [axis.values.index(value) for axis, value in zip(axes, place, strict=True)]


def _cells(results: Sequence[RunResult]) -> list[str]:
    """Return a place's training accuracy, with how many runs diverged, and its test accuracy."""
    if not results:
        return ["-", "-"]
    train = measures.final(measures.TRAIN, results)
    test = measures.final(measures.TEST, results)
    return [with_interval(train) + diverged_text(train.diverged, train.n), with_interval(test)]


def diverged_text(diverged: int, n: int) -> str:
    """Return how many of n runs diverged, in brackets; nothing if none did."""
    if not diverged:
        return ""
    return " (diverged)" if n == 1 else f" ({diverged} of {n} diverged)"


def _note(comparison: Comparison) -> str:
    seeds = {len(results) for results in comparison.cells.values()}
    if seeds == {1}:
        return "Final accuracy on training and test set, 1 seed"
    fewest, most = min(seeds), max(seeds)
    n = counted(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    return (
        f"Final accuracy on training and test set: mean over {n} \N{PLUS-MINUS SIGN} 95 % interval"
    )
