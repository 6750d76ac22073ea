"""The colour of each model, the same in every figure and in the tracking store.

The first are of Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

import zlib
from collections.abc import Iterable

MODEL_COLORS = {"batchnorm": "#0072B2", "plain": "#D55E00", "dropout": "#009E73"}
# For models of the user's own, and for names where all lines are of one model.
OTHER_COLORS = (
    "#CC79A7", "#E69F00", "#332288", "#56B4E9", "#882255", "#999933", "#44AA99", "#000000",
)  # fmt: skip
LIGHTEST, DARKEST = 0.6, 0.45  # how much white or black is in the ends of a shading


def model_color(model: str, among: Iterable[str] = ()) -> str:
    """Return the colour of a model.

    One of the user's own has one that follows from its name; where it is taken by another model
    `among` those of the figure, the next one.
    """
    colors = dict(MODEL_COLORS)
    for name in sorted({model, *among} - MODEL_COLORS.keys()):
        start = zlib.crc32(name.encode()) % len(OTHER_COLORS)
        order = OTHER_COLORS[start:] + OTHER_COLORS[:start]
        colors[name] = next((c for c in order if c not in colors.values()), order[0])
    return colors[model]


def shaded(color: str, place: float) -> str:
    """Return a colour lightened or darkened: light at 0, itself at 0.5, dark at 1."""
    end, share = (
        (255, LIGHTEST * (1 - 2 * place)) if place < 0.5 else (0, DARKEST * (2 * place - 1))
    )
    parts = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(part + share * (end - part)):02X}" for part in parts)
