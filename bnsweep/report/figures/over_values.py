"""Figures against the values of a swept key: final accuracy, speed."""

import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from bnsweep.records import RunResult, SweepRun, SweepTable, runs_of, with_results
from bnsweep.records.keys import rounded
from bnsweep.report import measures
from bnsweep.report.arrangement import arranged
from bnsweep.report.comparison import MODEL_KEYS, Axis, Comparison, compare
from bnsweep.report.figures import layout
from bnsweep.report.figures.layout import CHARACTER, STEPS, Block, page
from bnsweep.report.figures.style import CHANCE, TOP, applied, look, model_look
from bnsweep.report.measures import GAP, QUANTITY_NAMES, TARGET, TEST, TRAIN, Quantity, Spread

MOST_NUMBERS, MOST_NAMES, MOST_MARKED = 10_000, 24, 40
LEAST_FOR_A_LINE = 4  # numbers: a line across two or three claims a trend
ACCURACIES = (0.0, 1.0)
NEVER = 1.08  # the place of what was never reached, as a multiple of the last epoch
MOST_LETTERS = 30  # of a name at an axis
ROW = 1.7  # height of a row of dots, in ems


class Measure(NamedTuple):
    """What is drawn: its name, how it is worked out and written, its range, where "never" is."""

    name: str
    of: Callable[[Sequence[RunResult]], Spread]
    text: Callable[[Spread], str]
    limits: tuple[float, float]
    never: float = math.inf


def final_accuracy(
    sweep: Sequence[SweepRun] | SweepTable,
    *,
    quantities: Sequence[Quantity] = (TRAIN, TEST),
    style: str | None = None,
) -> Figure | None:
    """Draw accuracies after the last epoch against the values of one key.

    `quantities` has a panel each: `train_accuracy`, `test_accuracy`, `validation_accuracy`, `gap`.
    """

    def text(spread: Spread) -> str:
        known = math.isfinite(spread.high)  # more than one seed
        half = f" \N{PLUS-MINUS SIGN} {spread.high - spread.middle:.3f}" if known else ""
        return f"{spread.middle:.3f}{half}"

    shown = [
        Measure(
            QUANTITY_NAMES.get(quantity, quantity),
            partial(measures.mean_and_interval, quantity),
            text,
            (-1.0, 1.0) if quantity == GAP else ACCURACIES,
        )
        for quantity in quantities
    ]
    title = f"Final {shown[0].name if len(shown) == 1 else 'accuracy'}"
    points = "Point: mean of {} seeds, BAR: 95 % interval of the mean"
    return _against_values(runs_of(sweep), title, shown, points, style)


def epochs_to_target(
    sweep: Sequence[SweepRun] | SweepTable, *, style: str | None = None
) -> Figure | None:
    """Draw the epochs that a network needs to reach the target accuracy, against one key."""
    runs = runs_of(sweep)
    epochs = measures.last_epoch(with_results(runs))
    never, name = NEVER * epochs, f"epochs to {TARGET:.0%} training accuracy"

    def text(spread: Spread) -> str:
        middle, low, high = ("never" if v >= never else f"{v:g}" for v in spread[:3])
        return middle if low == high else f"{middle} ({low} to {high})"

    measure = Measure(name, partial(measures.median_and_range, most=never), text, (0, never), never)
    points = "Point: median of {} seeds, BAR: their range"
    never_means = "Never: not within the epochs of the run"
    return _against_values(runs, name.capitalize(), [measure], points, style, never_means)


