"""The sweep and its launcher as Hydra plugins.

Relies on the namespace package `hydra_plugins`, from which alone Hydra 1.3 accepts sweepers and
launchers; move them to where they belong when 1.4, which has entry points, is the oldest version.
"""

from collections.abc import Mapping, Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# Ours is imported late, because Hydra imports every plugin at each start, even for --help.


class LocalLauncher(Launcher):
    """Run jobs in processes of this machine; see `bnsweep.sweep.local`.

    Args:
        n_jobs: how many at a time; -1: one for each processor.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        self.n_jobs = n_jobs

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what the jobs need."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Do jobs that another sweeper than ours describes by their overrides."""
        from bnsweep.sweep.local import Processes, launch

        assert self.config is not None
        return launch(
            *(Processes(self.n_jobs), job_overrides, initial_job_idx),
            context=self.context,
            config=self.config,
            task=self.task,
        )


class BnsweepSweeper(Sweeper):
    """Run every combination of the choices on the command line; see `bnsweep.sweep.drive`.

    Args:
        params: the default sweep: the choices of each override key, as text.
    """

    def __init__(self, params: Mapping[str, object] | None = None) -> None:
        self.params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the configuration and create the launcher."""
        from hydra.core.plugins import Plugins

        self.config = config
        self.loader = hydra_context.config_loader
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[str]:
        """Run the sweep that `arguments` and the default sweep describe; return its statuses."""
        from bnsweep.hydra_inside import is_basic
        from bnsweep.sweep.drive import run_sweep
        from bnsweep.sweep.local import Processes
        from bnsweep.sweep.plan import sweep_overrides
        from bnsweep.sweep.workers import InProcess, Workers

        assert self.config is not None
        workers: Workers | None = None
        if isinstance(self.launcher, LocalLauncher):
            workers = Processes(self.launcher.n_jobs)
        elif is_basic(self.launcher):
            workers = InProcess()
        return run_sweep(
            self.config,
            overrides=sweep_overrides(self.params, arguments),
            loader=self.loader,
            launcher=self.launcher,
            workers=workers,
        )
