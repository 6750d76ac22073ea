"""A sweep's configurations, composed once for each distinct choice of groups.

Hydra reads and merges a dozen files for each job, which takes longer than some jobs train. Jobs
that choose the same groups differ in a few values, which are set in a copy of the first one's
configuration.

Relies on launchers using no more of Hydra's config loader than `load_sweep_config`; remove when
runs are handed to workers as specifications.
"""

import copy
import re
import uuid
from collections.abc import Iterable, Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

# A worker gets a new Composer with each job; what was composed outlives it here.
_composed: dict[tuple[str, tuple[str, ...]], DictConfig] = {}


class Composer:
    """Stands in for Hydra's config loader where a sweep's jobs are composed.

    Args:
        loader: Hydra's own.

    Attributes:
        value_keys: the swept keys that set a value and do not change what else is composed.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._id = uuid.uuid4().hex
        # Each job has a number of its own, which must not cost it a composition.
        self.value_keys: set[str] = {"sweep.number"}

    def parse(self, overrides: Iterable[str]) -> list[Override]:
        """Parse `overrides`, and note which of them sweep values only."""
        parser = OverridesParser.create(config_loader=self._loader)
        parsed = parser.parse_overrides(list(overrides))
        # Hydra takes milliseconds to say whether a key is a group: ask once for each.
        groups = {key for key in {o.key_or_group for o in parsed} if self._is_group(key)}
        setting = [o for o in parsed if o.key_or_group not in groups or has_mapping(o)]
        self.value_keys |= {
            override.key_or_group
            for override in setting
            if override.key_or_group not in groups
            and _sweeps_values(override)
            and not any(_order_matters(override, other) for other in setting)
        }
        return parsed

    def load_sweep_config(self, master: DictConfig, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a job, equal to the one that Hydra's loader composes.

        Raises:
            ConfigCompositionException: an option or key does not exist, or takes no such value.
        """
        values = [text for text in overrides if _key(text) in self.value_keys]
        config = copy.deepcopy(self._base(master, [o for o in overrides if o not in values]))
        for override in OverridesParser.create().parse_overrides(values):
            try:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
            except (ConfigAttributeError, ConfigKeyError) as error:
                raise ConfigCompositionException(
                    f"Could not override '{override.key_or_group}'."
                ) from error
        hydras = ("hydra.", "hydra/")
        task = [text for text in overrides if not _key(text).lstrip("+~").startswith(hydras)]
        config.hydra.overrides.task = task
        naming = config.hydra.job.config.override_dirname
        named = sorted(text for text in task if _key(text) not in naming.exclude_keys)
        config.hydra.job.override_dirname = re.sub("=", naming.kv_sep, naming.item_sep.join(named))
        return config

    def _base(self, master: DictConfig, structure: Sequence[str]) -> DictConfig:
        place = self._id, tuple(structure)
        if place not in _composed:
            _composed[place] = self._loader.load_sweep_config(master, list(structure))
        return _composed[place]

    def _is_group(self, key: str) -> bool:
        return bool(self._loader.get_group_options(key, ObjectType.CONFIG))


def _sweeps_values(override: Override) -> bool:
    if override.is_add() or override.is_force_add() or not override.is_sweep_override():
        return False
    if override.key_or_group.startswith("hydra.") or override.package is not None:
        return False
    # An interpolation may stand for a mapping.
    return not has_mapping(override) and "${" not in str(override.input_line)


def has_mapping(override: Override) -> bool:
    """Whether any choice of an override merges a mapping."""
    value = override.value()
    choices = value.list if isinstance(value, ChoiceSweep) else [value]
    return any(isinstance(choice, dict) for choice in choices)


def overlap(override: Override, other: Override) -> bool:
    """Whether two overrides set one key, or one sets a key within the other's."""
    one, two = f"{override.key_or_group}.", f"{other.key_or_group}."
    return one.startswith(two) or two.startswith(one)


def _order_matters(override: Override, other: Override) -> bool:
    """Whether an override that sweeps values must keep its place before or after the other."""
    same = other.key_or_group == override.key_or_group and not has_mapping(other)
    return overlap(override, other) and not (same and other.type == override.type)


def _key(text: str) -> str:
    return text.partition("=")[0]
