"""The Hydra entry: the only place where configuration becomes a run.

Relies on Hydra turning every exception of a callback into a warning except SystemExit, and on
HYDRA_FULL_ERROR to get Hydra's errors raised instead of printed; remove when a callback can refuse
a run, and `hydra.main` can raise.
"""

import os
import re
import sys
import time
import traceback
from argparse import Namespace
from contextvars import ContextVar
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bnsweep import hydra_inside
from bnsweep.cli import arguments, help_page, messages
from bnsweep.cli.known_keys import KnownKeys
from bnsweep.errors import ConfigError, IncompleteError, UserError
from bnsweep.records import ENDED, RunFolder
from bnsweep.records.folder import START_FILE
from bnsweep.records.keys import KEYS, brief
from bnsweep.records.paths import from_here
from bnsweep.redact import REFUSAL, has_secret, without_secrets
from bnsweep.report.words import in_words
from bnsweep.run.config import sweep_of_experiment
from bnsweep.sweep.cluster import worker_environment
from bnsweep.sweep.command import TYPED
from hydra_plugins.bnsweep import BnsweepSweeper, LocalLauncher

OUR_SWEEPER = f"{BnsweepSweeper.__module__}.{BnsweepSweeper.__qualname__}"
# In the name of a variable that holds one.
SECRET = re.compile(r"(^|_)(PASSWORD|TOKEN|SECRET|KEY)(_|$)", re.IGNORECASE)
CHECK = f"++hydra.callbacks.check._target_={__name__}."
# Where another sweeper than ours, which says nothing of it, puts what it does.
_FOREIGN: ContextVar[Path | None] = ContextVar("_FOREIGN", default=None)


class _Refused(SystemExit):
    """Leaves Hydra at once, from a callback too, and without a message by Hydra."""


class _Previewed(SystemExit):
    """Leaves Hydra before it runs anything; `first` are the overrides of a sweep's first run."""

    def __init__(self, first: list[str] | None = None) -> None:
        self.first = first


def run_command_line() -> int:
    """Run the command line and return the exit status.

    0: every run ended; 1: runs failed or are missing; 2: nothing was started; 130: interrupted.

    Raises:
        KeyboardInterrupt: it was interrupted before there was something to report.
    """
    tracebacks = arguments.wants_tracebacks()
    # Make Hydra raise its errors, so that they can be explained below.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    arguments.set_environment_defaults(os.environ)
    # It is kept on disk, and shown in the store.
    TYPED.set(tuple(map(without_secrets, sys.argv)))
    given: list[str] = []
    try:
        arguments.check_secrets(sys.argv[1:])
        args = arguments.parse(sys.argv[1:])
        # What stands behind `--` is no option, and no override either if it begins like one.
        given = [text for text in args.overrides if text[:1] != "-"]
        given += [
            f"--{name.replace('_', '-')}={value}"
            for name in ("config_dir", "config_name")
            if (value := getattr(args, name))
        ]
        prepare_hydra()
        # Whatever a file or an argument makes of the callbacks, nothing runs unchecked.
        args.overrides += [] if args.shell_completion else [f"{CHECK}{CheckBeforeRun.__name__}"]
        if args.cfg == "job":
            args = _first_of_sweep(args)
        _call_hydra(args)
    except _Refused as refusal:
        return _print_error(refusal.__cause__, tracebacks, given) if refusal.__cause__ else 0
    except Exception as error:
        return _print_error(error, tracebacks, given)
    finally:
        failed = _ended_elsewhere()
    return 1 if failed else 0


def _ended_elsewhere() -> bool:
    """Say what came of the runs of another sweeper than ours; return whether some have failed."""
    folder = _FOREIGN.get()
    if folder is None or not folder.exists():
        return False
    print(f"results: {from_here(folder)}")
    runs = [RunFolder(path.parent) for path in folder.rglob(START_FILE)]
    failed = sum(not run.has_history() or run.result().status not in ENDED for run in runs)
    if failed:
        print(f"bnsweep: {failed} of {len(runs)} runs failed; see their error.txt", file=sys.stderr)
    return failed > 0


def _call_hydra(args: Namespace) -> None:
    hydra_inside.run_hydra(args, run, config_folder())


def _first_of_sweep(args: Namespace) -> Namespace:
    """Print what a sweep would do, and return what shows its first run.

    Only Hydra can tell whether `--cfg job` is asked of a sweep: an experiment's file may say so. It
    starts as if to run, and `Preview` stops it. Of a single run, the arguments stay as they are.
    """
    try:
        overrides = [*args.overrides, f"{CHECK}{Preview.__name__}"]
        _call_hydra(hydra_inside.composing_alone(args, overrides))
    except _Previewed as previewed:
        if previewed.first is not None:
            return Namespace(**{**vars(args), "multirun": False, "overrides": previewed.first})
    return args


def prepare_hydra() -> None:
    """Register the plugins and the resolvers that the configuration refers to."""
    # Hydra's own search does not find the plugins in an editable installation.
    for plugin in (BnsweepSweeper, LocalLauncher):
        Plugins.instance().register(plugin)
    help_page.register()
    hydra_inside.register_resolver("logspace", arguments.logspace)
    hydra_inside.register_resolver("folder_name", _folder_name, use_cache=True)
    hydra_inside.register_resolver("worker_environment", worker_environment)


