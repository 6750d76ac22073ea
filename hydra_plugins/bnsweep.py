"""The sweep as a Hydra plugin.

Relies on `Composer` having the methods that launchers call on Hydra's config loader; remove when
local workers get a run's specification and compose nothing. Relies on the namespace package
`hydra_plugins`, from which alone Hydra accepts sweepers; remove when Hydra discovers plugins by
entry points.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class BnsweepSweeper(Sweeper):
    """Run every combination of the choices on the command line; see `bnsweep.sweep.drive`.

    Args:
        params: the default sweep: the choices of each override key, as text.
    """

    def __init__(self, params: Mapping[str, object] | None = None) -> None:
        self.params = params or {}

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
    ) -> None:
        """Keep the configuration and create the launcher."""
        # Imported late, because Hydra imports every plugin at each start, even for --help.
        from hydra.core.plugins import Plugins

        from bnsweep.sweep.composing import Composer

        self.config = config
        self.composer = Composer(hydra_context.config_loader)
        # Launchers call only those methods of the loader that a Composer has.
        loader = cast("ConfigLoader", self.composer)
        context = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Sequence[str]:
        """Run the sweep that `arguments` and the default sweep describe; return its statuses."""
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
