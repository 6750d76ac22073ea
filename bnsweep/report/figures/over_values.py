"""Figures against the values of a swept key: final accuracy, speed."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from bnsweep.records import RunResult, SweepRun
from bnsweep.report import measures
from bnsweep.report.comparison import Comparison, compare
from bnsweep.report.figures import scales
from bnsweep.report.figures.drawing import WIDTH, last_epoch, legend_of, remarks_on, stroke_of
from bnsweep.report.figures.panel import Panel
from bnsweep.report.figures.rendering import Figure, render
from bnsweep.report.figures.scales import Scale
from bnsweep.report.figures.sheet import Sheet, Stroke
from bnsweep.report.figures.thinning import thinned


class Point(NamedTuple):
    """One place as drawn: a middle, the ends of its bar, and how many of n runs diverged."""

    middle: float
    low: float
    high: float
    diverged: int
    n: int


def final_accuracy(runs: Sequence[SweepRun]) -> Figure | None:
    """Draw the accuracy after the last epoch against one key, on the training and test sets."""
    comparison, notes = thinned(compare(runs), panels=10_000)
    if not comparison.across:
        return None
    sheet = Sheet(WIDTH)
    top = sheet.header(
        f"Final accuracy by {comparison.across.name}",
        _remarks(runs, comparison, "mean", "95 % interval of the mean") + notes,
    )
    top = sheet.legend(legend_of(comparison, marked=True), top) - 0.3
    sets = {"training set": measures.TRAIN, "test set": measures.TEST}
    for i, (name, accuracy) in enumerate(sets.items()):
        y = scales.linear(0, 1)
        panel = Panel(sheet, 0.5 + i * 6.15, top - 3.4, 5.75, 3.4, _x_scale(comparison), y)
        panel.frame(name)
        panel.x_name(comparison.across.label)
        _against_values(panel, comparison, partial(_final, accuracy))
    return render(sheet)


def epochs_to_target(runs: Sequence[SweepRun]) -> Figure | None:
    """Draw the epochs that each network needs to reach the target accuracy, against one key."""
    comparison, notes = thinned(compare(runs), panels=10_000)
    if not comparison.across:
        return None
    epochs = last_epoch(runs)
    never, apart = epochs * 1.06, epochs * min(0.04, 0.16 / max(1, len(comparison.lines)))
    highest = never + apart * max(1, len(comparison.lines) - 1)
    sheet = Sheet(8.6)
    notes.append(f"Never: not within {epochs} epochs")
    top = sheet.header(
        f"Epochs to {measures.TARGET:.0%} training accuracy by {comparison.across.name}",
        _remarks(runs, comparison, "median", "their range") + notes,
    )
    top = sheet.legend(legend_of(comparison, marked=True), top) - 0.15
    y = Scale(0, highest, (*scales.linear(0, epochs, whole=True).ticks, (never, "never")))
    panel = Panel(sheet, 0.6, top - 3.6, 7.8, 3.6, _x_scale(comparison), y)
    panel.frame()
    panel.x_name(comparison.across.label)

    def speed(results: Sequence[RunResult]) -> Point:
        needed = [min(measures.epochs_needed(result), never) for result in results]
        median = min(measures.median_epochs_needed(results), never)
        diverged = sum(result.status == "diverged" for result in results)
        return Point(median, min(needed), max(needed), diverged, len(results))

    _against_values(panel, comparison, speed, shelf=never, apart=apart)
    return render(sheet)


def _final(accuracy: measures.Quantity, results: Sequence[RunResult]) -> Point:
    final = measures.final(accuracy, results)
    low, high = (final.mean, final.mean) if final.n == 1 else (final.low, final.high)
    return Point(final.mean, low, high, final.diverged, final.n)


def _remarks(runs: Sequence[SweepRun], comparison: Comparison, middle: str, ends: str) -> list[str]:
    numeric = comparison.across is not None and comparison.across.numeric
    spread = f"Point: {middle} of {{}} seeds, {'band' if numeric else 'bar'}: {ends}"
    return remarks_on(
        runs, comparison, spread=spread, dashes=numeric, diverged="x: all diverged, k/n: k of n did"
    )


def _x_scale(comparison: Comparison) -> Scale:
    axis = comparison.across
    return scales.fitting(axis.values, [axis.text(v) for v in axis.values]) if axis else Scale(0, 1)


def _against_values(
    panel: Panel,
    comparison: Comparison,
    measure: Callable[[Sequence[RunResult]], Point],
    *,
    shelf: float = math.inf,
    apart: float = 0.0,
) -> None:
    """Draw a measure against the values across: lines for numbers, bars for names.

    Points at or above `shelf` are not connected, and those of successive lines are drawn
    `apart` from each other.
    """
    axis = comparison.across
    if not axis:
        return
    for k, line in enumerate(comparison.lines):
        stroke = stroke_of(comparison, line, marked=True)
        aside = 0.0 if axis.numeric else 0.5 * ((k + 0.5) / len(comparison.lines) - 0.5)
        points: list[tuple[float, Point]] = []
        for i, value in enumerate(axis.values):
            if results := comparison.results(value, line):
                x, point = value if axis.numeric else i + aside, measure(results)
                points.append((x, point))
                marked = replace(stroke, marker="x" if point.diverged == point.n else stroke.marker)
                size = 0.05 if len(axis.values) <= 40 else 0.02
                y = point.middle + (point.middle >= shelf) * k * apart
                panel.mark(x, y, marked, size=size)
                if 0 < point.diverged < point.n:
                    panel.label(x, y, f"{point.diverged}/{point.n}", color=stroke.color)
        if not axis.numeric:
            for x, point in points:
                panel.line([x, x], [point.low, point.high], Stroke(stroke.color, width=2.4))
            continue
        if comparison.repeats > 1 and points:
            lows, highs = [p.low for _, p in points], [p.high for _, p in points]
            panel.band([x for x, _ in points], lows, highs, stroke.color)
        for connected, group in itertools.groupby(points, lambda p: p[1].middle < shelf):
            if connected:
                stretch = list(group)
                panel.line([x for x, _ in stretch], [p.middle for _, p in stretch], stroke)
