"""The two figures of a run: its learning curves, and the outputs of its hidden layers.

Every run of a sweep draws them. So what is the same from run to run is drawn once for each process,
and for each run the data alone (matplotlib's blitting): a fraction of the time of a fresh figure.
"""

import io
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from PIL import Image

from bnsweep.records import RunResult, write_whole
from bnsweep.records.colors import MODEL_COLORS, OTHER_COLORS, model_color
from bnsweep.records.keys import rounded
from bnsweep.report import labels, measures
from bnsweep.report.figures import distributions, layout
from bnsweep.report.figures.layout import Block, page
from bnsweep.report.figures.saving import beyond_numbers
from bnsweep.report.figures.style import (
    INKS,
    SOFT,
    TEST_COLOR,
    TOP,
    TRAIN_COLOR,
    applied,
)

CURVES, OUTPUTS = "Learning curves", "Outputs of the hidden layers"
SETS = {"train": TRAIN_COLOR, "test": TEST_COLOR}
LONGEST = 66  # letters of a title at its full size
COLUMNS = (0.5, 9.5)  # of the facts about layers, in ems right of the panel


class Template:
    """A figure of which only the data changes from run to run."""

    def __init__(
        self,
        figure: Figure,
        title: str,
        show: Callable[[RunResult], None],
        moving: Sequence[Artist],
        colors: Sequence[str],
    ) -> None:
        """Keep the parts.

        Args:
            figure: all of it; its first text is the title, unless it is for a paper.
            title: what the figure shows.
            show: puts the data of a run into it.
            moving: the artists that `show` changes, in the order in which they are drawn.
            colors: all that occur.
        """
        self._figure, self._title, self._show = figure, title, show
        self._moving = [*moving, *figure.texts[:1]]
        self._size = float(figure.texts[0].get_fontsize()) if figure.texts else 0.0
        self._palette = _palette(colors)
        self._canvas: Any = FigureCanvasAgg(figure)  # has no types
        self._background: object = None

    def figure(self, result: RunResult) -> Figure:
        """Return the figure, with the data of a run."""
        told = [*labels.own(result.spec).values()]
        if result.status != "finished":
            told.append(f"{result.status} at epoch {result.epochs_run}")
        title = f"{self._title}: {', '.join(told)}"
        for text in self._figure.texts[:1]:
            text.set_text(title)
            text.set_fontsize(self._size * min(1.0, LONGEST / len(title)))
        self._figure.set_label(f"{title}. {_shared(result)}")
        self._show(result)
        return self._figure

    def png(self, result: RunResult) -> bytes:
        """Return the figure of a run as PNG."""
        self.figure(result)
        # Of the style, this alone is asked for at the time of drawing.
        with rc_context({"text.hinting": "no_hinting"}), beyond_numbers():
            if self._background is None:
                # The usual `set_animated` is ignored by the legend for what it holds.
                for artist in self._moving:
                    artist.set_visible(False)
                self._canvas.draw()
                self._background = self._canvas.copy_from_bbox(self._figure.bbox)
                for artist in self._moving:
                    artist.set_visible(True)
            self._canvas.restore_region(self._background)
            for artist in self._moving:
                artist.draw(self._canvas.get_renderer())
        pixels = Image.fromarray(np.asarray(self._canvas.buffer_rgba())).convert("RGB")
        # Compressed in a sixth of the time, to a third of the size.
        pixels = pixels.quantize(palette=self._palette, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        pixels.save(buffer, "png", compress_level=3)
        return buffer.getvalue()


def _palette(colors: Sequence[str]) -> Image.Image:
    """Return an image whose palette blends each of the colours into white: edges are smooth."""
    rgb = [255 * np.array(to_rgb(color)) for color in colors]
    # Closer ones than these would be taken for each other, and the lightest for white.
    count = [math.ceil((255 - color.min()) / 16) for color in rgb]
    blends = [np.linspace(c, 255, n, endpoint=False) for c, n in zip(rgb, count, strict=True)]
    image = Image.new("P", (1, 1))
    image.putpalette(np.vstack([*blends, np.full(3, 255)]).round().astype(np.uint8).tobytes())
    return image


def draw_run(result: RunResult, folder: Path) -> None:
    """Write the figures that apply to a run into a folder as PNG, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    if result.curves:
        png = _curves_template("screen", *_curves_key(result)).png(result)
        write_whole(folder / "learning_curves.png", png)
    if result.final_activations:
        png = _outputs_template("screen", *_outputs_key(result)).png(result)
        write_whole(folder / "activations.png", png)


def learning_curves(result: RunResult, *, style: str | None = None) -> Figure | None:
    """Draw accuracy and loss of a run over the epochs, on the training and test samples."""
    if not result.curves:
        return None
    return _curves_template.__wrapped__(style, *_curves_key(result)).figure(result)


def activation_distributions(result: RunResult, *, style: str | None = None) -> Figure | None:
    """Draw the outputs of each hidden layer of a run, before and after training."""
    if not result.final_activations:
        return None
    return _outputs_template.__wrapped__(style, *_outputs_key(result)).figure(result)


def _shared(result: RunResult) -> str:
    """Return the setting that the run shares with others."""
    return labels.setting([result], without=labels.own(result.spec))


def _curves_key(result: RunResult) -> tuple[str, int, int, int, float | None]:
    """Return what the template depends on; the ends of the loss are coarse: most runs share one.

    With large initial weights the untrained network's loss is a thousand times the next, and
    would hide the others.
    """
    losses = np.concatenate([result.curves[f"{kind}_loss"][1:] for kind in SETS])
    if not np.isfinite(losses).any():
        losses = np.concatenate([result.curves[f"{kind}_loss"] for kind in SETS])
    exponents = np.log10(np.maximum(losses[np.isfinite(losses)], 1e-6))
    low = 2 * math.floor(min([-1.0, *exponents]) / 2)
    high = 1 + 3 * math.ceil((max([1.0, *exponents]) - 1) / 3)
    epochs = max(result.spec.value("training.epochs") or 1, result.epochs_run)
    return _shared(result), epochs, low, high, measures.chance([result])


@lru_cache(maxsize=16)
def _curves_template(
    style: str | None, shared: str, epochs: int, low: int, high: int, chance: float | None
) -> Template:
    with applied(style) as medium:
        handles = [Line2D([], [], color=color, label=name) for name, color in SETS.items()]
        handles += layout.chance_handle(chance)
        block = Block(["", ""], 2, height=16.0, between=5.5)
        figure, ((accuracy, loss),) = page(medium, CURVES, [shared], handles, [block])
        accuracy.set(xlim=(0, epochs), ylim=(0, TOP), xlabel="epoch", ylabel="accuracy")
        layout.draw_chance(accuracy, chance)
        loss.set(xlim=(0, epochs), xlabel="epoch", ylabel="loss (nats)")
        layout.round_ticks(accuracy)
        layout.round_ticks(loss)
        loss.set(yscale="log", ylim=(10.0**low, layout.power(high)))
        loss.yaxis.set_minor_locator(NullLocator())
        loss.yaxis.set_major_formatter(FuncFormatter(lambda y, _: rounded(y, 3)))
        panels = {"accuracy": accuracy, "loss": loss}
        curves = {
            f"{kind}_{name}": axes.plot([], [], color=color)[0]
            for name, axes in panels.items()
            for kind, color in SETS.items()
        }
        crosses = {
            kind: accuracy.plot([], [], "x", color=color, clip_on=False)[0]
            for kind, color in SETS.items()
        }
        above = layout.note(loss, " ")

    def show(result: RunResult) -> None:
        for name, line in curves.items():
            (finite,) = np.isfinite(result.curves[name]).nonzero()
            lowest = 10.0**low if name.endswith("_loss") else -math.inf
            line.set_data(finite, np.maximum(result.curves[name][finite], lowest))
            line.set_marker("o" if len(finite) == 1 else "")
        end = [result.epochs_run] if measures.diverged(result) else []
        for kind, cross in crosses.items():
            cross.set_data(end, result.curves[f"{kind}_accuracy"][end])
        first = max(result.curves[f"{kind}_loss"][0] for kind in SETS)
        hidden = math.isfinite(first) and first > layout.power(high)
        notes = [f"epoch 0 lies above, at {rounded(first, 2)}"] if hidden else []
        if any((result.curves[f"{kind}_loss"] < 10.0**low).any() for kind in SETS):
            notes.append(f"lower losses are drawn at {10.0**low:g}")
        above.set_text("\n".join(notes))

    moving = [*curves.values(), *crosses.values(), above]
    return Template(figure, CURVES, show, moving, [*SETS.values(), *INKS])


def _outputs_key(result: RunResult) -> tuple[str, int, tuple[float, float]]:
    """Return what the template depends on; the ends are coarse: most runs share one."""
    reach = 3.0 if measures.reach([result]) <= 3.0 else 10.0
    return _shared(result), len(result.final_activations), distributions.ends_of(result, reach)


@lru_cache(maxsize=16)
def _outputs_template(
    style: str | None, shared: str, layers: int, ends: tuple[float, float]
) -> Template:
    with applied(style) as medium:
        shown = min(layers, distributions.MOST_LAYERS)
        block = Block([""], 1, height=3.2 * shown, right=18.0)
        figure, ((axes,),) = page(
            medium, OUTPUTS, [shared, distributions.CUT], distributions.legend(), [block]
        )
        axes.set(xlabel="output", ylabel="layer")
        stack, key = distributions.LayerStack(axes, layers, ends), figure.legends[0].get_lines()[1]
        for head, at in zip(("std", "at zero"), COLUMNS, strict=True):
            layout.beside(axes, shown, head, ems=at, color=SOFT, va="bottom")
        facts = [[layout.beside(axes, b + 0.5, " ", ems=at) for at in COLUMNS] for b in stack.bases]

    def show(result: RunResult) -> None:
        color = model_color(result.spec.model)
        key.set_color(color)
        stack.show(result, color)
        activation = str(result.spec.value("model.activation"))
        for texts, layer in zip(facts, stack.shown, strict=True):
            pair = result.initial_activations[layer], result.final_activations[layer]
            for text, fact in zip(texts, measures.layer_facts(pair, activation), strict=True):
                text.set_text(fact)

    moving = [*stack.artists, *(text for row in facts for text in row), key]
    backs = dict.fromkeys([distributions.BEFORE, *distributions.HEALTH_COLORS.values()])
    colors = [*MODEL_COLORS.values(), *OTHER_COLORS, *backs, *INKS]
    return Template(figure, OUTPUTS, show, moving, colors)
