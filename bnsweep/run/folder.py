"""The files that a run leaves in its folder."""

import contextlib
import io
import logging
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from bnsweep import records
from bnsweep.nn.network import Network
from bnsweep.records import RunResult
from bnsweep.redact import without_secrets

_log = logging.getLogger(__name__)


def save_run(result: RunResult, folder: Path, network: Network | None) -> RunResult:
    """Write the files of a run, and return its result: failed if they cannot be written.

    `history.json` comes last, because it says that the rest is there.
    """
    spec = result.spec
    try:
        config = OmegaConf.to_yaml(OmegaConf.create(spec.config))
        records.write_whole(folder / records.CONFIG_FILE, config.encode())
        if network is not None and spec.keep.weights:
            buffer = io.BytesIO()
            np.savez(buffer, allow_pickle=False, **network.state())
            records.write_whole(folder / records.WEIGHTS_FILE, buffer.getvalue())
        if result.curves and spec.keep.figures:
            _draw(result, folder / "figures")
        if not result.error:
            records.write(folder, result)
    except Exception:
        result = replace(result, status="failed", error=without_secrets(traceback.format_exc()))
    if result.error:
        _log.info("the run %s:\n%s", result.status, result.error)
        with contextlib.suppress(OSError):
            records.write_whole(folder / records.ERROR_FILE, result.error.encode())
            records.write(folder, result)
    return result


def _draw(result: RunResult, folder: Path) -> None:
    # matplotlib takes a third of a second to import: not before there is something to draw.
    from bnsweep.report.figures import rendering, single_run

    rendering.save(single_run.learning_curves(result), folder / "learning_curves.png")
    rendering.save(single_run.activation_distributions(result), folder / "activations.png")
