"""A run by itself: checked before it starts, trained, recorded, and its outcome printed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hydra.conf import HydraConf
from omegaconf import DictConfig

from bnsweep.errors import ConfigError, IncompleteError
from bnsweep.records import (
    ERROR_FILE,
    LOCK_FILE,
    Measurements,
    RunFolder,
    RunResult,
    RunSpec,
    from_here,
    lock,
)
from bnsweep.report.output import ReportOptions
from bnsweep.report.terminal import Progress
from bnsweep.run.attempt import attempt
from bnsweep.run.config import check_keys, option_files, specify, to_plain, where_started
from bnsweep.run.rehearsal import Rehearsal
from bnsweep.sweep.interrupts import Interrupts
from bnsweep.sweep.places import expand_home, folder_of, folders_of
from bnsweep.sweep.resume import EarlierRuns
from bnsweep.sweep.watching import displayed
from bnsweep.tracking.recorder import Recorder, recorded
from bnsweep.tracking.store import Store, make_store


def prepare_run(config: DictConfig) -> bool:
    """Check a run and prepare its store; return whether the run is still to be done.

    `config` is the configuration that Hydra is about to run. With `resume`, a run that is done
    and that the store lacks is recorded.

    Raises:
        UserError: the run cannot be done.
    """
    check_keys(config, config.hydra.overrides.task)
    spec = specify(config, option_files(config.hydra), facts=Rehearsal())
    ReportOptions.of(to_plain(config.report))
    _check_folder(config, spec)
    config.sweep.options = spec.options
    store = make_store(config)
    if store is not None:
        store.prepare()
    if config.resume and _is_done(config, spec, store):
        return False
    expand_home(config, "run")
    return True


def _check_folder(config: DictConfig, spec: RunSpec) -> None:
    """Check that a run can be done in its folder, and puts nothing in the place of another's."""
    folder = folder_of(config, "run")
    run = RunFolder(folder)
    begun, given = run.attempt(), f"hydra.run.dir={from_here(folder)}"
    if begun is None and run.has_history():
        raise ConfigError(f"{given}: holds another run; give another folder")
    if begun is not None:
        if not config.resume:
            raise ConfigError(
                f"{given}: holds a run; give another folder, or resume=true to go on with that run"
            )
        if begun.spec.fingerprint != spec.fingerprint:
            raise ConfigError(f"{given}: holds another run, {begun.spec.name}; give another folder")


def _is_done(config: DictConfig, spec: RunSpec, store: Store | None) -> bool:
    """Whether an earlier run stands for this one; if the store lacks that one, record it."""
    earlier = EarlierRuns(folders_of(config, "sweep"), folders_of(config, "run"), store)
    earlier.close_dead()
    if (place := earlier.under_way(spec)) is not None:
        raise ConfigError(
            f"resume=true: another process is at work on this run, in {from_here(place)}"
        )
    if (place := earlier.find(spec)) is not None:
        print(f"done already: {from_here(place)}")
        if store is not None:
            recorder = Recorder(store, [place], known=earlier.stored)
            recorder.finish()
            recorder.check()
        return True
    if (run := earlier.stored_as_done(spec)) is not None and store is not None:
        print(f"done already: run {run.run_id} of the store {store.shown}")
        return True
    return False


def do_run(cfg: DictConfig, hydra_config: HydraConf) -> None:
    """Do the run that `cfg` describes in its folder, and print its outcome.

    Raises:
        IncompleteError: the run failed, or is not in the store.
        KeyboardInterrupt: it was interrupted.
    """
    folder = Path(hydra_config.runtime.output_dir)
    with where_started(hydra_config):
        spec, store = specify(cfg), make_store(cfg)
    with Interrupts() as interrupts, lock(folder / LOCK_FILE):
        with recorded(store, folder) as recorder, ExitStack() as shown:
            on_epoch = shown.enter_context(_progress(spec))

            def on_trained() -> None:
                interrupts.hold()  # Ctrl-C waits until the result is written and recorded
                shown.close()

            try:
                result = attempt(spec, folder, on_epoch, on_trained)
            except OSError as error:
                raise IncompleteError(
                    f"the run cannot be written to {from_here(folder)} ({error})"
                ) from error
            if result.status == "killed":
                raise KeyboardInterrupt
            with where_started(hydra_config):
                _print_outcome(result, from_here(folder))
        if recorder is not None and store is not None:
            recorder.check()
            print(f"to see it in MLflow: {store.ui_command(recorder.run_ids[folder])}")


@contextmanager
def _progress(spec: RunSpec) -> Iterator[Callable[[int, Measurements], None]]:
    """Show how far the training is, and yield what is to be called with each epoch."""
    latest: tuple[int, str] = 0, ""

    def note(epoch: int, measured: Measurements) -> None:
        nonlocal latest
        loss, accuracy = measured["train_loss"], measured["train_accuracy"]
        latest = epoch, f"train loss {loss:.3g}, accuracy {accuracy:.3f}"

    with displayed(
        Progress(spec.config["training"]["epochs"], "epochs", brief=True), lambda: latest
    ):
        yield note


def _print_outcome(result: RunResult, folder: Path) -> None:
    if result.status == "failed":
        last = str(result.error).strip().splitlines()[-1]
        raise IncompleteError(f"the run failed: {last}; its traceback is in {folder / ERROR_FILE}")
    ended = f"diverged in epoch {result.epochs_run}" if result.status == "diverged" else "finished"
    print(
        f"{ended}: train accuracy {result.last('train_accuracy'):.3f}, "
        f"test accuracy {result.last('test_accuracy'):.3f}"
    )
    print(f"results: {folder}")
