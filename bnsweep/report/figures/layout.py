"""The page around the data: header, legend, panels. Lengths are in ems, the size of the font."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from bnsweep.records import SweepRun, with_results
from bnsweep.report import measures
from bnsweep.report.comparison import Comparison, ordered_axis
from bnsweep.report.figures.style import CHANCE, SOFT, Style, look
from bnsweep.report.labels import differences, key_heading, setting

CHARACTER, SMALL = 0.56, 0.52  # width of a letter in labels and, on average, in long texts
LINE = 1.5  # from one line of text to the next
MARGIN = 1.2
LOWEST, TALLEST = 5.5, 24.0  # panel
BELOW = 3.6  # room for labels below the last row of a block
MANY_COLUMNS = 5  # more have no room for the y-axis's name between them
STEPS = [1, 2, 5, 10]  # of ticks
LEGIBLE = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5}  # over curves


@dataclass(frozen=True)
class Block:
    """Panels of one size side by side and below each other.

    Attributes:
        titles: of the panels, which are as many.
        columns: in how many columns.
        height: of a panel; by default two thirds of its width.
        left: room for what stands left of the first column.
        right: room right of each panel.
        between: room between two columns.
        under: room under each row but the last.
    """

    titles: Sequence[str]
    columns: int
    height: float = 0.0
    left: float = 4.6
    right: float = 0.0
    between: float = 3.4
    under: float = 0.0

    def size(self, wide: float) -> tuple[float, float]:
        """Return a panel's width and height on a page of this width."""
        room = wide - 2 * MARGIN - self.left - self.between * (self.columns - 1)
        width = room / self.columns - self.right
        return width, self.height or max(LOWEST, min(0.66 * width, TALLEST))

    def rows(self, width: float) -> list[list[str]]:
        """Return the titles of each row of panels of this width, broken into lines."""
        most = max(8, int(width / CHARACTER))
        broken = [
            "\n".join(textwrap.fill(line, most) for line in title.splitlines())
            for title in self.titles
        ]
        return [broken[i : i + self.columns] for i in range(0, len(broken), self.columns)]


