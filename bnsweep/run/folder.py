"""What a run leaves in its folder."""

import contextlib
import io
import logging
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from bnsweep import records
from bnsweep.records import RunResult
from bnsweep.redact import without_secrets

log = logging.getLogger(__name__)


def keep(
    result: RunResult, folder: Path, settings: str, network: Any, *, weights: bool, figures: bool
) -> RunResult:
    """Write what a run leaves behind, and return its result: failed if that cannot be written.

    `history.json` comes last, for it says that the rest is there; `settings` is the text of
    `config.yaml`.
    """
    try:
        records.write_whole(folder / "config.yaml", settings.encode())
        if network is not None and weights:
            buffer = io.BytesIO()
            np.savez(buffer, **network.state())
            records.write_whole(folder / records.WEIGHTS_FILE, buffer.getvalue())
        if result.epochs and figures:
            _draw(result, folder / "figures")
        if not result.error:
            records.write(folder, result)
    except Exception:
        error = without_secrets(traceback.format_exc())
        result = records.with_status(result, "failed", error)
    if result.error:
        log.info("the run %s:\n%s", result.status, result.error)
        with contextlib.suppress(OSError):
            records.write_whole(folder / records.ERROR_FILE, result.error.encode())
            records.write(folder, result)
    return result


def _draw(result: RunResult, folder: Path) -> None:
    # matplotlib takes a third of a second to import: not before there is something to draw.
    from bnsweep.report.figures import run as figures

    figures.save(figures.learning_curves(result), folder / "learning_curves.png")
    figures.save(figures.activation_distributions(result), folder / "activations.png")
