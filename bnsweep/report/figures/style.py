"""How figures look: a style sheet, three media, and one rule for what tells lines apart.

A model has its colour everywhere. Dashes and hollow markers mean "without Batch Normalization" and
nothing else. The other keys shade the colour, from light to dark in the order of their values, and
choose the marker.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.colors import to_hex, to_rgb

from bnsweep.records import RunSpec
from bnsweep.records.colors import OTHER_COLORS, model_color
from bnsweep.report.comparison import Comparison, Line

SHEET = Path(__file__).with_name("bnsweep.mplstyle")
MARKERS = "osD^v<>p"
TRAIN_COLOR, TEST_COLOR = "#222222", "#AA4499"  # of data sets: no model has them
SOFT = "#666666"
TOP = 1.03  # of an axis of accuracies: a curve at 1 lies inside
INKS = ("#222222", SOFT, "#AAAAAA", "#E3E3E3")  # of texts, frames and grid, as in the sheet
CHANCE: dict[str, Any] = {"color": "#8C8C8C", "linewidth": 0.8}
HOLLOW = "white"


@dataclass(frozen=True)
class Style:
    """A medium: sizes in inches, the font's in points.

    Attributes:
        width: of a figure with panels side by side.
        narrow: of a figure with one panel.
        height: the largest.
        font: size of labels.
        dpi: dots an inch.
        titled: whether title and remarks are drawn; a paper has them in its caption.
        widest: of a figure with more columns of panels than `width` holds.
    """

    width: float
    narrow: float
    height: float
    font: float
    dpi: int
    titled: bool = True
    widest: float = 0.0

    def width_for(self, columns: int) -> float:
        """Return the width of a figure with so many columns of panels."""
        if columns == 1:
            return self.narrow
        return max(self.width, min(self.widest, 9 * self.em * columns))

    @property
    def columns(self) -> int:
        """The largest number of columns that can be read."""
        return min(16, int(max(self.width, self.widest) / (7.5 * self.em)))

    @property
    def rows(self) -> int:
        """The largest number of rows that can be read."""
        return min(16, int(self.height / (7.5 * self.em)))

    @property
    def em(self) -> float:
        """The size of the font in inches."""
        return self.font / 72

    @property
    def parameters(self) -> dict[str, Any]:
        """The medium's sizes as matplotlib's parameters; the style sheet's follow the font's."""
        return {
            "figure.dpi": self.dpi,
            "figure.figsize": (self.narrow, 0.6 * self.narrow),
            "font.size": self.font,
            "lines.linewidth": 0.17 * self.font,
            "lines.markersize": 0.6 * self.font,
            "lines.markeredgewidth": 0.15 * self.font,
        }


STYLES = {
    "screen": Style(width=12.6, narrow=8.0, height=30.0, font=9.0, dpi=110, widest=18.0),
    "paper": Style(width=7.0, narrow=3.4, height=9.0, font=7.0, dpi=300, titled=False),
    "slides": Style(width=13.33, narrow=13.33, height=7.5, font=12.0, dpi=144),
}
_current: ContextVar[Style] = ContextVar("style", default=STYLES["screen"])


@contextlib.contextmanager
def applied(name: str | None = None, *, math: bool = False) -> Iterator[Style]:
    """Draw in one of `STYLES` within the context, or in the style that is in force already.

    A dollar sign in a text stands for itself, unless `math`.

    Raises:
        ValueError: there is no style of that name.
    """
    if name is not None and name not in STYLES:
        raise ValueError(f"style={name!r}: must be one of {', '.join(STYLES)}")
    style = STYLES[name] if name is not None else _current.get()
    token = _current.set(style)
    try:
        # From matplotlib's defaults, whatever the reader's own matplotlibrc says.
        more = style.parameters | {"text.parse_math": math}
        with matplotlib.style.context(["default", SHEET, more]):
            yield style
    finally:
        _current.reset(token)


def look(comparison: Comparison, line: Line) -> dict[str, Any]:
    """Return matplotlib's keywords for a line: colour, dashes, marker."""
    axes, kins = comparison.line_axes, 1 + max(other.kin for other in comparison.lines)
    position = line.kin / max(1, kins - 1)
    for i, axis in enumerate(axes):
        if i != comparison.model_axis and axis.numeric:
            position = axis.values.index(line.values[i]) / max(1, len(axis.values) - 1)
            break
    named = comparison.model_axis is None and not any(axis.numeric for axis in axes)
    if named and len(comparison.lines) > 1:
        color = OTHER_COLORS[line.kin % len(OTHER_COLORS)]
    else:
        color = model_color(line.model, [other.model for other in comparison.lines])
        color = _shade(color, position) if kins > 1 else color
    return {
        "color": color,
        "linestyle": "-" if line.batch_norm else "--",
        "marker": MARKERS[line.kin % len(MARKERS)],
        "markerfacecolor": color if line.batch_norm else HOLLOW,
    }


def model_look(spec: RunSpec, among: list[str]) -> dict[str, Any]:
    """Return matplotlib's keywords for a point that stands for a model alone."""
    color = model_color(spec.model, among)
    return {"color": color, "markerfacecolor": color if spec.batch_norm else HOLLOW}


def _shade(color: str, position: float) -> str:
    """Return a colour mixed with white at position 0, and with black at position 1."""
    end, share = (1.0, 0.8 * (0.5 - position)) if position < 0.5 else (0.0, position - 0.5)
    return to_hex(tuple((1 - share) * part + share * end for part in to_rgb(color)))  # type: ignore[arg-type]
