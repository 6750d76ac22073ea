"""The figures of a sweep, each registered once together with its section of the summary."""

import importlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bnsweep.errors import UserError
from bnsweep.records import SweepRun
from bnsweep.records.keys import Value
from bnsweep.report import claims, gaps, measures
from bnsweep.report.comparison import Line, compare
from bnsweep.report.findings import MAX_LINES
from bnsweep.report.markdown import table, with_interval
from bnsweep.report.measures import LEARNS, TARGET
from bnsweep.report.tables import diverged_text, final_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 128
MAX_GAPS = 40

Runs = Sequence[SweepRun]
Draw = Callable[[Runs], "Figure | None"]


@dataclass(frozen=True)
class SweepFigure:
    """A figure of a sweep and its section of the summary.

    Attributes:
        title: of the section.
        draw: from the runs to the figure; None if the runs have nothing for it to show.
        section: from the runs to the paragraphs of the section.
    """

    title: str
    draw: Draw
    section: Callable[[Runs], list[str]] = lambda _: []


def sweep_figure(name: str) -> SweepFigure:
    """Return the figure with a name in `FIGURES`, or one of the user's own by its dotted path.

    The path leads to a `SweepFigure` or to a function that draws.

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
    try:
        figure = _imported(name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"report.figures: {name} cannot be imported ({error})") from error
    if isinstance(figure, SweepFigure):
        return figure
    if not callable(figure):
        raise UserError(f"report.figures: {name} is neither a SweepFigure nor a function")
    return SweepFigure(title=name.rpartition(".")[2], draw=figure)


def file_name(name: str) -> str:
    """Return the name of a figure's file, without the suffix."""
    return name.rpartition(".")[2]


def _imported(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _ours(path: str) -> Draw:
    """Return the drawing function at `path` in `figures`.

    Its first call imports it: the names of the figures are needed before anything is drawn, and
    importing matplotlib takes a third of a second.
    """
    return lambda runs: cast("Draw", _imported(f"bnsweep.report.figures.{path}"))(runs)


def _which_learn(runs: Runs) -> list[str]:
    """Return where each line learns, if there are too many lines for the answer."""
    learns = claims.where_it_learns(compare(runs))
    return ["\n".join(f"- {text}" for text in learns)] if len(learns) > MAX_LINES else []


def _final_table(runs: Runs) -> list[str]:
    final = final_table(compare(runs))
    cut = "; first rows" if len(final.rows) > MAX_ROWS else ""
    return [f"{final.note}{cut}.", table(final.head, final.rows[:MAX_ROWS])]


def _speed(runs: Runs) -> list[str]:
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


def _gaps(runs: Runs) -> list[str]:
    comparison = compare(runs, overlay="all")
    rows = []
    for line in comparison.lines[:MAX_GAPS]:
        results = comparison.results(None, line)
        quantities = (measures.TRAIN, measures.TEST, measures.GAP)
        estimates = [measures.final(quantity, results) for quantity in quantities]
        train, test, gap = (with_interval(estimate) for estimate in estimates)
        diverged = diverged_text(estimates[0].diverged, estimates[0].n)
        rows.append([line.label or "the network", train + diverged, test, gap])
    parts = [table(["", "training", "test", "gap"], rows)]
    if left := len(comparison.lines) - len(rows):
        parts.append(f"{left} more combinations are in results.csv.")
    return [*parts, *gaps.changes(comparison)]


def _health(runs: Runs) -> list[str]:
    """Return how many layers of each place are collapsed, saturated and so on."""
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


FIGURES: dict[str, SweepFigure] = {
    "curves": SweepFigure(
        title="Training accuracy over the epochs",
        draw=_ours("over_epochs.curves"),
        section=_which_learn,
    ),
    "final_accuracy": SweepFigure(
        title="Final accuracy", draw=_ours("over_values.final_accuracy"), section=_final_table
    ),
    "epochs_to_target": SweepFigure(
        title="Speed", draw=_ours("over_values.epochs_to_target"), section=_speed
    ),
    "generalization_gap": SweepFigure(
        title="Generalisation gap", draw=_ours("over_epochs.generalization_gap"), section=_gaps
    ),
    "activations": SweepFigure(
        title="Outputs of the hidden layers",
        draw=_ours("activation_grid.activations"),
        section=_health,
    ),
}
