"""Jobs go to a launcher, and again to it when a worker dies under them."""

import itertools
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from bnsweep import records
from bnsweep.redact import first_line, has_secret
from bnsweep.sweep import local_workers
from bnsweep.sweep.cluster import Workers, connect
from bnsweep.sweep.jobs import Job, Outcomes, recorded

MAX_DEATHS = 2


def pins(
    config: DictConfig, tracker: Any, folder: Path, parent: str | None, swept: Sequence[str]
) -> list[str]:
    """Return overrides that make any job the same in any working directory, on any host."""
    values = {
        "output_dir": str(Path(config.output_dir).absolute()),
        "hydra.sweep.dir": str(folder),
    }
    pinned = [f"{key}={_quote(value)}" for key, value in values.items()]
    if tracker.uri is not None:
        # A URI with a password reaches the jobs by the environment alone, which nothing saves.
        uri = "null" if has_secret(tracker.uri) else _quote(tracker.uri)
        pinned.append(f"tracking.uri={uri}")
    keys = ",".join(_quote(key) for key in swept)
    return [*pinned, f"sweep.parent_run_id={parent or 'null'}", f"sweep.keys=[{keys}]"]


def launch(
    launcher: Launcher,
    jobs: Sequence[Job],
    pinned: Sequence[str],
    folder: Path,
    outcomes: Outcomes,
    workers: Workers,
    *,
    stop_at_failure: bool,
) -> None:
    """Launch jobs until each has a result, or was there at two deaths of a worker.

    A launcher raises when a worker dies, and what its other jobs returned is lost then; but
    their histories tell which of them ended. Those that were under way are launched again one
    by one: the one that is to blame then takes no other with it.
    """
    deaths: Counter[int] = Counter()
    batches, first = deque(workers.batches(jobs)), 0
    while batches:
        batch = batches.popleft()
        texts = [_pinned(job.overrides, [*pinned, *_own_pins(job)]) for job in batch]
        # A new try has new folders: nothing of a broken one is taken for its own.
        places = {job.number: folder / str(first + n) for n, job in enumerate(batch)}
        outcomes.folders |= places
        try:
            connect(launcher)
            local_workers.prepare(launcher)
            returns = launcher.launch(texts, initial_job_idx=first)
        except Exception as error:
            first += len(batch)
            workers.stop()
            missing = [job for job in batch if not recorded(places[job.number])]
            started = [job for job in missing if places[job.number].exists()]
            reason = f"{type(error).__name__}: {first_line(error)}"
            if isinstance(error, OSError) or not started:
                # No worker died: the same would only happen again.
                for job in itertools.chain(missing, *batches):
                    outcomes.failures[job.number] = reason
                return
            for job in started:
                deaths[job.number] += 1
                if deaths[job.number] >= MAX_DEATHS:
                    what = f"its worker died {MAX_DEATHS} times, for want of memory perhaps"
                    outcomes.give_up(job, f"{what} ({reason})")
            if outcomes.failures and stop_at_failure:
                return
            outcomes.broken |= {str(places[job.number]) for job in missing}
            again = [job for job in started if job.number not in outcomes.failures]
            fresh = [job for job in missing if job not in started]
            batches.extend(group for group in (fresh, *([job] for job in again)) if group)
        else:
            first += len(batch)
            _note(batch, returns, outcomes)
            if not all(recorded(place) for place in places.values()):
                workers.fetch()


def _own_pins(job: Job) -> list[str]:
    """Return overrides that tell a job where its data are, and what its parts are called."""
    names = ",".join(f"{key}:{_quote(name)}" for key, name in job.options.items())
    pins = [f"sweep.options={{{names}}}"]
    if (root := job.config["data"].get("root")) is not None:
        pins.append(f"data.root={_quote(root)}")
    return pins


def _pinned(overrides: Sequence[str], pins: Sequence[str]) -> list[str]:
    """Return a job's overrides with the pins in the place of those that they replace."""
    keys = {pin.partition("=")[0] for pin in pins}
    return [*(text for text in overrides if text.partition("=")[0] not in keys), *pins]


def _note(jobs: Sequence[Job], returns: Sequence[Any], outcomes: Outcomes) -> None:
    for job, outcome in zip(jobs, returns, strict=True):
        if outcome.status == JobStatus.COMPLETED:
            value = outcome.return_value
            if value["tracked"] and value["run_id"] is not None:
                outcomes.run_ids[job.number] = value["run_id"]
            if value["error"] is not None:
                outcomes.failures[job.number] = value["error"]
            folder = outcomes.folders[job.number]
            if value["history"] is not None and not recorded(folder):
                folder.mkdir(exist_ok=True)
                records.write_whole(folder / records.HISTORY_FILE, value["history"].encode())
        else:
            try:
                _ = outcome.return_value
            except Exception as failure:
                outcomes.failures[job.number] = f"{type(failure).__name__}: {failure}"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
