"""What the figures of a sweep share: how lines are styled, drawn and explained."""

import math
from collections.abc import Sequence

from bnsweep.records import RunResult, SweepRun, with_results
from bnsweep.records.keys import Value
from bnsweep.report import measures
from bnsweep.report.comparison import Comparison, Line
from bnsweep.report.figures.panel import Panel
from bnsweep.report.figures.sheet import COLORS, DASHES, MARKERS, Sheet, Stroke
from bnsweep.report.figures.thinning import spread_out
from bnsweep.report.labels import setting

WIDTH = 12.6  # of the widest sheet, in inches


def grid(count: int, *, aspect: float) -> tuple[Sheet, list[tuple[float, float, float, float]]]:
    """Return a sheet and a box for each panel: left, depth of its bottom, width, height."""
    columns = count if count <= 3 else min(8, max(4, math.ceil(math.sqrt(count))))
    width = min(4.2 if count > 1 else 7.0, (WIDTH - 0.6) / columns)
    height = min(max(aspect * width, 1.25), 3.6)
    places = (divmod(i, columns) for i in range(count))
    boxes = [(0.5 + c * width, (r + 1) * height, width - 0.15, height - 0.32) for r, c in places]
    return Sheet(max(0.6 + columns * width, 7.6)), boxes


def remarks_on(
    runs: Sequence[SweepRun],
    comparison: Comparison,
    *,
    spread: str = "Line: mean of {} seeds, band: their range",
    dashes: bool = True,
    diverged: str = "x: diverged",
) -> list[str]:
    """Return the remarks that explain the figure."""
    ended = with_results(runs)
    remarks = [setting(ended)]
    if dashes and comparison.model_axis is not None and comparison.normalisation_differs:
        more = max(line.variant for line in comparison.lines) > 1
        with_it, without = ("or dash-dotted", "or dotted") if more else ("", "")
        remarks.append(f"Solid {with_it}: with Batch Normalization, dashed {without}: without")
    if comparison.repeats > 1:
        remarks.append(spread.format(comparison.repeats))
    if any(result.status == "diverged" for result in ended):
        remarks.append(diverged)
    if len(ended) < len(runs):
        remarks.append(f"{len(runs) - len(ended)} of {len(runs)} runs did not end and are left out")
    return [remark.replace(" :", ":") for remark in remarks]


def stroke_of(comparison: Comparison, line: Line, *, marked: bool = False) -> Stroke:
    """Return the stroke of a line; it has a marker if dashes do not distinguish the hues."""
    dashes = {other: _dash(comparison, other) for other in comparison.lines}
    marked |= len(comparison.lines) > len(set(dashes.values()))
    models_alone = comparison.model_axis is not None and len(comparison.line_axes) == 1
    hue = line.variant if models_alone else line.kin
    return Stroke(COLORS[hue], DASHES[dashes[line]], marker=MARKERS[hue] if marked else "")


def _dash(comparison: Comparison, line: Line) -> int:
    """Return the index of a line's dash: one for each model, or else one line after another."""
    return line.variant if comparison.model_axis is not None else line.kin % len(DASHES)


def strokes_of_all(lines: Sequence[Line]) -> list[Stroke]:
    """Return a stroke for each of a few lines that share a panel: each has its own colour."""
    return [
        Stroke(COLORS[i], DASHES[line.variant % len(DASHES)], marker=MARKERS[i])
        for i, line in enumerate(lines)
    ]


def legend_of(comparison: Comparison, *, marked: bool = False) -> list[tuple[str, Stroke]]:
    """Return the entries of the legend; a single line needs none."""
    lines = comparison.lines if len(comparison.lines) > 1 else ()
    return [(line.label, stroke_of(comparison, line, marked=marked)) for line in lines]


def last_epoch(runs: Sequence[SweepRun]) -> int:
    """Return the last epoch of the longest run, at least 1."""
    return max([1, *(result.epochs_run for result in with_results(runs))])


def note_diverged(
    panel: Panel, comparison: Comparison, value: Value, lines: Sequence[Line]
) -> None:
    """Write into a panel how many runs of each line diverged."""
    notes = []
    for line in lines:
        results = comparison.results(value, line)
        if diverged := sum(result.status == "diverged" for result in results):
            of = f"{diverged} of {len(results)} " if len(results) > 1 else ""
            notes.append(f"{line.label}: {of}diverged".removeprefix(": "))
    for i, note in enumerate(notes):
        panel.note(note, line=i)


def draw_course(
    panel: Panel,
    results: Sequence[RunResult],
    stroke: Stroke,
    quantity: measures.Quantity = measures.TRAIN,
) -> None:
    """Draw a quantity over the epochs: the mean and range of `results`, and where they diverged."""
    if not results:
        return
    course = measures.course(quantity, results)
    if len(results) > 1:
        panel.band(course.epochs, course.low, course.high, stroke.color)
    panel.line(course.epochs, course.mean, stroke)
    if stroke.marker:
        start = COLORS.index(stroke.color) % 3  # keeps the markers of equal lines apart
        for i in spread_out(range(start, len(course.epochs)), 5):
            panel.mark(course.epochs[i], course.mean[i], stroke, size=0.04)
    for result in results:
        if result.status == "diverged":
            end = measures.last(quantity, result)
            panel.mark(result.epochs_run, end, Stroke(stroke.color, marker="x"))
