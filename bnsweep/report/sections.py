"""The figures of a sweep, each registered once together with its section of the summary."""

import inspect
import pkgutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bnsweep.errors import UserError
from bnsweep.records import SweepRun
from bnsweep.records.keys import Value
from bnsweep.report import gaps, learning, measures, rates
from bnsweep.report.comparison import Line, compare
from bnsweep.report.findings import MAX_LINES
from bnsweep.report.markdown import long_table, with_interval
from bnsweep.report.measures import LEARNS, TARGET
from bnsweep.report.tables import diverged_text, final_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Runs = Sequence[SweepRun]
Draw = Callable[[Runs], "Figure | None"]


@dataclass(frozen=True)
class SweepFigure:
    """A figure of a sweep and its section of the summary.

    Attributes:
        title: of the section.
        draw: from the runs to the figure; None if the runs have nothing for it to show.
        section: from the runs to the paragraphs of the section.
        name: of its files, without the suffix; one of the user's own is called like its object.
    """

    title: str
    draw: Draw
    section: Callable[[Runs], list[str]] = lambda _: []
    name: str = ""


def sweep_figure(entry: str | Mapping[str, Any]) -> SweepFigure:
    """Return the figure that an entry of `report.figures` stands for.

    It is a name in `FIGURES`, or leads to a figure of the user's own: a dotted path, or a mapping
    with this path as `_target_` and further arguments. The path leads to a `SweepFigure` or to a
    function that draws.

    Raises:
        UserError: there is no such figure.
    """
    arguments = {} if isinstance(entry, str) else dict(entry)
    path = entry if isinstance(entry, str) else str(arguments.pop("_target_", ""))
    if path in FIGURES and isinstance(entry, str):
        return FIGURES[path]
    if "." not in path:
        raise UserError(
            f"report.figures: there is no figure {path or entry}; give names out of "
            f"{', '.join(FIGURES)}, or the dotted path of your own"
        )
    try:
        figure = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"report.figures: {path} cannot be imported ({error})") from error
    name = path.rpartition(".")[2]
    if isinstance(figure, SweepFigure):
        return replace(figure, draw=_partial(figure.draw, path, arguments), name=name)
    if not callable(figure):
        raise UserError(f"report.figures: {path} is neither a SweepFigure nor a function")
    return SweepFigure(title=name, draw=_partial(figure, path, arguments), name=name)


def sweep_figures(entries: Sequence[str | Mapping[str, Any]]) -> list[SweepFigure]:
    """Return the figures of `report.figures`.

    Raises:
        UserError: a figure is unknown, or two of them would be written to one file.
    """
    figures = [sweep_figure(entry) for entry in entries]
    names = [figure.name for figure in figures]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(
            f"report.figures={list(entries)}: more than one would be written to {twice[0]}; "
            "leave one out, or rename your own"
        )
    return figures


def _partial(draw: Draw, path: str, arguments: Mapping[str, Any]) -> Draw:
    """Return a drawing function with arguments.

    Raises:
        UserError: it does not take them.
    """
    try:
        inspect.signature(draw).bind((), **arguments)
    except TypeError as error:
        raise UserError(f"report.figures: {path}: {error}") from error
    return partial(draw, **arguments) if arguments else draw


def _ours(name: str, **arguments: Any) -> Draw:
    """Return the drawing function of this name in `figures`, with arguments.

    Its first call imports it: the names of the figures are needed before anything is drawn, and
    importing matplotlib takes a third of a second.
    """

    def draw(runs: Runs) -> "Figure | None":
        from bnsweep.report import figures

        drawn: Figure | None = getattr(figures, name)(runs, **arguments)
        return drawn

    return draw


def _which_learn(runs: Runs) -> list[str]:
    """Return where each line learns, if there are too many lines for the answer."""
    comparison = compare(runs)
    if comparison.across is None or len(comparison.lines) <= MAX_LINES:
        return []
    return long_table(*learning.learning_table(comparison), "row")


def _final_table(runs: Runs) -> list[str]:
    final = final_table(compare(runs))
    return [f"{final.note}.", *long_table(final.head, final.rows, "row")]


def _speed(runs: Runs) -> list[str]:
    comparison = compare(runs)
    axis = comparison.across
    if not axis or not axis.numeric:
        return []
    rows = []
    for line in comparison.lines:
        row = [learning.name_of(comparison, line)]
        for threshold in (LEARNS, TARGET):
            largest = rates.largest_rates(comparison, axis, line, threshold).values()
            ends = dict.fromkeys(axis.text(pick(largest)) for pick in (min, max)) if largest else {}
            row += [" to ".join(ends) or "none", str(len(largest))]
        rows.append(row)
    head = ["", f"largest {axis.label} that learns", "seeds"]
    head += [f"that ends at {TARGET:.0%} or more", "seeds"]
    note = "Of each seed the largest; smallest to largest over the seeds that have one."
    return [note, *long_table(head, rows, "row")]


def _gaps(runs: Runs) -> list[str]:
    comparison = compare(runs, overlay="all")
    rows = []
    for line in comparison.lines:
        results = comparison.results(None, line)
        quantities = (measures.TRAIN, measures.TEST, measures.GAP)
        estimates = [measures.final(quantity, results) for quantity in quantities]
        train, test, gap = (with_interval(estimate) for estimate in estimates)
        diverged = diverged_text(estimates[0].diverged, estimates[0].n)
        rows.append([learning.name_of(comparison, line), train + diverged, test, gap])
    head = ["", "training", "test", "gap"]
    return [*long_table(head, rows, "row"), *gaps.changes(comparison)]


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
        head = [axis.label if axis else "", *(learning.name_of(comparison, line) for line in lines)]
        rows = [[axis.text(v) if axis else "", *(cell(v, line) for line in lines)] for v in values]
    else:
        head = ["", *(axis.equation(v) if axis else "" for v in values)]
        rows = [
            [learning.name_of(comparison, line), *(cell(v, line) for v in values)] for line in lines
        ]
    seeds = f", over {comparison.repeats} seeds" if comparison.repeats > 1 else ""
    note = "How many layers are what, before \N{RIGHTWARDS ARROW} after training where that differs"
    return [f"{note}{seeds}.", *long_table(head, rows, "row")]


FIGURES: dict[str, SweepFigure] = {
    figure.name: figure
    for figure in (
        SweepFigure("Training accuracy over the epochs", _ours("curves"), _which_learn, "curves"),
        SweepFigure("Final accuracy", _ours("final_accuracy"), _final_table, "final_accuracy"),
        SweepFigure(
            "Final training accuracy",
            _ours("final_accuracy", quantities=(measures.TRAIN,)),
            _final_table,
            "final_train_accuracy",
        ),
        SweepFigure("Speed", _ours("epochs_to_target"), _speed, "epochs_to_target"),
        SweepFigure("Generalisation gap", _ours("generalization_gap"), _gaps, "generalization_gap"),
        SweepFigure("Outputs of the hidden layers", _ours("activations"), _health, "activations"),
    )
}
