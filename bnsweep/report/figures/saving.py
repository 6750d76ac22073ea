"""Figures become files."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bnsweep.records import write_whole

# What else each format says of a figure; no date, so that equal figures are equal files.
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Description": ""},
    "svg": {"Title": "", "Date": None},
    "pdf": {"Title": "", "CreationDate": None},
}


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Write a figure into a folder in each of the formats, whole or not at all.

    A figure whose title is not drawn gets its caption in a text beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    caption, written = str(figure.get_label()), []
    for suffix in formats:
        written.append(folder / f"{name}.{suffix}")
        write_whole(written[-1], _drawn(figure, suffix))
    if caption and not figure.texts:
        write_whole(folder / f"{name}.txt", f"{caption}\n".encode())
    return written


def picture(figure: Figure, files: Sequence[Path]) -> tuple[bytes, str]:
    """Return an image of a figure for a page, with its media type.

    It is one of the files of the figure if a browser can show it; otherwise it is drawn anew.
    """
    by_format = {path.suffix: path for path in files}
    for suffix, media_type in ((".png", "image/png"), (".svg", "image/svg+xml")):
        if suffix in by_format:
            return by_format[suffix].read_bytes(), media_type
    return _drawn(figure, "png"), "image/png"


def beyond_numbers() -> np.errstate:
    """Return a context in which matplotlib looks for ticks of 10^309 without a warning."""
    return np.errstate(over="ignore")


def _drawn(figure: Figure, suffix: str) -> bytes:
    """Return a figure in a format."""
    buffer = io.BytesIO()
    caption = str(figure.get_label())
    metadata = {key: caption if text == "" else text for key, text in METADATA[suffix].items()}
    fast: dict[str, Any] = {"pil_kwargs": {"compress_level": 3}} if suffix == "png" else {}
    with warnings.catch_warnings(), beyond_numbers():
        # Names may have letters that the font lacks: a box stands for each.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=suffix, metadata=metadata, **fast)
    return buffer.getvalue()
