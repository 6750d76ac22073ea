"""Runs go to a launcher, and again when a worker dies under them."""

import itertools
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from bnsweep import records
from bnsweep.records import RunSpec, has_history
from bnsweep.redact import first_line, has_secret
from bnsweep.sweep import local_workers
from bnsweep.sweep.cluster import Workers, connect
from bnsweep.sweep.outcomes import JobReport, Outcomes
from bnsweep.tracking import Tracker

MAX_DEATHS = 2  # as the message says


def fixed_overrides(
    config: DictConfig, tracker: Tracker, folder: Path, parent: str | None, swept: Sequence[str]
) -> list[str]:
    """Return overrides that make each job the same in any working directory, on any host."""
    values = {
        "output_dir": str(Path(config.output_dir).absolute()),
        "hydra.sweep.dir": str(folder),
    }
    fixed = [f"{key}={_quote(value)}" for key, value in values.items()]
    if tracker.uri is not None:
        # A URI with a password reaches the jobs through the environment, which nothing saves.
        uri = "null" if has_secret(tracker.uri) else _quote(tracker.uri)
        fixed.append(f"tracking.uri={uri}")
    keys = ",".join(_quote(key) for key in swept)
    return [*fixed, f"sweep.parent_run_id={parent or 'null'}", f"sweep.keys=[{keys}]"]


def launch(
    launcher: Launcher,
    specs: Sequence[RunSpec],
    fixed: Sequence[str],
    folder: Path,
    outcomes: Outcomes,
    workers: Workers,
    *,
    stop_at_failure: bool,
) -> None:
    """Launch runs until each has a result, or was under way at two deaths of a worker.

    A launcher raises when a worker dies, and loses what its other jobs returned; but their
    histories show which of them ended. Those that were under way are launched again one by one,
    so that the one to blame takes no other with it.
    """
    deaths: Counter[int] = Counter()
    batches, first = deque(workers.batches(specs)), 0
    while batches:
        batch = batches.popleft()
        texts = [_overrides_of(spec, fixed) for spec in batch]
        # Each try gets new folders, so that it cannot be mistaken for a broken one.
        places = {spec.number: folder / str(first + n) for n, spec in enumerate(batch)}
        outcomes.folders |= places
        try:
            connect(launcher)
            local_workers.prepare(launcher)
            returns = launcher.launch(texts, initial_job_idx=first)
        except Exception as error:
            first += len(batch)
            workers.stop()
            missing = [spec for spec in batch if not has_history(places[spec.number])]
            started = [spec for spec in missing if places[spec.number].exists()]
            reason = f"{type(error).__name__}: {first_line(error)}"
            if isinstance(error, OSError) or not started:
                # No worker died: a second try would fail in the same way.
                for spec in itertools.chain(missing, *batches):
                    outcomes.failures[spec.number] = reason
                return
            for spec in started:
                deaths[spec.number] += 1
                if deaths[spec.number] >= MAX_DEATHS:
                    outcomes.mark_failed(spec, f"its worker died twice (out of memory?): {reason}")
            if outcomes.failures and stop_at_failure:
                return
            outcomes.broken |= {str(places[spec.number]) for spec in missing}
            again = [spec for spec in started if spec.number not in outcomes.failures]
            fresh = [spec for spec in missing if spec not in started]
            batches.extend(group for group in (fresh, *([spec] for spec in again)) if group)
        else:
            first += len(batch)
            _note(batch, returns, outcomes)
            if not all(has_history(place) for place in places.values()):
                workers.fetch()


def _overrides_of(spec: RunSpec, fixed: Sequence[str]) -> list[str]:
    """Return the overrides of a job: its own, unless another one stands in their place."""
    names = ",".join(f"{key}:{_quote(name)}" for key, name in spec.options.items())
    others = [*fixed, f"sweep.options={{{names}}}", f"sweep.number={spec.number}"]
    if (root := spec.config["data"].get("root")) is not None:
        others.append(f"data.root={_quote(root)}")
    keys = {text.partition("=")[0] for text in others}
    return [*(text for text in spec.overrides if text.partition("=")[0] not in keys), *others]


def _note(specs: Sequence[RunSpec], returns: Sequence[JobReturn], outcomes: Outcomes) -> None:
    for spec, returned in zip(specs, returns, strict=True):
        if returned.status == JobStatus.COMPLETED:
            report: JobReport = returned.return_value
            if report.tracked and report.run_id is not None:
                outcomes.run_ids[spec.number] = report.run_id
            if report.error is not None:
                outcomes.failures[spec.number] = report.error
            folder = outcomes.folders[spec.number]
            if report.history is not None and not has_history(folder):
                folder.mkdir(exist_ok=True)
                records.write_whole(folder / records.HISTORY_FILE, report.history.encode())
        else:
            try:
                _ = returned.return_value
            except Exception as failure:
                outcomes.failures[spec.number] = f"{type(failure).__name__}: {failure}"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
