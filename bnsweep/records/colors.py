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
