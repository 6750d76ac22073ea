"""Sheets become figures, and figures become files.

The only module that imports matplotlib, and not pyplot: no state is shared, nothing is left
behind. Texts are drawn as outlines from a cache of characters, which takes a third of the time of
matplotlib's own text.
"""

import io
import math
import pathlib
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
from numpy.typing import NDArray

from bnsweep import records
from bnsweep.report.figures.sheet import Sheet, Text
from bnsweep.report.measures import Floats

DPI = 110
FONTS = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")

Codes = NDArray[np.integer[Any]]  # how matplotlib's pen gets to each corner of an outline


def render(sheet: Sheet) -> Figure:
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
            outline for text in sheet.texts if text.color == color for outline in _outlines(text)
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
    # savefig obeys the reader's own matplotlibrc.
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"compress_level": 3})  # type: ignore[no-untyped-call]
    path.parent.mkdir(parents=True, exist_ok=True)
    records.write_whole(path, buffer.getvalue())


def _outlines(text: Text) -> list[tuple[Floats, Codes]]:
    """Return the outline of each character of `text` at its place, as corners and codes."""
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
def _glyph(char: str, bold: bool) -> tuple[Floats, Codes, float]:
    """Return the corners and codes of a character's outline, and its advance, in ems."""
    font = get_font(FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"))
    code = ord(char) if font.get_char_index(ord(char)) else ord("?")
    font.set_size(100, 72)
    glyph = font.load_char(code, flags=LoadFlags.NO_HINTING)
    corners, codes = font.get_path()
    return corners / 100, codes, glyph.linearHoriAdvance / 65536 / 100
