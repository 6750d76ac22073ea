"""Figures over the epochs: training accuracy, and the generalisation gap."""

from collections.abc import Sequence

from bnsweep.records import SweepRun
from bnsweep.report import measures
from bnsweep.report.comparison import compare
from bnsweep.report.figures import scales
from bnsweep.report.figures.drawing import (
    draw_course,
    grid,
    last_epoch,
    legend_of,
    note_diverged,
    remarks_on,
    stroke_of,
    strokes_of_all,
)
from bnsweep.report.figures.panel import Panel
from bnsweep.report.figures.rendering import Figure, render
from bnsweep.report.figures.sheet import DASHES, Stroke
from bnsweep.report.figures.thinning import spread_lines, thinned

MAX_PANELS = 64
MAX_COMBINATIONS = 8


def curves(runs: Sequence[SweepRun]) -> Figure:
    """Draw training accuracy over the epochs, with a panel for each value of one key."""
    comparison, notes = thinned(compare(runs, overlay="names"), panels=MAX_PANELS)
    sheet, boxes = grid(len(comparison.values), aspect=0.68)
    top = sheet.header("Training accuracy over the epochs", remarks_on(runs, comparison) + notes)
    top = sheet.legend(legend_of(comparison), top)
    ticks = 5 if boxes[0][2] > 1.7 else 2
    x = scales.linear(0, last_epoch(runs), ticks=ticks, whole=True)
    y = scales.linear(0, 1, ticks=ticks)
    columns = len({left for left, *_ in boxes})
    for i, value in enumerate(comparison.values):
        left, below, width, height = boxes[i]
        panel = Panel(sheet, left, top - below, width, height, x, y)
        lowest = i + columns >= len(boxes)
        title = comparison.across.equation(value) if comparison.across else ""
        panel.frame(title, x_ticks=lowest, y_ticks=i % columns == 0, inward=True)
        if lowest:
            panel.x_name("epoch")
        for line in comparison.lines:
            draw_course(panel, comparison.results(value, line), stroke_of(comparison, line))
        note_diverged(panel, comparison, value, comparison.lines)
        if not any(comparison.results(value, line) for line in comparison.lines):
            panel.note("no result")
    return render(sheet)


def generalization_gap(runs: Sequence[SweepRun]) -> Figure:
    """Draw training and test accuracy over the epochs, and the gap between them."""
    comparison = compare(runs, overlay="all")
    lines = spread_lines(comparison.lines, MAX_COMBINATIONS)
    notes = ["Above, solid: training set, dashed: test set"]
    if len(lines) < len(comparison.lines):
        notes.append(f"{len(lines)} of {len(comparison.lines)} combinations are shown")
    sheet, boxes = grid(len(lines), aspect=0.68)
    top = sheet.header(
        "Training and test accuracy, and the gap between them",
        remarks_on(runs, comparison, dashes=False) + notes,
    )
    x = scales.linear(0, last_epoch(runs), whole=True)
    strokes = strokes_of_all(lines)
    columns = len({left for left, *_ in boxes})
    for i, (line, stroke) in enumerate(zip(lines, strokes, strict=True)):
        left, below, width, height = boxes[i]
        results = comparison.results(None, line)
        panel = Panel(sheet, left, top - below, width, height, x, scales.linear(0, 1))
        lowest = i + columns >= len(lines)
        panel.frame(line.label, x_ticks=lowest, y_ticks=i % columns == 0, inward=True)
        draw_course(panel, results, Stroke(stroke.color))
        draw_course(panel, results, Stroke(stroke.color, DASHES[1]), measures.TEST)
        note_diverged(panel, comparison, None, [line])
    top -= max(below for _, below, *_ in boxes) + 0.45
    top = sheet.legend(
        [(line.label, stroke) for line, stroke in zip(lines, strokes, strict=True)], top
    )
    gaps = [measures.course(measures.GAP, comparison.results(None, line)) for line in lines]
    y = scales.linear(
        min(0, *(g.low.min() for g in gaps)), max(0.05, *(g.high.max() for g in gaps))
    )
    panel = Panel(sheet, 0.5, top - 2.9, sheet.width - 0.65, 2.6, x, y)
    panel.frame("gap: training accuracy minus test accuracy")
    panel.x_name("epoch")
    for line, stroke in zip(lines, strokes, strict=True):
        draw_course(panel, comparison.results(None, line), stroke, measures.GAP)
    return render(sheet)
