"""A panel: a rectangle of a sheet with two scales, in which data is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bnsweep.report.figures.scales import Scale
from bnsweep.report.figures.sheet import CHARACTER, EDGE, GRID, INK, SOFT, Sheet, Stroke, Text
from bnsweep.report.measures import Floats


@dataclass(frozen=True)
class Panel:
    """A rectangle of a sheet with two scales; data outside is drawn on the edge."""

    sheet: Sheet
    left: float
    bottom: float
    width: float
    height: float
    x: Scale
    y: Scale

    def points(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Return the points of the sheet, (n, 2), at which data lies."""
        across, up = self.x(x), self.y(y)
        return np.column_stack([self.left + self.width * across, self.bottom + self.height * up])

    def frame(
        self,
        title: str = "",
        *,
        x_ticks: bool = True,
        y_ticks: bool = True,
        inward: bool = False,
        fill: str = "",
    ) -> None:
        """Draw the outline, the grid, the title and the labels of the ticks.

        `inward` keeps the labels of the first and last tick within the panel's width.
        """
        left, bottom, right, top = self._box()
        thin = Stroke(GRID, width=0.6)
        for value, label in self.x.ticks:
            ((x, _),) = self.points([value], [self.y.low])
            self.sheet.line([[x, bottom], [x, top]], thin, layer=0)
            if x_ticks:
                self._x_label(float(x), label, inward)
        for value, label in self.y.ticks:
            ((_, y),) = self.points([self.x.low], [value])
            self.sheet.line([[left, y], [right, y]], thin, layer=0)
            if y_ticks:
                self._text(left - 0.06, float(y), label, ha="right", va="center")
        box = [[left, bottom], [left, top], [right, top], [right, bottom], [left, bottom]]
        self.sheet.line(box, Stroke(EDGE, width=0.8), layer=1)
        if fill:
            self.sheet.area(box, fill)
        if title:
            self.sheet.texts.append(Text(left, top + 0.06, title, size=9))

    def line(self, x: ArrayLike, y: ArrayLike, stroke: Stroke) -> None:
        """Draw a line through the data; a single point becomes a dot."""
        points = self.points(x, y)
        if len(points) == 1:
            ((across, up),) = points
            self.sheet.mark(across, up, Stroke(stroke.color, marker=stroke.marker or "o"))
        elif len(points):
            self.sheet.line(points, stroke)

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, color: str) -> None:
        """Fill between two lines."""
        edge = np.concatenate([self.points(x, low), self.points(x, high)[::-1]])
        self.sheet.area(edge, color, alpha=0.2, layer=1)

    def steps(self, edges: Floats, heights: Floats, color: str, *, filled: bool) -> None:
        """Draw a histogram as an area or an outline."""
        points = self.points(np.repeat(edges, 2), np.concatenate([[0], np.repeat(heights, 2), [0]]))
        if filled:
            self.sheet.area(points, color, layer=1)
        else:
            self.sheet.line(points, Stroke(color, width=1.2))

    def mark(self, x: float, y: float, stroke: Stroke, *, size: float = 0.05) -> None:
        """Draw the stroke's marker at a point of the data."""
        ((across, up),) = self.points([x], [y])
        self.sheet.mark(across, up, stroke, size=size)

    def label(self, x: float, y: float, text: str, *, color: str, size: float = 6.5) -> None:
        """Write to the upper right of a point of the data."""
        ((across, up),) = self.points([x], [y])
        self._text(across + 0.05, up + 0.05, text, size=size, color=color)

    def note(self, text: str, *, line: int = 0, size: float = 7.0, color: str = INK) -> None:
        """Write into the upper right corner, `line` lines below the first."""
        _, _, right, top = self._box()
        y = top - 0.05 - line * size * 1.3 / 72
        self._text(right - 0.05, y, text, size=size, color=color, ha="right", va="top")

    def caption(self, lines: Sequence[str], *, size: float = 7.0) -> None:
        """Write lines of text under the labels of the x-axis."""
        for i, text in enumerate(lines):
            y = self.bottom - 0.24 - i * size * 1.3 / 72
            self._text(self.left, y, text, size=size, color=INK, va="top")

    def x_name(self, name: str) -> None:
        """Write the name of the x-axis under the labels of its ticks."""
        depth = 0.36
        if self._slanted:
            depth = 0.24 + 0.66 * 8 * CHARACTER * self._longest_label
        x = self.left + self.width / 2
        self._text(x, self.bottom - depth, name, size=9, color=INK, ha="center")

    @property
    def _longest_label(self) -> int:
        return max((len(text) for _, text in self.x.ticks), default=0)

    @property
    def _slanted(self) -> bool:
        room = self.width / max(1, len(self.x.ticks) - 1)
        return 8 * CHARACTER * self._longest_label > room

    def _box(self) -> tuple[float, float, float, float]:
        return self.left, self.bottom, self.left + self.width, self.bottom + self.height

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 8.0,
        color: str = SOFT,
        ha: Literal["left", "center", "right"] = "left",
        va: Literal["baseline", "center", "top"] = "baseline",
        rotation: float = 0.0,
    ) -> None:
        self.sheet.texts.append(
            Text(x, y, text, size=size, color=color, ha=ha, va=va, rotation=rotation)
        )

    def _x_label(self, x: float, label: str, inward: bool) -> None:
        side: Literal["left", "center", "right"] = "center"
        if self._slanted:
            self._text(x + 0.04, self.bottom - 0.06, label, ha="right", va="top", rotation=40)
            return
        if inward and x < self.left + 0.05:
            side = "left"
        elif inward and x > self.left + self.width - 0.05:
            side = "right"
        self._text(x, self.bottom - 0.06, label, ha=side, va="top")
