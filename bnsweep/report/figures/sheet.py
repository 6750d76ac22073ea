"""A sheet: the lines, areas and texts of a figure with their places, in inches.

All panels of a sheet share a few collections, because each of matplotlib's subplots costs 25 ms:
every run of a sweep draws its figures, and a sweep's own may have a hundred panels.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bnsweep.report.measures import Floats

# Okabe and Ito's palette for colour-blind readers, without yellow, which is invisible on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.8), (6, 1.5, 1.2, 1.5), (1.2, 1.4))
MARKERS = "osd^v<>p"
INK, SOFT, GRID, EDGE = "#222222", "#666666", "#DDDDDD", "#AAAAAA"

MARGIN = 0.15
CHARACTER = 0.0077  # average width of a character, in inches for each point of its size
CORNERS = {
    "o": (20, 0.0),
    "s": (4, 45.0),
    "d": (4, 0.0),
    "^": (3, 90.0),
    "v": (3, -90.0),
    "<": (3, 180.0),
    ">": (3, 0.0),
    "p": (5, 90.0),
}


@dataclass(frozen=True)
class Stroke:
    """How a line looks: colour, dashes in line widths, width in points, marker."""

    color: str = COLORS[0]
    dash: tuple[float, ...] = ()
    width: float = 1.6
    marker: str = ""


@dataclass(frozen=True)
class Polyline:
    """A line through points, (n, 2)."""

    points: Floats
    stroke: Stroke
    layer: int


@dataclass(frozen=True)
class Area:
    """A filled polygon with corners at points, (n, 2)."""

    points: Floats
    color: str
    alpha: float
    layer: int


@dataclass(frozen=True)
class Text:
    """One line of text; `size` is in points, `rotation` in degrees."""

    x: float
    y: float
    text: str
    size: float = 8.0
    color: str = INK
    ha: Literal["left", "center", "right"] = "left"
    va: Literal["baseline", "center", "top"] = "baseline"
    bold: bool = False
    rotation: float = 0.0


@dataclass
class Sheet:
    """A page that starts at y = 0 and grows downwards, so y is negative.

    Its height follows from what is drawn. Higher layers cover lower ones.
    """

    width: float
    lines: list[Polyline] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    @property
    def height(self) -> float:
        """The depth of the lowest thing drawn, and a margin."""
        shapes = [line.points[:, 1].min() for line in self.lines]
        shapes += [area.points[:, 1].min() for area in self.areas]
        return MARGIN - float(
            min([0.0, *shapes, *(text.y - text.size / 72 for text in self.texts)])
        )

    def line(self, points: ArrayLike, stroke: Stroke, *, layer: int = 2) -> None:
        """Add a line."""
        self.lines.append(Polyline(np.asarray(points, float), stroke, layer))

    def area(self, points: ArrayLike, color: str, *, alpha: float = 1.0, layer: int = 0) -> None:
        """Add a filled polygon."""
        self.areas.append(Area(np.asarray(points, float), color, alpha, layer))

    def mark(self, x: float, y: float, stroke: Stroke, *, size: float = 0.05) -> None:
        """Add the stroke's marker at a point; `size` is its radius.

        A dashed stroke's marker is hollow, to distinguish it without a line.
        """
        if stroke.marker == "x":
            for dx in (size, -size):
                ends = [[x - dx, y - size], [x + dx, y + size]]
                self.line(ends, Stroke(stroke.color, width=1.8), layer=4)
            return
        corners, first = CORNERS[stroke.marker]
        angles = np.radians(first + np.arange(corners) * 360 / corners)
        rim = np.column_stack([x + size * np.cos(angles), y + size * np.sin(angles)])
        self.area(rim, stroke.color, layer=3)
        if DASHES.index(stroke.dash) % 2:
            self.area(rim / 2 + np.array([x, y]) / 2, "white", layer=3)

    def header(self, title: str, remarks: Sequence[str]) -> float:
        """Write the title, and the remarks below it; return where they end."""
        top = -0.3
        self.texts.append(Text(MARGIN, top, title, size=12, bold=True))
        room = int((self.width - 2 * MARGIN) / (8.5 * CHARACTER))
        for text in textwrap.wrap(". ".join(part for part in remarks if part), max(20, room)):
            top -= 0.18
            self.texts.append(Text(MARGIN, top, text, size=8.5, color=SOFT))
        return top - 0.08

    def legend(self, entries: Sequence[tuple[str, Stroke]], top: float) -> float:
        """Write strokes with their names in rows; return where they end."""
        if not entries:
            return top
        column = 0.75 + 10 * CHARACTER * max(len(name) for name, _ in entries)
        columns = max(1, min(len(entries), int((self.width - 2 * MARGIN) / column)))
        for i, (name, stroke) in enumerate(entries):
            x, y = MARGIN + column * (i % columns), top - 0.14 - 0.2 * (i // columns)
            self.line([[x, y], [x + 0.42, y]], stroke)
            if stroke.marker:
                self.mark(x + 0.21, y, stroke)
            self.texts.append(Text(x + 0.5, y, name, size=9, va="center"))
        return top - 0.06 - 0.2 * math.ceil(len(entries) / columns)
