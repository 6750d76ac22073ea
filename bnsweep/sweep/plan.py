"""Overrides become checked runs, before anything is started."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from bnsweep.errors import ConfigError
from bnsweep.records import RunSpec, SweepPlan
from bnsweep.records.keys import Config, Value, flatten, hashable
from bnsweep.report.comparison import distinguishing_keys
from bnsweep.run.build import load_dataset
from bnsweep.run.config import OptionFile, option_files, specify

MAX_RUNS = 100_000
# What all runs of a sweep share.
SHARED = ("tracking.uri", "tracking.experiment", "tracking.note", "tracking.tags", "report.")

Choice = tuple[str, Value]  # of an override: as text, and its value


def sweep_overrides(params: Mapping[str, Any], arguments: Sequence[str]) -> list[str]:
    """Return the overrides of a sweep: its `hydra.sweeper.params`, then the command line's."""
    defaults = [f"{key}={'null' if value is None else value}" for key, value in params.items()]
    return [*defaults, *arguments]


def make_plan(
    config: DictConfig,
    overrides: Sequence[str],
    loader: ConfigLoader,
    facts: Callable[[Config], Mapping[str, Value]] | None = None,
) -> SweepPlan:
    """Return the runs that `overrides` describe, checked.

    Hydra reads and merges a dozen files for a configuration, which takes longer than some runs
    train. One is composed for each distinct choice of group options; all other values are put
    into it and checked without composing.

    Args:
        config: the composed configuration.
        overrides: the choices of each key.
        loader: what composes the configuration of a run.
        facts: what describes the data set of a configuration; by default it is loaded for that.

    Raises:
        ConfigError, DataError: one of the runs could not be done.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    value_keys = _value_keys(parsed, loader)
    kept = _in_effect(parsed)
    keys = [override.get_key_element() for override in kept]
    choices = [_choices(override) for override in kept]
    for key, of_key in zip(keys, choices, strict=True):
        if len(of_key) > 1 and f"{key.lstrip('+')}.".startswith(SHARED):
            raise ConfigError(
                f"{key}: is one for the whole sweep, and has {len(of_key)} values; a text with "
                f"commas stands in quotes of its own, as in '{key}=\"one, two\"'"
            )
    settable = _settable(keys, choices)
    total = math.prod(len(of_key) for of_key in choices)
    if total > MAX_RUNS:
        raise ConfigError(f"the sweep has {total} runs; sweep at most {MAX_RUNS}")

    composed: dict[tuple[str, ...], tuple[DictConfig, dict[str, OptionFile]]] = {}
    known: dict[str, Mapping[str, Value]] = {}
    specs = []

    def once(full: Config) -> Mapping[str, Value]:
        place = repr((full["data"], full["dtype"]))
        if place not in known:
            known[place] = facts(full) if facts is not None else load_dataset(full).facts
        return known[place]

    for number, combination in enumerate(itertools.product(*choices)):
        texts = tuple(text for text, _ in combination)
        typed = {key: value for key, (_, value) in zip(keys, combination, strict=True)}
        values = {key: value for key, value in typed.items() if key in value_keys}
        structure = tuple(
            text for key, (text, _) in zip(keys, combination, strict=True) if key not in values
        )
        if structure not in composed:
            cfg = loader.load_sweep_config(config, list(texts))
            files = option_files(cfg.hydra.runtime)
            with open_dict(cfg):
                cfg.pop("hydra")
                cfg.sweep["keys"] = settable
            composed[structure] = cfg, files
        cfg, files = composed[structure]
        for key, value in values.items():
            OmegaConf.update(cfg, key, value, merge=False)
        spec = specify(cfg, files, number=number, overrides=texts, facts=once)
        # A key that stands in no configuration has the value it was given.
        given = {key.lstrip("+"): value for key, value in typed.items()}
        swept = {k: given.get(k) if v is None else v for k, v in spec.swept.items()}
        specs.append(replace(spec, swept=swept))
    specs, swept_keys = _with_swept(specs, settable)
    return SweepPlan(tuple(specs), tuple(swept_keys))


def _value_keys(overrides: Sequence[Override], loader: ConfigLoader) -> set[str]:
    """Return the swept keys that set a value and do not change what else is composed."""
    # Hydra takes milliseconds to say whether a key is a group: ask once for each.
    groups = {
        key
        for key in {o.key_or_group for o in overrides}
        if loader.get_group_options(key, ObjectType.CONFIG)
    }
    setting = [o for o in overrides if o.key_or_group not in groups or _has_mapping(o)]
    return {
        override.key_or_group
        for override in setting
        if override.key_or_group not in groups
        and _sweeps_values(override)
        and not any(_order_matters(override, other) for other in setting)
    }


def _sweeps_values(override: Override) -> bool:
    if override.is_add() or override.is_force_add() or not override.is_sweep_override():
        return False
    if override.key_or_group.startswith("hydra.") or override.package is not None:
        return False
    # An interpolation may stand for a mapping.
    return not _has_mapping(override) and "${" not in str(override.input_line)


def _has_mapping(override: Override) -> bool:
    """Whether any choice of an override merges a mapping."""
    value = override.value()
    choices = value.list if isinstance(value, ChoiceSweep) else [value]
    return any(isinstance(choice, dict) for choice in choices)


def _overlap(override: Override, other: Override) -> bool:
    """Whether two overrides set one key, or one sets a key within the other's."""
    one, two = f"{override.key_or_group}.", f"{other.key_or_group}."
    return one.startswith(two) or two.startswith(one)


