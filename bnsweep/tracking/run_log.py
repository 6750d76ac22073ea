"""Log one run to the store, and cope with a store that fails."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from bnsweep import records
from bnsweep.records import Measurements, RunResult
from bnsweep.redact import first_line, without_secret
from bnsweep.tracking.no_tracker import NoLog

_log = logging.getLogger(__name__)

# Measurements reach the store within two seconds.
FLUSH_SECONDS = 1.0
# MLflow accepts at most 1000 metrics and tags in one call.
BATCH_METRICS = 900
# Try a store again so many seconds after it failed.
RETRY_SECONDS = 60.0
ARTIFACTS = (
    records.CONFIG_FILE,
    records.HISTORY_FILE,
    records.WEIGHTS_FILE,
    records.ERROR_FILE,
)
MLFLOW_STATUS = {
    "finished": "FINISHED",
    "diverged": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}


class RunLog(NoLog):
    """The log of one run in the store.

    A thread sends new measurements every `FLUSH_SECONDS`, and `end` sends the rest: a shorter run
    takes one call. After the store has failed, the log writes nothing more. Training goes on, and
    the files on disk are enough to log the run later.

    Args:
        client: the client of the store.
        uri: the URI of the store.
        run_id: the run in the store.
        metrics: metrics that are known from the start, to be sent with the first measurements.
    """

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
    ) -> None:
        super().__init__(run_id, complete=False)
        self._id = run_id
        self._client = client
        self._uri = uri
        self._lost = False
        self._waiting = list(metrics)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()

    def epoch(self, epoch: int, measured: Measurements) -> None:
        """Queue the finite measurements of an epoch."""
        if self._lost:
            return
        stamp = int(time.time() * 1000)
        with self._lock:
            self._waiting += [
                Metric(key, value, stamp, epoch)
                for key, value in measured.items()
                if math.isfinite(value)
            ]

    def end(self, result: RunResult, folder: Path) -> None:
        """Log the outcome and the artifacts in `folder`, and close the run."""
        self._over.set()
        self._sender.join()
        self._attempt(lambda: self._end(result, folder))

    def _end(self, result: RunResult, folder: Path) -> None:
        stamp = int(time.time() * 1000)
        self._waiting += [
            Metric(key, value, stamp, result.epochs_run)
            for key, value in result.final_metrics().items()
        ]
        self._flush([RunTag("bnsweep.status", result.status)])
        for name in ARTIFACTS:
            if (folder / name).is_file():
                self._client.log_artifact(self._id, str(folder / name))
        if (folder / "figures").is_dir():
            self._client.log_artifacts(self._id, str(folder / "figures"), "figures")
        # Terminate last: a terminated run is complete.
        self._client.set_terminated(self._id, MLFLOW_STATUS[result.status])
        self.complete = True

    def _send(self) -> None:
        while not self._over.wait(FLUSH_SECONDS):
            self._attempt(self._flush)

    def _flush(self, tags: Sequence[RunTag] = ()) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        while waiting or tags:
            batch, waiting = waiting[:BATCH_METRICS], waiting[BATCH_METRICS:]
            self._client.log_batch(self._id, metrics=batch, tags=tags)
            tags = ()

    def _attempt(self, call: Callable[[], None]) -> None:
        if self._lost:
            return
        try:
            call()
        except Exception as error:
            Outage.begin(self._uri, error)
            self._lost = True


class Outage:
    """The stores that failed a while ago, so that the next runs do not wait for them."""

    until: dict[str, float] = {}  # noqa: RUF012  # shared by all runs of a process

    @classmethod
    def begin(cls, uri: str, error: Exception) -> None:
        """Record that a store failed, and log a warning."""
        cls.until[uri] = time.monotonic() + RETRY_SECONDS
        _log.warning(
            "the tracking store %s failed (%s); the records stay on disk",
            without_secret(uri),
            first_line(error),
        )

    @classmethod
    def lasts(cls, uri: str) -> bool:
        """Return whether a store failed less than `RETRY_SECONDS` ago."""
        return time.monotonic() < cls.until.get(uri, 0.0)

    @classmethod
    def end(cls, uri: str) -> None:
        """Forget the failure of a store."""
        cls.until.pop(uri, None)
