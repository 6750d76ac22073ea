"""The figure of the hidden layers of a whole sweep: collapsed, saturated or healthy."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from bnsweep.records import RunResult, SweepRun, with_results
from bnsweep.records.keys import rounded
from bnsweep.report import measures
from bnsweep.report.comparison import Comparison, Line, compare
from bnsweep.report.figures.panel import Panel
from bnsweep.report.figures.rendering import Figure, render
from bnsweep.report.figures.scales import Scale
from bnsweep.report.figures.sheet import COLORS, SOFT, Sheet, Stroke, Text
from bnsweep.report.figures.single_run import HEALTH_COLORS
from bnsweep.report.figures.thinning import spread_lines, spread_out, thinned
from bnsweep.report.labels import setting

GRID_VALUES, GRID_LINES, GRID_LAYERS = 8, 6, 8  # at most
PANEL_WIDTH, PANEL_HEIGHT = 1.22, 0.5
BLOCK_MARGIN = 0.5
PAGE_WIDTH = 12.6
BINS = 40
TALLEST = 0.15  # bins with a larger share of the outputs are cut off
BEFORE, AFTER = "#B0B0B0", COLORS[0]
HEALTH_NOTES = (
    "Collapsed: standard deviation below 0.05, exploded: above 10",
    "Saturated: half of the outputs within 5 % of the activation's bounds",
    "Dead: 95 % are zero",
)


def activations(runs: Sequence[SweepRun]) -> Figure | None:
    """Draw the outputs of every layer, before and after training, as a grid of histograms.

    There is a block for each line, a column for each value across, and a row for each layer.
    Panels of one activation share a scale, which makes a collapse visible. Of several seeds,
    the first is drawn.
    """
    comparison, notes = thinned(compare(runs), panels=GRID_VALUES)
    lines = spread_lines(comparison.lines, GRID_LINES)
    measured = [result for result in with_results(runs) if result.final_activations]
    if not measured:
        return None
    if len(lines) < len(comparison.lines):
        notes.append(f"{len(lines)} of {len(comparison.lines)} lines are shown")
    if comparison.repeats > 1:
        notes.append("Of several seeds, the first is shown")

    block = BLOCK_MARGIN + len(comparison.values) * PANEL_WIDTH
    together = len({line.variant for line in lines}) if comparison.model_axis is not None else 4
    across = max(1, min(len(lines), together, int(PAGE_WIDTH / block)))
    sheet = Sheet(max(7.6, across * block + 0.2))
    top = sheet.header("Outputs of the hidden layers", [setting(measured), *notes, *HEALTH_NOTES])
    top = sheet.legend(
        [("before training", Stroke(BEFORE, width=5)), ("after", Stroke(AFTER))], top
    )
    reach = _reach(measured)
    for start in range(0, len(lines), across):
        bottoms = [
            _block(sheet, BLOCK_MARGIN + i * block, top - 0.2, comparison, line, reach)
            for i, line in enumerate(lines[start : start + across])
        ]
        top = min(bottoms) - 0.15
    return render(sheet)


def _block(
    sheet: Sheet, left: float, top: float, comparison: Comparison, line: Line, reach: float
) -> float:
    """Draw all layers of one line; return where they end."""
    if line.label:
        sheet.texts.append(Text(left, top - 0.05, line.label, size=10, bold=True))
        top -= 0.1
    top -= 0.2
    bottom = top
    for column, value in enumerate(comparison.values):
        results = comparison.results(value, line)
        if not results:
            continue
        result = results[0]
        activation = str(result.spec.value("model.activation"))
        low, high = measures.bounds(activation, within=(-reach, reach))
        ticks = tuple((end, rounded(end, 2)) for end in (low, high))
        x, y = Scale(low, high, ticks), Scale(0, TALLEST)
        layers = list(zip(result.initial_activations, result.final_activations, strict=False))
        shown = spread_out(list(enumerate(layers, 1)), GRID_LAYERS)
        for row, (number, pair) in enumerate(shown):
            corner = (left + column * PANEL_WIDTH, top - (row + 1) * PANEL_HEIGHT)
            panel = Panel(sheet, *corner, PANEL_WIDTH - 0.08, PANEL_HEIGHT - 0.06, x, y)
            title = comparison.across.equation(value) if comparison.across and row == 0 else ""
            healths = [measures.health(histogram, activation) for histogram in pair]
            panel.frame(
                title, x_ticks=row == len(shown) - 1, inward=True, fill=HEALTH_COLORS[healths[1]]
            )
            edges = np.linspace(low, high, BINS + 1)
            panel.steps(edges, measures.shares(pair[0], edges), BEFORE, filled=True)
            panel.steps(edges, measures.shares(pair[1], edges), AFTER, filled=False)
            panel.note(_verdict(healths), size=6.5)
            if column == 0:
                middle = corner[1] + PANEL_HEIGHT / 2
                text = Text(left - 0.06, middle, str(number), color=SOFT, ha="right", va="center")
                sheet.texts.append(text)
            bottom = min(bottom, corner[1] - 0.2)
    return bottom


def _verdict(healths: Sequence[measures.Health]) -> str:
    before, after = healths
    if before == after:
        return "" if after == "healthy" else after
    return f"{before} \N{RIGHTWARDS ARROW} {after}"


def _reach(results: Iterable[RunResult]) -> float:
    """Return the end of the axis of unbounded activations: where healthy layers end."""
    ends = [
        measures.quantiles(histogram, [0.99])[0]
        for result in results
        if math.isinf(measures.bounds(str(result.spec.value("model.activation")))[1])
        for histogram in (*result.initial_activations, *result.final_activations)
        if measures.health(histogram, "") == "healthy"
    ]
    return math.ceil(float(np.median(ends))) if ends else 3.0
