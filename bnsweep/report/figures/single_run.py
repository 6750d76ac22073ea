"""The two figures of a run: its learning curves, and the outputs of its hidden layers."""

import math
from collections.abc import Sequence

import numpy as np

from bnsweep.records import Histogram, RunResult
from bnsweep.records.keys import rounded
from bnsweep.report import measures
from bnsweep.report.figures import scales
from bnsweep.report.figures.panel import Panel
from bnsweep.report.figures.rendering import Figure, render
from bnsweep.report.figures.scales import Scale
from bnsweep.report.figures.sheet import COLORS, DASHES, Sheet, Stroke, Text
from bnsweep.report.labels import setting
from bnsweep.report.measures import Floats

MAX_LAYERS = 12

HEALTH_COLORS: dict[measures.Health, str] = {
    "healthy": "",
    "collapsed": "#FFF1D6",
    "dead": "#E8E8E8",
    "saturated": "#F6E3EE",
    "exploded": "#FBE3D6",
    "not finite": "#FBE3D6",
}


def learning_curves(result: RunResult) -> Figure:
    """Draw accuracy and loss over the epochs, on the training and test sets."""
    sheet = Sheet(8.0)
    top = sheet.header("Learning curves", _description(result))
    if not result.curves:
        sheet.texts.append(Text(0.15, top - 0.3, "No epoch was recorded.", size=10))
        return render(sheet)
    kinds = {"train": Stroke(COLORS[0]), "test": Stroke(COLORS[1], DASHES[1])}
    bottom = sheet.legend([*kinds.items()], top) - 2.0
    epochs = np.arange(result.epochs_run + 1)
    losses = {kind: result.curves[f"{kind}_loss"] for kind in kinds}
    x = scales.linear(0, max(1, epochs[-1]), whole=True)
    accuracy = Panel(sheet, 0.55, bottom, 3.2, 1.75, x, scales.linear(0, 1))
    loss = Panel(sheet, 4.6, bottom, 3.2, 1.75, x, _loss_scale([*losses.values()]))
    for panel, name in ((accuracy, "accuracy"), (loss, "loss (nats)")):
        panel.frame(name)
        panel.x_name("epoch")
    for kind, stroke in kinds.items():
        accuracies = result.curves[f"{kind}_accuracy"]
        accuracy.line(epochs, accuracies, stroke)
        finite = np.isfinite(losses[kind])
        loss.line(epochs[finite], losses[kind][finite], stroke)
        if result.status == "diverged":
            accuracy.mark(epochs[-1], accuracies[-1], Stroke(stroke.color, marker="x"), size=0.06)
    highest = max((v for loss in losses.values() for v in loss if math.isfinite(v)), default=0)
    if highest > loss.y.high:
        loss.note(f"epoch 0 lies above, at {rounded(highest, 1)}")
    return render(sheet)


def activation_distributions(result: RunResult) -> Figure:
    """Draw the histogram of each hidden layer's outputs, before and after training."""
    layers = list(zip(result.initial_activations, result.final_activations, strict=False))
    shown = layers[:MAX_LAYERS]
    columns = min(6, max(1, len(shown)))
    sheet = Sheet(max(7.0, 0.3 + 1.6 * columns))
    more = f"The first {MAX_LAYERS} of {len(layers)} layers" if len(layers) > MAX_LAYERS else ""
    top = sheet.header("Outputs of the hidden layers", [*_description(result), more])
    if not layers:
        sheet.texts.append(Text(0.15, top - 0.3, "The layers were not measured.", size=10))
        return render(sheet)
    before, after = "#BBBBBB", COLORS[0]
    entries = [("before training", Stroke(before, width=5)), ("after", Stroke(after))]
    top = sheet.legend(entries, top)
    activation = str(result.spec.value("model.activation"))
    width = (sheet.width - 0.3) / columns
    for i, pair in enumerate(shown):
        edges = _edges(pair, activation)
        heights = [measures.shares(histogram, edges) for histogram in pair]
        ends = (edges[0], edges[-1])
        x = Scale(*ends, ticks=tuple((end, rounded(end, 2)) for end in ends))
        y = Scale(0, 1.25 * max(_tallest(h) for h in heights) or 1.0)
        left, bottom = 0.15 + width * (i % columns), top - 1.5 - 2.0 * (i // columns)
        panel = Panel(sheet, left + 0.05, bottom, width - 0.15, 1.25, x, y)
        health = measures.health(pair[1], activation)
        panel.frame(f"layer {i + 1}: {health}", inward=True, fill=HEALTH_COLORS[health])
        panel.steps(edges, heights[0], before, filled=True)
        panel.steps(edges, heights[1], after, filled=False)
        panel.caption(_facts(pair, activation))
    return render(sheet)


def _description(result: RunResult) -> list[str]:
    seed = result.spec.seed
    described = setting([result]) + ("" if seed is None else f", seed {seed}")
    ended = f"{result.status.capitalize()} at epoch {result.epochs_run}"
    return [described, "" if result.status == "finished" else ended]


def _loss_scale(losses: Sequence[Floats]) -> Scale:
    """Return a scale for all epochs after the untrained network's, if there are any.

    With large initial weights its loss is a thousand times that of the next epoch, and would
    hide the others.
    """
    values = np.concatenate([loss[1:] for loss in losses])
    if not np.isfinite(values).any():
        values = np.concatenate(losses)
    values = np.maximum(values[np.isfinite(values)], 1e-6)
    if not values.size:
        return scales.logarithmic(0.1, 10)
    return scales.logarithmic(values.min() / 1.2, values.max() * 1.2)


def _edges(pair: Sequence[Histogram], activation: str) -> Floats:
    """Return a panel's bins: between the activation's bounds, or up to the tails of the outputs."""
    low, high = measures.bounds(activation)
    if math.isfinite(high - low):
        return np.linspace(low, high, 51)
    ends = [low] if math.isfinite(low) else []
    for histogram in pair:
        if sum(histogram.counts):
            ends += [*measures.quantiles(histogram, [0.002, 0.998])]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    return np.linspace(low, high if high > low else low + 1.0, 51)


def _tallest(heights: Floats) -> float:
    """Return the second largest height: ReLU's spike at zero would flatten everything else."""
    return float(np.sort(heights)[-2])


def _facts(pair: Sequence[Histogram], activation: str) -> list[str]:
    stds = [rounded(measures.histogram_std(histogram), 2) for histogram in pair]
    zeros = [f"{measures.share_at_zero(h):.0%}" if sum(h.counts) else "-" for h in pair]
    facts = [f"std {stds[0]} to {stds[1]}"]
    at_zero = measures.is_rectifier(activation)
    return [*facts, f"at zero {zeros[0]} to {zeros[1]}"] if at_zero else facts