def _against_values(
    runs: Sequence[SweepRun],
    title: str,
    shown: Sequence[Measure],
    points: str,
    style: str | None,
    *more: str,
) -> Figure | None:
    """Draw measures against one key: lines over numbers; dots beside names, or few numbers."""
    comparison, ended = compare(runs), with_results(runs)
    if comparison.across is None or not ended:
        return None
    dots = not _makes_a_line(comparison.across)
    with applied(style) as medium:
        most = MOST_NAMES if dots else MOST_NUMBERS
        fitted = arranged(comparison, across=most, rows=max(1, medium.rows // 3))
        whole, axis = fitted.whole, fitted.whole.across or comparison.across
        bar = "bar" if dots or shown[0].never < math.inf else "band"
        points = points.replace("BAR", bar)
        ends = {measure.limits: _ends(measure.limits, shown, fitted.parts) for measure in shown}
        level, accuracies = measures.chance(ended), ends.get(ACCURACIES)
        chance = level if level and accuracies and accuracies[0] < level else None
        shapes = ("Filled", "hollow") if dots else ("Solid", "dashed")
        remarks = layout.remarks_on(runs, comparison, points, _crosses(comparison), shapes)
        figure, (panels,) = page(
            medium,
            f"{title} by {axis.name}",
            [*remarks, *more, *fitted.notes],
            layout.legend_of(whole, chance, **({"linestyle": ""} if dots else {})),
            [
                Block(
                    [row for row in fitted.row_titles for _ in shown],
                    len(shown),
                    **_sizes_of_dots(whole, axis) if dots else {"between": 5.0},
                )
            ],
            columns=len(shown),
            group=whole.together,
        )
        for k, measure in enumerate(shown):
            below, at = panels[k :: len(shown)], chance if measure.limits == ACCURACIES else None
            for axes, part in zip(below, fitted.parts, strict=True):
                if dots:
                    _beside_names(axes, axis, part, measure, named=k == 0)
                else:
                    _over_numbers(axes, axis, part, measure, at, ends[measure.limits])
            if dots:
                _fit(below, measure, fitted.parts, at)
            for axes in below[:-1]:
                axes.tick_params(labelbottom=False)
                axes.set_xlabel("")
    return figure


def _crosses(comparison: Comparison) -> str:
    """Return what stands for runs that diverged, as far as it occurs."""
    counts = [sum(map(measures.diverged, r)) / len(r) for r in comparison.cells.values()]
    every = "x: all runs diverged" if 1 in counts else ""
    some = "k/n: k of n runs diverged" if any(0 < count < 1 for count in counts) else ""
    return ", ".join(filter(None, (every, some)))


def _ends(
    limits: tuple[float, float], shown: Sequence[Measure], parts: Sequence[Comparison]
) -> tuple[float, float]:
    """Return the ends of the y-axes of all measures with these limits.

    An axis of accuracies starts at 0, or higher if half of it were empty.
    """
    spreads = [s for m in shown if m.limits == limits for s in _spreads(m, parts)]
    lowest, highest = _reach(spreads)
    if limits == ACCURACIES:
        return (min(0.9, math.floor(10 * lowest - 0.2) / 10) if lowest > 0.5 else 0.0), 1.0
    if limits[0] < 0:
        return max(limits[0], min(0.0, 1.1 * lowest)), min(limits[1], max(0.05, 1.1 * highest))
    return limits


def _spreads(measure: Measure, parts: Sequence[Comparison]) -> list[Spread]:
    return [measure.of(results) for part in parts for results in part.cells.values()]


def _reach(spreads: Sequence[Spread]) -> tuple[float, float]:
    """Return the lowest and the highest end that is drawn."""
    lows, highs = zip(*(spread.ends for spread in spreads), strict=True)
    return min(lows), max(highs)


def _over_numbers(
    axes: Axes,
    axis: Axis,
    part: Comparison,
    measure: Measure,
    chance: float | None,
    ends: tuple[float, float],
) -> None:
    """Draw lines with bands; with bars, and open ends, where the measure may be never reached."""
    layout.round_ticks(axes, whole=False)
    _scale_numbers(axes, axis)
    (low, high), timed = ends, measure.never < math.inf
    apart = high * min(0.04, 0.16 / len(part.lines))  # between the lines at "never"
    above = 0.12 * high + len(part.lines) * apart if timed else 0.0
    axes.set(xlabel=axis.name, ylabel=measure.name, ylim=(low, TOP * high + above))
    if timed:
        axes.axhspan((NEVER + 1) / 2 / NEVER * high, 2 * high, facecolor="#F6F6F6", zorder=0)
        _tick_never(axes.yaxis, measure, measure.never + apart * (len(part.lines) - 1) / 2)
    layout.draw_chance(axes, chance)
    for k, line in enumerate(part.lines):
        found = {v: measure.of(results) for v in axis.values if (results := part.results(v, line))}
        if not found:
            continue
        kwargs, every = look(part, line), math.ceil(len(found) / MOST_MARKED)
        color, spreads = kwargs["color"], [*found.values()]
        x = np.clip([*map(float, found)], *axes.get_xlim())  # the very largest number lies outside
        lifted = [
            [end + k * apart * (end >= measure.never) for end in (s.middle, s.low, s.high)]
            for s in spreads
        ]
        y, lows, highs = ([*ends] for ends in zip(*lifted, strict=True))
        if timed:
            axes.vlines(x, lows, highs, color=color, alpha=0.5)
        elif part.repeats > 1:
            possible = np.clip([lows, highs], *measure.limits)
            layout.band(axes, x, possible[0], possible[1], color)
        out_of_reach = [spread.middle >= measure.never for spread in spreads]
        for never, group in groupby(range(len(x)), out_of_reach.__getitem__):
            stretch = [*group]
            kept = [
                j
                for j, i in enumerate(stretch)
                if spreads[i].diverged < spreads[i].n and i % every == 0
            ]
            joint = {"linestyle": ""} if never else {}
            axes.plot(
                [x[i] for i in stretch], [y[i] for i in stretch], **kwargs | joint, markevery=kept
            )
        for xi, yi, spread in zip(x, y, spreads, strict=True):
            if spread.diverged == spread.n:
                axes.plot(xi, yi, "x", color=color)
            elif spread.diverged:
                axes.annotate(
                    f"{spread.diverged}/{spread.n}", (xi, yi), (0, 5), color=color, ha="center",
                    textcoords="offset points", fontsize="small", rotation=90 * (len(x) > 8),
                    bbox=layout.LEGIBLE,
                )  # fmt: skip


def _makes_a_line(axis: Axis) -> bool:
    """Whether a line can go over the values: they are numbers, not few, and fit on one scale."""
    if not axis.numeric or len(axis.values) < LEAST_FOR_A_LINE:
        return False
    low, high = float(min(axis.values)), float(max(axis.values))
    return low > 0 or math.isfinite(1.2 * high - 1.2 * low)


def _scale_numbers(axes: Axes, axis: Axis) -> None:
    """Scale the x-axis: logarithmic if the values are positive and span more than a decade."""
    low, high = float(min(axis.values)), float(max(axis.values))
    if low > 0 and high / low > 10:
        first, last = math.log10(low), math.log10(high)
        room = 0.03 * (last - first)
        axes.set(xscale="log", xlim=(layout.power(first - room), layout.power(last + room)))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if last - first < 2 else (1,)))
    else:
        room = 0.05 * high - 0.05 * low
        axes.set_xlim(low - room, min(high + room, sys.float_info.max))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: rounded(x, 3)))
    if len(axis.values) <= 6:
        ticks = np.clip([*map(float, axis.values)], *axes.get_xlim())  # they would widen it
        axes.set_xticks(ticks, [axis.text(value) for value in axis.values])


