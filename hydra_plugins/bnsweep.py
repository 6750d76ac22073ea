"""The sweep as a Hydra plugin: Hydra accepts sweepers from this namespace alone."""

from collections.abc import Sequence
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class BnsweepSweeper(Sweeper):
    """Run the product of all choices on the command line; `bnsweep.sweep.drive` does the work.

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
        # Hydra imports every plugin at each start, for --help too: so the rest comes late.
        from hydra.core.plugins import Plugins

        from bnsweep.sweep.composing import Composer

        self.config = config
        self.composer = Composer(hydra_context.config_loader)
        # Of the loader in their context, launchers use what a Composer has.
        loader = cast("ConfigLoader", self.composer)
        context = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[Any]:
        """Run the sweep that `arguments` and the default sweep describe."""
        from bnsweep.sweep.drive import run_sweep

        assert self.config is not None
        defaults = [
            f"{key}={'null' if value is None else value}" for key, value in self.params.items()
        ]
        return run_sweep(
            self.config,
            overrides=[*defaults, *arguments],
            composer=self.composer,
            launcher=self.launcher,
        )
