"""Figures over the epochs: an accuracy, and the generalisation gap."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnsweep.records import SweepRun, SweepTable, runs_of, with_results
from bnsweep.records.keys import Value
from bnsweep.report import measures
from bnsweep.report.arrangement import MAX_LINES, arranged, joined, spread_out
from bnsweep.report.comparison import Comparison, Line, compare
from bnsweep.report.figures import layout
from bnsweep.report.figures.layout import Block, page
from bnsweep.report.figures.style import TEST_COLOR, TOP, TRAIN_COLOR, applied, look
from bnsweep.report.measures import GAP, QUANTITY_NAMES, TEST, TRAIN, Quantity

MOST_COMBINATIONS = 16
SPREAD = "Line: mean of {} seeds, band: their range"
CROSSES = "x: a run diverged, and counts in the mean with its last value"


def curves(
    sweep: Sequence[SweepRun] | SweepTable, *, quantity: Quantity = TRAIN, style: str | None = None
) -> Figure | None:
    """Draw an accuracy over the epochs, with a panel for each value of one key.

    `quantity` is `train_accuracy`, `test_accuracy`, `validation_accuracy` or `gap`.
    """
    runs = runs_of(sweep)
    ended = with_results(runs)
    if not ended:
        return None
    with applied(style) as medium:
        comparison = compare(runs, overlay="names")
        in_rows = comparison.row_axis(MAX_LINES) is not None
        most = medium.columns * (1 if in_rows else medium.rows)
        fitted = arranged(comparison, across=most, rows=medium.rows)
        whole, values = fitted.whole, fitted.whole.values
        columns = len(values) if in_rows else layout.columns_for(len(values))
        many = in_rows and columns > layout.MANY_COLUMNS  # rows are named at the left alone
        across = [whole.across.equation(v) if whole.across else "" for v in values]
        places = [
            (joined("" if many else row, title if i == 0 or not many else ""), part, value)
            for i, (row, part) in enumerate(fitted.rows())
            for title, value in zip(across, values, strict=True)
        ]
        rows, notes = fitted.row_axis, [*fitted.notes]
        row_names = [rows.text(value) for value in rows.values] if rows and many else []
        if rows and many:
            notes.append(f"Rows, at the left: {rows.label}")
        name = QUANTITY_NAMES.get(quantity, quantity)
        chance = measures.chance(ended) if quantity != GAP else None
        figure, (panels,) = page(
            medium,
            f"{name.capitalize()} over the epochs",
            [*layout.remarks_on(runs, comparison, SPREAD, CROSSES), *notes],
            layout.legend_of(whole, chance, **_unmarked(whole)),
            [Block([title for title, *_ in places], columns, left=4.6 + 1.4 * many)],
            columns=columns,
            group=whole.together,
        )
        layout.name_axes(panels, columns, "epoch", name, row_names)
        limits = _gap_limits(fitted.parts) if quantity == GAP else (0.0, TOP)
        epochs = measures.last_epoch(ended)
        for axes, (_, part, value) in zip(panels, places, strict=True):
            _prepare(axes, epochs, limits, chance)
            for line in whole.lines:
                _draw_course(axes, part, value, line, quantity)
            _note_diverged(axes, part, value, whole.lines)
    return figure


def generalization_gap(
    sweep: Sequence[SweepRun] | SweepTable, *, style: str | None = None
) -> Figure | None:
    """Draw training and test accuracy over the epochs, and below them the gap between the two."""
    runs = runs_of(sweep)
    ended = with_results(runs)
    if not ended:
        return None
    with applied(style) as medium:
        comparison = compare(runs, overlay="all")
        split = comparison.row_axis(MAX_LINES)
        in_row = math.ceil(len(comparison.lines) / len(split.values)) if split else 1
        fitted = arranged(comparison, across=1, rows=max(1, MOST_COMBINATIONS // in_row))
        whole, parts, chance = fitted.whole, fitted.parts, measures.chance(ended)
        places = [
            (joined(row, line.label), part, line)
            for row, part in fitted.rows()
            for line in whole.lines
            if part.results(None, line)
        ]
        columns, gap_columns = layout.columns_for(len(places)), layout.columns_for(len(parts))
        sets = {TRAIN: TRAIN_COLOR, TEST: TEST_COLOR}
        figure, (panels, gaps) = page(
            medium,
            "Training and test accuracy, and the gap between them",
            [*layout.remarks_on(runs, comparison, SPREAD, CROSSES), *fitted.notes],
            [
                *(Line2D([], [], color=c, label=QUANTITY_NAMES[q]) for q, c in sets.items()),
                *layout.legend_of(whole, chance, **_unmarked(whole)),
            ],
            [
                Block([title for title, *_ in places], columns),
                Block(fitted.row_titles, gap_columns, height=18.0 if gap_columns == 1 else 0.0),
            ],
            columns=max(2, columns),
        )
        layout.name_axes(panels, columns, "epoch", "accuracy")
        epochs, gap_limits = measures.last_epoch(ended), _gap_limits(parts)
        for axes, (_, part, line) in zip(panels, places, strict=True):
            _prepare(axes, epochs, (0.0, TOP), chance)
            for quantity, color in sets.items():
                set_look = {"color": color, "linestyle": "-", "marker": ""}
                _draw_course(axes, part, None, line, quantity, **set_look)
            _note_diverged(axes, part, None, [line])
        layout.name_axes(gaps, gap_columns, "epoch", QUANTITY_NAMES[GAP])
        for axes, part in zip(gaps, parts, strict=True):
            _prepare(axes, epochs, gap_limits, None)
            for line in whole.lines:
                _draw_course(axes, part, None, line, GAP)
    return figure


def _unmarked(comparison: Comparison) -> dict[str, Any]:
    """Return the keywords that leave out markers where colour and dashes tell lines apart."""
    return {} if any(line.kin for line in comparison.lines) else {"marker": ""}


def _prepare(axes: Axes, epochs: int, limits: tuple[float, float], chance: float | None) -> None:
    axes.set(xlim=(0, epochs), ylim=limits)
    layout.round_ticks(axes)
    layout.draw_chance(axes, chance)


def _gap_limits(parts: Sequence[Comparison]) -> tuple[float, float]:
    courses = [measures.course(GAP, results) for part in parts for results in part.cells.values()]
    low = min(0.0, *(course.low.min() for course in courses))
    high = max(0.05, *(course.high.max() for course in courses))
    return 1.04 * low, 1.04 * high


def _draw_course(
    axes: Axes, part: Comparison, value: Value, line: Line, quantity: Quantity, **kwargs: Any
) -> None:
    """Draw the mean and range over the epochs, and where runs diverged."""
    results = part.results(value, line)
    if not results:
        return
    course = measures.course(quantity, results)
    kwargs = look(part, line) | _unmarked(part) | kwargs
    if layout.size_of(axes)[0] < 10:
        kwargs |= {"linewidth": 0.09 * rcParams["font.size"], "markersize": 3.0}
    if len(results) > 1:
        layout.band(axes, course.epochs, course.low, course.high, kwargs["color"])
    if len(course.epochs) == 1:
        kwargs["marker"] = "o"
    # Markers of lines that lie on each other stay apart.
    every = list(spread_out(range(line.kin % 3, len(course.epochs)), 5)) or None
    axes.plot(course.epochs, course.mean, markevery=every, **kwargs)
    ends = {(r.epochs_run, measures.last(quantity, r)) for r in results if measures.diverged(r)}
    for epoch, end in sorted(ends):
        axes.plot(epoch, end, "x", color=kwargs["color"], clip_on=False)


def _note_diverged(axes: Axes, part: Comparison, value: Value, lines: Sequence[Line]) -> None:
    """Write into a panel how many of how many runs of each line diverged, or that none ended."""
    notes, found = [], {line: part.results(value, line) for line in lines}
    for line, results in found.items():
        if number := sum(map(measures.diverged, results)):
            notes.append(f"{line.label}: {number} of {len(results)} diverged".removeprefix(": "))
    if notes or not any(found.values()):
        layout.note(axes, "\n".join(notes) or "no result")
