"""How a comparison fits on a page that holds so much, read by an eye that tells so much apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bnsweep.records.keys import shown
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison

MAX_LINES = 8  # in one panel
MAX_ROWS = 16  # of panels
MAX_NAMED = 3  # of the values left out

Item = TypeVar("Item")


@dataclass(frozen=True)
class Arrangement:
    """A comparison as it fits on a page: a row of panels for each value of one key.

    Attributes:
        row_axis: the key; None if there is only one row.
        parts: the comparison of each row; their lines are the same.
        notes: sentences about what was left out, and what shows it.
    """

    row_axis: Axis | None
    parts: tuple[Comparison, ...]
    notes: tuple[str, ...]

    @property
    def whole(self) -> Comparison:
        """The first part, for what all of them share: the values across and the lines."""
        return self.parts[0]

    def rows(self) -> Iterator[tuple[str, Comparison]]:
        """Yield the title of each row, empty if there is only one, and its comparison."""
        yield from zip(self.row_titles, self.parts, strict=True)

    @property
    def row_titles(self) -> list[str]:
        """The value of each row."""
        axis = self.row_axis
        return [axis.phrase(value) for value in axis.values] if axis else [""]


def arranged(comparison: Comparison, *, across: int, rows: int = MAX_ROWS) -> Arrangement:
    """Return a comparison with at most so many values across, rows, and lines in a panel.

    Lines that are more than the eye tells apart go to a row of panels for each value of a key.
    """
    notes = []
    if comparison.across and len(comparison.across.values) > across:
        comparison, note = _cut(comparison, comparison.across, across)
        notes.append(note)
    split = comparison.row_axis(MAX_LINES)
    if split and len(split.values) > rows:
        at = comparison.line_axes.index(split)
        comparison, note = _cut(comparison, split, rows)
        split = comparison.line_axes[at]
        notes.append(note)
    parts = comparison.split(split) if split else (comparison,)
    while len(lines := parts[0].lines) > MAX_LINES:
        axis = _longest(parts[0])
        comparison, note = _cut(comparison, axis, len(axis.values) * MAX_LINES // len(lines))
        parts = comparison.split(split) if split else (comparison,)
        notes.append(note)
    return Arrangement(split, parts, tuple(notes))


def joined(*parts: str) -> str:
    """Return the parts of a title that are not empty, with commas between them."""
    return ", ".join(part for part in parts if part)


def spread_out(items: Sequence[Item], count: int) -> tuple[Item, ...]:
    """Return at most `count` of `items`, evenly spaced from the first to the last."""
    if len(items) <= count:
        return tuple(items)
    last = len(items) - 1
    return tuple(items[round(i * last / max(1, count - 1))] for i in range(count))


def _longest(comparison: Comparison) -> Axis:
    """Return the key of the lines with the most values; the model only if there is no other."""
    axes = [axis for axis in comparison.line_axes if len(axis.values) > 1]
    others = [axis for axis in axes if axis.key not in MODEL_KEYS]
    return max(others or axes, key=lambda axis: len(axis.values))


def _cut(comparison: Comparison, axis: Axis, count: int) -> tuple[Comparison, str]:
    """Return a comparison with fewer values of one key, and what it says of that."""
    kept = spread_out(axis.values, max(1, count))
    left_out = [shown(value) for value in axis.values if value not in kept]
    more = ",..." if len(left_out) > MAX_NAMED else ""
    override = f"{axis.key}={','.join(left_out[:MAX_NAMED])}{more}"
    shares = f"{len(kept)} of {len(axis.values)} values of {axis.label} are shown"
    return comparison.only(axis, kept), f"{shares}: {override} shows others"
