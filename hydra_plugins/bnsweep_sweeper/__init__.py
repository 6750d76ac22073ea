"""The sweep as a Hydra plugin: Hydra accepts sweepers from this namespace alone."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class BnsweepSweeper(Sweeper):
    """Run the product of all choices on the command line; `bnsweep.sweep` does the work.

    Args:
        params: the default sweep: override keys to their choices, as text.
    """

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.params = params or {}

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
    ) -> None:
        """Keep what a sweep needs, and make the launcher."""
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[Any]:
        """Run the sweep that `arguments` and the default sweep describe."""
        # Hydra imports every plugin at each start, for --help too: so the rest comes late.
        from bnsweep.sweep import run_sweep

        assert self.config is not None
        assert self.hydra_context is not None
        defaults = [f"{key}={value}" for key, value in self.params.items()]
        return run_sweep(
            self.config,
            overrides=[*defaults, *arguments],
            config_loader=self.hydra_context.config_loader,
            launcher=self.launcher,
        )
