"""The folder of a sweep and its run in the store: new ones, or those of the sweep to go on with."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, read_write

from bnsweep.errors import ConfigError, StoreUnreachable, TrackingError
from bnsweep.records import LOCK_FILE, SweepPlan, from_here, lock
from bnsweep.records.sweep_plan import SWEEP_FILE
from bnsweep.sweep import cluster
from bnsweep.sweep.places import folder_of, folders_of, refused, same_part, unresolved
from bnsweep.sweep.resume import EarlierRuns, differences, take_over
from bnsweep.sweep.workers import STOP_FILE, OpenSweep, Terms
from bnsweep.tracking.recorder import Recorder
from bnsweep.tracking.store import Store
from bnsweep.tracking.ui import run_tags


def check_folders(config: DictConfig) -> None:
    """Check that the sweep can have its folder, and each run one named by its number.

    Raises:
        ConfigError: it cannot.
    """
    folder = folder_of(config, "sweep")
    if folder.exists():
        if not config.resume:
            raise _taken(folder)
        if not (folder / SWEEP_FILE).exists():
            raise _without_sweep(folder)
    subdir = unresolved(config, "hydra.sweep.subdir")
    if subdir != "${hydra.job.num}":
        raise ConfigError(
            f"hydra.sweep.subdir={subdir}: the folder of a run in a sweep is its number; "
            "set hydra.sweep.dir or output_dir instead"
        )


@contextlib.contextmanager
def opened(config: DictConfig, plan: SweepPlan, store: Store | None) -> Iterator[OpenSweep]:
    """Yield the sweep in its folder, whose lock is held: a new one, or the one to go on with."""
    folder, folders = folder_of(config, "sweep"), folders_of(config, "sweep")
    earlier: EarlierRuns | None = None
    with contextlib.ExitStack() as held:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Of all sweeps that a driver may choose from, so that two do not choose the same.
            choosing = lock(same_part(folders), wait=True)
            with choosing if config.resume else contextlib.nullcontext():
                if config.resume:
                    earlier = EarlierRuns(folders, folders_of(config, "run"), store)
                    folder, plan = _continued(folder, plan, earlier)
                elif folder.exists():
                    raise _taken(folder)
                new = not folder.exists()
                folder.mkdir(exist_ok=True)
                held.enter_context(lock(folder / LOCK_FILE))
                plan.write(folder)
            with read_write(config.hydra):
                config.hydra.sweep.dir = str(folder)
            OmegaConf.save(config, folder / "multirun.yaml")
        except BlockingIOError as error:
            raise ConfigError(
                f"resume=true: another process is at work on this sweep, in {from_here(folder)}; "
                "wait until it has ended, or interrupt it"
            ) from error
        except OSError as error:
            raise refused(config, "sweep", f"no folder can be made there ({error})") from error
        (folder / STOP_FILE).unlink(missing_ok=True)
        if earlier is not None:
            cluster.stop(folder)  # what a dead driver left in a queue would write here as well
            earlier.close_dead()
            # A driver that was killed may not have heard of the run that the store made for it.
            known = (run.run_id for run in earlier.stored if run.attempt == plan.id)
            plan = replace(
                plan,
                parent=plan.parent or next(known, None),
                reused=take_over(plan, folder, earlier),
            )
        if store is not None:
            plan = _in_store(plan, folder, store, new=new)
        else:
            plan.write(folder)
        places = [folder / str(spec.number) for spec in plan.specs]
        stored = earlier.stored if earlier is not None else ()
        recorder: Recorder | None = None
        if store is not None:
            tags = {folder / str(number): of_run for number, of_run in run_tags(plan).items()}
            recorder = Recorder(store, places, plan.parent, stored, tags)
        terms = Terms(folder, config.on_failure == "stop", bool(config.hydra.job.chdir))
        yield OpenSweep(plan, terms, recorder)


def _taken(folder: Path) -> ConfigError:
    return ConfigError(
        f"hydra.sweep.dir={from_here(folder)}: exists; give another folder, or resume=true to go "
        "on with the sweep in it"
    )


def _without_sweep(folder: Path) -> ConfigError:
    return ConfigError(f"hydra.sweep.dir={from_here(folder)}: holds no sweep; give another folder")


def _in_store(plan: SweepPlan, folder: Path, store: Store, *, new: bool) -> SweepPlan:
    """Write the plan with the sweep's own run in the store; leave nothing behind if that fails."""
    try:
        plan = replace(plan, parent=store.open_sweep(plan, folder))
        store.log_plan(plan)
        plan.write(folder)
    except BaseException as error:
        if isinstance(error, StoreUnreachable) and store.database is None:
            # A server that hangs may have made the run, and be asked no more: the plan knows it.
            raise StoreUnreachable(
                f"{error}; with resume=true, the sweep goes on in {from_here(folder)}"
            ) from error
        try:
            for run in store.runs(attempt=plan.id):  # its id may not have come back
                store.kill(run.run_id)
        except TrackingError:
            new = False
        if new:
            shutil.rmtree(folder)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()
        raise
    return plan


def _continued(folder: Path, plan: SweepPlan, earlier: EarlierRuns) -> tuple[Path, SweepPlan]:
    """Return the folder of the sweep to go on with, and the plan with its numbers."""
    if folder.exists():
        other = earlier.plans.get(folder)
        if other is None:
            raise _without_sweep(folder)
        if how := differences(plan, other):
            raise ConfigError(
                f"hydra.sweep.dir={from_here(folder)}: holds another sweep than this command asks "
                f"for: {how}; leave hydra.sweep.dir out, and the runs of it are taken over"
            )
        return folder, plan.numbered_like(other)
    if (same := earlier.sweep_like(plan)) is not None:
        return same, plan.numbered_like(earlier.plans[same])
    return folder, plan
