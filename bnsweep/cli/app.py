"""The Hydra entry: the only place where configuration becomes a run.

Relies on Hydra turning every exception of a callback into a warning except SystemExit, and on
HYDRA_FULL_ERROR to get Hydra's errors raised instead of printed; remove when a callback can refuse
a run and `hydra.main` can raise.
"""

import os
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bnsweep.cli import arguments
from bnsweep.errors import ConfigError, IncompleteError, UserError
from bnsweep.records.keys import GROUPS, flatten
from bnsweep.redact import REFUSAL, has_secret, without_secrets
from bnsweep.sweep.cluster import worker_environment
from hydra_plugins.bnsweep import BnsweepSweeper, LocalLauncher

PASSWORDS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")  # variables that hold one


class _Refused(SystemExit):
    """Leaves Hydra at once, from a callback too, and without a message by Hydra."""


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
    try:
        arguments.check_options(sys.argv[1:])
        arguments.check_secrets(sys.argv[1:])
        sys.argv[1:] = arguments.expand(arguments.options_first(sys.argv[1:]))
        prepare_hydra()
        config = str(config_folder())
        hydra.main(version_base="1.3", config_path=config, config_name="config")(run)()
    except _Refused as refusal:
        return _print_error(refusal.__cause__, tracebacks) if refusal.__cause__ else 0
    except Exception as error:
        return _print_error(error, tracebacks)
    return 0


def prepare_hydra() -> None:
    """Register the plugins and the resolvers that the configuration refers to."""
    # Hydra's own search does not find the plugins in an editable installation.
    for plugin in (BnsweepSweeper, LocalLauncher):
        Plugins.instance().register(plugin)
    OmegaConf.register_new_resolver("logspace", arguments.logspace, replace=True)
    OmegaConf.register_new_resolver("folder_name", _folder_name, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("worker_environment", worker_environment, replace=True)


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
            from bnsweep.tracking.store import make_store

            _set_environment(config)
            make_store(config)
        except Exception as error:
            raise _Refused(2) from error

    def on_run_start(self, config: DictConfig, **_: object) -> None:
        """Check the run.

        Raises:
            _Refused: the run is invalid (status 2), or done already (status 0).
        """
        try:
            # Here, because --help and sweeps need nothing of it.
            from bnsweep.sweep.single import prepare_run

            _set_environment(config)
            if not prepare_run(config):
                raise _Refused(0)
        except Exception as error:
            raise _Refused(2) from error


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


def _set_environment(config: DictConfig) -> None:
    """Set the variables of `hydra.job.env_set` for the driver, too: it and its jobs use one store.

    Raises:
        ConfigError: one has credentials in it, which Hydra would save.
    """
    variables = {name: str(value) for name, value in config.hydra.job.env_set.items()}
    for name, value in variables.items():
        if has_secret(value) or name in PASSWORDS:
            raise ConfigError(f"hydra.job.env_set.{name}: {REFUSAL}")
    os.environ.update(variables)


def _folder_name() -> str:
    """Return the time and random digits, so that two simultaneous starts get two folders."""
    return f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.urandom(3).hex()}"


def _print_error(error: BaseException, tracebacks: bool) -> int:
    """Print `error` as one message and return the exit status."""
    status = error.exit_status if isinstance(error, UserError) else 2
    if tracebacks:
        text = "".join(traceback.format_exception(error))
        print(without_secrets(text), file=sys.stderr)
        return status
    if isinstance(error, HydraException | OmegaConfBaseException):
        message = arguments.explain(error, _known_keys())
    elif isinstance(error, MemoryError):
        message = "there is not enough memory"
    elif isinstance(error, UserError | OSError | ValueError):
        message = str(error)
    else:
        message = f"{type(error).__name__}: {error} (set HYDRA_FULL_ERROR=1 for the traceback)"
    print(f"bnsweep: {without_secrets(message)}", file=sys.stderr)
    return status


def _known_keys() -> Iterable[str]:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from bnsweep.run.config import to_plain

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        cfg = compose("config")
    keys = flatten(to_plain(cfg))
    prefixes = {key.rpartition(".")[0] for key in keys} - {""}
    return [*keys, *sorted(prefixes), *GROUPS, "tracking", "experiment"]
