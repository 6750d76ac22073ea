"""The keys that exist, to answer a key that does not."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from bnsweep.cli.arguments import config_dir
from bnsweep.hydra_inside import initialized
from bnsweep.records.keys import flatten
from bnsweep.report.words import in_words
from bnsweep.run.config import contents

# Of the configuration; what else it is composed of are `hydra/...`.
GROUPS = ("data", "model", "optimizer", "tracking", "experiment", "debug")
LAST_PART = 0.93  # a whole key that is as alike is meant before a last part
SIMILAR, GROUP_MEANT = 0.6, 0.8  # how alike keys must be to be offered, to have one group


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
        places = [a for a in arguments if a.startswith("hydra.searchpath=")]
        if (mine := config_dir(arguments)) is not None:
            places = [f'hydra.searchpath=["file://{Path(mine).absolute()}"]']
        pairs = [argument.split("=", 1) for argument in arguments if "=" in argument]
        named = [pair for pair in pairs if pair[0] in GROUPS and re.fullmatch(r"[\w,]+", pair[1])]
        chosen = {group: options.split(",") for group, options in named}
        with initialized(folder):
            cfg = _composed([*places, *(f"{group}={of[0]}" for group, of in chosen.items())])
        keys = [key for key in flatten(_container(cfg)) if not key.startswith("sweep.")]
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
            if not lacks:
                return "see --help for the keys"
            return f"{_having(group, lacks, not_=True)} {last}; {_having(group, have)} it"
        if near := self._near(key):
            return f"did you mean {' or '.join(near)}?"
        if group == "hydra":
            return "see --cfg hydra for Hydra's keys"
        names = [part for part in self._within(group) if part != "_target_"]
        return f"{group} has {in_words(names)}" if names else "see --help for the keys"

    def _within(self, group: str) -> list[str]:
        """Return the keys of a group, without its name."""
        return [k.partition(".")[2] for k in self.keys if k.startswith(f"{group}.")]

    def _near(self, key: str) -> list[str]:
        """Return the keys that someone may have meant: first of all, those of the same last part.

        Of a key in a group that exists, further ones are looked for in this group alone.
        """
        group, _, last = key.rpartition(".")
        owners = self._elsewhere()
        keys = [known for known in (*self.keys, *owners) if _offered(known, key)]
        scores = {known: _similarity(known, key) for known in keys if _last(known) == last}
        if scores and max(scores.values()) < GROUP_MEANT:
            scores = dict.fromkeys(scores, 1.0)  # no group is like the one given: any may be meant
        elif not scores and self._within(group):
            own = f"{group}."
            scores = {k: _ratio(k.removeprefix(own), last) for k in keys if k.startswith(own)}
        elif not scores:
            scores = {known: _similarity(known, key) for known in keys}
        least = max(SIMILAR, max(scores.values(), default=0) - 0.05)
        near = sorted((k for k in scores if scores[k] >= least), key=lambda k: -scores[k])
        return [known + owners.get(known, "") for known in near[:3]]

    def _elsewhere(self) -> dict[str, str]:
        """Return the keys that other options have, each with a remark that names these."""
        remarks = {}
        for group, options in self.options.items():
            for known in dict.fromkeys(k for keys in options.values() for k in keys):
                if known not in self.keys:
                    have = [option for option, keys in options.items() if known in keys]
                    remarks[known] = f" (with {group}={in_words(have, 'or')})"
        return remarks


def _composed(overrides: Sequence[str]) -> DictConfig:
    try:
        return compose("config", [*overrides], return_hydra_config=True)
    except Exception:  # one of these is wrong, too, or its file is
        return compose("config", return_hydra_config=True)


def _container(cfg: DictConfig) -> dict[str, object]:
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _offered(known: str, key: str) -> bool:
    """Whether a key may be offered for another one; those of Hydra are many, and seldom meant."""
    if known == key or known.endswith("_target_"):
        return False
    of_hydra = known.startswith("hydra.") and not known.startswith("hydra.launcher.")
    return of_hydra == key.startswith("hydra.") or known.startswith("hydra.launcher.")


def _similarity(known: str, key: str) -> float:
    """Return how alike two keys are, from 0 to 1; one without a group may be a last part."""
    whole = _ratio(known, key)
    return whole if "." in key else max(whole, LAST_PART * _ratio(_last(known), key))


def _ratio(one: str, two: str) -> float:
    return difflib.SequenceMatcher(None, one, two).ratio()


def _last(key: str) -> str:
    return re.split(r"[./]", key)[-1]


def _having(group: str, options: Sequence[str], *, not_: bool = False) -> str:
    """Return `optimizer=momentum and nesterov have`, or `optimizer=sgd has no`."""
    verb = "has" if len(options) == 1 else "have"
    return f"{group}={in_words(options)} {verb}{' no' if not_ else ''}"