def config_folder() -> Path:
    """Return the folder of the configuration: inside an installed package, else beside it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


class CheckBeforeRun(Callback):
    """Checks a single run before Hydra creates its folder; a sweep checks its own runs.

    For sweeps, too, it refuses credentials, which Hydra would save.
    """

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Check that the store can be one, for other sweepers than ours as well.

        Raises:
            _Refused: it cannot, or its URI has credentials in it.
        """
        try:
            from bnsweep.sweep.places import expand_home
            from bnsweep.tracking.store import make_store

            _check_parts(config)
            _set_environment(config)
            make_store(config)
            if config.hydra.sweeper.get("_target_") != OUR_SWEEPER:
                expand_home(config, "sweep")
        except Exception as error:
            raise _Refused(2) from error
        if config.hydra.sweeper.get("_target_") != OUR_SWEEPER:
            _FOREIGN.set(Path(config.hydra.sweep.dir).absolute())

    def on_run_start(self, config: DictConfig, **_: object) -> None:
        """Check the run.

        Raises:
            _Refused: the run is invalid (status 2), or done already (status 0).
        """
        try:
            # Here, because --help and sweeps need nothing of it.
            from bnsweep.sweep.single import prepare_run

            HydraConfig.instance().set_config(config)  # as for the run itself: ${hydra:...}
            _check_parts(config)
            _check_mode(config)
            _set_environment(config)
            if not prepare_run(config):
                raise _Refused(0)
        except Exception as error:
            raise _Refused(2) from error


def _check_parts(config: DictConfig) -> None:
    """Check that a configuration of the user's own has what ours has, and of what kind a sweep is.

    Raises:
        ConfigError: it lacks a part, or the sweep is no mapping.
    """
    parts = dict.fromkeys(key.partition(".")[0] for key in (*KEYS, "sweep"))
    if lacks := [part for part in parts if part not in config]:
        name = config.hydra.job.config_name
        raise ConfigError(messages.lacks_parts(name, lacks))
    params = config.hydra.sweeper.get("params")
    if params is not None and not OmegaConf.is_dict(params):
        raise ConfigError(
            f"hydra.sweeper.params={brief(params)}: must be a mapping of keys to their choices"
        )


class Preview(CheckBeforeRun):
    """Stops Hydra where it would start a run or a sweep, and prints what the sweep would do."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Print the sweep.

        Raises:
            _Refused: the sweep could not be done.
            _Previewed: always else.
        """
        super().on_multirun_start(config)
        try:
            from bnsweep.sweep.preview import describe, preview

            if config.hydra.sweeper.get("_target_") != OUR_SWEEPER:
                raise ConfigError(
                    f"hydra/sweeper={config.hydra.runtime.choices['hydra/sweeper']}: --cfg job "
                    "shows the runs of bnsweep's own sweeper alone; leave hydra/sweeper out"
                )
            plan = preview(config, GlobalHydra.instance().config_loader())
        except Exception as error:
            raise _Refused(2) from error
        print(describe(plan))
        hydras = [text for text in config.hydra.overrides.hydra if not text.startswith(CHECK)]
        raise _Previewed([*hydras, *plan.specs[0].overrides])

    def on_run_start(self, config: DictConfig, **_: object) -> None:
        """Do nothing: Hydra shows the configuration of a single run.

        Raises:
            _Refused: it is none of ours.
            _Previewed: always else.
        """
        try:
            _check_parts(config)
        except ConfigError as error:
            raise _Refused(2) from error
        raise _Previewed


def run(cfg: DictConfig) -> str | None:
    """Do the run that `cfg` describes. Hydra calls this for each run, in a sweep for each job.

    Raises:
        _Refused: a single run failed; in a sweep, a failed run is one of the results.
    """
    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        from bnsweep.sweep.launched import do_job

        return do_job(cfg, hydra_config)
    from bnsweep.sweep.single import do_run

    try:
        do_run(cfg, hydra_config)
    except IncompleteError as error:
        raise _Refused(error.exit_status) from error
    return None


def _check_mode(config: DictConfig) -> None:
    """Check that a single run is meant, where its experiment's file describes a sweep.

    Raises:
        ConfigError: neither the file nor the command line says which of them is meant.
    """
    said = any(text.lstrip("+").startswith("hydra.mode=") for text in TYPED.get())
    keys = [] if said else sweep_of_experiment(config.hydra.runtime)
    if keys and hydra_inside.no_mode_given(config):
        raise ConfigError(
            f"experiment={config.hydra.runtime.choices.experiment}: its file describes a sweep "
            f"over {in_words(keys)}; add -m to run it, or hydra.mode=RUN for a single run"
        )


def _set_environment(config: DictConfig) -> None:
    """Set the variables of `hydra.job.env_set` for the driver, too: it and its jobs use one store.

    Raises:
        ConfigError: one has credentials in it, which Hydra would save.
    """
    variables = {name: str(value) for name, value in config.hydra.job.env_set.items()}
    for name, value in variables.items():
        if has_secret(value):
            raise ConfigError(f"hydra.job.env_set.{name}: {REFUSAL}")
        if SECRET.search(name):
            raise ConfigError(
                f"hydra.job.env_set.{name}: holds a secret by its name, which would be saved with "
                "each run; set it in the environment, before the start"
            )
    os.environ.update(variables)


def _folder_name() -> str:
    """Return the time and random digits, so that two simultaneous starts get two folders."""
    return f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.urandom(3).hex()}"


def _print_error(error: BaseException, tracebacks: bool, given: list[str]) -> int:
    """Print `error` as one message and return the exit status."""
    status = error.exit_status if isinstance(error, UserError) else 2
    if tracebacks:
        text = "".join(traceback.format_exception(error))
        print(without_secrets(text), file=sys.stderr)
        return status
    message = messages.explain(error, lambda: KnownKeys.of(config_folder(), given), given)
    print(f"bnsweep: {without_secrets(message)}", file=sys.stderr)
    return status