def page(
    style: Style,
    title: str,
    remarks: Sequence[str],
    handles: Sequence[Line2D],
    blocks: Sequence[Block],
    *,
    columns: int = 1,
    group: int = 1,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure, and the panels of each of its blocks, which stand below each other.

    Title and remarks are the figure's label, and stand above the panels if the style says so.
    The page is wide enough for `columns`. The legend's columns hold a multiple of `group` lines.
    """
    wide = style.width_for(columns) / style.em
    told = ". ".join(remark for remark in remarks if remark)
    lines = textwrap.wrap(told, int((wide - 2 * MARGIN) / SMALL))
    below_title = MARGIN + (2.7 + LINE * len(lines) if style.titled else 0.0)
    legend_rows, handles = _in_rows(handles, wide, group)
    header = below_title + LINE * legend_rows
    sizes = [block.size(wide) for block in blocks]
    rows = [block.rows(width) for block, (width, _) in zip(blocks, sizes, strict=True)]
    fixed = header + sum(
        BELOW + sum(map(_above, of_block)) + block.under * (len(of_block) - 1)
        for block, of_block in zip(blocks, rows, strict=True)
    )
    drawn = sum(len(of_block) * height for of_block, (_, height) in zip(rows, sizes, strict=True))
    squeezed = min(1.0, max(0.2, (style.height / style.em - fixed) / drawn))
    tall = fixed + squeezed * drawn

    figure = Figure(figsize=(wide * style.em, tall * style.em))
    figure.set_label(f"{title}. {told}".strip())
    left, top = MARGIN / wide, 1 - MARGIN / tall
    if style.titled:
        figure.text(left, top, title, va="top", weight="bold", size=rcParams["figure.titlesize"])
        text = "\n".join(lines)
        figure.text(left, top - 2.3 / tall, text, color=SOFT, va="top", linespacing=1.25)
    if handles:
        at = left, 1 - below_title / tall
        ncols = len(handles) // legend_rows
        figure.legend(handles=handles, ncols=ncols, loc="upper left", bbox_to_anchor=at)
    panels: list[list[Axes]] = []
    y = header
    for block, (width, height), of_block in zip(blocks, sizes, rows, strict=True):
        panels.append([])
        for titles in of_block:
            y += _above(titles) + squeezed * height
            for k, name in enumerate(titles):
                x = MARGIN + block.left + k * (width + block.right + block.between)
                place = x / wide, 1 - y / tall, width / wide, squeezed * height / tall
                # Not shared: axes that look after each other take minutes for 256 panels.
                panels[-1].append(figure.add_axes(place, autoscale_on=False, title=name))
            y += block.under
        y += BELOW - block.under
    return figure, panels


def _above(titles: Sequence[str]) -> float:
    """Return the room for the titles of a row."""
    return 0.8 + LINE * max(len(title.splitlines()) for title in titles)


def _in_rows(handles: Sequence[Line2D], wide: float, group: int) -> tuple[int, Sequence[Line2D]]:
    """Return the number of a legend's rows, and its entries with empty ones to fill them.

    Matplotlib goes down the columns and balances them, which would part the lines of a group.
    """
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    rows = math.ceil(len(handles) / max(1, (wide - 2 * MARGIN) // (5.0 + CHARACTER * longest)))
    rows = group * math.ceil(rows / group) if len(handles) > 3 else rows
    missing = -len(handles) % rows if rows else 0
    return rows, [*handles, *(Line2D([], [], linestyle="", label=" ") for _ in range(missing))]


def columns_for(count: int) -> int:
    """Return in how many columns so many panels leave the fewest gaps: 9 as 3 x 3, 5 as 3 + 2."""
    square = math.ceil(math.sqrt(count))
    return min((square, square + 1), key=lambda columns: -count % columns) if count > 3 else count


def legend_of(comparison: Comparison, chance: float | None, **kwargs: Any) -> list[Line2D]:
    """Return the entries of the legend: the lines if there are several, and chance.

    `kwargs` take the place of those of `look`.
    """
    several = comparison.lines if len(comparison.lines) > 1 else ()
    handles = [
        Line2D([], [], label=line.label, **look(comparison, line) | kwargs) for line in several
    ]
    return [*handles, *chance_handle(chance)]


def chance_handle(level: float | None) -> list[Line2D]:
    """Return the entry of the legend for chance, if it is known."""
    return [Line2D([], [], label=f"chance: {level:.3g}", **CHANCE)] if level else []


def remarks_on(
    runs: Sequence[SweepRun],
    comparison: Comparison,
    spread: str = "",
    crosses: str = "",
    shapes: tuple[str, str] = ("Solid", "dashed"),
) -> list[str]:
    """Return what explains the figure: what is the same, what differs, what the marks mean.

    `spread` says what is shown of several seeds, whose number it has a place for; `shapes` tell
    lines with Batch Normalization from those without.
    """
    ended = with_results(runs)
    of_each = [results[0] for results in comparison.cells.values()]  # the others differ in seeds
    remarks = [setting(of_each), *differences(of_each)]
    for key in comparison.free:
        axis = ordered_axis(key, (result.spec.value(key) for result in of_each))
        values = ", ".join(axis.text(value) for value in axis.values)
        remarks.append(
            f"{key_heading(key)}: chosen for each on the validation samples, out of {values}"
        )
    if spread and comparison.normalisation_differs:
        remarks.append("{}: with Batch Normalization, {}: without".format(*shapes))
    if spread and comparison.repeats > 1:
        remarks.append(spread.format(comparison.seeds))
    if crosses and any(map(measures.diverged, ended)):
        remarks.append(crosses)
    if len(ended) < len(runs):
        remarks.append(f"{len(runs) - len(ended)} of {len(runs)} runs did not end and are left out")
    return remarks


def name_axes(
    panels: Sequence[Axes], columns: int, x: str, y: str, rows: Sequence[str] = ()
) -> None:
    """Name the axes of panels that share them, and at the left what is special of each row."""
    if CHARACTER * len(y) > size_of(panels[0])[1]:
        y = y.replace(" ", "\n")
    for i, axes in enumerate(panels):
        first, lowest = i % columns == 0, i + columns >= len(panels)
        axes.tick_params(labelbottom=lowest, labelleft=first)
        axes.set_xlabel(x if lowest else "")
        if first:
            axes.set_ylabel("\n".join([*rows[i // columns : i // columns + 1], y]))
        elif columns <= MANY_COLUMNS:
            axes.set_ylabel(y)  # stays if the panel is cut out of the figure


def size_of(axes: Axes) -> tuple[float, float]:
    """Return the width and height of a panel."""
    em = rcParams["figure.dpi"] * rcParams["font.size"] / 72
    return axes.bbox.width / em, axes.bbox.height / em


def power(exponent: float) -> float:
    """Return 10^exponent as the end of an axis: a positive number that matplotlib can go back from.

    It computes the end as e^(exponent ln 10), which must be a finite number as well.
    """
    return max(math.ulp(0.0), math.pow(10.0, min(exponent, 308.25)))


def round_ticks(axes: Axes, *, whole: bool = True) -> None:
    """Put ticks at round numbers, as many as there is room for."""
    width, height = size_of(axes)
    most = min(5, max(2, int(width / 4))), min(6, max(1, int(height / 2)))
    axes.xaxis.set_major_locator(MaxNLocator(most[0], steps=STEPS, integer=whole))
    axes.yaxis.set_major_locator(MaxNLocator(most[1], steps=STEPS))


def draw_chance(axes: Axes, level: float | None) -> None:
    """Draw the thin grey line at chance."""
    if level:
        axes.axhline(level, zorder=1.5, **CHANCE)


def band(axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, color: str) -> None:
    """Fill between two lines; `fill_between` spends its time on limits, which are set here."""
    lower, upper = np.column_stack([x, low]), np.column_stack([x, high])
    # One seed has no interval, and the band a gap there.
    known = np.flatnonzero(np.isfinite(upper[:, 1]))
    stretches = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    edges = [np.vstack([lower[part], upper[part][::-1]]) for part in stretches]
    patch = PolyCollection(edges, facecolor=color, alpha=0.2, linewidth=0, zorder=1)
    axes.add_collection(patch, autolim=False)
    for part in stretches:
        if len(part) == 1:
            (at, bottom), top = lower[part[0]], upper[part[0], 1]
            axes.vlines(at, bottom, top, color=color, alpha=0.5)


def note(axes: Axes, text: str) -> Annotation:
    """Write into the upper left corner of a panel, where curves seldom are."""
    return axes.annotate(
        text, (0, 1), (3, -3), xycoords="axes fraction", textcoords="offset points", va="top",
        fontsize="small", bbox=LEGIBLE,
    )  # fmt: skip


def beside(axes: Axes, y: float, text: str, *, ems: float = 0.5, **kwargs: Any) -> Annotation:
    """Write so many ems right of a panel, at a place of its y-axis."""
    return axes.annotate(
        text, (1, y), (ems * rcParams["font.size"], 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", annotation_clip=False,
        **{"va": "center", "fontsize": "small"} | kwargs,
    )  # fmt: skip
