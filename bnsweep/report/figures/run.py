"""Drawing: sheets become figures, figures become files; and the two figures of one run.

The only module that imports matplotlib, and without pyplot: no state is shared, nothing is
left behind. Texts are drawn as outlines, out of a cache of characters, which takes a third of
the time of matplotlib's own.
"""

import io
import math
import pathlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Figure
from matplotlib.font_manager import get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from bnsweep import records
from bnsweep.keys import rounded
from bnsweep.records import Histogram, RunResult
from bnsweep.report import measures
from bnsweep.report.figures import scales
from bnsweep.report.figures.panel import Panel
from bnsweep.report.figures.scales import Floats, Scale
from bnsweep.report.figures.sheet import COLORS, DASHES, Sheet, Stroke, Text
from bnsweep.report.labels import setting

DPI = 110
FONTS = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
MAX_LAYERS = 12


def draw(sheet: Sheet) -> Figure:
    """Return `sheet` as a figure."""
    figure = Figure(figsize=(sheet.width, sheet.height), dpi=DPI, facecolor="white")
    inches = Affine2D().translate(0, sheet.height) + figure.dpi_scale_trans
    for layer in sorted(
        {area.layer for area in sheet.areas} | {line.layer for line in sheet.lines}
    ):
        areas = [area for area in sheet.areas if area.layer == layer]
        lines = [line for line in sheet.lines if line.layer == layer]
        polygons = PolyCollection(
            [area.points for area in areas],
            facecolors=[to_rgba(area.color, area.alpha) for area in areas],
            linewidths=0,
            transform=inches,
            zorder=layer,
        )
        strokes = LineCollection(
            [line.points for line in lines],
            colors=[line.stroke.color for line in lines],
            linewidths=[line.stroke.width for line in lines],
            linestyles=[(0, line.stroke.dash or None) for line in lines],
            transform=inches,
            zorder=layer + 0.5,
        )
        figure.add_artist(polygons)
        figure.add_artist(strokes)
    for color in dict.fromkeys(text.color for text in sheet.texts):
        outlines = [
            outline for text in sheet.texts if text.color == color for outline in _set(text)
        ]
        if outlines:
            corners, codes = (np.concatenate(parts) for parts in zip(*outlines, strict=True))
            patch = PathPatch(
                Path(corners, codes), facecolor=color, lw=0, transform=inches, zorder=9
            )
            figure.add_artist(patch)
    return figure


def save(figure: Figure, path: pathlib.Path) -> None:
    """Write `figure` to `path` as PNG, whole or not at all."""
    buffer = io.BytesIO()
    # savefig would do, but obeys the reader's own matplotlibrc.
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"compress_level": 3})  # type: ignore[no-untyped-call]
    path.parent.mkdir(parents=True, exist_ok=True)
    records.write_whole(path, buffer.getvalue())


def learning_curves(result: RunResult) -> Figure:
    """Draw accuracy and loss over the epochs, on training and test set."""
    sheet = Sheet(8.0)
    top = sheet.header("Learning curves", _description(result))
    if not result.curves:
        sheet.texts.append(Text(0.15, top - 0.3, "No epoch was recorded.", size=10))
        return draw(sheet)
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
    return draw(sheet)


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
        return draw(sheet)
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
    return draw(sheet)


HEALTH_COLORS: dict[measures.Health, str] = {
    "healthy": "",
    "collapsed": "#FFF1D6",
    "dead": "#E8E8E8",
    "saturated": "#F6E3EE",
    "exploded": "#FBE3D6",
    "not finite": "#FBE3D6",
}


def _set(text: Text) -> list[tuple[Floats, Any]]:
    """Return the outline of each character of `text` at its place: corners and codes."""
    glyphs = [_glyph(char, text.bold) for char in text.text]
    ends = np.cumsum([0.0, *(advance for *_, advance in glyphs)])
    start = {"left": 0.0, "center": ends[-1] / 2, "right": ends[-1]}[text.ha]
    middle = {"baseline": 0.0, "center": 0.36, "top": 0.76}[text.va]
    angle = math.radians(text.rotation)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turn *= text.size / 72
    return [
        ((corners + np.array([pen - start, -middle])) @ turn + [text.x, text.y], codes)
        for (corners, codes, _), pen in zip(glyphs, ends, strict=False)
    ]


@lru_cache(maxsize=1024)
def _glyph(char: str, bold: bool) -> tuple[Floats, Any, float]:
    """Return corners and codes of a character's outline and its advance, in ems."""
    font = get_font(FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"))
    code = ord(char) if font.get_char_index(ord(char)) else ord("?")
    font.set_size(100, 72)
    glyph = font.load_char(code, flags=LoadFlags.NO_HINTING)
    corners, codes = font.get_path()
    return corners / 100, codes, glyph.linearHoriAdvance / 65536 / 100


def _description(result: RunResult) -> list[str]:
    seed = result.spec.seed
    described = setting([result]) + ("" if seed is None else f", seed {seed}")
    ended = f"{result.status.capitalize()} at epoch {result.epochs_run}"
    return [described, "" if result.status == "finished" else ended]


def _loss_scale(losses: Sequence[Floats]) -> Scale:
    """Return a scale for all epochs but the untrained network, if there are others.

    Large initial weights make its loss a thousand times that of the next epoch, which would
    leave nothing else to see.
    """
    values = np.concatenate([loss[1:] for loss in losses])
    if not np.isfinite(values).any():
        values = np.concatenate(losses)
    values = np.maximum(values[np.isfinite(values)], 1e-6)
    if not values.size:
        return scales.logarithmic(0.1, 10)
    return scales.logarithmic(values.min() / 1.2, values.max() * 1.2)


def _edges(pair: Sequence[Histogram], activation: str) -> Floats:
    """Return a panel's bins: between the activation's bounds, or where all but a tail lies."""
    low, high = measures.bounds(activation)
    if math.isfinite(high - low):
        return np.linspace(low, high, 51)
    ends = [low] if math.isfinite(low) else []
    for histogram in pair:
        if total := sum(histogram.counts):
            below = np.concatenate([[0], np.cumsum(histogram.counts)]) / total
            ends += [*np.interp([0.002, 0.998], below, histogram.edges)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    return np.linspace(low, high if high > low else low + 1.0, 51)


def _tallest(heights: Floats) -> float:
    """The largest height but one: ReLU's spike at zero would flatten everything else."""
    return float(np.sort(heights)[-2])


def _facts(pair: Sequence[Histogram], activation: str) -> list[str]:
    stds = [rounded(measures.histogram_std(histogram), 2) for histogram in pair]
    zeros = [f"{measures.share_at_zero(h):.0%}" if sum(h.counts) else "-" for h in pair]
    facts = [f"std {stds[0]} to {stds[1]}"]
    at_zero = measures.is_rectifier(activation)
    return [*facts, f"at zero {zeros[0]} to {zeros[1]}"] if at_zero else facts