def _order_matters(override: Override, other: Override) -> bool:
    """Whether an override that sweeps values must keep its place before or after the other."""
    same = other.key_or_group == override.key_or_group and not _has_mapping(other)
    return _overlap(override, other) and not (same and other.type == override.type)


def _in_effect(overrides: Iterable[Override]) -> list[Override]:
    """Return the overrides that take effect, in Hydra's order: the last one of each key.

    A mapping always takes effect: it is merged into a node that is there already.
    """
    kept: list[Override] = []
    for override in overrides:
        place = next((n for n, other in enumerate(kept) if _replaces(override, other)), None)
        if place is None:
            kept.append(override)
            continue
        if override.type == OverrideType.CHANGE:
            # A key must be added before it can be changed.
            override = replace(override, type=kept[place].type)
        if any(_overlap(override, other) for other in kept[place + 1 :]):
            kept = [*kept[:place], *kept[place + 1 :], override]
        else:
            kept[place] = override
    return kept


def _replaces(override: Override, other: Override) -> bool:
    """Whether `override` replaces all of `other`; `+key` and `key` are one key."""
    keys = {o.get_key_element().lstrip("+") for o in (override, other)}
    return len(keys) == 1 and not _has_mapping(override) and not _has_mapping(other)


def _settable(keys: Sequence[str], choices: Sequence[Sequence[Choice]]) -> list[str]:
    """Return the keys that overrides with several choices set; of mappings, their leaves."""
    several = [(key, of_key) for key, of_key in zip(keys, choices, strict=True) if len(of_key) > 1]
    pairs = [(key.lstrip("+"), value) for key, of_key in several for _, value in of_key]
    return list(
        dict.fromkeys(
            leaf
            for key, value in pairs
            for leaf in (flatten({key: value}) if isinstance(value, dict) else (key,))
        )
    )


def _with_swept(specs: Sequence[RunSpec], keys: Sequence[str]) -> tuple[list[RunSpec], list[str]]:
    """Return the runs, each with its values of the swept keys, and those keys.

    A key with the same value in all runs is not swept. One that is not among `keys` may be: two
    different models can have one name.
    """
    swept = [key for key in keys if len({hashable(spec.swept[key]) for spec in specs}) > 1]
    swept += distinguishing_keys(specs, swept)

    def values(spec: RunSpec) -> dict[str, Value]:
        leaves = spec.leaves | dict(spec.swept)
        return {key: leaves.get(key) for key in swept}

    return [replace(spec, swept=values(spec)) for spec in specs], swept


def _choices(override: Override) -> list[Choice]:
    """Return each choice of an override, as text and as value."""
    key = override.get_key_element()
    if override.is_delete() and "=" not in str(override.input_line):
        return [(key, None)]  # with a value, Hydra 1.4 deletes that value alone, also null
    if not override.is_sweep_override():
        return [(f"{key}={override.get_value_element_as_str()}", override.value())]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: not a list of choices; use a comma list, choice(...), "
            "range(...) or logspace(...)"
        )
    # Iterate once: a shuffled list has another order the second time.
    texts = [
        f"{key}={text}" for text in itertools.islice(override.sweep_string_iterator(), MAX_RUNS + 1)
    ]
    if len(texts) > MAX_RUNS:
        raise ConfigError(f"{key}: more than {MAX_RUNS} choices; give fewer")
    parser = OverridesParser.create()
    return [(text, parser.parse_override(text).value()) for text in texts]
