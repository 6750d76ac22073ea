"""An attempt at a run, from `run.json` to `history.json`."""

import contextlib
import io
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from bnsweep.nn.network import Network
from bnsweep.records import (
    CONFIG_FILE,
    ERROR_FILE,
    WEIGHTS_FILE,
    Measurements,
    RunFolder,
    RunResult,
    RunSpec,
    write_whole,
)
from bnsweep.redact import without_secrets
from bnsweep.run.build import build_experiment, load_dataset
from bnsweep.run.users_code import kept_alive

LOG_FILE = "run.log"

_log = logging.getLogger(__name__)


@kept_alive()
def attempt(
    spec: RunSpec,
    path: Path,
    on_epoch: Callable[[int, Measurements], None] = lambda *_: None,
    on_trained: Callable[[], None] = lambda: None,
) -> RunResult:
    """Do a run in the folder `path`, and return its result, which is there as well.

    An exception ends the run as `failed` and an interruption as `killed`. `on_epoch` is called with
    each epoch and its measurements, `on_trained` when no more will come.

    Raises:
        OSError: not even that could be written.
    """
    folder = RunFolder(path)
    begun = folder.begin(spec)
    network: Network | None = None

    def keep(epoch: int, measured: Measurements) -> None:
        folder.append(begun.id, epoch, measured)
        on_epoch(epoch, measured)

    with _logged_to(path / LOG_FILE):
        try:
            experiment = build_experiment(spec, load_dataset(spec.config))
            network = experiment.network
            result = experiment.run(keep, time.perf_counter)
        except KeyboardInterrupt:
            result = RunResult(spec, "killed", error="interrupted")
        except BaseException:
            result = RunResult(spec, "failed", error=without_secrets(traceback.format_exc()))
        on_trained()
        result = replace(result, attempt=begun.id, started=begun.started, ended=time.time())
        return _keep(result, folder, network)


def _keep(result: RunResult, folder: RunFolder, network: Network | None) -> RunResult:
    """Write the files of a run, and return its result: failed if they cannot be written."""
    spec, path = result.spec, folder.path
    try:
        config = OmegaConf.to_yaml(OmegaConf.create(spec.config))
        write_whole(path / CONFIG_FILE, config.encode())
        if network is not None and spec.keep.weights:
            buffer = io.BytesIO()
            np.savez(buffer, allow_pickle=False, **network.state())
            write_whole(path / WEIGHTS_FILE, buffer.getvalue())
        if result.curves and spec.keep.figures:
            # matplotlib takes a third of a second to import: not before there is something to draw.
            from bnsweep.report.figures.single_run import draw_run

            draw_run(result, path / "figures")
        if not result.error:
            folder.finish(result)
    except (Exception, SystemExit):
        result = replace(result, status="failed", error=without_secrets(traceback.format_exc()))
    if result.error:
        _log.info("the run %s:\n%s", result.status, result.error)
        with contextlib.suppress(OSError):
            write_whole(path / ERROR_FILE, result.error.encode())
        folder.finish(result)
    return result


@contextlib.contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Write what is logged within the context to a file, which is made by the first message."""
    root, handler = logging.getLogger(), logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
