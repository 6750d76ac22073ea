"""The figures of a sweep, each registered once: its title, how it is drawn, what is said of it."""

import importlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from bnsweep.errors import UserError
from bnsweep.keys import Value
from bnsweep.records import SweepRun
from bnsweep.report import claims, gaps, measures
from bnsweep.report.answer import MAX_LINES
from bnsweep.report.comparison import Line, compare
from bnsweep.report.final_table import diverged_text, final_table
from bnsweep.report.markdown import table, with_interval
from bnsweep.report.measures import LEARNS, TARGET

if TYPE_CHECKING:
    import matplotlib.figure

MAX_ROWS = 128
MAX_GAPS = 40

Runs = Sequence[SweepRun]
Draw = Callable[[Runs], "matplotlib.figure.Figure | None"]


@dataclass(frozen=True)
class SweepFigure:
    """A figure of a sweep, with its section of the summary.

    Attributes:
        title: of the section.
        draw: from the runs to the figure, or None where they have nothing for it to show; a
            dotted path is imported when the figure is drawn.
        section: from the runs to the paragraphs of the section.
    """

    title: str
    draw: Draw | str
    section: Callable[[Runs], list[str]] = lambda runs: []  # noqa: ARG005


def sweep_figure(name: str) -> SweepFigure:
    """Return the figure of a name in `FIGURES`, or of a dotted path to one of the user's own.

    The path is that of a `SweepFigure`, or of a function that draws.

    Raises:
        UserError: there is no such figure.
    """
    if name in FIGURES:
        return FIGURES[name]
    if "." not in name:
        raise UserError(
            f"report.figures: there is no figure {name}; give names out of "
            f"{', '.join(FIGURES)}, or the dotted path of your own"
        )
    found = _imported(name)
    if isinstance(found, SweepFigure):
        return found
    if not callable(found):
        raise UserError(f"report.figures: {name} is neither a SweepFigure nor a function")
    return SweepFigure(title=name.rpartition(".")[2], draw=found)


def draw(name: str, runs: Runs) -> "matplotlib.figure.Figure | None":
    """Draw the figure of a name."""
    function = sweep_figure(name).draw
    if isinstance(function, str):
        function = cast("Draw", _imported(function))
    return function(runs)


def file_name(name: str) -> str:
    """Return the name of the file that a figure is written to, without its ending."""
    return name.rpartition(".")[2]


def _imported(path: str) -> object:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"report.figures: {path} cannot be imported ({error})") from error


def _which_learn(runs: Sequence[SweepRun]) -> list[str]:
    """Say at which values each line learns, where the answer has no room for it."""
    learns = claims.where_it_learns(compare(runs))
    return ["\n".join(f"- {text}" for text in learns)] if len(learns) > MAX_LINES else []


def _final_table(runs: Sequence[SweepRun]) -> list[str]:
    found = final_table(compare(runs))
    if len(found.rows) > MAX_ROWS:
        found = replace(found, rows=found.rows[:MAX_ROWS], note=f"{found.note}; first rows")
    return [f"{found.note}.", table(found.head, found.rows)]


def _speed(runs: Sequence[SweepRun]) -> list[str]:
    comparison = compare(runs)
    axis = comparison.across
    if not axis or not axis.numeric:
        return []
    rows = []
    for line in comparison.lines[:MAX_ROWS]:
        row = [line.label or "the network"]
        for threshold in (LEARNS, TARGET):
            largest = claims.largest_rates(comparison, axis, line, threshold).values()
            ends = dict.fromkeys(axis.text(pick(largest)) for pick in (min, max)) if largest else {}
            row += [" to ".join(ends) or "none", str(len(largest))]
        rows.append(row)
    head = ["", f"largest {axis.label} that learns", "seeds"]
    head += [f"that ends at {TARGET:.0%} or more", "seeds"]
    note = "Of each seed the largest; smallest to largest over the seeds that have one."
    return [note, table(head, rows)]


def _gaps(runs: Sequence[SweepRun]) -> list[str]:
    comparison = compare(runs, overlay="all")
    rows = []
    for line in comparison.lines[:MAX_GAPS]:
        results = comparison.results(None, line)
        quantities = (measures.TRAIN, measures.TEST, measures.GAP)
        estimates = [measures.final(quantity, results) for quantity in quantities]
        train, test, gap = (with_interval(estimate) for estimate in estimates)
        mark = diverged_text(estimates[0].diverged, estimates[0].n)
        rows.append([line.label or "the network", train + mark, test, gap])
    parts = [table(["", "training", "test", "gap"], rows)]
    if left := len(comparison.lines) - len(rows):
        parts.append(f"{left} more combinations are in results.csv.")
    return [*parts, *gaps.changes(comparison)]


def _health(runs: Sequence[SweepRun]) -> list[str]:
    """Count the layers of each place that are collapsed, saturated and so on."""
    comparison = compare(runs)
    axis = comparison.across

    def cell(value: Value, line: Line) -> str:
        before: Counter[str] = Counter()
        after: Counter[str] = Counter()
        for result in comparison.results(value, line):
            activation = str(result.spec.value("model.activation"))
            before.update(measures.health(h, activation) for h in result.initial_activations)
            after.update(measures.health(h, activation) for h in result.final_activations)
        stages = [
            ", ".join(f"{n} {kind}" for kind, n in sorted(c.items())) for c in (before, after)
        ]
        return " \N{RIGHTWARDS ARROW} ".join(dict.fromkeys(stages)) or "-"

    lines, values = comparison.lines, comparison.values
    if len(lines) <= len(values):
        head = [axis.label if axis else "", *(claims.who(line) for line in lines)]
        rows = [[axis.text(v) if axis else "", *(cell(v, line) for line in lines)] for v in values]
    else:
        head = ["", *(axis.equation(v) if axis else "" for v in values)]
        rows = [[claims.who(line), *(cell(v, line) for v in values)] for line in lines]
    seeds = f", over {comparison.repeats} seeds" if comparison.repeats > 1 else ""
    note = "How many layers are what, before \N{RIGHTWARDS ARROW} after training where that differs"
    return [f"{note}{seeds}.", table(head, rows[:MAX_GAPS])]


_OWN = "bnsweep.report.figures"
FIGURES: dict[str, SweepFigure] = {
    "curves": SweepFigure(
        "Training accuracy over the epochs", f"{_OWN}.curves.curves", _which_learn
    ),
    "final_accuracy": SweepFigure("Final accuracy", f"{_OWN}.values.final_accuracy", _final_table),
    "epochs_to_target": SweepFigure("Speed", f"{_OWN}.values.epochs_to_target", _speed),
    "generalization_gap": SweepFigure(
        "Generalisation gap", f"{_OWN}.curves.generalization_gap", _gaps
    ),
    "activations": SweepFigure(
        "Outputs of the hidden layers", f"{_OWN}.activation_grid.activations", _health
    ),
}
