"""The keys that exist, to answer a key that does not."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from bnsweep.records.keys import flatten
from bnsweep.run.config import contents, to_plain

# Of the configuration; what else it is composed of are `hydra/...`.
GROUPS = ("data", "model", "optimizer", "tracking", "experiment", "debug")
SIMILAR = 0.6


@dataclass(frozen=True)
class KnownKeys:
    """The keys of a configuration, and those that it would have with other options.

    Attributes:
        keys: of the configuration, groups and other nodes included.
        chosen: the options that each group has on the command line, or by default.
        options: the keys of each option of each group, as `optimizer.lr`.
    """

    keys: Sequence[str]
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Iterable[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, arguments: Sequence[str]) -> "KnownKeys":
        """Return the keys for a command line, however wrong the rest of it is.

        Args:
            folder: of the configuration.
            arguments: the command line.
        """
        pairs = [argument.split("=", 1) for argument in arguments if "=" in argument]
        chosen = {key: value.split(",") for key, value in pairs if key in GROUPS}
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(folder), version_base="1.3"):
            cfg = _composed([f"{group}={options[0]}" for group, options in chosen.items()])
        hydra = flatten(_container(cfg.hydra), "hydra.")
        keys = [key for key in flatten(to_plain(cfg)) if not key.startswith("sweep.")] + [*hydra]
        nodes = {key.rpartition(".")[0] for key in keys} - {"", "hydra"}
        choices = cfg.hydra.runtime.choices
        return cls(
            [*keys, *sorted(nodes), *GROUPS, "hydra/launcher", "hydra/sweeper"],
            {group: chosen.get(group, [str(choices.get(group))]) for group in GROUPS},
            {
                group: {
                    option: [f"{group}.{key}" for key in flatten(content)]
                    for option, content in contents(group, cfg.hydra.runtime).items()
                }
                for group in ("data", "model", "optimizer")
            },
        )

    def hint(self, key: str) -> str:
        """Return what to do about a key that does not exist."""
        group, _, last = key.partition(".")
        if have := [o for o, keys in self.options.get(group, {}).items() if key in keys]:
            lacks = [option for option in self.chosen[group] if option not in have]
            named = f"{group}={_and(lacks)} {'has' if len(lacks) == 1 else 'have'} no {last}"
            owners = f"{group}={_and(have)} {'has' if len(have) == 1 else 'have'} it"
            return f"{named}; {owners}" if lacks else "see --help for the keys"
        if near := self._near(key):
            return f"did you mean {' or '.join(near)}?"
        own = [known for known in self.keys if known.startswith(f"{group}.") and group != "hydra"]
        names = [known.partition(".")[2] for known in own if not known.endswith("_target_")]
        return f"{group} has {_and(names)}" if names else "see --help for the keys"

    def _near(self, key: str) -> list[str]:
        """Return the keys that someone may have meant: best of all, one with the same last part."""
        of_hydra = key.startswith("hydra.")
        candidates = {
            known: ""
            for known in self.keys
            if known.startswith(("hydra.launcher.", "hydra/") if not of_hydra else "hydra.")
            or not (of_hydra or known.startswith("hydra."))
        }
        for group, options in self.options.items():
            for known in {key for keys in options.values() for key in keys} - candidates.keys():
                owners = [option for option, keys in options.items() if known in keys]
                candidates[known] = f" (with {group}={_and(owners, 'or')})"
        candidates.pop(key, None)
        same = [known for known in candidates if _last(known) == _last(key)]
        scores = {known: _similarity(known, key) for known in same or candidates}
        best = max(scores.values(), default=0)
        if same and best < 0.8:
            near = same  # the groups are not alike: any of them may be meant
        else:
            near = [known for known in scores if scores[known] >= max(SIMILAR, best - 0.05)]
        near.sort(key=lambda known: (-scores[known], known))
        return [f"{known}{candidates[known]}" for known in near[:3]]


def _composed(overrides: Sequence[str]) -> DictConfig:
    try:
        return compose("config", [*overrides], return_hydra_config=True)
    except HydraException:  # an option of a folder of the user's own
        return compose("config", return_hydra_config=True)


def _container(cfg: DictConfig) -> dict[str, object]:
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _similarity(known: str, key: str) -> float:
    """Return how alike two keys are, from 0 to 1; a key without a group is like a last part."""
    whole = difflib.SequenceMatcher(None, key, known).ratio()
    if "." in key and not known.startswith(f"{key.partition('.')[0]}."):
        return whole
    return max(whole, difflib.SequenceMatcher(None, _last(key), _last(known)).ratio())


def _last(key: str) -> str:
    return re.split(r"[./]", key)[-1]


def _and(words: Sequence[str], conjunction: str = "and") -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    return f" {conjunction} ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
