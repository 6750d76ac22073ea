"""Histograms of the outputs of the hidden layers, stacked: collapsed, saturated or healthy."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bnsweep.records import RunResult, SweepRun, SweepTable, runs_of, with_results
from bnsweep.records.colors import model_color
from bnsweep.records.keys import rounded
from bnsweep.report import measures
from bnsweep.report.arrangement import arranged, joined, spread_out
from bnsweep.report.comparison import compare
from bnsweep.report.figures import layout
from bnsweep.report.figures.layout import Block, page
from bnsweep.report.figures.style import INKS, applied

MOST_VALUES, MOST_LAYERS = 8, 12
LAYER = 2.3  # height of a layer, in ems
BINS = 40
TALLEST = 0.15  # bins with a larger share of the outputs are cut off
BEFORE = "#B8B8B8"
HEALTH_COLORS: dict[measures.Health, str] = {
    "healthy": "white",
    "collapsed": "#FFF1D6",
    "dead": "#E8E8E8",
    "saturated": "#F6E3EE",
    "exploded": "#FBE3D6",
    "not finite": "#FBE3D6",
}
HEALTH_NOTES = (
    "Collapsed: standard deviation below 0.05, exploded: above 10",
    "Saturated: half of the outputs within 5 % of the activation's bounds",
    "Dead: 95 % are zero",
)
CUT = f"Bins with over {TALLEST:.0%} of the outputs are cut off, outputs beyond the axis left out"


def activations(
    sweep: Sequence[SweepRun] | SweepTable, *, style: str | None = None
) -> Figure | None:
    """Draw the outputs of every hidden layer, before and after training.

    There is a panel for each line and value, with the layers below each other. Panels of one
    activation share a scale, which makes a collapse visible. Of several seeds, the first is drawn.
    """
    runs = runs_of(sweep)
    measured = [result for result in with_results(runs) if result.final_activations]
    if not measured:
        return None
    with applied(style) as medium:
        comparison = compare(runs)
        fitted = arranged(comparison, across=min(MOST_VALUES, medium.columns), rows=1)
        whole, across = fitted.whole, fitted.whole.across
        cells = [results for part in fitted.parts for results in part.cells.values()]
        models = [line.model for line in whole.lines] + [results[0].spec.model for results in cells]
        places = [
            (f"{joined(row, line.label)}\n{across.equation(v) if across else ''}".strip(),
             [r for r in part.results(v, line) if r.final_activations][:1])
            for row, part in fitted.rows() for line in whole.lines for v in whole.values
        ]  # fmt: skip
        layers = min(MOST_LAYERS, max(len(result.final_activations) for result in measured))
        models_across = whole.together if len(whole.values) <= MOST_VALUES // 2 else 1
        columns = len(whole.values) * models_across
        seeds = "Of several seeds, the first is shown" if comparison.repeats > 1 else ""
        remarks = [*layout.remarks_on(runs, comparison), seeds, *fitted.notes, *HEALTH_NOTES, CUT]
        titles, heights = [title for title, _ in places], LAYER * layers
        figure, (panels,) = page(
            medium,
            "Outputs of the hidden layers",
            remarks,
            legend(),
            [Block(titles, columns, heights, left=3.0, between=0.8, under=1.3)],
            columns=columns,
        )
        layout.name_axes(panels, columns, "output", "layer")
        reach = measures.reach(measured)
        for axes, (_, results) in zip(panels, places, strict=True):
            for result in results:
                color = model_color(result.spec.model, models)
                stack = LayerStack(axes, len(result.final_activations), ends_of(result, reach))
                stack.show(result, color)
            if not results:
                axes.set_ylabel("")
    return figure


class LayerStack:
    """The histograms of a network's layers below each other, in one panel."""

    def __init__(self, axes: Axes, layers: int, ends: tuple[float, float]) -> None:
        """Prepare a panel for so many layers, and for outputs between two ends."""
        self.shown = spread_out(range(layers), MOST_LAYERS)
        self.edges = np.linspace(*ends, BINS + 1)
        n, nothing = len(self.shown), np.zeros(BINS)
        self.bases = range(n - 1, -1, -1)
        axes.tick_params(length=0, labelbottom=True)
        axes.set(xlim=ends, ylim=(0, n))
        axes.set_xticks(ends, [rounded(end, 2) for end in ends])
        axes.set_yticks([b + 0.5 for b in self.bases], [str(k + 1) for k in self.shown])
        first, last = axes.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        axes.grid(visible=False)
        self.fills = [axes.axhspan(b, b + 1, zorder=0.5) for b in self.bases]
        self.before = [
            axes.stairs(nothing + b, self.edges, baseline=b, fill=True, color=BEFORE)
            for b in self.bases
        ]
        self.after = [axes.stairs(nothing + b, self.edges, baseline=b) for b in self.bases]
        self.verdicts = [
            axes.annotate(
                " ", (ends[1], b + 0.92), (-2, 0), textcoords="offset points", ha="right",
                va="top", fontsize="x-small",
            )
            for b in self.bases
        ]  # fmt: skip

    @property
    def artists(self) -> list[Artist]:
        """What `show` changes, in the order in which it is drawn."""
        return [*self.fills, *self.before, *self.after, *self.verdicts]

    def show(self, result: RunResult, color: str) -> None:
        """Show the layers of a result."""
        activation = str(result.spec.value("model.activation"))
        for i, layer in enumerate(self.shown):
            pair = result.initial_activations[layer], result.final_activations[layer]
            health = [measures.health(histogram, activation) for histogram in pair]
            self.fills[i].set_facecolor(HEALTH_COLORS[health[1]])
            for stairs, histogram in zip((self.before[i], self.after[i]), pair, strict=True):
                heights = np.minimum(measures.shares(histogram, self.edges) / TALLEST, 1.0)
                stairs.set_data(self.bases[i] + 0.92 * heights)
            self.after[i].set_edgecolor(color)
            verdict = measures.ARROW.join(dict.fromkeys(health))
            self.verdicts[i].set_text("" if verdict == "healthy" else verdict)


def legend() -> list[Line2D]:
    """Return the entries of the legend."""
    before = Line2D([], [], color=BEFORE, linewidth=5, label="before training")
    return [before, Line2D([], [], color=INKS[0], label="after")]


def ends_of(result: RunResult, reach: float) -> tuple[float, float]:
    """Return the ends of the axis of a result: the bounds of its activation, or the reach."""
    return measures.bounds(str(result.spec.value("model.activation")), within=(-reach, reach))