def _tick_never(axis: XAxis | YAxis, measure: Measure, at: float) -> None:
    """Put ticks at whole epochs, and one `at` the place of what was never reached."""
    last = measure.never / NEVER
    ticks = MaxNLocator(5, steps=STEPS, integer=True).tick_values(0, last)
    shown = [tick for tick in ticks if tick <= 0.95 * last]
    axis.set_ticks([*shown, at], [*(f"{tick:.0f}" for tick in shown), "never"])


def _sizes_of_dots(whole: Comparison, axis: Axis) -> dict[str, float]:
    """Return the sizes of a panel: a row for each name and line, and room for texts beside."""
    longest = max(len(_short(axis.text(value))) for value in axis.values)
    height = ROW * len(axis.values) * (len(whole.lines) + 0.8)
    return {"left": 3.2 + CHARACTER * longest, "right": 8.5, "height": height}


def _beside_names(
    axes: Axes, axis: Axis, part: Comparison, measure: Measure, *, named: bool
) -> None:
    """Draw dots with bars, a row for each name and line, and what they say at the right."""
    block = len(part.lines) + 0.8
    names = [_short(axis.text(value)) if named else "" for value in axis.values]
    axes.set_yticks([block * (i + 0.5) for i in range(len(names))], names)
    axes.set(ylim=(block * len(names), 0), xlabel=measure.name)
    axes.set_ylabel(axis.name if named else "")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    models = [results[0].spec.model for results in part.cells.values()]
    for i in range(1, len(names)):
        axes.axhline(block * i, color=rcParams["grid.color"], lw=rcParams["grid.linewidth"])
    for k, line in enumerate(part.lines):
        for i, value in enumerate(axis.values):
            if results := part.results(value, line):
                kwargs: dict[str, Any] = look(part, line) | {"linestyle": ""}
                if axis.key in MODEL_KEYS:
                    kwargs |= model_look(results[0].spec, models)
                spread, y = measure.of(results), block * i + k + 0.9
                axes.hlines(y, spread.low, spread.high, color=kwargs["color"])
                cross = {"marker": "x"} if spread.diverged == spread.n else {}
                axes.plot(spread.middle, y, **kwargs | cross)
                ended = f", {spread.diverged}/{spread.n}" if spread.diverged else ""
                layout.beside(axes, y, measure.text(spread) + ended, color=kwargs["color"])


def _short(name: str) -> str:
    return (
        name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    )


def _fit(
    panels: Sequence[Axes], measure: Measure, parts: Sequence[Comparison], chance: float | None
) -> None:
    """Give panels of dots below each other one x-axis, which uses the room."""
    low, high = np.clip(_reach(_spreads(measure, parts)), *measure.limits)
    room = 0.06 * (high - low) or 0.05
    for axes in panels:
        axes.set_xlim(low - room, high + room)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        if measure.never < math.inf:
            axes.set_xlim(0, 1.06 * measure.never)
            _tick_never(axes.xaxis, measure, measure.never)
        elif chance and low - room < chance < high + room:
            axes.axvline(chance, zorder=1.5, **CHANCE)
