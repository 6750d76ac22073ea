"""An MLflow tracking store.

Relies on the tags `mlflow.user`, `mlflow.source.*`, `mlflow.parentRunId`, `mlflow.note.content` and
`mlflow.data.context`, on `mlflow.tracking.context.registry`, on a server's page `/health`, and on
the wording of MLflow's errors; remove when the client has parameters for the tags and error codes
for a database of another version.
"""

import contextlib
import functools
import itertools
import json
import logging
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from urllib.parse import unquote, urlsplit

from bnsweep.errors import ConfigError, StoreRefused, StoreUnreachable, TrackingError
from bnsweep.hydra_inside import instantiate
from bnsweep.records import (
    CONFIG_FILE,
    ERROR_FILE,
    HISTORY_FILE,
    WEIGHTS_FILE,
    Attempt,
    RunFolder,
    RunResult,
    RunSpec,
    SweepPlan,
    absolute,
    write_whole,
)
from bnsweep.records.colors import model_color
from bnsweep.records.keys import KEYS, brief, flatten, shown
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.redact import REFUSAL, first_line, has_secret, without_secrets
from bnsweep.run.users_code import told
from bnsweep.tracking import sqlite, ui
from bnsweep.tracking.model import MODEL, log_model
from bnsweep.tracking.told import (
    MOST_TAG,
    cut,
    how_it_ended,
    parameters,
    parameters_of_sweep,
    readable,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run
    from omegaconf import DictConfig

T = TypeVar("T")
M = TypeVar("M", bound=Callable[..., Any])

URI_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
NAME_VARIABLE = "MLFLOW_RUN_NAME"  # of what a command does: a run by itself, or a sweep
EXPERIMENT = "bnsweep"
SWEEPS = "bnsweep.sweeps"
NOTE = "mlflow.note.content"
RESERVED = ("mlflow.", "bnsweep.")
PAGE = 1000
MOST_METRICS = 900  # MLflow accepts at most 1000 metrics, parameters and tags in one call
# At the start and at the end of a sweep a busy store is asked again, a hanging one is not.
TRIES, PATIENCE = 3, 6.0
BEGIN_PATIENCE = 10.0  # enough for a second try where the answer to the first came too late
ARTIFACTS = (CONFIG_FILE, HISTORY_FILE, WEIGHTS_FILE, ERROR_FILE)
REPORT = ("results.csv", "summary.md", "report.html", "multirun.yaml")
STATUS = {"finished": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
# What MLflow says of a request that it will never take; anything else may pass.
REFUSED = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS")

DATABASE_SERVERS = ("postgresql", "mysql", "mssql")

_log = logging.getLogger(__name__)

# MLflow is imported on first use: that takes a second or two.


class Point(NamedTuple):
    """A value of a metric at a step, and when it was measured (seconds since 1970)."""

    name: str
    value: float
    time: float
    step: int


class StoredRun(NamedTuple):
    """A run that the store holds: `status` is what bnsweep calls it, `running` until it ends.

    `number` is the name of its folder: in a sweep, its number there. `sweeps` holds the ids of the
    sweeps that it is a run of, the one that did it and those that took it over.
    """

    run_id: str
    attempt: str
    fingerprint: str
    number: str
    status: str = "running"
    sweeps: str = ""


def translated(method: M) -> M:
    """Make a method of a store raise our errors in the place of MLflow's."""

    @functools.wraps(method)
    def call(self: "Store", *args: Any, **kwargs: Any) -> Any:
        try:
            if self.is_gone:
                raise StoreUnreachable(
                    f"tracking.uri={self.shown}: that file has been removed or replaced"
                )
            return method(self, *args, **kwargs)
        except TrackingError:
            raise
        except Exception as error:
            raise self._ours(error) from error

    return cast("M", call)


class Store:
    """An MLflow tracking store, and the experiment in it.

    Every method raises StoreUnreachable if the store does not answer or fails, and StoreRefused
    if it does not take what it is given.

    Args:
        uri: the URI of the store; by default `MLFLOW_TRACKING_URI`, or if that is not set a SQLite
            file in `output_dir`.
        experiment: the name of the MLflow experiment; by default `MLFLOW_EXPERIMENT_NAME`, or if
            that is not set `bnsweep`.
        output_dir: the absolute path of the default store's folder.
        tags: further tags of each run and each sweep.
        note: a note on what is done, a run by itself or a sweep.
        model: whether each run's network is logged as an MLflow model.

    Raises:
        StoreRefused: it cannot be one, or a tag is reserved.
    """

    def __init__(
        self,
        *,
        uri: str | None,
        experiment: str | float | None = None,
        output_dir: str = "",
        tags: Mapping[str, Any] | None = None,
        note: str | None = None,
        model: bool = False,
        **_: object,
    ) -> None:
        uri = str(uri or os.environ.get(URI_VARIABLE) or "").strip()
        scheme, separator, rest = uri.partition("://")
        uri = scheme.lower() + separator + rest if separator else uri
        # The file of a SQLite database; None: a server's.
        self.database = sqlite.path_of(uri) if uri else Path(output_dir) / "mlflow.db"
        # The same file in any working directory, and written so that it can be read back.
        self.uri = uri if self.database is None else sqlite.uri_of(self.database)
        if self.database is None and len(uri.split()) > 1:
            raise StoreRefused("tracking.uri: contains a blank; write it as %20")
        self._opened: tuple[int, int] | None = None  # the database file that MLflow uses
        if experiment is None:
            experiment = os.environ.get(EXPERIMENT_VARIABLE, "").strip() or EXPERIMENT
            if not (row := KEYS["tracking.experiment"]).accepts(experiment):
                given = f"{EXPERIMENT_VARIABLE}={brief(experiment)}"
                raise StoreRefused(f"{given}: must be {row.must_be().removesuffix(', or null')}")
        self.experiment = str(experiment)  # a name such as 500 arrives as a number
        self._tags = {key: without_secrets(shown(v)) for key, v in flatten(tags or {}).items()}
        if taken := [key for key in self._tags if key.startswith(RESERVED)]:
            raise StoreRefused(
                f"tracking.tags: {taken[0]} is reserved; give a name that begins with neither "
                f"{' nor '.join(RESERVED)}"
            )
        self.note = without_secrets(str(note)) if note else ""
        self._model = model
        self._source: dict[str | None, dict[str, str]] = {}

    @functools.cached_property
    def client(self) -> "MlflowClient":
        """The client of the store."""
        if self.database is not None:
            self._opened = sqlite.identity(self.database)
        return sqlite.quiet_client(self.uri)

    @functools.cached_property
    @translated
    def experiment_id(self) -> str:
        """The id of the experiment."""
        experiment = self.client.get_experiment_by_name(self.experiment)
        if experiment is None:
            raise StoreRefused(
                f"tracking.experiment={self.experiment}: does not exist in {self.shown}"
            )
        return str(experiment.experiment_id)

    @property
    def shown(self) -> str:
        """The store's URI without credentials."""
        return without_secrets(self.uri)

    @property
    def is_gone(self) -> bool:
        """Whether the file that MLflow has open, and would write to, is no longer at its path."""
        if self._opened is None or self.database is None:
            return False
        try:
            return sqlite.identity(self.database) != self._opened
        except OSError:
            return False  # that cannot be said now

    def ui_command(self, run_id: str, *, sweep: bool = False) -> str:
        """Return the command that opens the MLflow UI at a run, or at the runs of a sweep."""
        page = ui.sweep_page if sweep else ui.run_page
        if self.shown.startswith(("http://", "https://")):
            return f"open {page(self.experiment_id, run_id, self.shown)}"
        command = f"mlflow ui --backend-store-uri {shlex.quote(self.shown)}"
        return f"{command}\nand open {page(self.experiment_id, run_id)}"

    def prepare(self) -> None:
        """Check that the store answers, and create what is missing of database and experiment.

        Raises:
            TrackingError: the store cannot be reached, created or read.
        """
        self._patiently(self._prepare)

    @translated
    def _prepare(self) -> None:
        if self.database is not None:
            sqlite.create(self.database)
        elif self.uri.startswith(DATABASE_SERVERS):
            import sqlalchemy

            # MLflow tries for minutes to connect to one that is away.
            sqlalchemy.create_engine(self.uri, poolclass=sqlalchemy.NullPool).connect().close()
        self._check()
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            self.experiment_id = self._create_experiment()
            return
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"tracking.experiment={self.experiment}: was deleted from {self.shown}; "
                "restore it there, or set another name"
            )
        self.experiment_id = str(found.experiment_id)
        self._follow_move(found.artifact_location)
        for key, value in ui.EXPERIMENT_TAGS.items():
            # Keep what somebody has changed in the UI.
            if key not in found.tags:
                self.client.set_experiment_tag(self.experiment_id, key, value)

    @translated
    def check(self) -> None:
        """Check that the store answers, within seconds."""
        self._check()

    def open_sweep(self, plan: SweepPlan, folder: Path) -> str:
        """Return the id of a sweep's own run: a new one, or the one that it has already."""
        before = itertools.count()  # tries: any of them may have made the run

        def find_or_create() -> str:
            new = next(before) == 0 and plan.parent is None
            return self._find_or_create(plan, folder, new=new)

        return self._patiently(find_or_create, seconds=BEGIN_PATIENCE)

    @translated
    def _find_or_create(self, plan: SweepPlan, folder: Path, *, new: bool) -> str:
        from mlflow.entities import RunTag

        if not new:
            if plan.parent is not None:
                self._restore(plan.parent)
            # The answer to an earlier try may have been lost.
            if found := [run.run_id for run in self.runs(attempt=plan.id)]:
                own = plan.parent if plan.parent in found else found[0]
                self.client.update_run(own, status="RUNNING")
                tags = self._tags_of(plan, folder).items()
                self.client.log_batch(own, tags=[RunTag(key, value) for key, value in tags])
                return own
        run = self.client.create_run(
            self.experiment_id,
            run_name=os.environ.get(NAME_VARIABLE) or plan.name,
            tags=self._tags_of(plan, folder) | self._source_tags(None),
        )
        return str(run.info.run_id)

    def _tags_of(self, plan: SweepPlan, folder: Path) -> dict[str, str]:
        """Return the tags of a sweep's own run."""
        tags = self._tags | {
            "bnsweep.role": "sweep",
            "bnsweep.attempt": plan.id,
            "bnsweep.folder": str(folder),
            "bnsweep.command": plan.typed,
            NOTE: self.note,
        }
        return {key: cut(value, MOST_TAG) for key, value in tags.items() if value}

    def _restore(self, run_id: str) -> None:
        """Take back that a run was deleted; one that is gone for good stays so."""
        try:
            if self.client.get_run(run_id).info.lifecycle_stage == "deleted":
                self.client.restore_run(run_id)
        except Exception as error:
            if getattr(error, "error_code", "") not in REFUSED:
                raise

    def log_plan(self, plan: SweepPlan) -> None:
        """Add to a sweep's own run what is planned, and save its view in the UI."""
        # Part by part: a store that fails every now and then gets them all in the end.
        for log in (self._log_parameters, self._log_data_of, self._log_file, self._save_view):
            self._patiently(functools.partial(log, plan), seconds=BEGIN_PATIENCE)

    @translated
    def _log_parameters(self, plan: SweepPlan) -> None:
        from mlflow.entities import Param

        # What is there stays: MLflow changes no parameter, not even to another form of a number.
        there = self.client.get_run(str(plan.parent)).data.params
        told = parameters_of_sweep(plan.specs).items()
        params = [Param(key, text) for key, text in told if key not in there]
        self.client.log_batch(str(plan.parent), params=params)

    @translated
    def _log_data_of(self, plan: SweepPlan) -> None:
        data = {str(spec.data.get("digest")): spec for spec in plan.specs if spec.data}
        self._log_data(str(plan.parent), list(data.values()))

    @translated
    def _log_file(self, plan: SweepPlan) -> None:
        self.client.log_text(str(plan.parent), plan.encode(), SWEEP_FILE)

    @translated
    def _save_view(self, plan: SweepPlan) -> None:
        self.client.set_experiment_tag(self.experiment_id, *ui.view_tag(plan))

    def close_sweep(
        self, parent: str, *, status: str, metrics: Mapping[str, float], note: str, folder: Path
    ) -> None:
        """End a sweep's own run with its metrics, its note and the report in `folder`."""
        done: set[str] = set()
        self._patiently(
            lambda: self._close_sweep(parent, status, metrics, note, folder, done), tries=9
        )

    @translated
    def _close_sweep(
        self,
        parent: str,
        status: str,
        metrics: Mapping[str, float],
        note: str,
        folder: Path,
        done: set[str],
    ) -> None:
        from mlflow.entities import Metric, RunTag

        now = _milliseconds(time.time())
        points = [Metric(key, value, now, 0) for key, value in readable(metrics).items()]
        tags = [RunTag(NOTE, note), RunTag("bnsweep.status", status)]
        self.client.log_batch(parent, metrics=points, tags=tags)
        self._log_files(parent, folder, REPORT, done)
        self.client.set_terminated(parent, STATUS[status])

    @translated
    def runs(self, *, parent: str | None = None, attempt: str | None = None) -> list[StoredRun]:
        """Return the runs of the experiment, of a sweep, or of an attempt, the oldest first."""
        conditions = {"mlflow.parentRunId": parent, "bnsweep.attempt": attempt}
        told = [f"tags.`{key}` = '{value}'" for key, value in conditions.items() if value]
        told.append("tags.`bnsweep.attempt` != ''")  # what is not ours has no such tag
        found: list[Run] = []
        token: str | None = None
        while token != "":
            page = self.client.search_runs(
                [self.experiment_id],
                " and ".join(told),
                order_by=["attributes.start_time"],
                max_results=PAGE,
                page_token=token,
            )
            found += page
            token = page.token or ""
        return [_stored(run) for run in found]

    @translated
    def create(
        self,
        attempt: Attempt,
        folder: Path,
        parent: str | None,
        further: Mapping[str, str],
    ) -> str:
        """Make the run of an attempt, below that of its sweep if it has one; return its id.

        Args:
            attempt: the attempt.
            folder: of the run.
            parent: the id of the sweep's own run.
            further: tags of the run, besides what follows from the attempt.
        """
        spec, name = attempt.spec, None
        tags = self._tags | {
            ui.COLOR_TAG: model_color(spec.model),
            "bnsweep.role": "run",
            "bnsweep.attempt": attempt.id,
            "bnsweep.fingerprint": spec.fingerprint,
            "bnsweep.folder": str(folder),
            **further,
        }
        if parent is not None:
            tags |= {"mlflow.parentRunId": parent, SWEEPS: parent}
        else:
            name = os.environ.get(NAME_VARIABLE)
            if self.note:
                tags[NOTE] = self.note
        run = self.client.create_run(
            self.experiment_id,
            start_time=_milliseconds(attempt.started),
            run_name=name or spec.name,
            tags={key: cut(value, MOST_TAG) for key, value in tags.items()}
            | self._source_tags(parent),
        )
        return str(run.info.run_id)

    @translated
    def add_to_sweep(self, run: StoredRun, parent: str) -> None:
        """Enter a run of another sweep, or of none, into a sweep that takes it over."""
        self.client.set_tag(run.run_id, SWEEPS, f"{run.sweeps} {parent}".strip())

    @translated
    def log(
        self,
        run_id: str,
        points: Sequence[Point],
        attempt: Attempt | None = None,
        status: str | None = None,
    ) -> None:
        """Add points, and the parameters and the data set of `attempt`; what is there stays."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(p.name, p.value, _milliseconds(p.time), p.step) for p in points]
        named = parameters(attempt.spec).items() if attempt is not None else ()
        params = [Param(key, value) for key, value in named]
        tags = [RunTag("bnsweep.status", status)] if status is not None else []
        for start in range(0, max(len(metrics), 1), MOST_METRICS):
            part = metrics[start : start + MOST_METRICS]
            self.client.log_batch(run_id, part, params if start == 0 else [], tags)
        if attempt is not None and attempt.spec.data:
            self._log_data(run_id, [attempt.spec])

    def _log_data(self, run_id: str, specs: Sequence[RunSpec]) -> None:
        datasets = [_dataset_input(spec) for spec in specs]
        try:
            self.client.log_inputs(run_id, datasets=datasets)
        except Exception as error:
            # When two sweeps log a new data set at once, MLflow fails for one of them. On a second
            # try, it finds the data set.
            if "unique" not in str(error).lower():
                raise
            self.client.log_inputs(run_id, datasets=datasets)

    @translated
    def close(self, run_id: str, folder: Path, result: RunResult, done: set[str]) -> None:
        """Add the files of a run but for those that are `done`, which grows, and end it."""
        self._log_files(run_id, folder, ARTIFACTS, done)
        if how := how_it_ended(result):
            before = self.client.get_run(run_id).data.tags.get(NOTE, "")
            if not before.startswith(how):
                self.client.set_tag(run_id, NOTE, cut(f"{how}\n\n{before}".strip(), MOST_TAG))
        if self._model and result.status == "finished" and MODEL not in done:
            log_model(self.client, run_id, RunFolder(folder))
            done.add(MODEL)
        # Terminate last: a terminated run is complete.
        ended = _milliseconds(result.ended or time.time())
        self.client.set_terminated(run_id, STATUS[result.status], end_time=ended)

    @translated
    def discard(self, run_id: str) -> None:
        """Delete a run whose place another one has taken."""
        with contextlib.suppress(StoreRefused):  # it is deleted already
            self.kill(run_id)
            self.client.delete_run(run_id)

    @translated
    def kill(self, run_id: str) -> None:
        """End a run that nobody will bring to its end."""
        if self.client.get_run(run_id).info.status == "RUNNING":
            self.client.set_tag(run_id, "bnsweep.status", "killed")
            self.client.set_terminated(run_id, "KILLED")

    @translated
    def tags(self, run_id: str) -> dict[str, str]:
        """Return the tags of a run."""
        run = self.client.get_run(run_id)
        self.experiment_id = run.info.experiment_id
        return dict(run.data.tags)

    @translated
    def fetch(self, run_id: str, folder: Path, names: Sequence[str]) -> None:
        """Write those files of a run into `folder` that it has, in this order."""
        with tempfile.TemporaryDirectory() as temporary:
            there = {artifact.path for artifact in self.client.list_artifacts(run_id)}
            for name in names:
                if name in there:
                    copy = self.client.download_artifacts(run_id, name, temporary)
                    write_whole(folder / name, Path(copy).read_bytes())

    def _log_files(self, run_id: str, folder: Path, names: Sequence[str], done: set[str]) -> None:
        """Add files one by one: a store that fails every now and then gets them all in the end."""
        drawn = (str(path.relative_to(folder)) for path in sorted(folder.glob("figures/*")))
        for name in (*names, *drawn):
            if name not in done and (folder / name).is_file():
                within, _, _ = name.rpartition("/")
                self.client.log_artifact(run_id, str(folder / name), within or None)
                done.add(name)

    def _check(self) -> None:
        if self.database is not None:
            sqlite.check(self.database)
        elif self.uri.startswith(("http://", "https://")):
            import requests

            answer = requests.get(f"{self.uri.rstrip('/')}/health", timeout=5)
            if answer.status_code >= 500:  # any other comes from a server that is there
                answer.raise_for_status()

    def _follow_move(self, location: str) -> None:
        """Find the artifacts again when a folder has been moved or copied with its database.

        MLflow keeps their absolute place, `location`, and would write new ones there.
        """
        if self.database is None or not location.startswith("file:"):
            return
        here, there = self._artifacts(self.database), Path(unquote(urlsplit(location).path))
        if there.resolve() == here.resolve() or there.parts[-2:] != here.parts[-2:]:
            return
        # Whether they lie here is asked of what lies here: a disk may just not be mounted there.
        runs = {run.run_id for run in self.runs()}
        if not runs or any((here / run).is_dir() for run in runs):
            sqlite.move_artifacts(self.database, location, here.as_uri())
            _log.warning("%s has been moved: its artifacts are no longer in %s", self.shown, there)

    def _artifacts(self, database: Path) -> Path:
        """Return the folder for the artifacts of the experiment, beside its database."""
        return database.parent / "artifacts" / self.experiment.replace("/", "_")

    def _create_experiment(self) -> str:
        # MLflow's default depends on the working directory.
        location = self._artifacts(self.database).as_uri() if self.database is not None else None
        try:
            return str(
                self.client.create_experiment(
                    self.experiment, artifact_location=location, tags=ui.EXPERIMENT_TAGS
                )
            )
        except Exception:
            # Another sweep may have created it at the same moment.
            experiment = self.client.get_experiment_by_name(self.experiment)
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def _source_tags(self, parent: str | None) -> dict[str, str]:
        """Return MLflow's tags for user, command and commit.

        Those of a sweep are its driver's: a worker may run elsewhere.
        """
        if parent not in self._source:
            if parent is None:
                from mlflow.tracking.context.registry import resolve_tags

                found = resolve_tags()
            else:
                found = self.client.get_run(parent).data.tags
            # The URL of a repository may contain a token.
            self._source[parent] = {
                key: without_secrets(str(value))
                for key, value in found.items()
                if key.startswith(("mlflow.user", "mlflow.source."))
            }
        return self._source[parent]

    def _patiently(self, call: Callable[[], T], seconds: float = PATIENCE, tries: int = TRIES) -> T:
        """Return what `call` returns; try a busy store again."""
        end, turn = time.monotonic() + seconds, 0
        while True:
            try:
                return call()
            except StoreUnreachable:
                turn += 1
                if turn == tries or time.monotonic() + 1 >= end:
                    raise
                time.sleep(1)

    def _ours(self, error: Exception) -> TrackingError:
        """Return what MLflow raises as one of our errors."""
        text, code = str(error), getattr(error, "error_code", "")
        if "database schema" in text or "Can't locate revision" in text:
            return StoreRefused(
                f"tracking.uri={self.shown}: the database belongs to another version of MLflow; "
                "upgrade it with `mlflow db upgrade`, upgrade MLflow, or set another tracking.uri"
            )
        absent = isinstance(error, ImportError)  # the driver of a database
        kind = StoreRefused if absent or code in REFUSED else StoreUnreachable
        # SQLAlchemy keeps what the database said below explanations of its own.
        said = getattr(error.__cause__ or error, "orig", None) or error
        hint = "check that it runs" if self.database is None else "check that file"
        hint = "install that package" if absent else hint
        return kind(
            f"tracking.uri={self.shown}: the tracking store cannot be used ({first_line(said)}); "
            f"{hint}, or set another tracking.uri or tracking=none"
        )


def make_store(cfg: "DictConfig") -> "Store | None":
    """Return the store that a configuration names; None with `tracking=none`.

    Raises:
        ConfigError: it has credentials in it.
        StoreRefused: it cannot be one.
    """
    if cfg.tracking.get("_target_") is None:
        return None
    if has_secret(str(cfg.tracking.get("uri") or "")):
        raise ConfigError(f"tracking.uri: {REFUSAL}")
    with told("tracking", cfg.tracking, {"output_dir"}):
        store: Store = instantiate(cfg.tracking, output_dir=str(absolute(cfg.output_dir)))
    return store


def _stored(run: "Run") -> StoredRun:
    tags = run.data.tags
    ended = run.info.status != "RUNNING"
    return StoredRun(
        run_id=str(run.info.run_id),
        attempt=tags.get("bnsweep.attempt", ""),
        fingerprint=tags.get("bnsweep.fingerprint", ""),
        number=Path(tags.get("bnsweep.folder", "")).name,
        sweeps=tags.get(SWEEPS, ""),
        status=tags.get("bnsweep.status", "killed") if ended else "running",
    )


def _dataset_input(spec: RunSpec) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    facts = dict(spec.data)
    name, digest = str(facts.pop("name")), str(facts.pop("digest"))
    entity = Dataset(
        name=name,
        digest=digest[:8],
        source_type="bnsweep",
        source=json.dumps({"name": name}),
        profile=json.dumps(facts),
    )
    return DatasetInput(dataset=entity, tags=[InputTag("mlflow.data.context", "train and test")])


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
