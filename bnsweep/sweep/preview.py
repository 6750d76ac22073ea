"""What a sweep would do, told without doing it."""

import textwrap
from collections.abc import Callable, Mapping

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from bnsweep.data import NotDownloadedError, no_downloads
from bnsweep.records import SweepPlan
from bnsweep.records.keys import Config, Value, hashable, shown
from bnsweep.report.words import counted
from bnsweep.run.rehearsal import Rehearsal
from bnsweep.sweep.drive import checked_plan
from bnsweep.sweep.plan import sweep_overrides

WIDTH = 80
SHOWN, FIRST = 7, 5  # of more values than that, the first ones and the last are shown


def preview(config: DictConfig, loader: ConfigLoader) -> SweepPlan:
    """Return the runs of a sweep, checked like the sweep itself; nothing is created.

    Data that would have to be downloaded are left alone, and the runs have no fingerprints then.

    Args:
        config: the composed configuration.
        loader: what composes the configuration of a run.

    Raises:
        ConfigError, DataError: the sweep could not be done.
    """
    overrides = sweep_overrides(config.hydra.sweeper.params, config.hydra.overrides.task)
    return checked_plan(config, overrides, loader, _rehearsal(config))[1]


def describe(plan: SweepPlan) -> str:
    """Return a plan in lines for people, as comments above its first run's configuration."""
    lines = [f"a sweep of {counted(len(plan.specs), 'run')}{' over' if plan.swept else ''}"]
    for key in plan.swept:
        values = list(dict.fromkeys(hashable(spec.swept[key]) for spec in plan.specs))
        texts = [shown(value, 3) for value in values]
        if len(texts) > SHOWN:
            texts = [*texts[:FIRST], "...", texts[-1]]
        line = f"  {key}, {len(values)} values: {', '.join(texts)}"
        lines += textwrap.wrap(line, WIDTH - 2, subsequent_indent="    ", break_on_hyphens=False)
    lines.append(f"its first run: {plan.specs[0].name}")
    return "\n".join(f"# {line}" for line in lines)


def _rehearsal(config: DictConfig) -> Callable[[Config], Mapping[str, Value]]:
    """Return a rehearsal that leaves out what needs data which are not there."""
    rehearsal = Rehearsal(config.hydra.launcher)

    def facts(config: Config) -> Mapping[str, Value]:
        try:
            with no_downloads():
                return rehearsal(config)
        except NotDownloadedError:
            return {"validation_samples": config["data"].get("validation_size", 0)}

    return facts
